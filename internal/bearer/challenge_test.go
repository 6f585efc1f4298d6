package bearer_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/bearer"
)

// parseChallenge is a strict reader of one challenge with quoted parameters, written from RFC 9110 sections 5.6 and 11
// and independent of the writer.
func parseChallenge(s string) (map[string]string, error) {
	rest, ok := strings.CutPrefix(s, "Bearer ")
	if !ok {
		return nil, errors.New("no Bearer scheme with something after it")
	}
	params := map[string]string{}
	for {
		name, after, ok := strings.Cut(rest, `="`)
		if !ok || name == "" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz_") != "" {
			return nil, fmt.Errorf("no parameter at %q", rest)
		}
		if _, twice := params[name]; twice {
			return nil, fmt.Errorf("%s twice", name)
		}
		value, after, err := parseQuoted(after)
		if err != nil {
			return nil, err
		}
		params[name] = value
		if after == "" {
			return params, nil
		}
		if rest, ok = strings.CutPrefix(after, ", "); !ok {
			return nil, fmt.Errorf("%q after a parameter", after)
		}
	}
}

// parseQuoted reads the rest of a quoted-string after its opening quote.
func parseQuoted(s string) (value, rest string, err error) {
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return out.String(), s[i+1:], nil
		case c == '\\':
			if i++; i == len(s) || s[i] < ' ' || s[i] > '~' {
				return "", "", errors.New("broken quoted-pair")
			}
			out.WriteByte(s[i])
		case c < ' ' || c > '~':
			return "", "", fmt.Errorf("byte %#x in a quoted-string", c)
		default:
			out.WriteByte(c)
		}
	}
	return "", "", errors.New("quoted-string does not end")
}

func TestChallenge(t *testing.T) {
	for _, test := range []struct {
		challenge bearer.Challenge
		want      string
	}{
		{bearer.Challenge{}, `Bearer realm=""`},
		{bearer.Challenge{Realm: "api"}, `Bearer realm="api"`},
		{bearer.Challenge{Realm: `a"b\c`}, `Bearer realm="a\"b\\c"`},
		{
			bearer.Challenge{Realm: "api", Error: "invalid_token", Description: "the token has expired"},
			`Bearer realm="api", error="invalid_token", error_description="the token has expired"`,
		},
		{
			bearer.Challenge{Realm: "api", Error: "insufficient_scope", Scope: "read:x write"},
			`Bearer realm="api", error="insufficient_scope", scope="read:x write"`,
		},
		{
			bearer.Challenge{Realm: "api", Scope: "read", ResourceMetadata: "https://example.com/.well-known/x"},
			`Bearer realm="api", scope="read", resource_metadata="https://example.com/.well-known/x"`,
		},
		{
			bearer.Challenge{Error: "x", Scope: "read", ACRValues: "gold urn:a:b", MaxAge: 90*time.Second + 1,
				ResourceMetadata: "https://a"},
			`Bearer realm="", error="x", scope="read", acr_values="gold urn:a:b", max_age="90", resource_metadata="https://a"`,
		},
		{
			bearer.Challenge{Scheme: "DPoP", Realm: "api", Error: "use_dpop_nonce", Algorithms: "ES256 EdDSA"},
			`DPoP realm="api", error="use_dpop_nonce", algs="ES256 EdDSA"`,
		},
		{bearer.Challenge{ACRValues: `a" , error="x`, MaxAge: time.Second - 1}, `Bearer realm=""`},
		{bearer.Challenge{ACRValues: "a\r\nb", MaxAge: -time.Second}, `Bearer realm=""`},
		{bearer.Challenge{ACRValues: "a  b"}, `Bearer realm=""`},
		{bearer.Challenge{ResourceMetadata: "a\"b\r\nX: y"}, `Bearer realm="", resource_metadata="a'b??X: y"`},
		{bearer.Challenge{Realm: "a\r\nX: y\x00\u00e9"}, `Bearer realm="a??X: y???"`},
		{bearer.Challenge{Error: `a"b\c` + "\n"}, `Bearer realm="", error="a'b?c?"`},
		{bearer.Challenge{Scope: `a"b`}, `Bearer realm=""`},
		{bearer.Challenge{Scope: "a  b"}, `Bearer realm=""`},
		{bearer.Challenge{Scope: " a"}, `Bearer realm=""`},
	} {
		if got := test.challenge.String(); got != test.want {
			t.Errorf("%+v: %s, want %s", test.challenge, got, test.want)
		}
		if _, err := parseChallenge(strings.Replace(test.want, "DPoP ", "Bearer ", 1)); err != nil {
			t.Errorf("%s: %v", test.want, err)
		}
	}
}

func TestValidRealm(t *testing.T) {
	for _, good := range []string{"", "api", `a "quoted" \ realm`, strings.Repeat("a", 256)} {
		if err := bearer.ValidRealm(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{"a\nb", "a\tb", "\x7f", "caf\u00e9", strings.Repeat("a", 257)} {
		if bearer.ValidRealm(bad) == nil {
			t.Errorf("%q accepted", bad)
		}
	}
}

func TestValidScope(t *testing.T) {
	for _, good := range []string{"read", "https://h/x", "a!#[]~"} {
		if err := bearer.ValidScope(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{"", "a b", " ", `a"`, `a\`, "a\t", "\u00e9"} {
		if bearer.ValidScope(bad) == nil {
			t.Errorf("%q accepted", bad)
		}
	}
}

func TestValidACR(t *testing.T) {
	for _, good := range []string{"0", "gold", "urn:mace:incommon:iap:silver", "https://refeds.org/profile/mfa", "a|b,*"} {
		if err := bearer.ValidACR(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{"", "a b", " ", `a"`, `a\`, "a\n", "\u00e9", "\x00", "\x7f", "error=x", "max_age=0"} {
		if bearer.ValidACR(bad) == nil {
			t.Errorf("%q accepted", bad)
		}
	}
}

func TestTextsThatClientsTakeForParameters(t *testing.T) {
	for text, ok := range map[string]bool{
		"orders": true, "orders and more, a=b": true, "https://example.com/scope": true, "scope = x": true,
		"urn:x?terror=1": false, "scope=admin": false, "x SCOPE=admin": false, "a resource_metadata=https://evil": false,
		"error=invalid_token": false, `the "api"`: false, `a\b`: false, "realm=x": false, "max_age=0": false,
		"acr_values=1": false,
	} {
		if err := bearer.Unmistakable(text); (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
	}
}
