package issuers

import (
	"net/url"
	"slices"
	"strings"

	"github.com/caddyjwt/gateway/caddyjwt/words"
)

// wellKnown is the path segment that precedes documents about a server (RFC 8615 section 3).
const wellKnown = ".well-known"

// documentAsIssuer recognizes addresses of documents about an issuer. No token has one as its "iss", so every token
// would be of an unknown issuer. Paths are free: a realm may be called "jwks", and some issuers end in "/oauth/token".
// So a word counts only in a place where documents have it.
func documentAsIssuer(value string) string {
	segments := pathOf(value)
	switch {
	case slices.Contains(segments, wellKnown):
		return "this is the address of a metadata document: write the value of its \"issuer\" member, usually the part " +
			"before \"/.well-known/\""
	case isKeySet(segments):
		return "this is the address of a key set: write the \"iss\" of the tokens, and inside the block: keys jwks <url>"
	case follows(segments, "protocol", "openid-connect"):
		return "this is the address of an endpoint: write the part before \"/protocol/\""
	}
	return ""
}

// nobodysIssuer recognizes names that no token of a well-known server has as its "iss": the slash at the end differs,
// or the name is that of many tenants. Any difference counts (RFC 9068 section 4).
func nobodysIssuer(value string) string {
	u, err := url.Parse(value)
	if err != nil {
		return ""
	}
	segments, slash := strings.Split(strings.Trim(u.Path, "/"), "/"), strings.HasSuffix(u.Path, "/")
	switch host := u.Hostname(); {
	case strings.HasSuffix(host, ".auth0.com") && u.Path == "":
		return "the issuers of Auth0 end in a slash: add it"
	case host == "sts.windows.net" && u.Path == "/"+segments[0] && segments[0] != "":
		return "the issuers at sts.windows.net end in a slash: add it"
	case slash && len(segments) > 1 && segments[len(segments)-2] == "realms":
		return "the issuers of Keycloak end without a slash: remove it"
	case host == "login.microsoftonline.com" && (slices.Contains(manyTenants, segments[0]) ||
		strings.Contains(segments[0], ".") && segments[0] != "v2.0"):
		return "tokens of Entra ID have the id of their tenant here, and never its name or \"common\": " +
			"write https://login.microsoftonline.com/<tenant id>/v2.0"
	}
	return ""
}

// manyTenants are the names with which an application asks Entra ID for tokens of any tenant. No token has them.
var manyTenants = []string{"common", "organizations", "consumers"}

// pathOf is the segments of a URL's path, without empty ones. It is nil for a text that is not a URL.
func pathOf(address string) []string {
	u, err := url.Parse(address)
	if err != nil {
		return nil
	}
	return strings.FieldsFunc(u.Path, func(c rune) bool { return c == '/' })
}

// follows reports whether a path contains these segments, one after the other.
func follows(segments []string, wanted ...string) bool {
	for i := range segments {
		if len(segments)-i >= len(wanted) && slices.Equal(segments[i:i+len(wanted)], wanted) {
			return true
		}
	}
	return false
}

// keySetPaths are the ends of key set addresses at popular servers.
var keySetPaths = []string{
	"jwks.json", "keys.json", ".well-known/jwks", ".well-known/keys", ".well-known/openid-configuration/jwks",
	"protocol/openid-connect/certs", "discovery/keys", "discovery/v2.0/keys", "oauth2/jwks", "oauth2/v1/certs",
	"oauth2/v3/certs", "oauth2/v1/keys", "oauth/v2/keys", "openid/v1/jwks", "oauth2/connect/jwk_uri",
}

// isKeySet reports whether a path is that of a key set. Three words count only as the whole path: further down they may
// be the name of a realm.
func isKeySet(segments []string) bool {
	if len(segments) == 1 && slices.Contains([]string{"jwks", "keys", "certs"}, segments[0]) {
		return true
	}
	path := "/" + strings.Join(segments, "/")
	return slices.ContainsFunc(keySetPaths, func(end string) bool { return strings.HasSuffix(path, "/"+end) })
}

// isMetadata reports whether a path is that of metadata (OpenID Connect Discovery 1.0 section 4, RFC 8414 section 3).
// RFC 8414 puts the issuer's path after the well-known one. Some servers have their key set below such a path.
func isMetadata(segments []string) bool {
	if len(segments) < 2 || isKeySet(segments) {
		return false
	}
	last := strings.ToLower(segments[len(segments)-1])
	if strings.Contains(last, "jwk") || last == "keys" || last == "certs" {
		return false
	}
	return follows(segments[len(segments)-2:], wellKnown, "openid-configuration") ||
		segments[0] == wellKnown && segments[1] == "oauth-authorization-server"
}

// mistakenKeys looks for the address of another kind of source. Errors do not quote addresses: a query may have a
// secret.
func mistakenKeys(b *words.Block, keys *Keys) error {
	address := words.Typed(keys.URL)
	segments := pathOf(address)
	switch {
	case keys.Source == "jwks" && isMetadata(segments):
		return b.Errf("keys jwks: this is the address of a metadata document, not of a key set: " +
			"write \"keys discovery <url>\", or leave keys out if the address can be derived from the issuer")
	case keys.Source == "discovery" && isKeySet(segments):
		return b.Errf("keys discovery: this is the address of a key set, not of metadata: write \"keys jwks <url>\"")
	case keys.URL != "" && !strings.Contains(keys.URL, "{") && !strings.Contains(address, "://") && words.IsPath(keys.URL):
		return b.Errf("keys %s: this is the path of a file, not an address: write \"keys file <path>\"", keys.Source)
	case strings.Contains(words.Typed(keys.Path), "://"):
		return b.Errf("keys file: this is an address, not the path of a file: write \"keys jwks <url>\"")
	}
	return nil
}
