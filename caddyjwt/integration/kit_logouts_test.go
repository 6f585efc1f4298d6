package integration

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

const (
	logoutPath  = "/backchannel-logout"
	logoutEvent = "http://schemas.openid.net/event/backchannel-logout"
)

// place is a site whose gate hears of the logouts at an authorization server.
type place struct {
	*site
	as  *tokentest.AS
	key *tokentest.Key
}

// prepareLogouts makes a place whose Caddy is not running yet.
func prepareLogouts(t *testing.T) *place {
	key := tokentest.NewKey(t, "RS256", "r1")
	return &place{prepare(t), tokentest.NewAS(t, tokentest.WithKeys(key)), key}
}

// startLogouts makes a place with one gate, with more lines in its block backchannel_logout.
func startLogouts(t *testing.T, lines ...string) *place {
	t.Helper()
	p := prepareLogouts(t)
	p.loadFile(p.stored(p.caddyfile(gateFor(p.issuer(lines...)))))
	return p
}

// issuer is the block of the authorization server, with more lines in its block backchannel_logout.
func (p *place) issuer(lines ...string) string {
	return issuerByJWKS(p.as, "max_lifetime 1h", "algorithms RS256", logoutBlock(logoutPath, lines...))
}

// logoutBlock is a block backchannel_logout for two clients, with more lines.
func logoutBlock(path string, lines ...string) string {
	return "backchannel_logout " + path + " {\nclient_id gateway other-app\n" + strings.Join(lines, "\n") + "\n}"
}

// stored is a Caddyfile with a store in a file of the site.
func (s *site) stored(caddyfile string) string {
	return strings.Replace(caddyfile, "admin off", "admin off\nbearer_auth {\nstore file "+s.storeFile()+"\n}", 1)
}

func (s *site) storeFile() string { return filepath.Join(filepath.Dir(s.logFile), "store.db") }

// restartFile is restart for a whole Caddyfile.
func (s *site) restartFile(caddyfile string) {
	s.t.Helper()
	if err := caddy.Stop(); err != nil {
		s.t.Fatal(err)
	}
	s.client.CloseIdleConnections()
	eventually(s.t, "Caddy has closed its listener", func() bool { return s.tryLoad(caddyfile) == nil })
	s.inForce()
}

// logoutClaims are those of a good logout token, a minute old, for the session s1 of alice, with changes as in claims.
func (p *place) logoutClaims(changes ...any) map[string]any {
	now := time.Now()
	set := map[string]any{
		"iss": p.as.URL, "aud": "gateway", "sub": "alice", "sid": "s1", "jti": fmt.Sprint("j", now.UnixNano()),
		"iat": now.Add(-time.Minute).Unix(), "exp": now.Add(time.Minute).Unix(),
		"events": map[string]any{logoutEvent: map[string]any{}},
	}
	maps.Copy(set, claims(append([]any{"iss", p.as.URL, "sub", "alice", "iat", set["iat"], "exp", set["exp"]},
		changes...)...))
	for i := 0; i < len(changes); i += 2 {
		if changes[i+1] == nil {
			delete(set, changes[i].(string))
		}
	}
	return set
}

// logoutToken is a logout token with these changes.
func (p *place) logoutToken(changes ...any) string {
	return p.key.Sign(p.t, p.logoutClaims(changes...), map[string]any{"typ": "logout+jwt"})
}

// accessToken is an access token of the session s1 of alice, two minutes old, with changes as in claims.
func (p *place) accessToken(changes ...any) string {
	return p.key.Sign(p.t, issuedBy(p.as.URL, append([]any{
		"sid", "s1", "iat", time.Now().Add(-2 * time.Minute).Unix(), "jti", "a1",
	}, changes...)...))
}

// logout sends a logout token.
func (s *site) logout(token string) answer {
	s.t.Helper()
	return s.logoutAt("gate.test", logoutPath, url.Values{"logout_token": {token}}.Encode())
}

// logoutAt sends a form to a path of a host.
func (s *site) logoutAt(host, path, form string, header ...string) answer {
	s.t.Helper()
	if len(header) == 0 || header[0] != "Content-Type" {
		header = append([]string{"Content-Type", formType}, header...)
	}
	r := s.request(http.MethodPost, path, strings.NewReader(form), header...)
	r.Host = host
	return s.do(r)
}

// ended wants a logout to have been taken.
func (s *site) ended(a answer) {
	s.t.Helper()
	if a.StatusCode != http.StatusOK || a.body != "" || a.Header.Get("Cache-Control") != "no-store" {
		s.t.Fatalf("status %d, body %q, header %v", a.StatusCode, a.body, a.Header)
	}
}

// notEnded wants a logout to have been refused with this error, as section 2.8 of the specification says.
func (s *site) notEnded(a answer, code string) {
	s.t.Helper()
	if a.StatusCode != http.StatusBadRequest || a.Header.Get("Cache-Control") != "no-store" ||
		a.Header.Get("Content-Type") != "application/json" || !strings.HasPrefix(a.body, `{"error":"`+code+`",`) {
		s.t.Errorf("status %d, body %q, header %v", a.StatusCode, a.body, a.Header)
	}
}

// out wants tokens to be refused as revoked.
func (s *site) out(tokens ...string) {
	s.t.Helper()
	for _, token := range tokens {
		s.refused(s.get("/", token), http.StatusUnauthorized, "revoked")
	}
}

// pass wants tokens to pass.
func (s *site) pass(tokens ...string) {
	s.t.Helper()
	for _, token := range tokens {
		s.accepts(token)
	}
}
