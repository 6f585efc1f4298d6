package identity_test

import (
	"testing"

	"github.com/caddyjwt/gateway/internal/consumer"
	"github.com/caddyjwt/gateway/internal/identity"
)

// What is known of a token counts for all copies of its identity, and for no other token.
func TestCopiesShareTheMemoryOfTheToken(t *testing.T) {
	set := set(t, `{"sub":"alice"}`)
	shop := &consumer.Consumer{Username: "shop"}
	first := identity.OfIssuer(issuer, set)
	for name, id := range map[string]*identity.Identity{
		"the same": first, "with a name": first.WithName("a"), "as a consumer": first.AsConsumer(shop),
		"limited": first.LimitedBy(set),
	} {
		if id.Memory() == nil || id.Memory() != first.Memory() {
			t.Errorf("%s: a memory of its own", name)
		}
	}
	for name, id := range map[string]*identity.Identity{
		"another one": identity.OfIssuer(issuer, set), "of a consumer": identity.OfConsumer(shop, "key", set),
	} {
		if id.Memory() == nil || id.Memory() == first.Memory() {
			t.Errorf("%s: no memory of its own", name)
		}
	}
	if (&identity.Identity{ID: "guest", Consumer: shop, Anonymous: true}).Memory() != nil {
		t.Error("the memory of a token that is not there")
	}
}
