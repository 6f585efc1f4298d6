package gate

import (
	"cmp"
	"fmt"
	"net/http"
	"strings"

	"github.com/caddyjwt/gateway/internal/bearer"
	"github.com/caddyjwt/gateway/internal/causes"
	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/jose"
)

// Causes name what came and what was expected. A stranger's text in them is cut and quoted. Of the claims, only iss,
// aud, acr, the key claim, the one of consumer_claim and scopes are repeated: other values may be personal. Those that
// strangers can cause at will are written only when somebody reads them.

// unknownIssuer is the cause of an UnknownIssuer.
type unknownIssuer struct {
	parties *parties
	issuer  string // iss, if there is one
	key     string // the key claim, if there is one
}

func (p *parties) unknownIssuer(header *jose.Header, set *claims.Set) error {
	cause := &unknownIssuer{parties: p, issuer: set.Issuer}
	if p.hasCredentials() {
		cause.key, _ = p.untrustedKeyClaim(header, set)
	}
	return cause
}

// Error compares the token's iss and key claim with the configuration.
func (u *unknownIssuer) Error() string {
	p, text := u.parties, "the token has no iss"
	if u.issuer != "" {
		text = "iss is " + causes.Quote(u.issuer)
	}
	if near := cmp.Or(p.patterns.Unlisted(u.issuer), p.near.Describe(u.issuer)); near != "" {
		text += ", and " + near
	}
	count := p.countCredentials()
	credentials := fmt.Sprintf("any of the %d credentials", count)
	if count == 1 {
		credentials = "the only credential"
	}
	switch {
	case count == 0:
		return text
	case u.key == "":
		return fmt.Sprintf("%s; the token also lacks the key claim %s, which could name %s here",
			text, causes.Quote(p.keyClaim), credentials)
	default:
		return fmt.Sprintf("%s; the key claim %s is %s, which does not name %s here",
			text, causes.Quote(p.keyClaim), causes.Quote(u.key), credentials)
	}
}

// missingToken is the cause of a MissingToken. It is written at once, because the request does not stay as it is.
func (g *Gate) missingToken(r *http.Request) error {
	elsewhere := bearer.Elsewhere(r, g.places)
	if elsewhere == "" {
		return g.noToken
	}
	return fmt.Errorf("%w; the request has %s", g.noToken, elsewhere)
}

// noTokenIn makes the cause for requests that have nothing like a token.
func noTokenIn(places []bearer.Place) error {
	names := make([]string, len(places))
	for i, place := range places {
		names[i] = place.String()
	}
	if len(names) > 3 {
		return fmt.Errorf("no token in %s, or %d other places", strings.Join(names[:3], ", "), len(names)-3)
	}
	return fmt.Errorf("no token in %s", strings.Join(names, ", "))
}

// unknownAlgorithm is the cause for an alg that is none of ours, such as "none". Which algorithms the issuer allows is
// not known: the payload has not been read.
func (p *parties) unknownAlgorithm(header *jose.Header) error {
	name, _ := header.Text("alg")
	return fmt.Errorf("alg is %s; allowed here: %v: %w", causes.Quote(name), p.algorithms, jose.ErrAlgorithm)
}

// ownType is the cause for a typ that is wrong by itself.
func ownType(header *jose.Header, err error) error {
	typ, there := header.Text("typ")
	if !there {
		return err
	}
	return fmt.Errorf("typ is %s: %w", causes.Quote(typ), err)
}

// requiredByIssuer is added to a missing claim.
const requiredByIssuer = ", which required_claims of the issuer names"

// annotated adds to an error what is known about it elsewhere. The text is written only when somebody reads it.
type annotated struct {
	before string
	err    error
	after  string
}

// Error returns the whole text.
func (a *annotated) Error() string { return a.before + a.err.Error() + a.after }

// Unwrap returns the error without the addition.
func (a *annotated) Unwrap() error { return a.err }

// adding adds to the end of the failure's cause.
func (f *Failure) adding(text string) *Failure {
	f.Cause = &annotated{err: f.Cause, after: text}
	return f
}

// inAnswer says that a failure is about the server's answer, and not about the token itself.
func inAnswer(err error) *Failure {
	f := FailureOf(err)
	if f.Cause != nil {
		f.Cause = &annotated{before: "in the server's answer: ", err: f.Cause}
	}
	return f
}
