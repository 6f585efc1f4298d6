package caddyjwt

import (
	"strings"
)

// The mistakes of this file are about tokens and their claims (see words.Mistake). Each would load, and then the gate
// would refuse every token.

// keyClaimAsPath recognizes paths where one name is meant.
func keyClaimAsPath(value string) string {
	if !strings.HasPrefix(value, "/") && !strings.HasPrefix(value, "$.") {
		return ""
	}
	return "key_claim takes the name of a top-level claim, not a path: write the name alone"
}
