package tokenissuer

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	_ "github.com/caddyserver/caddy/v2/modules/filestorage"
	_ "github.com/caddyserver/caddy/v2/modules/logging"
	"go.uber.org/zap"

	_ "github.com/caddyjwt/gateway/caddyjwt"
	"github.com/caddyjwt/gateway/caddyjwt/tokenissuer/applications"
	"github.com/caddyjwt/gateway/caddyjwt/tokenissuer/people"
	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/issuing"
	"github.com/caddyjwt/gateway/internal/session"
	"github.com/caddyjwt/gateway/internal/users"
	"github.com/caddyjwt/gateway/internal/users/attempts"
)

// The behaviour of a whole site is tested in package integration. These tests are about each answer of the handler.

// server is a Caddy with one site, and a client of it.
type server struct {
	t      testing.TB
	client http.Client
	dir    string // short: a socket's path has about a hundred bytes
}

func newServer(t testing.TB) *server {
	t.Helper()
	dir, err := os.MkdirTemp("", "issuer")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{t: t, dir: dir}
	s.client.Transport = &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(dir, "s"))
	}}
	t.Cleanup(func() {
		s.client.CloseIdleConnections()
		if err := caddy.Stop(); err != nil {
			t.Error(err)
		}
		_ = os.RemoveAll(dir)
	})
	return s
}

// runs has Caddy run with these lines in a token_issuer, and with a gate behind it. Caddy starts anew, with the store
// and the keys from before: after a reload, the server from before may accept a connection once more, and close it.
func (s *server) runs(name string, lines ...string) {
	s.t.Helper()
	s.client.CloseIdleConnections()
	if err := caddy.Stop(); err != nil {
		s.t.Fatal(err)
	}
	s.reloads(name, lines...)
}

// reloads has Caddy change to these lines while it runs.
func (s *server) reloads(name string, lines ...string) {
	s.t.Helper()
	config, err := adapted(fmt.Sprintf(`{
	admin off
	persist_config off
	auto_https off
	storage file_system %[1]s
	bearer_auth {
		store file %[1]s/store.db
	}
	log {
		output file %[1]s/log
	}
}
http:// {
	bind unix/%[1]s/s
	token_issuer %[2]s {
		%[3]s
	}
	bearer_auth {
		audience %[2]s
		issuer %[2]s {
			keys local
		}
	}
	respond "in"
}
`, s.dir, name, strings.Join(lines, "\n")))
	if err != nil {
		s.t.Fatal(err)
	}
	if err := caddy.Load(config, true); err != nil {
		s.t.Fatal(err)
	}
}

func adapted(caddyfile string) ([]byte, error) {
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(caddyfile), map[string]any{"filename": "Caddyfile"})
	return config, err
}

// loads validates a Caddyfile as "caddy validate" does.
func loads(t *testing.T, caddyfile string) error {
	t.Helper()
	config, err := adapted("{\n\tadmin off\n\tstorage file_system " + t.TempDir() +
		"\n\tbearer_auth {\n\t\tstore memory\n\t}\n}\n" + caddyfile)
	if err != nil {
		t.Fatal(err)
	}
	c := new(caddy.Config)
	if err := json.Unmarshal(config, c); err != nil {
		t.Fatal(err)
	}
	return caddy.Validate(c)
}

// sends sends a request, whose header fields are name, value pairs.
func (s *server) sends(method, path, body string, header ...string) (*http.Response, string) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, "http://gate.test"+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	response, err := s.client.Do(r)
	if errors.Is(err, io.EOF) { // the server from before a reload has accepted the connection, and closed it
		r.Body = io.NopCloser(strings.NewReader(body))
		response, err = s.client.Do(r)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return response, string(text)
}

// answers wants a POST to be answered with a status, and gives the members of the answer.
func (s *server) answers(status int, path, body string, header ...string) (members map[string]any) {
	s.t.Helper()
	response, text := s.sends(http.MethodPost, path, body, header...)
	if response.StatusCode != status {
		s.t.Errorf("POST %s: status %d, want %d: %s", path, response.StatusCode, status, text)
	}
	if text != "" && json.Unmarshal([]byte(text), &members) != nil {
		s.t.Errorf("POST %s: %q", path, text)
	}
	return members
}

const (
	alice = `{"user":"alice","password":"secret"}`
	again = `{"grant_type":"refresh_token","refresh_token":"%s"}`
)

