package caddyjwt

import (
	"net/http"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/gate"
)

// Operators must not be alarmed by what strangers can cause at will.
func TestTroubleIsWhatOperatorsCanMend(t *testing.T) {
	for _, c := range []struct {
		reason gate.Reason
		status int
		want   bool
	}{
		{gate.UnknownKey, http.StatusUnauthorized, false},
		{gate.KeyPending, http.StatusServiceUnavailable, false},
		{gate.KeysUnavailable, http.StatusServiceUnavailable, true},
		{gate.IntrospectionUnavailable, http.StatusServiceUnavailable, true},
		{gate.IntrospectionFailed, http.StatusBadGateway, true},
		{gate.IntrospectionTimeout, http.StatusGatewayTimeout, true},
		{gate.ClientGone, 499, false},
		{gate.InternalError, http.StatusInternalServerError, true},
	} {
		if got := isTrouble(c.reason, c.status); got != c.want {
			t.Errorf("%s: trouble %v", c.reason, got)
		}
	}
}

// Trouble of one kind is logged once in a while, also when the clock has been set back.
func TestTroubleIsLoggedOnceInAWhile(t *testing.T) {
	var kind trouble
	start := time.Unix(1_700_000_000, 0)
	for _, c := range []struct {
		name   string
		at     time.Duration
		due    bool
		hidden int64
	}{
		{"the first time", 0, true, 0},
		{"at once again", 0, false, 0},
		{"soon", troubleInterval - 1, false, 0},
		{"in time", troubleInterval, true, 2},
		{"by a clock that was set back", -time.Hour, true, 0},
		{"soon after that", -time.Hour + time.Second, false, 0},
		{"in time after that", -time.Hour + troubleInterval, true, 1},
	} {
		if hidden, due := kind.due(start.Add(c.at)); due != c.due || hidden != c.hidden {
			t.Errorf("%s: due %v, %d hidden; want %v, %d", c.name, due, hidden, c.due, c.hidden)
		}
	}
}
