package pool

import (
	"github.com/caddyjwt/gateway/internal/consumer"
	"github.com/caddyjwt/gateway/internal/roster"
)

// Roster is a file of consumers in a pool.
type Roster struct{ *roster.File }

// Destruct implements caddy.Destructor.
func (r *Roster) Destruct() error { return r.Close() }

// Roster takes a file of consumers from the pool, or opens it. It does not count as used before Join.
func (l *Lease) Roster(path string, open func() (*roster.File, error)) (*roster.File, error) {
	r, err := Take(l, "consumers", path, func() (*Roster, error) {
		file, err := open()
		return &Roster{file}, err
	})
	if err != nil {
		return nil, err
	}
	return r.File, nil
}

// Join uses the file from now on: check judges its consumers, now and whenever they change, until the lease is closed.
func (l *Lease) Join(file *roster.File, check func(consumer.Roster) error) error {
	guest, err := file.Join(check)
	if err != nil {
		return err
	}
	l.guest = guest
	l.onClose(func() error { guest.Leave(); return nil })
	return nil
}
