package resource_test

import (
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/resource"
)

func TestWhereTheMetadataIs(t *testing.T) {
	for text, want := range map[string]struct{ url, path, host string }{
		"https://mcp.example.com":          {"https://mcp.example.com", "", "mcp.example.com"},
		"https://mcp.example.com/":         {"https://mcp.example.com", "", "mcp.example.com"},
		"https://mcp.example.com/mcp":      {"https://mcp.example.com", "/mcp", "mcp.example.com"},
		"https://mcp.example.com/mcp/":     {"https://mcp.example.com", "/mcp/", "mcp.example.com"},
		"https://example.com:8443/a/b.c":   {"https://example.com:8443", "/a/b.c", "example.com:8443"},
		"https://xn--bcher-kva.example/~a": {"https://xn--bcher-kva.example", "/~a", "xn--bcher-kva.example"},
		"https://192.0.2.1/x":              {"https://192.0.2.1", "/x", "192.0.2.1"},
		"https://[2001:db8::1]:444/x":      {"https://[2001:db8::1]:444", "/x", "[2001:db8::1]:444"},
		"http://localhost:8080/mcp":        {"http://localhost:8080", "/mcp", "localhost:8080"},
		"http://127.0.0.1/mcp":             {"http://127.0.0.1", "/mcp", "127.0.0.1"},
		"http://[::1]:3000/":               {"http://[::1]:3000", "", "[::1]:3000"},
		"https://example.com/.well-known":  {"https://example.com", "/.well-known", "example.com"},
	} {
		id, err := resource.Parse(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		path := "/.well-known/oauth-protected-resource" + want.path
		if id.String() != text || id.MetadataPath() != path || id.MetadataURL() != want.url+path || id.Host() != want.host {
			t.Errorf("%s: %s, %s, %s, %s", text, id, id.MetadataPath(), id.MetadataURL(), id.Host())
		}
	}
}

func TestIdentifiersThatAreRefused(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"no URL":                      {"mcp", "not an absolute URL"},
		"nothing":                     {"", "not an absolute URL"},
		"a path":                      {"/mcp", "not an absolute URL"},
		"no scheme":                   {"//example.com/mcp", "not an absolute URL"},
		"a URN":                       {"urn:example:api", "not an absolute URL"},
		"no host":                     {"https:///mcp", "not an absolute URL"},
		"a port and no host":          {"https://:8443/mcp", "neither a name nor an address"},
		"a port that is no number":    {"https://example.com:x/mcp", "not an absolute URL"},
		"another scheme":              {"ftp://example.com/", `scheme is "ftp"`},
		"http":                        {"http://example.com/", "use https for example.com"},
		"http to a name like ours":    {"http://localhost.example.com/", "use https"},
		"a fragment":                  {"https://example.com/mcp#a", "fragment"},
		"an empty fragment":           {"https://example.com/mcp#", "fragment"},
		"a query":                     {"https://example.com/mcp?a=b", "query"},
		"an empty query":              {"https://example.com/mcp?", "query"},
		"a user":                      {"https://me@example.com/mcp", "user information"},
		"a password":                  {"https://me:secret@example.com/mcp", "user information"},
		"capitals in the scheme":      {"HTTPS://example.com/mcp", `"https://example.com/mcp"`},
		"capitals in the host":        {"https://Example.com/mcp", `"https://example.com/mcp"`},
		"the usual port":              {"https://example.com:443/mcp", `"https://example.com/mcp"`},
		"the usual port of http":      {"http://localhost:80/mcp", `"http://localhost/mcp"`},
		"an empty port":               {"https://example.com:/mcp", `"https://example.com/mcp"`},
		"zeros before the usual port": {"https://example.com:00443/mcp", `"https://example.com/mcp"`},
		"zeros before a port":         {"https://example.com:08443/mcp", `"https://example.com:8443/mcp"`},
		"port 0":                      {"https://example.com:0/mcp", "port 0"},
		"a port that is too high":     {"https://example.com:65536/mcp", "port 65536"},
		"another spelling of IPv6":    {"https://[2001:DB8:0::1]/mcp", `"https://[2001:db8::1]/mcp"`},
		"an address with a zone":      {"http://[fe80::1%25eth0]/mcp", "neither a name nor an address"},
		"half an address":             {"https://127.1/mcp", "looks like an address"},
		"an address in hexadecimal":   {"https://10.0.0.0x1/", "looks like an address"},
		"a dot after the host":        {"https://example.com./mcp", "neither a name nor an address"},
		"two dots in the host":        {"https://example..com/mcp", "neither a name nor an address"},
		"an underscore in the host":   {"https://my_api.example.com/", "neither a name nor an address"},
		"a hyphen at the end":         {"https://api-.example.com/", "neither a name nor an address"},
		"a host in another script":    {"https://bücher.example/", "xn--"},
		"a blank":                     {"https://example.com/my mcp", "blank"},
		"a line end":                  {"https://example.com/mcp\r\nX: y", "control character"},
		"a quote":                     {`https://example.com/m"cp`, "can be read in several ways"},
		"a backslash":                 {`https://example.com/m\cp`, "can be read in several ways"},
		"an escape":                   {"https://example.com/a%20b", "can be read in several ways"},
		"an escaped slash":            {"https://example.com/a%2fb", "can be read in several ways"},
		"a dot segment":               {"https://example.com/a/../b", "can be read in several ways"},
		"one dot":                     {"https://example.com/./b", "can be read in several ways"},
		"two slashes":                 {"https://example.com//a", "can be read in several ways"},
		"a parameter in the path":     {"https://example.com/a;b=c", "can be read in several ways"},
		"a wildcard":                  {"https://example.com/*", "can be read in several ways"},
		"a placeholder":               {"https://example.com/{http.request.host}", "can be read in several ways"},
		"too much":                    {"https://example.com/" + strings.Repeat("a", resource.MaxLength), "longer than 1024"},
	} {
		id, err := resource.Parse(c.text)
		if err == nil || !strings.Contains(err.Error(), c.want) || id != (resource.Identifier{}) {
			t.Errorf("%s: %q gives %v, %v; want %q", name, c.text, id, err, c.want)
		}
	}
}

