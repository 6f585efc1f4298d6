package tokentest

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"math/big"
	"strings"
	"time"
	"unicode/utf16"
)

// Disguises are texts, by name, in which somebody may have a public key. Checks for a public key in the place of a
// shared secret have missed some of them: CVE-2017-11424 (PKCS#1), CVE-2022-29217 (OpenSSH), CVE-2023-48223 (white
// space). The key is RSA, ECDSA or Ed25519.
func Disguises(key crypto.PublicKey) map[string][]byte {
	spki := must(x509.MarshalPKIXPublicKey(key))
	spkiPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki})
	certificate := selfSigned(key)
	jwk := must(json.Marshal(publicJWK(key)))
	kind, blob := sshKey(key)
	ssh := base64.StdEncoding.EncodeToString(blob)
	all := PEMDisguises(spkiPEM)
	maps.Copy(all, map[string][]byte{
		"SPKI DER":              spki,
		"SPKI DER and newline":  append(bytes.Clone(spki), '\n'),
		"newline and SPKI DER":  append([]byte("\n"), spki...),
		"base64 of SPKI":        []byte(base64.StdEncoding.EncodeToString(spki)),
		"base64url of SPKI":     []byte(base64.RawURLEncoding.EncodeToString(spki)),
		"base64 in lines":       spkiPEM[bytes.IndexByte(spkiPEM, '\n')+1 : bytes.Index(spkiPEM, []byte("-----END"))],
		"base64 in quotes":      []byte(`"` + base64.StdEncoding.EncodeToString(spki) + `"`),
		"base64 of base64":      []byte(base64.StdEncoding.EncodeToString([]byte(base64.StdEncoding.EncodeToString(spki)))),
		"base64 of PEM":         []byte(base64.StdEncoding.EncodeToString(spkiPEM)),
		"hex of SPKI":           []byte(hex.EncodeToString(spki)),
		"hex with colons":       []byte(strings.ReplaceAll(fmt.Sprintf("% X", spki), " ", ":")),
		"JWK":                   jwk,
		"JWK with white space":  append([]byte(" \t\r\n"), jwk...),
		"JWK with a BOM":        append([]byte("\xef\xbb\xbf"), jwk...),
		"JWK in UTF-16":         utf16LE(string(jwk)),
		"base64url of JWK":      []byte(encode(jwk)),
		"indented JWK":          must(json.MarshalIndent(publicJWK(key), "", "\t")),
		"JWKS":                  []byte(`{"keys":[` + string(jwk) + `]}`),
		"array of JWK":          []byte(`[` + string(jwk) + `]`),
		"JWK with escaped name": bytes.Replace(jwk, []byte(`"kty"`), []byte(`"\u006bty"`), 1),
		"certificate PEM":       pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate}),
		"certificate DER":       certificate,
		"x5c entry":             []byte(base64.StdEncoding.EncodeToString(certificate)),
		"OpenSSH line":          []byte(kind + " " + ssh + " me@example\n"),
		"OpenSSH blob":          blob,
		"OpenSSH base64":        []byte(ssh),
		"SSH2 file":             []byte("---- BEGIN SSH2 PUBLIC KEY ----\n" + ssh + "\n---- END SSH2 PUBLIC KEY ----\n"),
	})
	if key, ok := key.(*rsa.PublicKey); ok {
		pkcs1 := x509.MarshalPKCS1PublicKey(key)
		all["PKCS#1 PEM"] = pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: pkcs1})
		all["PKCS#1 DER"] = pkcs1
		all["base64 of PKCS#1"] = []byte(base64.StdEncoding.EncodeToString(pkcs1))
	}
	if key, ok := key.(*ecdsa.PublicKey); ok {
		point := must(key.Bytes())
		all["point"] = point
		all["hex of point"] = []byte(hex.EncodeToString(point))
	}
	return all
}

