package oauth_test

import (
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/clients"
	"github.com/caddyjwt/gateway/internal/issuing"
	"github.com/caddyjwt/gateway/internal/oauth"
)

// A client cannot fill the list of revoked tokens, in which the logouts of everybody else have their place. Others go
// on, and so do the users of applications.
func TestAttackAClientFillsTheListOfRevokedTokens(t *testing.T) {
	h := newHouse(t)
	token := h.gives(t, own("batch", secret)).Access
	other := h.gives(t, own("two", secret, "resource", api)).Access
	pair := h.login(t, shop)
	for _, id := range []string{"batch", shop} {
		h.Server.TireOfRevoking(id)
	}
	err := h.Server.Revoke(basic(ask("token", token), "batch", secret))
	failure, is := errors.AsType[*issuing.Failure](err)
	if !is || failure.Status != http.StatusTooManyRequests || failure.RetryAfter <= 0 {
		t.Errorf("%v", err)
	}
	if !isActive(t, h, token) {
		t.Error("the token is revoked all the same")
	}
	h.revokes(t, basic(ask("token", other), "two", secret))
	h.revokes(t, ask("token", pair.Access, "client_id", shop))
	if isActive(t, h, other) || isActive(t, h, pair.Access) {
		t.Error("tokens of others are good after they were revoked")
	}
}

// So many at once, and then one after the other. Each client has its own count, also when there are very many.
func TestPaces(t *testing.T) {
	var p oauth.Paces
	const most, within = 3, 30 * time.Second
	for _, step := range []struct {
		id        string
		now, wait time.Duration
	}{
		{"a", 0, 0}, {"a", 0, 0}, {"a", 0, 0}, {"a", 0, 10 * time.Second}, {"b", 0, 0},
		{"a", 4 * time.Second, 6 * time.Second}, {"a", 10 * time.Second, 0}, {"a", 10 * time.Second, 10 * time.Second},
		{"a", time.Hour, 0}, {"a", time.Hour, 0}, {"a", time.Hour, 0}, {"a", time.Hour, 10 * time.Second},
	} {
		if wait := p.Take(step.id, most, within, step.now); wait != step.wait {
			t.Errorf("%s after %v waits %v, want %v", step.id, step.now, wait, step.wait)
		}
	}
	for n := range clients.MaxClients {
		p.Take(fmt.Sprint("client ", n), most, within, time.Hour)
	}
	if wait := p.Take("a", most, within, time.Hour); wait == 0 {
		t.Error("the count of a client was forgotten")
	}
	if p.Take("c", most, within, 3*time.Hour); p.Len() != 1 {
		t.Errorf("%d clients are remembered that need not wait", p.Len())
	}
}
