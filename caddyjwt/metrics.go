package caddyjwt

import (
	"errors"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/introspect"
)

// metrics is what Caddy's metrics tell of all handlers of the process. Caddy begins a registry of its own with every
// configuration; each is given these same collectors, so that nothing is counted anew after a reload.
//
// Labels have values from closed lists and names of issuers from the configuration, never a word of a client's.
var metrics = newMeters()

type meters struct {
	requests *prometheus.CounterVec // outcome, reason
	passed   [gate.Preflight + 1]prometheus.Counter
	refused  map[gate.Reason]prometheus.Counter
	lookups  *prometheus.CounterVec   // issuer, result
	calls    *prometheus.HistogramVec // issuer, verdict

	mu      sync.Mutex
	cache   gate.CacheStats         // hits and misses of all caches that there have been
	fetches map[string]keyset.Stats // fetches and failures, by issuer, of all key sources that there have been
}

const metricPrefix = "caddy_bearer_auth_"

func newMeters() *meters {
	m := &meters{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: metricPrefix + "requests_total",
			Help: "Requests by what came of them, and for refused ones the reason.",
		}, []string{"outcome", "reason"}),
		refused: make(map[gate.Reason]prometheus.Counter),
		fetches: make(map[string]keyset.Stats),
		lookups: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: metricPrefix + "introspection_lookups_total",
			Help: "Questions about tokens by how they were answered.",
		}, []string{"issuer", "result"}),
		calls: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    metricPrefix + "introspection_seconds",
			Help:    "Time that calls to the authorization server took, by verdict or by why there was none.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},
		}, []string{"issuer", "verdict"}),
	}
	for outcome, name := range map[gate.Outcome]string{
		gate.Accepted: "accepted", gate.Anonymous: "anonymous", gate.Unidentified: "unidentified", gate.Preflight: "preflight",
	} {
		m.passed[outcome] = m.requests.WithLabelValues(name, "")
	}
	for _, reason := range gate.Reasons() {
		m.refused[reason] = m.requests.WithLabelValues("refused", string(reason))
	}
	return m
}

// register adds the collectors to the registry of a configuration, which has them already after its first handler.
func (m *meters) register(registry *prometheus.Registry) error {
	if registry == nil {
		return nil
	}
	for _, collector := range []prometheus.Collector{m.requests, m.lookups, m.calls, pooledState{}} {
		err := registry.Register(collector)
		if _, again := errors.AsType[prometheus.AlreadyRegisteredError](err); err != nil && !again {
			return err
		}
	}
	return nil
}

// pass counts a request that may pass.
func (m *meters) pass(outcome gate.Outcome) { m.passed[outcome].Inc() }

// refuse counts a refused request.
func (m *meters) refuse(reason gate.Reason) {
	if counter, known := m.refused[reason]; known {
		counter.Inc()
	}
}

// observer counts what an introspection client does for an issuer.
func (m *meters) observer(issuer string) introspect.Observer {
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

// addCache adds what a cache has counted since the last time, which is kept in seen. A sum of the caches that are there would
// become less when one of them ends, and Prometheus takes that for a counter that begins anew.
func (m *meters) addCache(cache *gate.Cache, seen *gate.CacheStats) gate.CacheStats {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := cache.Stats()
	m.cache.Hits += now.Hits - seen.Hits
	m.cache.Misses += now.Misses - seen.Misses
	*seen = now
	return now
}

// addFetches does the same for an issuer's keys. The result is what there is now to be seen the next time.
func (m *meters) addFetches(issuer string, seen, now keyset.Stats) keyset.Stats {
	m.mu.Lock()
	defer m.mu.Unlock()
	sum := m.fetches[issuer]
	sum.Fetches += now.Fetches - seen.Fetches
	sum.Failures += now.Failures - seen.Failures
	m.fetches[issuer] = sum
	return now
}

func (m *meters) cacheLookups() (hits, misses uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.cache.Hits, m.cache.Misses
}

func (m *meters) fetchesOf(issuer string) keyset.Stats {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.fetches[issuer]
}

// pooledState tells, when it is asked, how the pooled objects are. Where an issuer has several, because handlers give it
// different settings, what is counted is added up and of the rest the worst is told.
type pooledState struct{}

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(metricPrefix+name, help, labels, nil)
}