// PEMDisguises are forms of a PEM text, by name, that differ in what surrounds and separates its lines.
func PEMDisguises(text []byte) map[string][]byte {
	s := string(text)
	return map[string][]byte{
		"PEM":                      text,
		"PEM without last newline": []byte(strings.TrimSuffix(s, "\n")),
		"PEM after white space":    []byte(" \t\r\n" + s),
		"PEM after a BOM":          []byte("\xef\xbb\xbf" + s),
		"PEM after no-break space": []byte("\u00a0" + s),
		"PEM after zero":           []byte("\x00" + s),
		"PEM with CR LF":           []byte(strings.ReplaceAll(s, "\n", "\r\n")),
		"PEM with CR":              []byte(strings.ReplaceAll(s, "\n", "\r")),
		"PEM in one line":          []byte(strings.ReplaceAll(s, "\n", "")),
		"PEM with spaces":          []byte(strings.ReplaceAll(s, "\n", " ")),
		"PEM with escaped lines":   []byte(strings.ReplaceAll(s, "\n", `\n`)),
		"PEM with tab before end":  []byte(strings.ReplaceAll(s, "\n-----END", "\n\t-----END")),
		"PEM with indentation":     []byte(strings.ReplaceAll(s, "\n", "\n    ")),
		"PEM in lower case":        []byte(strings.ToLower(s)),
		"PEM in a JSON string":     must(json.Marshal(s)),
		"PEM without begin":        []byte(s[strings.Index(s, "\n"):]),
		"PEM without end":          []byte(s[:strings.Index(s, "-----END")]),
		"PEM in UTF-16":            utf16LE(s),
		"PEM after text":           []byte("my key\n" + s),
	}
}

func utf16LE(s string) []byte {
	b := []byte{0xff, 0xfe}
	for _, u := range utf16.Encode([]rune(s)) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return b
}

// publicJWK is a public key as RFC 7517 writes it, without optional parameters.
func publicJWK(key crypto.PublicKey) map[string]any {
	switch key := key.(type) {
	case *rsa.PublicKey:
		return map[string]any{"kty": "RSA", "n": encode(key.N.Bytes()), "e": encode(big.NewInt(int64(key.E)).Bytes())}
	case *ecdsa.PublicKey:
		point := must(key.Bytes())
		half := 1 + len(point)/2 // after the byte 4, both coordinates at their full length
		curve := key.Curve.Params().Name
		return map[string]any{"kty": "EC", "crv": curve, "x": encode(point[1:half]), "y": encode(point[half:])}
	case ed25519.PublicKey:
		return map[string]any{"kty": "OKP", "crv": "Ed25519", "x": encode(key)}
	default:
		panic(fmt.Sprintf("tokentest: no JWK for %T", key))
	}
}

// sshKey is a public key as OpenSSH has it (RFC 4253 section 6.6, RFC 5656 section 3.1, RFC 8709 section 4).
func sshKey(key crypto.PublicKey) (kind string, blob []byte) {
	var parts [][]byte
	switch key := key.(type) {
	case *rsa.PublicKey:
		parts = [][]byte{[]byte("ssh-rsa"), big.NewInt(int64(key.E)).Bytes(), append([]byte{0}, key.N.Bytes()...)}
	case *ecdsa.PublicKey:
		curve := map[int]string{256: "nistp256", 384: "nistp384", 521: "nistp521"}[key.Curve.Params().BitSize]
		parts = [][]byte{[]byte("ecdsa-sha2-" + curve), []byte(curve), must(key.Bytes())}
	case ed25519.PublicKey:
		parts = [][]byte{[]byte("ssh-ed25519"), key}
	}
	for _, part := range parts {
		blob = binary.BigEndian.AppendUint32(blob, uint32(len(part)))
		blob = append(blob, part...)
	}
	return string(parts[0]), blob
}

// selfSigned is a certificate for a key. Another key has signed it, under the same name.
func selfSigned(key crypto.PublicKey) []byte {
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().AddDate(1, 0, 0)}
	_, ca, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic("tokentest: " + err.Error())
	}
	return must(x509.CreateCertificate(rand.Reader, template, template, key, ca))
}

// must is for what cannot fail with the keys of this package.
func must[T any](v T, err error) T {
	if err != nil {
		panic("tokentest: " + err.Error())
	}
	return v
}
