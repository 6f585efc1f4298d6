package keyset_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyset"
)

// Signatures of Project Wycheproof, checked with keys that go the way of keys behind a URL.
func TestWycheproof(t *testing.T) {
	dir := os.Getenv("VECTORS_DIR")
	if dir == "" {
		t.Skip("VECTORS_DIR does not say where the test vectors are")
	}
	text, err := os.ReadFile(filepath.Join(dir, "wycheproof", "json_web_signature_test.json"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		TestGroups []struct {
			Comment string
			Public  json.RawMessage
			Tests   []struct {
				TcID            int
				Comment, Result string
				JWS             string
			}
		}
	}
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, group := range file.TestGroups {
		if group.Public == nil {
			continue // shared secrets do not come from a URL
		}
		keys, _, err := keyset.ParseJWKS([]byte(`{"keys":[`+string(group.Public)+`]}`), keyset.Policy{})
		// The keys of RFC 7520 are printed there with their private halves.
		refused := strings.HasPrefix(group.Comment, "rfc7520") || strings.HasSuffix(group.Comment, "encryption")
		if refused != (err != nil) {
			t.Errorf("%s: the key gives %v", group.Comment, err)
		}
		if err != nil {
			continue
		}
		source, err := keyset.NewStatic(keys...)
		if err != nil {
			t.Fatal(err)
		}
		for _, test := range group.Tests {
			checked++
			err := verifyVector(t, source, test.JWS)
			// A JWS may have an empty payload, a JWT may not.
			valid := test.Result == "valid" && test.Comment != "emptyPayload"
			if (err == nil) != valid {
				t.Errorf("%s %d, %s: %s, but %v", group.Comment, test.TcID, test.Comment, test.Result, err)
			}
		}
	}
	t.Logf("%d vectors", checked)
}

func verifyVector(t *testing.T, source keyset.Source, token string) error {
	t.Helper()
	parsed, err := jose.Parse(token, nil)
	if err != nil {
		return err
	}
	keys, err := source.Find(t.Context(), parsed.Header.Algorithm, parsed.Header.KeyID)
	if err != nil {
		return err
	}
	for _, key := range keys {
		if err = key.Verify(parsed.Header.Algorithm, parsed.SigningInput, parsed.Signature); err == nil {
			return nil
		}
	}
	return err
}
