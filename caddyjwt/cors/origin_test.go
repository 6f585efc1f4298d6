package cors

import (
	"net/url"
	"strings"
	"testing"
)

func TestOriginsAsBrowsersWriteThem(t *testing.T) {
	for _, origin := range []string{
		"https://app.example.com", "http://localhost:3000", "https://example.com:8443", "http://127.0.0.1:8080",
		"http://[::1]:3000", "https://xn--bcher-kva.example", "https://a_b.example.com", "https://example.com.",
		"chrome-extension://abcdefghijklmnop", "capacitor://localhost",
	} {
		if err := checkOrigin(origin); err != nil {
			t.Errorf("%s: %v", origin, err)
		}
	}
}

func TestOriginsThatWouldNeverMatch(t *testing.T) {
	for name, row := range map[string]struct{ origin, want string }{
		"a slash at the end":         {"https://app.example.com/", `write this origin "https://app.example.com"`},
		"a path":                     {"https://app.example.com/app", `write this origin "https://app.example.com"`},
		"a query":                    {"https://app.example.com?a=b", `write this origin "https://app.example.com"`},
		"a fragment":                 {"https://app.example.com#a", `write this origin "https://app.example.com"`},
		"capitals in the host":       {"https://App.Example.com", `write this origin "https://app.example.com"`},
		"capitals in the scheme":     {"HTTPS://app.example.com", `write this origin "https://app.example.com"`},
		"the port of https":          {"https://app.example.com:443", `write this origin "https://app.example.com"`},
		"the port of http":           {"http://app.example.com:80", `write this origin "http://app.example.com"`},
		"a port with a zero before":  {"https://app.example.com:08443", `write this origin "https://app.example.com:8443"`},
		"letters beyond ASCII":       {"https://bücher.example", `write this origin "https://xn--bcher-kva.example"`},
		"a long IPv6 address":        {"http://[0:0:0:0:0:0:0:1]:3000", `write this origin "http://[::1]:3000"`},
		"no scheme":                  {"app.example.com", `write "https://app.example.com"`},
		"no scheme, but a port":      {"localhost:3000", "begins with a scheme"},
		"an empty scheme":            {"://app.example.com", "not a scheme"},
		"no host":                    {"https://", "not the name of a host"},
		"a file":                     {"file:///index.html", "not the name of a host"},
		"a user":                     {"https://user@app.example.com", "no user"},
		"a wildcard":                 {"https://*.example.com", "not a wildcard"},
		"a wildcard for the port":    {"http://localhost:*", "not a wildcard"},
		"null":                       {"null", "every page"},
		"an empty port":              {"https://app.example.com:", "not a port"},
		"port 0":                     {"https://app.example.com:0", "not a port"},
		"a port that is too large":   {"https://app.example.com:65536", "not a port"},
		"a port in letters":          {"https://app.example.com:https", "not a port"},
		"an empty label":             {"https://app..example.com", "not the name of a host"},
		"a blank":                    {"https://app example.com", "not the name of a host"},
		"an IPv4 address of a part":  {"http://127.1:8080", "not an IPv4 address"},
		"an IPv6 address, no ends":   {"http://::1", "not the name of a host"},
		"an IPv6 address with zone":  {"http://[fe80::1%25eth0]", "not an IPv6 address"},
		"an IPv6 address, one end":   {"http://[::1", "not"},
		"letters that are no domain": {"https://\u200d.example", "not the name of a host"},
	} {
		err := checkOrigin(row.origin)
		if err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: %q gives %v, want an error with %q", name, row.origin, err, row.want)
		}
	}
}

// An origin that is accepted has a scheme and a host, is in lower case, and has nothing that a browser leaves out. The
// spelling that an error proposes is accepted.
func FuzzOrigin(f *testing.F) {
	for _, origin := range []string{
		"https://app.example.com", "HTTPS://App.Example.com:443/", "http://[::1]:3000", "https://bücher.example", "null",
		"https://a@b", "http://127.1", "x://y:080", "https://[::ffff:1.2.3.4]", "https://ß.example", "https://a.b.:80",
	} {
		f.Add(origin)
	}
	f.Fuzz(func(t *testing.T, origin string) {
		err := checkOrigin(origin)
		if err != nil {
			if _, proposed, found := strings.Cut(err.Error(), "browsers write this origin \""); found {
				proposed, _, _ = strings.Cut(proposed, "\": write it so")
				if err := checkOrigin(proposed); err != nil {
					t.Errorf("%q: %q is proposed, and gives %v", origin, proposed, err)
				}
			}
			return
		}
		u, err := url.Parse(origin)
		if err != nil {
			t.Fatalf("%q: %v", origin, err)
		}
		if u.Scheme+"://"+u.Host != origin || strings.ToLower(origin) != origin || strings.Contains(origin, "*") {
			t.Errorf("%q was accepted", origin)
		}
		if u.Scheme == "https" && u.Port() == "443" || u.Scheme == "http" && u.Port() == "80" {
			t.Errorf("%q was accepted with the port of its scheme", origin)
		}
	})
}
