// Package document serves small documents that are the same for everybody, such as metadata and public keys.
package document

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"time"
)

// Document is the answer to requests for one document in JSON.
type Document struct {
	// Body is the JSON. It must not be changed.
	Body []byte
	etag string
}

// New makes a document.
func New(body []byte) *Document {
	sum := sha256.Sum256(body)
	return &Document{Body: body, etag: `"` + hex.EncodeToString(sum[:16]) + `"`}
}

const (
	// MaxAge is how long caches keep it, in seconds (RFC 9728 section 7.10). It is short: after a reload, clients should
	// soon see what has changed.
	MaxAge = "300"

	// allowed are the methods that a document has.
	allowed = "GET, HEAD, OPTIONS"
)

// Serve answers a request. The answer is the same for everybody, so every page may read it, but without credentials:
// see the CORS protocol of the Fetch standard.
func (d *Document) Serve(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Access-Control-Allow-Origin", "*")
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		header.Set("Content-Type", "application/json")
		header.Set("Cache-Control", "public, max-age="+MaxAge)
		header.Set("Etag", d.etag)
		header.Set("X-Content-Type-Options", "nosniff")
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(d.Body))
	case http.MethodOptions:
		header.Set("Allow", allowed)
		header.Set("Access-Control-Allow-Methods", "GET, HEAD")
		header.Set("Access-Control-Allow-Headers", "*")
		header.Set("Access-Control-Max-Age", MaxAge)
		w.WriteHeader(http.StatusNoContent)
	default:
		header.Set("Allow", allowed)
		header.Set("Cache-Control", "no-store")
		w.WriteHeader(http.StatusMethodNotAllowed)
	}
}
