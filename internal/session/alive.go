package session

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Info is what there is to tell about a session. It has nothing from which a token could be made.
type Info struct {
	Session, App, Subject string
	// Created is when its user logged in, Refreshed when it got its present pair, and Ends when that can be refreshed no
	// more.
	Created, Refreshed, Ends time.Time
}

func (r *record) info(sid string) Info {
	return Info{sid, r.App, r.Subject, timeOf(r.Created), timeOf(r.IssuedAt), timeOf(r.End)}
}

// List returns the sessions of a subject in an app that are alive, from the oldest login on: those that could be
// refreshed now, if the subject may still have sessions. The error is ErrTerms or ErrUnavailable, and
// then there may be more.
func (s *Sessions) List(ctx context.Context, t *Terms, subject string) (alive []Info, err error) {
	sids, err := s.listed(ctx, t, subject)
	if err != nil {
		return nil, err
	}
	for _, sid := range sids {
		_, r, err := s.load(ctx, sid)
		if errors.Is(err, ErrInvalid) {
			continue
		}
		if err != nil {
			return alive, err
		}
		lives, err := s.isAlive(ctx, t, sid, r)
		if err != nil {
			return alive, err
		}
		if lives {
			alive = append(alive, r.info(sid))
		}
	}
	return alive, nil
}

// EndAll ends all sessions of a subject in an app, as End does with each. It returns those that were alive. The subject
// may log in again at any time. With an error, some may go on: it is no error to call it again. The error is ErrTerms
// or ErrUnavailable.
//
// A login that is under way has the session in the list, or the session is a later one. Its record may come only after
// the cut-off, which then ends it at the first refresh.
func (s *Sessions) EndAll(ctx context.Context, t *Terms, subject string) (ended []Info, err error) {
	sids, err := s.listed(ctx, t, subject)
	if err != nil {
		return nil, err
	}
	var failed []error
	for _, sid := range sids {
		one, err := s.EndOne(ctx, t, sid)
		if err != nil {
			failed = append(failed, err)
		}
		if one != nil {
			ended = append(ended, *one)
		}
	}
	return ended, errors.Join(failed...)
}

// EndOne is End for somebody who has no token of the session, whose app may be another one than that of the terms. It
// returns the session if it was alive.
func (s *Sessions) EndOne(ctx context.Context, t *Terms, sid string) (ended *Info, err error) {
	r, err := s.end(ctx, t, sid, time.Time{}, time.Time{}, func(ctx context.Context, r *record) {
		if alive, err := s.isAlive(ctx, t, sid, r); alive || err != nil {
			info := r.info(sid)
			ended = &info
		}
	})
	if r == nil {
		return nil, err
	}
	return ended, err
}

// listed are the ids in the list of a subject's sessions.
func (s *Sessions) listed(ctx context.Context, t *Terms, subject string) (sids []string, err error) {
	if err := t.Check(); err != nil {
		return nil, err
	}
	if subject == "" {
		return nil, fmt.Errorf("%w: no subject", ErrTerms)
	}
	_, l, err := s.loadList(ctx, listKey(&record{Issuer: s.o.Issuer, App: t.App, Subject: subject}))
	if err != nil {
		return nil, err
	}
	for _, one := range l.Sessions {
		sids = append(sids, one.SID)
	}
	return sids, nil
}

// isAlive reports whether a session could go on, if its subject still may.
func (s *Sessions) isAlive(ctx context.Context, t *Terms, sid string, r *record) (bool, error) {
	anybody := *t
	anybody.Holder = nil
	a := &attempt{Sessions: s, t: &anybody, sid: sid, r: r, now: s.now()}
	err := a.refusal(ctx)
	if errors.Is(err, ErrInvalid) {
		return false, nil
	}
	return err == nil, err
}
