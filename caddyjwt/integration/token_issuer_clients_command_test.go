package integration

import (
	"io"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// clientKeeper is a keeper whose issuer has a file with clients.
type clientKeeper struct {
	*keeper
	file string
}

// opens has Caddy run with the file, and with more lines in token_issuer.
func (k *clientKeeper) opens(lines ...string) {
	k.t.Helper()
	lines = append([]string{"clients file " + k.file, "default_audience " + keptTokens}, lines...)
	k.loadFile(k.kept(k.caddyfile(issuingFor(keptTokens, lines...) + `
	bearer_auth {
		issuer ` + keptTokens + ` {
			keys local
		}
		audience ` + keptTokens + `
	}`)))
}

var secretLine = regexp.MustCompile(`(?m)^client_secret: ([\w-]{43})$`)

// makes runs a command that makes a secret.
func (k *clientKeeper) makes(args ...string) (secret, out string) {
	k.t.Helper()
	out, err := tokenIssuer("", append([]string{"client"}, args...)...)
	found := secretLine.FindStringSubmatch(out)
	if err != nil || found == nil {
		k.t.Fatalf("%q: %v\n%s", args, err, out)
	}
	return found[1], out
}

// changes runs a command for the file.
func (k *clientKeeper) changes(args ...string) {
	k.t.Helper()
	if out, err := tokenIssuer("", append([]string{"client"}, append(args, "--file", k.file)...)...); err != nil {
		k.t.Fatalf("%q: %v\n%s", args, err, out)
	}
}

// gets is the status of a request for a token, and the token.
func (k *clientKeeper) gets(id, secret string) (int, string) {
	k.t.Helper()
	r, err := http.NewRequestWithContext(k.t.Context(), http.MethodPost, "http://gate.test/oauth2/token",
		strings.NewReader("grant_type=client_credentials"))
	if err != nil {
		k.t.Fatal(err)
	}
	r.Header.Set("Content-Type", asForm)
	r.SetBasicAuth(id, secret)
	response, err := k.client.Do(r)
	if err != nil {
		k.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		k.t.Fatal(err)
	}
	token := regexp.MustCompile(`"access_token":"([^"]+)"`).FindStringSubmatch(string(text))
	if token == nil {
		return response.StatusCode, ""
	}
	return response.StatusCode, token[1]
}

// works wants a client to get a token with a secret, with which it reaches the backend.
func (k *clientKeeper) works(id, secret string) {
	k.t.Helper()
	status, token := k.gets(id, secret)
	if status != http.StatusOK {
		k.t.Fatalf("client %s: status %d", id, status)
	}
	k.is(http.StatusOK, "/", given{Access: token})
}

// lists waits until the clients in force are as an expression says. To ask with a secret until it is good would count
// as guessing.
func (k *clientKeeper) lists(expression string) {
	k.t.Helper()
	want := regexp.MustCompile(expression)
	eventually(k.t, expression, func() bool { return want.MatchString(k.commands("client", "list")) })
}

// A client of a file gets another secret while Caddy runs. Both are good until the change is finished.
func TestAClientGetsAnotherSecretWhileCaddyRuns(t *testing.T) {
	k := &clientKeeper{keeperOf(newOffice(t)), filepath.Join(t.TempDir(), "clients.json")}
	first, _ := k.makes("add", "--file", k.file, "--id", "billing", "--scope", "read", "--cost", "4")
	k.opens()
	k.works("billing", first)
	second, _ := k.makes("rotate", "--file", k.file, "--id", "billing", "--cost", "4")
	k.lists(`billing +client_secret \(2\)`)
	k.works("billing", first)
	k.works("billing", second)
	k.changes("rotate", "--id", "billing", "--finish")
	k.lists(`billing +client_secret +client_credentials`)
	if status, _ := k.gets("billing", first); status != http.StatusUnauthorized {
		t.Errorf("the old secret: status %d", status)
	}
	k.works("billing", second)
	_, token := k.gets("billing", second)
	k.changes("remove", "--id", "billing")
	k.lists(`^0 clients\n$`)
	k.is(http.StatusUnauthorized, "/", given{Access: token})
	if status, _ := k.gets("billing", second); status != http.StatusUnauthorized {
		t.Errorf("a client that is gone: status %d", status)
	}
	for _, secret := range []string{first, second, token} {
		if strings.Contains(k.log(), secret) {
			t.Error("the log has a secret or a token")
		}
	}
}

func TestTheClientsOfARunningCaddy(t *testing.T) {
	k := &clientKeeper{keeperOf(newOffice(t)), filepath.Join(t.TempDir(), "clients.json")}
	k.makes("add", "--file", k.file, "--id", "billing", "--scope", "read", "--scope", "write", "--access-lifetime", "10m")
	key := newFile(t, "key.pem", tokentest.NewKey(t, "ES256", "").PublicPEM())
	secret, block := k.makes("add", "--id", "own one", "--introspect", keptTokens, "--audience", keptTokens)
	block, _, _ = strings.Cut(block, "\n\n")
	k.opens("user alice "+hashOf(t, password), "app /a/", block,
		"client batch {\n public_key "+key+"\n grants none\n introspect x\n}",
		"client pinned {\n tls_client_auth spki_sha256 "+strings.Repeat("0b", 32)+"\n}")
	k.works("own+one", secret) // in Basic, as in a form
	says(t, k.commands("client", "list"), `ID +SHOWS +GRANTS +SCOPES +AUDIENCE +INTROSPECT +LIFETIME +FROM\n`+
		`/a/ +none +refresh_token +- +- +- +- +application\n`+
		`batch +private_key_jwt +- +- +`+keptTokens+` +x +- +configuration\n`+
		`billing +client_secret +client_credentials +read write +`+keptTokens+` +- +10m0s +file\n`+
		`own one +client_secret +client_credentials +- +`+keptTokens+` +`+keptTokens+` +5m0s +configuration\n`+
		`pinned +self_signed_tls_client_auth +client_credentials +- +`+keptTokens+` +- +5m0s +configuration\n5 clients\n`)
	says(t, k.commands("client", "list", "--issuer", keptTokens, "--json"), `\{\n  "issuer": "`+keptTokens+`",\n.*`)
	const clients = "/token_issuer/clients"
	k.wantsAnswer(200, `^\{"issuer":"`+keptTokens+`","clients":\[\{"client_id":"/a/","authentication":"none",`+
		`"grants":\["refresh_token"\],"scopes":\[\],"audience":\[\],"introspect":\[\],"from":"application"\}`,
		"GET", clients, "")
	k.wantsAnswer(200, `"client_id":"billing","authentication":"client_secret","secrets":1,`+
		`"grants":\["client_credentials"\],"scopes":\["read","write"\],"audience":\["`+keptTokens+`"\],"introspect":\[\],`+
		`"access_lifetime":600,"from":"file"`, "GET", clients+"?issuer="+keptTokens, "")
	if text := k.asks("GET", clients, "").body; strings.Contains(text, "$2a$") || strings.Contains(text, "BEGIN") ||
		strings.Contains(text, "0b0b") {
		t.Errorf("the answer has a hash or a key: %s", text)
	}
	k.wantsAnswer(405, "use GET", "DELETE", clients, "")
	k.wantsAnswer(400, "unknown", "GET", clients+"?client_id=batch", "")
	k.wantsAnswer(404, "no such token issuer", "GET", clients+"?issuer=other", "")
}
