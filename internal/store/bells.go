package store

import "sync"

// bells wake those who wait for records. There is a bell only for a log that somebody waits for.
type bells struct {
	mu    sync.Mutex
	byLog map[string]*bell
}

type bell struct {
	rung      chan struct{}
	listeners int
}

// listen returns a channel that is closed when the next record of a log is there. The caller then reads the log, and
// calls leave when it has stopped listening.
func (b *bells) listen(log string) (rung <-chan struct{}, leave func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.byLog == nil {
		b.byLog = make(map[string]*bell)
	}
	one := b.byLog[log]
	if one == nil {
		one = &bell{rung: make(chan struct{})}
		b.byLog[log] = one
	}
	one.listeners++
	return one.rung, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if one.listeners--; one.listeners == 0 && b.byLog[log] == one {
			delete(b.byLog, log)
		}
	}
}

// ring wakes everybody who listens for a log.
func (b *bells) ring(log string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if one := b.byLog[log]; one != nil {
		close(one.rung)
		delete(b.byLog, log)
	}
}
