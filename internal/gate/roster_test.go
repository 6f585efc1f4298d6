package gate_test

import (
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// fakeRoster has consumers that a test changes.
type fakeRoster struct {
	now   atomic.Pointer[[]*gate.Consumer]
	looks atomic.Int64
}

func newRoster(consumers ...*gate.Consumer) *fakeRoster {
	r := new(fakeRoster)
	r.set(consumers...)
	return r
}

func (r *fakeRoster) set(consumers ...*gate.Consumer) { r.now.Store(&consumers) }

func (r *fakeRoster) Member(key string) (*gate.Consumer, *gate.Credential) {
	r.looks.Add(1)
	for _, c := range *r.now.Load() {
		for i := range c.Credentials {
			if c.Credentials[i].Key == key {
				return c, &c.Credentials[i]
			}
		}
	}
	return nil, nil
}

func (r *fakeRoster) Consumer(username string) *gate.Consumer {
	for _, c := range *r.now.Load() {
		if c.Username == username {
			return c
		}
	}
	return nil
}

func (r *fakeRoster) WithCustomID(id string) *gate.Consumer {
	var found *gate.Consumer
	for _, c := range *r.now.Load() {
		switch {
		case c.CustomID != id:
		case found != nil:
			return nil
		default:
			found = c
		}
	}
	return found
}

func (r *fakeRoster) UniqueCustomIDs() error {
	for _, c := range *r.now.Load() {
		if c.CustomID != "" && r.WithCustomID(c.CustomID) == nil {
			return errors.New("two have the custom_id " + c.CustomID)
		}
	}
	return nil
}

func (r *fakeRoster) Keys() iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, c := range *r.now.Load() {
			for _, credential := range c.Credentials {
				if !yield(credential.Key) {
					return
				}
			}
		}
	}
}

func (r *fakeRoster) Len() int { return len(*r.now.Load()) }

func (r *fakeRoster) At(username string, err error) error {
	return errors.New("at " + username + ": " + err.Error())
}

// guest is a consumer of a roster.
func guest(tb testing.TB, username, key string, signer *tokentest.Key, changes ...func(*gate.Consumer)) *gate.Consumer {
	tb.Helper()
	c := consumer(tb, username, key, signer)
	for _, change := range changes {
		change(&c)
	}
	return &c
}

// with gives a gate a roster.
func with(r gate.Roster) func(*gate.Config) { return func(c *gate.Config) { c.Roster = r } }

func TestConsumersOfARosterComeAndGo(t *testing.T) {
	key, mine, other := tokentest.NewKey(t, "ES256", "k1"), tokentest.NewKey(t, "ES256", "k2"),
		tokentest.NewKey(t, "ES256", "k3")
	for name, cache := range map[string]*gate.Cache{"without a cache": nil, "with a cache": newCache(t, 1<<20)} {
		t.Run(name, func(t *testing.T) {
			roster := newRoster()
			g := build(t, key, with(roster), func(c *gate.Config) { c.Cache = cache })
			token := mine.Sign(t, says(m{"iss": "zoe-key"}))
			refused(t, g, request(token), gate.UnknownIssuer)

			roster.set(guest(t, "zoe", "zoe-key", mine))
			for range 3 {
				if id := accepted(t, g, request(token)); id.ID != "zoe" || id.CredentialKey != "zoe-key" {
					t.Fatalf("it passes as %q with %q", id.ID, id.CredentialKey)
				}
			}
			roster.set(guest(t, "zoe", "zoe-key", mine, func(c *gate.Consumer) { c.Groups = []string{"staff"} }))
			if id := accepted(t, g, request(token)); len(id.Consumer.Groups) != 1 {
				t.Error("it passes with the groups of before")
			}
			roster.set(guest(t, "eve", "zoe-key", mine))
			if id := accepted(t, g, request(token)); id.ID != "eve" {
				t.Errorf("the credential belongs to eve now, and the token passes as %q", id.ID)
			}
			roster.set(guest(t, "zoe", "zoe-key", other))
			refused(t, g, request(token), gate.InvalidSignature)
			roster.set(guest(t, "zoe", "other-key", mine))
			refused(t, g, request(token), gate.UnknownIssuer)
			roster.set()
			refused(t, g, request(token), gate.UnknownIssuer)
			roster.set(guest(t, "zoe", "zoe-key", mine))
			accepted(t, g, request(token))
		})
	}
}

