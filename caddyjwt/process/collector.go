package process

import (
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddyjwt/gateway/caddyjwt/pool"
	"github.com/caddyjwt/gateway/caddyjwt/proofs"
	"github.com/caddyjwt/gateway/internal/durations"
	"github.com/caddyjwt/gateway/introspect"
)

// pooledState collects metrics of the pooled objects when Prometheus asks. If an issuer has several objects, because
// handlers give it different settings, it adds up counts, and takes the worst of all other values.
type pooledState struct {
	objects *pool.Pool
	events  *Events // for the issuers of running configurations
	proofs  *proofs.State
}

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(metricPrefix+name, help, labels, nil)
}

var (
	keysDesc     = describe("keys", "Usable keys of an issuer.", "issuer")
	fetchesDesc  = describe("key_fetches_total", "Attempts to fetch an issuer's keys.", "issuer")
	failuresDesc = describe("key_fetch_failures_total", "Failed attempts to fetch an issuer's keys.", "issuer")
	failingDesc  = describe("keys_failing", "Whether the last attempt to fetch an issuer's keys failed.", "issuer")
	missingDesc  = describe("keys_missing", "Whether keys of an issuer were needed or prefetched, and there are none.",
		"issuer")
	fetchTimeDesc = describe("key_fetch_seconds", "Duration of fetches of an issuer's keys, metadata included.",
		"issuer", "result")
	fetchedDesc  = describe("keys_fetched_timestamp_seconds", "When an issuer's keys were last fetched.", "issuer")
	inFlightDesc = describe("introspection_in_flight", "Questions to the authorization server under way.", "issuer")
	breakerDesc  = describe("introspection_breaker_open",
		"Whether the authorization server is not asked for now.", "issuer")
	consumersDesc        = describe("consumers", "Consumers of a file that are in use.", "file")
	consumersFailingDesc = describe("consumers_failing",
		"Whether a file of consumers cannot be used as it is now.", "file")
	cacheDesc  = describe("cache_lookups_total", "Look-ups of JWTs in the cache of verified tokens.", "result")
	tokensDesc = describe("cache_tokens", "Tokens in the cache of verified tokens.")
	proofsDesc = describe("dpop_proofs", "DPoP proofs that are remembered because they were used.")
	bytesDesc  = describe("cache_bytes", "What the tokens in the cache count against its size.")
)

// Describe implements prometheus.Collector.
func (pooledState) Describe(out chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{
		keysDesc, missingDesc, fetchTimeDesc, fetchesDesc, failuresDesc, failingDesc, fetchedDesc, inFlightDesc, breakerDesc,
		consumersDesc, consumersFailingDesc, cacheDesc, tokensDesc, bytesDesc, proofsDesc,
	} {
		out <- desc
	}
}

// Collect implements prometheus.Collector.
func (p pooledState) Collect(out chan<- prometheus.Metric) {
	p.keys(out)
	p.introspection(out)
	p.consumers(out)
	p.cache(out)
	gauge(out, proofsDesc, float64(p.proofs.Remembered()))
}

func (p pooledState) consumers(out chan<- prometheus.Metric) {
	for file := range p.objects.Rosters() {
		path := strings.ToValidUTF8(file.Path(), "�") // a label must be UTF-8, and a path need not
		gauge(out, consumersDesc, float64(len(file.Set().Consumers())), path)
		gauge(out, consumersFailingDesc, oneIf(file.Err() != nil), path)
	}
}

func (p pooledState) keys(out chan<- prometheus.Metric) {
	issuers := make(map[string]*keysState)
	for source := range p.objects.Sources() {
		source.Count()
		for _, issuer := range p.events.Issuers(source) {
			issuers[issuer] = issuers[issuer].with(source)
		}
	}
	for issuer, state := range issuers {
		gauge(out, keysDesc, float64(state.keys), issuer)
		gauge(out, missingDesc, oneIf(state.missing), issuer)
		if !state.remote {
			continue
		}
		counts := p.objects.Fetches(issuer)
		counter(out, fetchesDesc, counts.Fetches, issuer)
		counter(out, failuresDesc, counts.Failures, issuer)
		histogram(out, fetchTimeDesc, counts.Times.Good, issuer, "fetched")
		histogram(out, fetchTimeDesc, counts.Times.Failed, issuer, "failed")
		gauge(out, failingDesc, oneIf(state.failing), issuer)
		if !state.fetched.IsZero() {
			gauge(out, fetchedDesc, float64(state.fetched.UnixMilli())/1000, issuer)
		}
	}
}

func (p pooledState) introspection(out chan<- prometheus.Metric) {
	issuers := make(map[string]*introspect.Stats)
	for client := range p.objects.Clients() {
		issuers[client.Issuer] = worse(issuers[client.Issuer], client.Stats())
	}
	for issuer, stats := range issuers {
		gauge(out, inFlightDesc, float64(stats.InFlight), issuer)
		gauge(out, breakerDesc, oneIf(stats.Breaker != introspect.BreakerClosed), issuer)
	}
}

func (p pooledState) cache(out chan<- prometheus.Metric) {
	var tokens, bytes float64
	for cache := range p.objects.Caches() {
		now := cache.Count()
		tokens += float64(now.Tokens)
		bytes += float64(now.Bytes)
	}
	hits, misses := p.objects.CacheLookups()
	counter(out, cacheDesc, hits, "hit")
	counter(out, cacheDesc, misses, "miss")
	gauge(out, tokensDesc, tokens)
	gauge(out, bytesDesc, bytes)
}

func gauge(out chan<- prometheus.Metric, desc *prometheus.Desc, value float64, labels ...string) {
	out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
}

func counter(out chan<- prometheus.Metric, desc *prometheus.Desc, value uint64, labels ...string) {
	out <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(value), labels...)
}

func histogram(out chan<- prometheus.Metric, desc *prometheus.Desc, times durations.Counts, labels ...string) {
	out <- prometheus.MustNewConstHistogram(desc, times.Number(), times.Seconds(), times.Cumulative(), labels...)
}

func oneIf(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

// keysState is the state of an issuer's keys.
type keysState struct {
	keys    int
	missing bool // there are none, and somebody has wanted some
	remote  bool // fetched, not read from a file
	failing bool
	fetched time.Time
}

// with adds another source of the same issuer. s may be nil.
func (s *keysState) with(source *pool.Source) *keysState {
	have := source.Len()
	if s == nil {
		s = &keysState{keys: have}
	}
	s.keys = min(s.keys, have)
	stats, fetches := source.Stats()
	s.missing = s.missing || stats.Missing || !fetches && have == 0
	if !fetches {
		return s
	}
	if !s.remote || stats.Fetched.Before(s.fetched) {
		s.fetched = stats.Fetched
	}
	s.remote = true
	s.failing = s.failing || stats.Failing
	return s
}

// worse combines the state of two clients. The first may be nil.
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
