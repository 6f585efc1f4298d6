package gate

import "github.com/caddyjwt/gateway/internal/deepcopy"

// CleanUp does the store's pending work, so that the numbers below are exact.
func (c *Cache) CleanUp() { c.store.CleanUp() }

// Entries returns how many tokens are kept.
func (c *Cache) Entries() int { return c.store.EstimatedSize() }

// Weight returns how many bytes are accounted for them.
func (c *Cache) Weight() uint64 { return c.store.WeightedSize() }

// Eager makes the cache keep a token when it is seen for the first time.
func (c *Cache) Eager() { c.eager = true }

// FormOf names the form that the gate gives a token.
func (g *Gate) FormOf(token string) string {
	var jwt parsedJWT
	defer jwt.release()
	class := g.parties.classify(token, &jwt)
	return map[form]string{
		opaqueToken: "opaque", encryptedJWE: "encrypted", brokenJWT: "broken",
		otherKindJWT: "other kind", unknownJWT: "unknown", knownJWT: "known",
		unsealed: "opened",
	}[class.form]
}

// Clone makes the copy of a configuration that a gate keeps.
func Clone(c Config) Config { return deepcopy.Of(c) }

// Fingerprint is different for gates that must not share cached tokens.
func Fingerprint(c Config) [32]byte {
	p, err := index(&c)
	if err != nil {
		panic(err)
	}
	return fingerprint(&c, p)
}

// FieldsFingerprint is Fingerprint without what is derived from the fields, for configurations that are not valid.
func FieldsFingerprint(c Config) [32]byte { return fingerprint(&c, &parties{keyClaim: c.KeyClaim}) }

// Overrides names the fields in which a backend may look for another target or method than those of the request line.
func Overrides() (targets, methods []string) {
	return targetOverrides.All(), methodOverrides.All()
}
