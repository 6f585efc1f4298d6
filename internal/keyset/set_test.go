package keyset_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"go.uber.org/goleak"

	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// publicKey is a key as the gate knows it.
func publicKey(tb testing.TB, key *tokentest.Key, algs ...jose.Algorithm) *jose.Key {
	tb.Helper()
	made, err := jose.NewPublicKey(key.KID, key.Public(), jose.MakeAlgorithms(algs...))
	if err != nil {
		tb.Fatal(err)
	}
	return made
}

// verify does what the gate does with a token: it looks for keys and tries them. It returns the number of candidates.
func verify(tb testing.TB, source keyset.Source, token string) (candidates int, err error) {
	tb.Helper()
	parsed, err := jose.Parse(token, nil)
	if err != nil {
		tb.Fatal(err)
	}
	keys, err := findFor(tb, source, &parsed)
	if err != nil {
		return 0, err
	}
	for _, key := range keys {
		if err = key.Verify(parsed.Header.Algorithm, parsed.SigningInput, parsed.Signature); err == nil {
			break
		}
	}
	return len(keys), err
}

func signed(token *jose.Token) keyset.Signed {
	return keyset.Signed{Algorithm: token.Header.Algorithm, KeyID: token.Header.KeyID, Signature: token.Signature}
}

// findFor asks a source for the keys of a token, as a Fetcher when it is one.
func findFor(tb testing.TB, source keyset.Source, token *jose.Token) ([]*jose.Key, error) {
	tb.Helper()
	if fetcher, can := source.(keyset.Fetcher); can {
		return fetcher.FindFor(tb.Context(), signed(token))
	}
	return source.Find(tb.Context(), token.Header.Algorithm, token.Header.KeyID)
}

func claims() map[string]any { return map[string]any{"sub": "alice"} }

func TestCandidates(t *testing.T) {
	rsa1, rsa2 := tokentest.NewKey(t, "RS256", "one"), tokentest.NewKey(t, "RS256", "two")
	ec := tokentest.NewKey(t, "ES256", "one")
	ed := tokentest.NewKey(t, "EdDSA", "ed")
	nameless := tokentest.NewKey(t, "ES256", "")
	tests := []struct {
		name       string
		keys       []*tokentest.Key
		token      *tokentest.Key
		candidates int
		want       error
	}{
		{"a key is found by its id", []*tokentest.Key{rsa1, rsa2}, rsa1, 1, nil},
		{"an Ed25519 key is found under the older name", []*tokentest.Key{ed}, ed, 1, nil},
		{"an Ed25519 key is found under its own name", []*tokentest.Key{ed}, ed.WithAlg("Ed25519"), 1, nil},
		{"an RSA key serves RSASSA-PSS too", []*tokentest.Key{rsa1}, rsa1.WithAlg("PS384"), 1, nil},
		{"another id is unknown", []*tokentest.Key{rsa1}, rsa1.WithKID("three"), 0, keyset.ErrUnknownKey},
		{"ids are compared with case", []*tokentest.Key{rsa1}, rsa1.WithKID("One"), 0, keyset.ErrUnknownKey},
		{"another kind of algorithm is unknown", []*tokentest.Key{rsa2}, ec.WithKID("two"), 0, keyset.ErrUnknownKey},
		{"of two kinds under one id the first is found", []*tokentest.Key{rsa1, ec}, rsa1, 1, nil},
		{"of two kinds under one id the second is found", []*tokentest.Key{rsa1, ec}, ec, 1, nil},
		{"of two RSA keys under one id the first verifies", []*tokentest.Key{rsa1, rsa2.WithKID("one")}, rsa1, 2, nil},
		{"of two RSA keys under one id the second verifies",
			[]*tokentest.Key{rsa1, rsa2.WithKID("one")}, rsa2.WithKID("one"), 2, nil},
		{"without an id all that fit are tried", []*tokentest.Key{rsa1, ec, rsa2}, rsa2.WithKID(""), 2, nil},
		{"without an id a key that is not there fails", []*tokentest.Key{rsa1, ec}, rsa2.WithKID(""), 1, jose.ErrSignature},
		{"a key without an id serves any id", []*tokentest.Key{nameless}, nameless.WithKID("any"), 1, nil},
		{"a key without an id gives way to one with it",
			[]*tokentest.Key{nameless, ec}, nameless.WithKID("one"), 1, jose.ErrSignature},
		{"the same key twice is one", []*tokentest.Key{rsa1, rsa1}, rsa1.WithKID(""), 1, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var keys []*jose.Key
			for _, key := range test.keys {
				keys = append(keys, publicKey(t, key))
			}
			source, err := keyset.NewStatic(keys...)
			if err != nil {
				t.Fatal(err)
			}
			candidates, err := verify(t, source, test.token.Sign(t, claims()))
			if !errors.Is(err, test.want) || candidates != test.candidates {
				t.Errorf("%d candidates and error %v; want %d and %v", candidates, err, test.candidates, test.want)
			}
		})
	}
}

