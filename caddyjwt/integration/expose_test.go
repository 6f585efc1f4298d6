package integration

import (
	"net/http"
	"strings"
	"testing"
)

// exposing is a site whose backend gets the placeholder of the token in Authorization, also from error routes. Caddy
// keeps that field out of its logs.
func exposing(t *testing.T, after string, lines ...string) *site {
	s := prepare(t)
	back := "reverse_proxy " + s.upstream.addr() + " {\n header_up Authorization \"Token [{http.auth.bearer.token}]\"\n" +
		" header_up X-Var \"[{http.vars.bearer_auth.token}]\"\n}\n"
	s.loadFile(strings.Replace(s.caddyfile(gateFor(append([]string{consumerAlice(t)}, lines...)...)+"\n"+after),
		"reverse_proxy "+s.upstream.addr(), back+"handle_errors {\n"+back+"}\n", 1))
	return s
}

// The token is there for later handlers only with the word, and only if it was accepted.
func TestTokenForLaterHandlers(t *testing.T) {
	good := hmacKey(t).Sign(t, claims())
	old := hmacKey(t).Sign(t, claims("exp", 1000))
	every := []string{"expose_token", "optional expired", "public /open", "token_from header Authorization",
		"token_from cookie session", "token_from query t", "token_from websocket_protocol"}
	for name, c := range map[string]struct {
		lines []string
		after string
		path  string
		head  []string
		want  string
	}{
		"with the word": {every, "", "/", []string{"Authorization", "Bearer " + good}, good},
		"in a cookie":   {every, "", "/", []string{"Cookie", "session=" + good}, good},
		"in the query":  {every, "", "/?t=" + good, nil, good},
		"in a subprotocol": {every, "", "/", []string{"Connection", "Upgrade", "Upgrade", "websocket",
			"Sec-Websocket-Protocol", "bearer, " + good}, good},
		"on an error page":  {every, "error 418", "/", []string{"Authorization", "Bearer " + good}, good},
		"without the word":  {[]string{"optional"}, "", "/", []string{"Authorization", "Bearer " + good}, ""},
		"without a token":   {every, "", "/", nil, ""},
		"on a public path":  {every, "", "/open", []string{"Authorization", "Bearer " + good}, ""},
		"an expired cookie": {every, "", "/", []string{"Cookie", "session=" + old}, ""},
		"a bad token":       {every, "", "/", []string{"Authorization", "Bearer " + old}, ""},
		"a claim that is refused": {[]string{"expose_token", "forward_claims X-Name name"}, "", "/",
			[]string{"Authorization", "Bearer " + hmacKey(t).Sign(t, claims("name", "a\nb"))}, ""},
		"a second gate without it": {[]string{"expose_token", "forward_token"}, gateFor(consumerAlice(t)), "/",
			[]string{"Authorization", "Bearer " + good}, ""},
		"a second gate that refuses": {[]string{"expose_token", "forward_token"}, gateFor(consumerAlice(t), "expose_token",
			"require scope x"), "/", []string{"Authorization", "Bearer " + good}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := exposing(t, c.after, c.lines...)
			s.attack(t, "and the log", func(t *testing.T, a *attempt) {
				a.secret(good)
				a.do(a.request(http.MethodGet, c.path, nil, c.head...))
				requests := a.upstream.take()
				if len(requests) != 1 {
					t.Fatalf("%d requests at the backend", len(requests))
				}
				if got := requests[0].Header["Authorization"]; len(got) != 1 || got[0] != "Token ["+c.want+"]" {
					t.Errorf("the backend got %.30q, want %.30q", got, c.want)
				}
				if got := requests[0].Header.Get("X-Var"); got != "[]" && got != "[exposed token]" {
					t.Errorf("the variable prints as %.30q", got)
				}
			})
		})
	}
}
