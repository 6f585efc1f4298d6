package session

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	// maxTries is how often a refresh looks again after others have changed the record. Once is enough, unless somebody
	// refreshes all the time.
	maxTries = 8
	// patience is how long it may take to write down what was decided. It does not depend on the request: a client that
	// gives up waiting must not stop it halfway.
	patience = 10 * time.Second
)

// errChanged means that somebody has changed the record meanwhile, so it has to be read again.
var errChanged = errors.New("others keep changing the session")

// Proof is what whoever sends a refresh token has proved. The zero value is nothing.
type Proof struct {
	// Key is the thumbprint of a key, of at most 64 bytes; empty for none.
	Key string
	// Use uses up the proof, so that it is good once. It is called once, when all else is good, and not at all for
	// strangers: what they send must not fill what remembers it. Its error is that of Refresh. Default: nil, nothing is
	// used up.
	Use func(ctx context.Context) error
}

// Refresh takes a refresh token, and returns the next pair. A session that is bound to a key goes on with that key
// alone (RFC 9449 section 5), and one that is not is bound to the key of the proof from now on. The error is
// ErrMalformed, ErrInvalid, ErrReused, ErrOtherKey, ErrUnavailable, ErrTerms, a *TooSoonError or that of Proof.Use.
// After ErrUnavailable, ErrOtherKey and the last two the client may try again with the same token.
//
// The order of what happens is the argument for its safety:
//
//  1. Read the record. Nothing ends because of a text without a record, or with one of another app, or because of a
//     token that was stolen without its key: see otherKey.
//  2. Compare the secret. If it is the one before, in its grace, the answer is the same pair again. Any other came for
//     the second time, and that ends the session: its owner or a thief has a newer one (RFC 9700 section 4.14.2).
//  3. Choose the iat, and only then ask whether the session may go on: see refusal. Use up the proof.
//  4. Sign the access token. Nobody has it yet.
//  5. Cut off the old access token. If all stops here, the old refresh token is good, and no access token lives.
//  6. Swap the record. This is the moment at which the pair is there, for one of any number of callers. The others look
//     again. If all stops here, the new pair is lost: in the grace the client gets it with the old token, and without
//     grace the session ends when it tries that.
//
// With 6 before 5, two access tokens would live for a moment, or until they expire if all stops between.
func (s *Sessions) Refresh(ctx context.Context, t *Terms, token string, by Proof) (*Pair, error) {
	if err := t.Check(); err != nil {
		return nil, err
	}
	parsed, err := parse(token)
	if err != nil {
		return nil, err
	}
	if err := checkKey(by.Key); err != nil {
		return nil, fmt.Errorf("%w of a refresh: %w", ErrTerms, err)
	}
	a := &attempt{Sessions: s, t: t, token: &parsed, sid: parsed.sid(), by: by}
	for range maxTries {
		pair, err := a.refresh(ctx)
		if !errors.Is(err, errChanged) {
			return pair, err
		}
	}
	return nil, unavailable("session "+a.sid, errChanged)
}

// attempt is one refresh.
type attempt struct {
	*Sessions
	t     *Terms
	token *refreshToken
	sid   string
	by    Proof // Use is nil as soon as it was called

	text []byte  // the record as it was read
	r    *record // the same, decoded
	now  int64   // when it was read

	holder *Holder // who has the subject's name now; nil until that was asked
}

// refresh tries it once. The error is errChanged if others have changed the record.
func (a *attempt) refresh(ctx context.Context) (pair *Pair, err error) {
	if a.text, a.r, err = a.load(ctx, a.sid); err != nil {
		return nil, err
	}
	if a.r.App != a.t.App {
		return nil, fmt.Errorf("%w: session %s is one of another app", ErrInvalid, a.sid)
	}
	a.now = a.Sessions.now()
	standing := a.r.standingOf(a.token.hash(), a.t, a.now)
	switch {
	case a.r.Key != "" && a.r.Key != a.by.Key:
		return nil, a.otherKey(ctx, standing)
	case standing == present:
		return a.rotate(ctx)
	case standing == used:
		return a.repeat(ctx)
	default:
		return nil, a.endReused(ctx)
	}
}

// otherKey is the error for somebody who has not proved to have the key of the session. A token that was stolen without
// its key ends nothing. But if a refresh has bound the session, it had tokens before that are bound to nothing. When
// one of those comes again, its owner or a thief has bound the session to a key, and it must end as any other (RFC 9700
// section 4.14.2): otherwise a thief could keep the owner out, and nobody would notice.
func (a *attempt) otherKey(ctx context.Context, of standing) error {
	if a.r.Late && of != present {
		return a.endReused(ctx)
	}
	return fmt.Errorf("%w: session %s", ErrOtherKey, a.sid)
}

// use uses up the proof. The attempt may look again after that, and does not use it twice.
func (a *attempt) use(ctx context.Context) error {
	use := a.by.Use
	if use == nil {
		return nil
	}
	a.by.Use = nil
	return use(ctx)
}

