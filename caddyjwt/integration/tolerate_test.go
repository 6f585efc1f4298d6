package integration

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// jsonText is the value of a claim as the server writes it.
func jsonText(text string) json.RawMessage { return json.RawMessage(text) }

// tolerance is a word of "tolerate", with claims that it admits and claims that almost have that shape.
type tolerance struct {
	word     string
	lines    []string         // what the word needs beside it
	admitted map[string][]any // changes to good claims
	without  []string         // the reasons for which these are refused without the word
	near     map[string][]any
}

func tolerances() []tolerance {
	now := time.Now().Unix()
	seconds, milliseconds := strconv.FormatInt(now+300, 10), strconv.FormatInt((now+300)*1000, 10)
	return []tolerance{
		{word: "numeric_subject", without: []string{"malformed_token"},
			admitted: map[string][]any{
				"an integer": {"sub", jsonText("4711")}, "zero": {"sub", jsonText("0")},
				"the largest of 64 bits": {"sub", jsonText("18446744073709551615")},
			},
			near: map[string][]any{
				"a fraction": {"sub", jsonText("4711.0")}, "an exponent": {"sub", jsonText("4e3")},
				"a large exponent": {"sub", jsonText("1E9")}, "a sign": {"sub", jsonText("-4711")},
				"a negative zero": {"sub", jsonText("-0")}, "21 digits": {"sub", jsonText("184467440737095516150")},
				"a boolean": {"sub", jsonText("true")}, "a list": {"sub", jsonText("[4711]")},
				"an object": {"sub", jsonText(`{"id":4711}`)}, "null": {"sub", jsonText("null")}, "empty": {"sub", ""},
				"blank": {"sub", " "}, "another claim": {"jti", jsonText("4711")}, "the client": {"client_id", jsonText("4711")},
				"the audience": {"aud", jsonText("4711")}, "a number in the audience": {"aud", jsonText(`["` + audience + `",1]`)},
			},
		},
		{word: "empty_subject", without: []string{"malformed_token"},
			admitted: map[string][]any{"empty": {"sub", ""}, "empty, and a client": {"sub", "", "client_id", "c"}},
			near: map[string][]any{
				"blank": {"sub", " "}, "a tab": {"sub", "\t"}, "a blank of Unicode": {"sub", "\u00a0"},
				"null": {"sub", jsonText("null")}, "a number": {"sub", jsonText("0")}, "false": {"sub", jsonText("false")},
				"an empty list": {"sub", jsonText("[]")}, "an empty object": {"sub", jsonText("{}")},
				"the id": {"jti", ""}, "the client": {"client_id", ""}, "the audience": {"aud", ""},
				"in the audience": {"aud", jsonText(`["` + audience + `",""]`)},
			},
		},
		{word: "null_claims", without: []string{"malformed_token"},
			admitted: map[string][]any{
				"sub": {"sub", jsonText("null")}, "dates that may be absent": {"nbf", jsonText("null"), "iat", jsonText("null")},
				"names":  {"jti", jsonText("null"), "client_id", jsonText("null")},
				"scopes": {"scope", jsonText("null"), "scp", jsonText("null")},
			},
			near: map[string][]any{
				"exp": {"exp", jsonText("null")}, "iss": {"iss", jsonText("null")}, "aud": {"aud", jsonText("null")},
				"null in a list": {"aud", jsonText(`["` + audience + `",null]`)}, "a scope": {"scope", jsonText(`["a",null]`)},
				"the text null": {"nbf", "null"}, "empty": {"sub", ""}, "false": {"jti", jsonText("false")},
				"zero": {"client_id", jsonText("0")}, "a key to which it is bound": {"cnf", jsonText("null")},
			},
		},
		{word: "text_dates", without: []string{"malformed_token"},
			admitted: map[string][]any{
				"exp": {"exp", seconds}, "all": {"exp", seconds, "nbf", strconv.FormatInt(now, 10), "iat", "1700000000"},
				"with an escape": {"exp", jsonText(`"\u00` + strconv.FormatInt(int64(seconds[0]), 16) + seconds[1:] + `"`)},
				"nbf in 1970":    {"nbf", "0"},
			},
			near: map[string][]any{
				"a blank before": {"exp", " " + seconds}, "a blank after": {"exp", seconds + " "},
				"a line end": {"exp", seconds + "\n"}, "a plus": {"exp", "+" + seconds}, "a minus": {"nbf", "-1"},
				"a fraction": {"exp", seconds + ".0"}, "an exponent": {"exp", "2e9"}, "a leading zero": {"exp", "0" + seconds},
				"hexadecimal": {"exp", "0x" + strconv.FormatInt(now+300, 16)}, "milliseconds": {"exp", milliseconds},
				"RFC 3339": {"exp", time.Unix(now+300, 0).UTC().Format(time.RFC3339)}, "empty": {"exp", ""},
				"digits of another script": {"exp", "١٧٠٠٠٠٠٠٠٠"}, "a separator": {"exp", seconds[:4] + "_" + seconds[4:]},
				"a list": {"exp", jsonText("[" + seconds + "]")}, "null": {"exp", jsonText("null")},
				"many digits": {"exp", strings.Repeat("9", 400)}, "expired": {"exp", "1700000000"},
				"not yet": {"nbf", seconds},
			},
		},
		{word: "millisecond_dates", without: []string{"malformed_token"},
			admitted: map[string][]any{
				"all":                {"exp", jsonText(milliseconds), "iat", now * 1000, "nbf", now * 1000},
				"with a fraction":    {"exp", jsonText(milliseconds + ".5"), "iat", now * 1000},
				"an iat in seconds":  {"exp", jsonText(milliseconds)},
				"with an exponent":   {"exp", jsonText("4e12")},
				"the end of 9999 is": {"exp", jsonText("253402300799999")},
			},
			near: map[string][]any{
				"seconds": {"exp", now + 300},
				"an exp in milliseconds that has expired": {"exp", (now - 300) * 1000},
				"an iat ahead": {"exp", jsonText(milliseconds), "iat", (now + 600) * 1000},
				"an nbf ahead": {"exp", jsonText(milliseconds), "nbf", (now + 600) * 1000},
				"microseconds": {"exp", (now + 300) * 1000000}, "a text": {"exp", milliseconds},
				"negative": {"exp", jsonText("-1")}, "the year 10000": {"exp", jsonText("253402300800000")},
				"giant": {"exp", jsonText("1e300")}, "null": {"exp", jsonText("null")}, "none": {"exp", nil},
			},
		},
		{word: "missing_exp", lines: []string{"max_lifetime 10m"}, without: []string{"missing_claim"},
			admitted: map[string][]any{
				"none":                   {"exp", nil},
				"none, and a minute old": {"exp", nil, "iat", now - 60},
			},
			near: map[string][]any{
				"none, and no iat": {"exp", nil, "iat", nil}, "none, and old": {"exp", nil, "iat", now - 900},
				"none, and iat in 1970": {"exp", nil, "iat", 0}, "none, and iat ahead": {"exp", nil, "iat", now + 600},
				"none, and iat as text": {"exp", nil, "iat", strconv.FormatInt(now, 10)},
				"null":                  {"exp", jsonText("null")}, "empty": {"exp", ""}, "zero": {"exp", jsonText("0")},
				"expired": {"exp", now - 300}, "in another case": {"exp", nil, "iat", nil, "EXP", now + 300},
				"too far away": {"exp", now + 3600}, "none, and an nbf ahead": {"exp", nil, "nbf", now + 600},
			},
		},
	}
}

