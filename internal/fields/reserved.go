package fields

import (
	"fmt"
	"slices"
	"strings"
)

// reservation says why some header names cannot carry a value. A "*" at the end of a name stands for any rest.
type reservation struct {
	why   string
	names []string
}

// reserved lists names, in lower case, that have a meaning in HTTP, to proxies, to browsers or to frameworks, or that
// would not reach the backend.
var reserved = []reservation{
	{"it never arrives at the backend: reverse_proxy removes it (compare RFC 9110 section 7.6.1)", []string{
		"alt-svc", "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te",
		"trailer", "transfer-encoding", "upgrade",
	}},
	{"a backend would take the value for credentials", []string{
		"authorization", "cookie", "set-cookie", "x-auth-request-access-token", "x-forwarded-access-token",
	}},
	{"it is the proof that a client has a token's key (RFC 9449)", []string{"dpop"}},
	{"a backend would take the value for the client's address", []string{
		"cf-connecting-ip", "cf-connecting-ipv6", "fastly-client-ip", "true-client-ip", "x-azure-clientip", "x-client-ip",
		"x-cluster-client-ip", "x-envoy-external-address", "x-forwarded-for", "x-original-forwarded-for", "x-real-ip",
	}},
	{"backends learn from it how the request came through proxies", []string{
		"forwarded", "via", "x-envoy-*", "x-forwarded-*",
	}},
	{"a backend would take the value for what a proxy says of a client certificate", []string{
		"client-cert", "client-cert-chain", "ssl-client-*", "x-arr-clientcert", "x-client-cert", "x-client-certificate",
		"x-ssl-*",
	}},
	{"a backend would take the value for the address that was asked for", []string{
		"path-info", "script-name", "x-host", "x-http-host-override", "x-original-host", "x-original-path", "x-original-uri",
		"x-original-url", "x-replaced-path", "x-rewrite-url", "x-script-name",
	}},
	{"WebDAV would copy or move a page to where the value says (RFC 4918 section 10.3)", []string{"destination"}},
	{"a backend would take the value for the method of the request", []string{
		"x-http-method", "x-http-method-override", "x-method-override", "x-original-method",
	}},
	{"CGI programs would take the value for their proxy, as HTTP_PROXY", []string{"proxy"}},
	{"it belongs to browsers and to WebSocket handshakes", []string{"origin", "sec-*"}},
	{"it belongs to tracing", []string{"baggage", "traceparent", "tracestate"}},
	{"it has a meaning of its own in HTTP", []string{
		"accept", "accept-*", "access-control-*", "age", "allow", "cache-control", "content-*", "date", "early-data", "etag",
		"expect", "expires", "host", "http2-settings", "if-*", "last-modified", "location", "max-forwards", "pragma",
		"priority", "range", "referer", "user-agent", "vary", "warning", "www-authenticate",
	}},
}

// ReservedFor lists the names, in lower case, that nobody may use for a reason with this text.
func ReservedFor(why string) []string {
	for _, r := range reserved {
		if strings.Contains(r.why, why) {
			return r.names
		}
	}
	return nil
}

// identityOfProxies lists exceptions: names in which oauth2-proxy and others tell the backend who is calling.
var identityOfProxies = []string{
	"x-forwarded-email", "x-forwarded-groups", "x-forwarded-preferred-username", "x-forwarded-user",
}

// checkReserved refuses a name that is reserved, and says for what.
func checkReserved(name string) error {
	name = strings.ToLower(name)
	if slices.Contains(identityOfProxies, name) {
		return nil
	}
	matches := func(pattern string) bool {
		prefix, more := strings.CutSuffix(pattern, "*")
		return name == pattern || more && strings.HasPrefix(name, prefix)
	}
	for _, r := range reserved {
		if slices.ContainsFunc(r.names, matches) {
			return fmt.Errorf("%s; choose another name, such as X-User-Name", r.why)
		}
	}
	return nil
}
