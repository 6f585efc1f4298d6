package gate_test

import (
	"net/http"
	"testing"

	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/setting"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// Headers about consumers that the backend does not want are not sent, and a client cannot send them, either.
func TestConsumerHeadersThatAreNotWanted(t *testing.T) {
	key := tokentest.NewKey(t, "HS256", "s")
	shop := consumer(t, "shop", "shop-key", key)
	shop.ID, shop.CustomID, shop.Groups = "42", "c-42", []string{"partners"}
	all := http.Header{
		"X-Consumer-Id": {"42"}, "X-Consumer-Custom-Id": {"c-42"}, "X-Consumer-Username": {"shop"},
		"X-Consumer-Groups": {"partners"}, "X-Credential-Identifier": {"shop-key"},
	}
	anonymous := http.Header{"X-Consumer-Username": {"guest"}, "X-Anonymous-Consumer": {"true"}}
	for name, c := range map[string]struct {
		wanted           []string
		known, anonymous http.Header
	}{
		"all":  {nil, all, anonymous},
		"none": {[]string{"off"}, http.Header{}, http.Header{}},
		"one, in another case": {[]string{"x-consumer-id"},
			http.Header{"X-Consumer-Id": {"42"}}, http.Header{}},
		"two": {[]string{"X-Anonymous-Consumer", "X-Consumer-Groups"},
			http.Header{"X-Consumer-Groups": {"partners"}}, http.Header{"X-Anonymous-Consumer": {"true"}}},
		"all by their names": {[]string{"X-Consumer-ID", "X-Consumer-Custom-ID", "X-Consumer-Username", "X-Consumer-Groups",
			"X-Credential-Identifier", "X-Anonymous-Consumer"}, all, anonymous},
	} {
		t.Run(name, func(t *testing.T) {
			g := build(t, key, func(of *gate.Config) {
				of.Consumers, of.Anonymous = []gate.Consumer{shop, {Username: "guest"}}, "guest"
				of.ConsumerHeaders = c.wanted
			})
			for _, sent := range []struct {
				token string
				want  http.Header
			}{{key.Sign(t, says(m{"iss": "shop-key"})), c.known}, {"", c.anonymous}} {
				r := request(sent.token)
				verdict, err := g.Check(direct(r))
				if err != nil {
					t.Fatal(err)
				}
				for _, forged := range []string{"X-Consumer-Id", "X_Consumer_Custom_ID", "x.consumer.username",
					"X-Consumer-Groups", "X-Credential-Identifier", "X-Anonymous-Consumer"} {
					r.Header[forged] = []string{"forged"}
				}
				g.Strip(r)
				if err := g.Annotate(r, verdict.Identity); err != nil {
					t.Fatal(err)
				}
				same(t, r.Header, sent.want)
			}
		})
	}
}

// Headers about consumers need somebody who can be one, or who has a name.
func TestConsumerHeadersNeedACaller(t *testing.T) {
	key := tokentest.NewKey(t, "HS256", "s")
	for name, c := range map[string]struct {
		change func(*gate.Config)
		good   bool
	}{
		"nobody":     {func(*gate.Config) {}, false},
		"a consumer": {func(c *gate.Config) { c.Consumers = []gate.Consumer{consumer(t, "shop", "shop-key", key)} }, true},
		"a roster":   {with(newRoster()), true},
		"a name":     {func(c *gate.Config) { c.Issuers[0].UsernameClaim = path(t, "name") }, true},
	} {
		_, err := gate.New(config(t, key, c.change, func(c *gate.Config) { c.ConsumerHeaders = []string{"off"} }))
		if (err == nil) != c.good || err != nil && setting.Field(err) != "ConsumerHeaders" {
			t.Errorf("%s: %v about %q", name, err, setting.Field(err))
		}
	}
}
