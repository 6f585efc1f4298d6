package gate_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/hashing/hashingtest"
	"github.com/caddyjwt/gateway/internal/tokentest"
	"github.com/caddyjwt/gateway/introspect"
)

// A field of the configuration must change the fingerprint, unless a tag leaves it out. Otherwise gates could share
// cached tokens that they must not share.
func TestEveryFieldIsPartOfTheFingerprintOrHasATag(t *testing.T) {
	c := config(t, tokentest.NewKey(t, "ES256", "k1"))
	c.Issuers[0].Keys = nil // an interface, which KeysID stands for
	c.Roster, c.Revocations = newRoster(), newRevocations(t).List()
	hashingtest.EveryField(t, gate.Config{Roster: c.Roster, Revocations: c.Revocations}, gate.FieldsFingerprint)
	hashingtest.EveryField(t, c, gate.FieldsFingerprint)
}

// A field that a tag leaves out of the fingerprint has a substitute there, or is applied to every request.
func TestSubstitutesOfFieldsAreInTheFingerprint(t *testing.T) {
	one, two := tokentest.NewKey(t, "ES256", "k1"), tokentest.NewKey(t, "ES256", "k2")
	with := func(change func(*gate.Config)) [32]byte {
		return gate.Fingerprint(config(t, one, func(c *gate.Config) {
			c.Consumers = []gate.Consumer{consumer(t, "shop", "shop-key", one)}
		}, change))
	}
	base := with(func(*gate.Config) {})
	for name, change := range map[string]func(*gate.Config){
		"another key of a credential": func(c *gate.Config) { c.Consumers[0].Credentials[0].Verifier = verifier(t, two) },
		"an audience that is any": func(c *gate.Config) {
			c.Audience, c.Issuers[0].Audience = gate.Audience{Any: true}, gate.Audience{}
		},
	} {
		if with(change) == base {
			t.Errorf("%s: the same fingerprint", name)
		}
	}
	for name, change := range map[string]func(*gate.Config){
		"another audience":          func(c *gate.Config) { c.Issuers[0].Audience = accept("else") },
		"another requirement":       func(c *gate.Config) { c.Require.Scopes = []string{"read"} },
		"the default of the claim":  func(c *gate.Config) { c.KeyClaim = gate.DefaultKeyClaim },
		"another leeway":            func(c *gate.Config) { c.Issuers[0].Leeway = time.Second },
		"the end of a certificate":  func(c *gate.Config) { c.Consumers[0].Credentials[0].NotAfter = start },
		"introspection beside keys": func(c *gate.Config) { c.Issuers[0].Asking = new(gate.Asking) },
	} {
		if with(change) != base {
			t.Errorf("%s: another fingerprint", name)
		}
	}
}

// filled sets every field that can be reached, with one element in each list. Interfaces and functions stay nil.
func filled(t *testing.T, v reflect.Value) {
	t.Helper()
	switch v.Kind() {
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[claims.Path]() {
			v.Set(reflect.ValueOf(path(t, "a.b")))
			return
		}
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() && v.Type().Field(i).Tag.Get("clone") != "shared" {
				filled(t, v.Field(i))
			}
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		filled(t, v.Index(0))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		filled(t, v.Elem())
	case reflect.String:
		v.SetString("before")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int64:
		v.SetInt(7)
	case reflect.Uint8, reflect.Uint32:
		v.SetUint(7)
	case reflect.Array:
		filled(t, v.Index(0))
	case reflect.Interface, reflect.Func:
	default:
		t.Fatalf("the test knows no value for a %s", v.Type())
	}
}

// spoil changes everything that a value shares with its copies, which is what its lists and pointers lead to.
func spoil(v reflect.Value, behind bool) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if field := v.Type().Field(i); field.IsExported() && field.Tag.Get("clone") != "shared" {
				spoil(v.Field(i), behind)
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			spoil(v.Index(i), true)
		}
	case reflect.Pointer:
		if !v.IsNil() {
			spoil(v.Elem(), true)
		}
	}
	if behind && v.CanSet() {
		v.SetZero()
	}
}

// A gate keeps a copy of its configuration. Nobody may be able to change the copy through the original.
func TestCopyOfAConfigurationSharesNothing(t *testing.T) {
	var original, want gate.Config
	filled(t, reflect.ValueOf(&original).Elem())
	filled(t, reflect.ValueOf(&want).Elem())
	kept := gate.Clone(original)
	spoil(reflect.ValueOf(&original).Elem(), false)
	if reflect.DeepEqual(original.Issuers, want.Issuers) || reflect.DeepEqual(original.Require, want.Require) {
		t.Fatal("the original was not changed")
	}
	if !reflect.DeepEqual(kept, want) {
		t.Errorf("the copy is now %+v\nand was %+v", kept, want)
	}
}

func TestGateKeepsItsOwnIntrospectionSettings(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	as := newAS(t)
	settings := as.introspection(gate.AskOpaque)
	g := build(t, key, func(c *gate.Config) { c.Issuers[0].Asking = settings })
	*settings = gate.Asking{Mode: gate.AskJWTs, Client: new(introspect.Client)}
	refused(t, g, request("opaque"), gate.Inactive)
	accepted(t, g, request(key.Sign(t, says())))
}
