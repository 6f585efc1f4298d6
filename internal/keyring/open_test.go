package keyring_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyring"
)

func TestRingsThatStartAtOnceHaveTheSameKeys(t *testing.T) {
	shared := newVault()
	var nodes [8]*node
	var rings [8]*keyring.Ring
	var starting sync.WaitGroup
	ready := make(chan struct{})
	for i := range rings {
		nodes[i] = shared.node()
		var once sync.Once
		nodes[i].hook("Lock", func(context.Context) error {
			once.Do(starting.Done) // none of them has found a document
			<-ready
			return nil
		})
	}
	starting.Add(len(rings))
	go func() {
		starting.Wait()
		close(ready)
	}()
	var opening sync.WaitGroup
	for i := range rings {
		opening.Go(func() { rings[i], _ = keyring.Open(context.Background(), with(nodes[i])) })
	}
	opening.Wait()
	stores := 0
	for i, ring := range rings {
		if ring == nil {
			t.Fatal("not opened")
		}
		defer ring.Close()
		stores += nodes[i].count("Store")
		for _, other := range rings[:i] {
			accepts(t, other, sign(t, ring))
			accepts(t, ring, sign(t, other))
		}
		if len(ring.Keys()) != 2 {
			t.Errorf("%d keys, want 2", len(ring.Keys()))
		}
	}
	if stores != 1 {
		t.Errorf("keys were made %d times", stores)
	}
}

func TestTheKeysAreTheSameAfterARestart(t *testing.T) {
	shared := newVault()
	first := open(t, shared.node())
	token := sign(t, first)
	must(t, first.Close())
	second := open(t, shared.node())
	accepts(t, second, token)
	accepts(t, second, sign(t, second))
}

func TestIssuersHaveKeysOfTheirOwn(t *testing.T) {
	shared := newVault()
	one, other := open(t, shared.node()), open(t, shared.node(), func(o *keyring.Options) { o.Issuer += "/" })
	if signs(one) == signs(other) || len(shared.values) != 2 {
		t.Error("two issuers share their keys")
	}
	refuses(t, other, sign(t, one))
}

// The file of another issuer that was copied into place must not give its keys to this one.
func TestAttackTheDocumentOfAnotherIssuerIsRefused(t *testing.T) {
	shared := newVault()
	open(t, shared.node()).Close()
	place, text := shared.place(), shared.text()
	shared.put(place, strings.Replace(text, issuer, "https://other.example", 1))
	_, err := keyring.Open(t.Context(), with(shared.node()))
	wants(t, err, keyring.ErrDocument)
}

func TestOpenRefusesWrongOptions(t *testing.T) {
	for name, change := range map[string]func(*keyring.Options){
		"no vault":        func(o *keyring.Options) { o.Vault = nil },
		"no issuer":       func(o *keyring.Options) { o.Issuer = "" },
		"no longest":      func(o *keyring.Options) { o.Longest = nil },
		"a secret":        algorithm(jose.HS256),
		"a long hash":     algorithm(jose.RS512),
		"no algorithm":    algorithm(99),
		"rotates always":  func(o *keyring.Options) { o.RotateEvery = time.Minute },
		"looks always":    func(o *keyring.Options) { o.Poll = time.Millisecond },
		"looks backwards": func(o *keyring.Options) { o.Poll = -time.Minute },
		"no life":         func(o *keyring.Options) { o.Longest = func() time.Duration { return 0 } },
		"a long life": func(o *keyring.Options) {
			o.RotateEvery, o.Longest = time.Hour, func() time.Duration { return 16 * time.Hour }
		},
	} {
		shared := newVault()
		_, err := keyring.Open(t.Context(), with(shared.node(), change))
		wants(t, err, keyring.ErrOptions)
		if shared.text() != "" {
			t.Errorf("%s: keys were made", name)
		}
	}
}

// allAlgorithms are all that sign.
func allAlgorithms() (list []jose.Algorithm) {
	for alg := range jose.SigningAlgorithms().All() {
		list = append(list, alg)
	}
	return list
}

func TestAnotherAlgorithmSignsAtOnceAndBreaksNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newVault()
		var tokens []string
		for _, alg := range append(allAlgorithms(), jose.ES256) {
			ring := open(t, shared.node(), algorithm(alg))
			token := sign(t, ring)
			if parsed, err := jose.Parse(token, nil); err != nil || parsed.Header.Algorithm != alg {
				t.Errorf("signed with %v: %v, want %v", parsed.Header.Algorithm, err, alg)
			}
			for _, info := range ring.Keys()[:2] {
				if info.Algorithm != alg {
					t.Errorf("%v key %s, want %v", info.Algorithm, info.State, alg)
				}
			}
			tokens = append(tokens, token)
			for _, earlier := range tokens {
				accepts(t, ring, earlier)
			}
			must(t, ring.Close())
		}
		ring := open(t, shared.node())
		time.Sleep(longest)
		for _, token := range tokens {
			accepts(t, ring, token)
		}
		time.Sleep(margin + keyring.DefaultPoll)
		for _, token := range tokens[:len(tokens)-1] {
			refuses(t, ring, token)
		}
		accepts(t, ring, tokens[len(tokens)-1])
	})
}

// A node that still has the old setting makes a next key of its algorithm when it rotates.
func TestOpenReplacesANextKeyOfAnotherAlgorithm(t *testing.T) {
	shared := newVault()
	old := open(t, shared.node(), algorithm(jose.ES256))
	open(t, shared.node(), algorithm(jose.EdDSA))
	must(t, old.Rotate(t.Context()))
	if keys := old.Keys(); keys[0].Algorithm != jose.EdDSA || keys[1].Algorithm != jose.ES256 {
		t.Fatalf("%v signs, and %v is next", keys[0].Algorithm, keys[1].Algorithm)
	}
	text, place, next := shared.text(), shared.place(), kids(old, keyring.Next)[0]

	same := open(t, shared.node(), algorithm(jose.EdDSA))
	if keys := same.Keys(); signs(same) != signs(old) || keys[1].Algorithm != jose.EdDSA || len(keys) != 4 {
		t.Errorf("%v signs, and %v is next, of %d keys", keys[0].Algorithm, keys[1].Algorithm, len(keys))
	}
	shared.put(place, text)
	back := open(t, shared.node(), algorithm(jose.ES256))
	if signs(back) != next || back.Keys()[1].Algorithm != jose.ES256 {
		t.Error("the next key has the right algorithm, and does not sign")
	}
}

// Caddy's storage of files is like this one.
func TestTheDocumentIsOneFile(t *testing.T) {
	dir := t.TempDir()
	ring := open(t, &files{newVault().node(), dir})
	must(t, ring.Rotate(t.Context()))
	found, err := filepath.Glob(filepath.Join(dir, "bearer_auth", "issuer", "*", "keys.json"))
	if err != nil || len(found) != 1 {
		t.Fatalf("files %q: %v", found, err)
	}
	accepts(t, open(t, &files{newVault().node(), dir}), sign(t, ring))
}

// files keeps values in files, and locks in memory.
type files struct {
	*node
	dir string
}

func (f *files) Load(_ context.Context, key string) ([]byte, error) {
	return os.ReadFile(filepath.Join(f.dir, filepath.FromSlash(key)))
}

func (f *files) Store(_ context.Context, key string, value []byte) error {
	name := filepath.Join(f.dir, filepath.FromSlash(key))
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	return os.WriteFile(name, value, 0o600)
}
