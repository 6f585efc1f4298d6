// Package issuing is how clients and a token issuer talk with each other: requests to sign in and to refresh, the
// answer with a pair of tokens, errors, and the claims of access tokens. It knows neither users nor sessions.
package issuing
