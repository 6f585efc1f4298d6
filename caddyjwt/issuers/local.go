package issuers

import (
	"errors"

	"github.com/caddyjwt/gateway/caddyjwt/localissuer"
	"github.com/caddyjwt/gateway/caddyjwt/pool"
	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/hashing"
	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/internal/setting"
)

// Local reports whether a token_issuer of the same configuration issues the tokens.
func (p *Plan) Local() bool { return p.Issuer.Local }

// GroupClaim is the claim of tokens of a token_issuer by whose value all sessions of a group end together.
const GroupClaim = "group"

// The paths of these claims. Both are names, which are always paths.
var (
	groupPath, _ = claims.ParsePath(GroupClaim)
	rolesPath, _ = claims.ParsePath(RolesClaim)
)

// GroupPath is the path of GroupClaim.
func GroupPath() claims.Path { return groupPath }

// RolesClaim is the claim of tokens of a token_issuer with the roles of the user. They count as groups.
const RolesClaim = "roles"

// compileLocal handles an issuer whose tokens a token_issuer of the same configuration issues. Keys must have been
// compiled.
func (i *Issuer) compileLocal(plan *Plan) error {
	if !plan.Sources[0].kind.local {
		return nil
	}
	switch {
	case plan.Issuer.Tenants != nil:
		return setting.In("Keys", errors.New("keys local: the tokens of a token_issuer have one issuer: write its name "+
			"without \"*\""))
	case i.Introspect != nil:
		return setting.In("Introspect", errors.New("keys local: nobody has to be asked about tokens that are issued here: "+
			"remove introspect"))
	case i.BackchannelLogout != nil:
		return setting.In("BackchannelLogout", errors.New("keys local: the gate knows at once when a session of its "+
			"token_issuer has ended: remove backchannel_logout"))
	case plan.Issuer.Revocation.Off:
		return setting.In("Revocation", errors.New("keys local: logging out has an effect because the tokens can be "+
			"revoked: remove \"revocation off\""))
	case plan.Issuer.Tolerate != 0:
		return setting.In("Tolerate", errors.New("keys local: tokens that are issued here need no tolerance: "+
			"remove tolerate"))
	}
	plan.Issuer.Local = true
	if len(plan.Issuer.GroupClaims) == 0 {
		plan.Issuer.GroupClaims = []claims.Path{rolesPath}
	}
	plan.Issuer.Revocation.Claims = append(plan.Issuer.Revocation.Claims, groupPath)
	return nil
}

// Gates ask about the applications of their issuer through its keys.
var _ gate.Applications = localissuer.Keys(nil)

func (o Opener) openLocal(_ *pool.Lease, server *Server, _ *Source) (keyset.Source, [32]byte, error) {
	id := hashing.Fingerprint(struct{ Local string }{server.Issuer})
	if o.Local == nil {
		return Unopened(), id, nil
	}
	return o.Local.Source(server.Issuer), id, nil
}
