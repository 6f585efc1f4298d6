package session

import (
	"context"
	"errors"
	"fmt"
)

// admit returns ErrInvalid if the session may not go on. Then its record is removed, unless others have changed it: the
// answer is about a record that is there no more, and all has to be looked at again.
func (a *attempt) admit(ctx context.Context) error {
	refused := a.refusal(ctx)
	if !errors.Is(refused, ErrInvalid) {
		return refused
	}
	ctx, cancel := detach(ctx)
	defer cancel()
	removed, err := a.o.Store.Swap(ctx, keyOf(a.sid), a.text, nil, a.r.kept())
	switch {
	case err != nil:
		return unavailable("removing session "+a.sid, err)
	case !removed:
		return errChanged
	}
	a.unlist(ctx, a.sid, a.r)
	return refused
}

// refusal returns why the session may not go on: ErrInvalid, or ErrUnavailable if that is not known. It is nil if the
// session may.
//
// The iat of the next pair is older than these questions. So what somebody revokes after they were answered is later
// than that iat: it reaches the new access token, and the answers of the next refresh.
func (a *attempt) refusal(ctx context.Context) error {
	if a.now >= a.r.End || a.now >= a.r.IssuedAt+a.t.RefreshLifetime.Milliseconds()+margin.Milliseconds() ||
		a.t.Absolute > 0 && a.now >= a.r.Created+a.t.Absolute.Milliseconds() {
		return fmt.Errorf("%w: session %s has expired", ErrInvalid, a.sid)
	}
	holder, err := a.Sessions.holder(ctx, a.t, a.r.Subject, a.r.Mark)
	if err != nil {
		return err
	}
	a.holder = holder
	cut, err := a.isRevoked(ctx, Query{
		Subject: a.r.Subject, Client: a.r.Client, Group: a.r.Group,
		IssuedAt: timeOf(a.r.Created), // a cut-off after the login ends the session, however often it was refreshed
	})
	if err == nil && !cut {
		cut, err = a.isSessionCut(ctx)
	}
	if err == nil && cut {
		err = fmt.Errorf("%w: session %s is revoked", ErrInvalid, a.sid)
	}
	return err
}

// isSessionCut reports whether somebody has cut off the session. Refreshes write cut-offs of sessions, too: each until
// the iat of the pair that it replaces. These end no session. There are two of them to be told apart from others.
//
// The one of the refresh that made the present pair ended one millisecond before From, so it does not reach that.
//
// The one of the next refresh ends exactly at the present iat. It is there while another caller is about to swap the
// record, and after one that stopped before it did. A question with the present iat and one a millisecond later find
// it. Nobody else's has this very end: who cuts off after the present pair has a later one (see nextIssue), and who
// did before was asked about when that pair was made.
func (a *attempt) isSessionCut(ctx context.Context) (bool, error) {
	reaches := func(ms int64) (bool, error) {
		return a.isRevoked(ctx, Query{Session: a.sid, IssuedAt: timeOf(ms)})
	}
	if cut, err := reaches(a.r.From); err != nil || !cut {
		return false, err
	}
	if cut, err := reaches(a.r.IssuedAt); err != nil || !cut {
		return !cut, err
	}
	return reaches(a.r.IssuedAt + 1)
}

func (s *Sessions) isRevoked(ctx context.Context, q Query) (bool, error) {
	revoked, err := s.o.Revocations.IsRevoked(ctx, q)
	if err != nil {
		return false, unavailable("asking for revocations", err)
	}
	return revoked, nil
}
