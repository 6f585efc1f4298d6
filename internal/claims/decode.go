package claims

import (
	"fmt"
	"slices"
	"strings"

	"github.com/caddyjwt/gateway/internal/strictjson"
)

// maxList bounds the number of entries in aud, scope and scp. Each entry costs sixteen bytes beside its text, which
// adds up in a token that is all commas. Real tokens have a handful.
const maxList = 1024

// Decode reads a claims set. It copies the text once, and the set's strings share that copy. Anything but one strict
// JSON object is an ErrMalformed, and so is a registered claim that is not what its specification says:
//
//   - iss, sub, jti, client_id: a string that is not blank;
//   - aud: such a string, or an array of them (RFC 7519 section 4.1.3). An empty array satisfies no audience;
//   - exp, nbf, iat: a number of seconds, from 0 to the end of the year 9999. A fraction and an exponent are allowed
//     (RFC 7519 section 2);
//   - scope, scp: a string of scopes separated by spaces (RFC 6749 section 3.3), or an array with one scope in each
//     string. Both may be present.
//
// So null is refused for all of them. Other claims may be anything (RFC 7519 section 4).
func Decode(text []byte) (*Set, error) {
	s, err := parse(text)
	if err != nil {
		return nil, err
	}
	return s.read(nil, nil)
}

// DecodeAnswer reads an authorization server's answer about a token, as Decode does. All members but "active" are
// optional there (RFC 7662 section 2.2). Some servers write null for a member without a value, or an empty string for a
// name. DecodeAnswer treats such members as absent, registered or not.
func DecodeAnswer(text []byte) (*Set, error) { return (*Reading)(nil).DecodeAnswer(text) }

// DecodeUserInfo reads an answer of a UserInfo endpoint, as DecodeAnswer does, but ignores aud. Signed answers have
// one, and some servers write one into unsigned answers, too. It names the client that may read the answer (OpenID
// Connect Core 1.0 section 5.3.2), not the audience of the token.
func DecodeUserInfo(text []byte) (*Set, error) { return (*Reading)(nil).DecodeUserInfo(text) }

// countsAsAbsent reports whether a member of an answer counts as absent. An empty scope does not, since it says that no
// scope was granted. Neither does a null exp, which must not make a token that never expires.
func countsAsAbsent(name string, v strictjson.Value) bool {
	switch name {
	case "exp":
		return false
	case "iss", "sub", "jti", "client_id", "username", "aud":
		return v.Kind() == strictjson.Null || v.Equal("")
	default:
		return v.Kind() == strictjson.Null
	}
}

// parse makes a set that has nothing but its members.
func parse(text []byte) (*Set, error) {
	own := string(text)
	members, err := strictjson.ParseMembers(own, strictjson.Limits{})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return &Set{text: own, members: members}, nil
}

