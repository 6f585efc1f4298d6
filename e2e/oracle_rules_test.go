//go:build e2e

package e2e_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"regexp"
	"strings"
	"unicode/utf8"

	pipeline "github.com/caddyjwt/gateway/internal/gate"
)

// oracleRule is a rule by which the gate judges differently from jose, and the reason for it.
type oracleRule struct {
	name, why string
	reasons   []pipeline.Reason // with which the gate refuses; not for laxer rules
	applies   func(reading) bool
}

func reasons(list ...pipeline.Reason) []pipeline.Reason { return list }

// stricterRules refuse what jose accepts. A rule applies when a lenient reader, which shares no code with the gate,
// finds that the token breaks it. The first rule that applies is counted.
var stricterRules = []oracleRule{
	{"base64url has one spelling", "RFC 7515 section 2: no padding, white space, other alphabet or trailing bits",
		reasons(pipeline.MalformedToken, pipeline.MalformedRequest), func(r reading) bool { return !r.canonical }},
	{"a token has at most 16 KiB", "a bound on what a stranger sends",
		reasons(pipeline.MalformedRequest), func(r reading) bool { return r.size > 16<<10 }},
	{"a header has at most 8 KiB", "a bound on what a stranger sends",
		reasons(pipeline.MalformedToken), func(r reading) bool { return len(r.header.text) > 8<<10 }},
	{"no byte order mark", "RFC 8259 section 8.1",
		reasons(pipeline.MalformedToken),
		either(func(o object) bool { return bytes.HasPrefix(o.text, []byte("\xef\xbb\xbf")) })},
	{"no lone surrogates", "RFC 8259 section 8.2: readers differ about them",
		reasons(pipeline.MalformedToken), either(func(o object) bool { return o.surrogates })},
	{"no member twice", "RFC 7515 section 4, RFC 7519 section 4: readers differ about which one counts",
		reasons(pipeline.MalformedToken), either(func(o object) bool { return o.twice })},
	{"headers are nested at most 5 deep, with at most 64 members", "a bound on what a stranger sends",
		reasons(pipeline.MalformedToken), func(r reading) bool { return r.header.depth > 5 || r.header.count > 64 }},
	{"claims are nested at most 16 deep, with at most 1024 members", "a bound on what a stranger sends",
		reasons(pipeline.MalformedToken), func(r reading) bool { return r.payload.depth > 16 || r.payload.count > 1024 }},
	{"no crit", "RFC 7515 section 4.1.11: no extension is implemented",
		reasons(pipeline.MalformedToken), inHeader("crit", func(any) bool { return true })},
	{"no b64", "RFC 7797 section 7: not in a JWT",
		reasons(pipeline.MalformedToken), inHeader("b64", func(any) bool { return true })},
	{"no enc or zip in a JWS", "RFC 7516 section 9: they tell a JWE",
		reasons(pipeline.MalformedToken), func(r reading) bool { return r.header.has("enc") || r.header.has("zip") }},
	{"typ is a string", "RFC 7515 section 4.1.9",
		reasons(pipeline.MalformedToken), inHeader("typ", func(v any) bool { _, ok := v.(string); return !ok })},
	{"typ is a media type without parameters", "RFC 7515 section 4.1.9",
		reasons(pipeline.InvalidType), inHeader("typ", notMediaType)},
	{"typ is not that of another kind of token", "RFC 8725 section 3.11",
		reasons(pipeline.InvalidType), inHeader("typ", func(v any) bool {
			s, ok := v.(string)
			return ok && (otherTypes.MatchString(s) && !accessTokens.MatchString(s) || kindWords.MatchString(s))
		})},
	{"cty is a media type", "RFC 7515 section 4.1.10",
		reasons(pipeline.MalformedToken), inHeader("cty", notMediaType)},
	{"no nested tokens", "RFC 7519 section 5.2: nobody would verify the inner one",
		reasons(pipeline.MalformedToken), inHeader("cty", func(v any) bool {
			s, ok := v.(string)
			return ok && tokenTypes.MatchString(s)
		})},
	{"iss, sub, jti and client_id are strings that name somebody", "RFC 7519 section 4.1, RFC 8693 section 4.3",
		reasons(pipeline.MalformedToken), func(r reading) bool {
			return r.payload.any(blankOrNoString, "iss", "sub", "jti", "client_id")
		}},
	{"aud has only strings that name somebody", "RFC 7519 section 4.1.3",
		reasons(pipeline.MalformedToken), func(r reading) bool { return r.payload.any(blankInList, "aud") }},
	{"aud, scope and scp have at most 1024 entries", "a bound on what a stranger sends",
		reasons(pipeline.MalformedToken), func(r reading) bool { return r.payload.any(longList, "aud", "scope", "scp") }},
	{"scope and scp are a string or have only strings", "RFC 8693 section 4.2",
		reasons(pipeline.MalformedToken), func(r reading) bool { return r.payload.any(noStrings, "scope", "scp") }},
	{"dates are between 1970 and 9999", "RFC 7519 section 2: seconds, not milliseconds or floods of digits",
		reasons(pipeline.MalformedToken), func(r reading) bool { return r.payload.any(noDate, "exp", "nbf", "iat") }},
	{"iat is not in the future", "it was issued by another clock than ours",
		reasons(pipeline.NotYetValid), func(r reading) bool {
			return r.payload.any(func(v any) bool { n, ok := number(v); return ok && n.Cmp(big.NewFloat(oracleNow)) > 0 }, "iat")
		}},
	{"no cnf", "RFC 7800: the token is bound to a key, and not a bearer token",
		reasons(pipeline.ProofRequired), func(r reading) bool { return r.payload.has("cnf") }},
	{"no word for another kind in the payload", "RFC 8725 section 3.12: where servers write the kind of a token",
		reasons(pipeline.InvalidType), func(r reading) bool {
			return r.payload.any(ofAnotherKind, "typ", "token_use", "token_type", "tokenName", "tokenType", "purpose") ||
				r.payload.any(func(v any) bool {
					s, ok := v.(string)
					return ok && strings.Contains(strings.ToLower(s), "refresh")
				}, "type")
		}},
	{"no type of bound tokens in the payload", "RFC 9449 section 5: the token is bound to a key",
		reasons(pipeline.ProofRequired), func(r reading) bool {
			return r.payload.any(func(v any) bool { return v == "DPoP" },
				"typ", "token_use", "token_type", "tokenName", "tokenType", "purpose")
		}},
	{"no object of events", "RFC 8417: a security event token is no access token",
		reasons(pipeline.InvalidType), func(r reading) bool { return r.payload.any(isObject, "events") }},
	{"no members of another kind",
		"RFC 9701, Token Status List, RFC 9449, RFC 9101, OpenID Connect Core 1.0, W3C VC Data Model 1.1",
		reasons(pipeline.InvalidType), func(r reading) bool {
			both := func(a, b string) bool { return r.payload.any(isSaid, a) && r.payload.any(isSaid, b) }
			return r.payload.any(isSaid, "token_introspection", "status_list", "sub_jwk", "c_hash", "s_hash") ||
				r.payload.any(isObject, "vp") || both("htm", "htu") || both("client_id", "response_type")
		}},
}

