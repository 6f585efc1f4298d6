package problem

import (
	"net/http"
	"strconv"
	"strings"
)

// Write answers a request with the problem. Whatever fields are in w already stay, except those about another body.
//
// gRPC reads no body in another format. It derives a status of its own from the HTTP status, so it gets that alone.
func (d Details) Write(w http.ResponseWriter, r *http.Request) {
	if isGRPC(r.Header) {
		w.WriteHeader(d.Status)
		return
	}
	contentType, body := d.Body(r.Header["Accept"])
	header := w.Header()
	for _, name := range [...]string{"Content-Encoding", "Etag", "Last-Modified"} {
		header.Del(name) // handlers before the gate may have set them for another body
	}
	header.Set("Content-Type", contentType)
	header.Set("Content-Length", strconv.Itoa(len(body))) // of a HEAD request, too (RFC 9110 section 9.3.2)
	w.WriteHeader(d.Status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // fails when the client has gone: nobody is left to be answered
	}
}

// isGRPC reports whether a request is one of gRPC or gRPC-Web, whose types all begin with the same word.
func isGRPC(h http.Header) bool {
	const prefix = "application/grpc"
	contentType := h.Get("Content-Type")
	return len(contentType) >= len(prefix) && strings.EqualFold(contentType[:len(prefix)], prefix)
}
