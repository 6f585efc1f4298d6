package introspect

import (
	"context"
	"crypto"
	"fmt"
	"net/http"
	"time"
)

// Defaults and limits of [Config].
const (
	DefaultCacheTTL    = 30 * time.Second // how late a revocation may be seen
	MaxCacheTTL        = 5 * time.Minute
	DefaultNegativeTTL = 5 * time.Second
	DefaultTimeout     = 3 * time.Second
	MaxTimeout         = 30 * time.Second
	DefaultMaxInFlight = 64

	DefaultCacheBytes      = 16 << 20
	DefaultNegativeEntries = 10_000
	DefaultBreakerFailures = 10
	DefaultBreakerWait     = 5 * time.Second

	// MaxToken is the longest token in bytes that is hashed or sent.
	MaxToken = 16 << 10
	// MaxAnswer is the longest answer in bytes that is read, after decompression.
	MaxAnswer = 256 << 10
	// MaxDepth is how deeply the objects and arrays of an answer may be nested.
	MaxDepth = 16

	// queuePerSlot times MaxInFlight calls may wait for a free slot. Each costs one goroutine. When the queue is
	// full, a call fails at once.
	queuePerSlot = 16
)

// Off turns a cache off. It is not zero, because the zero value of a field of [Config] means its default; a setting
// of "0 seconds" in a configuration file must become Off.
const Off time.Duration = -1

// HintOff as [Config.TokenTypeHint] sends no hint.
const HintOff = "off"

// Mode is the question that is asked.
type Mode uint8

const (
	// Introspection posts the token to an RFC 7662 introspection endpoint.
	Introspection Mode = iota
	// UserInfo gets the OpenID Connect UserInfo endpoint with the token as the bearer credential: 200 with an object
	// that has a "sub" is active, 401 is inactive. It is for servers without introspection and is weaker: the answer
	// says who the user is, but not for which audience, client or scope the token was issued nor when it expires, so
	// that a token issued for any other application of that server is active here. Checks on those claims have
	// nothing to look at, and [Result.ExpiresAt] is zero.
	UserInfo
)

// AuthMethod is how we authenticate to the introspection endpoint. Exactly one is used in a request (RFC 6749 section
// 2.3).
type AuthMethod string

const (
	ClientSecretBasic AuthMethod = "client_secret_basic" // RFC 6749 section 2.3.1, header
	ClientSecretPost  AuthMethod = "client_secret_post"  // RFC 6749 section 2.3.1, body
	ClientSecretJWT   AuthMethod = "client_secret_jwt"   // RFC 7523 section 2.2, HMAC
	PrivateKeyJWT     AuthMethod = "private_key_jwt"     // RFC 7523 section 2.2, signature
	TLSClientAuth     AuthMethod = "tls_client_auth"     // RFC 8705 section 2; the certificate is the HTTPClient's
	Bearer            AuthMethod = "bearer"              // RFC 7662 section 2.1, an access token of our own
	None              AuthMethod = "none"                // only for endpoints protected by other means
)

// Endpoint is where and how the server wants to be asked, as its metadata says (RFC 8414).
type Endpoint struct {
	// URL is introspection_endpoint, or userinfo_endpoint in the mode [UserInfo].
	URL string
	// MTLSURL is the same endpoint in mtls_endpoint_aliases (RFC 8705 section 5). Used instead of URL with
	// [TLSClientAuth]; empty means that there is none.
	MTLSURL string
	// AuthMethods is introspection_endpoint_auth_methods_supported. When it is not empty and [Config.AuthMethod] is
	// empty, the method is chosen from it and from nothing else.
	AuthMethods []AuthMethod
}

// Param is one more parameter of the request body.
type Param struct{ Name, Value string }

