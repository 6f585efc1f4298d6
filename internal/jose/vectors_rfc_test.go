package jose_test

import (
	"encoding/json"
	"testing"

	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// Examples of RFC 7515, 7516, 7519, 7797, 8037 and 9449, and thumbprints of RFC 7638 and 8037.
func TestVectorsRFC(t *testing.T) {
	var file struct {
		Vectors []struct {
			ID, Kind, Alg, Token, Proof, Expect, Thumbprint string
			Key                                             *jwk
			Object                                          json.RawMessage
		}
	}
	tokentest.Vectors(t, &file, "rfc", "jose-oauth-examples.json")
	run := 0
	for _, v := range file.Vectors {
		run++
		switch v.Kind {
		case "jws-compact":
			if v.Expect != "valid" {
				if _, err := jose.Parse(v.Token, nil); err == nil {
					t.Errorf("%s: accepted", v.ID)
				}
				continue
			}
			key := must(v.Key.key())
			if err := accepts(key, v.Token); err != nil {
				t.Errorf("%s: %v", v.ID, err)
			}
			requireErr(t, published(v.Key), jose.ErrPublishedKey)
		case "jwk-thumbprint":
			sum := must(v.Key.key()).Thumbprint()
			if encode(sum[:]) != v.Thumbprint {
				t.Errorf("%s: thumbprint %s, want %s", v.ID, encode(sum[:]), v.Thumbprint)
			}
			requireErr(t, published(v.Key), jose.ErrPublishedKey)
		case "jwe-compact", "jwe-nested", "jws-detached":
			if _, err := jose.Parse(v.Token, nil); !is(err, jose.ErrMalformed) {
				t.Errorf("%s: got %v", v.ID, err)
			}
		case "jws-json-general", "jws-json-flattened":
			if _, err := jose.Parse(string(v.Object), nil); !is(err, jose.ErrMalformed) {
				t.Errorf("%s: got %v", v.ID, err)
			}
		case "dpop-proof":
			if _, err := jose.Parse(v.Proof, nil); !is(err, jose.ErrType) {
				t.Errorf("%s: got %v", v.ID, err)
			}
		case "jws-compact-unverifiable":
			_, err := jose.Parse(v.Token, nil)
			requireErr(t, err, nil)
		default:
			run--
		}
	}
	if run < 15 {
		t.Errorf("%d vectors run", run)
	}
}

// published returns the product's error for a published key.
func published(j *jwk) error {
	if j.Kty == "oct" {
		_, err := jose.NewSecretKey("", raw(j.K), 0)
		return err
	}
	_, err := jose.NewPublicKey("", must(j.public()), 0)
	return err
}

// The examples of RFC 7520 section 4, RFC 8037 and RFC 7797.
func TestVectorsCookbook(t *testing.T) {
	for name, want := range map[string]error{
		"jws/4_1.rsa_v15_signature.json":               nil,
		"jws/4_2.rsa-pss_signature.json":               nil,
		"jws/4_3.ecdsa_signature.json":                 nil,
		"jws/4_4.hmac-sha2_integrity_protection.json":  nil,
		"jws/4_5.signature_with_detached_content.json": jose.ErrMalformed,
		"curve25519/jws.json":                          nil,
		"rfc7797/4.2.hmac-sha2_b64_false.json":         jose.ErrMalformed,
		"rfc7797/hmac-sha2_b64_false.json":             jose.ErrMalformed,
	} {
		t.Run(name, func(t *testing.T) {
			var file struct {
				Input  struct{ Key json.RawMessage }
				Output struct {
					Compact  string
					JSON     json.RawMessage
					JSONFlat json.RawMessage `json:"json_flat"`
				}
			}
			tokentest.Vectors(t, &file, "cookbook", name)
			var j jwk
			if err := json.Unmarshal(file.Input.Key, &j); err != nil {
				t.Fatal(err)
			}
			requireErr(t, accepts(must(j.key()), file.Output.Compact), want)
			requireErr(t, published(&j), jose.ErrPublishedKey)
			for _, form := range []json.RawMessage{file.Output.JSON, file.Output.JSONFlat} {
				_, err := jose.Parse(string(form), nil)
				requireErr(t, err, jose.ErrMalformed)
			}
		})
	}
}
