package httpusers_test

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/caddyjwt/gateway/internal/fetch"
	"github.com/caddyjwt/gateway/internal/rotating"
	"github.com/caddyjwt/gateway/internal/setting"
	"github.com/caddyjwt/gateway/internal/users"
	"github.com/caddyjwt/gateway/internal/users/httpusers"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve starts a server, and returns a directory that asks it.
func serve(t testing.TB, h http.HandlerFunc, change func(*httpusers.Config)) *httpusers.Directory {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return ask(t, server.URL, change)
}

func ask(t testing.TB, url string, change func(*httpusers.Config)) *httpusers.Directory {
	t.Helper()
	c := httpusers.Config{URL: url}
	if change != nil {
		change(&c)
	}
	d, err := httpusers.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

// says is a server that answers always the same.
func says(status int, kind, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// fails checks that a user may not sign in, for this reason.
func fails(t *testing.T, d users.Directory, name, password string, want error) error {
	t.Helper()
	u, err := d.Check(t.Context(), name, password)
	if u != nil || !errors.Is(err, want) {
		t.Errorf("%q: %v, error %v, want %v", name, u, err, want)
	}
	if err != nil && strings.Contains(err.Error(), "secret") {
		t.Errorf("the error has a secret: %v", err)
	}
	return err
}

// judge is a server with a user.
func judge(w http.ResponseWriter, r *http.Request) {
	var question struct{ User, Password string }
	if err := json.NewDecoder(r.Body).Decode(&question); err != nil || r.Method != http.MethodPost ||
		r.Header.Get("Content-Type") != "application/json" {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if !strings.EqualFold(question.User, "alice") || question.Password != `secret <"a"> ü` {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	fmt.Fprint(w, `{"sub":"alice","roles":["staff","admin"],"claims":{"email": "a@b"},"else":1}`)
}

func TestTheServerJudgesThePassword(t *testing.T) {
	d := serve(t, judge, nil)
	u, err := d.Check(t.Context(), "ALICE", `secret <"a"> ü`)
	if err != nil || u.Name != "alice" || u.Mark != "" || !slices.Equal(u.Roles, []string{"staff", "admin"}) ||
		string(u.Claims) != `{"email":"a@b"}` {
		t.Errorf("%+v, %v", u, err)
	}
	for name, password := range map[string]string{
		"alice": "secret b", "bob": `secret <"a"> ü`, "": "secret", "alic\x00": "secret", "x": "", "y": "secret\xff",
	} {
		fails(t, d, name, password, users.ErrRefused)
	}
	if _, err := d.Find(t.Context(), "alice"); !errors.Is(err, users.ErrCannotKnow) || !users.Remote(d, "alice") {
		t.Error(err)
	}
}

func TestOnlyAYesIsAYes(t *testing.T) {
	for _, status := range []int{200, 201, 204, 299} {
		d := serve(t, says(status, "text/plain", ""), nil)
		if u, err := d.Check(t.Context(), "alice", "secret"); err != nil || u.Name != "alice" || u.Roles != nil {
			t.Errorf("%d: %+v, %v", status, u, err)
		}
	}
	for _, status := range []int{401, 403} {
		fails(t, serve(t, says(status, "application/json", `{"sub":"alice"}`), nil), "alice", "secret", users.ErrRefused)
	}
	for _, status := range []int{300, 302, 307, 308, 304, 400, 404, 407, 429, 500, 503, 999} {
		fails(t, serve(t, says(status, "application/json", `{}`), nil), "alice", "secret", users.ErrUnavailable)
	}
}

func TestAttackAYesThatIsNotInOrderLetsNobodyIn(t *testing.T) {
	many := strings.TrimSuffix(strings.Repeat(`"x",`, users.MaxRoles+1), ",")
	for _, body := range []string{
		`{`, `[]`, `null`, `"alice"`, `{"sub":1}`, `{"sub":null}`, `{"sub":""}`, `{"sub":"a\nb"}`, `{"sub":"a","sub":"b"}`,
		`{"roles":"admin"}`, `{"roles":[1]}`, `{"roles":[""]}`, `{"roles":null}`, `{"roles":[` + many + `]}`,
		`{"roles":["` + strings.Repeat("x", users.MaxRole+1) + `"]}`, `{"claims":[]}`, `{"claims":null}`,
		`{"claims":{"iss":"x"}}`, `{"claims":{"Sub":"x"}}`, `{"claims":{"x":"` + strings.Repeat("x", users.MaxClaims) + `"}}`,
		`{"sub":"a"} {}`, `{"sub":"` + strings.Repeat("x", users.MaxName+1) + `"}`,
		`{"x":"` + strings.Repeat("x", httpusers.MaxBody) + `"}`, "{\"sub\":\"\xff\"}", "\xef\xbb\xbf{}",
	} {
		fails(t, serve(t, says(200, "application/json", body), nil), "alice", "secret", users.ErrUnavailable)
	}
	for _, kind := range []string{"", "text/html", "application/xml", ";"} {
		fails(t, serve(t, says(200, kind, `{"sub":"alice"}`), nil), "alice", "secret", users.ErrUnavailable)
	}
}

func TestAttackNoRedirectGetsThePassword(t *testing.T) {
	var asked atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer other.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		d := serve(t, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other.URL, status)
		}, nil)
		fails(t, d, "alice", "secret", users.ErrUnavailable)
	}
	if asked.Load() != 0 {
		t.Error("a redirect was followed")
	}
}

// A server that hangs up in the middle has seen the password once.
func TestAttackThePasswordIsSentOnce(t *testing.T) {
	var seen, connections atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadAll(r.Body)
		if seen.Add(1) > 1 {
			panic(http.ErrAbortHandler)
		}
	}))
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	d := ask(t, server.URL, nil)
	if _, err := d.Check(t.Context(), "alice", "secret"); err != nil {
		t.Fatal(err)
	}
	fails(t, d, "alice", "secret", users.ErrUnavailable)
	if seen.Load() != 2 || connections.Load() != 2 {
		t.Errorf("%d requests on %d connections", seen.Load(), connections.Load())
	}
}