// laxerRules accept what jose refuses. Whatever they let pass, the issuer must have signed it.
var laxerRules = []oracleRule{}

var (
	otherTypes   = regexp.MustCompile(`(?i)(\+jwt|sd-jwt)$|^(application/)?(passport|jose\+json)$`)
	tokenTypes   = regexp.MustCompile(`(?i)jwt$|^(application/)?jose(\+json)?$`)
	accessTokens = regexp.MustCompile(`(?i)^(application/)?at\+jwt$`)
	kindWords    = regexp.MustCompile(`(?i)^(serialized-)?id([-_]?token)?$|^(refresh|offline|logout)([-_]?token)?$|` +
		`^(initial|registration)access[-_]?token$`)
)

// ofAnotherKind reports whether the value is a word or a media type for tokens of another kind than access tokens.
func ofAnotherKind(v any) bool {
	s, ok := v.(string)
	s = strings.TrimPrefix(s, "urn:ietf:params:oauth:token-type:")
	return ok &&
		(kindWords.MatchString(s) || strings.HasSuffix(strings.ToLower(s), "+jwt") && !accessTokens.MatchString(s))
}

func isObject(v any) bool { _, ok := v.(map[string]any); return ok }

func isSaid(v any) bool { return v != nil }

// reading is a token as a lenient reader sees it.
type reading struct {
	size            int
	canonical       bool // each part is the one right encoding of its bytes
	header, payload object
}

