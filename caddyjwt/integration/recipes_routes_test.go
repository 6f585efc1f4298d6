package integration

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// The recipes of docs/recipes.md, each as it stands there.

const recipes = "recipes.md"

// cheapHash is bcrypt of "secret" at the lowest cost, in place of one that takes a second to compare.
const cheapHash = "$2a$04$Ldt9VNkvHWdKeh0nVZJPuO1R9rrF26aF4ece9PsXjioUZK6jtrDkO"

// recipeServer is an authorization server, and a token of it for the audience.
func recipeServer(t *testing.T) (as *tokentest.AS, token func(audience string, changes ...any) string) {
	t.Helper()
	key := tokentest.NewKey(t, "ES256", "e1")
	as = tokentest.NewAS(t, tokentest.WithKeys(key))
	return as, func(audience string, changes ...any) string {
		return key.Sign(t, issuedBy(as.URL, append([]any{"aud", audience}, changes...)...))
	}
}

func TestRecipeOfJSONInAnErrorRoute(t *testing.T) {
	as, token := recipeServer(t)
	s := prepare(t)
	s.recipeIn(recipes, "JSON for programs", 2, "https://auth.example.com", as.URL)
	s.passed(s.get("/", token(audience)))
	for want, a := range map[string]answer{
		`{"error":"","message":"an access token is needed"}`: s.get("/", ""),
		`{"error":"invalid_token","message":"the access token is expired, revoked, malformed or otherwise invalid"}`: s.get(
			"/", token(audience, "exp", 1)),
	} {
		if a.StatusCode != http.StatusUnauthorized || a.body != want ||
			a.Header.Get("Content-Type") != "application/json" || a.Header.Get("WWW-Authenticate") == "" {
			t.Errorf("status %d, header %v, body %s; want %s", a.StatusCode, a.Header, a.body, want)
		}
	}
}

func TestRecipeOfALoginPage(t *testing.T) {
	as, token := recipeServer(t)
	s := prepare(t)
	s.recipeIn(recipes, "A login page for browsers", 1, "https://auth.example.com", as.URL)
	const page = "text/html,application/xhtml+xml,*/*;q=0.8"
	s.passed(s.get("/orders", "", "Accept", page, "Cookie", "access_token="+token("https://www.example.com")))
	s.passed(s.get("/login?return=%2F", "", "Accept", page))

	for target, back := range map[string]string{
		"/":                             "/",
		"/orders?a=b&c=d":               "/orders?a=b&c=d",
		"/orders?return=//evil.example": "/orders?return=//evil.example",
		"/a%0d%0aSet-Cookie:x=y":        "/a%0d%0aSet-Cookie:x=y",
		"/a%23b?c#d":                    "/a%23b?c#d",
		"/x?a=1&return=%2Fy":            "/x?a=1&return=%2Fy",
		"/%2fevil.example":              "/%2fevil.example",
		// Browsers would leave the site for these.
		"//evil.example":              "",
		"//evil.example/x?y":          "",
		"/%5cevil.example/../../x":    "/%5cevil.example/../../x",
		"http://gate.test/y?a":        "/y?a",
		"http://gate.test//evil.test": "",
	} {
		a := s.raw("GET " + target + " HTTP/1.1\r\nHost: gate.test\r\nAccept: " + page + "\r\nConnection: close\r\n\r\n")
		if back == "" {
			if a.StatusCode != http.StatusUnauthorized || a.Header.Get("Location") != "" {
				t.Errorf("%s: status %d to %q, want 401", target, a.StatusCode, a.Header.Get("Location"))
			}
			continue
		}
		location, err := url.Parse(a.Header.Get("Location"))
		if err != nil || a.StatusCode != http.StatusFound || location.Host != "" || location.Path != "/login" ||
			len(location.Query()) != 1 || location.Query().Get("return") != back || len(a.Header["Set-Cookie"]) > 0 {
			t.Errorf("%s: status %d to %q, want one to /login that returns to %s", target, a.StatusCode, location, back)
		}
	}
	for name, a := range map[string]answer{
		"a script": s.get("/orders", "", "Accept", "application/json"),
		"a form":   s.do(s.request(http.MethodPost, "/orders", strings.NewReader("a=b"), "Accept", page)),
	} {
		if a.StatusCode != http.StatusUnauthorized || a.Header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s: status %d, want 401 with a challenge", name, a.StatusCode)
		}
	}
	if requests := s.upstream.take(); len(requests) > 0 {
		t.Errorf("%d requests without a token reached the upstream", len(requests))
	}
}

