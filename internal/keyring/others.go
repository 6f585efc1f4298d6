package keyring

import (
	"context"
	"log/slog"
	"time"

	"github.com/caddyjwt/gateway/internal/causes"
)

// meetEvery is how often a ring looks at the register.
const meetEvery = time.Minute

// watchOthers looks at the register every minute, and when something has happened after which other rings matter more.
func (r *Ring) watchOthers(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	told := "alone"
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-r.meetings:
			told = "alone"
		}
		if ring := r.Identity(); ring != "" {
			found, err := r.meet(ctx, ring)
			if ctx.Err() != nil {
				return
			}
			told = r.tellOthers(told, found, err)
		}
		timer.Reset(meetEvery)
	}
}

// meetSoon has the register looked at now, and what is wrong there told once more.
func (r *Ring) meetSoon() {
	select {
	case r.meetings <- struct{}{}:
	default: // it is asked for already
	}
}

// tellOthers logs what is new about other rings. What it returns is what it has to know the next time.
func (r *Ring) tellOthers(told string, found meeting, err error) string {
	var names []string
	for _, m := range found.others {
		names = append(names, m.Ring)
	}
	now := "alone"
	switch { // not their names: a node that loses its storage again and again would fill the log of all others
	case err != nil:
		now = "unknown"
	case len(names) > 0:
		now = "others"
	}
	ring := slog.String("ring", r.Identity())
	switch {
	case err == nil && found.replaces:
		r.logger.Info("the signing keys are others than those that were last in use with the store, so tokens of those are "+
			"refused, and clients have to refresh; if nobody meant that, the storage was lost or is another one", ring)
	case now == told:
	case err != nil:
		r.logger.Warn("it cannot be seen whether a node with the same store has other signing keys",
			"error", causes.Line(err))
	case len(names) > 0:
		r.logger.Error("within the last 5 minutes another node with the same store had other signing keys: nodes refuse "+
			"the tokens of each other, and a reset of the keys at one does not reach the other; give all of them the same "+
			"storage, and restart them; if the storage was replaced, this ends by itself", ring,
			slog.String("others", causes.Names(names)))
	default:
		r.logger.Info("all nodes with the same store have the same signing keys again", ring)
	}
	return now
}
