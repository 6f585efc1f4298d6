// Package issuers has what a configuration says about an authorization server: the JSON and the Caddyfile, their
// checks, and how to open the key sources and the client that asks.
package issuers

import (
	"bytes"
	"encoding/json"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyjwt/gateway/caddyjwt/backchannel"
	"github.com/caddyjwt/gateway/caddyjwt/clienttls"
	"github.com/caddyjwt/gateway/caddyjwt/decryption"
	"github.com/caddyjwt/gateway/caddyjwt/revocations"
)

// Issuer is one authorization server whose JWT access tokens are accepted: those whose "iss" is exactly its name.
type Issuer struct {
	// The issuer's name, byte for byte the "iss" of its tokens: usually an https URL. With keys from discovery, the
	// document must name the same issuer. In an https URL, one segment "*" of the path stands for the tenant of a server
	// with many: 1 to 64 of the characters A-Z, a-z, 0-9, ".", "_" and "-". It needs tenants. An issuer that is written
	// out comes before one with "*". Placeholders are resolved.
	Issuer string `json:"issuer"`
	// The tenants that are accepted, for an issuer with "*": what "*" stands for in their "iss". A claim "tid", if there
	// is one, must name the same tenant. Not together with any_tenant and tenants_file. Default: none; an issuer with "*"
	// must say which. Placeholders are resolved.
	Tenants []string `json:"tenants,omitempty"`
	// Accept every tenant of the server. Dangerous: whoever can become a tenant there can make tokens that pass, with
	// subjects, scopes and roles of its own choosing. Require something that only your tenants get, such as an audience
	// that is yours. Needs one set of keys for all: keys from jwks or file, or from discovery with a URL.
	AnyTenant bool `json:"any_tenant,omitempty"`
	// Path of a file with the tenants, one on each line; empty lines and those that begin with "#" do not count. At most
	// 1 MiB. It is read again whenever it changes. A bad file leaves the list as it was, and must not be bad when the
	// configuration loads. Placeholders are resolved.
	TenantsFile string `json:"tenants_file,omitempty"`
	// Where the keys come from: one source or, in a list, up to 4. The keys of all count, each only for the algorithms
	// that fit its kind: a secret is for HS256, HS384 and HS512, and all others are for the asymmetric ones. Several are
	// for moving from one to another while tokens of both are good: whoever has an old key can sign until it is removed
	// here. Default: discovery.
	Keys KeySources `json:"keys,omitempty"`
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
	// Shapes of claims that break the specifications and are accepted from this issuer all the same. Each word admits
	// exactly one shape:
	//
	//   - "numeric_subject": a "sub" that is a plain integer of at most 20 digits. Its digits are the subject, so 7 and
	//     "7" are one subject. A backend that reads large numbers as floating point may take two of them for one.
	//   - "empty_subject": a "sub" that is the empty text counts as absent. Such callers have no name: what the backend
	//     does for one, it does for all.
	//   - "null_claims": iss, sub, aud, exp, nbf, iat, jti, client_id, scope and scp that are null count as absent. A
	//     token with a null "exp" is then one without.
	//   - "text_dates": exp, nbf, iat and auth_time may be a text of digits, such as "1700000000".
	//   - "millisecond_dates": the unit of all dates of this issuer is milliseconds. Tokens in seconds are then expired.
	//   - "missing_exp": a token without "exp" ends max_lifetime after its "iat". Needs max_lifetime, here or on the
	//     handler. If the server knows an earlier end, the gate does not.
	//   - "never_expires": an "exp" of 0 or null in the server's answers counts as absent. Such a token never expires by
	//     itself: it is good until the server calls it inactive. Needs introspect.
	//
	// Default: none; a token with such a claim is refused.
	Tolerate []string `json:"tolerate,omitempty"`
	// Where tokens of this issuer have the caller's groups, for "require group" and the matcher: paths, as in a
	// requirement of the handler. The groups of all paths count together. A value is one group as text, a list of groups,
	// or an object whose member names are the groups; members that are false or null do not count. Whoever can change one
	// of these claims decides about groups. Default: the claim "groups", in which an object names no groups.
	GroupClaims []string `json:"group_claim,omitempty"`
	// The claim that names the consumer of this gate that the caller is: a path, as in a requirement of the handler. Its
	// value must be a text, and the username of a consumer, byte for byte. The caller then has the groups and the headers
	// of that consumer. The token is still judged by the rules of this issuer, and not by those of the consumer. A token
	// that names no consumer is refused, and so is one that names the anonymous consumer. Dangerous with a claim that
	// users can edit: whoever can write it can be any consumer. Not together with group_claim. Default: the caller is no
	// consumer.
	ConsumerClaim string `json:"consumer_claim,omitempty"`
	// By which of its names consumer_claim finds a consumer: "username" or "custom_id". With "custom_id", no two consumers
	// may have the same one. Default: "username".
	ConsumerBy string `json:"consumer_by,omitempty"`
	// The claim with the caller's name: a path, as in a requirement of the handler. The name is {http.auth.user.id}, and
	// the backend gets it as X-Consumer-Username. It must be a text of at most 8 KiB, without control characters and
	// without blanks at its ends. A token without such a name is refused, and so is one whose name is the username of a
	// consumer here; other gates may have other consumers. Dangerous with a claim that users can edit: many servers let
	// them change "preferred_username", "name" and "email". An "email" counts only if you also require the claim
	// "email_verified" to be true. Not together with consumer_claim. Default: the name is "sub", and the backend gets
	// none.
	UsernameClaim string `json:"username_claim,omitempty"`
	// Whether, and by which claims, tokens can be revoked before they expire. That needs a store (global option
	// bearer_auth). Default: with a store they can, by jti, sub, sid and client, and max_lifetime must be set.
	Revocation *revocations.OfIssuer `json:"revocation,omitempty"`
	// Where the authorization server tells that a session has ended (OpenID Connect Back-Channel Logout 1.0). The access
	// tokens of that session are out from then on. Needs a store, keys, and max_lifetime. Default: nowhere; tokens are
	// good until they expire.
	BackchannelLogout *backchannel.Logout `json:"backchannel_logout,omitempty"`
	// How far the authorization server's clock may be from ours: 0s to 5m. Default: the handler's.
	Leeway *caddy.Duration `json:"leeway,omitempty"`
	// TLS settings for requests to this authorization server. Default: the system's certificate authorities.
	TLS *clienttls.TLS `json:"tls,omitempty"`
	// Header fields for requests for keys and discovery documents, for servers that want an API key. They go only to the
	// host of the configured address: not to where a redirect or the metadata leads, and not to introspection. Default:
	// none. Placeholders are resolved in the values; those of files are read again when the file changes.
	RequestHeaders map[string][]string `json:"request_headers,omitempty"`
	// Allow the server to have a link-local or cloud metadata address. Dangerous: those addresses give credentials to
	// whoever asks. Default: they are refused, also after redirects.
	AllowLinkLocal bool `json:"allow_link_local,omitempty"`
	// Allow addresses of the server that begin with http://, beyond this machine. Dangerous: whoever is on the way can
	// read the secrets and tokens in the requests, and can change the answers, so that tokens of their own pass. Metadata
	// that the handler shows to clients (auth_server_metadata) can then lead clients to endpoints of theirs. The address
	// that is dialled counts, also after redirects, and no proxy is used. "private" allows private (RFC 1918) and
	// unique local (RFC 4193) addresses. "shared" also allows 100.64.0.0/10 (RFC 6598), which may lead to machines of
	// strangers at some providers. Metadata that came by https cannot lead to http. Default: only localhost, 127.0.0.0/8
	// and [::1].
	AllowHTTP string `json:"allow_http,omitempty"`
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
	// Open encrypted access tokens of the issuer. Default: an encrypted token is refused, or the server is asked about it.
	Decrypt *decryption.Config `json:"decrypt,omitempty"`
	// Ask the authorization server about tokens (RFC 7662). Default: never.
	Introspect *Introspect `json:"introspect,omitempty"`
}

