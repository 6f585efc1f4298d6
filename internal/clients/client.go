// Package clients has the OAuth clients of a token issuer: who they are, what each may have, and how it shows who it is
// (RFC 6749 section 2). It knows neither HTTP nor tokens.
package clients

import (
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/internal/setting"
)

// Grant is what a client asks for a token with: a value of grant_type.
type Grant string

// The grants (RFC 6749 sections 4.4 and 6, RFC 8693 section 2.1, RFC 7523 section 2.1). A client has the last two by
// its exchanges alone.
const (
	ClientCredentials Grant = "client_credentials"
	RefreshToken      Grant = "refresh_token"
	TokenExchange     Grant = "urn:ietf:params:oauth:grant-type:token-exchange"
	JWTBearer         Grant = "urn:ietf:params:oauth:grant-type:jwt-bearer"
)

// Grants are all there are.
func Grants() []Grant { return []Grant{ClientCredentials, RefreshToken, TokenExchange, JWTBearer} }

// Proof is to what tokens are bound.
type Proof string

// What tokens can be bound to: the key of a DPoP proof (RFC 9449), or the certificate of the connection (RFC 8705).
const (
	DPoP Proof = "dpop"
	MTLS Proof = "mtls"
)

// Client is a registered client. It does not change.
type Client struct {
	// ID is the client_id. It has 1 to MaxID printable ASCII characters (RFC 6749 appendix A.1).
	ID string
	// App is the path of the application that a public client belongs to; empty for others. Anybody may say that they are
	// this client: it can do nothing without a token that was given to it.
	App string

	// A client that is not public shows who it is in exactly one of these ways.

	// SecretHashes are hashes of its secret, at most MaxSecrets: while it changes, the old one and the new one.
	SecretHashes []string
	// Keys verify what it signs (private_key_jwt, RFC 7523 section 2.2).
	Keys keyset.Source
	// Certificate is the one with which it connects (RFC 8705 section 2).
	Certificate *Certificate

	// Grants are those that it may use, beside those of Exchanges.
	Grants []Grant
	// Exchanges say for which tokens of others it gets a token in somebody's name.
	Exchanges []Exchange
	// Scopes are those that it may have.
	Scopes []string
	// Audiences are the resources for which it may have tokens.
	Audiences []string
	// Introspects are the audiences of the tokens that it may ask about: those that it serves.
	Introspects []string
	// Proof is what its tokens are bound to at least; empty for what it proves by itself.
	Proof Proof
	// Opaque says that nobody but the issuer can read its access tokens.
	Opaque bool
	// AccessLifetime is how long its access tokens live.
	AccessLifetime time.Duration
	// Lifetimes are those of tokens for single audiences.
	Lifetimes map[string]time.Duration
	// Claims and Header are what its access tokens have besides. Their names were checked.
	Claims map[string]json.RawMessage
	Header map[string]any
}

// Lifetime is how long an access token for an audience lives.
func (c *Client) Lifetime(audience string) time.Duration {
	if lifetime, has := c.Lifetimes[audience]; has {
		return lifetime
	}
	return c.AccessLifetime
}

// LongestLifetime is how long the access token lives that lives longest.
func (c *Client) LongestLifetime() time.Duration {
	longest := c.AccessLifetime
	for _, lifetime := range c.Lifetimes {
		longest = max(longest, lifetime)
	}
	return longest
}

// Bounds.
const (
	// MaxID bounds a client_id, in bytes.
	MaxID = 250
	// MaxSecrets is how many secrets a client has at most.
	MaxSecrets = 2
	// MaxList bounds each of the lists of a client.
	MaxList = 64
	// MaxValue bounds each value in the lists, in bytes.
	MaxValue = 512
)

// IsPublic reports whether the client cannot show who it is (RFC 6749 section 2.1).
func (c *Client) IsPublic() bool { return c.App != "" }

// May reports whether the client may use a grant.
func (c *Client) May(g Grant) bool {
	return slices.Contains(c.Grants, g) || slices.ContainsFunc(c.Exchanges, func(e Exchange) bool { return e.Grant == g })
}

// check refuses a client that cannot be meant. The error is a *setting.Error with a field of Client.
func (c *Client) check() error {
	if err := c.checkPublic(); err != nil {
		return err
	}
	ways := 0
	for _, has := range []bool{len(c.SecretHashes) > 0, c.Keys != nil, c.Certificate != nil} {
		if has {
			ways++
		}
	}
	switch {
	case c.IsPublic(): // the path of an application, which was checked
		return nil
	case c.ID == "" || len(c.ID) > MaxID || strings.ContainsFunc(c.ID, func(r rune) bool { return r < ' ' || r > '~' }):
		return setting.Errorf("ID", "a client_id has 1 to %d printable ASCII characters", MaxID)
	case strings.HasPrefix(c.ID, "/"):
		return setting.Errorf("ID", "client %q: what begins with / is the client_id of an application: choose another one",
			c.ID)
	case ways == 0:
		return setting.Errorf("ID", "client %q: anybody could say that they are this client: add secret_hash, public_key, "+
			"jwks or tls_client_auth", c.ID)
	case ways > 1:
		return setting.Errorf("ID", "client %q: whoever has the weakest of its credentials would be this client: keep one "+
			"of secret_hash, public_key, jwks and tls_client_auth", c.ID)
	case len(c.SecretHashes) > MaxSecrets:
		return setting.Errorf("SecretHashes", "client %q: at most %d secret_hash are possible: the old one and the new one",
			c.ID, MaxSecrets)
	}
	if err := c.Certificate.check(); err != nil {
		return setting.In("Certificate", fmt.Errorf("client %q: %w", c.ID, err))
	}
	return c.checkLists()
}

