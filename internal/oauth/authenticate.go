package oauth

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/caddyjwt/gateway/internal/causes"
	"github.com/caddyjwt/gateway/internal/clients"
	"github.com/caddyjwt/gateway/internal/issuing"
	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/internal/proof/replay"
)

// shown is how a client shows who it is. At most one of them may be there (RFC 6749 section 2.3).
type shown struct {
	id        string // client_id, wherever it was; empty if an assertion has it
	secret    string // in Basic or in the form
	assertion string
}

// authenticate finds out who the client is, and sets q.Client.
func (s *Server) authenticate(q *Request) error {
	by, err := shownBy(q)
	if err != nil {
		return err
	}
	all := s.o.Clients()
	switch {
	case by.assertion != "":
		return s.byAssertion(q, all, by)
	case by.secret != "":
		return s.bySecret(q, all, by)
	case by.id == "":
		return unknown(errors.New("the request names no client: there is neither Basic, nor client_id or client_assertion"))
	}
	client := all.Find(by.id)
	switch {
	case client != nil && client.IsPublic():
	case client != nil && client.Certificate != nil:
		if err := client.Certificate.Check(q.Certificate, s.o.Now()); err != nil {
			return unknown(fmt.Errorf("%s: %w", named(client), err))
		}
	default: // nobody needs to guess for long which clients there are, so this tells no more than a wrong secret
		return unknown(fmt.Errorf("%s has shown nothing of what it needs", named(client)))
	}
	q.Client = client
	return nil
}

// named names a client for a log. What names none may be a secret in the place of the name.
func named(client *clients.Client) string {
	if client == nil {
		return "a client that does not exist"
	}
	return "client " + causes.Quote(client.ID)
}

// unknown is the failure of a client that has not shown who it is (RFC 6749 section 5.2).
func unknown(cause error) error {
	return &issuing.Failure{
		Status: http.StatusUnauthorized, Code: issuing.InvalidClient, Cause: cause,
		Text: "the client is unknown, or has not shown who it is in the way that is registered for it",
	}
}

// shownBy reads what the request says about its client.
func shownBy(q *Request) (by shown, err error) {
	by.id, by.secret = q.form.Get("client_id"), q.form.Get("client_secret")
	by.assertion = q.form.Get("client_assertion")
	basic, err := issuing.BasicOf(q.HTTP)
	if err != nil {
		return by, err
	}
	ways := 0
	for _, is := range []bool{basic != nil, by.secret != "", by.assertion != ""} {
		if is {
			ways++
		}
	}
	switch kind := q.form.Get("client_assertion_type"); {
	case ways > 1:
		return by, refuse(issuing.InvalidRequest, "the client shows who it is in two ways: it must use one (RFC 6749 "+
			"section 2.3)")
	case (by.assertion == "") != (kind == ""):
		return by, refuse(issuing.InvalidRequest, "client_assertion goes with the client_assertion_type %s", assertionType)
	case kind != "" && kind != assertionType: // a method that there is not (RFC 6749 section 5.2)
		return by, unknown(fmt.Errorf("client_assertion_type is another one than %s", assertionType))
	case basic == nil:
		return by, nil
	}
	id, err1 := url.QueryUnescape(basic.Name) // RFC 6749 section 2.3.1
	secret, err2 := url.QueryUnescape(basic.Password)
	switch {
	case err1 != nil || err2 != nil:
		return by, refuse(issuing.InvalidRequest, "client_id and client_secret in Basic are not encoded as in a form: a %% "+
			"must be %%25 there (RFC 6749 section 2.3.1)")
	case by.id != "" && by.id != id:
		return by, refuse(issuing.InvalidRequest, "the client_id in the form is another one than in Basic")
	}
	by.id, by.secret = id, secret
	if secret == "" { // a public client sends its client_id in the form: a secret that nobody has proves nothing
		return by, unknown(errors.New("the secret in Basic is empty"))
	}
	return by, nil
}

// AttemptPrefix begins the name by which attempts with a secret count. So it is none of a user: a wrong secret must not
// count against somebody who signs in.
const AttemptPrefix = "client "

// bySecret checks client_secret_basic and client_secret_post.
func (s *Server) bySecret(q *Request, all *clients.Set, by shown) error {
	if by.id == "" {
		return refuse(issuing.InvalidRequest, "client_secret is there without client_id")
	}
	ctx := q.HTTP.Context()
	err := all.CheckSecret(ctx, by.id, by.secret, func(check func() (bool, error)) error {
		return s.o.Try(ctx, q.From, AttemptPrefix+by.id, check)
	})
	switch {
	case errors.Is(err, clients.ErrSecret):
		return unknown(fmt.Errorf("%s: %w", named(all.Find(by.id)), err))
	case err != nil:
		return err
	}
	q.Client = all.Find(by.id)
	return nil
}

// byAssertion checks private_key_jwt.
func (s *Server) byAssertion(q *Request, all *clients.Set, by shown) error {
	client, err := s.checkAssertion(q.HTTP.Context(), all, by)
	q.Client = client
	switch {
	case client != nil:
		return err
	case errors.Is(err, keyset.ErrUnavailable), errors.Is(err, replay.ErrUnavailable):
		return issuing.Unavailable(err)
	}
	return unknown(err)
}
