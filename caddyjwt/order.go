package caddyjwt

import "github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

// A directive has its place in the sequence of Caddy's directives: directly before or after another one. Caddy panics
// at the start of the process if that neighbour is not a directive of its standard distribution, or if a directive gets
// a second place. So a directive cannot be placed beside a plugin's directive, not even one of the same plugin.
//
// Of two directives on the same side of the same neighbour, the one that is registered later is nearer to it, so their
// sequence depends on which is linked first. So each directive of this project that must come before or after another
// one of ours needs a neighbour of its own:
//
//	backchannel_logout  after redir
//	protected_resource  before method
//	token_issuer        after try_files
//	bearer_auth         before basic_auth
//
// In Caddy's list redir comes before method, method before try_files, and try_files before basic_auth. So these keep
// this sequence whichever is registered first, even if nothing stands between two neighbours. What must come after
// bearer_auth can be placed before request_header, which comes after all of Caddy's own authentication. Do not use
// "basicauth", the old name: once Caddy drops it, the process would panic.
//
// The global option "order" of a Caddyfile overrides all this.
func init() {
	httpcaddyfile.RegisterDirectiveOrder("bearer_auth", httpcaddyfile.Before, "basic_auth")
}
