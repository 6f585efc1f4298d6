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
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// forward forwards claims in headers. The pairs are a claim's path and a header's name.
func forward(tb testing.TB, pairs ...string) func(*gate.Config) {
	return func(c *gate.Config) {
		for i := 0; i < len(pairs); i += 2 {
			c.ForwardClaims = append(c.ForwardClaims, gate.Forward{Path: path(tb, pairs[i]), Header: pairs[i+1]})
		}
	}
}

func TestManagedHeadersInEverySpelling(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	g := build(t, key, forward(t, "name", "X-User-Name"))
	managed := []string{
		"X-Consumer-ID", "X-Consumer-Custom-ID", "X-Consumer-Username", "X-Consumer-Groups", "X-Credential-Identifier",
		"X-Anonymous-Consumer", "X-User-Name",
	}
	for _, name := range managed {
		for _, spelling := range []string{
			name, strings.ToLower(name), strings.ToUpper(name), strings.ReplaceAll(name, "-", "_"),
			strings.ReplaceAll(name, "-", "."), strings.Replace(name, "-", "_", 1),
			strings.ToLower(strings.Replace(name, "-", ".", 1)),
		} {
			r := request("")
			r.Header[spelling] = []string{"admin", "root"}
			r.Header.Add(spelling, "admin")
			g.Strip(r)
			if len(r.Header) != 0 {
				t.Errorf("%s survived: %v", spelling, r.Header)
			}
		}
	}
	kept := http.Header{
		"Accept": {"*/*"}, "X-Consumer": {"1"}, "X-Consumer-Idx": {"1"},
		"Xconsumer-Id": {"1"}, "X-Consumer-Ip": {"1"}, "X-User-Nam": {"1"},
		"X-Request-Id": {"a", "b"}, strings.Repeat("X", 200): {"1"}, "": {"1"}, "X--Consumer-Id": {"1"},
	}
	r := request("")
	r.Header = kept.Clone()
	g.Strip(r)
	if len(r.Header) != len(kept) {
		t.Errorf("left %v, want %v", r.Header, kept)
	}
}

// The gate removes the fields that a client names in Connection, so that no proxy behind the gate removes a header that
// the gate has set.
func TestConnectionOptions(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	places := []bearer.Place{
		bearer.DefaultPlace, {Kind: bearer.Header, Name: "X-Access-Token"}, {Kind: bearer.Cookie, Name: "jwt"},
		{Kind: bearer.Form, Name: "access_token"},
	}
	sent := http.Header{"X-Other": {"1"}, "Content-Type": {"text/plain"}, "Cookie": {"s=1"}, "Te": {"trailers"}}
	for name, c := range map[string]struct{ fields, want []string }{
		"none":                         {nil, nil},
		"about the connection":         {[]string{"keep-alive, Close"}, []string{"keep-alive, Close"}},
		"an upgrade":                   {[]string{"Upgrade,TE"}, []string{"Upgrade,TE"}},
		"an identity header alone":     {[]string{"X-Consumer-ID"}, nil},
		"in lower case":                {[]string{"close, x-consumer-id"}, []string{"close"}},
		"with an underscore":           {[]string{"x_consumer_id, close"}, []string{"close"}},
		"with empty options":           {[]string{",, X-User ,,\t"}, nil},
		"in the second line":           {[]string{"Upgrade", "X-Consumer-Username, TE"}, []string{"Upgrade, TE"}},
		"two identity headers":         {[]string{"X-User,X-Consumer-Groups"}, nil},
		"Authorization":                {[]string{"close, Authorization"}, []string{"close"}},
		"Authorization, oddly spelled": {[]string{"\tAUTHORIZATION\t,close", "authorization"}, []string{"close"}},
		"Cookie":                       {[]string{"keep-alive,cookie"}, []string{"keep-alive"}},
		"another token header":         {[]string{"X-Access-Token", "x_access_token"}, nil},
		"the type of a form":           {[]string{"Content-Type"}, nil},
		"all of them":                  {[]string{"Authorization, Cookie, X-Access-Token,close"}, []string{"close"}},
		"one that an operator may set": {[]string{"close, X-Remote-User"}, []string{"close"}},
	} {
		for _, keep := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, forward_token %t", name, keep), func(t *testing.T) {
				g := build(t, key, forward(t, "sub", "X-User"), func(c *gate.Config) {
					c.Extractor, c.ForwardToken = extractor(t, places...), keep
				})
				r := request("")
				r.Header = sent.Clone()
				if c.fields != nil {
					r.Header["Connection"] = slices.Clone(c.fields)
				}
				g.Strip(r)
				if got := r.Header["Connection"]; strings.Join(got, "|") != strings.Join(c.want, "|") {
					t.Errorf("Connection %q, want %q", got, c.want)
				}
				r.Header.Del("Connection")
				same(t, r.Header, sent)
			})
		}
	}
	t.Run("a field of the client's own is removed at once", func(t *testing.T) {
		r := request("")
		r.Header = http.Header{"X-Other": {"1"}, "X-More": {"1"}, "Connection": {"close, x-other"}}
		build(t, key).Strip(r)
		same(t, r.Header, http.Header{"X-More": {"1"}, "Connection": {"close"}})
	})
}

