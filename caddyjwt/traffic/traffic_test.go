package traffic_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/caddyjwt/gateway/caddyjwt/expiry"
	"github.com/caddyjwt/gateway/caddyjwt/traffic"
	"github.com/caddyjwt/gateway/internal/gate"
)

// scrape is what a Prometheus server gets.
func scrape(tb testing.TB, table traffic.Table) string {
	tb.Helper()
	registry := prometheus.NewRegistry()
	if err := registry.Register(traffic.Collector(func() traffic.Table { return table })); err != nil {
		tb.Fatal(err)
	}
	w := httptest.NewRecorder()
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{ErrorHandling: promhttp.HTTPErrorOnError}).
		ServeHTTP(w, httptest.NewRequestWithContext(tb.Context(), http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK {
		tb.Fatalf("status %d: %s", w.Code, w.Body)
	}
	return w.Body.String()
}

// series are the lines of a scrape without comments, and without the prefix of all names.
func series(text string) (lines []string) {
	for line := range strings.Lines(text) {
		if line, ours := strings.CutPrefix(strings.TrimSpace(line), "caddy_bearer_auth_"); ours {
			lines = append(lines, line)
		}
	}
	return lines
}

func wantSeries(t *testing.T, table traffic.Table, want ...string) {
	t.Helper()
	if got := strings.Join(series(scrape(t, table)), "\n"); got != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}

// A rate over a series misses its first event, so what alerts look for is there before it occurs.
func TestAGateBeginsWithAcceptedRequestsAndTroubles(t *testing.T) {
	labels := `{gate="1",outcome="refused",reason=%q,server="srv0"} 0`
	want := []string{`requests_total{gate="1",outcome="accepted",reason="",server="srv0"} 0`}
	for _, reason := range []string{
		"internal_error", "introspection_failed", "introspection_timeout", "introspection_unavailable",
		"keys_unavailable", "overloaded", "proofs_unavailable", "revocations_unavailable",
	} {
		want = append(want, "requests_total"+fmt.Sprintf(labels, reason))
	}
	wantSeries(t, traffic.Table{{Server: "srv0", Label: "1"}: traffic.New()}, want...)
	wantSeries(t, nil)
}

func TestAGateThatEndsResponsesShowsIt(t *testing.T) {
	counts := traffic.New()
	counts.ShowEnded()
	text := scrape(t, traffic.Table{{Server: "srv0", Label: "1"}: counts})
	if n := strings.Count(text, "\ncaddy_bearer_auth_responses_ended_total{"); n != 6 {
		t.Errorf("%d series of ended responses in\n%s", n, text)
	}
}

func TestEachGateHasWhatHasOccurred(t *testing.T) {
	api, other := traffic.New(), traffic.New()
	table := traffic.Table{{Server: "srv0", Label: "api"}: api, {Server: "srv1", Label: "api"}: other}
	for _, outcome := range []gate.Outcome{
		gate.Accepted, gate.Accepted, gate.Anonymous, gate.Unidentified, gate.Preflight, gate.Public,
	} {
		api.Pass(outcome)
	}
	api.Refuse(gate.Expired)
	api.Refuse(gate.InternalError)
	other.Refuse(gate.Expired)
	api.Refuse("a reason that is in no list")
	api.End(expiry.Events, expiry.Revoked)
	api.End(expiry.Upgrade, "a cause that is in no list")
	for _, took := range []time.Duration{2 * time.Microsecond, 20 * time.Microsecond, 3 * time.Second} {
		api.Decide(took)
	}
	text := scrape(t, table)
	for _, line := range []string{
		`requests_total{gate="api",outcome="accepted",reason="",server="srv0"} 2`,
		`requests_total{gate="api",outcome="anonymous",reason="",server="srv0"} 1`,
		`requests_total{gate="api",outcome="unidentified",reason="",server="srv0"} 1`,
		`requests_total{gate="api",outcome="preflight",reason="",server="srv0"} 1`,
		`requests_total{gate="api",outcome="public",reason="",server="srv0"} 1`,
		`requests_total{gate="api",outcome="refused",reason="expired",server="srv0"} 1`,
		`requests_total{gate="api",outcome="refused",reason="internal_error",server="srv0"} 1`,
		`requests_total{gate="api",outcome="accepted",reason="",server="srv1"} 0`,
		`requests_total{gate="api",outcome="refused",reason="expired",server="srv1"} 1`,
		`responses_ended_total{cause="revoked",gate="api",kind="events",server="srv0"} 1`,
		`decision_seconds_bucket{gate="api",server="srv0",le="1e-05"} 1`,
		`decision_seconds_bucket{gate="api",server="srv0",le="5e-05"} 2`,
		`decision_seconds_bucket{gate="api",server="srv0",le="2.5"} 2`,
		`decision_seconds_bucket{gate="api",server="srv0",le="+Inf"} 3`,
		`decision_seconds_sum{gate="api",server="srv0"} 3.000022`,
		`decision_seconds_count{gate="api",server="srv0"} 3`,
	} {
		if !strings.Contains(text, "caddy_bearer_auth_"+line+"\n") {
			t.Errorf("%s is not in\n%s", line, text)
		}
	}
	// 5 outcomes, 8 troubles, expired; accepted, 8 troubles, expired; one ending; 10 buckets, sum and count
	if n := len(series(text)); n != 5+8+1+1+8+1+1+12 {
		t.Errorf("%d series in\n%s", n, text)
	}
}

func TestCountingAllocatesNothing(t *testing.T) {
	counts := traffic.New()
	if n := testing.AllocsPerRun(100, func() {
		counts.Pass(gate.Accepted)
		counts.Refuse(gate.Expired)
		counts.End(expiry.Upgrade, expiry.Expired)
		counts.Decide(time.Millisecond)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkScrape is one scrape of a thousand gates without names: new ones, and gates that had requests which passed,
// and refusals for five reasons.
//
//	go test -run '^$' -bench Scrape ./caddyjwt/traffic
func BenchmarkScrape(b *testing.B) {
	for _, used := range []bool{false, true} {
		b.Run(fmt.Sprintf("used=%v", used), func(b *testing.B) {
			table := make(traffic.Table)
			for i := range 1000 {
				counts := traffic.New()
				table[traffic.Gate{Server: "srv0", Label: strconv.Itoa(i + 1)}] = counts
				if used {
					counts.Pass(gate.Accepted)
					counts.Decide(time.Millisecond)
					for _, reason := range []gate.Reason{
						gate.MissingToken, gate.Expired, gate.InvalidSignature, gate.InvalidAudience, gate.InsufficientScope,
					} {
						counts.Refuse(reason)
					}
				}
			}
			var text string
			for b.Loop() {
				text = scrape(b, table)
			}
			b.ReportMetric(float64(len(series(text))), "series")
			b.ReportMetric(float64(len(text)), "bytes")
		})
	}
}

// BenchmarkCount is what counting adds to a request that passes: two looks at the clock, and three additions.
func BenchmarkCount(b *testing.B) {
	counts := traffic.New()
	b.ReportAllocs()
	for b.Loop() {
		began := time.Now()
		counts.Decide(time.Since(began))
		counts.Pass(gate.Accepted)
	}
}
