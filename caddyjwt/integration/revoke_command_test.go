package integration

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os/user"
	"strings"
	"testing"
	"time"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// bearerAuth runs the command "caddy bearer-auth" with this standard input.
func bearerAuth(stdin string, args ...string) (string, error) {
	return commandOfCaddy("bearer-auth", stdin, args...)
}

// commandOfCaddy runs a command of Caddy with this standard input.
func commandOfCaddy(name, stdin string, args ...string) (string, error) {
	cmd := new(cobra.Command)
	caddycmd.Commands()[name].CobraFunc(cmd)
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SetIn(strings.NewReader(stdin))
	cmd.SetArgs(args)
	cmd.SilenceUsage = true // as Caddy has it
	err := cmd.Execute()
	return out.String(), err
}

// command runs "revoke" or "revocations" for the office.
func (o *office) command(stdin string, args ...string) string {
	o.t.Helper()
	out, err := bearerAuth(stdin, append(args, "--address", "unix/"+o.socket)...)
	if err != nil {
		o.t.Fatalf("%q: %v\n%s", args, err, out)
	}
	return out
}

func TestRevokeCommand(t *testing.T) {
	t.Setenv("SUDO_USER", "")
	key := tokentest.NewKey(t, "ES256", "")
	o := openOffice(t, consumerAlice(t), issuerBlock(keptIssuer, pemOf(t, key), "revocation claim groups"))
	const whose = `issuer "` + keptIssuer + `"`
	sign := func(changes ...any) string { return key.Sign(t, issuedBy(keptIssuer, changes...)) }
	withID, without := sign("jti", "5"), sign("sub", "carl")
	for name, c := range map[string]struct {
		flags []string
		stdin string
		says  string // in the output, before the cut-off
		hit   string // a token that is out then
	}{
		"jti": {[]string{"--issuer", keptIssuer, "--jti", "1"}, "", `the token with jti "1" of ` + whose + "\n",
			sign("jti", "1")},
		"sub": {[]string{"--issuer", keptIssuer, "--sub", "zoe"}, "",
			"all tokens of " + whose + ` with sub "zoe" that were issued until `, sign("sub", "zoe")},
		"sid": {[]string{"--issuer", keptIssuer, "--sid", "s"}, "", ` with sid "s" that were`, sign("sid", "s")},
		"client": {[]string{"--issuer", keptIssuer, "--client-id", "app"}, "", ` with client_id "app" that were`,
			sign("client_id", "app")},
		"claim": {[]string{"--issuer", keptIssuer, "--claim", "groups", "--value", "x"}, "",
			` with "x" in "/groups" that were`, sign("groups", []string{"x"})},
		"token":            {[]string{"--token", "-"}, withID + "\n", `the token with jti "5" of ` + whose + "\n", withID},
		"token without id": {[]string{"--token", "-"}, " " + without, "one token of " + whose + "\n", without},
		"header line":      {[]string{"--token", "-"}, "Authorization: Bearer " + without, "one token of ", without},
		"curl": {[]string{"--token", "-"}, "curl -H 'Authorization: Bearer " + without + "' https://a.example",
			"one token of ", without},
		"file": {[]string{"--token", newFile(t, "token", withID)}, "", `the token with jti "5"`, withID},
		"whole issuer": {[]string{"--issuer", keptIssuer, "--all"}, "",
			"all tokens of " + whose + " that were issued until ", sign()},
		"consumer": {[]string{"--consumer", "alice"}, "", `all tokens of consumer "alice" that were issued until `,
			hmacKey(t).Sign(t, claims("aud", audience))},
	} {
		t.Run(name, func(t *testing.T) {
			o := o.in(t)
			o.good(c.hit)
			run := func(more ...string) string {
				return o.command(c.stdin, append(append([]string{"revoke"}, c.flags...), more...)...)
			}
			if out := run("--dry-run"); !strings.HasPrefix(out, "would revoke ") || !strings.Contains(out, c.says) {
				t.Errorf("a dry run says %q, want %q", out, c.says)
			}
			o.good(c.hit)
			out := run("--reason", "test")
			if !strings.HasPrefix(out, "revoked ") || !strings.Contains(out, c.says) ||
				!strings.Contains(out, "\nknown at this Caddy: ") || strings.Count(out, "\n") != 2 {
				t.Errorf("it says %q, want %q", out, c.says)
			}
			o.out(c.hit)
			if out := run("--undo"); !strings.HasPrefix(out, "taken back: ") || strings.Count(out, "\n") != 1 {
				t.Errorf("taking it back says %q", out)
			}
			o.good(c.hit)
		})
	}
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	if !o.logged(`"msg":"tokens revoked"`, `"author":"`+me.Username+`"`, `"reason":"test"`) {
		t.Error("the log does not have the user who ran the command")
	}
	for _, token := range []string{withID, without} {
		if strings.Contains(o.log(), token[len(token)-40:]) {
			t.Error("the log has the token")
		}
	}
}

