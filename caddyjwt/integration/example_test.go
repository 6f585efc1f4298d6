package integration

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// Caddyfile.example runs as it stands, but for its addresses, and does what its first lines promise.
func TestExampleWorks(t *testing.T) {
	s := prepare(t)
	s.loadExample()
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims(claims())).
		SignedString([]byte("only-for-trying-out-0123456789abcdef"))
	if err != nil {
		t.Fatal(err)
	}

	refused := s.get("/", "")
	if refused.StatusCode != http.StatusUnauthorized || refused.Header.Get("WWW-Authenticate") != `Bearer realm="api"` {
		t.Errorf("without a token: %d, %q", refused.StatusCode, refused.Header.Get("WWW-Authenticate"))
	}
	passed := s.get("/", token, "X-Consumer-Username", "admin", "x_consumer_username", "admin", "Connection", "X-Consumer-Username")
	for _, want := range []string{"X-Consumer-Username: alice\n", "X-Consumer-Custom-ID: 4711\n", "Authorization: \n"} {
		if !strings.Contains(passed.body, want) {
			t.Errorf("the backend did not see %q but:\n%s", want, passed.body)
		}
	}
	if !strings.Contains(s.log(), "the secret of the example is in use") {
		t.Error("no warning that everybody knows the secret")
	}
	if s.logged("may not be random") {
		t.Error("the example's secret is told of twice")
	}
}

// Every block of the example that is commented out is good when it is commented in.
func TestExampleBlocksAreGood(t *testing.T) {
	text, err := os.ReadFile("../../Caddyfile.example")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	pem := filepath.Join(dir, "key.pem")
	writePEM(t, pem)
	t.Setenv("IRIS_CLIENT_SECRET", "f3b1c2d4e5a697887968574635241302")
	t.Setenv("ALICE_SECRET", "0a1b2c3d4e5f60718293a4b5c6d7e8f9")
	config := uncommented(string(text))
	for _, path := range []string{"/etc/caddy/bob.pub.pem", "/etc/caddy/iris.pub.pem", "/etc/caddy/partner.crt"} {
		if !strings.Contains(config, path) {
			t.Errorf("the example does not name %s any more", path)
		}
		config = strings.ReplaceAll(config, path, pem)
	}
	if strings.Count(config, "bearer_auth") < 4 {
		t.Fatalf("the blocks were not found:\n%s", config)
	}
	if _, err := adapt(config); err != nil {
		t.Errorf("%v\n%s", err, config)
	}
}

// loadExample runs Caddyfile.example on sockets instead of ports.
func (s *site) loadExample() {
	s.t.Helper()
	text, err := os.ReadFile("../../Caddyfile.example")
	if err != nil {
		s.t.Fatal(err)
	}
	backend := filepath.Join(filepath.Dir(s.socket), "b")
	config := strings.NewReplacer(
		"persist_config off\n", "persist_config off\n\tlog {\n\t\toutput file "+s.logFile+"\n\t}\n",
		"\n:8080 {\n", "\nhttp://gate.test {\n\tbind unix/"+s.socket+"\n",
		"reverse_proxy 127.0.0.1:9000\n}\n\n# A site", "reverse_proxy unix/"+backend+"\n}\n\n# A site",
		"bind 127.0.0.1\n", "bind unix/"+backend+"\n",
	).Replace(string(text))
	if err := s.tryLoad(config); err != nil {
		s.t.Fatal(err)
	}
}

// uncommented takes the comment signs off whole blocks: lines that look like configuration, not like prose.
func uncommented(text string) string {
	var out strings.Builder
	depth := 0
	for line := range strings.Lines(text) {
		trimmed := strings.TrimSpace(line)
		code, commented := strings.CutPrefix(trimmed, "# ")
		if trimmed == "#" {
			continue
		}
		opens := commented && strings.HasSuffix(code, " {")
		if commented && (opens || depth > 0 || setting(code)) {
			depth += strings.Count(code, "{ ") + b2i(opens) - b2i(strings.TrimSpace(code) == "}")
			out.WriteString(code + "\n")
			continue
		}
		if !commented {
			out.WriteString(line)
		}
	}
	return out.String()
}

// setting tells a commented-out setting outside of any commented-out block from prose.
func setting(code string) bool {
	word, _, _ := strings.Cut(code, " ")
	return word == "require" || word == "forward_claim"
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

func writePEM(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(tokentest.NewKey(t, "RS256", "").PublicPEM()), 0o600); err != nil {
		t.Fatal(err)
	}
}
