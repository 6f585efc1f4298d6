package caddyjwt

import (
	"github.com/caddyserver/caddy/v2"
)

// TokenPlace is one place of a request where a token may be.
type TokenPlace struct {
	// Where to look: "header", "query", "cookie" or "form".
	//
	// A token in a query ends up in logs, browser histories and Referer headers; use it only for clients that can do
	// no other. Caddy writes the query to its access log as the client sent it. A cookie is sent by browsers without being
	// asked, so other sites can make them send requests: give it HttpOnly, Secure and SameSite=Strict. A form is read only
	// from POST, PUT and PATCH requests of type application/x-www-form-urlencoded, up to 1 MiB and for at most 10 seconds,
	// while all forms together take no more than 32 MiB, and reaches the backend without the token.
	In string `json:"in"`
	// Name of the header, query parameter, cookie or form field. Headers that mean something else cannot hold a token:
	// those that the server itself needs, such as Host and Connection, Proxy-Authorization, DPoP, and those that begin
	// with Sec-.
	Name string `json:"name"`
	// Scheme before the token in a header, matched without regard to case; not DPoP or GNAP, which ask for a proof, nor
	// Basic. Default: "Bearer" for the header Authorization; for other headers none: the whole value is the token.
	Scheme string `json:"scheme,omitempty"`
}

// Issuer is one authorization server whose JWT access tokens are accepted: those whose "iss" is exactly its name.
type Issuer struct {
	// The issuer's name, byte for byte the "iss" of its tokens: usually an https URL. With keys from discovery, the
	// document must name the same issuer. Placeholders are resolved.
	Issuer string `json:"issuer"`
	// Where the keys come from. Default: discovery.
	Keys *Keys `json:"keys,omitempty"`
	// Audiences of which a token's "aud" must contain one, compared exactly. Every issuer needs an audience, here or
	// on the handler; when both say one, both must hold. Default: the handler's alone. Placeholders are resolved.
	Audience []string `json:"audience,omitempty"`
	// Accept tokens whatever their audience. Dangerous: a token that the same authorization server issued for any other
	// service opens this one too (RFC 9068 section 4). Unless type, profile or require tells access tokens from others, a
	// JWT must have "sub" or "client_id" then, and an introspection answer must say that it is about an access token. Not
	// together with audience.
	AnyAudience bool `json:"any_audience,omitempty"`
	// Algorithms that tokens may use: RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA, Ed25519, and
	// with a secret HS256, HS384, HS512. Default: with public keys all asymmetric ones that fit the key; with a secret
	// all HS ones for which it is long enough.
	Algorithms []string `json:"algorithms,omitempty"`
	// Values that the JOSE header "typ" may have, such as "at+jwt". Compared without regard to case, and with or
	// without "application/" before it; a token without "typ" is refused then. Other kinds of tokens pass only when they
	// are named here: by their typ, or as "id", "refresh", "offline" or "logout" when the payload says it. Default: any
	// typ, and none, that does not name another kind.
	Types []string `json:"type,omitempty"`
	// A set of rules that tokens must keep as a whole. "rfc9068": typ at+jwt, and the claims iss, exp, aud, sub,
	// client_id, iat and jti. Default: none.
	Profile string `json:"profile,omitempty"`
	// Claims that must be there, beyond "exp" and "iss", and must not be empty: paths, as in a requirement of the handler.
	// Default: none.
	Require []string `json:"require,omitempty"`
	// The longest life that a token may have, from "iat" to "exp" and from now to "exp". "iat" must be there then.
	// Default: no bound. With a bound on the handler too, the shorter one counts.
	MaxLifetime caddy.Duration `json:"max_lifetime,omitempty"`
	// The difference between the authorization server's clock and ours that is forgiven: 0s to 5m. Default: the handler's.
	Leeway *caddy.Duration `json:"leeway,omitempty"`
	// TLS settings towards this authorization server. Default: the system's certificate authorities.
	TLS *TLS `json:"tls,omitempty"`
	// Header fields to send with requests for keys and discovery documents, for servers that ask for an API key. They go
	// to the host of the configured address only, not to where a redirect or the metadata leads, and not with
	// introspection. Default: none. Placeholders are resolved in the values.
	RequestHeaders map[string][]string `json:"request_headers,omitempty"`
	// Allow the server to have a link-local or cloud metadata address. Dangerous: those addresses give credentials to
	// whoever asks, which is why they are refused otherwise, also after redirects.
	AllowLinkLocal bool `json:"allow_link_local,omitempty"`
	// How long keys may be used after the last successful fetch when the server cannot be reached; at least 1m. Keys are
	// fetched again before. Default: 24h.
	MaxStale caddy.Duration `json:"max_stale,omitempty"`
	// The purpose that a key of the issuer's key set must have in "use": "sig", which a key without "use" has, too; or
	// "jwt-svid" for the bundles of SPIFFE, in which every key names its use. With keys from discovery, jwks or a file
	// with a JWK set. Default: "sig".
	KeyUse string `json:"key_use,omitempty"`
	// How many usable keys of the issuer's key set are taken, the first ones: 1 to 1000. Tokens of the others are refused
	// as unknown_key or key_pending. With keys from discovery, jwks or a file. Default: 100.
	MaxKeys int `json:"max_keys,omitempty"`
	// Ask the authorization server about tokens (RFC 7662). Default: never.
	Introspect *Introspect `json:"introspect,omitempty"`
}

