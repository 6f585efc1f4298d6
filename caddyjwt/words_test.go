package caddyjwt_test

import (
	"reflect"
	"testing"

	"github.com/caddyjwt/gateway/caddyjwt"
	"github.com/caddyjwt/gateway/caddyjwt/backchannel"
	"github.com/caddyjwt/gateway/caddyjwt/clienttls"
	"github.com/caddyjwt/gateway/caddyjwt/consumers"
	"github.com/caddyjwt/gateway/caddyjwt/cors"
	"github.com/caddyjwt/gateway/caddyjwt/decryption"
	"github.com/caddyjwt/gateway/caddyjwt/issuers"
	"github.com/caddyjwt/gateway/caddyjwt/proofs"
	"github.com/caddyjwt/gateway/caddyjwt/require"
	"github.com/caddyjwt/gateway/caddyjwt/rights"
	"github.com/caddyjwt/gateway/caddyjwt/words/wordstest"
)

// sections of docs/configuration.md: each has the words of one block and the JSON fields of one struct.
var sections = map[string]reflect.Type{
	"bearer_auth":        reflect.TypeFor[caddyjwt.Handler](),
	"resource":           reflect.TypeFor[caddyjwt.Resource](),
	"issuer":             reflect.TypeFor[issuers.Issuer](),
	"tls":                reflect.TypeFor[clienttls.TLS](),
	"introspect":         reflect.TypeFor[issuers.Introspect](),
	"consumer":           reflect.TypeFor[consumers.Consumer](),
	"credential":         reflect.TypeFor[consumers.Credential](),
	"backchannel_logout": reflect.TypeFor[backchannel.Logout](),
	"private_key": reflect.TypeFor[struct { // its words fill fields of introspect
		PrivateKeyPassword string `json:"private_key_password"`
	}](),
	"decrypt": reflect.TypeFor[decryption.Config](),
	"key":     reflect.TypeFor[decryption.Key](),
	"keys": reflect.TypeFor[struct { // its words fill fields of keys[]
		CA []string `json:"ca"`
	}](),
	"cors":  reflect.TypeFor[cors.Config](),
	"mcp":   reflect.TypeFor[rights.Rights](),
	"proof": reflect.TypeFor[proofs.Config](),
}

// The comment of UnmarshalCaddyfile has the syntax card that the tables make.
func TestSyntaxCardMatchesTheTables(t *testing.T) {
	if card, want := wordstest.Card(t, "caddyfile.go"), caddyjwt.Directive.Card(caddyjwt.LineUsage); card != want {
		t.Errorf("the comment of UnmarshalCaddyfile has\n%s\nthe tables give\n%s", card, want)
	}
}

// The manual has every word of the Caddyfile and every field of the JSON, and every_word.caddyfiletest each word.
func TestConfigurationReferenceHasEveryWordAndField(t *testing.T) {
	manual().Check(t)
	wordstest.EveryWordIn(t, "testdata/adapt/every_word.caddyfiletest", caddyjwt.Directive.Tables())
}

func manual() *wordstest.Manual {
	return &wordstest.Manual{
		File: "../docs/configuration.md", Sections: sections, Tables: caddyjwt.Directive.Tables(),
		// as the rows about require say
		Documented: []reflect.Type{reflect.TypeFor[require.Alternative](), reflect.TypeFor[require.Excluded]()},
	}
}
