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

// What README.md tells a newcomer to do works as it is written, and answers as shown. The test does what the commands
// say: openssl, curl and the shell run as they stand, Caddy and mint run in this process, and the socket of the test
// stands in for the port.
func TestFirstStepsOfTheReadme(t *testing.T) {
	for _, c := range []struct {
		headings []string // sections that have one Caddy
		answer   string   // to the curl that has no answer of its own
		consoles int      // commands with answers
	}{
		{[]string{"### Sign in", "### A consumer"}, "GET /\nX-Consumer-Username: reports\n", 10},
		{[]string{"### An issuer"}, "Hello, test-user", 0},
	} {
		t.Run(c.headings[0], func(t *testing.T) {
			example, err := os.ReadFile("../../Caddyfile.example")
			if err != nil {
				t.Fatal(err)
			}
			var sections []string
			for _, heading := range c.headings {
				sections = append(sections, readmeSection(t, heading))
			}
			behaviour := consoles(readmeSection(t, "## What happens on each kind of request"))
			s := prepare(t)
			t.Chdir(t.TempDir())
			writeFile(t, "Caddyfile.example", string(example))
			for _, config := range fenced(sections[0], "caddyfile") {
				writeFile(t, "Caddyfile", config)
			}
			did := make(map[string]int)
			tokens := make(map[string]string)
			for _, section := range sections {
				for _, commands := range fenced(section, "sh") {
					for command := range strings.Lines(commands) {
						did[s.follow(t, strings.TrimSpace(command), tokens, c.answer)]++
					}
				}
				typed := consoles(section)
				did["console"] += len(typed)
				s.types(t, typed, tokens)
			}
			if did["run"] != 1 || did["mint"] == 0 || did["curl"] != 1 || did["console"] != c.consoles {
				t.Errorf("README.md has other commands: %v", did)
			}
			if tokens["$OLD"] != "" { // the answers until the one that needs another configuration
				s.types(t, behaviour[:len(behaviour)-2], tokens)
			}
		})
	}
}

// entered is a command of a console, and what is shown below it.
type entered struct{ command, answer string }

// consoles gives the commands in the consoles of a document.
func consoles(text string) (all []entered) {
	for _, block := range fenced(text, "console") {
		for line := range strings.Lines(block) {
			command, begins := strings.CutPrefix(line, "$ ")
			last := len(all) - 1
			switch {
			case begins:
				all = append(all, entered{command: command})
			case all[last].answer == "" && strings.HasSuffix(all[last].command, "\\\n"):
				all[last].command += line
			default:
				all[last].answer += line
			}
		}
	}
	return all
}

// types types commands into a shell, and compares what it prints with what is shown. Dates, other numbers of seconds,
// and what "…" stands for may differ.
func (s *site) types(t *testing.T, commands []entered, variables map[string]string) {
	t.Helper()
	if len(commands) == 0 {
		return
	}
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("curl is not installed: the commands of README.md are not tried")
	}
	const end = "\x1e"
	script := "curl() { command curl --unix-socket " + s.socket + " -H 'Host: gate.test' \"$@\"; }\n"
	for _, c := range commands {
		script += c.command + "\nprintf '" + `\036` + "'\n"
	}
	shell := exec.CommandContext(t.Context(), "sh", "-c", script)
	shell.Env = os.Environ()
	for name, token := range variables {
		shell.Env = append(shell.Env, strings.TrimPrefix(name, "$")+"="+token)
	}
	out, err := shell.Output()
	if err != nil {
		t.Fatalf("%v in\n%s", err, script)
	}
	printed := strings.Split(strings.ReplaceAll(string(out), "\r", ""), end)
	for i, c := range commands {
		want := regexp.QuoteMeta(strings.TrimRight(c.answer, "\n"))
		want = strings.ReplaceAll(want, "…", `[\w.-]+`)
		want = regexp.MustCompile(`Date: .*`).ReplaceAllString(want, `Date: .*`)
		want = regexp.MustCompile(`\b1\d{9}(\\\.\d+)?`).ReplaceAllString(want, `1[\d.]+`)
		if got := strings.TrimRight(printed[i], "\n"); !regexp.MustCompile(`^` + want + `$`).MatchString(got) {
			t.Errorf("$ %s%s\nREADME.md shows\n%s", c.command, got, c.answer)
		}
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
