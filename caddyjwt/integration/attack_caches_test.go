package integration

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// A shared cache keeps the answer to a request whose token was not in Authorization, and hands it to everybody: RFC
// 6750 section 2.3, RFC 9111 section 3.5. Such answers are private, and refusals are not stored at all.
func TestAttackAnswerInASharedCache(t *testing.T) {
	s := start(t,
		gateFor(consumerAlice(t), "token_from header Authorization", "token_from header X-Token", "token_from query jwt",
			"token_from cookie jwt", "token_from form jwt"))
	token := hmacKey(t).Sign(t, claims())
	for _, upstream := range []string{"", "public, max-age=3600", "s-maxage=60", "PUBLIC",
		"max-age=60, Public , s-maxage=1", "no-store"} {
		s.upstream.answer = func(w http.ResponseWriter, _ *http.Request) {
			if upstream != "" {
				w.Header().Set("Cache-Control", upstream)
			}
			_, _ = w.Write([]byte("ok"))
		}
		for place, send := range map[string]func(a *attempt) answer{
			"query":         func(a *attempt) answer { return a.get("/?jwt="+token, "") },
			"cookie":        func(a *attempt) answer { return a.get("/", "", "Cookie", "jwt="+token) },
			"custom header": func(a *attempt) answer { return a.get("/", "", "X-Token", token) },
			"form":          func(a *attempt) answer { return a.form("/", "jwt="+token) },
		} {
			s.attack(t, place+" with "+upstream, func(t *testing.T, a *attempt) {
				got := send(a)
				a.passed(got)
				directives := strings.ToLower(strings.Join(got.Header["Cache-Control"], ","))
				if !strings.Contains(directives, "private") && !strings.Contains(directives, "no-store") ||
					strings.Contains(directives, "public") || strings.Contains(directives, "s-maxage") {
					t.Errorf("Cache-Control %q", directives)
				}
			})
		}
	}
}

// Some shared caches have a header field of their own, and read Cache-Control only where that is missing: RFC 9213
// section 2.2. The backend or the site may set that field. It must not undo what the gate says. Otherwise another user
// gets the answer to a token in a cookie, or everybody gets the refusal of one request without a token.
func TestAttackAnswerTargetedCacheControl(t *testing.T) {
	s := prepare(t)
	fields := []string{"CDN-Cache-Control", "Example-Cache-Control", "Surrogate-Control"}
	s.upstream.answer = func(w http.ResponseWriter, _ *http.Request) {
		for _, field := range fields {
			w.Header().Set(field, "max-age=600")
		}
	}
	site := ""
	for _, field := range fields {
		site += "header " + field + " max-age=600\n"
	}
	s.behind(site+"GATE\nBACKEND", consumerAlice(t), "token_from header Authorization", "token_from cookie jwt")
	token := hmacKey(t).Sign(t, claims())
	clean := func(t *testing.T, got answer) {
		for _, field := range fields {
			if values := got.Header[http.CanonicalHeaderKey(field)]; len(values) > 0 {
				t.Errorf("%s %q", field, values)
			}
		}
	}
	s.attack(t, "accepted", func(t *testing.T, a *attempt) {
		got := a.get("/", "", "Cookie", "jwt="+token)
		a.passed(got)
		clean(t, got)
		if got.Header.Get("Cache-Control") != "private" {
			t.Errorf("Cache-Control %q", got.Header["Cache-Control"])
		}
	})
	s.attack(t, "refused", func(t *testing.T, a *attempt) {
		got := a.get("/", "")
		a.refusedFor(got, "missing_token")
		clean(t, got)
	})
}

