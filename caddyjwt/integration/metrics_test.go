package integration

import (
	"fmt"
	"maps"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// scraped is what Caddy's metrics say: name, without the prefix that all of ours have, and labels to value.
type scraped map[string]float64

const metricPrefix = "caddy_bearer_auth_"

// loadMeasured is load, with a site that serves Caddy's metrics.
func (s *site) loadMeasured(gate string) {
	s.t.Helper()
	s.loadFile(s.measured(gate))
	s.inForce()
}

// measured is a Caddyfile with a gate and a site that serves the metrics.
func (s *site) measured(gate string) string {
	return s.caddyfile(gate) + fmt.Sprintf("http://metrics.test {\n\tbind unix/%s\n\tmetrics\n}\n", s.socket)
}

// metricsText is what a Prometheus server would get.
func (s *site) metricsText() string {
	s.t.Helper()
	r := s.request(http.MethodGet, "/", nil)
	r.Host = "metrics.test"
	a := s.do(r)
	if a.StatusCode != http.StatusOK {
		s.t.Fatalf("metrics: status %d: %s", a.StatusCode, a.body)
	}
	return a.body
}

// scrape gives the metrics that are ours. Those of gates are added up.
func (s *site) scrape() scraped {
	s.t.Helper()
	sums := make(scraped)
	for name, value := range s.scrapeGates() {
		sums[strings.TrimSuffix(gateLabels.ReplaceAllString(name, ""), "{}")] += value
	}
	return sums
}

// gateLabels are those that tell gates apart.
var gateLabels = regexp.MustCompile(`(gate|server)="[^"]*",|,?(gate|server)="[^"]*"`)

// scrapeGates is scrape, with the metrics of each gate alone.
func (s *site) scrapeGates() scraped {
	s.t.Helper()
	values := make(scraped)
	for line := range strings.Lines(s.metricsText()) {
		line, ours := strings.CutPrefix(strings.TrimSpace(line), metricPrefix)
		if !ours {
			continue
		}
		at := strings.LastIndexByte(line, ' ')
		value, err := strconv.ParseFloat(line[at+1:], 64)
		if err != nil {
			s.t.Fatalf("%q: %v", line, err)
		}
		values[line[:at]] = value
	}
	return values
}

// since tells by how much the metrics have changed.
func (m scraped) since(before scraped) scraped {
	changes := make(scraped)
	for name, value := range m {
		if change := value - before[name]; change != 0 {
			changes[name] = change
		}
	}
	return changes
}

// counted wants these metrics to have changed by so much, and no others of the same families.
func (m scraped) counted(t *testing.T, families string, want scraped) {
	t.Helper()
	got := make(scraped)
	for name, value := range m {
		if family, _, _ := strings.Cut(name, "{"); slices.Contains(strings.Fields(families), family) {
			got[name] = value
		}
	}
	if !maps.Equal(got, want) {
		t.Errorf("metrics\n%v\nwant\n%v", got, want)
	}
}

func requests(outcome, reason string) string {
	return fmt.Sprintf("requests_total{outcome=%q,reason=%q}", outcome, reason)
}

func ofIssuer(name, issuer string, more ...string) string {
	labels := []string{fmt.Sprintf("issuer=%q", issuer)}
	for i := 0; i < len(more); i += 2 {
		labels = append(labels, fmt.Sprintf("%s=%q", more[i], more[i+1]))
	}
	return name + "{" + strings.Join(labels, ",") + "}"
}

// Metrics count the outcome of each request, what the authorization server did, and the state of the keys. A reload
// resets none of them.
func TestMetricsCountWhatHappened(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "measured")
	as := introspector(t, tokentest.WithKeys(key))
	as.Introspect(verdict)
	const jwks, file = "https://jwks.example.com", "https://file.example.com"
	two := tokentest.JWKS(key, tokentest.NewKey(t, "RS256", "second"))
	path := writeFile(t, filepath.Join(t.TempDir(), "jwks.json"), two)
	gate := func(realm string) string {
		return gateForAudience("realm "+realm, "optional", "public /open", introspecting(as, "opaque"),
			issuerBlock(jwks, "keys jwks "+as.JWKSURL()), issuerBlock(file, "keys file "+path))
	}
	s := prepare(t)
	s.loadMeasured(gate("first"))
	before := s.scrape()

	good := key.Sign(t, issuedBy(as.URL))
	for range 4 { // a cache keeps a token from the second time on
		s.accepts(good)
	}
	s.accepts(key.Sign(t, issuedBy(jwks)))
	s.accepts(key.Sign(t, issuedBy(file)))
	s.passed(s.get("/", ""))
	s.passed(s.get("/open", "neither good nor bad"))
	s.refused(s.get("/", key.Sign(t, issuedBy(as.URL, "exp", time.Now().Unix()-60))), 401, "expired")
	for range 2 {
		s.accepts(liveToken + "1")
		s.refused(s.get("/", revokedToken+"1"), 401, "inactive")
	}
	first := s.scrape()
	changes := first.since(before)
	changes.counted(t, "requests_total", scraped{
		requests("accepted", ""): 8, requests("unidentified", ""): 1, requests("public", ""): 1,
		requests("refused", "expired"): 1, requests("refused", "inactive"): 2,
	})
	changes.counted(t, "decision_seconds_count", scraped{"decision_seconds_count": 13})
	changes.counted(t, "cache_lookups_total", scraped{
		`cache_lookups_total{result="hit"}`: 2, `cache_lookups_total{result="miss"}`: 5,
	})
	changes.counted(t, "introspection_lookups_total introspection_seconds_count", scraped{
		ofIssuer("introspection_lookups_total", as.URL, "result", "miss"):         2,
		ofIssuer("introspection_lookups_total", as.URL, "result", "hit"):          1,
		ofIssuer("introspection_lookups_total", as.URL, "result", "negative_hit"): 1,
		ofIssuer("introspection_seconds_count", as.URL, "verdict", "active"):      1,
		ofIssuer("introspection_seconds_count", as.URL, "verdict", "inactive"):    1,
	})
	changes.counted(t, "key_fetches_total key_fetch_failures_total", scraped{
		ofIssuer("key_fetches_total", as.URL): 1, ofIssuer("key_fetches_total", jwks): 1,
	})
	changes.counted(t, "key_fetch_seconds_count", scraped{
		ofIssuer("key_fetch_seconds_count", as.URL, "result", "fetched"): 1,
		ofIssuer("key_fetch_seconds_count", jwks, "result", "fetched"):   1,
	})
	first.counted(t, "keys keys_failing", scraped{
		ofIssuer("keys", as.URL): 1, ofIssuer("keys", jwks): 1, ofIssuer("keys", file): 2,
		ofIssuer("keys_failing", as.URL): 0, ofIssuer("keys_failing", jwks): 0,
	})
	first.counted(t, "introspection_breaker_open introspection_in_flight cache_tokens", scraped{
		ofIssuer("introspection_breaker_open", as.URL): 0, ofIssuer("introspection_in_flight", as.URL): 0, "cache_tokens": 1,
	})
	for _, issuer := range []string{as.URL, jwks} {
		age := float64(time.Now().UnixMilli())/1000 - first[ofIssuer("keys_fetched_timestamp_seconds", issuer)]
		if age < 0 || age > 120 {
			t.Errorf("the keys of %s are %v s old", issuer, age)
		}
	}

	s.loadMeasured(gate("second"))
	s.accepts(good)
	again := s.scrape().since(first)
	again.counted(t, "requests_total cache_lookups_total key_fetches_total introspection_lookups_total", scraped{
		requests("accepted", ""): 1, `cache_lookups_total{result="hit"}`: 1,
	})

	as.Down()
	s.ourFaultFor(s.get("/", liveToken+"2"), 503, "introspection_unavailable", true)
	s.refused(s.get("/", key.WithKID("unheard-of").Sign(t, issuedBy(as.URL))), 503, "keys_unavailable")
	unavailable := ofIssuer("introspection_seconds_count", as.URL, "verdict", "unavailable")
	down := s.scrape()
	down.since(first).counted(t, "keys_failing key_fetch_failures_total introspection_seconds_count", scraped{
		ofIssuer("keys_failing", as.URL): 1, ofIssuer("key_fetch_failures_total", as.URL): 1,
		unavailable: 1,
	})
	down.since(first).counted(t, "key_fetch_seconds_count", scraped{
		ofIssuer("key_fetch_seconds_count", as.URL, "result", "failed"): 1,
	})

	s.loadMeasured(gateFor(consumerAlice(t)))
	gone := s.scrape()
	gone.counted(t, "keys keys_failing key_fetches_total introspection_breaker_open", scraped{})
	if gone[requests("accepted", "")] != down[requests("accepted", "")] {
		t.Error("the requests are counted anew with another configuration")
	}
}

