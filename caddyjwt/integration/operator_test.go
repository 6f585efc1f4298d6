package integration

import (
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// operated runs a site with an admin endpoint, without a store, and with this gate.
func operated(t testing.TB, gate string) *office {
	t.Helper()
	s := prepare(t)
	o := &office{site: s, socket: filepath.Join(filepath.Dir(s.socket), "a")}
	o.admin = adminAt(o.socket)
	o.loadFile(o.kept(o.caddyfile(gate)))
	return o
}

// says sends a request to the admin endpoint, and reads the answer.
func (o *office) says(method, path, body string, into any) {
	o.t.Helper()
	a := o.asks(method, path, body)
	if a.StatusCode != http.StatusOK || a.Header.Get("Cache-Control") != "no-store" ||
		a.Header.Get("Content-Type") != "application/json" {
		o.t.Fatalf("%s %s: status %d, header %v, %s", method, path, a.StatusCode, a.Header, a.body)
	}
	if err := json.Unmarshal([]byte(a.body), into); err != nil {
		o.t.Fatalf("%s %s: %v in %s", method, path, err, a.body)
	}
}

// refreshed is the answer to an order to fetch keys.
type refreshed struct {
	Sources []struct {
		Issuers        []string
		Kind, Result   string
		Added, Removed []string
		Error          string
	}
}

const refreshPath = "/bearer_auth/keys/refresh"

// An operator heals a compromise at once: the tokens of a key that is gone are refused from then on, also those that
// are remembered, and those of the new key pass. Until then, the gate had no reason to look.
func TestKeysAreFetchedWhenAnOperatorSaysSo(t *testing.T) {
	stolen, fresh := tokentest.NewKey(t, "ES256", "stolen"), tokentest.NewKey(t, "ES256", "fresh")
	as := tokentest.NewAS(t, tokentest.WithKeys(stolen))
	other := tokentest.NewAS(t, tokentest.StartDown())
	file := writeFile(t, filepath.Join(t.TempDir(), "keys.json"), tokentest.JWKS(fresh))
	o := operated(t, gateForAudience(issuerBlock(as.URL), issuerByJWKS(other),
		issuerWithKeys("https://file.example", "file "+file)))
	old := stolen.Sign(t, issuedBy(as.URL))
	for range 3 { // the third comes from the cache
		o.accepts(old)
	}
	as.SetKeys(fresh)
	o.accepts(old)

	var answer refreshed
	o.says(http.MethodPost, refreshPath, asJSON(t, m{"issuer": as.URL}), &answer)
	if len(answer.Sources) != 1 {
		t.Fatalf("%+v", answer)
	}
	if s := answer.Sources[0]; s.Result != "fetched" || strings.Join(s.Added, " ") != "fresh" ||
		strings.Join(s.Removed, " ") != "stolen" || s.Kind != "discovery" || s.Error != "" {
		t.Errorf("%+v", s)
	}
	o.refused(o.get("/", old), http.StatusUnauthorized, "unknown_key")
	o.accepts(fresh.Sign(t, issuedBy(as.URL)))

	// All issuers: one is down, and the other has the same keys as before. A file is not fetched.
	answer = refreshed{}
	o.says(http.MethodPost, refreshPath, "", &answer)
	results := make(map[string]string)
	for _, s := range answer.Sources {
		results[s.Issuers[0]] = s.Result
		if (s.Result == "failed") != strings.Contains(s.Error, "refused") || len(s.Added)+len(s.Removed) > 0 {
			t.Errorf("%+v", s)
		}
	}
	if len(results) != 2 || results[as.URL] != "fetched" || results[other.URL] != "failed" {
		t.Errorf("%v", results)
	}
	other.SetKeys(fresh)
	other.Up()
	answer = refreshed{}
	o.says(http.MethodPost, refreshPath, asJSON(t, m{"issuer": other.URL}), &answer) // sooner than the next attempt
	if len(answer.Sources) != 1 || answer.Sources[0].Result != "fetched" {
		t.Errorf("once the server is up again: %+v", answer)
	}
}

// A server that wants to be left alone is asked nevertheless, once. When it fails, the keys from before stay.
func TestKeysStayWhenAnOperatorFetchesInVain(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	o := operated(t, gateForAudience(issuerByJWKS(as)))
	o.accepts(key.Sign(t, issuedBy(as.URL)))
	as.AnswerJWKS(http.StatusTooManyRequests, "", "Retry-After", "3600")
	for range 2 {
		before := as.JWKSFetches()
		var answer refreshed
		o.says(http.MethodPost, refreshPath, "{}", &answer)
		if len(answer.Sources) != 1 || answer.Sources[0].Result != "failed" ||
			!strings.Contains(answer.Sources[0].Error, "429") || as.JWKSFetches() != before+1 {
			t.Errorf("%d fetches, %+v", as.JWKSFetches()-before, answer)
		}
		o.accepts(key.Sign(t, issuedBy(as.URL)))
	}
}

// caches is the answer about caches.
type caches struct {
	Tokens []struct {
		MaxBytes     int64 `json:"max_bytes"`
		Tokens       int
		Hits, Misses uint64
	}
	Introspection []struct {
		Issuer, Breaker  string
		Active, Inactive int
	}
}

func TestCachesAreFlushedWhenAnOperatorSaysSo(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k")
	as := introspector(t, tokentest.WithKeys(key))
	as.Introspect(always(active()))
	o := operated(t, gateForAudience(introspecting(as, "", "cache_ttl 5m")))
	jwt := key.Sign(t, issuedBy(as.URL))
	for range 3 {
		o.accepts(jwt)
		o.accepts("opaque")
	}
	var have caches
	o.says(http.MethodGet, "/bearer_auth/caches", "", &have)
	if len(have.Tokens) != 1 || have.Tokens[0].Tokens != 1 || have.Tokens[0].Hits == 0 || have.Tokens[0].Misses == 0 ||
		have.Tokens[0].MaxBytes != 32<<20 || len(have.Introspection) != 1 || have.Introspection[0].Active != 1 ||
		have.Introspection[0].Issuer != as.URL || have.Introspection[0].Breaker != "closed" {
		t.Errorf("%+v", have)
	}

	// The server revokes the token. Until cache_ttl has passed, the gate does not ask again.
	as.Introspect(always(tokentest.IntrospectionAnswer{Body: `{"active":false}`}))
	o.accepts("opaque")
	for _, c := range []struct {
		order           m
		tokens, answers int
	}{
		{m{"cache": "tokens"}, 1, 0},
		{m{"issuer": as.URL}, 0, 1},
	} {
		var flushed struct{ Tokens, Answers int }
		o.says(http.MethodPost, "/bearer_auth/caches/flush", asJSON(t, c.order), &flushed)
		if flushed.Tokens != c.tokens || flushed.Answers != c.answers {
			t.Errorf("%v: %+v", c.order, flushed)
		}
	}
	o.refused(o.get("/", "opaque"), http.StatusUnauthorized, "inactive")
	o.accepts(jwt) // its signature is verified again
	o.says(http.MethodPost, "/bearer_auth/caches/flush", "", &struct{}{})
	have = caches{}
	o.says(http.MethodGet, "/bearer_auth/caches", "", &have)
	if have.Tokens[0].Tokens != 0 || have.Introspection[0].Active+have.Introspection[0].Inactive != 0 {
		t.Errorf("after a flush of all: %+v", have)
	}
}

// Consumers are listed with what is no secret, those of a file that two gates use once.
func TestConsumersAreListed(t *testing.T) {
	secret := hmacKey(t)
	file := writeFile(t, filepath.Join(t.TempDir(), "consumers.json"), asJSON(t, []m{
		{"username": "fay", "custom_id": "f1", "groups": []string{"staff"}, "credentials": []m{
			{"key": "fay-key", "algorithm": "HS256", "secret": string(secret.Secret())}}},
		{"username": "gus"},
	}))
	gate := func(name string, lines ...string) string {
		return gateForAudience(append([]string{"name " + name, "consumers file " + file}, lines...)...)
	}
	o := operated(t, "handle /a/* {\n"+gate("first", consumerAlice(t))+"\n}\nhandle {\n"+gate("second")+"\n}")
	const path = "/bearer_auth/consumers"
	a := o.asks(http.MethodGet, path, "")
	for _, hidden := range []string{string(secret.Secret()), "secret", "public_key"} {
		if strings.Contains(a.body, hidden) {
			t.Errorf("%q is in %s", hidden, a.body)
		}
	}
	fay := `{"gates":[{"server":"srv0","gate":"first"},{"server":"srv0","gate":"second"}],"file":` + asJSON(t, file) +
		`,"total":2,"consumers":[{"username":"fay","custom_id":"f1","groups":["staff"],"credentials":[{"key":"fay-key",` +
		`"algorithm":"HS256"}]},{"username":"gus"}]}`
	if !strings.Contains(a.body, fay) || strings.Count(a.body, `"username":"alice"`) != 1 {
		t.Errorf("%s", a.body)
	}
	for query, want := range map[string]int{"?username=fay": 1, "?limit=1": 1, "?username=nobody": 0, "?limit=100000": 3} {
		if got := strings.Count(o.asks(http.MethodGet, path+query, "").body, `"username"`); got != want {
			t.Errorf("%s: %d, want %d", query, got, want)
		}
	}
}

// The running gates explain with all that they know: the keys that they have fetched, and what is revoked. The answer
// has nothing of the signature, and asking lets nobody in.
func TestTheRunningGatesExplain(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	o := newOffice(t)
	o.loadFile(o.kept(o.caddyfile("handle /a/* {\n" + revocableGate("name first", issuerBlock(as.URL)) + "\n}\n" +
		"handle {\n" + revocableGate(issuerBlock(as.URL), "require scope write") + "\n}")))
	token := key.Sign(t, issuedBy(as.URL, "jti", "7"))
	explains := func(q m) (report explained) {
		t.Helper()
		a := o.asks(http.MethodPost, "/bearer_auth/explain", asJSON(t, q))
		if a.StatusCode != http.StatusOK {
			t.Fatalf("%v: %d %s", q, a.StatusCode, a.body)
		}
		keepsSecret(t, a.body, token)
		if err := json.Unmarshal([]byte(a.body), &report); err != nil {
			t.Fatal(err)
		}
		return report
	}
	if r := explains(m{"input": token, "route": "first"}); r.Verdict != "passes" || len(r.Gates) != 1 ||
		r.Gates[0].Number != 1 || r.Gates[0].Issuer != as.URL {
		t.Errorf("%+v", r)
	}
	if as.JWKSFetches() != 1 {
		t.Errorf("%d fetches", as.JWKSFetches())
	}
	if r := explains(m{"input": token}); r.Verdict != "passes" || len(r.Gates) != 2 ||
		r.Gates[1].Reason != "insufficient_scope" || r.Gates[1].Change == nil {
		t.Errorf("%+v", r)
	}
	if r := explains(m{"input": "curl -H 'Authorization: Bearer " + token + "' http://gate.test/b"}); len(r.Gates) != 1 ||
		r.Gates[0].Number != 2 {
		t.Errorf("%+v", r)
	}
	o.revoke("issuer", as.URL, "jti", "7")
	r := explains(m{"input": token, "route": "1"})
	if len(r.Gates) != 1 || r.Gates[0].Reason != "revoked" || r.Gates[0].Change == nil {
		t.Errorf("%+v", r)
	}
	o.nothingForwarded()

	for name, q := range map[string]m{
		"nothing": {}, "another gate": {"input": token, "route": "third"}, "another site": {"input": token, "site": "x.test"},
		"a word too many": {"input": token, "token": token}, "no token": {"input": " \n"},
	} {
		a := o.asks(http.MethodPost, "/bearer_auth/explain", asJSON(t, q))
		if a.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %d %s", name, a.StatusCode, a.body)
		}
		keepsSecret(t, a.body, token)
	}
	if log := o.log(); strings.Contains(log, token[strings.LastIndexByte(token, '.')+1:]) {
		t.Error("the log has the signature")
	}
}

