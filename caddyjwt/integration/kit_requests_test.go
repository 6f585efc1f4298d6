package integration

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// answer is a response whose body has been read.
type answer struct {
	*http.Response
	body string
}

// do sends a request.
func (s *site) do(r *http.Request) answer {
	s.t.Helper()
	response, err := s.client.Do(r)
	if err != nil {
		s.unable("%v", err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		s.unable("%v", err)
	}
	return answer{response, string(body)}
}

// get sends a GET request with a bearer token (none when empty) and header fields given as name, value pairs.
func (s *site) get(path, token string, header ...string) answer {
	s.t.Helper()
	r := s.request(http.MethodGet, path, nil, header...)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return s.do(r)
}

// request makes a request with header fields given as name, value pairs. The names keep their spelling.
func (s *site) request(method, path string, body io.Reader, header ...string) *http.Request {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.base+path, body)
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header[header[i]] = append(r.Header[header[i]], header[i+1]) // as it stands: no canonical form
	}
	return r
}

// raw sends bytes as they are on a connection of its own and reads one answer.
func (s *site) raw(request string) answer {
	s.t.Helper()
	conn, err := s.dial(s.t.Context(), "", "")
	if err != nil {
		s.unable("%v", err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(deadline())
	if _, err := io.WriteString(conn, request); err != nil {
		s.unable("%v", err)
	}
	method, _, _ := strings.Cut(request, " ")
	response, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		s.unable("%v", err)
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	return answer{response, string(body)}
}

// status asks for / with a token and gives the status, for polling and for goroutines that must not end the test.
func (s *site) status(token string, header ...string) (int, error) {
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, "http://gate.test/", nil)
	if err != nil {
		return 0, err
	}
	r.Header.Set("Authorization", "Bearer "+token)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	response, err := s.client.Do(r)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode, err
}

// passed wants a request to have reached the upstream once, and gives it as it arrived there.
func (s *site) passed(a answer) seen {
	s.t.Helper()
	if a.StatusCode != http.StatusOK {
		s.t.Fatalf("status %d, want 200; WWW-Authenticate: %s; reason in log: %s", a.StatusCode,
			a.Header.Get("WWW-Authenticate"), s.lastReason())
	}
	requests := s.upstream.take()
	if len(requests) != 1 {
		s.t.Fatalf("%d requests reached the upstream, want 1", len(requests))
	}
	return requests[0]
}

// refused wants a request to have been refused with this status, and for this reason as the log has it. Nothing has
// reached the upstream, and nobody may keep the answer.
func (s *site) refused(a answer, status int, reason string) {
	s.t.Helper()
	if a.StatusCode != status {
		s.t.Errorf("status %d, want %d", a.StatusCode, status)
	}
	s.nothingForwarded()
	s.neverCached(a)
	if got := s.lastReason(); got != reason {
		s.t.Errorf("reason %q in the log, want %q", got, reason)
	}
}

// nothingForwarded wants no request to have reached the upstream.
func (s *site) nothingForwarded() {
	s.t.Helper()
	if requests := s.upstream.take(); len(requests) != 0 {
		s.t.Errorf("%d requests reached the upstream: %v", len(requests), requests)
	}
}

// neverCached wants an answer that nobody may keep.
func (s *site) neverCached(a answer) {
	s.t.Helper()
	if got := a.Header.Get("Cache-Control"); got != "no-store" {
		s.t.Errorf("Cache-Control %q, want no-store", got)
	}
}

// refusedOrPending wants a token to have been refused for this reason. An unknown key may also be pending: other tests
// may have used up the fetches that are allowed.
func (s *site) refusedOrPending(a answer, reason string) {
	s.t.Helper()
	if reason == "unknown_key" && a.StatusCode == http.StatusServiceUnavailable {
		s.refused(a, http.StatusServiceUnavailable, "key_pending")
		return
	}
	s.refused(a, http.StatusUnauthorized, reason)
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

// unknownKeyStatus reports whether a status is that of a token of an unknown key.
func unknownKeyStatus(status int) bool {
	return status == http.StatusUnauthorized || status == http.StatusServiceUnavailable
}

// ourFaultFor wants a request to have been refused for this reason, and the client not to be blamed.
func (s *site) ourFaultFor(a answer, status int, reason string, retry bool) {
	s.t.Helper()
	s.refused(a, status, reason)
	s.clientNotBlamed(a, retry)
}

// clientNotBlamed wants an answer without a challenge. It says when to try again, if it makes sense to do so.
func (s *site) clientNotBlamed(a answer, retry bool) {
	s.t.Helper()
	if challenge := a.Header.Values("WWW-Authenticate"); len(challenge) != 0 {
		s.t.Errorf("challenge %q for a trouble of ours", challenge)
	}
	after := a.Header.Get("Retry-After")
	if seconds, err := strconv.Atoi(after); retry && (err != nil || seconds < 1) || !retry && after != "" {
		s.t.Errorf("Retry-After %q", after)
	}
}

// accepts wants a token to pass.
func (s *site) accepts(token string) {
	s.t.Helper()
	s.passed(s.get("/", token))
}

// drain throws away what the upstream has recorded.
func (s *site) drain() { s.upstream.take() }

// log reads what Caddy has logged.
func (s *site) log() string {
	s.t.Helper()
	return s.logFrom(0)
}

// logFrom reads what Caddy has logged after the first n bytes.
func (s *site) logFrom(n int64) string {
	s.t.Helper()
	file, err := os.Open(s.logFile)
	if os.IsNotExist(err) {
		return ""
	}
	if err != nil {
		s.t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.Seek(n, io.SeekStart); err != nil {
		s.t.Fatal(err)
	}
	text, err := io.ReadAll(file)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(text)
}

// logged reports whether there is a line in the log with all these texts.
func (s *site) logged(texts ...string) bool {
	s.t.Helper()
lines:
	for line := range strings.Lines(s.log()) {
		for _, text := range texts {
			if !strings.Contains(line, text) {
				continue lines
			}
		}
		return true
	}
	return false
}

// lastReason is the reason of the last refusal in the log.
func (s *site) lastReason() string {
	s.t.Helper()
	return lastReason(s.log())
}

// lastReason is the reason of the last refusal in lines of the log.
func lastReason(lines string) string {
	var reason string
	for line := range strings.Lines(lines) {
		var entry struct{ Msg, Reason string }
		if strings.Contains(line, "request refused") && json.Unmarshal([]byte(line), &entry) == nil &&
			entry.Msg == "request refused" {
			reason = entry.Reason
		}
	}
	return reason
}

// accessLog gives the last line of Caddy's access log.
func (s *site) accessLog() (entry map[string]any) {
	s.t.Helper()
	for line := range strings.Lines(s.log()) {
		var e map[string]any
		if json.Unmarshal([]byte(line), &e) == nil && strings.HasPrefix(fmt.Sprint(e["logger"]), "http.log.access") {
			entry = e
		}
	}
	return entry
}

// eventually polls until something holds, and fails the test when patience ends. It gives the time it took.
func eventually(t testing.TB, what string, holds func() bool) time.Duration {
	t.Helper()
	began := time.Now()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.After(patience); ; {
		if holds() {
			return time.Since(began)
		}
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}
