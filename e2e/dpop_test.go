//go:build e2e

package e2e_test

import (
	"cmp"
	"slices"
	"strings"
	"testing"
)

// proofRequest is a request with a token and a proof. Its members are those of proof/dpop.js.
type proofRequest struct {
	Token  string         `json:"token"`
	Method string         `json:"method"`
	URL    string         `json:"url"`
	Key    string         `json:"key,omitempty"`
	Wrong  map[string]any `json:"wrong,omitempty"`
	Pair   string         `json:"pair,omitempty"`
	Scheme string         `json:"scheme,omitempty"`
	Proofs *int           `json:"proofs,omitempty"`
	Swap   bool           `json:"swap,omitempty"`
	Repeat bool           `json:"repeat,omitempty"`
	Nonce  string         `json:"nonce,omitempty"`
}

// boundToken is a token for a resource of the authorization server.
type boundToken struct {
	Resource string `json:"resource"`
	Bound    bool   `json:"bound"`
}

// proofCase is a request and what it must be answered with.
type proofCase struct {
	name    string
	request proofRequest
	want    string
}

// How many proofs a request has, if not one.
var none, two = new(0), new(2)

const ordersURL = "http://orders.example.com/orders"

// sends sends requests with proofs by a library, and compares the answers. Requests go to ordersURL unless they say
// otherwise, by GET, and with the token "jwt".
func (g *gate) sends(t *testing.T, library, algorithm string, cases []proofCase) {
	t.Helper()
	var requests []proofRequest
	var names, wanted []string
	for _, c := range cases {
		names, wanted = append(names, c.name), append(wanted, c.want)
		r := c.request
		r.Token, r.Method, r.URL = cmp.Or(r.Token, "jwt"), cmp.Or(r.Method, "GET"), cmp.Or(r.URL, ordersURL)
		requests = append(requests, r)
	}
	caller := provider.Clients["caller"]
	report := g.prove(t, "bound", map[string]any{
		"library": library, "algorithm": algorithm, "requests": requests,
		"client": map[string]string{"id": caller.ID, "secret": caller.Secret},
		"tokens": map[string]boundToken{
			"jwt":          {provider.resource(t, "ES256"), true},
			"RS256":        {provider.resource(t, "RS256"), true},
			"second":       {provider.resource(t, "ES256"), true},
			"opaque":       {provider.resource(t, "opaque"), true},
			"plain":        {provider.resource(t, "ES256"), false},
			"plain opaque": {provider.resource(t, "opaque"), false},
		},
	})
	answered(t, report, names, wanted)
	g.onlyPassed(t, report)
}

// proved is a gate that takes proofs for tokens of both kinds.
func proved(t *testing.T, proof string) *gate {
	t.Helper()
	return startSiteWith(t, withoutProofs, func(backend string) string {
		return "log\nbearer_auth {\n" + trust(provider.Issuer, introspection(t, "basic")) + proof + "\n}\n" +
			"reverse_proxy " + backend
	})
}

// libraries are those that make proofs, and what each can sign with.
var libraries = []struct {
	name       string
	algorithms []string
}{
	{"oauth4webapi", []string{"ES256", "EdDSA", "Ed25519", "PS256", "RS256"}},
	{"dpop", []string{"ES256", "Ed25519", "PS256", "RS256"}},
}

// onlyDPoP is an answer of a gate that takes no bearer tokens.
func onlyDPoP(answer string) string { return strings.Replace(answer, " bearer:-", "", 1) }

func TestDPoPClientsPassWithTokensOfBothKinds(t *testing.T) {
	t.Parallel()
	without := proved(t, "proof dpop")
	with := proved(t, "proof dpop required {\n nonce 1m\n}")
	for _, library := range libraries {
		for _, algorithm := range library.algorithms {
			t.Run(library.name+"/"+algorithm+"/without nonces", func(t *testing.T) {
				without.sends(t, library.name, algorithm, []proofCase{
					{"JWT", proofRequest{}, passed},
					{"JWT again", proofRequest{Method: "POST"}, passed},
					{"opaque token", proofRequest{Token: "opaque"}, passed},
					{"opaque token again", proofRequest{Token: "opaque"}, passed},
					{"JWT as bearer token", proofRequest{Token: "plain", Scheme: "Bearer", Proofs: none}, passed},
				})
			})
			t.Run(library.name+"/"+algorithm+"/with nonces", func(t *testing.T) {
				with.sends(t, library.name, algorithm, []proofCase{
					{"JWT, first without a nonce", proofRequest{}, onlyDPoP(needsNonce) + ", " + passed},
					{"JWT, with the nonce at once", proofRequest{}, passed},
					{"opaque token", proofRequest{Token: "opaque"}, passed},
					{"opaque token again", proofRequest{Token: "opaque"}, passed},
				})
			})
		}
	}
}

