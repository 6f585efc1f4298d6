package mcp

import (
	"strings"

	"github.com/caddyjwt/gateway/internal/causes"
)

// longestName is how long the name of a tool should be at most (MCP 2025-11-25, Tools, "Tool Names").
const longestName = 128

// isPlain reports whether a name has only the characters that names of tools should have (MCP 2025-11-25, Tools, "Tool
// Names"), and a good length.
func isPlain(name string) bool {
	for i := range len(name) {
		if c := name[i]; !isAlphanumeric(c) && c != '_' && c != '-' && c != '.' {
			return false
		}
	}
	return name != "" && len(name) <= longestName
}

// checkMethod refuses methods that no server can have, and those that some server could take for tools/call.
func checkMethod(method string) error {
	if !isMethod(method) {
		return malformed("the method %s has characters that no method has, or is too long", causes.Quote(method))
	}
	if method != callTool && alike(method, callTool) {
		return malformed("the method %s could be taken for %q", causes.Quote(method), callTool)
	}
	return nil
}

func isMethod(method string) bool {
	for i := range len(method) {
		if c := method[i]; !isAlphanumeric(c) && strings.IndexByte("/_-.:$", c) < 0 {
			return false
		}
	}
	return method != "" && len(method) <= longestName
}

func isGraphic(name string) bool {
	for i := range len(name) {
		if name[i] <= ' ' || name[i] > '~' {
			return false
		}
	}
	return true
}

func isAlphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// alike reports whether a lenient reader could take one name for the other: in another letter case, with other
// characters between the words, or with none.
func alike(a, b string) bool { return fold(a) == fold(b) }

// fold is a name without what lenient readers ignore. Of ASCII, the letters in lower case and the digits are left.
func fold(name string) string {
	folded := make([]byte, 0, len(name))
	for i := range len(name) {
		switch c := name[i]; {
		case 'A' <= c && c <= 'Z':
			folded = append(folded, c+('a'-'A'))
		case isAlphanumeric(c), c >= 0x80:
			folded = append(folded, c)
		}
	}
	return string(folded)
}
