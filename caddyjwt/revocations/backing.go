package revocations

import (
	"context"
	"fmt"
	"time"

	"github.com/caddyjwt/gateway/internal/revoke"
	"github.com/caddyjwt/gateway/internal/store"
)

// Backing is the open store of a configuration, for an issuer of tokens in this process. It stays the same when the
// configuration has ended, so that late requests still get their answers.
type Backing struct {
	book   *Book
	handle *handle
	owners *revoke.Owners
	desk   *Desk
}

// Backing is nil until Start.
func (r *Revocations) Backing() *Backing {
	book := r.book.Load()
	if book == nil {
		return nil
	}
	return &Backing{book: book, handle: &r.handle, owners: &r.owners, desk: r.desk}
}

// Store is the open store.
func (b *Backing) Store() store.Store { return b.book.store }

// Leeway is how long after its exp some gate takes a token of an issuer.
func (b *Backing) Leeway(issuer string) time.Duration {
	return b.owners.Leeway(revoke.Target{Issuer: issuer})
}

// IsRevoked reports whether a token is revoked. The error means that it is not known now.
func (b *Backing) IsRevoked(t revoke.Token) (bool, error) {
	if _, err := b.handle.Generation(time.Now()); err != nil {
		return false, err
	}
	_, revoked := b.handle.Revokes(t)
	return revoked, nil
}

// CutOff revokes the tokens of a target that were issued until a moment. It returns when that is durable and in force
// on this node. From expires on it may be forgotten.
func (b *Backing) CutOff(ctx context.Context, target revoke.Target, until, expires time.Time) error {
	return b.write(ctx, entryOf(target, until, expires))
}

// RevokeToken revokes the token of an issuer with an id. It returns as CutOff does.
func (b *Backing) RevokeToken(ctx context.Context, issuer, id string, expires time.Time) error {
	return b.write(ctx, entryOf(revoke.Target{Issuer: issuer, Kind: revoke.ID, Value: id}, time.Time{}, expires))
}

// entryOf is the entry of a target until a moment, which is zero for a single token.
func entryOf(target revoke.Target, until, expires time.Time) *revoke.Entry {
	return &revoke.Entry{
		Target: target, NotAfter: until.Truncate(time.Millisecond), Expires: expires.Truncate(time.Second).Add(time.Second),
		At: time.Now(), Author: author,
	}
}

// author is that of entries which an issuer in this process writes.
const author = "token_issuer"

// write goes on when nobody waits for it any more.
func (b *Backing) write(ctx context.Context, entry *revoke.Entry) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTime)
	defer cancel()
	err := b.book.Write(ctx, entry)
	b.desk.count(err)
	if err != nil {
		return fmt.Errorf("revoking what was issued before: %w", err)
	}
	return nil
}
