package oauth

import (
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/issuing"
)

// Answer is what the introspection endpoint answers: members of a JSON object, or a JWT with them.
type Answer struct {
	Members map[string]any
	// Signed is a JWT; empty if the client has not asked for one.
	Signed string
}

// Introspect answers the introspection endpoint (RFC 7662). A client that accepts a signed answer gets one (RFC 9701).
func (s *Server) Introspect(q *Request) (*Answer, error) {
	members, err := s.introspect(q)
	if err != nil || !acceptsSigned(q.HTTP.Header["Accept"]) {
		return &Answer{Members: members}, err
	}
	payload, err := json.Marshal(struct { // neither sub nor exp: it must not look like an access token (section 5)
		Issuer   string         `json:"iss"`
		Audience string         `json:"aud"`
		IssuedAt int64          `json:"iat"`
		Members  map[string]any `json:"token_introspection"`
	}{s.o.Issuer, q.Client.ID, s.o.Now().Unix(), members})
	if err != nil {
		return nil, issuing.Unavailable(err)
	}
	signed, err := s.o.SignAnswer(payload)
	if err != nil {
		return nil, issuing.Unavailable(err)
	}
	return &Answer{Members: members, Signed: signed}, nil
}

// SignedAnswer is the media type of a signed answer (RFC 9701 section 5), without "application/".
const SignedAnswer = "token-introspection+jwt"

// maxAccept bounds an Accept field in bytes.
const maxAccept = 1024

// acceptsSigned reports whether a client names the media type of signed answers (RFC 9701 section 4). A range such as
// "*/*" is no such wish.
func acceptsSigned(fields []string) bool {
	all := strings.Join(fields, ",")
	if len(all) > maxAccept {
		return false
	}
	for one := range strings.SplitSeq(all, ",") {
		kind, parameters, err := mime.ParseMediaType(one)
		weight, said := parameters["q"]
		if err == nil && kind == "application/"+SignedAnswer && (!said || strings.Trim(weight, "0.") != "") {
			return true
		}
	}
	return false
}

// introspect is what an answer says. A token that is not good, and one for an audience that the client may not ask
// about, get the same answer (RFC 7662 sections 2.2 and 4).
func (s *Server) introspect(q *Request) (map[string]any, error) {
	if err := s.read(q); err != nil {
		return nil, err
	}
	token := q.form.Get("token")
	switch {
	case token == "":
		return nil, refuse(issuing.InvalidRequest, "token is missing")
	case len(q.Client.Introspects) == 0: // whoever may ask can find out which tokens are good (section 4)
		return nil, &issuing.Failure{
			Status: http.StatusForbidden, Code: issuing.UnauthorizedClient,
			Text: "the client may not ask about tokens: introspect must name the audiences that it serves",
		}
	}
	set, err := s.verify(q.HTTP.Context(), token, 0)
	switch {
	case errors.Is(err, errNotGood), err == nil && !concerns(set, q.Client.Introspects):
		return map[string]any{"active": false}, nil
	case err != nil:
		return nil, issuing.Unavailable(err)
	}
	return s.describe(set), nil
}

// concerns reports whether one of the audiences of a token is one of the client's.
func concerns(set *claims.Set, audiences []string) bool {
	return slices.ContainsFunc(set.Audience, func(one string) bool { return slices.Contains(audiences, one) })
}

// describe is the answer about a token that is good: all of its claims, with those of RFC 7662 section 2.2 as that has
// them.
func (s *Server) describe(set *claims.Set) map[string]any {
	all := make(map[string]any)
	var raw map[string]json.RawMessage
	if json.Unmarshal(set.Text(), &raw) == nil { // it was read before
		for name, value := range raw {
			all[name] = value
		}
	}
	all["active"], all["token_type"] = true, typeOf(set.Confirmation.KeyThumbprint)
	all["iat"], all["exp"] = set.IssuedAt.Unix(), set.ExpiresAt.Unix() // integers there
	return all
}