func TestCandidatesAreBounded(t *testing.T) {
	var named, namesakes, nameless []*jose.Key
	for i := range 200 {
		key := tokentest.NewKey(t, "ES256", fmt.Sprint("bounded ", i))
		named = append(named, publicKey(t, key))
		namesakes = append(namesakes, publicKey(t, key.WithKID("all")))
		nameless = append(nameless, publicKey(t, key.WithKID("")))
	}
	for _, test := range []struct {
		name string
		keys []*jose.Key
		kid  string
	}{
		{"many keys and no id", named, ""},
		{"many keys of one id", namesakes, "all"},
		{"many keys without an id", nameless, "any"},
	} {
		t.Run(test.name, func(t *testing.T) {
			source, err := keyset.NewStatic(test.keys...)
			if err != nil {
				t.Fatal(err)
			}
			got, err := source.Find(t.Context(), jose.ES256, test.kid)
			if err != nil || !slices.Equal(got, test.keys[:16]) {
				t.Errorf("%d keys, error %v; want the first 16", len(got), err)
			}
		})
	}
}

func TestStaticSecret(t *testing.T) {
	one, other := tokentest.NewKey(t, "HS256", ""), tokentest.NewKey(t, "HS256", "other")
	secret, err := jose.NewSecretKey("", one.Secret(), 0)
	if err != nil {
		t.Fatal(err)
	}
	second, err := jose.NewSecretKey("", other.Secret(), 0)
	if err != nil {
		t.Fatal(err)
	}
	source, err := keyset.NewStatic(secret, second)
	if err != nil {
		t.Fatal(err)
	}
	for _, token := range []string{
		one.Sign(t, claims()),
		other.WithKID("").Sign(t, claims()),
		one.WithKID("x").WithAlg("HS512").Sign(t, claims()),
	} {
		if n, err := verify(t, source, token); n != 2 || err != nil {
			t.Errorf("%d candidates, error %v", n, err)
		}
	}
	if _, err := source.Find(t.Context(), jose.RS256, ""); !errors.Is(err, keyset.ErrUnknownKey) {
		t.Errorf("a secret is offered for RS256: %v", err)
	}
	public := publicKey(t, tokentest.NewKey(t, "ES256", "one"))
	if _, err := keyset.NewStatic(secret, public); !errors.Is(err, jose.ErrKey) {
		t.Errorf("a secret beside a public key gives %v", err)
	}
	if _, err := keyset.NewStatic(); !errors.Is(err, keyset.ErrNoKeys) {
		t.Errorf("no keys at all give %v", err)
	}
}

func TestHas(t *testing.T) {
	key := tokentest.NewKey(t, "RS256", "one")
	here := publicKey(t, key, jose.RS256)
	source, err := keyset.NewStatic(here, publicKey(t, tokentest.NewKey(t, "ES256", "one")))
	if err != nil {
		t.Fatal(err)
	}
	set := source.Current()
	for _, test := range []struct {
		name string
		key  *jose.Key
		want bool
	}{
		{"the key itself", here, true},
		{"the same key read again", publicKey(t, key, jose.RS256), true},
		{"the key under another id", publicKey(t, key.WithKID("two"), jose.RS256), false},
		{"the key for another algorithm", publicKey(t, key, jose.PS256), false},
		{"another key", publicKey(t, tokentest.NewKey(t, "RS256", "two")), false},
		{"no key", nil, false},
	} {
		if got := set.Has(test.key); got != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
	}
	if n := testing.AllocsPerRun(100, func() { set.Has(here) }); n > 0 {
		t.Errorf("Has allocates %v times", n)
	}
	if (*keyset.Set)(nil).Has(here) || (*keyset.Set)(nil).Len() != 0 || (*keyset.Set)(nil).Keys() != nil {
		t.Error("there is something in no set")
	}
	again, err := keyset.NewStatic(here)
	if err != nil {
		t.Fatal(err)
	}
	if again.Current().Generation == set.Generation {
		t.Error("two sets have the same generation")
	}
}

func TestFindAllocates(t *testing.T) {
	source, err := keyset.NewStatic(publicKey(t, tokentest.NewKey(t, "RS256", "one")),
		publicKey(t, tokentest.NewKey(t, "EdDSA", "two")))
	if err != nil {
		t.Fatal(err)
	}
	for _, alg := range []jose.Algorithm{jose.RS256, jose.EdDSA} {
		kid := map[jose.Algorithm]string{jose.RS256: "one", jose.EdDSA: "two"}[alg]
		n := testing.AllocsPerRun(1000, func() {
			if _, err := source.Find(t.Context(), alg, kid); err != nil {
				t.Fatal(err)
			}
		})
		if n > 2 {
			t.Errorf("%v: %v allocations", alg, n)
		}
	}
	n := testing.AllocsPerRun(1000, func() {
		if _, err := source.Find(t.Context(), jose.RS256, "nobody"); err == nil {
			t.Fatal("found")
		}
	})
	if n > 1 { // the error, whose text is written only for the log
		t.Errorf("an unknown key: %v allocations", n)
	}
}

func BenchmarkFind(b *testing.B) {
	var keys []*jose.Key
	for i := range 3 {
		keys = append(keys, publicKey(b, tokentest.NewKey(b, "RS256", fmt.Sprint("bench ", i))))
	}
	source, err := keyset.NewStatic(keys...)
	if err != nil {
		b.Fatal(err)
	}
	for _, bench := range []struct{ name, kid string }{{"hit", "bench 1"}, {"miss", "nobody"}, {"no id", ""}} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = source.Find(b.Context(), jose.RS256, bench.kid)
			}
		})
	}
}
