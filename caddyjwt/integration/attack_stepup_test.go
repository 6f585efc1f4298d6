package integration

import (
	"strings"
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