// Two handlers have one issuer, with settings that make them two key sources and two clients. The metrics show the
// worse of the two.
func TestMetricsOfAnIssuerWithSeveralSources(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "twice")
	as := introspector(t, tokentest.WithKeys(key))
	as.Introspect(verdict)
	one := gateForAudience(introspecting(as, "opaque"))
	other := gateForAudience(issuerBlock(as.URL, "max_stale 1h", "introspect opaque {", "client_id gateway",
		"client_secret "+gatewaySecret, "auth_method client_secret_basic", "cache_ttl 1s", "}"))
	s := prepare(t)
	s.loadMeasured("handle /other {\n\t\t" + other + "\n\t}\n\thandle {\n\t\t" + one + "\n\t}")
	before := s.scrape()
	s.accepts(key.Sign(t, issuedBy(as.URL)))
	keys, fetches := ofIssuer("keys", as.URL), ofIssuer("key_fetches_total", as.URL)
	s.scrape().counted(t, "keys", scraped{keys: 0})
	s.scrape().since(before).counted(t, "key_fetches_total", scraped{fetches: 1})
	s.passed(s.get("/other", key.Sign(t, issuedBy(as.URL))))
	s.scrape().counted(t, "keys", scraped{keys: 1})
	s.scrape().since(before).counted(t, "key_fetches_total", scraped{fetches: 2})
}

