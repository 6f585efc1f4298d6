package command

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/caddyjwt/gateway/caddyjwt/tokenissuer/registration"
)

// clientsFile is a file with clients, and the commands that change it.
type clientsFile struct {
	t    *testing.T
	path string
}

func newClientsFile(t *testing.T, content string) *clientsFile {
	t.Helper()
	f := &clientsFile{t, filepath.Join(t.TempDir(), "clients.json")}
	if content != "" {
		f.write(content)
	}
	return f
}

func (f *clientsFile) write(content string) {
	f.t.Helper()
	if err := os.WriteFile(f.path, []byte(content), 0o600); err != nil {
		f.t.Fatal(err)
	}
}

// try runs a command for the file.
func (f *clientsFile) try(args ...string) (out, said string, err error) {
	return run(strings.NewReader(""), clientCommand(), append(args, "--file", f.path)...)
}

// does runs a command that must do what it says, and gives its standard output.
func (f *clientsFile) does(args ...string) string {
	f.t.Helper()
	out, said, err := f.try(args...)
	if err != nil {
		f.t.Fatalf("%q: %v\n%s%s", args, err, out, said)
	}
	return out
}

// makes runs a command that makes a secret, which is shown nowhere else.
func (f *clientsFile) makes(args ...string) (secret string) {
	f.t.Helper()
	out, said, err := f.try(args...)
	line := regexp.MustCompile(`^client_id: \S+\nclient_secret: ([\w-]{43})\n$`).FindStringSubmatch(out)
	if err != nil || line == nil {
		f.t.Fatalf("%q: %v\n%s", args, err, out)
	}
	if secret = line[1]; strings.Contains(said+f.content(), secret) {
		f.t.Errorf("%q: the secret is in the file, or on standard error", args)
	}
	return secret
}

func (f *clientsFile) content() string {
	f.t.Helper()
	text, err := os.ReadFile(f.path)
	if err != nil {
		f.t.Fatal(err)
	}
	return string(text)
}

// client is a client of the file.
func (f *clientsFile) client(id string) *registration.Client {
	f.t.Helper()
	file, err := registration.ReadFile([]byte(f.content()))
	if err != nil {
		f.t.Fatal(err)
	}
	c := file.Find(id)
	if c == nil {
		f.t.Fatalf("there is no client %q in\n%s", id, f.content())
	}
	return c
}

// takes wants the client to have as many secrets as there are here, and these.
func (f *clientsFile) takes(id string, secrets ...string) {
	f.t.Helper()
	hashes := f.client(id).SecretHashes
	if len(hashes) != len(secrets) {
		f.t.Fatalf("client %q has %d secrets, want %d", id, len(hashes), len(secrets))
	}
	for i, hash := range hashes {
		if !signsIn(f.t, hash, secrets[i]) {
			f.t.Errorf("hash %d of client %q is one of another secret", i, id)
		}
	}
}

func TestClientsAreAddedRotatedAndRemoved(t *testing.T) {
	f := newClientsFile(t, "")
	first := f.makes("add", "--id", "billing", "--scope", "read", "--scope", "write", "--audience", "https://a.example",
		"--audience", "https://b.example", "--access-lifetime", "10m", "--cost", "4")
	f.takes("billing", first)
	if stat, err := os.Stat(f.path); err != nil || stat.Mode() != 0o600 {
		t.Errorf("mode %v: %v", stat.Mode(), err)
	}
	gate := f.makes("add", "--id", "gate", "--introspect", "https://a.example", "--cost", "5")
	if first == gate {
		t.Error("two clients have the same secret")
	}
	if cost, err := bcrypt.Cost([]byte(f.client("gate").SecretHashes[0])); cost != 5 {
		t.Errorf("cost %d: %v", cost, err)
	}

	second := f.makes("rotate", "--id", "billing", "--cost", "4")
	f.takes("billing", first, second)
	f.does("rotate", "--id", "billing", "--cancel")
	f.takes("billing", first)
	third := f.makes("rotate", "--id", "billing", "--cost", "4")
	f.takes("billing", first, third)
	f.does("rotate", "--id", "billing", "--finish")
	f.takes("billing", third)
	f.takes("gate", gate)

	says := f.does("list")
	for _, line := range []string{
		`(?m)^billing +client_secret +client_credentials +read write +https://a.example https://b.example +- +10m0s +file$`,
		`(?m)^gate +client_secret +- +- +- +https://a.example +- +file$`, `(?m)^2 clients$`,
	} {
		if !regexp.MustCompile(line).MatchString(says) {
			t.Errorf("%s\nhas no line %s", says, line)
		}
	}
	f.does("remove", "--id", "billing")
	f.takes("gate", gate)
	f.does("remove", "--id", "gate")
	if out := f.does("list"); out != "0 clients\n" {
		t.Errorf("%q", out)
	}
}

