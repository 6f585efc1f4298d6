package roster

import (
	"slices"

	"github.com/caddyjwt/gateway/internal/consumer"
)

// Guest is a gate that uses a File. It is safe for concurrent use.
type Guest struct {
	file  *File
	check func(consumer.Roster) error
	last  *Set // nil until it has left; guarded by the file's mu
}

// Join adds a gate. check must accept the consumers of now, and those that wait for other gates to leave, or Join
// fails. From then on, consumers that it does not accept are not used: for no gate, so that all see the same.
func (f *File) Join(check func(consumer.Roster) error) (*Guest, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := check(f.current.Load()); err != nil {
		return nil, err
	}
	if f.waiting != nil {
		if err := check(f.waiting.set); err != nil {
			return nil, err
		}
	}
	g := &Guest{file: f, check: check}
	f.guests = append(f.guests, g)
	return g, nil
}

// Leave takes the gate away. Consumers that only this gate did not accept come into use.
func (g *Guest) Leave() {
	f := g.file
	f.mu.Lock()
	defer f.mu.Unlock()
	g.last = f.current.Load()
	f.guests = slices.DeleteFunc(f.guests, func(other *Guest) bool { return other == g })
	if w := f.waiting; w != nil && f.judge(w.set) == nil {
		f.use(w.set, w.sum)
	}
}

// File is what the gate uses.
func (g *Guest) File() *File { return g.file }

// Last is the consumers as they are now or, once the gate has left, as they were then. The gate accepts them.
func (g *Guest) Last() *Set {
	g.file.mu.Lock()
	defer g.file.mu.Unlock()
	if g.last != nil {
		return g.last
	}
	return g.file.current.Load()
}

// judge asks all gates. The caller holds mu.
func (f *File) judge(set *Set) error {
	for _, g := range f.guests {
		if err := g.check(set); err != nil {
			return err
		}
	}
	return nil
}