// Keys says where an issuer's keys come from.
type Keys struct {
	// The source, which must be said:
	//
	//   - "discovery" reads the address of the key set from the issuer's metadata: OpenID Connect Discovery, then RFC
	//     8414.
	//   - "jwks" fetches a JWK set, or a single JWK, from a URL.
	//   - "file" reads a JWK set, a JWK, PEM public keys or X.509 certificates, told by content, and again whenever the
	//     file changes. It must be usable when the configuration loads.
	//   - "pem" has PEM public keys or X.509 certificates in the configuration. They are read once; when a certificate
	//     among them expires, the keys end.
	//   - "secret" has a secret shared with the issuer, for HS256, HS384 and HS512.
	//   - "none" verifies nothing here; every token is asked about. Needs "introspect" in mode "opaque", and goes without
	//     algorithms, type and profile.
	//
	// Keys from the network are fetched in the background when first needed, never while the configuration loads.
	Source string `json:"source,omitempty"`
	// URL of the JWK set, or of the discovery document (default: derived from the issuer). https, or http to a loopback
	// address. Placeholders are resolved.
	URL string `json:"url,omitempty"`
	// Path of the file. Placeholders are resolved.
	Path string `json:"path,omitempty"`
	// PEM text. Placeholders are resolved, such as {file./etc/keys/issuer.pem}.
	PEM string `json:"pem,omitempty"`
	// Secret, at least as long as the hash of the algorithm: 32, 48 or 64 bytes (RFC 7518 section 3.2). It has to be
	// random, as "openssl rand -hex 32" makes it; what plainly is not is refused. Placeholders are resolved; better one
	// such as {env.SECRET}, since what is written here can be read in the configuration.
	Secret string `json:"secret,omitempty"`
	// The secret is base64 or base64url; its decoded bytes are the key. Default: its text is the key, without line ends
	// behind it.
	Base64 bool `json:"base64,omitempty"`
}

// TLS says how to talk to an authorization server. TLS 1.2 is the least, and verification cannot be switched off.
type TLS struct {
	// Files of certificate authorities in PEM, in place of the system's. Default: the system's. Placeholders are resolved.
	CA []string `json:"ca,omitempty"`
	// File of the client certificate in PEM, for servers that ask for one. Needs client_key. It is shown to the configured
	// server only (scheme, host and port), not to where a redirect or the metadata leads; but with tls_client_auth also to
	// the introspection endpoint that the metadata names. Default: none. Placeholders are resolved.
	ClientCert string `json:"client_cert,omitempty"`
	// File of the client certificate's private key in PEM. Placeholders are resolved.
	ClientKey string `json:"client_key,omitempty"`
	// Name that the server's certificate must have. Default: the host of the URL. Placeholders are resolved.
	ServerName string `json:"server_name,omitempty"`
	// Pins: base64 SHA-256 hashes of public keys (SubjectPublicKeyInfo), one of which must be in the server's verified
	// certificate chain, on top of the usual verification. A server that changes its key is out of reach until its new pin
	// is here. Default: none.
	Pins []string `json:"pin,omitempty"`
}