// rotate makes the next pair, and puts its record in the place of the one that was read.
func (a *attempt) rotate(ctx context.Context) (pair *Pair, err error) {
	a.waitForTheNext(ctx)
	next, token := *a.r, a.token.next()
	hash := token.hash()
	next.IssuedAt, next.From = nextIssue(a.now, a.r.IssuedAt), a.r.IssuedAt+1
	next.Expires, next.End = a.t.accessEnd(next.IssuedAt), a.t.end(a.r.Created, a.now)
	next.Present, next.Before = hash[:], nil
	next.Late = a.r.Late || a.r.Key == "" && a.by.Key != ""
	next.bind(a.by.Key)
	if err := a.pace(&next); err != nil {
		return nil, err
	}
	if err := a.admit(ctx); err != nil {
		return nil, err
	}
	if err := a.use(ctx); err != nil {
		return nil, err
	}
	if a.holder.Known {
		if next.Claims, err = compactClaims(a.holder.Claims); err != nil {
			return nil, fmt.Errorf("%w of a refresh: %w", ErrTerms, err)
		}
	}
	pair, err = a.pair(ctx, a.sid, &next, &token)
	if err != nil {
		return nil, err
	}
	if a.t.Grace > 0 {
		if next.Before, err = a.sealFor(pair, &token); err != nil {
			return nil, unavailable("sealing the new pair", err)
		}
	}
	if next.End > next.Listed {
		if err := a.enlist(ctx, a.t, a.sid, &next, a.now); err != nil {
			return nil, err
		}
	}
	if err := a.replace(ctx, &next); err != nil {
		return nil, err
	}
	return pair, nil
}

// shortest is longer than the millisecond by which the iat grows at least.
const shortest = 2 * time.Millisecond

// waitForTheNext waits for a moment if the present pair is from the last millisecond or so. Without this, whoever
// refreshes all the time could get an iat far ahead of the clock, which cut-offs of admins do not reach. It waits only
// once: after a clock went back, sessions go on, and their iats grow more slowly than the clock until it has passed
// them.
func (a *attempt) waitForTheNext(ctx context.Context) {
	if nextIssue(a.now, a.r.IssuedAt) < a.now {
		return
	}
	timer := time.NewTimer(shortest)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	a.now = a.Sessions.now()
}

// How often a session may refresh: refreshBurst times at once, and again for each refreshEvery. Each refresh leaves a
// cut-off behind, and one user must not fill the store with them.
const (
	refreshEvery = time.Second
	refreshBurst = 30
)

// TooSoonError means that a session refreshes too often. Its refresh token is as good as before.
type TooSoonError struct {
	// RetryAfter is when the next refresh is possible. It is above 0.
	RetryAfter time.Duration
}

// Error says that the session has to wait.
func (e *TooSoonError) Error() string {
	return fmt.Sprintf("the session refreshes too often: the next one is possible in %v", e.RetryAfter)
}

// pace counts the refresh. The error is a *TooSoonError.
func (a *attempt) pace(next *record) error {
	latest := a.now + refreshBurst*refreshEvery.Milliseconds()
	before := a.r.Paced
	if before > latest { // the clock went back
		before = a.now
	}
	next.Paced = max(a.now, before) + refreshEvery.Milliseconds()
	if ahead := next.Paced - latest; ahead > 0 {
		return &TooSoonError{time.Duration(ahead) * time.Millisecond}
	}
	return nil
}

// sealFor seals a new pair for whoever comes with the old token again.
func (a *attempt) sealFor(pair *Pair, token *refreshToken) (*before, error) {
	p := &sealed{Access: pair.Access, Secret: token.secret[:], OldExp: a.r.Expires}
	box, err := p.seal(a.token)
	hash := a.token.hash()
	return &before{Hash: hash[:], Until: a.now + a.t.Grace.Milliseconds(), Sealed: box}, err
}

// replace cuts off the old access token, and then has the new record take the place of the old one.
func (a *attempt) replace(ctx context.Context, next *record) error {
	text, err := encode(next)
	if err == nil {
		err = ctx.Err() // the last moment at which a client that has gone changes anything
	}
	if err != nil {
		return unavailable("session "+a.sid, err)
	}
	ctx, cancel := detach(ctx)
	defer cancel()
	if err := a.cutOld(ctx, a.r.IssuedAt, a.r.Expires); err != nil {
		return err
	}
	swapped, err := a.o.Store.Swap(ctx, keyOf(a.sid), a.text, text, next.kept())
	if err == nil && !swapped {
		return errChanged
	}
	if err != nil && !a.isThere(ctx, text) {
		return unavailable("keeping session "+a.sid, err)
	}
	return nil
}

// isThere reports whether the store has a record for sure. A write that fails may have taken effect. If that can be
// seen, the client gets its pair after all, and need not come for the second time.
func (a *attempt) isThere(ctx context.Context, record []byte) bool {
	there, err := a.o.Store.Get(ctx, keyOf(a.sid))
	return err == nil && bytes.Equal(there, record)
}

// cutOld cuts off an access token that may still be alive.
func (a *attempt) cutOld(ctx context.Context, issued, expires int64) error {
	if expires*1000+a.o.Leeway.Milliseconds() < a.now {
		return nil
	}
	return a.cut(ctx, a.sid, issued, a.accessKept(expires))
}

// repeat returns the present pair to whoever has the refresh token before it. It writes the cut-off again that came
// with the pair: nothing is new if that is still there.
func (a *attempt) repeat(ctx context.Context) (*Pair, error) {
	if err := a.admit(ctx); err != nil {
		return nil, err
	}
	if err := a.use(ctx); err != nil {
		return nil, err
	}
	p, err := unseal(a.r.Before.Sealed, a.token)
	if err != nil {
		return nil, unavailable("session "+a.sid, err)
	}
	ctx, cancel := detach(ctx)
	defer cancel()
	if err := a.cutOld(ctx, a.r.From-1, p.OldExp); err != nil {
		return nil, err
	}
	token := *a.token
	copy(token.secret[:], p.Secret)
	return a.r.pair(a.sid, p.Access, &token), nil
}

// cut is Revocations.Cut with times in milliseconds.
func (s *Sessions) cut(ctx context.Context, sid string, until int64, expires time.Time) error {
	if err := s.o.Revocations.Cut(ctx, sid, timeOf(until), expires); err != nil {
		return unavailable("cutting off access tokens of session "+sid, err)
	}
	return nil
}

// detach makes a context that does not end with a request.
func detach(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), patience)
}