// Gates have numbers in the order of the configuration, and those of error routes come last.
func TestGatesAreListed(t *testing.T) {
	gate := func(lines ...string) string { return gateFor(append(lines, consumerAlice(t))...) }
	o := operated(t, "handle_errors 404 {\n"+gate("name broken")+"\n}\nhandle /a/* {\n"+gate()+"\n}\nhandle /b/* {\n"+
		gate("name orders")+"\n}")
	a := o.asks(http.MethodGet, "/bearer_auth/gates", "")
	const want = `{"gates":[` +
		`{"number":1,"server":"srv0","hosts":["gate.test"],"paths":["/a/*"],"label":"1"},` +
		`{"number":2,"name":"orders","server":"srv0","hosts":["gate.test"],"paths":["/b/*"],"label":"orders"},` +
		`{"number":3,"name":"broken","server":"srv0","hosts":["gate.test"],"matchers":["expression"],"error_routes":true,` +
		`"label":"broken"}]}` + "\n"
	if a.StatusCode != http.StatusOK || a.body != want {
		t.Errorf("status %d\n got %s\nwant %s", a.StatusCode, a.body, want)
	}
}

// The endpoint refuses methods and words that it does not know, and whoever comes from a page of another origin.
func TestOperatorsAreAnsweredStrictly(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	file := writeFile(t, filepath.Join(t.TempDir(), "keys.json"), tokentest.JWKS(key))
	o := operated(t, gateForAudience(issuerBlock(as.URL), issuerWithKeys("https://file.example", "file "+file)))
	get, post := http.MethodGet, http.MethodPost
	allowed := map[string]string{
		"/bearer_auth/gates": get, "/bearer_auth/keys": get, refreshPath: post, "/bearer_auth/caches": get,
		"/bearer_auth/caches/flush": post, "/bearer_auth/consumers": get, "/bearer_auth/explain": post,
	}
	for path, method := range allowed {
		for _, other := range []string{get, post, "HEAD", "PUT", "PATCH", "DELETE"} {
			if other == method {
				continue
			}
			if a := o.asks(other, path, ""); a.StatusCode != http.StatusMethodNotAllowed || a.Header.Get("Allow") != method {
				t.Errorf("%s %s: status %d, Allow %q", other, path, a.StatusCode, a.Header.Get("Allow"))
			}
		}
		for name, header := range map[string][]string{
			"another origin": {"Origin", "https://evil.example"}, "a page": {"Sec-Fetch-Mode", "no-cors"},
		} {
			if a := o.asks(method, path, "", header...); a.StatusCode != http.StatusForbidden &&
				a.StatusCode != http.StatusBadRequest {
				t.Errorf("%s %s from %s: status %d, %s", method, path, name, a.StatusCode, a.body)
			}
		}
	}
	for _, c := range []struct {
		method, path, body string
		status             int
		says               string
	}{
		{post, refreshPath, `{"issuer":""}`, 400, "is empty"},
		{post, refreshPath, `{"issuer":["x"]}`, 400, "no text"},
		{post, refreshPath, `{"Issuer":"x"}`, 400, "small letters"},
		{post, refreshPath, `{"iss":"x"}`, 400, "unknown field"},
		{post, refreshPath, `{"0123456789abcdef":"x"}`, 400, "small letters"},
		{post, refreshPath, `{"issuer":"a","issuer":"b"}`, 400, "duplicate"},
		{post, refreshPath, `[]`, 400, "object"},
		{post, refreshPath, `{"issuer":"` + strings.Repeat("x", 9000) + `"}`, 400, "longer"},
		{post, refreshPath, `{"issuer":"https://nobody.example"}`, 404, as.URL},
		{post, refreshPath, `{"issuer":"https://file.example"}`, 400, "in a file"},
		{post, "/bearer_auth/caches/flush", `{"cache":"all"}`, 400, "leave it out"},
		{post, "/bearer_auth/caches/flush", `{"cache":"tokens","issuer":"x"}`, 400, "share"},
		{post, "/bearer_auth/caches/flush", `{"issuer":"x"}`, 404, "no server is asked"},
		{get, "/bearer_auth/keys?issuer=x", "", 400, "unknown"},
		{get, "/bearer_auth/consumers?limit=0", "", 400, "100000"},
		{get, "/bearer_auth/consumers?limit=1&limit=2", "", 400, "twice"},
		{get, "/bearer_auth/consumers?token=x", "", 400, "username, limit"},
	} {
		if a := o.asks(c.method, c.path, c.body); a.StatusCode != c.status || !strings.Contains(a.body, c.says) {
			t.Errorf("%s %s %.60s: status %d, %s", c.method, c.path, c.body, a.StatusCode, a.body)
		}
	}
}

