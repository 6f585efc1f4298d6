package caddyjwt_test

import (
	"strings"
	"testing"
)

// The word is accepted with an http address only, and in its two forms.
func TestAllowHTTPInACaddyfile(t *testing.T) {
	file := func(lines ...string) string { // of an issuer with keys in a file
		return inIssuer("keys file testdata/adapt/p256.pub.pem\n" + strings.Join(lines, "\n"))
	}
	const endpoint = "introspect {\nendpoint http://keycloak:8080/introspect\nauth_method none\n}"
	for _, test := range []struct{ name, caddyfile, want string }{ // want is part of the error; empty when it is good
		{"a key set", inIssuer("keys jwks http://keycloak:8080/keys\nallow_http"), ""},
		{"in upper case", inIssuer("keys jwks HTTP://KEYCLOAK:8080/keys\nallow_http"), ""},
		{"a metadata document",
			inIssuer("keys discovery http://keycloak:8080/.well-known/openid-configuration\nallow_http"), ""},
		{"an endpoint", file("allow_http", endpoint), ""},
		{"this machine, whose metadata may lead further", inIssuer("keys jwks http://localhost/keys\nallow_http"), ""},
		{"one of two key sets", inIssuer("keys jwks https://a.example/k\nkeys jwks http://b:80/k\nallow_http"), ""},
		{"an address that is not there yet", inIssuer("keys jwks {env.GATE_TEST_UNSET}\nallow_http"), ""},
		{"a part of an address that is not there yet", inIssuer("keys jwks http://{env.GATE_TEST_UNSET}/k\nallow_http"), ""},
		{"an endpoint that is not there yet",
			file("allow_http", strings.ReplaceAll(endpoint, "http://keycloak:8080", "{env.GATE_TEST_UNSET}")), ""},
		{"shared", inIssuer("keys jwks http://100.64.0.1/keys\nallow_http shared"), ""},

		{"nothing but https", inIssuer("allow_http"),
			"begin with http://, and this issuer has none: remove it, at Caddyfile:5"},
		{"nothing but https, everywhere", inIssuer("allow_http\nkeys jwks https://a.example/k\n" +
			strings.ReplaceAll(endpoint, "http:", "https:")), "this issuer has none"},
		{"no server", file("allow_http"), "for requests to a server"},
		{"a shared address without the value", inIssuer("keys jwks http://100.64.0.1/keys\nallow_http"), "allow_http shared"},
		{"a public address", inIssuer("keys jwks http://8.8.8.8/keys\nallow_http shared"), "not a private address"},
		{"another value", inIssuer("keys jwks http://keycloak/k\nallow_http private"), "expected: allow_http [shared]"},
		{"an address as value", inIssuer("keys jwks http://keycloak/k\nallow_http 10.0.0.0/8"),
			"expected: allow_http [shared]"},
		{"two values", inIssuer("keys jwks http://keycloak/k\nallow_http shared shared"), "expected: allow_http [shared]"},
		{"in upper case", inIssuer("keys jwks http://keycloak/k\nallow_http SHARED"), "expected: allow_http [shared]"},
		{"twice", inIssuer("keys jwks http://keycloak/k\nallow_http\nallow_http"), "already on line"},
		{"outside of an issuer", inGate("allow_http"), "it belongs in the issuer block"},
		{"without the word", inIssuer("keys jwks http://keycloak/k"), "add allow_http if it is in a network of your own"},
		{"an endpoint without the word", file(endpoint), "add allow_http if it is in a network of your own"},
	} {
		t.Run(test.name, func(t *testing.T) {
			text := adapted(t, test.caddyfile)
			message, failed := strings.CutPrefix(text, "error: ")
			if failed != (test.want != "") || !strings.Contains(message, test.want) {
				t.Errorf("%s\nwant %q", message, test.want)
			}
		})
	}
}
