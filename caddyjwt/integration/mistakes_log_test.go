package integration

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// What an operator sees of the mistakes that only show when requests come: in the default log of a site without an
// access log, and in the access log of a site that has one. No log level is changed. With UPDATE=1 in the environment
// the test writes the file anew.
func TestMistakesAtRunTimeAreTold(t *testing.T) {
	const golden = "testdata/mistakes_at_run_time.txt"
	key, other := tokentest.NewKey(t, "ES256", "kc-1"), tokentest.NewKey(t, "ES256", "kc-2")
	now := time.Now().Unix()
	text, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	var told strings.Builder
	for _, m := range []struct {
		name  string
		lines int // in the default log, but those of the access log
		// gate is the block for this server, and token what the client sends.
		gate  func(as *tokentest.AS) string
		token func(as *tokentest.AS) string
	}{
		{"the key set is not there (404)", 1, func(as *tokentest.AS) string {
			return gateFor(issuerWithKeys(as.URL, "jwks "+as.URL+"/nope"))
		}, nil},
		{"the metadata is not there (404)", 1, func(as *tokentest.AS) string {
			return gateFor(issuerWithKeys(as.URL+"/nope", "discovery"))
		}, func(as *tokentest.AS) string { return key.Sign(t, issuedBy(as.URL+"/nope")) }},
		{"nobody listens", 1, func(as *tokentest.AS) string {
			as.Down()
			return gateFor(issuerByDiscovery(as))
		}, nil},
		{"the metadata is that of another issuer", 1, func(as *tokentest.AS) string {
			return gateFor(issuerWithKeys("https://other.example", "discovery "+as.URL+"/.well-known/openid-configuration"))
		}, func(*tokentest.AS) string { return key.Sign(t, issuedBy("https://other.example")) }},
		{"the keys are those of another realm", 2, nil, func(as *tokentest.AS) string {
			return other.Sign(t, issuedBy(as.URL))
		}},
		{"expired", 2, nil, func(as *tokentest.AS) string { return key.Sign(t, issuedBy(as.URL, "exp", now-7200)) }},
		{"not yet valid", 2, nil, func(as *tokentest.AS) string { return key.Sign(t, issuedBy(as.URL, "nbf", now+7200)) }},
		{"an algorithm that is not allowed", 1, func(as *tokentest.AS) string {
			return gateFor(issuerByJWKS(as, "algorithms RS256"))
		}, nil},
		{"no exp", 2, nil, func(as *tokentest.AS) string { return key.Sign(t, issuedBy(as.URL, "exp", nil)) }},
		{"not the typ of profile rfc9068", 2, func(as *tokentest.AS) string {
			return gateFor(issuerByJWKS(as, "profile rfc9068"))
		}, nil},
		{"a scope that is missing", 2, func(as *tokentest.AS) string {
			return gateFor(issuerByJWKS(as), "require scope orders:read")
		}, func(as *tokentest.AS) string { return key.Sign(t, issuedBy(as.URL, "scope", "openid profile")) }},
		{"groups are in another claim", 2, func(as *tokentest.AS) string {
			return gateFor(issuerByJWKS(as), "require group clerk")
		}, nil},
		{"another audience", 2, nil, func(as *tokentest.AS) string {
			return key.Sign(t, issuedBy(as.URL, "aud", "account"))
		}},
		{"issuer: a slash too many", 1, func(as *tokentest.AS) string {
			return gateFor(issuerWithKeys(as.URL+"/", "jwks "+as.JWKSURL()))
		}, nil},
		{"issuer: another scheme", 1, func(as *tokentest.AS) string {
			return gateFor(issuerWithKeys(strings.Replace(as.URL, "http:", "https:", 1), "jwks "+as.JWKSURL()))
		}, nil},
		{"issuer: another host", 1, func(as *tokentest.AS) string {
			return gateFor(issuerWithKeys(strings.Replace(as.URL, "127.0.0.1", "localhost", 1), "jwks "+as.JWKSURL()))
		}, nil},
		{"issuer: the address of the metadata", 0, func(as *tokentest.AS) string {
			return gateFor(issuerWithKeys(as.URL+"/.well-known/openid-configuration", "jwks "+as.JWKSURL()))
		}, nil},
		{"the introspection endpoint is down", 1, func(as *tokentest.AS) string {
			as.Down()
			return gateFor(issuerBlock(as.URL, "audience "+audience, "keys none", "introspect opaque {",
				"endpoint "+as.IntrospectionURL(), "client_id gateway", "client_secret "+strings.Repeat("s", 40), "}"))
		}, func(*tokentest.AS) string { return "opaque" }},
		{"no token, but a password", 1, nil, func(*tokentest.AS) string { return "basic" }},
		{"a token of nobody, which forges a line", 1, nil, func(*tokentest.AS) string {
			return key.Sign(t, issuedBy("https://x\n{\"level\":\"error\",\"msg\":\"\x1b[31mforged\"}"))
		}},
	} {
		t.Run(m.name, func(t *testing.T) {
			as := tokentest.NewAS(t, tokentest.WithKeys(key))
			gate, token := gateFor(issuerByJWKS(as)), key.Sign(t, issuedBy(as.URL))
			if m.gate != nil {
				gate = m.gate(as)
			}
			if m.token != nil {
				token = m.token(as)
			}
			got := linesAbout(t, as, gate, token, m.lines)
			fmt.Fprintf(&told, "# %s\n%s\n", m.name, got)
			_, want, _ := strings.Cut(string(text), "# "+m.name+"\n")
			if want, _, _ = strings.Cut(want, "\n# "); strings.TrimSpace(got) != strings.TrimSpace(want) {
				t.Errorf("the logs have\n%s\nwant\n%s", got, want)
			}
		})
		if !strings.HasPrefix(string(text), "# "+m.name+"\n") && !strings.Contains(string(text), "\n# "+m.name+"\n") {
			t.Errorf("%s has nothing about: %s", golden, m.name)
		}
	}
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(golden, []byte(strings.TrimSuffix(told.String(), "\n")), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// linesAbout is what the logs say about one request with a token. The default log has as many lines about it.
func linesAbout(t *testing.T, as *tokentest.AS, gate, token string, lines int) string {
	s := prepare(t)
	config := strings.Replace(s.caddyfile(gate), "\t\tlevel DEBUG\n", "", 1)
	config = strings.Replace(config, "\tlog\n", "", 1) + fmt.Sprintf(
		"http://logged.test {\nbind unix/%s\nlog\n%s\n}\n", s.socket, gate)
	if err := s.tryLoad(config); err != nil {
		return "does not load: " + normal(as, err.Error()) + "\n"
	}
	s.inForce()
	before := int64(len(s.log()))
	ask := func(host string) {
		r := s.request(http.MethodGet, "/", nil, "Authorization", "Bearer "+token)
		if token == "basic" {
			r.Header.Set("Authorization", "Basic Ym9iOnNlY3JldA==")
		}
		r.Host = host
		s.do(r)
	}
	ask("gate.test")
	var entries []string
	eventually(t, "the default log has its lines", func() bool {
		entries = s.entries(before, func(logger string) bool { return !strings.HasPrefix(logger, "http.log.access") })
		return len(entries) >= lines
	})
	ask("logged.test")
	var access []string
	eventually(t, "the access log has the request", func() bool {
		access = s.entries(before, func(logger string) bool { return strings.HasPrefix(logger, "http.log.access") })
		return len(access) > 0
	})
	if len(entries) != lines {
		t.Errorf("%d lines in the default log, want %d", len(entries), lines)
	}
	slices.Sort(entries) // the key source writes in the background
	return normal(as, strings.Join(append(entries, access...), ""))
}

// entries are the lines about requests and keys after the first bytes of the log, of some loggers.
func (s *site) entries(after int64, ours func(logger string) bool) (lines []string) {
	for line := range strings.Lines(s.logFrom(after)) {
		var e map[string]any
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			s.t.Fatalf("not a line of its own: %s", line)
		}
		logger := fmt.Sprint(e["logger"])
		if !strings.HasPrefix(logger, "http.log") && !strings.HasPrefix(logger, "http.handlers") || !ours(logger) {
			continue
		}
		text := fmt.Sprintf("%v %s: %v\n", e["level"], logger, e["msg"])
		for _, name := range []string{
			"source", "error", "keys", "added", "reason", "auth_reason", "status", "count", "issuer", "auth_issuer", "kid",
			"cause", "auth_cause",
		} {
			if value, has := e[name]; has {
				text += fmt.Sprintf("    %s: %v\n", name, value)
			}
		}
		lines = append(lines, text)
	}
	return lines
}

// normal makes a text the same in every run.
func normal(as *tokentest.AS, text string) string {
	address := strings.TrimPrefix(as.URL, "http://")
	_, port, _ := strings.Cut(address, ":")
	text = strings.NewReplacer(address, "127.0.0.1:PORT", "localhost:"+port, "localhost:PORT").Replace(text)
	return regexp.MustCompile(`[0-9hm]+s (ago|ahead)`).ReplaceAllString(text, "SOME TIME $1")
}

// A flood of refusals is one line for each reason, with a site's access log or without. A server that is down is told
// about once in a while, and never by Caddy's log of errors.
func TestFloodOfRefusalsDoesNotFloodTheLog(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "e1")
	good, down := tokentest.NewAS(t, tokentest.WithKeys(key)), tokentest.NewAS(t, tokentest.StartDown())
	s := prepare(t)
	config := s.caddyfile(gateFor(issuerByJWKS(good), issuerByJWKS(down)))
	config = strings.Replace(config, "\t\tlevel DEBUG\n", "", 1)
	s.loadFile(strings.Replace(config, "\tlog\n", "", 1))
	tokens := []string{"", "opaque", key.Sign(t, issuedBy(good.URL, "aud", "x")), key.Sign(t, issuedBy("https://nobody")),
		key.Sign(t, issuedBy(down.URL))}
	for i := range 500 {
		if a := s.get("/", tokens[i%len(tokens)]); a.StatusCode < 400 {
			t.Fatal(a.StatusCode)
		}
	}
	lines := s.entries(0, func(string) bool { return true })
	// Four reasons, the keys that are ready, and those that cannot be fetched; on a slow machine also the reminder of the
	// latter, and the number of refusals after a minute.
	if len(lines) < 6 || len(lines) > 20 {
		t.Errorf("%d lines:\n%s", len(lines), strings.Join(lines, ""))
	}
	for _, line := range lines {
		if strings.Contains(line, "http.log.error") {
			t.Error(line)
		}
	}
}