// The counts, the cut-off, the author and the JSON.
func TestRevokeCommandDetails(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "")
	o := openOffice(t, issuerBlock(keptIssuer, pemOf(t, key)))
	o.good(key.Sign(t, issuedBy(keptIssuer, "jti", "1")), key.Sign(t, issuedBy(keptIssuer, "jti", "2")))
	out := o.command("", "revoke", "--issuer", keptIssuer, "--sub", "alice", "--dry-run")
	if !strings.HasSuffix(out, "\nknown at this Caddy: 2 remembered tokens, 0 running responses\n") {
		t.Errorf("%q", out)
	}
	then := time.Now().Add(-10 * time.Minute).UTC().Truncate(time.Second).Format(time.RFC3339)
	t.Setenv("SUDO_USER", "ada")
	out = o.command("", "revoke", "--issuer", keptIssuer, "--sub", "alice", "--not-after", then)
	if !strings.Contains(out, " that were issued until "+then+"\n") {
		t.Errorf("%q", out)
	}
	o.command("", "revoke", "--issuer", keptIssuer, "--sub", "b\u00f6b", "--author", "me", "--reason", "why not")
	out = o.command("", "revoke", "--issuer", keptIssuer, "--sub", "zoe", "--json", "--dry-run")
	var answer struct {
		Revoked struct{ By, Value, Author string }
		DryRun  bool `json:"dry_run"`
		Effect  map[string]int
	}
	if err := json.Unmarshal([]byte(out), &answer); err != nil || answer.Revoked.Value != "zoe" || !answer.DryRun ||
		answer.Revoked.Author != "ada" || len(answer.Effect) != 2 {
		t.Errorf("%s: %v", out, err)
	}

	out = o.command("", "revocations")
	lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	const head = "WHOSE WHICH ISSUED UNTIL KEPT UNTIL AUTHOR REASON"
	if len(lines) != 4 || strings.Join(strings.Fields(lines[0]), " ") != head ||
		!strings.Contains(lines[1], "sub alice") || !strings.Contains(lines[1], then) || !strings.Contains(lines[1], "ada") ||
		!strings.Contains(lines[2], "sub b\u00f6b") || !strings.HasSuffix(lines[2], "me      why not") ||
		lines[3] != "2 revocations" {
		t.Errorf("%s", out)
	}
	out = o.command("", "revocations", "--limit", "1")
	if !strings.HasSuffix(out, "\n2 revocations, of which 1 are listed\n") {
		t.Errorf("%s", out)
	}
	out = o.command("", "revocations", "--json")
	var list struct {
		Total   int
		Entries []any
	}
	if err := json.Unmarshal([]byte(out), &list); err != nil || list.Total != 2 || len(list.Entries) != 2 {
		t.Errorf("%s: %v", out, err)
	}
	o.restore("issuer", keptIssuer, "sub", "alice")
	o.restore("issuer", keptIssuer, "sub", "b\u00f6b")
	if out = o.command("", "revocations"); out != "0 revocations\n" {
		t.Errorf("%q", out)
	}
}