// A credential ends with its certificate, and when it says so, also for tokens that are remembered.
func TestCredentialsOfARosterEnd(t *testing.T) {
	key, mine := tokentest.NewKey(t, "ES256", "k1"), tokentest.NewKey(t, "ES256", "k2")
	for name, end := range map[string]func(*gate.Credential, time.Time){
		"certificate": func(c *gate.Credential, at time.Time) { c.NotAfter = at },
		"expires":     func(c *gate.Credential, at time.Time) { c.Expires = at },
	} {
		t.Run(name, func(t *testing.T) {
			clock := newClock()
			roster := newRoster(guest(t, "zoe", "zoe-key", mine, func(c *gate.Consumer) {
				end(&c.Credentials[0], start.Add(time.Minute))
			}))
			g := build(t, key, with(roster), func(c *gate.Config) { c.Cache, c.Now = newCache(t, 1<<20), clock.now })
			token := mine.Sign(t, says(m{"iss": "zoe-key", "exp": start.Add(time.Hour).Unix()}))
			accepted(t, g, request(token))
			clock.advance(time.Minute)
			refused(t, g, request(token), gate.UnknownKey)
		})
	}
}

// With another key claim than iss, a token of an issuer may have a key claim that nobody has. Once somebody has it, the
// token is no longer the issuer's, even if it is remembered as such.
func TestNewCredentialTakesRememberedTokensFromTheIssuer(t *testing.T) {
	key, mine := tokentest.NewKey(t, "ES256", "k1"), tokentest.NewKey(t, "ES256", "k2")
	roster := newRoster()
	g, keys := cached(t, newCache(t, 1<<20), key, with(roster), func(c *gate.Config) { c.KeyClaim = "app" })
	token := key.Sign(t, says(m{"app": "zoe-key"}))
	for range 3 {
		accepted(t, g, request(token))
	}
	if n := keys.finds.Load(); n != 1 {
		t.Errorf("verified %d times, want once", n)
	}
	roster.set(guest(t, "zoe", "zoe-key", mine))
	refused(t, g, request(token), gate.InvalidSignature)
	roster.set()
	accepted(t, g, request(token))
}

// Gates with the same settings share their cache, but not what differs between them.
func TestGatesThatShareACacheKeepTheirRostersApart(t *testing.T) {
	key, mine := tokentest.NewKey(t, "ES256", "k1"), tokentest.NewKey(t, "ES256", "k2")
	cache := newCache(t, 1<<20)
	zoe := guest(t, "zoe", "zoe-key", mine)
	same := newRoster(zoe)
	gateWith := func(r gate.Roster, changes ...func(*gate.Config)) *gate.Gate {
		return build(t, key, append(changes, with(r), func(c *gate.Config) { c.Cache = cache })...)
	}
	token := mine.Sign(t, says(m{"iss": "zoe-key", "iat": start.Unix(), "exp": start.Add(time.Hour).Unix()}))
	accepted(t, gateWith(same), request(token))
	accepted(t, gateWith(same), request(token))
	refused(t, gateWith(newRoster()), request(token), gate.UnknownIssuer)
	refused(t, build(t, key, func(c *gate.Config) { c.Cache = cache }), request(token), gate.UnknownIssuer)
	refused(t, gateWith(same, func(c *gate.Config) { c.MaxLifetime = time.Minute }), request(token), gate.LifetimeTooLong)

	// A token without exp ends by the max_lifetime of the gate that read it.
	lasting := newRoster(guest(t, "zoe", "zoe-key", mine, func(c *gate.Consumer) {
		c.Tolerate, c.Credentials[0].Expires = claims.MissingExp, start.Add(24*time.Hour)
	}))
	endless := mine.Sign(t, says(m{"iss": "zoe-key", "iat": start.Add(-time.Minute).Unix(), "exp": nil}))
	accepted(t, gateWith(lasting, func(c *gate.Config) { c.MaxLifetime = time.Hour }), request(endless))
	refused(t, gateWith(lasting, func(c *gate.Config) { c.MaxLifetime = time.Second }), request(endless), gate.Expired)
}

func TestRosterMustNotTakeNames(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	for name, c := range map[string]struct {
		guest *gate.Consumer
		want  string
	}{
		"the username of a consumer block": {
			guest(t, "shop", "new-key", key),
			"consumer \"shop\" is also in a consumer block",
		},
		"the key of a consumer block": {
			guest(t, "zoe", "shop-key", key), "credential \"shop-key\" belongs to consumer \"shop\"",
		},
		"the name of an issuer": {guest(t, "zoe", issuerA, key), "is also the name of an issuer"},
	} {
		t.Run(name, func(t *testing.T) {
			settings := config(t, key, func(c *gate.Config) {
				c.Consumers = []gate.Consumer{consumer(t, "shop", "shop-key", key)}
			})
			g, err := gate.New(settings)
			if err != nil {
				t.Fatal(err)
			}
			bad := newRoster(c.guest)
			if err := g.CheckRoster(newRoster(guest(t, "zoe", "zoe-key", key))); err != nil {
				t.Errorf("a roster with other names is refused: %v", err)
			}
			if err := g.CheckRoster(bad); err == nil || !strings.Contains(err.Error(), c.want) ||
				!strings.HasPrefix(err.Error(), "at "+c.guest.Username) {
				t.Errorf("the error is %v, want %q", err, c.want)
			}
			settings.Roster = bad
			if err := settings.Validate(); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("the error about the configuration is %v, want %q", err, c.want)
			}
		})
	}
}

