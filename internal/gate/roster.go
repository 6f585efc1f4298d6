package gate

import (
	"fmt"
	"strings"

	"github.com/caddyjwt/gateway/internal/jose"
)

// CheckRoster refuses a roster that would make it ambiguous who vouches for a token.
func (g *Gate) CheckRoster(r Roster) error { return g.parties.checkRoster(r) }

func (p *parties) checkRoster(r Roster) error {
	for username := range p.consumers {
		if r.Consumer(username) != nil {
			return r.At(username, fmt.Errorf("consumer %q is also in a consumer block of the configuration: "+
				"rename or remove one of the two", username))
		}
	}
	for _, member := range p.all {
		other, credential := r.Member(member.name)
		switch {
		case credential == nil:
		case member.issuer != nil:
			return r.At(other.Username, fmt.Errorf("credential %q is also the name of an issuer: "+
				"a token could belong to either; rename one of the two", member.name))
		default:
			return r.At(other.Username, fmt.Errorf("credential %q belongs to consumer %q of the configuration already: "+
				"a credential key selects exactly one credential", member.name, member.consumer.Username))
		}
	}
	for key := range r.Keys() {
		if p.patterns.Matches(key) {
			other, _ := r.Member(key)
			return r.At(other.Username, fmt.Errorf("credential %q is also the name of a tenant of an issuer: "+
				"a token could belong to either; rename the credential", key))
		}
	}
	return p.checkCustomIDs(r)
}

// checkCustomIDs refuses custom ids that two consumers have, if an issuer's ConsumerClaim finds consumers by them.
func (p *parties) checkCustomIDs(r Roster) error {
	if p.customIDs == nil {
		return nil
	}
	for id, here := range p.customIDs {
		if other := r.WithCustomID(id); other != nil {
			return r.At(other.Username, fmt.Errorf("consumer %q of the configuration has the same custom_id, so "+
				"consumer_claim cannot tell the two apart: change one of them", here.Username))
		}
	}
	return r.UniqueCustomIDs()
}

// addRoster adds consumers that may change.
func (p *parties) addRoster(r Roster) error {
	if p.roster = r; r == nil {
		return nil
	}
	p.varied = true
	p.algorithms = jose.AsymmetricAlgorithms().Union(jose.HMACAlgorithms()) // those of consumers to come are not known
	return p.checkRoster(r)
}

// hasCredentials reports whether the key claim can select a credential, now or later.
func (p *parties) hasCredentials() bool { return len(p.credentials) > 0 || p.roster != nil }

// countCredentials is the number of credentials at this moment.
func (p *parties) countCredentials() int {
	if p.roster == nil {
		return len(p.credentials)
	}
	return len(p.credentials) + p.roster.Len()
}

// inRoster makes the party of a credential of the roster; nil if there is none with this key now. It does not exist
// before, since a roster belongs to many gates, and may have a hundred thousand credentials.
func (p *parties) inRoster(key string) *party {
	if p.roster == nil {
		return nil
	}
	consumer, credential := p.roster.Member(key)
	if credential == nil {
		return nil
	}
	return p.vouching(consumer, credential)
}

// selected is what the key claim of a verified token has selected in the roster. If the token's party is unlisted, it
// is that party. If it is an issuer, the key claim has selected nothing, and the result has only the name that it
// looked for: once a credential has that name, the token is no longer the issuer's. Nil means that the roster does not
// matter.
func (p *parties) selected(by *party, jwt *parsedJWT) *party {
	if by.credential != nil {
		if by.index == unlisted {
			return by
		}
		return nil
	}
	if key, ok := p.untrustedKeyClaim(&jwt.Header, jwt.set); ok && key != by.name {
		return &party{name: strings.Clone(key)}
	}
	return nil
}

// selectsAgain reports whether the roster gives what it gave when a token was verified: the very same credential, so
// that nothing about it or its consumer has changed, or still none.
func (p *parties) selectsAgain(before *party) bool {
	if p.roster == nil {
		return false
	}
	_, now := p.roster.Member(before.name)
	return now == before.credential
}

// onTerms returns an unlisted party with this gate's leeway and longest lifetime: another gate, with which this one
// shares its cache, may have verified the token. It is nil if that gate may have read the token in another way.
func (p *parties) onTerms(of *party) *party {
	switch {
	case of.leeway == p.leeway && of.maxLifetime == p.maxLifetime:
		return of
	case of.reading != nil:
		return nil
	default:
		return p.vouching(of.consumer, of.credential)
	}
}
