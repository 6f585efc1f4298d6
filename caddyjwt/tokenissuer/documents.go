package tokenissuer

import (
	"net/http"

	"github.com/caddyjwt/gateway/caddyjwt/document"
	"github.com/caddyjwt/gateway/caddyjwt/tokenissuer/wellknown"
)

// documentAt finds the document at a path; nil for none. Each request of the site comes here.
func (i *issuer) documentAt(path string) http.HandlerFunc {
	for n, at := range i.documents {
		switch {
		case path != at:
		case n == 0:
			return i.serveKeys
		default:
			return i.serveMetadata
		}
	}
	return nil
}

// serveKeys answers with the public keys (RFC 7517 section 5).
func (i *issuer) serveKeys(w http.ResponseWriter, r *http.Request) {
	running := i.running.Load()
	if running == nil {
		notYet(w)
		return
	}
	document.New(running.ring.JWKS()).Serve(w, r)
}

// notYet answers that the issuer has not started.
func notYet(w http.ResponseWriter) {
	w.Header().Set("Retry-After", "1")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusServiceUnavailable)
}

// serveMetadata answers with the metadata. Before the start nobody knows the grants, and caches would keep their lack.
func (i *issuer) serveMetadata(w http.ResponseWriter, r *http.Request) {
	running := i.running.Load()
	if running == nil {
		notYet(w)
		return
	}
	about := wellknown.Issuer{
		Name: i.name, Token: i.oauth.Token, Introspection: i.oauth.Introspection, Revocation: i.oauth.Revocation,
		Algorithm: i.algorithm, Grants: running.oauth.Grants(),
	}
	text, err := about.Metadata()
	if err != nil { // texts alone
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	document.New(text).Serve(w, r)
}
