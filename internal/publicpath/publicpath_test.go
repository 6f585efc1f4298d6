package publicpath_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/publicpath"
)

func setOf(tb testing.TB, paths ...string) *publicpath.Set {
	tb.Helper()
	set := new(publicpath.Set)
	for _, path := range paths {
		if err := set.Add(path); err != nil {
			tb.Fatalf("%q: %v", path, err)
		}
	}
	return set
}

// parse reads a request target as net/http does.
func parse(tb testing.TB, target string) *url.URL {
	tb.Helper()
	u, err := url.ParseRequestURI(target)
	if err != nil {
		tb.Skip(err)
	}
	return u
}

func TestEmptySetHasNothing(t *testing.T) {
	var set publicpath.Set
	if !set.Empty() || set.Has(&url.URL{Path: "/"}) || set.Has(new(url.URL)) {
		t.Error("the zero set has a path")
	}
	if setOf(t, "/").Empty() || setOf(t, "/a/*").Empty() {
		t.Error("a set with a path is empty")
	}
}

func TestPublicTargets(t *testing.T) {
	set := setOf(t, "/", "/healthz", "/login/", "/assets/*", "/.well-known/*", "/assets/.vite/manifest.json", "/@vite/*")
	for public, kinds := range map[bool]map[string]string{
		true: {
			"the path itself":                  "/ /healthz /login/",
			"with a query":                     "/?a=/../%2e;b /healthz? /assets/a?x=//y#",
			"below a path":                     "/assets/ /assets/a /assets/a/b/ /assets/A-_~@9",
			"names with dots":                  "/assets/a.b.c /assets/app.min.js /assets/logo@2x.png",
			"a hidden name that is in the set": "/.well-known/a /assets/.vite/manifest.json",
			"an odd character in the set":      "/@vite/client",
		},
		false: {
			"not the path alone":           "/assets /login /healthz/ /healthz/x /x",
			"only the beginning of a name": "/assetsx /healthzx /assets.x/y /.well-knownx/a",
			"another case":                 "/Healthz /ASSETS/a /assetS/a",
			"a hidden name below":          "/assets/.git/config /assets/a/.env /.well-known/.x",
			"dot segments":                 "/./ /x/.. /assets/.. /assets/. /assets/../x",
			"more dots":                    "/assets/... /assets/a..b /assets/a. /assets/a./b",
			"an escape, whatever of":       "/%68ealthz /assets/%61 /assets/a%20b /assets/%40",
			"escaped dots":                 "/assets/%2e%2e/x /assets/.%2E/x /assets/%252e%252e/x",
			"escaped slashes":              "/assets%2fa /assets/a%2Fb /assets/%255cx /assets/a%5c..%5cx",
			"empty names":                  "// //healthz /assets//a /assets/a// //assets/a",
			"backslashes":                  `/assets/a\b /assets\a /assets/..\x`,
			"parameters":                   "/healthz;a=b /assets/a;/../x /assets;x/a /;/healthz",
			"what Windows drops or reads as a stream":  "/healthz. /assets/a%20 /assets/a::$DATA",
			"sessions in the path of ASP.NET":          "/assets/(S(x))y /(A(x))/healthz",
			"what ends a text in C":                    "/healthz%00 /assets/%00/../x /assets/a%0a",
			"characters that become others":            "/assets/%EF%BC%8E%EF%BC%8E/x /assets/ü /assets/%c0%ae",
			"the absolute form":                        "http://x/healthz https://x/assets/a http://x/",
			"a target without a path":                  "* http:healthz mailto:a",
			"other characters that a client may write": "/assets/a,b /assets/a+b /assets/a:b /assets/!",
		},
	} {
		for kind, targets := range kinds {
			for target := range strings.FieldsSeq(targets) {
				t.Run(kind+": "+target, func(t *testing.T) {
					u := parse(t, target)
					if got := set.Has(u) && publicpath.Plain(target); got != public {
						t.Errorf("public is %t", got)
					}
				})
			}
		}
	}
}

