package gate_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/bearer"
	"github.com/caddyjwt/gateway/internal/fields"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// opening makes paths public.
func opening(paths ...string) func(*gate.Config) {
	return func(c *gate.Config) { c.Public = paths }
}

// rewritten is a request whose target handlers before the gate have rewritten.
type rewritten struct {
	gate.Facts
	target string
}

func (r rewritten) Target() string { return r.target }

func TestPublicPathsNeedNoToken(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	good, old := key.Sign(t, says()), key.Sign(t, says(m{"exp": start.Unix() - 60}))
	guest := func(c *gate.Config) {
		c.Consumers, c.Anonymous = []gate.Consumer{{Username: "guest"}}, "guest"
	}
	optional := func(c *gate.Config) { c.Optional = true }
	preflight := func(c *gate.Config) { c.AllowPreflight = true }
	for name, c := range map[string]struct {
		change  func(*gate.Config)
		method  string
		target  string
		token   string
		outcome gate.Outcome
		reason  gate.Reason
	}{
		"no token":                            {nil, "GET", "/healthz", "", gate.Public, ""},
		"a good token":                        {nil, "GET", "/assets/a", good, gate.Public, ""},
		"an expired token":                    {nil, "GET", "/healthz", old, gate.Public, ""},
		"not even a token":                    {nil, "GET", "/healthz", ";;", gate.Public, ""},
		"any method":                          {nil, "DELETE", "/healthz", "", gate.Public, ""},
		"but not a tunnel":                    {nil, "CONNECT", "/healthz", "", 0, gate.MissingToken},
		"a method that is not a token":        {nil, "GE T", "/healthz", "", 0, gate.MalformedRequest},
		"a target without a slash":            {nil, "GET", "*", "", 0, gate.MalformedRequest},
		"anonymous is not asked":              {guest, "GET", "/healthz", "", gate.Public, ""},
		"anonymous on another path":           {guest, "GET", "/x", "", gate.Anonymous, ""},
		"optional on another path":            {optional, "GET", "/x", "", gate.Unidentified, ""},
		"optional does not forgive elsewhere": {optional, "GET", "/x", old, 0, gate.Expired},
		"a preflight stays one":               {preflight, "OPTIONS", "/healthz", "", gate.Preflight, ""},
		"a preflight without allow_preflight": {nil, "OPTIONS", "/healthz", "", gate.Public, ""},
		"another path":                        {nil, "GET", "/x", "", 0, gate.MissingToken},
		"another path with a good token":      {nil, "GET", "/x", good, gate.Accepted, ""},
		"another spelling":                    {nil, "GET", "/assets/%61", "", 0, gate.MissingToken},
		"another spelling with a good token": {nil, "GET", "/assets/%61", good,
			gate.Accepted, ""},
	} {
		t.Run(name, func(t *testing.T) {
			changes := []func(*gate.Config){opening("/healthz", "/assets/*")}
			if c.change != nil {
				changes = append(changes, c.change)
			}
			g := build(t, key, changes...)
			r := httptest.NewRequest("GET", c.target, nil)
			r.Method = c.method
			switch {
			case c.token != "":
				r.Header.Set("Authorization", "Bearer "+c.token)
			case c.method == http.MethodOptions:
				r.Header.Set("Origin", "https://app.example")
				r.Header.Set("Access-Control-Request-Method", "PUT")
			}
			if c.reason != "" {
				refused(t, g, r, c.reason)
				return
			}
			verdict, err := g.Check(direct(r))
			if err != nil || verdict.Outcome != c.outcome {
				t.Fatalf("outcome %v, error %v; want %v", verdict.Outcome, err, c.outcome)
			}
			if c.outcome == gate.Public && (verdict.Identity != nil || verdict.InAuthorization) {
				t.Errorf("verdict %+v", verdict)
			}
		})
	}
}

// A requirement holds on every path but the public ones.
func TestPublicPathsBesideRequirements(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	g := build(t, key, opening("/healthz"), func(c *gate.Config) { c.Require.Scopes = []string{"admin"} })
	r := request(key.Sign(t, says()))
	refused(t, g, r, gate.InsufficientScope)
	r.URL.Path, r.RequestURI = "/healthz", "/healthz"
	if verdict, err := g.Check(direct(r)); err != nil || verdict.Outcome != gate.Public {
		t.Errorf("outcome %v, error %v", verdict.Outcome, err)
	}
}

