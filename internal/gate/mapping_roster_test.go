package gate_test

import (
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// withID gives a guest a custom id.
func withID(id string) func(*gate.Consumer) { return func(c *gate.Consumer) { c.CustomID = id } }

// The token of an issuer names a consumer of the roster as it is at the moment, also if the token was seen before.
func TestCallerIsTheConsumerOfTheRosterThatTheTokenNames(t *testing.T) {
	key, mine := tokentest.NewKey(t, "ES256", "k1"), tokentest.NewKey(t, "ES256", "k2")
	for by, name := range map[gate.ConsumerBy]string{gate.ByUsername: "zoe", gate.ByCustomID: "z-1"} {
		t.Run(by.String(), func(t *testing.T) {
			zoe := guest(t, "zoe", "zoe-key", mine, withID("z-1"))
			roster := newRoster()
			g, _ := cached(t, newCache(t, 1<<20), key, with(roster), func(c *gate.Config) {
				c.Issuers[0].ConsumerClaim, c.Issuers[0].ConsumerBy = path(t, "client"), by
			})
			r := request(key.Sign(t, says(m{"client": name})))
			for range 3 {
				refused(t, g, r, gate.UnknownConsumer)
				roster.set(zoe)
				if id := accepted(t, g, r); id.Consumer != zoe || id.ID != "zoe" || id.Issuer == "" {
					t.Errorf("the caller is %+v", id)
				}
				agrees(t, g, r)
				roster.set()
			}
		})
	}
}

func TestNameOfTheCallerIsNoneOfTheRoster(t *testing.T) {
	key, mine := tokentest.NewKey(t, "ES256", "k1"), tokentest.NewKey(t, "ES256", "k2")
	roster := newRoster()
	g := build(t, key, with(roster), called(t, "name"))
	r := request(key.Sign(t, says(m{"name": "zoe"})))
	if id := accepted(t, g, r); id.ID != "zoe" || id.Consumer != nil {
		t.Errorf("the caller is %+v", id)
	}
	roster.set(guest(t, "zoe", "zoe-key", mine))
	refused(t, g, r, gate.UnsafeClaim)
}

func TestCustomIDsMustBeUnique(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	a, b := guest(t, "a", "a", key, withID("c1")), guest(t, "b", "b", key, withID("c1"))
	for name, c := range map[string]struct {
		by     gate.ConsumerBy
		roster gate.Roster
		want   string
	}{
		"one of a block":                     {gate.ByCustomID, newRoster(a), `consumer "shop" of the config`},
		"two of the roster":                  {gate.ByCustomID, newRoster(withOther(a, "x"), withOther(b, "x")), "two have"},
		"two, where they are of no interest": {gate.ByUsername, newRoster(a, b), ""},
		"others":                             {gate.ByCustomID, newRoster(withOther(a, "x"), withOther(b, "y")), ""},
		"none":                               {gate.ByCustomID, newRoster(withOther(a, ""), withOther(b, "")), ""},
	} {
		g, err := gate.New(config(t, key, shops(t, "client", c.by), with(newRoster())))
		if err != nil {
			t.Fatal(err)
		}
		if err := g.CheckRoster(c.roster); c.want == "" && err != nil ||
			c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	nobody := config(t, key, shops(t, "client", gate.ByCustomID), with(newRoster()), func(c *gate.Config) {
		c.Consumers, c.Anonymous = nil, ""
	})
	if _, err := gate.New(nobody); err != nil { // they may come
		t.Error(err)
	}
}

func withOther(c *gate.Consumer, id string) *gate.Consumer {
	other := *c
	other.CustomID = id
	return &other
}
