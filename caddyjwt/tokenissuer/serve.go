package tokenissuer

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddyjwt/gateway/caddyjwt/bodies"
	"github.com/caddyjwt/gateway/internal/bearer"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/issuing"
	"github.com/caddyjwt/gateway/internal/session"
	"github.com/caddyjwt/gateway/internal/users"
	"github.com/caddyjwt/gateway/internal/users/attempts"
)

// guard bounds the attempts to sign in at all issuers of the process.
var guard = mustGuard()

func mustGuard() *attempts.Guard {
	g, err := attempts.New(attempts.Config{})
	if err != nil { // the defaults are good
		panic(err)
	}
	return g
}

// ServeHTTP answers the addresses of the issuer, and hands other requests on.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	// The path as the client sent it. In any other spelling somebody else may read another path.
	path, _, _ := strings.Cut(targetOf(r), "?")
	if serve := h.issuer.documentAt(path); serve != nil {
		serve(w, r)
		return nil
	}
	app, serve := h.issuer.endpointAt(path)
	if serve == nil {
		return next.ServeHTTP(w, r)
	}
	policy := h.built.cors
	switch {
	case policy == nil:
	case bearer.IsPreflight(r):
		policy.Answer(w, r)
		return nil
	default:
		marked := policy.Wrap(w, r)
		defer marked.Finish()
		w = marked
	}
	h.issuer.answer(w, r, app, serve)
	return nil
}

// endpoint answers a request to one address. It has written an answer unless it returns an error.
type endpoint func(*call) error

// call is a request to an endpoint.
type call struct {
	*running
	issuer *issuer
	app    *application
	w      http.ResponseWriter
	r      *http.Request
	basic  bool // the client has used Basic
}

// endpointAt finds the endpoint at a path; nil for none.
func (i *issuer) endpointAt(path string) (*application, endpoint) {
	for _, app := range i.apps {
		name, below := strings.CutPrefix(path, app.path)
		if !below {
			continue
		}
		switch name {
		case app.endpoints.Login:
			return app, login
		case app.endpoints.Refresh:
			return app, refresh
		case app.endpoints.Logout, app.endpoints.Revoke:
			return app, logout
		}
	}
	return nil, nil
}

// answer has an endpoint answer a request. A client has a few seconds to send the body.
func (i *issuer) answer(w http.ResponseWriter, r *http.Request, app *application, serve endpoint) {
	bodies.Limit(w, bodies.FormTimeout)
	c := &call{running: i.running.Load(), issuer: i, app: app, w: w, r: r}
	err := errNotStarted
	if c.running != nil {
		err = serve(c)
	}
	bodies.Limit(w, bodies.RefusedTimeout) // for what is left of the body
	if err == nil {
		return
	}
	failure := failureOf(err)
	i.report(r, app, failure)
	issuing.WriteFailure(w, failure, app.path, c.basic)
}

// failureOf is what a client hears of an error.
func failureOf(err error) *issuing.Failure {
	if failure, is := errors.AsType[*issuing.Failure](err); is {
		return failure
	}
	if limited, is := errors.AsType[*attempts.Limited](err); is {
		return issuing.TooMany(limited.RetryAfter, err)
	}
	if soon, is := errors.AsType[*session.TooSoonError](err); is {
		return issuing.TooMany(soon.RetryAfter, err)
	}
	switch {
	case errors.Is(err, users.ErrRefused):
		return issuing.Wrong(err)
	case errors.Is(err, session.ErrInvalid), errors.Is(err, session.ErrMalformed):
		return issuing.Spent(err)
	}
	return issuing.Unavailable(err)
}

