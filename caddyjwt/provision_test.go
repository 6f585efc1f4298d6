package caddyjwt

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	"github.com/caddyjwt/gateway/caddyjwt/process"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// newContext is a context such as Caddy gives to modules; ending it cleans up all that were loaded with it.
func newContext(t *testing.T) (caddy.Context, func()) {
	t.Helper()
	off := false
	ctx, err := caddy.ProvisionContext(&caddy.Config{Admin: &caddy.AdminConfig{
		Disabled: true, Config: &caddy.ConfigSettings{Persist: &off},
	}})
	if err != nil {
		t.Fatal(err)
	}
	child, cancel := caddy.NewContext(ctx)
	t.Cleanup(cancel)
	return child, cancel
}

// parse reads a handler from JSON as strictly as Caddy does.
func parse(t *testing.T, text string) *Handler {
	t.Helper()
	h := new(Handler)
	if err := caddy.StrictUnmarshalJSON([]byte(text), h); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return h
}

// provisioned is a handler made from JSON, to be cleaned up by the test's end.
func provisioned(t *testing.T, text string) *Handler {
	t.Helper()
	ctx, _ := newContext(t)
	value, err := ctx.LoadModuleByID("http.handlers.bearer_auth", json.RawMessage(text))
	if err != nil {
		t.Fatal(err)
	}
	return value.(*Handler)
}

// pooled is what the pool holds: key to number of references.
func pooled() map[string]int { return process.Shared().Pool.References() }

func wantEmptyPool(t *testing.T) {
	t.Helper()
	for key, references := range pooled() {
		t.Errorf("the pool still has %q with %d references", key[:min(len(key), 16)], references)
	}
}

// serve sends a request and gives the status that the client would get.
func serve(t *testing.T, h *Handler, r *http.Request) (int, http.Header) {
	t.Helper()
	w := httptest.NewRecorder()
	err := h.ServeHTTP(w, r, caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
		w.WriteHeader(http.StatusOK)
		return nil
	}))
	if refusal, ok := err.(caddyhttp.HandlerError); ok {
		return refusal.StatusCode, w.Header()
	}
	if err != nil {
		t.Fatal(err)
	}
	return w.Code, w.Header()
}

func bearing(token string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	return r
}

// secretKey signs with the secret of consumerJSON.
func secretKey(t *testing.T) *tokentest.Key { return tokentest.NewKey(t, "HS256", "") }