// Both the path after rewrites and the target that the client sent must be plain.
func TestPublicPathsAfterRewrites(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	g := build(t, key, opening("/healthz", "/assets/*"))
	for name, c := range map[string]struct {
		path, target string
		public       bool
	}{
		"a prefix was removed":               {"/healthz", "/app/healthz", true},
		"the target had a query":             {"/assets/a", "/app/assets/a?b=/../c", true},
		"the target was hidden":              {"/assets/a", "/.app/a", true},
		"another path became public":         {"/healthz", "/status", true},
		"a public one became another":        {"/status", "/healthz", false},
		"the target had dot segments":        {"/assets/a", "/app/x/../assets/a", false},
		"the target had escapes":             {"/assets/a", "/app/%61ssets/a", false},
		"the target had a parameter":         {"/assets/a", "/app;x/assets/a", false},
		"the target was in absolute form":    {"/healthz", "http://x/healthz", false},
		"the target is not known":            {"/healthz", "", false},
		"the path has dot segments":          {"/assets/../x", "/app/assets/a", false},
		"the path has an escape of its own":  {"/assets/%61", "/app/assets/a", false},
		"the path is empty":                  {"", "/healthz", false},
		"the path has a hidden name":         {"/assets/.git", "/app/assets/.git", false},
		"the target is a line of a log file": {"/healthz", "/healthz HTTP/1.1\r\nX: y", false},
	} {
		t.Run(name, func(t *testing.T) {
			r := request("")
			r.URL.Path = c.path
			verdict, err := g.Check(gate.Request{HTTP: r, Facts: rewritten{gate.Direct(r), c.target}})
			if public := err == nil && verdict.Outcome == gate.Public; public != c.public {
				t.Errorf("outcome %v, error %v", verdict.Outcome, err)
			}
		})
	}
}

// Nothing that names another page, another method or somebody passes with a public request, in whatever spelling, and
// no token does, whether or not it is well-formed.
func TestStripPublic(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	for _, keep := range []bool{false, true} {
		g := build(t, key, opening("/healthz"), forward(t, "sub", "X-User"), func(c *gate.Config) {
			c.ForwardToken = keep
			c.Extractor = extractor(t, bearer.DefaultPlace, bearer.Place{Kind: bearer.Query, Name: "access_token"},
				bearer.Place{Kind: bearer.Cookie, Name: "t"}, bearer.Place{Kind: bearer.Form, Name: "access_token"},
				bearer.Place{Kind: bearer.Header, Name: "X-Token"})
		})
		r := httptest.NewRequest("POST", "/healthz?access_token=bad&access.token=bad&a=1",
			strings.NewReader("b=2&access_token=bad&access_token=bad"))
		for name, value := range map[string]string{
			"Authorization": "Bearer bad, Bearer bad", "Cookie": "t=bad; c=3; t=bad", "X-Token": "bad", "X_Token": "bad",
			"X-User": "bad", "X_Consumer_Username": "bad",
			"X-Original-URL": "bad", "X_Rewrite_Url": "bad", "x-original-uri": "bad", "X-Forwarded-Uri": "bad",
			"X.Forwarded.Prefix": "bad", "X-Script-Name": "bad", "SCRIPT_NAME": "bad", "Path-Info": "bad", "Destination": "bad",
			"X-Original-Host": "bad", "X_Host": "bad", "X-HTTP-Host-Override": "bad", "X-Original-Method": "bad",
			"X-Envoy-Original-Path": "bad", "X-HTTP-Method-Override": "bad", "X-HTTP-Method": "bad",
			"Content-Type": "application/x-www-form-urlencoded", "X-Other": "good",
		} {
			r.Header[name] = []string{value}
		}
		verdict, err := g.Check(direct(r))
		if err != nil || verdict.Outcome != gate.Public {
			t.Fatalf("outcome %v, error %v", verdict.Outcome, err)
		}
		g.StripPublic(r)
		g.Strip(r)
		body, _ := io.ReadAll(r.Body)
		if text := fmt.Sprint(r.Header, r.URL, r.RequestURI, string(body)); strings.Contains(text, "bad") {
			t.Errorf("forward_token %t: the backend gets %s", keep, text)
		}
		if r.URL.RawQuery != "a=1" || string(body) != "b=2" || r.Header.Get("X-Other") != "good" ||
			r.Header.Get("Cookie") != "c=3" {
			t.Errorf("the backend gets %v, %v, %s", r.Header, r.URL, body)
		}
		if text, changed := g.StripTarget(r.URL, "/healthz"); changed || text != "/healthz" {
			t.Errorf("target %q", text)
		}
		if !g.TakesQuery(gate.Public) || g.TakesQuery(gate.Accepted) == keep {
			t.Error("TakesQuery does not depend on the outcome")
		}
	}
}

