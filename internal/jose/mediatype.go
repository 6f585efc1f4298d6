package jose

import "strings"

// otherTypes are types of other kinds of JWT whose names do not show that.
var otherTypes = map[string]bool{
	"passport":  true, // RFC 8225 section 4.1
	"jose+json": true, // JSON serialisation, RFC 7515 section 4.1.9
}

// isOtherKind reports whether a type, as mediaType gives it, is that of another kind of JWT than an access token. Such
// a JWT must not be taken for one even when its issuer and audience are right (RFC 8725 sections 3.11 and 3.12).
//
// Explicit types end in "+jwt" (RFC 8725 section 3.11, RFC 8417 section 7.2), and those with selective disclosure in
// "sd-jwt" (RFC 9901). Only "at+jwt" means access tokens (RFC 9068 section 2.1). So kinds that are invented later are
// covered. "JWT", or no type, says nothing about the kind.
func isOtherKind(typ string) bool {
	if typ == "at+jwt" {
		return false
	}
	return strings.HasSuffix(typ, "+jwt") || strings.HasSuffix(typ, "sd-jwt") || otherTypes[typ]
}

// mediaType normalises the value of "typ" or "cty": a missing prefix "application/" counts as present (RFC 7515 section
// 4.1.9), and case does not matter (RFC 2045 section 5.1). The result is in lower case and without that prefix.
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

// isRestrictedName reports whether s is a restricted-name of RFC 6838 section 4.2.
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

// isTokenType reports whether content of this type is itself a token, which would have to be verified before it is
// read.
func isTokenType(typ string) bool {
	return typ == "jwt" || typ == "jose" || typ == "at+jwt" || isOtherKind(typ)
}