func consumerJSON(t *testing.T) string {
	text, err := json.Marshal(map[string]any{"username": "alice", "credentials": []any{map[string]any{
		"key": "alice-key", "algorithm": "HS256", "secret": encodeSecret(secretKey(t)), "base64": true,
	}}})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func encodeSecret(k *tokentest.Key) string { return k.JWK()["k"].(string) }

func aliceToken(t *testing.T, changes map[string]any) string {
	now := time.Now().Unix()
	claims := map[string]any{"iss": "alice-key", "sub": "alice", "iat": now, "exp": now + 300}
	for name, value := range changes {
		claims[name] = value
	}
	return secretKey(t).Sign(t, claims)
}

// What is not said has the documented default.
func TestProvisionDefaults(t *testing.T) {
	h := provisioned(t, `{"consumers":[`+consumerJSON(t)+`]}`)
	now := time.Now().Unix()
	if status, header := serve(t, h, httptest.NewRequest(http.MethodGet, "/", nil)); status != 401 ||
		header.Get("WWW-Authenticate") != `Bearer realm="api"` {
		t.Errorf("without a token: status %d, challenge %q", status, header.Get("WWW-Authenticate"))
	}
	withQuery := httptest.NewRequest(http.MethodGet, "/?access_token="+aliceToken(t, nil)+"&jwt="+aliceToken(t, nil), nil)
	withQuery.AddCookie(&http.Cookie{Name: "access_token", Value: aliceToken(t, nil)})
	if status, _ := serve(t, h, withQuery); status != 401 {
		t.Errorf("tokens in query and cookie were read: status %d", status)
	}
	for name, test := range map[string]struct {
		token string
		want  int
	}{
		"good":                           {aliceToken(t, nil), 200},
		"expired within the leeway":      {aliceToken(t, map[string]any{"exp": now - 2}), 200},
		"expired beyond the leeway":      {aliceToken(t, map[string]any{"exp": now - 8}), 401},
		"lasting for a year":             {aliceToken(t, map[string]any{"exp": now + 365*86400}), 200},
		"for any audience":               {aliceToken(t, map[string]any{"aud": "x"}), 200},
		"just short enough":              {strings.Repeat("a", 16<<10), 401},
		"too long":                       {strings.Repeat("a", 16<<10+1), 400},
		"a key claim in another name":    {aliceToken(t, map[string]any{"iss": "x", "kid": "alice-key"}), 401},
		"another algorithm than written": {secretKey(t).WithAlg("HS512").Sign(t, map[string]any{"iss": "alice-key", "exp": now + 60}), 401},
	} {
		if status, _ := serve(t, h, bearing(test.token)); status != test.want {
			t.Errorf("%s: status %d, want %d", name, status, test.want)
		}
	}
	preflight := httptest.NewRequest(http.MethodOptions, "/", nil)
	preflight.Header.Set("Origin", "https://x.example")
	preflight.Header.Set("Access-Control-Request-Method", "GET")
	if status, _ := serve(t, h, preflight); status != 401 {
		t.Errorf("a preflight passed without allow_preflight: status %d", status)
	}
	if found := pooled(); len(found) != 1 || found["cache 33554432"] != 1 {
		t.Errorf("the pool has %v, want one cache of 32 MiB", found)
	}
}

// Everything that is wrong is told when the configuration loads, by a text that says what to do.
func TestProvisionErrors(t *testing.T) {
	alice := consumerJSON(t)
	t.Setenv("NOT_UTF8", "https://\xff.example")
	issuer := func(members string) string {
		return `{"audience":["x"],"issuers":[{"issuer":"https://as.example",` + members + `}]}`
	}
	for name, test := range map[string]struct{ text, want string }{
		"nobody":                    {`{}`, "nobody vouches"},
		"unknown word":              {`{"relam":"x"}`, "relam"},
		"no audience":               {`{"issuers":[{"issuer":"https://as.example"}]}`, "no audience"},
		"empty audience":            {`{"audience":[""],"issuers":[{"issuer":"https://as.example"}]}`, "audience"},
		"audience any and values":   {`{"audience":["x"],"any_audience":true,"consumers":[` + alice + `]}`, "audience"},
		"issuer without a name":     {`{"audience":["x"],"issuers":[{}]}`, "no name"},
		"issuer that is not UTF-8":  {`{"audience":["x"],"issuers":[{"issuer":"{env.NOT_UTF8}","keys":{"source":"jwks","url":"https://a.example"}}]}`, "UTF-8"},
		"unset variable":            {`{"audience":["{env.NOT_SET_ANYWHERE}"],"consumers":[` + alice + `]}`, "audience"},
		"negative leeway":           {`{"leeway":-1,"consumers":[` + alice + `]}`, "leeway"},
		"long leeway":               {`{"leeway":"6m","consumers":[` + alice + `]}`, "leeway"},
		"negative max_lifetime":     {`{"max_lifetime":-5,"consumers":[` + alice + `]}`, "max_lifetime"},
		"large token size":          {`{"max_token_size":2000000,"consumers":[` + alice + `]}`, "max_token_size"},
		"negative token size":       {`{"max_token_size":-1,"consumers":[` + alice + `]}`, "max_token_size"},
		"negative cache":            {`{"cache_size":-2,"consumers":[` + alice + `]}`, "cache"},
		"tiny cache":                {`{"cache_size":100,"consumers":[` + alice + `]}`, "smaller than"},
		"unknown place":             {`{"token_from":[{"in":"body","name":"x"}],"consumers":[` + alice + `]}`, "token_from"},
		"scheme of a cookie":        {`{"token_from":[{"in":"cookie","name":"x","scheme":"y"}],"consumers":[` + alice + `]}`, "scheme"},
		"place that wants a proof":  {`{"token_from":[{"in":"header","name":"Authorization","scheme":"DPoP"}],"consumers":[` + alice + `]}`, "RFC 9449 section 7.1"},
		"place for a proxy":         {`{"token_from":[{"in":"header","name":"Proxy-Authorization","scheme":"Bearer"}],"consumers":[` + alice + `]}`, "RFC 9110 section 11.7"},
		"place of a subprotocol":    {`{"token_from":[{"in":"header","name":"Sec-WebSocket-Protocol"}],"consumers":[` + alice + `]}`, "RFC 6455 section 1.9"},
		"realm with a control":      {`{"realm":"a\u0001b","consumers":[` + alice + `]}`, "realm"},
		"optional and anonymous":    {`{"optional":true,"anonymous":"alice","consumers":[` + alice + `]}`, "exclude"},
		"unknown anonymous":         {`{"anonymous":"bob","consumers":[` + alice + `]}`, "does not exist"},
		"consumer twice":            {`{"consumers":[` + alice + `,` + alice + `]}`, "alice"},
		"issuer over http":          {`{"audience":["x"],"issuers":[{"issuer":"http://as.example"}]}`, "http"},
		"unknown source":            {issuer(`"keys":{"source":"ldap"}`), "ldap"},
		"no source":                 {issuer(`"keys":{}`), "expected discovery"},
		"jwks without a url":        {issuer(`"keys":{"source":"jwks"}`), "needs a url"},
		"jwks over http":            {issuer(`"keys":{"source":"jwks","url":"http://as.example/jwks"}`), "http"},
		"missing file":              {issuer(`"keys":{"source":"file","path":"/does/not/exist"}`), "/does/not/exist"},
		"a directory as file":       {issuer(`"keys":{"source":"file","path":"/"}`), "keys file"},
		"pem of nothing":            {issuer(`"keys":{"source":"pem","pem":"x"}`), "keys pem"},
		"private key as pem":        {issuer(`"keys":{"source":"pem","pem":` + quote(tokentest.NewKey(t, "ES256", "p").PrivatePEM()) + `}`), "private"},
		"short secret":              {issuer(`"keys":{"source":"secret","secret":"short"}`), "secret"},
		"a secret that is a word":   {issuer(`"keys":{"source":"secret","secret":"hunter22hunter22hunter22hunter22"}`), "keys secret: unusable key: too weak"},
		"a consumer's secret, too":  {`{"consumers":[{"username":"a","credentials":[{"key":"k","algorithm":"HS256","secret":"hunter22hunter22hunter22hunter22"}]}]}`, `credential "k": secret: unusable key: too weak`},
		"and that of an assertion":  {issuer(`"introspect":{"client_id":"a","client_secret":"hunter22hunter22hunter22hunter22","auth_method":"client_secret_jwt"}`), "client_secret: unusable key: too weak"},
		"public key as secret":      {issuer(`"keys":{"source":"secret","secret":` + quote(tokentest.NewKey(t, "ES256", "p").PublicPEM()) + `}`), "secret"},
		"HS256 with public keys":    {issuer(`"algorithms":["HS256"]`), "never mixed"},
		"RS256 with a secret":       {issuer(`"algorithms":["RS256"],"keys":{"source":"secret","secret":"9d1f8a3c5e7b42604f8e1a2b3c4d5e6f"}`), "never mixed"},
		"unknown algorithm":         {issuer(`"algorithms":["none"]`), "unknown algorithm"},
		"unknown profile":           {issuer(`"profile":"rfc1"`), "rfc1"},
		"profile against type":      {issuer(`"profile":"rfc9068","type":["jwt"]`), "contradicts"},
		"none without introspect":   {issuer(`"keys":{"source":"none"}`), "nothing could verify"},
		"client_cert without key":   {issuer(`"tls":{"client_cert":"x"}`), "go together"},
		"pin that is none":          {issuer(`"tls":{"pin":["x"]}`), "pin"},
		"missing ca":                {issuer(`"tls":{"ca":["/does/not/exist"]}`), "ca"},
		"introspect mode":           {issuer(`"introspect":{"mode":"maybe"}`), "maybe"},
		"introspect nobody":         {issuer(`"introspect":{}`), "introspect"},
		"introspect over http":      {issuer(`"introspect":{"endpoint":"http://as.example/i","auth_method":"none"}`), "http"},
		"userinfo with an audience": {issuer(`"introspect":{"verify":"userinfo","endpoint":"https://as.example/u"}`), "userinfo"},
		"long cache_ttl":            {issuer(`"introspect":{"auth_method":"none","cache_ttl":"1h"}`), "TTL"},
		"signed without keys":       {issuer(`"keys":{"source":"none"},"introspect":{"auth_method":"client_secret_basic","client_id":"a","client_secret":"b","signed":true}`), "none"},
		"signed with a secret":      {issuer(`"keys":{"source":"secret","secret":"9d1f8a3c5e7b42604f8e1a2b3c4d5e6f"},"introspect":{"client_id":"a","client_secret":"b","signed":true}`), "public keys"},
		"signed for nobody":         {issuer(`"introspect":{"bearer_token":"b","signed":true}`), "add client_id"},
		"no certificate to show":    {issuer(`"introspect":{"client_id":"a","auth_method":"tls_client_auth"}`), "client_cert"},
		"prefix of no tokens":       {issuer(`"introspect":{"mode":"always","verify":"userinfo","prefix":"x"}`), "prefix is how opaque tokens begin, and verify userinfo with an audience takes none"},
		"key_id of no key":          {issuer(`"introspect":{"client_id":"a","client_secret":"9d1f8a3c5e7b42604f8e1a2b3c4d5e6f","key_id":"x"}`), "key_id names"},
		"raw_basic for userinfo":    {issuer(`"introspect":{"mode":"always","verify":"userinfo","raw_basic":true}`), "raw_basic: UserInfo is asked with the token itself"},
		"signed userinfo":           {issuer(`"introspect":{"mode":"always","verify":"userinfo","signed":true}`), "signed: UserInfo has no signed answers: remove it"},
		"max_stale of nothing":      {issuer(`"max_stale":"1h","keys":{"source":"none"},"introspect":{"endpoint":"https://as.example/i","auth_method":"none"}`), "neither are fetched"},
		"header for nothing":        {issuer(`"request_headers":{"X-Key":["a"]},"keys":{"source":"none"},"introspect":{"endpoint":"https://as.example/i","auth_method":"none"}`), "neither are fetched"},
		"placeholder as a claim":    {`{"require":{"claims":[{"claim":"{env.NOT_UTF8}"}]},"consumers":[` + alice + `]}`, "require claim: no placeholder"},
		"placeholder to forward":    {`{"forward_claims":[{"claim":"{env.NOT_UTF8}","header":"X-A"}],"consumers":[` + alice + `]}`, "forward_claim: no placeholder"},
		"placeholder as a place":    {`{"token_from":[{"in":"query","name":"{env.NOT_UTF8}"}],"consumers":[` + alice + `]}`, "token_from: no placeholder"},
		"placeholder as a type":     {issuer(`"type":["{env.NOT_UTF8}"]`), "type: no placeholder"},
		"placeholder to be there":   {issuer(`"require":["{file./etc/hostname}"]`), "require: no placeholder"},
		"placeholder of a param":    {issuer(`"introspect":{"auth_method":"none","params":[{"name":"{env.NOT_UTF8}","value":"x"}]}`), "param: no placeholder"},
		"two takers of opaque tokens": {`{"audience":["x"],"issuers":[
			{"issuer":"https://a.example","introspect":{"auth_method":"none"}},{"issuer":"https://b.example","introspect":{"auth_method":"none"}}]}`, "prefix"},
		"one prefix for two": {`{"audience":["x"],"issuers":[
			{"issuer":"https://a.example","introspect":{"auth_method":"none","prefix":"p","mode":"always"}},
			{"issuer":"https://b.example","introspect":{"auth_method":"none","prefix":"p"}}]}`, "different \"prefix\""},
		"force without introspect": {`{"audience":["x"],"issuers":[{"issuer":"https://a.example"}],"introspect":{"mode":"force"}}`, "force"},
		"nothing required":         {`{"require":{},"consumers":[` + alice + `]}`, "asks for nothing"},
		"empty list of audiences":  {`{"audience":[],"consumers":[` + alice + `]}`, "audience is an empty list"},
		"empty list of scopes":     {`{"require":{"scopes":[],"groups":["x"]},"consumers":[` + alice + `]}`, "require scope is an empty list"},
		"empty list of values":     {`{"require":{"claims":[{"claim":"a","values":[]}]},"consumers":[` + alice + `]}`, "require claim a is an empty list"},
		"empty list of places":     {`{"token_from":[],"consumers":[` + alice + `]}`, "token_from is an empty list"},
		"empty list of algorithms": {issuer(`"algorithms":[]`), "algorithms is an empty list"},
		"empty list of types":      {issuer(`"type":[]`), "type is an empty list"},
		"empty list of claims":     {issuer(`"require":[]`), "require is an empty list"},
		"empty list of pins":       {issuer(`"tls":{"server_name":"x","pin":[]}`), "pin is an empty list"},
		"header without a value":   {issuer(`"request_headers":{"X-Key":[]}`), "request_header X-Key is an empty list"},
		"tls without a setting":    {issuer(`"tls":{}`), "leave it out"},
		"ca that is none":          {issuer(`"tls":{"ca":["provision_test.go"]}`), "no certificate"},
		"route asks for nothing":   {`{"introspect":{},"consumers":[` + alice + `]}`, "says nothing"},
		"base64 without a secret":  {issuer(`"keys":{"source":"discovery","base64":true}`), "base64"},
		"short max_stale":          {issuer(`"max_stale":"30s"`), "max_stale 30s is less than 1m"},
		"null as a consumer":       {`{"consumers":[null,` + alice + `]}`, "username"},
		"null as an issuer":        {issuer(`"keys":null},null,{"issuer":"https://b.example"`), "no name"},
		"null as a credential":     {`{"consumers":[{"username":"a","credentials":[null]}]}`, "no algorithm"},
		"null as a forwarded one":  {`{"forward_claims":[null],"consumers":[` + alice + `]}`, "forward_claim"},
		"null as a place":          {`{"token_from":[null],"consumers":[` + alice + `]}`, "token_from"},
		"a private key in base64":  {`{"consumers":[{"username":"a","credentials":[{"key":"k","algorithm":"ES256","public_key":"MIGHAgEAMBMG/0123456789abcdef` + strings.Repeat("A", 150) + `"}]}]}`, "neither PEM"},
		"a short one in base64":    {`{"consumers":[{"username":"a","credentials":[{"key":"k","algorithm":"EdDSA","public_key":"MC4CAQAwBQYDK2VwBCIEIG/0123456789abcdef"}]}]}`, "neither PEM"},
		"the text of a client_key": {issuer(`"tls":{"client_cert":"provision_test.go","client_key":` + quote(tokentest.NewKey(t, "ES256", "p").PrivatePEM()) + `}`), "client_key"},
		"client_key in base64":     {issuer(`"tls":{"client_cert":"provision_test.go","client_key":"MC4CAQAwBQYDK2VwBCIEIG/0123456789abcdef"}`), "client_key"},
		"the text of a key file":   {issuer(`"keys":{"source":"file","path":` + quote(tokentest.NewKey(t, "ES256", "p").PrivatePEM()) + `}`), "keys file"},
		"no required claims":       {`{"require":{"scopes":["x"],"claims":[]},"consumers":[` + alice + `]}`, "require claims is an empty list"},
		"unsafe header":            {`{"forward_claims":[{"claim":"x","header":"Host"}],"consumers":[` + alice + `]}`, "Host"},
		"empty claim path":         {`{"require":{"claims":[{"claim":"a..b"}]},"consumers":[` + alice + `]}`, "require"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, _ := newContext(t)
			_, err := ctx.LoadModuleByID("http.handlers.bearer_auth", json.RawMessage(test.text))
			if err == nil {
				t.Fatalf("accepted: %s", test.text)
			}
			if !strings.Contains(strings.ToLower(err.Error()), strings.ToLower(test.want)) {
				t.Errorf("error %q does not say %q", err, test.want)
			}
			for _, secret := range []string{encodeSecret(secretKey(t)), "BEGIN", "0123456789abcdef", "9d1f8a3c", "hunter22"} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("error %q quotes a secret or key", err)
				}
			}
			wantEmptyPool(t)
		})
	}
}

