package gate

import (
	"cmp"

	"github.com/caddyjwt/gateway/internal/claims"
)

// tenantOf is the tenant whose token this is. The party must have a pattern.
func (p *party) tenantOf(set *claims.Set) string {
	name, _ := p.pattern.Tenant(set.Issuer)
	return name
}

// checkTenant refuses a token whose tid is not the tenant in its iss.
func (p *party) checkTenant(set *claims.Set) error {
	if p.pattern == nil {
		return nil
	}
	if err := claims.CheckTenant(set, p.tenantOf(set)); err != nil {
		return claimFailure(err)
	}
	return nil
}

// of has the failure name the issuer of the tenant in place of the party's pattern.
func (f *Failure) of(p *party, iss string) *Failure {
	if p != nil && p.pattern != nil {
		f.Issuer = iss
	}
	return f
}

// Tenant is the segment of the issuer that "*" stands for in the configuration. It is empty for all other issuers.
func (id *Identity) Tenant() string {
	name, _ := id.pattern.Tenant(id.Issuer)
	return name
}

// configured is the issuer as the configuration has it: with "*" for the tenant.
func (id *Identity) configured() string { return cmp.Or(id.pattern.String(), id.Issuer) }
