package diagnose_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/diagnose"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/tokentest"
	"github.com/caddyjwt/gateway/introspect"
)

// found is what a case expects: the level and the code, and parts of text and cure.
type found struct {
	level diagnose.Level
	code  diagnose.Code
	says  []string
}

// expect compares the findings of a report, in any order, with those that a case expects.
func expect(t *testing.T, report diagnose.Report, want []found) {
	t.Helper()
	for _, f := range report.Findings {
		t.Logf("%s %s: %s\n\t%s", f.Level, f.Code, f.Text, f.Cure)
	}
	if len(report.Findings) != len(want) {
		t.Errorf("%d findings, want %d", len(report.Findings), len(want))
	}
	for _, w := range want {
		if !has(report.Findings, w) {
			t.Errorf("no %s %s that says %q", w.level, w.code, w.says)
		}
	}
}

func has(findings []diagnose.Finding, w found) bool {
	for _, f := range findings {
		fits := f.Level == w.level && f.Code == w.code
		for _, part := range w.says {
			fits = fits && strings.Contains(f.Text+"\n"+f.Cure, part)
		}
		if fits {
			return true
		}
	}
	return false
}

func problem(code diagnose.Code, says ...string) []found {
	return []found{{diagnose.Problem, code, says}}
}

func warning(code diagnose.Code, says ...string) []found {
	return []found{{diagnose.Warning, code, says}}
}

func note(code diagnose.Code, says ...string) []found {
	return []found{{diagnose.Note, code, says}}
}

// metadataSays changes one member of the metadata.
func metadataSays(member string, value any) func(*testing.T, *setup) {
	return func(_ *testing.T, s *setup) {
		s.as.ChangeMetadata(func(document map[string]any) { document[member] = value })
	}
}

// keysAre makes the server answer requests for keys like this.
func keysAre(status int, body string, header ...string) func(*testing.T, *setup) {
	return func(_ *testing.T, s *setup) { s.as.AnswerJWKS(status, body, header...) }
}

// answers makes the introspection endpoint answer like this.
func answers(answer tokentest.IntrospectionAnswer) func(*testing.T, *setup) {
	return func(_ *testing.T, s *setup) {
		s.askedAbout()
		s.as.Introspect(func(*tokentest.IntrospectionRequest) tokentest.IntrospectionAnswer { return answer })
	}
}

