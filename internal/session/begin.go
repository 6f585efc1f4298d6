package session

import (
	"context"
	"errors"
	"fmt"
)

// Begin begins a session, and returns its first pair. The caller has made sure who logs in. The error is ErrTerms,
// ErrInvalid if the subject may have no sessions, or ErrUnavailable.
//
// The list of the subject's sessions comes before the record: a session that nobody counts must not be. If something
// fails between, the list names a session that is not there, which counts for a while and does nothing else. If the
// list forgets the session between, because others log in, the record is barred: see bar.
func (s *Sessions) Begin(ctx context.Context, t *Terms, l *Login) (*Pair, error) {
	if err := t.Check(); err != nil {
		return nil, err
	}
	claims, err := l.check()
	if err != nil {
		return nil, err
	}
	now := s.now()
	issued := nextIssue(now, 0) // before Holder is asked: who is removed after that is cut off later than that
	if _, err := s.holder(ctx, t, l.Subject, l.Mark); err != nil {
		return nil, err
	}
	token := newToken()
	sid, hash := token.sid(), token.hash()
	r := &record{
		Version: version, Issuer: s.o.Issuer, Subject: l.Subject, App: t.App, Client: l.ClientID, Group: l.Group,
		Mark: l.Mark, Claims: claims, Created: issued, IssuedAt: issued, From: issued, Expires: t.accessEnd(issued),
		End: t.end(issued, now), Present: hash[:],
	}
	r.bind(l.Key)
	pair, err := s.pair(ctx, sid, r, &token)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, unavailable("session "+sid, err)
	}
	ctx, cancel := detach(ctx)
	defer cancel()
	if err := s.enlist(ctx, t, sid, r, now); err != nil {
		return nil, err
	}
	if err := s.store(ctx, sid, r); err != nil {
		return nil, err
	}
	return pair, nil
}

// store keeps the first record of a session.
func (s *Sessions) store(ctx context.Context, sid string, r *record) error {
	text, err := encode(r)
	if err != nil {
		return unavailable("session "+sid, err)
	}
	stored, err := s.o.Store.Swap(ctx, keyOf(sid), nil, text, r.kept())
	if err == nil && !stored {
		err = errors.New("too many others have logged in at the same time as the same user")
	}
	if err != nil {
		return unavailable("keeping session "+sid, err)
	}
	return nil
}

// holder returns who has the name of a subject. The error is ErrInvalid if nobody has it any more, or somebody else.
func (s *Sessions) holder(ctx context.Context, t *Terms, subject, mark string) (*Holder, error) {
	if t.Holder == nil {
		return &Holder{Mark: mark}, nil
	}
	holder, err := t.Holder(ctx, subject)
	switch {
	case err != nil:
		return nil, unavailable("looking for the subject", err)
	case holder == nil:
		return nil, fmt.Errorf("%w: its subject may have no sessions any more", ErrInvalid)
	case holder.Mark != mark:
		return nil, fmt.Errorf("%w: its subject has another password, or is somebody else now", ErrInvalid)
	}
	return holder, nil
}

// pair makes the pair that a record says, with a refresh token.
func (s *Sessions) pair(ctx context.Context, sid string, r *record, token *refreshToken) (*Pair, error) {
	access := &Access{
		Issuer: s.o.Issuer, Subject: r.Subject, Session: sid, ClientID: r.Client, Group: r.Group, App: r.App,
		Claims: r.Claims, Key: r.Key, IssuedAt: timeOf(r.IssuedAt), Expires: timeOf(r.Expires * 1000),
	}
	text, err := s.o.Sign(ctx, access)
	if err == nil && text == "" {
		err = errors.New("the signer gave no token and no error")
	}
	if err != nil {
		return nil, unavailable("signing an access token", err)
	}
	return r.pair(sid, text, token), nil
}

func (r *record) pair(sid, access string, token *refreshToken) *Pair {
	return &Pair{
		Access: access, Refresh: token.text(), Subject: r.Subject, Session: sid, Key: r.Key,
		IssuedAt: timeOf(r.IssuedAt), Expires: timeOf(r.Expires * 1000),
	}
}
