package tokentest

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// Prover is a client that proves that it has a key (DPoP, RFC 9449).
type Prover struct {
	Key *Key             // has no id: a proof carries its key
	Now func() time.Time // the clock for iat; nil for time.Now
}

// NewProver makes a client with a key for this algorithm, which no other call gives.
func NewProver(tb testing.TB, alg string) *Prover {
	tb.Helper()
	return &Prover{Key: &Key{Alg: alg, private: generate(tb, alg)}}
}

// Thumbprint is what a token that is bound to the key has as cnf.jkt (RFC 9449 section 6.1): the thumbprint of RFC 7638
// in base64url.
func (p *Prover) Thumbprint() string { return encodedHash(string(must(json.Marshal(p.jwk())))) }

// jwk is the public key. It has the members that a thumbprint is made of (RFC 7638 section 3.2), and no others.
func (p *Prover) jwk() map[string]any { return publicJWK(p.Key.Public()) }

// Proof is a proof for a request with an access token (RFC 9449 section 4.2), which is the value of the header field
// DPoP. Its htu is the address without query and fragment. An empty token is none, as at a token endpoint.
//
// edits are members of the payload that are added or replaced, those of the header with "header." before the name and
// those of the key in the header with "header.jwk.". nil removes one. json.RawMessage("null") makes it null.
func (p *Prover) Proof(tb testing.TB, method, url, token string, edits ...map[string]any) string {
	tb.Helper()
	header, payload := p.members(method, url, token)
	for _, edit := range edits {
		for name, value := range edit {
			in := payload
			if inKey, ok := strings.CutPrefix(name, "header.jwk."); ok {
				in, name = header["jwk"].(map[string]any), inKey
			} else if inHeader, ok := strings.CutPrefix(name, "header."); ok {
				in, name = header, inHeader
			}
			in[name] = value
			if value == nil {
				delete(in, name)
			}
		}
	}
	return p.Key.SignRaw(marshal(tb, header), marshal(tb, payload))
}

// members are those of a good proof.
func (p *Prover) members(method, url, token string) (header, payload map[string]any) {
	url, _, _ = strings.Cut(url, "#")
	url, _, _ = strings.Cut(url, "?")
	header = map[string]any{"typ": "dpop+jwt", "alg": p.Key.Alg, "jwk": p.jwk()}
	payload = map[string]any{"jti": rand.Text(), "htm": method, "htu": url, "iat": p.now().Unix()}
	if token != "" {
		payload["ath"] = encodedHash(token)
	}
	return header, payload
}

func (p *Prover) now() time.Time {
	if p.Now == nil {
		return time.Now()
	}
	return p.Now()
}

func encodedHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return encode(sum[:])
}
