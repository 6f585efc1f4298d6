package gate

import (
	"slices"
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

// reading is how the claims of the credential's tokens are read.
func (c *Credential) reading(tolerate claims.Tolerance, longest time.Duration) *claims.Reading {
	if tolerate == 0 {
		return nil
	}
	return &claims.Reading{Tolerate: tolerate, Lifetime: longest, End: c.Expires}
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

// use is the same for a consumer.
func (c *Consumer) use(longest time.Duration) claims.Use {
	endless := func(c Credential) bool { return c.Expires.IsZero() }
	return claims.Use{
		Tokens: len(c.Credentials) > 0, Ends: longest != 0 || !slices.ContainsFunc(c.Credentials, endless),
	}
}

// end is when the credential ends. It is zero for never.
func (c *Credential) end() time.Time { return earlier(c.NotAfter, c.Expires) }
