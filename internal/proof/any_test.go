package proof_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/proof"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// withoutToken is what a proof of a request for a token must be for.
func withoutToken() proof.Expected {
	e := expected()
	e.Token, e.NoToken = "", true
	return e
}

// A proof of any key is good, and says which key it is. Nobody remembers keys that nothing is bound to yet: strangers
// would drive out those of tokens.
func TestVerifyAny(t *testing.T) {
	for _, alg := range []string{"ES256", "ES384", "ES512", "RS256", "PS256", "EdDSA"} {
		t.Run(alg, func(t *testing.T) {
			c, v := newClient(t, alg), newVerifier(t)
			text := c.sign(c.header(), with(payload(), object{"ath": nil}))
			for range 2 {
				p, err := v.VerifyAny(text, proof.DefaultAlgorithms())
				if err != nil {
					t.Fatal(err)
				}
				key := base64.RawURLEncoding.EncodeToString(p.Key[:])
				if key != c.thumbprint || p.ID != payload()["jti"] || p.Method != "GET" {
					t.Errorf("%+v", p)
				}
				if err := p.Check(withoutToken()); err != nil {
					t.Error(err)
				}
			}
			if count, _ := v.Keys(); count != 0 || v.Remembers(text, c.thumbprint) {
				t.Errorf("%d keys are remembered", count)
			}
		})
	}
}

func TestVerifyAnyRefuses(t *testing.T) {
	c, v, all := newClient(t, "ES256"), newVerifier(t), proof.DefaultAlgorithms()
	secret := tokentest.NewKey(t, "HS256", "k").WithKID("")
	good, other := strings.Split(c.proof(), "."), strings.Split(c.sign(c.header(), object{}), ".")
	changed := base64.RawURLEncoding.EncodeToString([]byte(text(with(payload(), object{"htm": "POST"}))))
	for name, row := range map[string]struct {
		text       string
		algorithms jose.Algorithms
		words      string
	}{
		"nothing":                  {"", all, ""},
		"too long":                 {c.proof() + strings.Repeat("x", proof.MaxSize), all, "longer than"},
		"an algorithm that is not": {c.proof(), jose.MakeAlgorithms(jose.RS256), "alg is ES256"},
		"no algorithm":             {c.proof(), 0, "alg is ES256"},
		"a shared secret": {secret.SignRaw(text(with(c.header(), object{"alg": "HS256"})), text(payload())),
			^jose.Algorithms(0), "alg is HS256"},
		"no key":                     {c.sign(with(c.header(), object{"jwk": nil}), payload()), all, "no jwk"},
		"no jti":                     {c.sign(c.header(), with(payload(), object{"jti": nil})), all, "no jti"},
		"another signature":          {good[0] + "." + good[1] + "." + other[2], all, "signature"},
		"a payload that has changed": {good[0] + "." + changed + "." + good[2], all, "signature"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := v.VerifyAny(row.text, row.algorithms)
			requireInvalid(t, err, row.words)
		})
	}
}

// Without a token, ath says nothing, and all else holds. A token needs its hash, also where none is expected.
func TestCheckWithoutAToken(t *testing.T) {
	c, v := newClient(t, "ES256"), newVerifier(t)
	for name, ath := range map[string]any{"none": nil, "that of some token": hashOf("x")} {
		p, err := v.VerifyAny(c.sign(c.header(), with(payload(), object{"ath": ath})), proof.DefaultAlgorithms())
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Check(withoutToken()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for what, change := range map[string]func(*proof.Expected){
			"another method":          func(e *proof.Expected) { e.Method = "POST" },
			"another host":            func(e *proof.Expected) { e.Host = "other.example.com" },
			"another path":            func(e *proof.Expected) { e.Target = "/" },
			"another time":            func(e *proof.Expected) { e.Now = now.Add(2 * e.MaxAge) },
			"a token after all":       func(e *proof.Expected) { e.Token = token },
			"no token, and not so":    func(e *proof.Expected) { e.NoToken = false },
			"a request nobody knows":  func(e *proof.Expected) { e.Host = "" },
			"a hash without a token":  func(e *proof.Expected) { e.NoToken, e.TokenHash = false, hashOf("x") },
			"a scheme that is no TLS": func(e *proof.Expected) { e.Scheme = "http" },
		} {
			e := withoutToken()
			change(&e)
			if err := p.Check(e); !errors.Is(err, proof.ErrInvalid) {
				t.Errorf("%s, %s: %v", name, what, err)
			}
		}
	}
}

// A proof that breaks any rule but those about its token makes no key known.
func TestAttackHostileProofsOfAnyKey(t *testing.T) {
	const address = "https://api.example.com/items"
	v, tried := newVerifier(t), 0
	for _, alg := range []string{"ES256", "RS256", "EdDSA"} {
		client := tokentest.NewProver(t, alg)
		for _, attack := range client.ProofAttacks(t, "GET", address, token) {
			p, err := v.VerifyAny(attack.Proof, proof.DefaultAlgorithms())
			if err == nil {
				e := withoutToken()
				e.Now = time.Now()
				err = p.Check(e)
			}
			own := base64.RawURLEncoding.EncodeToString(p.Key[:]) == client.Thumbprint()
			switch {
			case !attack.OnlyWithToken() && !errors.Is(err, proof.ErrInvalid):
				t.Errorf("%s, %s: %v", alg, attack.Name, err)
			case attack.OnlyWithToken() && err == nil && own != (attack.Code == tokentest.InvalidProof):
				t.Errorf("%s, %s has the key %x", alg, attack.Name, p.Key)
			case !attack.OnlyWithToken():
				tried++
			}
		}
	}
	if tried < 300 {
		t.Errorf("only %d proofs are refused", tried)
	}
}
