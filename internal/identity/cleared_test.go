package identity_test

import (
	"testing"

	"github.com/caddyjwt/gateway/internal/consumer"
	"github.com/caddyjwt/gateway/internal/identity"
)

// What gates have found out about a token counts for all copies of its identity, and for no other token.
func TestCopiesShareWhatIsKnownOfTheToken(t *testing.T) {
	set := set(t, `{"sub":"alice"}`)
	shop := &consumer.Consumer{Username: "shop"}
	for name, id := range map[string]*identity.Identity{
		"of an issuer":   identity.OfIssuer(issuer, set),
		"of a consumer":  identity.OfConsumer(shop, "key", set),
		"another of one": identity.OfIssuer(issuer, set),
	} {
		if id.Cleared() != 0 || id.ClearedAsConsumer() != 0 {
			t.Errorf("%s: known before anybody has looked", name)
		}
		id.Clear(7)
		id.AsConsumer(shop).ClearAsConsumer(8)
		if mapped := id.WithName("a"); mapped.Cleared() != 7 || id.ClearedAsConsumer() != 8 {
			t.Errorf("%s: %d and %d", name, mapped.Cleared(), id.ClearedAsConsumer())
		}
	}
	anonymous := &identity.Identity{ID: "guest", Consumer: shop, Anonymous: true}
	anonymous.Clear(7)
	anonymous.ClearAsConsumer(8)
	if anonymous.Cleared() != 0 || anonymous.ClearedAsConsumer() != 0 {
		t.Error("something is known of a token, and there is none")
	}
}
