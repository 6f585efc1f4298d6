package integration

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// A proof is good once: for this gate, for others of the same Caddy, and for those of the next configuration.
func TestProofIsUsedOnce(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	client := newKeyholder(t, key)
	gate := proofGate(t, key, "proof dpop", "realm one")
	at := func(name string) string {
		return "@" + name + " header X-Gate " + name + "\n" +
			strings.Replace(proofGate(t, key, "proof any", "realm "+name), "bearer_auth", "bearer_auth @"+name, 1)
	}
	s := start(t, at("a")+"\n"+at("b"))
	used := client.Proof(t, "GET", s.base+"/", client.token)
	s.provenPass(s.with(client, "GET", "/", used, "X-Gate", "a"))
	for _, other := range []string{"a", "b"} {
		a := s.with(client, "GET", "/", used, "X-Gate", other)
		s.blames(a, "invalid_dpop_proof", "proof_replayed")
		if realm := s.challengesOf(a)["DPoP"]["realm"]; realm != other {
			t.Errorf("the gate %q has answered, want %q", realm, other)
		}
	}
	s.provenPass(s.with(client, "GET", "/", client.Proof(t, "GET", s.base+"/", client.token), "X-Gate", "b"))
	s.load(gate)
	s.blames(s.with(client, "GET", "/", used), "invalid_dpop_proof", "proof_replayed")
	s.provenPass(s.proves(client, "/"))
}

// A proof that was refused for another reason stays good.
func TestProofOfARefusedRequestStaysGood(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	client := newKeyholder(t, key)
	s := start(t, proofGate(t, key, "proof dpop", "require scope write"))
	proof := client.Proof(t, "GET", s.base+"/", client.token)
	for range 2 {
		a := s.with(client, "GET", "/", proof)
		s.refused(a, http.StatusForbidden, "insufficient_scope")
		if found := s.challengesOf(a); len(found) != 1 || found["DPoP"]["error"] != "insufficient_scope" {
			t.Errorf("challenges %q", a.Header["Www-Authenticate"])
		}
	}
	s.load(proofGate(t, key, "proof dpop"))
	s.provenPass(s.with(client, "GET", "/", proof))
}

// A client learns a nonce when it is refused, and a new one before the old one ends (RFC 9449 section 8).
func TestProofNonces(t *testing.T) {
	long(t)
	key := tokentest.NewKey(t, "ES256", "k1")
	client := newKeyholder(t, key)
	s := start(t, proofGate(t, key, "proof dpop {\nnonce 10s\n}"))
	s.upstream.answer = func(w http.ResponseWriter, _ *http.Request) { // a backend with nonces of its own
		w.Header()["DPoP-Nonce"] = []string{"of-the-backend"}
		w.Header().Set("Cache-Control", "public, max-age=600")
		w.Header().Set("CDN-Cache-Control", "max-age=600")
		_, _ = io.WriteString(w, "ok")
	}
	nonceOf := func(a answer) string {
		t.Helper()
		if values := a.Header["Dpop-Nonce"]; len(values) == 1 && values[0] != "" {
			return values[0]
		}
		t.Fatalf("DPoP-Nonce %q", a.Header["Dpop-Nonce"])
		return ""
	}
	asked := func(edits ...map[string]any) string {
		t.Helper()
		a := s.proves(client, "/", edits...)
		s.blames(a, "use_dpop_nonce", "nonce_required")
		return nonceOf(a)
	}
	asked(map[string]any{"nonce": "forged"})
	asked(map[string]any{"nonce": strings.Repeat("A", 32)})
	nonceOf(s.get("/", ""))
	// In the second half of its time, a nonce is good and there is a newer one. A busy machine may miss that time.
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	nonce, end, fresh := asked(), deadline(), 0
	for {
		a := s.proves(client, "/", map[string]any{"nonce": nonce})
		if a.StatusCode == http.StatusUnauthorized {
			s.blames(a, "use_dpop_nonce", "nonce_required")
			nonce = nonceOf(a)
			continue
		}
		s.provenPass(a)
		if values := a.Header["Dpop-Nonce"]; len(values) != 1 || values[0] != "of-the-backend" {
			newer := nonceOf(a)
			if newer == nonce || a.Header.Get("Cache-Control") != "no-store" || a.Header["Cdn-Cache-Control"] != nil {
				t.Errorf("the nonce %q again, or to be stored: %v", newer, a.Header)
			}
			s.provenPass(s.proves(client, "/", map[string]any{"nonce": newer}))
			break
		}
		if fresh++; time.Now().After(end) {
			t.Fatalf("no newer nonce after %d requests", fresh)
		}
		<-tick.C
	}
	s.load(proofGate(t, key, "proof dpop {\nnonce off\n}"))
	s.provenPass(s.proves(client, "/"))
	s.provenPass(s.proves(client, "/", map[string]any{"nonce": "of-another-server"}))
}

