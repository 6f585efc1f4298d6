package gate

import (
	"errors"
	"strings"

	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/jose"
)

// form is what a token is, by its text alone: nothing in it is verified yet.
type form uint8

const (
	opaqueToken  form = iota // not a JWT: only its server can read it
	encryptedJWE             // a JWE: only its server can read it
	brokenJWT                // looks like a JWT, but is not well-formed
	otherKindJWT             // of another kind than an access token
	unknownJWT               // it names no party that is configured here
	knownJWT                 // it names a party that is configured here
	unsealed                 // a JWE that was opened, and whose content is not accepted
)

// classification is what is known about a token before it is verified or asked about.
type classification struct {
	form form
	// party is the one that the token names; nil unless it is a JWT that names a configured party.
	party *party
	// reason and cause say why the token is refused if nobody is asked about it. They are empty for a knownJWT.
	reason Reason
	cause  error
	// iss is that of the token, which says for which tenant the party is to vouch.
	iss string
}

// failure is the refusal of a token that nobody is asked about.
func (c *classification) failure() *Failure {
	return about(fail(c.reason, c.cause), c.party).of(c.party, c.iss)
}

// verifiable reports whether the token must be verified here.
func (c *classification) verifiable() bool { return c.form == knownJWT && c.party.verifies() }

// parsedJWT is a parsed JWT. Its parts lie in a borrowed buffer until release.
type parsedJWT struct {
	jose.Token
	set    *claims.Set
	kind   claims.Kind
	buffer *[]byte
	seal   *seal // nil for a JWT that came as it is
}

func (j *parsedJWT) release() {
	if j.buffer != nil {
		release(j.buffer)
		j.buffer = nil
	}
}

// keptHeader is the header for applications: that of the signed token, also if it came encrypted.
func (j *parsedJWT) keptHeader() claims.Header {
	kept := claims.HeaderOf(j.Header.Object())
	kept.Encryption = j.seal.encryption()
	return kept
}

// classify finds out what a token is. The result decides what follows: who verifies the token, or who is asked about
// it. Nothing is verified yet, so the token only selects among the configured parties. The caller releases jwt, which
// holds the parsed token if the result is a knownJWT.
func (p *parties) classify(token string, jwt *parsedJWT) classification {
	if !startsAsJWT(token) && !jose.LooksLikeJWT(token) { // LooksLikeJWT also recognises JWTs in unusual encodings
		return classification{form: opaqueToken, reason: MalformedToken, cause: p.notAsked}
	}
	jwt.buffer = borrow(len(token))
	var err error
	if jwt.Token, err = jose.Parse(token, (*jwt.buffer)[:0], p.types...); err != nil {
		return p.classifyUnparsed(token, &jwt.Header, err)
	}
	var party *party
	if jwt.set, party, err = p.read(&jwt.Header, jwt.Payload); err != nil {
		return classification{form: brokenJWT, reason: MalformedToken, cause: err}
	}
	jwt.kind = claims.KindOf(jwt.set)
	class := classification{form: knownJWT, party: party, iss: jwt.set.Issuer}
	if err := party.checkKind(&jwt.Header, jwt.kind); err != nil {
		class.form, class.reason, class.cause = otherKindJWT, InvalidType, err
		return class
	}
	if party == nil {
		return classification{form: unknownJWT, reason: UnknownIssuer, cause: p.unknownIssuer(&jwt.Header, jwt.set)}
	}
	return class
}

// classifyUnparsed classifies a token that is not a well-formed JWT. err is the parser's, and header what it read
// before. An opaque or encrypted token is not broken, so its cause says why nobody is asked about it, and not what the
// parser found.
func (p *parties) classifyUnparsed(token string, header *jose.Header, err error) classification {
	switch {
	case errors.Is(err, jose.ErrType):
		return classification{form: otherKindJWT, reason: InvalidType, cause: ownType(header, err)}
	case len(p.opening) > 0 && strings.Count(token, ".") == 4: // resolve looks closer
		return classification{form: encryptedJWE}
	case jose.IsEncrypted(token):
		return classification{form: encryptedJWE, reason: MalformedToken, cause: errNoEncrypted}
	case !jose.LooksLikeJWT(token):
		return classification{form: opaqueToken, reason: MalformedToken, cause: p.notAsked}
	case errors.Is(err, jose.ErrAlgorithm):
		return classification{form: brokenJWT, reason: UnsupportedAlgorithm, cause: p.unknownAlgorithm(header)}
	default:
		return classification{form: brokenJWT, reason: MalformedToken, cause: err}
	}
}

// startsAsJWT is a quick test. A JOSE header is a JSON object, so its first byte is "{" and that of the token is "e".
func startsAsJWT(token string) bool { return token != "" && token[0] == 'e' }
