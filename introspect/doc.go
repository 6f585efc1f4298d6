// Package introspect asks an OAuth 2.0 authorization server whether an access token is active. It speaks token
// introspection (RFC 7662), with signed answers (RFC 9701) if you want them. For servers without introspection there is
// OpenID Connect UserInfo, which proves less.
//
// Each question has one of three outcomes, and the package never mixes them up:
//
//   - The server says that the token is active: a [Result].
//   - The server says that the token is inactive: a [Result], too.
//   - There is no verdict: a [*NoVerdictError] with its [Cause]. The server was down, slow or overloaded, broke the
//     protocol, or refused our own credentials. This says nothing about the token.
//
// A verdict is an answer with status 200 and a JSON boolean "active" (RFC 7662 section 2.2). A few error codes that can
// only be about the token are verdicts as well: see [Result.Refusal].
//
// # What the caller still has to check
//
// Active means that the server knows the token, not that the token is meant for the caller. Judge the times with
// [Result.ActiveAt]. Judge issuer, audience, scope and confirmation by the value that [Config.Decode] made. Do both on
// every request, also when the result comes from the cache: two routes with different rules share one entry.
//
// # Bounds
//
// Everything that a stranger can make grow is bounded:
//
//   - One deadline covers a whole call: waiting, both attempts and reading the answer.
//   - Calls under way and calls waiting are limited in number.
//   - Answers are limited in bytes, counted after decompression, and in depth.
//   - Active answers live in a cache limited in bytes. Inactive ones live in another, limited in number. So a flood of
//     invented tokens cannot evict the tokens in use.
//   - A circuit breaker stops asking a server that does not answer.
//
// Equal questions share one call. The call has a context of its own, so a caller that leaves changes nothing for the
// others.
//
// Anybody can make up tokens, so what the server does with unknown tokens must affect other tokens as little as
// possible. An answer opens the breaker only if its status is 502, 503 or 504. Known tokens have a breaker and a
// quarter of the slots to themselves. A token is known when the server has called it active before, or when the caller
// has verified it (see [Verified]). A good token that is seen for the first time still competes with invented ones.
//
// Tokens are never stored or logged. The caches are keyed by a keyed hash of the token. Errors contain no tokens, no
// secrets, and no text from the server.
package introspect
