package session_test

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/session"
	"github.com/caddyjwt/gateway/internal/store"
)

// The keys of the tests: none is one of their keys, too.
const (
	ownKey   = "own"
	otherKey = "other"
)

// keyed is a house that knows to which key its last access token was bound.
type keyed struct {
	*house

	mu  sync.Mutex
	key string
}

func newKeyed(tb testing.TB) *keyed {
	tb.Helper()
	k := new(keyed)
	k.house = newHouse(tb, store.NewMemory(), func(o *session.Options) {
		sign := o.Sign
		o.Sign = func(ctx context.Context, a *session.Access) (string, error) {
			k.mu.Lock()
			defer k.mu.Unlock()
			k.key = a.Key
			return sign(ctx, a)
		}
	})
	return k
}

// signedFor is the key of the last access token.
func (k *keyed) signedFor() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.key
}

// beginWith begins a session with a key; empty for none.
func (k *keyed) beginWith(tb testing.TB, agreed *session.Terms, key string) *session.Pair {
	tb.Helper()
	login := *alice
	login.Key = key
	p, err := k.Begin(tb.Context(), agreed, &login)
	if err != nil {
		tb.Fatal(err)
	}
	if p.Key != key || k.signedFor() != key {
		tb.Fatalf("the pair is bound to %q, and its token to %q, want %q", p.Key, k.signedFor(), key)
	}
	return p
}

// with refreshes with a key, and wants a pair that is bound to it.
func (k *keyed) with(tb testing.TB, agreed *session.Terms, token, key string) *session.Pair {
	tb.Helper()
	k.clock.advance(time.Second)
	p, err := k.Refresh(tb.Context(), agreed, token, session.Proof{Key: key})
	if err != nil {
		tb.Fatal(err)
	}
	if p.Key != key || k.signedFor() != key {
		tb.Fatalf("the pair is bound to %q, and its token to %q, want %q", p.Key, k.signedFor(), key)
	}
	return p
}

// refuses wants an error, which has no token.
func (k *keyed) refuses(tb testing.TB, agreed *session.Terms, token, key string, want error) {
	tb.Helper()
	p, err := k.Refresh(tb.Context(), agreed, token, session.Proof{Key: key})
	if !errors.Is(err, want) || p != nil || strings.Contains(err.Error(), token) {
		tb.Fatalf("with the key %q: the pair %v and the error %v, want %v", key, p, err, want)
	}
	if want == session.ErrOtherKey && errors.Is(err, session.ErrInvalid) {
		tb.Fatalf("%v says that the session has ended", err)
	}
}

// withAndWithoutGrace are the terms to try.
func withAndWithoutGrace() map[string]*session.Terms {
	return map[string]*session.Terms{"no grace": terms(), "grace": terms(grace)}
}

// A session that begins with a key goes on with that key alone (RFC 9449 section 5).
func TestASessionGoesOnWithItsKeyAlone(t *testing.T) {
	for name, agreed := range withAndWithoutGrace() {
		t.Run(name, func(t *testing.T) {
			k := newKeyed(t)
			p := k.beginWith(t, agreed, ownKey)
			for range 3 {
				for _, key := range []string{"", otherKey, ownKey + "x", "ow"} {
					k.refuses(t, agreed, p.Refresh, key, session.ErrOtherKey)
				}
				if !k.lives(p) || k.events() != 0 {
					t.Fatalf("the session does not go on: %v", k.reused)
				}
				p = k.with(t, agreed, p.Refresh, ownKey)
			}
		})
	}
}

// In the grace, whoever has the old token and not the key gets nothing.
func TestTheGraceNeedsTheKey(t *testing.T) {
	k := newKeyed(t)
	first := k.beginWith(t, terms(grace), ownKey)
	next := k.with(t, terms(grace), first.Refresh, ownKey)
	for _, key := range []string{"", otherKey} {
		k.refuses(t, terms(grace), first.Refresh, key, session.ErrOtherKey)
	}
	again, err := k.Refresh(t.Context(), terms(grace), first.Refresh, session.Proof{Key: ownKey})
	if err != nil || *again != *next {
		t.Errorf("%+v, %v, want %+v", again, err, next)
	}
}

// A refresh token that was stolen without its key is worth nothing, also to end the session. That goes for one that was
// used, too.
func TestAttackATokenWithoutItsKeyEndsNothing(t *testing.T) {
	for name, agreed := range withAndWithoutGrace() {
		t.Run(name, func(t *testing.T) {
			k := newKeyed(t)
			first := k.beginWith(t, agreed, ownKey)
			last := k.with(t, agreed, first.Refresh, ownKey)
			last = k.with(t, agreed, last.Refresh, ownKey)
			for _, key := range []string{"", otherKey} {
				k.refuses(t, agreed, first.Refresh, key, session.ErrOtherKey)
				k.refuses(t, agreed, last.Refresh, key, session.ErrOtherKey)
			}
			if !k.lives(last) || k.events() != 0 {
				t.Fatalf("the session does not go on: %v", k.reused)
			}
			last = k.with(t, agreed, last.Refresh, ownKey)
			k.refuses(t, agreed, first.Refresh, ownKey, session.ErrReused)
			if k.lives(last) || k.events() != 1 {
				t.Errorf("a second use with the key ends nothing: %v", k.reused)
			}
			k.refuses(t, agreed, last.Refresh, ownKey, session.ErrInvalid)
		})
	}
}

