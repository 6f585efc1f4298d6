package tenant_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/tenant"
)

const entra = "https://login.example/*/v2.0"

// parse reads a pattern that must be good.
func parse(t testing.TB, text string) *tenant.Pattern {
	t.Helper()
	p, err := tenant.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	if p.String() != text {
		t.Fatalf("%q became %q", text, p.String())
	}
	return &p
}

func TestPatternTakesOneSegment(t *testing.T) {
	for pattern, issuers := range map[string]map[string]string{
		entra: {
			"https://login.example/acme/v2.0":                                 "acme",
			"https://login.example/9f86d081-884c-4d65-9a2f-eaa0c55ad015/v2.0": "9f86d081-884c-4d65-9a2f-eaa0c55ad015",
			"https://login.example/a.b_c-D9/v2.0":                             "a.b_c-D9",
			"https://login.example/.../v2.0":                                  "...",
			"https://login.example/" + strings.Repeat("a", 64) + "/v2.0":      strings.Repeat("a", 64),
			"https://login.example/v2.0/v2.0":                                 "v2.0",
			"https://login.example/login.example/v2.0":                        "login.example",
		},
		"https://sts.example/*/":                   {"https://sts.example/acme/": "acme"},
		"https://id.example:8443/realms/*":         {"https://id.example:8443/realms/acme": "acme"},
		"http://[::1]:8080/*":                      {"http://[::1]:8080/acme": "acme"},
		"https://id.example/a:b@c/~x!$&'()/*/,;=+": {"https://id.example/a:b@c/~x!$&'()/acme/,;=+": "acme"},
	} {
		p := parse(t, pattern)
		for issuer, want := range issuers {
			got, ok := p.Tenant(issuer)
			if !ok || got != want || p.Issuer(got) != issuer {
				t.Errorf("%s: %q is of tenant %q, %v", pattern, issuer, got, ok)
			}
		}
	}
}

