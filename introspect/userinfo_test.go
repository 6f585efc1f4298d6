package introspect_test

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/caddyjwt/gateway/introspect"
)

func TestUserInfo(t *testing.T) {
	for _, test := range []struct {
		name   string
		status int
		text   string
		want   string
	}{
		{"a user", 200, `{"sub":"248289761001","email":"jdoe@example.com"}`, active},
		{"the token is invalid", 401, `{}`, inactive},
		{"the token lacks the scope openid", 403, `{"error":"insufficient_scope"}`, inactive},
		{"the token is invalid, by 403", 403, `{"error":"invalid_token"}`, inactive},
		{"the token is invalid, by 400", 400, `{"error":"invalid_token"}`, inactive},
		{"forbidden without a reason", 403, `{}`, protocol},
		{"forbidden by a page", 403, `<html>`, protocol},
		{"a request that is not understood", 400, `{"error":"invalid_request"}`, protocol},
		{"active does not matter", 200, `{"sub":"x","active":false}`, active},
		{"no sub", 200, `{"email":"jdoe@example.com"}`, protocol},
		{"an empty sub", 200, `{"sub":""}`, protocol},
		{"a sub that is not a string", 200, `{"sub":12345}`, protocol},
		{"sub twice", 200, `{"sub":"a","sub":"b"}`, protocol},
		{"an array", 200, `["sub"]`, protocol},
		{"not found", 404, `{"sub":"x"}`, protocol},
		{"an error", 500, `{"sub":"x"}`, "unavailable"},
		{"rate limited", 429, `{"sub":"x"}`, "rate_limited"},
		{"a redirect", 302, `{"sub":"x"}`, protocol},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, r := verdict(t, func() *http.Response { return response(test.status, test.text) }, userInfo)
			if got != test.want {
				t.Errorf("the verdict is %s, want %s", got, test.want)
			}
			if got == active && (r.Answer != test.text || !r.ExpiresAt.IsZero()) {
				t.Errorf("the result is %+v", r)
			}
		})
	}
}

func userInfo(c *introspect.Config) {
	c.Mode, c.ClientID, c.ClientSecret = introspect.UserInfo, "", ""
}

func TestUserInfoIsAskedWithTheToken(t *testing.T) {
	s := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.ContentLength != 0 || r.URL.RawQuery != "" {
			t.Errorf("the request is %s %s with %d bytes", r.Method, r.URL, r.ContentLength)
		}
		if auth := r.Header.Get("Authorization"); auth != "Bearer "+testToken {
			t.Errorf("Authorization is %q", auth)
		}
		if accept := r.Header.Get("Accept"); accept != "application/json" {
			t.Errorf("Accept is %q", accept)
		}
		answer(`{"sub":"x"}`)(w, r)
	})
	c := newClient(t, introspect.Config{Mode: introspect.UserInfo, Endpoint: s.URL})
	for range 3 {
		r, err := c.Introspect(t.Context(), testToken)
		wantActive(t, true, r, err)
	}
	for _, token := range []string{"a b", "a\r\nX-Y: z", "ü", "a\x00"} {
		if _, err := c.Introspect(t.Context(), token); err != introspect.ErrToken {
			t.Errorf("token %q gives %v, want ErrToken", token, err)
		}
	}
	if n := s.calls.Load(); n != 1 {
		t.Errorf("%d calls, want 1", n)
	}
}

// An answer whose status says everything still has a body. If nobody reads it, its connection is lost. Then each
// invented token would cost the server a new connection, with a TLS handshake.
func TestInvalidTokensCostNoConnections(t *testing.T) {
	for _, status := range []int{http.StatusUnauthorized, http.StatusForbidden} {
		var connections atomic.Int64
		s := httptest.NewUnstartedServer(reply(status, "application/json", `{"error":"invalid_token"}`))
		s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
			if state == http.StateNew {
				connections.Add(1)
			}
		}
		s.Start()
		t.Cleanup(s.Close)
		c := newClient(t, introspect.Config{Mode: introspect.UserInfo, Endpoint: s.URL})
		for i := range 20 {
			if r, err := c.Introspect(t.Context(), fmt.Sprint("invented-", i)); r.Active || err != nil {
				t.Errorf("status %d: active %v, error %v", status, r.Active, err)
			}
		}
		if n := connections.Load(); n > 5 { // one, unless the machine is slow
			t.Errorf("status %d: %d connections for 20 questions one after the other", status, n)
		}
	}
}

// The status is the verdict, so the rest of the answer need not arrive.
func TestAVerdictDoesNotWaitForTheRestOfTheAnswer(t *testing.T) {
	s := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusUnauthorized)
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	c := newClient(t, introspect.Config{Mode: introspect.UserInfo, Endpoint: s.URL})
	r, err := c.Introspect(t.Context(), testToken)
	wantActive(t, false, r, err)
}
