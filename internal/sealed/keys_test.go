package sealed_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyjwt/gateway/internal/rotating"
	"github.com/caddyjwt/gateway/internal/sealed"
)

func newEC() (text string) { return ecPEM(must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))) }

func write(tb testing.TB, path, text string) {
	tb.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
	old := time.Now().Add(-time.Minute) // the content has settled
	if err := os.Chtimes(path, old, old); err != nil {
		tb.Fatal(err)
	}
}

func ids(keys []*sealed.Key) (all []string) {
	for _, key := range keys {
		all = append(all, key.ID)
	}
	return all
}

// New content of a file counts after two seconds, or at once if somebody asks for it.
func TestKeysFollowTheirFiles(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "key")
	one, two := newEC(), newEC()
	write(t, path, one)
	synctest.Test(t, func(t *testing.T) {
		first := must(sealed.Parse([]byte(one), nil, "k"))
		second := must(sealed.Parse([]byte(two), nil, "k"))[0]
		fixed := must(sealed.Parse([]byte(newEC()), nil, "fixed"))
		k := sealed.NewKeys([]sealed.Text{
			{Template: rotating.Template{Parts: []rotating.Part{{Text: path, File: true}}, First: one}, ID: "k", First: first},
			{Template: rotating.Template{Parts: []rotating.Part{{Text: "x"}}, First: "x"}, ID: "fixed", First: fixed},
		}, nil)
		if got := ids(k.Present()); len(got) != 2 || got[0] != "k" || got[1] != "fixed" || !k.Have(first[0]) {
			t.Fatal(got)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		write(t, path, two)
		if k.Have(second) || !k.Have(first[0]) {
			t.Error("the new key counts at once")
		}
		time.Sleep(3 * time.Second) // of the bubble
		if !k.Have(second) || k.Have(first[0]) {
			t.Error("the new key does not count")
		}
		write(t, path, "damaged")
		time.Sleep(3 * time.Second)
		if !k.Have(second) {
			t.Error("a damaged file takes the key away")
		}
		write(t, path, one)
		k.Again()
		if !k.Have(first[0]) || k.Have(second) {
			t.Error("nobody has looked")
		}
	})
}
