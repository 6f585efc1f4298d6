package integration

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// A token that is bound to a key reaches the backend with a proof of that key, whatever the request. The backend sees
// neither.
func TestProofOpensTheGate(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	s := start(t, proofGate(t, key, "proof dpop", "forward_claims X-User sub"))
	client := newKeyholder(t, key)
	for _, method := range []string{"GET", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS", "REPORT"} {
		for _, path := range []string{"/", "/orders/7", "/a%20b/%7Ec?x=%2F&y", "/a//b/?", "/%E2%82%AC", "/a;b=c,d"} {
			got := s.provenPass(s.with(client, method, path, client.Proof(t, method, s.base+path, client.token)))
			if got.Method != method || got.URI != strings.TrimSuffix(path, "?") && got.URI != path ||
				got.Header.Get("X-User") != "alice" {
				t.Errorf("%s %s reached the backend as %s %s with %v", method, path, got.Method, got.URI, got.Header)
			}
		}
	}
	s.blames(s.with(client, "GET", "/", "x"), "invalid_dpop_proof", "invalid_proof")
	s.blames(s.do(s.request("GET", "/", nil, "Authorization", "DPoP "+client.token)), "invalid_dpop_proof",
		"invalid_proof")
	s.accepts(key.Sign(t, issuedBy(keptIssuer))) // a token without a key is a bearer token
	missing := s.get("/", "")
	s.refused(missing, http.StatusUnauthorized, "missing_token")
	found := s.challengesOf(missing) // RFC 9449 section 7.1: both schemes, and no error
	if len(found) != 2 || found["Bearer"]["error"]+found["DPoP"]["error"] != "" || found["DPoP"]["algs"] == "" {
		t.Errorf("challenges %q", missing.Header["Www-Authenticate"])
	}
}

// Clients with keys of all kinds.
func TestProofByEveryAlgorithm(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	s := start(t, proofGate(t, key, "proof dpop required"))
	for _, alg := range asymmetric {
		client := &keyholder{Prover: tokentest.NewProver(t, alg)}
		client.token = key.Sign(t, issuedBy(keptIssuer, "cnf", jkt(client.Prover)))
		s.provenPass(s.proves(client, "/"))
	}
	s.load(proofGate(t, key, "proof dpop {\nalgorithms ES256 EdDSA\n}"))
	for alg, takes := range map[string]bool{"ES256": true, "EdDSA": true, "ES384": false, "PS256": false} {
		client := &keyholder{Prover: tokentest.NewProver(t, alg)}
		client.token = key.Sign(t, issuedBy(keptIssuer, "cnf", jkt(client.Prover)))
		if a := s.proves(client, "/"); takes {
			s.provenPass(a)
		} else {
			s.blames(a, "invalid_dpop_proof", "invalid_proof")
			if algs := s.challengesOf(a)["DPoP"]["algs"]; algs != "ES256 EdDSA" && algs != "EdDSA ES256" {
				t.Errorf("algs %q", algs)
			}
		}
	}
}

// A proof is for the address that the client has used, and not for what handlers have made of it.
func TestProofIsForTheAddressOfTheClient(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	client := newKeyholder(t, key)
	gate := proofGate(t, key, "proof dpop")
	s := prepare(t)
	for name, test := range map[string]struct{ before, after, path, arrives string }{
		"handle_path": {"handle_path /api/* {", "reverse_proxy " + s.upstream.addr() + "\n}",
			"/api/orders?a=b", "/orders?a=b"},
		"rewrite":         {"rewrite * /inner{uri}", "", "/orders?a=b", "/inner/orders?a=b"},
		"uri":             {"uri strip_prefix /v1", "", "/v1/orders", "/orders"},
		"another query":   {"rewrite * {path}?c=d", "", "/orders?a=b", "/orders?c=d"},
		"dots in the way": {"", "", "/a/./b/../c", "/a/./b/../c"},
	} {
		t.Run(name, func(t *testing.T) {
			s := s.in(t)
			s.load(test.before + "\n" + gate + "\n" + test.after)
			if got := s.provenPass(s.proves(client, test.path)); got.URI != test.arrives {
				t.Errorf("%s arrived, want %s", got.URI, test.arrives)
			}
			if test.arrives != test.path {
				inner, _, _ := strings.Cut(test.arrives, "?")
				if outer, _, _ := strings.Cut(test.path, "?"); inner != outer {
					s.blames(s.provesFor(client, test.path, s.base+test.arrives), "invalid_dpop_proof", "invalid_proof")
				}
			}
		})
	}
}

