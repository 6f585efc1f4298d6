package integration

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// drip is a body that comes one byte at a time, and does not end by itself when the text is used up.
type drip struct {
	text    string
	endless bool
	tick    *time.Ticker
	gone    chan struct{}
	once    sync.Once
}

func newDrip(text string, every time.Duration, endless bool) *drip {
	return &drip{text: text, endless: endless, tick: time.NewTicker(every), gone: make(chan struct{})}
}

var errGone = errors.New("nobody reads the body any more")

func (d *drip) Read(p []byte) (int, error) {
	if d.text == "" && !d.endless {
		return 0, io.EOF
	}
	select {
	case <-d.tick.C:
	case <-d.gone:
		return 0, errGone
	}
	if d.text == "" {
		return copy(p, "a"), nil
	}
	n := copy(p, d.text[:1])
	d.text = d.text[1:]
	return n, nil
}

func (d *drip) Close() error {
	d.once.Do(func() { d.tick.Stop(); close(d.gone) })
	return nil
}

func slowForm(ctx context.Context, way way, v visitor, body *drip) (int, error) {
	defer body.Close()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, way.url, body)
	if err != nil {
		return 0, err
	}
	r.Header.Set("Content-Type", formType)
	r.Header.Set(markField, v.mark())
	response, err := way.client.Do(r)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, response.Body)
	return response.StatusCode, nil
}

// Forms with tokens come a byte at a time over each protocol. Those that end in time are judged by their token; those
// that never end are given up after ten seconds, although there is always another byte. Nobody else waits for them.
func TestFaultSlowFormsOverEveryProtocol(t *testing.T) {
	if testing.Short() {
		t.Skip("takes as long as the deadline")
	}
	const issuer = "https://form.example.com"
	key := tokentest.NewKey(t, "ES256", "fault-form")
	s, ways := startEverywhere(t,
		gateForAudience(issuerBlock(issuer, "keys jwks "+tokentest.NewAS(t, tokentest.WithKeys(key)).JWKSURL()),
			"token_from header Authorization", "token_from form jwt"))
	visitors := jwts(t, key, issuer)
	s.fault(visitors, func(*crowd) {
		var clients sync.WaitGroup
		defer clients.Wait()
		for _, way := range ways {
			for _, v := range []visitor{visitors[1], visitors[2]} {
				clients.Go(func() {
					body := "x=" + strings.Repeat("y", 100) + "&jwt=" + v.token()
					if status, err := slowForm(t.Context(), way, v, newDrip(body, 2*time.Millisecond, false)); err != nil ||
						!slices.Contains(v.may, status) {
						t.Errorf("%s, %s, slow: status %d, %v, want %v", way.name, v.name, status, err, v.may)
					}
				})
			}
			clients.Go(func() {
				status, err := slowForm(t.Context(), way, visitor{name: "endless"},
					newDrip("jwt="+visitors[1].token()+"&x=", 20*time.Millisecond, true))
				t.Logf("%s, endless: status %d, %v", way.name, status, err)
				if status == http.StatusOK || status >= 500 {
					t.Errorf("%s, endless: status %d", way.name, status)
				}
			})
		}
	})
}

// slowErrorRoute is an error route whose page takes longer than the deadline for what a refused client still sends.
func slowErrorRoute(t *testing.T) string {
	slow := newUpstream(t)
	slow.answer = func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-time.After(1500 * time.Millisecond):
			_, _ = io.WriteString(w, "an error page")
		case <-r.Context().Done():
		}
	}
	return "\n\thandle_errors {\n\t\treverse_proxy " + slow.addr() + "\n\t}"
}

// When the gate has read a form and refuses it, no deadline stays behind: an error route may take its time.
func TestFaultErrorRouteAfterAForm(t *testing.T) {
	s := prepare(t)
	s.load(gateFor(consumerAlice(t), "token_from form access_token") +
		slowErrorRoute(t))
	r := s.request(http.MethodPost, "/", strings.NewReader("a=b"), "Content-Type", "application/x-www-form-urlencoded")
	if a := s.do(r); a.body != "an error page" {
		t.Errorf("status %d, body %q", a.StatusCode, a.body)
	}
}