// Consumer is an application or person known by name, as in InterSystems API Manager and Kong.
type Consumer struct {
	// Unique name, told to the backend as X-Consumer-Username. Placeholders are resolved.
	Username string `json:"username"`
	// Told to the backend as X-Consumer-ID. Default: none. Placeholders are resolved.
	ID string `json:"id,omitempty"`
	// The consumer's name in another system, told to the backend as X-Consumer-Custom-ID. Default: none. Placeholders are
	// resolved.
	CustomID string `json:"custom_id,omitempty"`
	// Groups, for the handler's require; told to the backend as X-Consumer-Groups, joined by commas, which no group may
	// have inside. Default: none. Placeholders are resolved.
	Groups []string `json:"groups,omitempty"`
	// What verifies the consumer's tokens. A consumer without any can only be anonymous.
	Credentials []Credential `json:"credentials,omitempty"`
}

// Credential verifies the tokens of a consumer.
type Credential struct {
	// Value of the key claim that selects this credential; unique among all credentials and issuers of the handler.
	// Placeholders are resolved.
	Key string `json:"key"`
	// The one algorithm that tokens may use: one of those of an issuer, HS256, HS384 and HS512 with a secret.
	Algorithm string `json:"algorithm"`
	// PEM public key or X.509 certificate, or the path of a file that has one, for RS, PS, ES and EdDSA algorithms. Read
	// once, when the configuration loads; tokens are refused when the certificate has expired. Placeholders are resolved.
	PublicKey string `json:"public_key,omitempty"`
	// Secret, for HS algorithms, at least as long as their hash: 32, 48 or 64 bytes. It has to be random, as "openssl rand
	// -hex 32" makes it; what plainly is not is refused. Placeholders are resolved; better one such as {env.SECRET}, since
	// what is written here can be read in the configuration.
	Secret string `json:"secret,omitempty"`
	// The secret is base64 or base64url; its decoded bytes are the key. Default: its text is the key, without line ends
	// behind it.
	Base64 bool `json:"base64,omitempty"`
}

// Requirements are what a route asks of an accepted token. What is not met is 403 insufficient_scope.
type Requirements struct {
	// Scopes that must all be there, in "scope" or "scp". Default: none. Placeholders are resolved.
	Scopes []string `json:"scopes,omitempty"`
	// Claims that must all be satisfied. Default: none.
	Claims []ClaimRequirement `json:"claims,omitempty"`
	// Groups of which one must be there: a consumer's groups, or the "groups" claim of an issuer's token. Default: none.
	// Placeholders are resolved.
	Groups []string `json:"groups,omitempty"`
}

// ClaimRequirement asks for a claim.
type ClaimRequirement struct {
	// Path of the claim: names joined by dots (realm_access.roles), with "\." for a dot inside a name; or, when it has
	// "://" in it, one name as it stands (https://example.com/roles); or, when it begins with "/", a JSON pointer.
	Claim string `json:"claim"`
	// Values of which the claim must be one, or contain one when it is an array; compared exactly. Default: any that is
	// not empty. Placeholders are resolved.
	Values []string `json:"values,omitempty"`
}

// ForwardClaim tells the backend a claim.
type ForwardClaim struct {
	// Path of the claim, as in a requirement.
	Claim string `json:"claim"`
	// Name of the header: letters, digits and hyphens, and none that means something to HTTP. The client's own header of
	// that name is removed from every request. Strings go as they are, numbers and booleans as JSON, arrays of strings
	// joined by commas, all else as JSON; no claim, no header. What could make one claim look like another is
	// percent-encoded in strings: "%", commas and quotes, "[" and "{" at the beginning, blanks at the ends. A control
	// character, or more than 8 KiB, refuses the request.
	Header string `json:"header"`
}

// RouteIntrospect refines the issuers' introspect settings for one route.
type RouteIntrospect struct {
	// "force" asks about every token, and needs an introspect block in all issuers; "skip" does not ask about JWTs that
	// were verified here, so a revoked one passes. Default: as each issuer says.
	Mode string `json:"mode,omitempty"`
	// How old a remembered answer may be on this route; 0s asks every time. Default, and at most: the issuer's cache_ttl.
	MaxAge *caddy.Duration `json:"max_age,omitempty"`
}