// Each word of "tolerate" admits its shape, from the issuer that has it. The same claims are refused from an issuer
// without it, and claims that almost have the shape are refused from both.
func TestTolerateAdmitsExactlyItsShape(t *testing.T) {
	for _, c := range tolerances() {
		t.Run(c.word, func(t *testing.T) {
			key, other := tokentest.NewKey(t, "ES256", "k1"), tokentest.NewKey(t, "ES256", "k2")
			tolerant := issuerWithKeys("https://lax.example", "file "+newFile(t, "lax.json", tokentest.JWKS(key)),
				append([]string{"tolerate " + c.word}, c.lines...)...)
			strict := issuerWithKeys("https://strict.example", "file "+newFile(t, "strict.json", tokentest.JWKS(other)))
			s := start(t, gateFor(tolerant, strict))
			s.accepts(key.Sign(t, toleratedBase(c.word, "https://lax.example")))
			s.accepts(other.Sign(t, issuedBy("https://strict.example")))
			for name, changes := range c.admitted {
				token := key.Sign(t, issuedBy("https://lax.example", changes...))
				for range 3 { // from the second time on, it is remembered
					s.in(t).passed(s.get("/", token))
				}
				s.refusedAs(t, name+", from the other issuer", other.Sign(t, issuedBy("https://strict.example", changes...)),
					c.without...)
			}
			for name, changes := range c.near {
				s.refusedAs(t, name, key.Sign(t, issuedBy("https://lax.example", changes...)), refusalsOfClaims...)
			}
		})
	}
}

// toleratedBase are good claims of an issuer with the word.
func toleratedBase(word, issuer string) map[string]any {
	if word == "millisecond_dates" {
		now := time.Now().UnixMilli()
		return issuedBy(issuer, "iat", now, "exp", now+300_000)
	}
	return issuedBy(issuer)
}

var refusalsOfClaims = []string{"malformed_token", "missing_claim", "expired", "not_yet_valid", "unknown_issuer",
	"invalid_audience", "lifetime_too_long", "proof_required"}

// refusedAs checks that a token is refused, each time, for one of these reasons.
func (s *site) refusedAs(t *testing.T, name, token string, reasons ...string) {
	t.Helper()
	for range 3 {
		got := s.get("/", token)
		if reason := s.lastReason(); got.StatusCode != 401 || !slices.Contains(reasons, reason) {
			t.Errorf("%s: status %d for %q, want 401 for one of %q", name, got.StatusCode, reason, reasons)
		}
	}
	s.in(t).nothingForwarded()
}

// Without any word, no claim of these is accepted.
func TestWithoutTolerateNothingIs(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	s := start(t, gateFor(issuerWithKeys("https://as.example", "file "+newFile(t, "k.json", tokentest.JWKS(key)))))
	for _, c := range tolerances() {
		for name, changes := range c.admitted {
			s.refusedAs(t, c.word+": "+name, key.Sign(t, issuedBy("https://as.example", changes...)), c.without...)
		}
		for name, changes := range c.near {
			if c.word == "missing_exp" && name == "too far away" || c.word == "millisecond_dates" && name == "seconds" {
				continue // good without max_lifetime, and by the usual unit
			}
			s.refusedAs(t, c.word+", almost: "+name, key.Sign(t, issuedBy("https://as.example", changes...)),
				refusalsOfClaims...)
		}
	}
}
