package introspect

import (
	"crypto/x509"

	"github.com/caddyjwt/gateway/internal/hashing"
)

// Fingerprint identifies the server, who asks it and how, and all limits. A pool can use it to keep clients when a
// configuration is reloaded: with equal fingerprints, an old client may serve in place of a new one.
//
// Secrets are hashed under a key of this process. So the fingerprint reveals nothing about them, and is of no use to
// another process. It cannot look into the functions of a Config or into HTTPClient: see [Config.Identity]. With
// [Config.Renew], it leaves the secrets out.
func (c Config) Fingerprint() [32]byte { return c.withDefaults().fingerprint() }

func (c Config) fingerprint() [32]byte {
	type settings Config // without the method Fingerprint, which would call itself
	if c.Renew != nil {
		c.ClientSecret, c.PrivateKey, c.BearerToken = "", nil, ""
	}
	return hashing.Fingerprint(struct {
		settings
		PublicKey string
	}{settings(c), c.publicKey()})
}

// publicKey stands for the private key in the fingerprint. It is empty when there is no usable key.
func (c Config) publicKey() (text string) {
	defer func() {
		if recover() != nil {
			text = ""
		}
	}()
	if len(keyAlgs(c.PrivateKey)) == 0 {
		return "" // no key, or one that New refuses
	}
	der, err := x509.MarshalPKIXPublicKey(c.PrivateKey.Public())
	if err != nil {
		return ""
	}
	return string(der)
}
