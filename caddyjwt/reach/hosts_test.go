package reach_test

import (
	"slices"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig"

	"github.com/caddyjwt/gateway/caddyjwt/reach"
)

// The hosts of a handler are those of the matchers around it, wherever it is.
func TestHosts(t *testing.T) {
	for name, c := range map[string]struct {
		caddyfile string
		want      []string
	}{
		"a site": {"http://a.test, http://b.test {\ndocument\n}\nhttp://c.test {\nrespond x\n}",
			[]string{"a.test", "b.test"}},
		"every host": {"http:// {\ndocument\n}", []string{"any.invalid"}},
		"a wildcard": {"http://*.a.test {\ndocument\n}", []string{"any.a.test"}},
		"a matcher": {"http:// {\n@x host x.test {env.HOME}\nhandle @x {\nroute {\ndocument\n}\n}\n}",
			[]string{"x.test"}},
		"a named route":     {"&(way) {\ndocument\n}\nhttp://a.test {\ninvoke way\n}", []string{"a.test"}},
		"a route that ends": {"http://a.test {\nrespond x\n}", nil},
	} {
		t.Run(name, func(t *testing.T) {
			config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt(
				[]byte("{\nadmin off\npersist_config off\n}\n"+c.caddyfile), nil)
			if err != nil {
				t.Fatal(err)
			}
			read, err := reach.Read(config)
			if err != nil {
				t.Fatal(err)
			}
			for _, servers := range [][]reach.Server{read, provisioned(t, config)} {
				var got []string
				for _, server := range servers {
					got = append(got, server.Hosts(named("document"))...)
				}
				if !slices.Equal(got, c.want) {
					t.Errorf("%v, want %v", got, c.want)
				}
			}
		})
	}
}