func TestTheServerSeesWhoAsks(t *testing.T) {
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte("secret key"), 0o600); err != nil {
		t.Fatal(err)
	}
	got := make(chan http.Header, 1)
	server := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got <- r.Header }))
	defer server.Close()
	d := ask(t, server.URL, func(c *httpusers.Config) {
		c.Options.CA = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
		c.Options.Header = http.Header{"x-a": {"1", "2"}, "Content-Type": {"text/plain"}}
		c.Options.Rotating = []rotating.Field{{Name: "x-key", Value: rotating.Template{
			Parts: []rotating.Part{{Text: file, File: true}}, First: "secret key",
		}}}
	})
	if _, err := d.Check(t.Context(), "alice", "secret"); err != nil {
		t.Fatal(err)
	}
	h := <-got
	if !slices.Equal(h["X-A"], []string{"1", "2"}) || h.Get("X-Key") != "secret key" ||
		h.Get("Content-Type") != "application/json" {
		t.Error(h)
	}
	fails(t, ask(t, server.URL, nil), "alice", "secret", users.ErrUnavailable)
}

func TestASlowServerCostsABoundedTime(t *testing.T) {
	asked, end := make(chan struct{}, 2), make(chan struct{})
	defer close(end)
	slow := func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadAll(r.Body)
		asked <- struct{}{}
		select {
		case <-end:
		case <-r.Context().Done():
		}
	}
	d := serve(t, slow, func(c *httpusers.Config) { c.Options.Timeout = 50 * time.Millisecond })
	if err := fails(t, d, "alice", "secret", users.ErrUnavailable); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	<-asked
	one := serve(t, slow, func(c *httpusers.Config) { c.MaxInFlight = 1 })
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		_, err := one.Check(ctx, "alice", "secret")
		ended <- err
	}()
	<-asked
	second, cancelSecond := context.WithCancel(t.Context())
	go func() {
		_, err := one.Check(second, "alice", "secret")
		ended <- err
	}()
	cancelSecond()
	if err := <-ended; !errors.Is(err, users.ErrUnavailable) || !strings.Contains(err.Error(), "under way") {
		t.Error(err)
	}
	cancel()
	if err := <-ended; !errors.Is(err, users.ErrUnavailable) || !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestABrokenAnswerLetsNobodyIn(t *testing.T) {
	d := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, `{"sub":"alice"}`)
	}, nil)
	fails(t, d, "alice", "secret", users.ErrUnavailable)
	gone := serve(t, judge, nil)
	_ = gone.Close()
	fails(t, gone, "alice", "secret", users.ErrUnavailable)
}

func TestNewNamesTheWrongSetting(t *testing.T) {
	for field, change := range map[string]func(*httpusers.Config){
		"URL":             func(c *httpusers.Config) { c.URL = "http://example.com" },
		"MaxInFlight":     func(c *httpusers.Config) { c.MaxInFlight = -1 },
		"Options.Timeout": func(c *httpusers.Config) { c.Options.Timeout = time.Hour },
		"Options":         func(c *httpusers.Config) { c.Options.CA = []byte("x") },
		"Options.Header":  func(c *httpusers.Config) { c.Options.Header = http.Header{"X": {"a\nb"}} },
	} {
		c := httpusers.Config{URL: "https://example.com"}
		change(&c)
		if _, err := httpusers.New(c); setting.Field(err) != field {
			t.Errorf("%s: %q, %v", field, setting.Field(err), err)
		}
	}
	c := httpusers.Config{URL: "https://example.com", Options: fetch.Options{Rotating: []rotating.Field{
		{Name: "x", Value: rotating.Template{First: "a\r"}},
	}}}
	if _, err := httpusers.New(c); setting.Field(err) != "Options.Header" {
		t.Error(err)
	}
}