func TestClientsAsJSON(t *testing.T) {
	f := newClientsFile(t, "")
	read := func(text string) (of struct {
		ID        string `json:"client_id"`
		Secret    string `json:"client_secret"`
		Caddyfile string
	}) {
		t.Helper()
		if err := json.Unmarshal([]byte(text), &of); err != nil || of.ID != "a" {
			t.Errorf("%s: %v", text, err)
		}
		return of
	}
	first := read(f.does("add", "--id", "a", "--audience", "u:a", "--json", "--cost", "4"))
	second := read(f.does("rotate", "--id", "a", "--json", "--cost", "4"))
	f.takes("a", first.Secret, second.Secret)
	var list struct{ Clients []map[string]any }
	if err := json.Unmarshal([]byte(f.does("list", "--json")), &list); err != nil || len(list.Clients) != 1 ||
		list.Clients[0]["secrets"] != 2.0 || list.Clients[0]["from"] != "file" {
		t.Errorf("%v: %v", list, err)
	}
	out, _, err := run(nil, clientCommand(), "add", "--id", "a", "--audience", "u:a", "--json")
	of := read(out)
	if err != nil || !strings.HasPrefix(of.Caddyfile, "client a {\n\tsecret_hash `$2a$") || of.Secret == "" {
		t.Errorf("%s: %v", out, err)
	}
}

// The other clients decide how a hash is made: all must cost the same time.
func TestASecretIsHashedAsThoseOfTheOtherClients(t *testing.T) {
	f := newClientsFile(t, "")
	f.makes("add", "--id", "a", "--audience", "u:a", "--algorithm", "argon2id")
	text := strings.NewReplacer("m=47104", "m=64", "t=1", "t=2").Replace(f.content()) // another hash, of no secret
	f.write(text)
	b := f.makes("add", "--id", "b", "--audience", "u:a")
	f.takes("b", b)
	if hash := f.client("b").SecretHashes[0]; !strings.HasPrefix(hash, "$argon2id$v=19$m=64,t=2,p=1$") {
		t.Errorf("the hash is %s", hash)
	}
	f.takes("b", b, f.makes("rotate", "--id", "b"))
	before := f.content()
	if _, _, err := f.try("add", "--id", "c", "--audience", "u:a", "--algorithm", "bcrypt"); err == nil ||
		!strings.Contains(err.Error(), "as those of the other clients") || f.content() != before {
		t.Errorf("a hash of another kind: %v", err)
	}
}

func TestAClientWithAPublicKeyHasNoSecret(t *testing.T) {
	f := newClientsFile(t, "")
	key := filepath.FromSlash("../testdata/client.pem")
	if out := f.does("add", "--id", "batch", "--audience", "u:a", "--public-key", key); out != "client_id: batch\n" {
		t.Errorf("%q", out)
	}
	if c := f.client("batch"); !strings.Contains(c.PublicKey, "BEGIN PUBLIC KEY") || len(c.SecretHashes) > 0 {
		t.Errorf("%+v", c)
	}
	if out := f.does("list"); !strings.Contains(out, "private_key_jwt") || strings.Contains(out, "BEGIN") {
		t.Errorf("%s", out)
	}
	out, _, err := run(nil, clientCommand(), "add", "--id", "b", "--audience", "u:a", "--public-key", key,
		"--access-lifetime", "1m")
	path, _ := filepath.Abs(key)
	want := "client b {\n\tpublic_key " + path + "\n\taudience u:a\n\taccess_lifetime 1m0s\n}\n\nclient_id: b\n"
	if err != nil || out != want {
		t.Errorf("%v\n%s\nwant\n%s", err, out, want)
	}
}

