package caddyjwt

import "strings"

// foreign are words of other gateways, and those that newcomers try first: what is written here instead.
var foreign = map[string]string{
	// Kong
	"uri_param_names":    "here: token_from query <name>",
	"cookie_names":       "here: token_from cookie <name>",
	"header_names":       "here: token_from header <name> [<scheme>]",
	"claims_to_verify":   "exp and nbf are always verified; for other claims: require claim <path>",
	"run_on_preflight":   "here every request needs a token; preflights pass with: allow_preflight",
	"maximum_expiration": "here: max_lifetime <duration>",
	"key_claim_name":     "here: key_claim <claim>",
	"secret_is_base64":   "here: secret <value> base64",
	// other plugins of Caddy
	"sign_key":           "here, in an issuer block: keys secret <value>, or keys pem <text>",
	"sign_alg":           "here, in an issuer block: algorithms <alg...>",
	"from_query":         "here: token_from query <name>",
	"from_header":        "here: token_from header <name>",
	"from_cookies":       "here: token_from cookie <name>",
	"issuer_whitelist":   "here: an issuer block for each",
	"audience_whitelist": "here: audience <aud...>",
	"user_claims":        "here: forward_claim <path> <header>, and {http.auth.user.id}",
	"meta_claims":        "here: forward_claim <path> <header>, and {http.auth.user.<claim>}",
	// what is tried first
	"jwks":                     "here, in an issuer block: keys jwks <url>",
	"jwks_url":                 "here, in an issuer block: keys jwks <url>",
	"jwks_uri":                 "here, in an issuer block: keys jwks <url>",
	"discovery":                "here, in an issuer block: keys discovery [<url>]",
	"discovery_url":            "here, in an issuer block: keys discovery [<url>]",
	"scope":                    "here: require scope <scope...>",
	"scopes":                   "here: require scope <scope...>",
	"role":                     "here: require claim <path> <role...>",
	"roles":                    "here: require claim <path> <role...>",
	"group":                    "here: require group <group...>",
	"claim":                    "here: require claim <path> [<value...>]",
	"header":                   "here: token_from header <name> [<scheme>], or forward_claim <path> <header>",
	"query":                    "here: token_from query <name>",
	"cookie":                   "here: token_from cookie <name>",
	"insecure_skip_verify":     noSwitch,
	"tls_insecure_skip_verify": noSwitch,
}

const noSwitch = "verification cannot be switched off; for a certificate authority of your own: tls { ca <file> }"

// directives of Caddy that stand behind a gate. Inside its block they tell of a brace that is missing.
const directives = " abort encode error file_server handle handle_errors handle_path import log php_fastcgi respond " +
	"reverse_proxy root route templates "

// hereInstead says what is written here in place of a word of another product, or nothing.
func hereInstead(word string) string {
	switch {
	case strings.HasPrefix(word, "//"):
		return "a comment begins with #"
	case strings.HasSuffix(word, ":"):
		return "a word is written without the colon"
	case strings.Contains(directives, " "+word+" "):
		return "a directive of Caddy: is a } missing before it?"
	}
	return foreign[word]
}
