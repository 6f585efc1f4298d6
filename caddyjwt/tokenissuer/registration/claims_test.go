package registration_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyjwt/gateway/caddyjwt/tokenissuer/registration"
	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/clients"
	"github.com/caddyjwt/gateway/internal/setting"
)

// one is a client of a configuration, changed.
func one(change func(*registration.Client)) registration.Settings {
	c := registration.Client{ID: "batch", TLSClientAuth: &registration.Certificate{DNS: "batch.example"}}
	change(&c)
	return registration.Settings{Clients: []registration.Client{c}}
}

// withClaim is a client with a claim or a member of the header.
func withClaim(name, value string) registration.Settings {
	return one(func(c *registration.Client) { c.Claims = raw(name, value) })
}

func withHeader(name, value string) registration.Settings {
	return one(func(c *registration.Client) { c.Header = raw(name, value) })
}

func raw(pairs ...string) map[string]json.RawMessage {
	all := make(map[string]json.RawMessage)
	for i := 0; i < len(pairs); i += 2 {
		all[pairs[i]] = json.RawMessage(pairs[i+1])
	}
	return all
}

// Values are of any type, also in a file. Placeholders stand in the values of a configuration that are texts.
func TestWhatAClientAddsToItsTokens(t *testing.T) {
	t.Setenv("REGISTRATION_TENANT", "acme \"<inc>\"")
	t.Setenv("REGISTRATION_AUDIENCE", "urn:b")
	written := map[string]json.RawMessage{
		"https://example.com/x": json.RawMessage(`{"a": [1, 2.5, true, null]}`), "tenantId": json.RawMessage(`7`),
		"roles": json.RawMessage(`["admin"]`), "groups": json.RawMessage(`["a"]`), "deep": json.RawMessage(`[[[[]]]]`),
		"most": json.RawMessage(`-9007199254740991`), "brace": json.RawMessage(`"{x"`),
	}
	inFile := m{"id": "batch", "tls_client_auth": m{"san_dns": "batch.example"}, "audience": []string{"urn:a", "urn:b"},
		"access_lifetime": "10m", "access_lifetimes": m{"urn:b": "30s"}, "claims": maps.Clone(written),
		"header": m{"x-Env": "test", "n": 3}}
	written["tenant"] = json.RawMessage(`"the {env.REGISTRATION_TENANT}"`)
	for name, c := range map[string]struct {
		from   registration.Settings
		tenant string
	}{
		"a configuration": {one(func(c *registration.Client) {
			c.Audience, c.AccessLifetime = []string{"urn:a", "urn:b"}, caddy.Duration(10*time.Minute)
			c.AccessLifetimes = map[string]caddy.Duration{"{env.REGISTRATION_AUDIENCE}": caddy.Duration(30 * time.Second)}
			c.Claims, c.Header = written, raw("x-Env", `"test"`, "n", "3")
		}), `"the acme \"<inc>\""`},
		"a file": {registration.Settings{File: saved(t, fileOf(t, inFile))}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			client := of(t, c.from).Clients().Find("batch")
			if got := string(client.Claims["tenant"]); got != c.tenant {
				t.Errorf("tenant is %s", got)
			}
			for claim, value := range written {
				if got := client.Claims[claim]; claim != "tenant" && !sameJSON(t, got, value) {
					t.Errorf("%s is %s, want %s", claim, got, value)
				}
			}
			header, err := json.Marshal(client.Header)
			if err != nil || string(header) != `{"n":3,"x-Env":"test"}` {
				t.Errorf("the header has %s: %v", header, err)
			}
			if client.Lifetime("urn:a") != 10*time.Minute || client.Lifetime("urn:b") != 30*time.Second {
				t.Errorf("%v", client.Lifetimes)
			}
		})
	}
}

// sameJSON reports whether two texts are the same value.
func sameJSON(t *testing.T, a, b json.RawMessage) bool {
	t.Helper()
	var of [2]any
	for i, text := range []json.RawMessage{a, b} {
		if err := json.Unmarshal(text, &of[i]); err != nil {
			t.Errorf("%s: %v", text, err)
			return false
		}
	}
	return fmt.Sprint(of[0]) == fmt.Sprint(of[1])
}

