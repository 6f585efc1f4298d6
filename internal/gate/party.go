package gate

import (
	"cmp"
	"fmt"
	"time"

	"github.com/caddyjwt/gateway/internal/causes"
	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/revoke"
	"github.com/caddyjwt/gateway/internal/sealed"
	"github.com/caddyjwt/gateway/internal/setting"
	"github.com/caddyjwt/gateway/internal/tenant"
)

// unlisted is the index of a party that may come and go.
const unlisted = -1

// party is who vouches for a token: an issuer, or one credential of a consumer.
type party struct {
	index       int    // stable as long as the gate's fingerprint is, so a cached token can refer to it across reloads
	name        string // the issuer's name, or the credential's key
	issuer      *Issuer
	consumer    *Consumer
	credential  *Credential
	algorithms  jose.Algorithms
	leeway      time.Duration
	maxLifetime time.Duration
	ambiguous   Ambiguous
	reading     *claims.Reading // nil for the usual one
	pattern     *tenant.Pattern // of the issuer's tenants; nil if the name is exact. Identities keep it
	revocable   bool            // its tokens can be revoked
	terms       *revoke.Terms   // and by what
	apps        Applications    // nil if nobody knows them
}

// parties finds the party that vouches for a token. The cost does not depend on the number of parties.
type parties struct {
	all         []*party
	issuers     map[string]*party    // by name
	patterns    tenant.Index[*party] // issuers with tenants
	credentials map[string]*party    // by credential key
	consumers   map[string]*Consumer // by username
	customIDs   map[string]*Consumer // by custom id; nil if no issuer needs it
	roster      Roster               // nil for none
	leeway      time.Duration        // for tokens of consumers, as maxLifetime
	maxLifetime time.Duration
	keyClaim    string
	opaque      []*party        // issuers that take opaque tokens, the longest prefix first
	opening     []*party        // issuers whose tokens may be encrypted for this gate
	turns       *sealed.Turns   // for opening them
	types       []string        // all Types of the issuers
	algorithms  jose.Algorithms // of all parties
	near        *causes.Issuers // for tokens of unknown issuers
	varied      bool            // a party has a reading
	revocable   bool            // tokens of consumers can be revoked
	notAsked    error           // the cause when no issuer takes an opaque token
}

// index builds the look-up tables. It refuses whatever would make a look-up ambiguous.
func index(c *Config) (*parties, error) {
	p := &parties{
		issuers:     make(map[string]*party, len(c.Issuers)),
		credentials: make(map[string]*party),
		consumers:   make(map[string]*Consumer, len(c.Consumers)),
		keyClaim:    cmp.Or(c.KeyClaim, DefaultKeyClaim),
		leeway:      c.Leeway, maxLifetime: c.MaxLifetime,
		revocable: c.Revocations != nil && !c.OnlyLocalRevoked,
		turns:     c.Turns,
	}
	for i := range c.Issuers {
		if err := p.addIssuer(c, i); err != nil {
			return nil, setting.In(setting.Element("Issuers", i), err)
		}
	}
	for i := range c.Consumers {
		if err := p.addConsumer(&c.Consumers[i]); err != nil {
			return nil, setting.In(setting.Element("Consumers", i), err)
		}
	}
	if err := p.addNames(c); err != nil {
		return nil, err
	}
	names := make([]string, 0, len(c.Issuers))
	for i := range c.Issuers {
		names = append(names, c.Issuers[i].Name)
	}
	p.near = causes.NewIssuers(names)
	for _, member := range p.all {
		p.algorithms = p.algorithms.Union(member.algorithms)
		p.varied = p.varied || member.reading != nil
	}
	if err := p.addRoster(c.Roster); err != nil {
		return nil, setting.In("Roster", err)
	}
	return p, p.orderOpaque()
}

