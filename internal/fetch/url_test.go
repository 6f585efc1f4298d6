package fetch_test

import (
	"errors"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/fetch"
)

func TestCheckURL(t *testing.T) {
	for _, good := range []string{
		"https://as.example.com", "https://as.example.com/a/b?c=d", "https://as.example.com:8443/", "https://10.0.0.1/",
		"https://[2001:db8::1]:443/", "HTTPS://as.example.com/",
		"http://localhost:8080/", "http://LOCALHOST/", "http://127.0.0.1:1/x",
		"http://127.1.2.3/", "http://[::1]:80/",
	} {
		if _, err := fetch.CheckURL(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{
		"", " ", "as.example.com", "/jwks", "//as.example.com/jwks",
		"https:", "https://", "https:///jwks", "https:as.example.com",
		"http://as.example.com/", "http://10.0.0.1/", "http://localhost.example.com/",
		"http://127.0.0.1.example.com/", "http://0.0.0.0/",
		"http://2130706433/", "http://[::ffff:8.8.8.8]/", "ftp://as.example.com/",
		"file:///etc/passwd", "data:application/json,{}", "unix:///run/x",
		"https://user@as.example.com/", "https://user:pass@as.example.com/",
		"https://@as.example.com/", "https://as.example.com/#", "https://as.example.com/#f",
		"https://{host}/", "https://as.example.com/{path}", "https://as.example.com:0/",
		"https://as.example.com:65536/", "https://as.example.com:x/",
		"https://as.example.com\n/", "https://as example.com/", "https://:443/", "javascript:alert(1)",
	} {
		if u, err := fetch.CheckURL(bad); !errors.Is(err, fetch.ErrAddress) {
			t.Errorf("%q: %v, error %v", bad, u, err)
		}
	}
	if _, err := fetch.CheckURL("https://user:hunter2@as.example.com/"); strings.Contains(err.Error(), "hunter2") {
		t.Errorf("the error has the password: %v", err)
	}
}

func TestForbiddenAddressesAreNotDialled(t *testing.T) {
	for _, address := range []string{
		"https://169.254.169.254/", "https://169.254.1.1:8443/",
		"https://[fe80::1%25lo]/", "https://[fe80::1]/", "https://[fd00:ec2::254]/",
		"https://100.100.100.200/", "https://168.63.129.16/", "https://192.0.0.192/", "https://0.0.0.0/", "https://[::]/",
		"https://[::ffff:169.254.169.254]/", "https://[64:ff9b::a9fe:a9fe]/",
		"https://[::169.254.169.254]/", "https://224.0.0.1/", "https://[ff02::1]/",
		"https://[fd00:ec2::23]/", "https://[fd00:ec2::253]/",
		"https://[64:ff9b:1::a9fe:a9fe]/", "https://[64:ff9b:1:a9fe:a9:fe00::]/",
		"https://[64:ff9b:1:a9:fe:a9fe::]/", "https://[64:ff9b:1:0:a9:fea9:fe00:0]/", "https://[64:ff9b:1::a83f:8110]/",
		"https://[fd20:ce::254]/", "https://[fd00:c1::a9fe:a9fe]/",
		"https://[fd00:100::100:200]/", "https://[fd00:a9fe:a9fe::1]/",
		"https://[fd00:42::42]/",
	} {
		if _, err := client(t, fetch.Options{}).Get(t.Context(), address, "*/*", ""); !errors.Is(err, fetch.ErrAddress) {
			t.Errorf("%s: %v", address, err)
		}
	}
	// Neighbouring addresses are allowed, and so are those that a translator maps to other places.
	for _, address := range []string{
		"https://[fd00:ec3::254]/", "https://[64:ff9b:1::7f00:1]/", "https://[64:ff9b::7f00:1]/", "https://[::1]:1/",
	} {
		c := client(t, fetch.Options{Timeout: 50 * time.Millisecond})
		if _, err := c.Get(t.Context(), address, "*/*", ""); err == nil || errors.Is(err, fetch.ErrAddress) {
			t.Errorf("%s: %v", address, err)
		}
	}
	// When the configuration allows the address, it is dialled. Whether that succeeds does not matter here.
	c := client(t, fetch.Options{AllowLinkLocal: true, Timeout: 50 * time.Millisecond})
	if _, err := c.Get(t.Context(), "https://169.254.169.254/", "*/*", ""); err == nil ||
		errors.Is(err, fetch.ErrAddress) {
		t.Errorf("allowed: %v", err)
	}
}

func TestSameOrigin(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want bool
	}{
		{"https://as.example.com/a", "https://as.example.com:443/b?c", true},
		{"https://as.example.com", "https://AS.example.com", true},
		{"http://localhost", "http://localhost:80/", true},
		{"https://[::1]", "https://[::1]:443", true},
		{"https://as.example.com", "https://as.example.com:8443", false},
		{"https://as.example.com", "http://as.example.com", false},
		{"https://as.example.com:80", "http://as.example.com:80", false},
		{"https://as.example.com", "https://www.as.example.com", false},
		{"https://as.example.com", "https://as.example.com.", false},
	} {
		if got := fetch.SameOrigin(must(url.Parse(test.a)), must(url.Parse(test.b))); got != test.want {
			t.Errorf("%s and %s: %v", test.a, test.b, got)
		}
	}
}

func FuzzCheckURL(f *testing.F) {
	for _, seed := range []string{
		"https://as.example.com/", "http://localhost", "http://127.0.0.1:80/#", "https://[::1%25lo]:1/",
		"https://a@b", "http://[::1%25\xff]", "https://[::1%25%3c]", "https://ex%41mple.com/", "http://keycloak:8080/",
		"http://10.0.0.1", "http://[fd00::1]:80/", "http://[::ffff:10.0.0.1]/", "http://8.8.8.8", "http://100.64.0.1/",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		u, err := fetch.CheckURL(raw)
		over, errOver := fetch.SharedHTTP.CheckURL(raw)
		if errOver != nil {
			if err == nil {
				t.Errorf("%q is accepted, but not when more is allowed: %v", raw, errOver)
			}
			return
		}
		if address, wrong := netip.ParseAddr(over.Hostname()); wrong == nil && over.Scheme == "http" && address.Is6() &&
			!address.IsLoopback() && (address.Is4In6() || address.Zone() != "") {
			t.Errorf("%q is accepted", raw)
		}
		if _, err := fetch.SharedHTTP.CheckURL(over.String()); err != nil {
			t.Errorf("%q is accepted, but not as it is written again: %v", raw, err)
		}
		if err != nil {
			return
		}
		if u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || u.Fragment != "" {
			t.Errorf("%q is accepted as %v", raw, u)
		}
		if _, err := fetch.CheckURL(u.String()); err != nil {
			t.Errorf("%q is accepted, but not as it is written again: %v", raw, err)
		}
	})
}
