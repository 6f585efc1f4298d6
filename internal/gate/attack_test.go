package gate_test

import (
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// patience is the most processor time that a refusal may cost. It is far above what a refusal needs (see
// BenchmarkCheckRefused), since machines that run tests are slow. It is far below what an attack would have to cost.
const patience = 200 * time.Millisecond

// withstands requires a 4xx for the reason, without a panic and at little cost. Explain must say the same.
func withstands(t *testing.T, g *gate.Gate, token string, want gate.Reason) {
	t.Helper()
	f := refused(t, g, request(token), want)
	if answer := g.Answer(f); answer.Status < 400 || answer.Status > 499 {
		t.Errorf("status %d", answer.Status)
	}
	agrees(t, g, request(token))
	best := time.Hour
	for tries := 0; tries < 20 && best > patience; tries++ {
		r := request(token)
		begin := tokentest.ProcessorTime(t)
		_, _ = g.Check(direct(r))
		best = min(best, tokentest.ProcessorTime(t)-begin)
	}
	if best > patience {
		t.Errorf("it costs %v of processor time", best)
	}
}

func b64(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

// flaws maps what is wrong with a hostile token to the gate's reason.
var flaws = map[tokentest.Flaw]gate.Reason{
	tokentest.Malformed: gate.MalformedToken, tokentest.NoAlgorithm: gate.UnsupportedAlgorithm,
	tokentest.KeyAlgorithm: gate.UnsupportedAlgorithm, tokentest.Critical: gate.MalformedToken,
	tokentest.Nested: gate.MalformedToken, tokentest.Encrypted: gate.MalformedToken, tokentest.OtherType: gate.InvalidType,
	tokentest.OtherKind: gate.InvalidType, tokentest.UnknownKey: gate.UnknownKey, tokentest.Forged: gate.InvalidSignature,
	tokentest.OtherIssuer: gate.UnknownIssuer, tokentest.OtherAudience: gate.InvalidAudience,
	tokentest.Expired: gate.Expired, tokentest.NotYetValid: gate.NotYetValid, tokentest.NoExpiry: gate.MissingClaim,
	tokentest.Bound: gate.ProofRequired,
}

func TestAlgorithmAttacks(t *testing.T) {
	rs, es := tokentest.NewKey(t, "RS256", "r"), tokentest.NewKey(t, "ES256", "e")
	g := build(t, rs, func(c *gate.Config) {
		c.Issuers = []gate.Issuer{issuer(t, issuerA, rs, es)}
		c.Consumers = []gate.Consumer{consumer(t, "shop", "shop-key", rs)}
	})
	for party, payload := range map[string]m{"an issuer": says(), "a consumer": says(m{"iss": "shop-key"})} {
		accepted(t, g, request(rs.Sign(t, payload)))
		text, err := json.Marshal(payload)
		if err != nil {
			t.Fatal(err)
		}
		for _, attack := range tokentest.AlgorithmAttacks(rs, string(text)) {
			t.Run(attack.Name+", of "+party, func(t *testing.T) {
				withstands(t, g, attack.Token, flaws[attack.Flaw])
			})
		}
	}
	t.Run("the name of one key with the algorithm of another", func(t *testing.T) {
		withstands(t, g, es.WithKID("r").Sign(t, says()), gate.UnknownKey)
	})
	t.Run("EdDSA in the name of Ed25519", func(t *testing.T) {
		ed := tokentest.NewKey(t, "Ed25519", "d")
		g := build(t, ed)
		accepted(t, g, request(ed.Sign(t, says())))
		withstands(t, g, ed.WithAlg("EdDSA").Sign(t, says()), gate.UnsupportedAlgorithm)
	})
}

func TestHeaderAndClaimAttacks(t *testing.T) {
	visits := 0
	trap := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { visits++ }))
	defer trap.Close()
	target := tokentest.Target{
		Key: tokentest.NewKey(t, "ES256", "k1"), Stranger: tokentest.NewKey(t, "ES256", "stranger"),
		Issuer: issuerA, Audience: api, Now: start, Trap: trap.URL,
	}
	g := build(t, target.Key, lavish(t))
	accepted(t, g, request(target.Good()))
	for _, attack := range slices.Concat(target.HeaderAttacks(), target.ClaimAttacks()) {
		t.Run(attack.Name, func(t *testing.T) { withstands(t, g, attack.Token, flaws[attack.Flaw]) })
	}
	if visits != 0 {
		t.Errorf("the attacker's server was visited %d times", visits)
	}
}

