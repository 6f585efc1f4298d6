package caddyjwt

import (
	"github.com/caddyserver/caddy/v2"
)

// TokenPlace is one place of a request where a token may be.
type TokenPlace struct {
	// Where to look: "header", "query", "cookie" or "form".
	//
	// A token in a query ends up in logs, browser histories and Referer headers. Use it only for clients that have no
	// other way. Caddy writes the query to its access log as the client sent it. Browsers send a cookie without being
	// asked, so other sites can make them send requests: give it HttpOnly, Secure and SameSite=Strict. A form is read only
	// from POST, PUT and PATCH requests of type application/x-www-form-urlencoded, up to 1 MiB and for at most 10 seconds.
	// All forms together may take 32 MiB of memory. The form reaches the backend without the token.
	In string `json:"in"`
	// Name of the header, query parameter, cookie or form field. Headers with another meaning cannot hold a token: those
	// that the server itself needs, such as Host and Connection; Proxy-Authorization; DPoP; and all that begin with Sec-.
	Name string `json:"name"`
	// Scheme before the token in a header, matched without regard to case. It cannot be DPoP or GNAP, which ask for a
	// proof, nor Basic. Default: "Bearer" for the header Authorization. Other headers have none: the whole value is the
	// token.
	Scheme string `json:"scheme,omitempty"`
}

// Resource is what a gate guards, as clients know it: a protected resource of RFC 9728. Its metadata tells clients the
// issuers of the gate that are https URLs (authorization_servers), the scopes of require (scopes_supported), and the
// places of token_from that RFC 6750 knows (bearer_methods_supported).
type Resource struct {
	// Identifier of the resource: the URL that clients use, or its beginning, such as https://mcp.example.com/mcp. https,
	// or http to this machine; without query and fragment; in lower case before the path. In the path only letters,
	// digits and -._~@ between single slashes. Several gates may have the same resource: clients get one document.
	// Placeholders are resolved.
	URL string `json:"url"`
	// Name for people, to be shown while they log in (resource_name). Default: none. Placeholders are resolved.
	Name string `json:"name,omitempty"`
	// Address of a page for developers (resource_documentation). Default: none. Placeholders are resolved.
	Documentation string `json:"documentation,omitempty"`
	// Address of a page that says how clients may use the data (resource_policy_uri). Default: none. Placeholders are
	// resolved.
	Policy string `json:"policy,omitempty"`
	// Address of the terms of service (resource_tos_uri). Default: none. Placeholders are resolved.
	TermsOfService string `json:"tos,omitempty"`
	// Scopes that clients may ask for beyond those that require and mcp name. Default: none.
	Scopes []string `json:"scopes,omitempty"`
}

// Issuer is one authorization server whose JWT access tokens are accepted: those whose "iss" is exactly its name.
type Issuer struct {
	// The issuer's name, byte for byte the "iss" of its tokens: usually an https URL. With keys from discovery, the
	// document must name the same issuer. Placeholders are resolved.
	Issuer string `json:"issuer"`
	// Where the keys come from. Default: discovery.
	Keys *Keys `json:"keys,omitempty"`
	// Audiences of which a token's "aud" must contain one, compared exactly. Every issuer needs an audience, here or on
	// the handler. When both have one, a token must satisfy both. Default: the handler's alone. Placeholders are resolved.
	Audience []string `json:"audience,omitempty"`
	// Accept tokens whatever their audience. Dangerous: a token that the same authorization server issued for any other
	// service opens this one too (RFC 9068 section 4). Unless type, profile or required_claims tells access tokens from
	// others, a JWT must then have "sub" or "client_id", and an introspection answer must say that it is about an access
	// token. Not together with audience.
	AnyAudience bool `json:"any_audience,omitempty"`
	// Algorithms that tokens may use: RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA and Ed25519;
	// with a secret, HS256, HS384 and HS512. Default: with public keys, all asymmetric ones that fit the key; with a
	// secret, all HS ones for which it is long enough.
	Algorithms []string `json:"algorithms,omitempty"`
	// Values that the JOSE header "typ" may have, such as "at+jwt". Compared without regard to case, and with or without
	// "application/" before it. A token without "typ" is then refused. Other kinds of tokens pass only when they are named
	// here: by their typ, or as "id", "refresh", "offline" or "logout" when the payload says so. Default: any typ, or
	// none, except those of other kinds of JWT.
	Types []string `json:"type,omitempty"`
	// A set of rules that tokens must keep as a whole. "rfc9068": typ at+jwt, and the claims iss, exp, aud, sub,
	// client_id, iat and jti. Default: none.
	Profile string `json:"profile,omitempty"`
	// Claims that must be present and not empty, beside "exp" and "iss": paths, as in a requirement of the handler.
	// Default: none.
	RequiredClaims []string `json:"required_claims,omitempty"`
	// The longest life that a token may have, from "iat" to "exp" and from now to "exp". Such a token must have "iat".
	// Default: no bound. If the handler has a bound too, the shorter one counts.
	MaxLifetime caddy.Duration `json:"max_lifetime,omitempty"`
	// How far the authorization server's clock may be from ours: 0s to 5m. Default: the handler's.
	Leeway *caddy.Duration `json:"leeway,omitempty"`
	// TLS settings for requests to this authorization server. Default: the system's certificate authorities.
	TLS *TLS `json:"tls,omitempty"`
	// Header fields for requests for keys and discovery documents, for servers that want an API key. They go only to the
	// host of the configured address: not to where a redirect or the metadata leads, and not to introspection. Default:
	// none. Placeholders are resolved in the values.
	RequestHeaders map[string][]string `json:"request_headers,omitempty"`
	// Allow the server to have a link-local or cloud metadata address. Dangerous: those addresses give credentials to
	// whoever asks. Default: they are refused, also after redirects.
	AllowLinkLocal bool `json:"allow_link_local,omitempty"`
	// How long keys may be used after the last successful fetch when the server cannot be reached; at least 1m. Keys are
	// fetched again well before that. Default: 24h.
	MaxStale caddy.Duration `json:"max_stale,omitempty"`
	// The "use" that a key of the issuer's key set must have: "sig", which a key without "use" also has; or "jwt-svid" for
	// SPIFFE bundles, in which every key names its use. Only with keys from discovery, jwks or a file with a JWK set.
	// Default: "sig".
	KeyUse string `json:"key_use,omitempty"`
	// How many usable keys are taken from the issuer's key set, from its start: 1 to 1000. Tokens of the other keys are
	// refused as unknown_key or key_pending. Only with keys from discovery, jwks or a file. Default: 100.
	MaxKeys int `json:"max_keys,omitempty"`
	// Fetch keys and metadata in the background as soon as the configuration is in force, without delaying it. A mistake
	// in an address is then logged when the configuration is loaded, and the first request need not wait. From then on
	// they are kept fresh, even without requests. Default: as the app bearer_auth says, or else at the first request.
	Prefetch bool `json:"prefetch,omitempty"`
	// Ask the authorization server about tokens (RFC 7662). Default: never.
	Introspect *Introspect `json:"introspect,omitempty"`
}

