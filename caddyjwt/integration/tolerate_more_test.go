package integration

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// What the tolerances of an issuer mean for its server's answers: about opaque tokens, and about JWTs.
func TestTolerateInAnswers(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	now := time.Now().Unix()
	for name, c := range map[string]struct {
		word   string
		answer []any
		good   bool
	}{
		"zero":               {"never_expires", []any{"exp", jsonText("0")}, true},
		"null":               {"never_expires", []any{"exp", jsonText("null")}, true},
		"none":               {"never_expires", []any{"exp", nil}, true},
		"a time":             {"never_expires", []any{}, true},
		"expired":            {"never_expires", []any{"exp", now - 60}, false},
		"one":                {"never_expires", []any{"exp", jsonText("1")}, false},
		"a fraction of zero": {"never_expires", []any{"exp", jsonText("0.0")}, false},
		"minus zero":         {"never_expires", []any{"exp", jsonText("-0")}, false},
		"a text of zero":     {"never_expires", []any{"exp", "0"}, false},
		"empty":              {"never_expires", []any{"exp", ""}, false},
		"false":              {"never_expires", []any{"exp", false}, false},
		"minus one":          {"never_expires", []any{"exp", -1}, false},
		"a number":           {"numeric_subject", []any{"sub", jsonText("4711")}, true},
		"a fraction":         {"numeric_subject", []any{"sub", jsonText("47.11")}, false},
		"a text":             {"text_dates", []any{"exp", jsonText(`"4102444800"`)}, true},
		"a date as text":     {"text_dates", []any{"exp", "2100-01-01T00:00:00Z"}, false},
		"milliseconds":       {"millisecond_dates", []any{"exp", jsonText("4102444800000")}, true},
		"seconds":            {"millisecond_dates", []any{"exp", jsonText("4102444800")}, false},
	} {
		t.Run(c.word+", "+name, func(t *testing.T) {
			as := introspector(t, tokentest.WithKeys(key))
			as.Introspect(always(active(c.answer...)))
			with := strings.Replace(introspecting(as, "always"), "introspect", "tolerate "+c.word+"\nintrospect", 1)
			jwt := key.Sign(t, toleratedBase(c.word, as.URL))
			if c.word == "numeric_subject" {
				jwt = key.Sign(t, issuedBy(as.URL, "sub", jsonText("4711")))
			}
			s := start(t, gateForAudience(with))
			for _, token := range []string{"opaque", jwt} {
				for range 2 {
					got := s.get("/", token)
					if c.good {
						s.passed(got)
						continue
					}
					if got.StatusCode != 401 && got.StatusCode != 502 {
						t.Errorf("status %d", got.StatusCode)
					}
					s.nothingForwarded()
				}
			}
			if usual := len(c.answer) == 0 || c.answer[1] == nil; usual || !c.good {
				return
			}
			s = start(t, gateForAudience(introspecting(as, "always")))
			if got := s.get("/", "opaque"); got.StatusCode != 401 && got.StatusCode != 502 {
				t.Errorf("without the word: status %d", got.StatusCode)
			}
			s.nothingForwarded()
		})
	}
}

