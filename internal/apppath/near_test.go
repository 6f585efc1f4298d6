package apppath_test

import (
	"fmt"
	"net/url"
	"path"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/apppath"
)

// known are the addresses of these tests.
var known = apppath.NewAddresses([]string{"/api/orders/login", "/api/orders/refresh", "/api/v1.2/~me/log.in"})

func TestPathsOfTargets(t *testing.T) {
	for target, want := range map[string]string{
		"/api/orders/login": "/api/orders/login", "/a?b=/c": "/a", "/": "/", "/a%2fb/../": "/a%2fb/../",
		"http://gate.test/a": "/a", "HTTPS://gate.test:8443/a?b": "/a", "http://[2001:db8::1]:80/a/": "/a/",
		"http://gate.test": "", "http:///a": "", "http:/a": "", "http:a": "", "": "", "*": "", "a/b": "",
		"gate.test:80":      "",
		"ftp://gate.test/a": "", "http://u@gate.test/a": "", "http://u:p@gate.test/a": "", `http://gate.test\a/b`: "",
		"http://gate.test?/a": "", "http://gate.test#/a": "", "http://gäte.test/a": "", "http://gate%2etest/a": "",
		"http://gate.test http://x/a": "", "//gate.test/a": "//gate.test/a",
	} {
		if got := apppath.Path(target, 1); got != want {
			t.Errorf("%q: path %q, want %q", target, got, want)
		}
		if got := apppath.Path(target, 2); strings.HasPrefix(target, "/") != (got == want && got != "") {
			t.Errorf("%q in HTTP/2: path %q", target, got)
		}
	}
}

// Each of these is an address to some server, and must not go on to one.
func TestAttackSpellingsOfAnAddress(t *testing.T) {
	for _, target := range []string{
		"/api/orders/login", "/API/orders/LOGIN", "/api/orders/login/", "/api/orders/login//", "/api/orders//login",
		"//api/orders/login", "/api/./orders/login", "/api/orders/./login", "/api/orders/x/../login",
		"/api/orders/login/.",
		"/../api/orders/login", "/x/../api/orders/login", "/api/orders/login?x", "/api/orders/Login/?x=/y",
		"/api/orders/%6cogin", "/api/orders/%6Cogin", "/api/orders/%256cogin", "/api/orders/%2525256cogin",
		"/api/orders/%25252525252525252525256cogin", "/api/orders/%%36cogin", "/api/orders/%6%63ogin",
		"/%61pi/orders/login",
		"/api%2forders%2flogin",
		"/api/orders%252flogin", "/api/orders/login%2f", "/api/orders/%2e/login", "/api/orders/x%2f..%2flogin",
		"/api/orders/x%2f../login", "/api/orders/x%252fy/../login", `/api/orders\login`, "/api/orders%5clogin",
		`\api\orders\login`, `/api/orders/x\..\login`, "/api/orders/login;x", "/api/orders/login;x=1/",
		"/api;a/orders;b/login",
		"/api/orders/login;/x", "/api/orders/login;x=a%2fb", "/api/orders/x;y/../login", "/api/x/..;/orders/login",
		"/api/..;x/../orders/login", "/api/x//../orders/login", "/api/orders/login%3bx", "/api/orders/login%3fx",
		"/api/orders/login%23x", "/api/orders/login#x", "/api/orders/login%00", "/api/orders/login%00.html",
		"/api/orders/login%00/x", "/api/orders/login%0a", "/api/orders/login%20", "/api/orders/login.",
		"/api/orders/login...",
		"/api/orders/%20login", "/api/orders/login::$DATA", "/api/orders/login,x", "/(S(x))/../api/orders/login",
		"/api/orders/logın", "/api/orders/ｌｏｇｉｎ", "/api/order\u017f/login", "/api/orders/log%c4%b1n",
		"/api/orders/%c1%acogin",
		"/api/orders/%e0%81%acogin", "/api/orders／login", "/api/orders%ef%bc%8flogin", "/api/orders/%u006cogin",
		"/api/orders/%U006Cogin", "/api%u002forders/login", "/api/orders/%25u006cogin", "/api%uff0forders/login",
		"/api/orders/%ef%bc%8e/login", "http://gate.test/api/orders/login", "HTTP://gate.test:80/API/orders/login",
		"http://u:p@gate.test/api/orders/login", "ftp://gate.test/api/orders/login", "http:/api/orders/login",
		"http:api/orders/login", "//gate.test/api/orders/login", "api/orders/login", "/api/v1%2e2/~me/log.in",
		"/api/v1.2/%7eme/LOG.IN", "/api/orders/refresh;x",
		"/" + strings.Repeat("x/../", 3000) + "api/orders/login", "/" + strings.Repeat("./", 9000), // not searched
	} {
		if known.Near(target) < 0 {
			t.Errorf("%.80q goes on", target)
		}
	}
}

