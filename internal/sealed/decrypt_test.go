package sealed_test

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"math/big"
	"testing"

	"github.com/go-jose/go-jose/v4"
	josecipher "github.com/go-jose/go-jose/v4/cipher"

	"github.com/caddyjwt/gateway/internal/sealed"
)

// made is a token with this header, encrypted with A256GCM and this key.
func made(header map[string]any, encryptedKey, key []byte) string {
	first := encode(must(json.Marshal(header)))
	iv := make([]byte, 12)
	both := must(cipher.NewGCM(must(aes.NewCipher(key)))).Seal(nil, iv, []byte("content"), []byte(first))
	content, tag := both[:len("content")], both[len("content"):]
	return first + "." + encode(encryptedKey) + "." + encode(iv) + "." + encode(content) + "." + encode(tag)
}

// The names of the two parties are part of what is agreed upon (RFC 7518 section 4.6.2).
func TestPartyInfo(t *testing.T) {
	p := ecPair(t, "ES256")
	sender := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	public, ok := p.public.(*ecdsa.PublicKey)
	if !ok {
		t.Fatal("not an EC key")
	}
	for _, test := range []struct {
		apu, apv string
		usedU    string
		usedV    string
		opens    bool
	}{
		{"", "", "", "", true},
		{"Alice", "", "Alice", "", true},
		{"", "Bob", "", "Bob", true},
		{"Alice", "Bob", "Alice", "Bob", true},
		{"Alice", "Bob", "Bob", "Alice", false},
		{"Alice", "Bob", "", "", false},
		{"", "", "Alice", "", false},
	} {
		header := map[string]any{"alg": "ECDH-ES", "enc": "A256GCM", "epk": jose.JSONWebKey{Key: &sender.PublicKey}}
		for name, text := range map[string]string{"apu": test.apu, "apv": test.apv} {
			if text != "" {
				header[name] = encode([]byte(text))
			}
		}
		key := josecipher.DeriveECDHES("A256GCM", []byte(test.usedU), []byte(test.usedV), sender, public, 32)
		content, err := sealed.OpenAny(made(header, nil, key), sealed.All(), keys(t, p.pem)...)
		if (err == nil) != test.opens || test.opens && string(content) != "content" {
			t.Errorf("%+v: %q, %v", test, content, err)
		}
	}
}

// A key of the content that has not the length of the encryption's is like one that cannot be decrypted.
func TestKeyOfAnotherLength(t *testing.T) {
	p := rsaPair(t)
	public, ok := p.public.(*rsa.PublicKey)
	if !ok {
		t.Fatal("not an RSA key")
	}
	header := map[string]any{"alg": "RSA-OAEP-256", "enc": "A256GCM"}
	for _, size := range []int{0, 1, 16, 24, 31, 32, 33, 64} {
		key := make([]byte, size)
		encrypted := must(rsa.EncryptOAEP(sha256.New(), rand.Reader, public, key, nil))
		with := make([]byte, 32) // what a reader would use that fills the key up, or cuts it
		_, err := sealed.OpenAny(made(header, encrypted, with), sealed.All(), keys(t, p.pem)...)
		if (err == nil) != (size == 32) || err != nil && !errors.Is(err, sealed.ErrNotOpened) {
			t.Errorf("a key of %d bytes: %v", size, err)
		}
	}
}

// A point that is on another curve, or on none, tells nothing about the key (RFC 8725 section 3.4).
func TestPointOffTheCurve(t *testing.T) {
	p := ecPair(t, "ES256")
	sender := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	other := must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	x, y := sender.X, sender.Y
	coordinate := func(n *big.Int, size int) string {
		return encode(n.FillBytes(make([]byte, size)))
	}
	order := elliptic.P256().Params().P
	for name, c := range map[string][2]string{
		"beside":        {coordinate(x, 32), coordinate(new(big.Int).Xor(y, big.NewInt(1)), 32)},
		"at infinity":   {coordinate(new(big.Int), 32), coordinate(new(big.Int), 32)},
		"of P-384":      {coordinate(other.X, 48), coordinate(other.Y, 48)},
		"too long":      {coordinate(x, 33), coordinate(y, 33)},
		"not reduced":   {coordinate(order, 32), coordinate(y, 32)},
		"one too short": {coordinate(x, 32)[:40], coordinate(y, 32)[:40]},
	} {
		header := map[string]any{"alg": "ECDH-ES", "enc": "A256GCM",
			"epk": map[string]any{"kty": "EC", "crv": "P-256", "x": c[0], "y": c[1]}}
		if _, err := sealed.OpenAny(made(header, nil, make([]byte, 32)), sealed.All(), keys(t, p.pem)...); err == nil {
			t.Errorf("%s: opened", name)
		}
	}
}
