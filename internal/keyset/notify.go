package keyset

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/caddyjwt/gateway/internal/causes"
)

// notifier logs events and hands them to an observer.
type notifier struct {
	logger *slog.Logger
	what   string // what is refreshed: keys, or metadata alone
	cure   string // what to do when there never was anything; empty for nothing

	mu       sync.Mutex
	observer func(Event)
}

func newNotifier(logger *slog.Logger, name string) *notifier {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	return &notifier{logger: logger.With("source", name), what: "keys"}
}

func (n *notifier) observe(observer func(Event)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.observer = observer
}

// tell logs an event and passes it to the observer. If the observer panics, that is only logged. The caller must not
// hold a lock of the source.
func (n *notifier) tell(event Event) {
	n.mu.Lock()
	observer := n.observer
	n.mu.Unlock()
	defer func() {
		if p := recover(); p != nil {
			n.logger.Error("panic in the observer of a key source", "panic", p)
		}
	}()
	n.log(event)
	if observer != nil {
		observer(event)
	}
}

func (n *notifier) log(event Event) {
	level, attrs := slog.LevelInfo, []slog.Attr{slog.Int("keys", event.Keys)}
	var message string
	switch event.Kind {
	case Ready:
		message = "keys are ready"
	case KeysChanged:
		message = "keys have changed"
		if event.Err != nil { // keys have gone because of their certificates, and nobody has taken them out
			level = slog.LevelWarn
		}
	case Recovered:
		message = "refreshing " + n.what + " works again"
	case Failing:
		level, message = slog.LevelWarn, "refreshing "+n.what+" is failing"
	case KeysLeftOut:
		level, message = slog.LevelWarn, "the key set has more keys than max_keys takes: tokens of the others are refused"
	case Expired:
		level, message = slog.LevelError, "keys are too old to be used"
	case Recalled:
		level, message = slog.LevelWarn, "keys from before the restart are used"
		attrs = append(attrs, slog.String("fetched", event.Fetched.UTC().Format(time.RFC3339)))
	case Unfit:
		level, message = slog.LevelWarn, "keys from before the restart cannot be used"
	}
	if len(event.Added) > 0 {
		attrs = append(attrs, slog.String("added", causes.Names(event.Added)))
	}
	if len(event.Removed) > 0 {
		attrs = append(attrs, slog.String("removed", causes.Names(event.Removed)))
	}
	for _, skipped := range event.Skipped {
		attrs = append(attrs, slog.Int("skipped_"+skipped.Reason, skipped.Count))
	}
	if event.Since > 0 {
		attrs = append(attrs, slog.Duration("failing_for", event.Since))
	}
	if event.Kind == Failing && event.Keys == 0 && n.cure != "" {
		attrs = append(attrs, slog.String("cure", n.cure))
	}
	if event.Err != nil {
		attrs = append(attrs, slog.String("error", causes.Line(event.Err)))
	}
	n.logger.LogAttrs(context.Background(), level, message, attrs...)
}
