package oauth_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/issuing"
	"github.com/caddyjwt/gateway/internal/oauth"
	"github.com/caddyjwt/gateway/internal/session"
)

// FuzzToken sends any body and any Authorization field to all endpoints. Whatever comes, there is a failure for the
// client, and a token only for who has sent a right credential.
func FuzzToken(f *testing.F) {
	h := newHouse(f, func(h *house) {
		h.options.Assertions = forgetful{}
		h.options.Try = func(_ context.Context, _ netip.Addr, _ string, check func() (bool, error)) error {
			_, err := check()
			return err
		}
	})
	assertion, pair := h.assert(f, signerKeys(f)[2], "signer", nil), h.login(f, shop)
	right := []string{secret, "old", "new", oddSecret, assertion, pair.Refresh}
	for _, q := range []*oauth.Request{
		own("batch", secret), own(oddID, oddSecret, "scope", "read", "resource", api), own("batch", "wrong"),
		byForm("client_id", "changing", "client_secret", "old"), signed(assertion, "client_id", "signer"),
		byForm("client_id", "mtls"), introspect("server", pair.Access), ask("token", pair.Access, "client_id", shop),
		ask("grant_type", "refresh_token", "client_id", shop, "refresh_token", pair.Refresh),
	} {
		text := new(strings.Builder)
		if _, err := io.Copy(text, q.HTTP.Body); err != nil {
			f.Fatal(err)
		}
		f.Add(text.String(), q.HTTP.Header.Get("Authorization"))
	}
	f.Add("grant_type=client_credentials&grant_type=refresh_token", "")
	f.Add("grant_type=client_credentials&client_id=batch&client_secret=%", "Basic Og==")
	f.Fuzz(func(t *testing.T, text, authorization string) {
		request := func() *oauth.Request {
			r := httptest.NewRequest(http.MethodPost, "/token", strings.NewReader(text))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			if authorization != "" {
				r.Header["Authorization"] = []string{authorization}
			}
			return &oauth.Request{HTTP: r, From: netip.MustParseAddr("192.0.2.7"), Facts: direct{r}}
		}
		q := request()
		tokens, err := h.Token(q)
		failsProperly(t, err)
		if (tokens == nil) == (err == nil) {
			t.Fatalf("%+v, %v", tokens, err)
		}
		if tokens != nil {
			if q.Client == nil || !hasOne(text, authorization, right) {
				t.Fatalf("%q with %q gives tokens to %v", text, authorization, q.Client)
			}
			if tokens.Refresh != "" {
				right = append(right, tokens.Refresh)
			}
		}
		answer, err := h.says(request())
		failsProperly(t, err)
		if (answer == nil) == (err == nil) || answer["active"] == true && !hasOne(text, authorization, right) {
			t.Fatalf("%v, %v", answer, err)
		}
		failsProperly(t, h.Server.Revoke(request()))
	})
}

// failsProperly wants an error to be one that a client hears of. Nothing here is trouble of the server.
func failsProperly(t *testing.T, err error) {
	t.Helper()
	failure, is := errors.AsType[*issuing.Failure](err)
	if _, tooSoon := errors.AsType[*session.TooSoonError](err); err != nil && !tooSoon &&
		(!is || failure.Status < 400 || failure.Status > 499 || failure.Text == "") {
		t.Fatalf("%v", err)
	}
}

// hasOne reports whether a request has one of the credentials: another reader than the server finds it.
func hasOne(text, authorization string, credentials []string) bool {
	values, err := url.ParseQuery(text)
	if err != nil {
		return false
	}
	r := &http.Request{Header: http.Header{"Authorization": {authorization}}}
	_, password, _ := r.BasicAuth()
	password, _ = url.QueryUnescape(password)
	for _, credential := range credentials {
		if password == credential {
			return true
		}
		for _, name := range []string{"client_secret", "client_assertion", "refresh_token"} {
			if values.Get(name) == credential {
				return true
			}
		}
	}
	return false
}
