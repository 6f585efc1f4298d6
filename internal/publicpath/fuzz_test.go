package publicpath_test

import (
	"net/url"
	"path"
	"regexp"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/publicpath"
)

// readings are what servers make of a path before they look for a page.
var readings = map[string]func(string) string{
	"dot segments removed":                   path.Clean,
	"decoded":                                unescape,
	"decoded twice":                          func(p string) string { return unescape(unescape(p)) },
	"plus as a blank":                        func(p string) string { return strings.ReplaceAll(p, "+", " ") },
	"backslash as a slash":                   func(p string) string { return strings.ReplaceAll(p, `\`, "/") },
	"slashes merged":                         replacing(`/+`, "/"),
	"parameters dropped":                     replacing(`[;,][^/]*`, ""),
	"cut at a NUL":                           replacing(`(?s)\x00.*`, ""),
	"cut at a line end":                      replacing(`[\r\n].*`, ""),
	"cut at a fragment":                      replacing(`[?#].*`, ""),
	"white space removed":                    func(p string) string { return strings.Join(strings.Fields(p), "") },
	"ends of names trimmed, as Windows does": replacing(`[. ]+(/|$)`, "$1"),
	"cut at a stream of NTFS":                replacing(`:[^/]*`, ""),
	"sessions of ASP.NET removed":            replacing(`/?\([A-Z]\(.*?\)\)`, ""),
	"ASCII alone":                            func(p string) string { return strings.ToValidUTF8(p, "") },
	"wide letters made narrow":               narrow,
	"escaped again and decoded":              func(p string) string { return unescape((&url.URL{Path: p}).EscapedPath()) },
	"escaped again":                          func(p string) string { return (&url.URL{Path: p}).EscapedPath() },
	"an address, with its host":              func(p string) string { u, err := url.Parse(p); return pathOf(u, err) },
	"an address relative to a site":          func(p string) string { return pathOf(site.Parse(p)) },
}

var site = &url.URL{Scheme: "http", Host: "x", Path: "/"}

func replacing(pattern, by string) func(string) string {
	re := regexp.MustCompile(pattern)
	return func(p string) string { return re.ReplaceAllString(p, by) }
}

func pathOf(u *url.URL, err error) string {
	if err != nil {
		return ""
	}
	return u.Path
}

func unescape(p string) string {
	decoded, err := url.PathUnescape(p)
	if err != nil {
		return p
	}
	return decoded
}

// narrow maps full-width letters to ASCII, as some normalizations do, and drops what is left outside of ASCII.
func narrow(p string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c >= 0xff01 && c <= 0xff5e:
			return c - 0xff01 + '!'
		case c >= 0x80:
			return -1
		}
		return c
	}, p)
}

// grammar says independently which paths are public in the set of FuzzPublic.
var grammar = regexp.MustCompile(
	`\A(/|/healthz|/\.well-known/([\w~@-]+(\.[\w~@-]+)*(/|\z))*|/assets/([\w~@-]+(\.[\w~@-]+)*(/|\z))*)\z`)

// Whatever a server does to a public path before it looks for a page, it finds the same page, and this is one that the
// set has. Every path of the grammar is public.
func FuzzPublic(f *testing.F) {
	for _, target := range []string{"/", "/healthz", "/assets/", "/assets/app.min.js", "/.well-known/security.txt?a=b",
		"/assets/../admin", "/assets/%2e%2e/admin", "/assets/..;/admin", `/assets/..\admin`, "//healthz", "/HEALTHZ",
		"/assets/%c0%ae%c0%ae/admin", "/assets/a%00", "http://x/healthz", "/assets/.git", "/healthz#/../admin", "*"} {
		u, _ := url.ParseRequestURI(target)
		f.Add(target, u.Path, u.RawPath)
		f.Add("/"+target, u.Path, u.RawPath)
	}
	f.Add("/app/x", "/assets/x", "")
	f.Add("/admin", "/assets/a", "/admin")
	set := setOf(f, "/", "/healthz", "/.well-known/*", "/assets/*")
	f.Fuzz(func(t *testing.T, target, current, raw string) {
		if got, want := set.Has(&url.URL{Path: current}), grammar.MatchString(current); got != want {
			t.Fatalf("%q is public: %t, want %t", current, got, want)
		}
		if u := (&url.URL{Path: current, RawPath: raw}); set.Has(u) {
			if u.EscapedPath() != current {
				t.Fatalf("the backend gets %q for %q", u.EscapedPath(), current)
			}
			sameInEveryReading(t, current)
		}
		if !publicpath.Plain(target) {
			return
		}
		before, _, _ := strings.Cut(target, "?")
		u, err := url.ParseRequestURI(before)
		if err != nil {
			t.Fatalf("%q is plain: %v", target, err)
		}
		if u.Path != before || u.RawPath != "" || u.Host != "" || u.Opaque != "" {
			t.Fatalf("%q is plain, and reads as %q", target, u.Path)
		}
		sameInEveryReading(t, before)
	})
}

func sameInEveryReading(t *testing.T, public string) {
	t.Helper()
	for name, read := range readings {
		if got := strings.TrimSuffix(read(public), "/"); got != strings.TrimSuffix(public, "/") {
			t.Fatalf("%q is %q, %s", public, got, name)
		}
	}
}
