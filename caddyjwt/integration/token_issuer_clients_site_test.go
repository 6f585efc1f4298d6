package integration

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// Pages of the listed origin can refresh and revoke at the addresses for clients, and read every answer.
func TestPagesOfAnotherOriginAtTheAddressesOfClients(t *testing.T) {
	b := newBooth(t)
	b.runs(b.issuerWith(b.billing(), corsBlock()), localGate(corsBlock()))
	for _, path := range []string{tokenPath, introspectionPath, revocationPath} {
		a := b.preflight(path, friend, "authorization,content-type")
		if a.StatusCode != http.StatusNoContent || a.Header.Get("Access-Control-Allow-Origin") != friend {
			t.Errorf("preflight for %s: status %d, %v", path, a.StatusCode, a.Header)
		}
		a = b.preflight(path, stranger, "content-type")
		b.readable(a, stranger, false)
	}
	p := b.login()
	for _, from := range []struct {
		origin string
		may    bool
	}{{friend, true}, {stranger, false}} {
		reads := func(a answer, status int) answer {
			t.Helper()
			if a.StatusCode != status {
				t.Errorf("status %d, want %d: %s", a.StatusCode, status, a.body)
			}
			b.readable(a, from.origin, from.may)
			return a
		}
		origin := []string{"Origin", from.origin}
		a := reads(b.form(tokenPath, refreshing(orders, p.Refresh), origin...), http.StatusOK)
		p.Refresh = b.tokensIn(a).Refresh
		reads(b.form(tokenPath, asking(), append(origin, secretOf("billing", "wrong")...)...), http.StatusUnauthorized)
		reads(b.form(tokenPath, asking(), origin...), http.StatusUnauthorized)
		reads(b.post(tokenPath, asJSONBody, "{}", origin...), http.StatusUnsupportedMediaType)
		reads(b.do(b.request(http.MethodGet, tokenPath, nil, origin...)), http.StatusMethodNotAllowed)
		reads(b.form(revocationPath, formOf("client_id", orders, "token", "x"), origin...), http.StatusOK)
	}
}

// Both documents have the addresses for clients, and how clients show who they are.
func TestTheMetadataNameTheAddressesOfClients(t *testing.T) {
	b := newBooth(t)
	for name, try := range map[string]struct {
		issuer, endpoints  string
		oidc, oauth, token string // paths
	}{
		"a host": {ownIssuer, "", "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server",
			"/oauth2/token"},
		"a path": {ownIssuer + "/tenant", "", "/tenant/.well-known/openid-configuration",
			"/.well-known/oauth-authorization-server/tenant", "/tenant/oauth2/token"},
		"other addresses": {ownIssuer, "oauth_endpoints {\ntoken /t\nintrospection /i\nrevocation /r\n}",
			"/.well-known/openid-configuration", "/.well-known/oauth-authorization-server", "/t"},
	} {
		t.Run(name, func(t *testing.T) {
			b := b.in(t)
			lines := []string{b.clientOf("billing"), "default_audience " + audience}
			b.runs(issuingFor(try.issuer, append(lines, try.endpoints)...),
				gateForAudience(issuerBlock(try.issuer, "keys local")))
			var all []map[string]any
			for _, path := range []string{try.oidc, try.oauth} {
				var document map[string]any
				a := b.get(path, "")
				if err := json.Unmarshal([]byte(a.body), &document); err != nil || a.StatusCode != http.StatusOK {
					t.Fatalf("status %d, %s", a.StatusCode, a.body)
				}
				all = append(all, document)
			}
			for _, document := range all {
				if document["issuer"] != try.issuer || document["token_endpoint"] != ownIssuer+try.token {
					t.Errorf("%v", document)
				}
				for member, want := range map[string][]any{
					"grant_types_supported":    {"client_credentials", "refresh_token"},
					"response_types_supported": {},
					"token_endpoint_auth_methods_supported": {"client_secret_basic", "client_secret_post", "private_key_jwt",
						"tls_client_auth", "self_signed_tls_client_auth", "none"},
					"introspection_endpoint_auth_methods_supported": {"client_secret_basic", "client_secret_post",
						"private_key_jwt", "tls_client_auth", "self_signed_tls_client_auth"},
				} {
					if got, _ := document[member].([]any); !slices.Equal(got, want) {
						t.Errorf("%s is %v, want %v", member, document[member], want)
					}
				}
				for _, of := range []string{"token", "introspection", "revocation"} {
					member := of + "_endpoint_auth_signing_alg_values_supported"
					if got, _ := document[member].([]any); !slices.Contains(got, any("ES256")) || slices.Contains(got, any("HS256")) {
						t.Errorf("%s is %v", member, document[member])
					}
					// The address that is named is the one that answers.
					address, _ := document[of+"_endpoint"].(string)
					path := strings.TrimPrefix(address, ownIssuer)
					b.failed(b.form(path, formOf()), http.StatusUnauthorized, "invalid_client")
				}
			}
			given := b.tokensIn(b.form(try.token, asking(), secretOf("billing")...))
			b.works(given.Access)
		})
	}
}

