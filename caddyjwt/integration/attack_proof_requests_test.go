package integration

import (
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// Two proofs, a proof where none belongs, and names that some servers take for DPoP: each request has one proof in one
// header, or is refused.
func TestAttackProofHeaderSpellings(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	s := start(t, proofGate(t, key, "proof dpop", "token_from header Authorization Bearer"))
	client := newKeyholder(t, key)
	for _, name := range []string{"dpop", "DPOP", "DPoP", "dPoP"} { // names have no case (RFC 9110 section 5.1)
		s.provenPass(s.raw(client.getWith("/", name+": "+client.Proof(t, "GET", s.base+"/", client.token))))
	}
	for name, request := range map[string]func(proof, other string) string{
		"two lines":          func(p, o string) string { return client.getWith("/", "DPoP: "+p, "DPoP: "+o) },
		"two spellings":      func(p, o string) string { return client.getWith("/", "DPoP: "+p, "dpop: "+o) },
		"the same twice":     func(p, _ string) string { return client.getWith("/", "DPoP: "+p, "DPOP: "+p) },
		"an empty one first": func(p, _ string) string { return client.getWith("/", "DPoP:", "DPoP: "+p) },
		"an empty one last":  func(p, _ string) string { return client.getWith("/", "DPoP: "+p, "DPoP:") },
		"in one line":        func(p, o string) string { return client.getWith("/", "DPoP: "+p+", "+o) },
		"nothing":            func(string, string) string { return client.getWith("/", "DPoP:") },
		"a blank":            func(p, _ string) string { return client.getWith("/", "DPoP: . "+p) },
		"another name":       func(p, _ string) string { return client.getWith("/", "D-PoP: "+p) },
		"an underscore":      func(p, _ string) string { return client.getWith("/", "DPoP_: "+p) },
		"a proxy's header":   func(p, _ string) string { return client.getWith("/", "Proxy-DPoP: "+p) },
		"in the cookie":      func(p, _ string) string { return client.getWith("/", "Cookie: DPoP="+p) },
		"in the query":       func(p, _ string) string { return client.getWith("/?DPoP=" + p) },
		"beside the token":   func(p, _ string) string { return client.getWith("/", "X-A: b", "X-DPoP: "+p) },
		"named in Connection": func(p, o string) string {
			return client.getWith("/", "Connection: DPoP", "DPoP: "+p, "DPoP: "+o)
		},
	} {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			a.secret(client.token)
			got := a.raw(request(client.Proof(t, "GET", a.base+"/", client.token),
				client.Proof(t, "GET", a.base+"/", client.token)))
			a.blames(got, "invalid_dpop_proof", "invalid_proof")
		})
	}
	s.attack(t, "a space before the colon", func(t *testing.T, a *attempt) {
		a.neverForwarded(a.raw(client.getWith("/", "DPoP : "+client.Proof(t, "GET", a.base+"/", client.token))))
	})
	s.attack(t, "in the trailer", func(t *testing.T, a *attempt) {
		proof := client.Proof(t, "POST", a.base+"/", client.token)
		for _, announced := range []string{"Trailer: DPoP", "Trailer: dpop, X-Sum", "X-Other: a"} {
			a.neverForwarded(a.raw("POST / HTTP/1.1\r\nHost: gate.test\r\nAuthorization: DPoP " + client.token +
				"\r\nTransfer-Encoding: chunked\r\n" + announced + "\r\n\r\n1\r\na\r\n0\r\nDPoP: " + proof + "\r\n\r\n"))
		}
	})
	proxy := "GET / HTTP/1.1\r\nHost: gate.test\r\nProxy-Authorization: DPoP " + client.token + "\r\nDPoP: "
	s.attack(t, "a token for proxies", func(t *testing.T, a *attempt) { // RFC 9449 section 7.1
		a.refused(a.raw(proxy+client.Proof(t, "GET", a.base+"/", client.token)+"\r\n\r\n"), 401, "missing_token")
	})
}

