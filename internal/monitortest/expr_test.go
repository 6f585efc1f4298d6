package monitortest_test

import (
	"reflect"
	"testing"

	"github.com/caddyjwt/gateway/internal/monitortest"
)

func TestNamesOfAnExpression(t *testing.T) {
	tests := map[string]struct{ metrics, labels []string }{
		`up{job="caddy"} == 1 unless on (job, instance) b_total`: {[]string{"b_total", "up"}, []string{"instance", "job"}},
		`time() - a_seconds > 12 * 3600`:                         {[]string{"a_seconds"}, nil},
		`histogram_quantile(0.9, sum by (le, gate) (rate(a_bucket{server=~"$server",x!="by (y)"}[$__rate_interval])))`: {
			[]string{"a_bucket"}, []string{"gate", "le", "server", "x"},
		},
		"sum(rate(a:b[5m])) without (x)\n < 1e-9 * sum(c)": {[]string{"a:b", "c"}, []string{"x"}},
	}
	for expr, want := range tests {
		metrics, labels := monitortest.Names(expr)
		if !reflect.DeepEqual(metrics, want.metrics) || !reflect.DeepEqual(labels, want.labels) {
			t.Errorf("%s\nhas metrics %q and labels %q, want %q and %q", expr, metrics, labels, want.metrics, want.labels)
		}
	}
}

func TestVariablesAreSubstituted(t *testing.T) {
	const text = `a{gate=~"$gate",x=~"${gate}"}[$__range] $gateway`
	if got, want := monitortest.Variables(text), []string{"__range", "gate", "gateway"}; !reflect.DeepEqual(got, want) {
		t.Errorf("variables %q, want %q", got, want)
	}
	values := map[string]string{"gate": ".*", "__range": "5m"}
	if got, want := monitortest.Substitute(text, values), `a{gate=~".*",x=~".*"}[5m] $gateway`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
