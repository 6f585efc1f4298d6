//go:build e2e

package e2e_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/monitortest"
)

// A Prometheus server with the shipped configuration scrapes a gateway in use. Every query of the dashboard has an
// answer, for all gates and for chosen ones, and alerts arrive.
func TestPrometheusAnswersEveryQueryOfTheDashboard(t *testing.T) {
	installed(t, "prometheus")
	m := startMonitored(t)
	p := startPrometheus(t, m)
	checks(t, nil, "check", "config", p.config)

	dashboard := monitortest.ReadDashboard(t, "..")
	values := make(map[string]string)
	for _, v := range dashboard.Templating.List[1:] {
		values[v.Name] = v.AllValue
	}
	p.answersAll(t, m, dashboard.Queries(), values)

	for _, v := range dashboard.Templating.List[1:] {
		values[v.Name] = p.choices(t, v, values)
	}
	wants := map[string]string{"gate": "(keyless|orders)", "instance": "(" + escaped(m.address) + ")"}
	for name, want := range wants {
		if values[name] != want {
			t.Errorf("choices of %s: %s, want %s", name, values[name], want)
		}
	}
	p.answersAll(t, m, dashboard.Queries(), values)
	p.alertsArrive(t)
}

// answersAll uses the gateway until every query has an answer.
func (p *prometheus) answersAll(t *testing.T, m *monitored, queries []monitortest.Query, values map[string]string) {
	t.Helper()
	left := queries
	t.Cleanup(func() {
		for _, query := range left {
			t.Errorf("%s: no number for %s", query.Where, query.Expr)
		}
	})
	eventually(t, "every query has a number", func() bool {
		m.use(t)
		var still []monitortest.Query
		for _, query := range left {
			if !p.answers(t, query, values) {
				still = append(still, query)
			}
		}
		left = still
		return len(left) == 0
	})
	t.Logf("%d queries have numbers, with %v", len(queries), values)
}

// choices are all values of a variable at once, as Grafana writes them.
func (p *prometheus) choices(t *testing.T, v monitortest.Variable, before map[string]string) string {
	t.Helper()
	selector, label := v.Values(t)
	var values []string
	p.ask(t, "label/"+label+"/values", url.Values{"match[]": {monitortest.Substitute(selector, before)}}, &values)
	for i, value := range values {
		values[i] = escaped(value)
	}
	return "(" + strings.Join(values, "|") + ")"
}

// escaped is a text as a part of a regular expression, in quotes of PromQL.
func escaped(text string) string { return strings.ReplaceAll(regexp.QuoteMeta(text), `\`, `\\`) }

// alertsArrive evaluates every alert by itself, wants no rule to be in trouble, and one to have fired: that of the
// issuer without keys.
func (p *prometheus) alertsArrive(t *testing.T) {
	t.Helper()
	alerts := monitortest.Alerts(t, "..")
	for _, alert := range alerts {
		var data any
		p.ask(t, "query", url.Values{"query": {alert.Expr}}, &data)
	}
	var data struct {
		Groups []struct {
			Rules []struct{ Name, Health, LastError string }
		}
	}
	p.ask(t, "rules", nil, &data)
	healthy := 0
	for _, group := range data.Groups {
		for _, rule := range group.Rules {
			if rule.Health != "ok" {
				t.Errorf("%s: health %s, %s", rule.Name, rule.Health, rule.LastError)
			}
			healthy++
		}
	}
	if healthy != len(alerts) {
		t.Errorf("Prometheus has %d rules, want %d", healthy, len(alerts))
	}
	eventually(t, "KeysUnavailable arrives", func() bool {
		_, came := p.alerts.got("KeysUnavailable")
		return came
	})
	annotations, _ := p.alerts.got("KeysUnavailable")
	if text := annotations["description"]; !strings.HasSuffix(text, " requests per second get 503.") ||
		strings.Contains(text, "{{") || annotations["runbook"] == "" {
		t.Errorf("%q came with the alert", annotations)
	}
	for _, silent := range []string{"MetricsUnseen", "NoGate", "ReloadFailed", "ServerErrors"} {
		if _, came := p.alerts.got(silent); came {
			t.Errorf("%s fires without a reason", silent)
		}
	}
}

func TestTheFilesForPrometheusAreGood(t *testing.T) {
	installed(t, "promtool")
	const dir = "../examples/monitoring/"
	checks(t, nil, "check", "config", "--syntax-only", dir+"prometheus.yml")
	checks(t, nil, "check", "rules", dir+monitortest.RulesFile)
	checks(t, nil, "test", "rules", dir+"bearer_auth.rules.test.yml")
}

// Only who knows the password gets the metrics. promtool finds nothing wrong with ours.
func TestTheMetricsAreGuardedAndWellFormed(t *testing.T) {
	installed(t, "promtool")
	m := startMonitored(t)
	m.use(t)
	if status, text := m.scrape(t, ""); status != http.StatusUnauthorized || len(text) > 0 {
		t.Errorf("without a password: status %d and %d bytes", status, len(text))
	}
	if status, _ := m.scrape(t, "guess"); status != http.StatusUnauthorized {
		t.Errorf("with a wrong password: status %d", status)
	}
	status, text := m.scrape(t, m.password)
	if status != http.StatusOK {
		t.Fatalf("status %d", status)
	}
	var ours bytes.Buffer
	names := regexp.MustCompile(`^(# [A-Z]+ )?caddy_(bearer_auth|token_issuer)_`)
	for line := range strings.Lines(string(text)) {
		if names.MatchString(line) {
			ours.WriteString(line)
		}
	}
	if n := strings.Count(ours.String(), "# TYPE"); n < 20 {
		t.Fatalf("%d metrics of ours:\n%s", n, text)
	}
	checks(t, ours.Bytes(), "check", "metrics")
}

// scrape gets the metrics with a password, if any.
func (m *monitored) scrape(t *testing.T, password string) (status int, text []byte) {
	t.Helper()
	ca, err := os.ReadFile(provider.identity.ca)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+m.address+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	if password != "" {
		req.SetBasicAuth("prometheus", password)
	}
	res, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if text, err = io.ReadAll(res.Body); err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, text
}
