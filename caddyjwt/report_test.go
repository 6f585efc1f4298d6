package caddyjwt

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/internal/tenant"
)

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

// A key source writes its own warning when fetching begins to fail. The refusals that follow at once are not another
// one, but those later are, so that nobody has to search old logs.
func TestTroubleOfAKeySourceIsToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.WarnLevel)
		r := newReporter(zap.New(core))
		defer r.tally.close()
		began := time.Now()
		refuse := func(since time.Time) int {
			r.refused(&gate.Failure{Reason: gate.KeysUnavailable, Issuer: "https://as", Cause: &keyset.UnavailableError{
				Err: errors.New("status 404"), FailingSince: since,
			}}, http.StatusServiceUnavailable, false)
			return len(logs.TakeAll())
		}
		if n := refuse(began); n != 0 {
			t.Errorf("%d lines at once", n)
		}
		if n := refuse(time.Time{}); n != 1 {
			t.Errorf("%d lines about other trouble", n)
		}
		time.Sleep(troubleInterval)
		if n := refuse(began); n != 1 {
			t.Errorf("%d lines later", n)
		}
		if n := refuse(began); n != 0 {
			t.Errorf("%d lines at once after that", n)
		}
	})
}

// Strangers can invent tenants. Nothing may be kept for each, nor may there be a line for each.
func TestTroubleOfInventedTenantsIsOne(t *testing.T) {
	core, logs := observer.New(zap.WarnLevel)
	r := newReporter(zap.New(core))
	defer r.tally.close()
	pattern, err := tenant.Parse("https://login.example/*/v2.0")
	if err != nil {
		t.Fatal(err)
	}
	r.patterns = append(r.patterns, pattern)
	for i := range 100 {
		r.refused(&gate.Failure{Reason: gate.KeysUnavailable, Issuer: fmt.Sprintf("https://login.example/%d/v2.0", i)},
			http.StatusServiceUnavailable, true)
	}
	if n := logs.Len(); n != 1 {
		t.Errorf("%d lines", n)
	}
	kinds := 0
	r.trouble.Range(func(any, any) bool { kinds++; return true })
	if kinds != 1 {
		t.Errorf("%d kinds of trouble are kept", kinds)
	}
	r.refused(
		&gate.Failure{Reason: gate.KeysUnavailable, Issuer: "https://other.example"},
		http.StatusServiceUnavailable,
		true,
	)
	if n := logs.Len(); n != 2 {
		t.Errorf("%d lines after trouble with another issuer", n)
	}
}

// Tokens that are early or late by the same time are a sign of a wrong clock. One such line is enough.
func TestWrongClocksAreToldOnce(t *testing.T) {
	core, logs := observer.New(zap.WarnLevel)
	r := newReporter(zap.New(core))
	defer r.tally.close()
	for _, token := range []string{"a", "b", "c", "d", "e"} {
		r.refused(&gate.Failure{Reason: gate.NotYetValid, Issuer: "https://as", Token: token, KeyID: "kid",
			Off: -time.Minute, Cause: errors.New("nbf is 1m0s ahead")}, http.StatusUnauthorized, true)
	}
	entries := logs.TakeAll()
	if len(entries) != 1 || !strings.Contains(entries[0].Message, "is a clock wrong") {
		t.Fatalf("%v", entries)
	}
	if fields := fmt.Sprint(entries[0].ContextMap()); fields != "map[cause:nbf is 1m0s ahead issuer:https://as]" {
		t.Errorf("fields %s", fields)
	}
}

// The id of a key is a stranger's text, also in a warning.
func TestAKeyIDCannotControlATerminal(t *testing.T) {
	core, logs := observer.New(zap.DebugLevel)
	r := newReporter(zap.New(core))
	defer r.tally.close()
	for kid, want := range map[string]string{
		"2026-11":                  "2026-11",
		"\u009b31m\u202e\x7fred\n": `\u009b31m\u202e\x7fred\n`,
		"cut in a letter \xc3":     `cut in a letter \xc3`,
		"eyJhbGciOiJub25lIn0":      "a text of 19 bytes that may hold a token",
	} {
		for reason, status := range map[gate.Reason]int{
			gate.UnknownKey: http.StatusUnauthorized, gate.KeysUnavailable: http.StatusServiceUnavailable,
		} {
			r.refused(&gate.Failure{Reason: reason, Issuer: kid, KeyID: kid}, status, true)
			if entries := logs.TakeAll(); len(entries) != 1 || entries[0].ContextMap()["kid"] != want {
				t.Errorf("%q: %v", kid, entries)
			}
		}
	}
}