// KeySources are the sources of an issuer's keys. In JSON, a single one needs no brackets.
type KeySources []Keys

// UnmarshalJSON implements json.Unmarshaler.
func (s *KeySources) UnmarshalJSON(text []byte) error {
	switch text = bytes.TrimSpace(text); {
	case string(text) == "null": // as if it were left out
		return nil
	case len(text) > 0 && text[0] == '[':
		return caddy.StrictUnmarshalJSON(text, (*[]Keys)(s))
	}
	*s = make(KeySources, 1)
	return caddy.StrictUnmarshalJSON(text, &(*s)[0])
}

// MarshalJSON implements json.Marshaler.
func (s KeySources) MarshalJSON() ([]byte, error) {
	if len(s) == 1 {
		return json.Marshal(s[0])
	}
	return json.Marshal([]Keys(s))
}

// Keys says where keys of an issuer come from.
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
	//   - "local" has the keys of the token_issuer of this configuration whose name is that of the issuer. Its tokens are
	//     good below the path of their application, and can be revoked.
	//   - "none" verifies nothing here: the authorization server is asked about every token. Needs "introspect" in mode
	//     "opaque", and excludes algorithms, type and profile.
	//
	// Keys from the network are fetched in the background: when first needed or, with prefetch, once the configuration is
	// in force; never while it loads.
	Source string `json:"source,omitempty"`
	// URL of the JWK set, or of the discovery document (default: derived from the issuer). https, or http to a loopback
	// address; with allow_http, also to a private one. Placeholders are resolved.
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
	// Files of certificate authorities in PEM, one or more in each, at one of which the certificate of every key must end.
	// For keys from a file, jwks or discovery. A JWK has its certificates in "x5c", and a PEM file has the issuers of a
	// certificate behind it, 8 in a chain at most. All must be valid now, and that of the signer must be for digital
	// signatures and no authority. Names and extended key usages are not looked at: whoever gets a certificate from such
	// an authority may be a signer, so give one that certifies signers alone. A key without such a certificate is left
	// out, and goes when one in its chain ends. The files are read again when they change; a bad one leaves the
	// authorities as they were, and must not be bad when the configuration loads. No revocation list and no OCSP server
	// is asked: replace the file to revoke. Not with the keys of each tenant. Default: certificates are trusted as their
	// source is. Placeholders are resolved.
	CA []string `json:"ca,omitempty"`
}
