package jose

import (
	"bytes"
	"strings"

	"github.com/caddyjwt/gateway/internal/strictjson"
)

// LooksLikeJWT reports whether a token is a JWT, and not an opaque token, which may contain dots, too. The text before
// the first dot of a JWT is an encoded JSON object with a member "alg".
//
// It is lenient on purpose. A JWT that is damaged or encoded unusually must be refused by [Parse]. If it counted as
// opaque, another reader would get it, and might not notice the damage.
func LooksLikeJWT(token string) bool {
	first, _, dot := strings.Cut(token, ".")
	if !dot {
		return false
	}
	var short [512]byte
	text := lenient(short[:0], first)
	text = bytes.TrimLeft(text, "\xef\xbb\xbf\xfe\xff \t\r\n")
	return len(text) > 0 && text[0] == '{' &&
		(bytes.Contains(text, []byte(`"alg"`)) || bytes.Contains(text, []byte(`\u`)))
}

// IsEncrypted reports whether a token is a JWE in compact serialisation (RFC 7516 section 7.1): five parts, the first
// of which is a JSON object with the members "alg" and "enc" (section 4.1). The other parts may be anything.
func IsEncrypted(token string) bool {
	first, rest, _ := strings.Cut(token, ".")
	if len(first) > (maxHeader*4+2)/3 || strings.Count(rest, ".") != 3 {
		return false
	}
	text := make([]byte, decodedLen(len(first)))
	n, ok := decode(text, first)
	if !ok {
		return false
	}
	header, err := strictjson.ParseObject(text[:n], headerLimits)
	if err != nil {
		return false
	}
	for _, name := range []string{"alg", "enc"} {
		value, _ := header.Member(name)
		if text, ok := value.Str(); !ok || text == "" {
			return false
		}
	}
	return true
}

// lenient appends what the most tolerant reader would decode text to. It takes both alphabets of RFC 4648 and skips
// everything else. It also skips decoded zero bytes, which turns UTF-16 into ASCII.
func lenient(dst []byte, text string) []byte {
	var group, bits uint
	for i := range len(text) {
		c := text[i]
		switch c {
		case '+':
			c = '-'
		case '/':
			c = '_'
		}
		sextet := sextets[c]
		if sextet == invalid {
			continue
		}
		group, bits = group<<6|uint(sextet), bits+6
		if bits >= 8 {
			bits -= 8
			if b := byte(group >> bits); b != 0 {
				dst = append(dst, b)
			}
		}
	}
	return dst
}
