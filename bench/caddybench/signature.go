package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"math/big"
	"net/http"
	"os"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func init() {
	caddy.RegisterModule(signature{})
	httpcaddyfile.RegisterHandlerDirective("signature", func(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		s := new(signature)
		h.Next()
		if !h.Args(&s.Key) {
			return nil, h.ArgErr()
		}
		return s, nil
	})
	httpcaddyfile.RegisterDirectiveOrder("signature", httpcaddyfile.Before, "basic_auth")
}

// signature checks the signature of the bearer token by crypto/* alone, and nothing else: not what the token says, nor
// how it is written. It is no gate; it is what a check costs inside a Caddy that has other things to do, too.
type signature struct {
	// Key is the file of a PEM public key, or else a secret.
	Key string `json:"key"`

	check func(input, signature []byte) bool
}

// CaddyModule returns the Caddy module information.
func (signature) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.signature", New: func() caddy.Module { return new(signature) }}
}

// Provision reads the key.
func (s *signature) Provision(caddy.Context) error {
	text, err := os.ReadFile(s.Key)
	if err != nil {
		s.check = func(input, signature []byte) bool {
			mac := hmac.New(sha256.New, []byte(s.Key))
			mac.Write(input)
			return hmac.Equal(mac.Sum(nil), signature)
		}
		return nil //nolint:nilerr // a key that names no file is a secret
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return errors.New("not a PEM file")
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return err
	}
	switch key := key.(type) {
	case *rsa.PublicKey:
		s.check = func(input, signature []byte) bool {
			sum := sha256.Sum256(input)
			return rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], signature) == nil
		}
	case *ecdsa.PublicKey:
		s.check = func(input, signature []byte) bool {
			sum, half := sha256.Sum256(input), len(signature)/2
			return ecdsa.Verify(key, sum[:], new(big.Int).SetBytes(signature[:half]), new(big.Int).SetBytes(signature[half:]))
		}
	case ed25519.PublicKey:
		s.check = func(input, signature []byte) bool { return ed25519.Verify(key, input, signature) }
	default:
		return errors.New("unknown kind of key")
	}
	return nil
}

// ServeHTTP refuses in the cheapest way: without an error that handle_errors could see.
func (s *signature) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	dot := max(strings.LastIndexByte(token, '.'), 0)
	signature, err := base64.RawURLEncoding.DecodeString(token[min(dot+1, len(token)):])
	if err != nil || !s.check([]byte(token[:dot]), signature) {
		w.WriteHeader(http.StatusUnauthorized)
		return nil //nolint:nilerr // the answer says it
	}
	return next.ServeHTTP(w, r)
}
