package gate

import (
	"time"

	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/jose"
)

// Reading is how the claims of the issuer's tokens are read, and those in answers about them. It is nil if they are as
// the specifications say. longest is the bound of the tokens' life, by which a token without exp ends.
func (i *Issuer) Reading(longest time.Duration) *claims.Reading {
	if i.Tolerate == 0 && len(i.GroupClaims) == 0 {
		return nil
	}
	return &claims.Reading{Tolerate: i.Tolerate, Lifetime: longest, Groups: i.GroupClaims}
}

// read reads the claims of a token by the Reading of the party that the token names, and returns both. Nothing is
// verified yet. If the token is not that party's, the party's keys do not verify it, whatever its Reading admits.
func (p *parties) read(header *jose.Header, payload []byte) (set *claims.Set, party *party, err error) {
	if !p.varied {
		if set, err = claims.Decode(payload); err == nil {
			party = p.partyOf(header, set)
		}
		return set, party, err
	}
	set, err = claims.DecodeBy(payload, func(set *claims.Set) *claims.Reading {
		if party = p.partyOf(header, set); party == nil {
			return nil
		}
		return party.reading
	})
	return set, party, err
}

// use says where the tolerances of an issuer would apply.
func (i *Issuer) use(longest time.Duration) claims.Use {
	return claims.Use{
		Tokens: i.Keys != nil, Answers: i.Asking != nil, Profile: i.AccessTokenProfile, Required: i.RequiredClaims,
		Ends: longest != 0,
	}
}
