package issuers

import (
	"strings"

	"github.com/caddyjwt/gateway/caddyjwt/require"
	"github.com/caddyjwt/gateway/caddyjwt/words"
)

// Mistakes in the name of an issuer and in an audience: those of the issuer block, and of the directive itself.
var (
	NameMistakes = []words.Mistake{words.SingleQuotes, words.ShellVariable, words.QuotedAddresses, words.Unfilled,
		words.OuterBlanks, documentAsIssuer,
		wildcardInIssuer, nobodysIssuer}
	AudienceMistakes = []words.Mistake{words.SingleQuotes, words.ShellVariable, words.CommaList, words.QuotedAddresses,
		words.Unfilled, words.OuterBlanks, capitalAny,
		words.Wildcard("an audience is compared exactly", "list each one, or write \"audience any\" and "+
			"require other claims that say for whom a token is")}
)

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
