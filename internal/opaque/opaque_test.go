package opaque_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/opaque"
)

const issuer = "https://as.example"

var (
	id     = opaque.KeyID{1, 2, 3}
	claims = []byte(`{"sub":"alice"}`)
)

// secretOf is the secret of a private key.
func secretOf(t testing.TB, private string) [opaque.SecretSize]byte {
	t.Helper()
	secret, err := opaque.SecretOf([]byte(private))
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

func seal(t testing.TB, private string) string {
	t.Helper()
	token, err := opaque.Seal(issuer, id, secretOf(t, private), claims)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// open opens a token in one step.
func open(t testing.TB, issuer, token, private string) ([]byte, error) {
	t.Helper()
	parsed, err := opaque.Parse(issuer, token)
	if err != nil {
		return nil, err
	}
	return parsed.Open(secretOf(t, private))
}

func TestWhatIsSealedIsOpened(t *testing.T) {
	token := seal(t, "k")
	got, err := open(t, issuer, token, "k")
	if err != nil || !bytes.Equal(got, claims) {
		t.Errorf("%s, %v", got, err)
	}
	if parsed, _ := opaque.Parse(issuer, token); parsed.ID != id {
		t.Errorf("key %v", parsed.ID)
	}
	if seal(t, "k") == token {
		t.Error("two tokens are one")
	}
	if strings.ContainsFunc(token, func(r rune) bool {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_", r)
	}) || !strings.HasPrefix(token, opaque.Prefix(issuer)) || token[0] == 'e' {
		t.Errorf("%s", token)
	}
}

func TestIssuersHaveDifferentPrefixes(t *testing.T) {
	seen := make(map[string]string)
	for _, name := range []string{"", issuer, issuer + "/", "https://AS.example", "x"} {
		prefix := opaque.Prefix(name)
		if other, is := seen[prefix]; is || len(prefix) != len("oat_12345678_") {
			t.Errorf("%q and %q have %s", name, other, prefix)
		}
		seen[prefix] = name
	}
}

// No other text opens: no other issuer's, no other key's, and none with a changed byte.
func TestAttackOpaqueTokensChanged(t *testing.T) {
	token := seal(t, "k")
	if _, err := open(t, issuer, token, "other"); !errors.Is(err, opaque.ErrForged) {
		t.Errorf("another key: %v", err)
	}
	if _, err := open(t, "https://other.example", token, "k"); !errors.Is(err, opaque.ErrMalformed) {
		t.Errorf("another issuer: %v", err)
	}
	moved := opaque.Prefix("https://other.example") + strings.TrimPrefix(token, opaque.Prefix(issuer))
	if _, err := open(t, "https://other.example", moved, "k"); !errors.Is(err, opaque.ErrForged) {
		t.Errorf("moved to another issuer: %v", err)
	}
	for i := range token {
		for _, c := range []byte{'A', 'B', 'z', '_', '.', '=', '\n', ' ', 0, 0xff} {
			if changed := token[:i] + string(c) + token[i+1:]; changed != token {
				if got, err := open(t, issuer, changed, "k"); err == nil {
					t.Errorf("byte %d is %q: %s", i, c, got)
				}
			}
		}
		if _, err := open(t, issuer, token[:i], "k"); err == nil {
			t.Errorf("%d bytes are enough", i)
		}
		if _, err := open(t, issuer, token[:i]+"\n"+token[i:], "k"); err == nil {
			t.Errorf("a line end at %d", i)
		}
	}
	for _, text := range []string{"", token + "A", token + "=", token + "\n", token + token, strings.ToUpper(token),
		"oat_"} {
		if _, err := open(t, issuer, text, "k"); err == nil {
			t.Errorf("%q opens", text)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(seal(f, "k"))
	f.Add(opaque.Prefix(issuer))
	secret := secretOf(f, "k")
	f.Fuzz(func(t *testing.T, text string) {
		parsed, err := opaque.Parse(issuer, text)
		if err != nil {
			return
		}
		if got, err := parsed.Open(secret); err == nil && !bytes.Equal(got, claims) {
			t.Errorf("%q says %q", text, got)
		}
	})
}

func BenchmarkSeal(b *testing.B) {
	secret := secretOf(b, "k")
	for b.Loop() {
		if _, err := opaque.Seal(issuer, id, secret, claims); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	token, secret := seal(b, "k"), secretOf(b, "k")
	for b.Loop() {
		parsed, err := opaque.Parse(issuer, token)
		if err == nil {
			_, err = parsed.Open(secret)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}
