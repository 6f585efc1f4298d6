package oauth

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/caddyjwt/gateway/internal/causes"
	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/clients"
	"github.com/caddyjwt/gateway/internal/issuing"
	"github.com/caddyjwt/gateway/internal/proof/replay"
	"github.com/caddyjwt/gateway/internal/strictjson"
)

// Judge judges tokens that clients hand in.
type Judge interface {
	// Judge verifies a token of this issuer or of another one. accepted says which audiences are good for tokens of an
	// issuer, by its configured name: the token must have one of them, and none are good if there is none. The error is a
	// *NotGood, or means that this is not known now.
	Judge(q *Request, token string, accepted func(issuer string) []string) (*Subject, error)
}

// Subject is what a good token says that was handed in.
type Subject struct {
	// Claims are those of the token. If it is opaque, they are those of an answer about it.
	Claims *claims.Set
	// Answer is what a server says about a JWT, too; nil if nobody was asked.
	Answer *claims.Set
	// Opaque says that the token was not verified here.
	Opaque bool
	// Expires is when the token ends, by all of these; zero for never.
	Expires time.Time
}

// NotGood means that a token which was handed in does not count.
type NotGood struct {
	// Text says why, for the client.
	Text string
	// Cause is for the log.
	Cause error
}

func (e *NotGood) Error() string { return e.Cause.Error() }

func (e *NotGood) Unwrap() error { return e.Cause }

// Bounds of what a token gets from the one before.
const (
	maxSubject = 512 // bytes, with the prefix
	maxFurther = 4 << 10
	maxActors  = 4 // how many have acted for the subject, one after the other
	// maxLeeway is how long after its exp an assertion may be good at most, by the leeway of its issuer.
	maxLeeway = 5 * time.Minute
)

// The types of tokens (RFC 8693 section 3).
const (
	typeAccess = "urn:ietf:params:oauth:token-type:access_token"
	typeJWT    = "urn:ietf:params:oauth:token-type:jwt"
	typeID     = "urn:ietf:params:oauth:token-type:id_token"
)

// exchange gives a client a token in the name of the subject of another token (RFC 8693).
func (s *Server) exchange(q *Request) (*issuing.Tokens, error) {
	token := q.form.Get("subject_token")
	kind, wanted := q.form.Get("subject_token_type"), q.form.Get("requested_token_type")
	switch {
	case token == "" || kind == "":
		return nil, refuse(issuing.InvalidRequest, "subject_token or subject_token_type is missing (RFC 8693 section 2.1)")
	case kind != typeAccess && kind != typeJWT && kind != typeID:
		return nil, refuse(issuing.InvalidRequest, "subject_token_type: expected %s, or that of a jwt or id_token",
			typeAccess)
	case q.form.Get("actor_token") != "" || q.form.Get("actor_token_type") != "":
		return nil, refuse(issuing.InvalidRequest, "the client itself acts for the subject: leave actor_token out")
	case wanted != "" && wanted != typeAccess && wanted != typeJWT:
		return nil, refuse(issuing.InvalidRequest, "requested_token_type: there is only %s", typeAccess)
	}
	var by *clients.Exchange
	found, err := s.o.Judge.Judge(q, token, func(issuer string) []string {
		if by = q.Client.Exchange(clients.TokenExchange, issuer); by == nil {
			return nil
		}
		if len(by.Accepted) == 0 {
			return []string{q.Client.ID}
		}
		return by.Accepted
	})
	if err != nil {
		return nil, notGood(err, issuing.InvalidRequest, "subject_token") // RFC 8693 section 2.2.2
	}
	g, err := s.onBehalf(q, by, found)
	if err != nil {
		return nil, err
	}
	if by.Own {
		g.asOf(found.Claims)
	}
	g.until = found.Expires
	if s.isAsGoodAsOver(g.until) { // it may be over by now
		return nil, refuse(issuing.InvalidRequest, "subject_token expires within a second, and the new token would with it")
	}
	made, err := s.claims(q, g)
	if err != nil {
		return nil, err
	}
	if err := q.key.Spend(q.HTTP.Context()); err != nil {
		return nil, err
	}
	tokens, err := s.give(q, made)
	if err == nil {
		tokens.IssuedType = typeAccess
	}
	return tokens, err
}