// read reads the members except those for which out reports true. Both arguments may be nil.
func (s *Set) read(r *Reading, out func(strictjson.Member) bool) (*Set, error) {
	if s.reading = r; out != nil {
		s.members = slices.DeleteFunc(s.members, out)
	}
	for _, m := range s.members {
		if err := s.take(m); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// take keeps the value of one member if its name is registered. Names are compared after unescaping, as every other
// reader does.
func (s *Set) take(m strictjson.Member) (err error) {
	name, _ := m.Name.Str()
	s.escaped = s.escaped || len(name) != len(m.Name.Text())-len(`""`)
	switch name {
	case "iss":
		s.Issuer, err = s.identifier("iss", m.Value)
	case "sub":
		s.Subject, err = s.subject(m.Value)
	case "jti":
		s.ID, err = s.identifier("jti", m.Value)
	case "client_id":
		s.ClientID, err = s.identifier("client_id", m.Value)
	case "aud":
		s.Audience, err = s.audience(m.Value)
	case "scope":
		// scp may have come first: the order of members has no meaning.
		var scope []string
		scope, err = s.scopes("scope", m.Value, nil)
		s.Scope = join(scope, s.Scope)
	case "scp":
		s.Scope, err = s.scopes("scp", m.Value, s.Scope)
	case "exp":
		s.ExpiresAt, err = s.date("exp", m.Value)
	case "nbf":
		s.NotBefore, err = s.date("nbf", m.Value)
	case "iat":
		s.IssuedAt, err = s.date("iat", m.Value)
	case "cnf":
		s.Confirmation = s.confirmation(m.Value)
	case "sid":
		s.Session = Value{m.Value}
	case "azp":
		s.Clients[0] = Value{m.Value}
	case "appid":
		s.Clients[1] = Value{m.Value}
	case "cid":
		s.Clients[2] = Value{m.Value}
	}
	return err
}

func (s *Set) subject(v strictjson.Value) (string, error) {
	if s.reading.tolerance().Has(NumericSubject) && isSubjectNumber(v) {
		return v.Text(), nil
	}
	return s.identifier("sub", v)
}

// identifier reads a string that names somebody or something. It refuses a blank one, so that there is never an empty
// identity.
func (s *Set) identifier(claim string, v strictjson.Value) (string, error) {
	str, ok := s.str(v)
	if !ok || strings.TrimSpace(str) == "" {
		return "", malformed(claim, v, "a non-blank string")
	}
	return str, nil
}

// str returns the content of a string. A string with escapes does not share the memory of the text, but has its own, of
// the size that it had with its escapes.
func (s *Set) str(v strictjson.Value) (string, bool) {
	str, ok := v.Str()
	if written := len(v.Text()) - len(`""`); ok && len(str) != written {
		s.extra += written
	}
	return str, ok
}

func (s *Set) audience(v strictjson.Value) ([]string, error) {
	if v.Kind() == strictjson.String {
		one, err := s.identifier("aud", v)
		if err != nil {
			return nil, err
		}
		return []string{one}, nil
	}
	n, ok := listLen(v)
	switch {
	case n > maxList:
		return nil, tooLong("aud", n)
	case !ok:
		return nil, malformed("aud", v, "a string or an array of strings")
	case n == 0:
		return nil, nil
	}
	list := make([]string, 0, n)
	for e := range v.Elements() {
		one, err := s.identifier("an element of aud", e)
		if err != nil {
			return nil, err
		}
		list = append(list, one)
	}
	return list, nil
}

// scopes appends the scopes in v to list. Only a space separates scopes: a comma or a tab is part of a scope.
func (s *Set) scopes(claim string, v strictjson.Value, list []string) ([]string, error) {
	if str, ok := s.str(v); ok {
		return splitScopes(claim, str, list)
	}
	n, ok := listLen(v)
	switch {
	case n > maxList:
		return nil, tooLong(claim, n)
	case !ok:
		return nil, malformed(claim, v, "a string or an array of strings")
	}
	list = grow(list, n)
	for e := range v.Elements() {
		one, ok := s.str(e)
		if !ok {
			return nil, malformed("an element of "+claim, e, "a string")
		}
		if one != "" {
			list = append(list, one)
		}
	}
	return list, nil
}

// splitScopes appends the scopes between the spaces of str to list. It takes two passes for the sake of one allocation
// of the right size.
func splitScopes(claim, str string, list []string) ([]string, error) {
	n := 0
	for one := range strings.SplitSeq(str, " ") {
		if one != "" {
			n++
		}
	}
	if n > maxList {
		return nil, tooLong(claim, n)
	}
	list = grow(list, n)
	for one := range strings.SplitSeq(str, " ") {
		if one != "" {
			list = append(list, one)
		}
	}
	return list, nil
}

// listLen returns the number of elements of an array. It is not ok for other values and for arrays that are too long.
func listLen(v strictjson.Value) (n int, ok bool) {
	for range v.Elements() {
		n++
	}
	return n, v.Kind() == strictjson.Array && n <= maxList
}

// grow makes room for exactly n more.
func grow(list []string, n int) []string {
	if n == 0 {
		return list
	}
	return append(make([]string, 0, len(list)+n), list...)
}

// join is a followed by b.
func join(a, b []string) []string {
	if len(b) == 0 {
		return a
	}
	return append(grow(a, len(b)), b...)
}
