package logout_test

import (
	"errors"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/logout"
	"github.com/caddyjwt/gateway/internal/setting"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

func TestSettingsThatAreWrong(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	for field, change := range map[string]func(*logout.Config){
		"Issuer":     func(c *logout.Config) { c.Issuer = "" },
		"Keys":       func(c *logout.Config) { c.Keys = nil },
		"Algorithms": func(c *logout.Config) { c.Algorithms = 0 },
		"Clients":    func(c *logout.Config) { c.Clients = nil },
		"Clients[1]": func(c *logout.Config) { c.Clients = []string{"a", ""} },
		"Leeway":     func(c *logout.Config) { c.Leeway = -1 },
		"WithoutSID": func(c *logout.Config) { c.WithoutSID = 2 },
		"Seen":       func(c *logout.Config) { c.Seen = nil },
		"Remember":   func(c *logout.Config) { c.Remember = nil },
		"Revoke":     func(c *logout.Config) { c.Revoke = nil },
	} {
		c := config(t, &state{}, key)
		change(&c)
		if _, err := logout.New(c); setting.Field(err) != field || err.Error() == "" {
			t.Errorf("%s: the error is about %q: %v", field, setting.Field(err), err)
		}
	}
	mixed := config(t, &state{}, key)
	mixed.Algorithms = jose.MakeAlgorithms(jose.ES256, jose.HS256)
	if _, err := logout.New(mixed); setting.Field(err) != "Algorithms" {
		t.Errorf("a secret and a public key: %v", err)
	}
	late := config(t, &state{}, key)
	late.Leeway = logout.MaxLeeway + 1
	if _, err := logout.New(late); setting.Field(err) != "Leeway" {
		t.Errorf("a long leeway: %v", err)
	}
}

func TestTheClockIsTheRealOneUnlessGiven(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	var s state
	c := config(t, &s, key)
	c.Now = nil
	r := open(t, c)
	now := time.Now()
	fresh := says(m{"iat": now.Unix(), "exp": now.Add(time.Minute).Unix()})
	if _, err := r.Receive(request(key.Sign(t, fresh))); err != nil {
		t.Errorf("a token of this moment: %v", err)
	}
	if _, err := r.Receive(request(key.Sign(t, says(m{"iat": 1, "exp": 100})))); !errors.Is(err, logout.Expired) {
		t.Errorf("a token of 1970: %v", err)
	}
}
