package session_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/revoke"
	"github.com/caddyjwt/gateway/internal/session"
	"github.com/caddyjwt/gateway/internal/store"
)

// ledger is Revocations in a real ledger.
type ledger struct {
	*revoke.Ledger
	now   func() time.Time
	group *revoke.Terms
}

func (l *ledger) Cut(ctx context.Context, sid string, until, expires time.Time) error {
	return l.write(ctx, revoke.Session, "", sid, until, expires)
}

func (l *ledger) write(ctx context.Context, kind revoke.Kind, claim, value string, until, expires time.Time) error {
	return l.Write(ctx, &revoke.Entry{
		Target:   revoke.Target{Issuer: issuer, Kind: kind, Claim: claim, Value: value},
		NotAfter: until, Expires: expires, At: l.now(),
	})
}

func (l *ledger) IsRevoked(_ context.Context, q session.Query) (bool, error) {
	if _, err := l.List().Generation(l.now()); err != nil {
		return false, err
	}
	ms := q.IssuedAt.UnixMilli()
	says := m{"iat": json.Number(fmt.Sprintf("%d.%03d", ms/1000, ms%1000))}
	for name, value := range map[string]string{
		"sub": q.Subject, "sid": q.Session, "client_id": q.Client, "group": q.Group,
	} {
		if value != "" {
			says[name] = value
		}
	}
	text, err := json.Marshal(says)
	if err != nil {
		return false, err
	}
	set, err := claims.Decode(text)
	if err != nil {
		return false, err
	}
	_, revoked := l.List().Revokes(revoke.Token{Issuer: issuer, Set: set, Terms: l.group})
	return revoked, nil
}

// Sessions and the entries that end access tokens are in one store, as in a gateway.
func TestSessionsWithARealLedger(t *testing.T) {
	path, err := claims.ParsePath("group")
	if err != nil {
		t.Fatal(err)
	}
	for name, in := range map[string]store.Store{"memory": store.NewMemory(), "file": openFile(t)} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, in)
			real, err := revoke.Open(t.Context(), in, revoke.Options{Now: h.clock.now})
			if err != nil {
				t.Fatal(err)
			}
			defer real.Close()
			l := &ledger{real, h.clock.now, revoke.NewTerms("", path)}
			h.options.Revocations = l
			h.Sessions = open(t, h.options)
			lives := func(p *session.Pair) bool {
				revoked, err := l.IsRevoked(t.Context(), session.Query{Session: p.Session, IssuedAt: p.IssuedAt})
				return err == nil && !revoked
			}

			p, kept := begin(t, h, terms()), begin(t, h, terms())
			for range 20 {
				h.clock.advance(333 * time.Millisecond)
				next := refresh(t, h, terms(), p.Refresh)
				if lives(p) || !lives(next) {
					t.Fatalf("the old access token lives: %v, and the new one: %v", lives(p), lives(next))
				}
				p = next
			}
			if err := h.End(t.Context(), terms(), p.Session, p.IssuedAt, p.Expires); err != nil || lives(p) || !lives(kept) {
				t.Errorf("error %v, and the session lives: %v", err, lives(p))
			}
			refused(t, h, terms(), p.Refresh, session.ErrInvalid)

			now := h.clock.now()
			if err := l.write(t.Context(), revoke.Claim, path.Pointer(), "staff", now, now.Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
			refused(t, h, terms(), kept.Refresh, session.ErrInvalid)
		})
	}
}
