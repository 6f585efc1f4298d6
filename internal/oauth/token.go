package oauth

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caddyjwt/gateway/internal/causes"
	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/clients"
	"github.com/caddyjwt/gateway/internal/issuing"
	"github.com/caddyjwt/gateway/internal/session"
)

// grants has a function for each grant there is.
var grants = map[clients.Grant]func(*Server, *Request) (*issuing.Tokens, error){
	clients.ClientCredentials: (*Server).clientCredentials,
	clients.RefreshToken:      (*Server).refresh,
	clients.TokenExchange:     (*Server).exchange,
	clients.JWTBearer:         (*Server).assert,
}

// Grants are the grants there are now. Tokens of others are for exchange only if some client may do that.
func (s *Server) Grants() (all []clients.Grant) {
	set := s.o.Clients()
	for _, grant := range clients.Grants() {
		switch grant {
		case clients.TokenExchange, clients.JWTBearer:
			if !set.Has(grant) {
				continue
			}
		}
		all = append(all, grant)
	}
	return all
}

// Token answers the token endpoint (RFC 6749 section 3.2). The error is an issuing.Failure, or one of sessions or
// attempts.
func (s *Server) Token(q *Request) (*issuing.Tokens, error) {
	if err := s.read(q, "resource", "audience"); err != nil {
		return nil, err
	}
	grant := clients.Grant(q.form.Get("grant_type"))
	switch {
	case grant == "":
		return nil, refuse(issuing.InvalidRequest, "grant_type is missing")
	case !slices.Contains(s.Grants(), grant):
		return nil, refuse(issuing.UnsupportedGrantType, "the issuer has no such grant_type: the metadata list those it has")
	case !q.Client.May(grant):
		return nil, refuse(issuing.UnauthorizedClient, "the client may not use the grant_type %s", grant)
	}
	if err := s.bind(q); err != nil {
		return nil, err
	}
	return grants[grant](s, q)
}

// clientCredentials gives a client a token in its own name (RFC 6749 section 4.4). There is no refresh token (section
// 4.4.3): the client can ask again.
func (s *Server) clientCredentials(q *Request) (*issuing.Tokens, error) {
	scopes, err := s.scopes(q, q.Client.Scopes)
	if err != nil {
		return nil, err
	}
	audience, err := s.audience(q, q.Client.Audiences)
	if err != nil {
		return nil, err
	}
	// Nobody signed in, so the subject is the client (RFC 9068 section 2.2).
	made, err := s.claims(q, &granted{subject: q.Client.ID, audience: audience, scopes: scopes})
	if err != nil {
		return nil, err
	}
	if err := q.key.Spend(q.HTTP.Context()); err != nil {
		return nil, err
	}
	return s.give(q, made)
}

// granted is what a grant gives to a client.
type granted struct {
	subject  string
	audience string
	scopes   []string
	// The rest is of a token in the name of somebody else.

	session string                     // that it ends with; empty for none
	group   string                     // of that session
	actor   json.RawMessage            // who acts for the subject; nil for nobody
	further map[string]json.RawMessage // claims of the subject
	issued  time.Time                  // when the token before was issued, with which this one ends; zero for now
	until   time.Time                  // when it ends at the latest; zero for whenever
}

// give makes an access token of its claims (RFC 9068 section 2.2).
func (s *Server) give(q *Request, made *issuing.Claims) (*issuing.Tokens, error) {
	token, err := s.o.Sign(q.HTTP.Context(), q.Client, made)
	if err != nil {
		return nil, issuing.Unavailable(err)
	}
	lives := made.Expires.Sub(s.o.Now())
	return &issuing.Tokens{
		Access: token, TokenType: typeOf(q.key.Thumbprint), ExpiresIn: max(0, int64(lives/time.Second)),
		Scope: strings.Join(made.Scopes, " "),
	}, nil
}

// claims are those of the access token of a grant. A cut-off reaches what was issued in the same millisecond, also what
// comes after it. Nobody could use such a token, so one that is out from the beginning is made once more a moment
// later.
func (s *Server) claims(q *Request, g *granted) (*issuing.Claims, error) {
	further, err := furtherOf(q.Client, g)
	if err != nil {
		return nil, issuing.Unavailable(err)
	}
	made := &issuing.Claims{
		Issuer: s.o.Issuer, Subject: g.subject, ClientID: q.Client.ID, ID: rand.Text(), Audience: []string{g.audience},
		Scopes: g.scopes, Key: q.key.Thumbprint, Certificate: q.certificate, Session: g.session, Group: g.group,
		Actor:   g.actor,
		Further: further,
	}
	for range maxMoments {
		made.IssuedAt = s.o.Now().Add(-time.Millisecond).Truncate(time.Millisecond) // over, so whoever revokes is later
		made.Expires = made.IssuedAt.Add(q.Client.Lifetime(g.audience)).Truncate(time.Second)
		if !g.issued.IsZero() {
			made.IssuedAt = g.issued
		}
		if !g.until.IsZero() && g.until.Before(made.Expires) {
			made.Expires = g.until.Truncate(time.Second)
		}
		set, err := claims.Decode(made.Payload())
		if err != nil {
			return nil, issuing.Unavailable(err)
		}
		switch out, err := s.o.Revocations.IsOut(set, ""); {
		case err != nil:
			return nil, issuing.Unavailable(err)
		case !out:
			return made, nil
		case !g.issued.IsZero():
			return nil, refuse(issuing.InvalidRequest, "the token has ended meanwhile")
		}
		s.o.Wait(q.HTTP.Context(), time.Millisecond)
	}
	return nil, issuing.Unavailable(errors.New("a cut-off reaches the token from the beginning"))
}

// maxMoments is how often a token is made that is out from the beginning.
const maxMoments = 5

// furtherOf are the further claims of a token. They are about its subject (RFC 7519 section 2), so what the client
// adds, such as roles, is only in tokens in its own name: it says nothing about those in whose name the client gets
// tokens.
func furtherOf(c *clients.Client, g *granted) (json.RawMessage, error) {
	all := g.further
	if g.actor == nil {
		all = c.Claims
	}
	if len(all) == 0 {
		return nil, nil
	}
	return json.Marshal(all)
}

// scopes are those that a token gets: what the request names, or without that all that it may have (RFC 6749 section
// 3.3). One that it may not have is an error: a client that gets less than it asked for notices later.
func (s *Server) scopes(q *Request, may []string) ([]string, error) {
	text := q.form.Get("scope")
	if text == "" {
		return may, nil
	}
	var scopes []string
	for scope := range strings.SplitSeq(text, " ") {
		if !slices.Contains(may, scope) { // nor an empty one: one blank is between two
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
// token for two resources could be used by each of them at the other one (RFC 9700 section 2.3). The parameter audience
// of RFC 8693 section 2.1 says the same by another name, and many clients have it for other grants, too.
func (s *Server) audience(q *Request, may []string) (string, error) {
	named := q.form.All("resource")
	for _, audience := range q.form.All("audience") {
		if !slices.Contains(named, audience) {
			named = append(named, audience)
		}
	}
	switch {
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
	for _, resource := range append(q.form.All("resource"), q.form.All("audience")...) {
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
