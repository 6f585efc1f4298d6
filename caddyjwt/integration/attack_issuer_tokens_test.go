package integration

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"math/big"
	"net/http"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// publicKeys are the keys that the issuer publishes, with the document.
func (b *booth) publicKeys() (document string, keys map[string]crypto.PublicKey) {
	b.t.Helper()
	document = b.get("/.well-known/jwks.json", "").body
	var set struct{ Keys []struct{ Kid, X, Y string } }
	if err := json.Unmarshal([]byte(document), &set); err != nil || len(set.Keys) != 2 {
		b.t.Fatalf("%s: %v", document, err)
	}
	keys = make(map[string]crypto.PublicKey)
	for _, k := range set.Keys {
		keys[k.Kid] = &ecdsa.PublicKey{
			Curve: elliptic.P256(), X: new(big.Int).SetBytes(unb64(b.t, k.X)), Y: new(big.Int).SetBytes(unb64(b.t, k.Y)),
		}
	}
	return document, keys
}

// Access tokens that somebody else has made, from what a token and the public keys tell. They are refused at the gate,
// and at the addresses that end a session.
func TestAttackForgedTokensOfThisCaddy(t *testing.T) {
	b := openBooth(t)
	p := b.login()
	header, payload := claimsOf(t, p.Access)
	_, signature := splitToken(t, p.Access)
	document, keys := b.publicKeys()
	own := tokentest.NewKey(t, "ES256", "")
	var signs struct{ Kid string }
	if err := json.Unmarshal([]byte(header), &signs); err != nil {
		t.Fatal(err)
	}
	mac := func(secret []byte) string {
		input := b64(strings.Replace(header, "ES256", "HS256", 1)) + "." + b64(payload)
		h := hmac.New(sha256.New, secret)
		h.Write([]byte(input))
		return input + "." + b64(string(h.Sum(nil)))
	}
	open := strings.TrimSuffix(header, "}")
	forgeries := map[string]string{
		"unsigned":                      forged(strings.Replace(header, "ES256", "none", 1), payload, nil),
		"unsigned, with a signature":    forged(strings.Replace(header, "ES256", "none", 1), payload, signature),
		"unsigned, other letters":       forged(strings.Replace(header, "ES256", "nOnE", 1), payload, nil),
		"unsigned, without an alg":      forged(`{"typ":"at+jwt"}`, payload, nil),
		"without a signature":           forged(header, payload, nil),
		"a signature of zeros":          forged(header, payload, make([]byte, 64)),
		"a flipped signature":           tokentest.FlipSignature(t, p.Access),
		"another user":                  forged(header, strings.Replace(payload, `"alice"`, `"admin"`, 1), signature),
		"the document of keys as key":   mac([]byte(document)),
		"an empty key":                  mac(nil),
		"a key of the attacker":         own.SignRaw(header, payload),
		"a key of the attacker, in it":  own.SignRaw(open+`,"jwk":`+asJSON(t, own.JWK())+"}", payload),
		"an address of the attacker":    own.SignRaw(open+`,"jku":"https://evil.example/jwks"}`, payload),
		"no kid, a key of the attacker": own.SignRaw(`{"alg":"ES256","typ":"at+jwt"}`, payload),
		"a path as kid": own.SignRaw(strings.Replace(header, signs.Kid, "../../keys.json", 1),
			payload),
	}
	for kid, key := range keys {
		for name, text := range tokentest.Disguises(key) {
			forgeries["HS256 with "+name+" of "+kid[:4]] = mac(text)
		}
		if kid != signs.Kid {
			next := strings.Replace(header, signs.Kid, kid, 1)
			forgeries["the kid of the next key"] = forged(next, payload, signature)
			forgeries["the kid of the next key, signed by the attacker"] = own.SignRaw(next, payload)
		}
	}
	for name, token := range forgeries {
		b.attack(t, name, func(t *testing.T, b *booth, a *attempt) {
			a.secret(token)
			got := b.get(orders+"7", token)
			if got.StatusCode != http.StatusUnauthorized && got.StatusCode != http.StatusServiceUnavailable {
				t.Errorf("status %d", got.StatusCode)
			}
			b.nothingForwarded()
			for _, address := range []string{"logout", "revoke"} {
				status := b.end(address, token)
				if status != http.StatusUnauthorized && status != http.StatusServiceUnavailable {
					t.Errorf("%s: status %d", address, status)
				}
			}
			b.spent(strings.Repeat("A", 64))
		})
	}
	b.works(p.Access)
	b.refresh(p)
}

