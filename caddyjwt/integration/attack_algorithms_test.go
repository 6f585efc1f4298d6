package integration

import (
	"bytes"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"hash"
	"strconv"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// The token says that it needs no signature, in a spelling that a comparison may miss. Dozens of libraries fell for it;
// a hosted identity product for "noNe" in 2020, and CVE-2015-9235 and CVE-2018-1000531 are the best known.
func TestAttackAlgorithmNoneInEverySpelling(t *testing.T) {
	as := tokentest.NewAS(t, tokentest.WithKeys(tokentest.NewKey(t, "RS256", "r1")))
	s := start(t, gateFor(consumerAlice(t), issuerByJWKS(as)))
	for _, party := range []map[string]any{claims(), issuedBy(as.URL)} {
		payload := asJSON(t, party)
		for _, alg := range []string{"none", "None", "NONE", "nOnE", "noNe", "none ", " none", "none\x00", "\tnone", "nоne",
			""} {
			header := asJSON(t, map[string]any{"alg": alg, "typ": "JWT", "kid": "r1"})
			name := strconv.Quote(alg) + " of " + party["iss"].(string)
			s.attack(t, name+" without signature", func(t *testing.T, a *attempt) {
				a.refusedFor(a.send(forged(header, payload, nil)), "malformed_token")
			})
			s.attack(t, name+" without signature and dot", func(t *testing.T, a *attempt) {
				a.refusedFor(a.send(b64(header)+"."+b64(payload)), "malformed_token")
			})
			s.attack(t, name+" with a signature of zeros", func(t *testing.T, a *attempt) {
				a.refusedFor(a.send(forged(header, payload, make([]byte, 32))), "unsupported_algorithm")
			})
			s.attack(t, name+" with a good signature", func(t *testing.T, a *attempt) {
				a.refusedFor(a.send(hmacKey(t).SignRaw(header, payload)), "unsupported_algorithm")
			})
		}
	}
}

// disguises are the texts by which somebody may have got hold of a public key, each a possible HMAC secret.
func disguises(t *testing.T, key *tokentest.Key) map[string][]byte {
	public := key.Public().(*rsa.PublicKey)
	spki, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	pkcs1 := x509.MarshalPKCS1PublicKey(public)
	spkiPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki})
	pkcs1PEM := pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: pkcs1})
	jwk := []byte(asJSON(t, key.JWK()))
	bom := []byte("\xef\xbb\xbf")
	return map[string][]byte{
		"SPKI PEM":                        spkiPEM,
		"SPKI PEM without last line end":  bytes.TrimSpace(spkiPEM),
		"SPKI PEM with CR LF":             bytes.ReplaceAll(spkiPEM, []byte("\n"), []byte("\r\n")),
		"SPKI PEM with CR only":           bytes.ReplaceAll(spkiPEM, []byte("\n"), []byte("\r")),
		"SPKI PEM in one line":            bytes.ReplaceAll(spkiPEM, []byte("\n"), nil),
		"SPKI PEM after white space":      append([]byte(" \t\n"), spkiPEM...),
		"SPKI PEM with a tab before END":  bytes.ReplaceAll(spkiPEM, []byte("-----END"), []byte("\t-----END")),
		"SPKI PEM after a byte order":     append(bom[:3:3], spkiPEM...),
		"PKCS#1 PEM":                      pkcs1PEM,
		"SPKI DER":                        spki,
		"PKCS#1 DER":                      pkcs1,
		"certificate PEM":                 []byte(certificate(t, key)),
		"certificate DER":                 certificateDER(t, key),
		"OpenSSH line":                    []byte(sshLine(public)),
		"JWK":                             jwk,
		"JWK after a byte order mark":     append(bom[:3:3], jwk...),
		"JWK set":                         []byte(tokentest.JWKS(key)),
		"modulus":                         public.N.Bytes(),
		"modulus in base64url":            []byte(b64(string(public.N.Bytes()))),
		"SPKI DER in base64":              []byte(base64.StdEncoding.EncodeToString(spki)),
		"nothing at all":                  {},
		"key identifier":                  []byte(key.KID),
		"thumbprint-sized block of zeros": make([]byte, 32),
	}
}

// sshLine is a public key as OpenSSH writes it (RFC 4253 section 6.6).
func sshLine(key *rsa.PublicKey) string {
	var out []byte
	put := func(b []byte) {
		out = append(out, byte(len(b)>>24), byte(len(b)>>16), byte(len(b)>>8), byte(len(b)))
		out = append(out, b...)
	}
	put([]byte("ssh-rsa"))
	put([]byte{1, 0, 1})
	put(append([]byte{0}, key.N.Bytes()...))
	return "ssh-rsa " + base64.StdEncoding.EncodeToString(out) + " user@host"
}

