package store

import "context"

// Shared is a Store that several processes use at a time, over a network. So it can be out of reach. And it can lose
// what was durable: somebody empties it, or a copy takes over that was behind.
type Shared interface {
	Store
	// Check returns the condition of a log. It asks the server that takes writes. If writes have to reach copies, too,
	// it makes sure that they can: a server that was cut off from them is not believed.
	Check(ctx context.Context, log string, anchor Position) (Condition, error)
	// ReadAnchored is Read. It also returns the record at an anchor, or nil if there is none: what the log had when the
	// others were read. That shows whether they are from the log that had the anchor.
	ReadAnchored(ctx context.Context, log string, after, anchor Position, limit int) ([]Record, []byte, error)
	// Init gives a log an epoch, if it has none, and reports whether it did. A store has one log with an epoch.
	Init(ctx context.Context, log string) (made bool, err error)
	// Secret is a key for a purpose. All processes that share the store have the same one, and nobody else has it.
	Secret(purpose string) [32]byte
}

// Condition is what shows that a log has lost records.
type Condition struct {
	// Epoch is what Init has set at random; empty if there is none. A log that is gone, with all of the store or alone,
	// has none.
	Epoch string
	// Anchor is the record at the anchor; nil if there is none. Copies lose the end of what was written, so if the newest
	// known record is there, those before it are there, too. Another one may have come to its position.
	Anchor []byte
	// Last is the last position that the log has given to a record, which may be gone.
	Last Position
}
