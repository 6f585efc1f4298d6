package integration

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// A configuration with many routes logs each warning once, and the next configuration logs it again.
func TestWarningsAppearOncePerConfiguration(t *testing.T) {
	const warning = "audience any: an ID token or a refresh token"
	issuer := func(name string) string {
		return "issuer " + name + " {\n\t\t\taudience any\n\t\t}"
	}
	gate := func(matcher, issuer string) string {
		return strings.Replace(gateFor(issuer), "bearer_auth", "bearer_auth "+matcher, 1) + "\n\t"
	}
	const first, second = "https://a.example.com", "https://b.example.com"
	routes := gate("/1/*", issuer(first)) + gate("/2/*", issuer(first)) + gate("/3/*", issuer(first)) +
		gate("/4/*", issuer(second))
	s := start(t, routes)
	for loaded := 1; loaded <= 2; loaded++ {
		log := s.log()
		for _, name := range []string{first, second} {
			told := 0
			for line := range strings.Lines(log) {
				if strings.Contains(line, warning) && strings.Contains(line, `"issuer":"`+name+`"`) {
					told++
				}
			}
			if told != loaded {
				t.Errorf("%d configurations: told %d times of %s", loaded, told, name)
			}
		}
		s.load(routes)
	}
}

// Caddy drops fields with "_" or "." in their names. A warning names a place that is such a field.
func TestWarningForPlacesThatCaddyDrops(t *testing.T) {
	const option = "\tservers {\n\t\texpected_underscore_headers %s\n\t}\n}\nhttp://gate.test {"
	for name, c := range map[string]struct {
		header, expected string
		dropped          bool
	}{
		"an underscore":                   {"access_token", "", true},
		"a dot":                           {"access.token", "", true},
		"hyphens":                         {"X-Access-Token", "", false},
		"an underscore that is expected":  {"access_token", "Access_Token", false},
		"a beginning that is expected":    {"access_token", "access_*", false},
		"another name is expected":        {"access_token", "user_id", true},
		"a dot, and underscores expected": {"access.token", "access_token", true},
	} {
		t.Run(name, func(t *testing.T) {
			s := prepare(t)
			config := s.caddyfile(gateFor("token_from header "+c.header, consumerAlice(t)))
			if c.expected != "" {
				config = strings.Replace(config, "}\nhttp://gate.test {", fmt.Sprintf(option, c.expected), 1)
			}
			if err := s.tryLoad(config); err != nil {
				t.Fatal(err)
			}
			s.inForce()
			if s.logged("tokens in this header never arrive") != c.dropped {
				t.Errorf("told: %v", !c.dropped)
			}
			want := http.StatusOK
			if c.dropped {
				want = http.StatusUnauthorized
			}
			r := s.request(http.MethodGet, "/", nil)
			r.Header[c.header] = []string{hmacKey(t).Sign(t, claims())}
			if a := s.do(r); a.StatusCode != want {
				t.Errorf("status %d, want %d", a.StatusCode, want)
			}
		})
	}
}