// A claim that the issuer sets, or that says what a token is or for whom, comes from nobody else. Nor does a member of
// the header that says how to verify. What two readers could understand in two ways is refused.
func TestAttackClaimsThatAClientCannotHave(t *testing.T) {
	var many, long []string
	for i := range 17 {
		many = append(many, fmt.Sprint("c", i), "1")
	}
	for i := range 5 {
		long = append(long, fmt.Sprint("c", i), `"`+strings.Repeat("x", 900)+`"`)
	}
	for _, c := range []struct {
		field, says string
		from        registration.Settings
	}{
		{"Claims[sub]", "sets the claim", withClaim("sub", `"root"`)},
		{"Claims[SID]", "sets the claim", withClaim("SID", `"x"`)},
		{"Claims[app]", "sets the claim", withClaim("app", `"/api/"`)},
		{"Claims[scope]", "sets the claim", withClaim("scope", `"admin"`)},
		{"Claims[cnf]", "sets the claim", withClaim("cnf", `{"jkt":"x"}`)},
		{"Claims[act]", "sets the claim", withClaim("act", `{"sub":"x"}`)},
		{"Claims[may_act]", "sets the claim", withClaim("may_act", `{"sub":"x"}`)},
		{"Claims[azp]", "sets the claim", withClaim("azp", `"x"`)},
		{"Claims[sub_id]", "sets the claim", withClaim("sub_id", `{}`)},
		{"Claims[group]", "sets the claim", withClaim("group", `"x"`)},
		{"Claims[Roles]", "sets the claim", withClaim("Roles", `["admin"]`)},
		{"Claims[]", "without a name", withClaim("", `1`)},
		{"Claims[roles]", "a list of texts", withClaim("roles", `"admin"`)},
		{"Claims[roles]", "a list of texts", withClaim("roles", `[1]`)},
		{"Claims[roles]", "without a name", withClaim("roles", `["a",null]`)},
		{"Claims[token_use]", "others than access tokens", withClaim("token_use", `"id"`)},
		{"Claims[status_list]", "others than access tokens", withClaim("status_list", `{}`)},
		{"Claims[response_type]", "others than access tokens", withClaim("response_type", `"code"`)},
		{"Claims[x]", "no value", withClaim("x", `null`)},
		{"Claims[x]", "no value", withClaim("x", `""`)},
		{"Claims[x]", "everybody reads alike", withClaim("x", `{"a":1,"a":2}`)},
		{"Claims[x]", "everybody reads alike", withClaim("x", `{"a":1,"\u0061":2}`)},
		{"Claims[x]", "everybody reads alike", withClaim("x", `[[[[[]]]]]`)},
		{"Claims[x]", "everybody reads alike", withClaim("x", `1,"exp":2`)},
		{"Claims[x]", "everybody reads alike", withClaim("x", `"a","exp":2`)},
		{"Claims[x]", "everybody reads alike", withClaim("x", `"a"}`)},
		{"Claims[x]", "everybody reads alike", withClaim("x", ``)},
		{"Claims[x]", "everybody reads alike", withClaim("x", `"\ud800"`)},
		{"Claims[x]", "may round", withClaim("x", `9007199254740993`)},
		{"Claims[x]", "may round", withClaim("x", `{"a":[1e400]}`)},
		{"Claims[x]", "placeholders are not resolved", withClaim("x", `["{env.HOME}"]`)},
		{"Claims[x]", "has no value", withClaim("x", `"{env.REGISTRATION_NOWHERE}"`)},
		{"Claims[x]", "has no value", withClaim("x", `"{http.request.host}"`)},
		{"Claims[x]", `"X"`, one(func(c *registration.Client) { c.Claims = raw("x", "1", "X", "2") })},
		{"Claims", "at most 16", one(func(c *registration.Client) { c.Claims = raw(many...) })},
		{"Claims", "and may have 4096", one(func(c *registration.Client) { c.Claims = raw(long...) })},
		{"Header[alg]", "set by the signer", withHeader("alg", `"none"`)},
		{"Header[JWK]", "set by the signer", withHeader("JWK", `{}`)},
		{"Header[crit]", "set by the signer", withHeader("crit", `["x"]`)},
		{"Header[x]", "everybody reads alike", withHeader("x", `{"a":1,"a":2}`)},
		{"Header[x]", "placeholders are not resolved", withHeader("x", `{"a":"{file./etc/passwd}"}`)},
		{"Header", "and may have 2048", one(func(c *registration.Client) { c.Header = raw(long...) })},
		{"Header", "too many members", withHeader("x", `{`+strings.TrimSuffix(strings.Join(numbers(40), ","), ",")+`}`)},
		{"Header[x]", `"X"`, one(func(c *registration.Client) { c.Header = raw("x", "1", "X", "2") })},
	} {
		c.from.DefaultAudience = api
		_, err := registration.Compile(words.NewSettings(), c.from)
		if err == nil || !strings.Contains(err.Error(), c.says) || setting.Field(err) != "Clients[0]."+c.field {
			t.Errorf("%+v: %v, about %s", c, err, setting.Field(err))
		}
	}
}

// numbers are so many members of an object.
func numbers(n int) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprintf(`"m%d":%d`, i, i))
	}
	return all
}

