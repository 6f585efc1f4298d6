package integration

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

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
	return fmt.Sprintf("attacks tried %d, refused %d, not run %d, got in %d\n", tried, refused, notRun, tried-refused-notRun)
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
	text := a.log()
	return text[min(int(a.began), len(text)):]
}

// secret says that a token must not be in the log.
func (a *attempt) secret(token string) { a.tokens[token] = struct{}{} }

// answered is how many requests of this attempt have been answered with a status, as Caddy's access log tells.
func (a *attempt) answered(status int) int {
	n := 0
	for line := range strings.Lines(a.since()) {
		if strings.Contains(line, `"logger":"http.log.access`) && strings.Contains(line, fmt.Sprintf(`"status":%d,`, status)) {
			n++
		}
	}
	return n
}

// pieces are the parts of a token that nobody may see: all that is long enough to be told from other text.
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
	var reason string
	for line := range strings.Lines(a.since()) {
		var entry struct{ Msg, Reason string }
		if strings.Contains(line, "request refused") && json.Unmarshal([]byte(line), &entry) == nil {
			reason = entry.Reason
		}
	}
	return reason
}

// repelled wants the request to have been refused by the gate for one of these reasons, with all that every refusal
// has: the status and the challenge of that reason, nothing at the upstream, nothing to be cached, nothing of the token
// in the answer. An unknown key may also be pending, when other attacks have spent what may be fetched.
func (a *attempt) repelled(got answer, reasons ...string) {
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
	case "malformed_request":
		status, code = http.StatusBadRequest, "invalid_request"
	case "body_too_large":
		status, code = http.StatusRequestEntityTooLarge, "invalid_request"
	case "insufficient_scope", "claim_mismatch":
		status, code = http.StatusForbidden, "insufficient_scope"
	case "keys_unavailable", "key_pending":
		status, code = http.StatusServiceUnavailable, "-"
	}
	if got.StatusCode != status {
		a.t.Errorf("status %d, want %d", got.StatusCode, status)
	}
	if requests := a.upstream.take(); len(requests) != 0 {
		a.t.Errorf("%d requests reached the upstream: %v", len(requests), requests)
	}
	if cache := got.Header.Get("Cache-Control"); cache != "no-store" {
		a.t.Errorf("Cache-Control %q, want no-store", cache)
	}
	if code != "-" {
		a.challenged(got, code)
	}
	a.silent(got)
}

// notBlamed wants the request to have been refused with a status that says whose trouble it is, and nothing of the
// token's. The log has such a trouble once in a while only, so what it says is not looked at.
func (a *attempt) notBlamed(got answer, status int) {
	a.t.Helper()
	if got.StatusCode != status {
		a.t.Errorf("status %d, want %d", got.StatusCode, status)
	}
	if requests := a.upstream.take(); len(requests) != 0 {
		a.t.Errorf("%d requests reached the upstream: %v", len(requests), requests)
	}
	if challenge := got.Header.Values("WWW-Authenticate"); len(challenge) != 0 {
		a.t.Errorf("challenge %q for a trouble of ours", challenge)
	}
	if cache := got.Header.Get("Cache-Control"); cache != "no-store" {
		a.t.Errorf("Cache-Control %q, want no-store", cache)
	}
	after, err := strconv.Atoi(got.Header.Get("Retry-After"))
	if wanted := status == http.StatusServiceUnavailable; wanted != (err == nil && after >= 1) {
		a.t.Errorf("Retry-After %q", got.Header.Get("Retry-After"))
	}
	a.silent(got)
}

