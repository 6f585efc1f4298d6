package process

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddyjwt/gateway/caddyjwt/revocations"
	"github.com/caddyjwt/gateway/internal/revoke"
)

// revoked collects metrics of the store in force when Prometheus asks. Without a store there are none.
type revoked struct{ desk *revocations.Desk }

var (
	revocationsDesc = describe("revocations", "Entries of the list of revoked tokens.")
	writesDesc      = describe("revocation_writes_total",
		"Revocations that were to be written, by what became of them.", "result")
	inSyncDesc  = describe("store_in_sync", "Whether it is known now which tokens are revoked.")
	syncAgeDesc = describe("store_sync_age_seconds",
		"Time since it was last known which tokens are revoked. 0 for a store that is not shared.")
	storeTimeDesc = describe("store_seconds", "Duration of calls to the server of a shared store.", "result")
)

// began is when the process began.
var began = time.Now()

// Describe implements prometheus.Collector.
func (revoked) Describe(out chan<- *prometheus.Desc) {
	out <- revocationsDesc
	out <- writesDesc
	out <- inSyncDesc
	out <- syncAgeDesc
	out <- storeTimeDesc
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
	sync, open := current.Sync()
	if !open {
		return
	}
	gauge(out, inSyncDesc, oneIf(sync.Trouble == nil))
	gauge(out, syncAgeDesc, syncAge(sync, time.Now()).Seconds())
	answered, failed := r.desk.Calls.Counts()
	histogram(out, storeTimeDesc, answered, "answered")
	histogram(out, storeTimeDesc, failed, "failed")
}

// syncAge is how long ago the list was last known to be complete. A process that has never known it counts from its
// beginning.
func syncAge(sync revoke.Sync, now time.Time) time.Duration {
	switch {
	case !sync.Shared:
		return 0
	case sync.At.IsZero():
		return now.Sub(began)
	default:
		return max(0, now.Sub(sync.At))
	}
}
