package keyset

import (
	"context"
	"log/slog"
	"strings"
	"sync"
)

// maxPending bounds the events that wait for an observer that has not come back.
const maxPending = 64

// notifier logs events and hands them to an observer: in order, one at a time, and never under a lock of the source's.
type notifier struct {
	logger *slog.Logger
	what   string // is refreshed: keys, or metadata alone

	mu       sync.Mutex
	observer func(Event)
	pending  []Event
	busy     bool
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

// add puts an event in the queue, for deliver.
func (n *notifier) add(event Event) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.pending) < maxPending {
		n.pending = append(n.pending, event)
	}
}

// deliver empties the queue, unless somebody else is at it.
func (n *notifier) deliver() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.busy {
		return
	}
	n.busy = true
	for len(n.pending) > 0 {
		event, observer := n.pending[0], n.observer
		n.pending = n.pending[1:]
		n.mu.Unlock()
		n.tell(event, observer)
		n.mu.Lock()
	}
	n.busy = false
}

func (n *notifier) tell(event Event, observer func(Event)) {
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
	case Recovered:
		message = "refreshing " + n.what + " works again"
	case Failing:
		level, message = slog.LevelWarn, "refreshing "+n.what+" is failing"
	case KeysLeftOut:
		level, message = slog.LevelWarn, "the key set has more keys than max_keys takes: tokens of the others are refused"
	case Expired:
		level, message = slog.LevelError, "keys are too old to be used"
	}
	if len(event.Added) > 0 {
		attrs = append(attrs, slog.String("added", strings.Join(event.Added, " ")))
	}
	if len(event.Removed) > 0 {
		attrs = append(attrs, slog.String("removed", strings.Join(event.Removed, " ")))
	}
	for _, skipped := range event.Skipped {
		attrs = append(attrs, slog.Int("skipped_"+skipped.Reason, skipped.Count))
	}
	if event.Since > 0 {
		attrs = append(attrs, slog.Duration("failing_for", event.Since))
	}
	if event.Err != nil {
		attrs = append(attrs, slog.String("error", event.Err.Error()))
	}
	n.logger.LogAttrs(context.Background(), level, message, attrs...)
}
