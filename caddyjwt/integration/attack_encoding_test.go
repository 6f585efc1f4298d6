package integration

import (
	"encoding/base64"
	"net/url"
	"strconv"
	"strings"
	"testing"
)

// A verifier and another reader decode the same text differently when the decoder is lenient: standard alphabet,
// padding, unused bits, ignored characters (CVE-2022-25898). There is one encoding of a token, and all others are
// refused.
func TestAttackEncodingOfTheParts(t *testing.T) {
	s := start(t, gateFor(consumerAlice(t), "token_from query jwt"))
	key := hmacKey(t)
	// A signature that has "-" and "_" in it, so that the other alphabet differs.
	var token string
	for i := 0; !strings.Contains(token[strings.LastIndexByte(token, '.')+1:], "-") ||
		!strings.Contains(token[strings.LastIndexByte(token, '.')+1:], "_"); i++ {
		token = key.Sign(t, claims("jti", strconv.Itoa(i)))
	}
	query := func(a *attempt, text string) answer {
		a.secret(token)
		return a.get("/?jwt="+url.QueryEscape(text), "")
	}
	s.attack(t, "control: passes", func(t *testing.T, a *attempt) { a.passed(query(a, token)) })
	parts := strings.Split(token, ".")
	last := token[len(token)-1]
	alphabet := "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	for name, changed := range map[string]string{
		"the standard alphabet":       strings.NewReplacer("-", "+", "_", "/").Replace(token),
		"padding after the signature": token + "=",
		"padding after the payload":   parts[0] + "." + parts[1] + "=." + parts[2],
		"padding after the header":    parts[0] + "==." + parts[1] + "." + parts[2],
		"unused bits":                 token[:len(token)-1] + string(alphabet[strings.IndexByte(alphabet, last)+1]),
		"an exclamation mark":         token[:10] + "!" + token[10:],
		"a space":                     token[:10] + " " + token[10:],
		"a space before":              " " + token,
		"a line end":                  token[:10] + "\n" + token[10:],
		"a line end after":            token + "\r\n",
		"a tilde":                     token[:10] + "~" + token[10:],
		"a byte above 127":            token[:10] + "\x80" + token[10:],
		"a full-width letter":         token[:10] + "－" + token[10:],
		"a NUL":                       token[:10] + "\x00" + token[10:],
		"a NUL after":                 token + "\x00",
		"a byte order mark":           "\xef\xbb\xbf" + token,
		"a percent sign":              strings.Replace(token, ".", "%2E", 1),
		"a quote":                     `"` + token + `"`,
		"angle brackets":              "<" + token + ">",
		"a comma":                     token + ",",
		"a semicolon":                 token + ";",
		"one character more":          token + "A",
		"the scheme":                  "Bearer " + token,
		"UTF-16":                      "\xff\xfe" + strings.Join(strings.Split(token, ""), "\x00"),
		"other dots":                  strings.ReplaceAll(token, ".", "。"),
		"base64 of the whole":         base64.StdEncoding.EncodeToString([]byte(token)),
		"signature in standard base64": parts[0] + "." + parts[1] + "." +
			base64.StdEncoding.EncodeToString(unb64(t, parts[2])),
		"payload not encoded":   parts[0] + "." + asJSON(t, claims()) + "." + parts[2],
		"payload encoded twice": parts[0] + "." + b64(parts[1]) + "." + parts[2],
	} {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			a.refusedFor(query(a, changed), "malformed_token", "malformed_request", "invalid_signature")
		})
	}
}

// A token is split at its dots by code that expects two of them: CVE-2019-18848, and CVE-2025-30204 and CVE-2025-27144
// for memory by the dot. Any other number is refused before anything is decoded.
func TestAttackEncodingNumberOfParts(t *testing.T) {
	s := start(t, gateFor(consumerAlice(t)))
	token := hmacKey(t).Sign(t, claims())
	p := strings.Split(token, ".")
	for name, text := range map[string]string{
		"one part":       p[0],
		"two parts":      p[0] + "." + p[1],
		"four parts":     token + "." + p[2],
		"five parts":     token + "." + p[1] + "." + p[2],
		"six parts":      token + "." + token,
		"leading dot":    "." + token,
		"trailing dot":   token + ".",
		"double dot":     p[0] + ".." + p[1] + "." + p[2],
		"no payload":     p[0] + ".." + p[2],
		"no header":      "." + p[1] + "." + p[2],
		"no signature":   p[0] + "." + p[1] + ".",
		"one dot":        ".",
		"two dots":       "..",
		"three dots":     "...",
		"15,000 dots":    strings.Repeat(".", 15000),
		"dots and A":     strings.Repeat("A.", 7500),
		"SD-JWT":         token + "~" + b64(`["salt","sub","admin"]`) + "~",
		"a header alone": p[0] + ".A.A",
	} {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			a.cheaply(func() { a.refusedFor(a.send(text), "malformed_token", "malformed_request") })
		})
	}
}

// The JSON serialisation of JWS carries several signatures and unprotected headers; verifiers that accept it where a
// compact token belongs verify one thing and read another: CVE-2016-9122, CVE-2022-39227.
func TestAttackEncodingJSONSerialisation(t *testing.T) {
	s := start(t, gateFor(consumerAlice(t), "token_from query jwt", "token_from form jwt"))
	p := strings.Split(hmacKey(t).Sign(t, claims()), ".")
	general := asJSON(t, map[string]any{"payload": p[1], "signatures": []any{
		map[string]any{"protected": p[0], "signature": p[2]}, map[string]any{"protected": p[0], "signature": "AAAA"}}})
	flat := asJSON(t, map[string]any{"payload": p[1], "protected": p[0], "signature": p[2]})
	polyglot := `{"protected":"` + p[0] + `","payload":"` + p[1] + `","signature":"` + p[2] + `","x":".` + b64(`{}`) +
		`."}`
	for name, text := range map[string]string{"general": general, "flattened": flat, "polyglot": polyglot,
		"in base64": b64(flat), "in base64 with dots": b64(flat) + "." + p[1] + "." + p[2]} {
		s.attack(t, name+" in the header", func(t *testing.T, a *attempt) {
			a.refusedFor(a.send(text), "malformed_request", "malformed_token", "missing_token")
		})
		s.attack(t, name+" in the query", func(t *testing.T, a *attempt) {
			a.refusedFor(a.get("/?jwt="+url.QueryEscape(text), ""), "malformed_request", "malformed_token")
		})
	}
}