// UserInfo tells who the caller is, and a number is tolerated there, too.
func TestTolerateANumberInUserInfo(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	server := newUpstream(t)
	server.answer = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"sub":4711}`))
	}
	block := func(word string) string {
		return gateFor(issuerByJWKS(as, word, "introspect always {\nverify userinfo\nendpoint "+server.URL+"\n}"))
	}
	s := start(t, block("tolerate numeric_subject"))
	s.passed(s.get("/", key.Sign(t, issuedBy(as.URL, "sub", 4711))))
	s.refused(s.get("/", key.Sign(t, issuedBy(as.URL, "sub", 4712))), http.StatusUnauthorized, "contradiction")
	s = start(t, block(""))
	if got := s.get("/", key.Sign(t, issuedBy(as.URL, "sub", "4711"))); got.StatusCode != http.StatusBadGateway {
		t.Errorf("without the word: status %d", got.StatusCode)
	}
}

// A consumer from Kong, whose tokens have no exp and name a number. The credential ends, and its tokens with it.
func TestTolerateOfAConsumer(t *testing.T) {
	alice := func(expires, tolerate string) string {
		return strings.NewReplacer("base64\n", "base64\n"+expires+"\n", "groups staff editors", tolerate).
			Replace(consumerAlice(t))
	}
	key := hmacKey(t)
	endless := key.Sign(t, claims("exp", nil, "iat", nil, "sub", 4711))
	ends := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	s := start(t, gateForAny(alice("expires "+ends.Format(time.RFC3339), "tolerate missing_exp numeric_subject")))
	for range 3 {
		if got := s.passed(s.get("/", endless)).Header.Get("X-Consumer-Username"); got != "alice" {
			t.Errorf("username %q", got)
		}
	}
	s.refused(s.get("/", key.Sign(t, claims("exp", 1))), http.StatusUnauthorized, "expired")
	s.refused(s.get("/", key.Sign(t, claims("exp", "4102444800"))), http.StatusUnauthorized, "malformed_token")

	s.load(gateForAny(alice("expires "+ends.Format(time.RFC3339), "")))
	s.refused(s.get("/", endless), http.StatusUnauthorized, "malformed_token")
	s.refused(s.get("/", key.Sign(t, claims("exp", nil))), http.StatusUnauthorized, "missing_claim")
	s.accepts(key.Sign(t, claims()))

	s.load(gateForAny(alice("expires 2020-01-31", "tolerate missing_exp numeric_subject")))
	s.refused(s.get("/", endless), http.StatusUnauthorized, "unknown_key")
	s.refused(s.get("/", key.Sign(t, claims())), http.StatusUnauthorized, "unknown_key")

	s.load(gateForAny(alice("", "tolerate missing_exp"), "max_lifetime 10m"))
	s.accepts(key.Sign(t, claims("exp", nil)))
	s.refused(s.get("/", key.Sign(t, claims("exp", nil, "iat", 1))), http.StatusUnauthorized, "expired")
	s.refused(s.get("/", key.Sign(t, claims("exp", nil, "iat", nil))), http.StatusUnauthorized, "missing_claim")
}

// gateForAny is a gate for tokens without an audience.
func gateForAny(lines ...string) string {
	return gateFor(append([]string{"audience any"}, lines...)...)
}

// The backend gets what the token says. A subject that is a number has the same digits everywhere; one that is empty
// leaves no header, no name and no placeholder; dates stay as they are written.
func TestWhatIsToleratedReachesTheBackendAsWritten(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	const digits = "18446744073709551615"
	s := start(t, gateFor(
		issuerByJWKS(as, "max_lifetime 1h",
			"tolerate numeric_subject empty_subject null_claims millisecond_dates missing_exp"),
		"forward_claims {\nX-User sub\nX-Exp exp\nX-Iat iat\nX-Jti jti\n}", "forward_payload X-Payload")+
		"\nrequest_header X-Id \"<{http.auth.user.id}|{http.auth.user.sub}|{http.auth.user.exp}|{http.auth.user.jti}>\"\n"+
		"@named expression {http.auth.user.sub} != null\nrequest_header @named X-Named yes\n")
	now := time.Now().UnixMilli()
	for name, c := range map[string]struct {
		says map[string]any
		want map[string]string
	}{
		"a number": {issuedBy(as.URL, "sub", jsonText(digits), "iat", now, "exp", now+60_000),
			map[string]string{"X-User": digits, "X-Id": "<" + digits + "|" + digits + "|" + asJSON(t, now+60_000) + "|>",
				"X-Exp": asJSON(t, now+60_000), "X-Iat": asJSON(t, now), "X-Named": "yes"}},
		"nobody, with nulls": {issuedBy(as.URL, "sub", "", "iat", now, "exp", jsonText("null"), "jti", jsonText("null")),
			map[string]string{"X-User": "", "X-Id": "<|||>", "X-Exp": "", "X-Jti": "", "X-Iat": asJSON(t, now), "X-Named": ""}},
	} {
		token := key.Sign(t, c.says)
		for range 2 {
			got := s.passed(s.get("/", token, "X-User", "forged", "X-Exp", "1"))
			for field, want := range c.want {
				if value := got.Header.Get(field); value != want {
					t.Errorf("%s: %s is %q, want %q", name, field, value, want)
				}
			}
			payload, err := base64.RawURLEncoding.DecodeString(got.Header.Get("X-Payload"))
			if err != nil || string(payload) != asJSON(t, c.says) {
				t.Errorf("%s: the payload is %s, %v", name, payload, err)
			}
		}
	}
}

// An empty subject names nobody. Where nothing else tells access tokens from others, such a token needs a client.
func TestEmptySubjectIsNoSubject(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	s := start(t, gateForAny(issuerBlock(as.URL, "keys jwks "+as.JWKSURL(), "tolerate empty_subject")))
	s.refused(s.get("/", key.Sign(t, issuedBy(as.URL, "sub", ""))), http.StatusUnauthorized, "missing_claim")
	s.passed(s.get("/", key.Sign(t, issuedBy(as.URL, "sub", "", "client_id", "robot"))))
	s.load(gateFor(issuerByJWKS(as, "tolerate empty_subject"), "require claim sub"))
	s.refused(s.get("/", key.Sign(t, issuedBy(as.URL, "sub", ""))), http.StatusForbidden, "claim_mismatch")
	s.passed(s.get("/", key.Sign(t, issuedBy(as.URL))))
}

// Sign-in times are dates of the issuer, too.
func TestTolerateTheTimeOfSignIn(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	s := start(t, gateFor(issuerByJWKS(as, "tolerate text_dates millisecond_dates"), "require max_auth_age 15m"))
	now := time.Now().UnixMilli()
	for name, c := range map[string]struct {
		at   any
		good bool
	}{
		"just now": {asJSON(t, now-1000), true}, "a number": {now - 1000, true},
		"an hour ago": {asJSON(t, now-3600_000), false}, "seconds": {now / 1000, false}, "a fraction": {"1.5", false},
		"null": {json.RawMessage("null"), false}, "none": {nil, false}, "ahead": {now + 600_000, false},
	} {
		got := s.get("/", key.Sign(t, issuedBy(as.URL, "iat", now, "exp", now+60_000, "auth_time", c.at)))
		if c.good {
			s.passed(got)
			continue
		}
		if got.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s: status %d", name, got.StatusCode)
		}
		s.nothingForwarded()
	}
}

// The groups of each server are where its configuration says, for requirements and for the matcher behind the gate.
func TestGroupClaimsOfServers(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	for name, c := range map[string]struct{ line, in, notIn string }{
		"Keycloak": {"group_claim realm_access.roles resource_access.api.roles",
			`{"realm_access":{"roles":["offline_access"]},"resource_access":{"api":{"roles":["admin"]}}}`,
			`{"realm_access":{"roles":["offline_access"]},"resource_access":{"other":{"roles":["admin"]}}}`},
		"Entra ID": {"group_claim roles", `{"roles":["user","admin"]}`, `{"roles":["user"],"groups":["admin"]}`},
		"Cognito":  {"group_claim cognito:groups", `{"cognito:groups":["admin"]}`, `{"cognito:roles":["admin"]}`},
		"Auth0": {"group_claim https://example.com/roles", `{"https://example.com/roles":["admin"]}`,
			`{"roles":["admin"]}`},
		"one text": {"group_claim role", `{"role":"admin"}`, `{"role":"admin editor"}`},
		"JSON pointer": {"group_claim /teams/0/role", `{"teams":[{"role":"admin"}]}`,
			`{"teams":[{"role":"x"},{"role":"admin"}]}`},
		"Zitadel": {"group_claim urn:zitadel:iam:org:project:roles",
			`{"urn:zitadel:iam:org:project:roles":{"user":{"1":"a.example"},"admin":{"1":"a.example"}}}`,
			`{"urn:zitadel:iam:org:project:roles":{"user":{"admin":"a.example"},"admin":false}}`},
		"as ever": {"", `{"groups":["admin"]}`, `{"groups":{"admin":true},"roles":["admin"]}`},
	} {
		t.Run(name, func(t *testing.T) {
			with := func(extra string) string {
				said := issuedBy(as.URL)
				if err := json.Unmarshal([]byte(extra), &said); err != nil {
					t.Fatal(err)
				}
				return key.Sign(t, said)
			}
			in, notIn := with(c.in), with(c.notIn)
			s := start(t, gateFor(issuerByJWKS(as, c.line), "require group admin"))
			for range 2 {
				s.passed(s.get("/", in))
				s.refused(s.get("/", notIn), http.StatusForbidden, "claim_mismatch")
			}
			s.load(gateFor(issuerByJWKS(as, c.line)) + "\n@admin bearer group admin\nrequest_header @admin X-Admin yes\n")
			for token, want := range map[string]string{in: "yes", notIn: ""} {
				if got := s.passed(s.get("/", token)).Header.Get("X-Admin"); got != want {
					t.Errorf("X-Admin is %q, want %q", got, want)
				}
			}
		})
	}
}

// The command explain shows what is tolerated, and names the word that would help.
func TestExplainTolerances(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	file := "file " + newFile(t, "key.pem", key.PublicPEM())
	const issuer = "https://as.example"
	run := func(lines []string, token string) explained {
		t.Helper()
		config := newFile(t, "Caddyfile", "example.com {\n"+gateFor(lines...)+"\n}\n")
		report, _ := explainJSON(t, token, "--config", config, "-")
		return report
	}
	number := key.Sign(t, issuedBy(issuer, "sub", 4711, "exp", nil))
	report := run(
		[]string{issuerWithKeys(issuer, file, "tolerate numeric_subject missing_exp", "max_lifetime 1h")}, number)
	if report.Verdict != "passes" {
		t.Errorf("verdict %q", report.Verdict)
	}
	shown := false
	for _, step := range report.Gates[0].Steps {
		shown = shown || step.Rule == "tolerate" && strings.Join(step.Came, ", ") == "sub is a number, there is no exp"
	}
	if !shown {
		t.Errorf("steps: %+v", report.Gates[0].Steps)
	}
	for word, changes := range map[string][]any{
		"numeric_subject": {"sub", 4711}, "empty_subject": {"sub", ""}, "null_claims": {"jti", jsonText("null")},
		"text_dates": {"exp", "4102444800"}, "millisecond_dates": {"exp", jsonText("4102444800000")},
	} {
		report := run([]string{issuerWithKeys(issuer, file)}, key.Sign(t, issuedBy(issuer, changes...)))
		change := report.Gates[0].Change
		if report.Verdict != "refused" || change == nil || change.Line != "tolerate "+word {
			t.Errorf("%s: %s, %+v", word, report.Verdict, change)
		}
	}
	report = run([]string{issuerWithKeys(issuer, file)}, key.Sign(t, issuedBy(issuer, "exp", nil)))
	if change := report.Gates[0].Change; change == nil || change.Line != "" ||
		!strings.Contains(change.Note, "missing_exp") {
		t.Errorf("no exp: %+v", change)
	}
	report = run([]string{issuerWithKeys(issuer, file)}, key.Sign(t, issuedBy(issuer, "sub", jsonText("1.5"))))
	if change := report.Gates[0].Change; change == nil || change.Line != "" {
		t.Errorf("a fraction: %+v", change)
	}
	report = run([]string{issuerWithKeys(issuer, file, "tolerate numeric_subject")},
		key.Sign(t, issuedBy(issuer+"/", "sub", 4711)))
	if change := report.Gates[0].Change; change == nil || change.Line != "" ||
		!strings.Contains(change.Note, "compare its iss") {
		t.Errorf("of another issuer: %+v", change)
	}
	group := []string{issuerWithKeys(issuer, file, "group_claim roles"), "require group admin"}
	report = run(group, key.Sign(t, issuedBy(issuer, "roles", []string{"user"})))
	for _, step := range report.Gates[0].Steps {
		if step.Rule == "require_group" && (step.Result != "fail" || strings.Join(step.Came, "") != `["user"]` ||
			!strings.Contains(step.Detail, `claim "roles" is a list of 1 other values`)) {
			t.Errorf("step: %+v", step)
		}
	}
}
