package integration

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/spf13/cobra"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// mint runs the command "caddy bearer-auth mint". Its tests are here because a binary of their own would have the whole
// Caddy in it, and take longer to link than they take to run.
func mint(args ...string) (string, error) {
	cmd := new(cobra.Command)
	caddycmd.Commands()["bearer-auth"].CobraFunc(cmd)
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SetArgs(append([]string{"mint"}, args...))
	err := cmd.Execute()
	return strings.TrimSpace(out.String()), err
}

// caddyfileFor writes a Caddyfile with this bearer_auth block.
func caddyfileFor(t *testing.T, lines ...string) string {
	t.Helper()
	text := "example.com {\n\tbearer_auth {\n" + strings.Join(lines, "\n") + "\n\t}\n}\n"
	return newFile(t, "Caddyfile", text)
}

// send gives the request with the token to the handler of a config file, provisioned as Caddy does it.
func send(t *testing.T, config, token string) (status int, identity http.Header) {
	t.Helper()
	h := handlerOf(t, config)
	root, err := caddy.ProvisionContext(&caddy.Config{Admin: &caddy.AdminConfig{Disabled: true}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := caddy.NewContext(root)
	defer cancel()
	defer h.Cleanup()
	if err := h.Provision(ctx); err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	repl := caddy.NewReplacer()
	w := httptest.NewRecorder()
	r = caddyhttp.PrepareRequest(r, repl, w, nil)
	next := caddyhttp.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) error {
		identity = r.Header.Clone()
		return nil
	})
	err = h.ServeHTTP(w, r, next)
	if handlerError, ok := err.(caddyhttp.HandlerError); ok {
		reason, _ := repl.GetString("http.auth.bearer.reason")
		t.Logf("refused: %s", reason)
		return handlerError.StatusCode, nil
	}
	if err != nil {
		t.Fatal(err)
	}
	return http.StatusOK, identity
}

// handler is what the tests use of a bearer_auth handler.
type handler interface {
	caddy.Provisioner
	caddy.CleanerUpper
	caddyhttp.MiddlewareHandler
}

// handlerOf is the one handler of a Caddyfile.
func handlerOf(t *testing.T, path string) handler {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	config, err := adapt(string(text))
	var tree any
	if err != nil || json.Unmarshal(config, &tree) != nil {
		t.Fatal(err)
	}
	var found []map[string]any
	eachHandler(tree, func(handler map[string]any) { found = append(found, handler) })
	if len(found) != 1 {
		t.Fatalf("%d handlers in %s", len(found), path)
	}
	delete(found[0], "handler")
	info, err := caddy.GetModule("http.handlers.bearer_auth")
	if err != nil {
		t.Fatal(err)
	}
	h := info.New().(handler)
	if err := caddy.StrictUnmarshalJSON([]byte(asJSON(t, found[0])), h); err != nil {
		t.Fatal(err)
	}
	return h
}

func TestMintedTokenOpensTheExample(t *testing.T) {
	const example = "../../Caddyfile.example"
	token, err := mint("--config", example, "--adapter", "caddyfile", "--consumer", "reports")
	if err != nil {
		t.Fatal(err)
	}
	status, identity := send(t, example, token)
	if status != http.StatusOK || identity.Get("X-Consumer-Username") != "reports" {
		t.Errorf("status %d, X-Consumer-Username %q", status, identity.Get("X-Consumer-Username"))
	}
}

func TestMintedTokensOpenTheGateOfEveryAlgorithm(t *testing.T) {
	for _, algorithm := range []string{
		"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519",
	} {
		t.Run(algorithm, func(t *testing.T) {
			key := tokentest.NewKey(t, algorithm, "")
			dir := t.TempDir()
			public, private := filepath.Join(dir, "public.pem"), filepath.Join(dir, "private.pem")
			for path, text := range map[string]string{public: key.PublicPEM(), private: key.PrivatePEM()} {
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			config := caddyfileFor(t, "audience https://api.example.com", "key_claim kid", "require scope read",
				"consumer bob {", "credential bob-key {", "algorithm "+algorithm, "public_key "+public, "}", "}")
			token, err := mint("--config", config, "--consumer", "bob", "--private-key", private,
				"--claim", "scope=read write", "--claim", `level={"n":3}`, "--lifetime", "1h")
			if err != nil {
				t.Fatal(err)
			}
			if status, _ := send(t, config, token); status != http.StatusOK {
				t.Errorf("status %d", status)
			}
		})
	}
}

func TestMintSaysWhatIsMissing(t *testing.T) {
	config := caddyfileFor(t, "consumer bob {", "credential bob-key {", "algorithm HS256",
		"secret 9d1f8a3c5e7b42604f8e1a2b3c4d5e6f", "}", "}")
	key := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(key, []byte(tokentest.NewKey(t, "ES256", "").PublicPEM()), 0o600); err != nil {
		t.Fatal(err)
	}
	asymmetric := caddyfileFor(t, "consumer bob {", "credential bob-key {", "algorithm ES256", "public_key "+key, "}", "}")
	bare := caddyfileFor(t, "consumer bob", "consumer eve {", "credential eve-key {", "algorithm HS256",
		"secret 9d1f8a3c5e7b42604f8e1a2b3c4d5e6f", "}", "}", "anonymous bob")
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"nobody":           {[]string{"--config", config}, "nobody to sign for: name a consumer with --consumer"},
		"unknown consumer": {[]string{"--config", config, "--consumer", "eve"}, `no consumer "eve"; it has: bob`},
		"unknown credential": {[]string{"--config", config, "--consumer", "bob", "--credential", "x"},
			`consumer "bob" has no credential "x"`},
		"consumer without any": {[]string{"--config", bare, "--consumer", "bob"}, `consumer "bob" has no credential`},
		"no file":              {[]string{"--config", "/does/not/exist", "--consumer", "bob"}, "no such file"},
		"claim without value": {[]string{"--config", config, "--consumer", "bob", "--claim", "scope"},
			`--claim "scope": expected name=value`},
		"no private key": {[]string{"--config", asymmetric, "--consumer", "bob"},
			"give its private key with --private-key"},
		"public key as private": {[]string{"--config", asymmetric, "--consumer", "bob", "--private-key", key},
			"is not a private key"},
		"argument that is unused": {[]string{"bob"}, "unknown command"},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := mint(test.args...)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("output %q, error %v; want %q", out, err, test.want)
			}
		})
	}
}

