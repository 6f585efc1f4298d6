package registration_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyjwt/gateway/caddyjwt/tokenissuer/registration"
)

const (
	bcrypted = "$2a$04$X3ulqf/iGxnf1k6oMZ.RZeJUoqI9PX2PM4rS5lkIKJXduLGXGPrt6"
	argoned  = "$argon2id$v=19$m=64,t=1,p=1$P2nzckEdTZ3bxCiBCkRTyA$xQL3Z32eo5jKl7u5tcIsnEKObYiyNZQQf5/4sAau6Pg"
)

// pem is a public key.
func pem(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.FromSlash("../testdata/client.pem"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// all has clients with everything that a file can have.
func all(t *testing.T) *registration.File {
	return &registration.File{Clients: []registration.Client{
		{ID: "<billing> & co", SecretHashes: []string{bcrypted, bcrypted}, Scopes: []string{"read", "write"},
			Grants: []string{"client_credentials"}, Audience: []string{"https://api.example.com"},
			Introspect: []string{"https://api.example.com"}, AccessLifetime: caddy.Duration(90 * time.Minute),
			AccessLifetimes: map[string]caddy.Duration{"https://api.example.com": caddy.Duration(time.Minute)},
			Claims:          map[string]json.RawMessage{"tenantId": json.RawMessage("7"), "roles": json.RawMessage(`["admin"]`)},
			Header:          map[string]json.RawMessage{"X-Env": json.RawMessage(`"test"`)}, Token: "opaque"},
		{ID: "batch", PublicKey: pem(t), Proof: "dpop"},
		{ID: "pinned", TLSClientAuth: &registration.Certificate{Key: strings.Repeat("0b", 32)}},
		{ID: "named", TLSClientAuth: &registration.Certificate{DNS: "named.example.com"}, Grants: []string{"none"},
			Introspect: []string{"https://api.example.com"}},
		{ID: "gate", SecretHashes: []string{bcrypted}, Introspect: []string{"https://api.example.com"}},
		{ID: "orders", SecretHashes: []string{bcrypted}, Exchange: []registration.Exchange{{
			From: "https://idp.example.com", Grant: "token_exchange", SubjectAudience: []string{"https://api.example.com"},
			Audience: []string{"https://pay.example.com"}, Scopes: []string{"read"}, Claims: []string{"email"},
			SubjectPrefix: "idp:",
		}, {From: "https://idp.example.com", Grant: "jwt_bearer"}}},
	}}
}

// What is written is what was read: nothing gets lost when one client of many changes.
func TestAFileIsWrittenAsItWasRead(t *testing.T) {
	before := all(t)
	content, err := before.Content()
	if err != nil {
		t.Fatal(err)
	}
	after, err := registration.ReadFile(content)
	if err != nil || !reflect.DeepEqual(before, after) {
		t.Errorf("%+v becomes %+v: %v\n%s", before, after, err, content)
	}
	for _, readable := range []string{`"access_lifetime": "1h30m0s"`, `"<billing> & co"`} {
		if !strings.Contains(string(content), readable) {
			t.Errorf("there is no %s in\n%s", readable, content)
		}
	}
	again, err := after.Content()
	if err != nil || string(again) != string(content) {
		t.Errorf("the second time, it is\n%s\n%v", again, err)
	}
}

// Every setting of a client is in the test above, so that a new one is, too. A file has no jwks.
func TestTheFileOfTheTestHasEverySetting(t *testing.T) {
	file := all(t)
	kind := reflect.TypeFor[registration.Client]()
	for i := range kind.NumField() {
		set := false
		for _, c := range file.Clients {
			set = set || !reflect.ValueOf(c).Field(i).IsZero()
		}
		if name := kind.Field(i).Name; !set && name != "JWKS" {
			t.Errorf("no client of the test has %s", name)
		}
	}
}

func TestNoFileIsWrittenThatATokenIssuerWouldRefuse(t *testing.T) {
	for says, c := range map[string]registration.Client{
		"anybody could say":         {ID: "b"},
		"is there twice":            {ID: "a", SecretHashes: []string{bcrypted}},
		"begins with /":             {ID: "/b/", SecretHashes: []string{bcrypted}},
		"printable ASCII":           {ID: "ä", SecretHashes: []string{bcrypted}},
		"keep one of":               {ID: "b", SecretHashes: []string{bcrypted}, PublicKey: pem(t)},
		"at most 2":                 {ID: "b", SecretHashes: []string{bcrypted, bcrypted, bcrypted}},
		"as those of the other":     {ID: "b", SecretHashes: []string{argoned}},
		"has no jwks":               {ID: "b", JWKS: "https://b.example.com/jwks"},
		"whole seconds":             {ID: "b", PublicKey: pem(t), AccessLifetime: caddy.Duration(10500 * time.Millisecond)},
		"is not between":            {ID: "b", PublicKey: pem(t), AccessLifetime: caddy.Duration(time.Second)},
		"expected client_credentia": {ID: "b", SecretHashes: []string{bcrypted}, Grants: []string{"password"}},
		`scopes "a b"`:              {ID: "b", SecretHashes: []string{bcrypted}, Scopes: []string{"a b"}},
		"it would be longer":        {ID: "b", PublicKey: strings.Repeat("x", registration.MaxFile)},
	} {
		file := &registration.File{Clients: []registration.Client{{ID: "a", SecretHashes: []string{bcrypted}}, c}}
		_, err := file.Content()
		if err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "$2a$") {
			t.Errorf("%v, want %q", err, says)
		}
	}
}

func TestFindingAndRemovingClients(t *testing.T) {
	file := all(t)
	if c := file.Find("batch"); c == nil || c.PublicKey == "" {
		t.Errorf("batch is %+v", c)
	}
	file.Remove("other")
	file.Remove("batch")
	if len(file.Clients) != 5 || file.Find("batch") != nil || file.Find("pinned") == nil || file.Hash() != bcrypted {
		t.Errorf("%+v", file)
	}
	if new(registration.File).Hash() != "" {
		t.Error("a file without clients has a hash")
	}
}

// What operators see proves nothing to nobody.
func TestWhatOperatorsSeeOfClients(t *testing.T) {
	clients, err := all(t).Shown()
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(clients)
	if err != nil {
		t.Fatal(err)
	}
	const want = `[` +
		`{"client_id":"\u003cbilling\u003e \u0026 co","authentication":"client_secret","secrets":2,` +
		`"grants":["client_credentials"],"scopes":["read","write"],"audience":["https://api.example.com"],` +
		`"introspect":["https://api.example.com"],"token":"opaque","access_lifetime":5400,` +
		`"access_lifetimes":{"https://api.example.com":60},"claims":{"roles":["admin"],"tenantId":7},` +
		`"header":{"X-Env":"test"},"from":"file"},` +
		`{"client_id":"batch","authentication":"private_key_jwt","grants":["client_credentials"],"scopes":[],"audience":[],` +
		`"introspect":[],"proof":"dpop","access_lifetime":300,"from":"file"},` +
		`{"client_id":"gate","authentication":"client_secret","secrets":1,"grants":[],"scopes":[],"audience":[],` +
		`"introspect":["https://api.example.com"],"from":"file"},` +
		`{"client_id":"named","authentication":"tls_client_auth","grants":[],"scopes":[],"audience":[],` +
		`"introspect":["https://api.example.com"],"from":"file"},` +
		`{"client_id":"orders","authentication":"client_secret","secrets":1,"grants":[],"scopes":[],"audience":[],` +
		`"introspect":[],"exchange":[{"from":"https://idp.example.com",` +
		`"grant":"urn:ietf:params:oauth:grant-type:token-exchange","subject_audience":["https://api.example.com"],` +
		`"audience":["https://pay.example.com"],"scopes":["read"],"claims":["email"],` +
		`"subject_prefix":"idp:"},{"from":"https://idp.example.com",` +
		`"grant":"urn:ietf:params:oauth:grant-type:jwt-bearer"}],"access_lifetime":300,"from":"file"},` +
		`{"client_id":"pinned","authentication":"self_signed_tls_client_auth","grants":["client_credentials"],"scopes":[],` +
		`"audience":[],"introspect":[],"access_lifetime":300,"from":"file"}]`
	if string(text) != want {
		t.Errorf("%s\nwant %s", text, want)
	}
	if _, err := (&registration.File{Clients: []registration.Client{{ID: "b"}}}).Shown(); err == nil {
		t.Error("a file that cannot be used is shown")
	}
}