// Operators ask and order all the time, while requests come, configurations change and some of these fail to load. No
// good request is refused, and every answer is whole.
func TestOperatorsUnderLoadThroughReloads(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k")
	as := introspector(t, tokentest.WithKeys(key))
	as.Introspect(always(active()))
	o := operated(t, gateForAudience(introspecting(as, "", "cache_ttl 5m")))
	gate := func(i int) string {
		lines := []string{introspecting(as, "", "cache_ttl 5m")}
		if i%2 == 1 {
			lines = append(lines, "name odd", consumerAlice(t))
		}
		return gateForAudience(lines...)
	}
	jwt := key.Sign(t, issuedBy(as.URL))
	o.accepts(jwt)
	load := o.send(100, func() string { return jwt })
	over := make(chan struct{})
	var operators sync.WaitGroup
	end := sync.OnceFunc(func() { close(over); operators.Wait() })
	defer end()
	for _, c := range []struct{ method, path, body string }{
		{http.MethodGet, "/bearer_auth/gates", ""}, {http.MethodGet, "/bearer_auth/keys", ""},
		{http.MethodPost, refreshPath, ""}, {http.MethodGet, "/bearer_auth/caches", ""},
		{http.MethodPost, "/bearer_auth/caches/flush", ""}, {http.MethodGet, "/bearer_auth/consumers", ""},
		{http.MethodPost, "/bearer_auth/explain", asJSON(t, m{"input": jwt})},
	} {
		operators.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-over:
					if n == 0 {
						t.Errorf("%s was never asked", c.path)
					}
					return
				default:
				}
				o.asksWhole(c.method, c.path, c.body)
			}
		})
	}
	for i := range 6 {
		o.loadFile(o.kept(o.caddyfile(gate(i))))
		load.after(t, 20)
	}
	for i := range 3 { // at the end: Caddy v2.11.9 cannot listen at a Unix socket again after a configuration that failed
		if err := o.tryLoad(o.kept(o.caddyfile(gate(i))) + deadSite); err == nil {
			t.Error("a site that cannot listen was loaded")
		}
		load.after(t, 20)
	}
	end()
	load.allPassed(t)
}

