package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddyjwt/gateway/internal/store"
)

// End ends a session, as a logout does. It returns when no refresh token of the session works, and none of its access
// tokens. The caller has made sure that whoever asks may end it: a good access token names it, or SIDOf a refresh
// token. issuedAt and accessEnds are iat and exp of that access token, or zero: it may have been issued on other terms.
// To end one that has ended is no error, and cuts off once more: after ErrUnavailable the client may try again. The
// other errors are ErrMalformed and ErrTerms.
//
// The record goes first. So a refresh at the same time either has swapped it before, and its iat is in what is taken,
// or its swap fails. Then the cut-off comes, which reaches the last access token that was handed out. If the store does
// not answer, the cut-off comes all the same: it ends the session at the next refresh.
func (s *Sessions) End(ctx context.Context, t *Terms, sid string, issuedAt, accessEnds time.Time) error {
	_, err := s.end(ctx, t, sid, issuedAt, accessEnds, func(context.Context, *record) {})
	return err
}

// end is End. It returns the record, if there was one; taken gets it before the cut-off, which changes what others say
// about the session.
func (s *Sessions) end(
	ctx context.Context, t *Terms, sid string, issuedAt, accessEnds time.Time, taken func(context.Context, *record),
) (*record, error) {
	if err := t.Check(); err != nil {
		return nil, err
	}
	if err := checkSID(sid); err != nil {
		return nil, err
	}
	ctx, cancel := detach(ctx)
	defer cancel()
	r, notTaken := s.take(ctx, sid)
	until := s.now()
	if !issuedAt.IsZero() {
		until = max(until, issuedAt.UnixMilli()+1)
	}
	expires := later(timeOf(until).Add(t.AccessLifetime), accessEnds).Add(s.o.Leeway + margin)
	switch {
	case r != nil:
		until = r.cutoff(until)
		expires = later(expires, s.endedKept(r, until))
		taken(ctx, r)
	case notTaken != nil:
		expires = later(expires, timeOf(until).Add(t.RefreshLifetime+margin))
	}
	notCut := s.cut(ctx, sid, until, expires)
	if r != nil && notCut == nil { // otherwise EndAll must find it once more
		s.unlist(ctx, sid, r)
	}
	return r, errors.Join(notTaken, notCut)
}

// cutoff is the end of a cut-off that reaches all of a session at a time. It is later than those that refreshes write.
func (r *record) cutoff(now int64) int64 { return max(now, r.IssuedAt+1) }

// lostFor is how long a cut-off of an ended session is kept for its refresh token. A store.Shared may lose that the
// record was taken, when a copy takes over that was behind. The list of cut-offs is written back then, and the record
// is not. It is not longer, because each logout leaves an entry.
const lostFor = time.Hour

// endedKept is until when a cut-off of a session is needed whose record was taken.
func (s *Sessions) endedKept(r *record, now int64) time.Time {
	refresh := r.kept()
	if most := timeOf(now).Add(lostFor); refresh.After(most) {
		refresh = most
	}
	return later(s.accessKept(r.Expires), refresh)
}

// take deletes the record of a session, and returns it. Nil without an error means that there was none, or one that
// cannot be read.
func (s *Sessions) take(ctx context.Context, sid string) (*record, error) {
	text, err := s.o.Store.Take(ctx, keyOf(sid))
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, unavailable("ending session "+sid, err)
	}
	r, err := decodeRecord(text)
	if err != nil {
		return nil, nil //nolint:nilerr // it is gone, and that is what was wanted
	}
	return r, nil
}

// EndToken ends the session of a refresh token, as its revocation does (RFC 7009 section 2.1). Any token of the session
// ends it, also one that was used. If there is no such session, there is nothing to do. The error is ErrMalformed,
// ErrInvalid for a session of another app, or ErrUnavailable, after which the client may try again.
func (s *Sessions) EndToken(ctx context.Context, t *Terms, token string) error {
	sid, err := SIDOf(token)
	if err != nil {
		return err
	}
	_, r, err := s.load(ctx, sid)
	switch {
	case errors.Is(err, ErrInvalid):
		return nil // and no cut-off, because anybody can think of such a token
	case err != nil:
		return err
	case r.App != t.App:
		return fmt.Errorf("%w: session %s is one of another app", ErrInvalid, sid)
	}
	ctx, cancel := detach(ctx)
	defer cancel()
	until := r.cutoff(s.now())
	if err := s.cut(ctx, sid, until, s.allKept(r)); err != nil {
		return err // with its record, or the next attempt would not know what to cut off
	}
	_, notCut, notTaken := s.takeCut(ctx, sid, until, nil)
	return errors.Join(notCut, notTaken)
}

// takeCut takes the record of a session that was to be cut off until a moment. notCut is why it could not be.
//
// The cut-off comes first. It alone ends the session, for both tokens, because it is later than those of refreshes. If
// all stops before the record is taken, no refresh can go on from it. If all stopped between with the other order,
// nobody would know any more which access token lives on. The record may be a newer one when it is taken. Then its
// access token is cut off as well.
func (s *Sessions) takeCut(
	ctx context.Context, sid string, until int64, notCut error,
) (taken *record, stillNotCut, notTaken error) {
	taken, notTaken = s.take(ctx, sid)
	if taken != nil && (notCut != nil || taken.IssuedAt >= until) {
		notCut = s.cut(ctx, sid, taken.cutoff(s.now()), s.allKept(taken))
	}
	if taken != nil {
		s.unlist(ctx, sid, taken)
	}
	return taken, notCut, notTaken
}

// endReused ends a session of which a refresh token came for the second time (RFC 9700 section 4.14.2). It returns
// ErrReused. That is an ErrUnavailable, too, if the session has ended and its access token could not be cut off.
func (a *attempt) endReused(ctx context.Context) error {
	ctx, cancel := detach(ctx)
	defer cancel()
	until := a.r.cutoff(a.now)
	taken, notCut, notTaken := a.takeCut(ctx, a.sid, until, a.cut(ctx, a.sid, until, a.allKept(a.r)))
	if taken != nil {
		a.o.Reused(a.sid, taken.Subject, taken.App)
	}
	switch {
	case notTaken != nil:
		return notTaken
	case notCut != nil:
		return fmt.Errorf("%w: session %s: but its access token may live until it expires: %w", ErrReused, a.sid, notCut)
	}
	return fmt.Errorf("%w: session %s", ErrReused, a.sid)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
