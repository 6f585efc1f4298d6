package clients_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/clients"
	"github.com/caddyjwt/gateway/internal/setting"
)

// The issuers whose tokens are exchanged.
const (
	ours  = "https://as.example"
	idp   = "https://idp.example"
	other = "https://other.example"
)

// exchanging is a client with these exchanges.
func exchanging(t *testing.T, all ...clients.Exchange) clients.Client {
	t.Helper()
	return batch(t, func(c *clients.Client) { c.Exchanges = all })
}

// from is an exchange, with changes.
func from(issuer string, changes ...func(*clients.Exchange)) clients.Exchange {
	e := clients.Exchange{From: issuer, Own: issuer == ours, Grant: clients.TokenExchange}
	for _, change := range changes {
		change(&e)
	}
	return e
}

func prefix(text string) func(*clients.Exchange) {
	return func(e *clients.Exchange) { e.Prefix = text }
}

func byAssertion(e *clients.Exchange) { e.Grant = clients.JWTBearer }

func TestExchangesThatCannotBeMeant(t *testing.T) {
	long := strings.Repeat("x", clients.MaxValue+1)
	var tooMany []clients.Exchange
	for i := range clients.MaxExchanges + 1 {
		tooMany = append(tooMany, from(fmt.Sprint("https://idp", i, ".example")))
	}
	one := func(change func(*clients.Exchange)) clients.Client { return exchanging(t, from(idp, change)) }
	for name, c := range map[string]struct {
		client      clients.Client
		field, text string
	}{
		"too many":  {exchanging(t, tooMany...), "Exchanges", "at most 16"},
		"no issuer": {exchanging(t, from("")), "Exchanges[0].From", "names no issuer"},
		"twice":     {exchanging(t, from(ours), from(idp), from(ours)), "Exchanges[2]", "is there twice"},
		"no grant":  {one(func(e *clients.Exchange) { e.Grant = "" }), "Exchanges[0].Grant", "token_exchange or"},
		"password":  {one(func(e *clients.Exchange) { e.Grant = "password" }), "Exchanges[0].Grant", "grant"},
		"an audience": {one(func(e *clients.Exchange) { byAssertion(e); e.Accepted = []string{"a"} }),
			"Exchanges[0].Accepted", "section 3"},
		"many": {one(func(e *clients.Exchange) { e.Accepted = many(clients.MaxList + 1) }), "Exchanges[0].Accepted",
			"at most"},
		"empty": {one(func(e *clients.Exchange) { e.Accepted = []string{""} }), "Exchanges[0].Accepted", "printable"},
		"a long one": {one(func(e *clients.Exchange) { e.Audiences = []string{long} }), "Exchanges[0].Audiences",
			"printable"},
		"a scope":   {one(func(e *clients.Exchange) { e.Scopes = []string{"a b"} }), "Exchanges[0].Scopes", "blank"},
		"two alike": {one(func(e *clients.Exchange) { e.Scopes = []string{"a", "a"} }), "Exchanges[0].Scopes", "twice"},
		"no claim":  {one(func(e *clients.Exchange) { e.Claims = []string{""} }), "Exchanges[0].Claims", "printable"},
		"a prefix":  {one(prefix("ä")), "Exchanges[0].Prefix", "printable"},
		"for nobody": {batch(t, func(c *clients.Client) {
			c.Grants, c.Audiences, c.Exchanges = nil, nil, []clients.Exchange{from(idp)}
		}), "Exchanges[0].Audiences", "for nobody"},
		"no life": {batch(t, func(c *clients.Client) {
			c.Grants, c.AccessLifetime, c.Exchanges = nil, 0, []clients.Exchange{from(idp)}
		}), "AccessLifetime", "no life"},
		"an application": {clients.Client{ID: "/a/", App: "/a/", Exchanges: []clients.Exchange{from(idp)}}, "Exchanges",
			"cannot exchange"},
		"its own with a prefix": {exchanging(t, from(ours, prefix("x"))), "Exchanges[0].Prefix", "stay as they are"},
		"two without one": {exchanging(t, from(idp), from(other)), "Exchanges[1].Prefix",
			"both a subject_prefix"},
		"one without": {exchanging(t, from(idp, prefix("a:")), from(other)), "Exchanges[1].Prefix", "of " +
			idp},
		"one is the other": {exchanging(t, from(idp, prefix("a")), from(other, prefix("a"))),
			"Exchanges[1].Prefix", "tell them"},
		"another one of an issuer": {exchanging(t, from(idp, prefix("idp:")), from(idp, byAssertion, prefix("idp:x"))),
			"Exchanges[1].Prefix", "write the same everywhere"},
		"one begins as another": {exchanging(t, from(idp, prefix("ab")), from(other, prefix("a"))),
			"Exchanges[1].Prefix", "tell them"},
		"another begins as one": {exchanging(t, from(idp, prefix("a")), from(other, prefix("ab"))),
			"Exchanges[1].Prefix", "tell them"},
		"a client that begins as one": {exchanging(t, from(idp, prefix("ba"))), "ID", "rename one"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := clients.NewSet([]clients.Client{c.client}, nil)
			if s != nil || err == nil || setting.Field(err) != "[0]."+c.field || !strings.Contains(err.Error(), c.text) {
				t.Errorf("field %q, want %q; error %v, want %q", setting.Field(err), "[0]."+c.field, err, c.text)
			}
		})
	}
}