// Whatever differs from prefix, one good segment and suffix by a single byte is another issuer.
func TestPatternRefusesWhatIsAlmostAnIssuer(t *testing.T) {
	p := parse(t, entra)
	for name, issuer := range map[string]string{
		"empty":                       "",
		"the pattern itself":          entra,
		"the template":                "https://login.example/{tenantid}/v2.0",
		"no segment":                  "https://login.example//v2.0",
		"no segment, one slash":       "https://login.example/v2.0",
		"prefix and suffix overlap":   "https://login.example/v2.0"[:len("https://login.example/")] + "2.0",
		"a dot":                       "https://login.example/./v2.0",
		"two dots":                    "https://login.example/../v2.0",
		"two segments":                "https://login.example/a/b/v2.0",
		"a slash after it":            "https://login.example/a//v2.0",
		"dots in it":                  "https://login.example/a/../v2.0",
		"an encoded slash":            "https://login.example/a%2fb/v2.0",
		"an encoded dot":              "https://login.example/%2e/v2.0",
		"an encoded letter":           "https://login.example/%61/v2.0",
		"a percent":                   "https://login.example/%/v2.0",
		"a backslash":                 `https://login.example/a\b/v2.0`,
		"65 characters":               "https://login.example/" + strings.Repeat("a", 65) + "/v2.0",
		"a blank":                     "https://login.example/a b/v2.0",
		"a plus":                      "https://login.example/a+b/v2.0",
		"a semicolon":                 "https://login.example/a;b/v2.0",
		"an at":                       "https://login.example/a@b/v2.0",
		"a colon":                     "https://login.example/a:b/v2.0",
		"a comma":                     "https://login.example/a,b/v2.0",
		"NUL":                         "https://login.example/a\x00/v2.0",
		"a line end":                  "https://login.example/a\n/v2.0",
		"a letter of Unicode":         "https://login.example/é/v2.0",
		"digits of Unicode":           "https://login.example/١٢/v2.0",
		"a wide letter":               "https://login.example/ａ/v2.0",
		"bad UTF-8":                   "https://login.example/\xff/v2.0",
		"a fragment in it":            "https://login.example/a#/v2.0",
		"a query in it":               "https://login.example/a?/v2.0",
		"a query after it":            "https://login.example/a/v2.0?x",
		"a fragment after it":         "https://login.example/a/v2.0#x",
		"a slash at the end":          "https://login.example/a/v2.0/",
		"a blank at the end":          "https://login.example/a/v2.0 ",
		"a blank at the start":        " https://login.example/a/v2.0",
		"http":                        "http://login.example/a/v2.0",
		"upper case in the scheme":    "HTTPS://login.example/a/v2.0",
		"upper case in the host":      "https://Login.example/a/v2.0",
		"upper case in the path":      "https://login.example/a/V2.0",
		"the default port":            "https://login.example:443/a/v2.0",
		"a user":                      "https://x@login.example/a/v2.0",
		"the host as a user":          "https://login.example@evil.example/a/v2.0",
		"another host that begins so": "https://login.example.evil/a/v2.0",
		"another host":                "https://evil.example/a/v2.0",
		"a dot after the host":        "https://login.example./a/v2.0",
		"more before":                 "https://evil.example/https://login.example/a/v2.0",
		"more after":                  "https://login.example/a/v2.0/a/v2.0",
	} {
		if got, ok := p.Tenant(issuer); ok {
			t.Errorf("%s: %q is of tenant %q", name, issuer, got)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                                 "https URL",
		"*":                                "https URL",
		"login.example/*":                  "https URL",
		"HTTPS://login.example/*":          "https URL",
		"ftp://login.example/*":            "https URL",
		"https://login.example":            "exactly one",
		"https://login.example/*/*":        "exactly one",
		"https://login.example/**":         "exactly one",
		"https://*/a":                      "in the host",
		"https://*.example/a":              "in the host",
		"https://login.example:*/a":        "in the host",
		"https://login.example/a*":         "whole segment",
		"https://login.example/*a/b":       "whole segment",
		"https://login.example/a?b=*":      "no query",
		"https://login.example/*?b":        "no query",
		"https://login.example/*#b":        "no query",
		"https://a@login.example/*":        "no user name",
		"https://a:b@login.example/*":      "no user name",
		"https:///*":                       "the host",
		"https://log in.example/*":         "the host",
		"https://login.ex%61mple/*":        "the host",
		`https://login.example\/*`:         "the host",
		"https://löginexample/*":           "the host",
		"https://login.example//*":         "empty segment",
		"https://login.example/*//":        "empty segment",
		"https://login.example/./*":        "clients resolve",
		"https://login.example/*/..":       "clients resolve",
		"https://login.example/a%2fb/*":    "character",
		"https://login.example/a b/*":      "character",
		`https://login.example/a\b/*`:      "character",
		"https://login.example/{tenant}/*": "character",
		"https://login.example/\x00/*":     "character",
	} {
		p, err := tenant.Parse(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %q", text, err, want)
		}
		if issuer, ok := p.Tenant("https://login.example/a"); ok || p.String() != "" {
			t.Errorf("%q: the pattern matches %q", text, issuer)
		}
	}
}

func TestPatternsOverlap(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{entra, entra, true},
		{"https://h.example/*/b", "https://h.example/a/*", true},
		{"https://h.example/*/b/c", "https://h.example/a/*/c", true},
		{"https://h.example/*/b/c", "https://h.example/a/*/d", false},
		{"https://h.example/*/b", "https://h.example/*/c", false},
		{"https://h.example/*", "https://h.example/*/", false},
		{"https://h.example/*", "https://h.example/a/*", false},
		{"https://h.example/*/a:b", "https://h.example/a/*", false}, // "a:b" cannot be a tenant
		{"https://h.example/*/b", "http://h.example/a/*", false},
		{"https://h.example/*/b", "https://H.example/a/*", false},
		{"https://h.example/*/b", "https://h.example:443/a/*", false},
	} {
		a, b := parse(t, c.a), parse(t, c.b)
		if a.Overlaps(b) != c.want || b.Overlaps(a) != c.want {
			t.Errorf("%s and %s: %v, want %v", c.a, c.b, !c.want, c.want)
		}
	}
}

func TestIsAPattern(t *testing.T) {
	for text, want := range map[string]bool{
		entra: true, "https://h.example/*": true, "https://h.example/*/": true, "https://h.example/*?x": false,
		"https://h.example/a*": false, "https://*/a": false, "*": false, "": false, "urn:*": false, "a/*/b": false,
	} {
		if tenant.Is(text) != want {
			t.Errorf("%q: %v, want %v", text, !want, want)
		}
	}
}

// FuzzPattern: an issuer that matches is the pattern with a good segment in place of the "*", and nothing that a URL
// parser reads in another way.
func FuzzPattern(f *testing.F) {
	f.Add(entra, "https://login.example/acme/v2.0")
	f.Add("https://h/*/", "https://h//")
	f.Add("https://h/*/b", "https://h/a%2fb/b")
	f.Add("http://[::1]:80/*", "http://[::1]:80/..")
	f.Fuzz(func(t *testing.T, text, issuer string) {
		p, err := tenant.Parse(text)
		if err != nil {
			return
		}
		if p.String() != text || !tenant.Is(text) || !p.Overlaps(&p) {
			t.Fatalf("%q became %q", text, p.String())
		}
		if _, ok := p.Tenant(text); ok {
			t.Fatalf("%q matches itself", text)
		}
		name, ok := p.Tenant(issuer)
		if !ok {
			return
		}
		if !tenant.Valid(name) || strings.Replace(text, "*", name, 1) != issuer {
			t.Fatalf("%q is of tenant %q of %q", issuer, name, text)
		}
		u, err := url.Parse(issuer)
		if err != nil {
			return // a host such as "[" is for the caller to refuse
		}
		if u.EscapedPath() != u.Path || u.JoinPath().Path != u.Path || u.RawQuery != "" || u.User != nil {
			t.Fatalf("%q is read as %v", issuer, u)
		}
	})
}
