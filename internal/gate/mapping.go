package gate

import (
	"errors"
	"fmt"
	"strings"

	"github.com/caddyjwt/gateway/internal/causes"
	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/fields"
	"github.com/caddyjwt/gateway/internal/setting"
)

// ConsumerBy is the name of a consumer that ConsumerClaim has.
type ConsumerBy uint8

// The names of a consumer.
const (
	ByUsername ConsumerBy = iota
	ByCustomID
)

func (i *Issuer) namesConsumer() bool { return !i.ConsumerClaim.IsZero() }

func (i *Issuer) namesCaller() bool { return !i.UsernameClaim.IsZero() }

// mapped is the caller behind a token of an issuer, as its ConsumerClaim or UsernameClaim names it. The identity stays
// as it is without such a claim. With one, mapped makes a new identity for each request: other gates may share the old
// one, and have other consumers.
func (g *Gate) mapped(found *authenticated) (*Identity, error) {
	switch issuer := found.party.issuer; {
	case issuer == nil:
		return found.identity, nil
	case issuer.namesConsumer():
		return g.asConsumer(issuer, found.identity)
	case issuer.namesCaller():
		return g.withName(issuer, found.identity)
	default:
		return found.identity, nil
	}
}

// asConsumer is the identity as the consumer that its ConsumerClaim names.
func (g *Gate) asConsumer(issuer *Issuer, id *Identity) (*Identity, error) {
	claim := issuer.ConsumerClaim
	value, there := id.Claims.Lookup(claim)
	if !there {
		return nil, fail(UnknownConsumer, fmt.Errorf("the token has no claim %v, which consumer_claim names", claim))
	}
	name, isText := value.JSON().Str()
	if !isText {
		return nil, fail(UnknownConsumer, fmt.Errorf("claim %v is of the type %v, and only a string names a consumer",
			claim, value.JSON().Kind()))
	}
	consumer := g.parties.consumerNamed(issuer.ConsumerBy, name)
	if consumer == nil {
		return nil, fail(UnknownConsumer, fmt.Errorf("claim %v is %s, and no consumer has that %s",
			claim, causes.Quote(name), issuer.ConsumerBy))
	}
	// The anonymous consumer may have rights that are meant for requests without a token alone.
	if g.anonymous != nil && consumer.Username == g.anonymous.ID {
		return nil, fail(UnknownConsumer, fmt.Errorf("claim %v is %s, and no token can be the anonymous consumer",
			claim, causes.Quote(name)))
	}
	return id.AsConsumer(consumer), nil
}

// withName is the identity with the name in its UsernameClaim.
func (g *Gate) withName(issuer *Issuer, id *Identity) (*Identity, error) {
	claim := issuer.UsernameClaim
	value, there := id.Claims.Lookup(claim)
	if !there || value.IsEmpty() {
		err := claims.CheckPresent(id.Claims, []claims.Path{claim})
		return nil, claimFailure(err).adding(", which username_claim names")
	}
	name, isText := value.JSON().Str()
	err := fields.CheckValue(name)
	switch {
	case !isText:
		err = fmt.Errorf("it is of the type %v, and only a string is a name", value.JSON().Kind())
	case err != nil:
	// HTTP and many backends drop blanks at the ends, and would make "alice " the consumer "alice".
	case strings.Trim(strings.TrimSpace(name), "\ufeff") != name:
		err = errors.New("it has a blank at one of its ends")
	case g.parties.consumerNamed(ByUsername, name) != nil:
		err = fmt.Errorf("it is %s, the username of a consumer", causes.Quote(name))
	}
	if err != nil {
		return nil, fail(UnsafeClaim, fmt.Errorf("claim %v: %w", claim, err))
	}
	return id.WithName(name), nil
}

// consumerNamed finds a consumer by one of its names, compared byte for byte. It is nil if there is none.
func (p *parties) consumerNamed(by ConsumerBy, name string) *Consumer {
	known := p.consumers
	if by == ByCustomID {
		known = p.customIDs
	}
	switch consumer := known[name]; {
	case consumer != nil || p.roster == nil:
		return consumer
	case by == ByCustomID:
		return p.roster.WithCustomID(name)
	default:
		return p.roster.Consumer(name)
	}
}

// String names it as the configuration does.
func (by ConsumerBy) String() string {
	if by == ByCustomID {
		return "custom_id"
	}
	return "username"
}

// addNames makes the look-up tables for ConsumerClaim. It refuses one that would find nobody, or several consumers.
func (p *parties) addNames(c *Config) error {
	for i := range c.Issuers {
		if err := p.addNamesFor(c, &c.Issuers[i]); err != nil {
			return setting.In(setting.Element("Issuers", i), fmt.Errorf("issuer %q: %w", c.Issuers[i].Name, err))
		}
	}
	return nil
}

func (p *parties) addNamesFor(c *Config, issuer *Issuer) error {
	if !issuer.namesConsumer() {
		return nil
	}
	reachable := len(p.consumers)
	if p.consumers[c.Anonymous] != nil {
		reachable--
	}
	switch {
	case reachable == 0 && c.Roster == nil:
		return setting.Errorf("ConsumerClaim", "consumer_claim names a consumer of this gate, and there is none; the "+
			"anonymous one does not count: add a consumer block for each caller, or remove consumer_claim")
	case issuer.ConsumerBy != ByCustomID || p.customIDs != nil:
		return nil
	}
	p.customIDs = make(map[string]*Consumer)
	for i := range c.Consumers {
		consumer := p.consumers[c.Consumers[i].Username]
		if consumer.CustomID == "" {
			continue
		}
		if other := p.customIDs[consumer.CustomID]; other != nil {
			return setting.Errorf("ConsumerBy", "consumers %q and %q have the same custom_id %q, so consumer_claim cannot "+
				"tell them apart: change one of the two", other.Username, consumer.Username, consumer.CustomID)
		}
		p.customIDs[consumer.CustomID] = consumer
	}
	if len(p.customIDs) == 0 && c.Roster == nil {
		return setting.Errorf("ConsumerBy", "consumer_claim finds a consumer by its custom_id, and no consumer has one: "+
			"add \"custom_id <id>\" to the consumers, or leave \"custom_id\" out to find them by username")
	}
	return nil
}