// restart makes another Caddy run, with this bearer_auth block. A reload would leave to the old one, for a moment, what
// it has accepted. Caddy closes its listeners in the background, and cannot open one again while it is closing.
func (a *attempt) restart(gate string) {
	a.t.Helper()
	if err := caddy.Stop(); err != nil {
		a.t.Fatal(err)
	}
	a.client.CloseIdleConnections()
	caddyfile := a.caddyfile(gate)
	eventually(a.t, patience, "Caddy has closed its listener", func() bool {
		err := a.tryLoad(caddyfile)
		if err != nil && !strings.Contains(err.Error(), net.ErrClosed.Error()) {
			a.t.Fatal(err)
		}
		return err == nil
	})
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

// together sends n requests at the same time, does something meanwhile, and counts what came of them.
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

// silent wants the answer to have no part of a token, and nothing that a browser would run.
func (a *attempt) silent(got answer) {
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

// kept wants the request not to have reached the upstream, whoever refused it, and without a fault of the server's.
func (a *attempt) kept(got answer) {
	a.t.Helper()
	if got.StatusCode < 400 || got.StatusCode >= 500 {
		a.t.Errorf("status %d, want 4xx", got.StatusCode)
	}
	if requests := a.upstream.take(); len(requests) != 0 {
		a.t.Errorf("%d requests reached the upstream: %v", len(requests), requests)
	}
	a.silent(got)
}

// parseChallenge reads one Bearer challenge by the grammar of RFC 9110 section 11.6.1, with the alphabets of RFC 6750
// section 3, and nothing else.
func parseChallenge(text string) (map[string]string, error) {
	rest, ok := strings.CutPrefix(text, "Bearer ")
	if !ok {
		return nil, errors.New("not a Bearer challenge")
	}
	params := make(map[string]string)
	for {
		name, after, ok := strings.Cut(rest, `="`)
		if !ok || name == "" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz_") != "" {
			return nil, fmt.Errorf("no parameter at %q", rest)
		}
		var value strings.Builder
		i := 0
		for ; i < len(after) && after[i] != '"'; i++ {
			if after[i] == '\\' && name == "realm" {
				i++
			}
			if i >= len(after) || after[i] < 0x20 || after[i] >= 0x7f || after[i] == '\\' && name != "realm" {
				return nil, fmt.Errorf("bad character in %s", name)
			}
			value.WriteByte(after[i])
		}
		if i >= len(after) {
			return nil, fmt.Errorf("%s does not end", name)
		}
		if _, twice := params[name]; twice {
			return nil, fmt.Errorf("%s occurs twice", name)
		}
		params[name] = value.String()
		rest = after[i+1:]
		if rest == "" {
			return params, nil
		}
		if rest, ok = strings.CutPrefix(rest, ", "); !ok {
			return nil, fmt.Errorf("no comma at %q", rest)
		}
	}
}

// audience is what the issuers of these tests issue tokens for.
const audience = "https://api.example.com"

// forged makes a token of three texts of which the last is the signature's bytes.
func forged(header, payload string, signature []byte) string {
	return b64(header) + "." + b64(payload) + "." + b64(string(signature))
}

func b64(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

func unb64(t testing.TB, text string) []byte {
	t.Helper()
	out, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func asJSON(t testing.TB, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// splitToken is the signing input and the signature's bytes.
func splitToken(t testing.TB, token string) (input string, signature []byte) {
	t.Helper()
	dot := strings.LastIndexByte(token, '.')
	return token[:dot], unb64(t, token[dot+1:])
}

// issued are good claims of an issuer, with changes as in claims.
func issued(issuer string, changes ...any) map[string]any {
	return claims(append([]any{"iss", issuer, "aud", audience}, changes...)...)
}

// trusting is an issuer with its key source and more lines.
func trusting(name, keys string, lines ...string) string {
	return "issuer " + name + " {\n\t\t\taudience " + audience + "\n\t\t\tkeys " + keys + "\n\t\t\t" +
		strings.Join(lines, "\n\t\t\t") + "\n\t\t}"
}

// jwksOf is the block of an authorization server's JWKS.
func jwksOf(as *tokentest.AS, lines ...string) string {
	return trusting(as.URL, "jwks "+as.JWKSURL(), lines...)
}

// loadFile makes Caddy run with a whole Caddyfile that was made of the last one that caddyfile gave, from now on.
func (s *site) loadFile(caddyfile string) {
	s.t.Helper()
	if err := s.tryLoad(caddyfile); err != nil {
		s.t.Fatal(err)
	}
	s.inForce()
}

// tryJSON loads the configuration with a change to the handler's JSON that no Caddyfile could make.
func (s *site) tryJSON(gate string, change func(handler map[string]any)) error {
	s.t.Helper()
	config, err := adapt(s.caddyfile(gate))
	if err != nil {
		s.t.Fatal(err)
	}
	var tree any
	if err := json.Unmarshal(config, &tree); err != nil {
		s.t.Fatal(err)
	}
	found := 0
	eachHandler(tree, func(handler map[string]any) { found++; change(handler) })
	if found != 1 {
		s.t.Fatalf("%d handlers in the configuration", found)
	}
	return caddy.Load([]byte(asJSON(s.t, tree)), true)
}

func eachHandler(node any, visit func(map[string]any)) {
	switch node := node.(type) {
	case []any:
		for _, element := range node {
			eachHandler(element, visit)
		}
	case map[string]any:
		if node["handler"] == "bearer_auth" {
			visit(node)
			return
		}
		for _, child := range node {
			eachHandler(child, visit)
		}
	}
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
