package gate_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/bearer"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/setting"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// behindProxy are facts of a trusted proxy that has received the request for this host.
type behindProxy struct {
	gate.Facts
	host string
}

func (p behindProxy) Host() string { return p.host }

// With the token in a cookie, a page of another origin cannot change anything.
func TestOriginOfARequestWithACookie(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	good := key.Sign(t, says())
	cookie := func(c *gate.Config) {
		c.Extractor = extractor(t, bearer.DefaultPlace, bearer.Place{Kind: bearer.Cookie, Name: "session"})
	}
	trusting := func(c *gate.Config) { cookie(c); c.TrustedOrigins = []string{"https://app.example.com"} }
	off := func(c *gate.Config) { cookie(c); c.AnyOrigin = true }
	optional := func(c *gate.Config) { cookie(c); c.Optional, c.OptionalExpired = true, true }
	const refused, passes = gate.CrossOrigin, gate.Reason("")
	for name, row := range map[string]struct {
		gate   func(*gate.Config)
		method string
		fields map[string]string // beside the cookie
		facts  string            // what a proxy says about the host
		want   gate.Reason
	}{
		"a page of the site": {cookie, "POST",
			map[string]string{"Sec-Fetch-Site": "same-origin"}, "", passes},
		"somebody who typed an address": {cookie, "POST", map[string]string{"Sec-Fetch-Site": "none"}, "", passes},
		"a program":                     {cookie, "POST", nil, "", passes},
		"a page of another site": {cookie, "POST",
			map[string]string{"Sec-Fetch-Site": "cross-site"}, "", refused},
		"a page of a subdomain": {cookie, "PUT", map[string]string{"Sec-Fetch-Site": "same-site"}, "", refused},
		"a word that no browser sends": {cookie, "PUT",
			map[string]string{"Sec-Fetch-Site": "Same-Origin"}, "", refused},
		"a link from another site":  {cookie, "GET", map[string]string{"Sec-Fetch-Site": "cross-site"}, "", passes},
		"HEAD from another site":    {cookie, "HEAD", map[string]string{"Sec-Fetch-Site": "cross-site"}, "", passes},
		"a method in small letters": {cookie, "get", map[string]string{"Sec-Fetch-Site": "cross-site"}, "", refused},
		"an unknown method": {cookie, "PURGE",
			map[string]string{"Sec-Fetch-Site": "cross-site"}, "", refused},
		"CONNECT for a WebSocket": {cookie, "CONNECT",
			map[string]string{"Sec-Fetch-Site": "cross-site"}, "", refused},
		"a WebSocket of another site": {cookie, "GET",
			map[string]string{"Origin": "https://evil.example", "Upgrade": "websocket"}, "", refused},
		"a WebSocket of the site": {cookie, "GET",
			map[string]string{"Origin": "https://example.com", "Upgrade": "websocket"}, "", passes},
		"a WebSocket with an empty offer": {cookie, "GET",
			map[string]string{"Origin": "https://evil.example", "Upgrade": ""}, "", refused},
		"an old browser, the same host": {cookie, "POST",
			map[string]string{"Origin": "https://example.com"}, "", passes},
		"an old browser, another host": {cookie, "POST",
			map[string]string{"Origin": "https://example.com.evil.example"}, "", refused},
		"an old browser, another port": {cookie, "POST",
			map[string]string{"Origin": "https://example.com:8443"}, "", refused},
		"an old browser, a sandbox":       {cookie, "POST", map[string]string{"Origin": "null"}, "", refused},
		"a sandbox, and a host not known": {cookie, "POST", map[string]string{"Origin": "null"}, "-", refused},
		"an origin that is no address":    {cookie, "POST", map[string]string{"Origin": "%zz"}, "-", refused},
		"behind a proxy that says so": {cookie, "POST",
			map[string]string{"Origin": "https://www.example.com"}, "www.example.com", passes},
		"behind a proxy that says another": {cookie, "POST",
			map[string]string{"Origin": "https://example.com"}, "www.example.com", refused},
		"a trusted origin": {trusting, "POST",
			map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "https://app.example.com"}, "", passes},
		"a trusted origin, old browser": {trusting, "DELETE",
			map[string]string{"Origin": "https://app.example.com"}, "", passes},
		"beside a trusted origin": {trusting, "POST",
			map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "https://app.example.com."}, "", refused},
		"the check is off":     {off, "POST", map[string]string{"Sec-Fetch-Site": "cross-site"}, "", passes},
		"a route that is open": {optional, "POST", map[string]string{"Sec-Fetch-Site": "cross-site"}, "", refused},
		"the token in the header": {cookie, "POST",
			map[string]string{"Sec-Fetch-Site": "cross-site", "Authorization": "Bearer " + good}, "", passes},
	} {
		t.Run(name, func(t *testing.T) {
			g := build(t, key, row.gate)
			r := httptest.NewRequest(row.method, "https://example.com/", nil)
			for name, value := range row.fields {
				r.Header.Set(name, value)
			}
			if r.Header.Get("Authorization") == "" {
				r.Header.Set("Cookie", "session="+good)
			}
			req := direct(r)
			if row.facts != "" {
				req.Facts = behindProxy{req.Facts, strings.Trim(row.facts, "-")}
			}
			_, err := g.Check(req)
			if row.want == passes && err != nil || row.want != passes && gate.FailureOf(err).Reason != row.want {
				t.Errorf("error %v, want %q", err, row.want)
			}
		})
	}
	g := build(t, key, cookie)
	for _, twice := range []string{"Origin", "Sec-Fetch-Site"} {
		r := httptest.NewRequest(http.MethodPost, "https://example.com/", nil)
		r.Header = http.Header{"Cookie": {"session=" + good}, "Sec-Fetch-Site": {"same-origin"},
			"Origin": {"https://example.com"}}
		r.Header[twice] = append(r.Header[twice], r.Header[twice]...)
		if _, err := g.Check(direct(r)); gate.FailureOf(err).Reason != gate.CrossOrigin {
			t.Errorf("%s twice: error %v", twice, err)
		}
	}
}

// Without a cookie there is nothing to check, and so nothing to turn off.
func TestOriginCheckNeedsACookie(t *testing.T) {
	c := config(t, tokentest.NewKey(t, "ES256", "k1"))
	c.AnyOrigin = true
	err := c.Validate()
	if err == nil || setting.Field(err) != "AnyOrigin" || !strings.Contains(err.Error(), "remove it") {
		t.Errorf("error %v", err)
	}
	c.AnyOrigin, c.TrustedOrigins = false, []string{"app.example.com"}
	c.Extractor = extractor(t, bearer.Place{Kind: bearer.Cookie, Name: "session"})
	if err := c.Validate(); err == nil || setting.Field(err) != "TrustedOrigins[0]" {
		t.Errorf("error %v", err)
	}
}
