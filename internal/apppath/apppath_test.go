package apppath_test

import (
	"net/url"
	"path"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/apppath"
)

func TestTargetsOfAnApplication(t *testing.T) {
	for below, targets := range map[bool][]string{
		true: {
			"/api/orders/", "/api/orders/7", "/api/orders/7?x=/../", "/api/orders/a%20b", "/api/orders/M%C3%BCller",
			"/api/orders/Müller", "/api/orders/a.b..c/.well-known", "/api/orders/100%25", "/api/orders/100%",
			"/api/orders/a%2Fb", "/api/orders/x;v=1/y", "/api/orders//x", "/api/orders/...x", "/api/orders/%7Ejo",
			"/api/orders/50%zz", "/api/orders/a:b@c,d(e)!$&'*+=",
		},
		false: {
			"", "/", "/api/orders", "/api/ordersx/7", "/API/orders/7", "/api/other/7", "api/orders/7",
			"http://x/api/orders/7", "//api/orders/7", "/api//orders/7", "/api/./orders/7", "/%61pi/orders/7", "*",
			"/x?/api/orders/",
		},
	} {
		for _, target := range targets {
			if got := apppath.Has("/api/orders/", target); got != below {
				t.Errorf("%q is below: %t, want %t", target, got, below)
			}
		}
	}
	if apppath.Has("", "/x") || apppath.Has("", "") {
		t.Error("an application without a path has targets")
	}
	if !apppath.Has("/", "/x") {
		t.Error("the application at the root does not have all")
	}
}

// Nobody gets out of an application by a spelling of the way up, whatever the server behind the gate makes of it.
func TestAttackClimbingOutOfAnApplication(t *testing.T) {
	ups := []string{
		"..", ".", "%2e%2e", ".%2E", "%2e.", "%252e%252e", "%25252e%25252e", "%2525252e%2525252e", "%252525252e%252525252e",
		"..;", "..;x=y", "%2e%2e;", "..%3b", "..,x", ".. ", "..%20", ". .", "...", "....", "..%00", "..\x00", "..%0a",
		"%c0%ae%c0%ae", "%c0%2e%c0%2e", "\xc0\xae\xc0\xae", "%e0%80%ae%e0%80%ae", "．．", "%ef%bc%8e%ef%bc%8e", "‥",
		"%u002e%u002e", "%U002E.", "..%23", "..#", "．.", "．．%2f",
	}
	slashes := []string{"/", "%2f", "%2F", "%252f", "\\", "%5c", "%255C", "／", "%ef%bc%8f", "%c0%af", "%u2215"}
	for _, up := range ups {
		for _, before := range []string{"", "x/", "x/y/"} {
			for _, slash := range slashes {
				for _, target := range []string{
					"/api/orders/" + before + up + slash + "other", "/api/orders/" + before + "x" + slash + up + slash + "other",
					"/api/orders/" + before + up,
				} {
					if apppath.Has("/api/orders/", target) {
						t.Errorf("%q is below", target)
					}
				}
			}
		}
	}
}

func TestPathsThatNoApplicationCanHave(t *testing.T) {
	for path, want := range map[string]string{
		"":                   "write one such as /api/orders/",
		"https://x.test/api": "without scheme and host",
		"/api/*":             "without placeholders and wildcards",
		"/{path}/":           "without placeholders and wildcards",
		"/api/?x":            "without placeholders and wildcards",
		"api/":               "begins with a slash",
		"/api":               "write /api/",
		"/a//":               "names that are not empty",
		"/a/../":             "no two dots in a row",
		"/a%20b/":            "has only letters",
		"/ü/":                "has only letters",
	} {
		if err := apppath.Check(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", path, err, want)
		}
	}
	for _, path := range []string{"/", "/api/", "/api/v1.2/orders/", "/~jo/@me/"} {
		if err := apppath.Check(path); err != nil {
			t.Errorf("%q: %v", path, err)
		}
	}
}

// Whatever usual readers make of a target below an application, they look below it.
func FuzzHas(f *testing.F) {
	for _, target := range []string{"/api/x", "/api/../x", "/api/%2e%2e/x", "/api/..;/x", `/api/..\x`,
		"/api/a%2f..%2f..%2fx"} {
		f.Add(target)
	}
	unescape := func(p string) string {
		if decoded, err := url.PathUnescape(p); err == nil {
			return decoded
		}
		return p
	}
	f.Fuzz(func(t *testing.T, target string) {
		if !apppath.Has("/api/", target) {
			return
		}
		p, _, _ := strings.Cut(target, "?")
		for range 3 {
			for name, read := range map[string]string{
				"cleaned": path.Clean(p), "backslashes": path.Clean(strings.ReplaceAll(p, `\`, "/")),
				"without blanks": path.Clean(strings.ReplaceAll(p, " ", "")),
			} {
				if !strings.HasPrefix(read+"/", "/api/") {
					t.Fatalf("%q, %s, is %q", target, name, read)
				}
			}
			p = unescape(p)
		}
	})
}
