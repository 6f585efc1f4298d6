package oauth_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/clients"
	"github.com/caddyjwt/gateway/internal/issuing"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/internal/oauth"
	"github.com/caddyjwt/gateway/internal/session"
)

// RFC 6749 sections 4.4 and 5.1, RFC 9068 section 2.
func TestAClientGetsATokenInItsOwnName(t *testing.T) {
	h := newHouse(t)
	now := h.clock.now()
	tokens := h.gives(t, own("batch", secret))
	if tokens.Refresh != "" || tokens.Scope != "read write" || tokens.ExpiresIn < 299 || tokens.ExpiresIn > 300 {
		t.Errorf("%+v", tokens)
	}
	token, err := jose.Parse(tokens.Access, nil)
	if err != nil || token.Header.Type != "at+jwt" {
		t.Fatalf("%+v, %v", token.Header, err)
	}
	if _, err := keyset.Verify(t.Context(), h.ring, &token); err != nil {
		t.Error(err)
	}
	set, err := claims.Decode(token.Payload)
	if err != nil || claims.CheckAccessToken(set) != nil {
		t.Fatalf("%v", err)
	}
	if set.Issuer != issuer || set.Subject != "batch" || set.ClientID != "batch" || !slices.Equal(set.Audience,
		[]string{api}) {
		t.Errorf("%+v", set)
	}
	// It was issued a moment ago, so that a cut-off from now on reaches it.
	if age := now.Sub(set.IssuedAt); age <= 0 || age > 2*time.Millisecond ||
		set.ExpiresAt.Sub(set.IssuedAt) > 5*time.Minute {
		t.Errorf("it is %v old, and lives for %v", age, set.ExpiresAt.Sub(set.IssuedAt))
	}
	want := []string{"aud", "client_id", "exp", "iat", "iss", "jti", "scope", "sub"}
	if got := slices.Sorted(maps.Keys(says(t, tokens.Access))); !slices.Equal(got, want) {
		t.Errorf("claims %v, want %v", got, want)
	}
	if again := h.gives(t, own("batch", secret)); says(t, again.Access)["jti"] == set.ID {
		t.Error("two tokens have the same jti")
	}
}

// RFC 6749 section 3.3.
func TestScopesOfAToken(t *testing.T) {
	h := newHouse(t)
	for name, c := range map[string]struct {
		id     string
		pairs  []string
		want   string // the scopes
		refuse bool
	}{
		"all of them":      {"batch", nil, "read write", false},
		"left out":         {"batch", []string{"scope", ""}, "read write", false},
		"one":              {"batch", []string{"scope", "write"}, "write", false},
		"in another order": {"batch", []string{"scope", "write read"}, "write read", false},
		"one twice":        {"batch", []string{"scope", "read read"}, "read", false},
		"none there":       {"two", []string{"resource", api}, "", false},
		"another one":      {"batch", []string{"scope", "admin"}, "", true},
		"one and another":  {"batch", []string{"scope", "read admin"}, "", true},
		"another case":     {"batch", []string{"scope", "READ"}, "", true},
		"two blanks":       {"batch", []string{"scope", "read  write"}, "", true},
		"a blank alone":    {"batch", []string{"scope", " "}, "", true},
		"a blank behind":   {"batch", []string{"scope", "read "}, "", true},
		"a tab":            {"batch", []string{"scope", "read\twrite"}, "", true},
		"a comma":          {"batch", []string{"scope", "read,write"}, "", true},
		"of none":          {"two", []string{"scope", "read"}, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			if c.refuse {
				h.refuses(t, own(c.id, secret, c.pairs...), 400, issuing.InvalidScope, "may not have")
				return
			}
			tokens := h.gives(t, own(c.id, secret, c.pairs...))
			if in, _ := says(t, tokens.Access)["scope"].(string); tokens.Scope != c.want || in != c.want {
				t.Errorf("scopes %q, and in the token %q, want %q", tokens.Scope, in, c.want)
			}
		})
	}
}