// A token was verified and remembered when the operator takes back what let it in. The cache outlives the
// configuration, so whoever holds the token hopes that the old verdict does, too. Each rule is judged anew, or by
// settings that are part of what the cache is asked for.
func TestAttackRememberedTokenAfterAReload(t *testing.T) {
	key, next := tokentest.NewKey(t, "ES256", "k"), tokentest.NewKey(t, "ES256", "next")
	old, both := newFile(t, "old.json", tokentest.JWKS(key)), newFile(t, "both.json", tokentest.JWKS(key, next))
	now := time.Now().Unix()
	const issuer = "https://as.example"
	by := func(lines ...string) string { return issuerWithKeys(issuer, "file "+old, lines...) }
	of := func(tenants string, lines ...string) string {
		return issuerWithKeys(issuer+"/*", "file "+old, append(lines, "tenants "+tenants)...)
	}
	expiring := func(line string) string {
		return strings.Replace(consumerAlice(t), "algorithm HS256", "algorithm HS256\n"+line, 1)
	}
	signed := func(changes ...any) string { return key.Sign(t, issuedBy(issuer, changes...)) }
	for name, c := range map[string]struct {
		before, after []string
		token         string
		reasons       []string
	}{
		"another source of keys beside it goes": {[]string{by("keys file " + both)}, []string{by()},
			next.Sign(t, issuedBy(issuer)), []string{"unknown_key"}},
		"numbers as subjects": {[]string{by("tolerate numeric_subject")}, []string{by()},
			signed("sub", 7), []string{"malformed_token"}},
		"texts as dates, for another shape": {[]string{by("tolerate text_dates")}, []string{by("tolerate null_claims")},
			signed("exp", strconv.FormatInt(now+300, 10)), []string{"malformed_token"}},
		"the unit of dates": {[]string{by("tolerate millisecond_dates")}, []string{by()},
			signed("exp", (now+300)*1000, "iat", now*1000), []string{"malformed_token"}},
		"the unit of dates, the other way round": {[]string{by()}, []string{by("tolerate millisecond_dates")},
			signed(), []string{"expired"}},
		"a longer life without exp": {[]string{by("tolerate missing_exp", "max_lifetime 1h")},
			[]string{"max_lifetime 1m", by("tolerate missing_exp", "max_lifetime 1h")},
			signed("exp", nil, "iat", now-600), []string{"expired"}},
		"where groups are": {[]string{by("group_claim roles"), "require group admin"},
			[]string{by("group_claim realm_access.roles"), "require group admin"},
			signed("roles", "admin"), []string{"claim_mismatch"}},
		"where groups are that are excluded": {[]string{by(), "require not group admin"},
			[]string{by("group_claim roles"), "require not group admin"}, signed("roles", "admin"), []string{"claim_mismatch"}},
		"a tenant": {[]string{of("acme globex")}, []string{of("globex")},
			key.Sign(t, issuedBy(issuer+"/acme")), []string{"unknown_issuer"}},
		"a tenant that gets a block of its own": {[]string{of("any")},
			[]string{of("any"), issuerWithKeys(issuer+"/acme", "file "+both, "max_lifetime 1m")},
			key.Sign(t, issuedBy(issuer+"/acme")), []string{"lifetime_too_long"}},
		"the end of a credential": {[]string{consumerAlice(t)}, []string{expiring("expires 2026-01-01")},
			hmacKey(t).Sign(t, claims()), []string{"unknown_key"}},
		"a pattern": {[]string{by(), "require claim sub like repo:org/*"},
			[]string{by(), "require claim sub like repo:org/a/*"}, signed("sub", "repo:org/b"), []string{"claim_mismatch"}},
		"one of the alternatives": {[]string{by(), "require any {\nscope write\nclaim role admin\n}"},
			[]string{by(), "require any {\nscope write\nclaim role boss\n}"}, signed("role", "admin"),
			[]string{"insufficient_scope"}},
	} {
		s := start(t, gateFor(c.before...))
		s.attack(t, name, func(t *testing.T, a *attempt) {
			a.secret(c.token)
			for range 3 { // from the third time on, it is remembered
				a.passed(a.send(c.token))
			}
			s.load(gateFor(c.after...))
			for range 3 {
				a.refusedFor(a.send(c.token), c.reasons...)
			}
			s.load(gateFor(c.before...))
			a.passed(a.send(c.token))
		})
	}
}
