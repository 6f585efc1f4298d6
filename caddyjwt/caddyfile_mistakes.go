package caddyjwt

import (
	"slices"
	"strings"

	"github.com/caddyjwt/gateway/caddyjwt/require"
	"github.com/caddyjwt/gateway/caddyjwt/words"
)

// The mistakes of this file are about tokens and their claims (see words.Mistake). Each would load, and then the gate
// would refuse every token.

var forwardMistakes = append(slices.Clone(require.PathMistakes),
	words.WildcardInName("a claim path names one claim", "write its name; an array or an object is forwarded as a whole"))

// wildcardInPrefix names no way to write a literal "*": no token has one (RFC 6750 section 2.1).
func wildcardInPrefix(value string) string {
	if !strings.Contains(value, "*") {
		return ""
	}
	return "a prefix matches whatever follows it: leave out the \"*\""
}

func capitalAny(value string) string {
	if !strings.EqualFold(value, "any") || value == "any" {
		return ""
	}
	return "the word that accepts every audience is written in lower case: any"
}

func anyType(value string) string {
	if !strings.EqualFold(value, "any") {
		return ""
	}
	return "no token has this type: to accept any type, leave the word out"
}

func equalsInIssuer(path string) string {
	if !require.HasEquals(path) {
		return ""
	}
	return "required_claims takes names of claims only; to compare a value, write this outside the issuer block: " +
		"require claim <path> <value...>"
}

// keyClaimAsPath recognizes paths where one name is meant.
func keyClaimAsPath(value string) string {
	if !strings.HasPrefix(value, "/") && !strings.HasPrefix(value, "$.") {
		return ""
	}
	return "key_claim takes the name of a top-level claim, not a path: write the name alone"
}
