// Package session keeps the sessions of an issuer of tokens. A session begins at a login, and hands out pairs of an
// access token and a refresh token. Each refresh token works once and gives the next pair (RFC 9700 section 4.14.2).
// One that comes again ends its session, because then two parties have it.
//
// The state of a session is one record in a store.Store, so all nodes that share the store share the sessions. The
// record has hashes of refresh tokens. Nobody can make a token from what the store has.
//
// Access tokens are judged elsewhere, and without the store. What ends them early is a cut-off, which Revocations keep.
package session

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/caddyjwt/gateway/internal/store"
)

// Options say where sessions are kept, and how access tokens are made and ended.
type Options struct {
	// Store has the records. It is required. Its owner sweeps and closes it.
	Store store.Store
	// Issuer is the iss of access tokens. It is required.
	Issuer string
	// Sign makes an access token. It is required. An error means that none can be made now; its text must not have a
	// token. A token of an attempt that fails later goes to nobody.
	Sign func(ctx context.Context, a *Access) (string, error)
	// Revocations has the cut-offs. It is required.
	Revocations Revocations
	// PerUser is how many sessions one subject has in one app, between 1 and MaxPerUser. One more ends the oldest login.
	// Default: DefaultPerUser.
	PerUser int
	// Leeway is how long after its exp an access token may still be taken somewhere, between 0 and an hour. Default: one
	// minute.
	Leeway time.Duration
	// Reused is called when a refresh token came again, and its session was ended for that. It is called at most once for
	// each session. Default: nobody hears of it.
	Reused func(sid, subject, app string)
	// Now is the clock. Default: time.Now.
	Now func() time.Time
}

// Bounds of the options.
const (
	DefaultPerUser = 64
	MaxPerUser     = 1000
	maxLeeway      = time.Hour
)

// Revocations are the cut-offs of an issuer. A cut-off revokes what was issued until a moment, in milliseconds.
type Revocations interface {
	// IsRevoked reports whether a cut-off revokes what was issued at a moment to those that the query names. An error
	// means that this is not known now.
	IsRevoked(ctx context.Context, q Query) (bool, error)
	// Cut revokes what was issued in a session until a moment, that moment included, and without any leeway. Of two
	// cut-offs of a session, the later one counts. It returns when the cut-off is durable and in force. From expires on it
	// may be forgotten.
	Cut(ctx context.Context, sid string, until, expires time.Time) error
}

// Query asks about something that was issued. An empty field names nobody.
type Query struct {
	Subject, Session, Client, Group string
	// IssuedAt is when, in whole milliseconds.
	IssuedAt time.Time
}

// Terms are what an app grants.
type Terms struct {
	// App names the app. A refresh token is good in its own app only. It is required, and has at most 256 bytes.
	App string
	// AccessLifetime is how long an access token lives, from a second on.
	AccessLifetime time.Duration
	// RefreshLifetime is how long a refresh token lives, from a second on. The next one lives as long again.
	RefreshLifetime time.Duration
	// Grace is how long a refresh token that was used gives the same new pair again, for clients that did not get the
	// answer or send a token twice. It ends when the new refresh token is used. The use of the new access token does not
	// end it, because access tokens are judged without the store. It is at most AccessLifetime. Default: 0, and then each
	// second use ends the session.
	Grace time.Duration
	// Absolute is the longest life of a session from its login. The last access token may outlive it by its lifetime.
	// Default: 0, no bound.
	Absolute time.Duration
	// Holder returns who has a subject's name now; nil if nobody may have sessions under it. Begin and Refresh ask it. An
	// error means that this is not known now. Default: nil, every subject has sessions as it was at the login.
	Holder func(ctx context.Context, subject string) (*Holder, error)
}

// Holder is who has the name of a subject.
type Holder struct {
	// Mark is the one of the login as long as it is the same person with the same password. With another one, the session
	// ends.
	Mark string
	// Claims take the place of those of the login, unless they are not Known.
	Claims json.RawMessage
	Known  bool
}

// Login is who begins a session.
type Login struct {
	// Subject is the sub. It is required.
	Subject string
	// ClientID and Group may be empty.
	ClientID, Group string
	// Claims is a JSON object with further claims, of at most MaxClaims bytes. Default: none.
	Claims json.RawMessage
	// Mark is that of the Holder. It has at most 64 bytes.
	Mark string
	// Key is the thumbprint of a key that the client has proved to have, of at most 64 bytes. The session is bound to it.
	// Default: to none.
	Key string
}

