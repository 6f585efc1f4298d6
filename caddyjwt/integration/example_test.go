package integration

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// exampleSecret is the secret of the consumer in Caddyfile.example, and exampleKey the key of its credential.
const (
	exampleSecret = "only-for-trying-out-0123456789abcdef"
	exampleKey    = "reports-key"
)

// Caddyfile.example works as it stands, but for its addresses, and keeps the promise of its first lines.
func TestExampleWorks(t *testing.T) {
	s := prepare(t)
	s.loadExample()
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims(claims("iss", exampleKey))).
		SignedString([]byte(exampleSecret))
	if err != nil {
		t.Fatal(err)
	}

	refused := s.get("/", "")
	if refused.StatusCode != http.StatusUnauthorized || refused.Header.Get("WWW-Authenticate") != `Bearer realm="api"` {
		t.Errorf("without a token: %d, %q", refused.StatusCode, refused.Header.Get("WWW-Authenticate"))
	}
	passed := s.get("/", token, "X-Consumer-Username", "admin", "x_consumer_username", "admin", "Connection",
		"X-Consumer-Username")
	for _, want := range []string{"X-Consumer-Username: reports\n", "X-Consumer-Custom-ID: 4711\n", "Authorization: \n"} {
		if !strings.Contains(passed.body, want) {
			t.Errorf("the backend did not see %q but:\n%s", want, passed.body)
		}
	}
	expired := claims("iss", exampleKey, "exp", 1)
	token, err = jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims(expired)).SignedString([]byte(exampleSecret))
	if err != nil {
		t.Fatal(err)
	}
	if a := s.get("/", token); a.StatusCode != http.StatusUnauthorized {
		t.Errorf("an expired token: %d", a.StatusCode)
	}
	if got := fmt.Sprint(s.tallied()); got != "[missing_token 1 expired 1]" {
		t.Errorf("the log says why: %s", got)
	}
	if !strings.Contains(s.log(), "the secret of the example is in use") {
		t.Error("no warning that everybody knows the secret")
	}
	if s.logged("may not be random") {
		t.Error("there are two warnings about the example's secret")
	}
}

// exampleKeyFiles are the files with public keys that blocks of the example name.
var exampleKeyFiles = []string{"/etc/caddy/bob.pub.pem", "/etc/caddy/iris.pub.pem", "/etc/caddy/partner.crt"}

// Every block of the example that is commented out is good when somebody uncomments it.
func TestExampleBlocksAreGood(t *testing.T) {
	text, err := os.ReadFile("../../Caddyfile.example")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	pem := filepath.Join(dir, "key.pem")
	writeFile(t, pem, tokentest.NewKey(t, "RS256", "").PublicPEM())
	t.Setenv("IRIS_CLIENT_SECRET", "f3b1c2d4e5a697887968574635241302")
	t.Setenv("REPORTS_SECRET", "0a1b2c3d4e5f60718293a4b5c6d7e8f9")
	config := uncommented(string(text))
	for _, path := range exampleKeyFiles {
		if !strings.Contains(config, path) {
			t.Errorf("the example does not name %s any more", path)
		}
		config = strings.ReplaceAll(config, path, pem)
	}
	if strings.Count(config, "bearer_auth") < 3 || strings.Count(config, "import gate {") < 3 {
		t.Fatalf("the blocks were not found:\n%s", config)
	}
	if _, err := adapt(config); err != nil {
		t.Errorf("%v\n%s", err, config)
	}
}

// identityHeaders are those in which the backend of the example looks for a user.
var identityHeaders = []string{"X-User", "X-Email", "X-Consumer-ID", "X-Consumer-Custom-ID", "X-Consumer-Username",
	"X-Consumer-Groups", "X-Credential-Identifier", "X-Anonymous-Consumer"}

// No route of the example lets a client say who it is: neither as it stands nor with all of its blocks in force.
func TestExampleBelievesNoClient(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "e1")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	says := func(audience string) string {
		return key.Sign(t,
			issuedBy(as.URL, "aud", audience, "sub", "zoe", "email", "zoe@example.com", "scope", "orders:read orders:write",
				"groups", []string{"staff"}, "realm_access", map[string]any{"roles": []string{"clerk"}}))
	}
	api, browser := "Bearer "+says("https://api.example.com"), "access_token="+says("https://www.example.com")
	reader := "Bearer " + key.Sign(t, issuedBy(as.URL, "aud", "https://api.example.com", "scope", "orders:read"))
	reports, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims(claims("iss", exampleKey))).
		SignedString([]byte(exampleSecret))
	if err != nil {
		t.Fatal(err)
	}

	t.Run("as it stands", func(t *testing.T) {
		s := prepare(t)
		s.loadExampleBehindNames(as, func(text string) string { return text })
		s.believesNoClient(t, "8080", "GET", "/", "alice", "Authorization", "Bearer "+reports)
	})
	t.Run("with all of its blocks", func(t *testing.T) {
		s := prepare(t)
		s.loadExampleBehindNames(as, uncommented)
		s.believesNoClient(t, "8080", "GET", "/", "zoe", "Authorization", api)
		s.believesNoClient(t, "8081", "GET", "/", "")
		s.believesNoClient(t, "8081", "GET", "/assets/app.js", "", "Cookie", browser)
		s.believesNoClient(t, "8081", "POST", "/", "")
		s.believesNoClient(t, "8081", "GET", "/account", "zoe", "Cookie", browser)
		s.believesNoClient(t, "8082", "GET", "/", "zoe", "Authorization", api)
		s.believesNoClient(t, "8082", "POST", "/", "zoe", "Authorization", api)
		s.believesNoClient(t, "8082", "GET", "/admin/users", "zoe", "Authorization", api)
		s.believesNoClient(t, "8082", "GET", "/", "alice", "Authorization", reader)
		for _, forbidden := range []struct{ method, path string }{
			{http.MethodPost, "/"}, {http.MethodDelete, "/orders/1"}, {http.MethodGet, "/admin/users"},
			{http.MethodPost, "/admin/users"},
		} {
			r := s.request(forbidden.method, forbidden.path, nil, "Authorization", reader)
			r.Host = "site8082.test"
			if a := s.do(r); a.StatusCode != http.StatusForbidden {
				t.Errorf("%s %s with a token that may read orders: status %d", forbidden.method, forbidden.path, a.StatusCode)
			}
		}
		for site, path := range map[string]string{"8080": "/", "8081": "/account/keys", "8082": "/"} {
			r := s.request(http.MethodGet, path, nil)
			r.Host = "site" + site + ".test"
			if a := s.do(r); a.StatusCode != http.StatusUnauthorized {
				t.Errorf("%s without a token: status %d", site, a.StatusCode)
			}
		}
	})
}

