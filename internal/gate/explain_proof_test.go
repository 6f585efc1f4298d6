package gate_test

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/possession"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// The steps about a proof say what came and what was expected. Each row is a request that Check judges in the same way.
func TestExplainAgreesWithCheckAboutProofs(t *testing.T) {
	key, client, thief := tokentest.NewKey(t, "ES256", "k1"), prover(t, "ES256"), prover(t, "ES256")
	mine, other := &x509.Certificate{Raw: []byte("mine")}, &x509.Certificate{Raw: []byte("other")}
	bound, unbound := key.Sign(t, says(boundTo(client))), key.Sign(t, says())
	certified := key.Sign(t, says(m{"cnf": m{"x5t#S256": thumbprintOf(mine)}}))
	edited := func(change func(http.Header)) *http.Request {
		r := proved(t, client, bound)
		change(r.Header)
		return r
	}
	dpopOnly := func(p *possession.Policy) { p.DPoP.Replays = nil }
	anyNonce := func(p *possession.Policy) { p.DPoP.AnyNonce, p.DPoP.NonceLifetime = true, 60e9 }
	for name, row := range map[string]struct {
		how   []func(*possession.Policy)
		send  *http.Request
		steps []string // among others
		came  []string // beginnings, of the rule "proof"
		wants []string
	}{
		"a good proof": {nil, proved(t, client, bound),
			[]string{"proof pass", "binding pass", "replay not_checked"},
			[]string{"cnf.jkt " + client.Thumbprint(), "ES256 proof by key " + client.Thumbprint(), "htm GET",
				"htu http://example.com/orders", "iat ", "0s ago"},
			[]string{"the scheme DPoP", "proof by key " + client.Thumbprint(), "htm GET", "htu http://example.com/orders",
				"now ", "max_age 1m0s"}},
		"a stolen token": {nil, proved(t, thief, bound), []string{"proof fail", "binding not_checked"},
			[]string{"ES256 proof by key " + thief.Thumbprint()}, []string{"proof by key " + client.Thumbprint()}},
		"an old proof": {nil, proved(t, client, bound, m{"iat": start.Unix() - 90}), []string{"proof fail"},
			[]string{"1m30s ago"}, nil},
		"a proof of the future": {nil, proved(t, client, bound, m{"iat": start.Unix() + 90}), []string{"proof fail"},
			[]string{"1m30s ahead"}, nil},
		"another method": {nil, proved(t, client, bound, m{"htm": "POST"}), []string{"proof fail"}, []string{"htm POST"},
			[]string{"htm GET"}},
		"no proof": {nil, edited(func(h http.Header) { h.Del("DPoP") }), []string{"proof fail"},
			[]string{"no header DPoP"}, nil},
		"two proofs": {nil, edited(func(h http.Header) { h.Add("DPoP", "x") }), []string{"proof fail"},
			[]string{"2 headers DPoP"}, nil},
		"no proof at all": {nil, edited(func(h http.Header) { h.Set("DPoP", bound) }), []string{"proof fail"},
			[]string{"a header DPoP that is no proof"}, nil},
		"as a bearer token": {nil, request(bound), []string{"proof fail"}, []string{"not the scheme DPoP"}, nil},
		"bound to nothing, with a proof": {nil, proved(t, client, unbound), []string{"proof pass", "binding fail"},
			[]string{"htm GET"}, nil},
		"bound to nothing": {nil, request(unbound), []string{"proof pass", "binding pass"}, nil, nil},
		"bound to nothing, where required": {[]func(*possession.Policy){required}, request(unbound),
			[]string{"binding fail"}, nil, nil},
		"a certificate": {[]func(*possession.Policy){withCertificates}, shown(request(certified), mine),
			[]string{"proof pass", "binding pass"}, []string{"client certificate " + thumbprintOf(mine)}, nil},
		"another certificate": {[]func(*possession.Policy){withCertificates}, shown(request(certified), other),
			[]string{"proof fail"}, []string{"client certificate " + thumbprintOf(other)},
			[]string{"client certificate " + thumbprintOf(mine)}},
		"no certificate": {[]func(*possession.Policy){withCertificates}, request(certified), []string{"proof fail"},
			[]string{"no client certificate"}, nil},
		"no nonce": {[]func(*possession.Policy){withNonces}, proved(t, client, bound), []string{"proof fail"}, nil,
			[]string{"a nonce"}},
		"any nonce": {[]func(*possession.Policy){anyNonce}, proved(t, client, bound, m{"nonce": "x"}),
			[]string{"proof pass", "nonce not_checked", "replay not_checked"}, []string{"a nonce"}, nil},
		"no nonce where any is good": {[]func(*possession.Policy){anyNonce}, proved(t, client, bound),
			[]string{"proof fail"}, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			e := agrees(t, build(t, key, dpop(t, append([]func(*possession.Policy){dpopOnly}, row.how...)...)), row.send)
			got := results(e)
			for _, step := range row.steps {
				if !slices.Contains(got, step) {
					t.Errorf("steps %q, want %q", got, step)
				}
			}
			proof := e.Steps[slices.IndexFunc(e.Steps, func(s gate.Step) bool { return s.Rule == "proof" })]
			have(t, proof.Came, row.came)
			have(t, proof.Expected, row.wants)
		})
	}
}

