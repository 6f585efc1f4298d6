package clients_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/clients"
	"github.com/caddyjwt/gateway/internal/setting"
)

// many are n different values.
func many(n int) (values []string) {
	for i := range n {
		values = append(values, fmt.Sprint("v", i))
	}
	return values
}

func TestClientsThatCannotBeMeant(t *testing.T) {
	long := strings.Repeat("x", clients.MaxValue+1)
	for name, c := range map[string]struct {
		change      func(*clients.Client)
		field, text string
	}{
		"no id": {func(c *clients.Client) { c.ID = "" }, "ID", "printable ASCII"},
		"a long id": {func(c *clients.Client) { c.ID = strings.Repeat("x", clients.MaxID+1) }, "ID",
			"printable ASCII"},
		"a line end":      {func(c *clients.Client) { c.ID = "a\nb" }, "ID", "printable ASCII"},
		"a delete":        {func(c *clients.Client) { c.ID = "a\x7fb" }, "ID", "printable ASCII"},
		"an umlaut":       {func(c *clients.Client) { c.ID = "bäckerei" }, "ID", "printable ASCII"},
		"not UTF-8":       {func(c *clients.Client) { c.ID = "a\xff" }, "ID", "printable ASCII"},
		"a path":          {func(c *clients.Client) { c.ID = "/api/" }, "ID", "begins with /"},
		"no credential":   {func(c *clients.Client) { c.Keys = nil }, "ID", "anybody could say"},
		"keys and secret": {func(c *clients.Client) { c.SecretHashes = []string{"x"} }, "ID", "keep one of"},
		"keys and a cert": {func(c *clients.Client) { c.Certificate = &clients.Certificate{DNS: "x"} }, "ID", "keep one of"},
		"three secrets":   {secrets(3), "SecretHashes", "at most 2"},
		"an empty cert":   {certificate(clients.Certificate{}), "Certificate", "names one thing"},
		"subject and DNS": {certificate(clients.Certificate{Subject: "CN=a", DNS: "a"}), "Certificate", "names one thing"},
		"URI and a key": {certificate(clients.Certificate{URI: "a:b", Key: [32]byte{1}}), "Certificate",
			"names one thing"},
		"many scopes":      {func(c *clients.Client) { c.Scopes = many(clients.MaxList + 1) }, "Scopes", "at most 64"},
		"an empty scope":   {func(c *clients.Client) { c.Scopes = []string{""} }, "Scopes", "section 3.3"},
		"two in one":       {func(c *clients.Client) { c.Scopes = []string{"read write"} }, "Scopes", "section 3.3"},
		"a quoted scope":   {func(c *clients.Client) { c.Scopes = []string{`"read"`} }, "Scopes", "section 3.3"},
		"a backslash":      {func(c *clients.Client) { c.Scopes = []string{`a\b`} }, "Scopes", "section 3.3"},
		"a long scope":     {func(c *clients.Client) { c.Scopes = []string{long} }, "Scopes", "section 3.3"},
		"a scope twice":    {func(c *clients.Client) { c.Scopes = []string{"a", "b", "a"} }, "Scopes", "is there twice"},
		"many audiences":   {func(c *clients.Client) { c.Audiences = many(clients.MaxList + 1) }, "Audiences", "at most 64"},
		"an empty one":     {func(c *clients.Client) { c.Audiences = []string{""} }, "Audiences", "printable characters"},
		"a long one":       {func(c *clients.Client) { c.Audiences = []string{long} }, "Audiences", "printable characters"},
		"one with a blank": {func(c *clients.Client) { c.Audiences = []string{"a b"} }, "Audiences", "printable characters"},
		"one twice":        {func(c *clients.Client) { c.Audiences = []string{"a", "a"} }, "Audiences", "is there twice"},
		"for nobody":       {func(c *clients.Client) { c.Audiences = nil }, "Audiences", "for nobody"},
		"asks too much": {func(c *clients.Client) { c.Introspects = many(clients.MaxList + 1) }, "Introspects",
			"at most 64"},
		"asks about none": {func(c *clients.Client) { c.Introspects = []string{""} }, "Introspects", "printable characters"},
		"asks twice":      {func(c *clients.Client) { c.Introspects = []string{"a", "a"} }, "Introspects", "is there twice"},
		"no life":         {func(c *clients.Client) { c.AccessLifetime = 0 }, "AccessLifetime", "no life"},
		"a life for others": {func(c *clients.Client) {
			c.Lifetimes = map[string]time.Duration{"https://b.example": time.Minute}
		}, "Lifetimes[https://b.example]", "no tokens for this"},
		"no life for one": {func(c *clients.Client) { c.Lifetimes = map[string]time.Duration{"https://api.example": 0} },
			"Lifetimes[https://api.example]", "no life"},
		"a moment": {func(c *clients.Client) { c.AccessLifetime = 999e6 }, "AccessLifetime", "no life"},
		"refreshes": {func(c *clients.Client) { c.Grants = append(c.Grants, clients.RefreshToken) }, "Grants",
			"for applications"},
		"public with keys":   {public(func(*clients.Client) {}), "App", "no credentials"},
		"public with secret": {public(secrets(1)), "App", "no credentials"},
		"public with a cert": {public(certificate(clients.Certificate{DNS: "a"})), "App", "no credentials"},
		"public for itself":  {public(func(c *clients.Client) { c.Keys = nil }), "Grants", "client_credentials"},
		"public and asks": {public(func(c *clients.Client) {
			c.Keys, c.Grants, c.Introspects = nil, nil, []string{"a"}
		}), "Introspects", "ask about tokens"},
		"public without id": {public(func(c *clients.Client) { c.Keys, c.Grants, c.ID = nil, nil, "" }), "ID",
			"is its path"},
		"public as somebody": {public(func(c *clients.Client) { c.Keys, c.Grants, c.ID = nil, nil, "batch" }), "ID",
			"is its path"},
	} {
		t.Run(name, func(t *testing.T) {
			list := []clients.Client{batch(t, func(c *clients.Client) { c.ID = "other" }), batch(t, c.change)}
			s, err := clients.NewSet(list, nil)
			if s != nil || err == nil || setting.Field(err) != "[1]."+c.field || !strings.Contains(err.Error(), c.text) {
				t.Errorf("field %q, want %q; error %v, want %q", setting.Field(err), "[1]."+c.field, err, c.text)
			}
		})
	}
}

