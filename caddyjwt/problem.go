package caddyjwt

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/problem"
	"github.com/caddyjwt/gateway/internal/setting"
)

// checkErrorFormat refuses a format that does not exist.
func (h *Handler) checkErrorFormat() error {
	if h.ErrorFormat == "" || h.ErrorFormat == "problem" {
		return nil
	}
	return setting.Errorf("ErrorFormat", "unknown error_format %q: the only one is problem; leave it out to have no body, "+
		"or to write one in handle_errors", h.ErrorFormat)
}

// writeProblem answers a refused request with problem details. The fields of the answer are already in w. Whoever reads
// the body learns no more than the challenge says.
//
// gRPC reads no body in another format. It makes a status of its own from the HTTP status, so it gets that alone.
func writeProblem(w http.ResponseWriter, r *http.Request, answer *gate.Answer) {
	if isGRPC(r.Header) {
		w.WriteHeader(answer.Status)
		return
	}
	contentType, body := problem.Of(answer.Status, answer.Code, answer.Text, answer.Scope).Body(r.Header["Accept"])
	header := w.Header()
	for _, name := range [...]string{"Content-Encoding", "Etag", "Last-Modified"} {
		header.Del(name) // handlers before the gate may have set them for another body
	}
	header.Set("Content-Type", contentType)
	header.Set("Content-Length", strconv.Itoa(len(body))) // of a HEAD request, too (RFC 9110 section 9.3.2)
	w.WriteHeader(answer.Status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // fails when the client has gone: there is nobody left to be answered
	}
}

// isGRPC reports whether a request is one of gRPC or gRPC-Web, whose types all begin with the same word.
func isGRPC(h http.Header) bool {
	const prefix = "application/grpc"
	contentType := h.Get("Content-Type")
	return len(contentType) >= len(prefix) && strings.EqualFold(contentType[:len(prefix)], prefix)
}