// have requires that a list has these texts, or parts of them.
func have(t *testing.T, list, want []string) {
	t.Helper()
	for _, text := range want {
		if !slices.ContainsFunc(list, func(s string) bool { return strings.Contains(s, text) }) {
			t.Errorf("%q lacks %q", list, text)
		}
	}
}

// A gate without proofs shows how a token is bound, and no more.
func TestExplainABoundTokenWhereNoProofCounts(t *testing.T) {
	key, client := tokentest.NewKey(t, "ES256", "k1"), prover(t, "ES256")
	e := agrees(t, build(t, key), request(key.Sign(t, says(boundTo(client)))))
	came := []string{"cnf.jkt " + client.Thumbprint()}
	if first := firstFailure(e); first.Rule != "proof" || !slices.Equal(first.Came, came) {
		t.Errorf("%+v", first)
	}
}

// The rule about tokens in clear comes after those about time and audience, as in Check.
func TestExplainAgreesWithCheckAboutTransport(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	strict := func(c *gate.Config) { c.RequireTLS, c.Audience = true, accept(api) }
	g := build(t, key, strict)
	secure := request(key.Sign(t, says()))
	secure.TLS = new(tls.ConnectionState)
	agrees(t, g, secure)
	agrees(t, g, request(key.Sign(t, says())))
	agrees(t, g, request(key.Sign(t, says(m{"aud": "x"}))))
	agrees(t, g, request(key.Sign(t, says(m{"exp": start.Unix()}))))
	cookies := func(c *gate.Config) { forgiving(c); c.RequireTLS = true }
	agrees(t, build(t, key, cookies), withCookies("t="+key.Sign(t, expired())))
}

// Explain uses up no proof, so it cannot say whether the proof was used.
func TestExplainUsesUpNoProof(t *testing.T) {
	key, client := tokentest.NewKey(t, "ES256", "k1"), prover(t, "ES256")
	g := build(t, key, dpop(t))
	r := proved(t, client, key.Sign(t, says(boundTo(client))))
	for range 2 {
		e := g.Explain(direct(r))
		if e.Failure != nil || !slices.Contains(results(e), "replay not_checked") || firstFailure(e) != nil {
			t.Fatalf("%+v", e)
		}
	}
	accepted(t, g, r)
	refused(t, g, r, gate.ProofReplayed)
}

// The answer of a server that was not asked may bind the token.
func TestExplainDoesNotGuessWhatAnAnswerBinds(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	g := build(t, key, dpop(t, required), func(c *gate.Config) {
		c.Issuers[0].Asking = &gate.Asking{Mode: gate.AskAlways, Client: offlineAsker{}}
	})
	e := g.Explain(direct(request(key.Sign(t, says()))))
	if !e.Open || !slices.Contains(results(e), "binding not_checked") {
		t.Errorf("open %t, steps %q", e.Open, results(e))
	}
}