// A session without a key is bound by the first refresh with one, and stays with it.
func TestARefreshBindsASession(t *testing.T) {
	for name, agreed := range withAndWithoutGrace() {
		t.Run(name, func(t *testing.T) {
			k := newKeyed(t)
			p := k.beginWith(t, agreed, "")
			p = k.with(t, agreed, p.Refresh, "")
			p = k.with(t, agreed, p.Refresh, ownKey)
			for _, key := range []string{"", otherKey} {
				k.refuses(t, agreed, p.Refresh, key, session.ErrOtherKey)
			}
			if !k.lives(p) || k.events() != 0 {
				t.Fatalf("the session does not go on: %v", k.reused)
			}
			k.with(t, agreed, p.Refresh, ownKey)
		})
	}
}

// A thief of a token that is bound to nothing may bind the session to a key of their own. Then the token of the owner
// comes again, without a key or with another one, and that ends the session as any second use does. So does that of the
// thief, when the owner was first.
func TestAttackAThiefWhoBindsASessionIsNoticed(t *testing.T) {
	for name, agreed := range withAndWithoutGrace() {
		for _, key := range []string{"", otherKey} {
			for refreshes := range 3 {
				k := newKeyed(t)
				stolen := k.beginWith(t, agreed, "")
				last := k.with(t, agreed, stolen.Refresh, ownKey)
				for range refreshes {
					last = k.with(t, agreed, last.Refresh, ownKey)
				}
				k.refuses(t, agreed, stolen.Refresh, key, session.ErrReused)
				if k.lives(stolen) || k.lives(last) || k.events() != 1 {
					t.Errorf("%s, key %q, %d refreshes: the session lives, or nobody hears of it", name, key, refreshes)
				}
				k.refuses(t, agreed, last.Refresh, ownKey, session.ErrInvalid)
			}
		}
	}
}

// Of two who use one token at the same moment, and of whom one has a key, one gets a pair, and the session has ended.
func TestAttackAThiefWhoBindsASessionAtTheSameMoment(t *testing.T) {
	for range rounds / 10 {
		k := newKeyed(t)
		first := k.beginWith(t, terms(), "")
		k.clock.advance(time.Second)
		var all sync.WaitGroup
		var pairs [2]*session.Pair
		var errs [2]error
		for i, key := range []string{"", ownKey} {
			all.Go(func() {
				pairs[i], errs[i] = k.Refresh(t.Context(), terms(), first.Refresh, session.Proof{Key: key})
			})
		}
		all.Wait()
		won := 0
		if pairs[0] == nil {
			won = 1
		}
		if pairs[won] == nil || errs[won] != nil || !errors.Is(errs[1-won], session.ErrReused) || k.lives(pairs[won]) {
			t.Fatalf("%v, %v", pairs, errs)
		}
	}
}

