package registration_test

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyjwt/gateway/caddyjwt/process"
	"github.com/caddyjwt/gateway/caddyjwt/tokenissuer/registration"
	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/clients"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/setting"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

func TestSecretsOfBothKindsOfHashes(t *testing.T) {
	for name, hashes := range map[string][]string{
		"bcrypt": {hash(t, "old"), hash(t, "new")}, "argon2id": {argon("old"), argon("new")},
	} {
		d := of(t, registration.Settings{Clients: []registration.Client{{ID: "batch", SecretHashes: hashes}}})
		for secret, want := range map[string]bool{"old": true, "new": true, "another": false} {
			if has(t, d, "batch", secret) != want {
				t.Errorf("%s: the secret %s is not %v", name, secret, want)
			}
		}
	}
}

// Keys are in PEM, in one JWK or in a JWK set, and there may be several. What is private or secret is no key of these.
func TestKeysInEachForm(t *testing.T) {
	ec, rsa := tokentest.NewKey(t, "ES256", "e"), tokentest.NewKey(t, "RS256", "r")
	stranger := tokentest.NewKey(t, "ES256", "stranger")
	for name, c := range map[string]struct {
		text string
		good []*tokentest.Key
	}{
		"ES256 in PEM":      {ec.PublicPEM(), []*tokentest.Key{ec, ec.WithKID("")}},
		"RS256 in PEM":      {rsa.PublicPEM(), []*tokentest.Key{rsa, rsa.WithAlg("PS256")}},
		"both in one PEM":   {ec.PublicPEM() + rsa.PublicPEM(), []*tokentest.Key{ec, rsa, ec.WithKID("")}},
		"both in a JWK set": {tokentest.JWKS(ec, rsa), []*tokentest.Key{ec, rsa, rsa.WithKID("")}},
	} {
		for where, d := range map[string]*registration.Directory{
			"a file": of(t, registration.Settings{
				Clients: []registration.Client{{ID: "signer", PublicKey: saved(t, c.text)}},
			}),
			"the file of clients": of(t, registration.Settings{
				File: saved(t, fileOf(t, m{"id": "signer", "public_key": c.text})),
			}),
		} {
			client := d.Clients().Find("signer")
			for _, key := range c.good {
				if err := verify(t, client, key); err != nil {
					t.Errorf("%s in %s: %v", name, where, err)
				}
			}
			if err := verify(t, client, stranger.WithKID("e")); err == nil {
				t.Errorf("%s in %s: a stranger has signed", name, where)
			}
		}
	}
	mixed := of(t, registration.Settings{Clients: []registration.Client{{
		ID: "signer", PublicKey: saved(t, tokentest.JWKS(ec, tokentest.NewKey(t, "HS256", "h"))),
	}}})
	for _, key := range mixed.Clients().Find("signer").Keys.Current().Keys() {
		if key.Family() == jose.HMAC {
			t.Error("a shared secret is a key of a client")
		}
	}
}