func TestIssuersThatClientsCanFind(t *testing.T) {
	for issuer, want := range map[string]bool{
		"https://auth.example.com":              true,
		"https://auth.example.com/realms/demo":  true,
		"https://tenant.auth0.com/":             true,
		"http://localhost:9000":                 true,
		"http://127.0.0.1:9000/":                true,
		"http://[::1]:9000":                     true,
		"http://auth.example.com":               false,
		"spiffe://example.org":                  false,
		"auth.example.com":                      false,
		"accounts":                              false,
		"":                                      false,
		"urn:example:issuer":                    false,
		"https:auth.example.com":                false,
		"https:///realms/demo":                  false,
		"https://auth.example.com?tenant=1":     false,
		"https://auth.example.com?":             false,
		"https://auth.example.com#a":            false,
		"https://me:secret@auth.example.com":    false,
		"https://auth.example.com:x":            false,
		"https://auth.example.com\r\nx-a: quux": false,
	} {
		if got := resource.ForClients(issuer); got != want {
			t.Errorf("%q: %v", issuer, got)
		}
	}
}

// The path of the metadata, taken apart, gives the resource back: so no two resources of a host share one, except for
// the slash after the host. And a resource is a URL that goes into a challenge and a request line as it is.
func FuzzIdentifier(f *testing.F) {
	for _, text := range []string{
		"https://mcp.example.com/mcp", "https://mcp.example.com/", "https://mcp.example.com", "http://[::1]:8080/a/b/",
		"https://EXAMPLE.com:443/a", "https://a.b/..%2fc", "https://[2001:db8::1]", "https://1.2.3.4/x", "https://a@b/c",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		id, err := resource.Parse(text)
		if err != nil {
			return
		}
		if id.String() != text {
			t.Errorf("%q became %q", text, id)
		}
		origin, path, ok := strings.Cut(id.MetadataURL(), resource.WellKnown)
		if !ok || origin+path != strings.TrimSuffix(text, "/") && origin+path != text {
			t.Errorf("%q has its metadata at %q", text, id.MetadataURL())
		}
		if !strings.HasSuffix(id.MetadataURL(), "//"+id.Host()+id.MetadataPath()) {
			t.Errorf("%q: %q is not at %q of %q", text, id.MetadataURL(), id.MetadataPath(), id.Host())
		}
		if strings.ContainsAny(id.MetadataURL(), "\"\\,;=?#% \r\n\t{}*") || strings.Contains(id.MetadataPath(), "//") {
			t.Errorf("%q has its metadata at %q", text, id.MetadataURL())
		}
		if again, err := resource.Parse(id.String()); err != nil || again != id {
			t.Errorf("%q: %v, %v", text, again, err)
		}
	})
}
