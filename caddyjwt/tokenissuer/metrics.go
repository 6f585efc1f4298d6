package tokenissuer

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

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

// registerMetrics adds the collector to the registry of a configuration, and begins at zero for an issuer. Each
// configuration has a new registry.
func registerMetrics(registry *prometheus.Registry, issuer string) error {
	for _, endpoint := range []string{endpointLogin, endpointRefresh, endpointLogout, endpointRevoke} {
		for _, result := range append(issuing.Codes(), granted, reused) {
			requests.WithLabelValues(issuer, endpoint, result)
		}
	}
	if registry == nil {
		return nil
	}
	err := registry.Register(requests)
	if _, again := errors.AsType[prometheus.AlreadyRegisteredError](err); again {
		return nil
	}
	return err
}