func TestFindings(t *testing.T) {
	rsa, ec := tokentest.NewKey(t, "RS256", "r"), tokentest.NewKey(t, "ES256", "e")
	encryption, private := ec.JWK(), ec.JWK()
	encryption["use"], private["d"] = "enc", strings.Repeat("A", 43)
	onlyES256 := jose.MakeAlgorithms(jose.ES256)
	for name, c := range map[string]struct {
		change func(*testing.T, *setup)
		want   []found
	}{
		"all is well": {func(_ *testing.T, s *setup) { s.askedAbout() }, nil},

		"the metadata has no slash at the end": {
			func(_ *testing.T, s *setup) { s.name += "/" },
			problem(diagnose.IssuerDiffers, "the slash at the end", `write "issuer http://127.0.0.1`)},
		"the metadata has a slash at the end": {
			func(_ *testing.T, s *setup) { metadataSays("issuer", s.as.URL+"/")(t, s) },
			problem(diagnose.IssuerDiffers, "the slash at the end")},
		"the metadata has another case": {
			func(_ *testing.T, s *setup) {
				metadataSays("issuer", "HTTP"+strings.TrimPrefix(s.as.URL, "http"))(t, s)
			},
			problem(diagnose.IssuerDiffers, "upper and lower case")},
		"the metadata has another scheme": {
			func(_ *testing.T, s *setup) {
				metadataSays("issuer", "https"+strings.TrimPrefix(s.as.URL, "http"))(t, s)
			},
			problem(diagnose.IssuerDiffers, "they differ in the scheme", "write")},
		"the metadata has another port and path": {
			metadataSays("issuer", "http://127.0.0.1:1/realms/x"),
			problem(diagnose.IssuerDiffers, "they differ in the port and the path", "write")},
		"the metadata names another host": {
			metadataSays("issuer", "https://evil.example"),
			problem(diagnose.IssuerDiffers, "the host", "check the address")},
		"the metadata is a template": {
			metadataSays("issuer", "https://login.example/{tenantid}/v2.0"),
			problem(diagnose.IssuerTemplate, "{tenantid}", "the tenant's own issuer")},
		"the metadata has no issuer": {
			func(_ *testing.T, s *setup) {
				s.as.ChangeMetadata(func(document map[string]any) { delete(document, "issuer") })
			},
			problem(diagnose.IssuerDiffers, "no issuer")},
		"the metadata has no key set": {metadataSays("jwks_uri", ""), problem(diagnose.NoKeySetAddress, "jwks_uri")},
		"the key set is at a plain http address": {
			metadataSays("jwks_uri", "http://keys.example/jwks"),
			problem(diagnose.AddressNotAllowed, "http is for this machine only", "use https")},
		"the key set is at a link-local address": {
			metadataSays("jwks_uri", "https://169.254.169.254/jwks"),
			problem(diagnose.AddressNotAllowed, "169.254.169.254", "allow_link_local")},
		"the metadata is a page": {
			func(_ *testing.T, s *setup) {
				s.as.HandleMetadata(func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Content-Type", "text/html")
					fmt.Fprint(w, "<html>")
				})
			},
			problem(diagnose.Malformed, "text/html")},
		"the metadata is nowhere": {
			func(_ *testing.T, s *setup) { s.as.OnlyMetadata("neither") },
			problem(diagnose.Status, "404", "check the address")},
		"the metadata names algorithms that the gate excludes": {
			func(_ *testing.T, s *setup) {
				s.algorithms = onlyES256
				metadataSays("id_token_signing_alg_values_supported", []string{"none", "HS256", "ES256", "RS256"})(t, s)
			},
			note(diagnose.AlgorithmsExcluded, "HS256 RS256")},
		"the metadata names only algorithms that the gate excludes": {
			func(_ *testing.T, s *setup) {
				s.algorithms = onlyES256
				metadataSays("id_token_signing_alg_values_supported", []string{"RS256"})(t, s)
			},
			warning(diagnose.AlgorithmsExcluded, "RS256", "ES256")},

		"the keys are nowhere":      {keysAre(404, ""), problem(diagnose.Status, "404", "check the address")},
		"the keys need a key":       {keysAre(401, ""), problem(diagnose.Status, "401", "header_up")},
		"the server of keys is ill": {keysAre(503, ""), problem(diagnose.Status, "503", "try again")},
		"the key set is a page": {
			keysAre(200, "<html>", "Content-Type", "text/html"), problem(diagnose.Malformed, "text/html")},
		"the key set is empty": {keysAre(200, tokentest.JWKSOf()), problem(diagnose.NoKeys, "the key set is empty")},
		"the key set is for encryption": {
			keysAre(200, tokentest.JWKSOf(encryption)), problem(diagnose.NoKeys, "not_for_signatures")},
		"the key set also has keys for encryption": {
			keysAre(200, tokentest.JWKSOf(rsa.JWK(), encryption)),
			note(diagnose.KeysSkipped, "1 key is not used: not_for_signatures (e)")},
		"the key set has a private key": {
			keysAre(200, tokentest.JWKSOf(rsa.JWK(), private)), problem(diagnose.PrivateKeys, "at once")},
		"the key set has a key of an unknown kind": {
			keysAre(200, tokentest.JWKSOf(rsa.JWK(), map[string]any{"kty": "XYZ"})),
			warning(diagnose.KeysSkipped, "unsupported_key_type (#2)")},
		"the key set is longer than max_keys": {
			func(t *testing.T, s *setup) { s.as.SetKeys(rsa, ec); s.taken.Max = 1 },
			warning(diagnose.KeysLeftOut, "max_keys")},
		"the gate excludes all keys": {
			func(_ *testing.T, s *setup) { s.as.SetKeys(rsa); s.algorithms = onlyES256 },
			problem(diagnose.NoKeyFits, "ES256")},
		"the gate excludes a key": {
			func(_ *testing.T, s *setup) { s.as.SetKeys(rsa, ec); s.algorithms = onlyES256 },
			note(diagnose.KeysExcluded, "1 of 2")},
		"the key set is far too long": {
			keysAre(200, strings.Repeat(" ", 2<<20)), problem(diagnose.TooLarge)},
		"the key set redirects without end": {
			keysAre(302, "", "Location", "jwks"), problem(diagnose.Redirected, "where the redirects end")},
		"the key set redirects to a host that does not exist": {
			func(_ *testing.T, s *setup) { s.as.AnswerJWKS(302, "", "Location", "http://[::1]:1/") },
			problem(diagnose.ConnectionRefused, "[::1]:1")},
		"the server is down": {
			func(_ *testing.T, s *setup) { s.as.Down() }, problem(diagnose.ConnectionRefused, "start the server")},
		"the host does not exist": {
			func(_ *testing.T, s *setup) { s.name = "https://auth.invalid" },
			problem(diagnose.UnknownHost, "auth.invalid: dial tcp", "spelling")},
		"the server does not answer": {
			func(_ *testing.T, s *setup) { s.as.Stall(); s.timeout = 50 * time.Millisecond },
			problem(diagnose.Timeout, "firewall")},
		"the server hangs up": {
			func(_ *testing.T, s *setup) {
				s.as.HandleJWKS(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
			},
			problem(diagnose.Unreachable, "the connection broke")},
		"the server does not speak TLS": {
			func(_ *testing.T, s *setup) { s.name = "https" + strings.TrimPrefix(s.as.URL, "http") },
			problem(diagnose.NotTLS, "check the port")},

		"the clock of the server is ahead": {
			dateIs(10 * time.Second), problem(diagnose.ClockDiffers, "ahead of ours", "leeway is 5s", "NTP")},
		"the clock of the server is ahead by less than leeway": {
			func(t *testing.T, s *setup) { s.leeway = time.Minute; dateIs(10*time.Second)(t, s) }, nil},
		"the clock of the server is behind": {
			dateIs(-time.Hour), warning(diagnose.ClockDiffers, "behind ours")},
		"the answer is from a cache": {
			func(t *testing.T, s *setup) { dateIs(-time.Hour)(t, s); s.as.SetJWKSHeader("Age", "3600") }, nil},
		"the server does not say the time": {
			func(_ *testing.T, s *setup) { s.as.SetJWKSHeader("Date", "yesterday") }, nil},

		"the metadata has no introspection endpoint": {
			func(t *testing.T, s *setup) { s.askedAbout(); metadataSays("introspection_endpoint", nil)(t, s) },
			problem(diagnose.EndpointMissing, "introspection_endpoint", `"endpoint"`)},
		"the metadata has no userinfo endpoint": {
			func(t *testing.T, s *setup) {
				*s.askedAbout() = introspect.Config{Issuer: s.name, Mode: introspect.UserInfo}
				metadataSays("userinfo_endpoint", "")(t, s)
			},
			problem(diagnose.EndpointMissing, "userinfo_endpoint")},
		"the introspection endpoint is not https": {
			func(t *testing.T, s *setup) {
				s.askedAbout()
				metadataSays("introspection_endpoint", "http://auth.example/introspect")(t, s)
			},
			problem(diagnose.EndpointNotAllowed, "https")},
		"the secret is wrong": {
			func(_ *testing.T, s *setup) { s.askedAbout().ClientSecret = "another" },
			problem(diagnose.CredentialsRefused, "401", "client_secret")},
		"the server wants another method": {
			func(t *testing.T, s *setup) {
				s.askedAbout()
				metadataSays("introspection_endpoint_auth_methods_supported", []string{"private_key_jwt"})(t, s)
			},
			problem(diagnose.AuthMethodMissing, "authentication method", "private_key")},
		"a made-up token is active": {
			answers(tokentest.IntrospectionAnswer{Claims: map[string]any{"active": true}}),
			problem(diagnose.MadeUpTokenActive, "everybody can get in")},
		"the answer is a page": {
			answers(tokentest.IntrospectionAnswer{Body: "<html>", ContentType: "text/html"}),
			problem(diagnose.Malformed, "not application/json", "RFC 7662")},
		"the answer is not JSON": {
			answers(tokentest.IntrospectionAnswer{Body: "active"}), problem(diagnose.Malformed, "RFC 7662")},
		"the endpoint is nowhere": {
			answers(tokentest.IntrospectionAnswer{Status: 404}), problem(diagnose.Status, "404", "check the address")},
		"the endpoint redirects": {
			answers(tokentest.IntrospectionAnswer{Status: 302}), problem(diagnose.Status, "302", "check the address")},
		"the endpoint is ill": {
			answers(tokentest.IntrospectionAnswer{Status: 503, Header: http.Header{"Retry-After": {"1"}}}),
			problem(diagnose.Status, "503")},
		"the endpoint chokes on tokens that it does not know": {
			answers(tokentest.IntrospectionAnswer{Status: 500}), warning(diagnose.MadeUpTokenError, "500", "good token")},
		"the endpoint wants fewer questions": {
			answers(tokentest.IntrospectionAnswer{Status: 429}), warning(diagnose.MadeUpTokenError, "429")},
		"only the endpoint is down": {
			func(_ *testing.T, s *setup) { s.askedAbout().Endpoint = "http://127.0.0.1:1/introspect" },
			problem(diagnose.ConnectionRefused, "127.0.0.1:1")},
		"keys from their address, and the endpoint from metadata of another issuer": {
			func(_ *testing.T, s *setup) {
				s.jwks, s.name = s.as.JWKSURL(), s.name+"/"
				s.askedAbout()
			},
			problem(diagnose.IssuerDiffers, "the slash at the end")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSetup(t)
			c.change(t, s)
			expect(t, s.check(t), c.want)
		})
	}
}

