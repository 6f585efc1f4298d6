// Package tokentest has what the tests of a token gate need from the other side of the wire: keys, tokens signed with
// them, and an authorization server on loopback. The server speaks the protocols (discovery, JWKS, introspection), and
// can be made to stall, lie and disappear.
//
// It is written against the standards, with the standard library and golang-jwt only. It does not use the code that it
// tests.
package tokentest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"maps"
	"strings"
	"sync"
	"testing"

	"github.com/golang-jwt/jwt/v5"
)

// Key is a key pair, or a shared secret, for one algorithm.
type Key struct {
	Alg string // name of RFC 7518 section 3.1 or RFC 8037: RS256, ES256, HS256, EdDSA, Ed25519 …
	KID string // key id; empty for none, which leaves "kid" out of tokens and JWKs

	private any // *rsa.PrivateKey, *ecdsa.PrivateKey, ed25519.PrivateKey or []byte
}

type keyName struct{ alg, kid string }

// cache keeps the keys of this process.
var cache struct {
	sync.Mutex
	keys map[keyName]*Key
}

// NewKey returns the key with this id and algorithm. In one process, the same arguments give the same key, and any
// others give another.
func NewKey(tb testing.TB, alg, kid string) *Key {
	tb.Helper()
	cache.Lock()
	defer cache.Unlock()
	name := keyName{alg, kid}
	if key, ok := cache.keys[name]; ok {
		return key
	}
	key := &Key{Alg: alg, KID: kid, private: generate(tb, alg)}
	if cache.keys == nil {
		cache.keys = make(map[keyName]*Key)
	}
	cache.keys[name] = key
	return key
}

func generate(tb testing.TB, alg string) any {
	tb.Helper()
	var private any
	var err error
	switch alg {
	case "RS256", "RS384", "RS512", "PS256", "PS384", "PS512":
		private = NewRSA()
	case "ES256":
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "ES384":
		private, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "ES512":
		private, err = ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case "EdDSA", "Ed25519":
		_, private, err = ed25519.GenerateKey(rand.Reader)
	case "HS256", "HS384", "HS512":
		secret := make([]byte, 64)
		_, err = rand.Read(secret)
		private = secret
	default:
		tb.Fatalf("tokentest: unknown algorithm %q", alg)
	}
	if err != nil {
		tb.Fatalf("tokentest: %v", err)
	}
	return private
}

// WithAlg is the same key pair used with another algorithm, even one that does not fit it.
func (k *Key) WithAlg(alg string) *Key {
	other := *k
	other.Alg = alg
	return &other
}

// WithKID is the same key pair under another key id; empty for none.
func (k *Key) WithKID(kid string) *Key {
	other := *k
	other.KID = kid
	return &other
}

// Sign makes a token with these claims. The header has alg, typ "JWT" and, if the key has an id, kid. The members of
// header are added or replace them; nil removes one.
func (k *Key) Sign(tb testing.TB, claims map[string]any, header ...map[string]any) string {
	tb.Helper()
	params := map[string]any{"alg": k.Alg, "typ": "JWT"}
	if k.KID != "" {
		params["kid"] = k.KID
	}
	for _, h := range header {
		maps.Copy(params, h)
	}
	maps.DeleteFunc(params, func(_ string, v any) bool { return v == nil })
	return k.SignRaw(marshal(tb, params), marshal(tb, claims))
}

// SignRaw makes a token from any two texts, signed with the key's own algorithm.
func (k *Key) SignRaw(header, payload string) string {
	input := encode([]byte(header)) + "." + encode([]byte(payload))
	return input + "." + encode(k.SignBytes(input))
}

// SignBytes is the signature over a text.
func (k *Key) SignBytes(input string) []byte {
	name := k.Alg
	if name == "Ed25519" { // the name that RFC 9864 gives to what golang-jwt knows as EdDSA
		name = "EdDSA"
	}
	signature, err := jwt.GetSigningMethod(name).Sign(input, k.private)
	if err != nil {
		panic("tokentest: " + err.Error()) // the test asked for a key and an algorithm that do not go together
	}
	return signature
}

// Public is the public half; nil for a shared secret.
func (k *Key) Public() crypto.PublicKey {
	if signer, ok := k.private.(crypto.Signer); ok {
		return signer.Public()
	}
	return nil
}

// Private is the private half, or the shared secret.
func (k *Key) Private() any { return k.private }

// Secret is the shared secret; nil for a key pair.
func (k *Key) Secret() []byte {
	secret, _ := k.private.([]byte)
	return secret
}

// JWK is the public half as RFC 7517 writes it, with alg, use "sig" and kid if there is one. A shared secret gives an
// "oct" key, which contains the secret. The caller may change the map.
func (k *Key) JWK() map[string]any {
	jwk := map[string]any{"alg": k.Alg, "use": "sig"}
	if k.KID != "" {
		jwk["kid"] = k.KID
	}
	if secret := k.Secret(); secret != nil {
		jwk["kty"], jwk["k"] = "oct", encode(secret)
	} else {
		maps.Copy(jwk, publicJWK(k.Public()))
	}
	return jwk
}

// PublicPEM is the public half as a PEM text ("PUBLIC KEY", RFC 7468 section 13).
func (k *Key) PublicPEM() string {
	der, err := x509.MarshalPKIXPublicKey(k.Public())
	if err != nil {
		panic("tokentest: " + err.Error())
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// PrivatePEM is the private half as a PEM text ("PRIVATE KEY", RFC 7468 section 10).
func (k *Key) PrivatePEM() string {
	der, err := x509.MarshalPKCS8PrivateKey(k.private)
	if err != nil {
		panic("tokentest: " + err.Error())
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// JWKS is a key set (RFC 7517 section 5) of the public halves of keys.
func JWKS(keys ...*Key) string {
	jwks := make([]map[string]any, len(keys))
	for i, key := range keys {
		jwks[i] = key.JWK()
	}
	return JWKSOf(jwks...)
}

// JWKSOf is a key set of JWKs that the test has made itself.
func JWKSOf(jwks ...map[string]any) string {
	if jwks == nil {
		jwks = []map[string]any{}
	}
	text, err := json.Marshal(map[string]any{"keys": jwks})
	if err != nil {
		panic("tokentest: " + err.Error())
	}
	return string(text)
}

// FlipSignature is the token with one bit of its signature changed.
func FlipSignature(tb testing.TB, token string) string {
	tb.Helper()
	dot := strings.LastIndexByte(token, '.')
	signature, err := base64.RawURLEncoding.DecodeString(token[dot+1:])
	if err != nil || len(signature) == 0 {
		tb.Fatalf("tokentest: not a token: %v", err)
	}
	signature[len(signature)/2] ^= 1
	return token[:dot+1] + encode(signature)
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func marshal(tb testing.TB, v any) string {
	tb.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		tb.Fatalf("tokentest: %v", err)
	}
	return string(text)
}
