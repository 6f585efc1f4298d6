package revoke

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// An entry is kept for as long as a token may live. When tokens may live longer from some moment on, entries of before
// are forgotten too early for tokens that live longer. No such token was ever good before that moment. So the old bound
// goes on for tokens that were issued before it: nothing is un-revoked by its age.

// bounds is what the store has about the tokens of one owner.
type bounds struct {
	// Longest is max_lifetime at present.
	Longest time.Duration `json:"longest"`
	// Raised are the moments when it became longer, the latest last.
	Raised []raise `json:"raised,omitempty"`
}

// raise bounds the life of tokens that were issued until a moment.
type raise struct {
	Until  time.Time     `json:"until"`
	Before time.Duration `json:"before"`
}

// maxRaises is how many raises are told apart. Of more, the oldest have the bound of the one after them.
const maxRaises = 8

// with is what becomes of bounds when the longest life is another one. The leeway is that of the owner.
func (b bounds) with(longest, leeway time.Duration, now time.Time) bounds {
	next := bounds{Longest: longest}
	for _, r := range b.Raised {
		if now.Before(r.Until.Add(longest + 2*leeway)) { // later, all tokens that it is about have expired
			next.Raised = append(next.Raised, r)
		}
	}
	if b.Longest != 0 && longest > b.Longest {
		next.Raised = append(next.Raised, raise{now.Add(leeway).UTC(), b.Longest})
	}
	for len(next.Raised) > maxRaises {
		next.Raised[1].Before = min(next.Raised[0].Before, next.Raised[1].Before)
		next.Raised = next.Raised[1:]
	}
	return next
}

// and are bounds that refuse what either would. A raise is left out if another one refuses all that it does.
func (b bounds) and(c bounds) bounds {
	both := bounds{Longest: c.Longest}
	for _, r := range slices.Concat(b.Raised, c.Raised) {
		covers := func(s raise) bool { return !s.Until.Before(r.Until) && s.Before <= r.Before }
		if slices.ContainsFunc(both.Raised, covers) {
			continue
		}
		both.Raised = slices.DeleteFunc(both.Raised, func(s raise) bool {
			return !r.Until.Before(s.Until) && r.Before <= s.Before
		})
		both.Raised = append(both.Raised, r)
	}
	return both
}

func (b bounds) equal(c bounds) bool {
	return b.Longest == c.Longest && slices.EqualFunc(b.Raised, c.Raised, func(x, y raise) bool {
		return x.Until.Equal(y.Until) && x.Before == y.Before
	})
}

// exceeded finds the bound that a token exceeds; nil for none.
func (b bounds) exceeded(t *Token) *raise {
	at, end := t.Set.IssuedAt, t.Set.ExpiresAt
	for i := range b.Raised {
		if r := &b.Raised[i]; at.IsZero() || end.IsZero() || !at.After(r.Until) && end.Sub(at) > r.Before {
			return r
		}
	}
	return nil
}

// consumers names the owner of the tokens of all consumers.
const consumers = "consumers"

// name identifies the owner in the store.
func (o *Owner) name() string {
	if o.IsConsumer != nil {
		return consumers
	}
	return "issuer " + o.Issuer
}

// owner is the name of the owner of a token.
func (t *Token) owner() string {
	if t.Issuer == "" {
		return consumers
	}
	return "issuer " + cmp.Or(t.pattern(), t.Issuer)
}

// changeBounds has the list refuse tokens that live longer than they could when they were issued. change gives the
// bounds of one owner in place of those before. It is called for those that have some, and for those of found.
func (l *List) changeBounds(change func(name string, before bounds) bounds, found map[string]bounds) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var before map[string]bounds
	if all := l.bounds.Load(); all != nil {
		before = *all
	}
	names := maps.Clone(found)
	maps.Copy(names, before)
	all := make(map[string]bounds)
	for name := range names {
		if after := change(name, before[name]); len(after.Raised) > 0 {
			all[name] = after
		}
	}
	if !maps.EqualFunc(before, all, bounds.equal) {
		l.bounds.Store(&all)
		l.generation.Store(generations.Add(1))
	}
}

// outgrown reports whether a token lives longer than tokens of its owner could when it was issued.
func (l *List) outgrown(t *Token) (by Match, is bool) {
	all := l.bounds.Load()
	if all == nil || len(*all) == 0 {
		return Match{}, false
	}
	r := (*all)[t.owner()].exceeded(t)
	if r == nil {
		return Match{}, false
	}
	return Match{Target{Issuer: t.Issuer, Consumer: t.Consumer, Kind: Outgrown}, r.Until, r.Before}, true
}
