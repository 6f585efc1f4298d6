//go:build e2e && e2eall

package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// The origins of examples/spa, and another one.
const (
	spaPage     = "http://localhost:8080"
	spaOrders   = "http://localhost:8081/api/orders/"
	spaStranger = "http://stranger.test"
)

// spa is the single-page application of examples/spa in a browser: its files as they are, but on sockets.
type spa struct {
	*gate
	browser *chromium
}

func newSPA(t *testing.T) *spa {
	t.Helper()
	dir, err := filepath.Abs("../examples/spa")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "Caddyfile"))
	if err != nil {
		t.Fatal(err)
	}
	_, sites, found := strings.Cut(string(text), "\n}\n") // behind the global options
	pages, api := "\nhttp://localhost:8080 {\n", "\nhttp://localhost:8081 {\n"
	if !found || strings.Count(sites, pages) != 1 || strings.Count(sites, api) != 1 {
		t.Fatalf("examples/spa/Caddyfile has other sites:\n%s", text)
	}
	s := &spa{gate: &gate{log: new(tokentest.Buffer), options: "bearer_auth {\nstore memory\n}"}}
	s.start(t, func(socket string) string {
		return strings.NewReplacer(
			pages, fmt.Sprintf("%sbind unix/%sp\nroot * %s\n", pages, socket, dir),
			api, fmt.Sprintf("%sbind unix/%s\n", api, socket),
		).Replace(sites) + fmt.Sprintf("%s {\nbind unix/%sp\nheader Content-Type text/html\n"+
			"respond \"<!doctype html><title>another page</title>\"\n}\n", spaStranger, socket)
	})
	listens(t, "the page", s.socket+"p", nil)
	at := relay(t, s.socket+"p")
	s.browser = startChromiumWith(t, map[string]string{
		"localhost:8080": at, "stranger.test": at, "localhost:8081": relay(t, s.socket),
	})
	return s
}

// tab opens the application in a new tab.
func (s *spa) tab(t *testing.T) *page {
	t.Helper()
	p := s.browser.open(t)
	p.enter(t)
	return p
}

// enter goes to the application, or loads it again. From then on the page notes what its script sends, and counts what
// it says.
func (p *page) enter(t *testing.T) {
	t.Helper()
	if status := p.visit(t, spaPage+"/"); status != http.StatusOK {
		t.Fatalf("the page: status %d", status)
	}
	p.run(t, `
		window.said = 0
		new MutationObserver((changes) => {
			for (const { addedNodes } of changes) said += addedNodes.length
		}).observe(document.getElementById("message"), { childList: true })
		window.sent = []
		const real = window.fetch
		window.fetch = (address, init) => {
			if (window.spoil) init.headers.Authorization += "x"
			window.spoil = false
			sent.push({ Path: init.method + " " + address.split("/").pop(), Bearer: init.headers.Authorization ?? "" })
			return real(address, init)
		}`, nil)
}

