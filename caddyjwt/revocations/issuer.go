package revocations

import (
	"github.com/caddyjwt/gateway/caddyjwt/require"
	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/setting"
)

// OfIssuer says how tokens of an issuer can be revoked before they expire.
type OfIssuer struct {
	// They cannot, even if there is a store. Then max_lifetime need not be set. Default: they can.
	Off bool `json:"off,omitempty"`
	// Claims by whose values tokens can be revoked together, beside their jti, sub, sid and client: paths, as in a
	// requirement of the handler. Of a list, each element counts. Default: none.
	Claims []string `json:"claims,omitempty"`
}

// OfIssuerUsage is what follows the word revocation.
var OfIssuerUsage = []string{"off", "claim <path...>"}

// ReadOfIssuer reads what follows the word revocation.
func ReadOfIssuer(b *words.Block, into **OfIssuer) error {
	args := b.Args()
	switch {
	case len(args) == 1 && args[0] == "off":
		*into = &OfIssuer{Off: true}
	case len(args) > 1 && args[0] == "claim":
		*into = &OfIssuer{Claims: args[1:]}
	default:
		return b.WrongUsage("without the word, tokens can be revoked by jti, sub, sid and client if there is a store")
	}
	return nil
}

// Compile checks the settings. o may be nil.
func (o *OfIssuer) Compile() (out gate.Revocation, err error) {
	switch {
	case o == nil:
		return out, nil
	case o.Off && len(o.Claims) > 0:
		return out, setting.Errorf("Claims", "revocation is off, so no claim can revoke a token: remove one of the two")
	case !o.Off && len(o.Claims) == 0:
		return out, setting.Errorf("Claims", "revocation says nothing: write \"off\" or \"claim <path>\", or leave it out")
	}
	out.Off = o.Off
	out.Claims, err = require.ClaimPaths("revocation claim", o.Claims)
	return out, setting.In("Claims", err)
}
