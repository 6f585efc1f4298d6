package integration

import (
	"encoding/base64"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// provider is a Caddyfile of docs/providers.md, a server as that Caddyfile wants it, and tokens of the shapes that the
// provider publishes. In the texts of a provider, $HOST is the address of the server.
type provider struct {
	section  string            // the heading in docs/providers.md
	block    int               // which Caddyfile of the section, from 1
	hosts    []string          // addresses in the Caddyfile that the server stands in for
	replace  map[string]string // what else the test replaces in the Caddyfile: see made
	upstream string            // the backend in the Caddyfile, unless it is localhost:9000
	warning  string            // what the gate warns of when it loads, if anything

	alg, kid  string                     // of the provider's key
	published map[string]any             // changes to the key in the key set; nil leaves a member out
	documents map[string]string          // metadata and key sets by their paths; $KEY is the key
	asks      string                     // the path at which the gate asks about tokens
	tls       bool                       // whether the server speaks https
	expects   func(r *http.Request) bool // what the server wants of every request

	field  string // the header field with the token, if it is not Authorization
	public string // a path that needs no token
	tokens []shape
}

// shape is one kind of token. $NOW is the time, $SOON the time in one minute and $EXP in five, as numbers. $KID is the
// id of the key.
type shape struct {
	name            string
	header, payload string   // without a payload, the header is the whole token, as for opaque ones
	key             string   // the algorithm and id of another key that signs it, such as "HS256 other"
	answer          string   // what the server says about the token
	reason          string   // why it is refused; empty if it passes
	seen            []string // header fields at the backend: name, value pairs; an empty value means no such field
}

// plainMetadata is the metadata of a server whose keys are at a path.
func plainMetadata(issuer, keys string) string {
	return `{"issuer":"` + issuer + `","jwks_uri":"$HOST` + keys + `"}`
}

// keySet is a key set as most servers publish it.
const keySet = `{"keys":[$KEY]}`

// fake is the server of a provider.
type fake struct {
	*httptest.Server
	provider *provider
	key      string // the published key

	mu      sync.Mutex
	answers map[string]string // about tokens
}

func (p *provider) serve(t *testing.T, key *tokentest.Key) *fake {
	jwk := maps.Clone(key.JWK())
	for name, value := range p.published {
		jwk[name] = value
		if value == nil {
			delete(jwk, name)
		}
	}
	f := &fake{provider: p, key: asJSON(t, jwk), answers: make(map[string]string)}
	f.Server = httptest.NewUnstartedServer(f)
	if p.tls {
		f.StartTLS()
	} else {
		f.Start()
	}
	t.Cleanup(f.Close)
	return f
}

// ServeHTTP gives documents to everybody, and answers about tokens by RFC 7662 to the client "gateway", or by UserInfo.
func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answer, found := f.provider.documents[r.URL.Path]
	switch {
	case f.provider.expects != nil && !f.provider.expects(r):
		w.WriteHeader(http.StatusForbidden)
		return
	case f.provider.asks != "" && r.URL.Path == f.provider.asks:
		token, isUserInfo := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !isUserInfo {
			token = r.PostFormValue("token")
		}
		f.mu.Lock()
		answer, found = f.answers[token]
		f.mu.Unlock()
		if !found && isUserInfo {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if !found {
			answer = `{"active":false}`
		}
	case !found:
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, strings.ReplaceAll(strings.ReplaceAll(answer, "$KEY", f.key), "$HOST", f.URL))
}

// mint makes a token of a shape, and lets the server know it.
func (f *fake) mint(t testing.TB, s shape, key *tokentest.Key) string {
	token := s.header
	if alg, kid, other := strings.Cut(s.key, " "); other {
		key = tokentest.NewKey(t, alg, kid)
	}
	now := time.Now().Unix()
	fill := strings.NewReplacer("$HOST", f.URL, "$KID", key.KID,
		"$NOW", strconv.FormatInt(now, 10), "$SOON", strconv.FormatInt(now+60, 10),
		"$EXP", strconv.FormatInt(now+300, 10))
	if s.payload != "" {
		token = key.SignRaw(fill.Replace(s.header), fill.Replace(s.payload))
	}
	if s.answer != "" {
		f.mu.Lock()
		f.answers[token] = fill.Replace(s.answer)
		f.mu.Unlock()
	}
	return token
}

// made is what takes the place of a text of the Caddyfile: a new file, a secret, or the value itself.
func (f *fake) made(t *testing.T, value string, key *tokentest.Key) string {
	switch value {
	case "a file with the key":
		return writeFile(t, filepath.Join(t.TempDir(), "key.pem"), key.PublicPEM())
	case "the legacy secret":
		return base64.StdEncoding.EncodeToString(tokentest.NewKey(t, "HS256", "legacy").Secret()) + " base64"
	case "a file with the certificate":
		return caFile(t, f)
	case "a token from a file":
		return "{file." + writeFile(t, filepath.Join(t.TempDir(), "token"), "the-gateways-own-token\n") + "}"
	}
	return strings.ReplaceAll(value, "$HOST", f.URL)
}
