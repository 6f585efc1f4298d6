package integration

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/caddyjwt/gateway/internal/store/redis/redistest"
)

// keptTokens is the issuer of these tests. Its users are alice and bob, and their password is "kept".
const keptTokens = "https://kept.example"

// keeper is a site whose tokens come from itself, and its admin endpoint.
type keeper struct{ *office }

func keeperOf(o *office) *keeper { return &keeper{o} }

// gate is the site's handlers. Its two applications have the same users.
func (k *keeper) gate() string {
	hash, err := bcrypt.GenerateFromPassword([]byte("kept"), bcrypt.MinCost)
	if err != nil {
		k.t.Fatal(err)
	}
	return fmt.Sprintf(`token_issuer %[1]s {
		user alice %[2]s
		user bob %[2]s
		app /a/
		app /b/
	}
	bearer_auth {
		issuer %[1]s {
			keys local
		}
		audience %[1]s
	}`, keptTokens, hash)
}

// config is the Caddyfile with a storage.
func (k *keeper) config(storage string) string {
	own := regexp.MustCompile(`(?m)^\tstorage file_system .*$`)
	return own.ReplaceAllLiteralString(k.kept(k.caddyfile(k.gate())), "\tstorage file_system "+storage)
}

// openKeeper runs one with a store in a file.
func openKeeper(t *testing.T) *keeper {
	t.Helper()
	k := keeperOf(newOffice(t))
	k.loadFile(k.config(t.TempDir()))
	return k
}

// given is what a client gets.
type given struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
}

// claim is one of the access token.
func (g given) claim(t testing.TB, name string) string {
	t.Helper()
	return memberOfToken(t, strings.Split(g.Access, ".")[1], name)
}

func (g given) kid(t testing.TB) string {
	t.Helper()
	return memberOfToken(t, strings.Split(g.Access, ".")[0], "kid")
}

func memberOfToken(t testing.TB, part, name string) string {
	t.Helper()
	text, err := base64.RawURLEncoding.DecodeString(part)
	var members map[string]any
	if err == nil {
		err = json.Unmarshal(text, &members)
	}
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(members[name])
}