// A proof is for the method that the client has used, whatever handlers have made of it.
func TestProofIsForTheMethodOfTheClient(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	client := newKeyholder(t, key)
	s := start(t, "method PUT\n"+proofGate(t, key, "proof dpop"))
	if got := s.provenPass(s.proves(client, "/")); got.Method != "PUT" {
		t.Errorf("%s arrived", got.Method)
	}
	s.blames(s.with(client, "GET", "/", client.Proof(t, "PUT", s.base+"/", client.token)), "invalid_dpop_proof",
		"invalid_proof")
}

// Proxies say how clients have addressed them. Only the word of a trusted one counts.
func TestProofBehindProxies(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	client := newKeyholder(t, key)
	gate := proofGate(t, key, "proof dpop")
	said := []string{"X-Forwarded-Proto", "https", "X-Forwarded-Host", "api.example.com"}
	s := startBehindProxy(t, gate)
	s.provenPass(s.provesFor(client, "/x", "https://api.example.com/x", said...))
	s.provenPass(s.provesFor(client, "/x", "https://api.example.com:443/x", said...))
	s.provenPass(s.provesFor(client, "/x", "https://gate.test/x", said[:2]...))
	s.provenPass(s.provesFor(client, "/x", "http://gate.test/x"))
	for _, address := range []string{
		"http://gate.test/x", "https://gate.test/x", "http://api.example.com/x", "https://api.example.com:80/x",
	} {
		s.blames(s.provesFor(client, "/x", address, said...), "invalid_dpop_proof", "invalid_proof")
	}
	for name, header := range map[string][]string{
		"two hosts":            append(said[:2:2], "X-Forwarded-Host", "api.example.com, gate.test"),
		"two hosts, two lines": append(said[:4:4], "X-Forwarded-Host", "gate.test"),
		"two schemes":          append(said[2:4:4], "X-Forwarded-Proto", "https,http"),
		"another scheme":       append(said[2:4:4], "X-Forwarded-Proto", "ftp"),
		"no scheme":            append(said[2:4:4], "X-Forwarded-Proto", ""),
		"no host":              append(said[:2:2], "X-Forwarded-Host", ""),
	} {
		t.Run(name, func(t *testing.T) {
			s := s.in(t)
			for _, address := range []string{"https://api.example.com/x", "https://gate.test/x", "http://gate.test/x"} {
				s.blames(s.provesFor(client, "/x", address, header...), "invalid_dpop_proof", "invalid_proof")
			}
		})
	}
	s = start(t, gate)
	s.provenPass(s.provesFor(client, "/x", "http://gate.test/x", said...))
	s.blames(s.provesFor(client, "/x", "https://api.example.com/x", said...), "invalid_dpop_proof", "invalid_proof")
}

// The configuration may say the address of the resource. Then nothing else counts.
func TestProofForAResource(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	client := newKeyholder(t, key, "aud", mcp)
	gate := gateFor(issuerBlock(keptIssuer, pemOf(t, key)), "resource "+mcp, "proof dpop required")
	for _, begin := range []func(testing.TB, string) *site{start, startBehindProxy} {
		s := begin(t, gate)
		s.provenPass(s.provesFor(client, "/mcp?a=b", mcp))
		s.provenPass(s.provesFor(client, "/mcp/x", mcp+"/x", "X-Forwarded-Host", "evil.example", "X-Forwarded-Proto", "http"))
		for _, address := range []string{"http://gate.test/mcp", "https://gate.test/mcp", "http://mcp.example.com/mcp"} {
			s.blames(s.provesFor(client, "/mcp", address), "invalid_dpop_proof", "invalid_proof")
		}
		s.blames(s.provesFor(client, "/mcp", "https://evil.example/mcp", "X-Forwarded-Host", "evil.example",
			"X-Forwarded-Proto", "https"), "invalid_dpop_proof", "invalid_proof")
		// Without another scheme there is no challenge for bearer tokens, which cannot pass.
		a := s.get("/mcp", key.Sign(t, issuedBy(keptIssuer, "aud", mcp)))
		s.refused(a, http.StatusUnauthorized, "proof_required")
		if found := s.challengesOf(a); len(found) != 1 || found["DPoP"] == nil {
			t.Errorf("challenges %q", a.Header["Www-Authenticate"])
		}
	}
}

