package diagnose

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/caddyjwt/gateway/internal/fetch"
)

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

// blameOurClock changes the advice about clocks if several servers agree with each other and not with us.
func blameOurClock(reports []Report) {
	const alike = 2 // seconds; the offsets are that imprecise
	hosts := make(map[string]float64)
	least, most := 0.0, 0.0
	for _, report := range reports {
		for _, server := range report.Servers {
			if server.ClockOffset == nil {
				continue
			}
			offset := *server.ClockOffset
			if len(hosts) == 0 {
				least, most = offset, offset
			}
			hosts[server.Host] = offset
			least, most = min(least, offset), max(most, offset)
		}
	}
	if len(hosts) < 2 || most-least > alike {
		return
	}
	for _, report := range reports {
		for i := range report.Findings {
			if report.Findings[i].Code == ClockDiffers {
				report.Findings[i].Cure = fmt.Sprintf("all %d servers differ from us by about the same time: the clock of this "+
					"machine is wrong; set it by NTP", len(hosts))
			}
		}
	}
}
