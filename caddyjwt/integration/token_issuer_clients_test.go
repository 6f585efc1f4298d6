package integration

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// A client gets a token in its own name. Its audience and its scopes decide where it is good, and nothing else.
func TestAClientsTokenAtALocalGate(t *testing.T) {
	b := newBooth(t)
	b.runs(b.issuerWith(b.billing()), localGate("require scope read"))
	a := b.form(tokenPath, asking("scope", "read"), secretOf("billing")...)
	given := b.tokensIn(a)
	if given.Scope != "read" || given.Expires < 295 || given.Expires > 300 || given.Refresh != "" {
		t.Errorf("answer %s", a.body)
	}
	header, payload := claimsOf(t, given.Access)
	if !regexp.MustCompile(`^\{"alg":"ES256","kid":"[\w-]{43}","typ":"at\+jwt"\}$`).MatchString(header) {
		t.Errorf("header %s", header)
	}
	for claim, want := range map[string]string{
		"iss": ownIssuer, "sub": "billing", "client_id": "billing", "aud": audience, "scope": "read",
		"app": "<nil>", "sid": "<nil>",
	} {
		if got := memberOfToken(t, strings.Split(given.Access, ".")[1], claim); got != want {
			t.Errorf("%s is %s, want %s, in %s", claim, got, want, payload)
		}
	}
	for _, path := range []string{"/", orders + "7", "/elsewhere"} {
		for range 3 {
			b.passed(b.get(path, given.Access))
		}
	}
	b.passed(b.get("/", b.tokenOf("billing"))) // all scopes
	b.refused(b.get("/", b.tokenOf("billing", "resource", otherResource)), http.StatusUnauthorized, "invalid_audience")
	b.refused(b.get("/", b.tokenOf("billing", "scope", "write")), http.StatusForbidden, "insufficient_scope")
	b.failed(b.form(tokenPath, asking("scope", "read admin"), secretOf("billing")...), http.StatusBadRequest,
		"invalid_scope")
	b.failed(b.form(tokenPath, asking("resource", "https://third.example"), secretOf("billing")...), http.StatusBadRequest,
		"invalid_target")
}

// Each client shows who it is in the way that is registered for it.
func TestTheWaysToShowWhoAClientIs(t *testing.T) {
	b := newBooth(t)
	signers := map[string]*tokentest.Key{}
	lines := []string{b.billing(), b.clientOf("odd%+id:x")}
	for _, algorithm := range []string{"ES256", "RS256", "PS256", "EdDSA"} {
		signers[algorithm] = tokentest.NewKey(t, algorithm, "")
		lines = append(lines, signingClient(t, "signs-"+algorithm, signers[algorithm]))
	}
	b.runs(b.issuerWith(lines...), localGate())
	b.works(b.tokenOf("billing"))
	b.works(b.tokenOf("odd%+id:x"))
	b.works(b.tokensIn(b.form(tokenPath, asking("client_id", "billing", "client_secret", clientSecret))).Access)
	b.works(b.tokensIn(b.form(tokenPath, asking("client_id", "billing"), secretOf("billing")...)).Access)
	addresses := []any{ownIssuer, ownIssuer + tokenPath, []string{ownIssuer, ownIssuer + tokenPath}}
	for algorithm, key := range signers {
		for i, address := range addresses {
			assertion := key.Sign(t, claimsOfAssertion("signs-"+algorithm, fmt.Sprint("jti-", i), "aud", address))
			b.works(b.tokensIn(b.form(tokenPath, asserting(asking(), assertion))).Access)
		}
	}
}

// A reload removes a client. Its token is refused at once, at each gate and at introspection, and it gets no other one.
// The users of the application and the other clients notice nothing. When it comes back, its token is good again.
func TestAReloadRemovesAClient(t *testing.T) {
	b := newBooth(t)
	stock, asker := b.clientOf("stock"), b.asker()
	with := []string{b.issuerWith(b.billing(), stock, asker), localGate()}
	without := []string{b.issuerWith(stock, asker), localGate()}
	b.runs(with...)
	p, token, other := b.login(), b.tokenOf("billing"), b.tokenOf("stock")
	for range 3 {
		b.works(token)
		b.works(p.Access)
	}
	b.runs(without...)
	b.isOut(token, "invalid_audience")
	b.unknownTo("asker", token)
	b.failed(b.form(tokenPath, asking(), secretOf("billing")...), http.StatusUnauthorized, "invalid_client")
	b.failed(b.form(revocationPath, formOf("token", token), secretOf("billing")...), http.StatusUnauthorized,
		"invalid_client")
	b.works(p.Access)
	b.works(other)
	b.works(b.refresh(p).Access)
	b.restartFile(b.whole(without...))
	b.isOut(token, "invalid_audience")
	b.runs(with...)
	b.works(token)
	b.works(other)
}

