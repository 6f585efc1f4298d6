package integration

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// sealed is a client whose access tokens nobody but the issuer can read.
func (b *booth) sealed(lines ...string) string {
	b.t.Helper()
	return b.clientOf("sealed", append([]string{
		"scopes read write", "audience " + audience + " " + otherResource, "token opaque",
	}, lines...)...)
}

// An opaque token is good where a JWT with the same claims is, and for as long.
func TestOpaqueTokensAtALocalGate(t *testing.T) {
	b := newBooth(t)
	with := []string{b.issuerWith(b.sealed("claim tier gold"), b.billing(), b.asker()), localGate("require scope read")}
	b.runs(with...)
	token := b.tokenOf("sealed", "scope", "read")
	if !strings.HasPrefix(token, "oat_") || strings.Contains(token, ".") {
		t.Errorf("%s", token)
	}
	for _, path := range []string{"/", orders + "7"} {
		b.drain()
		b.passed(b.get(path, token))
	}
	if says := b.introspects("asker", token); says["active"] != true || says["client_id"] != "sealed" ||
		says["tier"] != "gold" || says["token_type"] != "Bearer" {
		t.Errorf("%v", says)
	}
	b.refused(b.get("/", b.tokenOf("sealed", "resource", otherResource)), http.StatusUnauthorized, "invalid_audience")
	b.refused(b.get("/", b.tokenOf("sealed", "scope", "write")), http.StatusForbidden, "insufficient_scope")
	b.unknownTo("asker", b.tokenOf("sealed", "resource", otherResource))
	b.failed(b.form(revocationPath, formOf("token", token), secretOf("billing")...), http.StatusBadRequest,
		"unauthorized_client")
	b.runs(with...) // what another configuration has sealed
	b.drain()
	b.passed(b.get("/", token))
	b.runs(b.issuerWith(b.billing(), b.asker()), localGate())
	b.refused(b.get("/", token), http.StatusUnauthorized, "invalid_audience") // the client is gone
	b.unknownTo("asker", token)
	b.runs(with...)
	b.drain()
	b.passed(b.get("/", token))
	b.revokes(token, secretOf("sealed")...)
	b.isOut(token, "revoked")
	b.unknownTo("asker", token)
	pasted := b.tokenOf("sealed")
	b.works(pasted)
	b.command(pasted, "revoke", "--issuer", ownIssuer, "--token", "-") // operators cannot read its jti
	b.isOut(pasted, "revoked")
	b.unknownTo("asker", pasted)
	fresh := b.tokenOf("sealed")
	keeperOf(b.office).commands("keys", "reset", "--yes")
	b.isOut(fresh, "unknown_key")
	b.unknownTo("asker", fresh)
	b.works(b.tokenOf("sealed"))
}

// A gate that is elsewhere asks the issuer about its opaque tokens, and about nothing else.
func TestOpaqueTokensAtAGateElsewhere(t *testing.T) {
	b := newBooth(t)
	address, err := url.Parse(b.base)
	if err != nil {
		t.Fatal(err)
	}
	network := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(address) }, Transport: b.client.Transport,
	})
	t.Cleanup(network.Close)
	far := gateForAudience(issuerBlock(ownIssuer, "keys none", "revocation off", "introspect opaque {",
		"endpoint "+network.URL+introspectionPath, "client_id asker", "client_secret `"+clientSecret+"`", "cache_ttl 0s",
		"prefix oat_", "}"))
	b.runs(b.issuerWith(b.sealed(), b.asker()), strings.Replace(far, "bearer_auth {", "bearer_auth /far/* {", 1))
	token := b.tokenOf("sealed", "scope", "read")
	b.drain()
	b.passed(b.get("/far/x", token))
	b.refused(b.get("/far/x", b.tokenOf("sealed", "resource", otherResource)), http.StatusUnauthorized, "inactive")
	b.refused(b.get("/far/x", token+"A"), http.StatusUnauthorized, "inactive")
	b.refused(b.get("/far/x", token[1:]), http.StatusUnauthorized, "malformed_token")
	b.revokes(token, secretOf("sealed")...)
	b.refused(b.get("/far/x", token), http.StatusUnauthorized, "inactive")
}

