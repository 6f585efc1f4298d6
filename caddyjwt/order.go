package caddyjwt

import "github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

// A directive has its place in the sequence of Caddy's directives: directly before or after another one. Caddy panics
// at the start of the process when that neighbour is not a directive of its standard distribution, or when a directive
// gets a second place. So no plugin can stand beside another plugin's directive, not even beside one of its own.
//
// Of two directives on the same side of the same neighbour, the one that was registered later is nearer to it. Their
// sequence depends on which is linked first. So each directive of this project that has to come before or after
// another one of ours needs a neighbour of its own:
//
//	token_issuer  after try_files
//	bearer_auth   before basic_auth
//
// try_files comes before basic_auth in Caddy's list. So token_issuer comes before bearer_auth whichever is registered
// first, and even if nothing stands between the two neighbours. What has to come after bearer_auth can stand before
// request_header, which is behind all of Caddy's own authentication. "basicauth", the old name, is no good neighbour:
// once Caddy drops it, it would panic.
//
// The global option "order" of a Caddyfile overrules all that.
func init() {
	httpcaddyfile.RegisterDirectiveOrder("bearer_auth", httpcaddyfile.Before, "basic_auth")
}
