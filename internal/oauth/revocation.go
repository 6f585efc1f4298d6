package oauth

import (
	"errors"
	"time"

	"github.com/caddyjwt/gateway/internal/clients"
	"github.com/caddyjwt/gateway/internal/issuing"
	"github.com/caddyjwt/gateway/internal/session"
)

// margin is how much longer than it is needed a revocation is kept.
const margin = time.Minute

// Revoke answers the revocation endpoint (RFC 7009). An access token ends alone. A refresh token ends its session, with
// all access tokens of it (section 2.1). What is no good any more is no error (section 2.2). It returns when the token
// is out on this node.
func (s *Server) Revoke(q *Request) error {
	if err := s.read(q); err != nil {
		return err
	}
	token := q.form.Get("token")
	if token == "" {
		return refuse(issuing.InvalidRequest, "token is missing")
	}
	// token_type_hint says nothing that the token itself does not say.
	ctx := q.HTTP.Context()
	err := s.o.Sessions.End(ctx, q.Client.App, token)
	switch {
	case err == nil:
		q.Ended = "session"
		q.EndedID, _ = session.SIDOf(token)
		return nil
	case errors.Is(err, session.ErrInvalid):
		return notYours()
	case !errors.Is(err, session.ErrMalformed):
		return err
	}
	set, err := s.verify(ctx, token, s.o.Leeway)
	switch {
	case errors.Is(err, errNotGood):
		return nil
	case err != nil:
		return issuing.Unavailable(err)
	case set.ClientID != q.Client.ID:
		return notYours()
	}
	if err := s.mayRevoke(q.Client); err != nil {
		return err
	}
	if err := s.o.Revocations.Revoke(ctx, set.ID, set.ExpiresAt.Add(s.o.Leeway+margin)); err != nil {
		return issuing.Unavailable(err)
	}
	q.Ended, q.EndedID = "token", set.ID
	return nil
}

// notYours is the failure of a client that wants to revoke a token of another one (RFC 7009 section 2.1).
func notYours() error {
	return refuse(issuing.UnauthorizedClient, "the token was given to another client")
}

// mayRevoke bounds how many entries a client leaves in the list of revoked tokens. Those of an application are bounded
// already: a session has one access token, and gets the next ones at a pace.
func (s *Server) mayRevoke(c *clients.Client) error {
	if c.IsPublic() {
		return nil
	}
	wait := s.revoked.take(c.ID, mostRevoked, c.LongestLifetime()+s.o.Leeway+margin, time.Since(s.begun))
	if wait > 0 {
		return issuing.TooMany(wait, errors.New("the client has revoked too many tokens"))
	}
	return nil
}
