package oauth_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/clients"
	"github.com/caddyjwt/gateway/internal/issuing"
	"github.com/caddyjwt/gateway/internal/oauth"
)

// A client gets a token in the name of the subject of another token. It says who acts, and has nothing of the one
// before but what the exchange names.
func TestExchange(t *testing.T) {
	h := exchanging(t)
	tokens := h.gives(t, exchanges("orders", h.subjectToken(t), "resource", billing, "scope", "read"))
	if tokens.IssuedType != accessType || tokens.Refresh != "" || tokens.Scope != "read" || tokens.ExpiresIn < 299 {
		t.Errorf("%+v", tokens)
	}
	set := says(t, tokens.Access)
	for name, want := range map[string]any{
		"iss": issuer, "sub": "idp:alice", "client_id": "orders", "aud": billing, "scope": "read",
		"act": m{"sub": "orders"}, "email": "a@example.com", "level": 3.0, "roles": []any{"admin"},
		"secret": nil, "app": nil, "sid": nil,
	} {
		if got := set[name]; !reflect.DeepEqual(got, want) {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	for name, q := range map[string]*oauth.Request{
		"all scopes":         exchanges("orders", h.subjectToken(t), "audience", api),
		"a jwt":              exchanges("orders", h.subjectToken(t), "resource", api, "requested_token_type", jwtType),
		"both names":         exchanges("orders", h.subjectToken(t), "resource", api, "audience", api),
		"with other aud":     exchanges("orders", h.subjectToken(t, "aud", []string{api, "other"}), "audience", api),
		"the client may act": exchanges("orders", h.subjectToken(t, "may_act", m{"sub": "orders"}), "audience", api),
		"for the client":     exchanges("strict", h.subjectToken(t, "aud", "strict")),
	} {
		if got := h.gives(t, q); got.Access == "" {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// What is handed in as another type than it may be, for somebody else, or by somebody else, gives nothing.
func TestExchangeRefuses(t *testing.T) {
	h := exchanging(t)
	good := h.subjectToken(t)
	late := h.subjectToken(t, "exp", h.clock.now().Add(-time.Minute).Unix())
	with := func(changes ...any) *oauth.Request {
		return exchanges("orders", h.subjectToken(t, changes...), "resource", api)
	}
	deep := m{"sub": "a", "act": m{"sub": "b", "act": m{"sub": "c", "act": m{"sub": "d"}}}}
	for name, c := range map[string]struct {
		q    *oauth.Request
		code issuing.Code
		text string
	}{
		"no token": {exchanges("orders", ""), issuing.InvalidRequest, "subject_token"},
		"no type":  {ofType("orders", good, ""), issuing.InvalidRequest, "subject_token_type"},
		"a refresh token": {ofType("orders", good, accessType[:len(accessType)-12]+"refresh_token"),
			issuing.InvalidRequest, "subject_token_type"},
		"an actor":        {exchanges("orders", good, "actor_token", good), issuing.InvalidRequest, "actor_token"},
		"the type of one": {exchanges("orders", good, "actor_token_type", jwtType), issuing.InvalidRequest, "actor_token"},
		"another type": {exchanges("orders", good, "requested_token_type", idType), issuing.InvalidRequest,
			"requested"},
		"another client":     {exchanges("desk", good), issuing.UnauthorizedClient, "may not use"},
		"no exchange at all": {exchanges("batch", good), issuing.UnauthorizedClient, "may not use"},
		"not for the client": {exchanges("strict", good), issuing.InvalidRequest, "aud"},
		"another audience":   {with("aud", billing), issuing.InvalidRequest, "aud"},
		"no audience":        {with("aud", nil), issuing.InvalidRequest, "aud"},
		"expired":            {exchanges("orders", late), issuing.InvalidRequest, "exp"},
		"no exp":             {with("exp", nil), issuing.InvalidRequest, "missing_claim"},
		"of a stranger":      {with("iss", stranger), issuing.InvalidRequest, "not good"},
		"of nobody known":    {with("iss", "https://third.example"), issuing.InvalidRequest, "not good"},
		"nobody's":           {with("sub", nil), issuing.InvalidRequest, "sub"},
		"a long subject":     {with("sub", strings.Repeat("x", 600)), issuing.InvalidRequest, "sub"},
		"long claims":        {with("email", strings.Repeat("x", 5000)), issuing.InvalidRequest, "claims"},
		"bound to a key":     {with("cnf", m{"jkt": strings.Repeat("x", 43)}), issuing.InvalidRequest, "not good"},
		"another may act":    {with("may_act", m{"sub": "desk"}), issuing.InvalidRequest, "may_act"},
		"of another issuer":  {with("may_act", m{"sub": "orders", "iss": idp}), issuing.InvalidRequest, "may_act"},
		"nobody may act":     {with("may_act", "orders"), issuing.InvalidRequest, "may_act"},
		"too many acted":     {with("act", deep), issuing.InvalidRequest, "act"},
		"nobody acted":       {with("act", m{}), issuing.InvalidRequest, "act"},
		"no object acted":    {with("act", []string{"x"}), issuing.InvalidRequest, "act"},
		"another resource":   {exchanges("orders", good, "resource", "https://x.example"), issuing.InvalidTarget, "resource"},
		"two resources":      {exchanges("orders", good, "resource", api, "audience", billing), issuing.InvalidTarget, "one"},
		"several possible":   {exchanges("orders", good), issuing.InvalidTarget, "several"},
		"another scope":      {exchanges("orders", good, "resource", api, "scope", "admin"), issuing.InvalidScope, ""},
	} {
		t.Run(name, func(t *testing.T) { h.refuses(t, c.q, 400, c.code, c.text) })
	}
	none := newHouse(t)
	none.refuses(t, exchanges("batch", good), 400, issuing.UnsupportedGrantType, "")
	none.refuses(t, asserts("batch", good), 400, issuing.UnsupportedGrantType, "")
}

// ofType is a request to exchange a token of a type.
func ofType(id, token, kind string) *oauth.Request {
	return basic(ask("grant_type", string(clients.TokenExchange), "subject_token", token, "subject_token_type", kind), id,
		secret)
}

// Whether the keys of an issuer are there is nobody's fault.
func TestExchangeWithoutKeys(t *testing.T) {
	h := exchanging(t)
	h.judge.err = errDown
	h.refuses(t, exchanges("orders", h.subjectToken(t)), 503, issuing.TemporarilyUnavailable, errDown.Error())
	h.refuses(t, asserts("desk", h.subjectToken(t)), 503, issuing.TemporarilyUnavailable, errDown.Error())
}

// A new token ends with the one before, and with its session.
func TestExchangedTokensDoNotLiveLonger(t *testing.T) {
	h := exchanging(t)
	exp := h.clock.now().Add(90 * time.Second).Unix()
	tokens := h.gives(t, exchanges("orders", h.subjectToken(t, "exp", exp), "resource", api))
	if got := says(t, tokens.Access)["exp"]; got != float64(exp) || tokens.ExpiresIn > 90 {
		t.Errorf("exp %v, want %v", got, exp)
	}
	text, err := h.ring.Sign(nil, "at+jwt", []byte(`{"iss":"`+issuer+`","sub":"alice","sid":"s","app":"`+shop+
		`","group":"g","aud":"`+api+`","client_id":"`+shop+`","exp":`+fmt.Sprint(h.clock.now().Unix()+60)+`}`))
	must(t, &err)
	if set := says(t, h.gives(t, exchanges("orders", text)).Access); set["sid"] != "s" || set["group"] != "g" {
		t.Errorf("%v", set)
	}
	h.clock.nanos.Store(h.clock.now().Truncate(time.Second).Add(500 * time.Millisecond).UnixNano())
	for left, text := range map[int64]string{1: "within a second", 2: ""} {
		q := exchanges("orders", h.subjectToken(t, "exp", h.clock.now().Unix()+left), "resource", api)
		if text != "" {
			h.refuses(t, q, 400, issuing.InvalidRequest, text)
		} else if tokens := h.gives(t, q); tokens.ExpiresIn != 1 {
			t.Errorf("it lives for %d seconds", tokens.ExpiresIn)
		}
	}
	pair := h.login(t, shop)
	q := func() *oauth.Request { return exchanges("orders", pair.Access) }
	set := says(t, h.gives(t, q()).Access)
	was := says(t, pair.Access)
	if set["sid"] != was["sid"] || set["sid"] == nil || set["sub"] != "alice" || set["roles"] != nil ||
		set["app"] != nil ||
		set["exp"].(float64) > was["exp"].(float64) {
		t.Errorf("%v of %v", set, was)
	}
}

// A token can be exchanged on its way through several services. It names all of them, the last one first.
func TestAChainOfActors(t *testing.T) {
	h := exchanging(t)
	list := append(registered(t), clients.Client{
		ID: "first", SecretHashes: []string{hash(t, secret)}, Audiences: []string{api}, AccessLifetime: time.Minute,
		Exchanges: []clients.Exchange{{From: idp, Grant: clients.TokenExchange, Accepted: []string{api}, Prefix: "idp:"}},
	}, clients.Client{
		ID: "second", SecretHashes: []string{hash(t, secret)}, Audiences: []string{billing}, AccessLifetime: time.Minute,
		Exchanges: []clients.Exchange{{From: issuer, Own: true, Grant: clients.TokenExchange, Accepted: []string{api}}},
	})
	h.setClients(t, list...)
	one := h.gives(t, exchanges("first", h.subjectToken(t, "act", m{"sub": "portal"})))
	two := h.gives(t, exchanges("second", one.Access))
	set := says(t, two.Access)
	want := m{"sub": "second", "act": m{"sub": "first", "act": m{"sub": "portal", "iss": idp}}}
	if !reflect.DeepEqual(set["act"], want) || set["sub"] != "idp:alice" || set["client_id"] != "second" {
		t.Errorf("%v", set)
	}
	h.refuses(t, exchanges("second", two.Access), 400, issuing.InvalidRequest, "aud") // it is for billing
}

// An assertion of another issuer gives a token, and each gives one.
func TestJWTBearer(t *testing.T) {
	h := exchanging(t)
	for _, audience := range []any{issuer, endpoint, []string{issuer, endpoint}} {
		assertion := h.subjectToken(t, "aud", audience, "jti", nil, "iat", h.clock.now().Unix())
		tokens := h.gives(t, asserts("desk", assertion))
		set := says(t, tokens.Access)
		if set["sub"] != "idp:alice" || set["client_id"] != "desk" || !reflect.DeepEqual(set["act"], m{"sub": "desk"}) ||
			set["scope"] != "read" ||
			tokens.IssuedType != "" || tokens.Refresh != "" {
			t.Errorf("%v", set)
		}
		h.refuses(t, asserts("desk", assertion), 400, issuing.InvalidGrant, "once")
		h.clock.advance(time.Second)
	}
	for name, c := range map[string]struct {
		q    *oauth.Request
		code issuing.Code
		text string
	}{
		"none":            {asserts("desk", ""), issuing.InvalidRequest, "missing"},
		"for others":      {asserts("desk", h.subjectToken(t)), issuing.InvalidGrant, "aud"},
		"for others, too": {asserts("desk", h.subjectToken(t, "aud", []string{issuer, api})), issuing.InvalidGrant, "alone"},
		"for ever": {asserts("desk", h.subjectToken(t, "aud", issuer, "exp",
			h.clock.now().Add(2*time.Hour).Unix())), issuing.InvalidGrant, "longer"},
		"expired": {asserts("desk", h.subjectToken(t, "aud", issuer, "exp", h.clock.now().Add(-time.Hour).Unix())),
			issuing.InvalidGrant, "exp"},
		"of a stranger": {asserts("desk", h.subjectToken(t, "aud", issuer, "iss", stranger)), issuing.InvalidGrant,
			"not good"},
		"by exchange only": {asserts("orders", h.subjectToken(t, "aud", issuer)), issuing.UnauthorizedClient, ""},
		"nobody's":         {asserts("desk", h.subjectToken(t, "aud", issuer, "sub", nil)), issuing.InvalidRequest, "sub"},
		"a scope":          {asserts("desk", h.subjectToken(t, "aud", issuer), "scope", "write"), issuing.InvalidScope, ""},
		"a resource": {asserts("desk", h.subjectToken(t, "aud", issuer), "resource", billing), issuing.InvalidTarget,
			""},
	} {
		t.Run(name, func(t *testing.T) { h.refuses(t, c.q, 400, c.code, c.text) })
	}
}

// What is refused for another reason is not used up, and a store that is down uses nothing up.
func TestAssertionsThatStayGood(t *testing.T) {
	h := exchanging(t)
	assertion := h.subjectToken(t, "aud", issuer)
	h.refuses(t, asserts("desk", assertion, "scope", "write"), 400, issuing.InvalidScope, "")
	h.in.down.Store(true)
	h.refuses(t, asserts("desk", assertion), 503, issuing.TemporarilyUnavailable, "")
	h.in.down.Store(false)
	h.gives(t, asserts("desk", assertion))
	before := h.in.used.Load()
	for _, bad := range []string{assertion, assertion[:len(assertion)-2] + "AA", h.subjectToken(t), "x"} {
		if tokens, err := h.Token(asserts("desk", bad)); err == nil {
			t.Errorf("%+v", tokens)
		}
	}
	if used := h.in.used.Load(); used > before+1 {
		t.Errorf("%d entries of what was refused", used-before)
	}
}

// The metadata and the answers name the grants only while somebody may use them.
func TestGrantsOfExchanges(t *testing.T) {
	h := exchanging(t)
	if all := h.Grants(); !slices.Equal(all, clients.Grants()) {
		t.Errorf("%v", all)
	}
	h.setClients(t, registered(t)...)
	if all := h.Grants(); slices.Contains(all, clients.TokenExchange) || slices.Contains(all, clients.JWTBearer) {
		t.Errorf("%v", all)
	}
}

// A subject that has the id of a client would be taken for it.
func TestExchangeOfAClientsName(t *testing.T) {
	h := newHouse(t)
	list := slices.DeleteFunc(registered(t), func(c clients.Client) bool { return c.IsPublic() })
	h.setClients(t, append(list, clients.Client{
		ID: "plain", SecretHashes: []string{hash(t, secret)}, Audiences: []string{api}, AccessLifetime: time.Minute,
		Exchanges: []clients.Exchange{{From: idp, Grant: clients.TokenExchange, Accepted: []string{api}}},
	})...)
	if set := says(t, h.gives(t, exchanges("plain", h.subjectToken(t))).Access); set["sub"] != "alice" {
		t.Errorf("%v", set)
	}
	h.refuses(t, exchanges("plain", h.subjectToken(t, "sub", "batch")), 400, issuing.InvalidRequest, "client_id")
	h.refuses(t, exchanges("plain", h.subjectToken(t, "sub", "plain")), 400, issuing.InvalidRequest, "client_id")
}

// A proof of a key binds the new token, and is spent last.
func TestExchangedTokensCanBeBound(t *testing.T) {
	h := exchanging(t)
	p := h.prover(t)
	bad := proving(t, exchanges("orders", h.subjectToken(t), "resource", "https://x.example"), p)
	h.refuses(t, bad, 400, issuing.InvalidTarget, "")
	tokens, err := h.Token(proving(t, exchanges("orders", h.subjectToken(t), "resource", api), p))
	if err != nil || tokens.TokenType != "DPoP" {
		t.Fatalf("%+v, %v", tokens, err)
	}
	bound, _ := json.Marshal(says(t, tokens.Access)["cnf"])
	if string(bound) != `{"jkt":"`+p.Thumbprint()+`"}` {
		t.Errorf("%s", bound)
	}
}

// An error of what judges is no failure by itself.
func TestNotGood(t *testing.T) {
	cause := errors.New("why")
	if err := error(&oauth.NotGood{Text: "no", Cause: cause}); !errors.Is(err, cause) || err.Error() != "why" {
		t.Errorf("%v", err)
	}
}
