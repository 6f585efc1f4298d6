package jose_test

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/jose"
)

func TestDecodeAllLengths(t *testing.T) {
	for n := range 300 {
		want := randomBytes(n)
		got, ok := jose.Decode(encode(want))
		if !ok || !bytes.Equal(got, want) {
			t.Fatalf("%d bytes: got %x, %v, want %x", n, got, ok, want)
		}
	}
}

// Only one text stands for given bytes (RFC 7515 section 2).
func TestDecodeRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"padding":                          "YQ==",
		"padding of one":                   "YWE=",
		"padding where none belongs":       "YWFh=",
		"a single character":               "A",
		"five characters":                  "AAAAA",
		"set bits after one byte":          "YR",
		"set bits after two bytes":         "YWF",
		"plus":                             "+AAA",
		"slash":                            "AAA/",
		"line feed inside":                 "YW\nFh",
		"carriage return at the end":       "YWFh\r",
		"line end only":                    "\r\n",
		"space":                            "YW Fh",
		"percent escape":                   "YQ%3D",
		"exclamation mark":                 "YW!h",
		"tilde":                            "YW~h",
		"question mark":                    "YW?h",
		"dot":                              "YW.h",
		"zero byte":                        "YW\x00h",
		"high byte":                        "YW\x80h",
		"all high bytes":                   "\xff\xff\xff\xff",
		"full-width hyphen":                "YW－h",
		"bad byte in a remainder of two":   "AAAAA\x00",
		"bad byte in a remainder of three": "AAAAAA\x00",
	} {
		if got, ok := jose.Decode(text); ok {
			t.Errorf("%s: decoded to %x", name, got)
		}
	}
	for b := range 256 {
		want := strings.ContainsRune("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", rune(b)) && b < 0x80
		for i := range 4 {
			text := []byte("AAAA")
			text[i] = byte(b)
			if _, ok := jose.Decode(string(text)); ok != want {
				t.Errorf("byte %#x at %d: %v, want %v", b, i, ok, want)
			}
		}
	}
}

// The decoder agrees with the strict mode of encoding/base64, except on CR and LF, which encoding/base64 skips.
func FuzzDecode(f *testing.F) {
	for _, text := range []string{"", "YQ", "YWE", "YWFh", "YR", "YWF", "-_-_", "AA\nAA", "A", "AAAAA", "\xff\xff"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, ok := jose.Decode(text)
		want, err := base64.RawURLEncoding.Strict().DecodeString(text)
		if wantOK := err == nil && !strings.ContainsAny(text, "\r\n"); ok != wantOK {
			t.Fatalf("%q: %v, want %v", text, ok, wantOK)
		}
		if ok && (!bytes.Equal(got, want) || encode(got) != text) {
			t.Fatalf("%q decodes to %x, want %x", text, got, want)
		}
	})
}
