package cors

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/setting"
)

const app = "https://app.example.com"

func compile(t testing.TB, c Config) *Policy {
	t.Helper()
	p, err := c.Compile(words.NewSettings(), []string{"Authorization"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// request has header fields given as name, value pairs.
func request(method string, fields ...string) *http.Request {
	r := httptest.NewRequest(method, "https://api.example.com/orders", nil)
	for i := 0; i < len(fields); i += 2 {
		r.Header.Add(fields[i], fields[i+1])
	}
	return r
}

func preflight(origin, method string, headers ...string) *http.Request {
	fields := []string{"Origin", origin, "Access-Control-Request-Method", method}
	for _, header := range headers {
		fields = append(fields, "Access-Control-Request-Headers", header)
	}
	return request(http.MethodOptions, fields...)
}

func TestPreflights(t *testing.T) {
	day := caddy.Duration(longestMaxAge)
	zero := caddy.Duration(0)
	narrow := Config{Origins: []string{app}, Methods: []string{"GET", "purge"}, Headers: []string{"X-Request-ID"},
		MaxAge: &day}
	for name, row := range map[string]struct {
		config Config
		r      *http.Request
		denied string            // a part of it, or ""
		fields map[string]string // that the answer has
	}{
		"a listed origin": {Config{Origins: []string{"https://other.example", app}}, preflight(app, "DELETE"), "",
			map[string]string{"Access-Control-Allow-Origin": app, "Access-Control-Allow-Methods": "DELETE",
				"Access-Control-Allow-Credentials": "", "Access-Control-Max-Age": "", "Access-Control-Allow-Headers": ""}},
		"another origin":            {narrow, preflight("https://evil.example", "GET"), `"https://evil.example"`, nil},
		"the origin, other letters": {narrow, preflight("https://APP.example.com", "GET"), "origin", nil},
		"no browser's null":         {narrow, preflight("null", "GET"), "origin", nil},
		"a listed method": {narrow, preflight(app, "purge"), "",
			map[string]string{"Access-Control-Allow-Methods": "purge", "Access-Control-Max-Age": "86400"}},
		"a method in other letters": {narrow, preflight(app, "PURGE"), `"PURGE"`, nil},
		"another method":            {narrow, preflight(app, "DELETE"), `"DELETE"`, nil},
		"the token's header": {narrow, preflight(app, "GET", "authorization"), "",
			map[string]string{"Access-Control-Allow-Headers": "authorization"}},
		"the headers of MCP": {narrow, preflight(app, "GET", "authorization,content-type,mcp-protocol-version"), "",
			map[string]string{"Access-Control-Allow-Headers": "authorization,content-type,mcp-protocol-version"}},
		"a header that is added": {narrow, preflight(app, "GET", "x-request-id"), "",
			map[string]string{"Access-Control-Allow-Headers": "x-request-id"}},
		"another header": {narrow, preflight(app, "GET", "authorization,x-admin"), `"authorization,x-admin"`, nil},
		"credentials": {Config{Origins: []string{app}, Credentials: true, MaxAge: &zero}, preflight(app, "GET"), "",
			map[string]string{"Access-Control-Allow-Origin": app, "Access-Control-Allow-Credentials": "true",
				"Access-Control-Max-Age": "0"}},
		"every origin": {Config{Origins: []string{"*"}}, preflight("https://any.example", "GET"), "",
			map[string]string{"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Credentials": ""}},
	} {
		t.Run(name, func(t *testing.T) {
			w := httptest.NewRecorder()
			row.r.Header.Set("Access-Control-Request-Private-Network", "true")
			denied := compile(t, row.config).Answer(w, row.r)
			if (denied == "") != (row.denied == "") || !strings.Contains(denied, row.denied) {
				t.Fatalf("denied %q, want %q", denied, row.denied)
			}
			if want := map[bool]int{true: 204, false: 403}[denied == ""]; w.Code != want {
				t.Errorf("status %d, want %d", w.Code, want)
			}
			if vary := w.Header()["Vary"]; !slices.Equal(vary,
				[]string{"Origin", "Access-Control-Request-Method", "Access-Control-Request-Headers"}) {
				t.Errorf("Vary %q", vary)
			}
			for field, want := range row.fields {
				if got := strings.Join(w.Header()[field], "|"); got != want {
					t.Errorf("%s %q, want %q", field, got, want)
				}
			}
			if denied != "" {
				noFields(t, w.Header())
			}
			if w.Header()["Access-Control-Allow-Private-Network"] != nil {
				t.Error("the private network was opened")
			}
		})
	}
}

// noFields wants nothing of CORS in an answer.
func noFields(t *testing.T, h http.Header) {
	t.Helper()
	for name := range h {
		if strings.HasPrefix(strings.ToLower(name), "access-control-") {
			t.Errorf("the answer has %s: %q", name, h[name])
		}
	}
}

// sent is the header of an answer to a request, when the handler behind has set these fields.
func sent(p *Policy, r *http.Request, behind http.Header) http.Header {
	w := httptest.NewRecorder()
	marked := p.Wrap(w, r)
	for name, values := range behind {
		w.Header()[name] = values
	}
	marked.WriteHeader(http.StatusOK)
	return w.Header()
}

func TestFieldsOfAnswers(t *testing.T) {
	listed := Config{Origins: []string{app}}
	varies := http.Header{"Vary": {"Origin"}}
	for name, row := range map[string]struct {
		config Config
		r      *http.Request
		behind http.Header
		want   http.Header
	}{
		"a listed origin": {listed, request("GET", "Origin", app), nil, http.Header{
			"Access-Control-Allow-Origin": {app}, "Vary": {"Origin"},
			"Access-Control-Expose-Headers": {"Www-Authenticate, Retry-After, Mcp-Session-Id"}}},
		"credentials": {Config{Origins: []string{app}, Credentials: true, Expose: []string{"X-Total", "retry-after"}},
			request("POST", "Origin", app), nil, http.Header{
				"Access-Control-Allow-Origin": {app}, "Vary": {"Origin"}, "Access-Control-Allow-Credentials": {"true"},
				"Access-Control-Expose-Headers": {"Www-Authenticate, Retry-After, Mcp-Session-Id, X-Total"}}},
		"every origin": {Config{Origins: []string{"*"}}, request("GET", "Origin", "https://any.example"), nil, http.Header{
			"Access-Control-Allow-Origin": {"*"}, "Vary": {"Origin"},
			"Access-Control-Expose-Headers": {"Www-Authenticate, Retry-After, Mcp-Session-Id"}}},
		"another origin":    {listed, request("GET", "Origin", "https://evil.example"), nil, varies},
		"no origin":         {listed, request("GET"), nil, varies},
		"an empty origin":   {listed, request("GET", "Origin", ""), nil, varies},
		"two origins":       {listed, request("GET", "Origin", app, "Origin", "https://evil.example"), nil, varies},
		"the origin twice":  {listed, request("GET", "Origin", app, "Origin", app), nil, varies},
		"a list of origins": {listed, request("GET", "Origin", app+", "+app), nil, varies},
		"another method":    {listed, request("PURGE", "Origin", app), nil, varies},
		"OPTIONS that is no preflight": {listed, preflight(app, "GET"), nil,
			http.Header{"Access-Control-Allow-Origin": {app}, "Vary": {"Origin"},
				"Access-Control-Expose-Headers": {"Www-Authenticate, Retry-After, Mcp-Session-Id"}}},
		"a backend that allows everybody": {listed, request("GET", "Origin", "https://evil.example"), http.Header{
			"Access-Control-Allow-Origin": {"https://evil.example"}, "Access-Control-Allow-Credentials": {"true"},
			"access-control-allow-headers": {"*"}, "Access-Control-Max-Age": {"600"}, "Vary": {"origin"}},
			http.Header{"Vary": {"origin"}}},
		"a backend that allows another": {listed, request("GET", "Origin", app), http.Header{
			"Access-Control-Allow-Origin": {"https://other.example"}, "Access-Control-Allow-Credentials": {"true"},
			"Access-Control-Expose-Headers": {"X-Total, retry-after", "X-Page"}, "Vary": {"Accept, Origin"}},
			http.Header{"Access-Control-Allow-Origin": {app}, "Vary": {"Accept, Origin"},
				"Access-Control-Expose-Headers": {"Www-Authenticate, Retry-After, Mcp-Session-Id, X-Total, X-Page"}}},
		"a backend that varies by all": {listed, request("GET"), http.Header{"Vary": {"*"}}, http.Header{"Vary": {"*"}}},
	} {
		t.Run(name, func(t *testing.T) {
			got := sent(compile(t, row.config), row.r, row.behind)
			for name := range row.want {
				if !equalFold(got[name], row.want[name]) {
					t.Errorf("%s %q, want %q", name, got[name], row.want[name])
				}
			}
			for name := range got {
				if row.want[name] == nil {
					t.Errorf("the answer has %s: %q", name, got[name])
				}
			}
		})
	}
}

func equalFold(a, b []string) bool { return slices.EqualFunc(a, b, strings.EqualFold) }

// Caddy's header directive replaces values in place. What one answer's handler does must not be in the next answer.
func TestAnswersShareNoValues(t *testing.T) {
	p := compile(t, Config{Origins: []string{app}, Credentials: true})
	for range 2 {
		got := sent(p, request("GET", "Origin", app), nil)
		if got.Get("Access-Control-Allow-Origin") != app || got.Get("Vary") != "Origin" ||
			got.Get("Access-Control-Allow-Credentials") != "true" {
			t.Fatalf("fields %v", got)
		}
		w := httptest.NewRecorder()
		if denied := p.Answer(w, preflight(app, "GET", "authorization")); denied != "" || w.Header().Get("Vary") != "Origin" {
			t.Fatalf("denied %q, fields %v", denied, w.Header())
		}
		for _, h := range []http.Header{got, w.Header()} {
			for name := range h {
				for i := range h[name] {
					h[name][i] = "changed"
				}
			}
		}
	}
}

// Whatever the Origin, an answer allows it only if it is on the list, byte for byte, and never with another one.
func FuzzOnlyListedOriginsAreAllowed(f *testing.F) {
	list := []string{app, "http://localhost:3000"}
	p := compile(f, Config{Origins: list, Credentials: true})
	for _, origin := range append(list, "", "null", "*", "https://app.example.com.evil.example",
		"https://app.example.com:443", "https://app.example.com/", "https://evil.example#https://app.example.com",
		"HTTPS://APP.EXAMPLE.COM", app+" ") {
		f.Add(origin, "GET", "authorization")
	}
	f.Fuzz(func(t *testing.T, origin, method, headers string) {
		r := request(http.MethodOptions, "Origin", origin, "Access-Control-Request-Method", method,
			"Access-Control-Request-Headers", headers)
		w := httptest.NewRecorder()
		denied := p.Answer(w, r)
		r.Method = method
		for what, h := range map[string]http.Header{"preflight": w.Header(), "request": sent(p, r, nil)} {
			if allowed := h["Access-Control-Allow-Origin"]; allowed != nil &&
				(len(allowed) != 1 || allowed[0] != origin || !slices.Contains(list, origin)) {
				t.Errorf("%s: origin %q is answered %q", what, origin, allowed)
			}
		}
		allowed := w.Header()["Access-Control-Allow-Origin"] != nil
		if (denied == "") != (w.Code == http.StatusNoContent) || (denied == "") != allowed {
			t.Errorf("denied %q, status %d, fields %v", denied, w.Code, w.Header())
		}
	})
}

func TestMistakes(t *testing.T) {
	duration := func(d caddy.Duration) *caddy.Duration { return &d }
	with := func(change func(*Config)) Config {
		c := Config{Origins: []string{app}}
		change(&c)
		return c
	}
	for name, row := range map[string]struct {
		config      Config
		field, want string
	}{
		"no origins":               {Config{}, "Origins", "has no origins"},
		"an empty origin":          {Config{Origins: []string{app, ""}}, "Origins[1]", "is empty"},
		"an origin with a slash":   {Config{Origins: []string{app, app + "/"}}, "Origins[1]", `write this origin "` + app},
		"an origin twice":          {Config{Origins: []string{app, app}}, "Origins[1]", "given twice"},
		"every origin and another": {Config{Origins: []string{app, "*"}}, "Origins[1]", "remove the others"},
		"every origin, credentials": {Config{Origins: []string{"*"}, Credentials: true},
			"Origins[0]", "does not go with credentials"},
		"an unset variable":         {Config{Origins: []string{"{env.CORS_TEST_UNSET}"}}, "Origins[0]", "has no value"},
		"an empty list of methods":  {with(func(c *Config) { c.Methods = []string{} }), "Methods", "empty list"},
		"a method in small letters": {with(func(c *Config) { c.Methods = []string{"get"} }), "Methods[0]", "write GET"},
		"every method":              {with(func(c *Config) { c.Methods = []string{"*"} }), "Methods[0]", "name the methods"},
		"a method for no page":      {with(func(c *Config) { c.Methods = []string{"TRACE"} }), "Methods[0]", "leave it out"},
		"two methods in one": {with(func(c *Config) { c.Methods = []string{"GET,POST"} }),
			"Methods[0]", "not a method"},
		"every header": {with(func(c *Config) { c.Headers = []string{"*"} }), "Headers[0]", "Authorization"},
		"the header Cookie": {with(func(c *Config) { c.Headers = []string{"cookie"} }),
			"Headers[0]", `write "credentials"`},
		"a header for no page": {with(func(c *Config) { c.Headers = []string{"X-A", "sec-x"} }),
			"Headers[1]", "leave it out"},
		"a name with a blank": {with(func(c *Config) { c.Headers = []string{"X A"} }), "Headers[0]", "not the name"},
		"a placeholder in a header": {with(func(c *Config) { c.Headers = []string{"{env.X}"} }),
			"Headers[0]", "not resolved"},
		"every field exposed": {with(func(c *Config) { c.Expose = []string{"*"} }), "Expose[0]", "name the headers"},
		"a cookie exposed": {with(func(c *Config) { c.Expose = []string{"set-cookie"} }),
			"Expose[0]", "leave it out"},
		"an exposed name of nothing": {with(func(c *Config) { c.Expose = []string{""} }), "Expose[0]", "not the name"},
		"max_age too long": {with(func(c *Config) { c.MaxAge = duration(caddy.Duration(longestMaxAge + 1)) }), "MaxAge",
			"not between"},
		"max_age too fine": {with(func(c *Config) { c.MaxAge = duration(1) }), "MaxAge", "whole seconds"},
	} {
		_, err := row.config.Compile(words.NewSettings(), nil, nil)
		if err == nil || setting.Field(err) != row.field || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: field %q, error %v, want %q and %q", name, setting.Field(err), err, row.field, row.want)
		}
	}
}

// An origin in a variable may be unknown where a configuration is adapted. The others are checked all the same.
func TestUnknownOrigins(t *testing.T) {
	c := Config{Origins: []string{"{env.CORS_TEST_UNSET}", app}}
	p, err := c.Compile(words.NewDeferringSettings(), nil, nil)
	if err != nil || !slices.Equal(p.Origins(), []string{app}) {
		t.Errorf("origins %v, error %v", p.Origins(), err)
	}
	c.Origins[1] += "/"
	if _, err := c.Compile(words.NewDeferringSettings(), nil, nil); err == nil {
		t.Error("the other origin was not checked")
	}
	t.Setenv("CORS_TEST_UNSET", "https://from.example")
	c.Origins[1] = app
	p, err = c.Compile(words.NewSettings(), nil, nil)
	if err != nil || !slices.Equal(p.Origins(), []string{"https://from.example", app}) {
		t.Errorf("origins %v, error %v", p.Origins(), err)
	}
}
