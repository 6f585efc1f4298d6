package integration

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

var updateExplain = flag.Bool("update-explain", false, "rewrite testdata/explain")

// explain runs the command "caddy bearer-auth explain", and returns all that it prints and its exit status.
func explain(t testing.TB, stdin string, args ...string) (out string, status int) {
	t.Helper()
	cmd := new(cobra.Command)
	caddycmd.Commands()["bearer-auth"].CobraFunc(cmd)
	var printed bytes.Buffer
	cmd.SetOut(&printed)
	cmd.SetErr(&printed)
	cmd.SetIn(strings.NewReader(stdin))
	cmd.SetArgs(append([]string{"explain"}, args...))
	switch err := cmd.Execute(); {
	case err == nil:
	case err.Error() == "refused":
		status = 1
	default:
		text, ok := strings.CutPrefix(err.Error(), "exiting with status ")
		var wrong error
		if status, wrong = strconv.Atoi(text); !ok || wrong != nil {
			t.Fatalf("error %v", err)
		}
	}
	return printed.String(), status
}

// explained is the JSON of the command.
type explained struct {
	Verdict string
	Gates   []struct {
		Number                          int
		Verdict, Outcome, Reason, Cause string
		Issuer, Consumer                string
		Assumed, Unverified             bool
		Hosts, Paths                    []string
		Backend                         map[string][]string
		Steps                           []explainedStep
		Answer                          *struct{ Status int }
		Change                          *struct{ Line, Where, Note string }
	}
}

type explainedStep struct {
	Rule, Result, Reason, Detail string
	Came, Expected               []string
}

// explainJSON runs the command with --json.
func explainJSON(t testing.TB, stdin string, args ...string) (report explained, status int) {
	t.Helper()
	out, status := explain(t, stdin, append([]string{"--json"}, args...)...)
	if strings.ContainsFunc(out, func(c rune) bool { return c > 0x7e || c < 0x20 && c != '\n' }) {
		t.Errorf("not printable ASCII: %q", out)
	}
	decoder := json.NewDecoder(strings.NewReader(out))
	decoder.DisallowUnknownFields()
	var raw map[string]any
	if err := decoder.Decode(&raw); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatal(err)
	}
	return report, status
}

// keepsSecret requires that a text has nothing of a token's signature.
func keepsSecret(t testing.TB, text, token string) {
	t.Helper()
	const window = 12
	signature := token[strings.LastIndexByte(token, '.')+1:]
	if len(signature) < window {
		return
	}
	for i := range len(signature) - window + 1 {
		if strings.Contains(text, signature[i:i+window]) {
			t.Fatalf("a part of the signature is in %s", text)
		}
	}
}