// By every protocol, and with TLS: the scheme is that of the connection.
func TestProofByEveryProtocol(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	s, ways := startEverywhere(t, proofGate(t, key, "proof dpop"))
	client := newKeyholder(t, key)
	other := map[bool]string{true: "http:", false: "https:"}
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			s := s.in(t)
			s.client, s.base = way.client, strings.TrimSuffix(way.url, "/")
			s.provenPass(s.proves(client, "/orders?a=b"))
			scheme, rest, _ := strings.Cut(s.base, ":")
			s.blames(s.provesFor(client, "/", other[scheme == "https"]+rest+"/"), "invalid_dpop_proof", "invalid_proof")
			proof := client.Proof(t, "GET", s.base+"/", client.token)
			s.provenPass(s.with(client, "GET", "/", proof))
			s.blames(s.with(client, "GET", "/", proof), "invalid_dpop_proof", "proof_replayed")
		})
	}
}

// What an authorization server says about an opaque token binds it, too (RFC 9449 section 6.2).
func TestProofOfAnOpaqueToken(t *testing.T) {
	client, thief := tokentest.NewProver(t, "ES256"), tokentest.NewProver(t, "ES256")
	as := introspector(t)
	as.Introspect(always(active("token_type", "DPoP", "cnf", jkt(client))))
	s := start(t, gateForAudience(introspecting(as, "opaque"), "proof dpop"))
	for range 2 { // the second answer is a remembered one
		s.provenPass(s.proves(&keyholder{client, "opaque"}, "/"))
		s.blames(s.proves(&keyholder{thief, "opaque"}, "/"), "invalid_token", "other_key")
		s.refused(s.get("/", "opaque"), http.StatusUnauthorized, "proof_required")
	}
	for name, answer := range map[string]tokentest.IntrospectionAnswer{
		"DPoP without a key": active("token_type", "DPoP"), "not bound": active(), "another key": active("cnf", jkt(thief)),
	} {
		as.Introspect(always(answer))
		token := strings.ReplaceAll(name, " ", "-")
		if a := s.proves(&keyholder{client, token}, "/"); a.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s: status %d", name, a.StatusCode)
		}
	}
	s.nothingForwarded()
}

// A token in a form or a cookie has no scheme, so it cannot have a proof. Beside such places, DPoP works as ever.
func TestProofBesideOtherPlaces(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	client, unbound := newKeyholder(t, key), key.Sign(t, issuedBy(keptIssuer))
	s := start(t, proofGate(t, key, "proof dpop", "token_from cookie jwt", "token_from form jwt", "token_from query jwt"))
	form := func(token string, header ...string) answer {
		return s.do(s.request("POST", "/", strings.NewReader("jwt="+token), append(header, "Content-Type", formType)...))
	}
	s.provenPass(s.proves(client, "/"))
	s.passed(s.get("/", "", "Cookie", "jwt="+unbound))
	s.passed(form(unbound))
	s.refused(s.get("/", unbound), http.StatusUnauthorized, "missing_token") // Bearer is not among the places
	proof := func(method string) string { return client.Proof(t, method, s.base+"/", client.token) }
	for range 2 {
		s.refused(s.get("/", "", "Cookie", "jwt="+client.token, "Dpop", proof("GET")), 401, "proof_required")
		s.refused(s.get("/?jwt="+client.token, "", "Dpop", proof("GET")), 401, "proof_required")
		s.refused(form(client.token, "Dpop", proof("POST")), 401, "proof_required")
	}
	for name, header := range map[string][]string{
		"the same token": {"Cookie", "jwt=" + client.token}, "another token": {"Cookie", "jwt=" + unbound},
	} {
		if a := s.with(client, "GET", "/", proof("GET"), header...); a.StatusCode != http.StatusBadRequest {
			t.Errorf("%s in a cookie as well: status %d", name, a.StatusCode)
		}
	}
	s.nothingForwarded()
}

// The backend gets the token if the operator wants so, with its scheme. It never gets the proof.
func TestProofWithForwardToken(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	client := newKeyholder(t, key)
	s := start(t, proofGate(t, key, "proof dpop", "forward_token"))
	got := s.passed(s.proves(client, "/"))
	if got.Header.Get("Authorization") != "DPoP "+client.token || got.Header["Dpop"] != nil {
		t.Errorf("the backend got %v", got.Header)
	}
	r := s.request("POST", "/", io.NopCloser(strings.NewReader("a")), "Authorization", "DPoP "+client.token, "Dpop",
		client.Proof(t, "POST", s.base+"/", client.token), "Connection", "Dpop")
	r.Trailer = http.Header{"Dpop": {"x"}, "X-Sum": {"1"}}
	if got := s.passed(s.do(r)); got.Header["Dpop"] != nil || got.Trailer["Dpop"] != nil {
		t.Errorf("the backend got %v, and the trailer %v", got.Header, got.Trailer)
	}
}
