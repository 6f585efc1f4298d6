package keyset_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

var _ keyset.Fetcher = (*keyset.Joint)(nil)

// part is a source of keys that are here.
func part(tb testing.TB, keys ...*tokentest.Key) keyset.Part {
	tb.Helper()
	all := make([]*jose.Key, len(keys))
	for i, key := range keys {
		all[i] = own(tb, key)
	}
	source, err := keyset.NewStatic(all...)
	if err != nil {
		tb.Fatal(err)
	}
	return keyset.Part{Source: source, Algorithms: all[0].Algorithms()}
}

// own is the key in the form of the gate.
func own(tb testing.TB, key *tokentest.Key) (made *jose.Key) {
	tb.Helper()
	var err error
	if secret := key.Secret(); secret != nil {
		made, err = jose.NewSecretKey(key.KID, secret, 0)
	} else {
		made, err = jose.NewPublicKey(key.KID, key.Public(), 0)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return made
}

func joint(tb testing.TB, parts ...keyset.Part) *keyset.Joint {
	tb.Helper()
	source, err := keyset.NewJoint(parts...)
	if err != nil {
		tb.Fatal(err)
	}
	return source
}

func TestAJointHasTheKeysOfAllItsParts(t *testing.T) {
	secret := tokentest.NewKey(t, "HS256", "")
	first, second := tokentest.NewKey(t, "ES256", "first"), tokentest.NewKey(t, "ES256", "second")
	stranger, other := tokentest.NewKey(t, "ES256", "stranger"), tokentest.NewKey(t, "HS256", "other").WithKID("")
	source := joint(t, part(t, secret), part(t, first), part(t, second))
	for _, key := range []*tokentest.Key{secret, first, second} {
		if err := check(t, source, key.Sign(t, claims())); err != nil {
			t.Errorf("a token of %s: %v", key.KID, err)
		}
		if !source.Current().Has(own(t, key)) {
			t.Errorf("%s is not in force", key.KID)
		}
	}
	for name, c := range map[string]struct {
		token string
		want  error
	}{
		"an unknown key":                    {stranger.Sign(t, claims()), keyset.ErrUnknownKey},
		"another key under a known id":      {stranger.WithKID("first").Sign(t, claims()), jose.ErrSignature},
		"a key of one part under the other": {second.WithKID("first").Sign(t, claims()), jose.ErrSignature},
		"another secret":                    {other.Sign(t, claims()), jose.ErrSignature},
		"an algorithm of no part":           {tokentest.NewKey(t, "RS256", "first").Sign(t, claims()), keyset.ErrUnknownKey},
	} {
		if err := check(t, source, c.token); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if _, err := keyset.NewJoint(make([]keyset.Part, keyset.MaxParts+1)...); err == nil {
		t.Error("a joint has more parts than an issuer may have")
	}
}

// A key set that has a key for the algorithms of a secret must not make the gate take it for the secret.
func TestAPartGivesNoKeysForAlgorithmsOfAnother(t *testing.T) {
	secret := tokentest.NewKey(t, "HS256", "shared")
	leaked := part(t, secret)
	leaked.Algorithms = jose.AsymmetricAlgorithms() // as if a key set had sent it
	source := joint(t, leaked, part(t, tokentest.NewKey(t, "ES256", "good")))
	if err := check(t, source, secret.Sign(t, claims())); !errors.Is(err, keyset.ErrUnknownKey) {
		t.Errorf("a token of the secret: %v", err)
	}
	if source.Current().Has(own(t, secret)) {
		t.Error("the secret is in force")
	}
}

func TestTheCurrentSetOfAJointIsMadeOnce(t *testing.T) {
	source := joint(t, part(t, tokentest.NewKey(t, "ES256", "a")), part(t, tokentest.NewKey(t, "HS256", "")))
	before := source.Current()
	if allocs := testing.AllocsPerRun(100, func() {
		if source.Current() != before {
			t.Error("another set")
		}
	}); allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
	if before.Len() != 2 {
		t.Errorf("%d keys", before.Len())
	}
}

// twoServers runs a test in a bubble, with two key sets behind servers and a key that is here.
func twoServers(t *testing.T, test func(t *testing.T, source *keyset.Joint, a, b *server)) {
	t.Helper()
	here := tokentest.NewKey(t, "ES256", "here")
	bodies := [2]string{
		tokentest.JWKS(tokentest.NewKey(t, "ES256", "a")), tokentest.JWKS(tokentest.NewKey(t, "ES256", "b")),
	}
	synctest.Test(t, func(t *testing.T) {
		parts, servers := []keyset.Part{part(t, here)}, [2]*server{}
		for i := range servers {
			servers[i] = &server{body: bodies[i], header: http.Header{}}
			url := fmt.Sprintf("https://%d.example.com/jwks", i)
			source, err := keyset.NewRemote(keyset.RemoteOptions{URL: url}.With(servers[i].get))
			if err != nil {
				t.Fatal(err)
			}
			parts = append(parts, keyset.Part{Source: source, Algorithms: jose.AsymmetricAlgorithms()})
		}
		source := joint(t, parts...)
		defer func() {
			if err := source.Close(); err != nil {
				t.Error(err)
			}
			if _, err := source.Find(context.Background(), jose.ES256, "gone"); !errors.Is(err, keyset.ErrUnavailable) {
				t.Errorf("after the end: %v", err)
			}
		}()
		test(t, source, servers[0], servers[1])
	})
}

func TestKeysOfBothServersAreFetchedWhenTheyAreNeeded(t *testing.T) {
	twoServers(t, func(t *testing.T, source *keyset.Joint, a, b *server) {
		if err := find(t, source, "here"); err != nil || a.fetches()+b.fetches() != 0 {
			t.Fatalf("the key that is here: %v, %d fetches", err, a.fetches()+b.fetches())
		}
		for _, kid := range []string{"a", "b"} {
			if err := find(t, source, kid); err != nil {
				t.Errorf("key %s: %v", kid, err)
			}
		}
		if a.fetches() != 1 || b.fetches() != 1 {
			t.Errorf("%d and %d fetches", a.fetches(), b.fetches())
		}
		if n := source.Current().Len(); n != 3 {
			t.Errorf("%d keys", n)
		}
	})
}

// A server that is slow or down delays no token of the others. Only a token of a key that nobody has waits for it, and
// is not called bad.
func TestAServerThatIsAwayDelaysNoTokensOfTheOthers(t *testing.T) {
	twoServers(t, func(t *testing.T, source *keyset.Joint, a, b *server) {
		a.set(func(s *server) { s.latency = time.Hour })
		began := time.Now()
		if err := find(t, source, "b"); err != nil { // both are asked, and the first does not answer
			t.Fatal(err)
		}
		if waited := time.Since(began); waited > 2*time.Second {
			t.Errorf("the first token waited %v", waited)
		}
		began = time.Now()
		for _, kid := range []string{"here", "b"} {
			if err := find(t, source, kid); err != nil {
				t.Errorf("key %s: %v", kid, err)
			}
		}
		if waited := time.Since(began); waited != 0 {
			t.Errorf("tokens of known keys waited %v", waited)
		}
		if err := find(t, source, "unknown"); !errors.Is(err, keyset.ErrUnavailable) {
			t.Errorf("a key that the slow server may have: %v", err)
		}
		b.set(func(s *server) { s.err = errDown })
		time.Sleep(time.Hour)
		if err := find(t, source, "b"); err != nil {
			t.Errorf("a key of the server that is down now: %v", err)
		}
	})
}

// An old key and a new one of another source may have the same id.
func TestAKeyOfAnotherSourceMayHaveTheSameID(t *testing.T) {
	twin := tokentest.NewKey(t, "ES256", "twin")
	old := tokentest.NewKey(t, "ES256", "old").WithKID("twin")
	stranger := tokentest.NewKey(t, "ES256", "stranger").WithKID("twin")
	body := tokentest.JWKS(twin)
	synctest.Test(t, func(t *testing.T) {
		s := &server{body: body, header: http.Header{}}
		remote, err := keyset.NewRemote(keyset.RemoteOptions{URL: "https://as.example.com/jwks"}.With(s.get))
		if err != nil {
			t.Fatal(err)
		}
		source := joint(t, part(t, old), keyset.Part{Source: remote, Algorithms: jose.AsymmetricAlgorithms()})
		defer source.Close()
		for i := range 3 {
			if err := check(t, source, twin.Sign(t, numbered(i))); err != nil {
				t.Errorf("a token of the new key: %v", err)
			}
			if err := check(t, source, old.Sign(t, numbered(i))); err != nil {
				t.Errorf("a token of the old key: %v", err)
			}
			if err := check(t, source, stranger.Sign(t, numbered(i))); !errors.Is(err, jose.ErrSignature) {
				t.Errorf("a stranger's token: %v", err)
			}
			time.Sleep(time.Minute)
		}
		if keyset.DiscoveryIn(source) != nil || keyset.DiscoveryIn(remote) != nil {
			t.Error("one of the sources reads metadata")
		}
	})
}