var dates = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`)

// For every reason, the output names what came and what was expected, and what would change the answer. It has nothing
// of the signature.
func TestExplainNamesBothSides(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	all := refusals(t, key)
	for _, reason := range gate.Reasons() {
		if (len(all[reason]) == 0) == (notExplained[reason] == "") {
			t.Errorf("%s: needs a refusal, or a reason why it cannot have one", reason)
		}
		for name, c := range all[reason] {
			t.Run(string(reason)+", "+name, func(t *testing.T) {
				config := caddyfileFor(t, c.gate...)
				args := append([]string{"--config", config, "-"}, c.args...)
				if c.fetch {
					args = append(args, "--fetch")
				}
				out, status := explain(t, c.typed(), args...)
				keepsSecret(t, out, c.token)
				shown := dates.ReplaceAllString(out, "TIME")
				if status != 1 || !strings.Contains(out, "The request is refused: "+string(reason)+".\n") {
					t.Errorf("status %d, want 1 and %s", status, reason)
				}
				for _, want := range c.sees {
					if !strings.Contains(shown, want) {
						t.Errorf("it does not say %q", want)
					}
				}
				if strings.Contains(out, "What helps:") == strings.Contains(out, "What would change the answer:") ||
					strings.Contains(out, "docs/errors.md") {
					t.Error("it does not say what to do")
				}
				if t.Failed() {
					t.Log(out)
				}
				report, status := explainJSON(t, c.typed(), args...)
				keepsSecret(t, asJSON(t, report), c.token)
				if status != 1 || report.Verdict != "refused" || report.Gates[0].Reason != string(reason) {
					t.Errorf("status %d, JSON %+v", status, report)
				}
			})
		}
	}
}

// typed is what an operator types.
func (c *refusal) typed() string {
	if c.input == "" {
		return c.token
	}
	return strings.NewReplacer("%s", c.token, "%[1]s", c.token).Replace(c.input)
}

// The line that explain names does change the answer.
func TestExplainedLinesChangeTheAnswer(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	tried := 0
	for reason, cases := range refusals(t, key) {
		for name, c := range cases {
			if c.fetch {
				continue
			}
			args := func(gate []string) []string {
				return append([]string{"--config", caddyfileFor(t, gate...), "-"}, c.args...)
			}
			before, _ := explainJSON(t, c.typed(), args(c.gate)...)
			change := before.Gates[0].Change
			if change.Line == "" || strings.ContainsAny(change.Line, "…<") {
				continue
			}
			t.Run(string(reason)+", "+name, func(t *testing.T) {
				tried++
				lines := withLine(c.gate, change.Line, change.Where)
				after, status := explainJSON(t, c.typed(), args(lines)...)
				if got := after.Gates[0].Reason; got == string(reason) {
					t.Errorf("with %q %s it is still %s, status %d:\n%s", change.Line, change.Where, got, status,
						strings.Join(lines, "\n"))
				}
			})
		}
	}
	if tried < 10 {
		t.Errorf("only %d lines were tried", tried)
	}
}

// withLine puts a line into a bearer_auth block, in place of the line that begins with the same word.
func withLine(gate []string, line, where string) []string {
	lines := strings.Split(strings.Join(gate, "\n"), "\n")
	word, _, _ := strings.Cut(line, " ")
	inside, depth := strings.Contains(where, "issuer"), 0
	for i, old := range lines {
		trimmed := strings.TrimSpace(old)
		if strings.HasPrefix(trimmed, word+" ") && (depth > 0) == inside && word != "token_from" {
			if strings.HasSuffix(trimmed, "{") {
				line += " {"
			}
			lines[i] = line
			return lines
		}
		depth += strings.Count(old, "{") - strings.Count(old, "}")
	}
	if !inside {
		return append([]string{line}, lines...)
	}
	begin := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(strings.TrimSpace(l), "issuer ") })
	return slices.Insert(lines, begin+1, line)
}

// What people see, word for word. Rewrite it with -update-explain -parallel 1.
func TestExplainForPeople(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	all := refusals(t, key)
	for name, c := range map[string]refusal{
		"slash":     all[gate.UnknownIssuer]["a slash too many"],
		"audience":  all[gate.InvalidAudience]["of the issuer"],
		"scheme":    all[gate.MissingToken]["another scheme"],
		"expired":   all[gate.Expired]["by a day"],
		"signature": all[gate.InvalidSignature]["a forged token"],
		"passes": {gate: []string{"forward_claims X-User sub", "forward_payload X-Claims", consumerAlice(t)},
			token: hmacKey(t).Sign(t, claims())},
		"undecided": {gate: []string{issuerBlock("https://as.example", "audience "+audience,
			"introspect always {\nclient_id a\nclient_secret b\n}")}, token: key.Sign(t, issuedBy("https://as.example"))},
	} {
		t.Run(name, func(t *testing.T) {
			out, status := explain(t, c.typed(), "--config", caddyfileFor(t, c.gate...), "-")
			out = dates.ReplaceAllString(out, "TIME") + "exit status " + strconv.Itoa(status) + "\n"
			out = regexp.MustCompile(`\S+ ago`).ReplaceAllString(out, "SOME TIME ago")
			out = regexp.MustCompile(`sha256:[0-9a-f]{16}`).ReplaceAllString(out, "sha256:ID")
			out = regexp.MustCompile(`\d+ bytes in base64url`).ReplaceAllString(out, "N bytes in base64url")
			path := filepath.Join("testdata", "explain", name+".txt")
			if *updateExplain {
				if err := os.WriteFile(path, []byte(out), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil || out != string(want) {
				t.Errorf("error %v, got:\n%s\nwant:\n%s", err, out, want)
			}
		})
	}
}

// manyGates is a Caddyfile with gates in several sites and routes. The token is good for those with alice.
func manyGates(t *testing.T) string {
	alice := gateFor(consumerAlice(t))
	other := gateForAudience(issuerBlock("https://as.example"))
	return newFile(t, "Caddyfile", `
