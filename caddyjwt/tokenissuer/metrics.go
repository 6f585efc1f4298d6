package tokenissuer

import (
	"errors"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddyjwt/gateway/internal/durations"
	"github.com/caddyjwt/gateway/internal/issuing"
)

// requests counts for all issuers of the process, over reloads. Labels have values from closed lists, and names of
// issuers from the configuration; never text from a client.
var requests = prometheus.NewCounterVec(prometheus.CounterOpts{
	Name: "caddy_token_issuer_requests_total",
	Help: "Requests to the endpoints of token issuers, by what became of them.",
}, []string{"issuer", "endpoint", "result"})

// granted is the result of a request that got what it asked for. Others have the code of their failure.
const granted = "granted"

// reused is the result of a refresh whose token came for the second time.
const reused = "reused"

// servers counts the calls to servers with users, over reloads, by issuers and kinds of servers.
var servers = userServers{calls: make(map[[2]string]*durations.Calls)}

var userServersDesc = prometheus.NewDesc("caddy_token_issuer_users_seconds",
	"Duration of calls to a server with users.", []string{"issuer", "source", "result"}, nil)

type userServers struct {
	mu    sync.Mutex
	calls map[[2]string]*durations.Calls
}

// serversOf finds what counts the calls of an issuer.
func serversOf(issuer string) func(kind string) *durations.Calls {
	return func(kind string) *durations.Calls {
		servers.mu.Lock()
		defer servers.mu.Unlock()
		of := [2]string{issuer, kind}
		if servers.calls[of] == nil {
			servers.calls[of] = new(durations.Calls)
		}
		return servers.calls[of]
	}
}

// Describe implements prometheus.Collector.
func (*userServers) Describe(out chan<- *prometheus.Desc) { out <- userServersDesc }

// Collect implements prometheus.Collector.
func (u *userServers) Collect(out chan<- prometheus.Metric) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for of, calls := range u.calls {
		answered, failed := calls.Counts()
		for result, times := range map[string]durations.Counts{"answered": answered, "failed": failed} {
			out <- prometheus.MustNewConstHistogram(userServersDesc, times.Number(), times.Seconds(), times.Cumulative(),
				of[0], of[1], result)
		}
	}
}

// registerMetrics adds the collectors to the registry of a configuration, and begins at zero for an issuer. Each
// configuration has a new registry.
func registerMetrics(registry *prometheus.Registry, issuer string) error {
	for _, endpoint := range endpointNames {
		for _, result := range append(issuing.Codes(), granted, reused) {
			requests.WithLabelValues(issuer, endpoint, result)
		}
	}
	if registry == nil {
		return nil
	}
	return errors.Join(registerOnce(registry, requests), registerOnce(registry, &servers))
}

// registerOnce registers a collector, unless another issuer of the configuration has done that.
func registerOnce(registry *prometheus.Registry, collector prometheus.Collector) error {
	err := registry.Register(collector)
	if _, again := errors.AsType[prometheus.AlreadyRegisteredError](err); again {
		return nil
	}
	return err
}
