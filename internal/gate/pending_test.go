package gate_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// pendingKeys has some keys and cannot say whether there are others.
type pendingKeys struct{ *fakeKeys }

func (p pendingKeys) Find(ctx context.Context, alg jose.Algorithm, kid string) ([]*jose.Key, error) {
	keys, err := p.fakeKeys.Find(ctx, alg, kid)
	if errors.Is(err, keyset.ErrUnknownKey) {
		return nil, &keyset.UnavailableError{RetryAfter: 4 * time.Second, Err: fmt.Errorf("%w: slowly", keyset.ErrPending)}
	}
	return keys, err
}

// A key that may be published at any moment is neither the token's fault nor the issuer's. No server is asked about
// such a token, whatever the introspect settings of issuer and route are.
func TestKeyThatIsPending(t *testing.T) {
	key, next := tokentest.NewKey(t, "ES256", "k1"), tokentest.NewKey(t, "ES256", "k2")
	pend := func(c *gate.Config) { c.Issuers[0].Keys = pendingKeys{newKeys(t, key)} }
	as := newAS(t)
	for name, g := range map[string]*gate.Gate{
		"no introspection":  build(t, key, pend),
		"introspect opaque": as.gate(gate.AskOpaque, key, pend),
		"introspect always": as.gate(gate.AskAlways, key, pend),
		"introspect force of route": as.gate(gate.AskOpaque, key, pend,
			func(c *gate.Config) { c.Asking.Mode = gate.RouteForce }),
		"introspect skip of route": as.gate(gate.AskAlways, key, pend,
			func(c *gate.Config) { c.Asking.Mode = gate.RouteSkip }),
		"optional": build(t, key, pend, func(c *gate.Config) { c.Optional = true }),
	} {
		t.Run(name, func(t *testing.T) {
			f := refused(t, g, request(next.Sign(t, says())), gate.KeyPending)
			if f.Issuer != issuerA || f.KeyID != "k2" || f.RetryAfter != 4*time.Second || errors.Is(f, gate.KeysUnavailable) {
				t.Errorf("failure %+v", f)
			}
			answer := g.Answer(f)
			if answer.Status != http.StatusServiceUnavailable ||
				answer.Header.Get("Retry-After") != "4" || challengeOf(answer) != "" {
				t.Errorf("answer %+v", answer)
			}
		})
	}
	if n := as.asked(); n != 0 {
		t.Errorf("the authorization server was asked %d times", n)
	}
}

func TestClientThatLeavesAPendingKey(t *testing.T) {
	key, next := tokentest.NewKey(t, "ES256", "k1"), tokentest.NewKey(t, "ES256", "k2")
	g := build(t, key, func(c *gate.Config) { c.Issuers[0].Keys = pendingKeys{newKeys(t, key)} })
	ctx, leave := context.WithCancel(t.Context())
	leave()
	refused(t, g, request(next.Sign(t, says())).WithContext(ctx), gate.ClientGone)
}

// Issuers with the same key set share its budget of fetches, but failures name the right issuer.
func TestIssuersThatShareASource(t *testing.T) {
	first, second := tokentest.NewKey(t, "ES256", "k1"), tokentest.NewKey(t, "ES256", "second").WithKID("k1")
	as := tokentest.NewAS(t, tokentest.WithKeys(first))
	source, err := keyset.NewRemote(keyset.RemoteOptions{URL: as.JWKSURL()})
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	g := build(t, first, func(c *gate.Config) {
		c.Issuers = append(c.Issuers, issuer(t, issuerB, first))
		for i := range c.Issuers {
			c.Issuers[i].Keys = source
		}
	})
	b := m{"iss": issuerB}
	accepted(t, g, request(first.Sign(t, says())))
	as.SetKeys(second)
	accepted(t, g, request(second.Sign(t, says(b)))) // the same id, another key
	accepted(t, g, request(second.Sign(t, says())))
	refused(t, g, request(first.Sign(t, says())), gate.InvalidSignature)
	// One of the issuers uses up the budget for invented key ids.
	mallory := tokentest.NewKey(t, "ES256", "mallory")
	for i := 0; ; i++ {
		verdict, err := g.Check(direct(request(mallory.WithKID(fmt.Sprint("invented ", i)).Sign(t, says()))))
		if verdict.Passes() {
			t.Fatal("an invented token passes")
		}
		if errors.Is(err, gate.KeyPending) {
			break
		}
	}
	third := tokentest.NewKey(t, "ES256", "k3")
	as.SetKeys(third)
	_, err = g.Check(direct(request(third.Sign(t, says(b)))))
	if f := gate.FailureOf(err); err != nil &&
		(f.Reason != gate.KeyPending || f.Issuer != issuerB) { // err is nil on a machine that is very slow
		t.Errorf("failure %+v", f)
	}
	accepted(t, g, request(third.Sign(t, says()))) // the second request for this id
	accepted(t, g, request(third.Sign(t, says(b))))
}