// posts sends a body to an address of the issuer. It may be called from any goroutine.
func (k *keeper) posts(path, body string) (given, int, error) {
	r, err := http.NewRequestWithContext(k.t.Context(), http.MethodPost, "http://gate.test"+path, strings.NewReader(body))
	if err != nil {
		return given{}, 0, err
	}
	r.Header.Set("Content-Type", "application/json")
	response, err := k.client.Do(r)
	if err != nil {
		return given{}, 0, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	var g given
	_ = json.Unmarshal(text, &g)
	return g, response.StatusCode, err
}

func (k *keeper) tryLogin(app, user string) (given, int, error) {
	return k.posts(app+"login", fmt.Sprintf(`{"user": %q, "password": "kept"}`, user))
}

func (k *keeper) login(app, user string) given {
	k.t.Helper()
	g, status, err := k.tryLogin(app, user)
	if status != http.StatusOK || err != nil {
		k.t.Fatalf("login: status %d, %v", status, err)
	}
	return g
}

// refreshes gives the status of a refresh.
func (k *keeper) refreshes(app string, g given) (given, int) {
	k.t.Helper()
	body := fmt.Sprintf(`{"grant_type": "refresh_token", "refresh_token": %q}`, g.Refresh)
	next, status, err := k.posts(app+"refresh", body)
	if err != nil {
		k.t.Fatal(err)
	}
	return next, status
}

// tried is the status of a request of an application. It may be called from any goroutine.
func (k *keeper) tried(app string, g given) int {
	r, err := http.NewRequestWithContext(k.t.Context(), http.MethodGet, "http://gate.test"+app+"x", nil)
	if err != nil {
		return 0
	}
	r.Header.Set("Authorization", "Bearer "+g.Access)
	response, err := k.client.Do(r)
	if err != nil {
		return 0
	}
	_, _ = io.Copy(io.Discard, response.Body)
	_ = response.Body.Close()
	k.drain()
	return response.StatusCode
}

// is wants requests to get a status.
func (k *keeper) is(status int, app string, all ...given) {
	k.t.Helper()
	for _, g := range all {
		if got := k.tried(app, g); got != status {
			k.t.Errorf("status %d, want %d", got, status)
		}
	}
}

// becomes waits until requests get a status, and says how long that took.
func (k *keeper) becomes(status int, app string, all ...given) (took time.Duration) {
	k.t.Helper()
	for _, g := range all {
		took += eventually(k.t, http.StatusText(status), func() bool { return k.tried(app, g) == status })
	}
	return took
}

// tokenIssuer runs the command "caddy token-issuer".
func tokenIssuer(stdin string, args ...string) (string, error) {
	return commandOfCaddy("token-issuer", stdin, args...)
}

// commands runs the command for this Caddy.
func (k *keeper) commands(args ...string) string {
	k.t.Helper()
	out, err := tokenIssuer("", append(args, "--address", "unix/"+k.socket)...)
	if err != nil {
		k.t.Fatalf("%q: %v\n%s", args, err, out)
	}
	return out
}

// says wants an output to match an expression.
func says(t testing.TB, out, expression string) {
	t.Helper()
	if !regexp.MustCompile(`(?s)^` + expression + `$`).MatchString(out) {
		t.Errorf("the output\n%s\ndoes not match\n%s", out, expression)
	}
}

// wantsAnswer wants an answer of the admin endpoint.
func (k *keeper) wantsAnswer(status int, expression, method, path, body string) {
	k.t.Helper()
	a := k.asks(method, path, body)
	if a.StatusCode != status {
		k.t.Errorf("%s %s %s: status %d, want %d", method, path, body, a.StatusCode, status)
	}
	says(k.t, a.body, ".*"+expression+".*")
}

func TestSessionsByCommandAndAdminAPI(t *testing.T) {
	k := openKeeper(t)
	first, second := k.login("/a/", "alice"), k.login("/a/", "alice")
	elsewhere, bob := k.login("/b/", "alice"), k.login("/a/", "bob")
	says(t, k.commands("session", "list", "--user", "alice"), `USER +SID +APP +CREATED +REFRESHED +ENDS\n`+
		`(alice +\S{24} +/[ab]/  +\d{4}-\S+Z  \d{4}-\S+Z  \d{4}-\S+Z\n){3}3 sessions\n`)
	says(t, k.commands("session", "list", "--user", "nobody"), `0 sessions\n`)
	says(t, k.commands("session", "list"), `USER .*\n(alice .* /a/ .*\n){2}alice .* /b/ .*\nbob .* /a/ .*\n4 sessions\n`)
	says(t, k.commands("session", "list", "--app", "/a/"), `USER .*\n(alice .*\n){2}bob .*\n3 sessions\n`)
	sid := first.claim(t, "sid")
	says(t, k.commands("session", "list", "--user", "alice", "--app", "/b/", "--json"),
		`\{\n  "issuer": "`+keptTokens+`",\n  "sessions": \[\n    \{\n      "sid": "`+elsewhere.claim(t, "sid")+`",\n`+
			`      "app": "/b/",\n      "sub": "alice",\n      "created": "\S+Z",\n      "refreshed": "\S+Z",\n`+
			`      "ends": "\S+Z"\n    \}\n  \]\n\}\n`)

	says(t, k.commands("session", "end", "--sid", sid), `1 session has ended\n`)
	k.is(http.StatusUnauthorized, "/a/", first)
	if _, status := k.refreshes("/a/", first); status != http.StatusUnauthorized {
		t.Errorf("a refresh after the end: status %d", status)
	}
	says(t, k.commands("session", "end", "--sid", sid), `no session was alive\n`)
	k.is(http.StatusOK, "/a/", second, bob)

	says(t, k.commands("session", "end", "--user", "alice", "--app", "/a/", "--json"),
		`\{\n  "issuer": "`+keptTokens+`",\n  "ended": 1\n\}\n`)
	k.is(http.StatusUnauthorized, "/a/", second)
	k.is(http.StatusOK, "/b/", elsewhere)
	again := k.login("/a/", "alice")
	k.is(http.StatusOK, "/a/", again, bob)
	says(t, k.commands("session", "end", "--user", "alice", "--issuer", keptTokens), `2 sessions have ended\n`)
	k.is(http.StatusUnauthorized, "/a/", again)
	k.is(http.StatusUnauthorized, "/b/", elsewhere)
	says(t, k.commands("session", "end", "--user", "alice"), `no session was alive\n`)
	k.is(http.StatusOK, "/a/", bob)

	eventually(t, "the audit line", func() bool {
		return k.logged(`"msg":"session ended by an operator"`, `"sub":"alice"`, `"app":"/b/"`)
	})
	if n := strings.Count(k.log(), `"session ended by an operator"`); n != 4 {
		t.Errorf("%d audit lines, want 4", n)
	}
	// Somebody who was revoked has no session any more, as the list sees it.
	k.login("/a/", "alice")
	k.office.command("", "revoke", "--issuer", keptTokens, "--sub", "alice")
	says(t, k.commands("session", "list", "--user", "alice"), `0 sessions\n`)
}

func TestAdminAPIOfATokenIssuer(t *testing.T) {
	k := openKeeper(t)
	pair := k.login("/a/", "alice")
	const sessions, keys = "/token_issuer/sessions", "/token_issuer/keys"
	k.wantsAnswer(200, `^\{"issuers":\[\{"issuer":"`+keptTokens+`","algorithm":"ES256","apps":\[\{"path":"/a/",`+
		`"audience":\["`+keptTokens+`"\],"login":"/a/login","refresh":"/a/refresh","logout":"/a/logout",`+
		`"revoke":"/a/revoke"\}`,
		"GET", "/token_issuer/issuers", "")
	k.wantsAnswer(200, `"sub":"alice"`, "GET", sessions+"?user=alice&issuer="+keptTokens, "")
	k.wantsAnswer(200, `"sessions":\[\]`, "GET", sessions+"?user=alice&app=/b/", "")
	k.wantsAnswer(200, `"state":"signs".*"state":"next"`, "GET", keys, "")
	found, next := "", []string{"", "0"}
	for next != nil { // the session is in one of the parts
		a := k.asks("GET", sessions+"?part="+next[1], "")
		found += strings.Join(regexp.MustCompile(`"sub":"\w+"`).FindAllString(a.body, -1), "")
		next = regexp.MustCompile(`"next":(\d+)`).FindStringSubmatch(a.body)
	}
	if found != `"sub":"alice"` {
		t.Errorf("in all parts: %s", found)
	}
	for _, of := range []struct {
		status                   int
		says, method, path, body string
	}{
		{405, "use DELETE, GET", "POST", sessions, ""},
		{405, "use GET, POST", "DELETE", keys, ""},
		{405, "use GET", "PUT", "/token_issuer/issuers", ""},
		{400, "part is the number", "GET", sessions + "?part=x", ""},
		{400, "part is the number", "GET", sessions + "?user=alice&part=1", ""},
		{400, "from 0 to 4095", "GET", sessions + "?part=4096", ""},
		{400, "unknown", "GET", sessions + "?sub=alice", ""},
		{400, "twice", "GET", sessions + "?user=alice&user=bob", ""},
		{400, "empty", "GET", sessions + "?user=", ""},
		{400, "no application with the path", "GET", sessions + "?user=alice&app=/c/", ""},
		{400, "cannot be read", "GET", sessions + "?user=%zz", ""},
		{404, `there are \\"` + keptTokens, "GET", sessions + "?user=alice&issuer=https://other.example", ""},
		{400, "whose sessions", "DELETE", sessions, `{}`},
		{400, "whose sessions", "DELETE", sessions, `{"issuer": "` + keptTokens + `"}`},
		{400, "leave user and app out", "DELETE", sessions, `{"sid": "x", "user": "alice"}`},
		{400, "24 characters", "DELETE", sessions, `{"sid": "` + pair.Refresh + `"}`},
		{400, "empty", "DELETE", sessions, `{"user": "alice", "app": ""}`},
		{400, "empty", "DELETE", sessions, `{"user": null}`},
		{400, "small letters", "DELETE", sessions, `{"User": "alice"}`},
		{400, "unknown field", "DELETE", sessions, `{"user": "alice", "application": "/a/"}`},
		{400, "not the object", "DELETE", sessions, `{"user": "alice", "user": "bob"}`},
		{400, "not the object", "DELETE", sessions, `alice`},
		{400, "longer", "DELETE", sessions, `{"user": "` + strings.Repeat("a", 9000) + `"}`},
		{400, "no application with the path", "DELETE", sessions, `{"user": "alice", "app": "/c/"}`},
		{404, "no such token issuer", "DELETE", sessions, `{"user": "alice", "issuer": "other"}`},
		{400, `expected \\"rotate\\"`, "POST", keys, `{}`},
		{400, `expected \\"rotate\\"`, "POST", keys, `{"action": "Reset"}`},
		{404, "no such token issuer", "POST", keys, `{"action": "reset", "issuer": "other"}`},
	} {
		a := k.asks(of.method, of.path, of.body)
		if a.StatusCode != of.status || !regexp.MustCompile(of.says).MatchString(a.body) {
			t.Errorf("%s %s %s: status %d, %s", of.method, of.path, of.body, a.StatusCode, a.body)
		}
		if strings.Contains(a.body, pair.Refresh) {
			t.Error("the answer has a token")
		}
	}
	k.is(http.StatusOK, "/a/", pair)
	if text := k.log(); strings.Contains(text, pair.Refresh) || strings.Contains(text, pair.Access) {
		t.Error("the log has a token")
	}
	k.loadFile(k.kept(k.caddyfile("")))
	k.wantsAnswer(200, `\{"issuers":\[\]\}`, "GET", "/token_issuer/issuers", "")
	k.wantsAnswer(404, "has no token_issuer", "GET", keys, "")
}

func TestKeysByCommand(t *testing.T) {
	k := openKeeper(t)
	before := k.login("/a/", "alice")
	line := func(state string) string { return `\S{43} +ES256 +` + state + ` +\S+Z +` }
	head := `KID +ALGORITHM +STATE +SINCE +UNTIL\n`
	says(t, k.commands("keys", "list"), head+line("signs")+`-\n`+line("next")+`-\n2 keys\n`)
	says(t, k.commands("keys", "rotate"), `rotated: another key signs, and no token is refused\n`+head+line("signs")+`-\n`+
		line("next")+`-\n`+line("former")+`\S+Z\n3 keys\n`)
	after := k.login("/a/", "alice")
	if before.kid(t) == after.kid(t) {
		t.Error("the same key signs")
	}
	k.is(http.StatusOK, "/a/", before, after)

	for _, args := range [][]string{{"keys", "reset"}, {"keys", "reset", "--issuer", keptTokens}} {
		out, err := tokenIssuer("reset\n", append(args, "--address", "unix/"+k.socket)...)
		if err == nil || !strings.Contains(err.Error(), "--yes") {
			t.Errorf("%q, not on a terminal: %v\n%s", args, err, out)
		}
	}
	k.is(http.StatusOK, "/a/", before, after)
	says(t, k.commands("keys", "reset", "--yes"), `reset: all tokens are refused, and all users must sign in again\n`+head+
		line("signs")+`-\n`+line("next")+`-\n2 keys\n`)
	k.is(http.StatusUnauthorized, "/a/", before, after)
	for _, pair := range []given{before, after} {
		if _, status := k.refreshes("/a/", pair); status != http.StatusUnauthorized {
			t.Errorf("a refresh after the reset: status %d", status)
		}
	}
	says(t, k.commands("session", "list", "--user", "alice"), `0 sessions\n`)
	again := k.login("/a/", "alice")
	k.is(http.StatusOK, "/a/", again)
	if next, status := k.refreshes("/a/", again); status != http.StatusOK {
		t.Errorf("a refresh of a session from after the reset: status %d", status)
	} else {
		k.is(http.StatusOK, "/a/", next)
	}
	eventually(t, "the audit lines", func() bool {
		return k.logged(`"msg":"signing keys rotated by an operator"`) && k.logged(`"msg":"signing keys reset by an operator`)
	})
}

// What revokes a token must be remembered for as long as it lives, so a list refuses tokens from before that live
// longer than they could then. A session is not one of them.
func TestSessionsGoOnWhenTheirTokensMayLiveLonger(t *testing.T) {
	k := keeperOf(newOffice(t))
	config := k.config(t.TempDir())
	k.loadFile(config)
	before := k.login("/a/", "alice")
	k.loadFile(strings.Replace(config, "app /a/", "app /a/ {\n\t\t\trefresh_lifetime 1h\n\t\t}", 1))
	k.is(http.StatusOK, "/a/", before)
	says(t, k.commands("session", "list", "--user", "alice"), `.*1 session\n`)
	next, status := k.refreshes("/a/", before)
	if status != http.StatusOK {
		t.Fatalf("a refresh of a session from before: status %d", status)
	}
	k.is(http.StatusOK, "/a/", next)
	if _, status = k.refreshes("/a/", k.login("/a/", "bob")); status != http.StatusOK {
		t.Errorf("a refresh of a session from after it: status %d", status)
	}
	k.command("", "revoke", "--issuer", keptTokens, "--sub", "alice")
	k.is(http.StatusUnauthorized, "/a/", next)
	if _, status = k.refreshes("/a/", next); status != http.StatusUnauthorized {
		t.Errorf("a refresh after the user was revoked: status %d", status)
	}
}

// The issuer of a site on two servers is there twice in one process.
func TestAResetOfAnIssuerOnTwoServers(t *testing.T) {
	k := keeperOf(newOffice(t))
	config := k.config(t.TempDir())
	first, second := k.site.socket, k.site.socket+"2"
	block := regexp.MustCompile(`(?s)http://gate\.test \{.*?\n\}\n`).FindString(config)
	again := strings.NewReplacer("http://gate.test", "http://", "bind unix/"+first, "bind unix/"+second)
	k.loadFile(config + again.Replace(block))
	other := *k.office
	other.site = k.site.in(t)
	other.site.socket, other.site.client = second, adminAt(second)
	there := keeperOf(&other)
	here := k.login("/a/", "alice")
	k.is(http.StatusOK, "/a/", here, there.login("/a/", "alice"))
	there.is(http.StatusOK, "/a/", here)
	says(t, k.commands("keys", "reset", "--yes"), `reset: .*2 keys\n`)
	for _, at := range []*keeper{k, there} {
		at.is(http.StatusUnauthorized, "/a/", here)
		fresh := at.login("/a/", "alice")
		k.is(http.StatusOK, "/a/", fresh)
		there.is(http.StatusOK, "/a/", fresh)
	}
}

func TestMistakesInTheCommandTokenIssuer(t *testing.T) {
	k := openKeeper(t)
	const secret = "correct-horse-battery-staple-and-more"
	for _, of := range []struct {
		says string
		args []string
	}{
		{"--user is empty", []string{"session", "list", "--user", ""}},
		{"--issuer is empty", []string{"session", "list", "--user", "alice", "--issuer", ""}},
		{"HTTP 404: there is no such token issuer: there are", []string{"session", "list", "--user", "bob", "--issuer", "x"}},
		{"Name a --sid or a --user", []string{"session", "end"}},
		{"--sid is empty", []string{"session", "end", "--sid", ""}},
		{"--app is empty", []string{"session", "end", "--user", "alice", "--app", ""}},
		{"leave --user and --app out", []string{"session", "end", "--sid", "x", "--user", "alice"}},
		{"24 characters", []string{"session", "end", "--sid", "x"}},
		{"flags only", []string{"session", "end", secret}},
		{"flags only", []string{"keys", "reset", secret}},
		{"HTTP 404: there is no such token issuer", []string{"keys", "rotate", "--issuer", "x"}},
	} {
		out, err := tokenIssuer("", append(of.args, "--address", "unix/"+k.socket)...)
		if err == nil || !strings.Contains(err.Error(), of.says) || strings.Contains(out+err.Error(), secret) {
			t.Errorf("%q: %v\n%s", of.args, err, out)
		}
	}
	if _, err := tokenIssuer("", "keys", "list", "--address", "unix/"+k.socket+"x"); err == nil ||
		!strings.Contains(err.Error(), "Is Caddy running?") {
		t.Errorf("without a Caddy: %v", err)
	}
	disabled := newFile(t, "Caddyfile", k.caddyfile(k.gate()))
	if _, err := tokenIssuer("", "keys", "list", "--config", disabled); err == nil ||
		!strings.Contains(err.Error(), "has no admin endpoint") {
		t.Errorf("without an admin endpoint: %v", err)
	}
	config := newFile(t, "Caddyfile", k.config(t.TempDir()))
	if out, err := tokenIssuer("", "keys", "list", "--config", config); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// Two Caddys share a storage and a Redis. Whatever an operator does at one of them is so at both.
func TestOperatingTwoCaddys(t *testing.T) {
	long(t)
	redistest.Installed(t)
	o := sharedBy(t, redistest.Start(t))
	here, storage := keeperOf(o), t.TempDir()
	config := here.config(storage)
	if out, err := bearerAuth("", "store", "init", "--config", newFile(t, "Caddyfile", config)); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	here.loadFile(config)
	there := keeperOf(o.elsewhere())
	there.runsElsewhere(there.config(storage))
	both := []*keeper{here, there}

	first, second := here.login("/a/", "alice"), there.login("/a/", "alice")
	for _, k := range both {
		k.is(http.StatusOK, "/a/", first, second)
		says(t, k.commands("session", "list", "--user", "alice"), `.*\n2 sessions\n`)
	}
	here.commands("session", "end", "--sid", second.claim(t, "sid"))
	here.is(http.StatusUnauthorized, "/a/", second)
	t.Log("an ended session is out at the other Caddy after", there.becomes(http.StatusUnauthorized, "/a/", second))
	if _, status := there.refreshes("/a/", second); status != http.StatusUnauthorized {
		t.Errorf("a refresh of an ended session: status %d", status)
	}

	here.commands("keys", "rotate")
	third, fourth := here.login("/a/", "alice"), there.login("/a/", "alice")
	for _, k := range both {
		k.is(http.StatusOK, "/a/", first, third, fourth)
	}
	here.resetsUnderLogins(there, first, third, fourth)
}

// resetsUnderLogins resets the keys while users sign in at another Caddy all the time. What is out stays so, also what
// that one has signed with a former key after the reset.
func (k *keeper) resetsUnderLogins(there *keeper, old ...given) {
	t := k.t
	var mu sync.Mutex
	var during []given
	var logins sync.WaitGroup
	over := make(chan struct{})
	for range 2 {
		logins.Go(func() {
			for {
				select {
				case <-over:
					return
				default:
				}
				if g, status, err := there.tryLogin("/b/", "bob"); err == nil && status == http.StatusOK {
					mu.Lock()
					during = append(during, g)
					mu.Unlock()
				}
			}
		})
	}
	count := func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(during)
	}
	eventually(t, "users sign in", func() bool { return count() > 20 })
	k.commands("keys", "reset", "--yes")
	k.is(http.StatusUnauthorized, "/a/", old...) // here at once
	t.Log("after a reset, all is out at the other Caddy after", there.becomes(http.StatusUnauthorized, "/a/", old...))
	before := count()
	eventually(t, "users sign in after it", func() bool { return count() > before+20 })
	close(over)
	logins.Wait()

	current := there.login("/a/", "alice").kid(t)
	var former, good int
	for _, g := range during[max(0, before-60):] {
		if g.kid(t) == current {
			good++
			continue
		}
		former++
		k.is(http.StatusUnauthorized, "/b/", g)
		there.is(http.StatusUnauthorized, "/b/", g)
	}
	t.Logf("of the logins around the reset, %d have a former key and are out, and %d have the new one", former, good)
	if good == 0 {
		t.Error("nobody has signed in with the new key")
	}
	for _, c := range []*keeper{k, there} {
		c.is(http.StatusOK, "/b/", during[len(during)-1])
		if _, status := c.refreshes("/a/", old[0]); status != http.StatusUnauthorized {
			t.Errorf("a refresh of a session from before the reset: status %d", status)
		}
	}
}
