package tokenissuer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/caddyjwt/gateway/caddyjwt/tokenissuer/applications"
	"github.com/caddyjwt/gateway/caddyjwt/tokenissuer/orders"
	"github.com/caddyjwt/gateway/internal/session"
)

// shown is the issuer as operators see it.
func (i *issuer) shown() orders.Issuer {
	shown := orders.Issuer{Issuer: i.name, Algorithm: i.algorithm.String(), Apps: []orders.App{}}
	for _, app := range i.apps {
		e := app.Endpoints
		shown.Apps = append(shown.Apps, orders.App{
			Path: app.Path, Audience: app.Audience, Login: app.Path + e.Login, Refresh: app.Path + e.Refresh,
			Logout: app.Path + e.Logout, Revoke: app.Path + e.Revoke,
		})
	}
	return shown
}

// appsOf are the applications with a path; all of them if it is empty.
func (i *issuer) appsOf(path string) (apps []*applications.Application, err error) {
	for _, app := range i.apps {
		if path == "" || app.Path == path {
			apps = append(apps, app)
		}
	}
	if len(apps) == 0 {
		return nil, fmt.Errorf("%w: token_issuer %s has no application with the path %q", errWrongOrder, i.name, path)
	}
	return apps, nil
}

// listSessions are sessions that are alive, in all applications or in one: those of a user, or without a name a part of
// all.
func (i *issuer) listSessions(ctx context.Context, user, path string, part int) (*orders.Sessions, error) {
	r, err := i.started()
	if err != nil {
		return nil, err
	}
	apps, err := i.appsOf(path)
	if err != nil {
		return nil, err
	}
	found := new(session.Part)
	if user == "" {
		found, err = r.sessions.All(ctx, func(path string) *session.Terms {
			for _, app := range apps {
				if app.Path == path {
					return i.terms(app, r)
				}
			}
			return nil
		}, part)
	} else {
		for _, app := range apps {
			some, failed := r.sessions.List(ctx, i.terms(app, r), user)
			found.Alive, err = append(found.Alive, some...), errors.Join(err, failed)
		}
	}
	if err != nil {
		return nil, err
	}
	answer := &orders.Sessions{
		Issuer: i.name, Sessions: []orders.Session{}, Next: found.Next, Unreadable: found.Unreadable,
	}
	for _, one := range found.Alive {
		answer.Sessions = append(answer.Sessions, orders.Session{
			SID: one.Session, App: one.App, Subject: one.Subject, Created: one.Created, Refreshed: one.Refreshed,
			Ends: one.Ends,
		})
	}
	return answer, nil
}

// endSessions ends sessions as a logout does. That they have ended before is no error.
func (i *issuer) endSessions(ctx context.Context, order *orders.End) (*orders.Ended, error) {
	r, err := i.started()
	if err != nil {
		return nil, err
	}
	var ended []session.Info
	if order.SID != "" {
		one, failed := r.sessions.EndOne(ctx, i.anyTerms(r), order.SID)
		if err = failed; one != nil {
			ended = append(ended, *one)
		}
	} else {
		ended, err = i.endAll(ctx, r, order)
	}
	for _, one := range ended {
		i.logger.Info("session ended by an operator", zap.String("issuer", i.name), zap.String("sub", one.Subject),
			zap.String("app", one.App), zap.String("sid", one.Session))
		i.emit("token_issuer_session_ended", map[string]any{
			"issuer": i.name, "sub": one.Subject, "app": one.App, "sid": one.Session,
		})
	}
	switch {
	case errors.Is(err, session.ErrMalformed): // it may be a token, so it is not repeated
		return nil, fmt.Errorf("%w: a sid has 24 characters of base64url, as the claim sid has them", errWrongOrder)
	case errors.Is(err, session.ErrUnavailable):
		return nil, fmt.Errorf("%d sessions have ended, and others may go on, so repeat it: %w", len(ended), err)
	case err != nil:
		return nil, err
	}
	return &orders.Ended{Issuer: i.name, Ended: len(ended)}, nil
}