func TestAnonymousConsumerCannotBeInARoster(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	settings := config(t, key, with(newRoster(guest(t, "zoe", "zoe-key", key))), func(c *gate.Config) {
		c.Anonymous = "zoe"
	})
	if err := settings.Validate(); err == nil || !strings.Contains(err.Error(), "move it into a consumer block") {
		t.Errorf("the error is %v", err)
	}
}

// A roster that is empty now vouches for nobody, and is enough for a gate all the same.
func TestRosterAloneIsEnough(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	g := build(t, key, with(newRoster()), func(c *gate.Config) { c.Issuers = nil })
	f := refused(t, g, request(key.Sign(t, says())), gate.UnknownIssuer)
	if text := f.Cause.Error(); strings.Contains(text, "credential") {
		t.Errorf("the cause is %q", text)
	}
	g = build(t, key, with(newRoster(guest(t, "zoe", "zoe-key", key))), func(c *gate.Config) { c.Issuers = nil })
	f = refused(t, g, request(key.Sign(t, says())), gate.UnknownIssuer)
	if text := f.Cause.Error(); !strings.Contains(text, "the only credential") {
		t.Errorf("the cause is %q", text)
	}
}

// Without consumer blocks, the words about consumers still mean those of the roster.
func TestConsumerHeadersOfARoster(t *testing.T) {
	key, mine := tokentest.NewKey(t, "ES256", "k1"), tokentest.NewKey(t, "ES256", "k2")
	roster := newRoster(guest(t, "zoe", "zoe-key", mine, func(c *gate.Consumer) {
		c.ID, c.Groups = "7", []string{"staff"}
	}))
	names := []string{"X-Consumer-Username", "X-Consumer-Id", "X-Consumer-Groups", "X-Credential-Identifier"}
	for name, c := range map[string]struct {
		wanted []string
		want   map[string]string
	}{
		"all": {nil, map[string]string{
			"X-Consumer-Username": "zoe", "X-Consumer-Id": "7", "X-Consumer-Groups": "staff",
			"X-Credential-Identifier": "zoe-key",
		}},
		"one": {[]string{"X-Consumer-Username"}, map[string]string{"X-Consumer-Username": "zoe"}},
		"off": {[]string{"off"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			g := build(t, key, with(roster), func(c2 *gate.Config) { c2.ConsumerHeaders = c.wanted })
			r := request(mine.Sign(t, says(m{"iss": "zoe-key"})))
			for _, forged := range names {
				r.Header.Set(forged, "root")
			}
			id := accepted(t, g, r)
			g.Strip(r)
			if err := g.Annotate(r, id); err != nil {
				t.Fatal(err)
			}
			for _, field := range names {
				if got := r.Header.Get(field); got != c.want[field] {
					t.Errorf("the backend gets %s: %q, want %q", field, got, c.want[field])
				}
			}
		})
	}
}

func TestExplanationKnowsTheRoster(t *testing.T) {
	key, mine := tokentest.NewKey(t, "ES256", "k1"), tokentest.NewKey(t, "ES256", "k2")
	roster := newRoster(guest(t, "zoe", "zoe-key", mine))
	g := build(t, key, with(roster), func(c *gate.Config) { c.KeyClaim = "app" })
	e := g.Explain(direct(request(key.Sign(t, says(m{"iss": "https://nobody.example", "app": "bob-key"})))))
	text := fmt.Sprint(e.Steps)
	for _, want := range []string{"app bob-key", "app of one of 1 credentials in the file of consumers"} {
		if !strings.Contains(text, want) {
			t.Errorf("the explanation lacks %q: %s", want, text)
		}
	}
}

// What the cache keeps about the roster counts against its size.
func TestCacheCountsWhatItKeepsOfARoster(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	bytes := func(changes ...func(*gate.Config)) uint64 {
		cache := newCache(t, 1<<20)
		g := build(t, key, append(changes, func(c *gate.Config) { c.Cache, c.KeyClaim = cache, "app" },
			func(c *gate.Config) { c.Consumers = []gate.Consumer{consumer(t, "shop", "shop-key", key)} })...)
		token := key.Sign(t, says(m{"app": strings.Repeat("x", 1000)}))
		accepted(t, g, request(token))
		accepted(t, g, request(token))
		cache.CleanUp()
		return cache.Stats().Bytes
	}
	if without, with := bytes(), bytes(with(newRoster())); with < without+2000 {
		t.Errorf("%d bytes without a roster, %d with one", without, with)
	}
}

func BenchmarkCheckHitOfARoster(b *testing.B) {
	key := tokentest.NewKey(b, "RS256", "k1")
	roster := newRoster(guest(b, "zoe", "zoe-key", key))
	g := build(b, key, with(roster), func(c *gate.Config) { c.Cache = newCache(b, 32<<20) })
	check(b, g, request(sized(b, key, 850, m{"iss": "zoe-key"})), "")
}
