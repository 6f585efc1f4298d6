package gate_test

import (
	"errors"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/revoke"
	"github.com/caddyjwt/gateway/internal/store"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// revocations is a real ledger, whose store is in memory.
type revocations struct {
	*revoke.Ledger
	t testing.TB
}

func newRevocations(t testing.TB) revocations {
	t.Helper()
	in := store.NewMemory()
	ledger, err := revoke.Open(t.Context(), in, revoke.Options{Now: func() time.Time { return start }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ledger.Close()
		_ = in.Close()
	})
	return revocations{ledger, t}
}

// revoke revokes what was issued until the start of the tests.
func (r revocations) revoke(target revoke.Target) {
	r.t.Helper()
	entry := &revoke.Entry{Target: target, Expires: start.Add(time.Hour), At: start}
	if !target.Kind.IsToken() {
		entry.NotAfter = start
	}
	if err := r.Write(r.t.Context(), entry); err != nil {
		r.t.Fatal(err)
	}
}

// out revokes the tokens of subjects of issuerA.
func (r revocations) out(subjects ...string) {
	r.t.Helper()
	for _, subject := range subjects {
		r.revoke(revoke.Target{Issuer: issuerA, Kind: revoke.Subject, Value: subject})
	}
}

// alices are the tokens of a subject that most tests have.
var alices = revoke.Target{Issuer: issuerA, Kind: revoke.Subject, Value: "alice"}

// revokes has a gate refuse the tokens of a target.
func revokes(t testing.TB, target revoke.Target) func(*gate.Config) {
	t.Helper()
	r := newRevocations(t)
	r.revoke(target)
	return func(c *gate.Config) { c.Revocations, c.MaxLifetime = r.List(), time.Hour }
}

// A revocation takes effect with the next request, even for a cached token, and before the server is asked.
func TestRevokedTokenIsRefusedThoughItIsCached(t *testing.T) {
	key, revoked := tokentest.NewKey(t, "ES256", "k1"), newRevocations(t)
	as := newAS(t)
	g := as.gate(gate.AskAlways, key, func(c *gate.Config) {
		c.Cache, c.Revocations, c.MaxLifetime = newCache(t, 1<<20), revoked.List(), time.Hour
		c.Consumers, c.Anonymous = []gate.Consumer{{Username: "guest"}}, "guest"
	})
	token := key.Sign(t, says())
	as.says[token], as.says["opaque"] = active(m{"iat": start.Unix()}), active(m{"iat": start.Unix()})
	for range 3 {
		accepted(t, g, request(token))
		accepted(t, g, request("opaque"))
	}
	questions := as.asked()
	revoked.out("alice")
	for _, token := range []string{token, "opaque"} {
		f := refused(t, g, request(token), gate.Revoked)
		if f.Issuer != issuerA || f.Cause == nil {
			t.Errorf("issuer %q, cause %v", f.Issuer, f.Cause)
		}
		if answer := g.Answer(f); answer.Status != 401 || answer.Code != "invalid_token" {
			t.Errorf("answer %+v", answer)
		}
	}
	if n := as.asked(); n != questions {
		t.Errorf("the server was asked about a revoked token")
	}
	revoked.List().Trust(start)
	f := refused(t, g, request(token), gate.RevocationsUnavailable)
	answer := g.Answer(f)
	if answer.Status != 503 || answer.Header.Get("Retry-After") == "" || !errors.Is(f, revoke.ErrUnknown) {
		t.Errorf("answer %+v, cause %v", answer, f.Cause)
	}
	if verdict, err := g.Check(direct(request(""))); err != nil || verdict.Outcome != gate.Anonymous {
		t.Errorf("a request without a token: %v, %v", verdict, err)
	}
}
