//go:build e2e

package e2e_test

import (
	"encoding/base64"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A server changes its keys under load, without any overlap. A token is good while the server publishes its key both at
// the beginning and at the end of a request, and retired when at neither. No good token may ever be called bad,
// whatever else is sent. Run with -v for the counts.

// step is the time between two new tokens, and the unit of the plans.
const step = 200 * time.Millisecond

func TestAKeyIsReplacedUnderItsID(t *testing.T) {
	t.Parallel()
	newTraffic(t).run(t, 30, map[int]string{10: "samekid"}, nil)
}

// Old tokens are still sent, as clients do that keep theirs until it expires.
func TestKeysAreReplacedTwice(t *testing.T) {
	t.Parallel()
	newTraffic(t).run(t, 45, map[int]string{10: "replace", 28: "replace"}, nil)
}

func TestKeysAreReplacedBesideInventedKeyIDs(t *testing.T) {
	for name, invent := range map[string]func(n int) string{
		"each for one request": func(n int) string { return fmt.Sprint("invented-", n) },
		"those of the next keys": func(n int) string {
			return fmt.Sprint("ES256-", 2+n%3) // as as/keys.js counts them
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			newTraffic(t).run(t, 60, map[int]string{25: "replace", 43: "replace"}, invent)
		})
	}
}

// signed is a token and the state of the server when it was issued.
type signed struct {
	text  string
	state int64
}

// traffic is what clients send to a gateway, and how it is answered.
type traffic struct {
	as      *authorizationServer
	g       *gate
	state   atomic.Int64 // counts the changes of keys, twice each: odd while one is under way
	workers sync.WaitGroup

	mu         sync.Mutex
	fresh, old []signed
	good       map[int]int // by status
	retired    map[int]int
	between    int // requests while the keys changed
}

func newTraffic(t *testing.T) *traffic {
	t.Helper()
	as := ownProvider(t)
	l := &traffic{as: as, g: startGateway(t, trust(as.Issuer)), good: map[int]int{}, retired: map[int]int{}}
	l.fresh = []signed{{as.token(t, as.Issuer, "ES256", "read"), 0}}
	l.g.accepts(t, l.fresh[0].text)
	return l
}

// run lets clients send tokens while the keys change by plan, and judges the answers.
func (l *traffic) run(t *testing.T, steps int, plan map[int]string, invent func(n int) string) {
	t.Helper()
	began, stop := time.Now(), make(chan struct{})
	for range 4 {
		l.every(40*time.Millisecond, stop, func(int) { l.send(t, l.pick(func() []signed { return l.fresh })) })
	}
	l.every(100*time.Millisecond, stop, func(int) { l.send(t, l.pick(func() []signed { return l.old })) })
	if invent != nil {
		l.every(time.Second/6, stop, func(n int) { l.invented(t, invent(n), n) })
	}
	tick := time.NewTicker(step)
	defer tick.Stop()
	for i := range steps {
		<-tick.C
		if how, planned := plan[i]; planned {
			l.change(t, how)
		}
		l.issue(t)
	}
	close(stop)
	l.workers.Wait()
	l.judge(t, len(plan), time.Since(began))
}

// every makes a client do something again and again.
func (l *traffic) every(pause time.Duration, stop <-chan struct{}, do func(n int)) {
	l.workers.Go(func() {
		tick := time.NewTicker(pause)
		defer tick.Stop()
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			case <-tick.C:
				do(n)
			}
		}
	})
}

// change makes the server change its keys.
func (l *traffic) change(t *testing.T, how string) {
	t.Helper()
	l.state.Add(1)
	l.as.post(t, l.as.Issuer+"/__"+how, nil)
	l.state.Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.old = append(l.old, l.fresh...)
	l.fresh = nil
}

// issue gets a token for the clients. They have the last five.
func (l *traffic) issue(t *testing.T) {
	t.Helper()
	token := signed{l.as.token(t, l.as.Issuer, "ES256", "read"), l.state.Load()}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fresh = append(l.fresh, token)
	l.fresh = l.fresh[max(0, len(l.fresh)-5):]
}

