package caddyjwt

import (
	"net"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddyjwt/gateway/caddyjwt/verdict"
	"github.com/caddyjwt/gateway/internal/causes"
	"github.com/caddyjwt/gateway/internal/gate"
)

// The fields of refusals in Caddy's access log. The name of an issuer is the configured one, never the token's text.
// Only the cause may repeat texts of the token, cut and quoted.
const (
	reasonField = "auth_reason"
	issuerField = "auth_issuer"
	causeField  = "auth_cause"
)

// reportPass reports to placeholders, matchers and metrics that a request passes.
func (h *Handler) reportPass(r *http.Request, passed gate.Verdict) {
	h.traffic().Pass(passed.Outcome)
	verdict.Pass(r, passed.Identity, h.gate.Scopes())
	if h.ExposeToken && passed.Outcome == gate.Accepted {
		verdict.Expose(r, passed.Token)
	}
}

// reportRefusal reports a refusal to error routes, the access log, metrics and our own log.
func (h *Handler) reportRefusal(r *http.Request, refused *verdict.Refusal, status int) {
	failure := refused.Failure
	verdict.Refuse(r, refused)
	logged := hasAccessLog(r)
	if logged {
		addToAccessLog(r, failure)
	}
	h.traffic().Refuse(failure.Reason)
	h.log.refused(failure, status, logged)
}

// hasAccessLog reports whether the request's site has an access log. Caddy does not export this rule
// (caddyhttp.Server.shouldLogRequest).
func hasAccessLog(r *http.Request) bool {
	server, ok := r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !ok || server == nil || server.Logs == nil {
		return false
	}
	host := withoutPort(r.Host)
	if _, mapped := server.Logs.LoggerNames[host]; mapped {
		return true
	}
	for name := range server.Logs.LoggerNames {
		if matchesHost(host, name) {
			return true
		}
	}
	for _, name := range server.Logs.SkipHosts {
		if matchesHost(host, name) {
			return false
		}
	}
	return !server.Logs.SkipUnmappedHosts
}

func withoutPort(host string) string {
	if !strings.Contains(host, ":") {
		return host // SplitHostPort would allocate an error
	}
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return strings.Trim(host, "[]")
}

// matchesHost reports whether a host matches a name in which the first labels may be "*". It follows Caddy's rule for
// the access log (certmagic.MatchWildcard), but does not allocate.
func matchesHost(host, name string) bool {
	for !strings.EqualFold(host, name) {
		_, host2, more := strings.Cut(host, ".")
		star, name2, more2 := strings.Cut(name, ".")
		if star != "*" || more != more2 {
			return false
		}
		host, name = host2, name2
	}
	return true
}

// addToAccessLog adds the reason to the request's line in the access log, unless the request is left out there
// ("log_skip"). If several gates refuse it, one of them in an error route, the last one counts. A gate that lets a
// request pass adds nothing: each field would allocate more than the gate itself.
func addToAccessLog(r *http.Request, failure *gate.Failure) {
	ctx := r.Context()
	if skip, _ := caddyhttp.GetVar(ctx, caddyhttp.LogSkipVar).(bool); skip {
		return
	}
	fields, ok := ctx.Value(caddyhttp.ExtraLogFieldsCtxKey).(*caddyhttp.ExtraLogFields)
	if !ok {
		return
	}
	fields.Set(zap.String(reasonField, string(failure.Reason)))
	fields.Set(textOrNone(issuerField, failure.Issuer))
	fields.Set(textOrNone(causeField, causes.Line(failure.Cause)))
	if failure.Reason == gate.KeyPending {
		notAsError(r)
	}
}

// textOrNone is a field, or nothing in place of another gate's field.
func textOrNone(name, text string) zap.Field {
	if text == "" {
		return zap.Field{Key: name, Type: zapcore.SkipType}
	}
	return zap.String(name, text)
}

// notAsError lowers the level of a request's line from error, which Caddy uses for every 5xx: strangers can cause this
// one at will. A level that the operator has set stays.
func notAsError(r *http.Request) {
	if ctx := r.Context(); caddyhttp.GetVar(ctx, caddyhttp.LogLevelVar) == nil {
		caddyhttp.SetVar(ctx, caddyhttp.LogLevelVar, zapcore.InfoLevel.String())
	}
}
