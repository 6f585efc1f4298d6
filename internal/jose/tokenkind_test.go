package jose_test

import (
	"encoding/binary"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/caddyjwt/gateway/internal/jose"
)

func TestLooksLikeJWT(t *testing.T) {
	jwt := encode(`{"alg":"ES256"}`)
	for name, token := range map[string]string{
		"a JWT":                  signers()[jose.ES256].token(100),
		"unknown algorithm":      encode(`{"alg":"none"}`) + "..",
		"two parts":              jwt + ".e30",
		"a JWE":                  encode(`{"alg":"dir","enc":"A128GCM"}`) + "....",
		"with odd white space":   encode(" \r\n{ \"alg\" :1}") + ".x",
		"with padding":           encode(`{"alg":"ES256"} `) + "=.x.y",
		"with line ends":         jwt[:5] + "\n" + jwt[5:] + ".x.y",
		"in the other alphabet":  strings.ReplaceAll(encode(`{"alg":"ES256","x":"???"}`), "_", "/") + ".x.y",
		"with a byte order mark": encode("\ufeff"+`{"alg":"ES256"}`) + ".x.y",
		"in UTF-16":              encode(utf16LE(`{"alg":"ES256"}`)) + ".x.y",
		"with an escaped name":   encode(`{"\u0061lg":"ES256"}`) + ".x.y",
		"with a duplicate":       encode(`{"alg":"ES256","alg":"ES256"}`) + ".x.y",
		"with alg far behind":    encode(`{"x":"`+strings.Repeat("x", 20000)+`","alg":"ES256"}`) + ".x.y",
	} {
		if !jose.LooksLikeJWT(token) {
			t.Errorf("%s counts as opaque", name)
		}
	}
	for name, token := range map[string]string{
		"nothing":              "",
		"no dot":               "2YotnFZFEjr1zCsicMWpAA",
		"a header alone":       jwt,
		"dots in a random one": "ya29.a0AfH6SMBx.1//0e",
		"dots":                 "...",
		"JSON without alg":     encode(`{"user":1}`) + ".YWJj.sig",
		"an array":             encode(`["alg"]`) + ".x.y",
		"text with alg":        encode(`"alg"`) + ".x.y",
		"part two":             "x." + jwt + ".y",
	} {
		if jose.LooksLikeJWT(token) {
			t.Errorf("%s counts as a JWT", name)
		}
	}
}

func TestIsEncrypted(t *testing.T) {
	const rest = ".a2V5.aXY.Y3Q.dGFn"
	for name, token := range map[string]string{
		"a key of its own":      encode(`{"alg":"RSA-OAEP-256","enc":"A256GCM"}`) + rest,
		"a shared key":          encode(`{"alg":"dir","enc":"A128GCM"}`) + "..aXY.Y3Q.dGFn",
		"a nested token":        encode(`{"alg":"dir","enc":"A128GCM","cty":"JWT","zip":"DEF"}`) + rest,
		"members in any order":  encode(`{"enc":"A128GCM","kid":"1","alg":"dir"}`) + rest,
		"nothing else in parts": encode(`{"alg":"dir","enc":"A128GCM"}`) + "....",
	} {
		if !jose.IsEncrypted(token) || !jose.LooksLikeJWT(token) {
			t.Errorf("%s does not count as a JWE", name)
		}
		if _, err := jose.Parse(token, nil); !is(err, jose.ErrMalformed) {
			t.Errorf("%s parses with %v", name, err)
		}
	}
	jwe := encode(`{"alg":"dir","enc":"A128GCM"}`)
	for name, token := range map[string]string{
		"nothing":               "",
		"dots":                  "....",
		"a JWT":                 signers()[jose.ES256].token(100),
		"a JWT with two more":   signers()[jose.ES256].token(100) + ".a.b",
		"three parts":           jwe + ".a.b",
		"four parts":            jwe + ".a.b.c",
		"six parts":             jwe + rest + ".a",
		"without enc":           encode(`{"alg":"dir"}`) + rest,
		"without alg":           encode(`{"enc":"A128GCM"}`) + rest,
		"enc is not a string":   encode(`{"alg":"dir","enc":1}`) + rest,
		"enc is empty":          encode(`{"alg":"dir","enc":""}`) + rest,
		"enc twice":             encode(`{"alg":"dir","enc":"A128GCM","enc":"A128GCM"}`) + rest,
		"not base64url":         jwe + "=" + rest,
		"not JSON":              encode(`{"alg":"dir","enc":"A128GCM"`) + rest,
		"an array":              encode(`["alg","enc"]`) + rest,
		"a header without end":  encode(`{"alg":"dir","enc":"A128GCM","x":"`+strings.Repeat("x", 20000)+`"}`) + rest,
		"an opaque one":         "an.opaque.token.with.dots",
		"the header comes last": "a2V5.aXY.Y3Q.dGFn." + jwe,
	} {
		if jose.IsEncrypted(token) {
			t.Errorf("%s counts as a JWE", name)
		}
	}
}

func utf16LE(s string) []byte {
	b := []byte{0xff, 0xfe}
	for _, u := range utf16.Encode([]rune(s)) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return b
}
