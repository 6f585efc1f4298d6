package traffic

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddyjwt/gateway/internal/gate"
)

// Collector shows the counts of a table to Prometheus. The function gives the table of the moment.
type Collector func() Table

var (
	requestsDesc = prometheus.NewDesc("caddy_bearer_auth_requests_total",
		"Requests by gate and outcome, refused ones also by reason.",
		[]string{"server", "gate", "outcome", "reason"}, nil)
	endedDesc = prometheus.NewDesc("caddy_bearer_auth_responses_ended_total",
		"Responses that were ended because they outlived their token.",
		[]string{"server", "gate", "kind", "cause"}, nil)
	decisionDesc = prometheus.NewDesc("caddy_bearer_auth_decision_seconds",
		"Time from the arrival of a request at a gate to its verdict about the token, with the time that it waited for "+
			"servers. Requests whose bodies it had to read for that are left out.",
		[]string{"server", "gate"}, nil)
)

// outcomes are the labels of requests that pass.
var outcomes = [gate.Public + 1]string{
	gate.Accepted: "accepted", gate.Anonymous: "anonymous", gate.Unidentified: "unidentified",
	gate.Preflight: "preflight", gate.Public: "public",
}

// Describe implements prometheus.Collector.
func (Collector) Describe(out chan<- *prometheus.Desc) {
	out <- requestsDesc
	out <- endedDesc
	out <- decisionDesc
}

// Collect implements prometheus.Collector.
func (c Collector) Collect(out chan<- prometheus.Metric) {
	for gate, counts := range c() {
		counts.collect(out, gate)
	}
}

// collect shows what has occurred. A rate over a series that is not there before the first event misses that event. So
// accepted requests and troubles are shown from the start. With all reasons, a thousand gates would have more than
// 40,000 series, most of which stay at zero for good.
func (c *Counts) collect(out chan<- prometheus.Metric, g Gate) {
	count := func(desc *prometheus.Desc, value uint64, always bool, labels ...string) {
		if value > 0 || always {
			out <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(value),
				append([]string{g.Server, g.Label}, labels...)...)
		}
	}
	for outcome, name := range outcomes {
		if name != "" {
			count(requestsDesc, c.Passed(gate.Outcome(outcome)), gate.Outcome(outcome) == gate.Accepted, name, "")
		}
	}
	for i, reason := range reasons {
		count(requestsDesc, c.refused[i].Load(), reason.IsTrouble(), "refused", string(reason))
	}
	for i, e := range endings {
		count(endedDesc, c.ended[i].Load(), c.ends.Load(), string(e.kind), string(e.cause))
	}
	if times := c.decisions.Counts(); times.Number() > 0 {
		out <- prometheus.MustNewConstHistogram(decisionDesc, times.Number(), times.Seconds(), times.Cumulative(),
			g.Server, g.Label)
	}
}
