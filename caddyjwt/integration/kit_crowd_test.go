package integration

import (
	"context"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// visitor is a kind of client in a crowd. It has a token, and the list of answers that the design allows. A visitor
// that may not get 200 has a bad token.
type visitor struct {
	name  string
	token func() string
	may   []int
}

func (v visitor) good() bool { return slices.Contains(v.may, http.StatusOK) }

// mark tells the upstream who came.
func (v visitor) mark() string {
	if v.good() {
		return "good: " + v.name
	}
	return "bad: " + v.name
}

// markField is the header field of the mark.
const markField = "X-Visitor"

// jwts are clients with good and bad JWTs of an issuer. absent are the additional answers while the gate cannot get
// keys: it cannot know then whether the issuer has another key with this id. For invented ids it cannot know either, as
// soon as there are many.
func jwts(t testing.TB, key *tokentest.Key, issuer string, absent ...int) []visitor {
	var serial atomic.Int64
	next := func() string { return strconv.FormatInt(serial.Add(1), 10) }
	impostor := tokentest.NewKey(t, key.Alg, "fault-impostor").WithKID(key.KID)
	cached := key.Sign(t, issuedBy(issuer))
	flipped := tokentest.FlipSignature(t, cached)
	fixed := func(token string) func() string { return func() string { return token } }
	return []visitor{
		{"remembered", fixed(cached), []int{200}},
		{"new", func() string { return key.Sign(t, issuedBy(issuer, "jti", next())) }, []int{200}},
		{"flipped", fixed(flipped), append([]int{401}, absent...)},
		{"impostor", func() string {
			return impostor.Sign(t, issuedBy(issuer, "jti", next()))
		}, append([]int{401}, absent...)},
		{"expired", func() string {
			return key.Sign(t, issuedBy(issuer, "exp", time.Now().Unix()-60, "jti", next()))
		}, []int{401}},
		{"other audience", fixed(key.Sign(t, issuedBy(issuer, "aud", "https://other.example.com"))), []int{401}},
		{"unsigned", fixed(forged(`{"alg":"none"}`, asJSON(t, issuedBy(issuer)), nil)), []int{401}},
		{"unknown key", func() string { return key.WithKID("unknown-"+next()).Sign(t, issuedBy(issuer)) }, []int{401, 503}},
	}
}

// crowd is visitors who come again and again, all at the same time, until home is called.
type crowd struct {
	t        testing.TB
	client   *http.Client
	url      string
	visitors []visitor
	ctx      context.Context // ends the visits
	leave    context.CancelFunc
	wg       sync.WaitGroup
	answers  atomic.Int64

	mu   sync.Mutex
	got  map[string]map[string]int // visitor, answer: how often
	slow time.Duration             // the longest that a client with a good JWT had to wait for 200
}

// pace is the time from one visit of a client to its next. Clients that come more often would keep the processor busy
// and find nothing more: there are many of them, and they come at the same time.
const pace = 20 * time.Millisecond

// gather sends visitors to the site, each kind from two clients.
func (s *site) gather(visitors []visitor) *crowd {
	return gatherAt(s.t, s.client, "http://gate.test/", visitors)
}

func gatherAt(t testing.TB, client *http.Client, url string, visitors []visitor) *crowd {
	ctx, leave := context.WithCancel(t.Context())
	c := &crowd{t: t, client: client, url: url, visitors: visitors, ctx: ctx, leave: leave,
		got: make(map[string]map[string]int)}
	for _, v := range visitors {
		c.got[v.name] = make(map[string]int)
	}
	for _, v := range visitors { // none before all are known
		for range 2 {
			c.wg.Go(func() { c.visit(v) })
		}
	}
	return c
}

func (c *crowd) visit(v visitor) {
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for {
		began := time.Now()
		status, err := ask(c.t.Context(), c.client, c.url, v.token(), markField, v.mark())
		took := time.Since(began)
		answer := strconv.Itoa(status)
		if err != nil {
			answer = err.Error()
		}
		c.mu.Lock()
		c.got[v.name][answer]++
		if status == http.StatusOK {
			c.slow = max(c.slow, took)
		}
		c.mu.Unlock()
		c.answers.Add(1)
		select {
		case <-c.ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// ask sends a request with a token, and gives the status when the whole answer is there.
func ask(ctx context.Context, client *http.Client, url, token string, header ...string) (int, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	r.Header.Set("Authorization", "Bearer "+token)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	response, err := client.Do(r)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	if _, err = io.Copy(io.Discard, response.Body); err != nil {
		return 0, err
	}
	return response.StatusCode, nil
}

// last lets a fault go on for a while. The crowd must get answers meanwhile: a test in which nothing happens proves
// nothing.
func (c *crowd) last(d time.Duration) {
	c.t.Helper()
	before := c.answers.Load()
	<-time.After(d)
	eventually(c.t, "the crowd gets answers", func() bool { return c.answers.Load() >= before+20 })
}

// home ends the visits. Everybody must have come, and must have got only answers that the design allows.
func (c *crowd) home() {
	c.t.Helper()
	c.leave()
	c.wg.Wait()
	for _, v := range c.visitors {
		got := c.got[v.name]
		for _, answer := range slices.Sorted(maps.Keys(got)) {
			status, err := strconv.Atoi(answer)
			switch {
			case err == nil && slices.Contains(v.may, status):
			case status == http.StatusOK:
				c.t.Errorf("%s: a bad token was accepted %d times", v.name, got[answer])
			default:
				c.t.Errorf("%s: %d times %s, want only %v", v.name, got[answer], answer, v.may)
			}
		}
		if len(got) == 0 {
			c.t.Errorf("%s: never got an answer", v.name)
		}
		sure := !slices.ContainsFunc(v.may, func(status int) bool { return status >= 500 })
		if v.good() && sure && got["200"] == 0 {
			c.t.Errorf("%s: never got through: %v", v.name, got)
		}
	}
	c.t.Logf("%d answers, the slowest that let through took %v: %v", c.answers.Load(), c.slow.Round(time.Millisecond),
		c.got)
}

// unharmed wants no bad token at the upstream, no panic, and no token in the log.
func (s *site) unharmed() {
	s.t.Helper()
	arrived := 0
	for _, r := range s.upstream.take() {
		if strings.HasPrefix(r.Header.Get(markField), "good: ") {
			arrived++
		} else {
			s.t.Errorf("%s %s of %q reached the upstream", r.Method, r.URI, r.Header.Get(markField))
		}
	}
	if arrived == 0 {
		s.t.Error("nobody reached the upstream")
	}
	for line := range strings.Lines(s.log()) {
		if panicked(line) {
			s.t.Errorf("panic in the log: %s", line)
		}
		if strings.Contains(line, `eyJ`) { // how every JWT begins
			s.t.Errorf("a token is in the log: %s", line)
		}
	}
}

// fault runs a fault with a crowd at the gate. It wants no harm, and no goroutine left behind.
func (s *site) fault(visitors []visitor, during func(c *crowd)) {
	s.t.Helper()
	before := s.atRest(visitors)
	c := s.gather(visitors)
	c.last(100 * time.Millisecond)
	during(c)
	c.last(100 * time.Millisecond)
	c.home()
	s.unharmed()
	s.goroutinesBackTo(before, 10)
}

// atRest lets every good visitor come once, so that everything exists that is made on first use. It gives the number of
// goroutines.
func (s *site) atRest(visitors []visitor) int {
	s.t.Helper()
	for _, v := range visitors {
		if v.good() {
			s.accepts(v.token())
		}
	}
	return s.goroutines()
}