// One line of Authorization with both schemes, or two lines: no server may choose one of them.
func TestAttackProofWithTwoSchemes(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	s := start(t, proofGate(t, key, "proof dpop", "token_from header Authorization Bearer"))
	client, unbound := newKeyholder(t, key), key.Sign(t, issuedBy(keptIssuer, "sub", "admin"))
	for name, more := range map[string]string{
		"Bearer of another token": "Authorization: Bearer " + unbound,
		"Bearer of the same":      "Authorization: Bearer " + client.token,
		"DPoP twice":              "Authorization: DPoP " + client.token,
		"Basic":                   "Authorization: Basic YTpi",
		"nothing":                 "Authorization:",
	} {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			proof := "DPoP: " + client.Proof(t, "GET", a.base+"/", client.token)
			got := a.raw(client.getWith("/", more, proof))
			a.refused(got, 400, "malformed_request")
			for scheme, params := range a.challengesOf(got) {
				if params["error"] != "invalid_request" {
					t.Errorf("challenge of %s: %v", scheme, params)
				}
			}
			value := strings.TrimPrefix(more, "Authorization:")
			got = a.raw("GET / HTTP/1.1\r\nHost: gate.test\r\nAuthorization: DPoP " + client.token + "," + value + "\r\n" +
				proof + "\r\n\r\n")
			a.neverForwarded(got)
		})
	}
	s.attack(t, "an unbound token as DPoP", func(t *testing.T, a *attempt) {
		a.blames(a.proves(&keyholder{client.Prover, unbound}, "/"), "invalid_token", "proof_required")
	})
	s.attack(t, "a proof in the place of the token", func(t *testing.T, a *attempt) { // RFC 9449 section 11.5
		proof := client.Proof(t, "GET", a.base+"/", client.token, map[string]any{"iss": keptIssuer, "aud": audience})
		for _, scheme := range []string{"DPoP ", "Bearer "} {
			for _, field := range []string{proof, client.token} {
				got := a.do(a.request("GET", "/", nil, "Authorization", scheme+proof, "Dpop", field))
				if got.StatusCode != 401 {
					t.Errorf("%s: status %d", scheme, got.StatusCode)
				}
				a.neverForwarded(got)
			}
		}
	})
	s.provenPass(s.proves(client, "/"))
}

// Fields and parameters that change the method for some frameworks do not change which method a proof must be for.
func TestAttackProofMethodOverride(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	s := start(t, proofGate(t, key, "proof dpop"))
	client := newKeyholder(t, key)
	for _, line := range []string{
		"X-HTTP-Method-Override: DELETE", "X-HTTP-Method: DELETE", "X-Method-Override: DELETE",
		"Access-Control-Request-Method: DELETE", "X-Original-Method: DELETE", "X-Forwarded-Method: DELETE",
	} {
		for _, target := range []string{"/", "/?_method=DELETE"} {
			s.attack(t, line+" "+target, func(t *testing.T, a *attempt) {
				other := client.Proof(t, "DELETE", a.base+"/", client.token)
				a.blames(a.raw(client.getWith(target, line, "DPoP: "+other)), "invalid_dpop_proof", "invalid_proof")
				own := client.Proof(t, "GET", a.base+"/", client.token)
				if got := a.provenPass(a.raw(client.getWith(target, line, "DPoP: "+own))); got.Method != "GET" {
					t.Errorf("%s reached the backend", got.Method)
				}
			})
		}
	}
}

