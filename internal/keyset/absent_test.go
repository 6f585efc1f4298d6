package keyset_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// All members of a JWK that we read, each with the result for a value of the wrong type.
var optionalMembers = map[string]string{
	"use": "malformed", "key_ops": "malformed", "alg": "malformed", "kid": "malformed", "x5c": "malformed",
	"d": "private_key", "p": "private_key", "q": "private_key",
	"dp": "private_key", "dq": "private_key", "qi": "private_key",
	"oth": "private_key", "k": "private_key", "priv": "private_key", "seed": "private_key",
	"crv": "", "x": "", "y": "", "x5t": "", "x5u": "", "x5t#S256": "", "exp": "", // nothing reads these of an RSA key
}

// Serialisers that write every known field publish empty members. Such members disclose nothing and mean nothing.
func TestAMemberWithoutContentIsAbsent(t *testing.T) {
	key := tokentest.NewKey(t, "RS256", "one").JWK()
	for name, oddlyTyped := range optionalMembers {
		for _, test := range []struct {
			value string
			empty bool
		}{
			{`null`, true}, {`""`, true}, {`[]`, true}, {`[ ]`, true},
			{`{}`, false}, {`0`, false}, {`5`, false}, {`false`, false},
		} {
			t.Run(name+" is "+test.value, func(t *testing.T) {
				jwk := change(key, map[string]any{name: json.RawMessage(test.value)})
				want := oddlyTyped
				if test.empty {
					want = ""
				}
				wantJudged(t, jwk, want)
			})
		}
	}
	for _, name := range []string{"kty", "n", "e"} {
		for _, value := range []string{`null`, `""`, `[]`, `{}`, `0`, `false`} {
			t.Run("the required "+name+" is "+value, func(t *testing.T) {
				wantJudged(t, change(key, map[string]any{name: json.RawMessage(value)}), "malformed")
			})
		}
	}
}

func TestAPublicKeyAsNetWritesItIsTaken(t *testing.T) {
	wantJudged(t, change(tokentest.NewKey(t, "RS256", "one").JWK(), map[string]any{
		"oth": []string{}, "key_ops": []string{}, "x5c": []string{}, "d": json.RawMessage("null"), "p": "", "x5t": "",
	}), "")
}

func TestAPrivateMemberWithContentIsPrivate(t *testing.T) {
	key := tokentest.NewKey(t, "RS256", "one").JWK()
	for _, name := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv", "seed"} {
		for _, value := range []string{`"AQ"`, `" "`, `["AQ"]`, `[{}]`, `[null]`, `[""]`, `{"r":"AQ"}`, `true`} {
			wantJudged(t, change(key, map[string]any{name: json.RawMessage(value)}), "private_key")
		}
	}
}

// A server without a key set may publish an empty member for it.
func TestMetadataWithEmptyMembers(t *testing.T) {
	for _, value := range []string{`null`, `""`, `[]`} {
		m, err := keyset.ParseMetadata([]byte(`{"issuer":"https://as.example.com","jwks_uri":`+value+
			`,"introspection_endpoint":null,"mtls_endpoint_aliases":null}`), "https://as.example.com", "https://as.example.com")
		if err != nil || m.JWKSURI != "" || m.IntrospectionEndpoint != "" {
			t.Errorf("%s: %+v, error %v", value, m, err)
		}
	}
	for _, value := range []string{`0`, `{}`, `false`, `" "`} {
		if _, err := keyset.ParseMetadata([]byte(`{"issuer":"x","jwks_uri":`+value+`}`), "x", ""); err == nil {
			t.Errorf("%s is accepted", value)
		}
	}
}

// wantJudged wants a JWK to be skipped for this reason, in a set and alone. Without a reason it wants it to be taken.
func wantJudged(t *testing.T, jwk, reason string) {
	t.Helper()
	for _, text := range []string{`{"keys":[` + jwk + `]}`, jwk} {
		keys, skipped, err := keyset.ParseJWKS([]byte(text))
		if reason == "" {
			if err != nil || len(keys) != 1 {
				t.Errorf("%s: %v", text, err)
			}
			continue
		}
		if reason == "malformed" && text == jwk && len(skipped) == 0 && err != nil {
			continue // without a kty it is not even a JWK
		}
		if want := []keyset.Skipped{{Reason: reason, Count: 1}}; !slices.Equal(skipped, want) || err == nil {
			t.Errorf("%s: skipped %v, error %v; want %s", text, skipped, err, reason)
		}
	}
}
