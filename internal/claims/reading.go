package claims

import (
	"slices"
	"time"

	"github.com/caddyjwt/gateway/internal/strictjson"
)

// Reading says how to read the claims of one issuer or consumer, as far as that differs from the specifications. It is
// immutable. A nil Reading differs in nothing, and costs nothing.
type Reading struct {
	// Tolerate lists the shapes that are admitted.
	Tolerate Tolerance
	// Lifetime is, with MissingExp, how long after its iat a token without exp ends. Without iat, such a token has no end,
	// and every check of time refuses it. 0 means that End says it.
	Lifetime time.Duration
	// End is when a token without exp ends if Lifetime is 0.
	End time.Time
	// Groups are the paths of the claims with the groups of the caller: see InGroup. Empty means the claim "groups".
	Groups []Path
}

// DecodeBy is Decode by the Reading that choose returns, once for each text. choose may look up claims and the Issuer
// in the set that it gets, and nothing else. It sees every claim as written: what the Reading will omit is still there.
func DecodeBy(text []byte, choose func(*Set) *Reading) (*Set, error) {
	s, err := parse(text)
	if err != nil {
		return nil, err
	}
	for _, m := range s.members {
		if m.Name.Equal("iss") {
			s.Issuer, _ = m.Value.Str()
		}
	}
	r := choose(s)
	s.Issuer = ""
	if r == nil {
		return s.read(nil, nil)
	}
	if s, err = s.read(r, func(m strictjson.Member) bool {
		name, _ := m.Name.Str()
		return r.Tolerate.omits(name, m.Value)
	}); err != nil {
		return nil, err
	}
	if s.ExpiresAt.IsZero() {
		s.ExpiresAt = r.end(s.IssuedAt)
	}
	return s, nil
}

// DecodeAnswer is the function DecodeAnswer, by this Reading. A nil r is allowed.
func (r *Reading) DecodeAnswer(text []byte) (*Set, error) { return r.decodeAnswer(text) }

// DecodeUserInfo is the function DecodeUserInfo, by this Reading. A nil r is allowed.
func (r *Reading) DecodeUserInfo(text []byte) (*Set, error) { return r.decodeAnswer(text, "aud") }

// DecodeSignedUserInfo reads the claims of a signed answer of a UserInfo endpoint, as DecodeUserInfo does, but also
// ignores exp, nbf, iat and jti. In a JWT they are about the JWT itself (RFC 7519 section 4.1), which was made a moment
// ago. Taken for those of the token, this iat would be later than every revocation. A nil r is allowed.
func (r *Reading) DecodeSignedUserInfo(text []byte) (*Set, error) {
	return r.decodeAnswer(text, "aud", "exp", "nbf", "iat", "jti")
}

// decodeAnswer reads an answer without some members.
func (r *Reading) decodeAnswer(text []byte, without ...string) (*Set, error) {
	s, err := parse(text)
	if err != nil {
		return nil, err
	}
	return s.read(r, func(m strictjson.Member) bool {
		name, _ := m.Name.Str()
		return slices.Contains(without, name) || countsAsAbsent(name, m.Value) ||
			r.tolerance().omitsInAnswer(name, m.Value)
	})
}

func (r *Reading) tolerance() Tolerance {
	if r == nil {
		return 0
	}
	return r.Tolerate
}

// end is when a token without exp ends. It is zero if it does not say so.
func (r *Reading) end(issuedAt time.Time) time.Time {
	switch {
	case !r.Tolerate.Has(MissingExp), r.Lifetime != 0 && issuedAt.IsZero():
		return time.Time{}
	case r.Lifetime != 0:
		return issuedAt.Add(r.Lifetime)
	default:
		return r.End
	}
}

// InGroup reports whether the set names the group.
//
// Without paths in the Reading, the claim "groups" is compared as Matches does (RFC 9068 section 2.2.3.1). With paths,
// the group may be at any of them, and a value may also be an object whose member names are the groups. A member that
// is false or null does not count. Only an object at the very path counts, not one in a list. InGroup does not
// allocate.
func (s *Set) InGroup(group string) bool {
	paths, configured := s.groupPaths()
	for i := range paths {
		value, ok := s.Lookup(paths[i])
		if ok && (value.Matches(group) || configured && value.hasMember(group)) {
			return true
		}
	}
	return false
}

// OutsideGroups reports whether it is plain that the set names none of these groups. A form in which that cannot be
// seen is not plain: see Condition.Excludes. A nil set names none. OutsideGroups does not allocate.
func (s *Set) OutsideGroups(groups []string) bool {
	if s == nil {
		return true
	}
	paths, configured := s.groupPaths()
	for i := range paths {
		value, _ := s.Lookup(paths[i])
		names := configured && value.json.Kind() == strictjson.Object
		if unwanted := (Condition{Path: paths[i], Values: groups}); !names && !unwanted.Excludes(s) {
			return false
		}
		for _, group := range groups {
			if names && value.hasMember(group) {
				return false
			}
		}
	}
	return true
}

// hasMember reports whether an object has a member of this name that says yes.
func (v Value) hasMember(name string) bool {
	member, ok := v.json.Member(name)
	return ok && member.Kind() != strictjson.Null && member.Text() != "false"
}

// GroupPaths are the paths where InGroup looks, as they are configured.
func (s *Set) GroupPaths() (paths []string) {
	own, _ := s.groupPaths()
	for _, path := range own {
		paths = append(paths, path.String())
	}
	return paths
}

// Groups are the values where InGroup looks, of those claims that are there.
func (s *Set) Groups() (values []Value) {
	paths, _ := s.groupPaths()
	for _, path := range paths {
		if value, ok := s.Lookup(path); ok {
			values = append(values, value)
		}
	}
	return values
}

// groupPaths returns the paths with groups, and whether they are configured.
func (s *Set) groupPaths() (paths []Path, configured bool) {
	if s.reading == nil || len(s.reading.Groups) == 0 {
		return groupsClaim, false
	}
	return s.reading.Groups, true
}

// groupsClaim has the groups of a token by default (RFC 9068 section 2.2.3.1).
var groupsClaim = []Path{{text: "groups", segments: []string{"groups"}}}