// asOf makes a token end with that of this issuer in whose place it comes: with its session, and the group of that. It
// counts as issued with it, so whatever cuts off the one cuts off the other, also while this is going on.
func (g *granted) asOf(before *claims.Set) {
	g.issued = before.IssuedAt
	g.session, _ = before.Session.JSON().Str()
	group, _ := before.Claim("group")
	g.group, _ = group.JSON().Str()
}

// assert gives a client a token in the name of the subject of an assertion that another issuer has made for this one
// (RFC 7523 section 2.1). An assertion is good once.
func (s *Server) assert(q *Request) (*issuing.Tokens, error) {
	assertion := q.form.Get("assertion")
	if assertion == "" {
		return nil, refuse(issuing.InvalidRequest, "assertion is missing (RFC 7523 section 2.1)")
	}
	var by *clients.Exchange
	found, err := s.o.Judge.Judge(q, assertion, func(issuer string) []string {
		if by = q.Client.Exchange(clients.JWTBearer, issuer); by == nil {
			return nil
		}
		return append([]string{s.o.Issuer}, s.o.Addresses...)
	})
	if err == nil {
		err = s.checkGrantAssertion(found)
	}
	if err != nil {
		return nil, notGood(err, issuing.InvalidGrant, "assertion") // RFC 7523 section 3.1
	}
	g, err := s.onBehalf(q, by, found)
	if err != nil {
		return nil, err
	}
	g.until = found.Expires // RFC 7521 section 4.1
	made, err := s.claims(q, g)
	if err != nil {
		return nil, err
	}
	if err := q.key.Spend(q.HTTP.Context()); err != nil {
		return nil, err
	}
	if err := s.spendAssertion(q, found.Claims); err != nil {
		return nil, notGood(err, issuing.InvalidGrant, "assertion")
	}
	return s.give(q, made)
}

// notGood is the failure of a client whose token does not count.
func notGood(err error, code issuing.Code, what string) error {
	if wrong, is := errors.AsType[*NotGood](err); is {
		return issuing.Bad(code, what+": "+wrong.Text, wrong.Cause)
	}
	if failure, is := errors.AsType[*issuing.Failure](err); is {
		return failure
	}
	return issuing.Unavailable(err)
}

// checkGrantAssertion checks what RFC 7523 section 3 demands beyond a good JWT for this issuer.
func (s *Server) checkGrantAssertion(found *Subject) error {
	if found.Opaque { // nothing says what two answers about one token have in common
		return &NotGood{"it is no JWT that can be verified here",
			errors.New("an opaque token, or one that was not verified here")}
	}
	set := found.Claims
	for _, audience := range set.Audience {
		if !s.isOwn(audience) {
			err := fmt.Errorf("aud has %s, too", causes.Quote(audience))
			return &NotGood{"its aud must be this issuer alone: another one could have handed it in", err}
		}
	}
	switch {
	case set.ExpiresAt.IsZero():
		return &NotGood{"it has no exp", errors.New("there is no exp")}
	case s.isAsGoodAsOver(found.Expires):
		return &NotGood{"it expires within a second", errors.New("it expires within a second")}
	case set.ExpiresAt.After(s.o.Now().Add(longestAssertion + clockDifference)):
		err := fmt.Errorf("it expires at %v", set.ExpiresAt.UTC().Format(time.RFC3339))
		return &NotGood{fmt.Sprintf("it lives longer than %v", longestAssertion), err}
	}
	return nil
}

// isAsGoodAsOver reports whether what ends then is not worth another token.
func (s *Server) isAsGoodAsOver(end time.Time) bool {
	return !end.IsZero() && end.Truncate(time.Second).Before(s.o.Now().Add(time.Second))
}

// isOwn reports whether an audience is this issuer.
func (s *Server) isOwn(audience string) bool {
	return audience == s.o.Issuer || slices.Contains(s.o.Addresses, audience)
}

// spendAssertion uses an assertion up. Whether it has a jti or not, its claims identify it: whoever has it could find
// another signature, or encrypt it anew.
func (s *Server) spendAssertion(q *Request, set *claims.Set) error {
	sum := sha256.Sum256(set.Text())
	key := sha256.Sum256([]byte("assertion for a grant\n" + s.o.Issuer + "\n" + set.Issuer))
	err := s.useOnce(q.HTTP.Context(), q.Client.ID, key, base64.RawURLEncoding.EncodeToString(sum[:]),
		set.ExpiresAt.Add(maxLeeway+clockDifference))
	if errors.Is(err, replay.ErrUsed) {
		return &NotGood{"it was used before, and is good once: get a new one", err}
	}
	return err
}

