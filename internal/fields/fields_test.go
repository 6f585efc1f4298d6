package fields_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/fields"
)

func TestCheckName(t *testing.T) {
	for _, name := range []string{"X-User", "x-user", "Remote-User", "X-Forwarded-User", strings.Repeat("x", 63)} {
		if err := fields.CheckName(name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, want := range map[string]string{
		"": "only letters", "X_User": "only letters", "X User": "only letters", "-X": "begins and ends",
		"X-": "begins and ends", strings.Repeat("x", 64): "at most 63", "Host": "a meaning of its own",
		"X-Forwarded-Users": "through proxies", "sec-fetch-site": "browsers",
	} {
		if err := fields.CheckName(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", name, err, want)
		}
	}
	if got := fields.ReservedFor("HTTP_PROXY"); !slices.Equal(got, []string{"proxy"}) {
		t.Errorf("got %q", got)
	}
	if got := fields.ReservedFor("no such reason"); got != nil {
		t.Errorf("got %q", got)
	}
}

func TestCheckValue(t *testing.T) {
	for _, value := range []string{"", "alice", "Jürgen", "a\u00a0b", strings.Repeat("x", fields.MaxValue)} {
		if err := fields.CheckValue(value); err != nil {
			t.Errorf("%.20q: %v", value, err)
		}
	}
	for value, want := range map[string]string{
		"a\nb": "control character", "a\tb": "control character", "\x7f": "control character",
		"\u0085": "control character",
		"\u2028": "control character", "\xff": "not UTF-8", strings.Repeat("x", fields.MaxValue+1): "needs 8193 bytes",
	} {
		if err := fields.CheckValue(value); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: %v, want %q", value, err, want)
		}
	}
}

func TestNamesInEverySpelling(t *testing.T) {
	set := fields.Of("X-User-Name", "x-b")
	set.Add("X-C")
	if got := set.All(); !slices.Equal(got, []string{"x-b", "x-c", "x-user-name"}) {
		t.Errorf("got %q", got)
	}
	h := http.Header{}
	for _, name := range []string{"X-User-Name", "x_user.name", "X!USER!NAME", "X-C"} {
		if !set.Has(name) {
			t.Errorf("%s is not in the set", name)
		}
		h[name] = []string{"forged"}
	}
	for _, name := range []string{"X-User-Names", "XUser-Name", "X-User", strings.Repeat("x", 100), ""} {
		if set.Has(name) {
			t.Errorf("%s is in the set", name)
		}
	}
	h["X-Other"] = []string{"kept"}
	set.Strip(h)
	if len(h) != 1 || h["X-Other"] == nil {
		t.Errorf("left are %v", h)
	}
}

// Whatever the spelling in which a name was added, it is found in every other.
func TestNamesInOtherSpellings(t *testing.T) {
	for _, added := range []string{"X-Client-Cert", "X_CLIENT_CERT", "x.client_cert"} {
		names := fields.Of(added)
		for _, name := range []string{"X-Client-Cert", "x_client_cert", "X_Client-CERT", "x!client~cert"} {
			if !names.Has(name) {
				t.Errorf("%s is not found in %s", name, added)
			}
		}
		for _, name := range []string{"X-Client-Certs", "XClientCert", "", strings.Repeat("x", fields.MaxName+1)} {
			if names.Has(name) {
				t.Errorf("%q is found in %s", name, added)
			}
		}
	}
}