func secrets(n int) func(*clients.Client) {
	return func(c *clients.Client) { c.Keys, c.SecretHashes = nil, many(n) }
}

func certificate(is clients.Certificate) func(*clients.Client) {
	return func(c *clients.Client) { c.Keys, c.Certificate = nil, &is }
}

// public makes a client that of an application, and changes it.
func public(change func(*clients.Client)) func(*clients.Client) {
	return func(c *clients.Client) {
		c.ID, c.App = "/api/", "/api/"
		change(c)
	}
}

func TestClientsAtTheBounds(t *testing.T) {
	for name, change := range map[string]func(*clients.Client){
		"as it is": func(*clients.Client) {},
		"all at once": func(c *clients.Client) {
			c.ID = strings.Repeat("~", clients.MaxID)
			c.Scopes, c.Audiences, c.Introspects = many(clients.MaxList), many(clients.MaxList), many(clients.MaxList)
			c.Scopes[0], c.Audiences[0] = strings.Repeat("!", clients.MaxValue), strings.Repeat(`"`, clients.MaxValue)
			c.AccessLifetime = 1e9
		},
		"only asks": func(c *clients.Client) {
			c.Grants, c.Audiences, c.AccessLifetime, c.Introspects = nil, nil, 0, []string{"a"}
		},
		"an id with a blank": func(c *clients.Client) { c.ID = "a b:c" },
		"an application": public(func(c *clients.Client) {
			*c = clients.Client{ID: c.ID, App: c.App, Grants: []clients.Grant{clients.RefreshToken}}
		}),
		"two secrets": func(c *clients.Client) {
			c.Keys, c.SecretHashes = nil, []string{hash(t, "a", 4), hash(t, "b", 5)}
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := batch(t, change)
			found := set(t, nil, c).Find(c.ID)
			if found == nil || found.IsPublic() != (c.App != "") || !slices.Equal(found.Grants, c.Grants) {
				t.Errorf("%+v", found)
			}
			for _, g := range []clients.Grant{clients.ClientCredentials, clients.RefreshToken, ""} {
				if found != nil && found.May(g) != slices.Contains(c.Grants, g) {
					t.Errorf("may use %q: %v", g, found.May(g))
				}
			}
		})
	}
}

func TestASetHasItsClients(t *testing.T) {
	list := []clients.Client{batch(t), batch(t, func(c *clients.Client) { c.ID = "Batch" })}
	s := set(t, nil, list...)
	var ids []string
	for c := range s.All {
		ids = append(ids, c.ID)
	}
	slices.Sort(ids)
	if s.Len() != 2 || !slices.Equal(ids, []string{"Batch", "batch"}) || s.Find("Batch").ID != "Batch" {
		t.Errorf("%d clients: %v", s.Len(), ids)
	}
	for range s.All {
		break
	}
	for _, id := range []string{"", "BATCH", "batch ", " batch", "0 batch"} {
		if s.Find(id) != nil {
			t.Errorf("there is a client %q", id)
		}
	}
	if none := set(t, nil); none.Len() != 0 || none.Find("") != nil {
		t.Error("an empty set has a client")
	}
	_, err := clients.NewSet(append(list, batch(t)), nil)
	if setting.Field(err) != "[2].ID" || !strings.Contains(err.Error(), "twice") {
		t.Errorf("field %q: %v", setting.Field(err), err)
	}
	if _, err := clients.NewSet(make([]clients.Client, clients.MaxClients+1), nil); err == nil ||
		!strings.Contains(err.Error(), "100001 clients") {
		t.Errorf("too many clients: %v", err)
	}
}
