package oauth_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/issuing"
	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/internal/oauth"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// made is a token of the issuer with any claims and type.
func (h *house) made(tb testing.TB, typ string, changes m) string {
	tb.Helper()
	now := h.clock.now().Unix()
	all := m{
		"iss": issuer, "sub": "batch", "client_id": "batch", "aud": api, "iat": now, "exp": now + 60, "jti": rand.Text(),
	}
	maps.Copy(all, changes)
	maps.DeleteFunc(all, func(_ string, v any) bool { return v == nil })
	text, err := json.Marshal(all)
	must(tb, &err)
	token, err := h.ring.Sign(nil, typ, text)
	must(tb, &err)
	return token
}

// described is the answer about a token, as it is written.
func (h *house) described(tb testing.TB, q *oauth.Request) map[string]json.RawMessage {
	tb.Helper()
	answer, err := h.says(q)
	must(tb, &err)
	text, err := json.Marshal(answer)
	must(tb, &err)
	var members map[string]json.RawMessage
	err = json.Unmarshal(text, &members)
	must(tb, &err)
	return members
}

// RFC 7662 section 2.2: the answer has all claims. Dates are integers there.
func TestAnActiveTokenIsDescribed(t *testing.T) {
	h := newHouse(t)
	ofClient := h.gives(t, own("batch", secret, "scope", "read")).Access
	ofSession := h.login(t, shop).Access
	for name, c := range map[string]struct {
		token string
		want  m
		names []string
	}{
		"of a client": {
			ofClient, m{"sub": "batch", "client_id": "batch", "scope": "read"},
			[]string{"active", "aud", "client_id", "exp", "iat", "iss", "jti", "scope", "sub", "token_type"},
		},
		"of a session": {
			ofSession, m{"sub": "alice", "client_id": shop, "app": shop, "roles": []any{"clerk"}},
			[]string{"active", "app", "aud", "client_id", "exp", "iat", "iss", "jti", "roles", "sid", "sub", "token_type"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			answer := h.described(t, introspect("server", c.token))
			if names := slices.Sorted(maps.Keys(answer)); !slices.Equal(names, c.names) {
				t.Errorf("members %v, want %v", names, c.names)
			}
			in := says(t, c.token)
			maps.Copy(c.want, m{
				"active": true, "token_type": "Bearer", "iss": issuer, "aud": api, "jti": in["jti"], "exp": in["exp"],
			})
			for member, want := range c.want {
				text, err := json.Marshal(want)
				must(t, &err)
				if member != "exp" && !bytes.Equal(text, answer[member]) {
					t.Errorf("%s is %s, want %s", member, answer[member], text)
				}
			}
			for _, date := range []string{"iat", "exp"} {
				var at int64
				if err := json.Unmarshal(answer[date], &at); err != nil || at != int64(in[date].(float64)) {
					t.Errorf("%s is %s, and in the token %v", date, answer[date], in[date])
				}
			}
		})
	}
}

// What is no good, and what is for others, gets the same answer (RFC 7662 sections 2.2 and 4).
func TestInactiveTokens(t *testing.T) {
	h := newHouse(t)
	h.clock.advance(time.Hour)
	now := h.clock.now().Unix()
	good := h.made(t, "at+jwt", nil)
	revoked := h.gives(t, own("batch", secret)).Access
	if err := h.Server.Revoke(basic(ask("token", revoked), "batch", secret)); err != nil {
		t.Fatal(err)
	}
	stranger := tokentest.NewKey(t, "ES256", "stranger")
	claims := m{
		"iss": issuer, "sub": "batch", "client_id": "batch", "aud": api, "iat": now, "exp": now + 60, "jti": "j",
	}
	kid, err := jwtHeader(good)
	must(t, &err)
	session := h.login(t, shop)
	for name, token := range map[string]string{
		"for another one":       h.made(t, "at+jwt", m{"aud": billing}),
		"for nobody":            h.made(t, "at+jwt", m{"aud": nil}),
		"expired":               h.made(t, "at+jwt", m{"exp": now, "iat": now - 60}),
		"without exp":           h.made(t, "at+jwt", m{"exp": nil}),
		"not yet":               h.made(t, "at+jwt", m{"nbf": now + 90}),
		"issued later":          h.made(t, "at+jwt", m{"iat": now + 90, "exp": now + 300}),
		"of another issuer":     h.made(t, "at+jwt", m{"iss": "https://other.example"}),
		"of nobody":             h.made(t, "at+jwt", m{"iss": nil}),
		"of a removed client":   h.made(t, "at+jwt", m{"client_id": "gone", "sub": "gone"}),
		"no access token":       h.made(t, "x", nil),
		"of no type":            h.made(t, "", nil),
		"for a client's login":  h.made(t, "client-authentication+jwt", nil),
		"revoked":               revoked,
		"a stranger's":          stranger.Sign(t, claims, m{"typ": "at+jwt"}),
		"a stranger's, our kid": stranger.Sign(t, claims, m{"typ": "at+jwt", "kid": kid}),
		"changed":               tokentest.FlipSignature(t, good),
		"alg none":              stranger.Sign(t, claims, m{"typ": "at+jwt", "alg": "none"}),
		"a refresh token":       session.Refresh,
		"garbage":               "x",
		"dots":                  "..",
		"long":                  strings.Repeat("A", 60_000),
		"an assertion":          h.assert(t, signerKeys(t)[0], "signer", nil),
	} {
		t.Run(name, func(t *testing.T) {
			if isActive(t, h, token) {
				t.Error("it is active")
			}
		})
	}
	if !isActive(t, h, good) || !isActive(t, h, session.Access) {
		t.Fatal("no token is active")
	}
	for _, id := range []string{"server", "other-server"} {
		if got := h.described(t, introspect(id, h.made(t, "JWT", m{"aud": []string{"x", billing}}))); (id == "server") ==
			(string(got["active"]) == "true") {
			t.Errorf("%s hears %s", id, got)
		}
	}
	// The clock of the node that has made a token may be ahead. That of exp is never.
	if !isActive(t, h, h.made(t, "at+jwt", m{"iat": now + 30, "exp": now + 90})) {
		t.Error("a token of a clock that is ahead is not active")
	}
	h.clock.advance(61 * time.Second)
	if isActive(t, h, good) {
		t.Error("an expired token is active")
	}
}

