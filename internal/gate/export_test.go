package gate

// CleanUp does the store's pending work, so that the numbers below are exact.
func (c *Cache) CleanUp() { c.store.CleanUp() }

// Entries is how many tokens are kept.
func (c *Cache) Entries() int { return c.store.EstimatedSize() }

// Weight is how many bytes are accounted for them.
func (c *Cache) Weight() uint64 { return c.store.WeightedSize() }

// Eager makes the cache keep a token the first time that it is seen.
func (c *Cache) Eager() { c.eager = true }

// FormOf names the form of a token, as the gate classifies it.
func (g *Gate) FormOf(token string) string {
	var jwt parsedJWT
	defer jwt.release()
	what := g.parties.classify(token, &jwt)
	return map[form]string{
		opaqueToken: "opaque", encryptedToken: "encrypted", brokenJWT: "broken", otherJWT: "other", foreignJWT: "foreign",
		knownJWT: "known",
	}[what.form]
}

// Clone is the copy of a configuration that a gate keeps.
func Clone(c Config) Config { return c.clone() }

// Fingerprint is different for gates that must not share remembered tokens.
func Fingerprint(c Config) [32]byte {
	p, err := index(&c)
	if err != nil {
		panic(err)
	}
	return fingerprint(&c, p)
}

// FieldsFingerprint is Fingerprint without what is derived from the fields, for configurations that mean nothing.
func FieldsFingerprint(c Config) [32]byte { return fingerprint(&c, &parties{keyClaim: c.KeyClaim}) }
