package keyset

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// A key that is there twice has two certificates: an old one, which has expired, and a new one. Their order is of no
// importance.
func TestKeyWithTwoCertificatesInASet(t *testing.T) {
	ca := tokentest.NewAuthority(t, "root")
	key := tokentest.NewKey(t, "ES256", "k1")
	old := ca.Certify(t, "signer", key, tokentest.Valid(-2*time.Hour, -time.Hour))
	now := ca.Certify(t, "signer", key)
	path := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(path, []byte(tokentest.PEMOf(ca)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, order := range [][]any{{key.WithX5C(now), key.WithX5C(old)}, {key.WithX5C(old), key.WithX5C(now)}} {
		text, err := json.Marshal(map[string]any{"keys": order})
		if err != nil {
			t.Fatal(err)
		}
		keys, skipped, _, err := ParseKeys(text, Selection{CA: []string{path}}, time.Now())
		if err != nil || len(keys) != 1 {
			t.Errorf("%d keys, skipped %v, %v", len(keys), skipped, err)
		}
	}
}
