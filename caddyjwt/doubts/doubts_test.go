package doubts

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddyjwt/gateway/caddyjwt/consumers"
	"github.com/caddyjwt/gateway/caddyjwt/issuers"
	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/bearer"
	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/resource"
)

// read reads JSON into a setting of the configuration.
func read[T any](t *testing.T, text string) (setting T) {
	t.Helper()
	if err := caddy.StrictUnmarshalJSON([]byte(text), &setting); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return setting
}

// gateOf is a gate with these issuers, which takes tokens from Authorization.
func gateOf(t *testing.T, texts ...string) *Gate {
	t.Helper()
	g := &Gate{Config: &gate.Config{Extractor: extractor(t, bearer.DefaultPlace)}}
	for _, text := range texts {
		issuer := read[issuers.Issuer](t, text)
		plan, err := issuer.Compile(words.NewSettings(), gate.DefaultLeeway)
		if err != nil {
			t.Fatalf("%v in %s", err, text)
		}
		g.Plans, g.Config.Issuers = append(g.Plans, plan), append(g.Config.Issuers, plan.Issuer)
	}
	return g
}

func extractor(t *testing.T, places ...bearer.Place) *bearer.Extractor {
	t.Helper()
	e, err := bearer.NewExtractor(bearer.Options{Places: places})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// addConsumer adds a consumer.
func (g *Gate) addConsumer(t *testing.T, text string) {
	t.Helper()
	consumer := read[consumers.Consumer](t, text)
	compiled, _, err := consumer.Compile(words.NewSettings(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	g.Consumers, g.Config.Consumers = append(g.Consumers, consumer), append(g.Config.Consumers, compiled)
}

// guards says what the gate guards.
func (g *Gate) guards(t *testing.T, url string) {
	t.Helper()
	id, err := resource.Parse(url)
	if err != nil {
		t.Fatal(err)
	}
	g.Resource = &id
}

// forwarding gives the backend a claim in a header.
func forwarding(t *testing.T, claim string) []gate.Forward {
	return []gate.Forward{{Path: path(t, claim), Header: "X-Claim"}}
}

func path(t *testing.T, text string) claims.Path {
	t.Helper()
	p, err := claims.ParsePath(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// doubt is a warning, with what it is about.
type doubt struct{ message, about string }

// doubtsOf are the warnings of a function of this package.
func doubtsOf(g *Gate, find func(*Gate, Warn)) (all []doubt) {
	find(g, func(message string, about ...zap.Field) {
		texts := make([]string, 0, len(about))
		for _, field := range about {
			texts = append(texts, field.Key+"="+field.String)
		}
		all = append(all, doubt{message, strings.Join(texts, " ")})
	})
	return all
}

// expect requires one doubt that has all of these texts, in its message or in what it is about, or none without texts.
func expect(t *testing.T, found []doubt, texts ...string) {
	t.Helper()
	want := min(len(texts), 1)
	if len(found) != want {
		t.Fatalf("doubts: %v, want %d", found, want)
	}
	for _, text := range texts {
		if all := fmt.Sprint(found); !strings.Contains(all, text) {
			t.Errorf("the doubt does not say %q: %s", text, all)
		}
	}
}

// A gate that leaves nothing open gives no warning.
func TestNoDoubts(t *testing.T) {
	g := gateOf(t, `{"issuer":"https://as.example","audience":["https://a.example/mcp"]}`)
	g.addConsumer(t, `{"username":"bob","credentials":[{"key":"k","algorithm":"HS256",
		"secret":"c3a9f1e07b5d24886f0e9a17d2b4c6358e71fa90bd2c4e63"}]}`)
	g.guards(t, "https://a.example/mcp")
	g.AuthServers, g.Server = []string{"https://as.example"}, new(caddyhttp.Server)
	expect(t, doubtsOf(g, Of))
	expect(t, doubtsOf(g, OfResource))
}

// Everybody knows the secret of the example.
func TestDoubtAboutTheExample(t *testing.T) {
	g := gateOf(t)
	g.addConsumer(t, `{"username":"alice","credentials":[{"key":"k","algorithm":"HS256","secret":"`+exampleSecret+`"}]}`)
	expect(t, doubtsOf(g, func(g *Gate, warn Warn) { g.example(warn) }),
		"the secret of the example is in use", "openssl rand -hex 32", "consumer=alice")
}

// A secret that may not be random is named by its place, without a byte of it.
func TestDoubtsAboutSecrets(t *testing.T) {
	const secret = "production-9d1f8a3c5e7b42604f8e1a2b"
	key := gateOf(t, `{"issuer":"https://as.example","audience":["x"],"keys":{"source":"secret","secret":"`+secret+`"}}`)
	expect(t, doubtsOf(key, Of), "may not be random", "issuer=https://as.example", "setting=keys secret")

	client := gateOf(t, `{"issuer":"https://as.example","audience":["x"],"keys":{"source":"none"},"introspect":{
		"endpoint":"https://as.example/i","client_id":"c","client_secret":"`+secret+`","auth_method":"client_secret_jwt"}}`)
	expect(t, doubtsOf(client, Of), "may not be random", "issuer=https://as.example", "setting=client_secret")

	consumer := gateOf(t)
	consumer.addConsumer(t,
		`{"username":"bob","credentials":[{"key":"k","algorithm":"HS256","secret":"`+secret+`"}]}`)
	expect(t, doubtsOf(consumer, Of), "may not be random", "consumer=bob", "credential=k")

	for _, g := range []*Gate{key, client, consumer} {
		if told := fmt.Sprint(doubtsOf(g, Of)); strings.Contains(told, "9d1f8a3c") {
			t.Errorf("a secret is told: %s", told)
		}
	}
}

// Whoever is on the way can change what comes without TLS, also what only clients get.
func TestDoubtsAboutPlainHTTP(t *testing.T) {
	const keys = `{"issuer":"https://as.example","audience":["x"],"allow_http":"private",
		"keys":{"source":"jwks","url":"http://keycloak:8080/keys"}}`
	expect(t, doubtsOf(gateOf(t, keys), Of), "allow_http: requests to keycloak:8080 go without TLS",
		"issuer=https://as.example")

	metadata := func(url string) *Gate {
		g := gateOf(t, `{"issuer":"https://as.example","audience":["x"],"allow_http":"private","keys":[
			{"source":"discovery","url":"`+url+`"},{"source":"jwks","url":"http://keycloak:8080/keys"}]}`)
		g.Proxied = &g.Plans[0]
		return g
	}
	proxied := doubtsOf(metadata("http://keycloak:8080/.well-known/openid-configuration"), Of)
	if len(proxied) != 2 {
		t.Fatalf("doubts: %v", proxied)
	}
	expect(t, proxied[1:], "auth_server_metadata proxy: the metadata come from keycloak:8080 without TLS",
		"issuer=https://as.example")
	expect(t, doubtsOf(metadata("https://as.example/.well-known/openid-configuration"), Of), "requests to keycloak:8080")

	unused := gateOf(t, `{"issuer":"https://as.example","audience":["x"]}`)
	unused.Proxied = &unused.Plans[0]
	expect(t, doubtsOf(unused, Of))
}

// A pattern without a boundary may match other names than those that were meant.
func TestDoubtsAboutPatterns(t *testing.T) {
	g := gateOf(t)
	pattern, err := claims.ParsePattern("admin*")
	if err != nil {
		t.Fatal(err)
	}
	g.Config.Require.Claims = []claims.Condition{{Path: path(t, "roles"), Patterns: []claims.Pattern{pattern}}}
	expect(t, doubtsOf(g, Of), "require claim roles like admin* also matches")
}

// A name alone, or its beginning, can be in a list of the server.
func TestDoubtsAboutPlacesThatCaddyDrops(t *testing.T) {
	for name, c := range map[string]struct {
		place            bearer.Place
		underscore, dots []string // that the server expects
		dropped          bool
	}{
		"an underscore":                    {header("access_token"), nil, nil, true},
		"a dot":                            {header("access.token"), nil, nil, true},
		"hyphens":                          {header("X-Access-Token"), nil, nil, false},
		"a cookie":                         {bearer.Place{Kind: bearer.Cookie, Name: "access_token"}, nil, nil, false},
		"an underscore that is expected":   {header("access_token"), []string{"Access_Token"}, nil, false},
		"a beginning that is expected":     {header("access_token"), []string{"access_*"}, nil, false},
		"another name":                     {header("access_token"), []string{"user_*", "id_token"}, nil, true},
		"a dot that is expected":           {header("access.token"), nil, []string{"access.token"}, false},
		"both, in one of the lists":        {header("a_b.c"), nil, []string{"a_b.c"}, false},
		"both, in none of the lists":       {header("a_b.c"), []string{"b_c"}, []string{"b.c"}, true},
		"both, and their beginning is not": {header("a_b.c"), []string{"a_*"}, []string{"a_*"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			g := gateOf(t)
			g.Config.Extractor = extractor(t, c.place)
			expect(t, doubtsOf(g, Of)) // the server is not known
			g.Server = &caddyhttp.Server{ExpectedUnderscoreHeaders: c.underscore, ExpectedDotHeaders: c.dots}
			if c.dropped {
				expect(t, doubtsOf(g, Of), "tokens in this header never arrive", "header="+http.CanonicalHeaderKey(c.place.Name))
			} else {
				expect(t, doubtsOf(g, Of))
			}
		})
	}
}

func header(name string) bearer.Place { return bearer.Place{Kind: bearer.Header, Name: name} }

// Clients must find an authorization server, and spell the resource as the configuration does.
func TestDoubtsAboutAResource(t *testing.T) {
	for _, c := range []struct {
		url       string
		audiences []string // of the route
		issuer    string   // whose audience is this one
		want      string   // empty for no doubt
	}{
		{"https://a.example", []string{"https://a.example"}, "x", "with a slash after the host"},
		{"https://a.example", []string{"https://a.example", "https://a.example/"}, "x", ""},
		{"https://a.example", nil, "https://a.example", "with a slash after the host"},
		{"https://a.example", nil, "x", ""},
		{"https://a.example/", []string{"https://a.example/"}, "x", ""},
		{"https://a.example/mcp", nil, "x", ""},
		{"https://a.example/mcp/", nil, "x", "leave out the slash at the end"},
	} {
		g := gateOf(t, `{"issuer":"https://as.example","audience":["`+c.issuer+`"]}`)
		g.guards(t, c.url)
		g.AuthServers, g.Config.Audience.Accepted = []string{"https://as.example"}, c.audiences
		if c.want == "" {
			expect(t, doubtsOf(g, OfResource))
		} else {
			expect(t, doubtsOf(g, OfResource), c.want, "resource="+c.url)
		}
	}
	alone := gateOf(t)
	alone.guards(t, "https://a.example/mcp")
	expect(t, doubtsOf(alone, OfResource), "clients cannot find out where to get a token")
}
