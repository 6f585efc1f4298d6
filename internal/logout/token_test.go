package logout_test

import (
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/logout"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

func TestGoodTokens(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	at := func(name string, d time.Duration) m { return m{name: start.Add(d).Unix()} }
	for name, c := range map[string]struct {
		claims, header m
		want           logout.Logout
	}{
		"with its explicit type": {nil, typed, logout.Logout{}},
		"with the whole type":    {nil, m{"typ": "application/LOGOUT+jwt"}, logout.Logout{}},
		"typed as a JWT":         {nil, nil, logout.Logout{}},
		"without a type":         {nil, m{"typ": nil}, logout.Logout{}},
		"for several clients":    {m{"aud": []string{"x", client}}, typed, logout.Logout{}},
		"of Keycloak": {m{"typ": "Logout", "events": m{event: m{"revoke_offline_access": true}}},
			nil, logout.Logout{}},
		"with another event":            {m{"events": m{"https://x.example/e": 1, event: m{"x": m{}}}}, nil, logout.Logout{}},
		"with claims that mean no kind": {m{"auth_time": 1, "acr": "x", "trace": "t"}, typed, logout.Logout{}},
		"without sub":                   {m{"sub": nil}, typed, logout.Logout{Session: "s1"}},
		"from a future that leeway covers": {at("iat", 5*time.Second), typed,
			logout.Logout{IssuedAt: start.Add(5 * time.Second)}},
		"that expires late": {at("exp", time.Hour), typed, logout.Logout{Expires: start.Add(logout.MaxAge)}},
		"that expires soon": {at("exp", time.Minute), typed, logout.Logout{Expires: start.Add(time.Minute)}},
		"expired, within the leeway": {m{"iat": start.Unix() - 120, "exp": start.Unix() - 4}, typed,
			logout.Logout{IssuedAt: start.Add(-2 * time.Minute), Expires: start.Add(-4 * time.Second)}},
	} {
		t.Run(name, func(t *testing.T) {
			var s state
			r := open(t, config(t, &s, key))
			outcome, err := r.Receive(request(key.Sign(t, says(c.claims), m{"typ": "JWT"}, c.header)))
			if err != nil || outcome != logout.Ended || len(s.ended) != 1 {
				t.Fatalf("%v, %v, and ended %v", outcome, err, s.ended)
			}
			want := logout.Logout{Issuer: issuer, Subject: "alice", Session: "s1", ID: "j1",
				IssuedAt: start, Expires: start.Add(2 * time.Minute)}
			if c.want.Session != "" {
				want.Subject = ""
			}
			if !c.want.IssuedAt.IsZero() {
				want.IssuedAt = c.want.IssuedAt
			}
			if !c.want.Expires.IsZero() {
				want.Expires = c.want.Expires
			}
			if s.ended[0] != want {
				t.Errorf("ended %+v, want %+v", s.ended[0], want)
			}
		})
	}
}

// Section 2.6. Each of these tokens has a good signature of the issuer, and one thing that is wrong.
func TestBadTokens(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	long := strings.Repeat("x", 1025)
	at := func(name string, d time.Duration) m { return m{name: start.Add(d).Unix()} }
	for name, c := range map[string]struct {
		claims m
		want   logout.Reason
	}{
		"no iss":                  {m{"iss": nil}, logout.InvalidIssuer},
		"foreign issuer":          {m{"iss": "https://other.example"}, logout.InvalidIssuer},
		"issuer with a slash":     {m{"iss": issuer + "/"}, logout.InvalidIssuer},
		"issuer in another case":  {m{"iss": "https://AS.example"}, logout.InvalidIssuer},
		"list of issuers":         {m{"iss": []string{issuer}}, logout.MalformedToken},
		"no aud":                  {m{"aud": nil}, logout.InvalidAudience},
		"no audience":             {m{"aud": []string{}}, logout.InvalidAudience},
		"foreign client":          {m{"aud": "somebody else"}, logout.InvalidAudience},
		"client in another case":  {m{"aud": "Gateway"}, logout.InvalidAudience},
		"issuer as the audience":  {m{"aud": issuer}, logout.InvalidAudience},
		"no iat":                  {m{"iat": nil}, logout.MissingClaim},
		"iat in the future":       {at("iat", 6*time.Second), logout.NotYetValid},
		"iat too long ago":        {m{"iat": start.Unix() - 125, "exp": start.Unix() + 3600}, logout.Expired},
		"iat as a text":           {m{"iat": "now"}, logout.MalformedToken},
		"no exp":                  {m{"exp": nil}, logout.MissingClaim},
		"exp reached":             {at("exp", -5*time.Second), logout.Expired},
		"exp null":                {m{"exp": null}, logout.MalformedToken},
		"nbf in the future":       {at("nbf", time.Minute), logout.NotYetValid},
		"neither sub nor sid":     {m{"sub": nil, "sid": nil}, logout.MissingClaim},
		"sub null":                {m{"sub": null}, logout.MalformedToken},
		"sub empty":               {m{"sub": ""}, logout.MalformedToken},
		"sub a number":            {m{"sub": 7}, logout.MalformedToken},
		"sub a list":              {m{"sub": []string{"alice"}}, logout.MalformedToken},
		"sub too long":            {m{"sub": long}, logout.InvalidClaim},
		"sid null":                {m{"sid": null}, logout.InvalidClaim},
		"sid empty":               {m{"sid": ""}, logout.InvalidClaim},
		"sid blank":               {m{"sid": " \t"}, logout.InvalidClaim},
		"sid a number":            {m{"sid": 7}, logout.InvalidClaim},
		"sid false":               {m{"sid": false}, logout.InvalidClaim},
		"sid a list":              {m{"sid": []string{"s1"}}, logout.InvalidClaim},
		"sid an object":           {m{"sid": m{"s1": 1}}, logout.InvalidClaim},
		"sid too long":            {m{"sid": long}, logout.InvalidClaim},
		"no jti":                  {m{"jti": nil}, logout.MissingClaim},
		"jti null":                {m{"jti": null}, logout.MalformedToken},
		"jti empty":               {m{"jti": ""}, logout.MalformedToken},
		"jti a number":            {m{"jti": 1}, logout.MalformedToken},
		"jti too long":            {m{"jti": long}, logout.InvalidClaim},
		"nonce":                   {m{"nonce": "n"}, logout.InvalidType},
		"nonce null":              {m{"nonce": null}, logout.InvalidType},
		"nonce empty":             {m{"nonce": ""}, logout.InvalidType},
		"no events: an ID token":  {m{"events": nil}, logout.InvalidType},
		"events null":             {m{"events": null}, logout.InvalidClaim},
		"events the name":         {m{"events": event}, logout.InvalidClaim},
		"events a list":           {m{"events": []string{event}}, logout.InvalidClaim},
		"events true":             {m{"events": true}, logout.InvalidClaim},
		"events empty":            {m{"events": m{}}, logout.InvalidType},
		"events with another":     {m{"events": m{"https://x.example/e": m{}}}, logout.InvalidType},
		"events in another case":  {m{"events": m{strings.ToUpper(event): m{}}}, logout.InvalidType},
		"event null":              {m{"events": m{event: null}}, logout.InvalidClaim},
		"event true":              {m{"events": m{event: true}}, logout.InvalidClaim},
		"event a list":            {m{"events": m{event: []m{{}}}}, logout.InvalidClaim},
		"event a text":            {m{"events": m{event: "{}"}}, logout.InvalidClaim},
		"says ID":                 {m{"typ": "ID"}, logout.InvalidType},
		"says Bearer":             {m{"typ": "Bearer"}, logout.InvalidType},
		"says DPoP":               {m{"token_type": "DPoP"}, logout.InvalidType},
		"says Logout and access":  {m{"typ": "Logout", "token_use": "access"}, logout.InvalidType},
		"says Logout and refresh": {m{"typ": "Logout", "token_use": "refresh"}, logout.InvalidType},
		"a security event by typ": {m{"typ": "secevent+jwt"}, logout.InvalidType},
		"a request object":        {m{"client_id": "c", "response_type": "code"}, logout.InvalidType},
		"c_hash: an ID token":     {m{"c_hash": "x"}, logout.InvalidType},
		"answer about a token":    {m{"token_introspection": m{"active": true}}, logout.InvalidType},
		"status list":             {m{"status_list": m{"bits": 1}}, logout.InvalidType},
		"DPoP proof":              {m{"htm": "POST", "htu": "https://gate.example/"}, logout.InvalidType},
		"verifiable presentation": {m{"vp": m{}}, logout.InvalidType},
		"scope of the wrong type": {m{"scope": 1}, logout.MalformedToken},
		"deeper than we read":     {m{"x": deep(20)}, logout.MalformedToken},
	} {
		t.Run(name, func(t *testing.T) {
			for _, header := range []m{typed, {"typ": "JWT"}, {"typ": nil}} {
				refused(t, key, key.Sign(t, says(c.claims), header), c.want)
			}
		})
	}
}

func deep(n int) any {
	if n == 0 {
		return 1
	}
	return []any{deep(n - 1)}
}

// refused sends a token to a Receiver of the key, and requires that nothing happens but an answer with status 400.
func refused(t *testing.T, key *tokentest.Key, token string, want logout.Reason) {
	t.Helper()
	var s state
	c := config(t, &s, key)
	c.WithoutSID = logout.EndAll
	_, err := open(t, c).Receive(request(token))
	if !errors.Is(err, want) {
		t.Fatalf("error %v, want %v", err, want)
	}
	if !s.nothing() {
		t.Errorf("the token was remembered or had an effect: %+v", &s)
	}
	checkRefusal(t, err, token, http.StatusBadRequest)
}

// checkRefusal checks what the server is told.
func checkRefusal(t *testing.T, err error, token string, status int) {
	t.Helper()
	w := httptest.NewRecorder()
	logout.Answer(w, err)
	answer := w.Body.String()
	if w.Code != status || w.Header().Get("Cache-Control") != "no-store" ||
		w.Header().Get("Content-Type") != "application/json" || !strings.HasPrefix(answer, `{"error":"`) {
		t.Errorf("status %d, header %v, body %s", w.Code, w.Header(), answer)
	}
	for part := range strings.SplitSeq(token, ".") {
		if len(part) > 8 && (strings.Contains(answer, part) || strings.Contains(err.Error(), part)) {
			t.Errorf("the answer %s or the error %v repeats a part of the token", answer, err)
		}
	}
}

// RFC 8725 section 3.12: no token of another kind passes, whatever else it says.
func TestOtherKindsAreRefused(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	for _, typ := range append(tokentest.ForeignTypes(),
		"at+jwt", "application/at+jwt", "secevent+jwt", "jose", "Logout", "logout", "text/logout+jwt", "logout+jwt2", "x") {
		if typ != "logout+jwt" {
			refused(t, key, key.Sign(t, says(), m{"typ": typ}), logout.InvalidType)
		}
	}
	for name, members := range tokentest.OtherKinds() {
		if name == "typ Logout" || name == "a back-channel logout" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			rest := says()
			if strings.Contains(members, `"events"`) {
				delete(rest, "events")
			}
			text := key.Sign(t, rest)
			payload := strings.Replace(payloadOf(t, text), "{", "{"+members+",", 1)
			refused(t, key, key.SignRaw(`{"alg":"ES256","kid":"k1","typ":"logout+jwt"}`, payload), logout.InvalidType)
		})
	}
	// Access tokens and ID tokens as servers write them.
	for name, c := range map[string]struct{ claims, header m }{
		"an access token": {m{"aud": []string{client, "https://api.example"}, "scope": "read", "client_id": client}, nil},
		"an access token by RFC 9068": {m{"scope": "read", "client_id": client},
			m{"typ": "at+jwt"}},
		"an ID token":          {m{"nonce": "n", "auth_time": start.Unix(), "at_hash": "x"}, nil},
		"an ID token, no more": {m{"azp": client}, m{"typ": nil}},
	} {
		t.Run(name, func(t *testing.T) {
			set := says(m{"events": nil})
			maps.Copy(set, c.claims)
			refused(t, key, key.Sign(t, set, m{"typ": "JWT"}, c.header), logout.InvalidType)
		})
	}
}

// The subject must have the same text as in the issuer's other tokens.
func TestTokensAreReadLikeTheIssuersOthers(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	var s state
	c := config(t, &s, key)
	c.Reading = &claims.Reading{Tolerate: claims.NumericSubject | claims.NullClaims}
	r := open(t, c)
	if _, err := r.Receive(request(key.Sign(t, says(m{"sub": 7, "scope": null})))); err != nil {
		t.Fatal(err)
	}
	if s.ended[0].Subject != "7" {
		t.Errorf("the subject is %q", s.ended[0].Subject)
	}
	for name, change := range map[string]m{
		"no jti": {"jti": null}, "no time": {"iat": null}, "no end": {"exp": null}, "nonce": {"nonce": null},
		"no session": {"sid": null}, "nobody": {"sub": null, "sid": nil},
	} {
		if _, err := r.Receive(request(key.Sign(t, says(change)))); err == nil {
			t.Errorf("%s: a tolerance makes it pass", name)
		}
	}
}