// A proof for one host comes to another, or for one path to another, and the request says in odd ways what it is for.
func TestAttackProofHostTricks(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	s := startForAnyHost(t, proofGate(t, key, "proof dpop"))
	client := newKeyholder(t, key)
	proofFor := func(t *testing.T, address string) string {
		return "DPoP: " + client.Proof(t, "GET", address, client.token)
	}
	send := func(target, host string, lines ...string) string {
		return strings.Replace(client.getWith(target, lines...), "Host: gate.test", "Host: "+host, 1)
	}
	for name, good := range map[string]struct{ target, host, address string }{
		"the default port":       {"/", "gate.test:80", "http://gate.test/"},
		"the default port again": {"/", "gate.test", "http://gate.test:80/"},
		"upper case":             {"/", "GATE.Test", "http://gate.test/"},
		"upper case, too":        {"/", "gate.test", "HTTP://GATE.TEST/"},
		"another port":           {"/", "gate.test:8080", "http://gate.test:8080/"},
		"an escape":              {"/%7Ea", "gate.test", "http://gate.test/~a"},
		"no path":                {"/", "gate.test", "http://gate.test"},
		"dots":                   {"/a/../b", "gate.test", "http://gate.test/b"},
		"an address":             {"/", "[::1]", "http://[::1]/"},
	} {
		t.Run(name, func(t *testing.T) {
			s := s.in(t)
			s.provenPass(s.raw(send(good.target, good.host, proofFor(t, good.address))))
		})
	}
	for name, bad := range map[string]struct {
		target, host, address string
		lines                 []string
	}{
		"another host":           {"/", "evil.test", "http://gate.test/", nil},
		"a host before it":       {"/", "gate.test", "http://evil.test/", nil},
		"another port":           {"/", "gate.test:8080", "http://gate.test/", nil},
		"the port of TLS":        {"/", "gate.test:443", "https://gate.test/", nil},
		"the scheme of TLS":      {"/", "gate.test", "https://gate.test/", nil},
		"X-Forwarded-Host":       {"/", "evil.test", "http://gate.test/", []string{"X-Forwarded-Host: gate.test"}},
		"X-Forwarded-Proto":      {"/", "gate.test", "https://gate.test/", []string{"X-Forwarded-Proto: https"}},
		"Forwarded":              {"/", "evil.test", "https://gate.test/", []string{"Forwarded: host=gate.test;proto=https"}},
		"X-Host":                 {"/", "evil.test", "http://gate.test/", []string{"X-Host: gate.test"}},
		"X-Original-Host":        {"/", "evil.test", "http://gate.test/", []string{"X-Original-Host: gate.test"}},
		"X-Original-URL":         {"/a", "gate.test", "http://gate.test/b", []string{"X-Original-URL: /b"}},
		"X-Rewrite-URL":          {"/a", "gate.test", "http://gate.test/b", []string{"X-Rewrite-URL: /b"}},
		"another path":           {"/admin", "gate.test", "http://gate.test/", nil},
		"a slash more":           {"/a/", "gate.test", "http://gate.test/a", nil},
		"an escaped slash":       {"/a%2Fb", "gate.test", "http://gate.test/a/b", nil},
		"an escaped slash there": {"/a/b", "gate.test", "http://gate.test/a%2Fb", nil},
		"a query there":          {"/a", "gate.test", "http://gate.test/b?/a", nil},
		"a user there":           {"/", "gate.test", "http://evil@gate.test/", nil},
		"a host that ends so":    {"/", "gate.test", "http://evil.gate.test/", nil},
		"a dot at the end":       {"/", "gate.test.", "http://gate.test/", nil},
	} {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			proof := client.Proof(t, "GET", "", client.token, map[string]any{"htu": bad.address})
			a.blames(a.raw(send(bad.target, bad.host, append(bad.lines, "DPoP: "+proof)...)), "invalid_dpop_proof",
				"invalid_proof")
		})
	}
	for name, request := range map[string]string{
		"two hosts": client.getWith("/", "Host: evil.test", proofFor(t, "http://gate.test/")),
		"no host":   send("/", "", proofFor(t, "http://gate.test/")),
	} {
		s.attack(t, name, func(_ *testing.T, a *attempt) { a.neverForwarded(a.raw(request)) })
	}
	// The host of an absolute target replaces Host (RFC 9112 section 3.2.2).
	for _, host := range []string{"gate.test", "evil.test"} {
		s.passed(s.raw(send("http://gate.test/", host, proofFor(t, "http://gate.test/"))))
	}
	s.attack(t, "an absolute target at another host", func(t *testing.T, a *attempt) {
		a.blames(a.raw(send("http://gate.test/", "gate.test", proofFor(t, "http://evil.test/"))), "invalid_dpop_proof",
			"invalid_proof")
	})
	s.attack(t, "an asterisk", func(_ *testing.T, a *attempt) { // which Go's server answers itself
		proof := client.Proof(t, "OPTIONS", "http://gate.test/*", client.token)
		a.raw(strings.Replace(client.getWith("*", "DPoP: "+proof), "GET", "OPTIONS", 1))
		a.nothingForwarded()
	})
}