// sends returns what the script of a page has sent since the last call: methods and last parts of the paths. Tokens are
// noted, because none may be in the log.
func (s *spa) sends(t *testing.T, p *page) (paths string, tokens []string) {
	t.Helper()
	var sent []struct{ Path, Bearer string }
	p.run(t, `return sent.splice(0)`, &sent)
	var all []string
	for _, request := range sent {
		all = append(all, request.Path)
		if token, has := strings.CutPrefix(request.Bearer, "Bearer "); has {
			tokens = append(tokens, token)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent = append(s.sent, tokens...)
	return strings.Join(all, ", "), tokens
}

// stored is the refresh token that a tab keeps.
func (s *spa) stored(t *testing.T, p *page) (token string) {
	t.Helper()
	p.run(t, `return sessionStorage.getItem("refresh_token") ?? ""`, &token)
	s.mu.Lock()
	defer s.mu.Unlock()
	if token != "" {
		s.sent = append(s.sent, token)
	}
	return token
}

// signIn fills in the form.
func (p *page) signIn(t *testing.T, user, password string) {
	t.Helper()
	p.shows(t, "login", true)
	arguments, err := json.Marshal([]string{user, password})
	if err != nil {
		t.Fatal(err)
	}
	p.run(t, `
		const form = document.getElementById("login");
		[form.elements.user.value, form.elements.password.value] = `+string(arguments)+`
		form.requestSubmit()`, nil)
}

// click clicks a button, as often as said, without waiting for what comes of it.
func (p *page) click(t *testing.T, id string, times int) {
	t.Helper()
	p.run(t, fmt.Sprintf(`
		document.getElementById("message").textContent = ""
		window.said = 0
		for (let i = 0; i < %d; i++) document.getElementById(%q).click()`, times, id), nil)
}

// hears waits until the API has answered as many calls with orders.
func (p *page) hears(t *testing.T, calls int) {
	t.Helper()
	eventually(t, fmt.Sprintf("the API has answered %d times", calls), func() bool {
		var said int
		p.run(t, `return said`, &said)
		return said >= calls
	})
	p.says(t, "message", "Three orders of alice")
}

// says waits until an element has this text.
func (p *page) says(t *testing.T, id, text string) {
	t.Helper()
	eventually(t, fmt.Sprintf("%s says %q", id, text), func() bool {
		var got string
		p.run(t, fmt.Sprintf(`return document.getElementById(%q).textContent`, id), &got)
		return got == text
	})
}

// shows waits until an element is there to see, or not.
func (p *page) shows(t *testing.T, id string, visible bool) {
	t.Helper()
	eventually(t, fmt.Sprintf("%s is visible: %t", id, visible), func() bool {
		var got bool
		p.run(t, fmt.Sprintf(`return document.getElementById(%q).checkVisibility()`, id), &got)
		return got == visible
	})
}

// ages sets the clock of a page so that access tokens have nearly expired.
func (p *page) ages(t *testing.T) {
	t.Helper()
	p.run(t, `
		const now = Date.now
		Date.now = () => now() + 57_000`, nil)
}

// refused sends access tokens to the API, none of which may be good.
func (s *spa) refused(t *testing.T, tokens ...string) {
	t.Helper()
	for i, token := range tokens {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, spaOrders+"today", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+token)
		answer, err := s.client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if answer.StatusCode != http.StatusUnauthorized {
			t.Errorf("token %d: status %d", i, answer.StatusCode)
		}
	}
}

// The single-page application does all that it is there for, in one tab and in two.
func TestABrowserRunsTheSinglePageApplication(t *testing.T) {
	s := newSPA(t)
	p := s.tab(t)
	p.says(t, "message", "Please sign in.")
	p.signIn(t, "alice", "wrong")
	p.says(t, "message", "user or password is wrong")
	p.signIn(t, "alice", "secret")
	p.says(t, "user", "alice")
	p.click(t, "load", 1)
	p.hears(t, 1)
	paths, first := s.sends(t, p)
	if paths != "POST login, POST login, GET today" {
		t.Errorf("signing in and a call: %s", paths)
	}

	// The token is about to expire: three calls at once make one refresh.
	spent := s.stored(t, p)
	p.ages(t)
	p.click(t, "load", 3)
	p.hears(t, 3)
	paths, second := s.sends(t, p)
	if paths != "POST refresh, GET today, GET today, GET today" || second[0] == first[0] {
		t.Errorf("an old token: %s", paths)
	}
	s.refused(t, first...)

	// The API refuses the token: one refresh, one more try.
	p.run(t, `window.spoil = true`, nil)
	p.click(t, "load", 1)
	p.hears(t, 1)
	if paths, _ := s.sends(t, p); paths != "GET today, POST refresh, GET today" {
		t.Errorf("a refused token: %s", paths)
	}
	s.refused(t, second[0])

	// The only tab goes on after a reload.
	p.enter(t)
	p.says(t, "user", "alice")

	// A second tab has the same session, and one of the two refreshes.
	q := s.tab(t)
	q.says(t, "user", "alice")
	p.ages(t)
	q.ages(t)
	s.sends(t, p)
	s.sends(t, q)
	p.click(t, "load", 1)
	q.click(t, "load", 1)
	p.hears(t, 1)
	q.hears(t, 1)
	inP, last := s.sends(t, p)
	inQ, _ := s.sends(t, q)
	if got := []string{inP, inQ}; !slices.Contains(got, "GET today") ||
		!slices.Contains(got, "POST refresh, GET today") || s.stored(t, p) != s.stored(t, q) {
		t.Errorf("two tabs: %q", got)
	}

	// A tab that comes back with a token that was used long ago asks the others before it tries that: no session ends.
	q.run(t, fmt.Sprintf(`sessionStorage.setItem("refresh_token", %q)`, spent), nil)
	q.enter(t)
	q.says(t, "user", "alice")
	q.click(t, "load", 1)
	q.hears(t, 1)
	p.click(t, "load", 1)
	p.hears(t, 1)

	// Logging out in one tab ends the session in both.
	refresh := s.stored(t, p)
	_, more := s.sends(t, q)
	p.click(t, "logout", 1)
	for _, tab := range []*page{p, q} {
		tab.shows(t, "login", true)
		tab.says(t, "user", "")
		tab.says(t, "message", "")
		if token := s.stored(t, tab); token != "" {
			t.Error("a tab keeps a refresh token")
		}
	}
	s.refused(t, slices.Concat(last, more)...)
	p.run(t, fmt.Sprintf(`sessionStorage.setItem("refresh_token", %q)`, refresh), nil)
	p.enter(t)
	p.says(t, "message", "Your session has ended. Please sign in.")
}

// A page of another origin can read no answer, whatever it knows. A script that gets into the application's page can
// neither run nor send the tokens elsewhere.
func TestABrowserKeepsOthersOutOfTheSinglePageApplication(t *testing.T) {
	s := newSPA(t)
	p := s.tab(t)
	p.signIn(t, "alice", "secret")
	p.says(t, "user", "alice")
	p.click(t, "load", 1)
	p.hears(t, 1)
	_, tokens := s.sends(t, p)

	other := s.browser.open(t)
	other.visit(t, spaStranger+"/")
	for _, init := range []map[string]any{nil, bearing(http.MethodGet, tokens[0]), {"mode": "no-cors"}} {
		if got := other.fetch(t, spaOrders+"today", init); got.Failed == "" && (got.Status != 0 || got.Body != "") {
			t.Errorf("a page of another origin has read %+v", got)
		}
	}
	for _, path := range []string{"login", "refresh", "logout"} {
		init := bearing(http.MethodPost, tokens[0])
		init["body"] = `{"user":"alice","password":"secret"}`
		if got := other.fetch(t, spaOrders+path, init); got.Failed == "" {
			t.Errorf("a page of another origin has read %+v of %s", got, path)
		}
	}
	p.click(t, "load", 1)
	p.hears(t, 1) // nobody has logged alice out

	elsewhere := map[string]any{"method": "GET", "mode": "no-cors", "headers": map[string]any{}}
	if got := p.fetch(t, spaStranger+"/", elsewhere); got.Failed == "" {
		t.Errorf("the application's page can send to other origins: %+v", got)
	}
	var injected string
	p.run(t, `
		window.injected = "nothing"
		for (const text of ["<img src=x onerror='window.injected=1'>", "<script>window.injected=2</script>"]) {
			try { document.body.innerHTML = text; window.injected = "markup" } catch {}
			try {
				const script = document.createElement("script")
				script.append("window.injected = 3")
				document.body.append(script)
			} catch {}
		}
		return String(window.injected)`, &injected)
	if injected != "nothing" {
		t.Errorf("what was injected has run: %s", injected)
	}
}
