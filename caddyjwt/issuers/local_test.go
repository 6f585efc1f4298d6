package issuers

import (
	"context"
	"errors"
	"testing"

	"github.com/caddyjwt/gateway/caddyjwt/localissuer"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/internal/opaque"
	"github.com/caddyjwt/gateway/introspect"
)

// unsealing are keys that open every token to the same claims, or to none.
type unsealing struct {
	localissuer.Keys
	claims string
	err    error
}

func (u unsealing) Unseal(context.Context, string) ([]byte, error) { return []byte(u.claims), u.err }

// A gate hears of an opaque token what it would hear of a JWT.
func TestOpaqueTokensThatDoNotOpen(t *testing.T) {
	var plan Plan
	plan.Issuer.Name = "https://as.example"
	for name, c := range map[string]struct {
		keys keyset.Source
		want error
	}{
		"none of the issuer":       {unsealing{err: opaque.ErrMalformed}, introspect.ErrToken},
		"changed":                  {unsealing{err: opaque.ErrForged}, jose.ErrSignature},
		"of an unknown key":        {unsealing{err: keyset.ErrUnknownKey}, keyset.ErrUnknownKey},
		"in a doubt":               {unsealing{err: &keyset.UnavailableError{}}, keyset.ErrUnavailable},
		"among too many":           {unsealing{err: &keyset.UnavailableError{Err: keyset.ErrPending}}, keyset.ErrPending},
		"claims that nobody reads": {unsealing{claims: `{"sub":1,"sub":2}`}, introspect.ErrToken},
		"a tool asks":              {Unopened(), gate.ErrOffline},
	} {
		t.Run(name, func(t *testing.T) {
			result, err := plan.openerOf(c.keys).Introspect(t.Context(), "x")
			if !errors.Is(err, c.want) || result.Active || result.Value != nil {
				t.Errorf("%+v, %v; want %v", result, err, c.want)
			}
		})
	}
	result, err := plan.openerOf(unsealing{claims: `{"sub":"batch"}`}).Introspect(t.Context(), "x")
	if err != nil || !result.Active || result.Value == nil {
		t.Errorf("%+v, %v", result, err)
	}
}
