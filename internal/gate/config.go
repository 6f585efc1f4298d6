package gate

import (
	"time"

	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyset"
)

// DefaultLeeway is the clock difference that is forgiven between an authorization server and us. InterSystems' access
// tokens live 60 seconds; a leeway in the order of a token's life would be a second life.
const DefaultLeeway = 5 * time.Second

// MaxLeeway bounds the leeway: RFC 7519 section 4.1.4 allows "no more than a few minutes".
const MaxLeeway = 5 * time.Minute

// DefaultKeyClaim selects a consumer's credential when nothing else is said, as in Kong.
const DefaultKeyClaim = "iss"

// Config is everything that a Gate needs; New checks it and copies what it keeps.
//
// A field with the tag fingerprint:"-" has no say in whether a remembered token is good and whose it is. It is judged
// on each request, or is about something else. Gates that differ in another field share no remembered tokens.
type Config struct {
	// Realm names the protection space in challenges.
	Realm string `fingerprint:"-"`
	// Extractor finds the token in a request.
	Extractor Extractor `fingerprint:"-"`
	// Audience must be satisfied by every token on this route; the zero value asks for nothing.
	Audience Audience `fingerprint:"-"`
	// Leeway is the clock difference forgiven for tokens of consumers. Between 0 and MaxLeeway.
	Leeway time.Duration `fingerprint:"-"`
	// MaxLifetime bounds exp - iat and the remaining life of every token; 0 means no bound.
	MaxLifetime time.Duration `fingerprint:"-"`
	// Issuers vouch for the tokens whose iss is exactly their name.
	Issuers []Issuer
	// Consumers vouch for the tokens whose key claim is exactly the key of one of their credentials.
	Consumers []Consumer
	// KeyClaim selects a credential: looked for in the payload, then in the JOSE header. Empty means DefaultKeyClaim.
	KeyClaim string
	// Require is what an accepted token must bring for this route.
	Require Requirements `fingerprint:"-"`
	// ForwardClaims tells the backend claims in headers.
	ForwardClaims []ForwardClaim `fingerprint:"-"`
	// ForwardPayload names a header that tells the backend all claims at once; empty for none. Its name follows the rules
	// for those of ForwardClaims.
	ForwardPayload string `fingerprint:"-"`
	// Outputs tell the backend more. Their names follow the rules for those of ForwardClaims.
	Outputs []Output `fingerprint:"-"`
	// Revocations knows which tokens are revoked; nil for none.
	Revocations Revocations `fingerprint:"-"`
	// ForwardToken leaves the token in the request; by default it is removed.
	ForwardToken bool `fingerprint:"-"`
	// Optional lets a request without any token pass, unidentified.
	Optional bool `fingerprint:"-"`
	// Anonymous is the username of the consumer as which a request without any token passes; empty for none.
	Anonymous string `fingerprint:"-"`
	// AllowPreflight lets a genuine CORS preflight pass, unidentified.
	AllowPreflight bool `fingerprint:"-"`
	// Asking refines what the issuers say about asking.
	Asking RouteAsking `fingerprint:"-"`
	// Cache keeps verified tokens; nil for none.
	Cache *Cache `clone:"shared" fingerprint:"-"`
	// Now tells the time; nil means time.Now.
	Now func() time.Time `fingerprint:"-"`
}

// Audience says who a token must be meant for (RFC 7519 section 4.1.3).
type Audience struct {
	// Any accepts every audience, and none: it must be written out.
	Any bool
	// Accepted are the values of which the token's aud must contain at least one, compared exactly.
	Accepted []string
}

// configured reports whether there is any setting at all.
func (a Audience) configured() bool { return a.Any || len(a.Accepted) > 0 }

// Issuer is one authorization server whose JWTs are accepted.
type Issuer struct {
	// Name is compared with the token's iss, byte for byte.
	Name string
	// Keys verify its tokens. KeysID stands for them in the fingerprint.
	Keys keyset.Source `fingerprint:"-"`
	// KeysID fingerprints the settings of Keys: cached verdicts of other settings are out of reach.
	KeysID [32]byte
	// Audience of tokens of this issuer, beside the route's.
	Audience Audience `fingerprint:"-"`
	// Algorithms allowed; never empty.
	Algorithms jose.Algorithms
	// Types allowed as JOSE typ, lower case and without "application/"; empty means any that is not another kind of
	// JWT. Another kind passes only when it is named here: by its typ, or by the word for what its payload says it is.
	Types []string
	// AccessTokenProfile asks for the whole of RFC 9068.
	AccessTokenProfile bool
	// Require lists claims that must be there, beyond exp and iss.
	Require []claims.Path
	// MaxLifetime as in Config; the smaller of the two counts.
	MaxLifetime time.Duration `fingerprint:"-"`
	// Leeway as in Config, for this issuer.
	Leeway time.Duration `fingerprint:"-"`
	// Asking asks the authorization server; nil for never.
	Asking *Asking `fingerprint:"-"`
}

// Consumer is an application or person known by name, as in InterSystems API Manager and Kong.
type Consumer struct {
	// Username is unique among the consumers.
	Username string
	// ID and CustomID are told to the backend; both are optional.
	ID, CustomID string
	// Groups satisfy "require group" and are told to the backend.
	Groups []string
	// Credentials verify the consumer's tokens; none for a consumer that is only ever anonymous.
	Credentials []Credential
}

// Credential is one key of a consumer.
type Credential struct {
	// Key is the value of the key claim that selects this credential; unique among all credentials.
	Key string
	// Algorithm is the only one accepted.
	Algorithm jose.Algorithm
	// Verifier is the public key or secret. Its thumbprint stands for it in the fingerprint.
	Verifier *jose.Key `clone:"shared" fingerprint:"-"`
	// NotAfter is when the certificate of the key expires; zero for a key without one.
	NotAfter time.Time `fingerprint:"-"`
}

// Requirements are what this route asks of an accepted token.
type Requirements struct {
	// Scopes must all be there.
	Scopes []string
	// Claims must each be satisfied.
	Claims []ClaimRequirement
	// Groups: at least one must be there. For a consumer they are its groups, for an issuer's token the groups claim.
	Groups []string
	// Others must all be satisfied, after those above.
	Others []Requirement
}

// ClaimRequirement asks for a claim, with one of the values when there are any.
type ClaimRequirement struct {
	Path   claims.Path
	Values []string
}

// ForwardClaim tells the backend a claim in a header.
type ForwardClaim struct {
	Path   claims.Path
	Header string
}
