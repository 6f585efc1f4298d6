package proof_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/proof"
)

var benchAlgorithms = []string{"ES256", "EdDSA", "RS256"}

// BenchmarkVerify is Verify and Check of a proof for a token of 1 KiB. Compare it with BenchmarkSignatureAlone.
func BenchmarkVerify(b *testing.B) {
	for _, alg := range benchAlgorithms {
		c := newClient(b, alg)
		text, e := c.proof(), expected()
		other := c.sign(with(c.header(), object{"kid": "x"}), payload())
		b.Run(alg+"/remembered", func(b *testing.B) {
			v := newVerifier(b)
			b.ReportAllocs()
			for b.Loop() {
				if err := accept(v, text, c.thumbprint, e); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(alg+"/new", func(b *testing.B) {
			v := newVerifier(b)
			b.ReportAllocs()
			for b.Loop() {
				if err := accept(v, text, c.thumbprint, e); err != nil {
					b.Fatal(err)
				}
				text, other = other, text // so that the header is never the remembered one
			}
		})
	}
}

// BenchmarkSignatureAlone is what package jose needs for the signatures of the same proofs.
func BenchmarkSignatureAlone(b *testing.B) {
	for _, alg := range benchAlgorithms {
		b.Run(alg, func(b *testing.B) {
			verify := newClient(b, alg).signatureAlone(b)
			b.ReportAllocs()
			for b.Loop() {
				if err := verify(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// signatureAlone returns a function that verifies the signature of a proof, and does nothing else.
func (c *client) signatureAlone(tb testing.TB) func() error {
	key, err := jose.NewPublicKey("", c.key.Public(), 0)
	if err != nil {
		tb.Fatal(err)
	}
	algorithm, _ := jose.ParseAlgorithm(c.key.Alg)
	text := c.proof()
	dot := strings.LastIndexByte(text, '.')
	signature, err := base64.RawURLEncoding.DecodeString(text[dot+1:])
	if err != nil {
		tb.Fatal(err)
	}
	return func() error { return key.Verify(algorithm, text[:dot], signature) }
}

// BenchmarkRefuse is what strangers can make the gate do without any signature.
func BenchmarkRefuse(b *testing.B) {
	c, thief := newClient(b, "ES256"), newClient(b, "EdDSA")
	for name, text := range map[string]string{
		"other key": thief.proof(), "no proof": "rubbish", "no jti": c.sign(c.header(), with(payload(), object{"jti": nil})),
		"giant RSA key": c.sign(with(c.header(), object{"alg": "RS256", "jwk": object{"kty": "RSA", "e": "AQAB",
			"n": strings.Repeat("x", 5000)}}), object{"jti": "x"}),
	} {
		b.Run(name, func(b *testing.B) {
			v := newVerifier(b)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := v.Verify(text, c.thumbprint, proof.DefaultAlgorithms()); err == nil {
					b.Fatal("accepted")
				}
			}
		})
	}
}

// A proof of a remembered key costs one allocation beside its signature: the text of the payload.
func TestAllocations(t *testing.T) {
	if race {
		t.Skip("the race detector changes what is allocated")
	}
	for _, alg := range benchAlgorithms {
		c, v := newClient(t, alg), newVerifier(t)
		text, e := c.proof(), expected()
		if err := accept(v, text, c.thumbprint, e); err != nil {
			t.Fatal(err)
		}
		verify := c.signatureAlone(t)
		alone := testing.AllocsPerRun(100, func() { _ = verify() })
		whole := testing.AllocsPerRun(100, func() {
			if err := accept(v, text, c.thumbprint, e); err != nil {
				t.Error(err)
			}
		})
		if whole > alone+1 {
			t.Errorf("%s: %v allocations, and %v of them for the signature", alg, whole, alone)
		}
	}
}

// Refusals that a flood could cause cost little.
func TestAllocationsOfRefusals(t *testing.T) {
	if race {
		t.Skip("the race detector changes what is allocated")
	}
	c, v := newClient(t, "ES256"), newVerifier(t)
	text := c.proof()
	if err := accept(v, text, c.thumbprint, expected()); err != nil {
		t.Fatal(err)
	}
	short, long := text[:len(text)-4]+"*", strings.Repeat("x", proof.MaxSize+1)
	p, e := good(), expected()
	e.Host = "other.example.com"
	for name, tt := range map[string]struct {
		most   float64
		refuse func() error
	}{
		"too long": {0, func() error { return verify(v, long, c.thumbprint) }},
		"rubbish":  {1, func() error { return verify(v, "rubbish", c.thumbprint) }},
		"short":    {1, func() error { return verify(v, short, c.thumbprint) }},
		"uri":      {1, func() error { return p.Check(e) }},
	} {
		if n := testing.AllocsPerRun(100, func() { _ = tt.refuse() }); n > tt.most {
			t.Errorf("%s: %v allocations, want at most %v", name, n, tt.most)
		}
		requireInvalid(t, tt.refuse(), "")
	}
}

func verify(v *proof.Verifier, text, thumbprint string) error {
	_, err := v.Verify(text, thumbprint, proof.DefaultAlgorithms())
	return err
}