// pick takes a token out of a list, which may have none.
func (l *traffic) pick(list func() []signed) (token signed) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if tokens := list(); len(tokens) > 0 {
		token = tokens[rand.IntN(len(tokens))]
	}
	return token
}

// send sends a token and counts the answer.
func (l *traffic) send(t *testing.T, token signed) {
	if token.text == "" {
		return
	}
	before := l.state.Load()
	status, ok := l.request(t, token.text)
	after := l.state.Load()
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case !ok:
	case before != after || before%2 != 0:
		l.between++
	case token.state == before:
		l.good[status]++
	default:
		l.retired[status]++
	}
}

// request gives the status of an answer. An answer that says "later" must say when.
func (l *traffic) request(t *testing.T, token string) (status int, ok bool) {
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://gateway/orders", nil)
	if err != nil {
		t.Error(err)
		return 0, false
	}
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := l.g.client.Do(req)
	if err != nil {
		t.Error(err)
		return 0, false
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body)
	if res.StatusCode == http.StatusServiceUnavailable {
		if wait, err := strconv.Atoi(res.Header.Get("Retry-After")); err != nil || wait < 1 || wait > 5 {
			t.Errorf("Retry-After %q", res.Header.Get("Retry-After"))
		}
	}
	return res.StatusCode, true
}

// invented sends a token of this issuer with a key id that somebody made up.
func (l *traffic) invented(t *testing.T, kid string, n int) {
	encode := base64.RawURLEncoding.EncodeToString
	parts := []string{
		encode(fmt.Appendf(nil, `{"alg":"ES256","kid":%q}`, kid)),
		encode(fmt.Appendf(nil, `{"iss":%q,"aud":%q,"exp":%d}`, l.as.Issuer, api, time.Now().Add(time.Hour).Unix())),
		encode(fmt.Appendf(nil, "%064d", n)),
	}
	status, ok := l.request(t, strings.Join(parts, "."))
	if ok && status != http.StatusUnauthorized && status != http.StatusServiceUnavailable {
		t.Errorf("an invented token: status %d", status)
	}
}

// judge prints the counts. It wants no good token called bad, no retired one accepted in the end, and no more fetches
// than the documents say.
func (l *traffic) judge(t *testing.T, changes int, took time.Duration) {
	t.Helper()
	fetches := l.fetches(t)
	l.mu.Lock()
	defer l.mu.Unlock()
	t.Logf("good tokens by status: %v; retired ones: %v; %d requests while keys changed; %d fetches in %.0f s",
		l.good, l.retired, l.between, fetches, took.Seconds())
	for status, n := range l.good {
		if status != http.StatusOK && status != http.StatusServiceUnavailable {
			t.Errorf("%d good tokens were answered with %d", n, status)
		}
	}
	if l.good[http.StatusOK] == 0 {
		t.Error("no good token has passed")
	}
	eventually(t, "the newest key is known", func() bool {
		status, ok := l.request(t, l.fresh[0].text)
		return ok && status == http.StatusOK
	})
	for _, token := range l.old {
		if status, ok := l.request(t, token.text); ok && status == http.StatusOK {
			t.Error("a retired token passes, though the newest key is known")
		}
	}
	// The first; six at once and thirty a minute; and six more for each change.
	if most := 1 + 6 + int(took.Minutes()*30) + 6*changes; fetches > most {
		t.Errorf("%d fetches, want at most %d", fetches, most)
	}
}

// fetches is how often the server's key set was fetched.
func (l *traffic) fetches(t *testing.T) int {
	t.Helper()
	res, err := http.Get(l.as.Issuer + "/__fetches")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(res.Body)
	n, err := strconv.Atoi(string(text))
	if err != nil {
		t.Fatalf("%q is not a number of fetches", text)
	}
	return n
}
