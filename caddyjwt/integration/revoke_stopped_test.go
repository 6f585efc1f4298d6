package integration

import (
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// stopped is an office whose Caddy does not run, and the path of its configuration.
func stopped(t *testing.T, lines ...string) (o *office, config string) {
	t.Helper()
	o = newOffice(t)
	return o, newFile(t, "Caddyfile", o.kept(o.caddyfile(revocableGate(lines...))))
}

// runs runs Caddy with a configuration.
func (o *office) runs(config string) {
	o.t.Helper()
	text, err := os.ReadFile(config)
	if err != nil {
		o.t.Fatal(err)
	}
	o.loadFile(string(text))
}

// What is revoked while Caddy is stopped is revoked when it starts. The commands say that they have opened the store.
func TestRevokeWhileCaddyIsStopped(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "")
	o, config := stopped(t, consumerAlice(t), issuerBlock(keptIssuer, pemOf(t, key), "revocation claim groups"))
	path := strings.TrimPrefix(o.store, "file ")
	command := func(args ...string) string {
		t.Helper()
		out, err := bearerAuth("", append(args, "--config", config)...)
		if err != nil || !strings.Contains(out, "opened the store itself: "+path+"\n") {
			t.Fatalf("%q: %v\n%s", args, err, out)
		}
		return out
	}
	out := command("revoke", "--issuer", keptIssuer, "--sub", "bob", "--reason", "left")
	if !strings.Contains(out, "revoked all tokens of issuer ") {
		t.Error(out)
	}
	command("revoke", "--issuer", keptIssuer, "--claim", "groups", "--value", "temps")
	command("revoke", "--consumer", "alice")
	command("revoke", "--issuer", keptIssuer, "--sub", "carl")
	command("revoke", "--issuer", keptIssuer, "--sub", "carl", "--undo")
	if out := command("revocations"); !strings.Contains(out, "3 revocations\n") || !strings.Contains(out, "left") {
		t.Error(out)
	}
	if out := command("store", "status"); !strings.Contains(out, "3 revocations\nin sync\n") {
		t.Error(out)
	}
	for want, args := range map[string][]string{
		"known are: ":               {"revoke", "--issuer", "https://x.example", "--sub", "a"},
		"those of the issuer are: ": {"revoke", "--issuer", keptIssuer, "--claim", "role", "--value", "a"},
		`consumer "zoe"`:            {"revoke", "--consumer", "zoe"},
		"there is nothing to take":  {"revoke", "--issuer", keptIssuer, "--sub", "eve", "--undo"},
		"only a store that several": {"store", "init"},
	} {
		if out, err := bearerAuth("", append(args, "--config", config)...); err == nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v\n%s", args, err, out)
		}
	}
	o.runs(config)
	o.out(key.Sign(t, issuedBy(keptIssuer, "sub", "bob")), key.Sign(t, issuedBy(keptIssuer, "groups", []string{"temps"})),
		hmacKey(t).Sign(t, claims("aud", audience)))
	o.good(key.Sign(t, issuedBy(keptIssuer, "sub", "carl")))
	out, err := bearerAuth("", "revocations", "--config", config)
	if err != nil || !strings.Contains(out, "asked the Caddy at unix/"+o.socket+"\n") {
		t.Errorf("%v\n%s", err, out)
	}
}

// The store of a configuration without an admin endpoint is opened at once: another Caddy may answer at the default
// address.
func TestRevokeWithoutAnAdminEndpoint(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "")
	o, config := stopped(t, issuerBlock(keptIssuer, pemOf(t, key)))
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	config = newFile(t, "Caddyfile", strings.Replace(string(text), "admin unix/"+o.socket, "admin off", 1))
	if out, err := bearerAuth("", "revoke", "--issuer", keptIssuer, "--all", "--config", config); err != nil ||
		!strings.Contains(out, "opened the store itself") {
		t.Fatalf("%v\n%s", err, out)
	}
	o.runs(config)
	o.out(key.Sign(t, issuedBy(keptIssuer)))
	out, err := bearerAuth("", "revocations", "--config", config)
	if err == nil || !strings.Contains(err.Error(), "the configuration has no admin endpoint") ||
		!strings.Contains(err.Error(), "another process uses the store in ") {
		t.Errorf("%v\n%s", err, out)
	}
}

