package revocations

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/caddyjwt/gateway/internal/revoke"
	"github.com/caddyjwt/gateway/internal/strictjson"
)

// Order says what to revoke. It is the body of a request to the admin API.
//
// At most one of Token, ID, Subject, Session, Client, and Claim with Value is set. With none of them, all tokens of the
// issuer or consumer are meant.
type Order struct {
	// Issuer is the iss of the tokens, or the name with "*" of an issuer with tenants.
	Issuer string `json:"issuer,omitempty"`
	// Consumer is the username of a consumer. Exactly one of Issuer and Consumer is set, but an Issuer can be left out
	// beside a Token that names it.
	Consumer string `json:"consumer,omitempty"`
	ID       string `json:"jti,omitempty"`
	Subject  string `json:"sub,omitempty"`
	Session  string `json:"sid,omitempty"`
	Client   string `json:"client_id,omitempty"`
	Claim    string `json:"claim,omitempty"` // a path
	Value    string `json:"value,omitempty"`
	// Token is the token itself. It is not kept: a hash of it is, and its jti if it has one.
	Token string `json:"token,omitempty"`
	// NotAfter is the cut-off: tokens that were issued until then are out. Default: now. A single token has none.
	NotAfter *time.Time `json:"not_after,omitempty"`
	// Reason and Author are for people. At most 256 bytes each.
	Reason string `json:"reason,omitempty"`
	Author string `json:"author,omitempty"`
	// DryRun only says what would happen.
	DryRun bool `json:"dry_run,omitempty"`
}

// errOrder means that an order cannot be meant.
var errOrder = errors.New("this cannot be revoked")

// maxOrder bounds the body of an order, in bytes. A token may be long.
const maxOrder = 128 << 10

