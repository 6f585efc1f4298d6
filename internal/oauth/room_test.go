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
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// A client cannot fill the store with assertions that are remembered. Others go on, and it can go on itself when the
// first ones have expired.
func TestAttackAClientFillsTheStoreWithAssertions(t *testing.T) {
	h := exchanging(t)
	for _, id := range []string{"signer", "desk"} {
		h.FillRoom(id)
	}
	key := signerKeys(t)[0]
	q := signed(h.assert(t, key, "signer", nil))
	before := h.in.used.Load()
	for name, asked := range map[string]*oauth.Request{
		"an assertion of a client": q,
		"an assertion for a grant": asserts("desk", h.subjectToken(t, "aud", issuer)),
	} {
		_, err := h.Token(asked)
		failure, is := errors.AsType[*issuing.Failure](err)
		if !is || failure.Status != http.StatusTooManyRequests || failure.RetryAfter <= 0 ||
			failure.RetryAfter > time.Hour {
			t.Errorf("%s: %v", name, err)
		}
		if asked.Client == nil {
			t.Errorf("%s: nobody learns which client it is", name)
		}
	}
	if used := h.in.used.Load(); used != before {
		t.Errorf("%d are remembered all the same", used-before)
	}
	h.gives(t, signed(h.assert(t, otherSigner(t), "other-signer", nil)))
}

// otherSigner is the key of the client other-signer.
func otherSigner(t *testing.T) *tokentest.Key {
	t.Helper()
	return tokentest.NewKey(t, "ES256", "other")
}

// Whoever has seen one assertion of a client cannot fill the room of the client with it, nor can a stranger.
func TestAttackUsedAssertionsFillNoRoom(t *testing.T) {
	h := newHouse(t)
	assertion := h.assert(t, signerKeys(t)[0], "signer", nil)
	h.gives(t, signed(assertion))
	for range 5 {
		h.refuses(t, signed(assertion), 401, issuing.InvalidClient, "was used before")
		h.refuses(t, signed(h.assert(t, otherSigner(t).WithKID("e"), "signer", nil)), 401, issuing.InvalidClient, "signer")
	}
	if n := h.Remembered("signer"); n != 1 {
		t.Errorf("%d are remembered", n)
	}
}

// What has ended makes room. Each client has its own, also when there are very many.
func TestRooms(t *testing.T) {
	var r oauth.Rooms
	const most = 3
	for i, step := range []struct {
		id              string
		now, life, wait time.Duration
	}{
		{"a", 0, 30 * time.Second, 0}, {"a", 10 * time.Second, 2 * time.Minute, 0},
		{"a", 20 * time.Second, time.Hour, 0}, {"a", 30 * time.Second, 0, 30 * time.Second}, {"b", 30 * time.Second, 0, 0},
		{"a", time.Minute, time.Hour, 0}, {"a", time.Minute, 0, 2 * time.Minute},
		{"a", 3 * time.Minute, 100 * time.Hour, 0}, {"a", 3 * time.Minute, 0, 58 * time.Minute},
		{"a", 61 * time.Minute, 0, 0}, {"a", 68 * time.Minute, 0, 0}, {"a", time.Hour * 1000, -time.Hour, 0},
	} {
		if wait := r.Wait(step.id, most, step.now); wait != step.wait {
			t.Errorf("step %d: %s after %v waits %v, want %v", i, step.id, step.now, wait, step.wait)
		}
		if step.life != 0 {
			r.Add(step.id, step.life, step.now)
		}
	}
	for n := range clients.MaxClients {
		r.Add(fmt.Sprint("client ", n), time.Minute, 2000*time.Hour)
	}
	for range most {
		r.Add("a", 5*time.Minute, 2000*time.Hour)
	}
	if wait := r.Wait("a", most, 2000*time.Hour); wait == 0 {
		t.Error("the room of a client was forgotten")
	}
	if r.Add("c", time.Minute, 2001*time.Hour); r.Len() != 1 {
		t.Errorf("%d clients have a room for nothing", r.Len())
	}
}
