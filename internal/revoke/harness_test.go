package revoke_test

import (
	"context"
	"encoding/json"
	"maps"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/revoke"
	"github.com/caddyjwt/gateway/internal/store"
)

// start is the time at which most tests run.
var start = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// The owners of most tokens.
const (
	issuerA = "https://as.example"
	issuerB = "https://other.example"
)

type m = map[string]any

// claimsOf are claims of a token, which was issued at the start unless they say something else. A nil removes one.
func claimsOf(tb testing.TB, changes m) *claims.Set {
	tb.Helper()
	all := m{"iat": start.Unix()}
	maps.Copy(all, changes)
	maps.DeleteFunc(all, func(_ string, v any) bool { return v == nil })
	text, err := json.Marshal(all)
	if err != nil {
		tb.Fatal(err)
	}
	set, err := claims.Decode(text)
	if err != nil {
		tb.Fatal(err)
	}
	return set
}

// issued is a token of issuerA.
func issued(tb testing.TB, changes m) revoke.Token {
	tb.Helper()
	return revoke.Token{Issuer: issuerA, Set: claimsOf(tb, changes)}
}

func path(tb testing.TB, text string) revoke.Path {
	tb.Helper()
	return revoke.PathOf(parsed(tb, text)[0])
}

// parsed are paths of claims.
func parsed(tb testing.TB, texts ...string) (paths []claims.Path) {
	tb.Helper()
	for _, text := range texts {
		p, err := claims.ParsePath(text)
		if err != nil {
			tb.Fatal(err)
		}
		paths = append(paths, p)
	}
	return paths
}

// terms are those of an issuer without tenants, whose tokens can be revoked by the values of claims.
func terms(tb testing.TB, texts ...string) *revoke.Terms {
	tb.Helper()
	return revoke.NewTerms("", parsed(tb, texts...)...)
}

// subject is the target of the tokens of a subject of issuerA.
func subject(name string) revoke.Target {
	return revoke.Target{Issuer: issuerA, Kind: revoke.Subject, Value: name}
}

// out revokes what was issued until the start, and lasts an hour.
func out(target revoke.Target) *revoke.Entry {
	e := &revoke.Entry{Target: target, Expires: start.Add(time.Hour), At: start}
	if !target.Kind.IsToken() {
		e.NotAfter = start
	}
	return e
}

// until is out with another cut-off.
func until(target revoke.Target, cutoff time.Time) *revoke.Entry {
	e := out(target)
	e.NotAfter = cutoff
	return e
}

// back takes back what was revoked.
func back(target revoke.Target) *revoke.Entry {
	e := out(target)
	e.NotAfter, e.Lifted = time.Time{}, true
	return e
}

// atStart is a clock that stands still.
func atStart() time.Time { return start }

// newLedger opens a ledger in a store. It is closed at the end of the test.
func newLedger(tb testing.TB, in store.Store, o revoke.Options) *revoke.Ledger {
	tb.Helper()
	if o.Now == nil {
		o.Now = atStart
	}
	l, err := revoke.Open(tb.Context(), in, o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(l.Close)
	return l
}

// newStore makes a store in memory.
func newStore(tb testing.TB) *store.Memory {
	tb.Helper()
	s := store.NewMemory()
	tb.Cleanup(func() { _ = s.Close() })
	return s
}

// write writes an entry, which must work within ten seconds.
func write(tb testing.TB, l *revoke.Ledger, entries ...*revoke.Entry) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for _, e := range entries {
		if err := l.Write(ctx, e); err != nil {
			tb.Fatalf("%+v: %v", e.Target, err)
		}
	}
}

// revoked reports whether a list refuses a token.
func revoked(l *revoke.List, t revoke.Token) bool {
	_, is := l.Revokes(t)
	return is
}

// entries are those in force.
func entries(tb testing.TB, l *revoke.Ledger) (all []revoke.Entry) {
	tb.Helper()
	for e, err := range l.Entries(tb.Context()) {
		if err != nil {
			tb.Fatal(err)
		}
		all = append(all, *e)
	}
	return all
}