func (p *parties) addIssuer(c *Config, i int) error {
	issuer := &c.Issuers[i]
	if _, twice := p.issuers[issuer.Name]; twice {
		return setting.Errorf("Name", "issuer %q is configured twice: put all its settings into one block", issuer.Name)
	}
	member := &party{
		index: len(p.all), name: issuer.Name, issuer: issuer,
		algorithms: issuer.Algorithms, leeway: issuer.Leeway, maxLifetime: shorter(c.MaxLifetime, issuer.MaxLifetime),
		ambiguous: c.Ambiguous(issuer),
	}
	if err := issuer.Tolerate.Check(issuer.use(member.maxLifetime)); err != nil {
		return setting.Errorf("Tolerate", "issuer %q: %w", issuer.Name, err)
	}
	member.reading = issuer.Reading(member.maxLifetime)
	member.setRevocation(c.canRevoke(issuer))
	member.apps, _ = issuer.Keys.(Applications)
	p.types = append(p.types, issuer.Types...)
	if issuer.Decrypt != nil {
		p.opening = append(p.opening, member)
	}
	p.all = append(p.all, member)
	if of := issuer.Tenants; of != nil {
		pattern := of.Pattern
		member.pattern = &pattern
		return setting.In("Name", p.patterns.Add(of, member))
	}
	p.issuers[issuer.Name] = member
	if issuer.Asking != nil && issuer.Asking.Mode != AskJWTs {
		p.opaque = append(p.opaque, member)
	}
	return nil
}

func (p *parties) addConsumer(consumer *Consumer) error {
	where := fmt.Sprintf("consumer %q", consumer.Username)
	if err := consumer.Check(p.keyClaim, p.maxLifetime); err != nil {
		if consumer.Username == "" {
			return err
		}
		return fmt.Errorf("%s: %w", where, err)
	}
	if _, twice := p.consumers[consumer.Username]; twice {
		return setting.Errorf("Username", "%s is configured twice: put all its credentials into one block", where)
	}
	// A cached identity keeps its consumer alive. A copy of its own does not keep all others of an old configuration.
	own := *consumer
	own.Credentials = nil
	p.consumers[own.Username] = &own
	for i := range consumer.Credentials {
		if err := p.addCredential(&own, &consumer.Credentials[i]); err != nil {
			return fmt.Errorf("%s: %w", where, setting.In(setting.Element("Credentials", i), err))
		}
	}
	return nil
}

func (p *parties) addCredential(consumer *Consumer, credential *Credential) error {
	where := fmt.Sprintf("credential %q", credential.Key)
	if other, twice := p.credentials[credential.Key]; twice {
		return setting.Errorf("Key", "%s belongs to consumer %q already: a credential key selects exactly one credential",
			where, other.consumer.Username)
	}
	if _, both := p.issuers[credential.Key]; both || p.patterns.Matches(credential.Key) {
		return setting.Errorf("Key",
			"%s is also the name of an issuer: a token could belong to either; rename one of the two", where)
	}
	member := p.vouching(consumer, credential)
	member.index = len(p.all)
	p.all = append(p.all, member)
	p.credentials[credential.Key] = member
	return nil
}

// vouching makes the party that vouches for the tokens of a credential. It is in no list yet.
func (p *parties) vouching(consumer *Consumer, credential *Credential) *party {
	return &party{
		index: unlisted, name: credential.Key, consumer: consumer, credential: credential,
		algorithms: jose.MakeAlgorithms(credential.Algorithm), leeway: p.leeway, maxLifetime: p.maxLifetime,
		reading: credential.Reading(consumer.Tolerate, p.maxLifetime), revocable: p.revocable,
	}
}

// partyOf finds the party that the token names: the credential whose key is the key claim, or else the issuer whose
// name is iss, or else the one whose pattern iss matches. Nothing is verified yet, so the token only selects among the
// configured parties (RFC 8725 section 3.8).
func (p *parties) partyOf(header *jose.Header, set *claims.Set) *party {
	if p.hasCredentials() {
		if key, ok := p.untrustedKeyClaim(header, set); ok {
			if member := p.credentials[key]; member != nil {
				return member
			}
			if member := p.inRoster(key); member != nil {
				return member
			}
		}
	}
	if set.Issuer == "" {
		return nil
	}
	if member := p.issuers[set.Issuer]; member != nil {
		return member
	}
	member, _ := p.patterns.Find(set.Issuer)
	return member
}

// untrustedKeyClaim reads the key claim from the payload, then from the JOSE header, as Kong does.
func (p *parties) untrustedKeyClaim(header *jose.Header, set *claims.Set) (string, bool) {
	if p.keyClaim == "iss" && set.Issuer != "" {
		return set.Issuer, true
	}
	if value, ok := set.Claim(p.keyClaim); ok {
		return value.JSON().Str() // any other type selects nothing, and the header's parameter does not count then
	}
	return header.Text(p.keyClaim)
}

func shorter(a, b time.Duration) time.Duration {
	if a == 0 || (b != 0 && b < a) {
		return b
	}
	return a
}
