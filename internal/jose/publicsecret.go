package jose

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"strings"
)

// recogniseKey says in words what kind of key or certificate a supposed secret is. It is empty if the secret is
// neither.
//
// Some libraries distinguish public keys from secrets by the beginning of the text. They have been bypassed again and
// again, with white space, byte order marks, other line ends and other encodings. So recogniseKey ignores all that, and
// looks into the usual encodings of keys.
func recogniseKey(secret []byte) string { return recognise(secret, 2) }

// recognise looks into at most depth nested encodings.
func recognise(secret []byte, depth int) string {
	if what := binaryKey(secret); what != "" {
		return what
	}
	text := visible(secret)
	if what := armoured(text); what != "" {
		return what
	}
	if hasMembers(text) {
		return "a JSON document, as a JWK is"
	}
	if depth == 0 {
		return ""
	}
	for _, decoded := range decodings(text) {
		if what := recognise(decoded, depth-1); what != "" {
			return what
		}
	}
	return ""
}

// hasMembers reports whether a text without white space is JSON with a member in it, as every JWK is. Other JSON does
// not count: the visible part of random bytes is something like "[]" or "[7]" often enough to matter.
func hasMembers(text string) bool {
	return text != "" && (text[0] == '{' || text[0] == '[') && strings.Contains(text, `":`) && json.Valid([]byte(text))
}

// visible keeps only printable ASCII. That removes white space of all kinds, byte order marks and the zero bytes of
// UTF-16. It also removes line ends that are written as a backslash and a letter.
func visible(secret []byte) string {
	kept := make([]byte, 0, len(secret))
	for _, b := range secret {
		if 0x20 < b && b < 0x7F {
			kept = append(kept, b)
		}
	}
	if !bytes.ContainsRune(kept, '\\') {
		return string(kept)
	}
	return lineEnds.Replace(string(kept))
}

var lineEnds = strings.NewReplacer(`\r`, "", `\n`, "", `\t`, "")

// armoured recognises the text forms of keys: PEM (RFC 7468), its variant with four dashes (RFC 4716), and OpenSSH
// lines, whose base64 begins with the name of the algorithm.
func armoured(text string) string {
	lower := strings.ToLower(text)
	switch {
	case strings.Contains(lower, "----begin"), strings.Contains(lower, "----end"):
		return "a PEM file"
	case strings.Contains(text, "AAAAB3NzaC1"), // ssh-rsa, ssh-dss
		strings.Contains(text, "AAAAC3NzaC1lZDI1NTE5"), // ssh-ed25519
		strings.Contains(text, "AAAAE2VjZHNhLXNoYTIt"), // ecdsa-sha2-
		strings.Contains(text, "AAAAGnNrLXNzaC1lZDI1NTE5"),
		strings.Contains(text, "AAAAInNrLWVjZHNhLXNoYTIt"):
		return "an OpenSSH public key"
	default:
		return ""
	}
}

// decodings returns what text stands for if it is hex or base64.
func decodings(text string) (decoded [][]byte) {
	text = strings.Trim(text, `"'`+"`")
	if b, err := hex.DecodeString(strings.ReplaceAll(text, ":", "")); err == nil {
		decoded = append(decoded, b)
	}
	base := standardAlphabet.Replace(strings.TrimRight(text, "="))
	if b, err := base64.RawStdEncoding.DecodeString(base); err == nil {
		decoded = append(decoded, b)
	}
	return decoded
}

// standardAlphabet turns base64url into base64.
var standardAlphabet = strings.NewReplacer("-", "+", "_", "/")

// binaryKey recognises the binary forms of keys and certificates, even if other bytes follow.
func binaryKey(b []byte) string {
	for _, prefix := range []string{"\x00\x00\x00\x07ssh-", "\x00\x00\x00\x0bssh-ed25519", "\x00\x00\x00\x13ecdsa-sha2-"} {
		if bytes.HasPrefix(b, []byte(prefix)) {
			return "an OpenSSH public key"
		}
	}
	if isPoint(b) {
		return "a point on an elliptic curve"
	}
	b = bytes.TrimLeft(b, "\xef\xbb\xbf \t\r\n")
	if len(b) == 0 || b[0] != sequence { // nearly all secrets; the parsers below would cost more than all other checks
		return ""
	}
	var first asn1.RawValue
	if _, err := asn1.Unmarshal(b, &first); err != nil {
		return ""
	}
	return derKey(first.FullBytes)
}

// isPoint recognises an uncompressed point of a curve of JOSE.
func isPoint(b []byte) bool {
	if len(b) == 0 || b[0] != pointMark { // nearly all secrets: the errors below cost more than other checks
		return false
	}
	for _, curve := range []elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()} {
		if _, err := ecdsa.ParseUncompressedPublicKey(curve, b); err == nil {
			return true
		}
	}
	return false
}

// pointMark is the first byte of an uncompressed point (SEC 1 section 2.3.3).
const pointMark = 0x04

// sequence is the first byte of every SEQUENCE in DER (X.690 sections 8.1.2 and 8.9.1). All forms that derKey
// recognises are sequences.
const sequence = 0x30

func derKey(der []byte) string {
	if _, err := x509.ParsePKIXPublicKey(der); err == nil {
		return "a public key"
	}
	if _, err := x509.ParsePKCS1PublicKey(der); err == nil {
		return "an RSA public key"
	}
	if _, err := x509.ParseCertificate(der); err == nil {
		return "a certificate"
	}
	if _, err := x509.ParseCertificateRequest(der); err == nil {
		return "a certificate request"
	}
	if _, err := x509.ParsePKCS8PrivateKey(der); err == nil {
		return "a private key"
	}
	if _, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return "an RSA private key"
	}
	if _, err := x509.ParseECPrivateKey(der); err == nil {
		return "an EC private key"
	}
	return ""
}
