package caddyjwt

import (
	"net/url"
	"slices"
	"strings"

	"github.com/caddyjwt/gateway/caddyjwt/words"
)

// wellKnown is the segment of a path behind which documents about a server stand (RFC 8615 section 3).
const wellKnown = ".well-known"

// documentAsIssuer knows addresses of documents about an issuer. No token has one as its "iss", so every token would be
// of an unknown issuer. Anybody may choose a path: a realm may be called "jwks", and some issuers end in
// "/oauth/token". So a word alone does not count, only one in a place that belongs to documents.
func documentAsIssuer(value string) string {
	segments := pathOf(value)
	switch {
	case slices.Contains(segments, wellKnown):
		return "this is the address of a document; the issuer is what the document has as \"issuer\", mostly what " +
			"stands before \"/.well-known/\""
	case isKeySet(segments):
		return "this is the address of a key set; the issuer is what tokens have as \"iss\", and its block names the " +
			"key set: keys jwks <url>"
	case follows(segments, "protocol", "openid-connect"):
		return "this is the address of an endpoint; the issuer is what stands before \"/protocol/\""
	}
	return ""
}

// pathOf gives the segments of the path of a URL, without empty ones; none for what is no URL.
func pathOf(address string) []string {
	u, err := url.Parse(address)
	if err != nil {
		return nil
	}
	return strings.FieldsFunc(u.Path, func(c rune) bool { return c == '/' })
}

// follows reports whether these segments stand in a path, one behind the other.
func follows(segments []string, wanted ...string) bool {
	for i := range segments {
		if len(segments)-i >= len(wanted) && slices.Equal(segments[i:i+len(wanted)], wanted) {
			return true
		}
	}
	return false
}

// keySetPaths are how the addresses of key sets end at servers that many use.
var keySetPaths = []string{
	"jwks.json", "keys.json", ".well-known/jwks", ".well-known/keys", ".well-known/openid-configuration/jwks",
	"protocol/openid-connect/certs", "discovery/keys", "discovery/v2.0/keys", "oauth2/jwks", "oauth2/v1/certs",
	"oauth2/v3/certs", "oauth2/v1/keys", "oauth/v2/keys", "openid/v1/jwks", "oauth2/connect/jwk_uri",
}

// isKeySet also takes one of three words for a key set when it is the whole path. Below another one it may be a realm.
func isKeySet(segments []string) bool {
	if len(segments) == 1 && slices.Contains([]string{"jwks", "keys", "certs"}, segments[0]) {
		return true
	}
	path := "/" + strings.Join(segments, "/")
	return slices.ContainsFunc(keySetPaths, func(end string) bool { return strings.HasSuffix(path, "/"+end) })
}

// isMetadata reports whether a path is one of metadata (OpenID Connect Discovery 1.0 section 4, RFC 8414 section 3).
// The latter puts the path of the issuer behind the well-known one. Some servers have their key set below such a path.
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

// mistakenKeys looks for an address of the other kind. Addresses are not quoted: a query may have a secret.
func mistakenKeys(b *words.Block, keys *Keys) error {
	address := words.Typed(keys.URL)
	segments := pathOf(address)
	switch {
	case keys.Source == "jwks" && isMetadata(segments):
		return b.Errf("keys jwks: this is the address of metadata, in which that of the key set stands: " +
			"write \"keys discovery <url>\", or nothing when it is derived from the issuer")
	case keys.Source == "discovery" && isKeySet(segments):
		return b.Errf("keys discovery: this is the address of a key set: write \"keys jwks <url>\"")
	case keys.URL != "" && !strings.Contains(keys.URL, "{") && !strings.Contains(address, "://") && words.IsPath(keys.URL):
		return b.Errf("keys %s: this is the path of a file: write \"keys file <path>\"", keys.Source)
	case strings.Contains(words.Typed(keys.Path), "://"):
		return b.Errf("keys file: this is an address: write \"keys jwks <url>\"")
	}
	return nil
}
