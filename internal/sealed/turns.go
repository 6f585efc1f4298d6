package sealed

import (
	"context"
	"errors"
	"net/netip"
	"runtime"
	"sync"
)

// ErrBusy: too many other decryptions wait.
var ErrBusy = errors.New("too many encrypted tokens wait for their decryption")

// maxWaiting is how many decryptions may wait, for each that may be under way. With a key of 2048 bits, the last of
// them waits about a tenth of a second.
const maxWaiting = 64

// Turns bounds the decryptions with RSA keys that are under way: each costs about a millisecond, and everybody can
// cause one. Those that must wait get their turns address by address. When too many wait, the last one of the address
// with the most has to go. So one stranger cannot hold up the others.
//
// Turns is safe for concurrent use.
type Turns struct {
	mu      sync.Mutex
	free    int // decryptions that may begin now
	most    int // that may wait
	waiting int
	lines   []*line // in the order of their turns, none of them empty
}

// line has the waiting decryptions of one address.
type line struct {
	client netip.Addr
	places []chan error // each has room for one; nil in it means that it is one's turn
}

// NewTurns makes turns for the processors of this machine.
func NewTurns() *Turns { return newTurns(runtime.GOMAXPROCS(0)) }

func newTurns(slots int) *Turns { return &Turns{free: slots, most: slots * maxWaiting} }

// begin waits for a turn. Without an error, the caller must call end.
func (t *Turns) begin(ctx context.Context, client func() netip.Addr) error {
	t.mu.Lock()
	if t.free > 0 {
		t.free--
		t.mu.Unlock()
		return nil
	}
	place := t.join(network(client()))
	t.mu.Unlock()
	select {
	case err := <-place:
		return err
	case <-ctx.Done():
		t.leave(place)
		return ctx.Err()
	}
}

// network is the address that counts. Of IPv6, one client may have a whole /48.
func network(client netip.Addr) netip.Addr {
	client = client.Unmap()
	if client.Is6() {
		if prefix, err := client.WithZone("").Prefix(48); err == nil {
			return prefix.Addr()
		}
	}
	return client
}

// join adds a place to the line of the address.
func (t *Turns) join(client netip.Addr) chan error {
	place := make(chan error, 1)
	var own *line
	for _, l := range t.lines {
		if l.client == client {
			own = l
		}
	}
	if own == nil {
		own = &line{client: client}
		t.lines = append(t.lines, own)
	}
	own.places = append(own.places, place)
	if t.waiting++; t.waiting > t.most {
		t.dropLast()
	}
	return place
}

// dropLast sends away the last one of the longest line, or of the newest of several.
func (t *Turns) dropLast() {
	longest := t.lines[0]
	for _, l := range t.lines {
		if len(l.places) >= len(longest.places) {
			longest = l
		}
	}
	last := longest.places[len(longest.places)-1]
	t.remove(last)
	last <- ErrBusy
}

// remove takes a place out of its line. It reports whether it was there.
func (t *Turns) remove(place chan error) bool {
	for i, l := range t.lines {
		for j, p := range l.places {
			if p != place {
				continue
			}
			t.waiting--
			l.places = append(l.places[:j], l.places[j+1:]...)
			if len(l.places) == 0 {
				t.lines = append(t.lines[:i], t.lines[i+1:]...)
			}
			return true
		}
	}
	return false
}

// leave gives up a place. If it was one's turn already, the next one has it.
func (t *Turns) leave(place chan error) {
	t.mu.Lock()
	waited := t.remove(place)
	t.mu.Unlock()
	if !waited && <-place == nil {
		t.end()
	}
}

// end ends a decryption, and has the next one begin: the first of the line whose turn it is. That line is then the
// last.
func (t *Turns) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.lines) == 0 {
		t.free++
		return
	}
	next := t.lines[0]
	place := next.places[0]
	next.places = next.places[1:]
	t.waiting--
	t.lines = t.lines[1:]
	if len(next.places) > 0 {
		t.lines = append(t.lines, next)
	}
	place <- nil
}