// The counters have each address and each outcome, the access log says why a request was refused, and the log names a
// client that has shown who it is. What strangers do is there at the level debug alone.
func TestWhatIsKnownAboutRequestsOfClients(t *testing.T) {
	b := openBoothForClients(t)
	count := func(endpoint, result string) string {
		series := `caddy_token_issuer_requests_total{endpoint="` + endpoint + `",issuer="` + ownIssuer + `",result="` +
			result + `"} `
		_, value, there := strings.Cut(b.asks(http.MethodGet, "/metrics", "").body, "\n"+series)
		if !there {
			t.Fatalf("there is no %s", series)
		}
		value, _, _ = strings.Cut(value, "\n")
		return value
	}
	outcomes := []struct {
		endpoint, result string
		send             func() answer
	}{
		{"token", "granted", func() answer { return b.form(tokenPath, asking(), secretOf("stock")...) }},
		{"token", "invalid_scope", func() answer { return b.form(tokenPath, asking("scope", "x"), secretOf("stock")...) }},
		{"token", "invalid_target", func() answer {
			return b.form(tokenPath, asking("resource", "x"), secretOf("stock")...)
		}},
		{"token", "invalid_client", func() answer { return b.form(tokenPath, asking(), secretOf("stock", "wrong")...) }},
		{"token", "unauthorized_client", func() answer { return b.form(tokenPath, asking(), secretOf("asker")...) }},
		{"token", "unsupported_grant_type", func() answer {
			return b.form(tokenPath, formOf("grant_type", "password"), secretOf("stock")...)
		}},
		{"token", "invalid_grant", func() answer { return b.form(tokenPath, refreshing(orders, strings.Repeat("A", 64))) }},
		{"token", "invalid_request", func() answer { return b.post(tokenPath, asJSONBody, "{}") }},
		{"introspection", "granted", func() answer {
			return b.form(introspectionPath, formOf("token", "x"), secretOf("asker")...)
		}},
		{"introspection", "unauthorized_client", func() answer {
			return b.form(introspectionPath, formOf("token", "x"), secretOf("stock")...)
		}},
		{"revocation", "granted", func() answer {
			return b.form(revocationPath, formOf("token", "x"), secretOf("stock")...)
		}},
		{"revocation", "invalid_client", func() answer { return b.form(revocationPath, formOf("token", "x")) }},
	}
	before := make([]string, len(outcomes))
	for i, o := range outcomes {
		before[i] = count(o.endpoint, o.result)
	}
	for i, o := range outcomes {
		a := o.send()
		if now := count(o.endpoint, o.result); now == before[i] {
			t.Errorf("%s, %s: still %s after status %d, %s", o.endpoint, o.result, now, a.StatusCode, a.body)
		}
	}
	for _, want := range []string{
		`"level":"info"`, `"client_id":"stock"`, `"error":"invalid_scope"`, `"endpoint":"` + tokenPath + `"`, `"rule":"`,
	} {
		if !b.logged("a client was refused", want) {
			t.Errorf("no line about a client has %s", want)
		}
	}
	if b.logged("a client was refused", `"client_id":"`+orders) {
		t.Error("a line at the level info is about a public client, which anybody can say that they are")
	}
	if !b.logged("somebody was refused who is not known", `"level":"debug"`, `"error":"invalid_client"`) {
		t.Error("no line is about who has not shown who it is")
	}
	eventually(t, "the access log says why", func() bool {
		for _, why := range []string{"invalid_scope", "invalid_client", "unauthorized_client", "invalid_grant"} {
			if !b.logged(`"logger":"http.log.access`, `"token_issuer_refused":"`+why+`"`) {
				return false
			}
		}
		return true
	})
}