// An application refreshes at the token endpoint, by turns with its own address. Each use ends what was before.
func TestAnApplicationRefreshesAtTheTokenEndpoint(t *testing.T) {
	b := openBoothForClients(t)
	first := b.login()
	second := b.refreshAsClient(first.Refresh)
	if sidOf(t, second.Access) != sidOf(t, first.Access) || second.Expires < 590 || second.Expires > 600 {
		t.Errorf("%+v", second)
	}
	b.isOut(first.Access, "revoked")
	b.works(second.Access)
	third := b.pairIn(b.tryRefresh(second.Refresh))
	b.isOut(second.Access, "revoked")
	fourth := b.refreshAsClient(third.Refresh)
	b.works(fourth.Access)
	b.failed(b.form(tokenPath, refreshing(orders, third.Refresh)), http.StatusBadRequest, "invalid_grant")
	b.isOut(fourth.Access, "revoked")
	b.failed(b.form(tokenPath, refreshing(orders, fourth.Refresh)), http.StatusBadRequest, "invalid_grant")
	b.spent(fourth.Refresh)
}

// Sixty-four clients refresh with the same token at the same time at the token endpoint. One of them gets a pair, and
// the session is over.
func TestManyRefreshesAtTheTokenEndpoint(t *testing.T) {
	const many, rounds = 64, 4
	b := openBoothForClients(t)
	for range rounds {
		p := b.login()
		answers := make([]asked, many)
		var all sync.WaitGroup
		begin := make(chan struct{})
		body := refreshing(orders, p.Refresh).Encode()
		for i := range answers {
			all.Go(func() {
				<-begin
				answers[i] = b.exchange(t.Context(), tokenPath, body, "Content-Type", asForm)
			})
		}
		close(begin)
		all.Wait()
		var pairs []grant
		for _, a := range answers {
			next, is := a.pair()
			switch {
			case is:
				pairs = append(pairs, next)
			case a.status != http.StatusBadRequest || !strings.Contains(a.body, "invalid_grant"):
				t.Errorf("%+v", a)
			}
		}
		if len(pairs) != 1 {
			t.Fatalf("%d pairs", len(pairs))
		}
		b.isOut(p.Access, "revoked")
		b.isOut(pairs[0].Access, "revoked")
		b.spent(pairs[0].Refresh)
		b.failed(b.form(tokenPath, refreshing(orders, pairs[0].Refresh)), http.StatusBadRequest, "invalid_grant")
	}
}

// A client revokes one token, and others of the same client stay good. A refresh token takes its whole session with it.
func TestClientsRevokeTokens(t *testing.T) {
	b := openBoothForClients(t)
	one, other := b.tokenOf("billing"), b.tokenOf("billing")
	for range 3 {
		b.works(one)
	}
	for range 2 { // it is no error when it is out already (RFC 7009 section 2.2)
		b.revokes(one, secretOf("billing")...)
		b.isOut(one, "revoked")
	}
	b.works(other)
	b.unknownTo("asker", one)

	app := func(token string) answer {
		return b.form(revocationPath, formOf("token", token, "client_id", orders, "token_type_hint", "access_token"))
	}
	session, stays, alone := b.login(), b.login(), b.login()
	next := b.refreshAsClient(session.Refresh)
	for _, token := range []string{next.Refresh, session.Refresh, alone.Access} {
		if a := app(token); a.StatusCode != http.StatusOK {
			t.Errorf("status %d, %s", a.StatusCode, a.body)
		}
	}
	b.isOut(next.Access, "revoked")
	b.spent(next.Refresh)
	b.isOut(alone.Access, "revoked")
	b.works(b.refresh(alone).Access) // an access token ends alone
	b.works(stays.Access)
	for name, token := range map[string]string{
		"nothing that is a token": "x", "a forged one": tokentest.FlipSignature(t, other),
		"none that exists": strings.Repeat("A", 64),
	} {
		if a := app(token); a.StatusCode != http.StatusOK {
			t.Errorf("%s: status %d, %s", name, a.StatusCode, a.body)
		}
	}
	b.works(other)
}

// Who serves an audience hears all about tokens for it.
func TestIntrospectionOfTokensOfThisCaddy(t *testing.T) {
	b := openBoothForClients(t)
	p, token := b.login(), b.tokenOf("billing", "scope", "read")
	about := b.introspects("asker", token)
	for name, want := range map[string]any{
		"active": true, "iss": ownIssuer, "sub": "billing", "client_id": "billing", "aud": audience, "scope": "read",
		"token_type": "Bearer",
	} {
		if about[name] != want {
			t.Errorf("%s is %v, want %v", name, about[name], want)
		}
	}
	if exp, _ := about["exp"].(float64); exp != float64(int64(exp)) || exp == 0 {
		t.Errorf("exp %v is no integer (RFC 7662 section 2.2)", about["exp"])
	}
	about = b.introspects("asker", p.Access)
	if about["active"] != true || about["sub"] != "alice" || about["sid"] != sidOf(t, p.Access) || about["app"] != orders {
		t.Errorf("about a user: %v", about)
	}
	b.unknownTo("asker", b.tokenOf("billing", "resource", otherResource))
	b.unknownTo("asker", p.Refresh)
	b.unknownTo("asker", tokentest.FlipSignature(t, token))
	b.end("logout", p.Access)
	b.unknownTo("asker", p.Access)
	a := b.form(introspectionPath, formOf("token", token), secretOf("billing")...)
	b.failed(a, http.StatusForbidden, "unauthorized_client")
	b.failed(b.form(tokenPath, asking(), secretOf("asker")...), http.StatusBadRequest, "unauthorized_client")
}
