// Package registration has the settings of the OAuth clients of a token issuer: those in the configuration, and a file
// with further ones. It checks them, and makes one set of all, which follows the file.
package registration

import (
	"encoding/json"

	"github.com/caddyserver/caddy/v2"
)

// Client is an OAuth client: a program that asks for tokens in its own name, or that asks about tokens. It needs
// exactly one of secret_hash, public_key, jwks and tls_client_auth.
type Client struct {
	// Name of the client, the client_id: printable ASCII that does not begin with a slash, at most 250 characters. It is
	// the claims client_id and sub of its tokens, so no user may have it as a name: such a user cannot sign in.
	ID string `json:"id"`
	// Hashes of the client's secret, as "caddy hash-password" prints them: bcrypt or argon2id, and of the same kind for
	// all clients. While the secret changes there can be two. Placeholders are resolved. The client sends the secret in
	// Authorization: Basic or in the form.
	SecretHashes []string `json:"secret_hash,omitempty"`
	// Public keys of the client: PEM text, or the path of a file with PEM, a JWK or a JWK set. It signs a JWT with its
	// private key to show who it is (private_key_jwt, RFC 7523). When a certificate among them expires, the client gets
	// 503. Placeholders are resolved.
	PublicKey string `json:"public_key,omitempty"`
	// Address of the client's public keys, a JWK set, for the same. Placeholders are resolved.
	JWKS string `json:"jwks,omitempty"`
	// The certificate that the client connects with (mutual TLS, RFC 8705).
	TLSClientAuth *Certificate `json:"tls_client_auth,omitempty"`
	// Scopes that the client may have. A request that names none gets all of them. Default: none.
	Scopes []string `json:"scopes,omitempty"`
	// Grants that the client may use: "client_credentials", or "none" for a client that only asks about tokens or
	// exchanges them. Default: client_credentials, or none for a client that has introspect or exchange, and no audience.
	Grants []string `json:"grants,omitempty"`
	// Resources that the client may have tokens for: the claim aud. A request names one of them with the parameter
	// resource (RFC 8707). If it names none, the token is for default_audience or for the only one here. Placeholders are
	// resolved. Default: default_audience.
	Audience []string `json:"audience,omitempty"`
	// Audiences whose tokens the client may ask about (RFC 7662): those that it serves. Placeholders are resolved.
	// Default: none, and the client may not ask.
	Introspect []string `json:"introspect,omitempty"`
	// What the client's access tokens are bound to: "dpop" demands a DPoP proof (RFC 9449) with each request for a token,
	// "mtls" binds them to the certificate of the connection (RFC 8705). Default: the key of a DPoP proof if the client
	// sends one, and otherwise nothing.
	Proof string `json:"proof,omitempty"`
	// Whose tokens the client can hand in to get tokens in the name of their subjects. Default: nobody's.
	Exchange []Exchange `json:"exchange,omitempty"`
	// What the client's access tokens are: "jwt", or "opaque" for tokens that this issuer alone can read. Gates with "keys
	// local" take both, and other resource servers ask about an opaque one by introspection. Default: "jwt".
	Token string `json:"token,omitempty"`
	// How long the client's access tokens live: whole seconds, from 10s to 24h. Default: 5m.
	AccessLifetime caddy.Duration `json:"access_lifetime,omitempty"`
	// How long access tokens for single audiences of the client live, by the audience: within the same bounds.
	// Placeholders in audiences are resolved. Default: access_lifetime.
	AccessLifetimes map[string]caddy.Duration `json:"access_lifetimes,omitempty"`
	// Further claims of the access tokens that the client gets in its own name, by their names, with any JSON as values:
	// at most 16, with 4 KiB in sum. A claim that the issuer sets itself is not possible, except roles, a list of texts,
	// which gates take for groups. Placeholders are resolved in values that are texts. Default: none.
	Claims map[string]json.RawMessage `json:"claims,omitempty"`
	// Further members of the JOSE header of the client's JWTs, likewise, with 2 KiB in sum. Names that RFC 7515, 7516 or
	// 7797 give a meaning are not possible. Default: none.
	Header map[string]json.RawMessage `json:"header,omitempty"`
}

// Certificate says which client certificate is the client's. Exactly one is set. All but spki_sha256 need a
// certificate of an authority that client_auth in the site's tls trusts.
type Certificate struct {
	// Subject as RFC 4514 writes it, such as "CN=billing,O=Example".
	Subject string `json:"subject,omitempty"`
	// DNS name of the certificate.
	DNS string `json:"san_dns,omitempty"`
	// URI of the certificate, such as spiffe://example.com/billing.
	URI string `json:"san_uri,omitempty"`
	// SHA-256 of the certificate's public key (SubjectPublicKeyInfo), in hexadecimal. The certificate may be self-signed.
	Key string `json:"spki_sha256,omitempty"`
}
