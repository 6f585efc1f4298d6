package gate

import (
	"errors"

	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/jose"
)

// form is what a token is, by its text alone: nothing in it is verified yet.
type form uint8

const (
	opaqueToken    form = iota // no JWT: only its server can read it
	encryptedToken             // a JWE: only its server can read it
	brokenJWT                  // looks like a JWT and is not a well-formed one
	otherJWT                   // of another kind than an access token
	foreignJWT                 // nobody configured here vouches for it
	knownJWT                   // an issuer or credential configured here is to vouch for it
)

// classified is what is known about a token before anything is verified or asked.
type classified struct {
	form form
	// party is whose token it claims to be; nil unless it is a JWT of somebody who is configured here.
	party *party
	// reason and cause are why the token is refused when nobody is asked about it. A knownJWT has none.
	reason Reason
	cause  error
}

// failure is the refusal of a token that nobody is asked about.
func (c *classified) failure() *Failure { return about(fail(c.reason, c.cause), c.party) }

// verifiable reports whether the token is to be verified here.
func (c *classified) verifiable() bool { return c.form == knownJWT && c.party.verifies() }

// parsedJWT is a JWT taken apart. Its parts lie in a borrowed buffer until release.
type parsedJWT struct {
	jose.Token
	set    *claims.Set
	kind   claims.Kind
	buffer *[]byte
}

func (j *parsedJWT) release() {
	if j.buffer != nil {
		release(j.buffer)
	}
}

// classify finds out what a token is. That decides everything that follows: who verifies it, or who is asked about it.
// Until a signature holds, the token only selects among what is configured. A JWT of somebody who is configured here is
// left in jwt.
func (p *parties) classify(token string, jwt *parsedJWT) classified {
	if !startsAsJWT(token) && !jose.LooksLikeJWT(token) { // the latter sees JWTs that are written oddly
		return classified{form: opaqueToken, reason: MalformedToken, cause: p.notTaken}
	}
	jwt.buffer = borrow(len(token))
	var err error
	if jwt.Token, err = jose.Parse(token, (*jwt.buffer)[:0], p.types...); err != nil {
		return p.classifyUnparsed(token, err)
	}
	if jwt.set, err = claims.Decode(jwt.Payload); err != nil {
		return classified{form: brokenJWT, reason: MalformedToken, cause: err}
	}
	jwt.kind = claims.KindOf(jwt.set)
	party := p.partyOf(&jwt.Header, jwt.set)
	if err := party.acceptsKind(&jwt.Header, jwt.kind); err != nil {
		return classified{form: otherJWT, party: party, reason: InvalidType, cause: err}
	}
	if party == nil {
		return classified{form: foreignJWT, reason: UnknownIssuer}
	}
	return classified{form: knownJWT, party: party}
}

// classifyUnparsed finds out what a token is that is no well-formed JWT. An opaque or encrypted one is not damaged: its
// cause says why nobody is asked about it.
func (p *parties) classifyUnparsed(token string, err error) classified {
	switch {
	case errors.Is(err, jose.ErrType):
		return classified{form: otherJWT, reason: InvalidType, cause: err}
	case jose.IsEncrypted(token):
		return classified{form: encryptedToken, reason: MalformedToken, cause: errNoEncrypted}
	case !jose.LooksLikeJWT(token):
		return classified{form: opaqueToken, reason: MalformedToken, cause: p.notTaken}
	case errors.Is(err, jose.ErrAlgorithm):
		return classified{form: brokenJWT, reason: UnsupportedAlgorithm, cause: err}
	default:
		return classified{form: brokenJWT, reason: MalformedToken, cause: err}
	}
}

// startsAsJWT is a quick look: a JOSE header is a JSON object, whose first byte makes the token start with an "e".
func startsAsJWT(token string) bool { return token != "" && token[0] == 'e' }