// A mistake ends the command with a status that is not 0, and a text that says what to do. Nothing is revoked, and the
// token is in no text.
func TestRevokeCommandMistakes(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "")
	o := openOffice(t, issuerBlock(keptIssuer, pemOf(t, key)))
	token := key.Sign(t, issuedBy(keptIssuer, "jti", "1"))
	address := []string{"--address", "unix/" + o.socket}
	of := func(flags ...string) []string { return append(append([]string{"revoke"}, flags...), address...) }
	nobody := "unix/" + o.socket + "x"
	for name, c := range map[string]struct {
		args  []string
		stdin string
		says  string
	}{
		"nothing":           {of(), "", "name the issuer or the consumer"},
		"an empty sub":      {of("--issuer", keptIssuer, "--sub", ""), "", "--sub is empty: is a variable not set?"},
		"an empty issuer":   {of("--issuer="), "", "--issuer is empty"},
		"an empty token":    {of("--issuer", keptIssuer, "--token", ""), "", "--token is empty"},
		"an empty input":    {of("--token", "-"), "\n", "--token: the input is empty"},
		"two kinds":         {of("--issuer", keptIssuer, "--sub", "a", "--jti", "b"), "", "name one of them"},
		"an unknown issuer": {of("--issuer", "https://x.example", "--sub", "a"), "", "known are: " + keptIssuer},
		"no time":           {of("--issuer", keptIssuer, "--not-after", "yesterday"), "", "expected a time"},
		"the future": {of("--issuer", keptIssuer, "--all", "--not-after", "2100-01-01T00:00:00Z"), "",
			"in the future"},
		"a token as argument":       {of(token), "", "revoke takes flags only"},
		"a token after --token":     {of("--token", token), "", "It never takes the token itself"},
		"a token as a flag":         {of("--" + token), "", "a flag is unknown"},
		"a token as jti":            {of("--issuer", keptIssuer, "--jti", token), "", `a token belongs in "token"`},
		"a token as limit":          {append([]string{"revocations", "--limit", token}, address...), "", "limit"},
		"a file that is missing":    {of("--token", "/does/not/exist"), "", "the name of a file that can be read"},
		"a directory":               {of("--token", t.TempDir()), "", "cannot be read"},
		"a request without a token": {of("--token", "-"), "curl https://a.example/", "give the token alone"},
		"two tokens":                {of("--token", "-"), token + " " + token + " x", "white space"},
		"an unknown flag":           {of("--user", "a"), "", "unknown flag: --user"},
		"nothing to take back":      {of("--issuer", keptIssuer, "--sub", "eve", "--undo"), "", "HTTP 404: there is nothing"},
		"a limit of 0":              {append([]string{"revocations", "--limit", "0"}, address...), "", "HTTP 400"},
		"all, and some":             {of("--issuer", keptIssuer, "--all", "--sub", "a"), "", "leave one of the two out"},
		"all by mistake":            {of("--issuer", keptIssuer), "", "sign out everybody: name a --sub"},
		"all taken back by mistake": {of("--issuer", keptIssuer, "--undo"), "", "write --all if it is meant"},
		"no Caddy": {[]string{"revoke", "--issuer", keptIssuer, "--all", "--address", nobody}, "",
			"no Caddy answers at the admin endpoint " + nobody},
		"no Caddy to list": {[]string{"revocations", "--address", nobody}, "", "Is Caddy running?"},
		"no address":       {[]string{"revocations", "--address", "127.0.0.1:1-5"}, "", "invalid admin address"},
		"no configuration": {[]string{"revocations", "--config", "/does/not/exist"}, "", "finding the admin endpoint"},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := bearerAuth(c.stdin, c.args...)
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v, output %q; want %q", err, out, c.says)
			}
			if err != nil && name != "a token as limit" && strings.Contains(out+err.Error(), token[:30]) {
				t.Errorf("the token is in the output: %s\n%v", out, err)
			}
		})
	}
	o.good(token)
	if list := o.listed(""); len(list) != 0 {
		t.Errorf("listed: %q", list)
	}
}

// The address of the admin endpoint is also that of a configuration, as for "caddy reload".
func TestRevokeCommandFindsTheAdminEndpoint(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "")
	o := openOffice(t, issuerBlock(keptIssuer, pemOf(t, key)))
	config := newFile(t, "Caddyfile", o.kept(o.caddyfile("")))
	if out, err := bearerAuth("", "revoke", "--issuer", keptIssuer, "--all", "--config", config); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	o.out(key.Sign(t, issuedBy(keptIssuer)))
	out, err := bearerAuth("", "revocations", "-c", jsonOf(t, config))
	if err != nil || !strings.Contains(out, "1 revocation") {
		t.Errorf("%v\n%s", err, out)
	}
	o.store = ""
	o.loadFile(o.kept(o.caddyfile("")))
	if a := o.asks(http.MethodGet, revocationsPath, ""); a.StatusCode != http.StatusNotFound {
		t.Errorf("status %d", a.StatusCode)
	}
	out, err = bearerAuth("", "revocations", "--config", config)
	if err == nil || !strings.Contains(err.Error(), "has no store") {
		t.Errorf("%v\n%s", err, out)
	}
}
