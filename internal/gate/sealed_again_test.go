package gate_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/revoke"
	"github.com/caddyjwt/gateway/internal/rotating"
	"github.com/caddyjwt/gateway/internal/sealed"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// Whoever has a JWT can encrypt it for the gate, as often as he likes.

// A token that was revoked by its text does not become good again inside of an encrypted one.
func TestAttackRevokedTokenIsEncrypted(t *testing.T) {
	sign, enc := tokentest.NewKey(t, "ES256", "k1"), tokentest.NewKey(t, "ES256", "enc")
	inner := sign.Sign(t, says())
	g := build(t, sign, revokes(t, revoke.Target{Issuer: issuerA, Kind: revoke.Text, Value: revoke.Digest(inner)}),
		func(c *gate.Config) {
			c.Issuers[0].Decrypt, c.Cache = opener(t, enc), newCache(t, 1<<20)
			c.Cache.Eager()
		})
	refused(t, g, request(inner), gate.Revoked)
	for range 3 {
		token := encrypted(t, inner, enc)
		for range 2 { // the second time it is remembered
			refused(t, g, request(token), gate.Revoked)
		}
	}
	accepted(t, g, request(encrypted(t, sign.Sign(t, says(m{"sub": "other"})), enc)))
}

// Encrypted tokens that the server has never seen count as what strangers may have made up: its answers to them do not
// stop questions about tokens that were verified.
func TestAttackEncryptedTokensOpenTheBreaker(t *testing.T) {
	sign, enc := tokentest.NewKey(t, "ES256", "k1"), tokentest.NewKey(t, "ES256", "enc")
	as := newAS(t)
	as.Introspect(func(r *tokentest.IntrospectionRequest) tokentest.IntrospectionAnswer {
		if strings.Count(r.Token, ".") == 4 {
			return tokentest.IntrospectionAnswer{Status: 503}
		}
		return tokentest.IntrospectionAnswer{Claims: m{"active": true}}
	})
	g := as.gate(gate.AskAlways, sign, func(c *gate.Config) { c.Issuers[0].Decrypt = opener(t, enc) })
	mallory := sign.Sign(t, says(m{"sub": "mallory"}))
	for range 12 {
		refused(t, g, request(encrypted(t, mallory, enc)), gate.IntrospectionUnavailable)
	}
	accepted(t, g, request(sign.Sign(t, says(m{"sub": "bob"}))))
}

func TestIssuersWithKeysOfOneName(t *testing.T) {
	sign := tokentest.NewKey(t, "ES256", "k1")
	key := func(i int) *tokentest.Key { return tokentest.NewKey(t, "ES256", fmt.Sprint("enc", i)).WithKID("enc") }
	name := func(i int) string { return fmt.Sprintf("https://issuer%d.example", i) }
	g := build(t, sign, func(c *gate.Config) {
		for i := range 5 {
			c.Issuers = append(c.Issuers, c.Issuers[0])
			c.Issuers[i+1].Name, c.Issuers[i+1].Decrypt = name(i), opener(t, key(i))
		}
	})
	for i := range 5 {
		accepted(t, g, request(encrypted(t, sign.Sign(t, says(m{"iss": name(i)})), key(i))))
	}
}

// What the JWK of an issuer says about its algorithm holds, also when another issuer has the same key for all.
func TestAlgorithmOfTheIssuersOwnKey(t *testing.T) {
	sign, enc := tokentest.NewKey(t, "ES256", "k1"), tokentest.NewKey(t, "ES256", "enc")
	text, err := json.Marshal(jose.JSONWebKey{Key: enc.Private(), KeyID: "enc", Algorithm: "ECDH-ES+A256KW"})
	if err != nil {
		t.Fatal(err)
	}
	keys, err := sealed.Parse(text, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	strict := &gate.Decryption{Keys: sealed.NewKeys([]sealed.Text{{First: keys,
		Template: rotating.Template{Parts: []rotating.Part{{Text: string(text)}}, First: string(text)}}}, nil)}
	narrow, _, _ := sealed.ParseAlgorithms([]string{"ECDH-ES+A256KW"}, nil)
	listed := opener(t, enc)
	listed.Algorithms = narrow
	for name, own := range map[string]*gate.Decryption{"by the JWK": strict, "by the issuer's list": listed} {
		g := build(t, sign, func(c *gate.Config) {
			c.Issuers[0].Decrypt = own
			c.Issuers = append(c.Issuers, c.Issuers[0])
			c.Issuers[1].Name, c.Issuers[1].Decrypt = issuerB, opener(t, enc)
		})
		inner := sign.Sign(t, says())
		if _, err := g.Check(direct(request(encrypted(t, inner, enc)))); gate.FailureOf(err).Reason != gate.DecryptionFailed {
			t.Errorf("%s: %v", name, err)
		}
		accepted(t, g, request(sealedAs(t, inner, enc, "ECDH-ES+A256KW", "A256GCM", nil)))
	}
}
