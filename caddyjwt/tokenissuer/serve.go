package tokenissuer

import (
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddyjwt/gateway/caddyjwt/bodies"
	"github.com/caddyjwt/gateway/caddyjwt/facts"
	"github.com/caddyjwt/gateway/caddyjwt/issuers"
	"github.com/caddyjwt/gateway/caddyjwt/tokenissuer/applications"
	"github.com/caddyjwt/gateway/internal/apppath"
	"github.com/caddyjwt/gateway/internal/bearer"
	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/issuing"
	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/internal/oauth"
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
	at := h.issuer.byPath[path]
	if at == nil {
		if at = h.issuer.misspelt(r); at == nil {
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
	h.issuer.answer(w, inOriginForm(r, path), at)
	return nil
}

// call is a request to an endpoint.
type call struct {
	*running
	issuer *issuer
	at     *endpoint
	app    *applications.Application // nil for an OAuth client
	w      http.ResponseWriter
	r      *http.Request
	basic  bool           // the client has used Basic
	asked  *oauth.Request // of an OAuth client
}

// answer has an endpoint answer a request. A client has a few seconds to send the body, and less for what is left of it
// after the answer. Once there is nothing left to read, there must be no deadline: net/http watches the connection
// then, and would take it for the client hanging up. That would end this request while it waits for its turn, and all
// later ones on the connection.
func (i *issuer) answer(w http.ResponseWriter, r *http.Request, at *endpoint) {
	body := &watched{ReadCloser: r.Body, ended: r.ContentLength == 0}
	r.Body = body
	if !body.ended {
		bodies.Limit(w, bodies.FormTimeout)
	}
	c := &call{running: i.running.Load(), issuer: i, at: at, app: at.app, w: w, r: r}
	err := errNotStarted
	if c.running != nil {
		err = at.serve(c)
	}
	if !body.ended {
		bodies.Limit(w, bodies.RefusedTimeout)
	}
	if err == nil {
		requests.WithLabelValues(i.name, at.name, granted).Inc()
		return
	}
	failure := failureOf(err)
	requests.WithLabelValues(i.name, at.name, string(failure.Code)).Inc()
	c.report(failure)
	issuing.WriteFailure(w, failure, at.realm(i.name), c.basic)
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
	case errors.Is(err, session.ErrOtherKey):
		return issuing.OtherKey(err)
	}
	return issuing.Unavailable(err)
}

// report says in the access log why a request was refused, and in the log what somebody has to do something about: the
// operator about what could not be answered, and whoever runs a client about what that asks for. What strangers do
// wrong is in the log only at level debug, because it has no end.
func (c *call) report(f *issuing.Failure) {
	if fields, ok := c.r.Context().Value(caddyhttp.ExtraLogFieldsCtxKey).(*caddyhttp.ExtraLogFields); ok {
		fields.Set(zap.String("token_issuer_refused", string(f.Code)))
	}
	logger := c.issuer.logger.With(zap.String("issuer", c.issuer.name), zap.String("endpoint", c.at.path))
	switch {
	case c.r.Context().Err() != nil, errors.Is(f, errNotStarted):
	case f.Status >= http.StatusInternalServerError && !c.lacksKeys(f):
		logger.Error("a request could not be answered", zap.Error(f.Cause))
	case c.asked == nil:
	case c.asked.Client != nil && !c.asked.Client.IsPublic(): // anybody may say that they are a public one
		logger.Info("a client was refused", zap.String("client_id", c.asked.Client.ID), zap.String("error", string(f.Code)),
			zap.String("rule", f.Text), zap.NamedError("cause", f.Cause))
	default:
		logger.Debug("somebody was refused who is not known", zap.String("error", string(f.Code)),
			zap.String("rule", f.Text), zap.NamedError("cause", f.Cause))
	}
}

// lacksKeys reports whether a request could not be answered because the keys of the client are not there. Who fetches
// them has said so in the log, and strangers could have it said with each request.
func (c *call) lacksKeys(f *issuing.Failure) bool {
	return c.asked != nil && c.asked.Client == nil && errors.Is(f, keyset.ErrUnavailable)
}

// login begins a session for a user who knows the password.
func login(c *call) error {
	credentials, err := issuing.ReadLogin(c.r)
	c.basic = credentials.Basic
	if err != nil {
		return err
	}
	key, err := oauth.KeyOf(c.proofs, c.r, facts.Of(c.r), time.Now())
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
	if user == nil || c.isClient(user.Name) {
		return users.ErrRefused
	}
	group, err := c.groupOf(user)
	if err != nil {
		return err
	}
	further, err := applications.ClaimsOf(user)
	if err != nil {
		return err
	}
	if err := key.Spend(c.r.Context()); err != nil {
		return err
	}
	pair, err := c.sessions.Begin(c.r.Context(), c.issuer.terms(c.app, c.running), &session.Login{
		Subject: user.Name, ClientID: c.app.Path, Group: group, Claims: further, Mark: markOf(user),
		Key: key.Thumbprint,
	})
	if err != nil {
		return err
	}
	c.give(pair)
	return nil
}

// isClient reports whether a name is that of a client, or could be one of a subject of another issuer. A user must not
// have it: the subjects of their tokens would be one (RFC 9700 section 4.15).
func (r *running) isClient(name string) bool { return r.clients.Clients().IsTaken(name) }

// refresh gives a new pair for a refresh token.
func refresh(c *call) error {
	token, err := issuing.ReadRefresh(c.r)
	if err != nil {
		return err
	}
	key, err := oauth.KeyOf(c.proofs, c.r, facts.Of(c.r), time.Now())
	if err != nil {
		return err
	}
	pair, err := c.sessions.Refresh(c.r.Context(), c.issuer.terms(c.app, c.running), token, proved(key))
	if err != nil {
		return err
	}
	c.give(pair)
	return nil
}

func (c *call) give(p *session.Pair) {
	issuing.WritePair(c.w, &issuing.Pair{
		Access: p.Access, Refresh: p.Refresh, Subject: p.Subject, Bound: p.Key != "", IssuedAt: p.IssuedAt,
		Expires: p.Expires,
	}, c.app.OAuth, c.app.Access)
}

// logout ends the session of the access token in the request, or all sessions of its group.
func logout(c *call) error {
	set, err := c.accessToken()
	if err != nil {
		return err
	}
	if value, there := set.Claim(issuers.GroupClaim); there && c.app.Group != nil {
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
	g := c.gates[c.app.Path]
	verdict, err := g.Check(gate.Request{HTTP: c.r, Facts: facts.Of(c.r)})
	if err != nil {
		refused := gate.FailureOf(err)
		answer := g.Answer(refused)
		return nil, &issuing.Failure{
			Status: answer.Status, Code: codeOf(answer), Text: answer.Text, Cause: refused, RetryAfter: refused.RetryAfter,
		}
	}
	set := verdict.Identity.Claims
	if set.ClientID != c.app.Path { // one that a client has in its own name has no session
		return nil, &issuing.Failure{
			Status: http.StatusUnauthorized, Code: issuing.InvalidToken, Text: "the access token is not one of this application",
		}
	}
	return set, nil
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
