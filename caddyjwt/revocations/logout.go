package revocations

import (
	"context"
	"errors"
	"time"

	"github.com/caddyjwt/gateway/internal/logout"
	"github.com/caddyjwt/gateway/internal/revoke"
	"github.com/caddyjwt/gateway/internal/store"
)

// authorOfLogouts is the author of revocations that an authorization server has caused.
const authorOfLogouts = "back-channel logout"

// End revokes what a verified logout token names: the tokens of a session or, without one, of a subject that the issuer
// issued until then. It returns when that is durable and in force on this node. The same logout again changes nothing:
// the cut-off is when the token was issued, and not now.
func (r *Revocations) End(ctx context.Context, l logout.Logout) error {
	r = r.inForce()
	order := &Order{Issuer: l.Issuer, Session: l.Session, Author: authorOfLogouts}
	if l.Session == "" {
		order.Subject = l.Subject
	}
	notAfter := time.Now()
	if l.IssuedAt.Before(notAfter) { // the issuer's clock may be ahead
		notAfter = l.IssuedAt
	}
	order.NotAfter = &notAfter
	entries, err := r.entriesOf(order)
	if errors.Is(err, revoke.ErrNotAfter) && time.Since(notAfter) > time.Minute {
		return nil // tokens live so short that those of the session have expired
	}
	if err != nil {
		return err
	}
	held, err := r.hold()
	if err != nil {
		return err
	}
	defer held.LetGo()
	return r.carryOut(ctx, held.Value, entries)
}

// Seen reports whether Remember was called with this key of a logout. See logout.Config.
func (r *Revocations) Seen(ctx context.Context, key string) (bool, error) {
	held, err := r.inForce().hold()
	if err != nil {
		return false, err
	}
	defer held.LetGo()
	return held.Value.seen(ctx, key)
}

// Remember keeps the key of a logout until a time. See logout.Config.
func (r *Revocations) Remember(ctx context.Context, key string, until time.Time) error {
	held, err := r.inForce().hold()
	if err != nil {
		return err
	}
	defer held.LetGo()
	return held.Value.remember(ctx, key, until)
}

// inForce are those that gates ask now. A request may come from a configuration that has ended meanwhile: then the
// gates and the store of the next one count.
func (r *Revocations) inForce() *Revocations {
	if !r.ended.Load() {
		return r
	}
	if current, err := r.desk.Current(); err == nil {
		return current
	}
	return r
}

// logoutPrefix begins the keys of logouts in the store.
const logoutPrefix = "logout/"

func (b *Book) seen(ctx context.Context, key string) (bool, error) {
	_, err := b.store.Get(ctx, logoutPrefix+key)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

func (b *Book) remember(ctx context.Context, key string, until time.Time) error {
	return b.store.Put(ctx, logoutPrefix+key, nil, until)
}