// Pages of other origins can send proofs, and can read what they need for the next one (RFC 9449 section 7.1).
func TestProofFromPages(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	client := newKeyholder(t, key)
	s := start(t, proofGate(t, key, corsBlock(), "proof dpop {\nnonce 5m\n}"))
	preflight := func(header string) answer {
		return s.raw("OPTIONS /orders HTTP/1.1\r\nHost: gate.test\r\nOrigin: " + friend +
			"\r\nAccess-Control-Request-Method: PUT\r\nAccess-Control-Request-Headers: " + header + "\r\n\r\n")
	}
	if a := preflight("authorization,dpop"); a.StatusCode != http.StatusNoContent ||
		a.Header.Get("Access-Control-Allow-Headers") != "authorization,dpop" {
		t.Errorf("status %d, %v", a.StatusCode, a.Header)
	}
	exposes := func(a answer) {
		t.Helper()
		var names []string
		for _, line := range a.Header["Access-Control-Expose-Headers"] {
			for name := range strings.SplitSeq(strings.ToLower(line), ",") {
				names = append(names, strings.TrimSpace(name))
			}
		}
		all := "," + strings.Join(names, ",") + ","
		if !strings.Contains(all, ",dpop-nonce,") || !strings.Contains(all, ",www-authenticate,") ||
			a.Header.Get("Access-Control-Allow-Origin") != friend {
			t.Errorf("fields %v", a.Header)
		}
	}
	proof := func(edits ...map[string]any) string {
		return client.Proof(t, "GET", s.base+"/", client.token, edits...)
	}
	refused := s.with(client, "GET", "/", proof(), "Origin", friend)
	s.blames(refused, "use_dpop_nonce", "nonce_required")
	exposes(refused)
	nonce := map[string]any{"nonce": refused.Header.Get("Dpop-Nonce")}
	passed := s.with(client, "GET", "/", proof(nonce), "Origin", friend)
	s.provenPass(passed)
	exposes(passed)
	s.load(proofGate(t, key, corsBlock()))
	if a := preflight("authorization,dpop"); strings.Contains(a.Header.Get("Access-Control-Allow-Headers"), "dpop") {
		t.Errorf("a route without proofs allows them: %v", a.Header)
	}
	if a := s.get("/", "", "Origin", friend); strings.Contains(a.Header.Get("Access-Control-Expose-Headers"), "Nonce") {
		t.Errorf("a route without nonces exposes them: %v", a.Header)
	}
}

// Bodies and error pages say what is wrong with a proof.
func TestProofRefusalsOnPages(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	client, thief := newKeyholder(t, key), newKeyholder(t, key)
	thief.token = client.token
	const page = "\nhandle_errors {\nrespond \"{http.auth.bearer.reason} {http.auth.bearer.error}\"\n}"
	s := start(t, proofGate(t, key, "proof dpop required {\nnonce 5m\n}")+page)
	nonce := map[string]any{"nonce": s.proves(client, "/").Header.Get("Dpop-Nonce")}
	used := client.Proof(t, "GET", s.base+"/", client.token, nonce)
	good := client.Proof(t, "GET", s.base+"/", client.token, nonce)
	s.passed(s.with(client, "GET", "/", used))
	refusals := map[string]struct {
		send         func() answer
		reason, code string
	}{
		"used":        {func() answer { return s.with(client, "GET", "/", used) }, "proof_replayed", "invalid_dpop_proof"},
		"for another": {func() answer { return s.with(client, "POST", "/", good) }, "invalid_proof", "invalid_dpop_proof"},
		"no nonce":    {func() answer { return s.proves(client, "/") }, "nonce_required", "use_dpop_nonce"},
		"stolen":      {func() answer { return s.proves(thief, "/", nonce) }, "other_key", "invalid_token"},
		"as bearer":   {func() answer { return s.get("/", client.token) }, "proof_required", "invalid_token"},
	}
	for name, refusal := range refusals {
		a := refusal.send()
		s.refused(a, http.StatusUnauthorized, refusal.reason)
		if got, _, _ := strings.Cut(a.body, " "); got != refusal.reason {
			t.Errorf("%s: the page is %q", name, a.body)
		}
	}
	s.load(proofGate(t, key, "error_format problem", "proof dpop required {\nnonce 5m\n}") + page)
	for name, refusal := range refusals {
		a := refusal.send()
		s.refused(a, http.StatusUnauthorized, refusal.reason)
		var body struct {
			Type, Title, Detail, Error string
			Status                     int
		}
		if err := json.Unmarshal([]byte(a.body), &body); err != nil || body.Error != refusal.code || body.Status != 401 ||
			!strings.HasSuffix(body.Type, "#"+refusal.code) || body.Title == "" || body.Detail == "" ||
			a.Header.Get("Content-Type") != problemJSON {
			t.Errorf("%s: %v %s", name, err, a.body)
		}
	}
}

