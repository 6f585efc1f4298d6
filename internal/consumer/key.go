package consumer

import (
	"fmt"
	"time"

	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/setting"
)

// Written is the key of a credential as somebody has written it.
type Written struct {
	Algorithm, PublicKey, Secret string
	Base64                       bool // the secret is in base64
}

// longestName is far more than the name of an algorithm has, in bytes. Of a longer text nothing is quoted: it may be a
// key.
const longestName = 16

// ParseAlgorithm returns the one algorithm of the credential: the credential decides that, never the token. It refuses
// what does not go together.
func (w *Written) ParseAlgorithm() (jose.Algorithm, error) {
	if w.Algorithm == "" {
		return 0, setting.Errorf("Algorithm", "no algorithm: add the one that its tokens use, such as \"algorithm RS256\"")
	}
	algorithm, known := jose.ParseAlgorithm(w.Algorithm)
	hmac := algorithm.Family() == jose.HMAC
	switch {
	case !known && len(w.Algorithm) > longestName:
		return 0, setting.Errorf("Algorithm", "this is no algorithm: name the one that its tokens use, such as RS256")
	case !known:
		return 0, setting.In("Algorithm", jose.UnknownAlgorithm(w.Algorithm))
	case w.Base64 && w.Secret == "":
		return 0, setting.Errorf("Base64", "base64 is about a secret, and there is none: remove it")
	case w.PublicKey != "" && w.Secret != "":
		return 0, setting.Errorf("Secret", "both a public_key and a secret: a credential takes one of them")
	case hmac && w.Secret == "":
		return 0, setting.Errorf("Algorithm", "algorithm %v needs a secret", algorithm)
	case !hmac && w.PublicKey == "":
		return 0, setting.Errorf("Algorithm", "algorithm %v needs a public_key", algorithm)
	}
	return algorithm, nil
}

// ParsePublicKey reads PEM text with one public key or certificate. The second result is when the certificate expires;
// zero for a key.
func ParsePublicKey(text string, algorithm jose.Algorithm, now time.Time) (*jose.Key, time.Time, error) {
	publics, notAfter, err := jose.ParsePEM([]byte(text), now)
	if err != nil {
		return nil, time.Time{}, err
	}
	if len(publics) != 1 {
		return nil, time.Time{}, fmt.Errorf("it has %d keys: a credential takes one", len(publics))
	}
	key, err := jose.NewPublicKey("", publics[0], jose.MakeAlgorithms(algorithm))
	return key, notAfter, err
}
