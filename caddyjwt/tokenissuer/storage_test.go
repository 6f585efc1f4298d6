package tokenissuer

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyring"
	"github.com/caddyjwt/gateway/internal/keyset"
)

var _ keyring.Vault = certmagic.Storage(nil)

// Caddy's storage of files fits as it is.
func TestNodesThatShareCaddysStorageHaveTheSameKeys(t *testing.T) {
	dir := t.TempDir()
	var rings [3]*keyring.Ring
	var opening sync.WaitGroup
	begun := time.Now()
	for i := range rings {
		opening.Go(func() {
			ring, err := keyring.Open(context.Background(), keyring.Options{
				Vault: &certmagic.FileStorage{Path: dir}, Issuer: "https://as.example",
				Longest: func() time.Duration { return time.Hour },
			})
			if err != nil {
				t.Error(err)
				return
			}
			rings[i] = ring
			t.Cleanup(func() { ring.Close() })
		})
	}
	opening.Wait()
	t.Log("opened in", time.Since(begun))
	if t.Failed() {
		return
	}
	check := func() {
		t.Helper()
		for _, signer := range rings {
			text, err := signer.Sign(nil, "at+jwt", []byte("{}"))
			if err != nil {
				t.Fatal(err)
			}
			for _, ring := range rings {
				token, err := jose.Parse(text, nil)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := keyset.Verify(context.Background(), ring, &token); err != nil {
					t.Error(err)
				}
			}
		}
	}
	check()
	begun = time.Now()
	for _, ring := range rings[:3] {
		if err := ring.Rotate(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	t.Log("rotated thrice in", time.Since(begun))
	check()
	files, err := filepath.Glob(filepath.Join(dir, "bearer_auth", "issuer", "*", "keys.json"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%q: %v", files, err)
	}
	info, err := os.Stat(files[0])
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v: %v", info.Mode(), err)
	}
	locks, _ := os.ReadDir(filepath.Join(dir, "locks"))
	if len(locks) != 0 {
		t.Error("locks stay", locks)
	}
}
