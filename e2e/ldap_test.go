//go:build e2e

package e2e_test

import (
	"encoding/json"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

// ldapSite is a site whose users are on an LDAP server, with the lines of users ldap.
func ldapSite(t *testing.T, url string, lines ...string) *gate {
	t.Helper()
	sessions := "bearer_auth {\n store file " + filepath.Join(t.TempDir(), "sessions") + "\n}"
	g := startSiteWith(t, sessions, func(backend string) string {
		return `token_issuer https://api.example.com {
			users ldap ` + url + ` {
				role_attribute memberOf
				role cn=admins,ou=groups,dc=example,dc=com admin
				claim email mail
				` + strings.Join(lines, "\n") + `
			}
			app /orders/ {
				audience https://api.example.com
				access_lifetime 10m
			}
		}
		bearer_auth {
			issuer https://api.example.com {
				keys local
			}
			audience https://api.example.com
			require group admin
			forward_claims X-User sub
			forward_claims X-Roles roles
			forward_claims X-Mail email
		}
		reverse_proxy ` + backend
	})
	eventually(t, "the issuer has started", func() bool { // soon after Caddy listens
		return strings.Contains(g.log.String(), "token issuer has started")
	})
	return g
}

// ldapPair is what an address of the issuer answers.
type ldapPair struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
	Error   string
}

// order sends members to an address of the issuer. The answer must have this status.
func (g *gate) order(t *testing.T, address string, status int, members map[string]string) (pair ldapPair) {
	t.Helper()
	body, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://gateway/orders/"+address,
		strings.NewReader(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := g.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err == nil {
		err = json.Unmarshal(text, &pair)
	}
	if err != nil || res.StatusCode != status {
		t.Fatalf("%s of %q: status %d, %v, %s; want %d", address, members["user"], res.StatusCode, err, text, status)
	}
	g.sent = append(g.sent, pair.Access, pair.Refresh)
	return pair
}

// temporarily is what a client hears while nobody can know.
const temporarily = "temporarily_unavailable"

// signIn sends a name and a password.
func (g *gate) signIn(t *testing.T, status int, name, password string) ldapPair {
	t.Helper()
	return g.order(t, "login", status, map[string]string{"user": name, "password": password})
}

// goOn asks for the next pair.
func (g *gate) goOn(t *testing.T, status int, p ldapPair) ldapPair {
	t.Helper()
	return g.order(t, "refresh", status, map[string]string{"grant_type": "refresh_token", "refresh_token": p.Refresh})
}

// below changes a request to one of the application.
func below(r *http.Request) { r.URL.Path = "/orders/7" }

// isAlice wants an access token to reach the backend as hers.
func (g *gate) isAlice(t *testing.T, p ldapPair) {
	t.Helper()
	res, seen := g.get(t, p.Access, below)
	if res.StatusCode != http.StatusOK || seen == nil {
		t.Fatalf("status %d, challenge %q", res.StatusCode, res.Header.Get("WWW-Authenticate"))
	}
	hasHeaders(t, seen, map[string]string{
		"X-User": "Alice", "X-Roles": "admin", "X-Mail": "alice@example.com", "Authorization": "",
	})
}

// Users of an LDAP server sign in, refresh and use their tokens at the Caddy that people get. Then the server stops,
// and comes back.
func TestUsersOfAnLDAPServer(t *testing.T) {
	const searcher = "base_dn ou=people,dc=example,dc=com\nbind_dn cn=gateway,dc=example,dc=com\n" +
		"bind_password `search secret`"
	s := startSlapd(t)
	tls := "tls {\n ca " + s.ca + "\n}"
	for _, way := range []struct {
		name  string
		url   string
		lines []string
		away  int // what a refresh gets while the server is away
	}{
		{"user_dn and StartTLS", "ldap://" + s.plain,
			[]string{"start_tls", tls, "user_dn uid={user},ou=people,dc=example,dc=com"}, http.StatusOK},
		{"base_dn and ldaps", "ldaps://" + s.secure, []string{tls, searcher}, http.StatusServiceUnavailable},
		{"base_dn on this machine", "ldap://" + s.plain, []string{searcher}, http.StatusServiceUnavailable},
	} {
		t.Run(way.name, func(t *testing.T) {
			g := ldapSite(t, way.url, way.lines...)
			g.refusesWhoIsNotInTheDirectory(t)
			g.outlives(t, s, way.away)
			for _, secret := range []string{"secret of", "search secret"} {
				if strings.Contains(g.log.String(), secret) {
					t.Errorf("the log has %q", secret)
				}
			}
		})
	}
}

// A certificate of an authority that nobody trusts ends the connection before a password is on it.
func TestAnLDAPServerThatNobodyVouchesFor(t *testing.T) {
	s := startSlapd(t)
	for url, lines := range map[string][]string{
		"ldaps://" + s.secure: nil, "ldap://" + s.plain: {"start_tls"},
	} {
		g := ldapSite(t, url, append(lines, "user_dn uid={user},ou=people,dc=example,dc=com")...)
		if p := g.signIn(t, http.StatusServiceUnavailable, "Alice", "secret of alice"); p.Error != temporarily {
			t.Errorf("%s: error %q", url, p.Error)
		}
		eventually(t, "the log says why", func() bool {
			return strings.Contains(g.log.String(), "certificate signed by unknown authority")
		})
	}
}

// refusesWhoIsNotInTheDirectory tries names and passwords that let nobody in. All attempts count for one address: here
// are fewer than it may fail.
func (g *gate) refusesWhoIsNotInTheDirectory(t *testing.T) {
	t.Helper()
	for _, who := range [][2]string{
		{"Alice", "secret of locked"},
		{"Alice", ""}, // which a server may take for an anonymous bind (RFC 4513 section 5.1.2)
		{"*", "secret of alice"},
		{"A*", "secret of alice"},
		{"Alice)(uid=*", "secret of alice"},
		{"locked", "secret of locked"},
		{"mallory", "secret of alice"},
	} {
		if p := g.signIn(t, http.StatusUnauthorized, who[0], who[1]); p.Error != "invalid_grant" || p.Access != "" {
			t.Errorf("%q with %q: error %q", who[0], who[1], p.Error)
		}
	}
}

// outlives wants tokens and sessions to outlive their server. A refresh while it is away has this status. If that is no
// success, the token is good for another time.
func (g *gate) outlives(t *testing.T, s *slapd, away int) {
	t.Helper()
	first := g.signIn(t, http.StatusOK, "alice", "secret of alice") // the server's spelling counts
	g.isAlice(t, first)
	second := g.goOn(t, http.StatusOK, first)
	g.isAlice(t, second)
	if res, seen := g.get(t, first.Access, below); res.StatusCode != http.StatusUnauthorized || seen != nil {
		t.Errorf("the token from before the refresh: status %d", res.StatusCode)
	}

	s.stop()
	if p := g.signIn(t, http.StatusServiceUnavailable, "alice", "secret of alice"); p.Error != temporarily {
		t.Errorf("error %q", p.Error)
	}
	g.isAlice(t, second)
	if third := g.goOn(t, away, second); away == http.StatusOK {
		second = third
	}
	g.isAlice(t, second)

	s.start(t)
	g.isAlice(t, g.signIn(t, http.StatusOK, "alice", "secret of alice"))
	g.isAlice(t, g.goOn(t, http.StatusOK, second))
}
