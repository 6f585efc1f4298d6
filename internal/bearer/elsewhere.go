package bearer

import (
	"net/http"
	"slices"
	"strings"
)

// Elsewhere says where a request without a token in these places has something like one: "Authorization with the scheme
// Basic", for example. It is for the log, so that an operator sees a client that sends its token to another place. It
// names only schemes and names from closed lists, or from the configuration, and never a value. It is empty if there is
// nothing of the kind.
func Elsewhere(r *http.Request, places []Place) string {
	found := make([]string, 0, 4)
	if lines := r.Header["Authorization"]; len(lines) > 0 {
		found = append(found, "Authorization with "+schemeOf(lines[0]))
	}
	for _, name := range usualHeaders {
		if len(r.Header[name]) > 0 && !slices.ContainsFunc(places, func(p Place) bool { return p.Name == name }) {
			found = append(found, "the header "+name)
		}
	}
	if marker := usualMarker(r.Header[protocolField]); marker != "" {
		found = append(found, "the subprotocol "+marker+" of a WebSocket")
	}
	if name := usualName(r.URL.RawQuery, "&"); name != "" {
		found = append(found, "the query parameter "+name)
	}
	for _, line := range r.Header["Cookie"] {
		if name := emptied(line, places); name != "" {
			found = append(found, "the cookie "+name+", which is empty")
		} else if name := usualName(line, ";"); name != "" {
			found = append(found, "the cookie "+name)
		}
		if len(found) >= maxElsewhere {
			break
		}
	}
	return strings.Join(found[:min(len(found), maxElsewhere)], ", ")
}

// Bounds on what Elsewhere looks at and names.
const (
	maxElsewhere = 3
	maxPairs     = 64 // parameters or cookies
)

var (
	// usualSchemes are those of the IANA registry, and what clients send in place of Bearer.
	usualSchemes = []string{
		"Bearer", "Basic", "DPoP", "Digest", "GNAP", "HOBA", "Mutual", "Negotiate", "NTLM", "OAuth", "PrivateToken",
		"SCRAM-SHA-1", "SCRAM-SHA-256", "vapid", "AWS4-HMAC-SHA256", "ApiKey", "Api-Key", "Hawk", "JWT", "Key", "MAC",
		"Signature", "Token",
	}
	// usualHeaders are names by which clients and proxies send tokens.
	usualHeaders = []string{
		"Proxy-Authorization", "X-Authorization", "X-Access-Token", "Access-Token", "X-Auth-Token", "X-Token", "Token",
		"X-Jwt", "Jwt", "X-Id-Token", "X-Api-Key", "X-Forwarded-Access-Token", "Cf-Access-Jwt-Assertion",
		"X-Goog-Iap-Jwt-Assertion", "X-Amzn-Oidc-Accesstoken",
	}
	// usualMarkers are subprotocols, or the beginnings of some, that mark a token.
	usualMarkers = []string{
		DefaultMarker, "access_token", "access-token", "authorization", "token", "jwt",
		"base64url.bearer.authorization.k8s.io.",
	}
	// usualNames are those of query parameters and cookies with tokens.
	usualNames = []string{
		"access_token", "token", "jwt", "id_token", "auth_token", "bearer", "authorization", "accesstoken", "authtoken",
		"cf_authorization", "api_key", "apikey",
	}
)

// schemeOf describes credentials by their scheme. A text without a scheme may be a token, and so is not repeated.
func schemeOf(value string) string {
	value = strings.Trim(value, blank)
	word, _, spaced := strings.Cut(value, " ")
	if scheme := usualScheme(word); scheme != "" {
		return "the scheme " + scheme
	}
	end := strings.IndexFunc(word, func(r rune) bool { return r != '-' && (r > 0x7f || !isAlphanumeric(byte(r))) })
	switch {
	case value == "":
		return "no value"
	case end > 0 && usualScheme(word[:end]) != "":
		return "the word " + usualScheme(word[:end]) + " and something other than a space behind it"
	case !spaced:
		return "a value without a scheme"
	default:
		return "an unusual scheme"
	}
}

func usualScheme(word string) string {
	for _, scheme := range usualSchemes {
		if equalFold(word, scheme) {
			return scheme
		}
	}
	return ""
}

// usualName finds the first pair with the name of a usual place for tokens. The result is our spelling of the name.
func usualName(pairs, separator string) string {
	for range maxPairs {
		pair, rest, more := strings.Cut(pairs, separator)
		name, _, _ := strings.Cut(strings.Trim(pair, blank), "=")
		for _, usual := range usualNames {
			if equalFold(name, usual) {
				return usual
			}
		}
		if !more {
			break
		}
		pairs = rest
	}
	return ""
}

// usualMarker finds a subprotocol with which clients mark a token. The result is our spelling of it.
func usualMarker(lines []string) string {
	for _, line := range lines {
		for range maxPairs {
			protocol, rest, more := strings.Cut(line, ",")
			for _, marker := range usualMarkers {
				if holds(strings.Trim(protocol, blank), marker) {
					return marker
				}
			}
			if !more {
				break
			}
			line = rest
		}
	}
	return ""
}

// emptied is the name of a configured cookie that is there without a value.
func emptied(line string, places []Place) string {
	for _, p := range places {
		if p.Kind != Cookie {
			continue
		}
		for part := range strings.SplitSeq(line, ";") {
			if isEmptied(part, p.Name) {
				return p.Name
			}
		}
	}
	return ""
}
