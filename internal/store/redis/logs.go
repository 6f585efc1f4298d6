package redis

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"github.com/caddyjwt/gateway/internal/store"
)

const (
	// waitStep is for how long the server waits for a record until it is asked again.
	waitStep = time.Second
	// waitSpare is how long before the end of a context the server answers. It looks at its clock ten times a second.
	waitSpare = 200 * time.Millisecond
	// sweepStep is how many records one script deletes. Others wait as long.
	sweepStep = 512
)

// position reads the id of a record. It has one form only.
func position(id string) (store.Position, error) {
	left, right, _ := strings.Cut(id, "-")
	hi, err := strconv.ParseUint(left, 10, 64)
	lo, err2 := strconv.ParseUint(right, 10, 64)
	p := store.Position{Hi: hi, Lo: lo}
	if err != nil || err2 != nil || idOf(p) != id || p == (store.Position{}) {
		return store.Position{}, &nonsense{errors.New("the server tells a position that is none")}
	}
	return p, nil
}

// idOf is the reverse of position.
func idOf(p store.Position) string {
	return strconv.FormatUint(p.Hi, 10) + "-" + strconv.FormatUint(p.Lo, 10)
}

// keysOf are the keys of a log and of the ends of its records.
func (s *Store) keysOf(log string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.logs[log] = struct{}{}
	return []string{s.vault.key(kindLog, log), s.vault.key(kindEnds, log)}
}

// Append implements store.Store.
func (s *Store) Append(ctx context.Context, log string, record []byte, expires time.Time) (store.Position, error) {
	if err := s.ready(ctx, log, record); err != nil {
		return store.Position{}, err
	}
	end := store.Millis(expires)
	sealed := string(s.vault.seal(kindLog, log, record, end))
	message, err := s.ask(ctx, call(appendScript, s.keysOf(log), sealed, strconv.FormatInt(end, 10)).writing())
	if err != nil {
		return store.Position{}, s.sense(err)
	}
	id, err := message.ToString()
	if err != nil {
		return store.Position{}, s.sense(err)
	}
	p, err := position(id)
	return p, s.nonsensical(err)
}

// Read implements store.Store.
func (s *Store) Read(ctx context.Context, log string, after store.Position, limit int) ([]store.Record, error) {
	records, _, err := s.ReadAnchored(ctx, log, after, store.Position{}, limit)
	return records, err
}

// ReadAnchored implements store.Shared.
func (s *Store) ReadAnchored(ctx context.Context, log string, after, anchor store.Position, limit int) (
	records []store.Record, anchored []byte, err error,
) {
	most, bytes, err := store.AnswerBounds(limit)
	if err != nil {
		return nil, nil, err
	}
	if err := s.ready(ctx, log); err != nil || after == last {
		return nil, nil, err
	}
	message, err := s.ask(ctx, call(readScript, s.keysOf(log)[:1],
		idOf(after), strconv.Itoa(most), strconv.Itoa(bytes), anchorID(anchor)))
	if err != nil {
		return nil, nil, s.sense(err)
	}
	found, err := message.ToArray()
	if err != nil {
		return nil, nil, s.sense(err)
	}
	if len(found) == 0 {
		return nil, nil, s.nonsensical(errOdd)
	}
	if anchored, err = s.anchored(log, found[0]); err == nil {
		records, err = s.records(log, after, found[1:])
	}
	return records, anchored, err
}

// last is the position after which there can be none.
var last = store.Position{Hi: 1<<64 - 1, Lo: 1<<64 - 1}

// anchorID is that of an anchor; empty for none.
func anchorID(anchor store.Position) string {
	if anchor == (store.Position{}) {
		return ""
	}
	return idOf(anchor)
}

// anchored opens the record at an anchor; nil for none.
func (s *Store) anchored(log string, message rueidis.RedisMessage) ([]byte, error) {
	sealed, err := message.AsBytes()
	if err != nil {
		return nil, s.nonsensical(errOdd)
	}
	if len(sealed) == 0 {
		return nil, nil
	}
	data, _, err := s.vault.open(kindLog, log, sealed)
	return data, err
}