func jwtHeader(token string) (kid string, err error) {
	text, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[0])
	if err != nil {
		return "", err
	}
	var header struct {
		KID string `json:"kid"`
	}
	err = json.Unmarshal(text, &header)
	return header.KID, err
}

// RFC 7662 section 2.1: whoever may ask everything could try all tokens there are.
func TestWhoMayNotAskAboutTokens(t *testing.T) {
	h := newHouse(t)
	token := h.gives(t, own("batch", secret)).Access
	for name, c := range map[string]struct {
		q      *oauth.Request
		status int
		code   issuing.Code
		text   string
	}{
		"nobody":           {ask("token", token), 401, issuing.InvalidClient, "names no client"},
		"a wrong secret":   {basic(ask("token", token), "server", "wrong"), 401, issuing.InvalidClient, "another secret"},
		"a client without": {introspect("batch", token), 403, issuing.UnauthorizedClient, "may not ask"},
		"an application":   {ask("token", token, "client_id", shop), 403, issuing.UnauthorizedClient, "may not ask"},
		"no token":         {basic(ask(), "server", secret), 400, issuing.InvalidRequest, "token is missing"},
		"an empty one":     {introspect("server", ""), 400, issuing.InvalidRequest, "token is missing"},
		"two": {basic(ask("token", token, "token", token), "server", secret), 400, issuing.InvalidRequest,
			"more than once"},
		"two hints": {basic(ask("token", token, "token_type_hint", "a", "token_type_hint", "b"), "server",
			secret), 400, issuing.InvalidRequest, "more than once"},
		"resource is not two": {basic(ask("token", token, "resource", "a", "resource", "b"), "server", secret), 400,
			issuing.InvalidRequest, "more than once"},
	} {
		t.Run(name, func(t *testing.T) {
			answer, err := h.says(c.q)
			wants(t, err, c.status, c.code, c.text)
			if answer != nil {
				t.Errorf("%v", answer)
			}
		})
	}
	for _, hint := range []string{"access_token", "refresh_token", "x"} {
		if got := h.described(t, basic(ask("token", token, "token_type_hint", hint), "server",
			secret)); string(got["active"]) != "true" {
			t.Errorf("with the hint %s: %s", hint, got)
		}
	}
}

// What is not known is neither active nor inactive.
func TestTokensThatCannotBeJudgedNow(t *testing.T) {
	h := newHouse(t)
	token := h.gives(t, own("batch", secret)).Access
	h.unknown.Store(true)
	_, err := h.says(introspect("server", token))
	wants(t, err, 503, issuing.TemporarilyUnavailable, errDown.Error())
	wants(t, h.Server.Revoke(basic(ask("token", token), "batch", secret)), 503, issuing.TemporarilyUnavailable,
		errDown.Error())

	away := newHouse(t, func(h *house) { h.options.Keys = noKeys{&keyset.UnavailableError{RetryAfter: time.Second}} })
	token = away.gives(t, own("batch", secret)).Access
	_, err = away.says(introspect("server", token))
	wants(t, err, 503, issuing.TemporarilyUnavailable, "")
}

// Claims of a token cannot stand for what the answer says itself.
func TestClaimsDoNotReplaceTheAnswer(t *testing.T) {
	h := newHouse(t)
	got := h.described(t, introspect("server", h.made(t, "at+jwt", m{"active": false, "token_type": "N_A", "iat": 1.5})))
	if string(got["active"]) != "true" || string(got["token_type"]) != `"Bearer"` || string(got["iat"]) != "1" {
		t.Errorf("%s", got)
	}
}