// Each of these is something that a client or a thief could do with a library.
func TestWrongDPoPProofsAreRefused(t *testing.T) {
	t.Parallel()
	cases := []proofCase{
		{"as it should be", proofRequest{}, passed},
		{"another method", wrong("htm", "POST"), badProof},
		{"the method in lower case", wrong("htm", "get"), badProof},
		{"another path", wrong("htu", "http://orders.example.com/invoices"), badProof},
		{"a slash after the path", wrong("htu", ordersURL+"/"), badProof},
		{"another host", wrong("htu", "http://invoices.example.com/orders"), badProof},
		{"another port", wrong("htu", "http://orders.example.com:8080/orders"), badProof},
		{"another scheme", wrong("htu", "https://orders.example.com/orders"), badProof},
		{"no host", wrong("htu", "/orders"), badProof},
		{"another token of the same key", proofRequest{Pair: "second"}, badProof},
		{"another opaque token of the same key", proofRequest{Token: "opaque", Pair: "jwt"}, badProof},
		{"no token hash", wrong("ath", nil), badProof},
		{"no token hash, opaque token", proofRequest{Token: "opaque", Wrong: map[string]any{"ath": nil}}, badProof},
		{"another key", proofRequest{Key: "other"}, badKey},
		{"another key, opaque token", proofRequest{Token: "opaque", Key: "other"}, badKey},
		{"too old", wrong("age", 90), badProof},
		{"made for later", wrong("age", -90), badProof},
		{"replayed", proofRequest{Repeat: true}, passed + ", " + badProof},
		{"replayed, opaque token", proofRequest{Token: "opaque", Repeat: true}, passed + ", " + badProof},
		{"no proof", proofRequest{Proofs: none}, badProof},
		{"two proofs", proofRequest{Proofs: two}, badProof},
		{"proof and token swapped", proofRequest{Swap: true}, badToken},
		{"bound token as bearer token", proofRequest{Scheme: "Bearer", Proofs: none}, badBearerToken},
		{"bound token as bearer token, with a proof", proofRequest{Scheme: "Bearer"}, badBearerToken},
		{"opaque bound token as bearer token", proofRequest{Token: "opaque", Scheme: "Bearer"}, badBearerToken},
		{"bearer token with a proof", proofRequest{Token: "plain"}, badToken},
		{"opaque bearer token with a proof", proofRequest{Token: "plain opaque"}, badToken},
		{"as it should be, after all that", proofRequest{}, passed},
	}
	for _, library := range libraries {
		t.Run(library.name, func(t *testing.T) {
			proved(t, "proof dpop").sends(t, library.name, "ES256", cases)
		})
		t.Run(library.name+"/with nonces", func(t *testing.T) {
			cases := slices.Clone(cases)
			for i := range cases {
				answers := strings.Split(cases[i].want, ", ")
				for j := range answers {
					if answers[j] != passed {
						answers[j] += " nonce"
					}
				}
				cases[i].want = strings.Join(answers, ", ")
			}
			cases[0].want = needsNonce + ", " + cases[0].want
			// A key that has sent nothing yet has no nonce either. That it is the wrong one counts first.
			proved(t, "proof dpop {\n nonce 1m\n}").sends(t, library.name, "ES256", cases)
		})
	}
}

// What RFC 9449 lets a client write in several ways.
func TestRightDPoPProofsPassHoweverTheyAreWritten(t *testing.T) {
	t.Parallel()
	for _, library := range libraries {
		t.Run(library.name, func(t *testing.T) {
			proved(t, "proof dpop").sends(t, library.name, "ES256", []proofCase{
				{"a query in the request", proofRequest{URL: ordersURL + "?page=2"}, passed},
				{"a query in both", proofRequest{
					URL: ordersURL + "?page=2", Wrong: map[string]any{"htu": ordersURL + "?page=2"},
				}, passed},
				{"another query in the proof", wrong("htu", ordersURL+"?page=3#top"), passed},
				{"the host in upper case", wrong("htu", "HTTP://ORDERS.example.com/orders"), passed},
				{"the default port", wrong("htu", "http://orders.example.com:80/orders"), passed},
				{"a letter encoded", wrong("htu", "http://orders.example.com/%6frders"), passed},
				{"dot segments", wrong("htu", "http://orders.example.com/a/../orders"), passed},
				{"the root without a slash", proofRequest{
					URL: "http://orders.example.com/", Wrong: map[string]any{"htu": "http://orders.example.com"},
				}, passed},
				{"a port in the request", proofRequest{URL: "http://orders.example.com:8080/orders"}, passed},
				{"letters that are encoded", proofRequest{URL: "http://orders.example.com/b%C3%BCcher/%7Eme"}, passed},
				{"a clock that is slow", wrong("age", 40), passed},
				{"a clock that is fast", wrong("age", -40), passed},
				{"another method", proofRequest{Method: "DELETE"}, passed},
				{"the scheme in lower case", proofRequest{Scheme: "dpop"}, passed},
			})
		})
	}
}

