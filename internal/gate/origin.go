package gate

import (
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/caddyjwt/gateway/internal/bearer"
	"github.com/caddyjwt/gateway/internal/causes"
	"github.com/caddyjwt/gateway/internal/setting"
)

// originCheck refuses cross-site request forgery. Browsers send cookies by themselves, so a page of any site can make
// them send a request with somebody's token. Tokens in other places need a page that has them.
type originCheck struct {
	protection *http.CrossOriginProtection
	cookie     []bool // by place: it is a cookie
}

// originCheck makes the check, or nil if there is nothing to check.
func (c *Config) originCheck() (*originCheck, error) {
	check := &originCheck{protection: http.NewCrossOriginProtection()}
	for _, place := range c.Extractor.Places() {
		check.cookie = append(check.cookie, place.Kind == bearer.Cookie)
	}
	if !slices.Contains(check.cookie, true) {
		if c.AnyOrigin {
			return nil, setting.Errorf("AnyOrigin", "origin_check is about tokens in cookies, and no token is taken from a "+
				"cookie: remove it")
		}
		return nil, nil
	}
	if c.AnyOrigin {
		return nil, nil
	}
	for i, origin := range c.TrustedOrigins {
		if err := check.protection.AddTrustedOrigin(origin); err != nil {
			return nil, setting.In(setting.Element("TrustedOrigins", i), err)
		}
	}
	return check, nil
}

// judge refuses a request whose token is in a cookie, if a page of another origin has sent it and it may change
// something. It asks no server, and comes before the token is verified.
func (c *originCheck) judge(req *Request, place int) error {
	if c == nil || !c.cookie[place] {
		return nil
	}
	r := req.HTTP
	if isSafe(r) {
		return nil
	}
	if len(r.Header["Sec-Fetch-Site"]) > 1 || len(r.Header["Origin"]) > 1 {
		return fail(CrossOrigin, errors.New("the request has Sec-Fetch-Site or Origin twice, and no browser sends that"))
	}
	// The library takes GET for safe, also with Upgrade. And the host is the one that the client addressed.
	as := &http.Request{Method: http.MethodPost, Header: r.Header, Host: req.Facts.Host()}
	if as.Host == "" {
		as.Host = "?" // no host, or several: an Origin such as "null", which has none, either, must not match
	}
	if c.protection.Check(as) != nil {
		return fail(CrossOrigin, crossOriginCause(as))
	}
	return nil
}

// isSafe reports whether a request changes nothing, by its method (RFC 9110 section 9.2.1). A request that offers
// another protocol does not count as safe: through a WebSocket, a page could do whatever the user may do, and read the
// answers (RFC 6455 section 10.2). In HTTP/2 and HTTP/3 such an offer is a CONNECT.
func isSafe(r *http.Request) bool {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return len(r.Header["Upgrade"]) == 0
	}
	return false
}

// crossOriginCause says what the browser has said, and what helps if the request is a good one.
func crossOriginCause(r *http.Request) error {
	origin := "no Origin"
	if fields := r.Header["Origin"]; len(fields) > 0 {
		origin = "Origin " + causes.Quote(fields[0])
	}
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" {
		return fmt.Errorf("the token is in a cookie, and a page of another origin sent the request: Sec-Fetch-Site %s, %s; "+
			"if that page may do so, name its origin in cors, with credentials", causes.Quote(site), origin)
	}
	return fmt.Errorf("the token is in a cookie, and a page of another origin sent the request: %s, Host %s; if a proxy "+
		"has changed Host, have it send the client's; if that page may do so, name its origin in cors, with credentials",
		origin, causes.Quote(r.Host))
}
