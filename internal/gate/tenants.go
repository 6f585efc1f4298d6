package gate

import (
	"github.com/caddyjwt/gateway/internal/claims"
)

// tenantOf is the tenant whose token this is. The party must have a pattern.
func (p *party) tenantOf(set *claims.Set) string {
	name, _ := p.pattern.Tenant(set.Issuer)
	return name
}

// isTenant reports whether an iss is that of a tenant of the party, listed or not.
func (p *party) isTenant(iss string) bool {
	_, is := p.pattern.Tenant(iss)
	return is
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
