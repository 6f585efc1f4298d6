package integration

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// The grants and types of exchanges.
const (
	exchangeGrant  = "urn:ietf:params:oauth:grant-type:token-exchange"
	assertionGrant = "urn:ietf:params:oauth:grant-type:jwt-bearer"
	accessType     = "urn:ietf:params:oauth:token-type:access_token"
)

// idpName is another issuer.
const idpName = "https://idp.example"

// exchangingBlock is an exchange of a client with these lines.
func exchangingBlock(from string, lines ...string) string {
	return "exchange from " + from + " {\n\t\t\t\t" + strings.Join(lines, "\n\t\t\t\t") + "\n\t\t\t}"
}

// trusting is an issuer block in token_issuer.
func trusting(t testing.TB, key *tokentest.Key, lines ...string) string {
	t.Helper()
	lines = append([]string{"keys file " + newFile(t, "idp.json", tokentest.JWKS(key)), "max_lifetime 12h"}, lines...)
	return "issuer " + idpName + " {\n\t\t\t" + strings.Join(lines, "\n\t\t\t") + "\n\t\t}"
}

// ofIDP is a good token of the other issuer for this site, with changes as name, value pairs. A nil value removes a
// claim.
func ofIDP(t testing.TB, key *tokentest.Key, changes ...any) string {
	t.Helper()
	now := time.Now().Unix()
	claims := m{
		"iss": idpName, "sub": "carol", "aud": audience, "iat": now, "exp": now + 3600, "email": "carol@idp.example",
	}
	for i := 0; i < len(changes); i += 2 {
		if claims[changes[i].(string)] = changes[i+1]; changes[i+1] == nil {
			delete(claims, changes[i].(string))
		}
	}
	return key.Sign(t, claims)
}

// trade asks for a token in place of another one, with further name, value pairs.
func (b *booth) trade(id, token string, pairs ...string) answer {
	b.t.Helper()
	return b.form(tokenPath, formOf(append([]string{
		"grant_type", exchangeGrant, "subject_token", token, "subject_token_type", accessType,
	}, pairs...)...), secretOf(id)...)
}

// exchangedLine is what the answer looks like, byte for byte (RFC 8693 section 2.2.1).
var exchangedLine = regexp.MustCompile(`^\{"access_token":"([\w-]+\.[\w-]+|oat_[a-z2-7]{8}_)[.]?[\w-]+",` +
	`"issued_token_type":"urn:ietf:params:oauth:token-type:access_token","token_type":"Bearer",` +
	`"expires_in":\d+(,"scope":"[!-~ ]+")?\}$`)

// exchanged wants an answer to have a token.
func (b *booth) exchanged(a answer) string {
	b.t.Helper()
	if a.StatusCode != http.StatusOK || !exchangedLine.MatchString(a.body) {
		b.t.Fatalf("status %d, %s", a.StatusCode, a.body)
	}
	b.neverCached(a)
	var given clientTokens
	if err := json.Unmarshal([]byte(a.body), &given); err != nil {
		b.t.Fatal(err)
	}
	return given.Access
}

// openExchange runs a booth whose clients exchange tokens: orders those of another issuer and of alice's sessions, and
// desk assertions.
func openExchange(t testing.TB) (*booth, *tokentest.Key) {
	t.Helper()
	b, key := newBooth(t), tokentest.NewKey(t, "ES256", "idp-1")
	b.runs(b.issuerWith(trusting(t, key),
		b.clientOf("orders", "audience "+audience,
			exchangingBlock(idpName, "subject_audience "+audience, "scopes read", "claims email", "subject_prefix idp:"),
			exchangingBlock(ownIssuer, "subject_audience "+audience)),
		b.clientOf("desk", "audience "+audience, exchangingBlock(idpName, "grant jwt_bearer", "subject_prefix idp:")),
		b.billing(), b.asker()), localGate())
	return b, key
}

