package caddyjwt

import (
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddyjwt/gateway/caddyjwt/verdict"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/problem"
)

// refuse sets the answer's headers and returns an error to Caddy, so that handle_errors can write the page. The error
// has no stack trace: it would always name this line, and cost as much as all the rest. With ErrorFormat, refuse writes
// the whole answer, and Caddy sees no error.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, err error) error {
	failure := gate.FailureOf(err)
	answer := h.gate.Answer(failure)
	answer.WriteTo(w.Header())
	refused := &verdict.Refusal{Failure: failure, Text: answer.Text, Code: answer.Code}
	h.reportRefusal(r, refused, answer.Status)
	if h.ErrorFormat != "" {
		details := problem.Of(answer.Status, answer.Code, answer.Text, answer.Scope)
		details.ResourceMetadata = answer.ResourceMetadata
		details.ACRValues, details.MaxAge = answer.ACRValues, int64(answer.MaxAge/time.Second)
		details.Write(w, r)
		return nil
	}
	if answer.Status >= http.StatusInternalServerError && failure.Reason != gate.InternalError && !hasErrorRoutes(r) {
		// Caddy would log an error for each request. Strangers can cause KeyPending at will, and of the others the reporter
		// has written as much as operators need.
		w.WriteHeader(answer.Status)
		return nil
	}
	return caddyhttp.HandlerError{Err: refused, StatusCode: answer.Status, ID: errorID()}
}

// hasErrorRoutes reports whether an error route may want to write the page of a refusal.
func hasErrorRoutes(r *http.Request) bool {
	server, known := r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	return !known || server.Errors != nil && len(server.Errors.Routes) > 0
}

// errorID makes the {err.id} of an error in Caddy's form: nine of these letters and digits. It only tells log lines
// apart, so it needs no strong randomness.
func errorID() string {
	const alphabet = "abcdefghijkmnpqrstuvwxyz23456789"
	random := rand.Uint64()
	var id [9]byte
	for i := range id {
		id[i] = alphabet[random%uint64(len(alphabet))]
		random /= uint64(len(alphabet))
	}
	return string(id[:])
}