// asksWhole asks the admin endpoint, unless that has just ended with its configuration.
func (o *office) asksWhole(method, path, body string) {
	r, err := http.NewRequestWithContext(o.t.Context(), method, "http://127.0.0.1"+path, strings.NewReader(body))
	if err != nil {
		o.t.Error(err)
		return
	}
	response, err := o.admin.Do(r)
	if err != nil {
		if !isCut(err) && !errors.Is(err, fs.ErrNotExist) {
			o.t.Errorf("%s: %v", path, err)
		}
		runtime.Gosched() // the endpoint begins anew
		return
	}
	defer response.Body.Close()
	var answer map[string]any
	if err := json.NewDecoder(response.Body).Decode(&answer); isCut(err) {
		return
	} else if err != nil || response.StatusCode != http.StatusOK {
		o.t.Errorf("%s: status %d, %v, %v", path, response.StatusCode, answer, err)
	}
}

// The commands say for people what the admin endpoint says, and fail with a status.
func TestCommandsThatAskTheRunningCaddy(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	down := tokentest.NewAS(t, tokentest.StartDown())
	o := operated(t, gateForAudience("name api", issuerBlock(as.URL), consumerAlice(t)))
	token := key.Sign(t, issuedBy(as.URL))
	address := "unix/" + o.socket
	run := func(args ...string) string {
		t.Helper()
		out, err := bearerAuth("", append(args, "--address", address)...)
		if err != nil {
			t.Errorf("%q: %v\n%s", args, err, out)
		}
		return out
	}
	for _, c := range []struct {
		args []string
		says []string
	}{
		{[]string{"gates"}, []string{"GATE  SERVER  HOSTS", "api   srv0    gate.test", "1 gate\n"}},
		{[]string{"keys", "refresh"}, []string{"fetched", " k ", "1 key source\n"}},
		{[]string{"keys", "refresh", "--issuer", as.URL}, []string{"fetched", " k     -  "}},
		{[]string{"keys", "list"}, []string{as.URL, "discovery", "1 key source\n"}},
		{[]string{"keys", "list", "--json"}, []string{"\n      \"key_ids\": [\n"}},
		{[]string{"cache", "list"}, []string{"33554432", "1 token cache\n", "0 answer caches\n"}},
		{[]string{"cache", "flush"}, []string{"forgotten: 0 verified tokens, 0 answers\n"}},
		{[]string{"consumers"}, []string{"from the configuration, known at gate api\n", "alice-key (HS256)", "1 consumer\n"}},
		{[]string{"consumers", "--username", "bob"}, []string{"1 consumer, of which 0 are listed\n"}},
	} {
		out := run(c.args...)
		for _, text := range c.says {
			if !strings.Contains(out, text) {
				t.Errorf("%q lacks %q:\n%s", c.args, text, out)
			}
		}
	}
	out, status := explain(t, token, "--address", address, "-")
	if status != 0 || !strings.Contains(out, `gate 1, "api": site gate.test`) ||
		!strings.Contains(out, "The request passes, with a token of issuer") {
		t.Errorf("status %d\n%s", status, out)
	}
	keepsSecret(t, out, token)
	forged := tokentest.NewKey(t, "ES256", "other").WithKID("k").Sign(t, issuedBy(as.URL))
	if out, status = explain(t, "", "--address", address, "--json", "--", "curl", "-H", "Authorization: Bearer "+forged,
		"http://gate.test/it's"); status != 1 || !strings.Contains(out, `"reason": "invalid_signature"`) {
		t.Errorf("status %d\n%s", status, out)
	}
	for _, args := range [][]string{{"--fetch"}, {"--config", "Caddyfile"}} {
		if out, status := explain(t, token, append(args, "--address", address, "-")...); status != 2 ||
			!strings.Contains(out, "leave --config and --fetch out") {
			t.Errorf("%q: status %d\n%s", args, status, out)
		}
	}

	o.loadFile(o.kept(o.caddyfile(gateForAudience(issuerBlock(down.URL)))))
	if out, err := bearerAuth("", "keys", "refresh", "--address", address); err == nil ||
		!strings.Contains(err.Error(), "not all keys were fetched") || !strings.Contains(out, "connection refused") {
		t.Errorf("%v\n%s", err, out)
	}
	for _, args := range [][]string{
		{"keys", "refresh", "--issuer", ""}, {"cache", "flush", "--cache", ""}, {"consumers", "--username", ""},
	} {
		if out, err := bearerAuth("", append(args, "--address", address)...); err == nil ||
			!strings.Contains(err.Error(), "is a variable not set?") {
			t.Errorf("%q: %v\n%s", args, err, out)
		}
	}
	off := writeFile(t, filepath.Join(t.TempDir(), "off.caddyfile"), "{\n\tadmin off\n}\n")
	if _, err := bearerAuth("", "keys", "list", "--config", off, "--adapter", "caddyfile"); err == nil ||
		!strings.Contains(err.Error(), "turns the admin endpoint off") {
		t.Errorf("admin off: %v", err)
	}
	if _, err := bearerAuth("", "gates", "--address", "unix/"+o.socket+".none"); err == nil ||
		!strings.Contains(err.Error(), "no Caddy answers") {
		t.Errorf("nobody there: %v", err)
	}
	if _, err := os.Stat(o.socket); err != nil {
		t.Error(err)
	}
}