var (
	keysDesc     = describe("keys", "Usable keys of an issuer.", "issuer")
	fetchesDesc  = describe("key_fetches_total", "Attempts to fetch an issuer's keys.", "issuer")
	failuresDesc = describe("key_fetch_failures_total", "Attempts to fetch an issuer's keys that brought none.", "issuer")
	failingDesc  = describe("keys_failing", "Whether the last attempt to fetch an issuer's keys failed.", "issuer")
	fetchedDesc  = describe("keys_fetched_timestamp_seconds", "When an issuer's keys were last fetched.", "issuer")
	inFlightDesc = describe("introspection_in_flight", "Questions to the authorization server under way.", "issuer")
	breakerDesc  = describe("introspection_breaker_open", "Whether the authorization server is not asked for now.", "issuer")
	cacheDesc    = describe("cache_lookups_total", "Look-ups of JWTs in the cache of verified tokens.", "result")
	tokensDesc   = describe("cache_tokens", "Tokens in the cache of verified tokens.")
	bytesDesc    = describe("cache_bytes", "What the tokens in the cache count against its size.")
)

// Describe implements prometheus.Collector.
func (pooledState) Describe(out chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{
		keysDesc, fetchesDesc, failuresDesc, failingDesc, fetchedDesc, inFlightDesc, breakerDesc,
		cacheDesc, tokensDesc, bytesDesc,
	} {
		out <- desc
	}
}

// Collect implements prometheus.Collector.
func (pooledState) Collect(out chan<- prometheus.Metric) {
	var tokens, bytes float64
	keys, clients := make(map[string]*keysState), make(map[string]*introspect.Stats)
	pool.Range(func(_, value any) bool {
		switch value := value.(type) {
		case pooledSource:
			for _, issuer := range value.listeners.count() {
				keys[issuer] = keys[issuer].with(value.Source)
			}
		case pooledClient:
			clients[value.issuer] = worse(clients[value.issuer], value.Stats())
		case pooledCache:
			now := metrics.addCache(value.Cache, value.seen)
			tokens += float64(now.Tokens)
			bytes += float64(now.Bytes)
		}
		return true
	})
	tell := func(desc *prometheus.Desc, kind prometheus.ValueType, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(desc, kind, value, labels...)
	}
	for issuer, state := range keys {
		tell(keysDesc, prometheus.GaugeValue, float64(state.keys), issuer)
		if !state.remote {
			continue
		}
		counted := metrics.fetchesOf(issuer)
		tell(fetchesDesc, prometheus.CounterValue, float64(counted.Fetches), issuer)
		tell(failuresDesc, prometheus.CounterValue, float64(counted.Failures), issuer)
		tell(failingDesc, prometheus.GaugeValue, oneIf(state.failing), issuer)
		if !state.fetched.IsZero() {
			tell(fetchedDesc, prometheus.GaugeValue, float64(state.fetched.UnixMilli())/1000, issuer)
		}
	}
	for issuer, stats := range clients {
		tell(inFlightDesc, prometheus.GaugeValue, float64(stats.InFlight), issuer)
		tell(breakerDesc, prometheus.GaugeValue, oneIf(stats.Breaker != introspect.BreakerClosed), issuer)
	}
	hits, misses := metrics.cacheLookups()
	tell(cacheDesc, prometheus.CounterValue, float64(hits), "hit")
	tell(cacheDesc, prometheus.CounterValue, float64(misses), "miss")
	tell(tokensDesc, prometheus.GaugeValue, tokens)
	tell(bytesDesc, prometheus.GaugeValue, bytes)
}

func oneIf(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

// fetcher is a key source that fetches.
type fetcher interface{ Stats() keyset.Stats }

// keysState is how the keys of an issuer are.
type keysState struct {
	keys    int
	remote  bool // fetched, and not from a file
	failing bool
	fetched time.Time
}

// with adds another source of the issuer's; s may be nil.
func (s *keysState) with(source keyset.Source) *keysState {
	have := 0
	if set := source.Current(); set != nil {
		have = set.Len()
	}
	if s == nil {
		s = &keysState{keys: have}
	}
	s.keys = min(s.keys, have)
	from, ok := source.(fetcher)
	if !ok {
		return s
	}
	stats := from.Stats()
	if !s.remote || stats.Fetched.Before(s.fetched) {
		s.fetched = stats.Fetched
	}
	s.remote = true
	s.failing = s.failing || stats.Failing
	return s
}

// worse is the state of two clients together; the first may be nil.
func worse(s *introspect.Stats, other introspect.Stats) *introspect.Stats {
	if s == nil {
		return &other
	}
	s.InFlight += other.InFlight
	if other.Breaker != introspect.BreakerClosed {
		s.Breaker = other.Breaker
	}
	return s
}