// Versions of this program that do not know of keys must not read the record of a session that has one: they would let
// it go on without. A record that is neither one nor the other decides nothing.
func TestRecordsOfBoundSessionsAreOfAnotherVersion(t *testing.T) {
	k := newKeyed(t)
	read := func(p *session.Pair) (parts m) {
		text, err := k.store.Get(t.Context(), "session/"+p.Session)
		if err == nil {
			err = json.Unmarshal(text, &parts)
		}
		if err != nil {
			t.Fatal(err)
		}
		return parts
	}
	free := k.beginWith(t, terms(), "")
	if parts := read(free); parts["v"] != 1.0 || parts["k"] != nil {
		t.Errorf("a session without a key: %v", parts)
	}
	bound := k.beginWith(t, terms(), ownKey)
	if parts := read(bound); parts["v"] != 2.0 || parts["k"] != ownKey {
		t.Errorf("a session with a key: %v", parts)
	}
	late := k.with(t, terms(), free.Refresh, ownKey)
	if parts := read(late); parts["v"] != 2.0 || parts["k"] != ownKey {
		t.Errorf("a session that was bound later: %v", parts)
	}
	good := read(bound)
	for name, change := range map[string]m{
		"as an old version": {"v": 1}, "of a later version": {"v": 3}, "without its key": {"k": ""},
		"free, and bound later": {"v": 1, "k": "", "n": true}, "a key that is no text": {"k": 1},
	} {
		changed := maps.Clone(good)
		maps.Copy(changed, change)
		text, err := json.Marshal(changed)
		if err == nil {
			err = k.store.Put(t.Context(), "session/"+bound.Session, text, time.Time{})
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range []string{"", ownKey} {
			_, err := k.Refresh(t.Context(), terms(), bound.Refresh, session.Proof{Key: key})
			if !errors.Is(err, session.ErrUnavailable) || !strings.Contains(err.Error(), "delete the session") {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

func TestKeysThatAreNoThumbprints(t *testing.T) {
	k := newKeyed(t)
	p := k.beginWith(t, terms(), strings.Repeat("k", 64))
	for name, key := range map[string]string{"65 bytes": strings.Repeat("k", 65), "no UTF-8": "\xff"} {
		login := *alice
		login.Key = key
		if _, err := k.Begin(t.Context(), terms(), &login); !errors.Is(err, session.ErrTerms) {
			t.Errorf("a login with a key of %s: %v", name, err)
		}
		if _, err := k.Refresh(t.Context(), terms(), p.Refresh, session.Proof{Key: key}); !errors.Is(err, session.ErrTerms) {
			t.Errorf("a refresh with a key of %s: %v", name, err)
		}
	}
	k.with(t, terms(), p.Refresh, strings.Repeat("k", 64))
}

// A proof is used up when all else is good. Strangers, who have no token of a session, use up nothing: they would fill
// what remembers it.
func TestAttackStrangersUseUpNoProofs(t *testing.T) {
	k := newKeyed(t)
	used := 0
	proof := func(key string) session.Proof {
		return session.Proof{Key: key, Use: func(context.Context) error { used++; return nil }}
	}
	p := k.beginWith(t, terms(), ownKey)
	elsewhere := terms(func(t *session.Terms) { t.App = "other" })
	nobody := terms(func(t *session.Terms) {
		t.Holder = func(context.Context, string) (*session.Holder, error) { return nil, nil }
	})
	gone := k.beginWith(t, terms(), ownKey)
	for name, c := range map[string]struct {
		terms      *session.Terms
		token, key string
		want       error
	}{
		"no token":         {terms(), "x", ownKey, session.ErrMalformed},
		"unknown":          {terms(), flipped(p.Refresh[0]) + p.Refresh[1:], ownKey, session.ErrInvalid},
		"of another app":   {elsewhere, p.Refresh, ownKey, session.ErrInvalid},
		"with another key": {terms(), p.Refresh, otherKey, session.ErrOtherKey},
		"of nobody":        {nobody, gone.Refresh, ownKey, session.ErrInvalid},
	} {
		if _, err := k.Refresh(t.Context(), c.terms, c.token, proof(c.key)); !errors.Is(err, c.want) || used != 0 {
			t.Errorf("%s: %v, want %v, and %d proofs are used up", name, err, c.want, used)
		}
	}
	next, err := k.Refresh(t.Context(), terms(), p.Refresh, proof(ownKey))
	if err != nil || used != 1 {
		t.Fatalf("%v, and %d proofs are used up", err, used)
	}
	_, err = k.Refresh(t.Context(), terms(), p.Refresh, proof(ownKey))
	if !errors.Is(err, session.ErrReused) || used != 1 {
		t.Errorf("a second use: %v, and %d proofs are used up", err, used)
	}
	k.refuses(t, terms(), next.Refresh, ownKey, session.ErrInvalid)
}

var errUsed = errors.New("the proof was used before")

// A proof that was used before refuses the refresh, and changes nothing: also in the grace.
func TestAProofThatWasUsedRefusesTheRefresh(t *testing.T) {
	k := newKeyed(t)
	used := session.Proof{Key: ownKey, Use: func(context.Context) error { return errUsed }}
	first := k.beginWith(t, terms(grace), ownKey)
	k.clock.advance(time.Second)
	if p, err := k.Refresh(t.Context(), terms(grace), first.Refresh, used); !errors.Is(err, errUsed) || p != nil {
		t.Errorf("%v, %v", p, err)
	}
	if !k.lives(first) {
		t.Error("the access token is cut off")
	}
	next := k.with(t, terms(grace), first.Refresh, ownKey)
	if p, err := k.Refresh(t.Context(), terms(grace), first.Refresh, used); !errors.Is(err, errUsed) || p != nil {
		t.Errorf("in the grace: %v, %v", p, err)
	}
	k.with(t, terms(grace), next.Refresh, ownKey)
}

// A refresh that has to look again because others have changed the record uses its proof once.
func TestARefreshThatLooksAgainUsesItsProofOnce(t *testing.T) {
	for name, agreed := range withAndWithoutGrace() {
		t.Run(name, func(t *testing.T) {
			k := newKeyed(t)
			first := k.beginWith(t, agreed, ownKey)
			k.clock.advance(time.Second)
			used := 0
			_, err := k.Refresh(t.Context(), agreed, first.Refresh, session.Proof{Key: ownKey, Use: func(context.Context) error {
				if used++; used == 1 { // somebody is faster
					k.with(t, agreed, first.Refresh, ownKey)
				}
				return nil
			}})
			if used != 1 || agreed.Grace == 0 && !errors.Is(err, session.ErrReused) || agreed.Grace > 0 && err != nil {
				t.Errorf("%v, and %d uses", err, used)
			}
		})
	}
}