// Two operators add clients at the same time, and none is lost.
func TestClientsThatAreAddedAtTheSameTime(t *testing.T) {
	f := newClientsFile(t, "")
	names := []string{"a", "b", "c", "d", "e", "f"}
	var all sync.WaitGroup
	for _, name := range names {
		all.Go(func() {
			if _, _, err := f.try("add", "--id", name, "--audience", "u:a", "--cost", "4"); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for _, name := range names {
		f.client(name)
	}
}

func TestWhatIsRefusedLeavesTheFileAsItWas(t *testing.T) {
	const good = `{"clients": [
		{"id": "one", "secret_hash": ["$2a$04$X3ulqf/iGxnf1k6oMZ.RZeJUoqI9PX2PM4rS5lkIKJXduLGXGPrt6"], "audience": ["u:a"]},
		{"id": "pinned", "tls_client_auth": {"san_dns": "a.example"}}
	]}`
	private := filepath.Join(t.TempDir(), "private.pem")
	const key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
	if err := os.WriteFile(private, []byte(key), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, of := range []struct {
		content, says string
		args          []string
	}{
		{good, "Name it with --id", []string{"add"}},
		{good, "--id is empty", []string{"remove", "--id", ""}},
		{good, "already", []string{"add", "--id", "one"}},
		{good, "begins with /", []string{"add", "--id", "/api/", "--cost", "4"}},
		{good, "printable ASCII", []string{"add", "--id", "a\nb", "--cost", "4"}},
		{good, "scopes", []string{"add", "--id", "x", "--scope", "a b", "--cost", "4"}},
		{good, "scopes", []string{"add", "--id", "x", "--scope", "", "--cost", "4"}},
		{good, "audience", []string{"add", "--id", "x", "--audience", "", "--cost", "4"}},
		{good, "is there twice", []string{"add", "--id", "x", "--audience", "u:a", "--audience", "u:a", "--cost", "4"}},
		{good, "such as 5m", []string{"add", "--id", "x", "--access-lifetime", "0"}},
		{good, "such as 5m", []string{"add", "--id", "x", "--access-lifetime", "-5m"}},
		{good, "such as 5m", []string{"add", "--id", "x", "--access-lifetime", "soon"}},
		{good, "--access-lifetime is empty", []string{"add", "--id", "x", "--access-lifetime", ""}},
		{good, "two for the same", []string{"add", "--id", "x", "--access-lifetime", "1m", "--access-lifetime", "2m"}},
		{good, "two for the same", []string{
			"add", "--id", "x", "--access-lifetime", "1m=u:a", "--access-lifetime", "2m=u:a",
		}},
		{good, "audience is empty", []string{"add", "--id", "x", "--access-lifetime", "1m="}},
		{good, "may have no tokens", []string{
			"add", "--id", "x", "--audience", "u:a", "--access-lifetime", "1m=u:b", "--cost", "4",
		}},
		{good, "expected name=value", []string{"add", "--id", "x", "--claim", "tenant"}},
		{good, "expected name=value", []string{"add", "--id", "x", "--claim", "tenant="}},
		{good, "expected name=value", []string{"add", "--id", "x", "--header", "=x"}},
		{good, "is there twice", []string{"add", "--id", "x", "--claim", "a=1", "--claim", "a=2"}},
		{good, "sets the claim", []string{"add", "--id", "x", "--claim", "scope=admin", "--cost", "4"}},
		{good, "set by the signer", []string{"add", "--id", "x", "--header", "kid=1", "--cost", "4"}},
		{good, "placeholders are not resolved", []string{"add", "--id", "x", "--claim", "a={env.HOME}", "--cost", "4"}},
		{good, "expected jwt or opaque", []string{"add", "--id", "x", "--token", "saml", "--cost", "4"}},
		{good, "--token is empty", []string{"add", "--id", "x", "--token", ""}},
		{good, "is not between", []string{"add", "--id", "x", "--access-lifetime", "25h", "--cost", "4"}},
		{good, "from 4 to 16", []string{"add", "--id", "x", "--cost", "17"}},
		{good, "bcrypt or argon2id", []string{"add", "--id", "x", "--algorithm", "md5"}},
		{good, "leave it out", []string{"add", "--id", "x", "--algorithm", "argon2id", "--cost", "4"}},
		{good, "leave them out", []string{"add", "--id", "x", "--public-key", private, "--cost", "4"}},
		{good, "private key", []string{"add", "--id", "x", "--public-key", private}},
		{good, "no such file", []string{"add", "--id", "x", "--public-key", private + "x"}},
		{good, "flags only", []string{"add", "--id", "x", "swordfish"}},
		{good, `has no client "x"`, []string{"rotate", "--id", "x"}},
		{good, "has no secret", []string{"rotate", "--id", "pinned"}},
		{good, "has no secret", []string{"rotate", "--id", "pinned", "--finish"}},
		{good, "has one secret", []string{"rotate", "--id", "one", "--finish"}},
		{good, "give one of them", []string{"rotate", "--id", "one", "--finish", "--cancel"}},
		{good, "leave it out", []string{"rotate", "--id", "one", "--finish", "--cost", "4"}},
		{good, "leave it out", []string{"rotate", "--id", "one", "--cancel", "--json"}},
		{good, `has no client "ONE"`, []string{"remove", "--id", "ONE"}},
		{good, "leave one of them out", []string{"list", "--issuer", "x"}},
		{good, "leave one of them out", []string{"list", "--adapter", ""}},
		{"", "not one JSON object", []string{"list"}},
		{"\n", "not one JSON object", []string{"add", "--id", "x"}},
		{`{"clients": [{"id": "x", "ID": "y"}]}`, "mend it first", []string{"remove", "--id", "x"}},
		{`{"clients": [{"id": "x"}]}`, "mend it first", []string{"remove", "--id", "x"}},
		{strings.Replace(good, `"id"`, `"id": "x", "id"`, 1), "mend it first", []string{"add", "--id", "x"}},
		{strings.Replace(good, `]}`, `]} {}`, 1), "mend it first", []string{"add", "--id", "x"}},
	} {
		f := newClientsFile(t, "")
		f.write(of.content)
		out, said, err := f.try(of.args...)
		if err == nil || !strings.Contains(err.Error(), of.says) {
			t.Errorf("%q: %v, want %q", of.args, err, of.says)
		}
		if out != "" || strings.Contains(said, "secret: ") || f.content() != of.content {
			t.Errorf("%q: printed %q, and the file has\n%s", of.args, out+said, f.content())
		}
		if found, _ := os.ReadDir(filepath.Dir(f.path)); len(found) != 1 {
			t.Errorf("%q: left behind: %v", of.args, found)
		}
	}
	rotated := newClientsFile(t, good)
	rotated.makes("rotate", "--id", "one", "--cost", "4")
	before := rotated.content()
	if _, _, err := rotated.try("rotate", "--id", "one"); err == nil || !strings.Contains(err.Error(), "--cancel") ||
		rotated.content() != before {
		t.Errorf("a third secret: %v", err)
	}
}

// Without a file there is a block, in which nothing can be more than a value.
func TestTheBlockForACaddyfile(t *testing.T) {
	out, said, err := run(nil, clientCommand(), "add", "--id", "a # b", "--scope", "read", "--scope", "write:`all`",
		"--audience", "https://a.example", "--introspect", "u:b")
	want := regexp.MustCompile("^client `a # b` {\n\tsecret_hash `\\$2a\\$10\\$\\S{53}`\n\tscopes read \"write:`all`\"\n" +
		"\taudience https://a.example\n\tintrospect u:b\n}\n\nclient_id: a # b\nclient_secret: [\\w-]{43}\n$")
	if err != nil || said != "" || !want.MatchString(out) {
		t.Errorf("%v\n%s%s", err, out, said)
	}
	for _, of := range []struct {
		says string
		args []string
	}{
		{"placeholders are not resolved here", []string{"add", "--id", "{env.HOME}", "--audience", "u:a"}},
		{"has a brace", []string{"add", "--id", "{HOME}", "--audience", "u:a"}},
		{"has a brace", []string{"add", "--id", "a", "--audience", "u:{a}"}},
		{"cannot be written", []string{"add", "--id", "a`\\", "--audience", "u:a"}},
		{"is there twice", []string{"add", "--id", "a", "--audience", "u:a", "--audience", "u:a"}},
		{"Name the file", []string{"remove", "--id", "a"}},
		{"Name the file", []string{"rotate", "--id", "a"}},
		{"--file is empty", []string{"add", "--id", "a", "--file", ""}},
	} {
		out, _, err := run(nil, clientCommand(), of.args...)
		if err == nil || !strings.Contains(err.Error(), of.says) || out != "" {
			t.Errorf("%q: %v, want %q\n%s", of.args, err, of.says, out)
		}
	}
}

// closed is an output that nobody reads.
type closed struct{}

func (closed) Write([]byte) (int, error) { return 0, os.ErrClosed }

// A secret that nobody has seen is good for nothing, so the command must not end as if all were well.
func TestASecretThatCannotBeShown(t *testing.T) {
	f := newClientsFile(t, "")
	command := clientCommand()
	command.SetOut(closed{})
	command.SetErr(closed{})
	command.SetArgs([]string{"add", "--id", "a", "--audience", "u:a", "--file", f.path})
	command.SilenceUsage, command.SilenceErrors = true, true
	if err := command.Execute(); err == nil || !strings.Contains(err.Error(), `"client remove"`) {
		t.Error(err)
	}
}
