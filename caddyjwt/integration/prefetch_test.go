package integration

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// prefetching has the global option for all gates of a Caddyfile.
func prefetching(caddyfile string) string {
	return strings.Replace(caddyfile, "admin off\n", "admin off\n\tbearer_auth {\n\t\tprefetch\n\t}\n", 1)
}

// lines are those of our loggers with this message.
func (s *site) lines(message string) (found []map[string]any) {
	s.t.Helper()
	for text := range strings.Lines(s.log()) {
		line := make(map[string]any)
		if err := json.Unmarshal([]byte(text), &line); err == nil && line["msg"] == message &&
			strings.HasPrefix(line["logger"].(string), "http.handlers.bearer_auth") {
			found = append(found, line)
		}
	}
	return found
}

func TestPrefetch(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "p1")
	for name, c := range map[string]struct {
		gate func(as *tokentest.AS) string
		load func(s *site, gate string)
	}{
		"one issuer": {
			gate: func(as *tokentest.AS) string { return gateForAudience(issuerBlock(as.URL, "prefetch")) },
			load: func(s *site, gate string) { s.load(gate) },
		},
		"a key set without metadata": {
			gate: func(as *tokentest.AS) string { return gateFor(issuerByJWKS(as, "prefetch")) },
			load: func(s *site, gate string) { s.load(gate) },
		},
		"all issuers": {
			gate: func(as *tokentest.AS) string { return gateForAudience(issuerBlock(as.URL)) },
			load: func(s *site, gate string) { s.loadFile(prefetching(s.caddyfile(gate))) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			as := tokentest.NewAS(t, tokentest.WithKeys(key))
			s := prepare(t)
			c.load(s, c.gate(as))
			eventually(t, "the keys are fetched", func() bool { return s.logged("keys are ready") })
			c.load(s, c.gate(as)) // they are fresh
			s.accepts(key.Sign(t, issuedBy(as.URL)))
			if n := as.JWKSFetches(); n != 1 {
				t.Errorf("%d fetches", n)
			}
		})
	}
}

func TestWithoutPrefetchNothingIsFetchedBeforeARequest(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "p1")
	as, other := tokentest.NewAS(t, tokentest.WithKeys(key)), tokentest.NewAS(t)
	s := start(t, gateForAudience(issuerBlock(as.URL, "prefetch"), issuerBlock(other.URL, "leeway 5s")))
	eventually(t, "the keys of one issuer are fetched", func() bool { return s.logged("keys are ready") })
	if n := other.MetadataFetches(); n != 0 {
		t.Errorf("%d fetches for the other issuer", n)
	}
}

func TestPrefetchOfMetadataForIntrospection(t *testing.T) {
	as := introspector(t)
	gate := gateFor(strings.Replace(introspecting(as, "opaque"), "introspect", "keys none\nprefetch\nintrospect", 1))
	s := start(t, gate)
	eventually(t, "the metadata is fetched", func() bool { return as.MetadataFetches() == 1 })
	as.Introspect(always(active()))
	s.accepts("opaque-token")
	if n := as.MetadataFetches(); n != 1 {
		t.Errorf("%d fetches", n)
	}
}

// "caddy validate" runs beside a Caddy that serves: it must not fetch, and must not say that something is in force.
func TestValidationIsNoStart(t *testing.T) {
	as := tokentest.NewAS(t)
	s := start(t, gateForAudience(issuerBlock(as.URL)))
	config, err := adapt(prefetching(s.caddyfile(gateForAudience(issuerBlock(as.URL)))))
	if err != nil {
		t.Fatal(err)
	}
	parsed := new(caddy.Config)
	if err := json.Unmarshal(config, parsed); err != nil {
		t.Fatal(err)
	}
	if err := caddy.Validate(parsed); err != nil {
		t.Fatal(err)
	}
	if n := len(s.lines("gate is in force")); n != 1 {
		t.Errorf("%d lines, want that of the Caddy that serves", n)
	}
	if n := as.MetadataFetches(); n != 0 {
		t.Errorf("%d fetches", n)
	}
}

// A configuration that does not start is not in force, although some of its apps may have started.
func TestAConfigurationThatFailsIsNeverInForce(t *testing.T) {
	as := tokentest.NewAS(t)
	s := start(t, gateForAudience(issuerBlock(as.URL)))
	for range 5 { // Caddy starts apps in random order
		if err := s.tryLoad(prefetching(s.caddyfile(gateFor("realm other", consumerAlice(t))+"\n\t"+
			gateForAudience(issuerBlock(as.URL)))) + deadSite); err == nil {
			t.Fatal("a site that cannot listen was loaded")
		}
	}
	if n := len(s.lines("gate is in force")); n != 1 {
		t.Errorf("%d lines, want that of the first configuration", n)
	}
	if n := as.MetadataFetches(); n != 0 {
		t.Errorf("%d fetches", n)
	}
}

