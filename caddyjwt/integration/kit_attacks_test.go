package integration

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// attackCounts counts the attacks of a run. An attack counts as refused when its test passes, and as not run when the
// test could not carry it out: the machine was too slow, or a connection could not be had. The others got in.
type attackCounts struct{ tried, refused, notRun atomic.Int64 }

// attacks are those of this process.
var attacks attackCounts

// String is a line for people, and empty when no attack was tried.
func (c *attackCounts) String() string {
	tried, refused, notRun := c.tried.Load(), c.refused.Load(), c.notRun.Load()
	if tried == 0 {
		return ""
	}
	return fmt.Sprintf("attacks tried %d, refused %d, not run %d, got in %d\n", tried, refused, notRun,
		tried-refused-notRun)
}

// reset begins to count anew.
func (c *attackCounts) reset() {
	c.tried.Store(0)
	c.refused.Store(0)
	c.notRun.Store(0)
}

// attempt is one attack on a running site.
type attempt struct {
	*site
	began  int64               // size of the log when the attempt began
	tokens map[string]struct{} // what must not be in the log; the same for the attempt by all protocols
}

// attack runs one attack as a subtest and counts it. Whatever the attack, there must be no panic and no part of a token
// in the lines that we log.
func (s *site) attack(t *testing.T, name string, try func(t *testing.T, a *attempt)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		attacks.tried.Add(1)
		a := &attempt{site: s.in(t), tokens: make(map[string]struct{})}
		a.broken = new(atomic.Bool)
		defer a.count()
		a.upstream.take()
		if info, err := os.Stat(s.logFile); err == nil {
			a.began = info.Size()
		}
		try(t, a)
		a.checkLog()
	})
}

// count says what has become of the attack.
func (a *attempt) count() {
	switch {
	case a.broken.Load():
		attacks.notRun.Add(1)
	case !a.t.Failed():
		attacks.refused.Add(1)
	}
}

// since is what has been logged since the attempt began.
func (a *attempt) since() string {
	a.t.Helper()
	return a.logFrom(a.began)
}

// secret says that a token must not be in the log.
func (a *attempt) secret(token string) { a.tokens[token] = struct{}{} }

// answered is how many requests of this attempt have been answered with a status, by Caddy's access log.
func (a *attempt) answered(status int) int {
	n := 0
	for line := range strings.Lines(a.since()) {
		if strings.Contains(line, `"logger":"http.log.access`) &&
			strings.Contains(line, fmt.Sprintf(`"status":%d,`, status)) {
			n++
		}
	}
	return n
}

// pieces are the beginnings and ends of the long parts of a token. Short parts may occur in other text.
func pieces(token string) []string {
	var found []string
	for part := range strings.SplitSeq(token, ".") {
		if len(part) >= 40 {
			found = append(found, part[len(part)-40:], part[:40])
		}
	}
	return found
}

// errorID is a random text in Caddy's log of errors, which can spell any word.
var errorID = regexp.MustCompile(`"err_id":"[^"]*"`)

// panicked reports whether a line of the log is about a panic.
func panicked(line string) bool {
	return strings.Contains(line, "panic") && strings.Contains(errorID.ReplaceAllString(line, ""), "panic")
}

// checkLog wants no panic in the log, and no part of a token in the lines that the gate has written.
func (a *attempt) checkLog() {
	a.t.Helper()
	for line := range strings.Lines(a.since()) {
		if panicked(line) {
			a.t.Errorf("panic in the log: %s", line)
		}
		if strings.Contains(line, `"logger":"http.log.`) {
			continue // Caddy's own access log has the request as the client sent it
		}
		for token := range a.tokens {
			for _, piece := range pieces(token) {
				if strings.Contains(line, piece) {
					a.t.Errorf("a part of the token is in the log: %s", line)
				}
			}
		}
	}
}

// send sends GET / with a bearer token.
func (a *attempt) send(token string, header ...string) answer {
	a.t.Helper()
	a.secret(token)
	return a.get("/", token, header...)
}

// reason is the reason of the last refusal of this attempt.
func (a *attempt) reason() string {
	a.t.Helper()
	return lastReason(a.since())
}

// refusedFor wants the gate to have refused the request for one of these reasons, with all that every refusal has: the
// status and the challenge of that reason, nothing at the upstream, nothing to be cached, nothing of the token in the
// answer. An unknown key may also be pending, when other attacks have used up the fetches.
func (a *attempt) refusedFor(got answer, reasons ...string) {
	a.t.Helper()
	reason := a.reason()
	known := false
	for _, want := range reasons {
		known = known || want == reason || want == "unknown_key" && reason == "key_pending"
	}
	if !known {
		a.t.Errorf("status %d, reason %q, want %q", got.StatusCode, reason, reasons)
	}
	status, code := http.StatusUnauthorized, "invalid_token"
	switch reason {
	case "missing_token":
		code = ""
	case "malformed_request", "malformed_message":
		status, code = http.StatusBadRequest, "invalid_request"
	case "body_too_large":
		status, code = http.StatusRequestEntityTooLarge, "invalid_request"
	case "insufficient_user_authentication":
		code = "insufficient_user_authentication"
	case "insufficient_scope", "claim_mismatch", "unknown_consumer":
		status, code = http.StatusForbidden, "insufficient_scope"
	case "cross_origin":
		status, code = http.StatusForbidden, "-"
	case "tool_denied":
		status, code = http.StatusForbidden, ""
	case "keys_unavailable", "key_pending":
		status, code = http.StatusServiceUnavailable, "-"
	}
	if got.StatusCode != status {
		a.t.Errorf("status %d, want %d", got.StatusCode, status)
	}
	a.nothingForwarded()
	a.neverCached(got)
	if code != "-" {
		a.challenged(got, code)
	}
	a.revealsNothing(got)
}

