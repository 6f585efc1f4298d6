package tokentest

import (
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/json"
	"hash"
	"strconv"
)

// MACAttacks are tokens signed by HMAC with a text that everybody has. Everybody has the public key, and some verifiers
// give it to any algorithm that the token names: CVE-2015-9235, CVE-2016-5431, CVE-2016-10555, CVE-2024-54150. The
// forms of the key are those that got past recognisers: CVE-2017-11424 (PKCS#1), CVE-2022-29217 (OpenSSH),
// CVE-2023-48223 and CVE-2026-34950 (white space), CVE-2026-85394 (DER), CVE-2026-48526 (JWK), CVE-2026-102272 (byte
// order mark). The key is an RSA key for RS256 alone.
func MACAttacks(key *Key, payload string) (attacks []Hostile) {
	secrets := Disguises(key.Public())
	jwk, modulus := must(json.Marshal(key.JWK())), key.Public().(*rsa.PublicKey).N.Bytes()
	secrets["JWK as it is published"] = jwk
	secrets["JWK as it is published, after a BOM"] = append([]byte("\xef\xbb\xbf"), jwk...)
	secrets["JWKS as it is published"] = []byte(JWKS(key))
	secrets["modulus"], secrets["modulus in base64url"] = modulus, []byte(encode(modulus))
	secrets["nothing at all"], secrets["the key id"], secrets["zeros"] = nil, []byte(key.KID), make([]byte, 32)
	for alg, newHash := range map[string]func() hash.Hash{
		"HS256": sha256.New, "HS384": sha512.New384, "HS512": sha512.New,
	} {
		header := `{"alg":"` + alg + `","kid":` + strconv.Quote(key.KID) + `,"typ":"JWT"}`
		input := encode([]byte(header)) + "." + encode([]byte(payload))
		for name, secret := range secrets {
			mac := hmac.New(newHash, secret)
			mac.Write([]byte(input))
			attacks = append(attacks,
				Hostile{alg + " of the public key as " + name, input + "." + encode(mac.Sum(nil)), KeyAlgorithm})
		}
	}
	return attacks
}
