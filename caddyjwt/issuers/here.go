package issuers

import (
	"slices"
	"time"

	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyset"
)

// Split makes a plan for each source of keys, so that each can be looked at alone. One of them has the client that
// asks. Where each tenant of a server has keys of its own, there is a plan for each of the first tenants, n at most.
func (p *Plan) Split(n int) []Plan {
	if p.eachHasKeys() {
		return p.perTenant(n)
	}
	plans := make([]Plan, len(p.Sources))
	for i := range p.Sources {
		plans[i] = *p
		plans[i].Asking, plans[i].Sources = nil, p.Sources[i:i+1]
		plans[i].Issuer.Algorithms = p.Sources[i].algorithms
	}
	asks := slices.IndexFunc(p.Sources, Source.public) // signed answers need public keys
	plans[max(0, asks)].Asking = p.Asking
	return plans
}

// KeysHere are the keys that need no network; nil for none.
func (s *Source) KeysHere(now time.Time) ([]*jose.Key, error) {
	text := []byte(s.pem)
	switch {
	case s.Static != nil:
		return s.Static, nil
	case s.path != "":
		var err error
		if text, _, err = words.NewSettings().ReadFile("keys file", s.path); err != nil {
			return nil, err
		}
	case s.pem == "":
		return nil, nil
	}
	keys, _, _, err := keyset.ParseKeys(text, s.taken, now)
	return keys, err
}