// MaxClaims bounds Login.Claims, in bytes without insignificant space.
const MaxClaims = 16 << 10

// Access is what an access token says.
type Access struct {
	Issuer, Subject, Session, ClientID, Group, App string
	// Claims is a JSON object, or nil.
	Claims json.RawMessage
	// Key is the thumbprint of the key that the session is bound to; empty for none. The token must be bound to it, too.
	Key string
	// IssuedAt has milliseconds. The token must say them: cut-offs do not spare what looks a little older.
	IssuedAt time.Time
	// Expires has whole seconds.
	Expires time.Time
}

// Pair is what a client gets.
type Pair struct {
	Access, Refresh  string
	Subject, Session string
	// Key is that of Access.
	Key string
	// IssuedAt is the iat of the access token, in whole milliseconds. It grows from pair to pair, also when a clock goes
	// back. It is a millisecond or two ago: see nextIssue.
	IssuedAt time.Time
	// Expires is the exp of the access token: IssuedAt and AccessLifetime, rounded down to seconds.
	Expires time.Time
}

var (
	// ErrMalformed means that a text is no refresh token by its form. It ends nothing.
	ErrMalformed = errors.New("not a refresh token")
	// ErrInvalid means that a refresh token is unknown, expired, revoked or of another app or issuer, or that its
	// session has ended.
	ErrInvalid = errors.New("the refresh token is not valid")
	// ErrReused means that a refresh token came again, and its session was ended. It is an ErrInvalid.
	ErrReused = fmt.Errorf("%w: it came for the second time, so its session was ended", ErrInvalid)
	// ErrOtherKey means that the session is bound to a key, and that another one was proved, or none. The session goes on.
	ErrOtherKey = errors.New("the refresh token is bound to another key")
	// ErrUnavailable means that the store, the revocations or the signer did not do their part. Another attempt may work.
	ErrUnavailable = errors.New("sessions are not available now")
	// ErrTerms means that Options, Terms or a Login cannot be meant.
	ErrTerms = errors.New("unusable terms")
)

// Sessions are all sessions in a store. They are safe for concurrent use.
type Sessions struct {
	o      Options
	shards string // what the keys of the index begin with
	salt   atomic.Pointer[[]byte]
}

// New makes Sessions. The error is ErrTerms.
func New(o Options) (*Sessions, error) {
	if o.PerUser == 0 {
		o.PerUser = DefaultPerUser
	}
	if o.Leeway == 0 {
		o.Leeway = time.Minute
	}
	if o.Reused == nil {
		o.Reused = func(string, string, string) {}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTerms, err)
	}
	return &Sessions{o: o, shards: shardsOf(o.Issuer)}, nil
}

func (o *Options) check() error {
	switch {
	case o.Store == nil:
		return errors.New("no store: sessions would have no place")
	case o.Issuer == "":
		return errors.New("no issuer: access tokens would have no iss")
	case o.Sign == nil:
		return errors.New("no way to sign: there would be no access tokens")
	case o.Revocations == nil:
		return errors.New("no revocations: old access tokens would live on")
	case o.PerUser < 1 || o.PerUser > MaxPerUser:
		return fmt.Errorf("%d sessions per user: want 1 to %d", o.PerUser, MaxPerUser)
	case o.Leeway < 0 || o.Leeway > maxLeeway:
		return fmt.Errorf("a leeway of %v: want 0s to %v", o.Leeway, maxLeeway)
	}
	return nil
}

// now is the time in milliseconds.
func (s *Sessions) now() int64 { return s.o.Now().UnixMilli() }

// nextIssue is the iat of the pair after one that was issued at a time; zero for the first pair. It is the last
// millisecond that was over. So a cut-off that somebody makes from now on is later, and cannot have the same number. It
// grows although a clock goes back: otherwise the cut-off of the old access token would reach the new one. Then it may
// be ahead of the clock, and a cut-off by that clock does not reach it.
func nextIssue(now, before int64) int64 { return max(now-1, before+1) }

func unavailable(what string, err error) error {
	return fmt.Errorf("%w: %s: %w", ErrUnavailable, what, err)
}

// timeOf is a time from its milliseconds since 1970.
func timeOf(ms int64) time.Time { return time.UnixMilli(ms).UTC() }
