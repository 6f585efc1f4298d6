package integration

import (
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// ours matches names of metrics of this module, not Caddy's own.
var ours = regexp.MustCompile(`^(caddy_bearer_auth|caddy_token_issuer)_`)

// everyMetric runs a gate and a token issuer that use all that is counted, and have counted each of it.
func everyMetric(t *testing.T) *site {
	t.Helper()
	key := tokentest.NewKey(t, "ES256", "form")
	as := introspector(t, tokentest.WithKeys(key))
	as.Introspect(verdict)
	s := prepare(t)
	caddyfile := s.measured(gateForAudience("max_lifetime 1h", "end_at_expiry", introspecting(as, "opaque"),
		newConsumersFile(t).word()))
	caddyfile = strings.Replace(caddyfile, "introspect opaque", logoutBlock("/logout")+"\nintrospect opaque", 1)
	people := httptest.NewServer(http.NotFoundHandler()) // that is no answer
	t.Cleanup(people.Close)
	caddyfile += s.siteOf("http://issuer.test", issuingFor(ownIssuer, "user alice "+hashOf(t, password),
		"users http "+people.URL, appOf(orders)))
	s.loadFile(s.stored(caddyfile))
	s.inForce()
	s.accepts(key.Sign(t, issuedBy(as.URL)))
	s.get("/", liveToken+"form")
	login := strings.NewReader(signsIn("bob", password))
	r := s.request(http.MethodPost, orders+"login", login, "Content-Type", asJSONBody)
	r.Host = "issuer.test"
	if a := s.do(r); a.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("signing in while the server with users gives no answer: status %d", a.StatusCode)
	}
	return s
}

// Names and help are as Prometheus wants them, every trouble has a series from the start, and docs/metrics.md lists
// every metric.
func TestMetricsAreWellFormedAndDocumented(t *testing.T) {
	s := everyMetric(t)
	text := s.metricsText()
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range problems {
		if ours.MatchString(problem.Metric) {
			t.Errorf("%s: %s", problem.Metric, problem.Text)
		}
	}
	for _, reason := range gate.Reasons() {
		if _, there := s.scrape()[requests("refused", string(reason))]; reason.IsTrouble() && !there {
			t.Errorf("no series for %s", reason)
		}
	}
	names := make(map[string]bool)
	for line := range strings.Lines(text) {
		if name, ok := strings.CutPrefix(line, "# TYPE "); ok && ours.MatchString(name) {
			names[strings.Fields(name)[0]] = false
		}
	}
	page, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(page)) {
		if name, ok := strings.CutPrefix(line, "| `"); ok && ours.MatchString(name) {
			name, _, _ = strings.Cut(name, "`")
			if _, there := names[name]; !there {
				t.Errorf("docs/metrics.md has %s, which is not served", name)
			}
			names[name] = true
		}
	}
	for name, documented := range names {
		if !documented {
			t.Errorf("docs/metrics.md lacks %s", name)
		}
	}
}