func hmacToken(t *testing.T, alg string, secret []byte, header, claims map[string]any) string {
	newHash := map[string]func() hash.Hash{"HS256": sha256.New, "HS384": sha512.New384, "HS512": sha512.New}[alg]
	header["alg"] = alg
	input := b64(asJSON(t, header)) + "." + b64(asJSON(t, claims))
	mac := hmac.New(newHash, secret)
	mac.Write([]byte(input))
	return input + "." + b64(string(mac.Sum(nil)))
}

// The token is signed by HMAC with the public key, which everybody has, in the hope that the verifier passes its key to
// whatever algorithm the token names: CVE-2015-9235, CVE-2016-5431, CVE-2016-10555, CVE-2024-54150. The forms of the
// key are those that got past recognisers: CVE-2017-11424 (PKCS#1), CVE-2022-29217 (OpenSSH), CVE-2023-48223 and
// CVE-2026-34950 (white space), CVE-2026-85394 (DER), CVE-2026-48526 (JWK), CVE-2026-102272 (byte order mark).
func TestAttackAlgorithmPublicKeyAsHMACSecret(t *testing.T) {
	key := tokentest.NewKey(t, "RS256", "r1")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	s := start(t, gateFor(issuerByJWKS(as), issuerWithKeys("https://pem.example", "pem `"+key.PublicPEM()+"`"),
		"consumer carol {\n credential carol-key {\n algorithm RS256\n public_key `"+key.PublicPEM()+"`\n}\n}"))
	for _, issuer := range []string{as.URL, "https://pem.example", "carol-key"} {
		s.attack(t, "control: RS256 of "+issuer+" passes", func(t *testing.T, a *attempt) {
			a.passed(a.send(key.Sign(t, issuedBy(issuer))))
		})
		for name, secret := range disguises(t, key) {
			for _, alg := range []string{"HS256", "HS384", "HS512"} {
				s.attack(t, name+" as "+alg+" of "+issuer, func(t *testing.T, a *attempt) {
					a.refusedFor(a.send(hmacToken(t, alg, secret, map[string]any{"kid": "r1"}, issuedBy(issuer))),
						"unsupported_algorithm")
				})
			}
		}
	}
}

// A gate is configured with a public key where a secret belongs, so that everybody can sign: the mistake behind most
// algorithm confusions. CVE-2026-102268, CVE-2026-102271 and CVE-2026-102273 list the forms that recognisers miss.
func TestAttackAlgorithmPublicKeyIsNoSecretInTheConfiguration(t *testing.T) {
	key := tokentest.NewKey(t, "RS256", "r1")
	s := prepare(t)
	for name, secret := range disguises(t, key) {
		if name == "nothing at all" || name == "key identifier" || strings.HasPrefix(name, "modulus") ||
			strings.HasPrefix(name, "thumbprint") {
			continue
		}
		for _, algorithm := range []string{"HS256", "HS512"} {
			s.refusedAtLoad(t, name+" for "+algorithm, "secret", func(s *site) error {
				return s.tryJSON(gateFor(consumerAlice(t)), func(handler map[string]any) {
					credential := handler["consumers"].([]any)[0].(map[string]any)["credentials"].([]any)[0].(map[string]any)
					credential["algorithm"] = algorithm
					credential["secret"] = base64.StdEncoding.EncodeToString(secret)
				})
			})
		}
	}
}

// A key set does not say what its key is for, and the verifier takes the token's word: with an HMAC algorithm the
// public key becomes the secret. CVE-2026-22817 and CVE-2026-22818.
func TestAttackAlgorithmOfKeyWithoutAlg(t *testing.T) {
	key := tokentest.NewKey(t, "RS256", "r1")
	jwk := key.JWK()
	delete(jwk, "alg")
	delete(jwk, "use")
	as := tokentest.NewAS(t)
	as.AnswerJWKS(200, tokentest.JWKSOf(jwk))
	s := start(t, gateFor(issuerByJWKS(as)))
	s.attack(t, "control: RS256 passes", func(t *testing.T, a *attempt) {
		a.passed(a.send(key.Sign(t, issuedBy(as.URL))))
	})
	for name, secret := range disguises(t, key) {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			a.refusedFor(a.send(hmacToken(t, "HS256", secret, map[string]any{"kid": "r1"}, issuedBy(as.URL))),
				"unsupported_algorithm")
		})
	}
}