// ReadOrder reads an order. It refuses members that it does not know, and those that are null or empty: they were meant
// to make the order narrower, and without them it would revoke all tokens of an issuer.
func ReadOrder(from io.Reader) (*Order, error) {
	text, err := io.ReadAll(io.LimitReader(from, maxOrder+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxOrder {
		return nil, fmt.Errorf("%w: the order is longer than %d bytes", errOrder, maxOrder)
	}
	members, err := strictjson.ParseMembers(text, strictjson.Limits{}) // it also refuses duplicates
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errOrder, err)
	}
	for _, member := range members {
		if err := checkMember(member); err != nil {
			return nil, fmt.Errorf("%w: %w", errOrder, err)
		}
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	order := new(Order)
	if err := decoder.Decode(order); err != nil {
		return nil, fmt.Errorf("%w: %w", errOrder, err)
	}
	return order, nil
}

// checkMember refuses a member that package json would read in another way than it was meant.
func checkMember(member strictjson.Member) error {
	name, _ := member.Name.Str()
	if strings.ContainsFunc(name, func(c rune) bool { return c != '_' && (c < 'a' || c > 'z') }) {
		return errors.New("a member has a name that is unknown: all known ones are in small letters")
	}
	value, isText := member.Value.Str()
	switch {
	case member.Value.Kind() == strictjson.Null:
		return fmt.Errorf("%q is null: leave it out if it does not matter", name)
	case isText && value == "" && name != "author" && name != "reason":
		return fmt.Errorf("%q is empty: leave it out if it does not matter", name)
	case isText && name != "token" && isJWT(value):
		return fmt.Errorf("%q has a whole token, which would get into logs: a token belongs in \"token\"", name)
	default:
		return nil
	}
}

// entries are the entries for an order, without what revoke.Owners completes. The first one is what the answer and the
// log show.
func (o *Order) entries() ([]*revoke.Entry, error) {
	e := &revoke.Entry{Target: revoke.Target{Issuer: o.Issuer, Consumer: o.Consumer, Kind: revoke.All}, Author: o.Author,
		Reason: o.Reason}
	if err := o.selectInto(&e.Target); err != nil {
		return nil, fmt.Errorf("%w: %w", errOrder, err)
	}
	if o.NotAfter != nil {
		e.NotAfter = *o.NotAfter
	}
	id := o.identify(&e.Target)
	if err := o.checkTarget(&e.Target); err != nil {
		return nil, fmt.Errorf("%w: %w", errOrder, err)
	}
	if id == "" {
		return []*revoke.Entry{e}, nil
	}
	byID := *e
	byID.Kind, byID.Value = revoke.ID, id
	return []*revoke.Entry{&byID, e}, nil
}

// selectInto sets what the tokens have in common.
func (o *Order) selectInto(t *revoke.Target) error {
	var given []string
	for _, by := range []struct {
		kind  revoke.Kind
		value string
	}{
		{revoke.ID, o.ID}, {revoke.Subject, o.Subject}, {revoke.Session, o.Session}, {revoke.Client, o.Client},
		{revoke.Claim, o.Claim}, {revoke.Text, o.Token},
	} {
		if by.value != "" {
			given = append(given, by.kind.String())
			t.Kind, t.Value = by.kind, by.value
		}
	}
	switch {
	case len(given) > 1:
		return fmt.Errorf("it names %s: name one of them", strings.Join(given, " and "))
	case (o.Claim == "") != (o.Value == ""):
		return errors.New("claim and value go together")
	case t.Kind == revoke.Claim:
		t.Claim, t.Value = o.Claim, o.Value
	}
	return nil
}

// checkTarget refuses what would revoke nothing, or something else than was meant.
func (o *Order) checkTarget(t *revoke.Target) error {
	switch {
	case o.Token != "" && strings.ContainsFunc(o.Token, notOfToken):
		return errors.New("the token has a character that no token has, such as white space: give the token alone")
	case t.Issuer == "" && t.Consumer == "" && o.Token != "":
		return errors.New("the token does not say who issued it: name the issuer or the consumer, too")
	case t.Issuer == "" && t.Consumer == "":
		return errors.New("name the issuer or the consumer whose tokens are meant")
	case t.Issuer != "" && t.Consumer != "":
		return errors.New("it names an issuer and a consumer: name one of them")
	case o.NotAfter == nil:
		return nil
	case t.Kind.IsToken():
		return errors.New("a single token has no not_after: it is revoked whenever it was issued")
	case o.NotAfter.IsZero():
		return errors.New("not_after is in the year 1")
	}
	return nil
}

// notOfToken reports whether a character is outside of the alphabet of tokens (RFC 6750 section 2.1).
func notOfToken(c rune) bool {
	isLetter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
	return !isLetter && (c < '0' || c > '9') && !strings.ContainsRune("-._~+/=", c)
}

// identify has a target name a token by its digest, and returns the jti of the token, if it has one. Both are revoked:
// a gate that verifies the token knows the jti, and one that asks a server about it may know only the text, because the
// answer need not have the jti (RFC 7662 section 2.2). Nothing is verified: whoever may give orders may revoke any
// token.
func (o *Order) identify(t *revoke.Target) (id string) {
	if o.Token == "" {
		return ""
	}
	t.Value = revoke.Digest(o.Token)
	payload, ok := payloadOf(o.Token)
	if !ok {
		return ""
	}
	if iss := text(payload, "iss"); t.Consumer == "" && (t.Issuer == "" || strings.Contains(t.Issuer, "*")) {
		t.Issuer = iss
	}
	return text(payload, "jti")
}

// isJWT reports whether a text is a JWT.
func isJWT(text string) bool {
	_, ok := payloadOf(text)
	return ok
}

// payloadOf reads the payload of a JWT.
func payloadOf(token string) (payload strictjson.Value, ok bool) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return strictjson.Value{}, false
	}
	decoded, err := base64.RawURLEncoding.Strict().DecodeString(parts[1])
	if err != nil {
		return strictjson.Value{}, false
	}
	payload, err = strictjson.ParseObject(decoded, strictjson.Limits{})
	return payload, err == nil
}

// text is a member of an object that is a string.
func text(object strictjson.Value, name string) string {
	member, _ := object.Member(name)
	value, _ := member.Str()
	return value
}
