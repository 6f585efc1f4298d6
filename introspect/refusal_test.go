package introspect_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/caddyjwt/gateway/introspect"
)

// TestErrorsThatAreAboutTheToken: some servers refuse a token with an error instead of "active":false. A code counts
// only if it can mean nothing else.
func TestErrorsThatAreAboutTheToken(t *testing.T) {
	bearer := func(c *introspect.Config) {
		c.AuthMethod, c.BearerToken, c.ClientID, c.ClientSecret = introspect.Bearer, "our-own", "", ""
	}
	for _, test := range []struct {
		name   string
		status int
		text   string
		change func(*introspect.Config)
		want   string
	}{
		{"the server does not introspect such tokens", 400, `{"error":"unsupported_token_type"}`, nil, inactive},
		{"with a description", 400, `{"error":"unsupported_token_type","error_description":"JWT"}`, nil, inactive},
		{"the token is invalid", 400, `{"error":"invalid_token"}`, nil, inactive},
		{"our own token is invalid", 400, `{"error":"invalid_token"}`, bearer, protocol},
		{"asked with a token, about one of another type", 400, `{"error":"unsupported_token_type"}`, bearer, inactive},
		{"our request is invalid (RFC 6749 section 5.2)", 400, `{"error":"invalid_request"}`, nil, protocol},
		{"our client is unknown", 400, `{"error":"invalid_client"}`, nil, protocol},
		{"our client may not ask", 400, `{"error":"unauthorized_client"}`, nil, protocol},
		{"a code with the same beginning", 400, `{"error":"unsupported_token_types"}`, nil, protocol},
		{"another case", 400, `{"Error":"unsupported_token_type"}`, nil, protocol},
		{"a code in a list", 400, `{"error":["unsupported_token_type"]}`, nil, protocol},
		{"a code that is null", 400, `{"error":null}`, nil, protocol},
		{"two codes", 400, `{"error":"invalid_request","error":"unsupported_token_type"}`, nil, protocol},
		{"only a description", 400, `{"error_description":"unsupported_token_type"}`, nil, protocol},
		{"more behind it", 400, `{"error":"unsupported_token_type"} x`, nil, protocol},
		{"without end", 400, `{"error":"unsupported_token_type","x":"` + strings.Repeat("x", 1<<20) + `"}`, nil, protocol},
		{"no JSON", 400, `unsupported_token_type`, nil, protocol},
		{"nothing", 400, ``, nil, protocol},
		// RFC 7662 section 2.3: these are about our credentials.
		{"401 with such a code", 401, `{"error":"unsupported_token_type"}`, nil, "refused"},
		{"401 with the other code", 401, `{"error":"invalid_token"}`, nil, "refused"},
		{"403 with such a code", 403, `{"error":"insufficient_scope"}`, nil, "refused"},
		{"500 with such a code", 500, `{"error":"unsupported_token_type"}`, nil, "unavailable"},
		{"404 with such a code", 404, `{"error":"unsupported_token_type"}`, nil, protocol},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, r := verdict(t, func() *http.Response { return response(test.status, test.text) }, test.change)
			if got != test.want {
				t.Errorf("the verdict is %s, want %s", got, test.want)
			}
			if (r.Refusal != "") != (got == inactive) {
				t.Errorf("the refusal is %q", r.Refusal)
			}
		})
	}
}

// TestUserInfoSaysWhyByAChallenge: RFC 6750 section 3 puts the code there. Some servers leave out the scheme.
func TestUserInfoSaysWhyByAChallenge(t *testing.T) {
	for _, test := range []struct {
		status    int
		challenge []string
		want      string
		refusal   string
	}{
		{403, []string{`Bearer realm="op", error="insufficient_scope", scope="openid"`}, inactive, "insufficient_scope"},
		{403, []string{`Bearer error="invalid_token"`}, inactive, "invalid_token"},
		{403, []string{`bearer error=insufficient_scope`}, inactive, "insufficient_scope"},
		{403, []string{`Basic realm="x"`, `Bearer error = "insufficient_scope"`}, inactive, "insufficient_scope"},
		{403, []string{`Basic realm="x", Bearer realm="y",error="insufficient_scope"`}, inactive, "insufficient_scope"},
		{403, []string{`error="insufficient_scope", error_description="more is needed"`}, inactive, "insufficient_scope"},
		{400, []string{`Bearer error="invalid_token"`}, inactive, "invalid_token"},
		{401, []string{`Bearer error="invalid_token"`}, inactive, "invalid_token"},
		{401, []string{`Bearer error="insufficient_scope"`}, inactive, "insufficient_scope"},
		{401, []string{`Bearer realm="op"`}, inactive, "invalid_token"},
		{401, nil, inactive, "invalid_token"},
		{403, []string{`Bearer realm="op"`}, protocol, ""},
		{403, []string{`Bearer error="invalid_request"`}, protocol, ""},
		{403, []string{`Bearer error="invalid_tokens"`}, protocol, ""},
		{403, []string{`Bearer error_description="insufficient_scope"`}, protocol, ""},
		{403, []string{`Bearer my-error="insufficient_scope"`}, protocol, ""},
		{404, []string{`Bearer error="invalid_token"`}, protocol, ""},
		{500, []string{`Bearer error="invalid_token"`}, "unavailable", ""},
	} {
		t.Run(fmt.Sprint(test.status, test.challenge), func(t *testing.T) {
			got, r := verdict(t, func() *http.Response {
				answer := response(test.status, "<html>")
				answer.Header.Set("Content-Type", "text/html")
				answer.Header["Www-Authenticate"] = test.challenge
				return answer
			}, userInfo)
			if got != test.want || r.Refusal != test.refusal {
				t.Errorf("the verdict is %s (%q), want %s (%q)", got, r.Refusal, test.want, test.refusal)
			}
		})
	}
}

// TestARefusalIsRemembered like any other verdict, with its code.
func TestARefusalIsRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		c := newClient(t, fakeConfig(func(*http.Request) (*http.Response, error) {
			calls++
			return response(400, `{"error":"unsupported_token_type"}`), nil
		}))
		defer c.Close()
		for range 3 {
			r, err := c.Introspect(t.Context(), testToken)
			wantActive(t, false, r, err)
			if r.Refusal != "unsupported_token_type" || r.FetchedAt.IsZero() {
				t.Errorf("the result is %+v", r)
			}
		}
		if calls != 1 {
			t.Errorf("%d calls, want 1", calls)
		}
	})
}

// TestAServerThatCannotBeAskedAboutItsOwnTokens: its answer must not make a verified token inactive. The client would
// replace the token with another of the same kind, over and over.
func TestAServerThatCannotBeAskedAboutItsOwnTokens(t *testing.T) {
	c := newClient(t, fakeConfig(func(*http.Request) (*http.Response, error) {
		return response(400, `{"error":"unsupported_token_type"}`), nil
	}))
	r, err := c.Introspect(t.Context(), testToken, introspect.Verified(), introspect.MaxAge(0))
	e := wantCause(t, introspect.CauseProtocol, r, err)
	if e.Status != 400 || !strings.Contains(e.Error(), "unsupported_token_type") {
		t.Errorf("the error is %v", e)
	}
}