// The operator allows one algorithm, but keys from a key set are used with whatever the key or the token names:
// CVE-2026-48523. An algorithm outside the list must fail although key and signature are good.
func TestAttackAlgorithmOutsideTheAllowList(t *testing.T) {
	rsaKey, ecKey := tokentest.NewKey(t, "RS256", "r1"), tokentest.NewKey(t, "ES256", "e1")
	as := tokentest.NewAS(t, tokentest.WithKeys(rsaKey, ecKey))
	s := start(t, gateFor(issuerByJWKS(as, "algorithms ES256")))
	s.attack(t, "control: ES256 passes", func(t *testing.T, a *attempt) {
		a.passed(a.send(ecKey.Sign(t, issuedBy(as.URL))))
	})
	for _, alg := range []string{"RS256", "RS384", "RS512", "PS256", "PS512"} {
		s.attack(t, alg, func(t *testing.T, a *attempt) {
			a.refusedFor(a.send(rsaKey.WithAlg(alg).Sign(t, issuedBy(as.URL))), "unsupported_algorithm")
		})
	}
}

// An empty or absent list of algorithms meant "any" in CVE-2021-46743 and CVE-2024-37568. Here it means the asymmetric
// ones that fit the key, never HMAC, never none.
func TestAttackAlgorithmEmptyAllowList(t *testing.T) {
	key := tokentest.NewKey(t, "RS256", "r1")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	s := prepare(t)
	for name, list := range map[string]any{"empty": []any{}, "null": nil} {
		err := s.tryJSON(gateFor(issuerByJWKS(as)), func(handler map[string]any) {
			handler["issuers"].([]any)[0].(map[string]any)["algorithms"] = list
		})
		if err != nil {
			continue // refusing it is as good
		}
		s.attack(t, name+": HMAC with the public key", func(t *testing.T, a *attempt) {
			a.refusedFor(a.send(hmacToken(t, "HS256", []byte(key.PublicPEM()), map[string]any{"kid": "r1"}, issuedBy(as.URL))),
				"unsupported_algorithm")
		})
		s.attack(t, name+": none", func(t *testing.T, a *attempt) {
			a.refusedFor(a.send(forged(`{"alg":"none"}`, asJSON(t, issuedBy(as.URL)), []byte("x"))), "unsupported_algorithm")
		})
	}
	s.refusedAtLoad(t, "an empty name", "algorithm", func(s *site) error {
		return s.tryJSON(gateFor(issuerByJWKS(as)), func(handler map[string]any) {
			handler["issuers"].([]any)[0].(map[string]any)["algorithms"] = []any{""}
		})
	})
}

// The algorithm does not exist, or is not a string. A verifier that looks it up carelessly fails open or panics. The
// signatures are good ones of the key, so that only the name can refuse the token.
func TestAttackAlgorithmUnknown(t *testing.T) {
	key := tokentest.NewKey(t, "RS256", "r1")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	s := start(t, gateFor(issuerByJWKS(as), consumerAlice(t)))
	for _, alg := range []string{`"XX999"`, `""`, `null`, `["RS256"]`, `{}`, `{"RS256":1}`, `256`, `true`, `"rs256"`,
		`"RS256 "`, `" RS256"`,
		`"RS256\u0000"`, `"RS256\n"`, `"RS256,none"`, `"ES256K"`, `"RSA1_5"`, `"RSA-OAEP"`, `"dir"`, `"A256GCM"`, `"HS1"`,
		`"RS1"`, `"ML-DSA-44"`,
		`"\u0052S256x"`, `"` + strings.Repeat("R", 4000) + `"`} {
		name := alg[:min(len(alg), 20)]
		s.attack(t, name, func(t *testing.T, a *attempt) {
			a.refusedFor(a.send(key.SignRaw(`{"alg":`+alg+`,"kid":"r1"}`, asJSON(t, issuedBy(as.URL)))), "unsupported_algorithm",
				"malformed_token")
		})
		s.attack(t, name+" for a consumer", func(t *testing.T, a *attempt) {
			a.refusedFor(a.send(hmacKey(t).SignRaw(`{"alg":`+alg+`}`, asJSON(t, claims()))), "unsupported_algorithm",
				"malformed_token")
		})
	}
	s.attack(t, "none given", func(t *testing.T, a *attempt) {
		a.refusedFor(a.send(key.SignRaw(`{"kid":"r1"}`, asJSON(t, issuedBy(as.URL)))), "malformed_token")
	})
}

