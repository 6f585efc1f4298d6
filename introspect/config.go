package introspect

import (
	"context"
	"crypto"
	"fmt"
	"net/http"
	"time"

	"github.com/caddyjwt/gateway/internal/fetch"
)

// Defaults and limits of [Config].
const (
	DefaultCacheTTL    = 30 * time.Second // a revocation may go unnoticed for this long
	MaxCacheTTL        = 5 * time.Minute  // of active and inactive answers
	DefaultNegativeTTL = 5 * time.Second
	DefaultTimeout     = 3 * time.Second
	MaxTimeout         = 30 * time.Second
	DefaultMaxInFlight = 64

	DefaultCacheBytes      = 16 << 20
	DefaultNegativeEntries = 10_000
	DefaultBreakerFailures = 10
	DefaultBreakerWait     = 5 * time.Second

	// MaxToken is the length in bytes of the longest token that is hashed or sent.
	MaxToken = 16 << 10
	// MaxAnswer is the length in bytes of the longest answer that is read, after decompression.
	MaxAnswer = 256 << 10
	// MaxDepth is how deeply the objects and arrays of an answer may be nested.
	MaxDepth = 16

	// queuePerSlot times MaxInFlight calls may wait for a free slot. Each costs one goroutine. When the queue is full, a
	// call fails at once.
	queuePerSlot = 16
)

// Off turns a cache off. It is not zero, because a zero field of [Config] means its default. When a configuration file
// says "0 seconds", pass Off.
const Off time.Duration = -1

// HintOff is the [Config.TokenTypeHint] that sends no hint.
const HintOff = "off"

// Mode is the kind of question that is asked.
type Mode uint8

const (
	// Introspection posts the token to an RFC 7662 introspection endpoint.
	Introspection Mode = iota
	// UserInfo sends a GET to the OpenID Connect UserInfo endpoint, with the token as the bearer credential. An answer
	// with status 200 and an object that has a "sub" means active, and 401 means inactive.
	//
	// This is for servers without introspection, and it proves less. The answer says who the user is. It does not say for
	// which audience, client or scope the token was issued, nor when it expires. So a token issued for any other
	// application of that server is active here. Checks of those claims have nothing to look at, and [Result.ExpiresAt] is
	// zero, unless a signed answer has an end of its own.
	UserInfo
)

// AuthMethod is how we authenticate to the introspection endpoint. A request uses exactly one method (RFC 6749 section
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

// Endpoint says where and how the server wants to be asked, according to its metadata (RFC 8414).
type Endpoint struct {
	// URL is introspection_endpoint, or userinfo_endpoint in [UserInfo] mode.
	URL string
	// MTLSURL is the same endpoint in mtls_endpoint_aliases (RFC 8705 section 5). [TLSClientAuth] uses it instead of URL.
	// Empty means that the server names no such alias.
	MTLSURL string
	// AuthMethods is introspection_endpoint_auth_methods_supported. When it is not empty and [Config.AuthMethod] is empty,
	// the method must be one of these.
	AuthMethods []AuthMethod
}

// PlainHTTP says to which addresses requests may go without TLS. Whoever is on their way can read our credentials and
// the tokens, and can change the answers.
type PlainHTTP uint8

const (
	LoopbackHTTP PlainHTTP = PlainHTTP(fetch.LoopbackHTTP) // this machine only: localhost, 127.0.0.0/8, [::1]
	PrivateHTTP  PlainHTTP = PlainHTTP(fetch.PrivateHTTP)  // also private (RFC 1918) and unique local (RFC 4193) ones
	SharedHTTP   PlainHTTP = PlainHTTP(fetch.SharedHTTP)   // also 100.64.0.0/10 (RFC 6598)
)

// Credentials are the secrets of a [Config] at one moment.
type Credentials struct {
	ClientSecret string
	PrivateKey   crypto.Signer
	BearerToken  string
	// Version is another number for other secrets.
	Version uint64
}

