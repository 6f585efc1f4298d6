package issuers

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/caddyjwt/process"
	"github.com/caddyjwt/gateway/internal/fetch"
	"github.com/caddyjwt/gateway/internal/hashing/hashingtest"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/setting"
	"github.com/caddyjwt/gateway/introspect"
)

// Each field of the client's configuration has a word, unless a Caddyfile cannot set it.
func TestEveryFieldOfTheIntrospectionClientHasAWord(t *testing.T) {
	ours := []string{
		// set by the handler
		"Issuer", "Decode", "Tolerate", "HTTPClient", "Identity", "Now", "Observer", "Renew", "PlainHTTP",
		"AssertionAudience", "CacheBytes", "NegativeEntries", "BreakerFailures", "BreakerWait", // never set
	}
	for field := range reflect.TypeFor[introspect.Config]().Fields() {
		if _, has := clientFields[field.Name]; has == slices.Contains(ours, field.Name) {
			t.Errorf("%s: say in clientFields which field of ours sets it, or here that none does", field.Name)
		}
	}
	for name, to := range clientFields {
		if _, has := reflect.TypeFor[introspect.Config]().FieldByName(name); !has {
			t.Errorf("introspect.Config has no %s", name)
		}
		if introspectTable.WordFor(to) == "" {
			t.Errorf("%s: no word fills %s", name, to)
		}
	}
}

func TestErrorsOfTheClientNameOurFields(t *testing.T) {
	cause := errors.New("Timeout of CacheTTL")
	for _, test := range []struct{ theirs, field, text string }{
		{"Mode", "Verify", "verify: Timeout of CacheTTL"},
		{"Params[1].Name", "Params[1].Name", "param: Timeout of CacheTTL"},
		{"Identity", "Identity", "introspect: configuration: Identity: Timeout of CacheTTL"},
	} {
		err := byOurField(&introspect.ConfigError{Field: test.theirs, Err: cause})
		if setting.Field(err) != test.field || err.Error() != test.text || !errors.Is(err, cause) {
			t.Errorf("%s: the error about %q says %q", test.theirs, setting.Field(err), err)
		}
	}
	if byOurField(cause) != cause {
		t.Error("an error without a field has changed")
	}
}

func TestClientsThatDifferHaveDifferentIdentities(t *testing.T) {
	opened := Opener{Shared: process.Shared()}
	identity := func(change func(*Plan, *[32]byte)) string {
		plan, keys := Plan{Asking: new(Asking)}, [32]byte{}
		change(&plan, &keys)
		return opened.askerSettings(&plan, nil, keys).id()
	}
	seen := map[string]string{identity(func(*Plan, *[32]byte) {}): "nothing"}
	for name, change := range map[string]func(*Plan, *[32]byte){
		"TLS settings":     func(p *Plan, _ *[32]byte) { p.Server.Fetch.ServerName = "a" },
		"keys":             func(_ *Plan, keys *[32]byte) { keys[0] = 1 },
		"metadata address": func(p *Plan, _ *[32]byte) { p.Server.Issuer = "https://a" },
		"leeway":           func(p *Plan, _ *[32]byte) { p.Issuer.Leeway = 1 },
		"algorithms":       func(p *Plan, _ *[32]byte) { p.Issuer.Algorithms = jose.MakeAlgorithms(jose.ES256) },
	} {
		id := identity(change)
		if other, has := seen[id]; has {
			t.Errorf("another %s and another %s are one client", name, other)
		}
		seen[id] = name
	}
}

// What a client keeps beside its own settings must be in its identity, or it would be used for other settings.
func TestEverySettingOfAnAskerIsInItsIdentity(t *testing.T) {
	hashingtest.EveryField(t, askerSettings{}, func(s askerSettings) [32]byte { return [32]byte([]byte(s.id())) })
}

// A signed answer to introspection is about one question. One of UserInfo can be sent again, so whoever is on the way
// can call a token active in both.
func TestPlainHTTPLetsSignedUserInfoBeReplayed(t *testing.T) {
	for mode, want := range map[introspect.Mode]bool{introspect.Introspection: false, introspect.UserInfo: true} {
		plan := Plan{
			Server: Server{Fetch: fetch.Options{Plain: fetch.PrivateHTTP}},
			Asking: &Asking{Client: introspect.Config{Mode: mode, Signed: true, Endpoint: "http://10.0.0.1/ask"}},
		}
		warning := plan.PlainHTTPWarning()
		if got := strings.Contains(warning, "call any token active"); got != want || warning == "" {
			t.Errorf("mode %d: %q", mode, warning)
		}
	}
}
