package identity_test

import (
	"testing"

	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/consumer"
	"github.com/caddyjwt/gateway/internal/identity"
)

func TestHeaderMembers(t *testing.T) {
	header, _ := set(t, `{"header":{"co":"intersystems","in":{"n":7}}}`).Claim("header")
	shared := of(t, `{"sub":"alice","co":"claim"}`)
	shared.Header = claims.HeaderOf(header.JSON())
	for name, id := range map[string]*identity.Identity{
		"itself": shared, "as a consumer": shared.AsConsumer(&consumer.Consumer{Username: "shop"}),
		"with a name": shared.WithName("a"), "limited": shared.LimitedBy(shared.Claims),
	} {
		for path, want := range map[string]any{"co": "intersystems", "in.n": int64(7), "/in/n": int64(7)} {
			if got, ok := id.HeaderMember(path); !ok || got != want {
				t.Errorf("%s: %s is %v", name, path, got)
			}
		}
		for _, path := range []string{"sub", "in..n", "", "co.x"} {
			if got, ok := id.HeaderMember(path); ok {
				t.Errorf("%s: %s is %v", name, path, got)
			}
		}
		if value, ok := id.Caller().Header().Lookup(claims.Path{}); ok || id.Caller().Header() != &id.Header {
			t.Errorf("%s: the caller has another header: %v", name, value)
		}
	}
	if got, ok := new(identity.Identity).HeaderMember("co"); ok {
		t.Errorf("nobody's header has %v", got)
	}
}