// dateIs makes the server of keys say another time than ours.
func dateIs(offset time.Duration) func(*testing.T, *setup) {
	return func(_ *testing.T, s *setup) {
		date := time.Now().Add(offset).UTC().Format(http.TimeFormat)
		s.jwks = s.as.JWKSURL()
		s.as.SetJWKSHeader("Date", date)
	}
}

func TestReportOfAGoodServer(t *testing.T) {
	s := newSetup(t)
	s.askedAbout()
	r := s.check(t)
	if r.Result != diagnose.OK || r.Issuer != s.as.URL || r.KeySet != s.as.JWKSURL() ||
		r.Metadata != s.as.URL+"/.well-known/openid-configuration" {
		t.Errorf("%+v", r)
	}
	if len(r.Keys) != 1 || r.Keys[0].Name != "a" || r.Keys[0].Type != "EC" || !r.Keys[0].Used ||
		strings.Join(r.Keys[0].Algorithms, " ") != "ES256" {
		t.Errorf("keys %+v", r.Keys)
	}
	if r.Introspection == nil || r.Introspection.Answer != "inactive" ||
		r.Introspection.Endpoint != s.as.IntrospectionURL() {
		t.Errorf("introspection %+v", r.Introspection)
	}
	if len(r.Servers) != 1 || r.Servers[0].ClockOffset == nil || *r.Servers[0].ClockOffset != 0 {
		t.Errorf("servers %+v", r.Servers)
	}
}