func TestRecipeOfExpiredCookies(t *testing.T) {
	as, token := recipeServer(t)
	s := prepare(t)
	s.recipeIn(recipes, "Stale cookies", 1, "https://auth.example.com", as.URL)
	const www = "https://www.example.com"
	for cookie, user := range map[string]string{
		token(www, "sub", "zoe"):                       "zoe",
		token(www, "sub", "zoe", "exp", 1_700_000_000): "",
		"": "",
	} {
		got := s.passed(s.get("/", "", "Cookie", "access_token="+cookie, "X-User", "forged"))
		if got.Header.Get("X-User") != user || strings.Contains(got.Header.Get("Cookie"), "access_token=e") {
			t.Errorf("cookie %s: the upstream got X-User %q, Cookie %q", cookie, got.Header.Get("X-User"), got.Header["Cookie"])
		}
	}
	s.refused(s.get("/", "", "Cookie", "access_token="+token(audience, "exp", 1_700_000_000)),
		http.StatusUnauthorized, "invalid_audience") // expired, too, but that is not all
	s.refused(s.get("/", "", "Cookie", "access_token="+token(audience)), http.StatusUnauthorized, "invalid_audience")
}

func TestRecipeOfUselessCookies(t *testing.T) {
	as, token := recipeServer(t)
	s := prepare(t)
	s.recipeIn(recipes, "Stale cookies", 2, "https://auth.example.com", as.URL)
	for name, cookie := range map[string]string{
		"another audience": "access_token=" + token(audience),
		"rubbish":          "a=b; access_token=xxx",
		"two of them":      "access_token=xxx; access_token=yyy",
	} {
		a := s.get("/orders", "", "Accept", "text/html", "Cookie", cookie)
		if a.StatusCode != http.StatusFound || a.Header.Get("Location") != "/login" ||
			!strings.HasPrefix(a.Header.Get("Set-Cookie"), "access_token=; Path=/; Max-Age=0;") {
			t.Errorf("%s: status %d to %q, Set-Cookie %q", name, a.StatusCode, a.Header.Get("Location"), a.Header["Set-Cookie"])
		}
		s.upstream.take()
		if got := s.passed(s.get("/login", "", "Accept", "text/html", "Cookie", cookie)); got.URI != "/login" ||
			strings.Contains(got.Header.Get("Cookie"), "access_token") {
			t.Errorf("%s: the login page got %s with Cookie %q", name, got.URI, got.Header["Cookie"])
		}
	}
	if a := s.get("/orders", "", "Accept", "application/json", "Cookie", "access_token=x"); a.StatusCode != 401 {
		t.Errorf("a script: status %d, want 401", a.StatusCode)
	}
}

func TestRecipeOfHealthChecks(t *testing.T) {
	as, token := recipeServer(t)
	s := prepare(t)
	s.recipeIn(recipes, "Health checks", 1, "https://auth.example.com", as.URL)
	got := s.passed(s.get("/healthz", "xxx", "X-Consumer-Username", "forged"))
	if len(got.Header["X-Consumer-Username"])+len(got.Header["Authorization"]) > 0 {
		t.Errorf("the health check reached the upstream with %v", got.Header)
	}
	s.refused(s.get("/healthz/x", ""), http.StatusUnauthorized, "missing_token")
	s.passed(s.get("/", token(audience)))
}