// Introspect asks the authorization server about tokens (RFC 7662).
type Introspect struct {
	// "opaque" asks about opaque and encrypted tokens, and about JWTs whose issuer nobody here has. "always" asks about
	// opaque and encrypted tokens, and about the issuer's JWTs after they have been verified here, because they may have
	// been revoked; of several issuers, one with "opaque" gets the opaque tokens that no prefix claims. Default: "opaque".
	Mode string `json:"mode,omitempty"`
	// How the server is asked: "introspection", or "userinfo", which is weaker: a UserInfo endpoint cannot tell for
	// which audience, client or scope a token was issued, nor when it expires. With the mode "opaque" it therefore needs
	// any_audience, and with "always" it is not asked about opaque tokens without. Default: "introspection".
	Verify string `json:"verify,omitempty"`
	// How this issuer's opaque tokens begin. Needed when two issuers take opaque tokens. Default: any. Placeholders are
	// resolved.
	Prefix string `json:"prefix,omitempty"`
	// URL of the endpoint. https, or http to a loopback address. Default: from discovery. Placeholders are resolved.
	Endpoint string `json:"endpoint,omitempty"`
	// Our client identifier at the server. Give the gateway a client of its own: some servers call a token inactive when
	// the client that got it asks. Default: none. Placeholders are resolved.
	ClientID string `json:"client_id,omitempty"`
	// Secret of the client. Default: none. Placeholders are resolved; better one such as {env.SECRET}, since what is
	// written here can be read in the configuration.
	ClientSecret string `json:"client_secret,omitempty"`
	// How we authenticate: client_secret_basic, client_secret_post, client_secret_jwt, private_key_jwt,
	// tls_client_auth, bearer or none. Default: what fits the credentials and the server's metadata. "none" is for
	// endpoints that are protected by other means.
	AuthMethod string `json:"auth_method,omitempty"`
	// Private key for private_key_jwt, as PEM text or the path of a file: RSA of at least 2048 bits, P-256, P-384, P-521
	// or Ed25519. Read once, when the configuration loads. Default: none. Placeholders are resolved.
	PrivateKey string `json:"private_key,omitempty"`
	// The "kid" of the private key at the server. Default: none. Placeholders are resolved.
	KeyID string `json:"key_id,omitempty"`
	// Access token of our own, for the method bearer. It is not renewed. Default: none. Placeholders are resolved.
	BearerToken string `json:"bearer_token,omitempty"`
	// Send client_secret_basic without form-encoding id and secret, for servers that do not decode (against RFC 6749
	// section 2.3.1). Default: they are encoded.
	RawBasic bool `json:"raw_basic,omitempty"`
	// Accept signed answers only (RFC 9701), verified with the issuer's public keys. Needs client_id. Default: plain JSON.
	Signed bool `json:"signed,omitempty"`
	// More parameters for the request, in this order, each name once. Default: none.
	Params []Param `json:"params,omitempty"`
	// Hint about the kind of token; "off" sends none. Default: access_token. Placeholders are resolved.
	TokenTypeHint string `json:"token_type_hint,omitempty"`
	// How long an active answer is remembered, never past the token's "exp". This is how late a revocation may be
	// seen. 0s remembers nothing. Default: 30s; at most 5m.
	CacheTTL *caddy.Duration `json:"cache_ttl,omitempty"`
	// The same for inactive answers: how late a token may be seen that has just become active. Default: 5s; at most 5m.
	NegativeTTL *caddy.Duration `json:"negative_ttl,omitempty"`
	// How long a question may take in all, a retry included. Requests wait as long. Default: 3s; at most 30s.
	Timeout caddy.Duration `json:"timeout,omitempty"`
	// How many questions may be under way at once; 16 times as many may wait, more are refused with 503. Default: 64; at
	// most 16384.
	MaxInFlight int `json:"max_in_flight,omitempty"`
}

// Param is one parameter of an introspection request.
type Param struct {
	// Name of the parameter.
	Name string `json:"name"`
	// Value of the parameter. Placeholders are resolved.
	Value string `json:"value"`
}
