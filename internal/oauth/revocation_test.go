package oauth_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/issuing"
	"github.com/caddyjwt/gateway/internal/oauth"
	"github.com/caddyjwt/gateway/internal/session"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// revokes wants a revocation to succeed.
func (h *house) revokes(tb testing.TB, q *oauth.Request) {
	tb.Helper()
	if err := h.Server.Revoke(q); err != nil {
		tb.Errorf("not revoked: %v", err)
	}
}

// RFC 7009 section 2.1: an access token ends alone.
func TestAnAccessTokenIsRevokedAlone(t *testing.T) {
	h := newHouse(t)
	token, other := h.gives(t, own("batch", secret)).Access, h.gives(t, own("batch", secret)).Access
	for range 2 { // once more is no error (section 2.2)
		h.revokes(t, basic(ask("token", token, "token_type_hint", "access_token"), "batch", secret))
		if isActive(t, h, token) || !isActive(t, h, other) {
			t.Errorf("it is active: %v, and another one: %v", isActive(t, h, token), isActive(t, h, other))
		}
	}
	pair := h.login(t, shop)
	h.revokes(t, ask("token", pair.Access, "client_id", shop, "token_type_hint", "refresh_token"))
	if isActive(t, h, pair.Access) {
		t.Error("the access token of a session is active")
	}
	next := h.gives(t, ask("grant_type", "refresh_token", "client_id", shop, "refresh_token", pair.Refresh))
	if !isActive(t, h, next.Access) {
		t.Error("the session has ended")
	}
}

// A refresh token ends its session with all of its tokens, also one that was used.
func TestARevokedRefreshTokenEndsItsSession(t *testing.T) {
	for _, used := range []bool{false, true} {
		h := newHouse(t)
		first, other := h.login(t, shop), h.login(t, shop)
		last := h.gives(t, ask("grant_type", "refresh_token", "client_id", shop, "refresh_token", first.Refresh))
		h.clock.advance(time.Second)
		token := last.Refresh
		if used {
			token = first.Refresh
		}
		for range 2 {
			h.revokes(t, ask("token", token, "client_id", shop, "token_type_hint", "access_token"))
		}
		if isActive(t, h, last.Access) || !isActive(t, h, other.Access) {
			t.Error("another session has ended than the one of the token")
		}
		h.refuses(t, ask("grant_type", "refresh_token", "client_id", shop, "refresh_token", last.Refresh), 400,
			issuing.InvalidGrant, "")
	}
}

// RFC 7009 section 2.2: what is no good any more is revoked already.
func TestWhatIsNoTokenIsRevokedAlready(t *testing.T) {
	h := newHouse(t)
	h.clock.advance(time.Hour)
	now := h.clock.now().Unix()
	for name, token := range map[string]string{
		"garbage": "x", "an unknown refresh token": strings.Repeat("A", 64),
		"of another issuer": h.made(t, "at+jwt", m{"iss": "https://other.example"}),
		"expired long ago":  h.made(t, "at+jwt", m{"exp": now - 60, "iat": now - 90}),
		"a stranger's": tokentest.NewKey(t, "ES256", "s").Sign(t, m{"iss": issuer, "exp": now + 60},
			m{"typ": "at+jwt"}),
		"a refresh token of another issuer": "AAAA" + h.login(t, shop).Refresh[4:],
	} {
		t.Run(name, func(t *testing.T) {
			h.revokes(t, basic(ask("token", token), "batch", secret))
			h.revokes(t, ask("token", token, "client_id", shop))
		})
	}
	if h.until.Load() != 0 {
		t.Error("strangers can make revocations")
	}
}