// Param is an additional parameter of the request body.
type Param struct{ Name, Value string }

// Config says which server to ask, and how. A zero field means its default.
type Config struct {
	// Issuer identifies the authorization server. It is the audience of client assertions, and part of the fingerprint.
	// Required with Discover.
	Issuer string
	// Mode is the kind of question. Default: [Introspection].
	Mode Mode
	// Endpoint is the URL to ask: https, or http as far as PlainHTTP allows it.
	Endpoint string
	// Discover returns the endpoint when none is configured. It runs before every call to the server, so it should
	// remember its answer. It must return when its context ends: until then it occupies one of the MaxInFlight slots. Its
	// errors count as [CauseUnavailable], unless they are a [*NoVerdictError]. Set either Endpoint or Discover, not both.
	Discover func(context.Context) (Endpoint, error) `fingerprint:"set"`

	// PlainHTTP says to which addresses questions may go without TLS. Default: [LoopbackHTTP]. An HTTPClient of your own
	// has to check what it dials: only the text of the address is checked here.
	PlainHTTP PlainHTTP

	// ClientID is our client identifier at the server. Register a client for this purpose alone: some servers call a token
	// inactive when the client that obtained it asks. In [UserInfo] mode, it is only for signed answers: the audience that
	// they must have.
	ClientID string
	// ClientSecret is for client_secret_basic, client_secret_post and client_secret_jwt.
	ClientSecret string
	// AuthMethod is how we authenticate. The default follows from the credentials: client_secret_basic with a
	// ClientSecret, private_key_jwt with a PrivateKey, bearer with a BearerToken. With Discover, it is the first fitting
	// method that the server supports. Without credentials there is no default: say [None] if the endpoint needs no
	// authentication.
	AuthMethod AuthMethod
	// PrivateKey signs the assertions of private_key_jwt: *rsa.PrivateKey of at least 2048 bits, *ecdsa.PrivateKey
	// (P-256, P-384 or P-521) or ed25519.PrivateKey.
	PrivateKey crypto.Signer `fingerprint:"-"` // its public half counts instead
	// KeyID is the "kid" in the header of the assertions. Default: none.
	KeyID string
	// AssertionAlg is the JWS algorithm of the assertions. Default: HS256 for client_secret_jwt. For private_key_jwt it
	// depends on the PrivateKey: RS256, ES256, ES384, ES512 or EdDSA.
	AssertionAlg string
	// AssertionAudience is the "aud" of the assertions. Default: Issuer, or the URL that is asked when Issuer is empty.
	AssertionAudience string
	// BearerToken is our own access token for the method bearer.
	BearerToken string
	// Renew returns the credentials of this moment, for those that change while the client is in use. It is called before
	// each question to the server. After an answer with status 401, it is called again with refused set: if it then
	// returns another Version, the server is asked once more. Default: the fields above, which never change.
	//
	// It must return the same kind of credential as those fields have, and one that is as good: nobody checks it again. It
	// must be fast, and safe for concurrent use. With it, the secrets do not count in [Config.Fingerprint]. Identity must
	// say where they come from.
	Renew func(refused bool) Credentials `fingerprint:"set"`
	// RawBasic leaves out the form-encoding of id and secret in client_secret_basic. RFC 6749 section 2.3.1 demands the
	// encoding, but some servers do not decode.
	RawBasic bool

	// Params are added to the request body in this order. A name may occur only once.
	Params []Param
	// TokenTypeHint is the hint that is sent. Default: "access_token"; [HintOff] sends none. Servers may ignore it, and it
	// never changes a verdict.
	TokenTypeHint string

	// Signed asks for signed answers and accepts nothing else: a plain JSON answer is then no verdict. To introspection,
	// these are the responses of RFC 9701. In [UserInfo] mode they are of the type application/jwt (OpenID Connect Core
	// 1.0 section 5.3.2). Needs VerifySigned.
	Signed bool
	// VerifySigned verifies a signed answer and returns its claims as JSON. It gets the text as it came: if the server
	// encrypts its answers as well, the function has to decrypt them first.
	//
	// It has to check the signature, its algorithm, and "iss". To introspection, also "typ" (token-introspection+jwt),
	// "aud" (our ClientID), and that "iat" is recent; only "token_introspection" is read from the claims (RFC 9701 section
	// 5). In [UserInfo] mode, also "aud" (our ClientID, if there is one), that "typ" names no other kind of JWT, and the
	// times, if there are any; all claims are the answer, and it is not used after its "exp".
	//
	// Its errors count as [CauseProtocol], unless they are a [*NoVerdictError], for example because there are no keys yet.
	// It must return when its context ends.
	VerifySigned func(ctx context.Context, jwt string) ([]byte, error) `fingerprint:"set"`

	// Tolerate lists shapes of answers that are admitted against the specifications. Default: none.
	Tolerate Tolerance
	// Decode makes [Result.Value] from an active answer, which is one JSON object. It runs once per answer. All requests
	// share the value, so it must not change afterwards. An error means that the answer breaks the protocol. Default:
	// Value stays nil.
	Decode func(answer []byte) (any, error) `fingerprint:"set"`

	// CacheTTL is how long an active answer is used, but never past its own "exp". Default 30s, at most 5m; [Off] keeps
	// none.
	CacheTTL time.Duration
	// NegativeTTL is how long an inactive answer is used. Default 5s, at most 5m; [Off] keeps none.
	//
	// It also spares the server after an error status that says nothing about the server's health. A token that got such
	// an answer is not asked about again for NegativeTTL, at most 5s; for a token that is known (see the package
	// documentation), at most 1s. After 429 with Retry-After, a token that is not known waits as long as the server asks,
	// up to 30s.
	NegativeTTL time.Duration
	// CacheBytes bounds the memory for active answers. Default 16 MiB.
	CacheBytes int
	// NegativeEntries bounds the number of inactive answers in memory, recent errors included. Default 10000.
	NegativeEntries int

	// Timeout is the deadline of a call. It covers waiting for a free slot, the second attempt and reading the answer.
	// Default 3s, at most 30s.
	Timeout time.Duration
	// MaxInFlight is how many calls may run at a time; 16 times as many may wait. Default 64, at most 16384. A quarter of
	// both, rounded up, is reserved for tokens that were active before or are [Verified], unless MaxInFlight is 1.
	MaxInFlight int
	// BreakerFailures is how many calls in a row must fail before a circuit breaker opens. Failing means no answer, no
	// answer in time, or status 502, 503 or 504. Default 10. There are two breakers: one for tokens that were active
	// before or are [Verified], and one for all others. Failures about the former count for both.
	BreakerFailures int
	// BreakerWait is how long an open breaker waits before one call tries the server again. Default 5s, at most 5m.
	BreakerWait time.Duration

	// HTTPClient makes the requests. Its transport holds TLS settings, the client certificate and the proxy. The package
	// uses a copy that follows no redirects, keeps no cookies, and has no deadline but Timeout. Default: a client that
	// trusts the system's certificate authorities, uses the proxies of the environment, and connects to no link-local
	// address. Required for tls_client_auth. A transport that speaks HTTP/2 should send pings ([http.HTTP2Config]);
	// otherwise it keeps using connections that have gone dead.
	HTTPClient *http.Client `fingerprint:"set"`
	// Identity stands for what makes this server different from another but is invisible in the other fields, such as the
	// TLS settings of HTTPClient and the source that Discover reads. It goes into [Config.Fingerprint] and the cache keys.
	Identity string

	// Now is the clock. Default: [time.Now].
	Now func() time.Time `fingerprint:"-"` // for tests
	// Observer is notified of what happens, for metrics.
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