// A preflight passes without a token, so the backend must not take it for another kind of request.
func TestBackendSeesAPreflightAsNothingElse(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	sent := func(g *gate.Gate, major int) (*http.Request, error) {
		r := httptest.NewRequest(http.MethodOptions, "/?_method=DELETE", strings.NewReader("a=1"))
		r.ProtoMajor, r.ContentLength, r.Trailer = major, -1, http.Header{"X-HTTP-Method": {"DELETE"}}
		r.Header = http.Header{
			"Origin": {"https://app.example"}, "Access-Control-Request-Method": {"POST"}, "X-Http-Method-Override": {"DELETE"},
			"X-Http-Method": {"DELETE"}, "X-Method-Override": {"DELETE"}, "X_http.method_override": {"DELETE"}, "X-Other": {"1"},
		}
		_, err := g.Check(direct(r))
		g.Strip(r)
		return r, err
	}
	allowed := build(t, key, func(c *gate.Config) { c.AllowPreflight = true })
	r, err := sent(allowed, 3)
	if err != nil {
		t.Fatalf("a preflight over HTTP/3: %v", err)
	}
	same(t, r.Header, http.Header{
		"Origin": {"https://app.example"}, "Access-Control-Request-Method": {"POST"}, "X-Other": {"1"},
	})
	if body, _ := io.ReadAll(r.Body); len(body) > 0 || r.ContentLength != 0 || r.Trailer != nil {
		t.Errorf("body %q of length %d, trailers %v", body, r.ContentLength, r.Trailer)
	}
	if r.RequestURI != "/?_method=DELETE" {
		t.Errorf("target %q", r.RequestURI)
	}
	if _, err := sent(allowed, 1); gate.FailureOf(err).Reason != gate.MissingToken {
		t.Errorf("with a body: error %v", err)
	}
	for name, g := range map[string]*gate.Gate{
		"not allowed": build(t, key), "optional": build(t, key, func(c *gate.Config) { c.Optional = true }),
	} {
		if r, _ := sent(g, 3); len(r.Header) != 7 || r.Body == http.NoBody {
			t.Errorf("%s: an ordinary request lost something: %v", name, r.Header)
		}
	}
}

func TestTokenIsRemoved(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	token := key.Sign(t, says())
	places := func(keep bool) func(*gate.Config) {
		return func(c *gate.Config) {
			c.ForwardToken = keep
			c.Extractor = extractor(t, bearer.DefaultPlace, bearer.Place{Kind: bearer.Query, Name: "jwt"},
				bearer.Place{Kind: bearer.Cookie, Name: "jwt"})
		}
	}
	sent := func() *http.Request {
		r := request("")
		r.URL.RawQuery, r.RequestURI = "a=1&jwt="+token+"&b=2", "/orders?a=1&jwt="+token+"&b=2"
		r.Header.Set("Cookie", "s=1; jwt="+token)
		return r
	}
	r := sent()
	build(t, key, places(false)).Strip(r)
	if r.URL.RawQuery != "a=1&b=2" || strings.Contains(r.RequestURI, token) || r.Header.Get("Cookie") != "s=1" {
		t.Errorf("left %q, %q, %v", r.URL.RawQuery, r.RequestURI, r.Header)
	}
	r = sent()
	build(t, key, places(true)).Strip(r)
	if !strings.Contains(r.URL.RawQuery, token) || !strings.Contains(r.Header.Get("Cookie"), token) {
		t.Error("forward_token removed the token")
	}
	r = request(token)
	build(t, key).Strip(r)
	if len(r.Header) != 0 {
		t.Errorf("left %v", r.Header)
	}
}

func TestConsumerHeaders(t *testing.T) {
	key := tokentest.NewKey(t, "HS256", "s")
	shop := consumer(t, "shop", "shop-key", key)
	shop.ID, shop.CustomID, shop.Groups = "42", "Müller & Söhne", []string{"partners", "eu"}
	guest := gate.Consumer{Username: "guest"}
	g := build(t, key, func(c *gate.Config) {
		c.Consumers, c.Anonymous = []gate.Consumer{shop, guest}, "guest"
	})
	forwarded := func(r *http.Request) http.Header {
		verdict, err := g.Check(direct(r))
		if err != nil {
			t.Fatal(err)
		}
		r.Header["X-Consumer-Custom-Id"] = []string{"forged"}
		r.Header["X-Anonymous-Consumer"] = []string{"false"}
		g.Strip(r)
		if err := g.Annotate(r, verdict.Identity); err != nil {
			t.Fatal(err)
		}
		return r.Header
	}
	same(t, forwarded(request(key.Sign(t, says(m{"iss": "shop-key"})))), http.Header{
		"X-Consumer-Id": {"42"}, "X-Consumer-Custom-Id": {"Müller & Söhne"}, "X-Consumer-Username": {"shop"},
		"X-Consumer-Groups": {"partners,eu"}, "X-Credential-Identifier": {"shop-key"},
	})
	same(t, forwarded(request("")), http.Header{"X-Consumer-Username": {"guest"}, "X-Anonymous-Consumer": {"true"}})
}

// same requires exactly these headers.
func same(tb testing.TB, got, want http.Header) {
	tb.Helper()
	for name := range want {
		if strings.Join(got[name], "|") != strings.Join(want[name], "|") {
			tb.Errorf("%s is %q, want %q", name, got[name], want[name])
		}
	}
	for name := range got {
		if want[name] == nil {
			tb.Errorf("%s is %q, want none", name, got[name])
		}
	}
}