func TestRecipeOfATokenOrAPassword(t *testing.T) {
	as, token := recipeServer(t)
	s := prepare(t)
	s.recipeIn(recipes, "A token or a password", 1, "https://auth.example.com", as.URL,
		"$2a$14$Dn9V/It8GhuluBhqoT8yveKk/i/oQHBYbZrZbFdQC.j2PhPGZZrLS", cheapHash)
	basic := func(user, password string) answer {
		r := s.request(http.MethodGet, "/", nil, "X-User", "forged")
		r.SetBasicAuth(user, password)
		return s.do(r)
	}
	for want, a := range map[string]func() answer{
		"zoe": func() answer { return s.get("/", token(audience, "sub", "zoe"), "X-User", "forged") },
		"bob": func() answer { return basic("bob", "secret") },
	} {
		got := s.passed(a())
		if users := got.Header["X-User"]; len(users) != 1 || users[0] != want || len(got.Header["Authorization"]) > 0 {
			t.Errorf("the upstream got X-User %q, Authorization %q; want %s", users, got.Header["Authorization"], want)
		}
	}
	for name, a := range map[string]answer{
		"neither":              s.get("/", ""),
		"a wrong password":     basic("bob", "guess"),
		"another user":         basic("zoe", "secret"),
		"a bad token":          s.get("/", token(audience, "exp", 1)),
		"a token without sub":  s.get("/", token(audience, "sub", nil)),
		"two ways in one":      s.get("/", "", "Authorization", "Basic Ym9iOnNlY3JldA==", "Authorization", "Bearer x"),
		"no token and Bearer":  s.get("/", "", "Authorization", "Bearer"),
		"a forged placeholder": s.get("/", "", "X-User", "{http.auth.user.id}"),
	} {
		if a.StatusCode != http.StatusUnauthorized && a.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: status %d", name, a.StatusCode)
		}
	}
	if requests := s.upstream.take(); len(requests) > 0 {
		t.Errorf("%d bad requests reached the upstream", len(requests))
	}
}

// Traefik and Envoy ask a gate by requests of this form. Both remove the client's own X-User on the way to the backend
// if the answer has one.
func TestRecipeOfAGateForOtherProxies(t *testing.T) {
	as, token := recipeServer(t)
	s := prepare(t)
	s.recipeIn(recipes, "A gate for nginx, Traefik and Envoy", 1, "https://auth.example.com", as.URL)
	for proxy, r := range map[string]*http.Request{
		"Traefik": s.request(http.MethodGet, "/", nil, "X-Forwarded-Method", "DELETE", "X-Forwarded-Proto", "https",
			"X-Forwarded-Host", "api.example.com", "X-Forwarded-Uri", "/orders?a=b", "X-Forwarded-For", "203.0.113.9",
			"X-User", "forged", "Cookie", "a=b"),
		"Envoy": s.request(http.MethodDelete, "/orders?a=b", nil, "X-Forwarded-Proto", "https", "Content-Length", "0"),
	} {
		a := s.do(r)
		if a.StatusCode != http.StatusUnauthorized || a.Header.Get("WWW-Authenticate") == "" || a.Header.Get("X-User") != "" {
			t.Errorf("%s, no token: status %d, header %v", proxy, a.StatusCode, a.Header)
		}
		for want, bearer := range map[string]string{"200 zoe": token(audience, "sub", "zoe"),
			"401 ": token(audience, "sub", "zoe", "exp", 1), "401": token(audience, "sub", nil)} {
			r.Header.Set("Authorization", "Bearer "+bearer)
			a := s.do(r)
			if got := a.Status[:3] + " " + a.Header.Get("X-User"); strings.TrimSpace(got) != strings.TrimSpace(want) {
				t.Errorf("%s: %s, want %s", proxy, got, want)
			}
		}
	}
}

func TestRecipeOfProblemDetails(t *testing.T) {
	as, token := recipeServer(t)
	s := prepare(t)
	s.recipeIn(recipes, "JSON for programs", 1, "https://auth.example.com", as.URL)
	s.passed(s.get("/", token(audience)))
	a := s.get("/", token(audience, "exp", 1))
	if a.StatusCode != http.StatusUnauthorized || a.Header.Get("Content-Type") != "application/problem+json" ||
		!strings.Contains(a.body, `"error":"invalid_token"`) {
		t.Errorf("status %d, header %v, body %s", a.StatusCode, a.Header, a.body)
	}
}