func TestKeysOfAnotherIssuer(t *testing.T) {
	key, other := tokentest.NewKey(t, "ES256", "k1"), tokentest.NewKey(t, "ES256", "other").WithKID("k1")
	g := build(t, key, func(c *gate.Config) { c.Issuers = append(c.Issuers, issuer(t, issuerB, other)) })
	withstands(t, g, other.Sign(t, says()), gate.InvalidSignature)
}

func TestSignatureAttacks(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	g := build(t, key)
	good := key.Sign(t, says())
	dot := strings.LastIndexByte(good, '.')
	input := good[:dot]
	raw, _ := base64.RawURLEncoding.DecodeString(good[dot+1:])
	der, err := asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(raw[:32]), new(big.Int).SetBytes(raw[32:])})
	if err != nil {
		t.Fatal(err)
	}
	order, _ := new(big.Int).SetString("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551", 16)
	n := order.Bytes()
	zero := make([]byte, 32)
	join := func(parts ...[]byte) (all []byte) {
		for _, part := range parts {
			all = append(all, part...)
		}
		return all
	}
	for name, signature := range map[string][]byte{
		"zeros":          join(zero, zero),
		"r zero":         join(zero, raw[32:]),
		"s zero":         join(raw[:32], zero),
		"r the order":    join(n, raw[32:]),
		"s the order":    join(raw[:32], n),
		"both the order": join(n, n),
		"DER":            der,
		"a byte less":    raw[:63],
		"a byte more":    join(raw, []byte{0}),
		"a zero before":  join([]byte{0}, raw),
		"half":           raw[:32],
		"one byte":       {1},
		"twice":          join(raw, raw),
		"of P-384":       make([]byte, 96),
		"of P-521":       make([]byte, 132),
		"swapped":        join(raw[32:], raw[:32]),
		"10 KiB":         make([]byte, 10<<10),
	} {
		t.Run(name, func(t *testing.T) {
			withstands(t, g, input+"."+base64.RawURLEncoding.EncodeToString(signature), gate.InvalidSignature)
		})
	}
	t.Run("of another token", func(t *testing.T) {
		other := key.Sign(t, says(m{"sub": "admin"}))
		withstands(t, g, other[:strings.LastIndexByte(other, '.')]+good[dot:], gate.InvalidSignature)
	})
	t.Run("over another header", func(t *testing.T) {
		withstands(t, g, b64(`{"alg":"ES256"}`)+good[strings.IndexByte(good, '.'):], gate.InvalidSignature)
	})
	t.Run("with other bits at its end", func(t *testing.T) {
		last := strings.IndexByte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", good[len(good)-1])
		withstands(t, g,
			good[:len(good)-1]+string("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[last^1]),
			gate.MalformedToken)
	})
}

func TestIssuerMixUp(t *testing.T) {
	a := tokentest.NewKey(t, "ES256", "k1")
	b := tokentest.NewKey(t, "ES256", "b").WithKID("k1")
	g := build(t, a, func(c *gate.Config) {
		c.Issuers = append(c.Issuers, issuer(t, issuerB, b))
		c.Issuers[1].Audience = accept("b-api")
		c.Cache = newCache(t, 1<<20)
	})
	accepted(t, g, request(b.Sign(t, says(m{"iss": issuerB, "aud": "b-api"}))))
	withstands(t, g, b.Sign(t, says()), gate.InvalidSignature)
	withstands(t, g, a.Sign(t, says(m{"iss": issuerB, "aud": "b-api"})), gate.InvalidSignature)
	withstands(t, g, b.Sign(t, says(m{"iss": issuerB})), gate.InvalidAudience) // A's audience is not B's
	withstands(t, g, a.Sign(t, says(m{"aud": "b-api"})), gate.InvalidAudience)
}
