package gate

import (
	"errors"
	"fmt"
	"time"

	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/revoke"
	"github.com/caddyjwt/gateway/internal/setting"
)

// Revocation says whether tokens of an issuer can be revoked before they expire. The zero value is the usual case: they
// can, if the gate has Revocations.
type Revocation struct {
	// Off leaves the issuer out.
	Off bool
	// Claims are claims by whose values the tokens can be revoked, beside jti, sub, sid and the client.
	Claims []claims.Path
}

// checkRevocation makes sure that Revocations can do what they are for. A revocation need not be kept longer than a
// token lives, and without a bound of that it would have to be kept for ever.
func (c *Config) checkRevocation() error {
	if c.Revocations == nil {
		return nil
	}
	for i := range c.Issuers {
		issuer := &c.Issuers[i]
		if shorter(c.MaxLifetime, issuer.MaxLifetime) == 0 && c.canRevoke(issuer) && !issuer.Local {
			return setting.Errorf(setting.Element("Issuers", i)+".MaxLifetime", "issuer %q: its tokens can be revoked, because "+
				"there is a store, and max_lifetime says how long that must be remembered: add \"max_lifetime <duration>\", the "+
				"longest that the server issues tokens for, or \"revocation off\"", issuer.Name)
		}
	}
	if c.hasCredentials() && c.MaxLifetime == 0 && !c.OnlyLocalRevoked {
		return setting.Errorf("MaxLifetime", "the tokens of consumers can be revoked, because there is a store, and "+
			"max_lifetime says how long that must be remembered: add \"max_lifetime <duration>\" to bearer_auth, the longest "+
			"that a token lives")
	}
	return nil
}

// canRevoke reports whether tokens of an issuer can be revoked.
func (c *Config) canRevoke(issuer *Issuer) bool {
	return c.Revocations != nil && !issuer.Revocation.Off && (issuer.Local || !c.OnlyLocalRevoked)
}

// setRevocation notes whether tokens of the issuer can be revoked, and by what.
func (p *party) setRevocation(possible bool) {
	p.revocable = possible
	pattern := ""
	if p.issuer.Tenants != nil {
		pattern = p.name
	}
	p.terms = revoke.NewTerms(pattern, p.issuer.Revocation.Claims...)
}

// memory is how many bytes may be remembered of each token when it is judged: as the issuer's, and as that of the
// consumer that it names for this gate, or for another one that shares the cache.
func (p *party) memory() int {
	switch {
	case !p.revocable:
		return 0
	case p.consumer != nil:
		return revoke.MemorySize
	default:
		return 2 * revoke.MemorySize
	}
}

// checkRevoked refuses a token that was revoked before it expired. If that cannot be found out, the token is refused,
// too: it may have been revoked. A token that was good in the present generation is not looked up again.
func (g *Gate) checkRevoked(found *authenticated, token string, now time.Time) error {
	if !found.party.revocable {
		return nil
	}
	t := found.revocable(token)
	return g.lookUp(&t, now)
}

// checkConsumerRevoked is checkRevoked for the consumer that the token of an issuer names.
func (g *Gate) checkConsumerRevoked(found *authenticated, token string, now time.Time) error {
	if !found.party.revocable || found.identity.Consumer == nil || found.party.consumer != nil {
		return nil
	}
	t := found.revocable(token)
	t.Issuer = "" // checkRevoked has looked for those
	return g.lookUp(&t, now)
}

func (g *Gate) lookUp(t *revoke.Token, now time.Time) error {
	generation, err := g.revocations.Generation(now)
	if err != nil {
		return fail(RevocationsUnavailable, err)
	}
	if t.WasGood(generation) {
		return nil
	}
	if by, revoked := g.revocations.Revokes(*t); revoked {
		return revokedBy(by)
	}
	t.KeepGood(generation)
	return nil
}

// revocable is the token as Revocations know it.
func (a *authenticated) revocable(token string) revoke.Token {
	id := a.identity
	t := revoke.Token{Issuer: id.Issuer, Set: id.Claims, Terms: a.party.terms, Memory: id.Memory()}
	if id.Consumer != nil {
		t.Consumer = id.Consumer.Username
	}
	t.Inside = a.traits.inside
	if a.traits.opaque || a.traits.sealed || id.Claims.ID == "" { // operators cannot read an encrypted token, either
		t.Raw = token
	}
	return t
}

// revokedBy is the failure of a revoked token. Its cause says what the tokens that were revoked with it have in common.
func revokedBy(by revoke.Match) *Failure {
	var which string
	switch by.Kind {
	case revoke.Outgrown:
		return fail(LifetimeTooLong, fmt.Errorf("the token was issued when max_lifetime was %v, and lives longer: what was "+
			"revoked until %s was not remembered for as long; get a new token", by.Longest, date(by.Until)))
	case revoke.ID, revoke.Text:
		return fail(Revoked, errors.New("this very token is revoked"))
	case revoke.All:
		which = "all tokens of " + by.Whose()
	case revoke.Claim:
		which = "all tokens with this " + by.Claim
	default:
		which = "all tokens with this " + by.Kind.String()
	}
	return fail(Revoked, fmt.Errorf("%s that were issued until %s are revoked", which, date(by.Until)))
}

// watchable is the token for Verdict.Revocable.
func (g *Gate) watchable(found *authenticated, token string) *revoke.Token {
	if !g.watched || !found.party.revocable {
		return nil
	}
	t := found.revocable(token)
	t.Memory = nil
	if t.Raw != "" { // the response may go on for days, and must not keep the token
		t.Digest, t.Raw = revoke.Digest(t.Raw), ""
	}
	return &t
}

// Owners are those whose tokens can be revoked at this gate.
func (g *Gate) Owners() (owners []revoke.Owner) {
	longest, leeway := g.parties.maxLifetime, g.parties.leeway
	ofConsumers := g.parties.revocable && g.parties.hasCredentials()
	for _, p := range g.parties.all {
		if p.issuer == nil || !p.revocable {
			continue
		}
		if p.issuer.namesConsumer() {
			ofConsumers, longest, leeway = true, max(longest, p.maxLifetime), max(leeway, p.leeway)
		}
		owner := revoke.Owner{Issuer: p.name, MaxLifetime: p.maxLifetime, Leeway: p.leeway, Claims: p.terms.Claims(),
			SameClock: p.issuer.Local}
		if p.pattern != nil {
			owner.IsTenant = p.isTenant
		}
		owners = append(owners, owner)
	}
	if ofConsumers {
		owners = append(owners, revoke.Owner{
			IsConsumer:  func(username string) bool { return g.parties.consumerNamed(ByUsername, username) != nil },
			MaxLifetime: longest, Leeway: leeway,
		})
	}
	return owners
}

// Revoked is how many tokens in the cache an entry would refuse. It looks at all of them.
func (c *Cache) Revoked(by *revoke.Entry) (n int) {
	for _, e := range c.store.All() {
		t := revoke.Token{Issuer: e.identity.Issuer, Set: e.identity.Claims}
		if configured := e.identity.ConfiguredIssuer(); configured != t.Issuer {
			t.Terms = revoke.NewTerms(configured)
		}
		if e.identity.Consumer != nil {
			t.Consumer = e.identity.Consumer.Username
		}
		if by.Refuses(t) {
			n++
		}
	}
	return n
}
