package process

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddyjwt/gateway/caddyjwt/expiry"
	"github.com/caddyjwt/gateway/caddyjwt/pool"
	"github.com/caddyjwt/gateway/caddyjwt/revocations"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/introspect"
)

// Metrics counts for all handlers of the process. Caddy makes a new registry for every configuration. Each gets these
// same collectors, so that counters do not start again after a reload.
//
// Labels have values from closed lists, and names of issuers from the configuration; never text from a client.
type Metrics struct {
	requests *prometheus.CounterVec // outcome, reason
	passed   [gate.Public + 1]prometheus.Counter
	refused  map[gate.Reason]prometheus.Counter
	lookups  *prometheus.CounterVec   // issuer, result
	calls    *prometheus.HistogramVec // issuer, verdict
	ended    *prometheus.CounterVec   // kind, cause
	logouts  *prometheus.CounterVec   // issuer, result

	collectors []prometheus.Collector
}

const metricPrefix = "caddy_bearer_auth_"

func newMetrics(objects *pool.Pool, events *Events, desk *revocations.Desk) *Metrics {
	m := &Metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: metricPrefix + "requests_total",
			Help: "Requests by outcome, refused ones also by reason.",
		}, []string{"outcome", "reason"}),
		refused: make(map[gate.Reason]prometheus.Counter),
		lookups: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: metricPrefix + "introspection_lookups_total",
			Help: "Questions about tokens, by how they were answered.",
		}, []string{"issuer", "result"}),
		calls: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    metricPrefix + "introspection_seconds",
			Help:    "Duration of calls to the authorization server, by verdict or by why there was none.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},
		}, []string{"issuer", "verdict"}),
		ended: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: metricPrefix + "responses_ended_total",
			Help: "Responses that were ended because they outlived their token.",
		}, []string{"kind", "cause"}),
		logouts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: metricPrefix + "backchannel_logouts_total",
			Help: "Logout requests of authorization servers, by what became of them.",
		}, []string{"issuer", "result"}),
	}
	for outcome, name := range map[gate.Outcome]string{
		gate.Accepted: "accepted", gate.Anonymous: "anonymous",
		gate.Unidentified: "unidentified", gate.Preflight: "preflight", gate.Public: "public",
	} {
		m.passed[outcome] = m.requests.WithLabelValues(name, "")
	}
	for _, reason := range gate.Reasons() {
		m.refused[reason] = m.requests.WithLabelValues("refused", string(reason))
	}
	for _, kind := range []expiry.Kind{expiry.Upgrade, expiry.Events, expiry.Other} {
		m.ended.WithLabelValues(string(kind), string(expiry.Expired))
		m.ended.WithLabelValues(string(kind), string(expiry.Revoked))
	}
	m.collectors = []prometheus.Collector{
		m.requests, m.lookups, m.calls, m.ended, m.logouts, pooledState{objects, events}, revoked{desk},
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

// Pass counts a request that passes.
func (m *Metrics) Pass(outcome gate.Outcome) { m.passed[outcome].Inc() }

// Refuse counts a refused request.
func (m *Metrics) Refuse(reason gate.Reason) {
	if counter, known := m.refused[reason]; known {
		counter.Inc()
	}
}

// End counts a response that was ended.
func (m *Metrics) End(kind expiry.Kind, cause expiry.Cause) {
	m.ended.WithLabelValues(string(kind), string(cause)).Inc()
}

// Logouts counts the logout requests for an issuer by their results. Those that are known begin at zero.
func (m *Metrics) Logouts(issuer string, results ...string) func(result string) {
	for _, result := range results {
		m.logouts.WithLabelValues(issuer, result)
	}
	return func(result string) { m.logouts.WithLabelValues(issuer, result).Inc() }
}

// Observer returns an observer that counts what an introspection client does for an issuer.
func (m *Metrics) Observer(issuer string) introspect.Observer {
	return introspect.Observer{
		Lookup: func(l introspect.Lookup) { m.lookups.WithLabelValues(issuer, l.String()).Inc() },
		Call: func(active bool, err *introspect.NoVerdictError, took time.Duration) {
			verdict := "inactive"
			switch {
			case err != nil:
				verdict = err.Cause.String()
			case active:
				verdict = "active"
			}
			m.calls.WithLabelValues(issuer, verdict).Observe(took.Seconds())
		},
	}
}
