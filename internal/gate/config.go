package gate

import (
	"time"

	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/consumer"
	"github.com/caddyjwt/gateway/internal/demand"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/internal/possession"
	"github.com/caddyjwt/gateway/internal/scope"
	"github.com/caddyjwt/gateway/internal/sealed"
	"github.com/caddyjwt/gateway/internal/tenant"
)

// DefaultLeeway is the clock difference tolerated between an authorization server and this one. It is short because
// some tokens are: InterSystems' access tokens live 60 seconds, and a leeway of that size would double their life.
const DefaultLeeway = 5 * time.Second

// MaxLeeway bounds the leeway: RFC 7519 section 4.1.4 allows "no more than a few minutes".
const MaxLeeway = 5 * time.Minute

// DefaultKeyClaim is the claim that selects a consumer's credential by default, as in Kong.
const DefaultKeyClaim = "iss"

// Config is everything that a Gate needs; New checks it and copies what it keeps.
//
// Gates that differ in a field share no cached tokens, unless the field has the tag fingerprint:"-". Such a field does
// not affect whether a cached token is good or whose it is: the gate applies it to every request, or uses it for
// something else.
type Config struct {
	// Realm names the protection space in challenges.
	Realm string `fingerprint:"-"`
	// ResourceMetadata is the address of the metadata of the protected resource (RFC 9728 section 5.1), for challenges.
	// With it, a challenge about a bad token also names the scopes that the route requires. Empty means that there is no
	// metadata.
	ResourceMetadata string `fingerprint:"-"`
	// Extractor finds the token in a request and removes it from there.
	Extractor Extractor `fingerprint:"-"`
	// Audience must be satisfied by every token on this route. The zero value adds nothing to the issuers' audiences.
	Audience Audience `fingerprint:"-"`
	// Leeway is the clock difference tolerated for tokens of consumers, between 0 and MaxLeeway.
	Leeway time.Duration `fingerprint:"-"`
	// MaxLifetime bounds exp - iat and the remaining life of every token. 0 means no bound.
	MaxLifetime time.Duration `fingerprint:"-"`
	// Issuers vouch for the tokens whose iss is exactly their name, or matches the pattern of their tenants. The exact
	// name comes first.
	Issuers []Issuer
	// Consumers vouch for the tokens whose key claim is exactly the key of one of their credentials.
	Consumers []Consumer
	// Roster has further consumers, which may change. Nil means that there are none. What they are does not count in the
	// fingerprint: a cached token names what the roster gave for it, and the roster is asked again on each request.
	Roster Roster `clone:"shared" fingerprint:"set"`
	// KeyClaim selects a credential. It is looked for in the payload, then in the JOSE header. Empty means
	// DefaultKeyClaim.
	KeyClaim string
	// Require is what this route requires of an accepted token.
	Require Requirements `fingerprint:"-"`
	// ScopeImplies says which scopes imply others, for the requirements here and for matchers behind this gate. It
	// changes no claim.
	ScopeImplies []scope.Implication `fingerprint:"-"`
	// ForwardClaims sends single claims to the backend, each in a header.
	ForwardClaims []Forward `fingerprint:"-"`
	// ForwardHeader sends single members of the JOSE header to the backend, as ForwardClaims does with claims.
	ForwardHeader []Forward `fingerprint:"-"`
	// ForwardPayload names a header that sends all claims to the backend; empty means no such header. The name follows
	// the rules for those of ForwardClaims.
	ForwardPayload string `fingerprint:"-"`
	// PadPayload pads the base64url of ForwardPayload with "=".
	PadPayload bool `fingerprint:"-"`
	// ConsumerHeaders lists those headers about consumers that the backend gets. Empty means all, and "off" alone means
	// none. All of them are removed from requests, whatever the list says.
	ConsumerHeaders []string `fingerprint:"-"`
	// Outputs set further headers for the backend. Their names follow the rules for those of ForwardClaims.
	Outputs []Output `fingerprint:"-"`
	// Revocations knows which tokens are revoked. Nil means that the gate does not check for that. Gates with and without
	// it share no cached tokens.
	Revocations Revocations `clone:"shared" fingerprint:"set"`
	// OnlyLocalRevoked has Revocations be asked about tokens of Local issuers alone.
	OnlyLocalRevoked bool
	// Proof says how clients prove that they have the key to which their token is bound. Nil refuses every bound token.
	Proof *possession.Policy `fingerprint:"-"`
	// RequireTLS refuses tokens that came over http without TLS.
	RequireTLS bool `fingerprint:"-"`
	// Watched has verdicts contain what the Watch of Revocations needs.
	Watched bool `fingerprint:"-"`
	// HandedIn makes the gate judge tokens that somebody hands in for others: see Gate.Judge. Each of them brings the
	// audiences that are good, so Audience says nothing.
	HandedIn bool `fingerprint:"-"`
	// ForwardToken leaves the token in the request. By default it is removed.
	ForwardToken bool `fingerprint:"-"`
	// ExposeToken has the verdict about an accepted request contain the token.
	ExposeToken bool `fingerprint:"-"`
	// Optional lets a request without any token pass, unidentified.
	Optional bool `fingerprint:"-"`
	// OptionalExpired makes a token in a cookie count as none once it has expired, if nothing else is wrong with it. It
	// needs Optional. Browsers send a cookie until somebody deletes it. In any other place an expired token is refused.
	OptionalExpired bool `fingerprint:"-"`
	// Anonymous is the username of the consumer that a request without any token counts as. If it is empty, such a
	// request is refused unless Optional is set.
	Anonymous string `fingerprint:"-"`
	// AllowPreflight lets a genuine CORS preflight pass, unidentified.
	AllowPreflight bool `fingerprint:"-"`
	// AnyOrigin accepts a token in a cookie whatever page has sent the request. By default, a page of another origin may
	// only read: see originCheck.
	AnyOrigin bool `fingerprint:"-"`
	// TrustedOrigins are origins whose pages may also act with a token in a cookie. They are compared byte for byte.
	TrustedOrigins []string `fingerprint:"-"`
	// Public lists paths whose requests need no token, as publicpath.Set takes them. Their tokens are not judged but
	// removed.
	Public []string `fingerprint:"-"`
	// Asking overrides, for this route, what the issuers' own Asking says.
	Asking RouteAsking `fingerprint:"-"`
	// Cache keeps verified tokens. Nil means that every token is verified again.
	Cache *Cache `clone:"shared" fingerprint:"-"`
	// Turns bounds the decryptions with RSA keys that are under way. Gates of a process share it. Nil
	// gives the gate its own.
	Turns *sealed.Turns `clone:"shared" fingerprint:"-"`
	// Now is the clock; nil means time.Now.
	Now func() time.Time `fingerprint:"-"`
}

