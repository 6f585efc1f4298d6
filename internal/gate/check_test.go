package gate_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/bearer"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

func TestEveryAlgorithmIsAccepted(t *testing.T) {
	for _, name := range []string{
		"HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512",
		"ES256", "ES384", "ES512", "EdDSA", "Ed25519",
	} {
		t.Run(name, func(t *testing.T) {
			key := tokentest.NewKey(t, name, "k1")
			g := build(t, key)
			token := key.Sign(t, says())
			id := accepted(t, g, request(token))
			if id.ID != "alice" || id.Issuer != issuerA || id.Consumer != nil || id.Anonymous {
				t.Errorf("identity %+v", id)
			}
			refused(t, g, request(tokentest.FlipSignature(t, token)), gate.InvalidSignature)
		})
	}
}

func TestVerdictNamesThePlaceOfTheToken(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	token := key.Sign(t, says())
	g := build(t, key, func(c *gate.Config) {
		c.Extractor = extractor(t, bearer.Place{Kind: bearer.Query, Name: "jwt"}, bearer.DefaultPlace,
			bearer.Place{Kind: bearer.Header, Name: "X-Token"}, bearer.Place{Kind: bearer.Cookie, Name: "t"})
	})
	for name, c := range map[string]struct {
		set  func(*http.Request)
		want bool
	}{
		"in Authorization":     {func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }, true},
		"in another header":    {func(r *http.Request) { r.Header.Set("X-Token", token) }, false},
		"in a cookie":          {func(r *http.Request) { r.Header.Set("Cookie", "t="+token) }, false},
		"in a query parameter": {func(r *http.Request) { r.URL.RawQuery = "jwt=" + token }, false},
		"with Basic beside it": {func(r *http.Request) {
			r.Header.Set("Authorization", "Basic x")
			r.URL.RawQuery = "jwt=" + token
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := request("")
			c.set(r)
			verdict, err := g.Check(direct(r))
			if err != nil || verdict.Outcome != gate.Accepted || verdict.InAuthorization != c.want {
				t.Errorf("verdict %+v, error %v; want InAuthorization %t", verdict, err, c.want)
			}
		})
	}
}

func TestRequestsWithoutToken(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	plain := func(*gate.Config) {}
	optional := func(c *gate.Config) { c.Optional = true }
	anonymous := func(c *gate.Config) {
		c.Consumers = []gate.Consumer{{Username: "guest", ID: "g-1", Groups: []string{"public"}}}
		c.Anonymous = "guest"
	}
	with := func(changes ...func(*gate.Config)) func(*gate.Config) {
		return func(c *gate.Config) {
			for _, change := range changes {
				change(c)
			}
		}
	}
	scope := func(c *gate.Config) { c.Require.Scopes = []string{"read"} }
	group := func(groups ...string) func(*gate.Config) {
		return func(c *gate.Config) { c.Require.Groups = groups }
	}
	preflight := func(c *gate.Config) { c.AllowPreflight = true }
	inHeader := func(c *gate.Config) {
		c.Extractor = extractor(t, bearer.DefaultPlace, bearer.Place{Kind: bearer.Header, Name: "X-Token"})
	}
	cors := func(method string, headers ...string) *http.Request {
		r := httptest.NewRequest(method, "/orders", nil)
		for i := 0; i < len(headers); i += 2 {
			r.Header.Add(headers[i], headers[i+1])
		}
		return r
	}
	genuine := []string{"Origin", "https://app.example", "Access-Control-Request-Method", "PUT"}
	for name, c := range map[string]struct {
		change  func(*gate.Config)
		request *http.Request
		outcome gate.Outcome
		reason  gate.Reason
	}{
		"no token is refused": {plain, request(""), 0, gate.MissingToken},
		"Basic is not a token": {plain,
			cors("GET", "Authorization", "Basic eA=="), 0, gate.MissingToken},
		"a token in a place that is not configured": {plain,
			httptest.NewRequest("GET", "/?access_token=x", nil), 0, gate.MissingToken},
		"optional lets it pass":                 {optional, request(""), gate.Unidentified, ""},
		"optional does not forgive a bad token": {optional, request("e30.e30.x"), 0, gate.MalformedToken},
		"optional does not forgive a bad request": {optional,
			cors("GET", "Authorization", "Bearer"), 0, gate.MalformedRequest},
		"anonymous identifies it": {anonymous, request(""), gate.Anonymous, ""},
		"anonymous satisfies its own group": {with(anonymous, group("staff", "public")),
			request(""), gate.Anonymous, ""},
		"anonymous does not forgive a bad token": {anonymous, request("x.y"), 0, gate.MalformedToken},
		"a preflight is refused by default":      {plain, cors("OPTIONS", genuine...), 0, gate.MissingToken},
		"a preflight passes where allowed":       {preflight, cors("OPTIONS", genuine...), gate.Preflight, ""},
		"requirements do not apply to a preflight": {with(preflight, scope),
			cors("OPTIONS", genuine...), gate.Preflight, ""},
		"OPTIONS without Origin is not a preflight":   {preflight, cors("OPTIONS", genuine[2:]...), 0, gate.MissingToken},
		"OPTIONS without a method is not a preflight": {preflight, cors("OPTIONS", genuine[:2]...), 0, gate.MissingToken},
		"GET is not a preflight":                      {preflight, cors("GET", genuine...), 0, gate.MissingToken},
		"a request with credentials is not a preflight": {preflight,
			cors("OPTIONS", append(genuine, "Authorization", "Bearer x")...), 0, gate.MalformedToken},
		"nor is one with a token in another header": {with(preflight, inHeader),
			cors("OPTIONS", append(genuine, "X-Token", "x")...), 0, gate.MalformedToken},
		"nor is one with that header in another spelling": {with(preflight, inHeader),
			cors("OPTIONS", append(genuine, "X_Token", "x")...), 0, gate.MalformedRequest},
		"an opaque target is refused": {with(preflight, optional),
			&http.Request{Method: "GET", URL: &url.URL{Scheme: "http", Opaque: "http://x/admin"}, Header: http.Header{}},
			0, gate.MalformedRequest},
		"a target without a leading slash is refused": {optional,
			&http.Request{Method: "GET", URL: &url.URL{Path: "admin"}, Header: http.Header{}}, 0, gate.MalformedRequest},
	} {
		t.Run(name, func(t *testing.T) {
			g := build(t, key, c.change)
			if c.reason != "" {
				refused(t, g, c.request, c.reason)
				return
			}
			verdict, err := g.Check(direct(c.request))
			if err != nil || verdict.Outcome != c.outcome {
				t.Fatalf("outcome %v, error %v; want %v", verdict.Outcome, err, c.outcome)
			}
			if guest := verdict.Outcome == gate.Anonymous; guest != (verdict.Identity != nil) {
				t.Fatalf("identity %v", verdict.Identity)
			} else if guest &&
				(verdict.Identity.ID != "guest" || !verdict.Identity.Anonymous || verdict.Identity.Claims != nil) {
				t.Errorf("identity %+v", verdict.Identity)
			}
		})
	}
}

