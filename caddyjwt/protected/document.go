package protected

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"time"
)

// document is the answer to requests for the metadata of one resource.
type document struct {
	body []byte
	etag string
}

func newDocument(body []byte) *document {
	sum := sha256.Sum256(body)
	return &document{body: body, etag: `"` + hex.EncodeToString(sum[:16]) + `"`}
}

const (
	// maxAge is how long caches keep the metadata (RFC 9728 section 7.10). It is short: after a reload, clients should
	// soon see what has changed.
	maxAge = "300"

	// allowed are the methods that the metadata has.
	allowed = "GET, HEAD, OPTIONS"
)

// serve answers a request. The answer is the same for everybody, so every page may read it, but without credentials:
// see the CORS protocol of the Fetch standard.
func (d *document) serve(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Access-Control-Allow-Origin", "*")
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		header.Set("Content-Type", "application/json")
		header.Set("Cache-Control", "public, max-age="+maxAge)
		header.Set("Etag", d.etag)
		header.Set("X-Content-Type-Options", "nosniff")
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(d.body))
	case http.MethodOptions:
		header.Set("Allow", allowed)
		header.Set("Access-Control-Allow-Methods", "GET, HEAD")
		header.Set("Access-Control-Allow-Headers", "*")
		header.Set("Access-Control-Max-Age", maxAge)
		w.WriteHeader(http.StatusNoContent)
	default:
		header.Set("Allow", allowed)
		header.Set("Cache-Control", "no-store")
		w.WriteHeader(http.StatusMethodNotAllowed)
	}
}
