package integration

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

// withOption is a Caddyfile with one more global option.
func withOption(option, caddyfile string) string {
	return strings.Replace(caddyfile, "\tadmin off\n", "\tadmin off\n\t"+option+"\n", 1)
}

// scopesAt are the scopes of the metadata at a path of a host.
func (s *site) scopesAt(host, path string) string {
	s.t.Helper()
	var document struct {
		Scopes []string `json:"scopes_supported"`
	}
	if a := s.at(host, path); json.Unmarshal([]byte(a.body), &document) != nil {
		s.t.Fatalf("status %d, body %q", a.StatusCode, a.body)
	}
	return strings.Join(document.Scopes, " ")
}

// The sequence of handlers decides whether strangers get to the metadata. A gate in the block of a site brings its
// metadata along, wherever it stands.
func TestMetadataBeforeAndBehindTheGate(t *testing.T) {
	gate := gateOfResource(t, "", tools)
	const directive = "protected_resource " + tools
	handle := "\nhandle {\n" + gate + "\n}"
	for name, c := range map[string]struct {
		option, lines string
		served        bool
	}{
		"the gate alone":                       {"", gate, true},
		"the gate first":                       {"order bearer_auth first", gate, true},
		"the gate last":                        {"order bearer_auth before respond", gate, true},
		"the gate first, and the directive":    {"order bearer_auth first", directive + "\n" + gate, true},
		"the directive last":                   {"order protected_resource last", directive + "\n" + gate, true},
		"the directive last, a gate in handle": {"order protected_resource last", directive + handle, true},
		"the directive first":                  {"order protected_resource first", directive + handle, true},
		"before in a route":                    {"", "route {\n" + directive + "\n" + gate + "\n}", true},
		"behind in a route":                    {"", "route {\n" + gate + "\n" + directive + "\n}", true},
		"behind a gate of nothing":             {"", "route {\n" + gateFor(consumerAlice(t)) + "\n" + gate + "\n}", false},
		"the directive behind a gate of nothing": {"order protected_resource last",
			gateFor(consumerAlice(t)) + "\n" + directive + "\nhandle /tools* {\n" + gate + "\n}", false},
		"twice": {"", directive + "\n" + directive + "\n" + gate, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := prepare(t)
			caddyfile := s.sites(s.siteOf("http://gate.test", c.lines))
			if c.option != "" {
				caddyfile = withOption(c.option, caddyfile)
			}
			s.loadFile(caddyfile)
			if got := s.resourceAt("gate.test", metadataPath("/tools")); (got == tools) != c.served {
				t.Errorf("the metadata is of %q", got)
			}
			if got := s.at("gate.test", "/tools"); got.StatusCode != http.StatusUnauthorized {
				t.Errorf("status %d without a token", got.StatusCode)
			}
			if warned := s.logged("nothing serves the metadata", tools); warned == c.served {
				t.Errorf("the log warns: %t", warned)
			}
		})
	}
}

// Caddy provisions its servers in random order. The metadata is the same each time, and on each server.
func TestMetadataOfGatesOnTwoServers(t *testing.T) {
	s := prepare(t)
	second := s.in(t)
	second.socket += "2"
	second.client = &http.Client{Timeout: patience,
		Transport: retryCut{&http.Transport{DialContext: second.dial, DisableKeepAlives: true}}}
	guarded := func(server *site, issuer, scope string) string {
		gate := strings.Replace(gateOfResource(t, "", tools, "require scope "+scope),
			"https://auth.example.com", issuer, 1)
		return server.siteOf("http://gate.test", "protected_resource "+tools, "handle {\n"+gate+"\n}")
	}
	var first string
	for round := range 12 {
		s.loadFile(s.sites(guarded(s, "https://z.example.com", "b a"), guarded(second, "https://a.example.com", "c")))
		got := s.at("gate.test", metadataPath("/tools")).body
		if round == 0 {
			first = got
		}
		if there := second.at("gate.test", metadataPath("/tools")).body; got != first || there != first {
			t.Fatalf("round %d: on the first server\n%s\non the second\n%s\nand in the first round\n%s",
				round, got, there, first)
		}
		for _, want := range []string{"https://z.example.com", "https://a.example.com", `"a"`, `"b"`, `"c"`} {
			if !strings.Contains(got, want) {
				t.Fatalf("%s is not in %s", want, got)
			}
		}
	}
}

// A configuration that fails half-way leaves nothing: what runs says what it said before, and the next one only what it
// says itself.
func TestMetadataAfterAReloadThatFails(t *testing.T) {
	s := prepare(t)
	load := func(scope string, more ...string) error {
		lines := append([]string{"protected_resource " + tools,
			"handle {\n" + gateOfResource(t, "", tools, "require scope "+scope) + "\n}"}, more...)
		return s.tryLoad(s.sites(s.siteOf("http://gate.test", lines...)))
	}
	if err := load("first"); err != nil {
		t.Fatal(err)
	}
	s.inForce()
	contradiction := "handle /x {\n" + gateFor("resource "+tools+" {\nname Other\n}", consumerAlice(t)) + "\n}\n" +
		"handle /y {\n" + gateFor("resource "+tools+" {\nname Another\n}", consumerAlice(t)) + "\n}"
	noVariable := gateOfResource(t, "", tools, "audience {env.NO_SUCH_VARIABLE_OF_TEST}")
	for name, mistake := range map[string]string{
		"gates that contradict": contradiction,
		"a handler that fails":  "handle /x {\nreverse_proxy {env.NO_SUCH_VARIABLE_OF_TEST}:x\n}",
		"a gate that fails":     "handle /x {\n" + noVariable + "\n}",
	} {
		t.Run(name, func(t *testing.T) {
			s := s.in(t)
			written := *s.written
			if err := load("failed", mistake); err == nil {
				t.Fatal("it loads")
			}
			*s.written = written
			if got := s.scopesAt("gate.test", metadataPath("/tools")); got != "first" {
				t.Errorf("scopes %q of what runs", got)
			}
		})
	}
	if err := load("second"); err != nil {
		t.Fatal(err)
	}
	s.inForce()
	if got := s.scopesAt("gate.test", metadataPath("/tools")); got != "second" {
		t.Errorf("scopes %q", got)
	}
	if got := s.resourceAt("gate.test", metadataPath("/notes")); got != "" {
		t.Errorf("metadata of %s, which only a failed configuration had", got)
	}
	// This one fails only when it starts. Caddy v2.11.9 then cannot listen on the socket again, so it is the last.
	if err := load("failed", "protected_resource "+notes); err == nil {
		t.Error("it loads")
	}
	if got := s.scopesAt("gate.test", metadataPath("/tools")); got != "second" {
		t.Errorf("scopes %q of what runs", got)
	}
}