// A refusal leaves no deadline behind after somebody else has read the body: another gate, or the placeholder for it.
// The error route does not read the body, so that nothing else would remove the deadline.
func TestFaultErrorRouteAfterABodyThatOthersHaveRead(t *testing.T) {
	long(t)
	route := strings.Replace(slowErrorRoute(t), "\n\t}", " {\n\t\t\tmethod GET\n\t\t}\n\t}", 1)
	for name, chain := range map[string]string{
		"another gate": "route {\nbearer_auth {\n" + consumerAlice(t) +
			"\noptional\ntoken_from form access_token\n}\nGATE\n}\nBACKEND",
		"the placeholder": "vars body {http.request.body}\nGATE\nBACKEND",
		"nobody":          "GATE\nBACKEND", // the body is still to come
	} {
		t.Run(name, func(t *testing.T) {
			s := prepare(t)
			s.behind(chain+route, consumerAlice(t))
			pages := s.errorPages(map[string]io.Reader{
				"known": strings.NewReader("a=b"), "chunked": io.MultiReader(strings.NewReader("a=b")),
			}, "Content-Type", formType)
			for length, page := range pages {
				if page.text != "an error page" {
					t.Errorf("%s: status %d, body %q, %v", length, page.status, page.text, page.err)
				}
			}
		})
	}
}

// errorPage is an answer, with the client that got it: its next request comes on the same connection.
type errorPage struct {
	client *http.Client
	status int
	text   string
	err    error
}

// errorPages posts bodies at the same time, since each answer takes long, and each on a connection of its own.
func (s *site) errorPages(bodies map[string]io.Reader, header ...string) map[string]errorPage {
	s.t.Helper()
	var mu sync.Mutex
	var clients sync.WaitGroup
	pages := make(map[string]errorPage)
	for name, body := range bodies {
		r := s.request(http.MethodPost, "/", body, header...)
		transport := &http.Transport{DialContext: s.dial}
		s.t.Cleanup(transport.CloseIdleConnections)
		clients.Go(func() {
			page := errorPage{client: &http.Client{Transport: transport, Timeout: patience}}
			var response *http.Response
			if response, page.err = page.client.Do(r); page.err == nil {
				defer response.Body.Close()
				var text []byte
				text, page.err = io.ReadAll(response.Body)
				page.status, page.text = response.StatusCode, string(text)
			}
			mu.Lock()
			defer mu.Unlock()
			pages[name] = page
		})
	}
	clients.Wait()
	return pages
}

// A refusal leaves no deadline behind, without a body or with a body that an error route has read. Otherwise the
// server, which watches the connection then, would give up this request and all later ones on it. Caddy's own watch
// over slow bodies removes deadlines, but somebody may turn it off.
func TestFaultErrorRouteLeavesTheConnectionAlive(t *testing.T) {
	long(t)
	token := hmacKey(t).Sign(t, claims())
	page := slowErrorRoute(t)
	for watch, option := range map[string]string{
		"watched": "", "not watched": "\n\tservers {\n\t\ttimeouts {\n\t\t\tread_body_idle -1s\n\t\t}\n\t}",
	} {
		s := prepare(t)
		s.loadFile(strings.Replace(s.caddyfile(gateFor(consumerAlice(t))+page), "auto_https off", "auto_https off"+option, 1))
		s.inForce()
		pages := s.errorPages(map[string]io.Reader{
			"no body": nil, "a body": strings.NewReader("hello"), "a chunked body": io.MultiReader(strings.NewReader("hello")),
		})
		for name, page := range pages {
			t.Run(watch+", "+name, func(t *testing.T) {
				s := s.in(t)
				if page.text != "an error page" {
					t.Errorf("status %d, body %q, %v", page.status, page.text, page.err)
				}
				s.client = page.client
				s.accepts(token) // on the same connection
			})
		}
	}
}