// records opens what the server has found: positions and records, in turn.
func (s *Store) records(log string, after store.Position, found []rueidis.RedisMessage) ([]store.Record, error) {
	if len(found)%2 != 0 {
		return nil, s.nonsensical(errOdd)
	}
	var all []store.Record
	for i := 0; i < len(found); i += 2 {
		r, err := s.record(log, found[i], found[i+1])
		if err != nil {
			return nil, err
		}
		if r.Position.Compare(after) <= 0 {
			return nil, s.nonsensical(errOdd)
		}
		all, after = append(all, r), r.Position
	}
	return all, nil
}

// record opens one record.
func (s *Store) record(log string, id, content rueidis.RedisMessage) (store.Record, error) {
	text, err := id.ToString()
	sealed, err2 := content.AsBytes()
	if err := errors.Join(err, err2); err != nil {
		return store.Record{}, s.nonsensical(errOdd)
	}
	p, err := position(text)
	if err != nil {
		return store.Record{}, s.nonsensical(err)
	}
	data, end, err := s.vault.open(kindLog, log, sealed)
	if err != nil {
		return store.Record{}, fmt.Errorf("record %s: %w", text, err)
	}
	return store.Record{Position: p, Data: data, Expires: store.TimeOf(end)}, nil
}

// Wait implements store.Store. Each call has a connection of its own. It lets the server answer before the context
// ends: a connection on which an answer is missing is of no use any more, and another one takes a handshake.
func (s *Store) Wait(ctx context.Context, log string, after store.Position) error {
	for {
		if err := s.ready(ctx, log); err != nil {
			return err
		}
		step, over := waitFrom(ctx)
		_, err := s.ask(ctx, request{blocks: step, words: []string{
			"XREAD", "COUNT", "1", "BLOCK", strconv.FormatInt(step.Milliseconds(), 10),
			"STREAMS", s.keysOf(log)[0], idOf(after),
		}})
		if !rueidis.IsRedisNil(err) {
			return err
		}
		if over {
			return s.endOf(ctx)
		}
	}
}

// waitFrom is for how long the server may wait from now on, and whether that is all that the context allows.
func waitFrom(ctx context.Context) (step time.Duration, over bool) {
	end, ends := ctx.Deadline()
	if left := time.Until(end) - waitSpare; ends && left < waitStep {
		return max(left, time.Millisecond), true
	}
	return waitStep, false
}

// endOf waits until a context has ended, or the store.
func (s *Store) endOf(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-s.life.Done():
		return store.ErrClosed
	}
}

// Sweep implements store.Store. The server deletes values by itself.
func (s *Store) Sweep(ctx context.Context, now time.Time) error {
	if err := s.ready(ctx, ""); err != nil {
		return err
	}
	for _, log := range s.used() {
		if err := s.sweep(ctx, log, now); err != nil {
			return err
		}
	}
	return nil
}

// used are the logs that this process has used.
func (s *Store) used() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	names := make([]string, 0, len(s.logs))
	for name := range s.logs {
		names = append(names, name)
	}
	return names
}

// sweep deletes what has expired of one log.
func (s *Store) sweep(ctx context.Context, log string, now time.Time) error {
	for {
		if err := s.ready(ctx, log); err != nil {
			return err
		}
		message, err := s.ask(ctx, call(sweepScript, s.keysOf(log),
			strconv.FormatInt(now.UnixMilli(), 10), strconv.Itoa(sweepStep)))
		if err != nil {
			return s.sense(err)
		}
		deleted, err := message.ToInt64()
		if err != nil || deleted < sweepStep {
			return s.sense(err)
		}
	}
}

// nonsensical is the error for an answer that breaks the rules of this package.
func (s *Store) nonsensical(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("redis at %s is %w: %w", s.server.name(), ErrOutOfReach, err)
}
