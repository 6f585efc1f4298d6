package gate

import (
	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/hashing"
)

// fingerprint identifies the settings that decide whether a token is cached as good, and under which identity. Gates
// with the same fingerprint share cache entries; no other gate can reach them. It covers every field of Config without
// the tag fingerprint:"-": see there.
func fingerprint(c *Config, p *parties) [32]byte {
	settings := struct {
		Config    Config
		Keys      [][32]byte        // the thumbprints of the credentials' keys
		Ambiguous []bool            // by party: see Config.Ambiguous, for which the audience counts
		Readings  []*claims.Reading // by party: max_lifetime and the end of a credential may end a token without exp
	}{Config: *c}
	settings.Config.KeyClaim = p.keyClaim
	for _, member := range p.all {
		settings.Ambiguous = append(settings.Ambiguous, member.ambiguous.JWTs)
		settings.Readings = append(settings.Readings, member.reading)
		if member.credential != nil {
			settings.Keys = append(settings.Keys, member.credential.Verifier.Thumbprint())
		}
	}
	return hashing.Fingerprint(settings)
}
