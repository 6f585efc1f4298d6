// Package claims reads what a token says: the claims set of RFC 7519. [Decode] reads the text once and strictly. It
// refuses claims of the wrong type at once, so that a [Set] never has a claim that means something else to another
// reader. The checks are pure functions of a set and what is required of it, one rule each. They know neither keys nor
// configuration.
package claims

import (
	"slices"
	"time"
	"unsafe"

	"github.com/caddyjwt/gateway/internal/strictjson"
)

// Set is a decoded claims set. It is immutable, owns its text and is safe for concurrent use; its slices must not be
// changed. The fields hold the registered claims. Empty or zero means absent, since [Decode] refuses a registered claim
// without content. Only the lists, aud and scope, may be present and empty.
type Set struct {
	Issuer   string // iss
	Subject  string // sub
	ID       string // jti
	ClientID string // client_id, RFC 8693 section 4.3
	// Audience is aud, whether written as a string or as an array.
	Audience []string
	// Scope is the union of scope (RFC 8693 section 4.2) and scp, in that order.
	Scope []string
	// The dates, in UTC. An exp of 0 is 1970, which is not the zero Time.
	ExpiresAt, NotBefore, IssuedAt time.Time
	// Confirmation is cnf: the key to which the token is bound.
	Confirmation Confirmation
	// Session is sid, of whatever type (OpenID Connect Back-Channel Logout 1.0 section 2.4). The zero Value is none.
	Session Value
	// Clients are what servers have instead of client_id, or beside it: azp in tokens of OpenID providers, appid in those
	// of Entra ID, and cid in those of Okta. They may be of any type, and zero Values are none.
	Clients [3]Value

	reading *Reading // nil for none
	text    string
	members []strictjson.Member
	escaped bool // the name of a member has an escape
	extra   int  // bytes of strings that had to be unescaped, beside text
}

// Text returns a copy of the JSON text that was decoded.
func (s *Set) Text() []byte { return []byte(s.text) }

// Size estimates how many bytes of memory the set takes, for caches that are bounded in bytes.
func (s *Set) Size() int {
	const word, member = int(unsafe.Sizeof("")), int(unsafe.Sizeof(strictjson.Member{}))
	return int(unsafe.Sizeof(*s)) + len(s.text) + s.extra +
		word*(cap(s.Audience)+cap(s.Scope)) + member*cap(s.members)
}

// Tolerance returns the shapes that were admitted when the set was read, whether it has them or not.
func (s *Set) Tolerance() Tolerance { return s.reading.tolerance() }

// HasScope reports whether the scope is among those of the token. Scopes are case-sensitive, and their order has no
// meaning (RFC 6749 section 3.3).
func (s *Set) HasScope(scope string) bool { return slices.Contains(s.Scope, scope) }

// Claim returns the top-level claim of exactly this name.
func (s *Set) Claim(name string) (Value, bool) {
	if s.escaped {
		return s.claimByContent(name)
	}
	for i := range s.members {
		if text := s.members[i].Name.Text(); len(text) == len(name)+len(`""`) && text[1:len(text)-1] == name {
			return Value{s.members[i].Value}, true
		}
	}
	return Value{}, false
}

// claimByContent is Claim if a name has an escape, which hardly ever happens.
func (s *Set) claimByContent(name string) (Value, bool) {
	for i := range s.members {
		if s.members[i].Name.Equal(name) {
			return Value{s.members[i].Value}, true
		}
	}
	return Value{}, false
}

// Lookup implements Source.
func (s *Set) Lookup(path Path) (Value, bool) {
	if s == nil || path.IsZero() {
		return Value{}, false
	}
	return path.below(s.Claim(path.segments[0]))
}

// find implements Source.
func (s *Set) find(path Path) (v Value, absent bool) {
	if s == nil || path.IsZero() {
		return Value{}, true
	}
	return path.findBelow(s.Claim(path.segments[0]))
}

// names implements Source.
func (*Set) names() (member, absence string) { return "claim", "is not there" }