func (i *issuer) endAll(ctx context.Context, r *running, order *orders.End) (ended []session.Info, err error) {
	apps, err := i.appsOf(order.App)
	if err != nil {
		return nil, err
	}
	for _, app := range apps {
		some, err := r.sessions.EndAll(ctx, i.terms(app, r), order.User)
		ended = append(ended, some...)
		if err != nil {
			return ended, err
		}
	}
	return ended, nil
}

// anyTerms are at least those of each application, for a session of which only the sid is known. Its access token may
// be from a time of longer lifetimes.
func (i *issuer) anyTerms(r *running) *session.Terms {
	t := &session.Terms{
		App: "any", AccessLifetime: min(r.longest, applications.LongestAccess), RefreshLifetime: time.Second,
	}
	for _, app := range i.apps {
		t.AccessLifetime = max(t.AccessLifetime, app.Access)
		t.RefreshLifetime = max(t.RefreshLifetime, app.Refresh)
		t.Absolute = max(t.Absolute, app.Session)
	}
	return t
}

// registered are the OAuth clients.
func (i *issuer) registered() (*orders.Clients, error) {
	r, err := i.started()
	if err != nil {
		return nil, err
	}
	return &orders.Clients{Issuer: i.name, Clients: r.clients.Shown()}, nil
}

// keys are those that verify.
func (i *issuer) keys() (*orders.Keys, error) {
	r, err := i.started()
	if err != nil {
		return nil, err
	}
	answer := &orders.Keys{Issuer: i.name, Keys: []orders.Key{}}
	for _, key := range r.ring.Keys() {
		answer.Keys = append(answer.Keys, orders.Key{
			KeyID: key.KeyID, Algorithm: key.Algorithm.String(), State: key.State.String(), Since: key.Since, Until: key.Until,
		})
	}
	return answer, nil
}

// change changes the keys.
func (i *issuer) change(ctx context.Context, action orders.Action) (*orders.Keys, error) {
	r, err := i.started()
	if err != nil {
		return nil, err
	}
	line, event := "signing keys rotated by an operator", "token_issuer_keys_rotated"
	if action == orders.Reset {
		line, event = "signing keys reset by an operator: all tokens are out", "token_issuer_keys_reset"
		err = i.reset(ctx, r)
	} else {
		err = r.ring.Rotate(ctx)
	}
	if err != nil {
		return nil, err
	}
	i.logger.Info(line, zap.String("issuer", i.name))
	i.emit(event, map[string]any{"issuer": i.name})
	answer, err := i.keys()
	if err != nil {
		return nil, err
	}
	answer.Action = action
	return answer, nil
}

// reset takes all keys away, and all tokens with them.
//
// The keys come first: with the document in the storage, all is decided. Former keys are in it no more, and it has the
// time until when sessions are out. If all stops here, each node finds that out at its next look, a few seconds later.
//
// The cut-off comes second. It is the announcement: it ends all sessions and tokens within a second on all nodes that
// share the store, and has them look at the storage, which has the new keys by then. Until a node has read it, nothing
// is verified and nothing is signed there: see keyring.Ring.Doubt. So what a node has signed with a former key after
// the cut-off is good nowhere. With the other order, a node might look before the keys are there, and go on with the
// former ones.
//
// Other handlers of this process with the same issuer have read the keys when it returns, or are in doubt.
func (i *issuer) reset(ctx context.Context, r *running) error {
	if err := r.ring.Reset(ctx); err != nil {
		return fmt.Errorf("it is not certain that the keys are reset, so repeat it: %w", err)
	}
	if err := r.backing.CutOffAll(ctx, i.name); err != nil {
		return fmt.Errorf("the keys are reset, but other nodes notice that only when they look at the storage the next "+
			"time, so repeat it: %w", err)
	}
	for _, other := range inForce.named(i.name) {
		if r := other.running.Load(); r != nil {
			_ = r.ring.CatchUp(ctx) // after an error it takes no token, and logs why
		}
	}
	return nil
}

// started is the issuer that has begun its work.
func (i *issuer) started() (*running, error) {
	if r := i.running.Load(); r != nil {
		return r, nil
	}
	return nil, errNotStarted
}
