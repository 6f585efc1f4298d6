// Package possession judges whether whoever presents a token has the key to which it is bound (RFC 7800): a key for
// DPoP proofs (RFC 9449) or a client certificate (RFC 8705). A token that is bound to both must be proved in both ways.
//
// A token is judged anew on each request. What is remembered of it says only to which key it is bound.
package possession

import (
	"crypto/x509"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/caddyjwt/gateway/internal/claims"
)

// Policy says which proofs of possession count. A nil Policy counts none, so every bound token is refused.
type Policy struct {
	// DPoP accepts proofs of RFC 9449. Nil means that it accepts none.
	DPoP *DPoP
	// Certificates accepts client certificates, as RFC 8705 section 3 says. Nil means that it accepts none.
	Certificates *Certificates
	// Required refuses tokens that are bound to nothing.
	Required bool
}

// Validate refuses a policy that accepts no proof, or that could not judge one. An error names its field.
func (p *Policy) Validate() error {
	switch {
	case p == nil:
		return nil
	case p.DPoP == nil && p.Certificates == nil:
		return errors.New("proof accepts nothing: write dpop, mtls or any")
	}
	return p.DPoP.validate()
}

// Summary says in a few words which proofs count.
func (p *Policy) Summary() (facts []string) {
	if d := p.DPoP; d != nil {
		facts = append(facts, "dpop "+d.Algorithms.String(), "max_age "+d.MaxAge.String())
		if d.NonceLifetime > 0 {
			facts = append(facts, "nonce "+d.NonceLifetime.String())
		}
	}
	if c := p.Certificates; c != nil {
		facts = append(facts, "mtls")
		if c.Header != "" {
			facts = append(facts, "certificate from "+c.Header+" "+c.Form.String())
		}
	}
	if p.Required {
		facts = append(facts, "required")
	}
	return facts
}

// OnlyDPoP reports whether every token must be bound to a key for DPoP, so that no bearer token passes.
func (p *Policy) OnlyDPoP() bool { return p.Required && p.Certificates == nil }

// Names reports whether a header field, in whatever spelling, may have a proof.
func (p *Policy) Names(field string) bool {
	return p != nil && (p.DPoP != nil && strings.EqualFold(field, Field) ||
		p.Certificates != nil && p.Certificates.fields.Has(field))
}

// Facts are what only the server knows about a request. See gate.Facts.
type Facts interface {
	Scheme() string
	Host() string
	Method() string
	Target() string
	Certificate() *x509.Certificate
	Proxied() bool
}

// Presented is the token of one request.
type Presented struct {
	// Request has the token.
	Request *http.Request
	// Facts are those of the request.
	Facts Facts
	// Token is the text of the token. TokenHash is proof.HashOf it, or empty if that is not known yet.
	Token, TokenHash string
	// NoToken says that the request has none: see ProveAny.
	NoToken bool
	// WithDPoP reports that the token came with the scheme DPoP of the header Authorization.
	WithDPoP bool
	// Now is the time of the request.
	Now time.Time
}

// Proved is what has been proved on one request. The zero value is nothing.
type Proved struct {
	bound bool
	dpop  *accepted // nil without a DPoP proof
}

// Prove makes sure that the key in a confirmation is that of whoever presents a bound token. A token can say that it is
// bound without a confirmation. Call Prove for each set of claims that says so: that of the token, and that of an
// answer about it. An error is always an *Error.
func (p *Policy) Prove(proved *Proved, by *Presented, c claims.Confirmation) error {
	switch {
	case !c.Bound && proved.dpop != nil: // the other claims say to which key
		return nil
	case !c.Bound:
		return errTypeAlone
	case c.Unknown:
		return errUnknown
	}
	if c.KeyThumbprint != "" {
		if err := p.proveKey(proved, by, c); err != nil {
			return err
		}
	}
	if c.CertificateThumbprint != "" {
		if err := p.proveCertificate(by, c); err != nil {
			return err
		}
	}
	proved.bound = true
	return nil
}

// Settle judges what is left when all confirmations were proved. A token that is bound to nothing passes only as a
// bearer token, and only where that is enough. One with the scheme DPoP must be bound to the key of its proof: nothing
// else ties the two (RFC 9449 section 7.1). An error is always an *Error.
func (p *Policy) Settle(proved *Proved, withDPoP bool) error {
	switch {
	case withDPoP && proved.dpop == nil:
		return errNotForDPoP
	case p != nil && p.Required && !proved.bound:
		return errUnbound
	}
	return nil
}
