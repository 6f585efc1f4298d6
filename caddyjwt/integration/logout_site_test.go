package integration

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// gateHere is a gate for logouts, with a matcher.
func (p *place) gateHere(matcher string, blocks ...string) string {
	if len(blocks) == 0 {
		blocks = []string{p.issuer()}
	}
	return strings.Replace(gateFor(blocks...), "bearer_auth", "bearer_auth "+matcher, 1)
}

// Logout requests are answered at their path, wherever in the configuration the gate is, and at no other path.
func TestLogoutsInSites(t *testing.T) {
	const unserved = "nothing gets the logout requests"
	for name, c := range map[string]struct {
		sites  func(p *place) []string
		served map[string]bool // host and path: whether a logout request is answered there
		warned bool
	}{
		"a gate whose matcher does not cover the path": {func(p *place) []string {
			return []string{p.siteOf("http://gate.test", p.gateHere("/api/*"))}
		}, map[string]bool{"gate.test" + logoutPath: true, "gate.test" + logoutPath + "/": false,
			"gate.test/api/x": false, "gate.test/BACKCHANNEL-LOGOUT": false, "gate.test/x" + logoutPath: false}, false},
		"inside of handle, with the directive": {func(p *place) []string {
			return []string{p.siteOf("http://gate.test", "backchannel_logout "+logoutPath,
				"handle /api/* {\n"+p.gateHere("")+"\n}")}
		}, map[string]bool{"gate.test" + logoutPath: true}, false},
		"inside of handle, with the directive and the issuer": {func(p *place) []string {
			return []string{p.siteOf("http://gate.test", "backchannel_logout "+logoutPath+" "+p.as.URL,
				"handle /api/* {\n"+p.gateHere("")+"\n}")}
		}, map[string]bool{"gate.test" + logoutPath: true}, false},
		"inside of handle, without it": {func(p *place) []string {
			return []string{p.siteOf("http://gate.test", "handle /api/* {\n"+p.gateHere("")+"\n}")}
		}, map[string]bool{"gate.test" + logoutPath: false}, true},
		"behind a gate that guards everything": {func(p *place) []string {
			return []string{p.siteOf("http://gate.test", "route {\n"+gateFor(consumerAlice(p.t), "max_lifetime 1h")+"\n"+
				p.gateHere("")+"\n}")}
		}, map[string]bool{"gate.test" + logoutPath: false}, true},
		"behind a rewrite, with the directive": {func(p *place) []string {
			return []string{p.siteOf("http://gate.test", "rewrite * /v1{uri}", "backchannel_logout "+logoutPath,
				p.gateHere(""))}
		}, map[string]bool{"gate.test" + logoutPath: true}, false},
		"several gates of one site, and of another": {func(p *place) []string {
			return []string{
				"(guarded) {\n" + p.gateHere("{args[0]}") + "\n}",
				p.siteOf("http://gate.test", "import guarded /a/*", "import guarded /b/*"),
				p.siteOf("http://other.test", "import guarded /c/*"),
			}
		}, map[string]bool{"gate.test" + logoutPath: true, "other.test" + logoutPath: true}, false},
		"two sites with one path for different clients": {func(p *place) []string {
			return []string{
				p.siteOf("http://gate.test", p.gateHere("")),
				p.siteOf("http://other.test", p.gateHere("", issuerByJWKS(p.as, "max_lifetime 1h",
					"backchannel_logout "+logoutPath+" {\nclient_id else\n}"))),
			}
		}, map[string]bool{"gate.test" + logoutPath: true, "other.test" + logoutPath: false}, false},
	} {
		t.Run(name, func(t *testing.T) {
			p := prepareLogouts(t)
			p.loadFile(p.stored(p.sites(c.sites(p)...)))
			for address, served := range c.served {
				host, path, _ := strings.Cut(address, "/")
				a := p.logoutAt(host, "/"+path, url.Values{"logout_token": {p.logoutToken()}}.Encode())
				if got := a.StatusCode == http.StatusOK && a.body == ""; got != served {
					t.Errorf("%s: answered is %t, status %d, body %q", address, got, a.StatusCode, a.body)
				}
			}
			if got := p.logged(unserved, `"issuer":"`+p.as.URL+`"`); got != c.warned {
				t.Errorf("the log warns: %t", got)
			}
		})
	}
}

// What would leave sessions alive that the server has ended does not load. The error says how to mend it.
func TestLogoutsThatWouldNotWork(t *testing.T) {
	p := prepareLogouts(t)
	other := func(lines ...string) string {
		return issuerByJWKS(p.as, append([]string{"max_lifetime 1h", "algorithms RS256"}, lines...)...)
	}
	gates := func(first, second string) string {
		return p.stored(p.sites(p.siteOf("http://gate.test", p.gateHere("/a/*", first), p.gateHere("/b/*", second))))
	}
	for name, c := range map[string]struct{ caddyfile, want string }{
		"no max_lifetime": {p.stored(p.caddyfile(gateFor(issuerByJWKS(p.as, logoutBlock(logoutPath))))),
			"max_lifetime says how long that must be remembered"},
		"no store": {p.caddyfile(gateFor(p.issuer())), `add "store file" to the global option bearer_auth`},
		"other clients for one address": {gates(p.issuer(), other("backchannel_logout "+logoutPath+" {\nclient_id else\n}")),
			`They differ in client_id: "gateway", "other-app" and "else": give each its own path`},
		"another issuer for one address": {gates(p.issuer(), issuerWithKeys("https://other.example", "jwks "+p.as.JWKSURL(),
			"max_lifetime 1h", logoutBlock(logoutPath))), "They differ in the issuer"},
		"without_sid differs": {gates(p.issuer(), p.issuer("without_sid sub")), "they differ in without_sid"},
		"leeway differs":      {gates(p.issuer(), other("leeway 9s", logoutBlock(logoutPath))), "leeway: 5s and 9s"},
		"algorithms differ": {gates(p.issuer(), issuerByJWKS(p.as, "max_lifetime 1h", logoutBlock(logoutPath))),
			"they differ in algorithms"},
		"tolerate differs": {gates(p.issuer(), other("tolerate numeric_subject", logoutBlock(logoutPath))),
			"they differ in tolerate"},
		"keys differ": {gates(p.issuer(), other("max_keys 7", logoutBlock(logoutPath))), "the source of its keys"},
		"a directive without a gate": {p.stored(p.sites(p.siteOf("http://gate.test", "backchannel_logout "+logoutPath))),
			"no issuer of a bearer_auth has it: write"},
		"a directive with another path": {p.stored(p.sites(p.siteOf("http://gate.test", "backchannel_logout /logout",
			p.gateHere("")))), `no issuer of a bearer_auth has this path; there are "/backchannel-logout"`},
		"a directive with another issuer": {p.stored(p.sites(p.siteOf("http://gate.test",
			"backchannel_logout "+logoutPath+" https://else.example", p.gateHere("")))), "has this path; there are"},
		"a directive that may mean two": {p.stored(p.sites(
			p.siteOf("http://gate.test", "backchannel_logout "+logoutPath, p.gateHere("")),
			p.siteOf("http://other.test", p.gateHere("", issuerWithKeys("https://other.example", "jwks "+p.as.JWKSURL(),
				"max_lifetime 1h", logoutBlock(logoutPath)))))), "write the issuer behind the path"},
	} {
		t.Run(name, func(t *testing.T) {
			err := p.tryLoad(c.caddyfile)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v\nwant %q", err, c.want)
			}
		})
	}
}
