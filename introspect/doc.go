// Package introspect asks an OAuth 2.0 authorization server whether an access token is active: RFC 7662 token
// introspection, with RFC 9701 signed answers and OpenID Connect UserInfo as a weaker alternative.
//
// There are three verdicts, and the package never mixes them up. The server said that the token is active, or it said
// that the token is inactive: both are a [Result]. Or there is no verdict, because the server was down, slow,
// overloaded, broke the protocol or refused our own credentials: that is a [*NoVerdictError] with its [Cause], and it
// says nothing about the token. Only a status of 200 with a JSON boolean "active" is a verdict (RFC 7662 section
// 2.2), and a few error codes that can mean nothing but the token: see [Result.Refusal].
//
// # What the caller still has to check
//
// An active answer means that the server knows the token, not that the token is meant for the caller. Judge the times
// with [Result.ActiveAt], and issuer, audience, scope and confirmation with the value that [Config.Decode] made, for
// every request, on a cached result as well: two routes with different rules share one entry.
//
// # Bounds
//
// Everything that a stranger can grow is bounded: one total deadline covers waiting, both attempts and the body;
// calls in flight and calls waiting are capped; answers are capped in bytes after decompression and in depth; active
// answers live in a cache bounded in bytes, inactive ones in a separate one bounded in number, so that a flood of
// invented tokens cannot push out the tokens in use; and a circuit breaker stops asking a server that does not
// answer. Equal questions share one call, which runs on a context of its own: a caller that leaves changes nothing
// for the others.
//
// Anybody can make up tokens. What the server does with those decides as little as can be about others: an answer
// with another status than 502, 503 and 504 never opens the breaker; tokens that were active before, or that the
// caller has verified ([Verified]), have a breaker and a quarter of the slots of their own. A good token that is new
// is one among the strangers'.
//
// Tokens are never stored nor logged. Caches are keyed by a keyed hash of the token, and errors carry neither tokens,
// nor secrets, nor text that the server sent.
package introspect
