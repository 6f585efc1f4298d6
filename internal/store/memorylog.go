package store

import (
	"cmp"
	"context"
	"slices"
	"time"
)

// memoryLog is one log of a Memory.
type memoryLog struct {
	last    uint64  // the position of the newest record that the log has ever had
	records []*item // in order; some of them are gone
	gone    int
}

// Append implements Store.
func (m *Memory) Append(ctx context.Context, log string, record []byte, expires time.Time) (Position, error) {
	if err := m.lock(ctx, log, record); err != nil {
		return Position{}, err
	}
	defer m.bells.ring(log)
	defer m.mu.Unlock()
	l := m.logs[log]
	if l == nil {
		l = new(memoryLog)
		m.logs[log] = l
	}
	l.last++
	fresh := &item{content: copied(record), expires: Millis(expires), log: l, position: l.last}
	l.records = append(l.records, fresh)
	m.expire(fresh)
	return Position{Lo: l.last}, nil
}

// Read implements Store.
func (m *Memory) Read(ctx context.Context, log string, after Position, limit int) ([]Record, error) {
	a, err := newAnswer(limit)
	if err != nil {
		return nil, err
	}
	if err := m.lock(ctx, log); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	l := m.logs[log]
	if l == nil || after.Hi > 0 {
		return nil, nil
	}
	for _, i := range l.records[l.after(after.Lo):] {
		if a.full() {
			break
		}
		if i.log != nil {
			a.add(Record{Position: Position{Lo: i.position}, Data: copied(i.content), Expires: TimeOf(i.expires)})
		}
	}
	return a.records, nil
}

// Wait implements Store.
func (m *Memory) Wait(ctx context.Context, log string, after Position) error {
	for {
		rung, leave := m.bells.listen(log)
		found, err := m.Read(ctx, log, after, 1)
		if err == nil && len(found) == 0 {
			err = m.listen(ctx, rung)
		}
		leave()
		if err != nil || len(found) > 0 {
			return err
		}
	}
}

// listen waits for a bell, for the end of the context, or for Close.
func (m *Memory) listen(ctx context.Context, rung <-chan struct{}) error {
	select {
	case <-rung:
		return nil
	case <-m.closed:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// after finds the place of the first record after a position.
func (l *memoryLog) after(position uint64) int {
	at, found := slices.BinarySearchFunc(l.records, position, func(i *item, position uint64) int {
		return cmp.Compare(i.position, position)
	})
	if found {
		at++
	}
	return at
}

// forget marks a record as gone. The list becomes shorter once half of it is gone, so that many deletions in the middle
// of a long log cost little.
func (l *memoryLog) forget(i *item) {
	i.log, i.content = nil, nil
	if l.gone++; 2*l.gone >= len(l.records) {
		l.records = slices.DeleteFunc(l.records, func(i *item) bool { return i.log == nil })
		l.gone = 0
	}
}
