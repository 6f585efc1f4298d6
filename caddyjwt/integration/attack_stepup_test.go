package integration

import (
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// A user who has signed in with a password alone, or long ago, wants to do what needs more. Claims that only resemble
// the required ones do not count, and neither does the age of the token (RFC 9470 section 6.1). A refused client learns
// what is needed, in a challenge that nothing of the token can change.
func TestAttackStepUpClaims(t *testing.T) {
	s, issuer, key := claimSite(t, "require acr gold urn:example:mfa", "require max_auth_age 10m", "leeway 5s")
	now := time.Now().Unix()
	good := []any{"acr", "gold", "auth_time", now - 60}
	const demand = `acr_values="gold urn:example:mfa", max_age="600"`
	for name, change := range map[string][]any{"as it is": nil, "the second class": {"acr", "urn:example:mfa"},
		"a fraction": {"auth_time", float64(now) - 0.5}, "amr beside": {"amr", []string{"pwd"}}} {
		s.attack(t, "control: "+name, func(t *testing.T, a *attempt) {
			a.passed(a.send(key.Sign(t, issuedBy(issuer, append(append([]any{}, good...), change...)...))))
		})
	}
	for name, change := range map[string][]any{
		"another class": {"acr", "bronze"}, "no class": {"acr", nil}, "upper case": {"acr", "GOLD"},
		"an empty class": {"acr", ""}, "a longer class": {"acr", "gold+"},
		"both in one text": {"acr", "gold urn:example:mfa"},
		"a comma list":     {"acr", "gold,bronze"}, "a list": {"acr", []string{"gold"}},
		"a list of both": {"acr", []string{"gold", "urn:example:mfa"}}, "a nested list": {"acr", [][]string{{"gold"}}},
		"an object": {"acr", map[string]any{"value": "gold", "essential": true}},
		"a number":  {"acr", 1}, "true": {"acr", true}, "a NUL": {"acr", "gold\x00"}, "a blank": {"acr", " gold"},
		"a Cyrillic letter": {"acr", "g\u043eld"}, "a star": {"acr", "*"}, "a bar": {"acr", "gold|bronze"},
		"an injection": {"acr", "gold\", acr_values=\"bronze\r\nX-Injected: 1"},
		"as amr only":  {"acr", nil, "amr", []string{"gold"}}, "as acr_values": {"acr", nil, "acr_values", "gold"},
		"another case of the name": {"acr", nil, "ACR", "gold"},
		"a longer time ago":        {"auth_time", now - 700}, "no time": {"auth_time", nil},
		"a fresh iat only": {"auth_time", nil, "iat", now, "updated_at", now},
		"an hour ahead":    {"auth_time", now + 3600}, "a text": {"auth_time", "9999999999"},
		"negative": {"auth_time", -now}, "milliseconds": {"auth_time", now * 1000}, "huge": {"auth_time", 1e300},
		"a list of times": {"auth_time", []int64{now}}, "a time in an object": {"auth_time", map[string]any{"value": now}},
		"a true time": {"auth_time", true}, "the year 1970": {"auth_time", 0},
		"a date as text": {"auth_time", "2026-11-29T00:00:00Z"},
	} {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			got := a.send(key.Sign(t, issuedBy(issuer, append(append([]any{}, good...), change...)...)))
			a.refusedFor(got, "insufficient_user_authentication")
			if field := got.Header.Get("WWW-Authenticate"); !strings.HasSuffix(field, ", "+demand) ||
				got.Header.Get("X-Injected") != "" {
				t.Errorf("the challenge is %s", field)
			}
		})
	}
	for name, members := range map[string]string{
		"a class twice": `"acr":"bronze","acr":"gold"`, "a time twice": `"auth_time":1,"auth_time":` + asJSON(t, now),
		"a class twice, by an escape": `"acr":"bronze","\u0061cr":"gold"`, "an open number": `"auth_time":1.`,
		"a number that JSON does not know": `"auth_time":Infinity`, "a hexadecimal number": `"auth_time":0xffffffff`,
	} {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			payload := strings.TrimSuffix(asJSON(t, issuedBy(issuer)), "}") + "," + members + "}"
			a.refusedFor(a.send(key.SignRaw(`{"alg":"ES256","kid":"e1","typ":"JWT"}`, payload)), "malformed_token")
		})
	}
}

