package gate

import (
	"time"

	"github.com/caddyjwt/gateway/introspect"
)

// AskMode selects the tokens of an issuer about which its authorization server is asked.
type AskMode uint8

// The modes of an issuer.
const (
	// AskOpaque asks about opaque and encrypted tokens, and about JWTs for which no configured party vouches. For an
	// issuer without Keys it asks about all tokens.
	AskOpaque AskMode = iota + 1
	// AskAlways asks about opaque and encrypted tokens, and about the issuer's JWTs after verifying them, since they
	// may have been revoked. It does not ask about JWTs of unknown issuers: with this mode every JWT must be verified
	// here.
	AskAlways
	// AskJWTs asks about the issuer's JWTs only, and does so as AskAlways does.
	AskJWTs
)

// Asking says how to ask an authorization server about the tokens of one issuer (RFC 7662).
type Asking struct {
	// Mode selects the tokens.
	Mode AskMode
	// Prefix is how this issuer's opaque tokens begin. Empty fits every token. Two issuers with the same prefix are an
	// error, unless it is empty and at most one of them has AskOpaque.
	Prefix string
	// Client asks. The Decode of an *introspect.Client must be DecodeAnswer or, where it asks the UserInfo endpoint,
	// DecodeUserInfo, each for this issuer's name.
	Client Asker
}

// RouteMode overrides the issuers' modes for one route.
type RouteMode uint8

// The modes of a route.
const (
	RouteAsIssuer RouteMode = iota // as the issuer's mode says
	RouteForce                     // ask about every token
	RouteSkip                      // do not ask about JWTs that were verified here
)

// RouteAsking is a route's setting for asking.
type RouteAsking struct {
	// Mode overrides the issuers' modes.
	Mode RouteMode
	// MaxAge bounds the age of a cached answer on this route. 0 asks every time. Nil accepts what the cache keeps.
	MaxAge *time.Duration
}

// options go with every question.
func (r RouteAsking) options() []introspect.Option {
	if r.MaxAge == nil {
		return nil
	}
	return []introspect.Option{introspect.MaxAge(*r.MaxAge)}
}

// confirmOptions go with a question about a token that was verified here: no stranger can have made it up.
func (r RouteAsking) confirmOptions() []introspect.Option {
	return append(r.options(), introspect.Verified())
}
