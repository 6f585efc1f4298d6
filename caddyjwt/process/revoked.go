package process

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddyjwt/gateway/caddyjwt/revocations"
)

// revoked collects metrics of the store in force when Prometheus asks. Without a store there are none.
type revoked struct{ desk *revocations.Desk }

var (
	revocationsDesc = describe("revocations", "Entries of the list of revoked tokens.")
	writesDesc      = describe("revocation_writes_total",
		"Revocations that were to be written, by what became of them.", "result")
)

// Describe implements prometheus.Collector.
func (revoked) Describe(out chan<- *prometheus.Desc) {
	out <- revocationsDesc
	out <- writesDesc
}

// Collect implements prometheus.Collector.
func (r revoked) Collect(out chan<- prometheus.Metric) {
	current, err := r.desk.Current()
	if err != nil {
		return
	}
	gauge(out, revocationsDesc, float64(current.Len()))
	counts := r.desk.Counts()
	counter(out, writesDesc, counts.Written, "written")
	counter(out, writesDesc, counts.Full, "full")
	counter(out, writesDesc, counts.Failed, "failed")
}
