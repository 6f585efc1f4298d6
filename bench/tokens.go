package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"
)

// What all tokens say, and what all gateways expect.
const (
	issuer   = "https://as.example.com"
	audience = "https://orders.example.com"
	keyID    = "bench-2026"
)

// signer makes the tokens of one algorithm.
type signer struct {
	alg    string
	sign   func(input []byte) []byte
	public crypto.PublicKey // nil for HS256
	secret string           // text, because HAProxy's configuration is; empty but for HS256
}

func newSigner(alg string) (*signer, error) {
	s := &signer{alg: alg}
	switch alg {
	case "HS256":
		s.secret = rand.Text() + rand.Text()
		s.sign = func(input []byte) []byte {
			mac := hmac.New(sha256.New, []byte(s.secret))
			mac.Write(input)
			return mac.Sum(nil)
		}
	case "RS256":
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			return nil, err
		}
		s.public = key.Public()
		s.sign = func(input []byte) []byte {
			sum := sha256.Sum256(input)
			return must(rsa.SignPKCS1v15(nil, key, crypto.SHA256, sum[:]))
		}
	case "ES256":
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, err
		}
		s.public = key.Public()
		s.sign = func(input []byte) []byte { return signES256(key, input) }
	case "EdDSA":
		public, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return nil, err
		}
		s.public = public
		s.sign = func(input []byte) []byte { return ed25519.Sign(key, input) }
	default:
		return nil, fmt.Errorf("unknown algorithm %q: there are HS256, RS256, ES256 and EdDSA", alg)
	}
	return s, nil
}

// signES256 gives R and S side by side (RFC 7518 section 3.4).
func signES256(key *ecdsa.PrivateKey, input []byte) []byte {
	sum := sha256.Sum256(input)
	r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
	signature := make([]byte, 64)
	must(0, err)
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return signature
}

// claims are those of an access token as common authorization servers issue them; an RS256 token of them has about 850
// characters.
type claims struct {
	Issuer   string `json:"iss"`
	Audience string `json:"aud"`
	Subject  string `json:"sub"`
	ClientID string `json:"client_id"`
	Party    string `json:"azp"`
	Scope    string `json:"scope"`
	AuthTime int64  `json:"auth_time"`
	IssuedAt int64  `json:"iat"`
	Expires  int64  `json:"exp"`
	ID       string `json:"jti"`
}

// mint makes one token.
func (s *signer) mint(n int) string {
	encode := base64.RawURLEncoding.EncodeToString
	now := time.Now().Unix()
	header := fmt.Sprintf(`{"alg":%q,"kid":%q,"typ":"at+jwt"}`, s.alg, keyID)
	payload := must(json.Marshal(claims{
		Issuer: issuer, Audience: audience, Subject: fmt.Sprintf("7f3c9a52-1d84-4c0e-9b6f-%012d", n),
		ClientID: "orders-web-frontend", Party: "orders-web-frontend",
		Scope:    "openid profile email offline_access orders:read orders:write",
		AuthTime: now, IssuedAt: now, Expires: now + 7200, ID: rand.Text(),
	}))
	input := encode([]byte(header)) + "." + encode(payload)
	return input + "." + encode(s.sign([]byte(input)))
}

// mintAll makes n different tokens, on all processors.
func (s *signer) mintAll(n int) []string {
	tokens := make([]string, n)
	var wg sync.WaitGroup
	workers := runtime.NumCPU()
	for w := range workers {
		wg.Go(func() {
			for i := w; i < n; i += workers {
				tokens[i] = s.mint(i)
			}
		})
	}
	wg.Wait()
	return tokens
}

// spoil gives the token with another signature, of the right length.
func spoil(token string) string {
	middle := len(token) - 20
	other := byte('A')
	if token[middle] == other {
		other = 'B'
	}
	return token[:middle] + string(other) + token[middle+1:]
}

// writeKeys puts what verifies the tokens into files, in the forms that gateways want: a PEM text, and a key set.
func (s *signer) writeKeys(dir string) (pemFile, setFile string, err error) {
	if s.public == nil {
		return "", "", nil
	}
	pemFile, setFile = filepath.Join(dir, s.alg+".pem"), filepath.Join(dir, s.alg+".json")
	if err := os.WriteFile(pemFile, []byte(s.pem()), 0o600); err != nil {
		return "", "", err
	}
	text, err := json.Marshal(map[string]any{"keys": []any{s.jwk()}})
	if err != nil {
		return "", "", err
	}
	return pemFile, setFile, os.WriteFile(setFile, text, 0o600)
}

func (s *signer) pem() string {
	der := must(x509.MarshalPKIXPublicKey(s.public))
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

func (s *signer) jwk() map[string]any {
	encode := base64.RawURLEncoding.EncodeToString
	jwk := map[string]any{"kid": keyID, "alg": s.alg, "use": "sig"}
	switch key := s.public.(type) {
	case *rsa.PublicKey:
		jwk["kty"], jwk["n"], jwk["e"] = "RSA", encode(key.N.Bytes()), encode(big.NewInt(int64(key.E)).Bytes())
	case *ecdsa.PublicKey:
		point := must(key.Bytes())
		jwk["kty"], jwk["crv"], jwk["x"], jwk["y"] = "EC", "P-256", encode(point[1:33]), encode(point[33:])
	case ed25519.PublicKey:
		jwk["kty"], jwk["crv"], jwk["x"] = "OKP", "Ed25519", encode(key)
	}
	return jwk
}

// must is for what cannot fail with keys and tokens of our own making.
func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// base64Secret is how most gateways want a shared secret; empty when there is none.
func (s *signer) base64Secret() string { return base64.StdEncoding.EncodeToString([]byte(s.secret)) }
