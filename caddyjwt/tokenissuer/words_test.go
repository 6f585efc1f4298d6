package tokenissuer

import (
	"flag"
	"reflect"
	"testing"

	"github.com/caddyjwt/gateway/caddyjwt/clienttls"
	"github.com/caddyjwt/gateway/caddyjwt/cors"
	"github.com/caddyjwt/gateway/caddyjwt/issuers"
	"github.com/caddyjwt/gateway/caddyjwt/tokenissuer/applications"
	"github.com/caddyjwt/gateway/caddyjwt/tokenissuer/people"
	"github.com/caddyjwt/gateway/caddyjwt/tokenissuer/registration"
	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/caddyjwt/words/wordstest"
)

var update = flag.Bool("update", false, "rewrite the expected part of testdata/adapt")

// TestAdapt runs every file of testdata/adapt: a Caddyfile, a dashed line, and the JSON that it becomes or the error
// that it gives.
func TestAdapt(t *testing.T) {
	wordstest.Adapt(t, "testdata/adapt", "token_issuer", *update)
}

// The manual has every word and every field, the comment of UnmarshalCaddyfile has the syntax card, and
// every_word.caddyfiletest has each word.
func TestManualHasEveryWordAndField(t *testing.T) {
	if card, want := wordstest.Card(t, "caddyfile.go"), directive.Card("<issuer>"); card != want {
		t.Errorf("the comment of UnmarshalCaddyfile has\n%s\nthe tables give\n%s", card, want)
	}
	tables := directive.Tables()
	delete(tables, "cors") // in the manual of bearer_auth
	for name := range (&words.Directive[issuers.Issuer]{Table: &issuers.Table}).Tables() {
		delete(tables, name)
	}
	wordstest.EveryWordIn(t, "testdata/adapt/every_word.caddyfiletest", tables)
	manual := wordstest.Manual{
		File: "../../docs/token-issuer.md", Tables: tables,
		Sections: map[string]reflect.Type{
			"token_issuer": reflect.TypeFor[Handler](),
			"users":        reflect.TypeFor[people.Source](),
			"app":          reflect.TypeFor[applications.App](),
			"endpoints":    reflect.TypeFor[applications.Endpoints](),

			"client":          reflect.TypeFor[registration.Client](),
			"exchange":        reflect.TypeFor[registration.Exchange](),
			"oauth_endpoints": reflect.TypeFor[OAuthEndpoints](),
		},
		Documented: []reflect.Type{
			reflect.TypeFor[cors.Config](), reflect.TypeFor[clienttls.TLS](), reflect.TypeFor[issuers.Issuer](),
		},
	}
	manual.Check(t)
}