// Handlers before the gate rewrite the URL, and leave the target as it was on the wire.
func TestRewrittenURLs(t *testing.T) {
	set := setOf(t, "/healthz", "/assets/*")
	for name, test := range map[string]struct {
		url  url.URL
		want bool
	}{
		"a path":                              {url.URL{Path: "/assets/a"}, true},
		"the same path twice":                 {url.URL{Path: "/assets/a", RawPath: "/assets/a"}, true},
		"a path that was escaped":             {url.URL{Path: "/assets/a", RawPath: "/assets/%61"}, false},
		"an escaped path of another page":     {url.URL{Path: "/assets/a", RawPath: "/admin"}, false},
		"a percent sign that stays":           {url.URL{Path: "/assets/%61"}, false},
		"a line end":                          {url.URL{Path: "/assets/a\n"}, false},
		"a NUL":                               {url.URL{Path: "/healthz\x00"}, false},
		"a blank":                             {url.URL{Path: "/assets/a b"}, false},
		"no slash at the beginning":           {url.URL{Path: "assets/a"}, false},
		"another scheme":                      {url.URL{Scheme: "http", Path: "/healthz"}, false},
		"another host":                        {url.URL{Host: "x", Path: "/healthz"}, false},
		"an opaque text":                      {url.URL{Opaque: "/admin", Path: "/healthz"}, false},
		"a user":                              {url.URL{User: url.User("a"), Path: "/healthz"}, false},
		"a question mark that is not a query": {url.URL{Path: "/assets/a?b"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := set.Has(&test.url); got != test.want {
				t.Errorf("public is %t", got)
			}
		})
	}
	for _, target := range []string{"", "healthz", "*", "?/", "//", "/a//", "/..", "/a/../b", "/a/.", "/a;b", "/a%62",
		"/ü", "/a\x00", "http://gate.test/a", "/a#b", "/a\\b", "/a b"} {
		if publicpath.Plain(target) {
			t.Errorf("%q is plain", target)
		}
	}
	for _, target := range []string{"/", "/a", "/a/", "/.hidden/a.b", "/a?b=%2e/../", "/~a/@b"} {
		if !publicpath.Plain(target) {
			t.Errorf("%q is not plain", target)
		}
	}
}

// A path that no public request could have, or that opens more than it seems to, is an error that says how to mend it.
func TestPathsThatAreMistakes(t *testing.T) {
	for path, want := range map[string]string{
		"":                    "it is empty",
		"*":                   "every path would be public",
		"/*":                  "every path would be public",
		"https://x.example/a": "without scheme and host",
		"healthz":             "begins with a slash",
		"^/public":            "no regular expressions",
		"GET=^/public":        "no regular expressions",
		"*.css":               "begins with a slash",
		"/a?b":                "with every query",
		"/a#b":                "with every query",
		"/a%20b":              `"%" is never public`,
		"/a,/b":               "separated by blanks",
		"/assets*":            "write /assets and /assets/*",
		"/assets/*.css":       "stands only at the end",
		"/a/*/b":              "stands only at the end",
		"/a/*/*":              "stands only at the end",
		"/a/**":               "stands only at the end",
		"/a b":                "has only letters",
		"/a;b":                "has only letters",
		`/a\b`:                "has only letters",
		"/{path}":             "has only letters",
		"/ü":                  "has only letters",
		"/a\x00":              "has only letters",
		"//":                  "no public request could have it",
		"//*":                 "no public request could have it",
		"/a//b":               "no public request could have it",
		"/..":                 "no public request could have it",
		"/a/../b":             "no public request could have it",
		"/a/./b/*":            "no public request could have it",
		"/a.":                 "no public request could have it",
		"/a./*":               "no public request could have it",
		"/here":               "twice",
		"/here/*":             "twice",
	} {
		t.Run(path, func(t *testing.T) {
			set := setOf(t, "/here", "/here/*")
			err := set.Add(path)
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("error %v, want %q", err, want)
			}
			if u := (&url.URL{Path: strings.TrimSuffix(path, "*")}); want != "twice" && set.Has(u) {
				t.Error("it was added")
			}
		})
	}
}