// One of two handlers goes, with its cache and its key source. The sums must keep what those have counted: to
// Prometheus, a counter that decreases has begun anew, and what is left of it looks like an increase.
func TestMetricsNeverDecreaseWhenAHandlerGoes(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "less")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	one := gateForAudience(issuerBlock(as.URL), "cache 1MiB")
	other := gateForAudience(issuerBlock(as.URL, "max_stale 1h"), "cache 2MiB")
	s := prepare(t)
	s.loadMeasured("handle /other {\n\t\t" + other + "\n\t}\n\thandle {\n\t\t" + one + "\n\t}")
	before := s.scrape()
	token := key.Sign(t, issuedBy(as.URL))
	for range 3 {
		s.accepts(token)
		s.passed(s.get("/other", token))
	}
	both := scraped{
		`cache_lookups_total{result="hit"}`: 2, `cache_lookups_total{result="miss"}`: 4,
		ofIssuer("key_fetches_total", as.URL): 2,
	}
	s.scrape().since(before).counted(t, "cache_lookups_total key_fetches_total", both)

	s.loadMeasured(one)
	s.scrape().since(before).counted(t, "cache_lookups_total key_fetches_total", both)
	s.accepts(token)
	both[`cache_lookups_total{result="hit"}`]++
	s.scrape().since(before).counted(t, "cache_lookups_total key_fetches_total", both)
}

// Metadata that the gate reads for introspection alone bring no keys. An issuer whose keys are in a file, or which has
// none, must not be reported for missing or failing keys.
func TestMetricsAndLogOfMetadataWithoutKeys(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "beside")
	path := writeFile(t, filepath.Join(t.TempDir(), "key.pem"), key.PublicPEM())
	beside, without := introspector(t), introspector(t)
	gate := func(as *tokentest.AS, keys, prefix string) string {
		block := introspecting(as, "opaque", "prefix "+prefix, "timeout 1s")
		return strings.Replace(block, "introspect opaque", "keys "+keys+"\nintrospect opaque", 1)
	}
	beside.Introspect(always(active()))
	without.Down()
	s := prepare(t)
	s.loadMeasured(gateForAudience(gate(beside, "file "+path, "f_"), gate(without, "none", "n_")))
	s.accepts(key.Sign(t, issuedBy(beside.URL)))
	s.accepts("f_1")
	s.ourFaultFor(s.get("/", "n_1"), 503, "introspection_unavailable", true)
	s.scrape().counted(t, "keys keys_failing key_fetches_total key_fetch_failures_total",
		scraped{ofIssuer("keys", beside.URL): 1})
	eventually(t, "the log says that metadata are failing", func() bool {
		return s.logged("refreshing metadata is failing")
	})
	if s.logged("refreshing keys is failing") {
		t.Error("the log says that keys are failing")
	}
}

// A stranger sends names of issuers, keys and algorithms, and tokens of every kind, in order to make Caddy keep a
// series for each.
func TestAttackMetricsGrowWithWhatStrangersSend(t *testing.T) {
	long(t)
	key := tokentest.NewKey(t, "ES256", "series")
	as := introspector(t, tokentest.WithKeys(key))
	as.Introspect(verdict)
	s := prepare(t)
	s.loadMeasured(gateForAudience(introspecting(as, "opaque")))
	s.attack(t, "two hundred made-up names in every place", func(t *testing.T, a *attempt) {
		send := func(mark string) {
			for _, token := range []string{
				key.Sign(t, issuedBy("https://"+mark+".example.com")),
				key.WithKID(mark).Sign(t, issuedBy(as.URL)),
				key.Sign(t, issuedBy(as.URL, "aud", mark)),
				forged(`{"alg":"`+mark+`"}`, `{"iss":"`+as.URL+`"}`, nil),
				revokedToken + mark,
			} {
				if got := a.send(token, "X-Consumer-Username", mark); got.StatusCode == http.StatusOK {
					t.Errorf("passed: %s", mark)
				}
			}
		}
		send("mark-0")
		before := a.scrape()
		for i := range 200 {
			send("mark-" + strconv.Itoa(i+1))
		}
		after := a.scrape()
		for name := range after { // a reason that has not occurred before, such as key_pending, is none of their words
			if _, known := before[name]; !known && !strings.HasPrefix(name, "requests_total{") {
				t.Errorf("%s is new", name)
			}
		}
		if more := len(after) - len(before); more > len(gate.Reasons()) {
			t.Errorf("%d more series", more)
		}
		if text := a.metricsText(); strings.Contains(text, "mark-") {
			t.Error("the metrics hold what strangers sent")
		}
	})
}
