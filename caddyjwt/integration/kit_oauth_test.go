package integration

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// The addresses for OAuth clients.
const (
	tokenPath         = "/oauth2/token"
	introspectionPath = "/oauth2/introspection"
	revocationPath    = "/oauth2/revocation"
)

// clientSecret is that of all clients with a secret. In Basic, some of it must be encoded.
const clientSecret = "s3cret of billing: 100%+ä"

// otherResource is a resource that this site is not.
const otherResource = "https://elsewhere.example"

// formOf is a form with these name, value pairs.
func formOf(pairs ...string) url.Values {
	form := make(url.Values)
	for i := 0; i < len(pairs); i += 2 {
		form.Add(pairs[i], pairs[i+1])
	}
	return form
}

// asking is a form that asks for a token of a client, with further name, value pairs.
func asking(pairs ...string) url.Values {
	return formOf(append([]string{"grant_type", "client_credentials"}, pairs...)...)
}

// secretOf is the Authorization of a client with a secret (RFC 6749 section 2.3.1).
func secretOf(id string, secret ...string) []string {
	if len(secret) == 0 {
		secret = []string{clientSecret}
	}
	return []string{"Authorization", "Basic " + base64.StdEncoding.EncodeToString(
		[]byte(url.QueryEscape(id)+":"+url.QueryEscape(secret[0])))}
}

// clientOf is a client of a token_issuer with a secret, and with these lines.
func (b *booth) clientOf(id string, lines ...string) string {
	b.t.Helper()
	lines = append([]string{"secret_hash " + hashOf(b.t, clientSecret)}, lines...)
	return "client " + id + " {\n\t\t\t" + strings.Join(lines, "\n\t\t\t") + "\n\t\t}"
}

// billing may have tokens for this site and another one.
func (b *booth) billing() string {
	b.t.Helper()
	return b.clientOf("billing", "scopes read write", "audience "+audience+" "+otherResource)
}

// asker may ask about the tokens for this site.
func (b *booth) asker() string {
	b.t.Helper()
	return b.clientOf("asker", "introspect "+audience)
}

// issuerWith is a token_issuer with the user alice, an application, and these clients. Tokens are for this site.
func (b *booth) issuerWith(lines ...string) string {
	b.t.Helper()
	if b.hash == "" {
		b.hash = hashOf(b.t, password)
	}
	lines = append([]string{"user alice " + b.hash, appOf(orders, lasting), "default_audience " + audience}, lines...)
	return issuingFor(ownIssuer, lines...)
}

// openBoothForClients runs one that has the clients billing, stock and asker.
func openBoothForClients(t testing.TB) *booth {
	t.Helper()
	b := newBooth(t)
	b.runs(b.issuerWith(b.billing(), b.clientOf("stock"), b.asker()), localGate())
	return b
}

// clientTokens is the answer of the token endpoint.
type clientTokens struct {
	Access  string `json:"access_token"`
	Type    string `json:"token_type"`
	Expires int64  `json:"expires_in"`
	Refresh string `json:"refresh_token"`
	Scope   string `json:"scope"`
}

// tokensLine is what such an answer looks like, byte for byte (RFC 6749 section 5.1).
var tokensLine = regexp.MustCompile(`^\{"access_token":"([\w-]+\.[\w-]+|oat_[a-z2-7]{8}_)[.]?[\w-]+",` +
	`"token_type":"Bearer",` +
	`"expires_in":\d+(,"refresh_token":"[\w-]{64}")?(,"scope":"[!-~ ]+")?\}$`)

// form sends a form. The header fields are name, value pairs.
func (b *booth) form(path string, form url.Values, header ...string) answer {
	b.t.Helper()
	return b.post(path, asForm, form.Encode(), header...)
}

// tokensIn wants an answer to have tokens.
func (b *booth) tokensIn(a answer) (given clientTokens) {
	b.t.Helper()
	if a.StatusCode != http.StatusOK || !tokensLine.MatchString(a.body) {
		b.t.Fatalf("status %d, %s", a.StatusCode, a.body)
	}
	b.neverCached(a)
	if err := json.Unmarshal([]byte(a.body), &given); err != nil {
		b.t.Fatal(err)
	}
	return given
}

// tokenOf gets a token of a client with a secret, with further name, value pairs in the form.
func (b *booth) tokenOf(id string, pairs ...string) string {
	b.t.Helper()
	return b.tokensIn(b.form(tokenPath, asking(pairs...), secretOf(id)...)).Access
}

// refreshing is a form that asks for the next pair of an application.
func refreshing(app, token string) url.Values {
	return formOf("grant_type", "refresh_token", "client_id", app, "refresh_token", token)
}

// refreshAsClient gets the next pair of an application as an OAuth client.
func (b *booth) refreshAsClient(token string) clientTokens {
	b.t.Helper()
	given := b.tokensIn(b.form(tokenPath, refreshing(orders, token)))
	if given.Refresh == "" {
		b.t.Error("there is no refresh token")
	}
	return given
}

// introspects is what a client hears about a token.
func (b *booth) introspects(id, token string) (members m) {
	b.t.Helper()
	a := b.form(introspectionPath, formOf("token", token), secretOf(id)...)
	if err := json.Unmarshal([]byte(a.body), &members); err != nil || a.StatusCode != http.StatusOK {
		b.t.Fatalf("status %d, %s", a.StatusCode, a.body)
	}
	b.neverCached(a)
	return members
}

// unknownTo wants a client to hear nothing about a token but that it is not active (RFC 7662 section 2.2).
func (b *booth) unknownTo(id, token string) {
	b.t.Helper()
	if a := b.form(introspectionPath, formOf("token", token), secretOf(id)...); a.StatusCode != http.StatusOK ||
		a.body != `{"active":false}` {
		b.t.Errorf("status %d, %s", a.StatusCode, a.body)
	}
}

// revokes has a client revoke a token, with further header fields. The answer is the same whether that was good.
func (b *booth) revokes(token string, header ...string) {
	b.t.Helper()
	a := b.form(revocationPath, formOf("token", token), header...)
	if a.StatusCode != http.StatusOK || a.body != "" {
		b.t.Errorf("status %d, %s", a.StatusCode, a.body)
	}
	b.neverCached(a)
}

// assertionType is the client_assertion_type of all assertions (RFC 7523 section 2.2).
const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// asserting adds a JWT of a client to a form.
func asserting(form url.Values, assertion string) url.Values {
	form.Set("client_assertion_type", assertionType)
	form.Set("client_assertion", assertion)
	return form
}

// claimsOfAssertion are those of a good assertion of a client, with changes as name, value pairs. A nil value removes a
// claim.
func claimsOfAssertion(id, jti string, changes ...any) m {
	claims := m{"iss": id, "sub": id, "aud": ownIssuer, "jti": jti, "exp": time.Now().Add(time.Minute).Unix()}
	for i := 0; i < len(changes); i += 2 {
		if changes[i+1] == nil {
			delete(claims, changes[i].(string))
		} else {
			claims[changes[i].(string)] = changes[i+1]
		}
	}
	return claims
}

// signingClient is a client of a token_issuer that signs with a key.
func signingClient(t testing.TB, id string, key *tokentest.Key, lines ...string) string {
	t.Helper()
	file := newFile(t, id+".pem", key.PublicPEM())
	lines = append([]string{"public_key " + file}, lines...)
	return "client " + id + " {\n\t\t\t" + strings.Join(lines, "\n\t\t\t") + "\n\t\t}"
}
