package issuing_test

import (
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/issuing"
)

var issued = time.UnixMilli(1682707417_049).UTC()

// The answer has the members of InterSystems IRIS, in their order and with their types: iat has a fraction, exp has
// none.
func TestThePairIsWrittenAsIRISDoes(t *testing.T) {
	pair := &issuing.Pair{
		Access: "a.b.c", Refresh: "r", Subject: `_SYSTEM<"`, IssuedAt: issued, Expires: issued.Add(time.Minute),
	}
	for oauth, want := range map[bool]string{
		false: `{"access_token":"a.b.c","refresh_token":"r","sub":"_SYSTEM<\"","iat":1682707417.049,"exp":1682707477}`,
		true: `{"access_token":"a.b.c","refresh_token":"r","sub":"_SYSTEM<\"","iat":1682707417.049,"exp":1682707477,` +
			`"token_type":"Bearer","expires_in":60}`,
	} {
		w := httptest.NewRecorder()
		issuing.WritePair(w, pair, oauth, time.Minute)
		if got := w.Body.String(); got != want {
			t.Errorf("%s\nwant %s", got, want)
		}
		if h := w.Result().Header; w.Code != 200 || h.Get("Cache-Control") != "no-store" ||
			h.Get("Content-Type") != "application/json" || h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%d %v", w.Code, h)
		}
	}
}

func TestClaimsAreThoseOfIRISAndOfRFC9068(t *testing.T) {
	c := issuing.Claims{
		Issuer: "https://i.test", Subject: "_SYSTEM", Session: "s", App: "/api/ttrg/", ID: "j",
		Audience: []string{"https://a.test"}, ClientID: "/api/ttrg/", IssuedAt: issued, Expires: issued.Add(time.Minute),
	}
	const want = `{"iat":1682707417.049,"exp":1682707477,"iss":"https://i.test","sub":"_SYSTEM","sid":"s",` +
		`"app":"/api/ttrg/","jti":"j","aud":"https://a.test","client_id":"/api/ttrg/"}`
	if got := string(c.Payload()); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	c.Audience, c.Group = []string{"a", "b"}, "g"
	set, err := claims.Decode(c.Payload())
	if err != nil || claims.CheckAccessToken(set) != nil || len(set.Audience) != 2 || !set.IssuedAt.Equal(issued) {
		t.Errorf("%+v, %v", set, err)
	}
	if !strings.HasSuffix(string(c.Payload()), `"aud":["a","b"],"client_id":"/api/ttrg/","group":"g"}`) {
		t.Errorf("%s", c.Payload())
	}
}

func TestADateHasAlwaysThreeDigits(t *testing.T) {
	for ms, want := range map[int64]string{0: "0.000", 1: "0.001", 1000: "1.000", 1682707417_990: "1682707417.990"} {
		if got := issuing.Date(time.UnixMilli(ms)); string(got) != want {
			t.Errorf("%d: %s, want %s", ms, got, want)
		}
	}
}

func TestFailuresAreAnswered(t *testing.T) {
	secret := errors.New("for the log")
	for name, test := range map[string]struct {
		f                *issuing.Failure
		basic            bool
		status           int
		challenge, extra string
		body             string
	}{
		"a wrong password": {issuing.Wrong(secret), false, 401, `Bearer realm="/api/"`, "",
			`{"error":"invalid_grant","error_description":"user or password is wrong"}`},
		"a wrong password with Basic": {issuing.Wrong(secret), true, 401, `Basic realm="/api/", charset="UTF-8"`, "",
			`{"error":"invalid_grant","error_description":"user or password is wrong"}`},
		"a refresh token": {issuing.Spent(secret), false, 401, `Bearer realm="/api/"`, "", ""},
		"an unknown client": {&issuing.Failure{Status: 401, Code: issuing.InvalidClient, Cause: secret}, false, 401,
			`Basic realm="/api/", charset="UTF-8"`, "", ""},
		"an access token": {&issuing.Failure{Status: 401, Code: issuing.InvalidToken}, false, 401,
			`Bearer realm="/api/", error="invalid_token"`, "", ""},
		"trouble":  {issuing.Unavailable(secret), false, 503, "", "Retry-After: 1", ""},
		"too many": {issuing.TooMany(1500*time.Millisecond, secret), false, 429, "", "Retry-After: 2", ""},
		"not POST": {&issuing.Failure{Status: 405, Code: issuing.InvalidRequest}, false, 405, "", "Allow: POST", ""},
	} {
		w := httptest.NewRecorder()
		w.Header().Set("CDN-Cache-Control", "public")
		issuing.WriteFailure(w, test.f, "/api/", test.basic)
		h := w.Result().Header
		if w.Code != test.status || h.Get("WWW-Authenticate") != test.challenge || h.Get("Cache-Control") != "no-store" ||
			h.Get("CDN-Cache-Control") != "" || strings.Contains(w.Body.String(), secret.Error()) {
			t.Errorf("%s: %d %v %s", name, w.Code, h, w.Body)
		}
		if field, value, is := strings.Cut(test.extra, ": "); is && h.Get(field) != value {
			t.Errorf("%s: %s: %q", name, field, h.Get(field))
		}
		if test.body != "" && w.Body.String() != test.body {
			t.Errorf("%s: %s", name, w.Body)
		}
	}
	if err := issuing.Wrong(secret); !errors.Is(err, secret) || err.Error() != "user or password is wrong: for the log" {
		t.Errorf("%v", err)
	}
	if text := (&issuing.Failure{Text: "alone"}).Error(); text != "alone" {
		t.Error(text)
	}
	w := httptest.NewRecorder()
	issuing.WriteDone(w)
	if w.Code != 204 || w.Body.Len() != 0 || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
}

// The answer of a token endpoint has the members of RFC 6749 section 5.1, and no cache keeps it.
func TestTokensAreWrittenAsRFC6749Wants(t *testing.T) {
	for want, tokens := range map[string]issuing.Tokens{
		`{"access_token":"a","token_type":"Bearer","expires_in":60}`: {Access: "a", TokenType: "Bearer", ExpiresIn: 60},
		`{"access_token":"a","token_type":"Bearer","expires_in":0,"refresh_token":"r","scope":"x <y>"}`: {
			Access: "a", TokenType: "Bearer", Refresh: "r", Scope: "x <y>",
		},
	} {
		w := httptest.NewRecorder()
		w.Header().Set("CDN-Cache-Control", "public")
		issuing.Write(w, &tokens)
		if h := w.Result().Header; w.Code != 200 || w.Body.String() != want || h.Get("Cache-Control") != "no-store" ||
			h.Get("Pragma") != "no-cache" || h.Get("Content-Type") != "application/json" || h.Get("CDN-Cache-Control") != "" {
			t.Errorf("%d %v %s", w.Code, h, w.Body)
		}
	}
	w := httptest.NewRecorder()
	issuing.WriteEmpty(w)
	if w.Code != 200 || w.Body.Len() != 0 || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
}

// A token that a client has in its own name has neither a session nor an application.
func TestClaimsOfAClient(t *testing.T) {
	c := issuing.Claims{
		Issuer: "https://i.test", Subject: "batch", ClientID: "batch", ID: "j", Audience: []string{"a"},
		Scopes: []string{"read", "write"}, IssuedAt: issued, Expires: issued.Add(time.Minute),
	}
	const want = `{"iat":1682707417.049,"exp":1682707477,"iss":"https://i.test","sub":"batch","jti":"j","aud":"a",` +
		`"client_id":"batch","scope":"read write"}`
	if got := string(c.Payload()); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}
