package session

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/caddyjwt/gateway/internal/store"
)

// list names the sessions of one subject in one app of an issuer, so that there are only so many. It never lacks one
// that is there. It may have some that have ended.
type list struct {
	Version  int      `json:"v"`
	Until    int64    `json:"u"`           // the store keeps it until then, in milliseconds
	Indexed  int64    `json:"x,omitempty"` // until when the index names this list at least
	Sessions []listed `json:"s"`           // by the time of their logins
}

// listed is one session in a list.
type listed struct {
	SID string `json:"i"`
	End int64  `json:"e"` // of a refresh token that it had. Its record says whether it goes on.
}

// indexedFor is how many lifetimes of a refresh token longer the index names a list than it has to, so that it seldom
// has to be written.
const indexedFor = 8

// maxListTries is how often a list is read again that others have changed. Each time, one of them has got through.
const maxListTries = 128

var (
	errList = errors.New("the list of a subject's sessions is damaged, or of another version of this program: run the " +
		"same version on all nodes that share the store, or delete it, and the sessions in it are not counted")
	errContended = errors.New("others keep changing the list of the subject's sessions")
)

// listKey is where the list of a subject is. The name has a fixed length, whatever issuer, subject and app are.
func listKey(r *record) string {
	sum := listSum(r)
	return "sessions of/" + base64.RawURLEncoding.EncodeToString(sum[:])
}

func listSum(r *record) [sha256.Size]byte {
	return sha256.Sum256(fmt.Appendf(nil, "%d %s %d %s %s", len(r.Issuer), r.Issuer, len(r.App), r.App, r.Subject))
}

// loadList reads a list, and returns its bytes, too: nil if there is none.
func (s *Sessions) loadList(ctx context.Context, key string) ([]byte, *list, error) {
	text, err := s.o.Store.Get(ctx, key)
	if errors.Is(err, store.ErrNotFound) {
		return nil, &list{Version: version}, nil
	}
	if err != nil {
		return nil, nil, unavailable("reading "+key, err)
	}
	l := new(list)
	if json.Unmarshal(text, l) != nil || l.Version != version || l.Until <= 0 || l.Until > latest {
		return nil, nil, unavailable(key, errList)
	}
	return text, l, nil
}

// enlist has the list name a session for as long as it may live without another refresh. It notes in the record until
// when the list lasts. That is twice as long, so that few refreshes have to come back.
func (s *Sessions) enlist(ctx context.Context, t *Terms, sid string, r *record, now int64) error {
	key := listKey(r)
	for range maxListTries {
		old, l, err := s.loadList(ctx, key)
		if err != nil {
			return err
		}
		if err := s.add(ctx, l, listed{sid, r.End}, now); err != nil {
			return err
		}
		l.Until = max(l.Until, r.End, now+2*t.RefreshLifetime.Milliseconds())
		if l.Indexed < l.Until {
			until := l.Until + max(t.Absolute.Milliseconds(), indexedFor*t.RefreshLifetime.Milliseconds())
			if err := s.index(ctx, r, until, now); err != nil {
				return err
			}
			l.Indexed = until
		}
		fresh, err := encode(l)
		if err != nil {
			return unavailable(key, err)
		}
		swapped, err := s.o.Store.Swap(ctx, key, old, fresh, timeOf(l.Until).Add(2*margin))
		if err != nil {
			return unavailable("keeping "+key, err)
		}
		if swapped {
			r.Listed = l.Until
			return nil
		}
	}
	return unavailable(key, errContended)
}

// add adds a session to a list, or notes its new end. Over PerUser, the sessions of the oldest logins end, before the
// list forgets them, so that none lives uncounted. Their access tokens live on until they expire: a service that logs
// in all the time, instead of refreshing, still uses them.
func (s *Sessions) add(ctx context.Context, l *list, fresh listed, now int64) error {
	if i := slices.IndexFunc(l.Sessions, func(known listed) bool { return known.SID == fresh.SID }); i >= 0 {
		l.Sessions[i].End = fresh.End
		return nil
	}
	if len(l.Sessions) >= s.o.PerUser {
		if err := s.prune(ctx, l, now); err != nil {
			return err
		}
	}
	for len(l.Sessions) >= s.o.PerUser {
		if err := s.bar(ctx, l.Sessions[0].SID, now); err != nil {
			return err
		}
		l.Sessions = l.Sessions[1:]
	}
	l.Sessions = append(l.Sessions, fresh)
	return nil
}

// barred is in the place of the record of a session that ended before its login was over.
const barred = "ended"

// bar deletes the record of a session. There may be none because the session has ended, or because its login has only
// come as far as the list. That one must fail: its session would live, and no list would have it.
func (s *Sessions) bar(ctx context.Context, sid string, now int64) error {
	for range maxTries {
		text, err := s.o.Store.Get(ctx, keyOf(sid))
		done := err == nil && string(text) == barred // by another login
		switch {
		case done:
		case errors.Is(err, store.ErrNotFound):
			done, err = s.o.Store.Swap(ctx, keyOf(sid), nil, []byte(barred), timeOf(now).Add(patience+margin))
		case err == nil:
			var r *record
			r, err = s.take(ctx, sid)
			done = r != nil
		}
		if err != nil {
			return unavailable("ending session "+sid, err)
		}
		if done {
			return nil
		}
	}
	return unavailable("session "+sid, errChanged)
}

// prune removes the sessions that have expired. One whose end has passed may have been refreshed: its record says that,
// and its new end spares it the question for another lifetime.
func (s *Sessions) prune(ctx context.Context, l *list, now int64) error {
	kept := l.Sessions[:0]
	for _, session := range l.Sessions {
		if session.End <= now {
			_, r, err := s.load(ctx, session.SID)
			switch {
			case errors.Is(err, ErrInvalid), err == nil && r.End <= now:
				continue
			case err == nil:
				session.End = r.End
			case !errors.Is(err, errRecord):
				return err
			}
		}
		kept = append(kept, session)
	}
	l.Sessions = kept
	return nil
}

// unlist removes a session from its list, after its record is gone. If that fails, the session counts until its end.
func (s *Sessions) unlist(ctx context.Context, sid string, r *record) {
	key := listKey(r)
	for range maxTries {
		old, l, err := s.loadList(ctx, key)
		if err != nil || old == nil {
			return
		}
		l.Sessions = slices.DeleteFunc(l.Sessions, func(known listed) bool { return known.SID == sid })
		var fresh []byte
		if len(l.Sessions) > 0 {
			if fresh, err = encode(l); err != nil {
				return
			}
		}
		if swapped, err := s.o.Store.Swap(ctx, key, old, fresh, timeOf(l.Until).Add(2*margin)); err != nil || swapped {
			return
		}
	}
}
