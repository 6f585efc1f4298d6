package possession

import (
	"encoding/base64"
	"fmt"
	"time"

	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/clientcert"
	"github.com/caddyjwt/gateway/internal/proof"
)

// This file says for people what came and what was expected. Nothing here decides.

// Describe says what a request has by which its token could be proved, and what a confirmation asks for. Both lists are
// nil for a bearer token. A nil Policy expects nothing. Nobody has verified what came: a proof is described even if its
// signature is bad.
func (p *Policy) Describe(by *Presented, c claims.Confirmation) (came, expected []string) {
	if c.KeyThumbprint != "" {
		came = append(came, "cnf.jkt "+c.KeyThumbprint)
	}
	if c.CertificateThumbprint != "" {
		came = append(came, "cnf.x5t#S256 "+c.CertificateThumbprint)
	}
	if p == nil {
		return came, nil
	}
	if d := p.DPoP; d != nil && (c.KeyThumbprint != "" || by.WithDPoP) {
		came = append(came, describeProof(by)...)
		expected = append(expected, d.describe(by, c)...)
	}
	if p.Certificates != nil && c.CertificateThumbprint != "" {
		shown := "no client certificate"
		if certificate, err := p.Certificates.of(by); err == nil {
			shown = "client certificate " + encoded(clientcert.Thumbprint(certificate))
		}
		came, expected = append(came, shown), append(expected, "client certificate "+c.CertificateThumbprint)
	}
	return came, expected
}

// describeProof says what the proof of a request is for.
func describeProof(by *Presented) (came []string) {
	if !by.WithDPoP {
		came = append(came, "not the scheme DPoP")
	}
	lines := by.Request.Header[Field]
	switch len(lines) {
	case 0:
		return append(came, "no header DPoP")
	case 1:
	default:
		return append(came, fmt.Sprintf("%d headers DPoP", len(lines)))
	}
	says, err := proof.Describe(lines[0])
	if err != nil {
		return append(came, "a header DPoP that is no proof")
	}
	came = append(came, says.Algorithm+" proof by key "+encoded(says.Key), "htm "+says.Method)
	if says.URI != "" {
		came = append(came, "htu "+says.URI)
	}
	came = append(came, "iat "+date(says.IssuedAt)+", "+age(by.Now.Sub(says.IssuedAt)))
	if says.HasNonce {
		came = append(came, "a nonce")
	}
	return came
}

// age says how long ago something was.
func age(ago time.Duration) string {
	if ago = ago.Truncate(time.Second); ago < 0 {
		return (-ago).String() + " ahead"
	}
	return ago.String() + " ago"
}

// describe says what a proof must be.
func (d *DPoP) describe(by *Presented, c claims.Confirmation) []string {
	e := d.expected(by)
	expected := []string{"the scheme DPoP"}
	if c.KeyThumbprint != "" {
		expected = append(expected, "proof by key "+c.KeyThumbprint)
	}
	expected = append(expected, "htm "+e.Method)
	if uri := e.URI(); uri != "" {
		expected = append(expected, "htu "+uri)
	}
	expected = append(expected, "now "+date(by.Now), "max_age "+d.MaxAge.String())
	if d.NonceLifetime > 0 {
		expected = append(expected, "a nonce")
	}
	return expected
}

// DescribeBinding says whether a token is bound, and what the route wants. Expected is nil where bearer tokens pass.
func (p *Policy) DescribeBinding(c claims.Confirmation) (came, expected []string) {
	came = []string{"a token that is bound to nothing"}
	if c.Bound {
		came[0] = "a token that is bound by cnf"
	}
	if p != nil && p.Required {
		expected = []string{"a token that is bound to a key or a certificate"}
	}
	return came, expected
}

// Unchecked is a rule that was not applied.
type Unchecked struct {
	// Rule is a stable name in snake_case, and Why says why it was not applied.
	Rule, Why string
}

// Unchecked are the rules that tools do not apply to a proof which is good otherwise.
func (p *Policy) Unchecked(proved *Proved) (rules []Unchecked) {
	if proved.dpop == nil {
		return nil
	}
	if p.DPoP.AnyNonce {
		rules = append(rules, Unchecked{"nonce", "only the running Caddy knows which nonces are good: ask it with --address"})
	}
	return append(rules, Unchecked{"replay", "looking would use the proof up: whether it was used before is not known"})
}

func encoded(sum [32]byte) string { return base64.RawURLEncoding.EncodeToString(sum[:]) }

func date(t time.Time) string { return t.UTC().Format(time.RFC3339) }