// A service exchanges the token of its caller, and calls another one in the caller's name.
func TestExchangeOfATokenOfAnotherIssuer(t *testing.T) {
	b, key := openExchange(t)
	token := b.exchanged(b.trade("orders", ofIDP(t, key)))
	payload := strings.Split(token, ".")[1]
	for claim, want := range map[string]string{
		"iss": ownIssuer, "sub": "idp:carol", "client_id": "orders", "aud": audience, "scope": "read",
		"email": "carol@idp.example", "act": "map[sub:orders]", "app": "<nil>", "sid": "<nil>",
	} {
		if got := memberOfToken(t, payload, claim); got != want {
			t.Errorf("%s is %s, want %s", claim, got, want)
		}
	}
	for _, path := range []string{"/", orders + "7"} {
		b.drain()
		b.passed(b.get(path, token))
	}
	if says := b.introspects("asker", token); says["active"] != true || says["sub"] != "idp:carol" {
		t.Errorf("%v", says)
	}
	b.failed(b.trade("billing", ofIDP(t, key)), http.StatusBadRequest, "unauthorized_client")
	b.failed(b.trade("desk", ofIDP(t, key)), http.StatusBadRequest, "unauthorized_client")
	b.failed(b.trade("orders", ofIDP(t, key, "aud", "https://other.example")), http.StatusBadRequest, "invalid_request")
	b.failed(b.trade("orders", b.tokenOf("billing", "resource", otherResource)), http.StatusBadRequest,
		"invalid_request")
	over := ofIDP(t, key, "exp", time.Now().Add(-2*time.Second).Unix()) // a gate would take it for some seconds more
	b.failed(b.trade("orders", over), http.StatusBadRequest, "invalid_request")
	b.revokes(token, secretOf("orders")...)
	b.isOut(token, "revoked")
}

// A token that stands for alice's session ends with it, wherever it came from.
func TestExchangeOfATokenOfASession(t *testing.T) {
	b, _ := openExchange(t)
	p := b.login()
	token := b.exchanged(b.trade("orders", p.Access))
	if sub := memberOfToken(t, strings.Split(token, ".")[1], "sub"); sub != "alice" {
		t.Errorf("sub %s", sub)
	}
	b.passed(b.get("/", token))
	again := b.exchanged(b.trade("orders", token))
	b.passed(b.get("/", again))
	if a := b.post(orders+"logout", "", "", "Authorization", "Bearer "+token); a.StatusCode != http.StatusUnauthorized {
		t.Errorf("a service logs alice out: %d %s", a.StatusCode, a.body)
	}
	if a := b.post(orders+"logout", "", "", "Authorization", "Bearer "+p.Access); a.StatusCode != http.StatusNoContent {
		t.Fatalf("%d %s", a.StatusCode, a.body)
	}
	b.isOut(token, "revoked")
	b.isOut(again, "revoked")
	b.failed(b.trade("orders", p.Access), http.StatusBadRequest, "invalid_request")
	b.failed(b.trade("orders", token), http.StatusBadRequest, "invalid_request")
}

// An assertion of another issuer is good for one token.
func TestGrantByAnAssertion(t *testing.T) {
	b, key := openExchange(t)
	ask := func(assertion string) answer {
		return b.form(tokenPath, formOf("grant_type", assertionGrant, "assertion", assertion), secretOf("desk")...)
	}
	assertion := ofIDP(t, key, "aud", ownIssuer+tokenPath)
	given := b.tokensIn(ask(assertion))
	if sub := memberOfToken(t, strings.Split(given.Access, ".")[1], "sub"); sub != "idp:carol" {
		t.Errorf("sub %s", sub)
	}
	b.passed(b.get("/", given.Access))
	b.failed(ask(assertion), http.StatusBadRequest, "invalid_grant")
	b.failed(ask(ofIDP(t, key)), http.StatusBadRequest, "invalid_grant")
}

// A reload that takes the right away takes it at once. Metadata name what is possible.
func TestExchangeNeedsAPolicy(t *testing.T) {
	b, key := openExchange(t)
	metadata := "/.well-known/oauth-authorization-server"
	if a := b.get(metadata, ""); !strings.Contains(a.body, exchangeGrant) || !strings.Contains(a.body, assertionGrant) {
		t.Errorf("%s", a.body)
	}
	b.runs(b.issuerWith(trusting(t, key), b.clientOf("orders", "audience "+audience)), localGate())
	b.failed(b.trade("orders", ofIDP(t, key)), http.StatusBadRequest, "unsupported_grant_type")
	if a := b.get(metadata, ""); strings.Contains(a.body, exchangeGrant) || strings.Contains(a.body, assertionGrant) {
		t.Errorf("%s", a.body)
	}
}

// Nobody signs in under a name that could be that of a subject of another issuer.
func TestNoUserHasASubjectOfAnotherIssuer(t *testing.T) {
	b, key := newBooth(t), tokentest.NewKey(t, "ES256", "idp-1")
	lines := []string{trusting(t, key), b.clientOf("orders", "audience "+audience,
		exchangingBlock(idpName, "subject_audience "+audience, "subject_prefix idp:"))}
	err := b.tryLoad(b.whole(b.issuerWith(append(lines, "user idp:carol "+hashOf(t, password))...), localGate()))
	if err == nil || !strings.Contains(err.Error(), "could never sign in") {
		t.Errorf("%v", err)
	}
}
