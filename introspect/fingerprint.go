package introspect

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"hash"
	"sync"
)

// processKey is the secret of this process for hashing tokens and secrets. It is never
// stored: after a restart all hashes are others.
var processKey = sync.OnceValue(func() []byte {
	key := make([]byte, sha256.Size)
	rand.Read(key) // never fails: crypto/rand crashes the program instead
	return key
})

// Fingerprint identifies the server, who asks it and how, and all limits, for a pool that
// keeps clients across reloads of a configuration: equal fingerprints mean that a client may be
// used in place of a new one. Secrets go in under a key of this process, so that the
// fingerprint tells nothing about them; it is of no use to another process. The functions of a
// Config and its HTTPClient cannot be seen: see [Config.Identity].
func (c Config) Fingerprint() [32]byte { return c.withDefaults().fingerprint() }

func (c Config) fingerprint() (sum [32]byte) {
	h := hmac.New(sha256.New, processKey())
	for _, text := range []string{
		c.Issuer, c.Endpoint, c.ClientID, c.ClientSecret, string(c.AuthMethod), c.publicKey(), c.KeyID,
		c.AssertionAlg, c.AssertionAudience, c.BearerToken, c.TokenTypeHint, c.Identity,
	} {
		writeText(h, text)
	}
	for _, yes := range []bool{c.Discover != nil, c.RawBasic, c.Signed, c.Decode != nil, c.HTTPClient != nil} {
		writeNumber(h, map[bool]uint64{true: 1}[yes])
	}
	for _, n := range []int64{
		int64(c.Mode), int64(c.CacheTTL), int64(c.NegativeTTL), int64(c.CacheBytes), int64(c.NegativeEntries),
		int64(c.Timeout), int64(c.MaxInFlight), int64(c.BreakerFailures), int64(c.BreakerWait), int64(len(c.Params)),
	} {
		writeNumber(h, uint64(n))
	}
	for _, p := range c.Params {
		writeText(h, p.Name)
		writeText(h, p.Value)
	}
	h.Sum(sum[:0])
	return sum
}

// publicKey stands for the private key; empty when there is none, or none that can be used.
func (c Config) publicKey() (text string) {
	defer func() {
		if recover() != nil {
			text = ""
		}
	}()
	if len(keyAlgs(c.PrivateKey)) == 0 {
		return "" // none, or one that New refuses
	}
	der, err := x509.MarshalPKIXPublicKey(c.PrivateKey.Public())
	if err != nil {
		return ""
	}
	return string(der)
}

// writeText writes the length first: otherwise "ab", "c" and "a", "bc" would be the same.
func writeText(h hash.Hash, text string) {
	writeNumber(h, uint64(len(text)))
	h.Write([]byte(text))
}

func writeNumber(h hash.Hash, n uint64) {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], n)
	h.Write(b[:])
}
