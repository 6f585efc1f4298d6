package logout_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyjwt/gateway/internal/logout"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

var errBroken = errors.New("broken")

// A replay has no effect, and the answer is that of the first time: the server may have lost it.
func TestATokenHasItsEffectOnce(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	var s state
	r := open(t, config(t, &s, key))
	token := key.Sign(t, says(), typed)
	for i, want := range []logout.Outcome{logout.Ended, logout.Repeated, logout.Repeated} {
		outcome, err := r.Receive(request(token))
		if outcome != want || err != nil {
			t.Fatalf("attempt %d: %v, %v", i, outcome, err)
		}
		w := httptest.NewRecorder()
		if logout.Answer(w, err); w.Code != 200 || w.Body.Len() != 0 {
			t.Errorf("attempt %d: status %d, body %q", i, w.Code, w.Body)
		}
	}
	// The server signs the same logout again, as ECDSA does it with another signature, or a moment later.
	again := key.Sign(t, says(m{"iat": start.Unix() + 1}))
	if outcome, err := r.Receive(request(again)); outcome != logout.Repeated || err != nil {
		t.Errorf("the same jti again: %v, %v", outcome, err)
	}
	if len(s.ended) != 1 {
		t.Errorf("ended %v", s.ended)
	}
}

// The jti is the server's to keep unique. When it does not, sessions end all the same.
func TestADoubtfulIdentifierHidesNoOtherLogout(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	var s state
	c := config(t, &s, key)
	c.WithoutSID = logout.EndAll
	r := open(t, c)
	changes := []m{
		{}, {"sid": "s2"}, {"sub": "bob"}, {"jti": "j2"}, {"sid": nil}, {"sub": nil}, {"jti": "j1s", "sid": "1"},
		{"jti": "j", "sub": "1alice"}, {"sub": "alices", "sid": "1"}, {"sub": nil, "sid": "alices1"},
	}
	for _, change := range changes {
		if outcome, err := r.Receive(request(key.Sign(t, says(change)))); outcome != logout.Ended || err != nil {
			t.Errorf("%v: %v, %v", change, outcome, err)
		}
	}
	if len(s.kept) != len(changes) || len(s.ended) != len(changes) {
		t.Errorf("%d logouts are remembered and %d had an effect, of %d", len(s.kept), len(s.ended), len(changes))
	}
	for name := range s.kept {
		if len(name) != 43 {
			t.Errorf("the key %q has %d characters", name, len(name))
		}
	}
	other := config(t, &s, key) // the store is the same
	other.Issuer = "https://other.example"
	token := key.Sign(t, says(m{"iss": other.Issuer}))
	if outcome, err := open(t, other).Receive(request(token)); outcome != logout.Ended || err != nil {
		t.Errorf("another issuer with the same jti: %v, %v", outcome, err)
	}
}

// A token is remembered for longer than it is good for anything.
func TestATokenIsRememberedForLongEnough(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	for _, change := range []m{{}, {"exp": start.Unix() + 1}, {"exp": start.Unix() + 86400}, {"iat": start.Unix() + 5}} {
		var s state
		c := config(t, &s, key)
		now := start
		c.Now = func() time.Time { return now }
		r := open(t, c)
		token := key.Sign(t, says(change), typed)
		if _, err := r.Receive(request(token)); err != nil {
			t.Fatal(err)
		}
		for _, until := range s.kept {
			now = until
			if until.After(start.Add(5 * time.Minute)) {
				t.Errorf("%v is remembered until %v", change, until)
			}
		}
		if _, err := r.Receive(request(token)); !errors.Is(err, logout.Expired) {
			t.Errorf("%v is good after it was forgotten: %v", change, err)
		}
	}
}

// Section 2.7: a token without sid is about all sessions of the subject.
func TestTokensWithoutASession(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	token := key.Sign(t, says(m{"sid": nil}), typed)
	var s state
	c := config(t, &s, key)
	if outcome, err := open(t, c).Receive(request(token)); outcome != logout.Ignored || err != nil || !s.nothing() {
		t.Errorf("by default: %v, %v, and the state %+v", outcome, err, &s)
	}
	c.WithoutSID = logout.EndAll
	if outcome, err := open(t, c).Receive(request(token)); outcome != logout.Ended || err != nil {
		t.Errorf("EndAll: %v, %v", outcome, err)
	}
	if len(s.ended) != 1 || s.ended[0].Session != "" || s.ended[0].Subject != "alice" {
		t.Errorf("ended %+v", s.ended)
	}
	// A token that is ignored is judged like any other.
	forged := tokentest.FlipSignature(t, token)
	if _, err := open(t, config(t, &s, key)).Receive(request(forged)); !errors.Is(err, logout.InvalidSignature) {
		t.Errorf("a forged one: %v", err)
	}
}

