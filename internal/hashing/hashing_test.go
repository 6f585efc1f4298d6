package hashing_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/caddyjwt/gateway/internal/hashing"
)

func TestHashesOfSecretsDifferByPurpose(t *testing.T) {
	seen := map[[32]byte]bool{}
	for _, sum := range [][32]byte{
		hashing.Key("a"), hashing.Key("b"), hashing.Secret("a", []byte("b")), hashing.Secret("b", []byte("b")),
		hashing.Secret("ab", nil), hashing.Secret("b", []byte("a")),
	} {
		if seen[sum] || sum == [32]byte{} {
			t.Errorf("%x twice", sum)
		}
		seen[sum] = true
	}
	if hashing.Secret("a", []byte("b")) != hashing.Secret("a", []byte("b")) {
		t.Error("the hash of a secret changes")
	}
}

func tokens(tb testing.TB, purpose string, settings [32]byte) *hashing.Tokens {
	tb.Helper()
	hash, err := hashing.NewTokens(purpose, settings)
	if err != nil {
		tb.Fatal(err)
	}
	return hash
}

func TestTokensOfOtherSettingsHaveOtherHashes(t *testing.T) {
	seen := map[hashing.TokenHash]bool{}
	for _, hash := range []*hashing.Tokens{
		tokens(t, "a", [32]byte{}), tokens(t, "b", [32]byte{}), tokens(t, "a", [32]byte{1}),
	} {
		for _, token := range []string{"", "a", "b", strings.Repeat("a", 100_000)} {
			sum := hash.Hash(token)
			if seen[sum] || sum == (hashing.TokenHash{}) {
				t.Errorf("a token of %d bytes: %x twice", len(token), sum)
			}
			seen[sum] = true
		}
	}
	if again := tokens(t, "a", [32]byte{}).Hash("a"); !seen[again] {
		t.Error("the same settings give another hash")
	}
}

func TestTokensAreHashedAtTheSameTime(t *testing.T) {
	hash := tokens(t, "a", [32]byte{})
	texts := []string{"short", strings.Repeat("b", 1000), strings.Repeat("c", 80_000)}
	want := [3]hashing.TokenHash{hash.Hash(texts[0]), hash.Hash(texts[1]), hash.Hash(texts[2])}
	var wait sync.WaitGroup
	for i := range 8 {
		wait.Go(func() {
			for j := range 100 {
				if k := (i + j) % 3; hash.Hash(texts[k]) != want[k] {
					t.Errorf("token %d has another hash", k)
				}
			}
		})
	}
	wait.Wait()
}

func TestHashingATokenDoesNotAllocate(t *testing.T) {
	hash, token := tokens(t, "a", [32]byte{}), strings.Repeat("a", 1000)
	if n := testing.AllocsPerRun(1000, func() { hash.Hash(token) }); n >= 1 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkToken(b *testing.B) {
	hash, token := tokens(b, "a", [32]byte{}), strings.Repeat("a", 1000)
	b.ReportAllocs()
	b.SetBytes(int64(len(token)))
	for b.Loop() {
		hash.Hash(token)
	}
}
