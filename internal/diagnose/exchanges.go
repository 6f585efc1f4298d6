package diagnose

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
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

// clockOffset is by how much the server's clock is at least ahead of ours; negative when it is behind. "Date" has no
// fractions of a second, and the answer took its time, so a small offset is invisible. Whatever time the answer spent
// in caches counts, too (RFC 9111 section 4.2.3).
func clockOffset(e fetch.Exchange) (offset time.Duration, known bool) {
	date, err := http.ParseTime(e.Header.Get("Date"))
	if err != nil {
		return 0, false
	}
	if age, err := strconv.ParseUint(strings.TrimSpace(e.Header.Get("Age")), 10, 31); err == nil {
		date = date.Add(time.Duration(age) * time.Second)
	}
	switch ahead, behind := date.Sub(e.Received), e.Sent.Sub(date.Add(time.Second)); {
	case ahead > 0:
		return ahead.Round(time.Second), true
	case behind > 0:
		return -behind.Round(time.Second), true
	}
	return 0, true
}

// judgeClock compares a difference with the leeway. If the server is ahead, its new tokens are not valid yet. If it is
// behind, they end early, so only a large difference matters.
func (q *inquiry) judgeClock(host string, offset time.Duration) {
	const cure = "set both clocks by NTP; the gate allows for a difference of up to \"leeway\""
	switch {
	case offset > q.of.Leeway:
		q.find(Problem, ClockDiffers, "the clock of "+host+" is "+offset.String()+" ahead of ours, and leeway is "+
			q.of.Leeway.String()+": its new tokens may be refused as not_yet_valid", cure)
	case -offset > max(q.of.Leeway, shortestLag):
		q.find(Warning, ClockDiffers, "the clock of "+host+" is "+(-offset).String()+" behind ours: its tokens end "+
			"early here", cure)
	}
}

// shortestLag is how far behind a server may be without a warning.
const shortestLag = 5 * time.Second