// A configuration whose store cannot be opened is an error that says why.
func TestRevokeAtNoStore(t *testing.T) {
	gate := issuerBlock(keptIssuer, pemOf(t, tokentest.NewKey(t, "ES256", "")))
	for store, want := range map[string]string{
		"":                            "the configuration has no store",
		"memory":                      "store memory is inside of the Caddy that runs",
		"file {env.NOT_SET_AT_ALL}":   "no value",
		"file /dev/null/x":            "store file: ",
		"redis redis://a {\nkey x\n}": "64 hexadecimal digits",
	} {
		o := newOffice(t)
		o.store = store
		config := newFile(t, "Caddyfile", o.kept(o.caddyfile(revocableGate(gate))))
		for _, args := range [][]string{
			{"revoke", "--issuer", keptIssuer, "--sub", "a"}, {"revocations"}, {"store", "status"}, {"store", "init"},
		} {
			out, err := bearerAuth("", append(args, "--config", config)...)
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("store %s, %q: %v\n%s; want %q", store, args, err, out, want)
			}
		}
	}
	o := newOffice(t)
	config := newFile(t, "Caddyfile", o.kept(o.caddyfile(gateForAudience(gate)))) // without a max_lifetime
	out, err := bearerAuth("", "revocations", "--config", config)
	if err == nil || !strings.Contains(err.Error(), "this configuration would not load: ") {
		t.Errorf("%v\n%s", err, out)
	}
}

// The store of a Caddy that runs is asked at its admin endpoint.
func TestStoreCommandAsksTheCaddyThatRuns(t *testing.T) {
	o := openOffice(t, issuerBlock(keptIssuer, pemOf(t, tokentest.NewKey(t, "ES256", ""))))
	o.revoke("issuer", keptIssuer, "sub", "bob")
	path := strings.TrimPrefix(o.store, "file ")
	want := "store " + path + ", used by one Caddy\n1 revocation\nin sync\n"
	if out := o.command("", "store", "status"); out != want {
		t.Errorf("%q, want %q", out, want)
	}
	if out := o.command("", "store", "status", "--json"); !strings.Contains(out, `"in_sync": true`) {
		t.Error(out)
	}
	out, err := bearerAuth("", "store", "init", "--address", "unix/"+o.socket)
	if err == nil || !strings.Contains(err.Error(), "HTTP 409: only a store that several processes share") {
		t.Errorf("%v\n%s", err, out)
	}
	out, err = bearerAuth("", "store", "status", "--address", "unix/"+o.socket, "--config", "Caddyfile")
	if err == nil || !strings.Contains(err.Error(), "leave one out") {
		t.Errorf("%v\n%s", err, out)
	}
	out, err = bearerAuth("", "store", "status", "--config", "/does/not/exist")
	if err == nil {
		t.Error(out)
	}
	o.store = ""
	o.loadFile(o.kept(o.caddyfile("")))
	for _, path := range []string{"/bearer_auth/store", "/bearer_auth/store/init"} {
		method := map[bool]string{true: http.MethodPost, false: http.MethodGet}[strings.HasSuffix(path, "init")]
		if a := o.asks(method, path, ""); a.StatusCode != http.StatusNotFound {
			t.Errorf("%s without a store: status %d", path, a.StatusCode)
		}
	}
	out, err = bearerAuth("", "store", "status", "--address", "unix/"+o.socket+"x")
	if err == nil || !strings.Contains(err.Error(), "no Caddy answers") {
		t.Errorf("%v\n%s", err, out)
	}
}

// A claim by which tokens are to be revoked says nothing without a store. Whoever writes it means to have one.
func TestRevocationClaimWithoutAStore(t *testing.T) {
	pem := pemOf(t, tokentest.NewKey(t, "ES256", ""))
	o := newOffice(t)
	o.store = ""
	err := o.tryLoad(o.kept(o.caddyfile(revocableGate(issuerBlock(keptIssuer, pem, "revocation claim groups")))))
	if err == nil || !strings.Contains(err.Error(), `add "store file" to the global option bearer_auth`) {
		t.Errorf("%v", err)
	}
	o.loadFile(o.kept(o.caddyfile(revocableGate(issuerBlock(keptIssuer, pem, "revocation off")))))
}
