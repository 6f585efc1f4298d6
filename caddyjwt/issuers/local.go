package issuers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddyjwt/gateway/caddyjwt/localissuer"
	"github.com/caddyjwt/gateway/caddyjwt/pool"
	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/hashing"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/internal/opaque"
	"github.com/caddyjwt/gateway/internal/setting"
	"github.com/caddyjwt/gateway/introspect"
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

// AskingOf says about which tokens a gate asks the client. Nil means none. For tokens of a token_issuer of the same
// configuration, the client opens opaque ones.
func (p *Plan) AskingOf(client gate.Asker) *gate.Asking {
	switch {
	case p.Local():
		return &gate.Asking{Mode: gate.AskOpaque, Prefix: opaque.Prefix(p.Issuer.Name), Client: client}
	case p.Asking != nil:
		return &gate.Asking{Mode: p.Asking.Mode, Prefix: p.Asking.Prefix, Client: client}
	}
	return nil
}

// openerOf opens opaque tokens of a token_issuer of the same configuration with its keys.
func (p *Plan) openerOf(keys keyset.Source) *opener {
	o := &opener{issuer: p.Issuer.Name, reading: p.Issuer.Reading(0)}
	o.keys, _ = keys.(localissuer.Keys)
	return o
}

// opener opens opaque tokens of an issuer. It implements gate.Asker.
type opener struct {
	issuer  string
	reading *claims.Reading
	keys    localissuer.Keys // nil while a configuration is only checked
}

// Introspect implements gate.Asker. It asks nobody. Its errors are those about a JWT that does not verify.
func (o *opener) Introspect(ctx context.Context, token string, _ ...introspect.Option) (introspect.Result, error) {
	if o.keys == nil {
		return introspect.Result{}, gate.ErrOffline
	}
	payload, err := o.keys.Unseal(ctx, token)
	switch {
	case errors.Is(err, opaque.ErrMalformed):
		return introspect.Result{}, fmt.Errorf("%w: %w", introspect.ErrToken, err)
	case errors.Is(err, opaque.ErrForged):
		return introspect.Result{}, fmt.Errorf("%w: %w", jose.ErrSignature, err)
	case err != nil:
		return introspect.Result{}, err
	}
	value, err := gate.DecodeOwn(o.issuer, o.reading, payload)
	if err != nil { // the issuer has sealed what no gate reads
		return introspect.Result{}, fmt.Errorf("%w: %w", introspect.ErrToken, err)
	}
	return introspect.Result{Active: true, FetchedAt: time.Now(), Value: value}, nil
}
