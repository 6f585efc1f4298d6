// Package words reads directives of a Caddyfile by tables. It also resolves the values of a configuration:
// placeholders, files and secrets. It knows Caddy, but not what the directives are for.
//
// A [Table] has one row for each word of a block: how the word is written, whether it may be repeated, how it is read,
// and which field of the JSON struct it fills. Dispatch, errors and the syntax card all come from these rows.
//
// Reading fills the struct and remembers lines. Checking comes afterwards, once, and sees the whole struct. Its errors
// name a field by its path in Go's spelling, such as "Issuers[1].MaxLifetime" (see package setting), and [Lines] finds
// the line of that field.
package words