func read(token string) reading {
	r := reading{size: len(token), canonical: true}
	var decoded [][]byte
	for part := range strings.SplitSeq(token, ".") {
		text := strings.Map(func(c rune) rune {
			if strings.ContainsRune(" \t\r\n\f=", c) {
				return -1
			}
			return c
		}, part)
		b, _ := base64.RawURLEncoding.DecodeString(text)
		r.canonical = r.canonical && base64.RawURLEncoding.EncodeToString(b) == part
		decoded = append(decoded, b)
	}
	if len(decoded) == 3 {
		r.header, r.payload = readObject(decoded[0]), readObject(decoded[1])
	}
	return r
}

// object is a JSON text, read with encoding/json: of members with one name, the last counts, as in JavaScript.
type object struct {
	text              []byte
	members           map[string]any
	depth, count      int
	twice, surrogates bool
}

func readObject(text []byte) object {
	o := object{text: text}
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	_ = decoder.Decode(&o.members)
	decoder = json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	o.walk(decoder, 0)
	return o
}

// walk reads one value. An escape that is half a character comes out of encoding/json as U+FFFD.
func (o *object) walk(decoder *json.Decoder, depth int) (string, bool) {
	token, err := decoder.Token()
	if err != nil {
		return "", false
	}
	switch token := token.(type) {
	case json.Delim:
		depth++
		o.depth = max(o.depth, depth)
		names := map[string]bool{}
		for decoder.More() {
			if token == '{' {
				name, ok := o.walk(decoder, depth)
				if !ok {
					return "", false
				}
				o.twice = o.twice || names[name]
				names[name] = true
				o.count++
			}
			if _, ok := o.walk(decoder, depth); !ok {
				return "", false
			}
		}
		_, err = decoder.Token()
		return "", err == nil
	case string:
		if strings.ContainsRune(token, utf8.RuneError) && !bytes.Contains(o.text, []byte("\ufffd")) {
			o.surrogates = true
		}
		return token, true
	}
	return "", true
}

func (o object) has(name string) bool { _, ok := o.members[name]; return ok }

// any reports whether one of these members is there and broken.
func (o object) any(broken func(any) bool, names ...string) bool {
	for _, name := range names {
		if value, ok := o.members[name]; ok && broken(value) {
			return true
		}
	}
	return false
}

func either(broken func(object) bool) func(reading) bool {
	return func(r reading) bool { return broken(r.header) || broken(r.payload) }
}

func inHeader(name string, broken func(any) bool) func(reading) bool {
	return func(r reading) bool { return r.header.any(broken, name) }
}

var restrictedNames = regexp.MustCompile(
	`^[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}(/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126})?$`)

func notMediaType(v any) bool {
	s, ok := v.(string)
	return !ok || !restrictedNames.MatchString(s)
}

func blankOrNoString(v any) bool {
	s, ok := v.(string)
	return !ok || strings.TrimSpace(s) == ""
}

func blankInList(v any) bool {
	list, ok := v.([]any)
	if !ok {
		return blankOrNoString(v)
	}
	for _, one := range list {
		if blankOrNoString(one) {
			return true
		}
	}
	return len(list) == 0
}

func longList(v any) bool {
	list, _ := v.([]any)
	text, _ := v.(string)
	return max(len(list), len(strings.Fields(text))) > 1024
}

func noStrings(v any) bool {
	list, ok := v.([]any)
	for _, one := range list {
		if _, isString := one.(string); !isString {
			return true
		}
	}
	_, isString := v.(string)
	return !ok && !isString
}

// noDate reports whether the value is not a date. Zero with a minus is not one, nor is zero with more digits than
// a date needs.
func noDate(v any) bool {
	n, ok := number(v)
	return !ok || n.Sign() < 0 || n.Cmp(big.NewFloat(253402300800)) >= 0 ||
		strings.HasPrefix(v.(json.Number).String(), "-") || len(v.(json.Number)) > 64 ||
		manyExponents.MatchString(v.(json.Number).String())
}

var manyExponents = regexp.MustCompile(`[eE][+-]?0*[1-9][0-9]{2}`)

func number(v any) (*big.Float, bool) {
	text, ok := v.(json.Number)
	if !ok || manyExponents.MatchString(text.String()) {
		return nil, false
	}
	return new(big.Float).SetPrec(200).SetString(text.String())
}
