package integration

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// runCheck runs the command "caddy bearer-auth check". The status is what Caddy exits with.
func runCheck(t *testing.T, args ...string) (out string, status int) {
	t.Helper()
	cmd := new(cobra.Command)
	caddycmd.Commands()["bearer-auth"].CobraFunc(cmd)
	var buffer bytes.Buffer
	cmd.SetOut(&buffer)
	cmd.SetErr(&buffer)
	cmd.SetArgs(append([]string{"check"}, args...))
	cmd.SilenceUsage = true // as Caddy has it
	ctx, cancel := context.WithDeadline(t.Context(), deadline())
	defer cancel()
	err := cmd.ExecuteContext(ctx)
	if err == nil {
		return buffer.String(), 0
	}
	t.Logf("error: %v", err)
	if code := reflect.Indirect(reflect.ValueOf(err)); code.Kind() == reflect.Struct {
		if code := code.FieldByName("ExitCode"); code.IsValid() { // the type of Caddy's error has no exported name
			return buffer.String(), int(code.Int())
		}
	}
	return buffer.String(), 1
}

// ports are what differs from run to run in the address of a server.
var ports = regexp.MustCompile(`127\.0\.0\.1:\d+`)

// stable replaces the addresses of servers in a text by others of the same length.
func stable(text string, servers ...*tokentest.AS) string {
	for i, as := range servers {
		text = strings.ReplaceAll(text, ports.FindString(as.URL), "127.0.0.1:1000"+string(rune('1'+i)))
	}
	return text
}

// certificateFor is PEM text with a certificate that is valid until then.
func certificateFor(t *testing.T, until time.Time) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: until}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// troubled is a configuration with two gates, three issuers, and something to say about two of them and a consumer.
func troubled(t *testing.T) (config string, servers []*tokentest.AS) {
	t.Helper()
	encryption := tokentest.NewKey(t, "RS256", "enc").JWK()
	encryption["use"] = "enc"
	good := tokentest.NewAS(t, tokentest.WithClient("gate", "secret"))
	good.AnswerJWKS(200, tokentest.JWKSOf(tokentest.NewKey(t, "ES256", "a").JWK(), encryption))
	slash := tokentest.NewAS(t, tokentest.WithKeys(tokentest.NewKey(t, "RS256", "b")))
	refusing := tokentest.NewAS(t, tokentest.WithClient("gate", "another"),
		tokentest.WithKeys(tokentest.NewKey(t, "RS256", "c"), tokentest.NewKey(t, "ES256", "d")))
	until := time.Date(2100, 1, 2, 3, 4, 5, 0, time.UTC)
	file := newFile(t, "alice.pem", certificateFor(t, until))
	soon := newFile(t, "bob.pem", certificateFor(t, time.Now().Add(24*time.Hour)))
	asked := "introspect {\nclient_id gate\nclient_secret secret\n}\n"
	issuer := "issuer " + good.URL + " {\n" + asked + "}\n"
	config = newFile(t, "Caddyfile", "a.example {\nbearer_auth {\naudience x\n"+issuer+"issuer "+slash.URL+"/\n}\n}\n"+
		"b.example {\nbearer_auth {\naudience x\n"+issuer+
		"issuer "+refusing.URL+" {\nalgorithms RS256\nintrospect always {\nclient_id gate\nclient_secret secret\n}\n}\n"+
		"consumer alice {\ncredential k {\nalgorithm ES256\npublic_key "+file+"\n}\n}\n"+
		"consumer bob {\ncredential l {\nalgorithm ES256\npublic_key "+soon+"\n}\n}\n}\n}\n")
	return config, []*tokentest.AS{good, slash, refusing}
}