// Each kind of token in the place of another one. Nothing ends because of it.
func TestAttackTokensInTheWrongPlace(t *testing.T) {
	b := openBooth(t)
	p := b.login()
	sid := sidOf(t, p.Access)
	b.attack(t, "a refresh token as access token", func(t *testing.T, b *booth, _ *attempt) {
		if a := b.get(orders+"7", p.Refresh); a.StatusCode != http.StatusUnauthorized {
			t.Errorf("status %d", a.StatusCode)
		}
		b.nothingForwarded()
		for _, address := range []string{"logout", "revoke"} {
			if status := b.end(address, p.Refresh); status != http.StatusUnauthorized {
				t.Errorf("status %d", status)
			}
		}
	})
	for name, token := range map[string]string{
		"an access token": p.Access, "a sid": sid, "a sid, filled up": sid + strings.Repeat("A", 40),
		"a made-up one": strings.Repeat("A", 64), "one for each session": sid[:22] + p.Refresh[22:], "*": "*", "nothing": "x",
	} {
		b.attack(t, name+" as refresh token", func(_ *testing.T, b *booth, _ *attempt) { b.spent(token) })
	}
	b.attack(t, "tokens in other places of a logout", func(t *testing.T, b *booth, _ *attempt) {
		b.failed(b.post(orders+"logout", asForm, "access_token="+p.Access), http.StatusUnauthorized, "missing_token")
		a := b.post(orders+"logout", "", "", "Cookie", "access_token="+p.Access)
		b.failed(a, http.StatusUnauthorized, "missing_token")
		b.failed(b.post(orders+"logout?access_token="+p.Access, "", ""), http.StatusBadRequest, "invalid_request")
		a = b.post(orders+"logout", "", "", "Authorization", "Bearer "+p.Access, "Authorization", "Bearer x.y.z")
		if a.StatusCode != http.StatusBadRequest {
			t.Errorf("two tokens: status %d", a.StatusCode)
		}
	})
	b.works(p.Access)
	b.refresh(p)
}

// A token of one application at another one: at the backend, at its refresh, at its logout. Nothing ends there.
func TestAttackTokensOfAnotherApplication(t *testing.T) {
	const stock = "/api/stock/"
	b := newBooth(t)
	b.runs(issuingFor(ownIssuer, "user alice "+hashOf(t, password), appOf(orders), appOf(stock)), localGate())
	p, q := b.login(), b.loginAt(stock, signsIn())
	b.attack(t, "at the backend", func(t *testing.T, b *booth, _ *attempt) {
		for _, path := range []string{
			stock + "7", stock, "/", "/api/", "/api/orders", "/API/ORDERS/7", "/api/ordersx/", orders + "../stock/7",
			orders + "..%2fstock/7", orders + "%2e%2e/stock/7", orders + "..;/stock/7", orders + "x/../../stock/7",
			orders + `..\stock\7`, orders + "%252e%252e/stock/7", "//api/orders/7", "/api/./orders/7",
		} {
			a := b.raw("GET " + path + " HTTP/1.1\r\nHost: gate.test\r\nAuthorization: Bearer " + p.Access + "\r\n\r\n")
			if a.StatusCode != http.StatusUnauthorized && a.StatusCode != http.StatusBadRequest {
				t.Errorf("%s: status %d", path, a.StatusCode)
			}
			b.nothingForwarded()
		}
	})
	b.attack(t, "at its addresses", func(t *testing.T, b *booth, _ *attempt) {
		b.failed(b.post(stock+"refresh", asJSONBody, refreshes(p.Refresh)), http.StatusUnauthorized, "invalid_grant")
		for _, address := range []string{"logout", "revoke"} {
			a := b.post(stock+address, "", "", "Authorization", "Bearer "+p.Access)
			b.failed(a, http.StatusUnauthorized, "invalid_token")
		}
	})
	b.works(p.Access)
	b.refresh(p)
	b.passed(b.get(stock+"7", q.Access))
}

