package integration

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// waits are the waits of requests in what a collector has got, each as its name, issuer and result, and how many spans
// of requests there are. A wait must be below the span of a request.
func waits(t *testing.T, got string) (all []string, requests int) {
	t.Helper()
	traces := new(collector.ExportTraceServiceRequest) // messages one after the other are one message
	if err := proto.Unmarshal([]byte(got), traces); err != nil {
		t.Fatal(err)
	}
	ids, parents := make(map[string]bool), make(map[string]string)
	for _, resource := range traces.GetResourceSpans() {
		for _, scope := range resource.GetScopeSpans() {
			for _, span := range scope.GetSpans() {
				if span.GetName() == "request" {
					ids[string(span.GetSpanId())] = true
					continue
				}
				text := span.GetName()
				for _, attribute := range span.GetAttributes() {
					text += fmt.Sprintf(" %s=%s", attribute.GetKey(), attribute.GetValue().GetStringValue())
				}
				all = append(all, text)
				parents[text] = string(span.GetParentSpanId())
			}
		}
	}
	for wait, parent := range parents {
		if !ids[parent] {
			t.Errorf("%s is not below a request", wait)
		}
	}
	return all, len(ids)
}

// A trace shows what a request has waited for, with nothing of its token, and nothing of the trace goes to the server.
// What comes from a cache, or is verified with keys that are there, makes no span.
func TestTracesShowWhatRequestsWaitFor(t *testing.T) {
	got := collectTraces(t)
	key := tokentest.NewKey(t, "ES256", "traced")
	as := introspector(t, tokentest.WithKeys(key))
	var mu sync.Mutex
	var headers []http.Header
	as.HandleJWKS(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		headers = append(headers, r.Header.Clone())
		_, _ = w.Write([]byte(tokentest.JWKS(key)))
	})
	as.Introspect(verdict)
	s := start(t, "tracing {\n\t\tspan request\n\t}\n\t"+gateForAudience(introspecting(as, "opaque")))
	s.drain()

	sent := 0
	send := func(token string) { s.get("/", token); sent++ }
	for _, token := range []string{
		key.Sign(t, issuedBy(as.URL, "sub", "zoe")), key.Sign(t, issuedBy(as.URL)),
		liveToken + "1", liveToken + "1", revokedToken + "1", "", "neither good nor bad",
	} {
		send(token)
	}
	for _, request := range s.upstream.take() {
		if request.Header.Get("Traceparent") == "" {
			t.Error("Caddy has traced nothing")
		}
	}
	as.Down()
	send(liveToken + "2")
	send(key.WithKID("unheard-of").Sign(t, issuedBy(as.URL)))

	issuer := " bearer_auth.issuer=" + as.URL + " bearer_auth.result="
	want := []string{
		"bearer_auth introspection" + issuer + "active", "bearer_auth introspection" + issuer + "inactive",
		"bearer_auth introspection" + issuer + "unavailable",
		"bearer_auth keys" + issuer + "failed", "bearer_auth keys" + issuer + "fetched",
	}
	eventually(t, "the collector gets the spans", func() bool {
		_, requests := waits(t, got()) // that of a request ends after its waits
		return requests >= sent
	})
	all, _ := waits(t, got())
	slices.Sort(all)
	if !slices.Equal(all, want) {
		t.Errorf("waits\n%s\nwant\n%s", strings.Join(all, "\n"), strings.Join(want, "\n"))
	}
	for _, secret := range []string{liveToken, revokedToken, gatewaySecret, "zoe", "unheard-of", "neither good"} {
		if strings.Contains(got(), secret) {
			t.Errorf("the traces have %q", secret)
		}
	}
	for _, question := range as.IntrospectionRequests() {
		headers = append(headers, question.Header)
	}
	if len(headers) < 3 {
		t.Errorf("the server has got %d requests", len(headers))
	}
	for _, header := range headers {
		for _, name := range []string{"Traceparent", "Tracestate", "Baggage"} {
			if value := header.Get(name); value != "" {
				t.Errorf("the server has got %s: %s", name, value)
			}
		}
	}
}
