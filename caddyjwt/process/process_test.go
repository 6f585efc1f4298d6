package process

import (
	"runtime"
	"testing"
	"weak"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

// count counts something for an issuer.
func count(s *State) { s.Metrics.Logouts("https://as.example")("ended") }

// counted is the sum of what count has counted, by a registry.
func counted(t *testing.T, registry *prometheus.Registry) (sum float64) {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != "caddy_bearer_auth_backchannel_logouts_total" {
			continue
		}
		for _, metric := range family.GetMetric() {
			sum += metric.GetCounter().GetValue()
		}
	}
	return sum
}

// Tests may run side by side, each with a state of its own.
func TestStatesShareNothing(t *testing.T) {
	one, another := New(), New()
	registries := [2]*prometheus.Registry{prometheus.NewRegistry(), prometheus.NewRegistry()}
	for i, state := range []*State{one, another} {
		for range 2 { // as the second handler of a configuration does
			if err := state.Metrics.Register(registries[i]); err != nil {
				t.Fatal(err)
			}
		}
	}
	count(one)
	if got, other := counted(t, registries[0]), counted(t, registries[1]); got != 1 || other != 0 {
		t.Errorf("counted %v and %v, want 1 and 0", got, other)
	}
	if one.Pool == another.Pool || one.Events == another.Events || one.Log == another.Log || one.Gates == another.Gates {
		t.Error("a part is shared")
	}
}

// Counters go on after a reload, which brings another registry.
func TestMetricsOutliveARegistry(t *testing.T) {
	state := New()
	for want := 1; want <= 3; want++ {
		registry := prometheus.NewRegistry()
		if err := state.Metrics.Register(registry); err != nil {
			t.Fatal(err)
		}
		count(state)
		if got := counted(t, registry); got != float64(want) {
			t.Errorf("counted %v, want %d", got, want)
		}
	}
	if err := state.Metrics.Register(nil); err != nil { // a context without a registry
		t.Error(err)
	}
}

// configuration is a new configuration, which lasts as long as the test.
func configuration(t *testing.T) Configuration {
	t.Helper()
	registry := prometheus.NewRegistry()
	t.Cleanup(func() { runtime.KeepAlive(registry) })
	return Configuration{weak.Make(registry)}
}

func TestWarningIsNewOncePerConfiguration(t *testing.T) {
	w := new(Warnings)
	field := []zap.Field{zap.String("issuer", "https://a.example")}
	first, second := configuration(t), configuration(t)
	for i, c := range []struct {
		to      Configuration
		message string
		fields  []zap.Field
		want    bool
	}{
		{first, "x", field, true},
		{first, "x", field, false},
		{first, "x", nil, true},
		{first, "y", field, true},
		{second, "x", field, true},
		{second, "x", field, false},
		{Configuration{}, "x", field, true},
		{Configuration{}, "x", field, true},
	} {
		if got := w.New(c.to, c.message, c.fields); got != c.want {
			t.Errorf("warning %d: new %v, want %v", i, got, c.want)
		}
	}
}
