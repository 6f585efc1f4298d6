package keyset_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// vectorFile is a Wycheproof file whose groups have a key, or a set of keys, and signatures made with it.
type vectorFile struct {
	TestGroups []struct {
		Comment string
		Public  json.RawMessage
		Private json.RawMessage
		Tests   []struct {
			TcID    int
			Comment string
			JWS     any
			Result  string
			Flags   []string
		}
	}
}

// overrides are vectors, by number, where the files are wrong or a rule of ours is stricter. The value is true if the
// vector is valid.
var overrides = map[string]map[int]bool{
	"json_web_signature_test.json": {
		367: true, 370: true, // the comment speaks of padding, but there is none
		372: false, 373: false, // a "?" in the token
		346: false, 350: false, 347: false, 351: false, // the key is for another algorithm
	},
}

func readVectors(t *testing.T, name string) (file vectorFile) {
	t.Helper()
	tokentest.Vectors(t, &file, "wycheproof", name)
	return file
}

// asSet wraps one key in a JWK Set, and leaves a set as it is.
func asSet(key json.RawMessage) []byte {
	var set struct{ Keys json.RawMessage }
	if json.Unmarshal(key, &set) == nil && set.Keys != nil {
		return key
	}
	return []byte(`{"keys":[` + string(key) + `]}`)
}

// takes reports whether a gate that has these keys from a server would take the token.
func takes(t *testing.T, set []byte, token string) bool {
	t.Helper()
	keys, _, err := keyset.ParseJWKS(set)
	if err != nil {
		return false
	}
	source, err := keyset.NewStatic(keys...)
	if err != nil {
		return false
	}
	parsed, err := jose.Parse(token, nil)
	if err != nil {
		return false
	}
	candidates, err := source.Find(t.Context(), parsed.Header.Algorithm, parsed.Header.KeyID)
	if err != nil {
		return false
	}
	for _, key := range candidates {
		if key.Verify(parsed.Header.Algorithm, parsed.SigningInput, parsed.Signature) == nil {
			return true
		}
	}
	return false
}

// takesSecret reports whether a gate with this secret in its configuration accepts the token. The second result is
// false for keys that are not secrets.
func takesSecret(t *testing.T, key json.RawMessage, token string) (taken, secret bool) {
	t.Helper()
	var jwk struct{ Kty, Alg, K string }
	if err := json.Unmarshal(key, &jwk); err != nil || jwk.Kty != "oct" {
		return false, false
	}
	value, err := base64.RawURLEncoding.DecodeString(jwk.K)
	if err != nil {
		t.Fatal(err)
	}
	if jwk.Alg == "" { // as in the standard that it is from
		jwk.Alg = "HS256"
	}
	algorithm, ok := jose.ParseAlgorithm(jwk.Alg)
	if !ok || algorithm.Family() != jose.HMAC {
		return false, true
	}
	made, err := jose.NewSecretKey("", value, jose.MakeAlgorithms(algorithm))
	if errors.Is(err, jose.ErrPublishedKey) || err != nil && strings.Trim(jwk.K, "A") == "" {
		return false, false // an example of a standard, or nothing but zeros: no gate takes it
	}
	if err != nil {
		return false, true
	}
	parsed, err := jose.Parse(token, nil)
	return err == nil && made.Verify(parsed.Header.Algorithm, parsed.SigningInput, parsed.Signature) == nil, true
}

// Each vector is a token for an issuer with these keys. Secrets never come from a key set, so there a vector with a
// secret is refused. As a secret of the configuration it is judged by its label.
func TestVectorsThroughKeySets(t *testing.T) {
	for _, name := range []string{"json_web_signature_test.json", "json_web_key_test.json", "json_web_crypto_test.json"} {
		t.Run(name, func(t *testing.T) {
			count := 0
			for _, group := range readVectors(t, name).TestGroups {
				key := group.Public
				if len(key) == 0 {
					key = group.Private
				}
				for _, test := range group.Tests {
					token, ok := test.JWS.(string)
					if !ok {
						continue // JSON serialisation
					}
					count++
					want := test.Result == "valid"
					if override, ok := overrides[name][test.TcID]; ok {
						want = override
					}
					if strings.Count(token, ".") == 2 && strings.Contains(token, "..") {
						want = false // an empty payload is no claims set
					}
					if taken, secret := takesSecret(t, key, token); secret {
						if taken != want {
							t.Errorf("%d (%s, %s): taken %t with the secret", test.TcID, group.Comment, test.Comment, taken)
						}
						want = false
					}
					if strings.Contains(string(key), `"oct"`) || published(asSet(key)) {
						want = false
					}
					if taken := takes(t, asSet(key), token); taken && !want || !taken && want && !private(key) {
						t.Errorf("%d (%s, %s): taken %t", test.TcID, group.Comment, test.Comment, taken)
					}
				}
			}
			if count == 0 {
				t.Error(errors.New("no vector in the file"))
			}
			t.Logf("%d vectors", count)
		})
	}
}

// published reports whether the key is an example of a standard, which nobody may use.
func published(set []byte) bool {
	_, skipped, _ := keyset.ParseJWKS(set)
	return slices.ContainsFunc(skipped, func(s keyset.Skipped) bool { return s.Reason == "published_key" })
}

// private reports whether there are private keys, which are never taken from a set.
func private(key json.RawMessage) bool { return strings.Contains(string(key), `"d"`) }
