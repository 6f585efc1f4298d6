package oauth_test

import (
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/clients"
	"github.com/caddyjwt/gateway/internal/revoke"
)

// houseWithSealed is one that has the client sealed, whose tokens nobody but the issuer can read.
func houseWithSealed(t *testing.T) *house {
	t.Helper()
	h := newHouse(t)
	all := registered(t)
	sealed := all[0]
	sealed.ID, sealed.Opaque = "sealed", true
	h.setClients(t, append([]clients.Client{sealed}, all...)...)
	return h
}

// Whoever may ask about JWTs may ask about opaque tokens, and hears the same.
func TestAnOpaqueTokenIsDescribed(t *testing.T) {
	h := houseWithSealed(t)
	jwt, token := h.gives(t, own("batch", secret)).Access, h.gives(t, own("sealed", secret)).Access
	if strings.Contains(token, ".") {
		t.Fatalf("%s is a JWT", token)
	}
	want, got := h.described(t, introspect("server", jwt)), h.described(t, introspect("server", token))
	if string(got["client_id"]) != `"sealed"` || len(got) != len(want) {
		t.Errorf("%s, and of a JWT %s", got, want)
	}
	if answer := h.described(t, introspect("other-server", token)); string(answer["active"]) != "false" {
		t.Errorf("it is not for this server: %s", answer)
	}
}

// All that ends a JWT ends an opaque token. An operator revokes one by its text.
func TestOpaqueTokensEnd(t *testing.T) {
	for name, end := range map[string]func(t *testing.T, h *house, token string){
		"its client revokes it": func(t *testing.T, h *house, token string) {
			h.revokes(t, basic(ask("token", token), "sealed", secret))
		},
		"an operator revokes its text": func(t *testing.T, h *house, token string) {
			err := h.write(t.Context(), &revoke.Entry{
				Target:  revoke.Target{Kind: revoke.Text, Value: revoke.Digest(token)},
				Expires: h.clock.now().Add(time.Hour),
			})
			must(t, &err)
		},
		"an operator revokes its client": func(t *testing.T, h *house, _ string) {
			err := h.write(t.Context(), &revoke.Entry{
				Target:  revoke.Target{Kind: revoke.Client, Value: "sealed"},
				Expires: h.clock.now().Add(time.Hour), NotAfter: h.clock.now(),
			})
			must(t, &err)
		},
		"its client is gone": func(t *testing.T, h *house, _ string) { h.setClients(t, registered(t)...) },
		"the keys are reset": func(t *testing.T, h *house, _ string) {
			err := h.ring.Reset(t.Context())
			must(t, &err)
		},
		"it expires": func(_ *testing.T, h *house, _ string) { h.clock.advance(time.Hour) },
	} {
		t.Run(name, func(t *testing.T) {
			h := houseWithSealed(t)
			token := h.gives(t, own("sealed", secret)).Access
			if !isActive(t, h, token) {
				t.Fatal("it is not active")
			}
			end(t, h, token)
			if isActive(t, h, token) {
				t.Error("it is active")
			}
		})
	}
}
