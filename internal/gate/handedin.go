package gate

import (
	"errors"
	"fmt"
	"time"

	"github.com/caddyjwt/gateway/internal/bearer"
	"github.com/caddyjwt/gateway/internal/claims"
)

// Judge judges a token that somebody hands in for another one (RFC 8693, RFC 7523 section 2.1). It is not the one by
// which the request passes, so where it was in the request, whose page has sent it and the path of the request do not
// count. All else does. A token that is bound to a key is refused: whoever hands it in cannot prove to have that key.
//
// accepted says which audiences are good for tokens of an issuer, by its configured name. The gate must be one for
// tokens that are HandedIn. Without an audience, tokens of that issuer are refused. An error is always a *Failure.
func (g *Gate) Judge(req Request, token string, accepted func(issuer string) []string) (*HandedIn, error) {
	req.accepted, req.handedIn = accepted, new(HandedIn)
	if !g.handedIn || accepted == nil {
		return nil, fail(InternalError, errors.New("nobody has said which audiences are good"))
	}
	if token == "" || len(token) > bearer.DefaultMaxToken {
		return nil, fail(MalformedToken, fmt.Errorf("the token has %d bytes, and can have %d", len(token),
			bearer.DefaultMaxToken))
	}
	identity, err := g.identify(&req, token)
	if err != nil {
		return nil, refusal(&req, err, token)
	}
	req.handedIn.Identity = identity
	return req.handedIn, nil
}

// HandedIn is a token that was handed in and is good.
type HandedIn struct {
	Identity *Identity
	// Answer has the claims of the server's answer about a JWT that was verified here; nil if nobody was asked.
	Answer *claims.Set
	// Opaque reports that the claims are those of an answer, and that the token was not verified here.
	Opaque bool
	// Expires is when it ends by its own exp and that of Answer; zero for never.
	Expires time.Time
}

// mayBeHandedIn refuses tokens of a party whose tokens nobody may hand in, before anybody is asked about them.
func (p *party) mayBeHandedIn(req *Request) error {
	if req.accepted == nil || p == nil || len(req.accepted(p.name)) > 0 {
		return nil
	}
	return fail(InvalidIssuer, errNotHandedIn)
}

var errNotHandedIn = errors.New("nobody may hand in tokens of this issuer here")
