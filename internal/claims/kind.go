package claims

import (
	"strings"

	"github.com/caddyjwt/gateway/internal/strictjson"
)

// Kind is what the claims of a token, or of an answer about one, declare about its kind. Tokens of several kinds may
// have the same issuer, key and audience. The rules for one kind must not accept another (RFC 8725 section 3.12).
type Kind struct {
	// Access reports that a claim declares an access token.
	Access bool
	// Bound reports that a claim declares an access token that is bound to a key (DPoP, RFC 9449 section 5).
	Bound bool
	// Others has the other kinds that claims declare, one for each such claim. Their order has no meaning.
	Others []Other
}

// Other is a kind of token other than an access token.
type Other struct {
	// Name is a word such as "id" or "refresh", or a media type in lower case and without "application/".
	Name string
	// By is the claim that declares the kind. It is one of our own names, never text from the token.
	By string
}

// KindOf reads what a JWT declares about its kind. Unknown words are ignored: no specification defines these claims for
// all JWTs, and some issuers use them for other purposes.
func KindOf(s *Set) Kind { return kindOf(s, false) }

// KindOfAnswer reads what an authorization server's answer declares about the kind of a token. There, token_type is
// registered as the type of an access token (RFC 7662 section 2.2), so an unknown word means another kind. The same
// applies to token_use, which Ory Hydra and Amazon Cognito write.
func KindOfAnswer(s *Set) Kind { return kindOf(s, true) }

// OtherKind returns the kind that a word names, unless it names an access token or no kind. Then it is empty.
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
			k.declare(name, m.Value, answer)
		case "typ", // Keycloak: Bearer, ID, Refresh, Offline, Logout
			"tokenName", // ForgeRock and Ping AM: access_token, refresh_token, id_token
			"tokenType", // Casdoor: access-token, refresh-token
			"purpose":   // Curity: access_token, id
			k.declare(name, m.Value, false)
		case "type": // Flask-JWT-Extended: access, refresh. Others use it for types of any kind
			if word, _ := m.Value.Str(); kindNamed(word) == refresh {
				k.addOther(refresh, name)
			}
		case "events": // RFC 8417 section 2.2: an object. Any other value is somebody's private claim
			if m.Value.Kind() == strictjson.Object {
				k.addOther("secevent+jwt", name)
			}
		case "vp": // W3C Verifiable Credentials Data Model 1.1 section 6.3.1: an object
			if m.Value.Kind() == strictjson.Object {
				k.addOther("vp+jwt", name)
			}
		case "token_introspection": // RFC 9701 section 5
			k.addOther("token-introspection+jwt", name)
		case "status_list": // Token Status List section 5.1. A token with a status has its list inside "status"
			k.addOther("statuslist+jwt", name)
		case "c_hash", // OpenID Connect Core 1.0 section 3.3.2.11
			"s_hash",  // Financial-grade API 1.0 part 2 section 5.1
			"sub_jwk": // OpenID Connect Core 1.0 section 7.4
			k.addOther(id, name)
		case "htm", "htu": // RFC 9449 section 4.2: a DPoP proof has both
			if proof++; proof == 2 {
				k.addOther("dpop+jwt", "htm")
			}
		case "response_type", "client_id": // RFC 9101 section 4: a request object has both
			if request++; request == 2 {
				k.addOther("oauth-authz-req+jwt", "response_type")
			}
		}
	}
	return k
}

// declare reads a claim whose value is a word for the kind. In a closed claim, an unknown word means another kind.
func (k *Kind) declare(name string, value strictjson.Value, closed bool) {
	word, isText := value.Str()
	switch kind := kindNamed(word); {
	case isText && kind == access:
		k.Access = true
	case isText && kind == bound:
		k.Access, k.Bound = true, true
	case isText && kind != unknown:
		k.addOther(kind, name)
	case closed:
		k.addOther("unknown kind", name)
	}
}

// addOther records that a claim declares another kind.
func (k *Kind) addOther(kind, claim string) { k.Others = append(k.Others, Other{kind, claim}) }

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

// kindNamed returns the kind that a word names for some server. Case, hyphens and underscores do not matter: "idToken",
// "ID_TOKEN" and "id-token" mean the same everywhere.
func kindNamed(word string) string {
	if strings.EqualFold(word, "N_A") { // RFC 8693 section 2.2.1: token exchange's word for "not applicable"
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

// fold appends a word in lower case, without hyphens and underscores. The result is nil if there is no room for it.
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
