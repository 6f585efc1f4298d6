package oauth_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/authserver"
	"github.com/caddyjwt/gateway/internal/issuing"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/oauth"
)

// accepting adds the lines of an Accept field.
func accepting(q *oauth.Request, fields ...string) *oauth.Request {
	q.HTTP.Header["Accept"] = fields
	return q
}

const wanted = "application/token-introspection+jwt"

// A client that names the media type gets a signed answer, and no other client does (RFC 9701 section 4).
func TestWhoGetsASignedAnswer(t *testing.T) {
	h := newHouse(t)
	for name, c := range map[string]struct {
		fields []string
		signed bool
	}{
		"nothing":                {nil, false},
		"an empty field":         {[]string{""}, false},
		"JSON":                   {[]string{"application/json"}, false},
		"anything":               {[]string{"*/*"}, false},
		"any of applications":    {[]string{"application/*"}, false},
		"any JWT":                {[]string{"application/jwt"}, false},
		"itself":                 {[]string{wanted}, true},
		"in another case":        {[]string{"Application/Token-Introspection+JWT"}, true},
		"with a weight":          {[]string{wanted + ";q=0.5"}, true},
		"with a small weight":    {[]string{wanted + "; q=0.001"}, true},
		"as the second":          {[]string{"application/json, " + wanted}, true},
		"on the second line":     {[]string{"application/json", wanted}, true},
		"in the middle":          {[]string{"*/*;q=0.1 , " + wanted + " ;q=1 , text/html"}, true},
		"not at all":             {[]string{wanted + ";q=0"}, false},
		"not at all, in digits":  {[]string{wanted + ";q=0.000"}, false},
		"not at all, in capital": {[]string{wanted + ";Q=0"}, false},
		"not at all, and more":   {[]string{"*/*, " + wanted + "; q=0.0"}, false},
		"a part of the name":     {[]string{"application/token-introspection"}, false},
		"more of the name":       {[]string{wanted + "x"}, false},
		"in quotes":              {[]string{`"` + wanted + `"`}, false},
		"in a parameter":         {[]string{`text/html;x="` + wanted + `"`}, false},
		"a broken parameter":     {[]string{wanted + ";q"}, false},
		"two weights":            {[]string{wanted + ";q=1;q=0"}, false},
		"behind rubbish":         {[]string{";;;, " + wanted}, true},
		"just short enough":      {[]string{strings.Repeat(" ", 1024-len(wanted)) + wanted}, true},
		"too long":               {[]string{strings.Repeat(" ", 1025-len(wanted)) + wanted}, false},
		"too long in two lines":  {[]string{strings.Repeat(" ", 1000), wanted}, false},
	} {
		answer, err := h.Introspect(accepting(introspect("server", "x"), c.fields...))
		if err != nil || (answer.Signed != "") != c.signed || answer.Members["active"] != false {
			t.Errorf("%s: %+v, %v, want a signed answer: %v", name, answer, err, c.signed)
		}
	}
}

// signedAnswer is a signed answer to the server for the API.
func signedAnswer(tb testing.TB, h *house, token string) string {
	tb.Helper()
	answer, err := h.Introspect(accepting(introspect("server", token), wanted))
	must(tb, &err)
	return answer.Signed
}

