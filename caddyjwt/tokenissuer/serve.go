package tokenissuer

import (
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddyjwt/gateway/caddyjwt/bodies"
	"github.com/caddyjwt/gateway/caddyjwt/facts"
	"github.com/caddyjwt/gateway/caddyjwt/issuers"
	"github.com/caddyjwt/gateway/internal/apppath"
	"github.com/caddyjwt/gateway/internal/bearer"
	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/issuing"
	"github.com/caddyjwt/gateway/internal/session"
	"github.com/caddyjwt/gateway/internal/users"
	"github.com/caddyjwt/gateway/internal/users/attempts"
)

// guard bounds the attempts to sign in at all issuers of the process. The defaults are good.
var guard, _ = attempts.New(attempts.Config{})

// ServeHTTP answers the addresses of the issuer, and hands other requests on.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	// The path as the client sent it. In any other spelling somebody else may read another path.
	path := apppath.Path(facts.Of(r).Target(), r.ProtoMajor)
	if serve := h.issuer.documentAt(path); serve != nil {
		serve(w, r)
		return nil
	}
	app, at := h.issuer.endpointAt(path)
	serve := serving[at]
	if at == "" {
		if app, at, serve = h.issuer.misspelt(r); at == "" {
			return next.ServeHTTP(w, r)
		}
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
	h.issuer.answer(w, inOriginForm(r, path), app, at, serve)
	return nil
}

// The endpoints, as metrics call them.
const (
	endpointLogin   = "login"
	endpointRefresh = "refresh"
	endpointLogout  = "logout"
	endpointRevoke  = "revoke"
)

// serving has a function for each endpoint. It has written an answer unless it returns an error.
var serving = map[string]func(*call) error{
	endpointLogin: login, endpointRefresh: refresh, endpointLogout: logout, endpointRevoke: revokePair,
}

// call is a request to an endpoint.
type call struct {
	*running
	issuer *issuer
	app    *application
	w      http.ResponseWriter
	r      *http.Request
	basic  bool // the client has used Basic
}

// endpointAt finds the endpoint at a path; empty for none.
func (i *issuer) endpointAt(path string) (*application, string) {
	for _, app := range i.apps {
		name, below := strings.CutPrefix(path, app.path)
		if !below {
			continue
		}
		for n, own := range app.endpoints.names() {
			if name == own {
				return app, inOrder[n]
			}
		}
	}
	return nil, ""
}

// answer has an endpoint answer a request. A client has a few seconds to send the body, and less for what is left of it
// after the answer. Once there is nothing left to read, there must be no deadline: net/http watches the connection
// then, and would take it for the client hanging up. That would end this request while it waits for its turn, and all
// later ones on the connection.
func (i *issuer) answer(
	w http.ResponseWriter, r *http.Request, app *application, at string, serve func(*call) error,
) {
	body := &watched{ReadCloser: r.Body, ended: r.ContentLength == 0}
	r.Body = body
	if !body.ended {
		bodies.Limit(w, bodies.FormTimeout)
	}
	c := &call{running: i.running.Load(), issuer: i, app: app, w: w, r: r}
	err := errNotStarted
	if c.running != nil {
		err = serve(c)
	}
	if !body.ended {
		bodies.Limit(w, bodies.RefusedTimeout)
	}
	if err == nil {
		requests.WithLabelValues(i.name, at, granted).Inc()
		return
	}
	failure := failureOf(err)
	requests.WithLabelValues(i.name, at, string(failure.Code)).Inc()
	i.report(r, app, failure)
	issuing.WriteFailure(w, failure, app.path, c.basic)
}

// watched is a body that knows whether it has been read to its end. net/http removes the deadline then.
type watched struct {
	io.ReadCloser
	ended bool
}

// Read implements io.Reader.
func (b *watched) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.ended = b.ended || errors.Is(err, io.EOF)
	return n, err
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
	if f.Status >= http.StatusInternalServerError && r.Context().Err() == nil && !errors.Is(f, errNotStarted) {
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
	attempt := guard.Do
	if users.Remote(c.users, credentials.Name) { // a slow server must not keep others from their hash
		attempt = guard.DoRemote
	}
	err = attempt(c.r.Context(), facts.Of(c.r).Client(), credentials.Name, func() (bool, error) {
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
	group, err := c.groupOf(user)
	if err != nil {
		return err
	}
	further, err := furtherClaims(user)
	if err != nil {
		return err
	}
	pair, err := c.sessions.Begin(c.r.Context(), c.issuer.terms(c.app, c.running), &session.Login{
		Subject: user.Name, ClientID: c.app.path, Group: group, Claims: further, Mark: markOf(user),
	})
	if err != nil {
		return err
	}
	c.give(pair)
	return nil
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

// logout ends the session of the access token in the request, or all sessions of its group.
func logout(c *call) error {
	set, err := c.accessToken()
	if err != nil {
		return err
	}
	if value, there := set.Claim(issuers.GroupClaim); there && c.app.group != nil {
		group, _ := value.JSON().Str()
		if err := c.issuer.endGroup(c, group); err != nil {
			return err
		}
	}
	return c.end(set)
}

// revokePair ends the pair of the access token in the request, and with it its session.
func revokePair(c *call) error {
	set, err := c.accessToken()
	if err != nil {
		return err
	}
	return c.end(set)
}

// accessToken is the claims of the access token in the request, which must be good for the application.
func (c *call) accessToken() (*claims.Set, error) {
	if err := issuing.ReadEmpty(c.r); err != nil {
		return nil, err
	}
	g := c.gates[c.app.path]
	verdict, err := g.Check(gate.Request{HTTP: c.r, Facts: facts.Of(c.r)})
	if err != nil {
		refused := gate.FailureOf(err)
		answer := g.Answer(refused)
		return nil, &issuing.Failure{
			Status: answer.Status, Code: codeOf(answer), Text: answer.Text, Cause: refused, RetryAfter: refused.RetryAfter,
		}
	}
	return verdict.Identity.Claims, nil
}

// end ends the session that an access token names.
func (c *call) end(set *claims.Set) error {
	sid, _ := set.Session.JSON().Str()
	terms := c.issuer.terms(c.app, c.running)
	if err := c.sessions.End(c.r.Context(), terms, sid, set.IssuedAt, set.ExpiresAt); err != nil {
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
