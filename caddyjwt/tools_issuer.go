package caddyjwt

import (
	"time"

	"github.com/caddyjwt/gateway/caddyjwt/issuers"
	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/internal/setting"
)

// OfflineIssuer is an issuer of an Offline gate, with all that a token of it must have.
type OfflineIssuer struct {
	gate.Issuer
	// KeySource is the kind of the issuer's key source, such as "file".
	KeySource string
	// Keys verify its tokens. They are nil when they are not here.
	Keys []*jose.Key
	// Asked is set if the authorization server is asked about tokens that were verified here. It would not know a token
	// that it has not issued.
	Asked bool

	keys issuers.KeySources
}

// Issuers are the issuers of the gate, in the order of the configuration.
func (o *Offline) Issuers() []OfflineIssuer { return o.issuers }

// ResolveSecret is the bytes of the secret that the issuer shares with the gate. It is nil if there is none. Errors do
// not quote it.
func (i *OfflineIssuer) ResolveSecret() ([]byte, error) {
	for _, keys := range i.keys {
		if keys.Secret != "" {
			secret, _, err := words.NewSettings().Secret(keys.Secret, keys.Base64)
			return secret, err
		}
	}
	return nil, nil
}

// issuersHere describes the issuers, and gives those whose keys are here their keys in place of stubs.
func (c *compiled) issuersHere(h *Handler, now time.Time) ([]OfflineIssuer, error) {
	all := make([]OfflineIssuer, len(c.plans))
	for i := range c.plans {
		plan, issuer := &c.plans[i], &c.config.Issuers[i]
		var here []*jose.Key
		joined, _, err := plan.JoinKeys(func(source *issuers.Source) (keyset.Source, [32]byte, error) {
			keys, err := source.KeysHere(now)
			if err != nil || keys == nil {
				return issuers.Unopened(), [32]byte{}, err
			}
			here = append(here, keys...)
			static, err := keyset.NewStatic(keys...)
			return static, [32]byte{}, err
		})
		if err != nil {
			return nil, setting.In(setting.Element("Issuers", i), err)
		}
		issuer.Keys = joined
		all[i] = OfflineIssuer{
			Issuer: *issuer, KeySource: plan.KeysFrom(), Keys: here, Asked: c.asks(plan), keys: h.Issuers[i].Keys,
		}
	}
	return all, nil
}

// asks reports whether the server of an issuer is asked about JWTs that were verified here.
func (c *compiled) asks(plan *issuers.Plan) bool {
	switch {
	case plan.Asking == nil || c.config.Asking.Mode == gate.RouteSkip:
		return false
	case c.config.Asking.Mode == gate.RouteForce:
		return true
	}
	return plan.Asking.Mode != gate.AskOpaque
}
