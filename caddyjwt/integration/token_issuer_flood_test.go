package integration

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// Somebody tries ten thousand wrong passwords from a hundred addresses, each with one connection. Half of the addresses
// wait for their turns. The others have used up their failures, and come back as soon as they are refused. A user from
// another address gets in all the same, each time, and few of the guesses cost a hash.
func TestAttackGuessesFromManyAddressesHoldUpNobody(t *testing.T) {
	long(t)
	if raced {
		t.Skip("the race detector makes hashes too slow")
	}
	const guesses, addresses, logins = 10_000, 100, 40
	b := newBooth(t)
	hash, alone := slowHashOf(t, password)
	b.runs(issuingFor(ownIssuer, "user alice "+hash, appOf(orders)), localGate())
	b.attack(t, "guesses", func(t *testing.T, b *booth, _ *attempt) {
		f := b.flood(t, addresses)
		f.guess(addresses) // one of each
		eventually(t, "the others have their answers", func() bool {
			return f.limited.Load()+f.wrong.Load() >= addresses/2
		})
		var all sync.WaitGroup
		defer all.Wait()
		all.Go(func() { f.goOn(guesses - addresses) })
		wrong, began := f.wrong.Load(), time.Now()
		tick := time.NewTicker(250 * time.Millisecond) // so that not each login comes when a hash begins
		defer tick.Stop()
		var took []time.Duration
		for range logins {
			<-tick.C
			took = append(took, f.login())
		}
		once := eachOf(f.wrong.Load()-wrong+logins, time.Since(began))
		all.Wait()
		f.stop()
		slices.Sort(took)
		late := took[logins*95/100-1]
		t.Logf("%d logins: median %v, 95th percentile %v, %.2f times one hash, which took %v, and %v alone", logins,
			took[logins/2], late, float64(late)/float64(once), once, alone)
		t.Logf("%d refused without a hash, %d wrong of %d guesses", f.limited.Load(), f.wrong.Load(), guesses)
		if f.limited.Load() < guesses/2 {
			t.Errorf("only %d of %d guesses were refused without a hash", f.limited.Load(), guesses)
		}
		for line := range strings.Lines(b.log()) {
			if strings.Contains(line, "could not be answered") {
				t.Error(line)
			}
		}
	})
}

// eachOf is how long one of so many hashes took, if others always waited: as many were under way at once as Caddy lets.
func eachOf(hashes int64, all time.Duration) time.Duration {
	slots := int64(runtime.GOMAXPROCS(0)+1) / 2
	return time.Duration(int64(all) * slots / hashes)
}

// flood is guesses from many addresses, each with one connection.
type flood struct {
	*booth
	from           *booth
	passwords      chan string
	limited, wrong atomic.Int64
	stop           func() // ends it, and gives up what waits
}

// flood prepares one, by passwords that no hash is computed for. Half of the addresses have failed once, so they go
// after those that have not. The others have used up their failures for the name.
func (b *booth) flood(t *testing.T, addresses int) *flood {
	t.Helper()
	sub := *b
	sub.client = &http.Client{Transport: &http.Transport{DialContext: b.dial, MaxIdleConnsPerHost: addresses}}
	f := &flood{booth: b, from: &sub, passwords: make(chan string)}
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for i := range addresses {
		address := newAddress()
		for range 1 + 4*(i%2) {
			a := sub.exchange(ctx, orders+"login", signsIn("alice", strings.Repeat("x", 1025)), "X-Forwarded-For", address)
			if a.status != http.StatusUnauthorized {
				t.Errorf("a password that is too long: %+v", a)
			}
		}
		all.Go(func() { f.comesBack(ctx, address) })
	}
	f.stop = sync.OnceFunc(func() {
		cancel()
		all.Wait()
		sub.client.CloseIdleConnections()
	})
	t.Cleanup(f.stop)
	return f
}

// comesBack tries one password after another from an address.
func (f *flood) comesBack(ctx context.Context, address string) {
	for {
		select {
		case <-ctx.Done():
			return
		case guess := <-f.passwords:
			a := f.from.exchange(ctx, orders+"login", signsIn("alice", guess), "X-Forwarded-For", address)
			switch {
			case a.status == http.StatusTooManyRequests:
				f.limited.Add(1)
			case a.status == http.StatusUnauthorized:
				f.wrong.Add(1)
			case ctx.Err() == nil:
				f.t.Errorf("a guess: %+v", a)
			}
		}
	}
}

// guess has the next free addresses try this many passwords.
func (f *flood) guess(n int) {
	for i := range n {
		f.passwords <- fmt.Sprint("guess ", i)
	}
}

// goOn is guess, spread over about ten seconds.
func (f *flood) goOn(n int) {
	const each = 10
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for ; n > 0; n -= each {
		<-tick.C
		f.guess(min(n, each))
	}
}

// login has somebody sign in. It returns how long that took.
func (f *flood) login() time.Duration {
	began := time.Now()
	a := f.exchange(f.t.Context(), orders+"login", signsIn())
	took := time.Since(began)
	if _, is := a.pair(); !is {
		f.t.Errorf("a good login: %+v", a)
	}
	return took
}

// slowHashOf is the hash of a password as users have it, and the time that it takes to compare with it.
func slowHashOf(t testing.TB, password string) (hash string, once time.Duration) {
	t.Helper()
	text, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.DefaultCost)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := bcrypt.CompareHashAndPassword(text, []byte(password)); err != nil {
		t.Fatal(err)
	}
	return string(text), time.Since(began)
}