// RFC 7009 section 2.1: a client revokes its own tokens alone.
func TestTokensOfOthersAreNotRevoked(t *testing.T) {
	h := newHouse(t)
	ofClient, ofShop, ofDesk := h.gives(t, own("batch", secret)).Access, h.login(t, shop), h.login(t, "/desk/")
	for name, c := range map[string]struct {
		q      *oauth.Request
		status int
		code   issuing.Code
		text   string
	}{
		"by another client": {basic(ask("token", ofClient), "changing", "old"), 400, issuing.UnauthorizedClient,
			"another client"},
		"by an application": {ask("token", ofClient, "client_id", shop), 400, issuing.UnauthorizedClient,
			"another client"},
		"of an application": {basic(ask("token", ofShop.Access), "batch", secret), 400, issuing.UnauthorizedClient,
			"another client"},
		"refresh token": {basic(ask("token", ofShop.Refresh), "batch", secret), 400, issuing.UnauthorizedClient,
			"another client"},
		"of another application": {ask("token", ofDesk.Access, "client_id", shop), 400, issuing.UnauthorizedClient,
			"another client"},
		"its refresh token": {ask("token", ofDesk.Refresh, "client_id", shop), 400, issuing.UnauthorizedClient,
			"another client"},
		"by nobody": {ask("token", ofClient), 401, issuing.InvalidClient, "names no client"},
		"by a wrong secret": {basic(ask("token", ofClient), "batch", "wrong"), 401, issuing.InvalidClient,
			"another secret"},
		"by its client_id alone": {ask("token", ofClient, "client_id", "batch"), 401, issuing.InvalidClient, "shown nothing"},
		"no token":               {basic(ask(), "batch", secret), 400, issuing.InvalidRequest, "token is missing"},
		"two tokens": {basic(ask("token", ofClient, "token", ofClient), "batch", secret), 400,
			issuing.InvalidRequest, "more than once"},
	} {
		t.Run(name, func(t *testing.T) { wants(t, h.Server.Revoke(c.q), c.status, c.code, c.text) })
	}
	for _, token := range []string{ofClient, ofShop.Access, ofDesk.Access} {
		if !isActive(t, h, token) {
			t.Error("a token was revoked")
		}
	}
	h.gives(t, ask("grant_type", "refresh_token", "client_id", shop, "refresh_token", ofShop.Refresh))
}

// Gates take a token for a while after its exp, and one from a clock that is ahead. So these can be revoked, and that
// is kept for as long.
func TestTokensThatGatesTakeCanBeRevoked(t *testing.T) {
	for name, leeway := range map[string]time.Duration{"the default": 0, "another": 10 * time.Minute} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, func(h *house) { h.options.Leeway = leeway })
			if leeway == 0 {
				leeway = time.Minute
			}
			now := h.clock.now().Truncate(time.Second)
			for _, claims := range []m{
				{"iat": now.Add(leeway - time.Second).Unix(), "exp": now.Add(2 * leeway).Unix()},
				{"iat": now.Add(-time.Hour).Unix(), "exp": now.Add(2*time.Second - leeway).Unix()},
			} {
				h.until.Store(0)
				h.revokes(t, basic(ask("token", h.made(t, "at+jwt", claims)), "batch", secret))
				end := time.Unix(claims["exp"].(int64), 0).Add(leeway)
				if until := time.Unix(0, h.until.Load()); !until.After(end) || until.After(end.Add(time.Hour)) {
					t.Errorf("%v: revoked until %v, and gates take it until %v", claims, until, end)
				}
			}
			h.until.Store(0)
			over := m{"iat": now.Add(-time.Hour).Unix(), "exp": now.Add(-leeway).Unix()}
			h.revokes(t, basic(ask("token", h.made(t, "at+jwt", over)), "batch", secret))
			if h.until.Load() != 0 {
				t.Error("a token that no gate takes is revoked")
			}
		})
	}
}

// While the store is down nothing is revoked, and the client hears that.
func TestARevocationThatIsNotPossibleNow(t *testing.T) {
	h := newHouse(t)
	token, pair := h.gives(t, own("batch", secret)).Access, h.login(t, shop)
	byClient := func() *oauth.Request { return basic(ask("token", token), "batch", secret) }
	byApp := func() *oauth.Request { return ask("token", pair.Refresh, "client_id", shop) }
	h.in.down.Store(true)
	wants(t, h.Server.Revoke(byClient()), 503, issuing.TemporarilyUnavailable, errDown.Error())
	if err := h.Server.Revoke(byApp()); !errors.Is(err, session.ErrUnavailable) {
		t.Errorf("%v", err)
	}
	h.in.down.Store(false)
	if !isActive(t, h, token) || !isActive(t, h, pair.Access) {
		t.Error("it was revoked after all")
	}
	h.revokes(t, byClient())
	h.revokes(t, byApp())
	if isActive(t, h, token) || isActive(t, h, pair.Access) {
		t.Error("it is not revoked")
	}
}
