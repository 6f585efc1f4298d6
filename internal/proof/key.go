package proof

import (
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/strictjson"
)

// maxModulusText is the length of an RSA modulus of 4096 bits in base64url. Package jose allows four times as many
// bits, in keys that an operator has configured. Here a stranger brings the key.
const maxModulusText = 683

var (
	errNoKey      = missing("jwk in the header")
	errPrivateKey = fmt.Errorf("%w: jwk has a member of a private key", ErrInvalid)
	errModulus    = fmt.Errorf("%w: the RSA key in jwk has more than 4096 bits", ErrInvalid)
	errKeyText    = fmt.Errorf("%w: a number in jwk is not base64url without padding", ErrInvalid)
	errKeyFit     = fmt.Errorf("%w: alg does not fit the key in jwk", ErrInvalid)
)

// publicMembers are all that is read of a JWK. The others neither make a key nor limit its use: kid names the key, and
// x5c and x5u would vouch for it, but by the thumbprint in the token somebody already does. Nothing is fetched.
var publicMembers = [...]string{"kty", "crv", "x", "y", "n", "e", "use", "key_ops", "alg"}

// newKnownKey makes the key of a proof from the parameter "jwk" in its header (RFC 9449 section 4.2).
func newKnownKey(text string, header *jose.Header) (*knownKey, error) {
	jwk, there := header.Object().Member("jwk")
	switch {
	case !there:
		return nil, errNoKey
	case jwk.Kind() != strictjson.Object:
		return nil, &shapeError{"jwk", jwk, "an object"}
	}
	public, err := publicPart(jwk)
	if err != nil {
		return nil, err
	}
	key, err := jose.ParseJWK(public)
	if err != nil {
		return nil, &invalidError{err}
	}
	if !key.Algorithms().Has(header.Algorithm) {
		return nil, errKeyFit
	}
	segment, _, _ := strings.Cut(text, ".")
	return &knownKey{segment, header.Algorithm, key}, nil
}

// publicPart writes a JWK that has only the publicMembers. It refuses a giant key before anybody computes with it. It
// refuses a private key (RFC 9449 section 4.3 item 7), too: even a private member without a value shows that the client
// does not know what it sends.
func publicPart(jwk strictjson.Value) ([]byte, error) {
	public := []byte{'{'}
	for member, value := range jwk.Members() {
		name, _ := member.Str()
		switch {
		case jose.IsPrivateMember(name):
			return nil, errPrivateKey
		case !slices.Contains(publicMembers[:], name):
			continue
		}
		if err := checkNumber(name, value); err != nil {
			return nil, err
		}
		if len(public) > 1 {
			public = append(public, ',')
		}
		public = append(append(append(public, '"'), name...), `":`...)
		public = append(public, value.Text()...)
	}
	return append(public, '}'), nil
}

// checkNumber requires that a number of a key is the one encoding of its bytes (RFC 7518 sections 6.2.1 and 6.3.1).
// Package jose is lenient about padding, for the sake of servers.
func checkNumber(name string, value strictjson.Value) error {
	switch name {
	case "x", "y", "n", "e":
	default:
		return nil
	}
	text, _ := value.Str() // package jose refuses other types
	if len(text) > maxModulusText {
		return errModulus
	}
	var bytes [(maxModulusText*6 + 7) / 8]byte
	n, err := base64.RawURLEncoding.Strict().Decode(bytes[:], []byte(text))
	if err != nil || base64.RawURLEncoding.EncodedLen(n) != len(text) { // the decoder skips line ends
		return errKeyText
	}
	return nil
}

// checkBinding requires that the key is the one to which the token is bound (RFC 9449 section 4.3 item 12, section
// 6.1). The hash of the token in the proof would not show that: whoever has stolen a token can compute it.
func (k *knownKey) checkBinding(bound [32]byte) error {
	sum := k.key.Thumbprint()
	if subtle.ConstantTimeCompare(sum[:], bound[:]) != 1 {
		return &otherKeyError{base64.RawURLEncoding.EncodeToString(bound[:]), sum}
	}
	return nil
}
