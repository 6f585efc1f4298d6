package integration

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// Somebody guesses secrets of clients from one address. The attempts end soon, and neither who has shown the secret
// before, nor clients and users at other addresses notice.
func TestAttackGuessedSecretsOfClients(t *testing.T) {
	b := openBoothForClients(t)
	b.tokenOf("billing") // known from now on, wherever it comes from
	for name, id := range map[string]func(i int) string{
		"one client":                  fixed("billing"),
		"all clients":                 func(i int) string { return fmt.Sprint("client-", i) },
		"an application, as a client": fixed(orders),
	} {
		b.attack(t, name, func(t *testing.T, b *booth, _ *attempt) {
			own, from := b.from, newAddress()
			b.from = from
			looked := 0
			for i := range 50 {
				a := b.form(tokenPath, asking(), secretOf(id(i), fmt.Sprint("guess ", i))...)
				if a.StatusCode == http.StatusTooManyRequests {
					b.failed(a, http.StatusTooManyRequests, "too_many_requests")
					break
				}
				b.failed(a, http.StatusUnauthorized, "invalid_client")
				looked++
			}
			if looked > 12 {
				t.Errorf("%d guesses were looked at", looked)
			}
			b.tokenOf("billing") // from the same address: it is known
			b.from = own
			b.tokenOf("billing")
			b.login()
		})
	}
	b.attack(t, "who is not known yet is held up at the address alone", func(_ *testing.T, b *booth, _ *attempt) {
		own := b.from
		b.from = newAddress()
		for i := range 50 {
			_ = b.form(tokenPath, asking(), secretOf("stock", fmt.Sprint("guess ", i))...)
		}
		b.failed(b.form(tokenPath, asking(), secretOf("stock")...), http.StatusTooManyRequests, "too_many_requests")
		b.from = own
		b.tokenOf("stock")
	})
}

// Wrong secrets come from many addresses, so that hashes are computed all the time. A client that has shown its secret
// before gets a token each time, and so does one that has not, from an address of its own.
func TestAttackWrongSecretsFromManyAddressesHoldUpNoClient(t *testing.T) {
	long(t)
	if raced {
		t.Skip("the race detector makes hashes too slow")
	}
	const addresses, each = 30, 30
	b := newBooth(t)
	hash, _ := slowHashOf(t, clientSecret)
	lines := []string{"default_audience " + audience}
	for _, id := range []string{"billing", "new-1", "new-2", "new-3"} {
		lines = append(lines, "client "+id+" {\n\t\t\tsecret_hash "+hash+"\n\t\t}")
	}
	b.runs(issuingFor(ownIssuer, lines...), localGate())
	b.tokenOf("billing")
	b.attack(t, "guesses", func(t *testing.T, b *booth, _ *attempt) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		guesser := *b
		guesser.client = &http.Client{Transport: &http.Transport{DialContext: b.dial, MaxIdleConnsPerHost: addresses}}
		defer guesser.client.CloseIdleConnections()
		var wrong, limited atomic.Int64
		var all sync.WaitGroup
		for range addresses {
			from := newAddress()
			all.Go(func() {
				for i := 0; i < each && ctx.Err() == nil; i++ {
					header := append([]string{"X-Forwarded-For", from, "Content-Type", asForm},
						secretOf("billing", fmt.Sprint("guess ", i))...)
					a := guesser.exchange(ctx, tokenPath, asking().Encode(), header...)
					switch {
					case a.status == http.StatusUnauthorized:
						wrong.Add(1)
					case a.status == http.StatusTooManyRequests:
						limited.Add(1)
					case ctx.Err() == nil:
						t.Errorf("a guess: %+v", a)
					}
				}
			})
		}
		eventually(t, "hashes are computed", func() bool { return wrong.Load() > 0 })
		for range 50 {
			b.tokenOf("billing")
		}
		for _, id := range []string{"new-1", "new-2", "new-3"} {
			own := *b
			own.from = newAddress()
			own.tokenOf(id)
			own.tokenOf(id)
		}
		all.Wait()
		t.Logf("%d guesses cost a hash, %d were refused without one", wrong.Load(), limited.Load())
		if limited.Load() < addresses*each/2 {
			t.Errorf("only %d of %d guesses were refused without a hash", limited.Load(), addresses*each)
		}
		b.works(b.tokenOf("billing"))
	})
}

