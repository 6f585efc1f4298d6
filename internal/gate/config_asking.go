package gate

import (
	"time"

	"github.com/caddyjwt/gateway/introspect"
)

// AskMode says which tokens of an issuer its authorization server is asked about.
type AskMode uint8

// The modes of an issuer.
const (
	// AskOpaque asks about tokens that are no JWT of a known issuer.
	AskOpaque AskMode = iota + 1
	// AskAlways asks about opaque and encrypted tokens, and about the issuer's JWTs once they have been verified
	// here: they may be revoked. It does not ask about JWTs of others, since every JWT is to be verified here.
	AskAlways
	// AskJWTs asks about the issuer's JWTs only, as AskAlways does.
	AskJWTs
)

// Asking asks an authorization server about the tokens of one issuer (RFC 7662).
type Asking struct {
	// Mode says which tokens.
	Mode AskMode
	// Prefix is how this issuer's opaque tokens begin; empty for any. Two issuers cannot take the same ones.
	Prefix string
	// Client asks. Its Decode must be DecodeAnswer of the issuer's name, or DecodeUserInfo by its mode.
	Client Asker
}

// RouteMode refines the issuers' modes for one route.
type RouteMode uint8

// The modes of a route.
const (
	RouteAsIssuer RouteMode = iota // as the issuer says
	RouteForce                     // ask about every token
	RouteSkip                      // do not ask about JWTs
)

// RouteAsking is what a route says about asking.
type RouteAsking struct {
	// Mode refines the issuers' mode.
	Mode RouteMode
	// MaxAge is how old a remembered answer may be on this route, 0 being "ask every time"; nil means as old as the
	// cache keeps it.
	MaxAge *time.Duration
}

// options are what is said with every question.
func (r RouteAsking) options() []introspect.Option {
	if r.MaxAge == nil {
		return nil
	}
	return []introspect.Option{introspect.MaxAge(*r.MaxAge)}
}

// confirmOptions are said about a token that was verified here: no stranger can make one up.
func (r RouteAsking) confirmOptions() []introspect.Option {
	return append(r.options(), introspect.Verified())
}