// Addresses of others go on, whatever is in them that is usual.
func TestOtherTargetsAreNotNear(t *testing.T) {
	for _, target := range []string{
		"", "*", "/", "/api", "/api/orders", "/api/orders/", "/api/orders/7", "/api/orders/logins", "/api/orders/xlogin",
		"/api/orders/login2", "/api/orders/login/x", "/api/orders/x/login", "/outer/api/orders/login", "/api/login",
		"/login", "/api/orders/log.in", "/api/orders/login.html", "/api/orders/Müller/login", "/api/orders/a%20b/login",
		"/api/orders/M%C3%BCller", "/api/orders/7;v=1",
		"/x?/api/orders/login", "/x;/api/orders", "/login/../orders/api", "/api/../login", "/api/orders/100%25",
		"/api/orders/100%",
		"/%",
		"/api/orders/l%6", "/api/orders/%u00", "http://gate.test/", "http://gate.test/api/orders", "/api/örders/x",
		"/" + strings.Repeat("a%20", 9000), "/" + strings.Repeat("login/", 9000),
	} {
		if n := known.Near(target); n >= 0 {
			t.Errorf("%.80q is near %d", target, n)
		}
	}
	var none apppath.Addresses
	if none.Near("/api/orders/login") >= 0 || none.Near("/;") >= 0 {
		t.Error("the zero value has addresses")
	}
}

func TestTheNumberOfAnAddress(t *testing.T) {
	for target, want := range map[string]int{
		"/api/orders/Login": 0, "/api/orders//refresh": 1, "/api/orders/refresh;x": 1, "/api/V1.2/~me/log.in": 2,
	} {
		if got := known.Near(target); got != want {
			t.Errorf("%q is near %d, want %d", target, got, want)
		}
	}
}

// Every request of a site is looked at.
func TestOrdinaryTargetsCostNoAllocation(t *testing.T) {
	for _, target := range []string{"/", "/api/orders/7?x=%20", "/assets/app.min.js", "/api/orders/login/x",
		"http://gate.test/api/orders/7", "/api/Müller", "/api//x", "/API/orders/login"} {
		if n := testing.AllocsPerRun(100, func() { known.Near(target); apppath.Path(target, 1) }); n != 0 {
			t.Errorf("%s: %v allocations", target, n)
		}
	}
}

func BenchmarkNear(b *testing.B) {
	for _, target := range []string{"/api/orders/7", "/api/orders/a%20b", "/api/orders/x/../7"} {
		b.Run(target, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				known.Near(target)
			}
		})
	}
}

// bend is an address with changes that some reader takes back. Each byte is a change, and says where.
func bend(address string, changes []byte) string {
	for _, c := range changes {
		at := int(c>>4) % len(address)
		here := address[at]
		before, after := address[:at], address[at+1:]
		switch c & 15 {
		case 0:
			address = before + strings.ToUpper(string(here)) + after
		case 1:
			address = before + fmt.Sprintf("%%%02x", here) + after
		case 2:
			address = before + fmt.Sprintf("%%u00%02X", here) + after
		case 3:
			address += "/"
		case 4:
			address = strings.Replace(address, "/", "//", 1)
		case 5:
			address = strings.Replace(address, "/", "/x/../", 1+at%2)
		case 6:
			address = strings.Replace(address, "/", "/./", 1)
		case 7:
			address = strings.ReplaceAll(address, "/", `\`)
		case 8:
			address += ";x=y"
		case 9:
			address = strings.Replace(address, "/", ";x/", 2)
		case 10:
			address += "%00"
		case 11:
			address = "/.." + address
		case 12:
			address = strings.ReplaceAll(address, "%", "%25")
		case 13:
			address += "%2e"
		case 14:
			address = "/x/..;" + address
		case 15:
			address += "?x=/../y"
		}
	}
	return address
}

// Whatever is bent from an address, and whatever usual readers make an address of, does not go on.
func FuzzNear(f *testing.F) {
	f.Add("/api/orders/7", []byte{0x10, 0x21, 0x91, 3, 4, 5})
	f.Add("/api/orders/x/../login", []byte{7, 0x5c, 0x41, 12, 12, 9})
	f.Add(`/API/orders\%6cogin;x`, []byte{14, 11, 8, 15, 1, 0x11, 0x22})
	f.Add("/api/x;a/..%2forders//login?x", []byte{0x32, 2, 12, 0xf2})
	reads := []func(string) string{
		func(p string) string {
			if decoded, err := url.PathUnescape(p); err == nil {
				return decoded
			}
			return p
		},
		path.Clean,
		func(p string) string { return strings.ReplaceAll(p, `\`, "/") },
		func(p string) string {
			names := strings.Split(p, "/")
			for i := range names {
				names[i], _, _ = strings.Cut(names[i], ";")
			}
			return strings.Join(names, "/")
		},
		func(p string) string { before, _, _ := strings.Cut(p, "\x00"); return before },
		strings.ToLower,
		func(p string) string { return strings.TrimRight(p, "/. ") },
	}
	f.Fuzz(func(t *testing.T, target string, changes []byte) {
		if bent := bend("/api/orders/login", changes[:min(len(changes), 12)]); known.Near(bent) < 0 {
			t.Fatalf("%q goes on", bent)
		}
		read, _, _ := strings.Cut(target, "?")
		for _, c := range changes {
			read = reads[int(c)%len(reads)](read)
			if read == "/api/orders/login" && known.Near(target) < 0 {
				t.Fatalf("%q goes on, and is an address to who reads it by %v", target, changes)
			}
		}
	})
}
