package issuers

import (
	"github.com/caddyserver/caddy/v2"
)

// Introspect asks the authorization server about tokens (RFC 7662).
type Introspect struct {
	// When to ask. "opaque" asks about opaque and encrypted tokens, and about JWTs whose issuer is not configured here.
	// "always" asks about opaque and encrypted tokens, and about the issuer's JWTs after they have been verified here,
	// because they may have been revoked. With several issuers, one with "opaque" gets the opaque tokens that no prefix
	// claims. Default: "opaque".
	Mode string `json:"mode,omitempty"`
	// How the server is asked: "introspection", or "userinfo", which is weaker. A UserInfo endpoint does not tell the
	// audience, client or scope of a token, nor when it expires. So the mode "opaque" needs any_audience; with "always"
	// and no any_audience, the server is not asked about opaque tokens. Default: "introspection".
	Verify string `json:"verify,omitempty"`
	// How this issuer's opaque tokens begin. Needed when two issuers take opaque tokens. Default: anything. Placeholders
	// are resolved.
	Prefix string `json:"prefix,omitempty"`
	// URL of the endpoint. https, or http to a loopback address; with allow_http, also to a private one. Default: from
	// discovery. Placeholders are resolved.
	Endpoint string `json:"endpoint,omitempty"`
	// The gateway's client identifier at the server. Give the gateway a client of its own: some servers call a token
	// inactive when the client that got it asks. With verify "userinfo" it is only for signed answers: the client for
	// which tokens are issued. Default: none. Placeholders are resolved.
	ClientID string `json:"client_id,omitempty"`
	// Secret of the client. Default: none. Placeholders are resolved. One such as {file./run/secrets/gate} is read again
	// when the file changes. Prefer a placeholder: whoever can read the configuration can read a secret written here.
	ClientSecret string `json:"client_secret,omitempty"`
	// How the gateway authenticates: client_secret_basic, client_secret_post, client_secret_jwt, private_key_jwt,
	// tls_client_auth, bearer or none. "none" is for endpoints that are protected by other means. Default: what fits the
	// credentials and the server's metadata.
	AuthMethod string `json:"auth_method,omitempty"`
	// Private key for private_key_jwt, as PEM text or the path of a file: RSA of at least 2048 bits, P-256, P-384, P-521
	// or Ed25519. A file is read again when it changes. Default: none. Placeholders are resolved.
	PrivateKey string `json:"private_key,omitempty"`
	// Password of the private key, if its PEM block is encrypted: in PKCS#8 with PBES2 and PBKDF2 of at most 2,000,000
	// rounds, or in the older form of RFC 1421. It is read once. Default: none. Placeholders are resolved. Prefer one such
	// as {env.SECRET}: whoever can read the configuration can read a password written here.
	PrivateKeyPassword string `json:"private_key_password,omitempty"`
	// The "kid" of the private key at the server. Default: none. Placeholders are resolved.
	KeyID string `json:"key_id,omitempty"`
	// Algorithm of the assertions of private_key_jwt and client_secret_jwt; it must fit the key. Default: RS256, ES256,
	// ES384, ES512 or EdDSA, whichever fits the private key; HS256 with a secret.
	AssertionAlg string `json:"assertion_alg,omitempty"`
	// Access token of the gateway, for the method bearer. The gate does not renew it. One such as
	// {file./run/secrets/token} is read again when the file changes. Default: none. Placeholders are resolved.
	BearerToken string `json:"bearer_token,omitempty"`
	// Send id and secret of client_secret_basic without form-encoding, for servers that do not decode them (against RFC
	// 6749 section 2.3.1). Default: they are encoded.
	RawBasic bool `json:"raw_basic,omitempty"`
	// Accept signed answers only, verified with the issuer's public keys. To introspection, these are the responses of RFC
	// 9701, which need client_id. With verify "userinfo", they are of the type application/jwt and must have "iss" and
	// "aud"; if there is a client_id, "aud" must name it. Default: plain JSON only.
	Signed bool `json:"signed,omitempty"`
	// More parameters for the request, in this order, each name once. Default: none.
	Params []Param `json:"params,omitempty"`
	// Hint about the kind of token (token_type_hint); "off" sends none. Default: access_token. Placeholders are resolved.
	TokenTypeHint string `json:"token_type_hint,omitempty"`
	// How long an active answer is remembered, but never past the token's "exp". A revocation may take effect this much
	// later. 0s remembers nothing. Default: 30s; at most 5m.
	CacheTTL *caddy.Duration `json:"cache_ttl,omitempty"`
	// The same for inactive answers: a token that has just become active may be refused for this long. Default: 5s; at
	// most 5m.
	NegativeTTL *caddy.Duration `json:"negative_ttl,omitempty"`
	// How long one question may take, a retry included. The request waits for it. Default: 3s; at most 30s.
	Timeout caddy.Duration `json:"timeout,omitempty"`
	// How many questions may be under way at once. 16 times as many may wait; further requests are refused with 503.
	// Default: 64; at most 16384.
	MaxInFlight int `json:"max_in_flight,omitempty"`
}

// Param is one parameter of an introspection request.
type Param struct {
	// Name of the parameter.
	Name string `json:"name"`
	// Value of the parameter. Placeholders are resolved.
	Value string `json:"value"`
}
