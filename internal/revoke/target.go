// Package revoke knows which tokens are out before they expire. A [List] has the entries in memory, where each request
// looks them up without a lock. A [Ledger] keeps the entries in a store, and the list the same as the store.
//
// An entry revokes one token, or all tokens of an issuer or a consumer that were issued until a moment and have
// something in common: the subject, the session, the client, or the value of a claim.
package revoke

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/strictjson"
)

// Kind is what the tokens of a target have in common.
type Kind uint8

// The kinds. Of ID and Text there is one token. All others have a cut-off: a token is out if it was issued until then,
// or does not say when it was.
const (
	All     Kind = iota + 1 // whose they are
	ID                      // jti
	Text                    // the Digest of the token itself, for one without jti
	Subject                 // sub
	Session                 // sid
	Client                  // client_id, or a claim that servers have instead
	Claim                   // the value of the claim that Target.Claim names

	// Outgrown is the kind of a Match alone: the token lives longer than tokens of its owner could when it was issued.
	Outgrown
)

// kindSet is a set of kinds.
type kindSet uint8

func (s kindSet) has(k Kind) bool { return s&(1<<k) != 0 }

// wanted are the kinds of targets that are looked up.
type wanted struct{ ofIssuers, ofConsumers kindSet }

// every is all kinds.
var every = wanted{^kindSet(0), ^kindSet(0)}

// String names the kind as the configuration and the admin API do.
func (k Kind) String() string {
	switch k {
	case ID:
		return "jti"
	case Text:
		return "token"
	case Subject:
		return "sub"
	case Session:
		return "sid"
	case Client:
		return "client_id"
	case Claim:
		return "claim"
	default:
		return "all"
	}
}

// IsToken reports whether the kind is that of a single token.
func (k Kind) IsToken() bool { return k == ID || k == Text }

// Target is what an entry revokes. Exactly one of Issuer and Consumer is set.
type Target struct {
	// Issuer is the iss of the tokens, or the name with "*" of an issuer with tenants, for all of them.
	Issuer string
	// Consumer is a username.
	Consumer string
	Kind     Kind
	// Claim is a path, in the notation of claims.ParsePath.
	Claim string
	// Value is empty for All.
	Value string
}

// The bounds of a target, in bytes.
const (
	maxName  = 2048
	maxValue = 1024
)

// check refuses a target that no token can have.
func (t Target) check() error {
	switch {
	case t.Issuer == "" && t.Consumer == "":
		return errors.New("it names neither an issuer nor a consumer")
	case t.Issuer != "" && t.Consumer != "":
		return errors.New("it names both an issuer and a consumer: whose tokens are they?")
	case len(t.Issuer) > maxName || len(t.Consumer) > maxName || len(t.Claim) > maxName:
		return fmt.Errorf("a name is longer than %d bytes", maxName)
	case len(t.Value) > maxValue:
		return fmt.Errorf("the value is longer than %d bytes", maxValue)
	case !utf8.ValidString(t.Issuer) || !utf8.ValidString(t.Consumer) || !utf8.ValidString(t.Claim) ||
		!utf8.ValidString(t.Value):
		return errors.New("it is not UTF-8, and what a token says always is")
	case t.Kind < All || t.Kind > Claim:
		return fmt.Errorf("unknown kind %d", t.Kind)
	case (t.Kind == All) != (t.Value == ""):
		return errors.New("a value is missing, or there is one that means nothing")
	case (t.Kind == Claim) != (t.Claim != ""):
		return errors.New("a claim is missing, or there is one that means nothing")
	}
	return nil
}

// Whose names the owner of the tokens, for people.
func (t Target) Whose() string {
	if t.Consumer != "" {
		return fmt.Sprintf("consumer %q", t.Consumer)
	}
	return fmt.Sprintf("issuer %q", t.Issuer)
}

// Digest identifies a token that has no jti. Of a JWT only header and payload count: for some algorithms, anybody can
// make another valid signature out of one. What remains is unique, because encodings are read strictly. Of any other
// token all counts, also if it has two dots, as "v4.local.something" does.
func Digest(token string) string {
	if dot := strings.LastIndexByte(token, '.'); strings.Count(token, ".") == 2 && startsWithHeader(token) {
		token = token[:dot+1] // with the dot: "a.b" is another token than "a.b.c"
	}
	sum := sha256.Sum256([]byte(token))
	var text [43]byte
	base64.RawURLEncoding.Encode(text[:], sum[:])
	return string(text[:])
}

// startsWithHeader reports whether the part before the first dot is a JOSE header: a JSON object (RFC 7515 section 4).
func startsWithHeader(token string) bool {
	part, _, _ := strings.Cut(token, ".")
	text, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		return false
	}
	header, err := strictjson.Parse(text, strictjson.Limits{})
	return err == nil && header.Kind() == strictjson.Object
}

