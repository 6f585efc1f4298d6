package jose

import "strings"

// foreignTypes are the registered types of JWTs that are something else than access tokens, and must not be taken for
// one even when their issuer and audience are right (RFC 8725 section 3.11 and 3.12). Other types pass here; whether a
// route wants only "at+jwt" (RFC 9068 section 4) is for the route to say.
var foreignTypes = map[string]bool{
	"logout+jwt":                         true, // OpenID Connect Back-Channel Logout
	"secevent+jwt":                       true, // RFC 8417
	"dpop+jwt":                           true, // RFC 9449
	"token-introspection+jwt":            true, // RFC 9701
	"oauth-authz-req+jwt":                true, // RFC 9101
	"client-authentication+jwt":          true, // RFC 7523bis
	"authorization-grant+jwt":            true, // RFC 7523bis
	"id+jwt":                             true, // ID tokens, where somebody types them
	"id_token+jwt":                       true,
	"rt+jwt":                             true, // refresh tokens, where somebody types them
	"statuslist+jwt":                     true, // Token Status List
	"dc+sd-jwt":                          true, // SD-JWT VC
	"vc+sd-jwt":                          true, // SD-JWT VC, older drafts
	"sd-jwt":                             true, // RFC 9901
	"example+sd-jwt":                     true, // RFC 9901
	"kb+jwt":                             true, // RFC 9901
	"vc+jwt":                             true, // VC-JOSE-COSE
	"vp+jwt":                             true,
	"openid4vci-proof+jwt":               true, // OpenID for Verifiable Credential Issuance
	"openidvci-proof+jwt":                true,
	"key-attestation+jwt":                true,
	"oauth-client-attestation+jwt":       true, // OAuth Attestation-Based Client Authentication
	"oauth-client-attestation-pop+jwt":   true,
	"wallet-attestation+jwt":             true, // wallets
	"wallet-unit-attestation+jwt":        true,
	"verifier-attestation+jwt":           true, // OpenID for Verifiable Presentations
	"entity-statement+jwt":               true, // OpenID Federation
	"explicit-registration-response+jwt": true,
	"resolve-response+jwt":               true,
	"trust-mark+jwt":                     true,
	"trust-mark-delegation+jwt":          true,
	"jwk-set+jwt":                        true,
	"passport":                           true, // RFC 8225
	"jose+json":                          true, // JSON serialisation, RFC 7515 section 4.1.9
}

// mediaType normalises the value of "typ" or "cty": a missing prefix "application/" counts as present (RFC 7515
// section 4.1.9), and case does not matter (RFC 2045 section 5.1). The result is in lower case and without that prefix.
// Parameters are refused: a comparison that ignored them would be ambiguous.
func mediaType(text string) (string, bool) {
	switch text { // nearly all tokens
	case "JWT", "jwt":
		return "jwt", true
	case "at+jwt":
		return text, true
	}
	main, sub, slash := strings.Cut(text, "/")
	if !isRestrictedName(main) || slash && !isRestrictedName(sub) {
		return "", false
	}
	main, sub = strings.ToLower(main), strings.ToLower(sub) // ASCII by now
	switch {
	case !slash:
		return main, true
	case main == "application":
		return sub, true
	default:
		return main + "/" + sub, true
	}
}

// isRestrictedName tells whether s is a restricted-name of RFC 6838 section 4.2.
func isRestrictedName(s string) bool {
	if s == "" || len(s) > maxType {
		return false
	}
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case i > 0 && strings.IndexByte("!#$&-^_.+", c) >= 0:
		default:
			return false
		}
	}
	return true
}

// isTokenType tells whether content of this type is a token that would have to be verified before it is read.
func isTokenType(typ string) bool {
	return typ == "jwt" || typ == "jose" || typ == "jose+json" ||
		strings.HasSuffix(typ, "+jwt") || strings.HasSuffix(typ, "sd-jwt")
}