// Audience says who a token must be meant for (RFC 7519 section 4.1.3).
type Audience struct {
	// Any accepts every aud, and a token without one. It must be set explicitly: an empty list does not mean it.
	Any bool
	// Accepted lists values. The token's aud must contain at least one of them, compared exactly.
	Accepted []string
}

// configured reports whether the audience says anything.
func (a Audience) configured() bool { return a.Any || len(a.Accepted) > 0 }

// Issuer is one authorization server whose JWTs are accepted.
type Issuer struct {
	// Name is compared with the token's iss, byte for byte. With Tenants, it is their pattern.
	Name string
	// Tenants makes the issuer stand for many: those whose iss matches the pattern. Nil means that Name is exact.
	Tenants *tenant.Tenants
	// Keys verify its tokens. Nil means that all its tokens are asked about. KeysID stands for Keys in the fingerprint.
	Keys keyset.Source `fingerprint:"-"`
	// KeysID is a fingerprint of the settings of Keys. Gates whose key settings differ share no cached tokens.
	KeysID [32]byte
	// Audience of tokens of this issuer. The route's audience must be satisfied, too.
	Audience Audience `fingerprint:"-"`
	// Algorithms lists what is allowed; it must not be empty if there are Keys.
	Algorithms jose.Algorithms
	// Types lists the JOSE typ values that are allowed, in lower case and without "application/". Empty allows all but
	// those of other kinds of JWT. Another kind passes only if it is named here, by its typ or by the word that its
	// payload uses for the kind.
	Types []string
	// AccessTokenProfile requires everything that RFC 9068 does.
	AccessTokenProfile bool
	// RequiredClaims lists claims that must be present, beyond exp and iss.
	RequiredClaims []claims.Path
	// MaxLifetime as in Config. The smaller of the two applies.
	MaxLifetime time.Duration `fingerprint:"-"`
	// Leeway as in Config, for this issuer.
	Leeway time.Duration `fingerprint:"-"`
	// Tolerate lists shapes of claims that break a specification and are admitted all the same.
	Tolerate claims.Tolerance
	// GroupClaims are the claims with the groups of the caller. Empty means the claim "groups".
	GroupClaims []claims.Path
	// ConsumerClaim is the claim that names the consumer of this gate that the caller is. The zero Path means that callers
	// are no consumers.
	ConsumerClaim claims.Path `fingerprint:"-"`
	// ConsumerBy is the name of a consumer that ConsumerClaim has.
	ConsumerBy ConsumerBy `fingerprint:"-"`
	// UsernameClaim is the claim with the caller's name, for the backend. The zero Path means that the name is the
	// subject, which the backend does not get. It excludes ConsumerClaim.
	UsernameClaim claims.Path `fingerprint:"-"`
	// Revocation says whether, and by which claims, the tokens can be revoked before they expire.
	Revocation Revocation
	// Local says that this process issues the tokens. Each is for one application, whose path is in its claim app and is
	// the beginning of the paths that it is good for, or it is one of an OAuth client. If Keys are
	// Applications, too, the issuer must have the application or the client at each request. A cut-off needs no leeway,
	// because nobody else's clock is in it.
	Local bool
	// Decrypt opens encrypted tokens of the issuer. Nil means that they are never opened here.
	Decrypt *Decryption
	// Asking says how to ask the authorization server. Nil means never. With Local it opens opaque tokens, and those
	// alone.
	Asking *Asking `fingerprint:"-"`
}