// onBehalf is what a client gets in the name of the subject of a token that was handed in. The client is the actor (RFC
// 8693 section 1.1): whoever gets the new token sees who acts for whom.
func (s *Server) onBehalf(q *Request, by *clients.Exchange, found *Subject) (*granted, error) {
	set := found.Claims
	subject := by.Prefix + set.Subject
	switch {
	case set.Subject == "":
		return nil, refuse(issuing.InvalidRequest, "the token has no sub, so nobody is who it is about")
	case len(subject) > maxSubject:
		return nil, refuse(issuing.InvalidRequest, "the sub of the token is longer than %d bytes", maxSubject)
	case !by.Own && s.o.Clients().Find(subject) != nil: // it would be taken for that client (RFC 9700 section 4.15)
		return nil, issuing.Bad(issuing.InvalidRequest, "the sub of the token is the client_id of somebody else",
			fmt.Errorf("sub %s is a client_id here", causes.Quote(subject)))
	}
	scopes, err := s.scopes(q, by.Scopes)
	if err != nil {
		return nil, err
	}
	may := by.Audiences
	if len(may) == 0 {
		may = q.Client.Audiences
	}
	audience, err := s.audience(q, may)
	if err != nil {
		return nil, err
	}
	further, err := claimsOf(set, by.Claims)
	if err != nil {
		return nil, err
	}
	acts, err := s.actorFor(by, found, q.Client.ID)
	if err != nil {
		return nil, issuing.Bad(issuing.InvalidRequest, "too many have acted for the subject of the token, or another one "+
			"than the client may (RFC 8693 section 4)", err)
	}
	return &granted{
		subject: subject, audience: audience, scopes: scopes, further: further, actor: acts,
	}, nil
}

// claimsOf are claims of a token, by their names.
func claimsOf(set *claims.Set, names []string) (map[string]json.RawMessage, error) {
	all := make(map[string]json.RawMessage)
	sum := 0
	for _, name := range names {
		if value, there := set.Claim(name); there {
			all[name] = value.JSON().Raw()
			sum += len(name) + len(all[name])
		}
	}
	if sum > maxFurther {
		return nil, refuse(issuing.InvalidRequest, "the claims of the token that the new one would have are longer than %d "+
			"bytes", maxFurther)
	}
	return all, nil
}

// actor is the claim act (RFC 8693 section 4.1).
type actor struct {
	Issuer  string `json:"iss,omitempty"` // empty for this one
	Subject string `json:"sub"`
	Before  *actor `json:"act,omitempty"`
}

// actorFor is who acts for the subject of a token: the client, and before it whoever has. A token can say who may (RFC
// 8693 section 4.4).
func (s *Server) actorFor(by *clients.Exchange, found *Subject, client string) (json.RawMessage, error) {
	for _, set := range []*claims.Set{found.Claims, found.Answer} {
		if set == nil {
			continue
		}
		if may, there := set.Claim("may_act"); there && !s.names(may, client) {
			return nil, errors.New("may_act of the token names somebody else than the client")
		}
	}
	now := &actor{Subject: client}
	last, depth := now, 1
	before, there := found.Claims.Claim("act")
	for value := before.JSON(); there; value, there = value.Member("act") {
		one := &actor{Issuer: memberOf(value, "iss"), Subject: memberOf(value, "sub")}
		switch {
		case by.Own:
		case one.Issuer == s.o.Issuer:
			return nil, errors.New("act of the token names somebody of this issuer, and another one says so")
		case one.Issuer == "":
			one.Issuer = by.From
		}
		if depth++; depth > maxActors || one.Subject == "" || len(one.Subject)+len(one.Issuer) > 2*maxSubject {
			return nil, fmt.Errorf("act of the token has more than %d actors, or one without a name or with a long one",
				maxActors-1)
		}
		last.Before, last = one, one
	}
	return json.Marshal(now)
}

// names reports whether a value names a client of this issuer.
func (s *Server) names(value claims.Value, client string) bool {
	issuer, has := value.JSON().Member("iss")
	return memberOf(value.JSON(), "sub") == client && (!has || issuer.Equal(s.o.Issuer))
}

// memberOf is a text in an object; empty for none.
func memberOf(object strictjson.Value, name string) string {
	value, _ := object.Member(name)
	text, _ := value.Str()
	return text
}