// believesNoClient sends all identity headers in many spellings, and wants the backend to see this user and none of
// them.
func (s *site) believesNoClient(t *testing.T, site, method, path, user string, header ...string) {
	t.Helper()
	t.Run(site+" "+method+" "+path, func(t *testing.T) {
		s := s.in(t)
		r := s.request(method, path, nil, header...)
		r.Host = "site" + site + ".test"
		for _, name := range identityHeaders {
			for _, spelling := range []string{name, strings.ToLower(name), strings.ReplaceAll(name, "-", "_"),
				strings.ReplaceAll(name, "-", ".")} {
				r.Header[spelling] = []string{"forged"}
			}
		}
		request := s.passed(s.do(r))
		for name, values := range request.Header {
			if strings.Contains(strings.Join(values, ""), "forged") {
				t.Errorf("the backend got %s: %q", name, values)
			}
		}
		if got := request.Header.Get("X-User"); got != user {
			t.Errorf("the backend got the user %q, want %q", got, user)
		}
	})
}

// loadExampleBehindNames runs Caddyfile.example after a change, each site on the socket under a name of its own, in
// front of the recording upstream, and with this authorization server in place of the first one of the example.
func (s *site) loadExampleBehindNames(as *tokentest.AS, change func(text string) string) {
	s.t.Helper()
	text, err := os.ReadFile("../../Caddyfile.example")
	if err != nil {
		s.t.Fatal(err)
	}
	pem := filepath.Join(s.t.TempDir(), "key.pem")
	writeFile(s.t, pem, tokentest.NewKey(s.t, "RS256", "").PublicPEM())
	s.t.Setenv("IRIS_CLIENT_SECRET", "f3b1c2d4e5a697887968574635241302")
	config := change(string(text))
	for _, port := range []string{"8080", "8081", "8082"} {
		config = strings.Replace(config, "\n:"+port+" {\n", "\nhttp://site"+port+".test {\n\tbind unix/"+s.socket+"\n\tlog\n",
			1)
	}
	for _, path := range exampleKeyFiles {
		config = strings.ReplaceAll(config, path, pem)
	}
	config = strings.NewReplacer(
		"persist_config off\n",
		"persist_config off\n\tlog {\n\t\toutput file "+s.logFile+"\n\t\tlevel DEBUG\n\t}\n"+s.ownData(),
		"https://auth.example.com/realms/main", as.URL,
		"reverse_proxy 127.0.0.1:9000", "reverse_proxy "+s.upstream.addr(),
		"bind 127.0.0.1\n", "bind unix/"+filepath.Join(filepath.Dir(s.socket), "b")+"\n",
	).Replace(config)
	if err := s.tryLoad(config); err != nil {
		s.t.Fatalf("%v\n%s", err, config)
	}
}

// loadExample runs Caddyfile.example on sockets instead of ports.
func (s *site) loadExample() {
	s.t.Helper()
	text, err := os.ReadFile("../../Caddyfile.example")
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.tryLoad(s.onSockets(string(text))); err != nil {
		s.t.Fatal(err)
	}
}

// onSockets is a Caddyfile whose site on :8080, and the backend of the example, are on sockets instead.
func (s *site) onSockets(config string) string {
	backend := filepath.Join(filepath.Dir(s.socket), "b")
	return strings.NewReplacer(
		"persist_config off\n", "persist_config off\n\tlog {\n\t\toutput file "+s.logFile+"\n\t}\n"+s.ownData(),
		"\n:8080 {\n", "\nhttp://gate.test {\n\tbind unix/"+s.socket+"\n",
		"reverse_proxy 127.0.0.1:9000\n}\n\n# A site", "reverse_proxy unix/"+backend+"\n}\n\n# A site",
		"bind 127.0.0.1\n", "bind unix/"+backend+"\n",
	).Replace("\n" + config)
}

// ownData lets Caddy keep sessions in the directory of the site, and returns the option for its keys: the example names
// no place.
func (s *site) ownData() string {
	s.t.Helper()
	dir := filepath.Dir(s.socket)
	s.t.Setenv("XDG_DATA_HOME", dir)
	return "\tstorage file_system " + dir + "\n"
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
	return word == "require" || word == "forward_claims"
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}
