// Package spans shows in a trace of OpenTelemetry what a request waits for. It sends nothing to a server that the gate
// asks: an authorization server need not learn which of its answers belong together.
//
// Attributes are words of ours and names from the configuration. When the context has no span that is recorded, nothing
// is allocated.
package spans

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
)

// The names of spans.
const (
	Keys          = "bearer_auth keys"          // a request waits for a fetch of keys
	Introspection = "bearer_auth introspection" // a request waits for the answer about its token
)

const scope = "github.com/caddyjwt/gateway"

type issuerKey struct{}

// About says which issuer the spans below a context are about, as configured.
func About(ctx context.Context, issuer string) context.Context {
	if !trace.SpanFromContext(ctx).IsRecording() {
		return ctx
	}
	return context.WithValue(ctx, issuerKey{}, issuer)
}

// Span is a wait of one request. The zero value shows nothing.
type Span struct{ span trace.Span }

// Begin begins a wait below the span in a context. If that one is not recorded, it shows nothing.
func Begin(ctx context.Context, name string) Span {
	parent := trace.SpanFromContext(ctx)
	if !parent.IsRecording() {
		return Span{}
	}
	_, span := parent.TracerProvider().Tracer(scope).Start(ctx, name)
	if issuer, known := ctx.Value(issuerKey{}).(string); known {
		span.SetAttributes(attribute.String("bearer_auth.issuer", issuer))
	}
	return Span{span}
}

// End ends the wait. The result is one of a few words.
func (s Span) End(result string) {
	if s.span == nil {
		return
	}
	s.span.SetAttributes(attribute.String("bearer_auth.result", result))
	s.span.End()
}

// Shown reports whether the wait is shown.
func (s Span) Shown() bool { return s.span != nil }