func TestEachAddressAnswers(t *testing.T) {
	s := newServer(t)
	s.runs("https://gate.test", "user alice "+hash, "app /a/", "app /b/ {\ncompat oauth\nheader co x\n}")
	pair := s.answers(200, "/a/login", alice)
	token := func(pair map[string]any) string { return "Bearer " + fmt.Sprint(pair["access_token"]) }
	if response, text := s.sends("GET", "/a/7", "", "Authorization", token(pair)); text != "in" {
		t.Errorf("status %d, %s", response.StatusCode, text)
	}
	next := s.answers(200, "/a/refresh", fmt.Sprintf(again, pair["refresh_token"]))
	if response, _ := s.sends("GET", "/a/7", "", "Authorization", token(pair)); response.StatusCode != 401 {
		t.Errorf("an old token: status %d", response.StatusCode)
	}
	s.answers(401, "/b/logout", "", "Authorization", token(next))
	s.answers(401, "/a/logout", "")
	s.answers(401, "/a/logout", "", "Authorization", token(pair))
	s.answers(204, "/a/logout", "", "Authorization", token(next))
	if got := s.answers(401, "/a/refresh", fmt.Sprintf(again, next["refresh_token"])); got["error"] != "invalid_grant" {
		t.Errorf("%v", got)
	}
	if got := s.answers(200, "/b/login", alice); got["token_type"] != "Bearer" || got["expires_in"] != 60.0 {
		t.Errorf("%v", got)
	}
	if got := s.answers(401, "/a/login", strings.Replace(alice, "secret", "x", 1)); got["error"] != "invalid_grant" {
		t.Errorf("%v", got)
	}
	s.answers(400, "/a/login", "{")
	response, _ := s.sends("GET", "/a/login", "")
	if response.StatusCode != 405 || response.Header.Get("Allow") != "POST" {
		t.Errorf("GET: status %d", response.StatusCode)
	}
}

func TestTheDocumentsForOtherVerifiers(t *testing.T) {
	for name, paths := range map[string][]string{
		"https://gate.test": {
			"/.well-known/jwks.json", "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server",
		},
		"https://gate.test/tenant": {
			"/tenant/.well-known/jwks.json", "/tenant/.well-known/openid-configuration",
			"/.well-known/oauth-authorization-server/tenant",
		},
		"gate":                  {"/.well-known/jwks.json"},
		"https://gate.test/?x":  {"/.well-known/jwks.json"},
		"ftp://gate.test/files": {"/.well-known/jwks.json"},
	} {
		s := newServer(t)
		s.runs(name, "user alice "+hash, "app /a/")
		for i, path := range paths {
			response, text := s.sends("GET", path, "")
			var document struct {
				Keys   []map[string]string
				Issuer string
				JWKS   string `json:"jwks_uri"`
			}
			if err := json.Unmarshal([]byte(text), &document); err != nil || response.StatusCode != 200 {
				t.Errorf("%s: status %d, %s", path, response.StatusCode, text)
			}
			if i == 0 && (len(document.Keys) != 2 || document.Keys[0]["d"] != "" || document.Keys[0]["kid"] == "") {
				t.Errorf("%s: %s", path, text)
			}
			if i > 0 && (document.Issuer != name || document.JWKS != name+"/.well-known/jwks.json") {
				t.Errorf("%s: %s", path, text)
			}
		}
		if response, _ := s.sends("GET", "/other/.well-known/jwks.json", ""); response.StatusCode != 401 {
			t.Errorf("another path: status %d", response.StatusCode)
		}
	}
}