// The defaults, and what each field becomes.
func TestWhatAClientBecomes(t *testing.T) {
	p := compiled(t, registration.Settings{
		Clients: []registration.Client{
			{ID: "plain", SecretHashes: []string{hash(t, "s")}},
			{ID: "full", TLSClientAuth: &registration.Certificate{DNS: "full.example"}, Scopes: []string{"read", "write"},
				Audience: []string{api, "urn:b"}, Introspect: []string{api}, Grants: []string{"client_credentials"},
				Proof: "mtls", AccessLifetime: caddy.Duration(time.Hour)},
			{ID: "server", TLSClientAuth: &registration.Certificate{Key: strings.Repeat("Ab:", 31) + "aB"},
				Introspect: []string{api}},
			{ID: "dpop", SecretHashes: []string{hash(t, "s")}, Grants: []string{"none"}, Introspect: []string{api},
				Proof: "dpop"},
		},
		Public: []clients.Client{{ID: "/app/", App: "/app/", Grants: []clients.Grant{clients.RefreshToken}}},
	})
	all := open(t, p, process.New(), new(lines)).Clients()
	if all.Len() != 5 || p.Longest() != time.Hour {
		t.Errorf("%d clients, whose tokens live for %v", all.Len(), p.Longest())
	}
	own := []clients.Grant{clients.ClientCredentials}
	for _, want := range []clients.Client{
		{ID: "plain", Grants: own, Audiences: []string{api}, AccessLifetime: 5 * time.Minute},
		{ID: "full", Grants: own, Audiences: []string{api, "urn:b"}, Scopes: []string{"read", "write"},
			Introspects: []string{api}, Proof: clients.MTLS, AccessLifetime: time.Hour},
		{ID: "server", Audiences: []string{api}, Introspects: []string{api}, AccessLifetime: 5 * time.Minute},
		{ID: "dpop", Audiences: []string{api}, Introspects: []string{api}, Proof: clients.DPoP,
			AccessLifetime: 5 * time.Minute},
		{ID: "/app/", App: "/app/", Grants: []clients.Grant{clients.RefreshToken}},
	} {
		got := all.Find(want.ID)
		if got == nil || !slices.Equal(got.Grants, want.Grants) || !slices.Equal(got.Audiences, want.Audiences) ||
			!slices.Equal(got.Scopes, want.Scopes) || !slices.Equal(got.Introspects, want.Introspects) ||
			got.Proof != want.Proof || got.AccessLifetime != want.AccessLifetime || got.App != want.App {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
	if pin := all.Find("server").Certificate; pin.Key != [32]byte([]byte(strings.Repeat("\xab", 32))) || pin.DNS != "" {
		t.Errorf("%+v", pin)
	}
}

// A file may have a client whose tokens live for a day, at any time.
func TestTokensOfAFileMayLiveLongest(t *testing.T) {
	p := compiled(t, registration.Settings{File: saved(t, fileOf(t))})
	if p.Longest() != 24*time.Hour {
		t.Error(p.Longest())
	}
}

// A mistake has the field of the handler that it is about.
func TestMistakesNameTheField(t *testing.T) {
	good := func(change func(*registration.Client)) []registration.Client {
		first := registration.Client{ID: "first", SecretHashes: []string{hash(t, "s")}}
		second := registration.Client{ID: "second", SecretHashes: []string{hash(t, "s")}}
		change(&second)
		return []registration.Client{first, second}
	}
	for field, from := range map[string]registration.Settings{
		"Clients":    {Clients: []registration.Client{}},
		"Clients[1]": {Clients: good(func(c *registration.Client) { c.ID = "" })},
		"Clients[1].SecretHashes": {Clients: good(func(c *registration.Client) {
			c.SecretHashes = []string{hash(t, "s"), "hunter2"}
		})},
		"Clients[1].Scopes":     {Clients: good(func(c *registration.Client) { c.Scopes = []string{} })},
		"Clients[1].Grants":     {Clients: good(func(c *registration.Client) { c.Grants = []string{} })},
		"Clients[1].Audience":   {Clients: good(func(c *registration.Client) { c.Audience = []string{} })},
		"Clients[1].Introspect": {Clients: good(func(c *registration.Client) { c.Introspect = []string{"a", "a"} })},
		"Clients[1].TLSClientAuth": {Clients: good(func(c *registration.Client) {
			c.SecretHashes, c.TLSClientAuth = nil, &registration.Certificate{Subject: "CN=a", DNS: "a"}
		})},
		"Clients[1].Audience[1]": {Clients: good(func(c *registration.Client) { c.Audience = []string{"a", ""} })},
		"Clients[1].JWKS": {Clients: good(func(c *registration.Client) {
			c.SecretHashes, c.JWKS = nil, "https://{env.REGISTRATION_NOWHERE}/"
		})},
		"Clients[1].AccessLifetime": {Clients: good(func(c *registration.Client) { c.AccessLifetime = -1 })},
		"ClientsFile":               {File: "{env.REGISTRATION_NOWHERE}"},
		"DefaultAudience":           {DefaultAudience: "{env.REGISTRATION_NOWHERE}"},
	} {
		from.Public, from.DefaultAudience = []clients.Client{{ID: "/a/", App: "/a/"}}, cmp.Or(from.DefaultAudience, api)
		_, err := registration.Compile(words.NewSettings(), from)
		if got := setting.Field(err); err == nil || got != field && got != field+".ID" {
			t.Errorf("%s: %v, about %s", field, err, got)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the error repeats a secret: %v", field, err)
		}
	}
}

// What is missing when a Caddyfile is adapted may be there when it loads. Whatever is known is checked.
func TestWhatIsMissingMayComeLater(t *testing.T) {
	nowhere := "{env.REGISTRATION_NOWHERE}"
	for name, from := range map[string]registration.Settings{
		"a hash":           {Clients: []registration.Client{{ID: "a", SecretHashes: []string{nowhere}}}},
		"a key":            {Clients: []registration.Client{{ID: "a", PublicKey: "/REGISTRATION_NOWHERE.pem"}}},
		"a path":           {File: nowhere},
		"a file":           {File: "/REGISTRATION_NOWHERE.json"},
		"an audience":      {DefaultAudience: nowhere, File: saved(t, fileOf(t))},
		"a part of a path": {File: "/etc/" + nowhere},
	} {
		s := words.NewDeferringSettings()
		p, err := registration.Compile(s, from)
		missing := errors.Join(s.Missing()...)
		if err != nil || p == nil || len(s.Missing()) != 1 || !strings.Contains(missing.Error(), "NOWHERE") {
			t.Errorf("%s: %v, and %v is missing", name, err, missing)
		}
		_, err = registration.Compile(words.NewSettings(), from)
		if err == nil || !strings.Contains(err.Error(), "NOWHERE") {
			t.Errorf("%s: it loads: %v", name, err)
		}
	}
	s := words.NewDeferringSettings()
	_, err := registration.Compile(s, registration.Settings{Clients: []registration.Client{
		{ID: "a", SecretHashes: []string{nowhere}}, {ID: "b", SecretHashes: []string{hash(t, "s")}, Proof: "x"},
	}})
	if setting.Field(err) != "Clients[1].Proof" {
		t.Errorf("what is known is not checked: %v", err)
	}
}
