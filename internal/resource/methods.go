package resource

import (
	"slices"
	"strings"

	"github.com/caddyjwt/gateway/internal/bearer"
)

// Methods are the places of RFC 6750 section 2 by their names in the document, in the order of that section. Other
// places, such as a cookie, have no name there.
func Methods(places []bearer.Place) (names []string) {
	for _, method := range []struct {
		name  string
		place bearer.Place
	}{
		{"header", bearer.DefaultPlace},
		{"body", bearer.Place{Kind: bearer.Form, Name: "access_token"}},
		{"query", bearer.Place{Kind: bearer.Query, Name: "access_token"}},
	} {
		if slices.ContainsFunc(places, func(p bearer.Place) bool {
			return p.Kind == method.place.Kind && p.Name == method.place.Name && strings.EqualFold(p.Scheme, method.place.Scheme)
		}) {
			names = append(names, method.name)
		}
	}
	return names
}
