package sealed_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/sealed"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// stricter has the vectors that are valid, and refused here all the same.
var stricter = map[string]string{
	"RSA1_5": "its padding is an oracle", "dir": "shared secret", "A128KW": "shared secret", "A192KW": "shared secret",
	"A256KW": "shared secret", "A128GCMKW": "shared secret", "A192GCMKW": "shared secret", "A256GCMKW": "shared secret",
	"A128GCM":            "shared secret", // RFC 7520 section 5.6 names the encryption as the key's algorithm
	"PBES2-HS512+A256KW": "password",
}

func TestVectorsWycheproofJWE(t *testing.T) {
	var file struct {
		NumberOfTests int
		TestGroups    []struct {
			Private json.RawMessage
			Tests   []struct {
				TcID                 int
				Comment, JWE, Result string
				PT                   string
			}
		}
	}
	tokentest.Vectors(t, &file, "wycheproof", "json_web_encryption_test.json")
	count, opened, refused := 0, 0, 0
	for _, group := range file.TestGroups {
		var jwk struct{ Alg string }
		if err := json.Unmarshal(group.Private, &jwk); err != nil {
			t.Fatal(err)
		}
		why := stricter[jwk.Alg]
		key, err := sealed.PublishedKey(group.Private)
		if (err != nil) != (why != "") {
			t.Fatalf("a key for %s: %v", jwk.Alg, err)
		}
		for _, test := range group.Tests {
			count++
			var keys []*sealed.Key
			if key != nil {
				keys = append(keys, key)
			}
			_, err := sealed.OpenAny(test.JWE, sealed.All(), keys...)
			want := test.Result == "valid" && why == ""
			if (err == nil) != want {
				t.Errorf("%d %s (%s): %v, and the file says %s", test.TcID, test.Comment, jwk.Alg, err, test.Result)
			}
			if err == nil {
				opened++
			} else {
				refused++
			}
		}
	}
	if count != file.NumberOfTests || opened < 25 || refused < 60 {
		t.Errorf("%d of %d vectors, %d opened, %d refused", count, file.NumberOfTests, opened, refused)
	}
}

func TestVectorsCookbookJWE(t *testing.T) {
	for _, name := range []string{
		"5_1.key_encryption_using_rsa_v15_and_aes-hmac-sha2", "5_2.key_encryption_using_rsa-oaep_with_aes-gcm",
		"5_4.key_agreement_with_key_wrapping_using_ecdh-es_and_aes-keywrap_with_aes-gcm",
		"5_5.key_agreement_using_ecdh-es_with_aes-cbc-hmac-sha2", "5_6.direct_encryption_using_aes-gcm",
		"5_7.key_wrap_using_aes-gcm_keywrap_with_aes-cbc-hmac-sha2", "5_8.key_wrap_using_aes-keywrap_with_aes-gcm",
		"5_9.compressed_content", "5_10.including_additional_authentication_data",
	} {
		t.Run(name, func(t *testing.T) {
			var file struct {
				Input struct {
					Plaintext, Alg string
					Key            json.RawMessage
				}
				Output struct{ Compact string }
			}
			tokentest.Vectors(t, &file, "cookbook", "jwe", name+".json")
			if file.Output.Compact == "" {
				t.Skip("it has no compact form")
			}
			var keys []*sealed.Key
			if key, err := sealed.PublishedKey(file.Input.Key); err == nil {
				keys = append(keys, key)
			}
			content, err := sealed.OpenAny(file.Output.Compact, sealed.All(), keys...)
			if stricter[file.Input.Alg] != "" {
				if err == nil {
					t.Error("opened")
				}
				return
			}
			if err != nil || string(content) != file.Input.Plaintext {
				t.Errorf("%v, %q", err, content)
			}
		})
	}
}

// The nested token of RFC 7520 section 6: opened with the key of its recipient, and signed inside.
func TestVectorsCookbookNested(t *testing.T) {
	var file struct {
		Sign    struct{ Output struct{ Compact string } }
		Encrypt struct {
			Input  struct{ Key json.RawMessage }
			Output struct{ Compact string }
		}
	}
	tokentest.Vectors(t, &file, "cookbook", "6.nesting_signatures_and_encryption.json")
	key, err := sealed.PublishedKey(file.Encrypt.Input.Key)
	if err != nil {
		t.Fatal(err)
	}
	content, err := sealed.OpenAny(file.Encrypt.Output.Compact, sealed.All(), key)
	if err != nil || string(content) != file.Sign.Output.Compact {
		t.Errorf("%v, %q", err, content)
	}
}

// A private key that is printed in a standard opens nothing for anybody who configures it.
func TestPublishedKeysAreRefused(t *testing.T) {
	var file struct {
		TestGroups []struct{ Private json.RawMessage }
	}
	tokentest.Vectors(t, &file, "wycheproof", "json_web_encryption_test.json")
	known := 0
	for _, group := range file.TestGroups {
		_, err := sealed.Parse(group.Private, nil, "")
		if err != nil && strings.Contains(err.Error(), "published") {
			known++
		}
	}
	if known < 4 { // those of RFC 7520
		t.Errorf("%d of the keys are known as published", known)
	}
}
