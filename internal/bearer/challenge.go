package bearer

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Challenge is the value of a WWW-Authenticate field (RFC 6750 section 3). Empty fields are left out, except for Realm.
type Challenge struct {
	// Scheme is Bearer or DPoP. Empty means Bearer.
	Scheme string

	// Realm is always written, since the Bearer scheme needs at least one parameter. Any text is escaped as needed.
	Realm string

	// Error is one of invalid_request, invalid_token, insufficient_scope, insufficient_user_authentication (RFC 9470
	// section 3), invalid_dpop_proof and use_dpop_nonce (RFC 9449 section 12.2); empty when the request had no credentials
	// at all.
	Error string

	// Description is a text for developers. It must not come from the request.
	Description string

	// Scope lists the scopes that are needed, separated by single spaces.
	Scope string

	// ACRValues lists the authentication context classes of which one is needed, separated by single spaces, the
	// preferred one first (RFC 9470 section 3).
	ACRValues string

	// MaxAge is how long ago the user may have signed in (RFC 9470 section 3). It is written in whole seconds.
	MaxAge time.Duration

	// Algorithms lists those for DPoP proofs, separated by single spaces (RFC 9449 section 7.1).
	Algorithms string

	// ResourceMetadata is the address of the metadata of the resource (RFC 9728 section 5.1).
	ResourceMetadata string
}

// String writes the challenge. The result always parses: a character that a parameter cannot hold is replaced. A bad
// scope or class is left out instead, since a replacement would change its meaning. ValidRealm, ValidScope and ValidACR
// check the configuration, so that neither happens.
func (c Challenge) String() string {
	var out strings.Builder
	out.Grow(32 + len(c.Realm) + len(c.Error) + len(c.Description) + len(c.Scope) + len(c.ACRValues) +
		len(c.ResourceMetadata))
	out.WriteString(cmp.Or(c.Scheme, DefaultPlace.Scheme))
	out.WriteString(` realm="`)
	writeRealm(&out, c.Realm)
	out.WriteByte('"')
	writeParam(&out, "error", c.Error)
	writeParam(&out, "error_description", c.Description)
	if validScopes(c.Scope) {
		writeParam(&out, "scope", c.Scope)
	}
	if validScopes(c.ACRValues) {
		writeParam(&out, "acr_values", c.ACRValues)
	}
	if c.MaxAge >= time.Second {
		writeParam(&out, "max_age", strconv.FormatInt(int64(c.MaxAge/time.Second), 10))
	}
	writeParam(&out, "algs", c.Algorithms)
	writeParam(&out, "resource_metadata", c.ResourceMetadata)
	return out.String()
}

// writeRealm writes the inside of a quoted-string (RFC 9110 section 5.6.4).
func writeRealm(out *strings.Builder, realm string) {
	for i := range len(realm) {
		switch c := realm[i]; {
		case c == '"' || c == '\\':
			out.WriteByte('\\')
			out.WriteByte(c)
		case c < ' ' || c >= 0x7f:
			out.WriteByte('?')
		default:
			out.WriteByte(c)
		}
	}
}

// writeParam writes a parameter whose value RFC 6750 section 3 limits to printable ASCII without the quote and the
// backslash.
func writeParam(out *strings.Builder, name, value string) {
	if value == "" {
		return
	}
	out.WriteString(", ")
	out.WriteString(name)
	out.WriteString(`="`)
	for i := range len(value) {
		switch c := value[i]; {
		case c == '"':
			out.WriteByte('\'')
		case !isPlain(c):
			out.WriteByte('?')
		default:
			out.WriteByte(c)
		}
	}
	out.WriteByte('"')
}

// isPlain is %x20-21 / %x23-5B / %x5D-7E of RFC 6750 section 3.
func isPlain(c byte) bool {
	return ' ' <= c && c <= '~' && c != '"' && c != '\\'
}

// maxRealm keeps a challenge well below the length of a header line that clients and proxies accept.
const maxRealm = 256

// ValidRealm checks a configured realm: printable ASCII, quotes and backslashes included.
func ValidRealm(realm string) error {
	if len(realm) > maxRealm {
		return fmt.Errorf("realm is longer than %d characters", maxRealm)
	}
	for i := range len(realm) {
		if realm[i] < ' ' || realm[i] > '~' {
			return errors.New("realm has a character that is not printable ASCII")
		}
	}
	return nil
}

// ValidScope checks one configured scope: a scope-token of RFC 6749 section 3.3, that is, printable ASCII without
// space, quote and backslash.
func ValidScope(scope string) error {
	if scope == "" {
		return errors.New("scope is empty")
	}
	for i := range len(scope) {
		if !isPlain(scope[i]) || scope[i] == ' ' {
			return fmt.Errorf("scope %q has a character that scopes cannot have", scope)
		}
	}
	return nil
}

// ValidACR checks one configured authentication context class. The list in acr_values is separated by spaces (RFC 9470
// section 3), and a parameter takes the characters of scopes.
func ValidACR(acr string) error {
	if acr == "" {
		return errors.New("the value is empty")
	}
	if ValidScope(acr) != nil {
		return fmt.Errorf("%q has a character that the challenge cannot carry", acr)
	}
	return Unmistakable(acr)
}

// validScopes allows scopes separated by single spaces.
func validScopes(scopes string) bool {
	for scope := range strings.SplitSeq(scopes, " ") {
		if ValidScope(scope) != nil {
			return false
		}
	}
	return true
}

// parameters are those of challenges: RFC 6750 section 3, RFC 9449 section 7.1, RFC 9470 section 3 and RFC 9728 section
// 5.1.
var parameters = []string{
	"realm", "error", "error_description", "error_uri", "scope", "resource_metadata", "acr_values", "max_age", "algs",
}

// Unmistakable refuses a text in which a client could find another parameter. Clients that follow resource_metadata,
// such as the SDKs of MCP, look for a name and an equals sign anywhere in the field, and end a value at the next quote,
// even if a backslash stands before it.
func Unmistakable(text string) error {
	if strings.ContainsAny(text, "\"\\") {
		return fmt.Errorf("%q has a quote or a backslash, which clients of this resource read as the end of a parameter: "+
			"leave it out", text)
	}
	for _, name := range parameters {
		if strings.Contains(strings.ToLower(text), name+"=") {
			return fmt.Errorf("%q has \"%s=\" in it, which clients of this resource read as a parameter of the challenge: "+
				"write it in another way", text, name)
		}
	}
	return nil
}