func quote(text string) string {
	quoted, err := json.Marshal(text)
	if err != nil {
		panic(err)
	}
	return string(quoted)
}

// counting is a server that counts connections; nobody gets an answer.
func counting(t *testing.T) (address string, connections func() int) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	arrived := make(chan struct{}, 1000)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_ = conn.Close()
			arrived <- struct{}{}
		}
	}()
	return listener.Addr().String(), func() int {
		// Connections arrive in order: ours is the last one.
		conn, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.Close()
		<-arrived
		return len(arrived)
	}
}

// everything is a handler that takes one of each from the pool, with all servers at an address, and with more issuers.
func everything(address, file, more string) string {
	base := "http://" + address
	return `{"audience":["x"],"issuers":[
		{"issuer":"` + base + `","introspect":{"auth_method":"none"}},
		{"issuer":"https://jwks.example","keys":{"source":"jwks","url":"` + base + `/jwks"},
		 "introspect":{"mode":"always","endpoint":"` + base + `/introspect","client_id":"a","client_secret":"b","signed":true}},
		{"issuer":"https://file.example","keys":{"source":"file","path":` + quote(file) + `}},
		{"issuer":"https://again.example","keys":{"source":"file","path":` + quote(file) + `}}` + more + `]`
}

// Provisioning, as "caddy validate" does it, asks nobody anything and is quick, even if all servers hang.
func TestProvisionMakesNoConnection(t *testing.T) {
	address, connections := counting(t)
	file := filepath.Join(t.TempDir(), "jwks.json")
	if err := os.WriteFile(file, []byte(tokentest.JWKS(tokentest.NewKey(t, "ES256", "file"))), 0o600); err != nil {
		t.Fatal(err)
	}
	handler := everything(address, file, "") + "}"
	var config caddy.Config
	text := `{"admin":{"disabled":true,"config":{"persist":false}},"apps":{"http":{"servers":{"s":{"listen":["127.0.0.1:0"],
		"routes":[{"handle":[{"handler":"bearer_auth",` + handler[1:] + `]}]}}}}}`
	if err := json.Unmarshal([]byte(text), &config); err != nil {
		t.Fatal(err)
	}
	if err := caddy.Validate(&config); err != nil {
		t.Fatal(err)
	}
	if n := connections(); n != 0 {
		t.Errorf("%d connections", n)
	}
	wantEmptyPool(t)
}

