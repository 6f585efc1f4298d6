package gate

import (
	"github.com/caddyjwt/gateway/internal/hashing"
)

// fingerprint identifies everything that decides whether a token is cached as good, and as whom. Two gates with the
// same fingerprint may share entries; all others cannot reach them. It takes in every field of Config that does not say
// by a tag why it stays out: most are judged on each request, also when the token is remembered.
func fingerprint(c *Config, p *parties) [32]byte {
	settings := struct {
		Config Config
		Keys   [][32]byte // the thumbprints of the credentials' keys
		Untold []bool     // by party: see Config.Untold, for which the audience counts
	}{Config: *c}
	settings.Config.KeyClaim = p.keyClaim
	for _, member := range p.all {
		settings.Untold = append(settings.Untold, member.untold.JWTs)
		if member.credential != nil {
			settings.Keys = append(settings.Keys, member.credential.Verifier.Thumbprint())
		}
	}
	return hashing.Fingerprint(settings)
}
