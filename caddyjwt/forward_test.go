package caddyjwt_test

import (
	"fmt"
	"strings"
	"testing"
)

// In a block of forward_claims, a mistake has the line of its header.
func TestMistakesInABlockOfForwardClaims(t *testing.T) {
	for name, test := range map[string]struct {
		lines string
		want  string
		line  int
	}{
		"claim before header": {"forward_claims {\nX-Email email\nsub X-User\n}",
			`did you mean "X-User sub"? (for a header named "sub", write "Sub")`, 7},
		"a header without a claim": {"forward_claims {\nX-User\n}", "expected: forward_claims <Header> <path> [", 6},
		"a header given twice":     {"forward_claims {\nX-A sub\nX-B sub\nX-A email\n}", "already taken", 8},
		"the same, in two blocks": {"forward_claims {\nX-A sub\nX-B sub\n}\nforward_claims {\nX-A email\n}",
			"already taken", 10},
		"a bad path":        {"forward_claims {\nX-A sub\nX-B a..b\n}", `invalid path "a..b"`, 7},
		"the first is bad":  {"forward_claims {\nX-B a..b\n}", `invalid path "a..b"`, 6},
		"a comma":           {"forward_claims {\nX-User sub,email\n}", "not by commas: sub email", 6},
		"an empty block":    {"forward_claims X-User sub\nforward_claims {\n}", "expected: forward_claims", 7},
		"a line with a }":   {"forward_claims {\nX-User sub }\n}", "the closing } have a line of their own", 6},
		"a block in a line": {"forward_claims {\nX-User sub {\na b\n}\n}", "takes no block", 6},
		"a block after a claim on the same line": {"forward_claims X-User sub {\nX-Email email\n}",
			"stand on its line or in its block, not in both", 6},
	} {
		got := adapted(t, inGate(test.lines))
		if !strings.Contains(got, test.want) || !strings.HasSuffix(got, fmt.Sprintf(", at Caddyfile:%d\n", test.line)) {
			t.Errorf("%s: no %q of line %d in %s", name, test.want, test.line, got)
		}
	}
}
