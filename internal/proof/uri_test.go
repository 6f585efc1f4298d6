package proof_test

import (
	"net/netip"
	"net/url"
	"path"
	"regexp"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/proof"
)

// Each line has forms of one URI.
var equalURIs = [][]string{
	{"https://a.example/", "https://a.example", "HTTPS://a.example/", "https://A.EXAMPLE/", "https://a.example:443",
		"https://a.example:/", "https://a.example/?q", "https://a.example?q=/", "https://a.example#f", "https://a.example/.",
		"https://a.example/..", "https://a.example/x/..", "https://%61.example/", "https://%41.example/",
		"https://a%2eexample/", "https://a.example/%2e", "https://a.example/?", "https://a.example/../../"},
	{"http://a.example/", "http://a.example:80", "http://a.example:/"},
	{"https://a.example/~me", "https://a.example/%7Eme", "https://a.example/%7eme", "https://a.example/%7e%6De"},
	{"https://a.example/a/c", "https://a.example/a/b/../c", "https://a.example/./a/./c", "https://a.example/a/%2E%2e/a/c",
		"https://a.example/a/b/.%2e/c"},
	{"https://a.example/a%2Fb", "https://a.example/a%2fb"},
	{"https://a.example/%C3%A9", "https://a.example/%c3%a9"},
	{"https://[2001:db8::1]/", "https://[2001:DB8::1]:443", "https://[2001:db8::1]:"},
	{"https://a.example/a/", "https://a.example/a/.", "https://a.example/a/b/.."},
	{"https://a.example//a", "https://a.example//./a", "https://a.example/b/..//a"},
	{"https://a.example/[1]"}, {"https://a.example:8443/"}, {"https://127.0.0.1/"},
}

// No two of these are equal, nor equal to one on another line above.
var otherURIs = []string{
	"https://a.example./", "https://b.example/", "https://a.example:80/", "https://a.example:0443/",
	"http://a.example:443/",
	"https://a.example/a", "https://a.example/a//", "https://a.example//", "https://a.example/a/b", "https://a.example/A",
	"https://a.example/a+b", "https://a.example/a%20b", "https://a.example/a%2Bb", "https://a.example/%5B1%5D",
	"https://a.example/%25", "https://a.example/%257Eme", "https://a.example/...", "https://a.example/;x",
	"https://[2001:db8:0::1]/", "https://[::1]/", "https://[::ffff:127.0.0.1]/", "https://a.example/%21",
	"https://a.example/!",
	"https://xn--caf-dma.example/", "https://a.example/%00", "https://a.example/%2e%2F", "https://a.example/%2F..",
	"https://a.example/*", "https://a!b.example/", "https://a.example/a|b^c",
}

func normal(t *testing.T, uri string) string {
	t.Helper()
	form, err := proof.AppendURI(nil, uri)
	if err != nil {
		t.Fatalf("%s: %v", uri, err)
	}
	return string(form)
}

func TestURIsAreEqual(t *testing.T) {
	for _, forms := range equalURIs {
		for _, a := range forms {
			for _, b := range forms {
				if normal(t, a) != normal(t, b) {
					t.Errorf("%s and %s differ: %s, %s", a, b, normal(t, a), normal(t, b))
				}
			}
		}
		if normal(t, forms[0]) != forms[0] {
			t.Errorf("%s is not its own normal form", forms[0])
		}
	}
}

func TestURIsDiffer(t *testing.T) {
	seen := make(map[string]string)
	for _, forms := range equalURIs {
		if twin, twice := seen[normal(t, forms[0])]; twice {
			t.Errorf("%s equals %s", forms[0], twin)
		}
		seen[normal(t, forms[0])] = forms[0]
	}
	for _, uri := range otherURIs {
		if twin, twice := seen[normal(t, uri)]; twice {
			t.Errorf("%s equals %s", uri, twin)
		}
		seen[normal(t, uri)] = uri
	}
}

// Requests are compared by the same rules as htu.
func TestRequestsAreNormalised(t *testing.T) {
	for _, uri := range append([]string{"https://a.example/a/%7e/../b?x=|"}, otherURIs...) {
		scheme, rest, _ := strings.Cut(uri, "://")
		slash := strings.IndexByte(rest, '/')
		got, err := proof.AppendRequest(nil, scheme, rest[:slash], rest[slash:])
		if err != nil || string(got) != normal(t, uri) {
			t.Errorf("%s: got %s and %v, want %s", uri, got, err, normal(t, uri))
		}
	}
	for target, want := range map[string]string{
		"*": "https://a.example/", "http://A.example/x?y": "https://a.example/x", "https://a.example": "https://a.example/",
		"/a://b": "https://a.example/a://b", "https://a.example?x": "https://a.example/",
	} {
		if got, err := proof.AppendRequest(nil, "https", "a.example", target); string(got) != want || err != nil {
			t.Errorf("%s is %s, %v", target, got, err)
		}
	}
}

