package caddyjwt

import (
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddyjwt/gateway/caddyjwt/process"
)

// The last step of Provision fails. By then the handler listens to a source that another handler has, too.
func TestProvisionFailsAfterItListens(t *testing.T) {
	shared := process.New()
	handlerFor := func(issuer string) *Handler {
		h := parse(t, `{"audience":["x"],"issuers":[
			{"issuer":"`+issuer+`","keys":{"source":"jwks","url":"https://as.example/jwks"}}]}`)
		h.shared = shared
		return h
	}
	ctx, _ := newContext(t)
	good := handlerFor("https://good.example")
	if err := good.Provision(ctx); err != nil {
		t.Fatal(err)
	}
	defer good.Cleanup()
	ctx, _ = newContext(t)
	ctx.GetMetricsRegistry().MustRegister(prometheus.NewCounter(prometheus.CounterOpts{
		Name: "caddy_bearer_auth_requests_total", Help: "Of another plugin.",
	}))
	failed := handlerFor("https://failed.example")
	if err := failed.Provision(ctx); err == nil || !strings.Contains(err.Error(), "registering metrics") {
		t.Errorf("provisioned beside metrics of the same name: %v", err)
	}
	if err := failed.Cleanup(); err != nil {
		t.Error(err)
	}
	for source := range shared.Pool.Sources() {
		if got, want := shared.Events.Issuers(source), []string{"https://good.example"}; !slices.Equal(got, want) {
			t.Errorf("events go to %q, want %q", got, want)
		}
		if got := source.Issuers(); len(got) != 1 {
			t.Errorf("the source is held for %q", got)
		}
	}
}
