package integration

import (
	"net/http"
	"slices"
	"testing"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// custom are the members of the JOSE header of the recipe.
func custom(changes ...any) map[string]any {
	header := map[string]any{"co": "intersystems", "prod": "bazbar"}
	for i := 0; i < len(changes); i += 2 {
		header[changes[i].(string)] = changes[i+1]
	}
	return header
}

// The recipe for values of the JOSE header, for tokens of an issuer and of a consumer, and from the second time on from
// the cache.
func TestRecipeOfTheJOSEHeader(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "e1")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	s := prepare(t)
	const audienceLine = "audience " + audience
	s.recipeIn("recipes.md", "Values of the JOSE header", 1, "https://auth.example.com", as.URL,
		audienceLine, audienceLine+"\n"+consumerAlice(t))
	alice := hmacKey(t)
	for name, sign := range map[string]func(header map[string]any) string{
		"issuer": func(header map[string]any) string { return key.Sign(t, issuedBy(as.URL), header) },
		"consumer": func(header map[string]any) string {
			return alice.WithKID("a1").Sign(t, claims("aud", audience), header)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := s.in(t)
			good := sign(custom())
			for _, path := range []string{"/first", "/second", "/third"} {
				path += "-" + name
				line := s.logs(path, func(path string) {
					got := s.passed(s.get(path, good, "X-Company", "evil", "X_Product", "evil")).Header
					if !slices.Equal(got["X-Company"], []string{"intersystems"}) ||
						!slices.Equal(got["X-Product"], []string{"bazbar"}) || len(map[string][]string(got)["X_Product"]) != 0 {
						t.Errorf("%s: the backend got %v", path, got)
					}
				})
				kid := map[string]string{"issuer": "e1", "consumer": "a1"}[name]
				if line["company"] != "intersystems" || line["product"] != "bazbar" || line["key"] != kid {
					t.Errorf("%s: the access log has %v, %v and %v", path, line["company"], line["product"], line["key"])
				}
			}
			for what, header := range map[string]map[string]any{
				"none": {}, "other": custom("co", "acme"), "list": custom("co", []string{"acme"}), "null": custom("co", nil),
			} {
				path := "/refused-" + what + "-" + name
				line := s.logs(path, func(path string) {
					s.refused(s.get(path, sign(header), "X-Company", "intersystems"), http.StatusForbidden, "claim_mismatch")
				})
				if company, _ := line["company"].(string); company != "" {
					t.Errorf("%s: the access log has the company %v", path, company)
				}
			}
		})
	}
}

// Only the header of a JWT that was verified here counts. Where only the server has judged the token, nobody knows what
// its header says, and so it neither has a member nor lacks one.
func TestHeaderOfATokenThatWasNotVerifiedHere(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "e1")
	as := introspector(t, tokentest.WithKeys(key))
	as.Introspect(always(active("aud", audience, "iss", as.URL)))
	keyless := issuerBlock(as.URL, "keys none", "audience "+audience,
		"introspect {\nclient_id gateway\nclient_secret "+gatewaySecret+"\n}")
	s := start(t, "handle /open {\n"+gateFor(keyless, "forward_header X-Company co", "anonymous guest",
		"consumer guest")+"\nrespond \"{http.auth.user.id}|{http.auth.bearer.alg}|{http.auth.bearer.header.co}\"\n}\n"+
		"handle /has {\n"+gateFor(keyless, "require header co")+"\n}\n"+
		"handle /lacks {\n"+gateFor(keyless, "require not header co evil")+"\n}")
	for name, token := range map[string]string{
		"opaque": "2YotnFZFEjr1zCsicMWpAA", "JWT": key.Sign(t, issuedBy(as.URL), custom()),
	} {
		t.Run(name, func(t *testing.T) {
			s := s.in(t)
			if a := s.get("/open", token); a.StatusCode != http.StatusOK || a.body != "alice||" {
				t.Errorf("status %d, %q, reason %s", a.StatusCode, a.body, s.lastReason())
			}
			for _, path := range []string{"/has", "/lacks"} {
				s.refused(s.get(path, token), http.StatusForbidden, "claim_mismatch")
			}
		})
	}
	s.refusedAtLoad(t, "the anonymous consumer", "could never pass", func(s *site) error {
		return s.tryLoad(s.caddyfile(gateFor(keyless, "require not header co evil", "anonymous guest", "consumer guest")))
	})
}
