package integration

import (
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// readmeSection is a part of README.md, from its heading to the next one of any rank.
func readmeSection(t *testing.T, heading string) string {
	t.Helper()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(text), "\n"+heading+"\n")
	if !found {
		t.Fatalf("README.md has no %q", heading)
	}
	return regexp.MustCompile(`(?m)^##`).Split(section, 2)[0]
}

// fenced gives the blocks of a language in a document.
func fenced(text, language string) (blocks []string) {
	block := regexp.MustCompile("(?ms)^```" + language + "\n(.*?)^```$")
	for _, found := range block.FindAllStringSubmatch(text, -1) {
		blocks = append(blocks, found[1])
	}
	return blocks
}

// What README.md tells a newcomer to do works as it is written. The test does what the commands say: openssl runs as it
// stands, Caddy and mint run in this process, and the socket of the test stands in for the port.
func TestFirstStepsOfTheReadme(t *testing.T) {
	for _, c := range []struct{ heading, answer string }{
		{"### An issuer", "Hello, test-user"},
		{"### A consumer", "GET /\nX-Consumer-Username: alice\n"},
	} {
		t.Run(c.heading, func(t *testing.T) {
			section := readmeSection(t, c.heading)
			example, err := os.ReadFile("../../Caddyfile.example")
			if err != nil {
				t.Fatal(err)
			}
			s := prepare(t)
			t.Chdir(t.TempDir())
			writeFile(t, "Caddyfile.example", string(example))
			for _, config := range fenced(section, "caddyfile") {
				writeFile(t, "Caddyfile", config)
			}
			did := make(map[string]int)
			tokens := make(map[string]string)
			for _, commands := range fenced(section, "sh") {
				for command := range strings.Lines(commands) {
					did[s.follow(t, strings.TrimSpace(command), tokens, c.answer)]++
				}
			}
			if did["run"] != 1 || did["mint"] == 0 || did["curl"] != 1 {
				t.Errorf("README.md has other commands: %v", did)
			}
		})
	}
}

// follow does what a command says, and returns what that is. What is minted goes into the variables.
func (s *site) follow(t *testing.T, command string, variables map[string]string, answer string) string {
	t.Helper()
	const caddy = "go run ./cmd/caddy "
	variable, minting, isMint := strings.Cut(command, "=$("+caddy+"bearer-auth mint ")
	switch {
	case isMint:
		token, err := mint(strings.Fields(strings.TrimSuffix(minting, ")"))...)
		if err != nil {
			t.Fatalf("%s: %v", command, err)
		}
		variables["$"+variable] = token
		return "mint"
	case strings.HasPrefix(command, caddy+"run"):
		s.runAs(t, strings.Fields(strings.TrimPrefix(command, caddy+"run")))
		return "run"
	case strings.HasPrefix(command, "openssl "):
		if out, err := exec.CommandContext(t.Context(), "sh", "-c", command).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", command, err, out)
		}
		return "openssl"
	case command == `curl -i -H "Authorization: Bearer $TOKEN" localhost:8080/`:
		if a := s.get("/", variables["$TOKEN"]); a.StatusCode != http.StatusOK || !strings.HasPrefix(a.body, answer) {
			t.Errorf("%s: status %d, %q; want %q", command, a.StatusCode, a.body, answer)
		}
		if a := s.get("/", ""); a.StatusCode != http.StatusUnauthorized {
			t.Errorf("without the token: status %d", a.StatusCode)
		}
		return "curl"
	}
	t.Fatalf("this test does not know what to do with %q", command)
	return ""
}

// runAs runs the configuration that the arguments name: by default that of the directory, as Caddy does.
func (s *site) runAs(t *testing.T, args []string) {
	t.Helper()
	path := "Caddyfile"
	if len(args) > 0 {
		if len(args) != 4 || args[0] != "--config" || args[2] != "--adapter" || args[3] != "caddyfile" {
			t.Fatalf("this test does not know %q", args)
		}
		path = args[1]
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	config := string(text)
	if path == "Caddyfile" {
		config = "{\n\tadmin off\n\tpersist_config off\n}\n" + config
	}
	if err := s.tryLoad(s.onSockets(config)); err != nil {
		t.Fatal(err)
	}
}