// The metadata of a resource tell which proofs its gates take (RFC 9728 section 2).
func TestProofInMetadata(t *testing.T) {
	const algs, required, certificates = "dpop_signing_alg_values_supported", "dpop_bound_access_tokens_required",
		"tls_client_certificate_bound_access_tokens"
	key := tokentest.NewKey(t, "ES256", "k1")
	every := []string{"EdDSA", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512", "RS256", "RS384", "RS512",
		"Ed25519"}
	two := "proof dpop {\nalgorithms ES256 EdDSA PS256\n}"
	s := prepare(t)
	gate := func(path, lines string) string {
		return strings.Replace(gateFor(issuerBlock(keptIssuer, pemOf(t, key)), "resource "+mcp, lines), "bearer_auth",
			"bearer_auth "+path, 1)
	}
	for name, test := range map[string]struct {
		gates               []string
		algs                []string
		required, certified any
	}{
		"nothing":         {[]string{""}, nil, nil, nil},
		"dpop":            {[]string{"proof dpop"}, every, nil, nil},
		"dpop required":   {[]string{"proof dpop required"}, every, true, nil},
		"some algorithms": {[]string{two}, []string{"EdDSA", "ES256", "PS256"}, nil, nil},
		"mtls":            {[]string{"proof mtls"}, nil, nil, true},
		"mtls required":   {[]string{"proof mtls required"}, nil, nil, true},
		"any":             {[]string{"proof any"}, every, nil, true},
		"any required":    {[]string{"proof any required"}, every, nil, true},
		"fapi2":           {[]string{"profile fapi2"}, []string{"Ed25519", "EdDSA", "ES256", "PS256"}, nil, true},
		"fapi2 with dpop": {[]string{"profile fapi2\nproof dpop"}, []string{"Ed25519", "EdDSA", "ES256", "PS256"}, true,
			nil},
		"one of two": {[]string{"", "proof dpop required"}, every, nil, nil},
		"one each":   {[]string{"proof dpop", "proof mtls"}, every, nil, true},
		"common algorithms": {[]string{two, "proof dpop {\nalgorithms RS256 PS256 ES256\n}"},
			[]string{"ES256", "PS256"}, nil, nil},
		"some, and all":      {[]string{"proof dpop", two}, []string{"EdDSA", "ES256", "PS256"}, nil, nil},
		"one, then required": {[]string{"proof dpop required", "proof any"}, every, nil, true},
		"both require it":    {[]string{"proof dpop required", "proof dpop required"}, every, true, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := s.in(t)
			directives := make([]string, len(test.gates))
			for i, lines := range test.gates {
				directives[i] = gate([]string{"/mcp", "/mcp/more"}[i], lines)
			}
			s.load(strings.Join(directives, "\n"))
			document := s.metadata(mcpMetadata)
			listed, _ := document[algs].([]any)
			if len(listed) != len(test.algs) {
				t.Errorf("%s is %v, want %q", algs, document[algs], test.algs)
			}
			for _, alg := range test.algs {
				if !strings.Contains(asJSON(t, listed), `"`+alg+`"`) {
					t.Errorf("%s lacks %s: %v", algs, alg, listed)
				}
			}
			if document[required] != test.required || document[certificates] != test.certified {
				t.Errorf("required %v, certificates %v; want %v, %v", document[required], document[certificates], test.required,
					test.certified)
			}
		})
	}
}
