package caddyjwt

import (
	"context"
	"net/http"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// Like Caddy's server, the gate decides by host, and some hosts may be skipped.
func TestWhichSiteHasAnAccessLog(t *testing.T) {
	type logs = caddyhttp.ServerLogConfig
	named := func(hosts ...string) map[string]caddyhttp.StringArray {
		names := make(map[string]caddyhttp.StringArray)
		for _, host := range hosts {
			names[host] = caddyhttp.StringArray{"log0"}
		}
		return names
	}
	for _, test := range []struct {
		name string
		logs *logs
		host string
		want bool
	}{
		{"no log", nil, "a.test", false},
		{"a log of everything", &logs{}, "a.test", true},
		{"a log of this host", &logs{LoggerNames: named("a.test"), SkipUnmappedHosts: true}, "a.test", true},
		{"a log of this host, with its port", &logs{LoggerNames: named("a.test"), SkipUnmappedHosts: true}, "a.test:8443",
			true},
		{"a log of this host, in capitals", &logs{LoggerNames: named("a.test"), SkipUnmappedHosts: true}, "A.Test", true},
		{"a log of another host", &logs{LoggerNames: named("b.test"), SkipUnmappedHosts: true}, "a.test", false},
		{"a log of another host, and of the rest", &logs{LoggerNames: named("b.test")}, "a.test", true},
		{"this host is left out", &logs{SkipHosts: []string{"a.test"}}, "a.test", false},
		{"another host is left out", &logs{SkipHosts: []string{"b.test"}}, "a.test", true},
		{"a log beats being left out", &logs{LoggerNames: named("*.test"), SkipHosts: []string{"a.test"}}, "a.test", true},
		{"one label for a wildcard", &logs{LoggerNames: named("*.test"), SkipUnmappedHosts: true}, "a.test", true},
		{"two labels for one wildcard", &logs{LoggerNames: named("*.test"), SkipUnmappedHosts: true}, "b.a.test", false},
		{"two wildcards", &logs{LoggerNames: named("*.*.test"), SkipUnmappedHosts: true}, "b.a.test", true},
		{"wildcards only", &logs{LoggerNames: named("*.*"), SkipUnmappedHosts: true}, "a.test", true},
		{"a wildcard that is not in front", &logs{LoggerNames: named("a.*.test"), SkipUnmappedHosts: true}, "a.b.test",
			false},
		{"the name itself is no match for its wildcard", &logs{LoggerNames: named("*.test"), SkipUnmappedHosts: true}, "test",
			false},
		{"an IPv6 address", &logs{LoggerNames: named("::1"), SkipUnmappedHosts: true}, "[::1]:8080", true},
		{"an IPv6 address without a port", &logs{LoggerNames: named("::1"), SkipUnmappedHosts: true}, "[::1]", true},
	} {
		server := &caddyhttp.Server{Logs: test.logs}
		r := &http.Request{Host: test.host}
		r = r.WithContext(context.WithValue(t.Context(), caddyhttp.ServerCtxKey, server))
		if got := hasAccessLog(r); got != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
	}
	if hasAccessLog(new(http.Request)) {
		t.Error("a request without a server has an access log")
	}
}