api.example.com, *.api.example.com {
	handle /w/* {
		`+alice+`
		respond ok
	}
	handle {
		`+other+`
		respond ok
	}
}
http://localhost:8080 {
	@write method POST
	`+strings.Replace(alice, "bearer_auth", "bearer_auth @write", 1)+`
	handle_errors {
		`+other+`
	}
}
`)
}

// Explain does not know what is revoked, and says so where something can be.
func TestExplainSaysThatItDoesNotKnowWhatIsRevoked(t *testing.T) {
	gate := "{\n%s\n}\nexample.com {\nbearer_auth {\nmax_lifetime 1h\n" + consumerAlice(t) + "\n}\n}\n"
	for global, want := range map[string]bool{"bearer_auth {\nstore file\n}": true, "admin off": false} {
		config := newFile(t, "Caddyfile", strings.Replace(gate, "%s", global, 1))
		for token, passes := range map[string]bool{hmacKey(t).Sign(t, claims()): true, "a.b.c": false} {
			report, _ := explainJSON(t, token, "--config", config, "-")
			steps := report.Gates[0].Steps
			said := slices.ContainsFunc(steps, func(s explainedStep) bool {
				return s.Rule == "revocation" && s.Result == "not_checked" && strings.Contains(s.Detail, "--address")
			})
			if said != (want && passes) || (report.Verdict == "passes") != passes {
				t.Errorf("%s: verdict %s, steps %+v", global, report.Verdict, steps)
			}
		}
	}
}

// The keys of a token issuer are where Caddy runs. That is no failure of a token.
func TestExplainDoesNotKnowTheKeysOfATokenIssuer(t *testing.T) {
	config := caddyfileFor(t, "issuer https://a.example {", "keys local", "}", "audience https://api.example.com")
	token := tokentest.NewKey(t, "ES256", "a").Sign(t,
		issuedBy("https://a.example", "aud", "https://api.example.com", "app", "/"))
	for _, args := range [][]string{{"--config", config}, {"--config", config, "--fetch"}} {
		report, _ := explainJSON(t, token, append(args, "-")...)
		at := slices.IndexFunc(report.Gates[0].Steps, func(s explainedStep) bool { return s.Rule == "signature" })
		if at < 0 {
			t.Fatalf("no signature in %+v", report.Gates[0].Steps)
		}
		if got := report.Gates[0].Steps[at]; got.Result != "not_checked" ||
			got.Detail != "the running Caddy has the keys of this issuer" {
			t.Errorf("%v: %+v", args, got)
		}
	}
}

func TestExplainSelectsGates(t *testing.T) {
	config := manyGates(t)
	token := hmacKey(t).Sign(t, claims())
	curl := func(address string) []string {
		return []string{"curl -H 'Authorization: Bearer " + token + "' " + address}
	}
	for name, c := range map[string]struct {
		args   []string
		want   []int
		status int
	}{
		"all of them without flags":        {[]string{token}, []int{1, 2, 3, 4}, 0},
		"those of a site":                  {[]string{"--site", "API.example.com", token}, []int{1, 2}, 0},
		"those of a site with a wildcard":  {[]string{"--site", "x.api.example.com", token}, []int{1, 2}, 0},
		"a wildcard as it is written":      {[]string{"--site", "*.api.example.com", token}, []int{1, 2}, 0},
		"those of a path":                  {[]string{"--site", "api.example.com", "--route", "/w/x", token}, []int{1, 2}, 0},
		"those of another path":            {[]string{"--site", "api.example.com", "--route", "/x", token}, []int{2}, 1},
		"one by its number":                {[]string{"--route", "3", token}, []int{3}, 0},
		"one that refuses":                 {[]string{"--route", "4", token}, []int{4}, 1},
		"by the address of a curl command": {curl("https://api.example.com/x"), []int{2}, 1},
		"by another address":               {curl("http://localhost:8080/x"), []int{3, 4}, 0},
		"by an address that fits none":     {curl("https://nobody.example/w/x"), []int{1, 2, 3, 4}, 0},
		"flags before an address": {append([]string{"--site", "localhost"}, curl("https://api.example.com/w/x")...),
			[]int{3, 4}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			report, status := explainJSON(t, "", append([]string{"--config", config}, c.args...)...)
			var got []int
			for _, g := range report.Gates {
				got = append(got, g.Number)
			}
			if !slices.Equal(got, c.want) || status != c.status {
				t.Errorf("gates %v, status %d; want %v, %d", got, status, c.want, c.status)
			}
		})
	}
	out, _ := explain(t, "", "--config", config, token)
	for _, title := range []string{
		"gate 1: site api.example.com *.api.example.com, path /w/*\n", "gate 2: site api.example.com *.api.example.com\n",
		"gate 3: site localhost, further matchers method\n", "gate 4: site localhost, in error routes\n",
	} {
		if !strings.Contains(out, title) {
			t.Errorf("no heading %q in %s", title, out)
		}
	}
}

func TestExplainSaysWhatIsWrongWithItsInput(t *testing.T) {
	config := manyGates(t)
	many := newFile(t, "Caddyfile", func() string {
		var b strings.Builder
		for i := range 11 {
			b.WriteString("http://s" + strconv.Itoa(i) + ".example {\n" + gateFor(consumerAlice(t)) + "\n}\n")
		}
		return b.String()
	}())
	none := newFile(t, "Caddyfile", "x.example {\nrespond ok\n}\n")
	unset := caddyfileFor(t, "consumer bob {", "credential b {", "algorithm HS256",
		"secret {env.NOT_SET_ANYWHERE}", "}", "}")
	hyphens := "--" + strings.Repeat("k9Xw2", 20)
	for name, c := range map[string]struct {
		stdin string
		args  []string
		want  string
	}{
		"no token":          {"", []string{"--config", config}, "no token"},
		"nothing on input":  {"\n", []string{"--config", config, "-"}, "the input is empty"},
		"no such file":      {"", []string{"--config", "/does/not/exist", "x"}, "no such file"},
		"no gate":           {"", []string{"--config", none, "x"}, "has no bearer_auth"},
		"an unknown site":   {"", []string{"--config", config, "--site", "nobody", "x"}, "gate 4: site localhost"},
		"an unknown number": {"", []string{"--config", config, "--route", "9", "x"}, `no gate for route "9"`},
		"an unknown path":   {"", []string{"--config", config, "--route", "x", "x"}, "which is a path that begins"},
		"too many gates":    {"", []string{"--config", many, "x"}, "11 gates fit"},
		"too much":          {strings.Repeat("a", 3<<20), []string{"--config", config, "-"}, "2 MiB"},
		"an unknown flag":   {"", []string{"--frob"}, "unknown flag: --frob"},
		"a token as a flag": {"", []string{"--config", config, hyphens}, "begins with a hyphen"},
		"a short token as a flag": {
			"", []string{"--config", config, hyphens[:24]}, "begins with a hyphen",
		},
		"a value for a switch": {
			"", []string{"--config", config, "--json=" + hyphens[2:24]}, "begins with a hyphen",
		},
		"curl without --": {"", []string{"--config", config, "curl", "-H", "X-Token: x", "x"},
			"put \"--\" before a curl command"},
		"a variable in curl":        {"curl -H \"X-Token: $T\" x", []string{"--config", config, "-"}, "only a shell"},
		"a gate without its secret": {"", []string{"--config", unset, "x"}, "this gate would not load"},
	} {
		t.Run(name, func(t *testing.T) {
			out, status := explain(t, c.stdin, c.args...)
			if status != 2 || !strings.Contains(out, c.want) || strings.Contains(out, "k9Xw2") {
				t.Errorf("status %d, output %q; want 2 and %q", status, out, c.want)
			}
		})
	}
}

// With --fetch the command does what the gate does: it fetches keys, and asks about tokens.
func TestExplainFetches(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	as := introspector(t, tokentest.WithKeys(key))
	as.Introspect(always(active()))
	config := caddyfileFor(t, introspecting(as, "always"))
	token := key.Sign(t, issuedBy(as.URL))
	if report, status := explainJSON(t, token, "--config", config, "-"); status != 3 || report.Verdict != "undecided" ||
		as.JWKSFetches()+as.MetadataFetches()+len(as.IntrospectionRequests()) > 0 {
		t.Errorf("without --fetch: status %d, %+v, %d fetches of keys", status, report, as.JWKSFetches())
	}
	report, status := explainJSON(t, token, "--config", config, "--fetch", "-")
	if status != 0 || report.Verdict != "passes" || report.Gates[0].Unverified || len(as.IntrospectionRequests()) == 0 {
		t.Errorf("with --fetch: status %d, %+v", status, report)
	}
}

// Texts of a token do not control the terminal, and cannot forge a line of the output.
func TestExplainEscapesWhatTokensSay(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	const evil = "\x1b[2J\nThe request passes.\n\u009b31m\u202e\x7f"
	config := caddyfileFor(t, issuerWithKeys("https://as.example", "file "+newFile(t, "key.pem", key.PublicPEM())),
		"require claim role admin", "require scope read", "require group staff")
	passing := caddyfileFor(t, issuerWithKeys("https://as.example", "file "+newFile(t, "key.pem", key.PublicPEM())),
		"forward_claims X-Name name")
	out, status := explain(t, key.Sign(t, issuedBy("https://as.example", "name", "\u202eecila")), "--config", passing, "-")
	if status != 0 || !strings.Contains(out, `X-Name: \u202eecila`) {
		t.Errorf("status %d, output %q", status, out)
	}
	for _, token := range []string{
		key.Sign(t, issuedBy(evil, "aud", evil, "scope", "a", "role", evil, "groups", []string{evil})),
		key.Sign(t, issuedBy("https://as.example", "aud", []string{evil, strings.Repeat("a", 5000)})),
		key.Sign(t, issuedBy("https://as.example"), map[string]any{"kid": evil}),
	} {
		for _, input := range []string{token, "Authorization: JWT " + token, "Cookie: \u009b2J\u202e=" + token} {
			out, status := explain(t, input, "--config", config, "-")
			if status != 1 || strings.Contains(out, "\nThe request passes.") || len(out) > 20_000 ||
				strings.ContainsFunc(out, func(c rune) bool { return c != '\n' && !strconv.IsPrint(c) }) {
				t.Errorf("status %d, output %q", status, out)
			}
			_, _ = explainJSON(t, input, "--config", config, "-")
		}
	}
}
