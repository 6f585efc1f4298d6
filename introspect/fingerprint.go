package introspect

import (
	"crypto/x509"

	"github.com/caddyjwt/gateway/internal/hashing"
)

// Fingerprint identifies the server, who asks it and how, and all limits, for a pool that keeps clients across
// reloads of a configuration: equal fingerprints mean that a client may be used in place of a new one. Secrets go in
// under a key of this process, so that the fingerprint says nothing about them; it is of no use to another process.
// The functions of a Config and its HTTPClient cannot be seen: see [Config.Identity].
func (c Config) Fingerprint() [32]byte { return c.withDefaults().fingerprint() }

func (c Config) fingerprint() [32]byte {
	type settings Config // without the method Fingerprint, which would ask itself
	return hashing.Fingerprint(struct {
		settings
		PublicKey string
	}{settings(c), c.publicKey()})
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