// The server is asked once about a token that nobody can have.
func TestMadeUpTokenIsNotGuessable(t *testing.T) {
	s := newSetup(t)
	s.askedAbout()
	s.check(t)
	s.check(t)
	asked := s.as.IntrospectionRequests()
	if len(asked) != 2 || asked[0].Token == asked[1].Token || len(asked[0].Token) < 40 {
		t.Errorf("asked %d times", len(asked))
	}
}

// What a server needs no keys for is not checked with keys.
func TestIssuerWithoutKeys(t *testing.T) {
	s := newSetup(t)
	s.askedAbout()
	issuer := s.open(t)
	issuer.Keys, issuer.KeysFrom = nil, "none"
	r := diagnose.Run(t.Context(), []diagnose.Issuer{issuer}, func(int) {})[0]
	if r.Result != diagnose.OK || len(r.Keys) != 0 || r.Introspection.Answer != "inactive" {
		t.Errorf("%+v", r)
	}
}

// The query of an address may contain a key, so it is in no report.
func TestQueriesAreNotReported(t *testing.T) {
	const secret = "topsecret"
	s := newSetup(t)
	s.jwks = s.as.JWKSURL() + "?key=" + secret
	s.askedAbout().Endpoint = s.as.IntrospectionURL() + "?key=" + secret
	for _, down := range []bool{false, true} {
		if down {
			s.as.Down()
		}
		if text := fmt.Sprintf("%+v", s.check(t)); strings.Contains(text, secret) {
			t.Errorf("down %v: %s", down, text)
		}
	}
}

// If the servers agree with each other, the wrong clock is ours.
func TestWhoseClockIsWrong(t *testing.T) {
	for name, c := range map[string]struct {
		offsets []time.Duration
		ours    bool
	}{
		"one server differs":                    {[]time.Duration{time.Hour}, false},
		"two servers differ by the same":        {[]time.Duration{time.Hour, time.Hour}, true},
		"two servers differ by different times": {[]time.Duration{time.Hour, 2 * time.Hour}, false},
		"one of two servers differs":            {[]time.Duration{time.Hour, 0}, false},
		"both differ in different directions":   {[]time.Duration{time.Hour, -time.Hour}, false},
	} {
		t.Run(name, func(t *testing.T) {
			var issuers []diagnose.Issuer
			for _, offset := range c.offsets {
				s := newSetup(t)
				dateIs(offset)(t, s)
				issuers = append(issuers, s.open(t))
			}
			report := diagnose.Run(t.Context(), issuers, func(int) {})[0]
			if ours := has(report.Findings, found{
				diagnose.Problem, diagnose.ClockDiffers, []string{"the clock of this machine is wrong"},
			}); ours != c.ours {
				t.Errorf("%+v", report.Findings)
			}
		})
	}
}