// A key for one algorithm is used with another one: of the same family, or of another family. RFC 8725 section 3.1, RFC
// 9864. Each signature is right for the algorithm that the token names.
func TestAttackAlgorithmThatTheKeyIsNotFor(t *testing.T) {
	rs, ps := tokentest.NewKey(t, "RS256", "rs"), tokentest.NewKey(t, "PS256", "ps")
	es, ed := tokentest.NewKey(t, "ES256", "es"), tokentest.NewKey(t, "EdDSA", "ed")
	x25519 := map[string]any{"kty": "OKP", "crv": "X25519", "kid": "x", "use": "sig", "x": ed.JWK()["x"]}
	as := tokentest.NewAS(t)
	as.AnswerJWKS(200, tokentest.JWKSOf(rs.JWK(), ps.JWK(), es.JWK(), ed.JWK(), x25519))
	s := start(t, gateFor(issuerByJWKS(as)))
	for _, key := range []*tokentest.Key{rs, ps, es, ed} {
		s.attack(t, "control: "+key.Alg+" passes", func(t *testing.T, a *attempt) {
			a.passed(a.send(key.Sign(t, issuedBy(as.URL))))
		})
	}
	for name, token := range map[string]string{
		"PS256 with a key for RS256":       rs.WithAlg("PS256").Sign(t, issuedBy(as.URL)),
		"RS512 with a key for RS256":       rs.WithAlg("RS512").Sign(t, issuedBy(as.URL)),
		"RS256 with a key for PS256":       ps.WithAlg("RS256").Sign(t, issuedBy(as.URL)),
		"RS256 named PS256":                rs.Sign(t, issuedBy(as.URL), map[string]any{"alg": "PS256"}),
		"ES256 named ES384":                es.Sign(t, issuedBy(as.URL), map[string]any{"alg": "ES384"}),
		"ES256 named RS256":                es.Sign(t, issuedBy(as.URL), map[string]any{"alg": "RS256"}),
		"RS256 named ES256":                rs.Sign(t, issuedBy(as.URL), map[string]any{"alg": "ES256"}),
		"EdDSA with the kid of an EC key":  ed.WithKID("es").Sign(t, issuedBy(as.URL)),
		"EdDSA with an X25519 key":         ed.WithKID("x").Sign(t, issuedBy(as.URL)),
		"Ed25519 with an X25519 key":       ed.WithKID("x").Sign(t, issuedBy(as.URL), map[string]any{"alg": "Ed25519"}),
		"Ed25519 with the kid of P-256":    ed.WithKID("es").Sign(t, issuedBy(as.URL), map[string]any{"alg": "Ed25519"}),
		"ES256 with the kid of an RSA key": es.WithKID("rs").Sign(t, issuedBy(as.URL)),
	} {
		s.attack(t, name, func(t *testing.T, a *attempt) { a.refusedFor(a.send(token), "unknown_key", "invalid_signature") })
	}
	s.load(gateFor(issuerByJWKS(as, "algorithms Ed25519")))
	s.attack(t, "EdDSA where only Ed25519 is allowed", func(t *testing.T, a *attempt) {
		a.refusedFor(a.send(ed.Sign(t, issuedBy(as.URL))), "unsupported_algorithm")
	})
}

// Some products have a switch that skips the signature check, and somebody leaves it on after a test:
// GHSA-q926-c743-49qj. Here there is no such switch. A word that looks like one is an error.
func TestAttackAlgorithmNoSwitchSkipsVerification(t *testing.T) {
	as := tokentest.NewAS(t)
	s := prepare(t)
	for _, name := range []string{"skip_verify", "skip_verification", "insecure", "verify", "verify_signature",
		"allow_none", "unsafe_no_signature",
		"validate_signature", "disable_signature_check", "insecure_skip_verify"} {
		for _, value := range []any{true, false} {
			s.refusedAtLoad(t, name, name, func(s *site) error {
				return s.tryJSON(gateFor(issuerByJWKS(as)), func(h map[string]any) { h[name] = value })
			})
			s.refusedAtLoad(t, name+" of an issuer", name, func(s *site) error {
				return s.tryJSON(gateFor(issuerByJWKS(as)), func(h map[string]any) {
					h["issuers"].([]any)[0].(map[string]any)[name] = value
				})
			})
		}
	}
	for _, alg := range []string{"none", "NONE", "*", "any", "HS256"} {
		s.refusedAtLoad(t, "algorithms "+alg, "algorithm", func(s *site) error {
			return s.tryJSON(gateFor(issuerByJWKS(as)), func(h map[string]any) {
				h["issuers"].([]any)[0].(map[string]any)["algorithms"] = []string{alg}
			})
		})
	}
}