// Nonces are neither forged, nor taken from another Caddy, nor left out once they are asked for.
func TestAttackProofNonces(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	s := start(t, proofGate(t, key, "proof dpop {\nnonce 1m\n}"))
	client := newKeyholder(t, key)
	nonce := s.proves(client, "/").Header.Get("Dpop-Nonce")
	other := start(t, proofGate(t, key, "proof dpop {\nnonce 2m\n}")) // another lifetime, which is another nonce
	foreign := other.proves(client, "/").Header.Get("Dpop-Nonce")
	s = start(t, proofGate(t, key, "proof dpop {\nnonce 1m\n}"))
	for name, edits := range map[string]map[string]any{
		"left out": nil, "forged": {"nonce": strings.Repeat("A", len(nonce))}, "short": {"nonce": nonce[1:]},
		"longer": {"nonce": nonce + "A"}, "in another case": {"nonce": strings.ToUpper(nonce)}, "foreign": {"nonce": foreign},
		"in the header": {"header.nonce": nonce},
	} {
		s.attack(t, name, func(_ *testing.T, a *attempt) {
			got := a.proves(client, "/", edits)
			a.blames(got, "use_dpop_nonce", "nonce_required")
			if values := got.Header["Dpop-Nonce"]; len(values) != 1 || values[0] == "" {
				t.Errorf("DPoP-Nonce %q", values)
			}
		})
	}
	fresh := s.proves(client, "/").Header.Get("Dpop-Nonce")
	s.drain()
	s.provenPass(s.proves(client, "/", map[string]any{"nonce": fresh}))
}

// The backend of an error route gets a refused request by every protocol: without the token and without the proof,
// which it could use elsewhere. Two fields are two proofs by every protocol, too.
func TestAttackProofOnErrorRoutes(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	pages := newUpstream(t)
	s, ways := startEverywhere(t, proofGate(t, key, "proof dpop")+"\nhandle_errors {\nreverse_proxy "+pages.addr()+"\n}")
	client := newKeyholder(t, key)
	for _, way := range ways {
		base := strings.TrimSuffix(way.url, "/")
		good := func(t *testing.T) string { return client.Proof(t, "GET", base+"/", client.token) }
		for name, send := range map[string]func(t *testing.T, a *attempt) answer{
			"for another method": func(t *testing.T, a *attempt) answer { return a.with(client, "DELETE", "/", good(t)) },
			"two proofs": func(t *testing.T, a *attempt) answer {
				return a.with(client, "GET", "/", good(t), "Dpop", good(t))
			},
			"as bearer":       func(t *testing.T, a *attempt) answer { return a.get("/", client.token, "Dpop", good(t)) },
			"without a token": func(t *testing.T, a *attempt) answer { return a.get("/", "", "Dpop", good(t)) },
		} {
			s.attack(t, name+" by "+way.name, func(t *testing.T, a *attempt) {
				a = a.by(way)
				a.secret(client.token)
				pages.take()
				if got := send(t, a); got.Header.Get("WWW-Authenticate") == "" {
					t.Error("no challenge in the answer")
				}
				a.nothingForwarded()
				for _, page := range pages.take() {
					if page.Header["Dpop"] != nil || page.Header["Authorization"] != nil {
						t.Errorf("the error page's backend got %v", page.Header)
					}
				}
			})
		}
	}
}
