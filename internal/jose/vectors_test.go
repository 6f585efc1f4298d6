package jose_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/hex"
	"testing"

	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// wycheproofJWS has the vectors whose label is wrong for us. Their own description says why.
var wycheproofJWS = map[int]string{
	367: "valid",   // meant to have padding, which the file has lost
	370: "valid",   // the same
	372: "invalid", // a question mark inside a part
	373: "invalid", // the same
	346: "invalid", // PS384 token, but the key says PS256
	350: "invalid", // the same
	347: "invalid", // the key says ES521, which does not exist
	351: "invalid", // the same
}

func TestVectorsWycheproofJWS(t *testing.T) {
	var file struct {
		NumberOfTests int
		TestGroups    []struct {
			Public, Private *jwk
			Tests           []struct {
				TcID        int
				Comment     string
				JWS, Result string
			}
		}
	}
	tokentest.Vectors(t, &file, "wycheproof", "json_web_signature_test.json")
	run, accepted, emptyPayload := 0, 0, 0
	for _, group := range file.TestGroups {
		j := group.Public
		if j == nil {
			j = group.Private
		}
		key, keyErr := j.key()
		for _, test := range group.Tests {
			run++
			err := keyErr
			if err == nil {
				err = accepts(key, test.JWS)
			}
			want := test.Result
			if override := wycheproofJWS[test.TcID]; override != "" {
				want = override
			}
			if want == "valid" && is(err, jose.ErrMalformed) && test.Comment == "emptyPayload" {
				emptyPayload++ // a JWS, but not a JWT: a claims set is an object
				continue
			}
			if (err == nil) != (want == "valid") {
				t.Errorf("test %d, %s: got %v, want %s", test.TcID, test.Comment, err, want)
			}
			if err == nil {
				accepted++
			}
		}
	}
	if run != file.NumberOfTests || accepted < 30 {
		t.Errorf("%d of %d vectors run, %d accepted", run, file.NumberOfTests, accepted)
	}
	t.Logf("%d vectors: %d accepted, %d valid ones without payload refused", run, accepted, emptyPayload)
}

// TestVectorsWycheproofRaw runs the vectors that have a message and a signature, but no token around them.
func TestVectorsWycheproofRaw(t *testing.T) {
	for name, alg := range map[string]jose.Algorithm{
		"ecdsa_secp256r1_sha256_p1363_test.json": jose.ES256,
		"ecdsa_secp384r1_sha384_p1363_test.json": jose.ES384,
		"ecdsa_secp521r1_sha512_p1363_test.json": jose.ES512,
		"ed25519_test.json":                      jose.Ed25519,
		"rsa_signature_2048_sha256_test.json":    jose.RS256,
		"rsa_signature_2048_sha384_test.json":    jose.RS384,
		"rsa_signature_2048_sha512_test.json":    jose.RS512,
		"rsa_pss_2048_sha256_mgf1_32_test.json":  jose.PS256,
		"rsa_pss_2048_sha384_mgf1_48_test.json":  jose.PS384,
		"rsa_pss_4096_sha512_mgf1_64_test.json":  jose.PS512,
	} {
		t.Run(name, func(t *testing.T) {
			var file struct {
				NumberOfTests int
				TestGroups    []struct {
					PublicKeyJwk *jwk
					KeyJwk       *jwk
					PublicKey    struct {
						Modulus, PublicExponent, Uncompressed, Pk string
					}
					Tests []struct {
						TcID                      int
						Comment, Msg, Sig, Result string
					}
				}
			}
			tokentest.Vectors(t, &file, "wycheproof", name)
			run, accepted := 0, 0
			for _, group := range file.TestGroups {
				j := group.PublicKeyJwk
				if j == nil {
					j = group.KeyJwk
				}
				var key *jose.Key
				var keyErr error
				if j != nil {
					j.Alg = "" // the files agree with their names, or have "ES521"
					key, keyErr = j.key()
				} else if alg.Family() == jose.EC {
					curve := map[jose.Algorithm]elliptic.Curve{
						jose.ES256: elliptic.P256(), jose.ES384: elliptic.P384(), jose.ES512: elliptic.P521(),
					}[alg]
					public, err := ecdsa.ParseUncompressedPublicKey(curve, must(hex.DecodeString(group.PublicKey.Uncompressed)))
					if keyErr = err; err == nil {
						key, keyErr = jose.NewExamplePublicKey("", public, 0)
					}
				} else {
					t.Fatal("group without JWK")
				}
				for _, test := range group.Tests {
					run++
					err := keyErr
					if err == nil {
						err = key.Verify(alg, string(must(hex.DecodeString(test.Msg))), must(hex.DecodeString(test.Sig)))
					}
					if want := test.Result == "valid"; (err == nil) != want { // "acceptable" is refused
						t.Errorf("test %d, %s (%s): got %v", test.TcID, test.Comment, test.Result, err)
					}
					if err == nil {
						accepted++
					}
				}
			}
			if run != file.NumberOfTests || run < 50 || accepted == 0 {
				t.Errorf("%d of %d vectors run, %d accepted", run, file.NumberOfTests, accepted)
			}
			t.Logf("%d vectors, %d accepted", run, accepted)
		})
	}
}