// The token is judged, even if the paths that need one are others.
func TestMintBesidePublicPaths(t *testing.T) {
	config := caddyfileFor(t, consumerAlice(t), "public / /healthz")
	if out, err := mint("--config", config, "--consumer", "alice"); err != nil || strings.Count(out, ".") != 2 {
		t.Errorf("%q, error %v", out, err)
	}
	config = caddyfileFor(t, consumerAlice(t), "public /", "require claim department sales")
	if out, err := mint("--config", config, "--consumer", "alice"); err == nil {
		t.Errorf("a token that the gate refuses: %q", out)
	}
}

// A claim has the value that --claim gives it, to the last digit.
func TestMintedClaimsAreThoseOfTheFlags(t *testing.T) {
	config := caddyfileFor(t, "consumer bob {", "credential bob-key {", "algorithm HS256",
		"secret 9d1f8a3c5e7b42604f8e1a2b3c4d5e6f", "}", "}")
	for said, want := range map[string]string{
		"9007199254740993": `9007199254740993`, "0.10": `0.10`,
		`{"b":1, "a":18446744073709551615}`: `{"b":1,"a":18446744073709551615}`,
		"true":                              `true`, "read write": `"read write"`, `"3"`: `"3"`, "3 apples": `"3 apples"`,
	} {
		token, err := mint("--config", config, "--consumer", "bob", "--claim", "it="+said)
		if err != nil {
			t.Fatal(err)
		}
		payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
		var claims struct {
			It json.RawMessage `json:"it"`
		}
		if err != nil || json.Unmarshal(payload, &claims) != nil || string(claims.It) != want {
			t.Errorf("--claim it=%s is %s in %s, want %s", said, claims.It, payload, want)
		}
	}
}

// A consumer is found by its name without placeholders, in the first gate where it has a credential.
func TestMintFindsTheConsumer(t *testing.T) {
	t.Setenv("GATE_TEST_NAME", "bob")
	t.Setenv("GATE_TEST_KEY", "bob-key")
	const credential = "credential {env.GATE_TEST_KEY} {\nalgorithm HS256\nsecret 9d1f8a3c5e7b42604f8e1a2b3c4d5e6f\n}\n"
	for name, gates := range map[string]string{
		"by a placeholder": "bearer_auth {\nconsumer {env.GATE_TEST_NAME} {\n" + credential + "}\n}",
		"in the second gate": "bearer_auth /a {\nconsumer bob\nconsumer eve {\n" + credential +
			"}\n}\nbearer_auth /b {\nconsumer bob {\n" + credential + "}\n}",
		"by a credential's own name": "bearer_auth {\nconsumer bob {\ncredential other {\nalgorithm HS256\n" +
			"secret 0d1f8a3c5e7b42604f8e1a2b3c4d5e6f\n}\n" + credential + "}\n}",
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "Caddyfile")
			if err := os.WriteFile(path, []byte("http://localhost {\n"+gates+"\n}\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			for _, args := range [][]string{nil, {"--credential", "bob-key"}} {
				if token, err := mint(append(args, "--config", path, "--consumer", "bob")...); err != nil ||
					strings.Count(token, ".") != 2 {
					t.Errorf("%q: token %q, error %v", args, token, err)
				}
			}
		})
	}
}

// A JSON config needs no adapter, and handlers are found at any depth.
func TestMintReadsJSON(t *testing.T) {
	config := map[string]any{"apps": map[string]any{"http": map[string]any{"servers": map[string]any{"a": map[string]any{
		"routes": []any{map[string]any{"handle": []any{map[string]any{"handler": "subroute", "routes": []any{map[string]any{
			"handle": []any{map[string]any{"handler": "bearer_auth", "consumers": []any{map[string]any{
				"username": "bob", "credentials": []any{map[string]any{
					"key": "bob-key", "algorithm": "HS256", "secret": "9d1f8a3c5e7b42604f8e1a2b3c4d5e6f",
				}},
			}}}},
		}}}}}},
	}}}}}
	text, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "caddy.json")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	token, err := mint("--config", path, "--consumer", "bob")
	if err != nil || strings.Count(token, ".") != 2 {
		t.Errorf("token %q, error %v", token, err)
	}
}