// asks reports whether somebody elsewhere can be asked about tokens.
func (i *Issuer) asks() bool { return i.Asking != nil && !i.Local }

// Applications knows which applications and clients a Local issuer has now. Its methods neither block nor allocate.
type Applications interface {
	HasApplication(path string) bool
	HasClient(id string) bool
}

// Consumer is an application or person known by name.
type Consumer = consumer.Consumer

// Credential is one key of a consumer.
type Credential = consumer.Credential

// Roster has consumers that may come and go while a gate runs.
type Roster = consumer.Roster

// Requirements are what a route requires of an accepted token.
type Requirements struct {
	// Scopes must all be present.
	Scopes []string
	// AnyScopes are lists of scopes. Of each list, one scope must be present.
	AnyScopes [][]string
	// ACR lists authentication context classes. The token's acr must be one of them, compared exactly (RFC 9470).
	ACR []string
	// MaxAuthAge is how long ago the user may have signed in, by auth_time: whole seconds, at most the constant
	// MaxAuthAge. 0 means no bound.
	MaxAuthAge time.Duration
	// Claims must all be satisfied.
	Claims []claims.Condition
	// Header has what must hold for the JOSE header. It is unknown for a token that was not verified here, which is then
	// refused.
	Header []claims.Condition
	// Groups: at least one must match, among the groups of a consumer or in the groups claim of an issuer's token.
	Groups []string
	// Not is what the token must not have.
	Not demand.Exclusions
	// Any has blocks of alternatives. Of each block, one alternative must be met.
	Any [][]demand.All
	// Others must all be satisfied. They are checked last.
	Others []Requirement
}
