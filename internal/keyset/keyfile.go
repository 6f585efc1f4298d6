package keyset

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"time"

	"github.com/caddyjwt/gateway/internal/certchain"
	"github.com/caddyjwt/gateway/internal/jose"
)

// ParseKeys reads public keys in any usual form: a JWK Set or a single JWK, PEM text with public keys or certificates,
// or a single public key or certificate in DER. Keys from PEM and DER have no id, and no use to choose them by.
// Certificates must be valid at now. expires is when the first of them expires; zero without certificates. With an
// error, only skipped may be set.
//
// With Selection.CA, it reads the files of the authorities, and the keys are those that are in force.
func ParseKeys(
	data []byte, taken Selection, now time.Time,
) (keys []*jose.Key, skipped []Skipped, expires time.Time, err error) {
	d, err := readKeys(data, taken, now)
	if err != nil || len(taken.CA) == 0 {
		return d.keys, d.skipped, d.expires, err
	}
	ca, err := certchain.Read(taken.CA)
	if err != nil {
		return nil, nil, expires, err
	}
	set, err := d.set(ca)
	if err != nil {
		return nil, d.skipped, expires, err
	}
	set = set.inForce()
	return set.Keys(), set.Skipped, expires, nil
}

// readKeys is ParseKeys before the certificates of keys have been judged.
func readKeys(data []byte, taken Selection, now time.Time) (d document, err error) {
	data = jose.WithoutMark(data)
	switch trimmed := bytes.TrimLeft(data, " \t\r\n"); {
	case len(trimmed) == 0:
		return d, fmt.Errorf("%w: it is empty", ErrFormat)
	case trimmed[0] == '{':
		return readJWKS(trimmed, taken)
	case taken.Use == UseJWTSVID:
		return d, fmt.Errorf("%w: only a key set says that a key is for %s", ErrFormat, taken.Use)
	case data[0] == 0x30: // an ASN.1 SEQUENCE
		data = armour(data)
	}
	if len(taken.CA) > 0 {
		return readChains(data)
	}
	public, expires, err := jose.ParsePEM(data, now)
	if err != nil {
		return d, err
	}
	for _, material := range public {
		key, err := jose.NewPublicKey("", material, 0)
		if err != nil { // for example a kind of key that cannot verify tokens
			return document{}, err
		}
		d.keys = append(d.keys, key)
	}
	d.expires = expires
	return d, nil
}

// set makes the set of the keys. With authorities, it depends on the certificates of its keys.
func (d document) set(ca *certchain.Authorities) (*Set, error) {
	set, err := newSet(d.keys, d.skipped)
	if err != nil {
		return nil, err
	}
	if set.SkippedKeys = d.named; ca == nil {
		return set, nil
	}
	return set, set.certify(ca, d.chains)
}

// armour converts DER to PEM.
func armour(der []byte) []byte {
	kind := "PUBLIC KEY"
	if _, err := x509.ParseCertificate(der); err == nil {
		kind = "CERTIFICATE"
	}
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