// Config says which server to ask, and how. The zero value of a field is its default.
type Config struct {
	// Issuer identifies the authorization server. It is the audience of client assertions and part of the identity;
	// required with Discover.
	Issuer string
	// Mode is the question asked. Default: [Introspection].
	Mode Mode
	// Endpoint is the URL to ask: https, or http to a loopback address.
	Endpoint string
	// Discover gives the endpoint when it is not configured. It is called for every call to the server, so it should
	// remember its answer, and must return when its context ends, or it keeps one of the MaxInFlight slots. Its
	// errors count as unavailable, unless they are a [*NoVerdictError]. Exactly one of Endpoint and Discover is
	// needed.
	Discover func(context.Context) (Endpoint, error) `fingerprint:"set"`

	// ClientID is our client identifier at the server. Give the gateway a client of its own: some servers call a
	// token inactive when the client that got it asks.
	ClientID string
	// ClientSecret is for client_secret_basic, client_secret_post and client_secret_jwt.
	ClientSecret string
	// AuthMethod is how we authenticate. Default: what fits the credentials, that is client_secret_basic with a
	// ClientSecret, private_key_jwt with a PrivateKey, bearer with a BearerToken; with Discover, the first of those
	// that the server supports. There is no default without credentials: that is what [None] is for.
	AuthMethod AuthMethod
	// PrivateKey signs the assertions of private_key_jwt: *rsa.PrivateKey of at least 2048 bits, *ecdsa.PrivateKey
	// (P-256, P-384 or P-521) or ed25519.PrivateKey.
	PrivateKey crypto.Signer `fingerprint:"-"` // its public half goes in
	// KeyID is the "kid" in the header of the assertions. Default: none.
	KeyID string
	// AssertionAlg is the JWS algorithm of the assertions. Default: HS256 for client_secret_jwt; RS256, ES256, ES384,
	// ES512 or EdDSA by the type of PrivateKey.
	AssertionAlg string
	// AssertionAudience is the "aud" of the assertions. Default: Issuer, or the URL asked when Issuer is empty.
	AssertionAudience string
	// BearerToken is our own access token for the method bearer.
	BearerToken string
	// RawBasic sends client_secret_basic without form-encoding id and secret first. RFC 6749 section 2.3.1 demands
	// the encoding, but some servers do not decode.
	RawBasic bool

	// Params are added to the request body in this order, each name once.
	Params []Param
	// TokenTypeHint is the hint sent. Default: "access_token"; [HintOff] sends none. Servers may ignore it, and it
	// never changes a verdict.
	TokenTypeHint string

	// Signed asks for RFC 9701 answers and accepts nothing else; a plain JSON answer is no verdict then. Needs
	// VerifySigned.
	Signed bool
	// VerifySigned checks the signature of a signed answer, its algorithm and "typ" (token-introspection+jwt), "iss",
	// "aud" (our ClientID) and a recent "iat", and gives back the claims as JSON, of which only "token_introspection"
	// is read (RFC 9701 section 5). Its errors are protocol errors, unless they are a [*NoVerdictError], as when
	// there are no keys. It must return when its context ends.
	VerifySigned func(ctx context.Context, jwt string) ([]byte, error) `fingerprint:"set"`

	// Decode makes [Result.Value] of an active answer, which is one JSON object. It is called once per answer; the
	// value is shared by all requests and must not change afterwards. An error means that the answer breaks the
	// protocol. Default: Value stays nil.
	Decode func(answer []byte) (any, error) `fingerprint:"set"`

	// CacheTTL is how long an active answer is used, never past its own "exp". Default 30s, at most 5m; [Off] keeps
	// none.
	CacheTTL time.Duration
	// NegativeTTL is the same for inactive answers. Default 5s, at most 5m. After an error status that says nothing
	// about the server, a token is not asked about again for as long either, but 5s at most: one second when it was
	// active before, and up to 30s after 429 with Retry-After when it was not.
	NegativeTTL time.Duration
	// CacheBytes bounds the memory for active answers. Default 16 MiB.
	CacheBytes int
	// NegativeEntries bounds the number of these that are remembered. Default 10000.
	NegativeEntries int

	// Timeout is the deadline of a call including waiting for a free slot, the retry and reading the answer. Default
	// 3s, at most 30s.
	Timeout time.Duration
	// MaxInFlight is how many calls run at the same time; 16 times as many may wait. Default 64. A quarter of both,
	// rounded up, is for tokens that were active before or are [Verified], unless MaxInFlight is 1.
	MaxInFlight int
	// BreakerFailures is how many calls in a row must fail before a circuit breaker opens: no answer, no answer in
	// time, or 502, 503 or 504. Default 10. There is one breaker for tokens that were active before or are
	// [Verified], and one for all others, for which failures of both kinds count.
	BreakerFailures int
	// BreakerWait is how long it stays open before one call tries again. Default 5s.
	BreakerWait time.Duration

	// HTTPClient makes the requests; its transport holds TLS settings, client certificate and proxy. A copy is used
	// that follows no redirects, keeps no cookies and has no deadline but Timeout. Default: a client with the
	// certificate authorities of the system and the proxies of the environment, which connects to no link-local
	// address. Required for tls_client_auth. A transport that speaks HTTP/2 should send pings ([http.HTTP2Config]),
	// or it stays with a connection that leads nowhere any more.
	HTTPClient *http.Client `fingerprint:"set"`
	// Identity stands for what makes this server another one but cannot be seen in the other fields, such as the TLS
	// settings of HTTPClient and what Discover reads. It is hashed into [Config.Fingerprint] and the cache keys.
	Identity string

	// Now is the clock. Default: [time.Now].
	Now func() time.Time `fingerprint:"-"` // for tests
	// Observer sees what happens, for metrics.
	Observer Observer `fingerprint:"-"` // changes no verdict
}

// Format keeps the secrets out of logs: whatever the verb, it prints only who asks whom.
func (c Config) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "introspect.Config{Issuer:%q Endpoint:%q ClientID:%q}", c.Issuer, display(c.Endpoint), c.ClientID)
}

func (c Config) withDefaults() Config {
	c.CacheTTL = orDefault(c.CacheTTL, DefaultCacheTTL)
	c.NegativeTTL = orDefault(c.NegativeTTL, DefaultNegativeTTL)
	c.CacheBytes = orDefault(c.CacheBytes, DefaultCacheBytes)
	c.NegativeEntries = orDefault(c.NegativeEntries, DefaultNegativeEntries)
	c.Timeout = orDefault(c.Timeout, DefaultTimeout)
	c.MaxInFlight = orDefault(c.MaxInFlight, DefaultMaxInFlight)
	c.BreakerFailures = orDefault(c.BreakerFailures, DefaultBreakerFailures)
	c.BreakerWait = orDefault(c.BreakerWait, DefaultBreakerWait)
	if c.Mode == Introspection {
		c.TokenTypeHint = orDefault(c.TokenTypeHint, "access_token")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	c.Params = append([]Param(nil), c.Params...)
	return c
}

func orDefault[T comparable](value, fallback T) T {
	var zero T
	if value == zero {
		return fallback
	}
	return value
}