// Opaque tokens are bound to a key like others.
func TestOpaqueTokensThatAreBound(t *testing.T) {
	b := newBooth(t)
	b.runs(b.issuerWith(b.sealed("proof dpop")), localGate("proof dpop"))
	p := tokentest.NewProver(t, "ES256")
	a := b.form(tokenPath, asking("scope", "read"), append(secretOf("sealed"), "DPoP",
		p.Proof(t, http.MethodPost, b.base+tokenPath, ""))...)
	if a.StatusCode != http.StatusOK || !strings.Contains(a.body, `"token_type":"DPoP"`) {
		t.Fatalf("%d %s", a.StatusCode, a.body)
	}
	token := strings.Split(a.body, `"`)[3]
	b.refused(b.get("/", token), http.StatusUnauthorized, "proof_required")
	b.drain()
	b.passed(b.get("/", "", "Authorization", "DPoP "+token, "DPoP", p.Proof(t, http.MethodGet, b.base+"/", token)))
	other := tokentest.NewProver(t, "ES256")
	b.refused(b.get("/", "", "Authorization", "DPoP "+token, "DPoP",
		other.Proof(t, http.MethodGet, b.base+"/", token)), http.StatusUnauthorized, "other_key")
}

// What a client adds to its tokens has the types that it has in the configuration.
func TestWhatClientsAddToTheirTokens(t *testing.T) {
	b := newBooth(t)
	b.runs(b.issuerWith(b.clientOf("rich", "audience "+audience+" "+otherResource, "claim tier gold",
		"claim limits json `{\"day\":100}`", "claim admin json true", "claim roles json `[\"clerk\"]`", "header env test",
		"header version json 3", "access_lifetime 10m", "access_lifetime 1m "+otherResource)),
		localGate("require group clerk", "require claim limits.day 100", "require claim admin true"))
	a := b.tokensIn(b.form(tokenPath, asking(), secretOf("rich")...))
	if a.Expires < 595 || a.Expires > 600 {
		t.Errorf("it lives %d s", a.Expires)
	}
	header, payload := claimsOf(t, a.Access)
	if !strings.Contains(header, `"env":"test","version":3`) ||
		!strings.Contains(payload, `"admin":true,"limits":{"day":100},"roles":["clerk"],"tier":"gold"`) {
		t.Errorf("%s %s", header, payload)
	}
	b.works(a.Access)
	if a := b.tokensIn(b.form(tokenPath, asking("resource", otherResource), secretOf("rich")...)); a.Expires > 60 {
		t.Errorf("it lives %d s", a.Expires)
	}
}

// Nobody gets in with something that looks like an opaque token of the issuer, and it costs no look at the store.
func TestAttackOpaqueTokensAtAGate(t *testing.T) {
	b := newBooth(t)
	b.runs(b.issuerWith(b.sealed(), b.billing(), b.asker()), localGate())
	token, session := b.tokenOf("sealed"), b.login()
	b.works(token)
	prefix, box := token[:13], token[13:]
	_, payload := claimsOf(t, b.tokenOf("billing"))
	whole, err := base64.RawURLEncoding.DecodeString(box)
	if err != nil {
		t.Fatal(err)
	}
	keyed := func(text string) string { // with the id of the key that has sealed the token
		return prefix + base64.RawURLEncoding.EncodeToString(append(whole[:32:32], text...))
	}
	hostile := map[string]string{
		"the prefix alone": prefix, "without it": box, "another prefix": "oat_aaaaaaaa_" + box, "twice": token + token,
		"in capitals": strings.ToUpper(token), "a JWT inside": prefix + "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.",
		"padded": token + "=", "cut": token[:len(token)-4], "longer": token + "AAAA", "empty box": prefix + "AAAA",
		"a refresh token": keyed(session.Refresh), "claims in clear": keyed(payload), "the token": keyed(token),
		"all zero": prefix + strings.Repeat("A", len(box)), "very long": prefix + strings.Repeat("A", 15_000),
	}
	for i := 40; i < len(box); i += 9 { // before that is the id of the key, and unknown ids wait
		changed := byte('A')
		if box[i] == changed {
			changed = 'B'
		}
		hostile["changed at "+box[:i]] = prefix + box[:i] + string(changed) + box[i+1:]
	}
	for name, text := range hostile {
		b.attack(t, name, func(t *testing.T, b *booth, _ *attempt) {
			if a := b.get("/", text); a.StatusCode != http.StatusUnauthorized {
				t.Errorf("status %d", a.StatusCode)
			}
			b.nothingForwarded()
			b.unknownTo("asker", text)
			b.revokes(text, secretOf("sealed")...) // no error, and no effect
		})
	}
	b.refused(b.get("/", session.Refresh), http.StatusUnauthorized, "malformed_token")
	b.works(token)
}
