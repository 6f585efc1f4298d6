package process

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddyjwt/gateway/caddyjwt/inforce"
	"github.com/caddyjwt/gateway/caddyjwt/pool"
	"github.com/caddyjwt/gateway/caddyjwt/proofs"
	"github.com/caddyjwt/gateway/caddyjwt/revocations"
	"github.com/caddyjwt/gateway/caddyjwt/traffic"
	"github.com/caddyjwt/gateway/internal/spans"
	"github.com/caddyjwt/gateway/introspect"
)

// Metrics are those of all configurations of the process. Caddy makes a new registry for every configuration. Each gets
// these same collectors, so that counters do not start again after a reload. What each gate counts is in package
// traffic.
//
// Labels have values from closed lists, and names from the configuration; never text from a client.
type Metrics struct {
	lookups *prometheus.CounterVec   // issuer, result
	calls   *prometheus.HistogramVec // issuer, verdict
	logouts *prometheus.CounterVec   // issuer, result

	collectors []prometheus.Collector
}

const metricPrefix = "caddy_bearer_auth_"

func newMetrics(
	objects *pool.Pool, events *Events, gates *inforce.Desk, desk *revocations.Desk, used *proofs.State,
) *Metrics {
	m := &Metrics{
		lookups: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: metricPrefix + "introspection_lookups_total",
			Help: "Questions about tokens, by how they were answered.",
		}, []string{"issuer", "result"}),
		calls: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    metricPrefix + "introspection_seconds",
			Help:    "Duration of calls to the authorization server, by verdict or by why there was none.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},
		}, []string{"issuer", "verdict"}),
		logouts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: metricPrefix + "backchannel_logouts_total",
			Help: "Logout requests of authorization servers, by what became of them.",
		}, []string{"issuer", "result"}),
	}
	m.collectors = []prometheus.Collector{
		m.lookups, m.calls, m.logouts, pooledState{objects, events, used}, revoked{desk}, traffic.Collector(gates.Traffic),
	}
	return m
}

// Register adds the collectors to the registry of a configuration. Each of its handlers calls it; the first one adds
// them.
func (m *Metrics) Register(registry *prometheus.Registry) error {
	if registry == nil {
		return nil
	}
	for _, collector := range m.collectors {
		err := registry.Register(collector)
		if _, again := errors.AsType[prometheus.AlreadyRegisteredError](err); err != nil && !again {
			return err
		}
	}
	return nil
}

// Logouts counts the logout requests for an issuer by their results. Those that are known begin at zero.
func (m *Metrics) Logouts(issuer string, results ...string) func(result string) {
	for _, result := range results {
		m.logouts.WithLabelValues(issuer, result)
	}
	return func(result string) { m.logouts.WithLabelValues(issuer, result).Inc() }
}

// Observer returns an observer that counts what an introspection client does for an issuer, and shows in traces what
// requests wait for.
func (m *Metrics) Observer(issuer string) introspect.Observer {
	return introspect.Observer{
		Lookup: func(l introspect.Lookup) { m.lookups.WithLabelValues(issuer, l.String()).Inc() },
		Call: func(active bool, err *introspect.NoVerdictError, took time.Duration) {
			m.calls.WithLabelValues(issuer, verdictOf(active, err)).Observe(took.Seconds())
		},
		Wait: func(ctx context.Context) (ended func(bool, *introspect.NoVerdictError)) {
			span := spans.Begin(spans.About(ctx, issuer), spans.Introspection)
			if !span.Shown() {
				return nil
			}
			return func(active bool, err *introspect.NoVerdictError) { span.End(verdictOf(active, err)) }
		},
	}
}

// verdictOf is what a server says about a token, or why it has said nothing, in a word.
func verdictOf(active bool, err *introspect.NoVerdictError) string {
	switch {
	case err != nil:
		return err.Cause.String()
	case active:
		return "active"
	default:
		return "inactive"
	}
}
