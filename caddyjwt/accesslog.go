package caddyjwt

import (
	"net"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddyjwt/gateway/internal/gate"
)

// The fields of refusals in Caddy's access log. The name of an issuer is the configured one, never the token's text.
const (
	reasonField = "auth_reason"
	issuerField = "auth_issuer"
)

// tellRefused tells of a refusal: to error routes, to the access log, to metrics and to our own log.
func (h *Handler) tellRefused(r *http.Request, told *refusal, status int) {
	failure := told.failure
	publish(r, told)
	logged := hasAccessLog(r)
	if logged {
		addToAccessLog(r, failure)
	}
	h.shared.Metrics.Refuse(failure.Reason)
	h.log.refused(failure, status, logged)
}

// hasAccessLog reports whether the site that the request is for has an access log. Caddy's server keeps this rule to
// itself (caddyhttp.Server.shouldLogRequest).
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
		return host // SplitHostPort would make an error for it
	}
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return strings.Trim(host, "[]")
}

// matchesHost reports whether a host has a name in which the first labels may be "*". It does for the access log what
// Caddy does there (certmagic.MatchWildcard), and leaves nothing on the heap.
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

// addToAccessLog adds the reason to what the access log will have of this request, unless it is to be left out there
// ("log_skip"). When several gates refuse it, one of them in an error route, the last one has the say. A gate that lets
// a request pass adds nothing: each field costs more on the heap than the gate itself.
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
	issuer := zap.String(issuerField, failure.Issuer)
	if failure.Issuer == "" {
		issuer = zap.Field{Key: issuerField, Type: zapcore.SkipType} // in place of another gate's
	}
	fields.Set(issuer)
	if failure.Reason == gate.KeyPending {
		notAsError(r)
	}
}

// notAsError keeps the line of a request from being one of level error, as Caddy writes those of all 5xx: strangers can
// cause it at will. A level that the operator has set stays.
func notAsError(r *http.Request) {
	if ctx := r.Context(); caddyhttp.GetVar(ctx, caddyhttp.LogLevelVar) == nil {
		caddyhttp.SetVar(ctx, caddyhttp.LogLevelVar, zapcore.InfoLevel.String())
	}
}
