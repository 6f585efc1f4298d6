package oauth_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/clients"
	"github.com/caddyjwt/gateway/internal/issuing"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

func TestAssertionsThatAreGood(t *testing.T) {
	h := newHouse(t)
	now := h.clock.now().Unix()
	for name, c := range map[string]struct{ claims, header m }{
		"as it is":                  {nil, nil},
		"for the token endpoint":    {m{"aud": endpoint}, nil},
		"for another endpoint":      {m{"aud": issuer + "/introspect"}, nil},
		"a list of one":             {m{"aud": []string{issuer}}, nil},
		"both names":                {m{"aud": []string{issuer, endpoint}}, nil},
		"an hour":                   {m{"exp": now + 3600}, nil},
		"just expired by its clock": {m{"exp": now - 29}, nil},
		"a clock ahead":             {m{"iat": now + 29, "nbf": now + 29}, nil},
		"no iat":                    {m{"iat": nil}, nil},
		"a long jti":                {m{"jti": strings.Repeat("j", 256)}, nil},
		"its own typ":               {nil, m{"typ": "client-authentication+jwt"}},
		"that in full":              {nil, m{"typ": "application/client-authentication+jwt"}},
		"no typ":                    {nil, m{"typ": nil}},
		"no kid":                    {nil, m{"kid": nil}},
		"claims of its own":         {m{"client": "x", "scope": "admin"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			tokens := h.gives(t, signed(h.assert(t, signerKeys(t)[0], "signer", c.claims, c.header)))
			if tokens.Scope != "read write" {
				t.Errorf("%+v", tokens)
			}
		})
	}
}

// RFC 7523 section 3, rule by rule.
func TestAssertionsThatAreRefused(t *testing.T) {
	h := newHouse(t)
	key := signerKeys(t)[0]
	now := h.clock.now().Unix()
	for name, c := range map[string]struct {
		claims, header m
		text           string
	}{
		"no iss":                 {m{"iss": nil}, nil, "iss"},
		"another iss":            {m{"iss": "batch"}, nil, "iss"},
		"our iss":                {m{"iss": issuer}, nil, "iss"},
		"no sub":                 {m{"sub": nil}, nil, "no client"},
		"another sub":            {m{"sub": "other-signer"}, nil, "unknown key"},
		"an unknown sub":         {m{"sub": "nobody"}, nil, "no client"},
		"a client with a secret": {m{"sub": "batch"}, nil, "no client"},
		"a public client":        {m{"sub": shop}, nil, "no client"},
		"a list of sub":          {m{"sub": []string{"signer"}}, nil, "sub"},
		"no aud":                 {m{"aud": nil}, nil, "no aud"},
		"an empty list":          {m{"aud": []string{}}, nil, "aud"},
		"a foreign aud":          {m{"aud": "https://other.example/token"}, nil, "aud has"},
		"an aud that is longer":  {m{"aud": issuer + "/"}, nil, "aud has"},
		"a foreign one besides":  {m{"aud": []string{issuer, "https://other.example"}}, nil, "aud has"},
		"the resource":           {m{"aud": api}, nil, "aud has"},
		"the client":             {m{"aud": "signer"}, nil, "aud has"},
		"no exp":                 {m{"exp": nil}, nil, "exp"},
		"expired":                {m{"exp": now - 31, "iat": now - 60}, nil, "expired"},
		"more than an hour":      {m{"exp": now + 3600 + 32}, nil, "possible"},
		"a century":              {m{"exp": now + 100*365*86400}, nil, "possible"},
		"milliseconds":           {m{"exp": (now + 60) * 1000}, nil, ""},
		"a date as text":         {m{"exp": fmt.Sprint(now + 60)}, nil, ""},
		"not yet":                {m{"nbf": now + 32}, nil, "nbf"},
		"issued later":           {m{"iat": now + 32}, nil, "iat"},
		"no jti":                 {m{"jti": nil}, nil, "jti"},
		"an empty jti":           {m{"jti": ""}, nil, ""},
		"a jti too long":         {m{"jti": strings.Repeat("j", 257)}, nil, "jti"},
		"a number as jti":        {m{"jti": 1}, nil, ""},
		"alg none":               {nil, m{"alg": "none"}, ""},
		"another alg":            {nil, m{"alg": "ES384"}, ""},
		"a type of access token": {nil, m{"typ": "at+jwt"}, "typ"},
		"a proof":                {nil, m{"typ": "dpop+jwt"}, ""},
		"a logout token":         {nil, m{"typ": "logout+jwt"}, ""},
		"an unknown type":        {nil, m{"typ": "x"}, "typ"},
		"an unknown kid":         {nil, m{"kid": "x"}, "unknown key"},
		"another's kid":          {nil, m{"kid": "other"}, "unknown key"},
		"the kid of another alg": {nil, m{"kid": "r"}, "unknown key"},
		"crit":                   {nil, m{"crit": []string{"exp"}}, ""},
		"its own key":            {nil, m{"kid": "x", "jwk": tokentest.NewKey(t, "ES256", "x").JWK()}, "unknown key"},
	} {
		t.Run(name, func(t *testing.T) {
			q := signed(h.assert(t, key, "signer", c.claims, c.header))
			h.refuses(t, q, 401, issuing.InvalidClient, c.text)
			h.refuses(t, signed(h.assert(t, key, "signer", c.claims, c.header), "client_id", "signer"), 401,
				issuing.InvalidClient, c.text)
		})
	}
}