// A stranger wants to know how users of a route must sign in. Without a good token, nobody learns it (RFC 9470 section
// 9).
func TestAttackStepUpDemandsAreNotForStrangers(t *testing.T) {
	s, issuer, key := claimSite(t, "require acr gold", "require max_auth_age 10m")
	tokens := map[string]string{
		"no token": "", "nonsense": "a.b.c", "an opaque token": "2YotnFZFEjr1zCsicMWpAA",
		"a forged one":   tokentest.FlipSignature(t, key.Sign(t, issuedBy(issuer, "acr", "bronze"))),
		"an expired one": key.Sign(t, issuedBy(issuer, "exp", 1, "acr", "bronze")),
		"of an audience": key.Sign(t, issuedBy(issuer, "aud", "x", "acr", "bronze")),
	}
	for name, token := range tokens {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			got := a.get("/", token)
			a.nothingForwarded()
			for _, field := range got.Header["Www-Authenticate"] {
				if strings.Contains(field, "gold") || strings.Contains(field, "acr") || strings.Contains(field, "max_age") {
					t.Errorf("the challenge is %s", field)
				}
			}
		})
	}
}

// A token is remembered, or its server's answer is, while the sign-in that it tells of grows older. A server answers
// with claims that only resemble the required ones.
func TestAttackStepUpByAnswersOfTheServer(t *testing.T) {
	as := introspector(t)
	s := start(t, gateForAudience(introspecting(as, "opaque"), "require acr gold", "require max_auth_age 10m"))
	now := time.Now().Unix()
	n := 0
	ask := func(t *testing.T, a *attempt, changes ...any) answer {
		n++
		as.Introspect(always(active(changes...)))
		return a.send("opaque-token-" + asJSON(t, n))
	}
	s.attack(t, "control: as required", func(t *testing.T, a *attempt) {
		a.passed(ask(t, a, "acr", "gold", "auth_time", now-60))
	})
	for name, changes := range map[string][]any{
		"nothing": nil, "no time": {"acr", "gold"}, "no class": {"auth_time", now},
		"null": {"acr", map[string]any(nil), "auth_time", now}, "a list": {"acr", []string{"gold"}, "auth_time", now},
		"an old sign-in": {"acr", "gold", "auth_time", now - 3600}, "a text": {"acr", "gold", "auth_time", asJSON(t, now)},
		"one level down": {"claims", map[string]any{"acr": "gold", "auth_time": now}},
		"in the future":  {"acr", "gold", "auth_time", now + 3600},
	} {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			a.refusedFor(ask(t, a, changes...), "insufficient_user_authentication")
		})
	}
}

