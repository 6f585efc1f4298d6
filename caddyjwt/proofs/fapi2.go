package proofs

import (
	"slices"

	"github.com/caddyjwt/gateway/internal/bearer"
	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/setting"
)

// ProfileFAPI2 is the name of FAPI 2.0's Security Profile.
const ProfileFAPI2 = "fapi2"

// fapiAlgorithms are those of the FAPI 2.0 Security Profile, section 5.4.1. The third, EdDSA with Ed25519, has two
// names (RFC 9864 section 2.2), and clients write the newer one.
var fapiAlgorithms = jose.MakeAlgorithms(jose.PS256, jose.ES256, jose.EdDSA, jose.Ed25519)

// ForFAPI2 is what proofs must be where the FAPI 2.0 Security Profile holds: every token is bound to a key (section
// 5.3.4), by whatever the configuration accepts.
func (c *Config) ForFAPI2() *Config {
	strict := Config{Accept: acceptAny}
	if c != nil {
		strict = *c
	}
	strict.Required = true
	if strict.Accept != acceptCertificate && strict.Algorithms == nil {
		for algorithm := range fapiAlgorithms.All() {
			strict.Algorithms = append(strict.Algorithms, algorithm.String())
		}
	}
	return &strict
}

// Issuer is what gate.Config does not say about an issuer.
type Issuer struct {
	// PlainHTTP says that requests to its server may go without TLS.
	PlainHTTP bool
	// NamesAlgorithms says that the configuration lists the algorithms.
	NamesAlgorithms bool
	// OnlyUserInfo says that its server is asked by UserInfo about all its tokens. That never tells to which key they are
	// bound.
	OnlyUserInfo bool
}

// CheckRequired refuses issuers whose tokens are never bound, where every token must be. about has as many elements as
// the gate has issuers. An error names a field of the configuration.
func CheckRequired(c *gate.Config, about []Issuer) error {
	if c.Proof == nil || !c.Proof.Required {
		return nil
	}
	for i := range c.Issuers {
		var why string
		switch {
		case about[i].OnlyUserInfo:
			why = "UserInfo does not tell to which key they are bound: use verify introspection"
		case c.Issuers[i].Local:
			why = "token_issuer gives out bearer tokens: remove required, or let another gate take them"
		default:
			continue
		}
		return setting.Errorf(setting.Element("Issuers", i), "issuer %q: proof required refuses all its tokens, because %s",
			c.Issuers[i].Name, why)
	}
	return nil
}

// RestrictToFAPI2 makes a gate keep the FAPI 2.0 Security Profile, and refuses settings that contradict it. about has
// as many elements as the gate has issuers. An error names a field of the configuration.
func RestrictToFAPI2(c *gate.Config, about []Issuer) error {
	c.RequireTLS = true // section 5.2
	for i, place := range c.Extractor.Places() {
		if place.Kind != bearer.Header || place.Name != "Authorization" { // section 5.3.4
			return setting.Errorf(setting.Element("TokenFrom", i), "profile fapi2 takes tokens only from the header "+
				"Authorization: remove \"token_from %v\"", place)
		}
	}
	if dpop := c.Proof.DPoP; dpop != nil {
		if other := dpop.Algorithms &^ fapiAlgorithms; other != 0 {
			return setting.Errorf("Proof.Algorithms", "profile fapi2 takes only %v for proofs: remove %v", fapiAlgorithms,
				other)
		}
	}
	for i := range c.Issuers {
		issuer := &c.Issuers[i]
		at := setting.Element("Issuers", i)
		switch other := issuer.Algorithms &^ fapiAlgorithms; {
		case issuer.Tolerate.Has(claims.MissingExp): // section 5.3.4
			return setting.Errorf(at+".Tolerate", "issuer %q: profile fapi2 takes only tokens with exp: remove missing_exp",
				issuer.Name)
		case about[i].PlainHTTP:
			return setting.Errorf(at+".AllowHTTP", "issuer %q: profile fapi2 asks servers only over TLS: remove allow_http",
				issuer.Name)
		case !about[i].NamesAlgorithms && issuer.Algorithms == jose.AsymmetricAlgorithms():
			issuer.Algorithms = fapiAlgorithms
		case other != 0:
			return setting.Errorf(at+".Algorithms", "issuer %q: profile fapi2 takes only %v: remove %v", issuer.Name,
				fapiAlgorithms, other)
		}
	}
	if c.Roster != nil {
		return setting.Errorf("ConsumersFrom",
			"profile fapi2 does not go with a file of consumers, which could bring keys "+
				"for other algorithms at any time: write consumer blocks")
	}
	for i := range c.Consumers {
		wrong := slices.IndexFunc(c.Consumers[i].Credentials,
			func(c gate.Credential) bool { return !fapiAlgorithms.Has(c.Algorithm) })
		if wrong >= 0 {
			return setting.Errorf(setting.Element("Consumers", i)+"."+setting.Element("Credentials", wrong)+".Algorithm",
				"consumer %q: profile fapi2 takes only %v, and a credential is for %v", c.Consumers[i].Username, fapiAlgorithms,
				c.Consumers[i].Credentials[wrong].Algorithm)
		}
	}
	return nil
}
