package store

import (
	"bytes"
	"container/heap"
	"context"
	"sync"
	"time"
)

// Memory is a Store that lives as long as its process.
type Memory struct {
	bells  bells
	closed chan struct{} // closed by Close

	mu     sync.Mutex
	values map[string]*item
	logs   map[string]*memoryLog
	ends   endsHeap // the values and records that expire
}

// item is a value or a record.
type item struct {
	content  []byte
	expires  int64 // milliseconds; zero: never
	key      string
	log      *memoryLog // nil for a value
	position uint64     // of a record
	place    int        // in ends
}

// NewMemory makes an empty Store in memory.
func NewMemory() *Memory {
	return &Memory{closed: make(chan struct{}), values: make(map[string]*item), logs: make(map[string]*memoryLog)}
}

// lock locks the store for one method, unless that may not run.
func (m *Memory) lock(ctx context.Context, key string, contents ...[]byte) error {
	m.mu.Lock()
	err := m.open()
	if err == nil {
		err = CheckArguments(ctx, key, contents...)
	}
	if err != nil {
		m.mu.Unlock()
	}
	return err
}

// open returns ErrClosed after Close.
func (m *Memory) open() error {
	select {
	case <-m.closed:
		return ErrClosed
	default:
		return nil
	}
}

// Put implements Store.
func (m *Memory) Put(ctx context.Context, key string, value []byte, expires time.Time) error {
	if err := m.lock(ctx, key, value); err != nil {
		return err
	}
	defer m.mu.Unlock()
	m.put(key, value, expires)
	return nil
}

// Get implements Store.
func (m *Memory) Get(ctx context.Context, key string) ([]byte, error) {
	if err := m.lock(ctx, key); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	found := m.present(key)
	if found == nil {
		return nil, ErrNotFound
	}
	return copied(found.content), nil
}

// Take implements Store.
func (m *Memory) Take(ctx context.Context, key string) ([]byte, error) {
	if err := m.lock(ctx, key); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	found := m.present(key)
	if found == nil {
		return nil, ErrNotFound
	}
	m.forget(found)
	return found.content, nil
}

// Swap implements Store.
func (m *Memory) Swap(ctx context.Context, key string, old, fresh []byte, expires time.Time) (bool, error) {
	if err := m.lock(ctx, key, old, fresh); err != nil {
		return false, err
	}
	defer m.mu.Unlock()
	found := m.present(key)
	switch {
	case found == nil && old != nil, found != nil && (old == nil || !bytes.Equal(found.content, old)):
		return false, nil
	case fresh != nil:
		m.put(key, fresh, expires)
	case found != nil:
		m.forget(found)
	}
	return true, nil
}

// Sweep implements Store.
func (m *Memory) Sweep(ctx context.Context, now time.Time) error {
	for {
		if err := m.lock(ctx, ""); err != nil {
			return err
		}
		more := m.sweepStep(now.UnixMilli())
		m.mu.Unlock()
		if !more {
			return nil
		}
	}
}

// sweepStep deletes as much as one step may, and reports whether there may be more.
func (m *Memory) sweepStep(now int64) bool {
	for range sweepStep {
		if len(m.ends) == 0 || !Expired(m.ends[0].expires, now) {
			return false
		}
		m.forget(m.ends[0])
	}
	return true
}

// Close implements Store.
func (m *Memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.open() == nil {
		close(m.closed)
		m.values, m.logs, m.ends = nil, nil, nil
	}
	return nil
}

// present returns the value under a key; nil if there is none, or if it has expired.
func (m *Memory) present(key string) *item {
	found := m.values[key]
	if found == nil || Expired(found.expires, time.Now().UnixMilli()) {
		return nil
	}
	return found
}

func (m *Memory) put(key string, value []byte, expires time.Time) {
	if before := m.values[key]; before != nil {
		m.forget(before)
	}
	fresh := &item{content: copied(value), expires: Millis(expires), key: key}
	m.values[key] = fresh
	m.expire(fresh)
}

// expire remembers when an item ends.
func (m *Memory) expire(i *item) {
	if i.expires != 0 {
		heap.Push(&m.ends, i)
	}
}

// forget deletes an item.
func (m *Memory) forget(i *item) {
	if i.expires != 0 {
		heap.Remove(&m.ends, i.place)
	}
	if i.log != nil {
		i.log.forget(i)
		return
	}
	delete(m.values, i.key)
}

// copied returns a copy that is not nil.
func copied(content []byte) []byte { return append(make([]byte, 0, len(content)), content...) }

// endsHeap is a heap of items. The first of them expires first.
type endsHeap []*item

func (e endsHeap) Len() int           { return len(e) }
func (e endsHeap) Less(i, j int) bool { return e[i].expires < e[j].expires }

func (e endsHeap) Swap(i, j int) {
	e[i], e[j] = e[j], e[i]
	e[i].place, e[j].place = i, j
}

// Push implements heap.Interface.
func (e *endsHeap) Push(x any) {
	i := x.(*item)
	i.place = len(*e)
	*e = append(*e, i)
}

// Pop implements heap.Interface.
func (e *endsHeap) Pop() any {
	last := len(*e) - 1
	i := (*e)[last]
	(*e)[last] = nil
	*e = (*e)[:last]
	return i
}
