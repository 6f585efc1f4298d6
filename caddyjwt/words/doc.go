// Package words reads directives of a Caddyfile by tables, and the values of a configuration: placeholders, files and
// secrets. It knows Caddy, and nothing of what the directives are for.
//
// A [Table] has one row for each word of a block: how the word is written, whether it may be repeated, how it is read
// and which field of the JSON struct it fills. Dispatch, errors and the syntax card come from the same rows.
//
// Reading fills the struct and remembers lines. Checking comes afterwards, once, with the whole struct: an error names
// its field by the path in Go's spelling, such as "Issuers[1].MaxLifetime" (see package setting), and [Lines] knows
// the line.
package words