// In a file nothing is a placeholder, names are as their writer chooses, and no value is repeated.
func TestFurtherClaimsOfAFile(t *testing.T) {
	for _, c := range []struct{ members, says string }{
		{`"claims": {"x": "{env.swordfish}"}`, "placeholders are not resolved"},
		{`"header": {"x": ["{file.swordfish}"]}`, "placeholders are not resolved"},
		{`"access_lifetimes": {"{env.swordfish}": "1m"}`, "placeholders are not resolved"},
		{`"claims": {"x": "swordfish", "x": 1}`, "not one JSON object"},
		{`"claims": {"x": {"a": 1, "a": "swordfish"}}`, "not one JSON object"},
		{`"claims": {"x": "swordfish", "X": 1}`, "take one for the other"},
		{`"claims": {}, "Claims": {"x": "swordfish"}`, "small letters"},
		{`"claims": ["swordfish"]`, "wrong type"},
		{`"claims": "swordfish"`, "wrong type"},
		{`"header": 1`, "wrong type"},
		{`"claims": {"exp": "swordfish"}`, "sets the claim"},
		{`"header": {"kid": "swordfish"}`, "set by the signer"},
		{`"access_lifetimes": {"urn:a": "swordfish"}`, "no duration"},
		{`"access_lifetimes": {"urn:a": "1s"}`, "is not between 10s and 24h"},
		{`"access_lifetimes": {"urn:x": "1m"}`, "may have no tokens for this audience"},
		{`"exchange": [{"FROM": "swordfish"}]`, "small letters"},
	} {
		text := `{"clients": [{"id": "b", "tls_client_auth": {"san_dns": "b.example"}, "audience": ["urn:a"], ` +
			c.members + `}]}`
		_, err := registration.Compile(words.NewSettings(), registration.Settings{File: saved(t, text)})
		if err == nil || !strings.Contains(err.Error(), c.says) ||
			strings.Contains(strings.ReplaceAll(err.Error(), "access_lifetime for", ""), "swordfish") {
			t.Errorf("%s: %v, want %q", c.members, err, c.says)
		}
	}
}

// A lifetime is for an audience that the client may have. Nobody knows the default_audience of a file without its
// issuer.
func TestLifetimesAreForAudiencesOfTheClient(t *testing.T) {
	minute := func(audience ...string) map[string]caddy.Duration {
		all := make(map[string]caddy.Duration)
		for _, one := range audience {
			all[one] = caddy.Duration(time.Minute)
		}
		return all
	}
	trusted := []registration.Exchange{{From: "https://idp.example", Audience: []string{"urn:c"}, SubjectPrefix: "idp:"}}
	for name, c := range map[string]struct {
		client registration.Client
		good   bool
	}{
		"the default":           {registration.Client{AccessLifetimes: minute(api)}, true},
		"one of its own":        {registration.Client{Audience: []string{"urn:a"}, AccessLifetimes: minute("urn:a")}, true},
		"one of an exchange":    {registration.Client{Exchange: trusted, AccessLifetimes: minute("urn:c")}, true},
		"the default with some": {registration.Client{Audience: []string{"urn:a"}, AccessLifetimes: minute(api)}, false},
		"another":               {registration.Client{AccessLifetimes: minute("urn:x")}, false},
	} {
		c.client.ID, c.client.TLSClientAuth = "batch", &registration.Certificate{DNS: "batch.example"}
		_, err := registration.Compile(words.NewSettings(), registration.Settings{
			Clients: []registration.Client{c.client}, DefaultAudience: api, Issuer: "https://as.example",
			Trusted: []string{"https://idp.example"},
			Public:  []clients.Client{{ID: "/a/", App: "/a/", Grants: []clients.Grant{clients.RefreshToken}}},
		})
		if (err == nil) != c.good {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && !strings.HasPrefix(setting.Field(err), "Clients[0].AccessLifetimes[") {
			t.Errorf("%s: the error is about %s", name, setting.Field(err))
		}
	}
	file := &registration.File{Clients: []registration.Client{{
		ID: "a", TLSClientAuth: &registration.Certificate{DNS: "a.example"}, AccessLifetimes: minute("urn:default"),
	}}}
	if _, err := file.Content(); err != nil {
		t.Error(err)
	}
	if shown, err := file.Shown(); err != nil || len(shown[0].Audience) > 0 ||
		shown[0].AccessLifetimes["urn:default"] != 60 {
		t.Errorf("%+v, %v", shown, err)
	}
	file.Clients[0].Audience = []string{"urn:a"}
	if err := file.Check(); err == nil {
		t.Error("a lifetime for another audience passes")
	}
	long := one(func(c *registration.Client) {
		c.AccessLifetimes = map[string]caddy.Duration{api: caddy.Duration(time.Hour)}
	})
	if p := compiled(t, long); p.Longest() != time.Hour {
		t.Errorf("the longest life is %v", p.Longest())
	}
}
