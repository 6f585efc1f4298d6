//go:build e2e

package e2e_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/monitortest"
)

// prometheus is a running server, with the configuration of examples/monitoring.
type prometheus struct {
	address string
	config  string
	alerts  *alertmanager
}

// alertmanager notes the alerts that Prometheus sends.
type alertmanager struct {
	mu   sync.Mutex
	seen map[string]map[string]string // annotations by name
}

func (a *alertmanager) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var alerts []struct{ Labels, Annotations map[string]string }
	if err := json.NewDecoder(r.Body).Decode(&alerts); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, alert := range alerts {
		a.seen[alert.Labels["alertname"]] = alert.Annotations
	}
}

// got is what came with an alert.
func (a *alertmanager) got(name string) (annotations map[string]string, came bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	annotations, came = a.seen[name]
	return annotations, came
}

// installed is the path of a program of Prometheus. Without it, the test is skipped.
func installed(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed: the alerts and the dashboard are not tested", name)
	}
	return path
}

// startPrometheus runs a server that scrapes a gateway every second. All else is as in the example.
func startPrometheus(t *testing.T, m *monitored) *prometheus {
	t.Helper()
	binary, dir := installed(t, "prometheus"), t.TempDir()
	p := &prometheus{
		address: freeAddress(t), config: filepath.Join(dir, "prometheus.yml"),
		alerts: &alertmanager{seen: make(map[string]map[string]string)},
	}
	receiver := httptest.NewServer(p.alerts)
	t.Cleanup(receiver.Close)
	password := filepath.Join(dir, "caddy.password")
	for path, text := range map[string]string{
		password: m.password,
		filepath.Join(dir, monitortest.RulesFile): string(monitortest.Read(t, "..", monitortest.RulesFile)),
		p.config: changed(t, string(monitortest.Read(t, "..", "prometheus.yml")),
			"scrape_interval: 15s", "scrape_interval: 1s", "evaluation_interval: 15s", "evaluation_interval: 1s",
			"localhost:9180", m.address, "localhost:9093", strings.TrimPrefix(receiver.URL, "http://"),
			"/etc/prometheus/caddy.password", password, "/etc/prometheus/caddy-root.crt", provider.identity.ca),
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(binary, "--config.file="+p.config, "--storage.tsdb.path="+filepath.Join(dir, "data"),
		"--web.listen-address="+p.address)
	d := startDaemon(t, "Prometheus", cmd)
	d.stopAtTheEnd(t)
	d.is(t, "is ready", func() bool {
		res, err := http.Get("http://" + p.address + "/-/ready")
		if err != nil {
			return false
		}
		defer res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
	return p
}

// ask asks the HTTP API. An error of Prometheus ends the test.
func (p *prometheus) ask(t *testing.T, path string, parameters url.Values, into any) {
	t.Helper()
	res, err := http.Get("http://" + p.address + "/api/v1/" + path + "?" + parameters.Encode())
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var answer struct {
		Status, Error string
		Warnings      []string
		Data          json.RawMessage
	}
	text, err := io.ReadAll(res.Body)
	if err == nil {
		err = json.Unmarshal(text, &answer)
	}
	if err != nil || res.StatusCode != http.StatusOK || answer.Status != "success" || len(answer.Warnings) > 0 {
		t.Fatalf("%s %v: status %d, %v\n%s", path, parameters, res.StatusCode, err, text)
	}
	if err := json.Unmarshal(answer.Data, into); err != nil {
		t.Fatalf("%s: %v\n%s", path, err, text)
	}
}

// point is a time and a value.
type point [2]any

// number reports whether a value is one, and neither NaN nor infinite.
func (p point) number() bool {
	text, _ := p[1].(string)
	value, err := strconv.ParseFloat(text, 64)
	return err == nil && !math.IsNaN(value) && !math.IsInf(value, 0)
}

// answers asks a query as Grafana does, about the last minutes or about now, and reports whether there is a number in
// the answer.
func (p *prometheus) answers(t *testing.T, query monitortest.Query, values map[string]string) bool {
	t.Helper()
	const span, resolution = 5 * time.Minute, 15 * time.Second
	// By Grafana's rule, the interval of a rate is that of a point and one scrape more, or four scrapes.
	own := map[string]string{"__rate_interval": "16s", "__range": "300s"}
	expr := monitortest.Substitute(monitortest.Substitute(query.Expr, own), values)
	if left := monitortest.Variables(expr); len(left) > 0 {
		t.Fatalf("%s: the variables %q have no values", query.Where, left)
	}
	now := time.Now()
	path, parameters := "query_range", url.Values{
		"query": {expr}, "start": {seconds(now.Add(-span))}, "end": {seconds(now)},
		"step": {fmt.Sprint(resolution.Seconds())},
	}
	if query.Instant {
		path, parameters = "query", url.Values{"query": {expr}, "time": {seconds(now)}}
	}
	var data struct {
		Result []struct {
			Value  point
			Values []point
		}
	}
	p.ask(t, path, parameters, &data)
	for _, series := range data.Result {
		for _, point := range append(series.Values, series.Value) {
			if point.number() {
				return true
			}
		}
	}
	return false
}

func seconds(t time.Time) string { return strconv.FormatFloat(float64(t.UnixMilli())/1000, 'f', 3, 64) }

// checks runs promtool, which must find nothing wrong.
func checks(t *testing.T, stdin []byte, arguments ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), installed(t, "promtool"), arguments...)
	cmd.Stdin = bytes.NewReader(stdin)
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%s: %v\n%s", cmd, err, output)
	}
}
