package resource

import "net/url"

// ForClients reports whether clients can find an authorization server by its issuer: it is an https URL without a query
// and a fragment (RFC 8414 section 2). http counts for hosts on this machine, for trying out. Other names of issuers,
// such as those of SPIFFE, lead to no metadata.
func ForClients(issuer string) bool {
	u, err := url.Parse(issuer)
	if err != nil || u.Opaque != "" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.ForceQuery ||
		u.Fragment != "" {
		return false
	}
	return u.Scheme == "https" || u.Scheme == "http" && isLoopback(u.Hostname())
}
