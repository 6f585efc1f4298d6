package keyset

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"time"

	"github.com/caddyjwt/gateway/internal/jose"
)

// ParseKeys reads public keys in whatever form they are: a JWK Set or a single JWK, PEM text with public keys or
// certificates, or one of those in DER. Keys out of PEM and DER have no id, and no use that they could be chosen by.
// now is the time at which certificates have to be valid; expires is the earliest end of their validity, zero without
// certificates. With an error there is nothing else but what was skipped.
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
		if err != nil { // the kind of key is none that verifies tokens, say
			return nil, nil, time.Time{}, err
		}
		keys = append(keys, key)
	}
	return keys, nil, expires, nil
}

// armour puts DER into PEM.
func armour(der []byte) []byte {
	kind := "PUBLIC KEY"
	if _, err := x509.ParseCertificate(der); err == nil {
		kind = "CERTIFICATE"
	}
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// dying is a static source that ends with the validity of a certificate.
type dying struct {
	static
	expires time.Time
}

// NewPEM makes a source that never changes of keys in any of the forms that ParseKeys reads. When a certificate among
// them expires there are no keys any more.
func NewPEM(data []byte) (Source, error) {
	keys, _, expires, err := ParseKeys(data, Selection{}, time.Now())
	if err != nil {
		return nil, err
	}
	set, err := newSet(keys, nil)
	if err != nil {
		return nil, err
	}
	if expires.IsZero() {
		return &static{set}, nil
	}
	return &dying{static{set}, expires}, nil
}

func (d *dying) Current() *Set {
	if !time.Now().Before(d.expires) {
		return nil
	}
	return d.set
}

func (d *dying) Find(ctx context.Context, alg jose.Algorithm, kid string) ([]*jose.Key, error) {
	if d.Current() == nil {
		return nil, expiredCertificate(d.expires)
	}
	return d.static.Find(ctx, alg, kid)
}

func expiredCertificate(at time.Time) error {
	return &UnavailableError{
		RetryAfter: time.Minute,
		Err:        fmt.Errorf("%w has expired at %s", jose.ErrCertificate, at.UTC().Format(time.RFC3339)),
	}
}