func TestMalformedRequests(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	token := key.Sign(t, says())
	g := build(t, key, func(c *gate.Config) {
		c.Extractor = extractor(t, bearer.DefaultPlace, bearer.Place{Kind: bearer.Query, Name: "jwt"},
			bearer.Place{Kind: bearer.Form, Name: "jwt"})
	})
	form := func(body string) *http.Request {
		r := httptest.NewRequest("POST", "/", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		return r
	}
	twice := request(token)
	twice.Header.Add("Authorization", "Bearer "+token)
	both := request(token)
	both.URL.RawQuery = "jwt=" + token
	comma := request(token + ", Bearer " + token)
	broken := form("")
	broken.Body, broken.ContentLength = http.MaxBytesReader(nil, errorBody{}, 10), 10
	for name, c := range map[string]struct {
		request *http.Request
		want    gate.Reason
	}{
		"two header fields":      {twice, gate.MalformedRequest},
		"two places":             {both, gate.MalformedRequest},
		"a list of credentials":  {comma, gate.MalformedRequest},
		"an empty token":         {httptest.NewRequest("GET", "/?jwt=", nil), gate.MalformedRequest},
		"a bad escape":           {httptest.NewRequest("GET", "/?jwt=%2", nil), gate.MalformedRequest},
		"a token over 16 KiB":    {request(strings.Repeat("a", 16<<10+1)), gate.MalformedRequest},
		"a form over a mebibyte": {form("jwt=" + strings.Repeat("a", 1<<20)), gate.BodyTooLarge},
		"a body that breaks off": {broken, gate.MalformedRequest},
	} {
		t.Run(name, func(t *testing.T) { refused(t, g, c.request, c.want) })
	}
}

// If other forms use all the memory, a large form is refused, though not as a mistake of the client. A short form is
// read.
func TestFormsBeyondTheMemoryLimit(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	g := build(t, key, func(c *gate.Config) {
		var err error
		c.Extractor, err = bearer.NewExtractor(bearer.Options{
			Places: []bearer.Place{{Kind: bearer.Form, Name: "jwt"}}, Forms: bearer.NewFormMemory(0),
		})
		if err != nil {
			t.Fatal(err)
		}
	})
	form := func(size int) *http.Request {
		body := "jwt=" + key.Sign(t, says()) + "&a="
		r := httptest.NewRequest("POST", "/", strings.NewReader(body+strings.Repeat("a", size-len(body))))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		return r
	}
	refused(t, g, form(32<<10), gate.Overloaded)
	accepted(t, g, form(8<<10))
}

type errorBody struct{}

func (errorBody) Read([]byte) (int, error) { return 0, errors.New("connection reset") }
func (errorBody) Close() error             { return nil }

// A verdict without an outcome does not pass.
func TestZeroVerdictDoesNotPass(t *testing.T) {
	if (gate.Verdict{}).Passes() || (gate.Verdict{Identity: new(gate.Identity), InAuthorization: true}).Passes() {
		t.Error("it passes")
	}
	for _, outcome := range []gate.Outcome{gate.Accepted, gate.Anonymous, gate.Unidentified, gate.Preflight,
		gate.Public} {
		if !(gate.Verdict{Outcome: outcome}).Passes() {
			t.Errorf("outcome %d does not pass", outcome)
		}
	}
}