// The file and the running Caddy agree about the number of each gate and the way to it: in nested routes, named ones,
// error routes, and on several servers.
func TestGatesOfTheFileAndOfTheRunningCaddyAreTheSame(t *testing.T) {
	gate := gateFor(consumerAlice(t))
	o := operated(t, "")
	socket := filepath.Join(filepath.Dir(o.socket), "t")
	whole := strings.Replace(o.kept(o.caddyfile(`@get method GET
	handle /a/* {
		handle /a/b* {
			`+gate+`
		}
		route @get {
			`+gate+`
		}
	}
	invoke named
	handle_errors {
		`+gate+`
	}`)), "http://written.test", `http://other.test, http://*.more.test {
	bind unix/`+socket+`
	handle_path /c/* {
		`+gate+`
	}
	handle {
		`+strings.Replace(gate, "{", "{\nname last", 1)+`
	}
}
http://written.test`, 1)
	at := strings.Index(whole, "http://gate.test")
	whole = whole[:at] + "&(named) {\n" + gate + "\n}\n" + whole[at:]
	o.loadFile(whole)
	input := hmacKey(t).Sign(t, claims())
	written, _ := explain(t, input, "--json", "--config", newFile(t, "Caddyfile", whole), "-")
	running, _ := explain(t, input, "--json", "--address", "unix/"+o.socket, "-")
	written, running = dates.ReplaceAllString(written, "…"), dates.ReplaceAllString(running, "…")
	if written != running || strings.Count(written, `"number"`) != 6 {
		t.Errorf("%d gates in\n%s\nand %d in\n%s", strings.Count(written, `"number"`), written,
			strings.Count(running, `"number"`), running)
	}
}