// What a backend may read as another target or method is removed where a stranger sends it, and carries no claim. Both
// lists must have the same names.
func TestFieldsThatNameAnotherPageCarryNoClaim(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	targets, methods := gate.Overrides()
	for _, name := range append(targets, methods...) {
		if _, err := gate.New(config(t, key, forward(t, "sub", name))); err == nil {
			t.Errorf("a claim may travel in %s", name)
		}
	}
	for why, removed := range map[string][]string{"the address that was asked": targets, "the method of the": methods} {
		reserved := fields.ReservedFor(why)
		if len(reserved) == 0 {
			t.Errorf("nothing is reserved for %q", why)
		}
		for _, name := range reserved {
			if !slices.Contains(removed, name) {
				t.Errorf("a public request keeps %s", name)
			}
		}
	}
}

// A form whose token cannot be removed does not pass.
func TestPublicFormsThatCannotBeRead(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	g := build(t, key, opening("/healthz"), func(c *gate.Config) {
		c.Extractor = extractor(t, bearer.Place{Kind: bearer.Form, Name: "jwt"})
	})
	form := func(body string, types ...string) *http.Request {
		r := httptest.NewRequest("POST", "/healthz", strings.NewReader(body))
		r.Header["Content-Type"] = types
		return r
	}
	const formType = "application/x-www-form-urlencoded"
	refused(t, g, form("jwt=x", formType, formType), gate.MalformedRequest)
	refused(t, g, form("jwt="+strings.Repeat("a", 1<<20), formType), gate.BodyTooLarge)
	broken := form("", formType)
	broken.Body, broken.ContentLength = errorBody{}, 10
	refused(t, g, broken, gate.MalformedRequest)
	for _, r := range []*http.Request{
		form("jwt=x", formType), form("jwt=x", "text/plain"), form("jwt=%zz&jwt", formType),
	} {
		if verdict, err := g.Check(direct(r)); err != nil || verdict.Outcome != gate.Public {
			t.Errorf("outcome %v, error %v", verdict.Outcome, err)
		}
	}
}

// No trailer routes a request, on whatever path.
func TestTrailersRouteNothing(t *testing.T) {
	g := build(t, tokentest.NewKey(t, "ES256", "k1"))
	r := request("")
	r.Trailer = http.Header{"X-Original-Url": {"/admin"}, "X_http_method": {"DELETE"}, "X-Sum": {"7"}}
	if g.Strip(r); len(r.Trailer) != 1 || r.Trailer.Get("X-Sum") != "7" {
		t.Errorf("trailers %v", r.Trailer)
	}
}

func TestPublicPathsCostATokenNothing(t *testing.T) {
	if race {
		t.Skip("the race detector allocates")
	}
	key := tokentest.NewKey(t, "ES256", "k1")
	g, _ := cached(t, newCache(t, 1<<20), key, opening("/healthz", "/assets/*", "/orders/*"))
	for _, target := range []string{"/orders", "/orders/%61", "/orders/a;b", "/x"} {
		r := httptest.NewRequest("GET", target, nil)
		r.Header.Set("Authorization", "Bearer "+key.Sign(t, says()))
		accepted(t, g, r)
		if n := testing.AllocsPerRun(200, func() { _, _ = g.Check(direct(r)) }); n != 0 {
			t.Errorf("%s: a hit allocates %v times", target, n)
		}
	}
	r := httptest.NewRequest("GET", "/orders/a", nil)
	if n := testing.AllocsPerRun(200, func() { _, _ = g.Check(direct(r)) }); n != 0 {
		t.Errorf("a public request allocates %v times", n)
	}
}