func TestAssertionsOfOtherKeys(t *testing.T) {
	h := newHouse(t)
	key := signerKeys(t)[0]
	stranger := tokentest.NewKey(t, "ES256", "stranger")
	secretKey := tokentest.NewKey(t, "HS256", "e")
	good := h.assert(t, key, "signer", nil)
	parts := strings.Split(good, ".")
	other := strings.Split(h.assert(t, key, "signer", nil), ".")
	for name, text := range map[string]string{
		"a stranger's":                h.assert(t, stranger.WithKID("e"), "signer", nil),
		"without kid":                 h.assert(t, stranger.WithKID(""), "signer", nil),
		"another client's":            h.assert(t, tokentest.NewKey(t, "ES256", "other"), "signer", nil),
		"another client's, our kid":   h.assert(t, tokentest.NewKey(t, "ES256", "other").WithKID("e"), "signer", nil),
		"for another client":          h.assert(t, key, "other-signer", nil),
		"a secret":                    h.assert(t, secretKey, "signer", nil),
		"a bit changed":               tokentest.FlipSignature(t, good),
		"the payload of another":      parts[0] + "." + other[1] + "." + parts[2],
		"no signature":                parts[0] + "." + parts[1] + ".",
		"two parts":                   parts[0] + "." + parts[1],
		"text":                        "signer",
		"a token of the issuer":       h.gives(t, own("batch", secret)).Access,
		"a token of the issuer's own": h.gives(t, signed(h.assert(t, key, "signer", nil))).Access,
	} {
		t.Run(name, func(t *testing.T) { h.refuses(t, signed(text), 401, issuing.InvalidClient, "client_assertion") })
	}
	h.gives(t, signed(good)) // nothing of this has used it up
}

// An assertion is good once, for one client, until it has expired.
func TestAnAssertionIsGoodOnce(t *testing.T) {
	h := newHouse(t)
	same := m{"jti": "same"}
	h.gives(t, signed(h.assert(t, signerKeys(t)[0], "signer", same)))
	h.gives(t, signed(h.assert(t, tokentest.NewKey(t, "ES256", "other"), "other-signer", same)))
	for range 2 {
		for _, key := range signerKeys(t) { // the jti counts, whatever the rest is
			h.refuses(t, signed(h.assert(t, key, "signer", same)), 401, issuing.InvalidClient, "was used before")
		}
	}
	// At another endpoint it is used, too.
	q := signed(h.assert(t, signerKeys(t)[0], "signer", same), "token", "x")
	if _, err := h.says(q); err == nil {
		t.Error("it is good at another endpoint")
	} else {
		wants(t, err, 401, issuing.InvalidClient, "was used before")
	}
	wants(t, h.Server.Revoke(signed(h.assert(t, signerKeys(t)[0], "signer", same), "token", "x")), 401,
		issuing.InvalidClient,
		"was used before")
}

