package claims

import (
	"strings"

	"github.com/caddyjwt/gateway/internal/strictjson"
)

// Kind is what a token, or an answer about one, says about its own kind. Tokens of several kinds may have the same
// issuer, key and audience; the rules for one kind must then not accept another (RFC 8725 section 3.12).
type Kind struct {
	// Access reports that it says to be an access token.
	Access bool
	// Bound reports that it says to be an access token that is bound to a key (DPoP, RFC 9449 section 5).
	Bound bool
	// Others is what it says to be instead, in each claim that says so. The order of claims means nothing.
	Others []Other
}

// Other is a kind of token that is no access token.
type Other struct {
	// Name is "id", "refresh" or their like, or a media type in lower case, without "application/".
	Name string
	// By is the claim that says so: one of our own names.
	By string
}

// KindOf reads what a JWT says about its kind. An unknown word says nothing: no specification defines these claims for
// all JWTs, and other issuers mean something else by them.
func KindOf(s *Set) Kind { return kindOf(s, false) }

// KindOfAnswer reads what an authorization server's answer says about the kind of a token. There token_type is
// registered as the type of an access token (RFC 7662 section 2.2), so an unknown type is not an access token. The
// same holds for token_use, which Ory Hydra and Amazon Cognito have.
func KindOfAnswer(s *Set) Kind { return kindOf(s, true) }

// OtherKind is the kind that a word names when it is not an access token; otherwise it is empty.
func OtherKind(word string) string {
	switch kind := kindNamed(word); kind {
	case access, bound, unknown:
		return ""
	default:
		return kind
	}
}

func kindOf(s *Set, answer bool) (k Kind) {
	var proof, request int
	for _, m := range s.members {
		if m.Value.Kind() == strictjson.Null {
			continue
		}
		switch name, _ := m.Name.Str(); name {
		case "token_type", // RFC 7662 section 2.2; in JWTs of Django's Simple JWT: access, refresh
			"token_use": // Amazon Cognito: access, id; Ory Hydra: access_token, refresh_token
			k.hear(name, m.Value, answer)
		case "typ", // Keycloak: Bearer, ID, Refresh, Offline, Logout
			"tokenName", // ForgeRock and Ping AM: access_token, refresh_token, id_token
			"tokenType", // Casdoor: access-token, refresh-token
			"purpose":   // Curity: access_token, id
			k.hear(name, m.Value, false)
		case "type": // Flask-JWT-Extended: access, refresh. To others it is the type of anything
			if word, _ := m.Value.Str(); kindNamed(word) == refresh {
				k.is(refresh, name)
			}

		case "events": // RFC 8417 section 2.2: an object. Any other value is somebody's private claim
			if m.Value.Kind() == strictjson.Object {
				k.is("secevent+jwt", name)
			}
		case "vp": // W3C Verifiable Credentials Data Model 1.1 section 6.3.1: an object
			if m.Value.Kind() == strictjson.Object {
				k.is("vp+jwt", name)
			}
		case "token_introspection": // RFC 9701 section 5
			k.is("token-introspection+jwt", name)
		case "status_list": // Token Status List section 5.1. A token with a status has its list inside "status"
			k.is("statuslist+jwt", name)
		case "c_hash", // OpenID Connect Core 1.0 section 3.3.2.11
			"s_hash",  // Financial-grade API 1.0 part 2 section 5.1
			"sub_jwk": // OpenID Connect Core 1.0 section 7.4
			k.is(id, name)
		case "htm", "htu": // RFC 9449 section 4.2: a DPoP proof has both
			if proof++; proof == 2 {
				k.is("dpop+jwt", "htm")
			}
		case "response_type", "client_id": // RFC 9101 section 4: a request object has both
			if request++; request == 2 {
				k.is("oauth-authz-req+jwt", "response_type")
			}
		}
	}
	return k
}

// hear reads a claim whose value is a word for the kind. In a closed claim, an unknown word is another kind.
func (k *Kind) hear(name string, value strictjson.Value, closed bool) {
	word, isText := value.Str()
	switch kind := kindNamed(word); {
	case isText && kind == access:
		k.Access = true
	case isText && kind == bound:
		k.Access, k.Bound = true, true
	case isText && kind != unknown:
		k.is(kind, name)
	case closed:
		k.is("unknown kind", name)
	}
}

// is notes another kind.
func (k *Kind) is(kind, claim string) { k.Others = append(k.Others, Other{kind, claim}) }

// Kinds that words name, beside media types.
const (
	unknown      = ""
	access       = "access"
	bound        = "dpop"
	id           = "id"
	refresh      = "refresh"
	offline      = "offline"
	logout       = "logout"
	registration = "registration"
)

// tokenTypeURN precedes the names of token types in RFC 8693 section 3.
const tokenTypeURN = "urn:ietf:params:oauth:token-type:"

// kindNamed is the kind that a word of some server names. Case, hyphens and underscores do not matter: "idToken",
// "ID_TOKEN" and "id-token" mean the same to every server.
func kindNamed(word string) string {
	if strings.EqualFold(word, "N_A") { // RFC 8693 section 2.2.1: from a token exchange, and no token type applies
		return access
	}
	var buf [32]byte
	switch string(fold(buf[:0], strings.TrimPrefix(word, tokenTypeURN))) {
	case "access", "accesstoken", "bearer", "at+jwt", "application/at+jwt":
		return access
	case "dpop":
		return bound
	case "id", "idtoken", "serializedid": // the last is Keycloak's, in a cookie of its own
		return id
	case "refresh", "refreshtoken":
		return refresh
	case "offline", "offlinetoken": // a refresh token that outlives the session
		return offline
	case "logout", "logouttoken":
		return logout
	case "initialaccesstoken", "registrationaccesstoken": // Keycloak's, for the registration of clients
		return registration
	}
	if n := len(word) - len("+jwt"); n > 0 && strings.EqualFold(word[n:], "+jwt") { // RFC 8725 section 3.11
		return strings.TrimPrefix(strings.ToLower(word), "application/")
	}
	return unknown
}

// fold appends the letters of a word in lower case, without hyphens and underscores, as far as there is room.
func fold(buf []byte, word string) []byte {
	for i := range len(word) {
		c := word[i]
		switch {
		case c == '-' || c == '_':
			continue
		case 'A' <= c && c <= 'Z':
			c += 'a' - 'A'
		}
		if len(buf) == cap(buf) {
			return nil // longer than any of the words
		}
		buf = append(buf, c)
	}
	return buf
}