func TestCheckPrintsATable(t *testing.T) {
	config, servers := troubled(t)
	got, status := runCheck(t, "--config", config)
	if status != 1 {
		t.Errorf("status %d", status)
	}
	got = regexp.MustCompile(`expires at \S+`).ReplaceAllString(stable(got, servers...), "expires at <tomorrow>")
	const want = `RESULT   ISSUER                   KEYS FROM  KEYS    MADE-UP TOKEN  GATES
ok       http://127.0.0.1:10001   discovery  1 of 2  inactive       2
problem  http://127.0.0.1:10002/  discovery  -       -              1
problem  http://127.0.0.1:10003   discovery  1 of 2  error          1

http://127.0.0.1:10001
  key a: EC for ES256
  note (keys_skipped): 1 key is not used: not_for_signatures (enc)

http://127.0.0.1:10002/
  problem (issuer_differs): the metadata names the issuer http://127.0.0.1:10002, not ` +
		`http://127.0.0.1:10002/: they differ in the slash at the end
    write "issuer http://127.0.0.1:10002", after a look at the iss of a token

http://127.0.0.1:10003
  key c: RSA for RS256
  key d: EC for ES256, not used
  problem (credentials_refused): http://127.0.0.1:10003/introspect answered with status 401: the server refuses our ` +
		`own credentials
    compare client_id, client_secret and auth_method with the server; some servers want raw_basic
  note (keys_excluded): the gate accepts no algorithm of 1 of 2 keys
    if tokens are signed with them, add their algorithms to "algorithms"

certificate of consumer "bob", credential "l"
  warning (certificate_expires): it expires at <tomorrow>
    replace it in the configuration

2 gates, 3 issuers: 2 problems, 1 warning
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestCheckPrintsJSON(t *testing.T) {
	config, servers := troubled(t)
	got, status := runCheck(t, "--config", config, "--json")
	if status != 1 {
		t.Errorf("status %d", status)
	}
	var result struct {
		OK           bool
		Gates        int
		Problems     int
		Warnings     int
		Issuers      []json.RawMessage
		Certificates []map[string]any
	}
	if err := json.Unmarshal([]byte(stable(got, servers...)), &result); err != nil {
		t.Fatal(err)
	}
	if result.OK || result.Gates != 2 || result.Problems != 2 || result.Warnings != 1 || len(result.Issuers) != 3 ||
		len(result.Certificates) != 2 {
		t.Fatalf("%s", got)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, result.Issuers[2]); err != nil {
		t.Fatal(err)
	}
	const want = `{"issuer":"http://127.0.0.1:10003","gates":1,"result":"problem","keys_from":"discovery",` +
		`"metadata":"http://127.0.0.1:10003/.well-known/openid-configuration","key_set":"http://127.0.0.1:10003/jwks",` +
		`"keys":[{"name":"c","type":"RSA","algorithms":["RS256"],"used":true},` +
		`{"name":"d","type":"EC","algorithms":["ES256"],"used":false}],"skipped":[],` +
		`"introspection":{"endpoint":"http://127.0.0.1:10003/introspect","answer":"error"},` +
		`"servers":[{"host":"127.0.0.1:10003","clock_offset_seconds":0}],"findings":[` +
		`{"level":"problem","code":"credentials_refused","text":"http://127.0.0.1:10003/introspect answered with status ` +
		`401: the server refuses our own credentials","cure":"compare client_id, client_secret and auth_method with the ` +
		`server; some servers want raw_basic"},` +
		`{"level":"note","code":"keys_excluded","text":"the gate accepts no algorithm of 1 of 2 keys",` +
		`"cure":"if tokens are signed with them, add their algorithms to \"algorithms\""}]}`
	if compact.String() != want {
		t.Errorf("got\n%s\nwant\n%s", compact.String(), want)
	}
	alice := result.Certificates[0]
	if alice["what"] != `certificate of consumer "alice", credential "k"` || alice["expires"] != "2100-01-02T03:04:05Z" ||
		alice["result"] != "ok" {
		t.Errorf("%v", alice)
	}
}

func TestCheckExitStatus(t *testing.T) {
	as := tokentest.NewAS(t, tokentest.WithKeys(tokentest.NewKey(t, "ES256", "a")))
	weak := tokentest.NewAS(t)
	weak.AnswerJWKS(200, tokentest.JWKSOf(tokentest.NewKey(t, "ES256", "a").JWK(), map[string]any{"kty": "XYZ"}))
	gate := func(lines ...string) string { return caddyfileFor(t, append(lines, "audience x")...) }
	good, warned := gate("issuer "+as.URL), gate("issuer "+weak.URL)
	local := gate("issuer https://a.example {\nkeys local\n}")
	for name, c := range map[string]struct {
		args   []string
		status int
		says   string
	}{
		"all is well":               {[]string{"--config", good}, 0, "1 gate, 1 issuer: 0 problems, 0 warnings"},
		"a warning":                 {[]string{"--config", warned}, 0, "0 problems, 1 warning"},
		"a warning with --strict":   {[]string{"--config", warned, "--strict"}, 1, "0 problems, 1 warning"},
		"a problem":                 {[]string{"--config", gate("issuer http://127.0.0.1:1")}, 1, "connection_refused"},
		"no time":                   {[]string{"--config", good, "--timeout", "1ns"}, 1, "not_checked"},
		"no time at all":            {[]string{"--config", good, "--timeout", "0s"}, 2, ""},
		"an unknown flag":           {[]string{"--config", good, "--colour"}, 2, ""},
		"an argument":               {[]string{"--config", good, "please"}, 2, "Error: unknown command"},
		"a file that is missing":    {[]string{"--config", good + "x"}, 2, "Error: open "},
		"a file without a gate":     {[]string{"--config", newFile(t, "Caddyfile", "a.example\n")}, 2, ""},
		"a file with a mistake":     {[]string{"--config", gate("isuer x")}, 2, ""},
		"a variable that is unset":  {[]string{"--config", gate("issuer {env.NO_SUCH_VARIABLE}")}, 2, ""},
		"JSON that would not load":  {[]string{"--config", newFile(t, "caddy.json", `{"handler":"bearer_auth"}`)}, 2, ""},
		"keys of this very Caddy":   {[]string{"--config", local}, 0, "1 gate, 0 issuers"},
		"a gate that asks nobody":   {[]string{"--config", "../../Caddyfile.example", "--adapter", "caddyfile"}, 0, "gate"},
		"JSON of a gate that loads": {[]string{"--config", jsonOf(t, good)}, 0, "1 gate, 1 issuer"},
	} {
		t.Run(name, func(t *testing.T) {
			out, status := runCheck(t, c.args...)
			if status != c.status || !strings.Contains(out, c.says) {
				t.Errorf("status %d, want %d; output:\n%s", status, c.status, out)
			}
		})
	}
}

// jsonOf adapts a Caddyfile.
func jsonOf(t *testing.T, caddyfile string) string {
	t.Helper()
	text, err := os.ReadFile(caddyfile)
	if err != nil {
		t.Fatal(err)
	}
	config, err := adapt(string(text))
	if err != nil {
		t.Fatal(err)
	}
	return newFile(t, "caddy.json", string(config))
}

// The output goes into tickets and chats, so nothing in it is secret.
func TestAttackCheckPrintsNoSecret(t *testing.T) {
	as := tokentest.NewAS(t, tokentest.WithKeys(tokentest.NewKey(t, "ES256", "a")), tokentest.WithClient("gate", "x"))
	secrets := []string{"5ecretOfTheClient", "5ecretInTheQuery", "5ecretParameter"}
	config := caddyfileFor(t, "audience x", "issuer "+as.URL+" {", "keys jwks "+as.JWKSURL()+"?key="+secrets[1],
		"introspect {", "endpoint "+as.IntrospectionURL()+"?key="+secrets[1], "client_id gate",
		"client_secret "+secrets[0], "param p "+secrets[2], "}", "}")
	for _, down := range []bool{false, true} {
		if down {
			as.Down()
		}
		for _, format := range []string{"--json=true", "--json=false"} {
			out, status := runCheck(t, "--config", config, format)
			if status != 1 {
				t.Errorf("status %d", status)
			}
			asked := as.IntrospectionRequests()
			for _, secret := range append(secrets, asked[len(asked)-1].Token) {
				if strings.Contains(out, secret) {
					t.Errorf("%s is in the output:\n%s", secret, out)
				}
			}
		}
	}
}

// An interrupt ends the check, and what is known by then is printed.
func TestCheckIsInterrupted(t *testing.T) {
	good, hanging := tokentest.NewAS(t, tokentest.WithKeys(tokentest.NewKey(t, "ES256", "a"))), tokentest.NewAS(t)
	hanging.Stall()
	config := caddyfileFor(t, "audience x", "issuer "+good.URL, "issuer "+hanging.URL)
	go func() {
		eventually(t, "both servers are asked", func() bool {
			return good.JWKSFetches() > 0 && hanging.MetadataFetches() > 0
		})
		_ = syscall.Kill(os.Getpid(), syscall.SIGINT)
	}()
	out, status := runCheck(t, "--config", config, "--timeout", "1h")
	if status != 1 || !strings.Contains(out, "not_checked") || !slices.Contains(strings.Fields(out), good.URL) {
		t.Errorf("status %d, output:\n%s", status, out)
	}
}

// The servers are asked as the gate would ask them: with its authorities, its header fields and its credentials.
func TestCheckUsesTheSettingsOfTheConfiguration(t *testing.T) {
	as := tokentest.NewAS(t, tokentest.WithTLS(), tokentest.WithClient("gate", "secret"))
	as.HandleJWKS(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Key") != "sesame" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		_, _ = w.Write([]byte(tokentest.JWKS(tokentest.NewKey(t, "ES256", "a"))))
	})
	const header = "header_up X-Key sesame"
	plain := "http" + strings.TrimPrefix(as.JWKSURL(), "https")
	ca := "tls {\nca " + newFile(t, "ca.pem", string(as.CA())) + "\n}"
	asked := func(secret string) string { return "introspect {\nclient_id gate\nclient_secret " + secret + "\n}" }
	for name, c := range map[string]struct {
		settings []string
		code     string // of the problem, if there is one
	}{
		"all settings":             {[]string{header, ca, asked("secret")}, ""},
		"no header field":          {[]string{ca, asked("secret")}, "status"},
		"no authority":             {[]string{header, asked("secret")}, "tls_untrusted"},
		"another secret":           {[]string{header, ca, asked("wrong")}, "credentials_refused"},
		"no introspection at all":  {[]string{header, ca}, ""},
		"plain http to a TLS port": {[]string{header, "keys jwks " + plain}, "status"},
	} {
		t.Run(name, func(t *testing.T) {
			lines := append([]string{"audience x", "issuer " + as.URL + " {"}, c.settings...)
			out, status := runCheck(t, "--config", caddyfileFor(t, append(lines, "}")...))
			if (status == 1) != (c.code != "") || !strings.Contains(out, c.code) {
				t.Errorf("status %d, output:\n%s", status, out)
			}
		})
	}
}

// Where each tenant has keys of its own, the check asks for those of the first tenants, and says how many are left.
func TestCheckLooksAtTheFirstTenants(t *testing.T) {
	as := newTenants(t)
	var names []string
	for i := range 12 {
		name := fmt.Sprintf("tenant-%02d", i)
		names = append(names, name)
		as.serve(name, tokentest.NewKey(t, "ES256", "k").JWK())
	}
	as.serve("common", tokentest.NewKey(t, "ES256", "k").JWK())
	of := func(lines ...string) string {
		return newFile(t, "Caddyfile", "a.example {\nbearer_auth {\n"+as.block(append(lines,
			"tenants "+strings.Join(names, " "))...)+"\n}\n}\n")
	}
	got, status := runCheck(t, "--config", of("keys discovery"))
	if status != 0 || !strings.Contains(got, "2 tenants not checked") || !strings.Contains(got, "1 gate, 10 issuers") ||
		strings.Contains(got, "tenant-10") {
		t.Errorf("status %d\n%s", status, got)
	}
	if got, _ = runCheck(t, "--config", of("keys discovery"), "--json"); !strings.Contains(got, `"unchecked_tenants": 2`) {
		t.Errorf("%s", got)
	}
	if got, _ = runCheck(t, "--config", of(as.common())); strings.Contains(got, "not checked") {
		t.Errorf("with one set of keys for all:\n%s", got)
	}
}
