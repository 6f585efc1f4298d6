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

// keyClaimAsPath recognizes paths where one name is meant.
func keyClaimAsPath(value string) string {
	if !strings.HasPrefix(value, "/") && !strings.HasPrefix(value, "$.") {
		return ""
	}
	return "key_claim takes the name of a top-level claim, not a path: write the name alone"
}