func TestURIsAreRefused(t *testing.T) {
	for _, uri := range []string{
		"", "a", "/", "//a.example/", "https:", "https:/", "https:/a.example", "https://", "https:///", "https://?",
		"https://#",
		"ftp://a.example/", "ws://a.example/", "urn://a.example/", "httpſ://a.example/", " https://a.example/",
		"https ://a.example/", "https://a.example/ ", "https://user@a.example/", "https://user:pw@a.example/",
		"https://@a.example/",
		"https://é.example/", "https://%C3%A9.example/", "https://a%2Fb/", "https://a%00b/", "https://a%/", "https://a%4/",
		"https://a%zz/", "https://a b/", "https://a\\b/", "https://a.example\\b/", "https://a.example:x/",
		"https://a.example:-1/",
		"https://a.example:443443/", "https://a.example:4 3/", "https://:443/", "https://a:1:2/", "https://::1/",
		"https://[::1/", "https://::1]/", "https://[]/", "https://[::1]x/", "https://[127.0.0.1]/", "https://[v1.x]/",
		"https://[fe80::1%25eth0]/", "https://[fe80::1%eth0]/", "https://x[::1]/", "https://[::1]:x/", "https://[::1]]/",
		"https://a.example/a b", "https://a.example/é", "https://a.example/\x00", "https://a.example/\x7f",
		"https://a.example/\"", "https://a.example/<", "https://a.example/>", "https://a.example/\\",
		"https://a.example/`", "https://a.example/{", "https://a.example/}", "https://a.example/\n",
		"https://a.example/%", "https://a.example/%4", "https://a.example/%zz", "https://a.example/%4g",
		"https://a.example/a%",
		"https://a.example/?é", "https://a.example/? ", "https://a.example/#\n", "https://a.example/?\x00",
		"https://a.example,b@c/",
		"https://a.example/\xff", "https://a.example/?\xff",
	} {
		if form, err := proof.AppendURI(nil, uri); err == nil {
			t.Errorf("%q is accepted as %q", uri, form)
		}
	}
	for _, r := range []struct{ scheme, host, target string }{
		{"https", "a.example", ""}, {"https", "a.example", "a"}, {"https", "a.example", "?q"}, {"https", "a.example", "**"},
		{"https", "a.example/x", "/"}, {"https", "a.example?", "/"}, {"https", "a.example#", "/"}, {"https", "", "/"},
		{"https", "a.example", "http://b.example/"}, {"https", "a.example", "a.example:443"}, {"", "a.example", "/"},
		{"https", "a.example", "/#fragment"}, {"https://", "a.example", "/"}, {"https", "a.example,b.example@", "/"},
	} {
		if form, err := proof.AppendRequest(nil, r.scheme, r.host, r.target); err == nil {
			t.Errorf("%v is accepted as %q", r, form)
		}
	}
}

// FuzzURI requires that a normal form is its own normal form, and that it is what a slow model makes of the URI.
func FuzzURI(f *testing.F) {
	for _, forms := range equalURIs {
		for _, uri := range forms {
			f.Add(uri)
		}
	}
	for _, uri := range otherURIs {
		f.Add(uri)
	}
	f.Add("https://a.example/%2%35%2e/..//.")
	f.Add("http://0/!|^")
	f.Fuzz(func(t *testing.T, uri string) {
		form, err := proof.AppendURI(nil, uri)
		if err != nil {
			return
		}
		again, err := proof.AppendURI(nil, string(form))
		if err != nil || string(again) != string(form) {
			t.Fatalf("%q becomes %q, and then %q, %v", uri, form, again, err)
		}
		scheme, rest, _ := strings.Cut(string(form), "://")
		slash := strings.IndexByte(rest, '/')
		request, err := proof.AppendRequest(nil, scheme, rest[:slash], rest[slash:])
		if err != nil || string(request) != string(form) {
			t.Fatalf("%q is for a request %q, %v", form, request, err)
		}
		if want := model(t, uri); string(form) != want {
			t.Fatalf("%q becomes %q, and by the model %q", uri, form, want)
		}
	})
}

var encoded = regexp.MustCompile(`%[0-9A-Fa-f]{2}`)

// model is the normal form by net/url and path.
func model(t *testing.T, uri string) string {
	uri = encoded.ReplaceAllStringFunc(uri, func(code string) string {
		c, err := url.PathUnescape(code)
		if err != nil {
			t.Fatal(err)
		}
		if regexp.MustCompile(`^[A-Za-z0-9._~-]$`).MatchString(c) {
			return c
		}
		return strings.ToUpper(code)
	})
	cut, _, _ := strings.Cut(uri, "#")
	cut, _, _ = strings.Cut(cut, "?")
	// With one of these as it is, net/url writes the whole path in its own way.
	u, err := url.Parse(strings.NewReplacer("|", "%7C", "^", "%5E").Replace(cut))
	if err != nil {
		t.Fatalf("net/url refuses %q: %v", cut, err)
	}
	host := strings.ToLower(u.Hostname())
	if address, err := netip.ParseAddr(host); err == nil && address.Is6() {
		host = "[" + host + "]"
	}
	if port := u.Port(); port != "" && !(u.Scheme == "https" && port == "443") && !(u.Scheme == "http" && port == "80") {
		host += ":" + port
	}
	return u.Scheme + "://" + host + clean(u.EscapedPath())
}

// clean removes dot segments with package path. It gives empty segments a name first, since path.Clean removes those,
// too.
func clean(escaped string) string {
	segments := strings.Split(escaped, "/")
	for i, segment := range segments {
		if segment == "" && i > 0 && i < len(segments)-1 {
			segments[i] = "\x00"
		}
	}
	cleaned := path.Clean("/" + strings.Join(segments, "/"))
	switch segments[len(segments)-1] {
	case "", ".", "..":
		if !strings.HasSuffix(cleaned, "/") {
			cleaned += "/"
		}
	}
	return strings.ReplaceAll(cleaned, "\x00", "")
}
