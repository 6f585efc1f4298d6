package proofs_test

import (
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/caddyjwt/proofs"
	"github.com/caddyjwt/gateway/internal/possession"
	"github.com/caddyjwt/gateway/internal/proof/replay"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// facts are those of a request by TLS without a proxy.
type facts struct{ *http.Request }

func (facts) Scheme() string                 { return "https" }
func (f facts) Host() string                 { return f.Request.Host }
func (f facts) Method() string               { return f.Request.Method }
func (f facts) Target() string               { return f.RequestURI }
func (facts) Certificate() *x509.Certificate { return nil }
func (facts) Proxied() bool                  { return false }

// proveAt uses a proof of a request for a token, with a policy. It returns the key.
func proveAt(t *testing.T, p *possession.Policy, proof string) (key string, err error) {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/token", nil)
	r.Header.Set("Dpop", proof)
	var proved possession.Proved
	now := time.Now()
	key, err = p.ProveAny(&proved, &possession.Presented{Request: r, Facts: facts{r}, Now: now})
	if err == nil {
		err = p.Spend(t.Context(), &proved, now)
	}
	return key, err
}

// An issuer takes proofs of any key and certificates of the connection. It needs no nonces, and remembers the proofs
// that were used where it says, not where gates do.
func TestForIssuer(t *testing.T) {
	state, used := proofs.NewState(), replay.NewMemory()
	p, err := state.ForIssuer(used)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Validate(); err != nil {
		t.Error(err)
	}
	if p.DPoP.MaxAge != possession.DefaultMaxAge || p.DPoP.Algorithms != possession.Algorithms() || p.Required ||
		p.DPoP.Host != "" || p.Certificates == nil || p.Certificates.Header != "" {
		t.Errorf("%+v, %+v", p.DPoP, p.Certificates)
	}
	if text, err := p.Nonce(t.Context(), time.Now()); text != "" || err != nil {
		t.Errorf("the nonce %q, %v", text, err)
	}
	for _, alg := range []string{"ES256", "PS256", "EdDSA"} {
		key := tokentest.NewProver(t, alg)
		proof := key.Proof(t, http.MethodPost, "https://example.com/token", "")
		if got, err := proveAt(t, p, proof); err != nil || got != key.Thumbprint() {
			t.Errorf("%s: the key %q, %v", alg, got, err)
		}
		if _, err := proveAt(t, p, proof); err == nil {
			t.Errorf("%s: a proof is good twice", alg)
		}
	}
	if count, _ := used.Stats(); count != 3 || state.Remembered() != 0 {
		t.Errorf("%d proofs are remembered, and %d where gates do it", count, state.Remembered())
	}
}

// A proof that one issuer has used is good for no other one that remembers in the same place, and all share the keys
// that were verified.
func TestIssuersShareTheirMemory(t *testing.T) {
	state, used := proofs.NewState(), replay.NewMemory()
	one, err := state.ForIssuer(used)
	if err != nil {
		t.Fatal(err)
	}
	other, err := state.ForIssuer(used)
	if err != nil {
		t.Fatal(err)
	}
	if one.DPoP.Verifier == nil || one.DPoP.Verifier != other.DPoP.Verifier {
		t.Error("each issuer has a verifier of its own")
	}
	proof := tokentest.NewProver(t, "ES256").Proof(t, http.MethodPost, "https://example.com/token", "")
	if _, err := proveAt(t, one, proof); err != nil {
		t.Error(err)
	}
	if _, err := proveAt(t, other, proof); err == nil {
		t.Error("a proof is good twice")
	}
}
