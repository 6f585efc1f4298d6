package integration

import (
	"crypto/hmac"
	"crypto/sha256"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// What is no assertion of the client: tokens of other kinds, what others have signed, what was made for somebody else
// or for another time. Nobody gets a token for it, and it does not use up the assertion with the same jti.
func TestAttackForgedAssertionsOfClients(t *testing.T) {
	key, other := tokentest.NewKey(t, "ES256", ""), tokentest.NewKey(t, "ES256", "other")
	b := newBooth(t)
	b.runs(b.issuerWith(b.billing(), signingClient(t, "signs", key), signingClient(t, "second", other)), localGate())
	p := b.login()
	const jti = "of all forgeries"
	soon := time.Now().Add(time.Minute).Unix()
	good := func(changes ...any) m { return claimsOfAssertion("signs", jti, changes...) }
	signed := func(changes ...any) string { return key.Sign(t, good(changes...)) }
	typed := func(typ string) string { return key.Sign(t, good(), m{"typ": typ}) }
	header := asJSON(t, m{"alg": "ES256", "typ": "JWT"})
	payload := asJSON(t, good())
	mac := func(secret string) string {
		input := b64(strings.Replace(header, "ES256", "HS256", 1)) + "." + b64(payload)
		h := hmac.New(sha256.New, []byte(secret))
		h.Write([]byte(input))
		return input + "." + b64(string(h.Sum(nil)))
	}
	forgeries := map[string]string{
		"nothing that is a JWT": "x.y.z",
		"three dots":            "...",
		"five parts":            strings.Repeat(b64("{}")+".", 4) + "x",

		"an access token of the client": b.tokensIn(b.form(tokenPath, asserting(asking(),
			key.Sign(t, claimsOfAssertion("signs", "first"))))).Access,
		"an access token of another client": b.tokenOf("billing"),
		"an access token of a user":         p.Access,
		"a refresh token":                   p.Refresh,

		"unsigned":                  forged(strings.Replace(header, "ES256", "none", 1), payload, nil),
		"without a signature":       forged(header, payload, nil),
		"a signature of zeros":      forged(header, payload, make([]byte, 64)),
		"a flipped signature":       tokentest.FlipSignature(t, signed()),
		"another client's key":      other.WithKID("").Sign(t, good()),
		"a key in it":               other.SignRaw(asJSON(t, m{"alg": "ES256", "typ": "JWT", "jwk": other.JWK()}), payload),
		"an address of keys in it":  other.SignRaw(`{"alg":"ES256","jku":"https://evil.example/jwks"}`, payload),
		"a rule that nobody knows":  key.SignRaw(`{"alg":"ES256","crit":["x"],"x":1}`, payload),
		"a member twice":            key.SignRaw(`{"alg":"ES256","alg":"ES256"}`, payload),
		"a claim twice":             key.SignRaw(header, strings.Replace(payload, "{", `{"sub":"billing",`, 1)),
		"HS256 with an empty key":   mac(""),
		"HS256 with the secret":     mac(clientSecret),
		"an access token by typ":    typed("at+jwt"),
		"a DPoP proof by typ":       typed("dpop+jwt"),
		"a logout token by typ":     typed("logout+jwt"),
		"an introspection by typ":   typed("token-introspection+jwt"),
		"a typ of another standard": typed("secevent+jwt"),

		"without iss":       signed("iss", nil),
		"another iss":       signed("iss", "second"),
		"the issuer as iss": signed("iss", ownIssuer),
		"iss is no text":    signed("iss", []string{"signs"}),
		"without sub":       signed("sub", nil),
		"another sub":       signed("sub", "second"),
		"sub is no text":    signed("sub", []string{"signs"}),

		"a client with a secret": signed("sub", "billing", "iss", "billing"),
		"an application":         signed("sub", orders, "iss", orders),
		"a user":                 signed("sub", "alice", "iss", "alice"),
		"nobody":                 signed("sub", "nobody", "iss", "nobody"),

		"without aud":                 signed("aud", nil),
		"an empty aud":                signed("aud", []string{}),
		"another server":              signed("aud", "https://other.example"),
		"another server besides":      signed("aud", []string{ownIssuer, "https://other.example"}),
		"the server with a slash":     signed("aud", ownIssuer+"/"),
		"the server in other letters": signed("aud", strings.ToUpper(ownIssuer)),
		"the server by http":          signed("aud", strings.Replace(ownIssuer, "https", "http", 1)),
		"the beginning of the server": signed("aud", ownIssuer[:len(ownIssuer)-1]),
		"another address":             signed("aud", ownIssuer+orders+"login"),
		"the path alone":              signed("aud", tokenPath),
		"a resource":                  signed("aud", audience),
		"aud is no text":              signed("aud", 7),
		"aud has no texts":            signed("aud", []any{ownIssuer, 7}),

		"without exp":   signed("exp", nil),
		"expired":       signed("exp", soon-3600),
		"for years":     signed("exp", soon+1e8),
		"for two hours": signed("exp", soon+7200),
		"exp is a text": signed("exp", "2999"),
		"exp is huge":   signed("exp", 1e300),
		"for later":     signed("nbf", soon+3600),
		"made later":    signed("iat", soon+3600),

		"without jti":    signed("jti", nil),
		"an empty jti":   signed("jti", ""),
		"a long jti":     signed("jti", strings.Repeat("x", 300)),
		"jti is no text": signed("jti", 7),
	}
	for name, text := range tokentest.Disguises(key.Public()) {
		forgeries["HS256 with "+name] = mac(string(text))
	}
	for name, assertion := range forgeries {
		b.attack(t, name, func(_ *testing.T, b *booth, a *attempt) {
			a.secret(assertion)
			for _, form := range []map[string][]string{asking(), asking("client_id", "signs")} {
				got := b.form(tokenPath, asserting(maps.Clone(form), assertion))
				b.failed(got, http.StatusUnauthorized, "invalid_client")
				a.revealsNothing(got)
			}
			for _, path := range []string{introspectionPath, revocationPath} {
				b.failed(b.form(path, asserting(formOf("token", p.Access), assertion)), http.StatusUnauthorized, "invalid_client")
			}
		})
	}
	b.attack(t, "two clients", func(_ *testing.T, b *booth, _ *attempt) {
		assertion := key.Sign(t, claimsOfAssertion("signs", "for two"))
		b.failed(b.form(tokenPath, asserting(asking("client_id", "second"), assertion)), http.StatusUnauthorized,
			"invalid_client")
	})
	once := signed()
	b.works(b.tokensIn(b.form(tokenPath, asserting(asking(), once))).Access)
	b.attack(t, "once more", func(_ *testing.T, b *booth, _ *attempt) {
		b.failed(b.form(tokenPath, asserting(asking(), once)), http.StatusUnauthorized, "invalid_client")
		again := signed("exp", soon+30) // with the same jti
		b.failed(b.form(revocationPath, asserting(formOf("token", "x"), again)), http.StatusUnauthorized, "invalid_client")
	})
	theirs := other.WithKID("").Sign(t, claimsOfAssertion("second", jti)) // a jti belongs to its client
	b.works(b.tokensIn(b.form(tokenPath, asserting(asking(), theirs))).Access)
	b.works(b.refresh(p).Access)
}

// Each kind of token in the place of another one, at the addresses for clients and with what these give. Nothing is
// given for it, and nothing ends because of it.
func TestAttackTokensInTheWrongPlaceOfClients(t *testing.T) {
	b := openBoothForClients(t)
	p, token := b.login(), b.tokenOf("billing")
	for name, wrong := range map[string]string{
		"an access token": p.Access, "a token of a client": token, "a sid": sidOf(t, p.Access),
		"a sid, filled up": sidOf(t, p.Access) + strings.Repeat("A", 40), "its handle": p.Refresh[:22],
		"another secret": p.Refresh[:22] + strings.Repeat("A", 42), "made up": strings.Repeat("A", 64), "*": "*",
	} {
		b.attack(t, name+" as refresh token", func(_ *testing.T, b *booth, _ *attempt) {
			if name == "another secret" { // whoever knows the handle has had a token: it ends its session
				q := b.login()
				wrong = q.Refresh[:22] + strings.Repeat("A", 42)
			}
			b.failed(b.form(tokenPath, refreshing(orders, wrong)), http.StatusBadRequest, "invalid_grant")
		})
	}
	b.attack(t, "a refresh token as access token", func(_ *testing.T, b *booth, _ *attempt) {
		a := b.get(orders+"7", p.Refresh)
		if a.StatusCode != http.StatusUnauthorized {
			b.t.Errorf("status %d", a.StatusCode)
		}
		b.nothingForwarded()
		b.unknownTo("asker", p.Refresh)
	})
	b.attack(t, "a token of a client at the addresses of an application", func(_ *testing.T, b *booth, _ *attempt) {
		for _, address := range []string{"logout", "revoke"} {
			a := b.post(orders+address, "", "", "Authorization", "Bearer "+token)
			b.failed(a, http.StatusUnauthorized, "invalid_token")
		}
		b.spent(token)
	})
	for name, wrong := range map[string]string{"a user's": p.Access, "a client's": token, "a refresh token": p.Refresh} {
		b.attack(t, name+" token in place of a client", func(_ *testing.T, b *booth, _ *attempt) {
			bearer := []string{"Authorization", "Bearer " + wrong}
			b.failed(b.form(tokenPath, asking(), bearer...), http.StatusUnauthorized, "invalid_client")
			b.failed(b.form(introspectionPath, formOf("token", wrong), bearer...), http.StatusUnauthorized, "invalid_client")
			b.failed(b.form(revocationPath, formOf("token", wrong), bearer...), http.StatusUnauthorized, "invalid_client")
			b.failed(b.form(tokenPath, asking(), secretOf("billing", wrong)...), http.StatusUnauthorized, "invalid_client")
		})
	}
	b.works(token)
	b.works(b.refresh(p).Access)
}

// A client uses tokens of another one, or of an application: to refresh, to revoke, to ask. They stay what they are.
func TestAttackTokensOfOtherClients(t *testing.T) {
	const second = "/api/stock/"
	b := newBooth(t)
	b.runs(b.issuerWith(appOf(second, lasting), b.billing(), b.clientOf("stock"), b.asker()), localGate())
	mine, theirs, token := b.login(), b.loginAt(second, signsIn()), b.tokenOf("billing")
	b.attack(t, "to refresh", func(_ *testing.T, b *booth, _ *attempt) {
		b.failed(b.form(tokenPath, refreshing(second, mine.Refresh)), http.StatusBadRequest, "invalid_grant")
		b.failed(b.form(tokenPath, refreshing(orders, theirs.Refresh)), http.StatusBadRequest, "invalid_grant")
		form := formOf("grant_type", "refresh_token", "refresh_token", mine.Refresh)
		b.failed(b.form(tokenPath, form, secretOf("billing")...), http.StatusBadRequest, "unauthorized_client")
		b.failed(b.form(tokenPath, form), http.StatusUnauthorized, "invalid_client")
	})
	b.attack(t, "for more than they are for", func(_ *testing.T, b *booth, _ *attempt) {
		for name, value := range map[string]string{"scope": "read", "resource": otherResource} {
			form := refreshing(orders, mine.Refresh)
			form.Set(name, value)
			want := map[string]string{"scope": "invalid_scope", "resource": "invalid_target"}[name]
			b.failed(b.form(tokenPath, form), http.StatusBadRequest, want)
		}
	})
	b.attack(t, "to revoke", func(_ *testing.T, b *booth, _ *attempt) {
		app := func(path string) []string { return []string{"client_id", path} }
		for _, try := range []struct {
			token  string
			form   []string
			header []string
		}{
			{mine.Refresh, app(second), nil}, {mine.Access, app(second), nil}, {token, app(orders), nil},
			{mine.Refresh, nil, secretOf("billing")}, {mine.Access, nil, secretOf("billing")},
			{token, nil, secretOf("stock")}, {token, nil, secretOf("asker")},
		} {
			a := b.form(revocationPath, formOf(append([]string{"token", try.token}, try.form...)...), try.header...)
			b.failed(a, http.StatusBadRequest, "unauthorized_client")
		}
		b.failed(b.form(revocationPath, formOf("token", token)), http.StatusUnauthorized, "invalid_client")
		b.failed(b.form(revocationPath, formOf("token", token, "client_id", "billing")), http.StatusUnauthorized,
			"invalid_client")
	})
	b.attack(t, "to end what is only guessed", func(_ *testing.T, b *booth, _ *attempt) {
		sid := sidOf(b.t, mine.Access)
		for _, guess := range []string{sid, sid + strings.Repeat("A", 40), sid[:22] + strings.Repeat("A", 42)} {
			_ = b.form(revocationPath, formOf("token", guess, "client_id", orders))
		}
	})
	b.works(token)
	b.works(mine.Access)
	b.passed(b.get(second+"7", theirs.Access))
	b.works(b.refreshAsClient(mine.Refresh).Access)
	b.tokensIn(b.form(tokenPath, refreshing(second, theirs.Refresh)))
}

// Whoever asks about tokens learns nothing that is not theirs: all tokens that are not good get the same bytes, those
// of other audiences among them. Who may not ask learns nothing at all.
func TestAttackIntrospectionTellsNothingMore(t *testing.T) {
	const second = "https://second.example"
	b := newBooth(t)
	b.runs(b.issuerWith(b.billing(), b.asker(), b.clientOf("both", "introspect "+audience+" "+otherResource)),
		issuingFor(second, "default_audience "+audience, "oauth_endpoints {\ntoken /second/token\nintrospection "+
			"/second/introspection\nrevocation /second/revocation\n}", b.clientOf("billing")), localGate())
	p, ended := b.login(), b.login()
	b.end("logout", ended.Access)
	good, revoked := b.tokenOf("billing"), b.tokenOf("billing")
	b.revokes(revoked, secretOf("billing")...)
	hidden := b.tokenOf("billing", "resource", otherResource)
	foreign := b.tokensIn(b.form("/second/token", asking(), secretOf("billing")...)).Access
	header, payload := claimsOf(t, good)
	_, signature := splitToken(t, good)
	all := map[string]string{
		"another audience": hidden, "revoked": revoked, "a session that is over": ended.Access, "a refresh token": p.Refresh,
		"one that is over": ended.Refresh, "another issuer": foreign, "a flipped signature": tokentest.FlipSignature(t, good),
		"another audience, changed": forged(header, strings.Replace(payload, "billing", "stock", 1), signature),
		"unsigned":                  forged(`{"alg":"none","typ":"at+jwt"}`, payload, nil),
		"an own key":                tokentest.NewKey(t, "ES256", "").SignRaw(header, payload),
		"nothing":                   "x", "a NUL": "\x00", "long": strings.Repeat("a", 40_000),
	}
	for name, token := range all {
		b.attack(t, name, func(_ *testing.T, b *booth, _ *attempt) {
			b.unknownTo("asker", token)
			for _, hint := range []string{"access_token", "refresh_token", "x"} {
				a := b.form(introspectionPath, formOf("token", token, "token_type_hint", hint), secretOf("asker")...)
				if a.body != `{"active":false}` {
					b.t.Errorf("with the hint %s: %s", hint, a.body)
				}
			}
		})
	}
	b.attack(t, "who may not ask", func(t *testing.T, b *booth, _ *attempt) {
		all := maps.Clone(all)
		all["good"], all["a user's"] = good, p.Access
		answers := make(map[string]string)
		for name, token := range all {
			a := b.form(introspectionPath, formOf("token", token), secretOf("billing")...)
			b.failed(a, http.StatusForbidden, "unauthorized_client")
			answers[a.body] = name
			a = b.form(introspectionPath, formOf("token", token, "client_id", orders))
			b.failed(a, http.StatusForbidden, "unauthorized_client")
			answers[a.body] = name
			b.failed(b.form(introspectionPath, formOf("token", token)), http.StatusUnauthorized, "invalid_client")
		}
		if len(answers) != 1 {
			t.Errorf("the answers differ: %q", answers)
		}
	})
	for _, token := range []string{good, hidden} {
		if about := b.introspects("both", token); about["active"] != true {
			t.Errorf("%v", about)
		}
	}
}
