package revoke_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/caddyjwt/gateway/internal/revoke"
)

// views are one token as different gates judge it: by other claims, of an issuer with tenants, for other consumers.
func views(tb testing.TB) (views []revoke.Token) {
	tb.Helper()
	set := claimsOf(tb, m{
		"jti": "j", "sub": "s", "sid": "session", "azp": "c", "tier": 3, "groups": []any{"a", "b"},
		"many": []any{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13},
	})
	for _, terms := range []*revoke.Terms{
		nil, terms(tb, "groups"), terms(tb, "tier"), terms(tb, "groups", "tier"), terms(tb, "many"),
		revoke.NewTerms("https://*", parsed(tb, "groups")...), revoke.NewTerms("https://*.*"),
	} {
		views = append(views, revoke.Token{Issuer: issuerA, Set: set, Terms: terms, Raw: "itself"})
		for _, consumer := range []string{"shop", "bank"} {
			views = append(views, revoke.Token{Consumer: consumer, Set: set, Terms: terms, Raw: "itself"},
				revoke.Token{Issuer: issuerA, Consumer: consumer, Set: set, Terms: terms, Raw: "itself"})
		}
	}
	return views
}

// What is remembered of a token never changes what is said of it, whichever gates and lists judge it in between.
func TestAMemoryChangesNoVerdict(t *testing.T) {
	var targets []revoke.Target
	for _, view := range views(t) {
		for target := range revoke.Targets(view) {
			targets = append(targets, target)
		}
	}
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same each time
	refused, passed := 0, 0
	for range 300 {
		lists := []*revoke.List{revoke.NewList(), revoke.NewList()}
		memory, all := new(revoke.Memory), views(t)
		for range 40 {
			list := lists[random.IntN(len(lists))]
			if random.IntN(8) == 0 {
				list.Apply(out(targets[random.IntN(len(targets))]))
			}
			list.Trust(start)
			view := all[random.IntN(len(all))]
			_, want := list.Revokes(view)
			view.Memory = memory
			generation, _ := list.Generation(start.Add(-1))
			if view.WasGood(generation) {
				if want {
					t.Fatalf("%+v counts as good, and is revoked", view)
				}
				continue
			}
			if _, got := list.Revokes(view); got != want {
				t.Fatalf("%+v: revoked %v, and without a memory %v", view, got, want)
			}
			if want {
				refused++
				continue
			}
			passed++
			view.KeepGood(generation)
			if !view.WasGood(generation) {
				t.Fatalf("%+v was good a moment ago", view)
			}
		}
	}
	t.Logf("refused %d, passed %d", refused, passed)
	if refused < 500 || passed < 500 {
		t.Error("too few of one kind")
	}
}

// Tokens without a Memory are looked up each time, and so is a token that was good for somebody else alone.
func TestWithoutAMemoryNothingIsKnown(t *testing.T) {
	list := revoke.NewList()
	list.Trust(start)
	generation, _ := list.Generation(start.Add(-1))
	token := issued(t, m{"sub": "s"})
	token.KeepGood(generation)
	if token.WasGood(generation) {
		t.Error("known without a memory")
	}
	token.Memory = new(revoke.Memory)
	token.KeepGood(generation)
	for name, change := range map[string]func(*revoke.Token){
		"other claims":       func(other *revoke.Token) { other.Terms = terms(t, "groups") },
		"tenants":            func(other *revoke.Token) { other.Terms = revoke.NewTerms("https://*") },
		"another consumer":   func(other *revoke.Token) { other.Consumer = "shop" },
		"a consumer's alone": func(other *revoke.Token) { other.Issuer, other.Consumer = "", "shop" },
	} {
		other := token
		if change(&other); other.WasGood(generation) {
			t.Errorf("%s: believes another gate", name)
		}
	}
	if !token.WasGood(generation) {
		t.Error("the token is not known as good any more")
	}
}

// Any number of requests may judge one token for different gates while something is written.
func TestManyUseOneMemory(t *testing.T) {
	list, memory := revoke.NewList(), new(revoke.Memory)
	list.Trust(start)
	var users sync.WaitGroup
	for _, view := range views(t) {
		view.Memory = memory
		users.Go(func() {
			for range 500 {
				generation, _ := list.Generation(start.Add(-1))
				if view.WasGood(generation) {
					continue
				}
				if by, revoked := list.Revokes(view); revoked {
					t.Errorf("revoked by %+v", by)
				}
				view.KeepGood(generation)
			}
		})
	}
	for i := range 500 {
		list.Apply(out(subject(fmt.Sprint("other ", i))))
	}
	users.Wait()
	list.Apply(out(subject("s")))
	for _, view := range views(t) {
		generation, _ := list.Generation(start.Add(-1))
		view.Memory = memory
		if _, revoked := list.Revokes(view); revoked != (view.Issuer != "") || revoked && view.WasGood(generation) {
			t.Errorf("%+v: revoked %v, known as good %v", view, revoked, view.WasGood(generation))
		}
	}
}
