package claims

import (
	"slices"

	"github.com/caddyjwt/gateway/internal/strictjson"
)

// Tolerated says what about the set was admitted only by the Reading, such as "sub is a number". It reads the text
// again, so it is for tools.
func (s *Set) Tolerated() (all []string) {
	t := s.reading.tolerance()
	members, err := strictjson.ParseMembers(s.text, strictjson.Limits{})
	if t == 0 || err != nil {
		return nil
	}
	for _, m := range members {
		name, _ := m.Name.Str()
		_, there := s.Claim(name)
		date := slices.Contains(dateClaims, name)
		if _, ok := s.readDate(m.Value); !ok {
			date = false
		}
		switch {
		case !there && t.omitsInAnswer(name, m.Value) && !t.omits(name, m.Value):
			all = append(all, "exp means never")
		case !there && t.omits(name, m.Value) && m.Value.Kind() == strictjson.Null:
			all = append(all, name+" is null")
		case !there && t.omits(name, m.Value):
			all = append(all, "sub is empty")
		case name == "sub" && m.Value.Kind() == strictjson.Number:
			all = append(all, "sub is a number")
		case date && m.Value.Kind() == strictjson.String:
			all = append(all, name+" is a text")
		}
		if date && there && t.Has(MillisecondDates) {
			all = append(all, name+" is in milliseconds")
		}
	}
	if _, there := s.Claim("exp"); !there && !s.ExpiresAt.IsZero() {
		all = append(all, "there is no exp")
	}
	return all
}
