package attempts_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/caddyjwt/gateway/internal/users/attempts"
)

func TestWhatSpeaksAgainstAnAddress(t *testing.T) {
	site := func(i int) netip.Addr { return at(fmt.Sprintf("2001:db8:0:%x::1", i)) }
	for name, before := range map[string]func(*testing.T, *hashes){
		"a failure": func(t *testing.T, h *hashes) {
			_ = h.guard.Do(t.Context(), site(0), "x", wrong)
		},
		"another attempt": func(t *testing.T, h *hashes) {
			h.attempt(t.Context(), site(0), "of the same address")
		},
		"many failures of the site": func(t *testing.T, h *hashes) {
			for i := range 41 {
				_ = h.guard.Do(t.Context(), site(1+i), fmt.Sprint(i), wrong)
			}
		},
		"many attempts of the site": func(t *testing.T, h *hashes) {
			for i := range 8 {
				h.attempt(t.Context(), site(1+i), fmt.Sprint("of the site ", i))
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHashes(t, guard(t, attempts.Config{Slots: 1}))
				if strings.Contains(name, "failure") {
					before(t, h)
				}
				h.attempt(t.Context(), at("192.0.2.9"), "first")
				synctest.Wait()
				if !strings.Contains(name, "failure") {
					before(t, h)
				}
				synctest.Wait()
				h.attempt(t.Context(), site(0), "suspect")
				synctest.Wait()
				h.attempt(t.Context(), at("192.0.2.1"), "good")
				h.endAll(true)
				if order := h.order(); slices.Index(order, "good") > slices.Index(order, "suspect") {
					t.Errorf("%q", order)
				}
			})
		})
	}
}