// A mistake in an issuer is seen when the configuration is loaded, in the log and in the metrics. The start neither
// waits nor fails.
func TestPrefetchFindsAMistake(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "p1")
	good := tokentest.NewAS(t, tokentest.WithKeys(key), tokentest.WithPath("/tenants/main"))
	silent := tokentest.NewAS(t)
	release := silent.Stall()
	t.Cleanup(release)
	typo := strings.Replace(good.URL, "main", "mian", 1)
	slash := good.URL + "/"
	s := prepare(t)
	gate := gateForAudience(issuerBlock(good.URL, "prefetch"), issuerBlock(typo, "prefetch"),
		issuerBlock(slash, "prefetch"), issuerByJWKS(silent, "prefetch"))
	for range 2 { // the second time, nothing is told again
		s.loadMeasured(gate)
		for issuer, keys := range map[string]float64{good.URL: 1, typo: 0, slash: 0, silent.URL: 0} {
			failing := 1 - keys
			eventually(t, "the metrics show "+issuer, func() bool {
				m := s.scrape()
				got, has := m[`keys{issuer="`+issuer+`"}`]
				return has && got == keys && m[`keys_failing{issuer="`+issuer+`"}`] == failing
			})
		}
	}
	eventually(t, "the log names all that fail", func() bool { return len(s.lines("refreshing keys is failing")) >= 3 })
	warnings := make(map[string]int)
	for _, line := range s.lines("refreshing keys is failing") {
		source, _ := line["source"].(string)
		warnings[source]++
		if cure, _ := line["cure"].(string); line["level"] != "warn" || !strings.Contains(cure, "bearer-auth check") {
			t.Errorf("line %v", line)
		}
		if cause, _ := line["error"].(string); !strings.Contains(cause, "404") && source == typo ||
			!strings.Contains(cause, good.URL) && source == slash {
			t.Errorf("cause %q of %s", cause, source)
		}
	}
	if len(warnings) != 3 || warnings[typo] != 1 || warnings[slash] != 1 {
		t.Errorf("warnings %v", warnings)
	}
	s.accepts(key.Sign(t, issuedBy(good.URL)))
}

// Each gate says what it has understood, at each load.
func TestEachGateSaysWhatItHasUnderstood(t *testing.T) {
	s := prepare(t)
	cookie := strings.Replace(gateFor("token_from cookie t", consumerAlice(t)), "bearer_auth", "bearer_auth /c/*", 1)
	gate := cookie + "\n\t" + gateFor("audience any", issuerBlock("https://as.example.com", "audience urn:api")) + "\n\t"
	for loads := 1; loads <= 2; loads++ {
		s.load(gate)
		lines := s.lines("gate is in force")
		if len(lines) != 2*loads {
			t.Fatalf("%d lines after %d loads", len(lines), loads)
		}
		for i, want := range []map[string]string{
			{"server": "srv0", "tokens_from": "cookie t", "consumers": "alice", "without_token": "refused", "level": "info"},
			{"tokens_from": "header Authorization Bearer", "audience": "any",
				"issuers": "https://as.example.com (keys discovery, audience urn:api)"},
		} {
			for name, text := range want {
				if got := lines[2*loads-2+i][name]; got != text {
					t.Errorf("%s is %q, want %q", name, got, text)
				}
			}
		}
	}
	if a := s.get("/", ""); a.StatusCode != http.StatusUnauthorized {
		t.Errorf("status %d", a.StatusCode)
	}
}

// What was not begun when a configuration ends is not begun later.
func TestPrefetchEndsWithItsConfiguration(t *testing.T) {
	s := prepare(t)
	silent := tokentest.NewAS(t)
	release := silent.Stall()
	t.Cleanup(release)
	blocks := []string{}
	for i := range 200 {
		issuer := "https://" + string(rune('a'+i/26)) + string(rune('a'+i%26)) + ".example.com"
		blocks = append(blocks, issuerBlock(issuer, "keys jwks "+silent.JWKSURL()+"?of="+issuer))
	}
	before := s.goroutinesOfAPlainCaddy()
	s.loadFile(prefetching(s.caddyfile(gateForAudience(blocks...))))
	eventually(t, "fetches have begun", func() bool { return silent.JWKSFetches() > 0 })
	s.load(`respond "no gate"`)
	s.goroutinesBackTo(before, 10)
	if n := silent.JWKSFetches(); n > 100 {
		t.Errorf("%d fetches began", n)
	}
}

func (s *site) goroutinesOfAPlainCaddy() int {
	s.t.Helper()
	s.load(`respond "no gate"`)
	return s.goroutines()
}
