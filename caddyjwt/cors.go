package caddyjwt

import (
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/bearer"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/setting"
)

// compileCORS makes the policy of the route, if it has one, and says which pages may act with a token in a cookie.
func (h *Handler) compileCORS(s *words.Settings, c *compiled) (err error) {
	if h.OriginCheck != "" && h.OriginCheck != "off" {
		return setting.Errorf("OriginCheck", "origin_check %q: the check is on unless you write off", h.OriginCheck)
	}
	c.config.AnyOrigin = h.OriginCheck == "off"
	if h.CORS == nil {
		return nil
	}
	if h.AllowPreflight {
		return setting.Errorf("AllowPreflight",
			"allow_preflight lets preflights pass to the backend, and cors answers them here: remove allow_preflight")
	}
	var headers []string
	cookies := false
	for _, place := range c.config.Extractor.Places() {
		cookies = cookies || place.Kind == bearer.Cookie
		if place.Kind == bearer.Header {
			headers = append(headers, place.Name)
		}
	}
	var exposed []string
	if c.proof.TakesDPoP() { // RFC 9449 section 7.1
		headers, exposed = append(headers, "DPoP"), []string{"DPoP-Nonce"}
	}
	if c.cors, err = h.CORS.Compile(s, headers, exposed); err != nil {
		return setting.In("CORS", err)
	}
	if cookies && !c.config.AnyOrigin {
		c.config.TrustedOrigins = c.cors.Trusted()
	}
	return nil
}

// guardWithCORS answers a genuine preflight, which no handler behind the gate sees. It sets the fields of CORS on every
// other answer, refusals and error pages included: a page must be able to read why it was refused.
func (h *Handler) guardWithCORS(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if h.gate.IsPreflight(r) {
		h.traffic().Pass(gate.Preflight)
		if denied := h.cors.Answer(w, r); denied != "" {
			addDeniedPreflight(r, denied)
		}
		return nil
	}
	marked := h.cors.Wrap(w, r)
	err := h.guard(marked, r, next)
	if err != nil {
		marked.Failed(r)
		return err
	}
	marked.Finish()
	return nil
}

// addDeniedPreflight says in the access log why a preflight was denied.
func addDeniedPreflight(r *http.Request, why string) {
	if fields, ok := r.Context().Value(caddyhttp.ExtraLogFieldsCtxKey).(*caddyhttp.ExtraLogFields); ok {
		fields.Set(zap.String("cors_denied", why))
	}
}