// Keys says where an issuer's keys come from.
type Keys struct {
	// The source; required:
	//
	//   - "discovery" reads the address of the key set from the issuer's metadata: OpenID Connect Discovery, then RFC
	//     8414.
	//   - "jwks" fetches a JWK set, or a single JWK, from a URL.
	//   - "file" reads a JWK set, a JWK, PEM public keys or X.509 certificates, whichever the content is, and again
	//     whenever the file changes. The file must be usable when the configuration loads.
	//   - "pem" has PEM public keys or X.509 certificates in the configuration. They are read once; when a certificate
	//     among them expires, the keys end.
	//   - "secret" has a secret shared with the issuer, for HS256, HS384 and HS512.
	//   - "none" verifies nothing here: the authorization server is asked about every token. Needs "introspect" in mode
	//     "opaque", and excludes algorithms, type and profile.
	//
	// Keys from the network are fetched in the background: when first needed or, with prefetch, once the configuration is
	// in force; never while it loads.
	Source string `json:"source,omitempty"`
	// URL of the JWK set, or of the discovery document (default: derived from the issuer). https, or http to a loopback
	// address. Placeholders are resolved.
	URL string `json:"url,omitempty"`
	// Path of the file. Placeholders are resolved.
	Path string `json:"path,omitempty"`
	// PEM text. Placeholders are resolved, such as {file./etc/keys/issuer.pem}.
	PEM string `json:"pem,omitempty"`
	// Secret, at least as long as the hash of the algorithm: 32, 48 or 64 bytes (RFC 7518 section 3.2). It must be random,
	// as from "openssl rand -hex 32"; one that plainly is not is refused. Placeholders are resolved. Prefer one such as
	// {env.SECRET}: whoever can read the configuration can read a secret written here.
	Secret string `json:"secret,omitempty"`
	// The secret is base64 or base64url; its decoded bytes are the key. Default: its text is the key, without line ends
	// behind it.
	Base64 bool `json:"base64,omitempty"`
}

// TLS says how to talk to an authorization server. The oldest version is TLS 1.2, and verification cannot be switched
// off.
type TLS struct {
	// Files of certificate authorities in PEM, which replace the system's. Default: the system's. Placeholders are
	// resolved.
	CA []string `json:"ca,omitempty"`
	// File of the client certificate in PEM, for servers that ask for one. Needs client_key. The gate shows it only to the
	// configured server (scheme, host and port), not to where a redirect or the metadata leads. Exception: with
	// tls_client_auth, also to the introspection endpoint that the metadata names. Default: none. Placeholders are
	// resolved.
	ClientCert string `json:"client_cert,omitempty"`
	// File of the client certificate's private key in PEM. Placeholders are resolved.
	ClientKey string `json:"client_key,omitempty"`
	// Name that the server's certificate must have. Default: the host of the URL. Placeholders are resolved.
	ServerName string `json:"server_name,omitempty"`
	// Pins: base64 SHA-256 hashes of public keys (SubjectPublicKeyInfo). Beside the usual verification, the server's
	// verified certificate chain must have one of these keys. A server that changes its key is out of reach until its new
	// pin is here. Default: none.
	Pins []string `json:"pin,omitempty"`
}

