package bearer

import (
	"net/http"
	"strings"
)

// DropTargetedCacheControl removes the fields that some shared caches obey instead of Cache-Control: those of RFC 9213,
// such as CDN-Cache-Control, and the older Surrogate-Control. With one of them in the answer, such a cache would ignore
// the gate's Cache-Control (RFC 9213 section 2.2).
func DropTargetedCacheControl(h http.Header) {
	const targeted = "-Cache-Control"
	for name := range h {
		if n := len(name) - len(targeted); n > 0 && strings.EqualFold(name[n:], targeted) ||
			strings.EqualFold(name, "Surrogate-Control") {
			delete(h, name)
		}
	}
}
