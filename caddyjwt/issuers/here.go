package issuers

import (
	"time"

	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyset"
)

// KeysHere are the keys that need no network; nil for none.
func (p *Source) KeysHere(now time.Time) ([]*jose.Key, error) {
	text := []byte(p.pem)
	switch {
	case p.Static != nil:
		return p.Static, nil
	case p.path != "":
		var err error
		if text, _, err = words.NewSettings().ReadFile("keys file", p.path); err != nil {
			return nil, err
		}
	case p.pem == "":
		return nil, nil
	}
	keys, _, _, err := keyset.ParseKeys(text, p.taken, now)
	return keys, err
}