// Whatever fails, the answer asks the server to try again, and its next attempt works.
func TestTheNextAttemptWorks(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	for name, c := range map[string]struct {
		fails  func(*state)
		reason logout.Reason
		ended  int // how often Revoke has run in the end
	}{
		"looking":     {func(s *state) { s.noSeen = errBroken }, logout.StoreFailed, 1},
		"revoking":    {func(s *state) { s.noRevoke = errBroken }, logout.RevocationFailed, 1},
		"remembering": {func(s *state) { s.noKeep = errBroken }, logout.StoreFailed, 2},
	} {
		t.Run(name, func(t *testing.T) {
			var s state
			c.fails(&s)
			token := key.Sign(t, says(), typed)
			_, err := open(t, config(t, &s, key)).Receive(request(token))
			if !errors.Is(err, c.reason) || !errors.Is(err, errBroken) || len(s.kept) != 0 {
				t.Fatalf("error %v, want %v", err, c.reason)
			}
			checkRefusal(t, err, token, 400)

			s.noSeen, s.noRevoke, s.noKeep = nil, nil, nil
			r := open(t, config(t, &s, key)) // the process may have ended in between
			if outcome, err := r.Receive(request(token)); outcome != logout.Ended || err != nil {
				t.Fatalf("the next attempt: %v, %v", outcome, err)
			}
			if outcome, err := r.Receive(request(token)); outcome != logout.Repeated || err != nil {
				t.Errorf("and the one after that: %v, %v", outcome, err)
			}
			if len(s.ended) != c.ended || s.ended[0] != s.ended[len(s.ended)-1] {
				t.Errorf("ended %v, want %d equal ones", s.ended, c.ended)
			}
		})
	}
}

// many sends a token from 64 clients at the same time, and counts the outcomes. Those with an error are at 0.
func many(r *logout.Receiver, token string, meanwhile func()) map[logout.Outcome]int {
	const clients = 64
	outcomes := make(chan logout.Outcome, clients)
	var all sync.WaitGroup
	begin := make(chan struct{})
	for range clients {
		req := request(token)
		all.Go(func() {
			<-begin
			outcome, _ := r.Receive(req)
			outcomes <- outcome
		})
	}
	close(begin)
	meanwhile()
	all.Wait()
	close(outcomes)
	count := make(map[logout.Outcome]int)
	for outcome := range outcomes {
		count[outcome]++
	}
	return count
}

func TestARaceHasOneEffect(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	for round := range 20 {
		s := state{revoking: func(context.Context) { runtime.Gosched() }} // others come in between
		token := key.Sign(t, says(m{"jti": fmt.Sprint("j", round)}))
		count := many(open(t, config(t, &s, key)), token, func() {})
		if count[logout.Ended] != 1 || count[logout.Repeated] != 63 || len(s.ended) != 1 {
			t.Fatalf("outcomes %v, and ended %v", count, s.ended)
		}
	}
}

// All requests wait for the one that is at work, and share its failure.
func TestARaceWhileRevokingTakesTime(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	token := key.Sign(t, says())
	for _, trouble := range []error{nil, errBroken} {
		synctest.Test(t, func(t *testing.T) {
			s := state{noRevoke: trouble}
			release, calls := make(chan struct{}), 0
			s.revoking = func(context.Context) { calls++; <-release }
			r := open(t, config(t, &s, key))
			count := many(r, token, func() {
				synctest.Wait() // until one is at work and all others wait
				close(release)
			})
			if calls != 1 || s.looks != 1 {
				t.Errorf("%d calls of Revoke and %d of Seen", calls, s.looks)
			}
			want := map[logout.Outcome]int{logout.Ended: 1, logout.Repeated: 63}
			if trouble != nil {
				want = map[logout.Outcome]int{0: 64}
			}
			for outcome, n := range want {
				if count[outcome] != n {
					t.Errorf("outcomes %v, want %v", count, want)
				}
			}
			s.noRevoke = nil
			if outcome, err := r.Receive(request(token)); err != nil || (outcome == logout.Ended) != (trouble != nil) {
				t.Errorf("the next attempt: %v, %v", outcome, err)
			}
		})
	}
}

// A server that gives up waiting does not stop a logout halfway, and a store that hangs does not hold it for ever.
func TestALogoutGoesOnWithoutTheServer(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	ctx, leave := context.WithCancel(t.Context())
	s := state{revoking: func(context.Context) { leave() }}
	req := request(key.Sign(t, says())).WithContext(ctx)
	if outcome, err := open(t, config(t, &s, key)).Receive(req); outcome != logout.Ended || err != nil {
		t.Errorf("the server leaves while its session ends: %v, %v", outcome, err)
	}
	synctest.Test(t, func(t *testing.T) {
		s := state{revoking: func(ctx context.Context) { <-ctx.Done() }}
		begin := time.Now()
		_, err := open(t, config(t, &s, key)).Receive(request(key.Sign(t, says())))
		if !errors.Is(err, logout.RevocationFailed) || time.Since(begin) != 10*time.Second || len(s.kept) != 0 {
			t.Errorf("error %v after %v", err, time.Since(begin))
		}
	})
}

func TestNamesOfOutcomes(t *testing.T) {
	for outcome, name := range map[logout.Outcome]string{
		logout.Ended: "ended", logout.Repeated: "repeated", logout.Ignored: "ignored", 0: "invalid",
	} {
		if outcome.String() != name {
			t.Errorf("%d is %q, want %q", outcome, outcome, name)
		}
	}
}
