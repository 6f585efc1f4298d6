package integration

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"hash"
	"testing"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// Tokens lie about their algorithm: they need no signature, in every spelling of "none" (CVE-2015-9235,
// CVE-2018-1000531), name an algorithm that does not exist, or are signed by HMAC with the public key (CVE-2016-5431,
// CVE-2024-54150). The list is the one that the packages withstand.
func TestAttackAlgorithmOfTheToken(t *testing.T) {
	key := tokentest.NewKey(t, "RS256", "r1")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	s := start(t, gateFor(issuerByJWKS(as, "algorithms RS256"),
		issuerWithKeys("https://pem.example", "pem `"+key.PublicPEM()+"`", "algorithms RS256"),
		consumerAlice(t),
		"consumer carol {\n credential carol-key {\n algorithm RS256\n public_key `"+key.PublicPEM()+"`\n}\n}"))
	for issuer, key := range map[string]*tokentest.Key{
		as.URL: key, "https://pem.example": key, "carol-key": key, "alice-key": hmacKey(t),
	} {
		s.attack(t, "control: "+key.Alg+" of "+issuer+" passes", func(t *testing.T, a *attempt) {
			a.passed(a.send(key.Sign(t, issuedBy(issuer))))
		})
		s.withstands(t, "of "+issuer, tokentest.AlgorithmAttacks(key, asJSON(t, issuedBy(issuer))))
	}
}

func hmacToken(t *testing.T, alg string, secret []byte, header, claims map[string]any) string {
	newHash := map[string]func() hash.Hash{"HS256": sha256.New, "HS384": sha512.New384, "HS512": sha512.New}[alg]
	header["alg"] = alg
	input := b64(asJSON(t, header)) + "." + b64(asJSON(t, claims))
	mac := hmac.New(newHash, secret)
	mac.Write([]byte(input))
	return input + "." + b64(string(mac.Sum(nil)))
}

// A gate is configured with a public key where a secret belongs, so that everybody can sign: the mistake behind most
// algorithm confusions. CVE-2026-102268, CVE-2026-102271 and CVE-2026-102273 list the forms that recognisers miss.
func TestAttackAlgorithmPublicKeyConfiguredAsSecret(t *testing.T) {
	key := tokentest.NewKey(t, "RS256", "r1")
	s := prepare(t)
	for name, secret := range tokentest.Disguises(key.Public()) {
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

// A key set or a PEM text does not say what its key is for, and the verifier takes the token's word: with an HMAC
// algorithm the public key becomes the secret. CVE-2026-22817 and CVE-2026-22818.
func TestAttackAlgorithmOfKeyWithoutAlg(t *testing.T) {
	key := tokentest.NewKey(t, "RS256", "r1")
	jwk := key.JWK()
	delete(jwk, "alg")
	delete(jwk, "use")
	as := tokentest.NewAS(t)
	as.AnswerJWKS(200, tokentest.JWKSOf(jwk))
	s := start(t, gateFor(issuerByJWKS(as), issuerWithKeys("https://pem.example", "pem `"+key.PublicPEM()+"`")))
	for _, issuer := range []string{as.URL, "https://pem.example"} {
		s.attack(t, "control: RS256 of "+issuer+" passes", func(t *testing.T, a *attempt) {
			a.passed(a.send(key.Sign(t, issuedBy(issuer))))
		})
		s.withstands(t, "of "+issuer, tokentest.MACAttacks(key, asJSON(t, issuedBy(issuer))))
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

// A key for one algorithm is used with another one: of the same family, or of another family. RFC 8725 section 3.1, RFC
// 9864. Each signature is right for the algorithm that the token names.
func TestAttackAlgorithmOfAnotherKey(t *testing.T) {
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
