package diagnose

import (
	"slices"
	"sync"
	"time"

	"github.com/caddyjwt/gateway/internal/fetch"
)

// mostExchanges bounds what is kept for one issuer: two places for metadata, keys and a question, each with redirects.
const mostExchanges = 32

// Exchanges collects the exchanges with the servers of one issuer. The zero value is ready to use.
type Exchanges struct {
	mu   sync.Mutex
	seen []fetch.Exchange
}

// Add is for fetch.Options.Observe.
func (x *Exchanges) Add(e fetch.Exchange) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.seen) < mostExchanges {
		x.seen = append(x.seen, e)
	}
}

// from returns the exchanges after the first n.
func (x *Exchanges) from(n int) []fetch.Exchange {
	x.mu.Lock()
	defer x.mu.Unlock()
	return slices.Clone(x.seen[min(n, len(x.seen)):])
}

func (x *Exchanges) count() int { return len(x.from(0)) }

// servers reports clocks and certificates of all hosts that answered.
func (q *inquiry) servers(now time.Time) {
	for _, e := range q.of.Exchanges.from(0) {
		if e.Status == 0 {
			continue
		}
		server := q.server(printable(e.URL.Host))
		if offset, known := clockOffset(e); known {
			seconds := offset.Seconds()
			if server.ClockOffset == nil { // the first answer counts: a later one may come from a cache
				server.ClockOffset = &seconds
				q.judgeClock(server.Host, offset)
			}
		}
		if cert, known := firstToExpire(e.TLS); known && server.CertificateExpires == nil {
			expires := cert.NotAfter.UTC()
			server.CertificateExpires = &expires
			q.judgeExpiry("the certificate of "+server.Host, cert, now, "renew it on that server")
		}
	}
}

// server is the host's place in the report.
func (q *inquiry) server(host string) *Server {
	for i := range q.Servers {
		if q.Servers[i].Host == host {
			return &q.Servers[i]
		}
	}
	q.Servers = append(q.Servers, Server{Host: host})
	return &q.Servers[len(q.Servers)-1]
}