// Consumer is an application or person known by name, as in InterSystems API Manager and Kong.
type Consumer struct {
	// Unique name. The backend gets it as X-Consumer-Username. Placeholders are resolved.
	Username string `json:"username"`
	// Identifier. The backend gets it as X-Consumer-ID. Default: none. Placeholders are resolved.
	ID string `json:"id,omitempty"`
	// The consumer's name in another system. The backend gets it as X-Consumer-Custom-ID. Default: none. Placeholders are
	// resolved.
	CustomID string `json:"custom_id,omitempty"`
	// Groups, for the handler's require. The backend gets them as X-Consumer-Groups, joined by commas, so a group cannot
	// contain a comma. Default: none. Placeholders are resolved.
	Groups []string `json:"groups,omitempty"`
	// What verifies the consumer's tokens. Default: none; such a consumer can only be anonymous.
	Credentials []Credential `json:"credentials,omitempty"`
}

// Credential verifies the tokens of a consumer.
type Credential struct {
	// Value of the key claim that selects this credential; unique among all credentials and issuers of the handler.
	// Placeholders are resolved.
	Key string `json:"key"`
	// The one algorithm that tokens may use: with a public key one of the asymmetric algorithms of an issuer, with a
	// secret HS256, HS384 or HS512.
	Algorithm string `json:"algorithm"`
	// PEM public key or X.509 certificate, or the path of a file that has one, for RS, PS, ES and EdDSA algorithms. Read
	// once, when the configuration loads. Once the certificate has expired, tokens are refused. Placeholders are resolved.
	PublicKey string `json:"public_key,omitempty"`
	// Secret, for HS algorithms, at least as long as their hash: 32, 48 or 64 bytes. It must be random, as from "openssl
	// rand -hex 32"; one that plainly is not is refused. Placeholders are resolved. Prefer one such as {env.SECRET}:
	// whoever can read the configuration can read a secret written here.
	Secret string `json:"secret,omitempty"`
	// The secret is base64 or base64url; its decoded bytes are the key. Default: its text is the key, without line ends
	// behind it.
	Base64 bool `json:"base64,omitempty"`
}

// ForwardClaim gives the backend a claim in a header.
type ForwardClaim struct {
	// Path of the claim, as in a requirement.
	Claim string `json:"claim"`
	// Name of the header: letters, digits and hyphens, but not a header that means something to HTTP. The client's own
	// header of that name is removed from every request. Strings go as they are, arrays of strings joined by commas, all
	// else as JSON. Without the claim there is no header. Characters that could make one claim look like another are
	// percent-encoded in strings: "%", commas, quotes, "[" and "{" at the beginning, and blanks at the ends. A request
	// whose claim has a control character, or more than 8 KiB, is refused.
	Header string `json:"header"`
}

// RouteIntrospect refines the issuers' introspect settings for one route.
type RouteIntrospect struct {
	// When to ask. "force" asks about every token, and needs an introspect block in all issuers. "skip" does not ask about
	// JWTs that were verified here, so a revoked one passes. Default: as each issuer says.
	Mode string `json:"mode,omitempty"`
	// How old a remembered answer may be on this route; 0s asks every time. Default and maximum: the issuer's cache_ttl.
	MaxAge *caddy.Duration `json:"max_age,omitempty"`
}

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
	// URL of the endpoint. https, or http to a loopback address. Default: from discovery. Placeholders are resolved.
	Endpoint string `json:"endpoint,omitempty"`
	// The gateway's client identifier at the server. Give the gateway a client of its own: some servers call a token
	// inactive when the client that got it asks. Default: none. Placeholders are resolved.
	ClientID string `json:"client_id,omitempty"`
	// Secret of the client. Default: none. Placeholders are resolved. Prefer one such as {env.SECRET}: whoever can read
	// the configuration can read a secret written here.
	ClientSecret string `json:"client_secret,omitempty"`
	// How the gateway authenticates: client_secret_basic, client_secret_post, client_secret_jwt, private_key_jwt,
	// tls_client_auth, bearer or none. "none" is for endpoints that are protected by other means. Default: what fits the
	// credentials and the server's metadata.
	AuthMethod string `json:"auth_method,omitempty"`
	// Private key for private_key_jwt, as PEM text or the path of a file: RSA of at least 2048 bits, P-256, P-384, P-521
	// or Ed25519. Read once, when the configuration loads. Default: none. Placeholders are resolved.
	PrivateKey string `json:"private_key,omitempty"`
	// The "kid" of the private key at the server. Default: none. Placeholders are resolved.
	KeyID string `json:"key_id,omitempty"`
	// Access token of the gateway, for the method bearer. It is not renewed. Default: none. Placeholders are resolved.
	BearerToken string `json:"bearer_token,omitempty"`
	// Send id and secret of client_secret_basic without form-encoding, for servers that do not decode them (against RFC
	// 6749 section 2.3.1). Default: they are encoded.
	RawBasic bool `json:"raw_basic,omitempty"`
	// Accept signed answers only (RFC 9701), verified with the issuer's public keys. Needs client_id. Default: plain JSON.
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