func TestOfSimultaneousUsesOfAnAssertionOneIsGood(t *testing.T) {
	h := newHouse(t)
	assertion := h.assert(t, signerKeys(t)[0], "signer", nil)
	var good atomic.Int32
	var all sync.WaitGroup
	begin := make(chan struct{})
	for range 64 {
		all.Go(func() {
			<-begin
			if _, err := h.Token(signed(assertion)); err == nil {
				good.Add(1)
			} else {
				wants(t, err, 401, issuing.InvalidClient, "was used before")
			}
		})
	}
	close(begin)
	all.Wait()
	if good.Load() != 1 {
		t.Errorf("it was good %d times", good.Load())
	}
}

// Without the memory of what was used, or without the keys, nobody is let in.
func TestAssertionsThatCannotBeJudgedNow(t *testing.T) {
	h := newHouse(t)
	assertion := h.assert(t, signerKeys(t)[0], "signer", nil)
	h.in.down.Store(true)
	h.refuses(t, signed(assertion), 503, issuing.TemporarilyUnavailable, errDown.Error())
	h.in.down.Store(false)
	h.gives(t, signed(assertion))

	for name, c := range map[string]struct {
		keys   keyset.Source
		status int
		code   issuing.Code
	}{
		"no keys now":       {noKeys{&keyset.UnavailableError{RetryAfter: time.Second}}, 503, issuing.TemporarilyUnavailable},
		"keys that are bad": {noKeys{keyset.ErrUnknownKey}, 401, issuing.InvalidClient},
	} {
		h.setClients(t, clients.Client{
			ID: "signer", Keys: c.keys, Audiences: []string{api}, AccessLifetime: time.Minute,
			Grants: []clients.Grant{clients.ClientCredentials},
		})
		t.Run(name, func(t *testing.T) {
			h.refuses(t, signed(h.assert(t, signerKeys(t)[0], "signer", nil)), c.status, c.code, "signer")
		})
	}
}

// noKeys is a source without keys, and says why.
type noKeys struct{ err error }

func (noKeys) Current() *keyset.Set { return nil }
func (n noKeys) Find(context.Context, jose.Algorithm, string) ([]*jose.Key, error) {
	return nil, n.err
}
func (noKeys) Close() error { return nil }

// What a stranger sends costs no key, unless a client has one.
func TestGarbageDoesNotReachTheKeys(t *testing.T) {
	h := newHouse(t)
	asked := &counting{Source: source(t, signerKeys(t)...)}
	h.setClients(t, clients.Client{
		ID: "signer", Keys: asked, Audiences: []string{api}, AccessLifetime: time.Minute,
		Grants: []clients.Grant{clients.ClientCredentials},
	})
	stranger := tokentest.NewKey(t, "ES256", "stranger")
	for _, text := range []string{
		"x", "a.b.c", strings.Repeat("a.", 8000), h.assert(t, stranger, "nobody", nil),
		h.assert(t, stranger, "signer", nil, m{"typ": "at+jwt"}), h.assert(t, stranger, "signer", m{"sub": nil}),
		h.assert(t, tokentest.NewKey(t, "HS256", "s"), "signer", nil),
	} {
		h.refuses(t, signed(text), 401, issuing.InvalidClient, "client_assertion")
	}
	if n := asked.asked.Load(); n != 0 {
		t.Errorf("the keys were asked %d times", n)
	}
	h.gives(t, signed(h.assert(t, signerKeys(t)[0], "signer", nil)))
	if n := asked.asked.Load(); n != 1 {
		t.Errorf("the keys were asked %d times", n)
	}
}

// counting counts how often keys are asked for.
type counting struct {
	keyset.Source

	asked atomic.Int32
}

func (c *counting) Find(ctx context.Context, alg jose.Algorithm, kid string) ([]*jose.Key, error) {
	c.asked.Add(1)
	return c.Source.Find(ctx, alg, kid)
}
