package keyset

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"time"

	"github.com/caddyjwt/gateway/internal/jose"
)

// ParseKeys reads public keys in any usual form: a JWK Set or a single JWK, PEM text with public keys or certificates,
// or a single public key or certificate in DER. Keys from PEM and DER have no id, and no use to choose them by.
// Certificates must be valid at now. expires is when the first of them expires; zero without certificates. With an
// error, only skipped may be set.
func ParseKeys(
	data []byte, taken Selection, now time.Time,
) (keys []*jose.Key, skipped []Skipped, expires time.Time, err error) {
	data = jose.WithoutMark(data)
	switch trimmed := bytes.TrimLeft(data, " \t\r\n"); {
	case len(trimmed) == 0:
		return nil, nil, expires, fmt.Errorf("%w: it is empty", ErrFormat)
	case trimmed[0] == '{':
		keys, skipped, err = parseJWKS(trimmed, taken)
		return keys, skipped, expires, err
	case taken.Use == UseJWTSVID:
		return nil, nil, expires, fmt.Errorf("%w: only a key set says that a key is for %s", ErrFormat, taken.Use)
	case data[0] == 0x30: // an ASN.1 SEQUENCE
		data = armour(data)
	}
	public, expires, err := jose.ParsePEM(data, now)
	if err != nil {
		return nil, nil, time.Time{}, err
	}
	for _, material := range public {
		key, err := jose.NewPublicKey("", material, 0)
		if err != nil { // for example a kind of key that cannot verify tokens
			return nil, nil, time.Time{}, err
		}
		keys = append(keys, key)
	}
	return keys, nil, expires, nil
}

// armour converts DER to PEM.
func armour(der []byte) []byte {
	kind := "PUBLIC KEY"
	if _, err := x509.ParseCertificate(der); err == nil {
		kind = "CERTIFICATE"
	}
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