// The same with signed answers (RFC 9701). Only token_introspection is about the user: members beside it are about the
// answer.
func TestAttackStepUpBySignedAnswers(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "signed")
	as := introspector(t, tokentest.WithKeys(key))
	s := start(t, gateForAudience(introspecting(as, "opaque", "signed"), "require acr gold", "require max_auth_age 10m"))
	now := time.Now().Unix()
	n := 0
	ask := func(t *testing.T, a *attempt, beside map[string]any, changes ...any) answer {
		n++
		payload := map[string]any{
			"iss": as.URL, "aud": "gateway", "iat": now, "token_introspection": active(changes...).Claims,
		}
		maps.Copy(payload, beside)
		as.Introspect(always(tokentest.IntrospectionAnswer{
			Body:        key.Sign(t, payload, map[string]any{"typ": "token-introspection+jwt"}),
			ContentType: "application/token-introspection+jwt"}))
		return a.send("signed-answer-" + asJSON(t, n))
	}
	s.attack(t, "control: as required", func(t *testing.T, a *attempt) {
		a.passed(ask(t, a, nil, "acr", "gold", "auth_time", now-60))
	})
	for name, row := range map[string]struct {
		beside  map[string]any
		changes []any
	}{
		"nothing":           {nil, nil},
		"beside the answer": {map[string]any{"acr": "gold", "auth_time": now}, nil},
		"half beside it":    {map[string]any{"acr": "gold"}, []any{"auth_time", now}},
		"another class":     {map[string]any{"acr": "gold"}, []any{"acr", "bronze", "auth_time", now}},
		"a list":            {nil, []any{"acr", []string{"gold"}, "auth_time", now}},
		"an old sign-in":    {map[string]any{"auth_time": now}, []any{"acr", "gold", "auth_time", now - 3600}},
		"a null time":       {nil, []any{"acr", "gold", "auth_time", (*int)(nil)}},
		"a text":            {nil, []any{"acr", "gold", "auth_time", asJSON(t, now)}},
		"negative":          {nil, []any{"acr", "gold", "auth_time", -now}},
		"huge":              {nil, []any{"acr", "gold", "auth_time", 1e300}},
		"in the future":     {nil, []any{"acr", "gold", "auth_time", now + 3600}},
	} {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			a.refusedFor(ask(t, a, row.beside, row.changes...), "insufficient_user_authentication")
		})
	}
}

// The same with a consumer's own tokens, which the consumer can fill with anything, and with UserInfo, which tells of a
// user and not of a sign-in unless it says so.
func TestAttackStepUpOfConsumersAndUserInfo(t *testing.T) {
	now := time.Now().Unix()
	values := map[string][]any{
		"nothing": nil, "no class": {"auth_time", now}, "no time": {"acr", "gold"},
		"a list": {"acr", []string{"gold"}, "auth_time", now}, "a null": {"acr", "gold", "auth_time", (*int)(nil)},
		"a text": {"acr", "gold", "auth_time", asJSON(t, now)}, "negative": {"acr", "gold", "auth_time", -1.5},
		"huge": {"acr", "gold", "auth_time", 1e300}, "in the future": {"acr", "gold", "auth_time", now + 3600},
		"old": {"acr", "gold", "auth_time", now - 3600}, "an object": {"acr", "gold", "auth_time", map[string]any{}},
	}
	good := []any{"acr", "gold", "auth_time", float64(now) - 0.25}
	s := start(t, gateFor(consumerAlice(t), "require acr gold", "require max_auth_age 10m"))
	s.attack(t, "control: a consumer", func(t *testing.T, a *attempt) {
		a.passed(a.send(hmacKey(t).Sign(t, claims(good...))))
	})
	for name, value := range values {
		s.attack(t, "a consumer: "+name, func(t *testing.T, a *attempt) {
			a.refusedFor(a.send(hmacKey(t).Sign(t, claims(value...))), "insufficient_user_authentication")
		})
	}
	var says atomic.Value // text
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, says.Load().(string))
	}))
	t.Cleanup(server.Close)
	s = start(t, gateFor(issuerBlock("https://op.example.com", "audience any", "keys none",
		"introspect opaque {\nverify userinfo\nendpoint "+server.URL+"\n}"),
		"require acr gold", "require max_auth_age 10m"))
	n := 0
	ask := func(t *testing.T, a *attempt, changes ...any) answer {
		n++
		says.Store(asJSON(t, claims(append([]any{"iss", nil, "iat", nil, "exp", nil}, changes...)...)))
		return a.send("opaque-token-" + asJSON(t, n))
	}
	s.attack(t, "control: UserInfo", func(t *testing.T, a *attempt) { a.passed(ask(t, a, good...)) })
	for name, value := range values {
		s.attack(t, "UserInfo: "+name, func(t *testing.T, a *attempt) {
			a.refusedFor(ask(t, a, value...), "insufficient_user_authentication")
		})
	}
}
