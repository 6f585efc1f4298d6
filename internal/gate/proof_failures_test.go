package gate_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/possession"
	"github.com/caddyjwt/gateway/internal/proof/nonce"
	"github.com/caddyjwt/gateway/internal/proof/replay"
	"github.com/caddyjwt/gateway/internal/store"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// A client that hangs up while the store is asked is not the store's trouble.
func TestClientThatHangsUpIsNoTroubleOfTheStore(t *testing.T) {
	key, client := tokentest.NewKey(t, "ES256", "k1"), prover(t, "ES256")
	token := key.Sign(t, says(boundTo(client)))
	for name, change := range map[string]func(p *possession.Policy, asked func()){
		"used proofs": func(p *possession.Policy, asked func()) {
			p.DPoP.Replays = replay.NewShared(func(ctx context.Context) (store.Store, func(), error) {
				asked()
				<-ctx.Done()
				return nil, nil, ctx.Err()
			})
		},
		"nonces": func(p *possession.Policy, asked func()) {
			withNonces(p)
			p.DPoP.Nonces = nonce.NewSource(func(ctx context.Context) ([32]byte, error) {
				asked()
				<-ctx.Done()
				return [32]byte{}, ctx.Err()
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, hangUp := context.WithCancel(t.Context())
			g := build(t, key, dpop(t, func(p *possession.Policy) { change(p, hangUp) }))
			refused(t, g, proved(t, client, token, m{"nonce": "x"}).WithContext(ctx), gate.ClientGone)
		})
	}
}

// Only a client that needs a nonce waits for the secret of nonces.
func TestRefusalsDoNotWaitForNonces(t *testing.T) {
	key, client := tokentest.NewKey(t, "ES256", "k1"), prover(t, "ES256")
	scarce, bound := key.Sign(t, says()), key.Sign(t, says(boundTo(client)))
	synctest.Test(t, func(t *testing.T) {
		g := build(t, key, dpop(t, withNonces, func(p *possession.Policy) {
			p.DPoP.Nonces = nonce.NewSource(func(ctx context.Context) ([32]byte, error) {
				<-ctx.Done()
				return [32]byte{}, errors.New("no store")
			})
		}), func(c *gate.Config) { c.Require.Scopes = []string{"admin"} })
		took := func(check func()) time.Duration {
			began := time.Now()
			check()
			return time.Since(began)
		}
		if d := took(func() { answered(t, g, request(scarce), gate.InsufficientScope) }); d != 0 {
			t.Errorf("a 403 took %s", d)
		}
		if d := took(func() { answered(t, g, request(""), gate.MissingToken) }); d > time.Second {
			t.Errorf("a 401 without a token took %s", d)
		}
		d := took(func() { answered(t, g, proved(t, client, bound), gate.ProofsUnavailable) })
		if d == 0 || d > 10*time.Second {
			t.Errorf("a proof without a nonce took %s", d)
		}
	})
}

// A client may write its token into any claim of a proof. It must not get into a log from there.
func TestTokenInTheWrongClaimIsNotLogged(t *testing.T) {
	key, client := tokentest.NewKey(t, "ES256", "k1"), prover(t, "ES256")
	as := newAS(t)
	client.Now = as.clock.now
	for _, token := range []string{
		"0123456789abcdef0123456789abcdef", "2YotnFZFEjr1zCsicMWpAA", strings.Repeat("c29tZS1vcGFxdWU", 5),
	} {
		as.says[token] = active(boundTo(client))
		g := build(t, key, dpop(t), func(c *gate.Config) {
			c.Issuers[0].Asking, c.Now = as.introspection(gate.AskOpaque), as.clock.now
			c.Issuers[0].Asking.Prefix = ""
		})
		for _, edit := range []m{
			{"ath": token}, {"htm": token}, {"htu": token}, {"htu": "https://example.com/" + token}, {"iat": token},
			{"htu": "ftp://" + token + "@x"}, {"nonce": token + " "}, {"jti": token + "\n"}, {"exp": token},
		} {
			f := refused(t, g, proved(t, client, token, edit), gate.InvalidProof)
			if text := f.Cause.Error(); strings.Contains(text, token) {
				t.Errorf("%v: %s", edit, text)
			}
		}
	}
}

// What comes after the gate refuses a request as the gate would: in the scheme of its token.
func TestRefusalAfterTheGate(t *testing.T) {
	key, client := tokentest.NewKey(t, "ES256", "k1"), prover(t, "ES256")
	token, unbound := key.Sign(t, says(boundTo(client))), key.Sign(t, says())
	g := build(t, key, dpop(t))
	for scheme, r := range map[string]func() gate.Request{
		"DPoP":   func() gate.Request { return direct(proved(t, client, token)) },
		"Bearer": func() gate.Request { return direct(request(unbound)) },
	} {
		verdict, err := g.Check(r())
		if err != nil {
			t.Fatal(explain(err))
		}
		f := g.Refuse(t.Context(), verdict, g.RequireScopes(verdict.Identity, []string{"tools"}))
		got := g.Answer(f).Header["Www-Authenticate"]
		if len(got) != 1 || !strings.HasPrefix(got[0], scheme+` realm="api", error="insufficient_scope"`) {
			t.Errorf("%s: %q", scheme, got)
		}
	}
}

// A token with the scheme DPoP needs a policy, whoever has made the extractor.
func TestSchemeDPoPWithoutAPolicy(t *testing.T) {
	key, client := tokentest.NewKey(t, "ES256", "k1"), prover(t, "ES256")
	g := build(t, key, dpop(t), func(c *gate.Config) { c.Proof = nil })
	refused(t, g, proved(t, client, key.Sign(t, says())), gate.ProofRequired)
}