// ourFault wants the request to have been refused with a status that does not blame the client. It does not look at the
// log, which has few lines about such trouble.
func (a *attempt) ourFault(got answer, status int) {
	a.t.Helper()
	if got.StatusCode != status {
		a.t.Errorf("status %d, want %d", got.StatusCode, status)
	}
	a.nothingForwarded()
	a.neverCached(got)
	a.clientNotBlamed(got, status == http.StatusServiceUnavailable)
	a.revealsNothing(got)
}

// until does something again and again, at least ten times, until another goroutine says that it is over.
func (a *attempt) until(over *atomic.Bool, do func(i int)) {
	a.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for i := 0; (!over.Load() || i < 10) && !a.t.Failed(); i++ {
		do(i)
		<-tick.C
	}
}

// together sends n requests at the same time, does something meanwhile, and counts the outcomes.
func (a *attempt) together(n int, token func(i int) string, meanwhile func()) map[string]int {
	a.t.Helper()
	var clients sync.WaitGroup
	var mu sync.Mutex
	outcomes := make(map[string]int)
	for i := range n {
		clients.Go(func() {
			status, err := a.status(token(i))
			outcome := strconv.Itoa(status)
			if err != nil {
				outcome = err.Error()
			}
			mu.Lock()
			defer mu.Unlock()
			outcomes[outcome]++
		})
	}
	meanwhile()
	clients.Wait()
	return outcomes
}

// challenged wants exactly one challenge that the grammar allows, with this error code.
func (a *attempt) challenged(got answer, code string) {
	a.t.Helper()
	fields := got.Header["Www-Authenticate"]
	if len(fields) != 1 {
		a.t.Errorf("%d challenges: %q", len(fields), fields)
		return
	}
	params, err := parseChallenge(fields[0])
	if err != nil {
		a.t.Errorf("challenge %q: %v", fields[0], err)
	}
	if params["error"] != code {
		a.t.Errorf("challenge %q, want error %q", fields[0], code)
	}
	if params["realm"] == "" {
		a.t.Errorf("challenge %q has no realm", fields[0])
	}
}

// revealsNothing wants the answer to have no part of a token, and nothing that a browser would run.
func (a *attempt) revealsNothing(got answer) {
	a.t.Helper()
	var all bytes.Buffer
	_ = got.Header.Write(&all)
	all.WriteString(got.body)
	for token := range a.tokens {
		for _, piece := range pieces(token) {
			if strings.Contains(all.String(), piece) {
				a.t.Errorf("a part of the token is in the answer: %s", all.String())
			}
		}
	}
	if strings.Contains(got.Header.Get("Content-Type"), "html") || strings.Contains(got.body, "<") {
		a.t.Errorf("the answer may be read as HTML: %q", got.body)
	}
}

// neverForwarded wants the gate, or Caddy before it, to have refused the request as the client's fault, and nothing at
// the upstream.
func (a *attempt) neverForwarded(got answer) {
	a.t.Helper()
	if got.StatusCode < 400 || got.StatusCode >= 500 {
		a.t.Errorf("status %d, want 4xx", got.StatusCode)
	}
	a.nothingForwarded()
	a.revealsNothing(got)
}

// refusedAtLoad wants a configuration to be refused with an error that has this text.
func (s *site) refusedAtLoad(t *testing.T, name, text string, load func(s *site) error) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		attacks.tried.Add(1)
		switch err := load(s.in(t)); {
		case err == nil:
			t.Error("the configuration was accepted")
		case !strings.Contains(err.Error(), text):
			t.Errorf("error %q, want one with %q", err, text)
		default:
			attacks.refused.Add(1)
		}
	})
}

// cheaply wants the attempt to cost little. It counts the processor time of this process, in which the gate, the client
// and the upstream run: how busy the machine is does not matter. The bound is far above what is needed (a request takes
// well under a millisecond), and far below what an attack would gain.
func (a *attempt) cheaply(do func()) {
	a.t.Helper()
	before := tokentest.ProcessorTime(a.t)
	do()
	if took := tokentest.ProcessorTime(a.t) - before; took > 5*time.Second {
		a.t.Errorf("it cost %v of processor time", took)
	}
}

// logSays wants the line about the refusal to have one of these causes.
func (a *attempt) logSays(causes ...string) {
	a.t.Helper()
	for line := range strings.Lines(a.since()) {
		for _, cause := range causes {
			if strings.Contains(line, "request refused") && strings.Contains(line, cause) {
				return
			}
		}
	}
	a.t.Errorf("the log does not say %q", causes)
}