// TestVectorsWycheproofHMAC runs the vectors of MACs. Some have a truncated tag, or a key shorter than the hash. RFC
// 2104 sections 3 and 5 allow that for HMAC; RFC 7518 section 3.2 does not.
func TestVectorsWycheproofHMAC(t *testing.T) {
	for name, alg := range map[string]jose.Algorithm{
		"hmac_sha256_test.json": jose.HS256,
		"hmac_sha384_test.json": jose.HS384,
		"hmac_sha512_test.json": jose.HS512,
	} {
		t.Run(name, func(t *testing.T) {
			var file struct {
				NumberOfTests int
				TestGroups    []struct {
					KeySize, TagSize int
					Tests            []struct {
						TcID                           int
						Comment, Key, Msg, Tag, Result string
					}
				}
			}
			tokentest.Vectors(t, &file, "wycheproof", name)
			size := map[jose.Algorithm]int{jose.HS256: 256, jose.HS384: 384, jose.HS512: 512}[alg]
			run, accepted := 0, 0
			for _, group := range file.TestGroups {
				for _, test := range group.Tests {
					run++
					key, err := jose.NewSecretKey("", must(hex.DecodeString(test.Key)), jose.MakeAlgorithms(alg))
					if err == nil {
						err = key.Verify(alg, string(must(hex.DecodeString(test.Msg))), must(hex.DecodeString(test.Tag)))
					}
					want := test.Result == "valid" && group.KeySize >= size && group.TagSize == size
					if (err == nil) != want {
						t.Errorf("test %d, %s (%s): got %v", test.TcID, test.Comment, test.Result, err)
					}
					if err == nil {
						accepted++
					}
				}
			}
			if run != file.NumberOfTests || accepted == 0 {
				t.Errorf("%d of %d vectors run, %d accepted", run, file.NumberOfTests, accepted)
			}
			t.Logf("%d vectors, %d accepted", run, accepted)
		})
	}
}

// RFC 9964 is not implemented: its algorithms are unknown names.
func TestVectorsMLDSA(t *testing.T) {
	for _, name := range []string{"ML_DSA_44", "ML_DSA_65", "ML_DSA_87"} {
		var file struct{ JWS string }
		tokentest.Vectors(t, &file, "mldsa-jose", name+".jose.json")
		_, err := jose.Parse(file.JWS, nil)
		requireErr(t, err, jose.ErrAlgorithm)
	}
}

// JWE vectors are refused, whatever their label.
func TestVectorsWycheproofJWE(t *testing.T) {
	var file struct {
		NumberOfTests int
		TestGroups    []struct {
			Tests []struct {
				TcID int
				JWE  string
			}
		}
	}
	tokentest.Vectors(t, &file, "wycheproof", "json_web_encryption_test.json")
	run := 0
	for _, group := range file.TestGroups {
		for _, test := range group.Tests {
			run++
			if _, err := jose.Parse(test.JWE, nil); err == nil {
				t.Errorf("test %d accepted", test.TcID)
			}
		}
	}
	if run != file.NumberOfTests {
		t.Errorf("%d of %d vectors run", run, file.NumberOfTests)
	}
}