// A signed answer says who made it, for whom, when, and what an unsigned one says (RFC 9701 section 5). The gate takes
// it, and refuses it when it is for somebody else or old.
func TestSignedAnswers(t *testing.T) {
	h := newHouse(t)
	good := h.gives(t, own("batch", secret)).Access
	gate := authserver.SignedAnswers{
		Keys: h.ring, Issuer: issuer, ClientID: "server", Algorithms: jose.AsymmetricAlgorithms(), Now: h.clock.now,
	}
	for name, token := range map[string]string{"active": good, "inactive": "x"} {
		text := signedAnswer(t, h, token)
		if _, err := jose.ParseTyped(text, nil, oauth.SignedAnswer); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		payload, err := gate.Verify(t.Context(), text)
		must(t, &err)
		var top m
		err = json.Unmarshal(payload, &top)
		must(t, &err)
		// Neither sub nor exp: it must not look like an access token.
		want := []string{"aud", "iat", "iss", "token_introspection"}
		if names := slices.Sorted(maps.Keys(top)); !slices.Equal(names, want) {
			t.Errorf("%s: members %v", name, names)
		}
		if top["iss"] != issuer || top["aud"] != "server" || top["iat"] != float64(h.clock.now().Unix()) {
			t.Errorf("%s: %v", name, top)
		}
		inside, err := json.Marshal(top["token_introspection"])
		must(t, &err)
		plain, err := json.Marshal(h.described(t, introspect("server", token)))
		must(t, &err)
		var one, other m
		if json.Unmarshal(inside, &one) != nil || json.Unmarshal(plain, &other) != nil || !sameJSON(one, other) {
			t.Errorf("%s: %s, and unsigned %s", name, inside, plain)
		}
	}
	text := signedAnswer(t, h, good)
	for name, change := range map[string]func(*authserver.SignedAnswers){
		"another client":   func(s *authserver.SignedAnswers) { s.ClientID = "other-server" },
		"another issuer":   func(s *authserver.SignedAnswers) { s.Issuer = api },
		"two minutes on":   func(s *authserver.SignedAnswers) { s.Now = later(h, 2*time.Minute) },
		"a minute earlier": func(s *authserver.SignedAnswers) { s.Now = later(h, -time.Minute) },
	} {
		other := gate
		change(&other)
		if payload, err := other.Verify(t.Context(), text); err == nil {
			t.Errorf("%s takes it: %s", name, payload)
		}
	}
}

// later is the clock of a house, moved.
func later(h *house, by time.Duration) func() time.Time {
	return func() time.Time { return h.clock.now().Add(by) }
}

// sameJSON reports whether two answers say the same.
func sameJSON(one, other m) bool {
	a, err1 := json.Marshal(one)
	b, err2 := json.Marshal(other)
	return err1 == nil && err2 == nil && string(a) == string(b)
}

// A signed answer has the signature of the issuer, and is good for nothing but to be read.
func TestAttackASignedAnswerIsNoToken(t *testing.T) {
	h := newHouse(t)
	text := signedAnswer(t, h, h.gives(t, own("batch", secret)).Access)
	if isActive(t, h, text) {
		t.Error("it is an access token")
	}
	h.refuses(t, refreshing(text), 400, issuing.InvalidGrant, "sign in again")
	h.refuses(t, signed(text), 401, issuing.InvalidClient, "")
}

// Who may not ask gets no signature, and without a signer there is no answer at all: an unsigned one is not what the
// client wants.
func TestAnswersThatAreNotSigned(t *testing.T) {
	h := newHouse(t)
	for name, q := range map[string]*oauth.Request{
		"a client that may not ask": introspect("batch", "x"), "a stranger": basic(ask("token", "x"), "server", "wrong"),
		"nothing to ask about": basic(ask(), "server", secret),
	} {
		if answer, err := h.Introspect(accepting(q, wanted)); err == nil || answer != nil && answer.Signed != "" {
			t.Errorf("%s: %+v, %v", name, answer, err)
		}
	}
	silent := newHouse(t, func(h *house) {
		h.options.SignAnswer = func([]byte) (string, error) { return "", errDown }
	})
	answer, err := silent.Introspect(accepting(introspect("server", "x"), wanted))
	wants(t, err, 503, issuing.TemporarilyUnavailable, "try again")
	if answer != nil {
		t.Errorf("%+v", answer)
	}
	if answer, err := silent.Introspect(introspect("server", "x")); err != nil || answer.Members["active"] != false {
		t.Errorf("%+v, %v", answer, err)
	}
}