// Users sign in where there is an application. Then no subject of another issuer may have the name of one.
func TestSubjectsWhereUsersSignIn(t *testing.T) {
	app := clients.Client{ID: "/a/", App: "/a/", Grants: []clients.Grant{clients.RefreshToken}}
	_, err := clients.NewSet([]clients.Client{exchanging(t, from(idp)), app}, nil)
	if err == nil || setting.Field(err) != "[0].Exchanges[0].Prefix" || !strings.Contains(err.Error(),
		"users who sign in") {
		t.Errorf("field %q: %v", setting.Field(err), err)
	}
	s := set(t, nil, exchanging(t, from(idp, prefix("idp:")), from(ours)), app)
	for name, taken := range map[string]bool{
		"batch": true, "/a/": true, "idp:": true, "idp:alice": true, "alice": false, "IDP:alice": false, "": false,
		"idp": false,
	} {
		if s.IsTaken(name) != taken {
			t.Errorf("%q is taken: %v", name, !taken)
		}
	}
	if set(t, nil, exchanging(t, from(idp))).IsTaken("alice") {
		t.Error("nobody signs in, and a name is taken")
	}
}

func TestExchangesOfAClient(t *testing.T) {
	c := exchanging(t, from(idp, prefix("a:")), from(idp, byAssertion, prefix("a:")), from(other, prefix("c:")),
		from(ours))
	s := set(t, nil, c)
	found := s.Find("batch")
	if e := found.Exchange(clients.TokenExchange, idp); e == nil || e.Prefix != "a:" {
		t.Errorf("%+v", e)
	}
	if e := found.Exchange(clients.JWTBearer, idp); e == nil || e.Prefix != "a:" || e.Grant != clients.JWTBearer {
		t.Errorf("%+v", e)
	}
	for by, issuer := range map[clients.Grant]string{
		clients.JWTBearer: other, clients.TokenExchange: idp + "/", clients.ClientCredentials: idp, "": "",
	} {
		if e := found.Exchange(by, issuer); e != nil {
			t.Errorf("%s from %s: %+v", by, issuer, e)
		}
	}
	for _, grant := range []clients.Grant{clients.ClientCredentials, clients.TokenExchange, clients.JWTBearer} {
		if !s.Has(grant) || !found.May(grant) {
			t.Errorf("nobody may use %s", grant)
		}
	}
	if s.Has(clients.RefreshToken) || set(t, nil, batch(t)).Has(clients.TokenExchange) {
		t.Error("a grant that nobody may use")
	}
}

func TestPrefixesAreBounded(t *testing.T) {
	var list []clients.Client
	for i := range 9 {
		var all []clients.Exchange
		for n := range 8 {
			all = append(all, from(fmt.Sprintf("https://idp%d%d.example", i, n), prefix(fmt.Sprintf("%d%d:", i, n))))
		}
		list = append(list, batch(t, func(c *clients.Client) { c.ID, c.Exchanges = fmt.Sprint("batch", i), all }))
	}
	set(t, nil, list[:8]...)
	if _, err := clients.NewSet(list, nil); err == nil || !strings.Contains(err.Error(), "at most 64") {
		t.Errorf("%v", err)
	}
}
