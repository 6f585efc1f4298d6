package oauth_test

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/clients"
	"github.com/caddyjwt/gateway/internal/oauth"
)

// withFurther is a house whose client orders adds claims, and has lifetimes for single audiences.
func withFurther(tb testing.TB) *house {
	tb.Helper()
	h := exchanging(tb)
	var list []clients.Client
	for c := range h.clients.Load().All {
		if c.ID == "orders" {
			changed := *c
			changed.Grants, changed.Audiences = []clients.Grant{clients.ClientCredentials}, []string{api, billing}
			changed.Claims = map[string]json.RawMessage{
				"roles": json.RawMessage(`["admin","root"]`), "Email": json.RawMessage(`"root@example.com"`),
				"limits": json.RawMessage(`{"day":100}`),
			}
			changed.Lifetimes = map[string]time.Duration{billing: time.Minute}
			c = &changed
		}
		list = append(list, *c)
	}
	h.setClients(tb, list...)
	return h
}

func TestClaimsOfAClient(t *testing.T) {
	h := withFurther(t)
	set := says(t, h.gives(t, own("orders", secret, "resource", api)).Access)
	for name, want := range map[string]any{
		"sub": "orders", "client_id": "orders", "aud": api, "roles": []any{"admin", "root"}, "Email": "root@example.com",
		"limits": m{"day": 100.0},
	} {
		if got := set[name]; !reflect.DeepEqual(got, want) {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	if other := says(t, h.gives(t, own("batch", secret)).Access); other["limits"] != nil || other["roles"] != nil {
		t.Errorf("another client has them, too: %v", other)
	}
}

// What a client adds is about the client. A user in whose name it gets a token has none of it.
func TestAttackRolesOfAClientForAUser(t *testing.T) {
	h := withFurther(t)
	for name, q := range map[string]*oauth.Request{
		"with roles":    exchanges("orders", h.subjectToken(t), "resource", billing),
		"without roles": exchanges("orders", h.subjectToken(t, "roles", nil), "resource", billing),
	} {
		set := says(t, h.gives(t, q).Access)
		want := []any{"admin"}
		if name == "without roles" {
			want = nil
		}
		if got, _ := set["roles"].([]any); set["sub"] != "idp:alice" || !reflect.DeepEqual(got, want) ||
			set["email"] != "a@example.com" || set["Email"] != nil || set["limits"] != nil {
			t.Errorf("%s: %v", name, set)
		}
	}
}

// A token lives as long as its audience says, also one in the name of somebody else.
func TestLifetimesOfSingleAudiences(t *testing.T) {
	h := withFurther(t)
	for name, c := range map[string]struct {
		q    *oauth.Request
		life time.Duration
	}{
		"of the client":       {own("orders", secret, "resource", api), 5 * time.Minute},
		"of the audience":     {own("orders", secret, "resource", billing), time.Minute},
		"in another's name":   {exchanges("orders", h.subjectToken(t), "resource", billing), time.Minute},
		"of the client there": {exchanges("orders", h.subjectToken(t), "resource", api), 5 * time.Minute},
		"of another client":   {own("two", secret, "resource", billing), 5 * time.Minute},
	} {
		// The end is in whole seconds, and the begin is in milliseconds.
		if in := time.Duration(h.gives(t, c.q).ExpiresIn) * time.Second; in > c.life || in < c.life-2*time.Second {
			t.Errorf("%s: %v, want %v", name, in, c.life)
		}
	}
}
