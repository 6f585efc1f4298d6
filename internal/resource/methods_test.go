package resource_test

import (
	"slices"
	"testing"

	"github.com/caddyjwt/gateway/internal/bearer"
	"github.com/caddyjwt/gateway/internal/resource"
)

func TestWaysToSendATokenThatClientsKnow(t *testing.T) {
	header, form := bearer.DefaultPlace, bearer.Place{Kind: bearer.Form, Name: "access_token"}
	query := bearer.Place{Kind: bearer.Query, Name: "access_token"}
	for name, c := range map[string]struct {
		places []bearer.Place
		want   []string
	}{
		"all of them, in another order": {[]bearer.Place{query, form, header}, []string{"header", "body", "query"}},
		"the scheme in another case": {
			[]bearer.Place{{Kind: bearer.Header, Name: "Authorization", Scheme: "bearer"}}, []string{"header"}},
		"another scheme":           {[]bearer.Place{{Kind: bearer.Header, Name: "Authorization", Scheme: "Token"}}, nil},
		"another header":           {[]bearer.Place{{Kind: bearer.Header, Name: "X-Token"}}, nil},
		"other names":              {[]bearer.Place{{Kind: bearer.Query, Name: "t"}, {Kind: bearer.Form, Name: "t"}}, nil},
		"a cookie with that name":  {[]bearer.Place{{Kind: bearer.Cookie, Name: "access_token"}}, nil},
		"a cookie beside a header": {[]bearer.Place{{Kind: bearer.Cookie, Name: "t"}, header}, []string{"header"}},
	} {
		if got := resource.Methods(c.places); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
