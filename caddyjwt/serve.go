package caddyjwt

import (
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddyjwt/gateway/caddyjwt/bodies"
	"github.com/caddyjwt/gateway/caddyjwt/onheader"
	"github.com/caddyjwt/gateway/internal/bearer"
	"github.com/caddyjwt/gateway/internal/gate"
)

// ServeHTTP lets the request through or refuses it. Either way the request loses the token and the identity that the
// client claimed: an error route may have a backend, too.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if h.cors != nil {
		return h.guardWithCORS(w, r, next)
	}
	return h.guard(w, r, next)
}

func (h *Handler) guard(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	began := time.Now()
	verdict, err := h.decide(w, r)
	hasBody := r.ContentLength != 0
	read := hasBody && bearer.HasRead(r) // strip wraps the body, so ask now
	if !read {                           // otherwise the client decides how long it takes
		h.traffic().Decide(time.Since(began))
	}
	offer := h.subprotocols.Offer(r) // strip removes what it has
	h.strip(r, verdict)
	if err == nil && !verdict.Passes() {
		err = gate.InternalError
	}
	if h.messages != nil {
		err = h.messages.Settle(w, r, h.gate, verdict, err)
	}
	if err == nil && verdict.Identity != nil {
		err = h.gate.Annotate(r, verdict.Identity)
	}
	if err != nil {
		if hasBody && !read && !bearer.HasRead(r) {
			bodies.Limit(w, bodies.RefusedTimeout)
		}
		bodies.EndTrailers(w, r)
		return h.refuse(w, r, h.gate.Refuse(r.Context(), verdict, err))
	}
	h.reportPass(r, verdict)
	if offer != nil {
		w = onheader.WrapWithStatus(w, offer.Answer)
	}
	if err := h.serve(w, r, next, verdict); err != nil {
		bodies.EndTrailers(w, r)
		return h.afterExpiry(w, r, err, verdict)
	}
	return nil
}

// serve lets the request through.
func (h *Handler) serve(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler, verdict gate.Verdict) error {
	if verdict.Outcome != gate.Accepted {
		return next.ServeHTTP(w, r)
	}
	if verdict.InAuthorization && !verdict.StaleNonce {
		return h.ending.Serve(w, r, next, h.lifeOf(verdict))
	}
	mark := keepPrivate
	if verdict.StaleNonce {
		nonce := h.gate.NewNonce(r.Context())
		mark = func(header http.Header) { giveNonce(header, nonce) }
	}
	marked := onheader.Wrap(w, mark)
	err := h.ending.Serve(marked, r, next, h.lifeOf(verdict))
	marked.Finish()
	return err
}

// decide asks the gate. If the gate has to read a form, the client gets a deadline: nothing else would end a read from
// a client that has fallen silent. The deadline must be gone once the body has been read: from then on the server
// watches the connection, and would take the deadline for the client hanging up.
func (h *Handler) decide(w http.ResponseWriter, r *http.Request) (gate.Verdict, error) {
	if !h.gate.ReadsBody(r) {
		return h.ask(r)
	}
	bodies.Limit(w, bodies.FormTimeout)
	verdict, err := h.ask(r)
	if err == nil || bearer.HasRead(r) {
		bodies.Limit(w, 0)
	}
	return verdict, err
}
