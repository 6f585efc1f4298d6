package introspect_test

import (
	"net/http"
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
		{"the token has not the scope openid", 403, `{}`, protocol},
		{"active does not matter", 200, `{"sub":"x","active":false}`, active},
		{"no sub", 200, `{"email":"jdoe@example.com"}`, protocol},
		{"an empty sub", 200, `{"sub":""}`, protocol},
		{"a sub that is no string", 200, `{"sub":12345}`, protocol},
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
