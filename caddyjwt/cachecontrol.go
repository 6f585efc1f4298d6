package caddyjwt

import (
	"net/http"
	"strings"

	"github.com/caddyjwt/gateway/internal/bearer"
)

// keepPrivate keeps shared caches from storing an answer to a request whose token was not in Authorization. For that
// header RFC 9111 section 3.5 does so; for other places nothing does (RFC 6750 section 2.3).
func keepPrivate(h http.Header) {
	bearer.DropTargetedCacheControl(h)
	h["Cache-Control"] = []string{private(h["Cache-Control"])}
}

// giveNonce adds the nonce for the next DPoP proof to an answer (RFC 9449 section 8.2). No cache may store it: the
// nonce is good only for a while.
func giveNonce(h http.Header, nonce string) {
	if nonce == "" { // the old one is still good
		return
	}
	bearer.DropTargetedCacheControl(h)
	h["Cache-Control"] = []string{"no-store"}
	h["Dpop-Nonce"] = []string{nonce}
}

// private is a Cache-Control without what would let a shared cache store the answer, and with "private" or "no-store".
func private(fields []string) string {
	kept := []string{"private"}
	for _, field := range fields {
		for directive := range strings.SplitSeq(field, ",") {
			directive = strings.TrimSpace(directive)
			name, _, _ := strings.Cut(strings.ToLower(directive), "=")
			switch name {
			case "", "public", "s-maxage", "private":
			case "no-store":
				return "no-store"
			default:
				kept = append(kept, directive)
			}
		}
	}
	return strings.Join(kept, ", ")
}
