package revoke_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/revoke"
)

// ownedBy is one issuer with a longest life.
func ownedBy(issuer string, longest time.Duration) *revoke.Owners {
	o := new(revoke.Owners)
	o.Add(revoke.Owner{Issuer: issuer, MaxLifetime: longest})
	return o
}

// A configuration that comes into force while the server is away can be judged if nothing new is to be asked. Otherwise
// the list is not trusted until that was asked.
func TestExpectationsWithoutContact(t *testing.T) {
	together(t, func(t *testing.T, _ *server, a, _ *node) {
		ctx := context.Background()
		owners := ownedBy(issuerA, time.Hour)
		for _, do := range []func(context.Context, *revoke.Owners) error{a.Expect, a.Bound} {
			if err := do(ctx, owners); err != nil {
				t.Fatal(err)
			}
		}
		a.link.cut.Store(true)
		longer := ownedBy(issuerA, 2*time.Hour)
		if err := a.Expect(ctx, longer); err != nil || a.known() != nil {
			t.Errorf("a known issuer: %v, %v", err, a.known())
		}
		now := time.Now().Unix()
		token := revoke.Token{Issuer: issuerA, Set: claimsOf(t, m{"iat": now - 1, "exp": now + 7000})}
		if by, is := a.List().Revokes(token); !is || by.Kind != revoke.Outgrown {
			t.Errorf("a token that lives longer than it could: %v, %v", by, is)
		}
		if err := a.Bound(ctx, longer); err != nil {
			t.Error(err)
		}
		if err := a.Expect(ctx, ownedBy(issuerB, time.Hour)); err != nil || !errors.Is(a.known(), revoke.ErrUnsynced) {
			t.Errorf("an unknown issuer: %v, %v", err, a.known())
		}
		a.link.cut.Store(false)
		time.Sleep(2 * time.Second)
		if a.known() != nil {
			t.Error(a.known())
		}
		text, err := a.link.Get(ctx, "max_lifetime/issuer "+issuerA)
		if want := `"longest":7200000000000`; err != nil || !strings.Contains(string(text), want) {
			t.Errorf("the store has %s, %v; want %s", text, err, want)
		}
	})
}

func TestBoundsAreWrittenBack(t *testing.T) {
	together(t, func(t *testing.T, s *server, a, b *node) {
		ctx := context.Background()
		for _, longest := range []time.Duration{time.Hour, 2 * time.Hour} {
			owners := ownedBy(issuerA, longest)
			if err := errors.Join(a.Expect(ctx, owners), a.Bound(ctx, owners)); err != nil {
				t.Fatal(err)
			}
		}
		before, err := a.link.Get(ctx, "max_lifetime/issuer "+issuerA)
		if err != nil {
			t.Fatal(err)
		}
		s.empty()
		time.Sleep(2 * time.Second)
		if _, err := b.Init(ctx); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Second)
		after, err := a.link.Get(ctx, "max_lifetime/issuer "+issuerA)
		if err != nil || string(after) != string(before) {
			t.Errorf("before %s, after %s, %v", before, after, err)
		}
	})
}

// A server that was emptied does not make a node forget how long tokens could live until now.
func TestALongerLifeInAServerThatWasEmptied(t *testing.T) {
	together(t, func(t *testing.T, s *server, a, _ *node) {
		ctx := context.Background()
		if err := a.Bound(ctx, ownedBy(issuerA, time.Hour)); err != nil {
			t.Fatal(err)
		}
		s.empty()
		longer := ownedBy(issuerA, 2*time.Hour)
		if err := errors.Join(a.Expect(ctx, longer), a.Bound(ctx, longer)); err != nil {
			t.Fatal(err)
		}
		now := time.Now().Unix()
		token := revoke.Token{Issuer: issuerA, Set: claimsOf(t, m{"iat": now - 1, "exp": now + 7000})}
		if by, is := a.List().Revokes(token); !is || by.Kind != revoke.Outgrown {
			t.Errorf("a token that lives longer than it could: %v, %v", by, is)
		}
		text, err := a.link.Get(ctx, "max_lifetime/issuer "+issuerA)
		if err != nil || !strings.Contains(string(text), `"before":3600000000000`) {
			t.Errorf("the store has %s, %v", text, err)
		}
	})
}

// Nor does it when the configuration is the same: then the node gives the server what it knows.
func TestTheSameLifeInAServerThatWasEmptied(t *testing.T) {
	together(t, func(t *testing.T, s *server, a, _ *node) {
		ctx := context.Background()
		owners := ownedBy(issuerA, time.Hour)
		if err := a.Bound(ctx, owners); err != nil {
			t.Fatal(err)
		}
		s.empty()
		if err := a.Bound(ctx, owners); err != nil {
			t.Fatal(err)
		}
		text, err := a.link.Get(ctx, "max_lifetime/issuer "+issuerA)
		if err != nil || !strings.Contains(string(text), "longest") {
			t.Errorf("the store has %s, %v", text, err)
		}
	})
}

// A node that cannot write back bounds does not forget them for those of an old backup.
func TestBoundsOutliveAFailureToWriteThemBack(t *testing.T) {
	together(t, func(t *testing.T, s *server, a, b *node) {
		ctx := context.Background()
		f := &faulty{link: &link{server: s}}
		c := openFaulty(t, f)
		defer c.Close()
		const key = "max_lifetime/issuer " + issuerA
		if err := c.Bound(ctx, ownedBy(issuerA, time.Hour)); err != nil {
			t.Fatal(err)
		}
		backup, err := c.link.Get(ctx, key)
		if err == nil {
			err = c.Bound(ctx, ownedBy(issuerA, 2*time.Hour))
		}
		if err != nil {
			t.Fatal(err)
		}
		want, err := c.link.Get(ctx, key)
		if err != nil {
			t.Fatal(err)
		}
		write(t, a.Ledger, lasting(subject("s"), time.Hour))
		a.Close()
		b.Close()
		time.Sleep(2 * time.Second)
		if ok, err := b.link.Swap(ctx, key, want, backup, time.Time{}); !ok || err != nil {
			t.Fatal(ok, err)
		}
		f.faults.Store(&faults{swap: func(string) {
			f.link.cut.Store(true)
			f.faults.Store(nil)
		}})
		s.goBack(t, 0)
		time.Sleep(5 * time.Second)
		f.link.cut.Store(false)
		time.Sleep(5 * time.Second)
		raised := `"before":3600000000000`
		if got, err := c.link.Get(ctx, key); err != nil || !strings.Contains(string(got), raised) {
			t.Errorf("the store has %s, %v; want %s", got, err, want)
		}
	})
}