// Secrets, assertions and tokens of clients are in no log, trace, metric or store, at the level DEBUG with the access
// log, whatever becomes of the requests.
func TestAttackSecretsOfClientsLeak(t *testing.T) {
	const wrong = "not-the-s3cret-of-any-client"
	b := newBooth(t)
	traces := collectTraces(t)
	b.loadFile(b.whole("tracing {\n\t\tspan gate\n\t}", b.issuerWith(b.billing(), b.asker()), localGate()) +
		fmt.Sprintf("http://metrics.test {\n\tbind unix/%s\n\tmetrics\n}\n", b.site.socket))
	secrets := map[string]string{
		"the secret": clientSecret, "the secret in a form": url.QueryEscape(clientSecret), "the wrong secret": wrong,
		"Basic": secretOf("billing")[1][6:], "wrong Basic": secretOf("billing", wrong)[1][6:],
	}
	keep := func(what, token string) string {
		secrets[what] = token[strings.LastIndexByte(token, '.')+1:]
		return token
	}
	p := b.login()
	token := keep("an access token", b.tokenOf("billing"))
	b.works(token)
	b.introspects("asker", token)
	b.tokensIn(b.form(tokenPath, asking("client_id", "billing", "client_secret", clientSecret)))
	next := b.refreshAsClient(keep("a refresh token", p.Refresh))
	keep("the next refresh token", next.Refresh)
	keep("the next access token", next.Access)
	b.form(tokenPath, refreshing(orders, p.Refresh)) // ends the session, with a line in the log
	b.form(tokenPath, refreshing("/other/", next.Refresh))
	b.form(tokenPath, asking("client_id", "x", "client_secret", wrong))
	b.form(tokenPath, asking("scope", wrong), secretOf("billing", wrong)...)
	b.form(tokenPath, asking("client_id", "x", "client_secret", clientSecret), secretOf("billing")...)
	assertion := tokentest.NewKey(t, "ES256", "").Sign(t, claimsOfAssertion("billing", "x"))
	b.form(tokenPath, asserting(asking(), keep("an assertion", assertion)))
	b.post(tokenPath, asJSONBody, `{"client_secret":"`+clientSecret+`"}`)
	b.post(tokenPath+"/", asForm, asking("client_secret", clientSecret).Encode())
	b.form(introspectionPath, formOf("token", next.Refresh), secretOf("billing")...)
	b.revokes(token, secretOf("billing")...)
	b.form(revocationPath, formOf("token", next.Refresh), secretOf("billing")...)

	metrics := b.at("metrics.test", "/metrics").body
	if !strings.Contains(metrics, "caddy_token_issuer_requests_total") {
		t.Errorf("metrics: %.200s", metrics)
	}
	stored, err := os.ReadFile(strings.TrimPrefix(b.store, "file "))
	if err != nil || !strings.Contains(string(stored), "alice") {
		t.Fatalf("the store: %d bytes, %v", len(stored), err)
	}
	if !b.logged("somebody was refused who is not known") || !b.logged("a client was refused") {
		t.Error("the log has less than it should")
	}
	eventually(t, "the traces have the requests", func() bool {
		return strings.Contains(traces(), tokenPath) && strings.Contains(traces(), revocationPath)
	})
	b.attack(t, "found by a reader", func(t *testing.T, b *booth, _ *attempt) {
		for where, text := range map[string]string{"log": b.log(), "traces": traces(), "metrics": metrics,
			"store": string(stored)} {
			for what, secret := range secrets {
				if strings.Contains(text, secret) || len(secret) >= 40 && strings.Contains(text, secret[:len(secret)/2]) {
					t.Errorf("%s has %s", where, what)
				}
			}
		}
	})
}
