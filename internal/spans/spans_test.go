package spans_test

import (
	"context"
	"fmt"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/caddyjwt/gateway/internal/spans"
)

func TestASpanIsBelowThatOfTheRequest(t *testing.T) {
	recorder := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder))
	ctx, request := provider.Tracer("server").Start(t.Context(), "request")
	about := spans.Begin(spans.About(ctx, "https://as.example"), spans.Keys)
	if !about.Shown() {
		t.Error("it is not shown")
	}
	about.End("fetched")
	spans.Begin(ctx, spans.Introspection).End("active")
	request.End()
	want := []string{
		"bearer_auth keys [{bearer_auth.issuer https://as.example} {bearer_auth.result fetched}]",
		"bearer_auth introspection [{bearer_auth.result active}]",
		"request []",
	}
	for i, span := range recorder.Ended() {
		var attributes []string
		for _, a := range span.Attributes() {
			attributes = append(attributes, fmt.Sprintf("{%s %s}", a.Key, a.Value.AsString()))
		}
		if got := fmt.Sprint(span.Name(), " ", attributes); i >= len(want) || got != want[i] {
			t.Errorf("span %d: %s", i, got)
		}
		if below := span.Parent().SpanID() == request.SpanContext().SpanID(); below != (span.Name() != "request") {
			t.Errorf("%s: below the span of the request: %v", span.Name(), below)
		}
	}
	if n := len(recorder.Ended()); n != len(want) {
		t.Errorf("%d spans, want %d", n, len(want))
	}
}

// Requests without a trace, and those whose traces are not recorded, pay nothing.
func TestWithoutATraceNothingIsMade(t *testing.T) {
	sampledOut := sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.NeverSample()))
	unrecorded, _ := sampledOut.Tracer("server").Start(t.Context(), "request")
	for name, ctx := range map[string]context.Context{"no trace": t.Context(), "one that is not recorded": unrecorded} {
		if n := testing.AllocsPerRun(100, func() {
			about := spans.About(ctx, "https://as.example")
			span := spans.Begin(about, spans.Keys)
			if span.Shown() || about != ctx {
				t.Error("it is shown")
			}
			span.End("fetched")
		}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
