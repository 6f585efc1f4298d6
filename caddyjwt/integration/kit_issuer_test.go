package integration

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	_ "github.com/caddyjwt/gateway/caddyjwt/tokenissuer"
)

const (
	ownIssuer = "https://gate.example" // its tokens are given out by the Caddy of the test
	orders    = "/api/orders/"         // the path of its application
	password  = "tr0ub4dor&3-näv"
)

// booth is an office whose Caddy gives tokens out itself.
type booth struct {
	*office
	from    string // the address that requests come from, by the word of a trusted proxy
	servers string // lines of the global option servers
	hash    string // of alice's password; empty until it is needed
}

// newBooth prepares one. Attempts to sign in count in the whole process, so each booth has visitors from an address of
// its own.
func newBooth(t testing.TB) *booth {
	t.Helper()
	return boothOf(newOffice(t))
}

func boothOf(o *office) *booth {
	return &booth{office: o, from: newAddress(), servers: "trusted_proxies_unix"}
}

// newAddress is an IPv4 address that nothing has come from yet, in a network of its own.
func newAddress() string {
	b := make([]byte, 3)
	_, _ = rand.Read(b)
	return fmt.Sprintf("10.%d.%d.%d", b[0], b[1], b[2])
}

// openBooth runs one whose application has these lines.
func openBooth(t testing.TB, lines ...string) *booth {
	t.Helper()
	b := newBooth(t)
	b.runs(b.issuerOf(lines...), localGate())
	return b
}

// hashOf is the hash of a password, as cheap as there are any.
func hashOf(t testing.TB, password string) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return string(hash)
}

// issuerOf is a token_issuer with the user alice, and an application with these lines. The hash is always the same:
// another one ends her sessions.
func (b *booth) issuerOf(lines ...string) string {
	if b.hash == "" {
		b.hash = hashOf(b.t, password)
	}
	return issuingFor(ownIssuer, "user alice "+b.hash, appOf(orders, lines...))
}

// issuingFor is a token_issuer with these lines.
func issuingFor(name string, lines ...string) string {
	return "token_issuer " + name + " {\n\t\t" + strings.Join(lines, "\n\t\t") + "\n\t}"
}

// appOf is an application of a token_issuer.
func appOf(path string, lines ...string) string {
	lines = append([]string{"audience " + audience}, lines...)
	return "app " + path + " {\n\t\t\t" + strings.Join(lines, "\n\t\t\t") + "\n\t\t}"
}

// localGate is a gate for tokens of this Caddy, with more lines.
func localGate(lines ...string) string {
	return gateForAudience(append([]string{issuerBlock(ownIssuer, "keys local")}, lines...)...)
}

// whole is a Caddyfile with these directives, with the admin endpoint, and the store if there is one.
func (b *booth) whole(directives ...string) string {
	return b.with(b.caddyfile(strings.Join(directives, "\n\t")))
}

// with adds to a Caddyfile what booths have.
func (b *booth) with(caddyfile string) string {
	return strings.Replace(b.kept(caddyfile), "persist_config off",
		"persist_config off\n\tservers {\n\t\t"+b.servers+"\n\t}", 1)
}

// runs has Caddy run with these directives.
func (b *booth) runs(directives ...string) {
	b.t.Helper()
	b.loadFile(b.whole(directives...))
}

// in is the same booth for a subtest.
func (b *booth) in(t testing.TB) *booth {
	sub := *b
	sub.office = b.office.in(t)
	return &sub
}

// attack is office.attack for a booth.
func (b *booth) attack(t *testing.T, name string, try func(t *testing.T, b *booth, a *attempt)) {
	t.Helper()
	b.office.attack(t, name, func(t *testing.T, o *office, a *attempt) {
		sub := *b
		sub.office = o
		try(t, &sub, a)
	})
}

// grant is the answer to who signs in or refreshes.
type grant struct {
	Access  string      `json:"access_token"`
	Refresh string      `json:"refresh_token"`
	Sub     string      `json:"sub"`
	Issued  json.Number `json:"iat"`
	Expires int64       `json:"exp"`
}

// post sends a body. kind is its Content-Type; empty for none.
func (b *booth) post(path, kind, body string, header ...string) answer {
	b.t.Helper()
	return b.do(b.posting(path, kind, body, header...))
}

func (b *booth) posting(path, kind, body string, header ...string) *http.Request {
	b.t.Helper()
	r := b.request(http.MethodPost, path, strings.NewReader(body), header...)
	if kind != "" {
		r.Header.Add("Content-Type", kind)
	}
	if r.Header.Get("X-Forwarded-For") == "" {
		r.Header.Set("X-Forwarded-For", b.from)
	}
	return r
}

const asJSONBody, asForm = "application/json", "application/x-www-form-urlencoded"

// signsIn is the body of alice's request to sign in, or of another user's.
func signsIn(who ...string) string {
	if len(who) == 0 {
		who = []string{"alice", password}
	}
	return `{"user": "` + who[0] + `", "password": "` + who[1] + `"}`
}

