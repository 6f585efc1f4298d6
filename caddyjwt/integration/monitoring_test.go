package integration

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddyjwt/gateway/internal/monitortest"
)

const repository = "../.."

// series are what a scrape has: the labels of each name. Prometheus itself adds instance and job to each, and up.
type series map[string]map[string]bool

var (
	sample = regexp.MustCompile(`^([a-z_]+)(?:\{(.*)\})? `)
	label  = regexp.MustCompile(`([a-z]+)="`)
)

func seriesOf(scrape string) series {
	all := series{"up": {}}
	for line := range strings.Lines(scrape) {
		found := sample.FindStringSubmatch(line)
		if found == nil {
			continue
		}
		if all[found[1]] == nil {
			all[found[1]] = make(map[string]bool)
		}
		for _, name := range label.FindAllStringSubmatch(found[2], -1) {
			all[found[1]][name[1]] = true
		}
	}
	return all
}

// unknown tells what an expression names that a scrape does not have.
func (s series) unknown(expr string) (names []string) {
	metrics, labels := monitortest.Names(expr)
	known := map[string]bool{"instance": true, "job": true}
	for _, metric := range metrics {
		if s[metric] == nil {
			names = append(names, metric)
		}
		for name := range s[metric] {
			known[name] = true
		}
	}
	for _, name := range labels {
		if !known[name] {
			names = append(names, "label "+name)
		}
	}
	return names
}

var templateLabel = regexp.MustCompile(`\$labels\.(\w+)`)

// Alerts and panels name metrics and labels that Caddy serves. A panel of a metric that is gone would be empty, and an
// alert would never fire.
func TestAlertsAndPanelsHaveMetricsThatAreServed(t *testing.T) {
	served := seriesOf(everyMetric(t).metricsText())
	is := func(where, expr string) {
		t.Helper()
		metrics, _ := monitortest.Names(expr)
		if unknown := served.unknown(expr); len(unknown) > 0 || len(metrics) == 0 {
			t.Errorf("%s: Caddy has no %q, which this names:\n%s", where, unknown, expr)
		}
	}
	for _, alert := range monitortest.Alerts(t, repository) {
		is(alert.Name, alert.Expr)
		for _, text := range alert.Annotations {
			for _, found := range templateLabel.FindAllStringSubmatch(text, -1) {
				is(alert.Name, alert.Expr+" by ("+found[1]+")")
			}
		}
	}
	dashboard := monitortest.ReadDashboard(t, repository)
	for _, query := range dashboard.Queries() {
		is(query.Where, query.Expr)
	}
	for _, v := range dashboard.Templating.List[1:] {
		selector, name := v.Values(t)
		is("variable "+v.Name, selector+" by ("+name+")")
	}
}

func TestTheRuleFindsWhatIsNotServed(t *testing.T) {
	served := seriesOf("# TYPE a_total counter\na_total{gate=\"x\",reason=\"{\"} 1\nb_bucket{le=\"1\"} 2\nc 3\n")
	for expr, want := range map[string]string{
		`sum by (gate) (rate(a_total{reason="x"}[5m])) > c or up{job="caddy"} == 0`: "",
		`histogram_quantile(0.9, sum by (le) (rate(b_bucket[5m])))`:                 "",
		`a_total > d`:            "d",
		`sum by (le) (a_total)`:  "label le",
		`a_total{server="x"}`:    "label server",
		`rate(b[5m])`:            "b",
		`c unless on (file) c`:   "label file",
		`a_total == 1 by (file)`: "label file",
	} {
		if got := strings.Join(served.unknown(expr), " "); got != want {
			t.Errorf("%s: %q is not served, want %q", expr, got, want)
		}
	}
}

// examples/monitoring/Caddyfile is good as it stands, and in the style of "caddy fmt". Without the hash of the password
// it is an error. e2e scrapes its site of the metrics.
func TestTheExampleOfMetricsAdapts(t *testing.T) {
	text := monitortest.Read(t, repository, "Caddyfile")
	if formatted := string(caddyfile.Format(text)); formatted != string(text) {
		t.Errorf("\"caddy fmt\" would write\n%s", formatted)
	}
	t.Setenv("METRICS_PASSWORD_HASH", "")
	os.Unsetenv("METRICS_PASSWORD_HASH")
	if _, err := adapt(string(text)); err == nil {
		t.Error("it adapts without a password")
	}
	t.Setenv("METRICS_PASSWORD_HASH", hashOf(t, password))
	adapted, err := adapt(string(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"handler":"metrics"`, `"http_basic"`, `"127.0.0.1:9180"`, `"handler":"bearer_auth"`} {
		if !strings.Contains(string(adapted), want) {
			t.Errorf("there is no %s in %s", want, adapted)
		}
	}
}