// counter counts log lines.
type counter struct {
	slog.Handler
	lines *atomic.Int64
}

func (counter) Enabled(context.Context, slog.Level) bool    { return true }
func (c counter) WithAttrs([]slog.Attr) slog.Handler        { return c }
func (c counter) Handle(context.Context, slog.Record) error { c.lines.Add(1); return nil }

// Wherever Provision fails, Cleanup gives back what was taken until then, and a second Cleanup does no harm.
func TestProvisionFailsThenCleanup(t *testing.T) {
	address, connections := counting(t)
	file := filepath.Join(t.TempDir(), "jwks.json")
	if err := os.WriteFile(file, []byte(tokentest.JWKS(tokentest.NewKey(t, "ES256", "file"))), 0o600); err != nil {
		t.Fatal(err)
	}
	empty := filepath.Join(t.TempDir(), "empty.json")
	if err := os.WriteFile(empty, []byte(`{"keys":[]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	var opened atomic.Int64 // key files, by handlers that failed afterwards
	shared := process.New()
	shared.Log.Keys = slog.New(counter{slog.DiscardHandler, &opened})
	for name, text := range map[string]string{
		"compiling the route":    everything(address, file, "") + `,"realm":"{env.NOT_SET_ANYWHERE}"}`,
		"compiling an issuer":    everything(address, file, `,{"issuer":"https://b.example","profile":"x"}`) + `}`,
		"checking introspection": everything(address, file, `,{"issuer":"https://b.example","introspect":{}}`) + `}`,
		"opening a key source":   everything(address, file, `,{"issuer":"https://b.example","keys":{"source":"file","path":"/does/not/exist"}}`) + `}`,
		"a file without keys":    everything(address, file, `,{"issuer":"https://b.example","keys":{"source":"file","path":`+quote(empty)+`}}`) + `}`,
		"opening introspection": everything(address, file, `,{"issuer":"https://b.example","keys":{"source":"none"},
			"introspect":{"prefix":"b","endpoint":"http://`+address+`","client_id":"a","client_secret":"b","signed":true}}`) + `}`,
		"TLS settings": everything(address, file, `,{"issuer":"https://b.example","tls":{"ca":[`+quote(empty)+`]}}`) + `}`,
		"discovering for introspection": everything(address, file, `,{"issuer":"not a URL","keys":{"source":"file","path":`+quote(file)+`},
			"introspect":{"prefix":"b","auth_method":"none"}}`) + `}`,
		"making the cache":     everything(address, file, "") + `,"cache_size":1}`,
		"building the gate":    everything(address, file, `,{"issuer":"https://file.example","keys":{"source":"file","path":`+quote(file)+`}}`) + `}`,
		"the route's promises": everything(address, file, "") + `,"introspect":{"mode":"force"}}`,
	} {
		t.Run(name, func(t *testing.T) {
			ctx, _ := newContext(t)
			before := runtime.NumGoroutine()
			for range 20 {
				h := parse(t, text)
				h.shared = shared
				err := h.Provision(ctx)
				if err == nil {
					t.Error("provisioned")
				}
				for range 2 {
					if err := h.Cleanup(); err != nil {
						t.Errorf("cleaning up: %v", err)
					}
				}
				if left := shared.Pool.References(); len(left) > 0 {
					t.Errorf("the pool still has %d objects", len(left))
				}
			}
			deadline := time.After(10 * time.Second)
			tick := time.NewTicker(5 * time.Millisecond)
			defer tick.Stop()
			for runtime.NumGoroutine() > before {
				select {
				case <-tick.C:
				case <-deadline:
					t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
				}
			}
		})
	}
	if opened.Load() == 0 {
		t.Error("no handler had opened anything before it failed: this test tests nothing")
	}
	if n := connections(); n != 0 {
		t.Errorf("%d connections", n)
	}
}

// A reload provisions the new handler before the old one is cleaned up: what did not change is the very same object, with
// one reference afterwards, and nothing is left after the last one.
func TestProvisionSharesAndOutlivesReloads(t *testing.T) {
	address, _ := counting(t)
	file := filepath.Join(t.TempDir(), "jwks.json")
	if err := os.WriteFile(file, []byte(tokentest.JWKS(tokentest.NewKey(t, "ES256", "file"))), 0o600); err != nil {
		t.Fatal(err)
	}
	values := func() map[any]bool {
		found := make(map[any]bool)
		for source := range process.Shared().Pool.Sources() {
			found[source] = true
		}
		for client := range process.Shared().Pool.Clients() {
			found[client] = true
		}
		for cache := range process.Shared().Pool.Caches() {
			found[cache] = true
		}
		return found
	}
	load := func(text string) (cleanup func()) {
		ctx, cleanup := newContext(t)
		if _, err := ctx.LoadModuleByID("http.handlers.bearer_auth", json.RawMessage(text)); err != nil {
			t.Fatal(err)
		}
		return cleanup
	}
	last := load(everything(address, file, "") + "}")
	first := values()
	if len(first) != 6 { // three key sources, two introspection clients, one cache
		t.Errorf("%d objects in the pool", len(first))
	}
	for i := range 10 {
		next := load(everything(address, file, "") + `,"realm":"` + strings.Repeat("r", i+1) + `"}`)
		last()
		last = next
		now := values()
		if len(now) != len(first) {
			t.Fatalf("%d objects in the pool after a reload, %d before", len(now), len(first))
		}
		for object := range first {
			if !now[object] {
				t.Fatalf("a %T is another object after a reload", object)
			}
		}
	}
	last()
	wantEmptyPool(t)
}

// What changes an object's work makes it another object.
func TestProvisionSeparatesWhatDiffers(t *testing.T) {
	variants := []string{
		`"keys":{"source":"jwks","url":"https://as.example/jwks"}`,
		`"keys":{"source":"jwks","url":"https://as.example/jwks2"}`,
		`"keys":{"source":"jwks","url":"https://as.example/jwks"},"max_stale":"1h"`,
		`"keys":{"source":"jwks","url":"https://as.example/jwks"},"request_headers":{"X-Key":["1"]}`,
		`"keys":{"source":"jwks","url":"https://as.example/jwks"},"request_headers":{"X-Key":["2"]}`,
		`"keys":{"source":"jwks","url":"https://as.example/jwks"},"allow_link_local":true`,
		`"keys":{"source":"jwks","url":"https://as.example/jwks"},"tls":{"server_name":"x.example"}`,
		`"keys":{"source":"discovery"}`,
		`"keys":{"source":"discovery","url":"https://as.example/jwks"}`,
	}
	var cleanups []func()
	for _, variant := range variants {
		ctx, cleanup := newContext(t)
		text := `{"cache_size":-1,"audience":["x"],"issuers":[{"issuer":"https://as.example",` + variant + `}]}`
		if _, err := ctx.LoadModuleByID("http.handlers.bearer_auth", json.RawMessage(text)); err != nil {
			t.Fatal(err)
		}
		cleanups = append(cleanups, cleanup)
	}
	if n := len(pooled()); n != len(variants) {
		t.Errorf("%d key sources for %d different settings", n, len(variants))
	}
	for _, cleanup := range cleanups {
		cleanup()
	}
	wantEmptyPool(t)
}

// A key that stands where the path of a file belongs, as with {file./path} in place of /path, is not quoted in the error.
func TestErrorsDoNotQuoteKeysInPlaceOfPaths(t *testing.T) {
	const mark = "0123456789abcdef"
	jwk := filepath.Join(t.TempDir(), "jwk")
	if err := os.WriteFile(jwk, []byte(`{"kty":"OKP","kid":"a.example","d":"`+mark+`"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	keys := map[string]string{
		"PEM text":     "-----BEGIN PRIVATE KEY-----\n" + mark + "\n-----END PRIVATE KEY-----\n",
		"a line of it": "-----BEGIN PRIVATE KEY-----" + mark,
		"base64":       "MC4CAQAwBQYDK2VwBCIEIN/" + mark,
		"a JWK":        "{file." + jwk + "}",
	}
	for setting, handler := range map[string]string{
		"public_key":  `{"consumers":[{"username":"a","credentials":[{"key":"k","algorithm":"EdDSA","public_key":%s}]}]}`,
		"private_key": `{"issuers":[{"issuer":"https://a.example","any_audience":true,"introspect":{"client_id":"a","private_key":%s}}]}`,
		"client_key":  `{"issuers":[{"issuer":"https://a.example","any_audience":true,"tls":{"client_cert":"testdata/adapt/p256.pub.pem","client_key":%s}}]}`,
		"ca":          `{"issuers":[{"issuer":"https://a.example","any_audience":true,"tls":{"ca":[%s]}}]}`,
		"keys file":   `{"issuers":[{"issuer":"https://a.example","any_audience":true,"keys":{"source":"file","path":%s}}]}`,
	} {
		for form, key := range keys {
			t.Run(setting+" is "+form, func(t *testing.T) {
				ctx, _ := newContext(t)
				_, err := ctx.LoadModuleByID("http.handlers.bearer_auth", json.RawMessage(fmt.Sprintf(handler, quote(key))))
				if err == nil {
					t.Fatal("accepted")
				}
				if strings.Contains(err.Error(), mark) {
					t.Errorf("error %q quotes the key", err)
				}
			})
		}
	}
}