// checkPublic refuses a public client that could do something without a token of somebody: anybody may say that they
// are this client (RFC 6749 section 4.4, RFC 7662 section 4).
func (c *Client) checkPublic() error {
	switch {
	case !c.IsPublic():
		return nil
	case c.ID != c.App:
		return setting.Errorf("ID", "client %q: the client_id of an application is its path", c.ID)
	case len(c.SecretHashes) > 0 || c.Keys != nil || c.Certificate != nil:
		return setting.Errorf("App", "client %q: the client of an application has no credentials", c.ID)
	case c.May(ClientCredentials):
		return setting.Errorf("Grants", "client %q: the client of an application cannot use client_credentials", c.ID)
	case len(c.Introspects) > 0:
		return setting.Errorf("Introspects", "client %q: the client of an application cannot ask about tokens", c.ID)
	case len(c.Exchanges) > 0:
		return setting.Errorf("Exchanges", "client %q: the client of an application cannot exchange tokens", c.ID)
	}
	return nil
}

func (c *Client) checkLists() error {
	for _, list := range []struct {
		field, word string
		values      []string
		good        func(string) bool
	}{
		{"Scopes", "scopes", c.Scopes, isScope},
		{"Audiences", "audience", c.Audiences, isText},
		{"Introspects", "introspect", c.Introspects, isText},
	} {
		if len(list.values) > MaxList {
			return setting.Errorf(list.field, "client %q: %s takes at most %d values", c.ID, list.word, MaxList)
		}
		for i, value := range list.values {
			if !list.good(value) {
				return setting.Errorf(list.field, "client %q: %s %q: a value has 1 to %d printable characters, and in scopes "+
					"neither a blank nor \" nor \\ (RFC 6749 section 3.3)", c.ID, list.word, value, MaxValue)
			}
			if slices.Contains(list.values[:i], value) {
				return setting.Errorf(list.field, "client %q: %s %q is there twice", c.ID, list.word, value)
			}
		}
	}
	if c.May(ClientCredentials) && len(c.Audiences) == 0 {
		return setting.Errorf("Audiences", "client %q: its tokens would be for nobody: add audience, with the name of the "+
			"resource that they are for, or default_audience to the issuer", c.ID)
	}
	for _, audience := range slices.Sorted(maps.Keys(c.Lifetimes)) {
		if !c.mayBeFor(audience) {
			return setting.Errorf("Lifetimes["+audience+"]", "client %q: access_lifetime for %q: the client may have no tokens "+
				"for this audience", c.ID, audience)
		}
		if c.Lifetimes[audience] < time.Second {
			return setting.Errorf("Lifetimes["+audience+"]", "client %q: its tokens for %q would have no life", c.ID, audience)
		}
	}
	if c.May(ClientCredentials) && c.AccessLifetime < time.Second {
		return setting.Errorf("AccessLifetime", "client %q: its tokens would have no life", c.ID)
	}
	if c.May(RefreshToken) {
		return setting.Errorf("Grants", "client %q: refresh_token is for applications, whose users sign in", c.ID)
	}
	return c.checkExchanges()
}

// mayBeFor reports whether the client may have tokens for an audience.
func (c *Client) mayBeFor(audience string) bool {
	return slices.Contains(c.Audiences, audience) || slices.ContainsFunc(c.Exchanges, func(e Exchange) bool {
		return slices.Contains(e.Audiences, audience)
	})
}

// isScope reports whether a text is a scope-token (RFC 6749 section 3.3).
func isScope(text string) bool {
	return text != "" && len(text) <= MaxValue &&
		!strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' })
}

func isText(text string) bool {
	return text != "" && len(text) <= MaxValue &&
		!strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' })
}

// Certificate says which certificate of a connection is the client's. Exactly one field is set.
type Certificate struct {
	// Subject, DNS and URI are of certificates of an authority that Caddy trusts for clients (RFC 8705 section 2.1.2): the
	// distinguished name as RFC 4514 writes it, or a subject alternative name.
	Subject, DNS, URI string
	// Key is the SHA-256 of the public key (SubjectPublicKeyInfo) of a certificate that anybody may have signed (RFC 8705
	// section 2.2).
	Key [32]byte
}

func (c *Certificate) check() error {
	if c == nil {
		return nil
	}
	set := 0
	for _, is := range []bool{c.Subject != "", c.DNS != "", c.URI != "", c.Key != [32]byte{}} {
		if is {
			set++
		}
	}
	switch {
	case set != 1:
		return errors.New("tls_client_auth names one thing: a subject, a san_dns, a san_uri or a spki_sha256")
	case c.Subject != "" && !isSubject(c.Subject):
		return fmt.Errorf("tls_client_auth subject %q: no certificate has this one: write it as \"openssl x509 -noout "+
			"-subject -nameopt RFC2253,-esc_msb -in client.pem\" prints it, such as CN=billing,O=Example, and attributes "+
			"without a name in RFC 4514 by their numbers", c.Subject)
	case c.DNS != "" && !isText(c.DNS):
		return fmt.Errorf("tls_client_auth san_dns %q: no certificate has this name", c.DNS)
	case c.URI != "" && !isURI(c.URI):
		return fmt.Errorf("tls_client_auth san_uri %q: write a URI such as spiffe://example.com/billing", c.URI)
	}
	return nil
}

// Presented is the certificate of a connection; nil for none. The client has its private key. Verified says that an
// authority has signed it which the server trusts for clients.
type Presented struct {
	Certificate *x509.Certificate
	Verified    bool
}
