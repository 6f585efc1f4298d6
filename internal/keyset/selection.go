package keyset

import (
	"errors"

	"github.com/caddyjwt/gateway/internal/certchain"
	"github.com/caddyjwt/gateway/internal/hashing"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/setting"
)

// The purposes by which keys of a set can be chosen.
const (
	// UseSig is the "use" of RFC 7517 section 4.2. A key without a use counts as one for signatures.
	UseSig = "sig"
	// UseJWTSVID is the "use" of keys for JWT-SVIDs in a SPIFFE bundle, where each key must have a use.
	UseJWTSVID = "jwt-svid"
)

// Bounds on how many usable keys of one document are taken.
const (
	DefaultMaxKeys = 100  // authorization servers publish two or three
	LargestMaxKeys = 1000 // every refresh judges every key
)

// Selection says which keys of a document are taken. The zero value works.
type Selection struct {
	// Use is what the keys must be for: UseSig, the default, or UseJWTSVID.
	Use string
	// Max is how many usable keys are taken, from the start of the document. Default DefaultMaxKeys.
	Max int
	// ByIssuer heeds the member "issuer" of each key, which is then jose.Key.Issuer. It is for key sets that several
	// issuers share.
	ByIssuer bool
	// CA are files of certificate authorities. With them, a key is taken only with a certificate that leads to one of
	// them, and is in force only while that holds: see certificates.
	CA []string
}

func (s Selection) check() error { return errors.Join(s.CheckUse(), s.CheckMax()) }

// CheckUse returns a setting.Error when Use is unknown.
func (s Selection) CheckUse() error {
	switch s.Use {
	case "", UseSig, UseJWTSVID:
		return nil
	}
	return setting.Errorf("Use", "%q: expected %s or %s", s.Use, UseSig, UseJWTSVID)
}

// CheckMax returns a setting.Error when Max is negative or too large.
func (s Selection) CheckMax() error {
	if s.Max < 0 || s.Max > LargestMaxKeys {
		return setting.Errorf("Max", "%d: expected 1 to %d", s.Max, LargestMaxKeys)
	}
	return nil
}

// uses are the wanted values of "use", "" for a key without one. The SPIFFE Trust Domain and Bundle standard, section
// 4.2.2, has keys without a use ignored.
func (s Selection) uses() []string {
	if s.Use == UseJWTSVID {
		return []string{UseJWTSVID}
	}
	return []string{"", UseSig}
}

func (s Selection) max() int {
	if s.Max == 0 {
		return DefaultMaxKeys
	}
	return s.Max
}

// Fingerprint is a hash of the selection. A default that is written out makes no difference.
func (s Selection) Fingerprint() [32]byte {
	if s.Use == "" {
		s.Use = UseSig
	}
	s.Max = s.max()
	return hashing.Fingerprint(s)
}

// parse reads one key of a set, and its certificates if they count. The error is a jose.Unusable or a certchain.Error.
func (s Selection) parse(text []byte, uses []string) (*jose.Key, *certchain.Chain, error) {
	key, err := jose.ParseJWK(text, uses...)
	if err != nil {
		return nil, nil, err
	}
	if s.ByIssuer {
		issuer, ok := jose.IssuerOf(text)
		if !ok {
			return nil, nil, jose.JWKMalformed
		}
		key.Issuer = issuer
	}
	if len(s.CA) == 0 {
		return key, nil, nil
	}
	chain, err := chainOf(text, key)
	return key, chain, err
}