func TestNoncesThatAreNotOfTheGatewayAreRefused(t *testing.T) {
	t.Parallel()
	for _, library := range libraries {
		t.Run(library.name, func(t *testing.T) {
			g := proved(t, "proof dpop {\n nonce 1m\n}")
			g.sends(t, library.name, "ES256", []proofCase{
				{"the first", proofRequest{}, needsNonce + ", " + passed},
				{"none, after one was given", proofRequest{Nonce: "none"}, needsNonce},
				{"made up", proofRequest{Nonce: "made up"}, needsNonce},
				{"of another server", proofRequest{Nonce: "elsewhere"}, needsNonce},
				{"of another server, opaque token", proofRequest{Token: "opaque", Nonce: "elsewhere"}, needsNonce},
				{"that of the gateway", proofRequest{}, passed},
			})
			proved(t, "proof dpop").sends(t, library.name, "ES256", []proofCase{
				{"no nonces here", proofRequest{Nonce: "elsewhere"}, passed},
			})
		})
	}
}

func TestDPoPMayBeRequiredOrLimited(t *testing.T) {
	t.Parallel()
	for _, library := range libraries {
		t.Run(library.name, func(t *testing.T) {
			proved(t, "proof dpop required {\n algorithms ES256\n max_age 20s\n}").sends(t, library.name, "ES256", []proofCase{
				{"bound", proofRequest{}, passed},
				{"unbound", proofRequest{Token: "plain", Scheme: "Bearer", Proofs: none}, "401 dpop:-"},
				{"unbound, opaque", proofRequest{Token: "plain opaque", Scheme: "Bearer", Proofs: none}, "401 dpop:-"},
				{"too old", wrong("age", 40), onlyDPoP(badProof)},
			})
			proved(t, "proof dpop {\n algorithms ES256\n}").sends(t, library.name, "PS256", []proofCase{
				{"another algorithm", proofRequest{}, badProof},
			})
			proved(t, "proof mtls").sends(t, library.name, "ES256", []proofCase{
				{"only certificates", proofRequest{}, "401 bearer:-"},
				{"only certificates, as bearer token", proofRequest{Scheme: "Bearer"}, "401 bearer:invalid_token"},
			})
			proved(t, "").sends(t, library.name, "ES256", []proofCase{
				{"no proofs", proofRequest{}, "401 bearer:-"},
				{"no proofs, as bearer token", proofRequest{Scheme: "Bearer"}, "401 bearer:invalid_token"},
			})
		})
	}
}

// The FAPI 2.0 Security Profile wants tokens that are bound to a key, few algorithms, and TLS.
func TestDPoPClientsPassWhereFAPI2Holds(t *testing.T) {
	t.Parallel()
	const orders = "https://" + tlsHost + "/orders"
	g := overTLS(t, "profile fapi2")
	for _, test := range []struct{ library, algorithm string }{
		{"oauth4webapi", "ES256"}, {"oauth4webapi", "PS256"}, {"oauth4webapi", "EdDSA"},
		{"oauth4webapi", "Ed25519"}, {"dpop", "ES256"}, {"dpop", "PS256"}, {"dpop", "Ed25519"},
	} {
		t.Run(test.library+"/"+test.algorithm, func(t *testing.T) {
			g.sends(t, test.library, test.algorithm, []proofCase{
				{"JWT", proofRequest{URL: orders}, passed},
				{"opaque token", proofRequest{URL: orders, Token: "opaque"}, passed},
				{"made for http", proofRequest{URL: orders, Wrong: map[string]any{"htu": ordersURL}}, badProof},
				{"the default port", proofRequest{
					URL: orders, Wrong: map[string]any{"htu": "https://" + tlsHost + ":443/orders"},
				}, passed},
				{"a token of another algorithm", proofRequest{URL: orders, Token: "RS256"}, badToken},
				{"bearer token", proofRequest{URL: orders, Token: "plain", Scheme: "Bearer", Proofs: none}, badBearerToken},
				{"replayed", proofRequest{URL: orders, Repeat: true}, passed + ", " + badProof},
			})
		})
	}
	for _, library := range libraries {
		g.sends(t, library.name, "RS256", []proofCase{{library.name + "/RS256", proofRequest{URL: orders}, badProof}})
	}
}

// wrong is a request whose proof has one other claim.
func wrong(claim string, value any) proofRequest {
	return proofRequest{Wrong: map[string]any{claim: value}}
}