// refreshes is the body of a request for the next pair.
func refreshes(token string) string {
	return `{"grant_type":"refresh_token","refresh_token":"` + token + `"}`
}

// pairLine is what a pair looks like, byte for byte.
var pairLine = regexp.MustCompile(`^\{"access_token":"[\w-]+\.[\w-]+\.[\w-]+","refresh_token":"[\w-]{64}",` +
	`"sub":"[^"]+","iat":\d{10}\.\d{3},"exp":\d{10}(,"token_type":"Bearer","expires_in":\d+)?\}$`)

// pairIn wants an answer to be a pair.
func (b *booth) pairIn(a answer) (p grant) {
	b.t.Helper()
	if a.StatusCode != http.StatusOK || !pairLine.MatchString(a.body) {
		b.t.Fatalf("status %d, %s", a.StatusCode, a.body)
	}
	b.neverCached(a)
	if kind := a.Header.Get("Content-Type"); kind != "application/json" {
		b.t.Errorf("Content-Type %q", kind)
	}
	if err := json.Unmarshal([]byte(a.body), &p); err != nil {
		b.t.Fatal(err)
	}
	return p
}

// login signs alice in.
func (b *booth) login() grant {
	b.t.Helper()
	return b.loginAt(orders, signsIn())
}

func (b *booth) loginAt(app, body string) grant {
	b.t.Helper()
	return b.pairIn(b.post(app+"login", asJSONBody, body))
}

// refresh gets the next pair.
func (b *booth) refresh(p grant) grant {
	b.t.Helper()
	return b.pairIn(b.tryRefresh(p.Refresh))
}

func (b *booth) tryRefresh(token string) answer {
	b.t.Helper()
	return b.post(orders+"refresh", asJSONBody, refreshes(token))
}

// end ends the session of an access token at one of the addresses, and gives the status.
func (b *booth) end(address, access string) int {
	b.t.Helper()
	return b.post(orders+address, "", "", "Authorization", "Bearer "+access).StatusCode
}

// works wants an access token to reach the backend.
func (b *booth) works(access string) seen {
	b.t.Helper()
	b.drain()
	return b.passed(b.get(orders+"7", access))
}

// isOut wants an access token to be refused for a reason.
func (b *booth) isOut(access, reason string) {
	b.t.Helper()
	b.drain()
	b.refused(b.get(orders+"7", access), http.StatusUnauthorized, reason)
}

// spent wants a refresh token to be refused.
func (b *booth) spent(token string) {
	b.t.Helper()
	b.failed(b.tryRefresh(token), http.StatusUnauthorized, "invalid_grant")
}

// failed wants an answer of the issuer that says no.
func (b *booth) failed(a answer, status int, code string) {
	b.t.Helper()
	var members struct {
		Error string `json:"error"`
		Text  string `json:"error_description"`
	}
	err := json.Unmarshal([]byte(a.body), &members)
	if a.StatusCode != status || err != nil || members.Error != code || members.Text == "" {
		b.t.Errorf("status %d, %s; want %d %s", a.StatusCode, a.body, status, code)
	}
	b.neverCached(a)
	b.nothingForwarded()
}

// asked is one exchange of a client in a goroutine of its own, which must not end the test.
type asked struct {
	status int
	body   string
	err    error
}

// exchange sends a POST for such a client.
func (b *booth) exchange(ctx context.Context, path, body string, header ...string) (a asked) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, b.base+path, strings.NewReader(body))
	if err != nil {
		return asked{err: err}
	}
	r.Header.Set("Content-Type", asJSONBody)
	r.Header.Set("X-Forwarded-For", b.from)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	response, err := b.client.Do(r)
	if err != nil {
		return asked{err: err}
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return asked{response.StatusCode, string(text), err}
}

// statusOf is the status of a GET with an access token, for such a client.
func (b *booth) statusOf(access string) (int, error) {
	return ask(b.t.Context(), b.client, b.base+orders+"7", access)
}

// pair is the answer as a pair; false for another one.
func (a *asked) pair() (p grant, is bool) {
	is = a.err == nil && a.status == http.StatusOK && json.Unmarshal([]byte(a.body), &p) == nil
	return p, is
}

// claimsOf are the header and the payload of a token, as they are.
func claimsOf(t testing.TB, token string) (header, payload string) {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("%q is no JWT", token)
	}
	return string(unb64(t, parts[0])), string(unb64(t, parts[1]))
}

// sidOf is the name of the session of a token.
func sidOf(t testing.TB, token string) string {
	t.Helper()
	_, payload := claimsOf(t, token)
	var members struct{ SID string }
	if err := json.Unmarshal([]byte(payload), &members); err != nil || len(members.SID) != 24 {
		t.Fatalf("%s: %v", payload, err)
	}
	return members.SID
}
