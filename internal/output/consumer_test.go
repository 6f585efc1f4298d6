package output_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/consumer"
	"github.com/caddyjwt/gateway/internal/identity"
	"github.com/caddyjwt/gateway/internal/output"
	"github.com/caddyjwt/gateway/internal/setting"
)

// Headers about consumers that the backend does not want are not sent.
func TestConsumerHeaders(t *testing.T) {
	shop := &identity.Identity{ID: "shop", CredentialKey: "shop-key", Consumer: &consumer.Consumer{
		Username: "shop", ID: "42", CustomID: "Müller & Söhne", Groups: []string{"partners", "eu"},
	}}
	guest := &identity.Identity{ID: "guest", Anonymous: true, Consumer: &consumer.Consumer{Username: "guest"}}
	alice := identityOf(t, `{"sub":"4711"}`)
	all := http.Header{
		"X-Consumer-Id": {"42"}, "X-Consumer-Custom-Id": {"Müller & Söhne"}, "X-Consumer-Username": {"shop"},
		"X-Consumer-Groups": {"partners,eu"}, "X-Credential-Identifier": {"shop-key"},
	}
	for name, c := range map[string]struct {
		wanted []string
		id     *identity.Identity
		want   http.Header
	}{
		"all of a consumer": {nil, shop, all},
		"all of a consumer that a token names": {nil, alice.AsConsumer(shop.Consumer), http.Header{
			"X-Consumer-Id": {"42"}, "X-Consumer-Custom-Id": {"Müller & Söhne"}, "X-Consumer-Username": {"shop"},
			"X-Consumer-Groups": {"partners,eu"},
		}},
		"all of the anonymous": {nil, guest,
			http.Header{"X-Consumer-Username": {"guest"}, "X-Anonymous-Consumer": {"true"}}},
		"all of a subject":      {nil, alice, http.Header{}},
		"all of a name":         {nil, alice.WithName("alice"), http.Header{"X-Consumer-Username": {"alice"}}},
		"none of a consumer":    {[]string{"off"}, shop, http.Header{}},
		"none of the anonymous": {[]string{"off"}, guest, http.Header{}},
		"none of a name":        {[]string{"off"}, alice.WithName("alice"), http.Header{}},
		"one, in another case":  {[]string{"x-consumer-id"}, shop, http.Header{"X-Consumer-Id": {"42"}}},
		"two": {[]string{"X-Anonymous-Consumer", "X-Consumer-Groups"}, guest,
			http.Header{"X-Anonymous-Consumer": {"true"}}},
	} {
		t.Run(name, func(t *testing.T) {
			set, h := newSet(t, output.Settings{ConsumerHeaders: c.wanted, NamesCallers: true}), make(http.Header)
			if err := set.Write(h, c.id); err != nil {
				t.Fatal(err)
			}
			same(t, h, c.want)
		})
	}
}

func TestConsumerHeaderMistakes(t *testing.T) {
	for name, c := range map[string]struct {
		callers  bool
		wanted   []string
		says, in string
	}{
		"no consumer": {false, []string{"off"}, "there is none", "ConsumerHeaders"},
		"another header": {true, []string{"X-Consumer-ID", "X-User"}, `"X-User": expected off, or some of X-Consumer-Id`,
			"ConsumerHeaders[1]"},
		"off and a name": {true, []string{"X-Consumer-ID", "off"}, "remove it, or the names beside it",
			"ConsumerHeaders[1]"},
		"off twice": {true, []string{"off", "off"}, "remove it, or the names beside it", "ConsumerHeaders[0]"},
		"a name twice": {true, []string{"X-Consumer-ID", "x-consumer-id"}, "names x-consumer-id twice",
			"ConsumerHeaders[1]"},
		"an empty name": {true, []string{""}, "expected off", "ConsumerHeaders[0]"},
	} {
		_, err := output.New(output.Settings{ConsumerHeaders: c.wanted, NamesCallers: c.callers})
		if err == nil || !strings.Contains(err.Error(), c.says) || setting.Field(err) != c.in {
			t.Errorf("%s: %v in %q, want %q in %s", name, err, setting.Field(err), c.says, c.in)
		}
	}
}
