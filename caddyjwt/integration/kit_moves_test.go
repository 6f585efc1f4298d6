package integration

import (
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// changed are changes of good claims: each is a list of name, value pairs.
type changed [][]any

// line is what a line of the configuration lets through, and what it refuses with 403.
type line struct{ pass, fail changed }

// linesOf tries each line in the second column of a table in a document that says how to leave another product. The
// table and the map must have the same lines.
func linesOf(t *testing.T, document, heading string, tried map[string]line) {
	t.Helper()
	text, err := os.ReadFile("../../docs/" + document)
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(text), "| "+heading+" |\n| --- | --- | --- |\n")
	if !found {
		t.Fatalf("docs/%s has no table %q", document, heading)
	}
	table, _, _ = strings.Cut(table, "\n\n")
	key := tokentest.NewKey(t, "ES256", "e1")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	s := prepare(t)
	var seen []string
	for row := range strings.Lines(table) {
		cell := regexp.MustCompile("^`([^`]+)`$").FindStringSubmatch(strings.TrimSpace(strings.Split(row, " | ")[1]))
		if cell == nil {
			t.Fatalf("no line in the row %s", row)
		}
		test, known := tried[cell[1]]
		if !known {
			t.Errorf("no test of %s", cell[1])
			continue
		}
		if seen = append(seen, cell[1]); slices.Contains(seen[:len(seen)-1], cell[1]) {
			continue
		}
		s.load(gateFor(issuerByJWKS(as), cell[1]))
		for status, all := range map[int]changed{http.StatusOK: test.pass, http.StatusForbidden: test.fail} {
			for _, changes := range all {
				if a := s.get("/", key.Sign(t, issuedBy(as.URL, changes...))); a.StatusCode != status {
					t.Errorf("%s: %v: status %d, want %d", cell[1], changes, a.StatusCode, status)
				}
			}
		}
	}
	for line := range tried {
		if !slices.Contains(seen, line) {
			t.Errorf("docs/%s does not have %s any more", document, line)
		}
	}
}

// move is a Caddyfile that takes the place of another product's configuration.
type move struct {
	section   string   // the heading of second rank above it
	block     int      // which Caddyfile of the section, from 1
	addresses []string // what else stands in the Caddyfile while it runs: old, new pairs
	requests  map[string]moved
}

// moved is a request to the Caddyfile, and what must become of it.
type moved struct {
	path   string   // "/" when empty
	token  string   // in Authorization, unless it is empty
	header []string // further fields: name, value pairs
	reason string   // why the request is refused; empty if it passes
	status int      // of the refusal
	seen   []string // fields at the backend: name, value pairs; an empty value means no such field
}

// bad is a request that is refused.
func bad(status int, reason, token string, header ...string) moved {
	return moved{token: token, header: header, reason: reason, status: status}
}

// forgeries are what a client sends that pretends to be somebody else. Each move adds them to all of its requests.
func (m *move) forgeries() (header []string) {
	for _, r := range m.requests {
		for i := 0; i < len(r.seen); i += 2 {
			if name := r.seen[i]; name != "Authorization" && name != "Cookie" && !slices.Contains(header, name) {
				header = append(header, name, "forged")
			}
		}
	}
	return header
}

// play runs the Caddyfile, and sends the requests.
func (m *move) play(t *testing.T, s *site, document string) {
	s.recipeIn(document, m.section, m.block, m.addresses...)
	forgeries := m.forgeries()
	for name, r := range m.requests {
		t.Run(name, func(t *testing.T) {
			s := s.in(t)
			if r.path == "" {
				r.path = "/"
			}
			req := s.request(http.MethodGet, r.path, nil, append(slices.Clone(r.header), forgeries...)...)
			if r.token != "" {
				req.Header.Add("Authorization", "Bearer "+r.token)
			}
			a := s.do(req)
			if r.reason != "" {
				s.refused(a, r.status, r.reason)
				return
			}
			got := s.passed(a)
			for i := 0; i < len(r.seen); i += 2 {
				if values := strings.Join(got.Header.Values(r.seen[i]), "; "); values != r.seen[i+1] {
					t.Errorf("%s is %q at the backend, want %q", r.seen[i], values, r.seen[i+1])
				}
			}
			if strings.Contains(got.URI, "access_token") {
				t.Errorf("the token is in the URI at the backend: %s", got.URI)
			}
		})
	}
}

// playAll plays the moves of a document. They must be all of its Caddyfiles, but those that are tested elsewhere, and
// each must show one request that passes and two that do not.
func playAll(t *testing.T, s *site, document string, moves []move, elsewhere int) {
	text, err := os.ReadFile("../../docs/" + document)
	if err != nil {
		t.Fatal(err)
	}
	if blocks := len(fenced(string(text), "caddyfile")); blocks != len(moves)+elsewhere {
		t.Errorf("docs/%s has %d Caddyfiles, of which %d are tested here", document, blocks, len(moves))
	}
	for _, m := range moves {
		passed, refused := 0, 0
		for _, r := range m.requests {
			if r.reason != "" {
				refused++
				continue
			}
			passed++
			if len(r.seen) == 0 {
				t.Errorf("%s %d: a request passes, and nobody looks at what the backend gets", m.section, m.block)
			}
		}
		if passed == 0 || refused < 2 {
			t.Errorf("%s %d: %d requests pass, and %d are refused: test both sides", m.section, m.block, passed, refused)
		}
		t.Run(m.section, func(t *testing.T) { m.play(t, s.in(t), document) })
	}
}
