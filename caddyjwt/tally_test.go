package caddyjwt

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddyjwt/gateway/internal/gate"
)

func refusalFor(reason gate.Reason) *gate.Failure { return &gate.Failure{Reason: reason} }

// observed is a tally with what it has logged so far.
func observed(level zapcore.Level) (*tally, func() []string) {
	core, logs := observer.New(level)
	return newTally(zap.New(core)), func() (lines []string) {
		for _, entry := range logs.TakeAll() {
			fields := entry.ContextMap()
			lines = append(lines, fmt.Sprint(entry.Level, " ", entry.Message, ": ",
				fields["reason"], " ", fields["status"], " ", fields["count"]))
			if cause, has := fields["cause"]; has {
				lines[len(lines)-1] += fmt.Sprint(" ", fields["issuer"], " ", cause)
			}
		}
		return lines
	}
}

func wants(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// The first refusal of a reason is logged at once. What follows within a minute is logged as one number at its end,
// even if no more requests come.
func TestTallyLogsOncePerReasonAndMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tally, logged := observed(zap.InfoLevel)
		tally.add(refusalFor(gate.Expired), 401)
		wants(t, "the first one", logged(), "info requests refused: expired 401 1")
		for range 1000 {
			tally.add(refusalFor(gate.Expired), 401)
		}
		tally.add(refusalFor(gate.MissingToken), 401)
		wants(t, "another reason beside a thousand of the first", logged(), "info requests refused: missing_token 401 1")
		time.Sleep(tallyInterval - time.Nanosecond)
		synctest.Wait()
		wants(t, "before the minute is over", logged())
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		wants(t, "when it is over", logged(), "info requests refused: expired 401 1000")

		tally.add(refusalFor(gate.MissingToken), 401)
		wants(t, "a new minute for what was logged long ago", logged(), "info requests refused: missing_token 401 1")
		tally.add(refusalFor(gate.Expired), 401)
		wants(t, "the first minute is followed by a second", logged())
		time.Sleep(tallyInterval)
		synctest.Wait()
		wants(t, "the second minute", logged(), "info requests refused: expired 401 1")
		time.Sleep(10 * tallyInterval)
		synctest.Wait()
		wants(t, "quiet", logged())
		if len(tally.minutes) != 0 {
			t.Errorf("%d minutes have not ended", len(tally.minutes))
		}
	})
}

// The first line has the cause, and the number after a minute has the cause of one of those that it counts. Both are
// one line of bounded length.
func TestTallyNamesACause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tally, logged := observed(zap.InfoLevel)
		defer tally.close()
		refuse := func(cause string) {
			tally.add(&gate.Failure{
				Reason: gate.Expired, Issuer: "https://as", KeyID: "k", Token: "t", Cause: errors.New(cause),
			}, 401)
		}
		refuse("first")
		wants(t, "at once", logged(), "info requests refused: expired 401 1 https://as first")
		refuse("second\n" + strings.Repeat("x", 2000))
		refuse("third")
		time.Sleep(tallyInterval)
		synctest.Wait()
		wants(t, "after a minute", logged(),
			"info requests refused: expired 401 2 https://as second "+strings.Repeat("x", 993)+"...")
		tally.add(refusalFor(gate.Expired), 401)
		refuse("fourth")
		tally.close()
		wants(t, "at the end", logged(), "info requests refused: expired 401 2")
	})
}

// When a configuration ends, the tally logs what it has not logged yet. Nothing is left, and later refusals start
// nothing.
func TestTallyEndsWithItsConfiguration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tally, logged := observed(zap.InfoLevel)
		for range 3 {
			tally.add(refusalFor(gate.Expired), 401)
			tally.add(refusalFor(gate.InsufficientScope), 403)
		}
		tally.add(refusalFor(gate.MissingToken), 401)
		logged()
		tally.close()
		wants(t, "at the end", logged(),
			"info requests refused: expired 401 2", "info requests refused: insufficient_scope 403 2")
		tally.add(refusalFor(gate.Expired), 401)
		tally.close()
		time.Sleep(2 * tallyInterval)
		synctest.Wait()
		wants(t, "afterwards", logged())
	})
}

// If the log does not take lines of this level, nothing is counted.
func TestTallyCountsNothingForADisabledLevel(t *testing.T) {
	tally, logged := observed(zap.WarnLevel)
	tally.add(refusalFor(gate.Expired), 401)
	wants(t, "a log of warnings", logged())
	if len(tally.minutes) != 0 {
		t.Error("a minute has begun")
	}
}

// No refusal is lost or logged twice when many come at once, across the end of a minute and of the configuration.
func TestTallyCountsEveryRefusalOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.InfoLevel)
		tally := newTally(zap.New(core))
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				for range 500 {
					tally.add(refusalFor(gate.Expired), 401)
					time.Sleep(time.Second / 3)
				}
			})
		}
		all.Wait()
		tally.close()
		total := int64(0)
		for _, entry := range logs.All() {
			total += entry.ContextMap()["count"].(int64)
		}
		if total != 8*500 || logs.Len() > 6 {
			t.Errorf("%d refusals in %d lines, want %d in at most 6", total, logs.Len(), 8*500)
		}
	})
}