// Two issuers of one Caddy, for the same path and audience at two hosts, and with the same user.
func TestAttackTokensOfAnotherIssuerOfThisCaddy(t *testing.T) {
	const second = "https://second.example"
	b := newBooth(t)
	user, app := "user alice "+hashOf(t, password), appOf(orders)
	b.loadFile(b.with(b.sites(
		b.siteOf("http://gate.test", issuingFor(ownIssuer, user, app), localGate()),
		b.siteOf("http://second.test", issuingFor(second, user, app), gateForAudience(issuerBlock(second, "keys local"))),
	)))
	other := b.in(t)
	other.base = "http://second.test"
	mine, theirs := b.login(), other.login()
	for name, of := range map[string]struct {
		at    *booth
		token grant
	}{"the second at the first": {b, theirs}, "the first at the second": {other, mine}} {
		b.attack(t, name, func(t *testing.T, _ *booth, _ *attempt) {
			at := of.at.in(t)
			at.isOut(of.token.Access, "unknown_issuer")
			for _, address := range []string{"logout", "revoke"} {
				if status := at.end(address, of.token.Access); status != http.StatusUnauthorized {
					t.Errorf("%s: status %d", address, status)
				}
			}
			header, payload := claimsOf(t, of.token.Access)
			_, signature := splitToken(t, of.token.Access)
			renamed := strings.NewReplacer(ownIssuer, second, second, ownIssuer).Replace(payload)
			if status := at.end("logout", forged(header, renamed, signature)); status != http.StatusUnauthorized &&
				status != http.StatusServiceUnavailable {
				t.Errorf("renamed: status %d", status)
			}
		})
	}
	b.works(mine.Access)
	other.works(theirs.Access)
	b.attack(t, "a refresh token at the other issuer", func(_ *testing.T, b *booth, _ *attempt) {
		at := other.in(b.t)
		at.spent(mine.Refresh)
		b.spent(theirs.Refresh)
	})
	b.refresh(mine)
	other.refresh(theirs)
}

// An operator revokes the tokens of a user, a session, an application or all, from the command line. That ends sessions
// with their refresh tokens, and those that begin afterwards are good.
func TestAttackRevokedSessionsDoNotRefresh(t *testing.T) {
	b := openBooth(t, "grace 10s")
	for name, flags := range map[string]func(grant) []string{
		"user":        func(grant) []string { return []string{"--sub", "alice"} },
		"session":     func(p grant) []string { return []string{"--sid", sidOf(t, p.Access)} },
		"application": func(grant) []string { return []string{"--client-id", orders} },
		"issuer":      func(grant) []string { return []string{"--all"} },
	} {
		for refreshed, prepare := range map[string]func(b *booth, p grant) (grant, string){
			"":                      func(_ *booth, p grant) (grant, string) { return p, p.Refresh },
			", refreshed":           func(b *booth, p grant) (grant, string) { q := b.refresh(p); return q, q.Refresh },
			", refreshed, by grace": func(b *booth, p grant) (grant, string) { return b.refresh(p), p.Refresh },
		} {
			b.attack(t, name+refreshed, func(_ *testing.T, b *booth, _ *attempt) {
				p, token := prepare(b, b.login())
				b.works(p.Access)
				b.command("", append([]string{"revoke", "--issuer", ownIssuer}, flags(p)...)...)
				b.isOut(p.Access, "revoked")
				b.spent(token)
				b.spent(p.Refresh)
				q := b.login()
				b.works(q.Access)
				b.works(b.refresh(q).Access)
			})
		}
	}
}

// Header fields of a client that look like the gate's own decide nothing when it signs in, and reach no backend.
func TestAttackIdentityFieldsAtSignIn(t *testing.T) {
	b := openBooth(t)
	fields := []string{
		"X-Consumer-Username", "admin", "X-Consumer-Custom-Id", "1", "X-Authenticated-Userid", "admin", "Remote-User",
		"admin", "X-Credential-Identifier", "x", "X-Anonymous-Consumer", "true", "X-Original-Url", "/", "X-Rewrite-Url", "/",
	}
	b.attack(t, "at sign-in", func(t *testing.T, b *booth, _ *attempt) {
		p := b.pairIn(b.post(orders+"login", asJSONBody, signsIn(), fields...))
		if _, payload := claimsOf(t, p.Access); p.Sub != "alice" || strings.Contains(payload, "admin") {
			t.Errorf("%+v, %s", p, payload)
		}
		b.failed(b.post(orders+"login", asJSONBody, `{}`, fields...), http.StatusBadRequest, "invalid_request")
		b.failed(b.post(orders+"logout", "", "", fields...), http.StatusUnauthorized, "missing_token")
		got := b.passed(b.get(orders+"7", p.Access, fields...))
		if who := got.Header.Get("X-Consumer-Username"); who == "admin" {
			t.Errorf("the backend takes the caller for %q", who)
		}
	})
}
