package integration

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// sites is a whole Caddyfile with these sites, and lines before them: snippets, or named routes.
func (s *site) sites(sites ...string) string {
	s.t.Helper()
	whole := s.caddyfile("")
	before, rest, found := strings.Cut(whole, "http://gate.test {")
	_, written, ends := strings.Cut(rest, "http://written.test {")
	if !found || !ends {
		s.t.Fatal("the Caddyfile of the kit has changed")
	}
	return before + strings.Join(sites, "\n") + "\nhttp://written.test {" + written
}

// siteOf is a site for some hosts, with these lines and the upstream behind them.
func (s *site) siteOf(hosts string, lines ...string) string {
	return fmt.Sprintf("%s {\n\tbind unix/%s\n\tlog\n\t%s\n\treverse_proxy %s\n}", hosts, s.socket,
		strings.Join(lines, "\n\t"), s.upstream.addr())
}

// at sends a GET without a token to a host.
func (s *site) at(host, path string, header ...string) answer {
	s.t.Helper()
	r := s.request(http.MethodGet, path, nil, header...)
	r.Host = host
	return s.do(r)
}

// resourceAt is the resource whose metadata is at a path of a host; "" if the answer is something else.
func (s *site) resourceAt(host, path string) string {
	s.t.Helper()
	a := s.at(host, path)
	var document struct{ Resource string }
	if a.StatusCode != http.StatusOK || a.Header.Get("Content-Type") != "application/json" ||
		json.Unmarshal([]byte(a.body), &document) != nil {
		return ""
	}
	return document.Resource
}
