package logout_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/logout"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// FuzzReceive signs any payload with the issuer's key, and also sends it as a body. Whatever comes, there is an answer
// that repeats nothing of it. What passes is what another reader of the claims takes for a logout token.
func FuzzReceive(f *testing.F) {
	key := tokentest.NewKey(f, "EdDSA", "k1")
	for _, change := range []m{
		nil, {"sid": nil}, {"sub": nil}, {"sid": 1}, {"nonce": null}, {"events": m{}}, {"events": m{event: 1}},
		{"events": []string{event}}, {"jti": nil}, {"aud": []string{"x", client}}, {"typ": "Logout"}, {"typ": "ID"},
		{"iat": 1.5e9}, {"exp": nil}, {"iss": "x"}, {"sub": ""},
	} {
		text, err := json.Marshal(says(change))
		if err != nil {
			f.Fatal(err)
		}
		for _, typ := range []string{"logout+jwt", "JWT", "at+jwt"} {
			f.Add(typ, string(text))
		}
	}
	f.Add("", `{"sid":"a","sid":"b"}`)
	f.Add("x", "logout_token=a.b.c&logout_token=d")
	f.Fuzz(func(t *testing.T, typ, text string) {
		header, _ := json.Marshal(m{"alg": "EdDSA", "kid": "k1", "typ": typ})
		token := key.SignRaw(string(header), text)
		var s state
		c := config(t, &s, key)
		c.WithoutSID = logout.EndAll
		r := open(t, c)
		outcome, err := r.Receive(request(token))
		checkFuzzed(t, outcome, err, text)
		if (err == nil) != (len(s.ended) == 1) || (err == nil) != (len(s.kept) == 1) {
			t.Fatalf("%v, %v, and the state %+v", outcome, err, &s)
		}
		if err == nil {
			checkPassed(t, typ, text, s.ended[0])
		}
		outcome, err = r.Receive(post(text))
		checkFuzzed(t, outcome, err, text)
	})
}

// checkFuzzed checks the result of Receive and its answer.
func checkFuzzed(t *testing.T, outcome logout.Outcome, err error, text string) {
	t.Helper()
	w := httptest.NewRecorder()
	logout.Answer(w, err)
	failure, ok := errors.AsType[*logout.Failure](err)
	if (err == nil) != (outcome != 0) || (err != nil) != ok || ok && !slices.Contains(logout.Reasons(), failure.Reason) {
		t.Fatalf("%v, %v", outcome, err)
	}
	if err == nil && w.Code != 200 || err != nil && w.Code != 400 {
		t.Fatalf("%v: status %d", err, w.Code)
	}
	if encoded := base64.RawURLEncoding.EncodeToString([]byte(text)); err != nil && len(encoded) > 20 &&
		strings.Contains(w.Body.String()+err.Error(), encoded) {
		t.Fatalf("%v or its answer %s repeats the token", err, w.Body)
	}
}

// checkPassed reads the claims with encoding/json and compares what must hold (section 2.6).
func checkPassed(t *testing.T, typ, text string, l logout.Logout) {
	t.Helper()
	var set struct {
		Issuer  string                     `json:"iss"`
		Subject string                     `json:"sub"`
		Session string                     `json:"sid"`
		ID      string                     `json:"jti"`
		Events  map[string]json.RawMessage `json:"events"`
	}
	var names map[string]json.RawMessage
	if json.Unmarshal([]byte(text), &names) != nil {
		t.Fatalf("%s is not JSON", text)
	}
	exact := make(map[string]json.RawMessage) // without names in another case, which encoding/json takes for ours
	for _, name := range []string{"iss", "sub", "sid", "jti", "events"} {
		if value, there := names[name]; there {
			exact[name] = value
		}
	}
	again, _ := json.Marshal(exact)
	if err := json.Unmarshal(again, &set); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	_, nonce := names["nonce"]
	low := strings.TrimPrefix(strings.ToLower(typ), "application/")
	switch {
	case low != "logout+jwt" && low != "jwt", nonce, set.Issuer != issuer, set.ID == "", set.Subject+set.Session == "",
		l.Subject != set.Subject, l.Session != set.Session, l.ID != set.ID, l.Issuer != issuer,
		!strings.HasPrefix(string(set.Events[event]), "{"):
		t.Fatalf("typ %q, %s passes as %+v", typ, text, l)
	}
}
