package integration

import (
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// curlWith is a curl command with a token and a proof for it.
func curlWith(proof, address string) string {
	return "curl -H 'Authorization: DPoP %s' -H 'DPoP: " + proof + "' " + address
}

// refusalsOfProofs are those for reasons about keys and certificates of clients. block is that of https://as.example,
// which signs with key.
func refusalsOfProofs(t *testing.T, key *tokentest.Key, block string) map[gate.Reason]map[string]refusal {
	const address = "https://api.example.com/a?b=c"
	client, thief := tokentest.NewProver(t, "ES256"), tokentest.NewProver(t, "ES256")
	signed := func(changes ...any) string { return key.Sign(t, issuedBy("https://as.example", changes...)) }
	token := signed("cnf", map[string]any{"jkt": client.Thumbprint()})
	authority := tokentest.NewAuthority(t, "authority")
	pem := func(name string) (file, thumbprint string) {
		certificate := authority.Certify(t, name, tokentest.NewKey(t, "ES256", name))
		sum := sha256.Sum256(certificate.Raw)
		return newFile(t, name+".pem", tokentest.PEMOf(certificate)), base64.RawURLEncoding.EncodeToString(sum[:])
	}
	mine, thumbprint := pem("client")
	other, otherThumbprint := pem("other")
	certified := signed("cnf", map[string]any{"x5t#S256": thumbprint})
	by := func(p *tokentest.Prover, edits ...map[string]any) string {
		return curlWith(p.Proof(t, "GET", address, token, edits...), "'"+address+"'")
	}
	old := map[string]any{"iat": time.Now().Add(-10 * time.Minute).Unix()}
	plain, dpop := []string{block}, []string{"proof dpop", block}
	mtls, strict := []string{"proof mtls", block}, []string{"proof dpop required", block}
	return map[gate.Reason]map[string]refusal{
		gate.PlainHTTP: {"in clear": {gate: []string{"require_tls", block}, token: signed(),
			input: "curl -H 'Authorization: Bearer %s' http://api.example.com",
			sees:  []string{"FAIL  transport", `came      "http"`, `expected  "https"`, "Revoke the token", "trusted_proxies"}}},
		gate.ProofRequired: {
			"bound to what is not known": {gate: plain, token: signed("cnf", map[string]any{"jkt": "x"}),
				sees: []string{"proof", "bearer tokens"}},
			"where no proof counts": {gate: plain, token: token, sees: []string{"cnf.jkt " + client.Thumbprint(),
				`Add "proof dpop"`}},
			"alone": {gate: dpop, token: token, sees: []string{"not the scheme DPoP", "no header DPoP",
				"proof by key " + client.Thumbprint(), "the whole request"}},
			"bound to nothing": {gate: strict, token: signed(),
				sees: []string{"FAIL  binding", "a token that is bound to nothing", `has "required"`}},
			"a proof for a token without a key": {gate: dpop, token: signed(),
				input: curlWith(client.Proof(t, "GET", address, signed()), "'"+address+"'"),
				sees:  []string{"FAIL  binding", "with the scheme Bearer"}},
			"a certificate where none counts": {gate: plain, token: certified, args: []string{"--client-cert", mine},
				sees: []string{"cnf.x5t#S256 " + thumbprint, "proof mtls", "client_auth"}},
			"a certificate where only keys count": {gate: strict, token: certified, args: []string{"--client-cert", mine},
				sees: []string{"proof any required"}},
			"no certificate where none counts": {gate: plain, token: certified, sees: []string{`Add "proof mtls"`}},
			"no certificate": {gate: mtls, token: certified, sees: []string{"no client certificate",
				"client certificate " + thumbprint, "--client-cert", "client_cert_header"}},
		},
		gate.InvalidProof: {
			"an old one": {gate: dpop, token: token, input: by(client, old),
				sees: []string{"iat TIME, 10m", "max_age 1m0s", "live for max_age only", "mint --dpop-proof"}},
			"for another address": {gate: dpop, token: token, input: by(client, map[string]any{"htu": "https://example.com/"}),
				sees: []string{`"htu https://example.com/"`, `"htu https://api.example.com/a"`, "trusted_proxies"}},
			"for another scheme": {gate: dpop, token: token,
				input: strings.Replace(by(client), "'https:", "'http:", 1), sees: []string{`"htu http://api.example.com/a"`}},
			"for another method": {gate: dpop, token: token, input: by(client) + " -X POST",
				sees: []string{`"htm GET"`, `"htm POST"`, "the method of the request"}},
			"for another token": {gate: dpop, token: token,
				input: curlWith(client.Proof(t, "GET", address, "x"), "'"+address+"'"), sees: []string{"ath", "for this token"}},
			"none": {gate: dpop, token: token, input: "curl -H 'Authorization: DPoP %s' " + address,
				sees: []string{"no header DPoP", "the scheme DPoP", "prints both header lines"}},
			"another kind": {gate: dpop, token: token, input: curlWith(signed(), "'"+address+"'"),
				sees: []string{"a header DPoP that is no proof", "RFC 9449 section 4.2"}},
		},
		gate.OtherKey: {
			"a stolen token": {gate: dpop, token: token, input: by(thief),
				sees: []string{"proof by key " + thief.Thumbprint(), "cnf.jkt " + client.Thumbprint(), "revoke the token"}},
			"another certificate": {gate: mtls, token: certified, args: []string{"--client-cert", other},
				sees: []string{"client certificate " + otherThumbprint, "client certificate " + thumbprint, "renewed"}},
		},
		gate.NonceRequired: {"none": {gate: []string{"proof dpop {\nnonce 1m\n}", block}, token: token, input: by(client),
			sees: []string{"a nonce", "--dpop-nonce"}}},
	}
}

// What a proof is for, and how it came, is judged whatever is pasted. What the input does not say is assumed, and that
// is said.
func TestExplainJudgesProofs(t *testing.T) {
	key, client := tokentest.NewKey(t, "ES256", "k1"), tokentest.NewProver(t, "ES256")
	block := issuerWithKeys("https://as.example", "file "+newFile(t, "key.pem", key.PublicPEM()))
	token := key.Sign(t, issuedBy("https://as.example", "cnf", map[string]any{"jkt": client.Thumbprint()}))
	bearer := key.Sign(t, issuedBy("https://as.example"))
	const where = "https://api.example.com/a"
	lines := func(to string, edits ...map[string]any) string {
		return "Authorization: DPoP " + token + "\nDPoP: " + client.Proof(t, "GET", to, token, edits...) + "\n"
	}
	replay := explainedStep{Rule: "replay", Result: "not_checked"}
	for name, c := range map[string]struct {
		gate  []string
		input string
		want  []explainedStep // the last ones
	}{
		"a curl command": {[]string{"proof dpop required"},
			strings.Replace(curlWith(client.Proof(t, "GET", where, token), where), "%s", token, 1), []explainedStep{replay}},
		"a request": {[]string{"proof dpop required", "require_tls"},
			"GET /a HTTP/1.1\nHost: api.example.com\n" + lines(where),
			[]explainedStep{replay, {Rule: "address", Detail: "that of the proof is assumed"}}},
		"a request by http": {[]string{"proof dpop"}, "GET /a HTTP/1.1\nHost: localhost\n" + lines("http://localhost/a"),
			[]explainedStep{replay, {Rule: "address", Detail: "http or https"}}},
		"the fields of HTTP/2": {[]string{"proof dpop"},
			":method: GET\n:scheme: https\n:authority: api.example.com\n:path: /a\n" + lines(where), []explainedStep{replay}},
		"header lines": {[]string{"proof dpop"}, lines("https://api.example.com/b%2Fc"),
			[]explainedStep{replay, {Rule: "address", Detail: "where the request goes"}}},
		"a nonce": {[]string{"proof dpop {\nnonce 1m\n}"}, lines(where, map[string]any{"nonce": "x"}),
			[]explainedStep{{Rule: "nonce", Detail: "only the running Caddy"}, replay, {Rule: "address"}}},
		"a bearer token": {[]string{"require_tls"}, bearer, nil},
		"a line with a bearer token": {[]string{"require_tls"}, "Authorization: Bearer " + bearer,
			[]explainedStep{{Rule: "address"}}},
		"a line where it does not count": {nil, "Authorization: Bearer " + bearer, nil},
	} {
		t.Run(name, func(t *testing.T) {
			report, status := explainJSON(t, c.input, "--config", caddyfileFor(t, append(c.gate, block)...), "-")
			steps := report.Gates[0].Steps
			first := slices.IndexFunc(steps, func(s explainedStep) bool { return s.Result == "not_checked" })
			if first < 0 {
				first = len(steps)
			}
			open := steps[first:]
			if status != 0 || len(open) != len(c.want) {
				t.Fatalf("status %d, steps %+v", status, steps)
			}
			for i, want := range c.want {
				if open[i].Rule != want.Rule || open[i].Result != "not_checked" || !strings.Contains(open[i].Detail, want.Detail) {
					t.Errorf("step %+v, want %+v", open[i], want)
				}
			}
		})
	}
}

// A proof that a running gate explains is as good as before. The gate knows which nonces are good.
func TestRunningGateExplainsProofs(t *testing.T) {
	key, client := tokentest.NewKey(t, "ES256", "k1"), tokentest.NewProver(t, "ES256")
	block := issuerWithKeys("https://as.example", "file "+newFile(t, "key.pem", key.PublicPEM()))
	authority := tokentest.NewAuthority(t, "authority")
	file := newFile(t, "client.pem",
		tokentest.PEMOf(authority.Certify(t, "client", tokentest.NewKey(t, "ES256", "client"))))
	o := operated(t, gateFor("proof any {\nnonce 1m\n}", block))
	token := key.Sign(t, issuedBy("https://as.example", "cnf", map[string]any{"jkt": client.Thumbprint()}))
	proof := func(nonce string) string {
		return client.Proof(t, "GET", o.base+"/", token, map[string]any{"nonce": nonce})
	}
	judged := func(proof string, more ...string) (explained, int) {
		curl := strings.Replace(curlWith(proof, o.base), "%s", token, 1)
		return explainJSON(t, curl, append([]string{"--address", "unix/" + o.socket, "-"}, more...)...)
	}
	report, status := judged(proof("forged"))
	if status != 1 || report.Gates[0].Reason != "nonce_required" {
		t.Fatalf("status %d, %+v", status, report)
	}
	nonce := o.get("/", "").Header.Get("DPoP-Nonce")
	if report.Gates[0].Answer.Status != 401 || nonce == "" {
		t.Errorf("nonce %q, %+v", nonce, report.Gates[0].Answer)
	}
	good := proof(nonce)
	for range 2 {
		report, status = judged(good)
		steps := report.Gates[0].Steps
		last := steps[len(steps)-1]
		if status != 0 || last.Rule != "replay" || !strings.Contains(last.Detail, "used before is not known") {
			t.Fatalf("status %d, %+v", status, report)
		}
	}
	o.passed(o.get("/", "", "Authorization", "DPoP "+token, "DPoP", good))
	o.refused(o.get("/", "", "Authorization", "DPoP "+token, "DPoP", good), 401, "proof_replayed")

	mine, err := mint("--config", caddyfileFor(t, "proof any", bobWithASecret), "--consumer", "bob", "--client-cert", file)
	if err != nil {
		t.Fatal(err)
	}
	certified := key.Sign(t, issuedBy("https://as.example", "cnf", bindingOf(t, mine)))
	for args, want := range map[string]int{"": 1, "--client-cert " + file: 0} {
		_, status := explainJSON(t, certified, append(strings.Fields(args), "--address", "unix/"+o.socket, "-")...)
		if status != want {
			t.Errorf("with %q: status %d, want %d", args, status, want)
		}
	}
	for name, certificate := range map[string]string{
		"a text": "x", "a key": tokentest.NewKey(t, "ES256", "k").PrivatePEM(),
		"no certificate": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
		"two":            tokentest.PEMOf(authority, authority),
	} {
		a := o.asks("POST", "/bearer_auth/explain", asJSON(t, m{"input": certified, "client_certificate": certificate}))
		if a.StatusCode != 400 || !strings.Contains(a.body, "client_certificate") || strings.Contains(a.body, "BEGIN") {
			t.Errorf("%s: %d, %s", name, a.StatusCode, a.body)
		}
	}
}

func TestExplainSaysWhatIsWrongWithACertificate(t *testing.T) {
	config := caddyfileFor(t, "proof mtls", bobWithASecret)
	for name, file := range map[string]string{
		"no file": "/does/not/exist", "a key": newFile(t, "key.pem", tokentest.NewKey(t, "ES256", "k").PrivatePEM()),
	} {
		if out, status := explain(t, "", "--config", config, "--client-cert", file, "x"); status != 2 ||
			!strings.Contains(out, "--client-cert") {
			t.Errorf("%s: status %d, %s", name, status, out)
		}
	}
}
