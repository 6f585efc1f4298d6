package integration

import (
	"strings"
	"testing"
)

// A configuration with many routes tells each warning once, and the next one tells it again.
func TestWarningsAreToldOnceForAConfiguration(t *testing.T) {
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