// RFC 8707 section 2: a token is for one resource.
func TestResourcesOfAToken(t *testing.T) {
	plain := newHouse(t)
	byDefault := newHouse(t, func(h *house) { h.options.DefaultAudience = billing })
	for name, c := range map[string]struct {
		at    *house
		id    string
		pairs []string
		want  string // the audience; empty for a refusal
		text  string
	}{
		"the only one":             {plain, "batch", nil, api, ""},
		"named":                    {plain, "batch", []string{"resource", api}, api, ""},
		"one of two":               {plain, "two", []string{"resource", billing}, billing, ""},
		"left out":                 {plain, "batch", []string{"resource", ""}, api, ""},
		"the default":              {byDefault, "two", nil, billing, ""},
		"instead of the default":   {byDefault, "two", []string{"resource", api}, api, ""},
		"without the default":      {byDefault, "batch", nil, api, ""},
		"by its other name":        {plain, "two", []string{"audience", billing}, billing, ""},
		"by both names":            {plain, "two", []string{"audience", api, "resource", api}, api, ""},
		"another one":              {plain, "batch", []string{"resource", billing}, "", "for this resource"},
		"with a slash":             {plain, "batch", []string{"resource", api + "/"}, "", "for this resource"},
		"the default of others":    {byDefault, "batch", []string{"resource", billing}, "", "for this resource"},
		"two of them":              {plain, "two", []string{"resource", api, "resource", billing}, "", "one resource"},
		"one of them twice":        {plain, "two", []string{"resource", api, "resource", api}, "", "one resource"},
		"nobody says which":        {plain, "two", nil, "", "say which one"},
		"another audience":         {plain, "two", []string{"audience", issuer}, "", "for this resource"},
		"two, by both names":       {plain, "two", []string{"audience", api, "resource", billing}, "", "one resource"},
		"one that it asks about":   {plain, "batch", []string{"resource", issuer}, "", "for this resource"},
		"a fragment":               {plain, "batch", []string{"resource", api + "#x"}, "", "for this resource"},
		"several, nobody has them": {plain, "two", []string{"resource", "x", "resource", "y"}, "", "one resource"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.want == "" {
				c.at.refuses(t, own(c.id, secret, c.pairs...), 400, issuing.InvalidTarget, c.text)
				return
			}
			if aud := says(t, c.at.gives(t, own(c.id, secret, c.pairs...)).Access)["aud"]; aud != c.want {
				t.Errorf("audience %v, want %s", aud, c.want)
			}
		})
	}
}

// Each refusal has the status and the code of RFC 6749 section 5.2.
func TestRequestsForATokenThatAreRefused(t *testing.T) {
	h := newHouse(t)
	refresh := h.login(t, shop).Refresh
	query := own("batch", secret)
	query.HTTP.URL.RawQuery = "scope=read"
	for name, c := range map[string]struct {
		q      *oauth.Request
		status int
		code   issuing.Code
		text   string
	}{
		"nothing":       {ask(), 401, issuing.InvalidClient, "names no client"},
		"no grant_type": {basic(ask(), "batch", secret), 400, issuing.InvalidRequest, "grant_type is missing"},
		"an empty one":  {basic(ask("grant_type", ""), "batch", secret), 400, issuing.InvalidRequest, "is missing"},
		"another one": {basic(ask("grant_type", "password"), "batch", secret), 400, issuing.UnsupportedGrantType,
			"no such"},
		"in another case": {basic(ask("grant_type", "Client_credentials"), "batch", secret), 400,
			issuing.UnsupportedGrantType, ""},
		"not this client's": {own("server", secret), 400, issuing.UnauthorizedClient, "may not use"},
		"refresh of a client": {basic(ask("grant_type", "refresh_token", "refresh_token", refresh), "batch", secret), 400,
			issuing.UnauthorizedClient, "refresh_token"},
		"public for itself": {ask("grant_type", "client_credentials", "client_id", shop), 400, issuing.UnauthorizedClient,
			"client_credentials"},
		"a query":        {query, 400, issuing.InvalidRequest, "query"},
		"a wrong secret": {own("batch", "wrong"), 401, issuing.InvalidClient, "another secret"},
		// Nobody learns what is wrong with the rest before they have said who they are.
		"a wrong secret and no grant": {basic(ask(), "batch", "wrong"), 401, issuing.InvalidClient, "another secret"},
	} {
		t.Run(name, func(t *testing.T) { h.refuses(t, c.q, c.status, c.code, c.text) })
	}
	if _, err := h.sessions.Refresh(t.Context(), (*apps)(h).terms(shop), refresh, session.Proof{}); err != nil {
		t.Errorf("a refusal has used up the refresh token: %v", err)
	}
}

func TestNoTokenWithoutASigner(t *testing.T) {
	h := newHouse(t, func(h *house) {
		h.options.Sign = func(context.Context, *clients.Client, *issuing.Claims) (string, error) { return "x", errDown }
	})
	tokens, err := h.Token(own("batch", secret))
	wants(t, err, 503, issuing.TemporarilyUnavailable, errDown.Error())
	if tokens != nil {
		t.Errorf("%+v", tokens)
	}
}

