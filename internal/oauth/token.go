package oauth

import (
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caddyjwt/gateway/internal/causes"
	"github.com/caddyjwt/gateway/internal/clients"
	"github.com/caddyjwt/gateway/internal/issuing"
	"github.com/caddyjwt/gateway/internal/session"
)

// grants has a function for each grant there is.
var grants = map[clients.Grant]func(*Server, *Request) (*issuing.Tokens, error){
	clients.ClientCredentials: (*Server).clientCredentials,
	clients.RefreshToken:      (*Server).refresh,
}

// Grants are the grants there are, by the alphabet.
func Grants() []clients.Grant {
	return []clients.Grant{clients.ClientCredentials, clients.RefreshToken}
}

// Token answers the token endpoint (RFC 6749 section 3.2). The error is an issuing.Failure, or one of sessions or
// attempts.
func (s *Server) Token(q *Request) (*issuing.Tokens, error) {
	if err := s.read(q, "resource", "audience"); err != nil {
		return nil, err
	}
	grant := clients.Grant(q.form.Get("grant_type"))
	serve := grants[grant]
	switch {
	case grant == "":
		return nil, refuse(issuing.InvalidRequest, "grant_type is missing")
	case serve == nil:
		return nil, refuse(issuing.UnsupportedGrantType, "the issuer has no such grant_type: the metadata list those it has")
	case !q.Client.May(grant):
		return nil, refuse(issuing.UnauthorizedClient, "the client may not use the grant_type %s", grant)
	}
	if err := s.bind(q); err != nil {
		return nil, err
	}
	return serve(s, q)
}

// clientCredentials gives a client a token in its own name (RFC 6749 section 4.4). There is no refresh token (section
// 4.4.3): the client can ask again.
func (s *Server) clientCredentials(q *Request) (*issuing.Tokens, error) {
	scopes, err := s.scopes(q)
	if err != nil {
		return nil, err
	}
	audience, err := s.audience(q)
	if err != nil {
		return nil, err
	}
	if err := q.key.Spend(q.HTTP.Context()); err != nil {
		return nil, err
	}
	return s.issue(q, audience, scopes)
}

// issue makes an access token (RFC 9068 section 2.2). Nobody signed in, so the subject is the client.
func (s *Server) issue(q *Request, audience string, scopes []string) (*issuing.Tokens, error) {
	c := q.Client
	issued := s.o.Now().Add(-time.Millisecond).Truncate(time.Millisecond) // over, so whoever revokes from now on is later
	expires := issued.Add(c.AccessLifetime).Truncate(time.Second)
	token, err := s.o.Sign(q.HTTP.Context(), &issuing.Claims{
		Issuer: s.o.Issuer, Subject: c.ID, ClientID: c.ID, ID: rand.Text(), Audience: []string{audience}, Scopes: scopes,
		Key: q.key.Thumbprint, Certificate: q.certificate, IssuedAt: issued, Expires: expires,
	})
	if err != nil {
		return nil, issuing.Unavailable(err)
	}
	return &issuing.Tokens{
		Access: token, TokenType: typeOf(q.key.Thumbprint), ExpiresIn: int64(expires.Sub(issued) / time.Second),
		Scope: strings.Join(scopes, " "),
	}, nil
}

// scopes are those that a token gets: what the request names, or without that all that the client may have (RFC 6749
// section 3.3). One that the client may not have is an error: a client that gets less than it asked for notices later.
func (s *Server) scopes(q *Request) ([]string, error) {
	text := q.form.Get("scope")
	if text == "" {
		return q.Client.Scopes, nil
	}
	var scopes []string
	for scope := range strings.SplitSeq(text, " ") {
		if !slices.Contains(q.Client.Scopes, scope) { // nor an empty one: one blank is between two
			return nil, issuing.Bad(issuing.InvalidScope, "the client may not have one of the scopes",
				fmt.Errorf("the scope %s", causes.Quote(scope)))
		}
		if !slices.Contains(scopes, scope) {
			scopes = append(scopes, scope)
		}
	}
	return scopes, nil
}

// audience is what a token is for: the resource that the request names (RFC 8707 section 2), or a default. It is one: a
// token for two resources could be used by each of them at the other one (RFC 9700 section 2.3).
func (s *Server) audience(q *Request) (string, error) {
	may := q.Client.Audiences
	switch named := q.form.All("resource"); {
	case len(named) > 1:
		return "", refuse(issuing.InvalidTarget, "a token is for one resource: ask for one token for each")
	case len(named) == 1 && slices.Contains(may, named[0]):
		return named[0], nil
	case len(named) == 1:
		return "", issuing.Bad(issuing.InvalidTarget, "the client may have no tokens for this resource",
			fmt.Errorf("the resource %s", causes.Quote(named[0])))
	case slices.Contains(may, s.o.DefaultAudience):
		return s.o.DefaultAudience, nil
	case len(may) == 1:
		return may[0], nil
	}
	return "", refuse(issuing.InvalidTarget, "the client may have tokens for several resources: say which one with the "+
		"parameter resource (RFC 8707)")
}

// refresh gives the next pair for a refresh token (RFC 6749 section 6).
func (s *Server) refresh(q *Request) (*issuing.Tokens, error) {
	token := q.form.Get("refresh_token")
	switch {
	case token == "":
		return nil, refuse(issuing.InvalidRequest, "refresh_token is missing")
	case q.form.Get("scope") != "":
		return nil, refuse(issuing.InvalidScope, "tokens of an application have no scopes: leave scope out")
	}
	audience := s.o.Sessions.Audience(q.Client.App)
	for _, resource := range q.form.All("resource") {
		if !slices.Contains(audience, resource) || len(audience) > 1 {
			return nil, refuse(issuing.InvalidTarget,
				"tokens of the application are for what its audience says: leave resource out")
		}
	}
	pair, err := s.o.Sessions.Refresh(q.HTTP.Context(), q.Client.App, token, q.key)
	switch {
	case errors.Is(err, session.ErrOtherKey):
		return nil, issuing.OtherKey(err)
	case errors.Is(err, session.ErrInvalid), errors.Is(err, session.ErrMalformed):
		failure := issuing.Spent(err)
		return nil, issuing.Bad(failure.Code, failure.Text, err) // RFC 6749 section 5.2 has 400 here
	case err != nil:
		return nil, err
	}
	return &issuing.Tokens{
		Access: pair.Access, TokenType: typeOf(pair.Key), ExpiresIn: int64(pair.Lifetime / time.Second),
		Refresh: pair.Refresh,
	}, nil
}