func TestWordsThatChangeAnswers(t *testing.T) {
	s := newServer(t)
	file := filepath.Join(s.dir, "users")
	if err := os.WriteFile(file, []byte("alice:"+hash+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.runs("https://gate.test", "users file "+file, "cors {\norigins https://app.example.com\n}", "algorithm EdDSA",
		"app /a/ {\nendpoints {\nlogin in\nlogout out\n}\ncompat iris\n}")
	from := []string{"Origin", "https://app.example.com"}
	response, _ := s.sends("OPTIONS", "/a/in", "", append(from, "Access-Control-Request-Method", "POST")...)
	if response.StatusCode != 204 || response.Header.Get("Access-Control-Allow-Origin") != from[1] {
		t.Errorf("preflight: status %d, %v", response.StatusCode, response.Header)
	}
	response, text := s.sends("POST", "/a/in", alice, from...)
	if response.StatusCode != 200 || response.Header.Get("Access-Control-Allow-Origin") != from[1] {
		t.Errorf("status %d, %v, %s", response.StatusCode, response.Header, text)
	}
	if response, _ := s.sends("POST", "/a/login", alice); response.StatusCode != 401 {
		t.Errorf("the usual name: status %d", response.StatusCode)
	}
}

// Requests that come before the store is open, or after the issuer is gone, hear that it cannot be done now.
func TestAnIssuerThatHasNotStarted(t *testing.T) {
	h := &Handler{
		Issuer: "https://gate.test", Users: []people.User{{Name: "alice", Hash: hash}},
		Apps: []applications.App{{Path: "/a/"}},
	}
	var err error
	if h.built, err = h.compile(words.NewSettings()); err != nil {
		t.Fatal(err)
	}
	h.issuer = &issuer{compiled: h.built, logger: zap.NewNop()}
	for path, want := range map[string]string{
		"/a/login": "temporarily_unavailable", "/.well-known/jwks.json": "",
		"/.well-known/openid-configuration": "", "/.well-known/oauth-authorization-server": "", "/other": "next",
	} {
		w := httptest.NewRecorder()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://gate.test"+path, strings.NewReader(alice))
		if err != nil {
			t.Fatal(err)
		}
		r = r.WithContext(context.WithValue(r.Context(), caddyhttp.OriginalRequestCtxKey, http.Request{RequestURI: path}))
		err = h.ServeHTTP(w, r, caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
			_, err := io.WriteString(w, "next")
			return err
		}))
		if err != nil {
			t.Error(err)
		}
		if text := w.Body.String(); !strings.Contains(text, want) || path != "/other" && (w.Code != 503 ||
			w.Header().Get("Retry-After") != "1" || w.Header().Get("Cache-Control") != "no-store") {
			t.Errorf("%s: status %d, %v, %s", path, w.Code, w.Header(), text)
		}
	}
	if h.issuer.Keys() != nil || h.issuer.Close() != nil {
		t.Error("it has keys, or cannot be closed")
	}
}

// limited is a writer that notes the deadlines for the body.
type limited struct {
	*httptest.ResponseRecorder
	seconds []float64
}

func (l *limited) SetReadDeadline(at time.Time) error {
	l.seconds = append(l.seconds, time.Until(at).Round(time.Second).Seconds())
	return nil
}

// A body has a deadline until it has been read, and what is left of it has one, too. Nothing else has: net/http would
// end the request, and all later ones on the connection.
func TestTheDeadlineIsForABody(t *testing.T) {
	i := &issuer{compiled: new(compiled), logger: zap.NewNop()}
	i.running.Store(new(running))
	reads := func(c *call) error { _, err := issuing.ReadLogin(c.r); return cmp.Or(err, users.ErrRefused) }
	leaves := func(*call) error { return users.ErrRefused }
	for _, test := range []struct {
		name, body, want string
		serve            func(*call) error
	}{
		{"a body that is read", alice, "[10]", reads},
		{"a body that is left", alice, "[10 1]", leaves},
		{"a body that is too large", strings.Repeat(" ", 1<<20), "[10 1]", reads},
		{"no body", "", "[]", reads},
		{"no body, not read", "", "[]", leaves},
	} {
		w := &limited{ResponseRecorder: httptest.NewRecorder()}
		r := httptest.NewRequestWithContext(t.Context(), "POST", "/a/login", strings.NewReader(test.body))
		r.Header.Set("Content-Type", "application/json")
		i.answer(w, r, &endpoint{"/a/login", endpointLogin, new(applications.Application), test.serve})
		if got := fmt.Sprint(w.seconds); got != test.want || w.Code < 400 {
			t.Errorf("%s: deadlines %s, want %s; status %d", test.name, got, test.want, w.Code)
		}
	}
}

// Everything that a client hears has its status and code.
func TestFailuresHaveTheirStatus(t *testing.T) {
	for _, test := range []struct {
		err    error
		status int
		after  time.Duration
	}{
		{fmt.Errorf("x: %w", users.ErrRefused), 401, 0},
		{fmt.Errorf("x: %w", session.ErrInvalid), 401, 0},
		{fmt.Errorf("x: %w", session.ErrReused), 401, 0},
		{fmt.Errorf("x: %w", session.ErrMalformed), 401, 0},
		{fmt.Errorf("x: %w", session.ErrUnavailable), 503, time.Second},
		{fmt.Errorf("x: %w", &session.TooSoonError{RetryAfter: 3 * time.Second}), 429, 3 * time.Second},
		{fmt.Errorf("x: %w", &attempts.Limited{RetryAfter: 4 * time.Second}), 429, 4 * time.Second},
		{users.ErrUnavailable, 503, time.Second},
		{context.Canceled, 503, time.Second},
		{errNotStarted, 503, time.Second},
	} {
		if f := failureOf(test.err); f.Status != test.status || f.RetryAfter != test.after {
			t.Errorf("%v: status %d, after %v", test.err, f.Status, f.RetryAfter)
		}
	}
}
