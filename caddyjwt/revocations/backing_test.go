package revocations

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyjwt/gateway/caddyjwt/pool"
	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/revoke"
)

// withoutStore is what a configuration has that names no store. The default file is in a directory of the test.
func withoutStore(t *testing.T) (r *Revocations, path string) {
	t.Helper()
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	ctx, err := caddy.ProvisionContext(&caddy.Config{Admin: &caddy.AdminConfig{Disabled: true}})
	if err != nil {
		t.Fatal(err)
	}
	r = new(Revocations)
	if err := r.Provision(ctx, Settings{}, new(Desk), pool.New(nil)); err != nil {
		t.Fatal(err)
	}
	return r, filepath.Join(caddy.AppDataDir(), "bearer_auth", "store.db")
}

// A token issuer needs a store. If the configuration names none, it is the default file. Gates that accept no tokens of
// an issuer in this process go on as if there were none.
func TestATokenIssuerBringsAStore(t *testing.T) {
	r, path := withoutStore(t)
	if known, _, err := r.ForGate(false); known != nil || err != nil {
		t.Fatalf("a store that nobody asked for: %v, %v", known, err)
	}
	known, only, err := r.ForGate(true)
	if known == nil || !only || err != nil {
		t.Fatalf("a gate with local tokens: %v, %t, %v", known, only, err)
	}
	if err := r.Need(); err != nil { // once more changes nothing
		t.Fatal(err)
	}
	if known, _, err := r.ForGate(false); known != nil || err != nil {
		t.Errorf("another gate: %v, %v", known, err)
	}
	if r.Backing() != nil {
		t.Error("it is open before the start")
	}
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	defer r.Stop()
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
	if r.Backing() == nil {
		t.Error("it is not open")
	}
}

// A store that the configuration names is for all gates.
func TestATokenIssuerUsesTheStoreThatIsThere(t *testing.T) {
	r := provisioned(t, new(Desk), pool.New(nil))
	if err := r.Need(); err != nil {
		t.Fatal(err)
	}
	for _, local := range []bool{true, false} {
		if known, only, err := r.ForGate(local); known == nil || only || err != nil {
			t.Errorf("local %t: %v, %t, %v", local, known, only, err)
		}
	}
}

func session(issuedAt time.Time) revoke.Token {
	set, err := claims.Decode([]byte(`{"sid":"s1"}`))
	if err != nil {
		panic(err)
	}
	set.IssuedAt = issuedAt
	return revoke.Token{Issuer: issuer, Set: set}
}

// A cut-off is exact to the millisecond.
func TestACutOffOfAnIssuerIsExact(t *testing.T) {
	r := provisioned(t, new(Desk), pool.New(nil))
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	defer r.Stop()
	b, now := r.Backing(), time.Now().Truncate(time.Millisecond)
	target := revoke.Target{Issuer: issuer, Kind: revoke.Session, Value: "s1"}
	if err := b.CutOff(t.Context(), target, now, now.Add(time.Minute)); err != nil || r.Len() != 1 {
		t.Fatalf("%v, %d entries", err, r.Len())
	}
	if leeway := b.Leeway(issuer); leeway != 5*time.Second {
		t.Errorf("leeway %v", leeway)
	}
	for after, want := range map[time.Duration]bool{-time.Hour: true, 0: true, time.Millisecond: false} {
		if revoked, err := b.IsRevoked(session(now.Add(after))); err != nil || revoked != want {
			t.Errorf("issued %v after it: %t, %v", after, revoked, err)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.CutOff(ended, target, now.Add(time.Second), now.Add(time.Minute)); err != nil {
		t.Errorf("for a client that has gone: %v", err) // it must not depend on the client
	}
	if counts := r.desk.Counts(); counts.Written != 2 {
		t.Errorf("%+v", counts)
	}
}

// Without its store, nobody knows what is revoked, and nothing is said to be.
func TestACutOffThatTheStoreDoesNotTakeIsAnError(t *testing.T) {
	r := provisioned(t, new(Desk), pool.New(nil))
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	b := r.Backing()
	if err := b.Store().Close(); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	target := revoke.Target{Issuer: issuer, Kind: revoke.Session, Value: "s1"}
	err := b.CutOff(t.Context(), target, now, now.Add(time.Minute))
	if !errors.Is(err, revoke.ErrWrite) || r.desk.Counts().Failed != 1 {
		t.Errorf("%v, %+v", err, r.desk.Counts())
	}
	_ = r.Stop()
}