// RFC 6749 section 6.
func TestAnApplicationRefreshes(t *testing.T) {
	h := newHouse(t)
	first := h.login(t, shop)
	refresh := func(token string, pairs ...string) *oauth.Request {
		return ask(append([]string{"grant_type", "refresh_token", "client_id", shop, "refresh_token", token}, pairs...)...)
	}
	for name, c := range map[string]struct {
		q    *oauth.Request
		code issuing.Code
		text string
	}{
		"no token":          {refresh(""), issuing.InvalidRequest, "refresh_token is missing"},
		"scope":             {refresh(first.Refresh, "scope", "read"), issuing.InvalidScope, "leave scope out"},
		"another resource":  {refresh(first.Refresh, "resource", billing), issuing.InvalidTarget, "leave resource out"},
		"two resources":     {refresh(first.Refresh, "resource", api, "resource", billing), issuing.InvalidTarget, ""},
		"no refresh token":  {refresh("x"), issuing.InvalidGrant, "sign in again"},
		"an access token":   {refresh(first.Access), issuing.InvalidGrant, "sign in again"},
		"an unknown one":    {refresh(strings.Repeat("A", len(first.Refresh))), issuing.InvalidGrant, "sign in again"},
		"of another client": {refresh(h.login(t, "/desk/").Refresh), issuing.InvalidGrant, "sign in again"},
		"one with a secret": {refresh(first.Refresh, "client_secret", "x"), issuing.InvalidClient, "another secret"},
	} {
		t.Run(name, func(t *testing.T) {
			status := 400
			if c.code == issuing.InvalidClient {
				status = 401
			}
			h.refuses(t, c.q, status, c.code, c.text)
		})
	}
	// Of an application whose tokens are for two resources, none can be chosen.
	desk := ask("grant_type", "refresh_token", "client_id", "/desk/", "resource", api, "refresh_token",
		h.login(t, "/desk/").Refresh)
	h.refuses(t, desk, 400, issuing.InvalidTarget, "leave resource out")

	next := h.gives(t, refresh(first.Refresh, "resource", api, "resource", ""))
	if next.Refresh == "" || next.Refresh == first.Refresh || next.ExpiresIn != 60 || next.Scope != "" {
		t.Errorf("%+v", next)
	}
	if all := says(t, next.Access); all["client_id"] != shop || all["app"] != shop || all["sub"] != "alice" {
		t.Errorf("%v", all)
	}
	h.clock.advance(time.Second)
	last := h.gives(t, refresh(next.Refresh))
	h.refuses(t, refresh(next.Refresh), 400, issuing.InvalidGrant, "sign in again") // used, which ends the session
	h.refuses(t, refresh(last.Refresh), 400, issuing.InvalidGrant, "sign in again")
}

// What keeps a session from going on is for whoever writes the answer.
func TestARefreshThatIsNotPossibleNow(t *testing.T) {
	h := newHouse(t)
	first := h.login(t, shop)
	q := func() *oauth.Request {
		return ask("grant_type", "refresh_token", "client_id", shop, "refresh_token", first.Refresh)
	}
	h.in.down.Store(true)
	if tokens, err := h.Token(q()); !errors.Is(err, session.ErrUnavailable) || tokens != nil {
		t.Errorf("%+v, %v", tokens, err)
	}
	h.in.down.Store(false)
	h.gives(t, q())
}

// Of 64 that refresh with one token at the same time, one gets a pair. The others have used it again, which ends the
// session.
func TestSimultaneousRefreshesGiveOnePair(t *testing.T) {
	const racers = 64
	h := newHouse(t)
	for range 8 {
		first := h.login(t, shop)
		pairs := make(chan *issuing.Tokens, racers)
		var all sync.WaitGroup
		begin := make(chan struct{})
		for range racers {
			all.Go(func() {
				<-begin
				tokens, err := h.Token(ask("grant_type", "refresh_token", "client_id", shop, "refresh_token", first.Refresh))
				if err == nil {
					pairs <- tokens
				} else {
					wants(t, err, 400, issuing.InvalidGrant, "")
				}
			})
		}
		close(begin)
		all.Wait()
		if len(pairs) != 1 {
			t.Fatalf("%d pairs", len(pairs))
		}
		last := <-pairs
		h.refuses(t, ask("grant_type", "refresh_token", "client_id", shop, "refresh_token", last.Refresh), 400,
			issuing.InvalidGrant, "")
		if isActive(t, h, last.Access) {
			t.Error("the access token of the pair lives")
		}
	}
}

func TestAServerNeedsItsOptions(t *testing.T) {
	good := newHouse(t).options
	for name, change := range map[string]func(*oauth.Options){
		"issuer": func(o *oauth.Options) { o.Issuer = "" }, "clients": func(o *oauth.Options) { o.Clients = nil },
		"try": func(o *oauth.Options) { o.Try = nil }, "assertions": func(o *oauth.Options) { o.Assertions = nil },
		"keys": func(o *oauth.Options) { o.Keys = nil }, "sign": func(o *oauth.Options) { o.Sign = nil },
		"judge":       func(o *oauth.Options) { o.Judge = nil },
		"proofs":      func(o *oauth.Options) { o.Proofs = nil },
		"answers":     func(o *oauth.Options) { o.SignAnswer = nil },
		"sessions":    func(o *oauth.Options) { o.Sessions = nil },
		"revocations": func(o *oauth.Options) { o.Revocations = nil },
		"addresses":   func(o *oauth.Options) { o.Addresses = nil },
		"an address":  func(o *oauth.Options) { o.Addresses = []string{endpoint, ""} },
	} {
		o := good
		change(&o)
		if s, err := oauth.New(o); err == nil || s != nil {
			t.Errorf("without %s there is a server", name)
		}
	}
	good.Now = nil
	if _, err := oauth.New(good); err != nil {
		t.Error(err)
	}
}