// Token is what a list is asked about.
type Token struct {
	// Issuer is the token's iss; empty if the token is from a consumer.
	Issuer string
	// Consumer is the username of the consumer whose token it is, or as whom the caller counts. It may be empty.
	Consumer string
	// Set has the claims of the token, or of the answer about it. It must not be nil.
	Set *claims.Set
	// Raw is the token itself, if it is opaque, encrypted or has no jti; otherwise empty. Digest has that of Raw, or is
	// empty if that has not been made.
	Raw, Digest string
	// Inside is the digest of the JWT in an encrypted token, if that has no jti; otherwise empty. Whoever has the JWT can
	// encrypt it anew.
	Inside string
	// Terms are those of the issuer. They may be nil.
	Terms *Terms
	// Memory has what was found out about the token before. It may be nil.
	Memory *Memory
}

// targets calls yield with each target that would revoke the token, until it returns false. Kinds that are not wanted
// are left out. It does not allocate, unless a value has escapes or the token must be hashed.
func (t *Token) targets(wanted wanted, yield func(Target) bool) {
	if p := t.pattern(); p != "" && wanted.ofIssuers.has(All) && !yield(Target{Issuer: p, Kind: All}) {
		return
	}
	if t.Issuer != "" && !t.within(Target{Issuer: t.Issuer}, wanted.ofIssuers, yield) {
		return
	}
	if t.Consumer != "" {
		t.within(Target{Consumer: t.Consumer}, wanted.ofConsumers, yield)
	}
}

// within calls yield with the targets of one owner. It reports whether to go on.
func (t *Token) within(of Target, wanted kindSet, yield func(Target) bool) bool {
	by := func(kind Kind, value string) bool {
		of.Kind, of.Value = kind, value
		return value == "" || yield(of)
	}
	if of.Kind = All; wanted.has(All) && !yield(of) {
		return false
	}
	if wanted.has(ID) && !by(ID, t.Set.ID) {
		return false
	}
	if wanted.has(Text) && (!by(Text, t.digest()) || !by(Text, t.Inside)) {
		return false
	}
	if wanted.has(Subject) && !by(Subject, t.Set.Subject) {
		return false
	}
	if wanted.has(Session) && !texts(t.Set.Session, func(sid string) bool { return by(Session, sid) }) {
		return false
	}
	if wanted.has(Client) && !t.clients(func(client string) bool { return by(Client, client) }) {
		return false
	}
	if !wanted.has(Claim) {
		return true
	}
	for _, path := range t.Terms.Claims() {
		value, there := t.Set.Lookup(path.path)
		if of.Claim = path.name; there && !texts(value, func(text string) bool { return by(Claim, text) }) {
			return false
		}
	}
	return true
}

// pattern is the name with "*" of the issuer, if it has tenants. A consumer's token is not an issuer's.
func (t *Token) pattern() string {
	if t.Terms == nil || t.Issuer == "" {
		return ""
	}
	return t.Terms.pattern
}

func (t *Token) digest() string {
	if t.Digest == "" && t.Raw != "" {
		return Digest(t.Raw)
	}
	return t.Digest
}

func (t *Token) clients(yield func(string) bool) bool {
	id := t.Set.ClientID
	if id != "" && !yield(id) {
		return false
	}
	for _, value := range t.Set.Clients {
		if !texts(value, func(text string) bool { return text == id || yield(text) }) {
			return false
		}
	}
	return true
}

// Path is a path as targets have it.
type Path struct {
	path claims.Path
	name string
}

// PathOf makes the Path of a claim. Paths that lead to the same value have the same name.
func PathOf(p claims.Path) Path { return Path{p, p.Pointer()} }

// String returns the name.
func (p Path) String() string { return p.name }

// texts calls yield with the text of a value, or with those of the elements of an array, until it returns false. It
// reports whether to go on. A number or boolean has its JSON text, since some servers number sessions and groups. An
// object counts by its member "value", as in claims.Value.Matches.
func texts(value claims.Value, yield func(string) bool) bool {
	if value.JSON().Kind() != strictjson.Array {
		text, is := scalar(value.JSON())
		return !is || yield(text)
	}
	for element := range value.JSON().Elements() {
		if element.Kind() == strictjson.Object {
			element, _ = element.Member("value")
		}
		if text, is := scalar(element); is && !yield(text) {
			return false
		}
	}
	return true
}

func scalar(v strictjson.Value) (string, bool) {
	switch v.Kind() {
	case strictjson.String:
		return v.Str()
	case strictjson.Number, strictjson.Bool:
		return v.Text(), true
	default:
		return "", false
	}
}
