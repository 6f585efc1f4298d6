package gate_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/bearer"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/setting"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// A refused request may still reach the backend of an error route. It must not look like one that was accepted.
func TestUnsafeClaimLeavesNoIdentityBehind(t *testing.T) {
	key := tokentest.NewKey(t, "HS256", "s")
	g := build(t, key, forward(t, "sub", "X-User", "v", "X-Value"), func(c *gate.Config) {
		c.Consumers = []gate.Consumer{consumer(t, "shop", "shop-key", key)}
	})
	r := request(key.Sign(t, says(m{"iss": "shop-key", "v": "a\nb"})))
	id := accepted(t, g, r)
	g.Strip(r)
	if err := g.Annotate(r, id); gate.FailureOf(err).Reason != gate.UnsafeClaim {
		t.Fatalf("error %v, want %v", err, gate.UnsafeClaim)
	}
	same(t, r.Header, http.Header{})
}

// Names that an output cannot have are those of package output, and the header that holds the token.
func TestForwardClaimMistakes(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	for name, want := range map[string]string{
		"X_User":         "only letters, digits and hyphens",
		"X-Consumer-ID":  "already taken",
		"x-access-token": "the token is taken from that header",
	} {
		_, err := gate.New(config(t, key, forward(t, "sub", name), func(c *gate.Config) {
			c.Extractor = extractor(t, bearer.DefaultPlace, bearer.Place{Kind: bearer.Header, Name: "X-Access-Token"})
		}))
		if err == nil || !strings.Contains(err.Error(), want) || setting.Field(err) != "ForwardClaims[0].Header" {
			t.Errorf("%s: error %v about %q, want %q", name, err, setting.Field(err), want)
		}
	}
}