// report says in the access log why a request was refused, and in the log what an operator has to do something about.
func (i *issuer) report(r *http.Request, app *application, f *issuing.Failure) {
	if fields, ok := r.Context().Value(caddyhttp.ExtraLogFieldsCtxKey).(*caddyhttp.ExtraLogFields); ok {
		fields.Set(zap.String("token_issuer_refused", string(f.Code)))
	}
	if f.Status >= http.StatusInternalServerError && r.Context().Err() == nil {
		i.logger.Error("a request could not be answered", zap.String("issuer", i.name), zap.String("app", app.path),
			zap.Error(f.Cause))
	}
}

// login begins a session for a user who knows the password.
func login(c *call) error {
	credentials, err := issuing.ReadLogin(c.r)
	c.basic = credentials.Basic
	if err != nil {
		return err
	}
	var user *users.User
	err = guard.Do(c.r.Context(), clientOf(c.r), credentials.Name, func() (bool, error) {
		found, err := c.users.Check(c.r.Context(), credentials.Name, credentials.Password)
		user = found
		if errors.Is(err, users.ErrRefused) {
			return false, nil
		}
		return err == nil, err
	})
	if err != nil {
		return err
	}
	if user == nil {
		return users.ErrRefused
	}
	pair, err := c.sessions.Begin(c.r.Context(), c.issuer.terms(c.app, c.running), &session.Login{
		Subject: user.Name, ClientID: c.app.path,
	})
	if err != nil {
		return err
	}
	c.give(pair)
	return nil
}

// clientOf is the address that Caddy takes for the client's; the zero Addr if it is unknown.
func clientOf(r *http.Request) netip.Addr {
	text, _ := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string)
	address, err := netip.ParseAddr(text)
	if err != nil {
		return gate.Direct(r).Client()
	}
	return address.Unmap()
}

// still reports whether a user is still there, when a session goes on.
func (r *running) still(ctx context.Context, name string) (bool, error) {
	_, err := r.users.Find(ctx, name)
	switch {
	case err == nil, errors.Is(err, users.ErrCannotKnow):
		return true, nil
	case errors.Is(err, users.ErrRefused):
		return false, nil
	}
	return false, err
}

// refresh gives a new pair for a refresh token.
func refresh(c *call) error {
	token, err := issuing.ReadRefresh(c.r)
	if err != nil {
		return err
	}
	pair, err := c.sessions.Refresh(c.r.Context(), c.issuer.terms(c.app, c.running), token)
	if err != nil {
		return err
	}
	c.give(pair)
	return nil
}

func (c *call) give(p *session.Pair) {
	issuing.WritePair(c.w, &issuing.Pair{
		Access: p.Access, Refresh: p.Refresh, Subject: p.Subject, IssuedAt: p.IssuedAt, Expires: p.Expires,
	}, c.app.oauth, c.app.access)
}

// logout ends the session of the access token in the request.
func logout(c *call) error {
	if err := issuing.ReadEmpty(c.r); err != nil {
		return err
	}
	g := c.gates[c.app.path]
	verdict, err := g.Check(gate.Request{HTTP: c.r, Facts: facts{gate.Direct(c.r), targetOf(c.r)}})
	if err != nil {
		refused := gate.FailureOf(err)
		answer := g.Answer(refused)
		return &issuing.Failure{
			Status: answer.Status, Code: codeOf(answer), Text: answer.Text, Cause: refused, RetryAfter: refused.RetryAfter,
		}
	}
	set := verdict.Identity.Claims
	sid, _ := set.Session.JSON().Str()
	if err := c.sessions.End(c.r.Context(), c.issuer.terms(c.app, c.running), sid, set.IssuedAt); err != nil {
		return err
	}
	issuing.WriteDone(c.w)
	return nil
}

// codeOf is the error code of a gate's answer. One without a code is about a request without a token, or trouble of
// ours.
func codeOf(answer gate.Answer) issuing.Code {
	switch {
	case answer.Code != "":
		return issuing.Code(answer.Code)
	case answer.Status >= http.StatusInternalServerError:
		return issuing.TemporarilyUnavailable
	}
	return issuing.MissingToken
}
