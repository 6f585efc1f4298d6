package sealed

import (
	"bytes"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/go-jose/go-jose/v4"

	ours "github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/privatekey"
	"github.com/caddyjwt/gateway/internal/strictjson"
)

const (
	// maxModulus bounds RSA keys, in bits: at 4096 bits a decryption takes some milliseconds, and strangers can cause one.
	maxModulus = 4096
	// maxKeys is how many keys one text may have.
	maxKeys = 8
)

// Key is a private key that opens tokens. It is immutable and safe for concurrent use.
type Key struct {
	// ID is the key's "kid", and empty if it has none.
	ID string

	rsa        *rsa.PrivateKey   // nil for an EC key
	ec         *ecdh.PrivateKey  // nil for an RSA key
	curve      string            // of an EC key
	algorithm  jose.KeyAlgorithm // the only one that the key is for; empty for all that fit
	thumbprint [32]byte
}

// Kind is "RSA" or "EC".
func (k *Key) Kind() string {
	if k.rsa != nil {
		return "RSA"
	}
	return "EC"
}

// String describes the key, and does not tell it.
func (k *Key) String() string {
	if k.ID == "" {
		return k.Kind() + " key without a kid"
	}
	return k.Kind() + " key " + strconv.Quote(k.ID)
}

// Format writes the same description for every verb: nobody prints a private key by accident.
func (k *Key) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, k.String()) }

// Same reports whether the two are one key with one name, for the same algorithms.
func (k *Key) Same(other *Key) bool {
	return k.thumbprint == other.thumbprint && k.ID == other.ID && k.algorithm == other.algorithm
}

// isSlow reports whether a decryption takes so long that only so many may be under way. Those on P-256 take about as
// long as a signature.
func (k *Key) isSlow() bool { return k.curve != "P-256" }

// ErrPasswordForJWK: a JWK is not encrypted, so a password for it is for another key.
var ErrPasswordForJWK = fmt.Errorf("%w: a JWK has no password", privatekey.ErrNotEncrypted)

// Parse reads private keys from a text: one in PEM, a JWK (RFC 7517), or a set of JWKs, of which those for signatures
// are left out. The id is that of a key without a "kid". It is an error for a set, whose keys have their own, and for a
// JWK with another one. Errors quote neither key nor password; those about the password are of privatekey.
func Parse(text, password []byte, id string) ([]*Key, error) {
	if bytes.Contains(text, []byte("-----BEGIN ")) {
		signer, err := privatekey.Parse(text, password)
		if err != nil {
			return nil, err
		}
		key, err := newKey(signer, id, "")
		if err != nil {
			return nil, err
		}
		return []*Key{key}, nil
	}
	object, err := strictjson.ParseObject(bytes.TrimSpace(ours.PlainText(text)), strictjson.Limits{})
	if err != nil {
		return nil, errors.New("neither a private key in PEM nor a JWK or JWK set: check the file")
	}
	if len(password) > 0 {
		return nil, ErrPasswordForJWK
	}
	set, isSet := object.Member("keys")
	if !isSet {
		key, err := parseJWK(object, id)
		if err != nil {
			return nil, err
		}
		return []*Key{key}, nil
	}
	if id != "" {
		return nil, errors.New("the keys of a JWK set have ids of their own: leave out the one of the configuration")
	}
	return parseSet(set)
}

// parseSet reads the keys of a set that are for encryption. A set without one is an error, and so is a bad key: the
// file is the operator's own.
func parseSet(set strictjson.Value) ([]*Key, error) {
	if set.Kind() != strictjson.Array {
		return nil, errors.New("the member \"keys\" of the JWK set is not an array")
	}
	var keys []*Key
	n := 0
	for jwk := range set.Elements() {
		if n++; n > maxKeys {
			return nil, fmt.Errorf("the JWK set has more than %d keys: remove those that are no longer used", maxKeys)
		}
		if use, _ := jwk.Member("use"); use.Equal("sig") {
			continue
		}
		key, err := parseJWK(jwk, "")
		if err != nil {
			return nil, fmt.Errorf("key %d of the JWK set: %w", n, err)
		}
		if slices.ContainsFunc(keys, func(k *Key) bool { return k.ID == key.ID || k.thumbprint == key.thumbprint }) {
			return nil, fmt.Errorf("key %d of the JWK set has the kid or the value of another one: remove one", n)
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, errors.New("the JWK set has no private key for encryption (\"use\": \"enc\")")
	}
	return keys, nil
}

// decryptions are the operations of which key_ops must name one (RFC 7517 section 4.3).
var decryptions = []string{"decrypt", "unwrapKey", "deriveKey", "deriveBits"}

// parseJWK reads a private key. go-jose reads its values.
func parseJWK(jwk strictjson.Value, id string) (*Key, error) {
	if use, has := jwk.Member("use"); has && !use.Equal("enc") {
		return nil, errors.New("by its \"use\", the JWK is not for encryption (enc)")
	}
	if ops, has := jwk.Member("key_ops"); has {
		may := slices.ContainsFunc(slices.Collect(ops.Elements()), func(op strictjson.Value) bool {
			text, _ := op.Str()
			return slices.Contains(decryptions, text)
		})
		if !may {
			return nil, errors.New("by its \"key_ops\", the JWK is not for decryption")
		}
	}
	if _, private := jwk.Member("d"); !private {
		return nil, errors.New("the JWK is not a private key: it has no \"d\"")
	}
	var read jose.JSONWebKey
	if err := read.UnmarshalJSON(jwk.Raw()); err != nil {
		return nil, errors.New("the JWK cannot be read: it must be an RSA or EC key with all members of a private key")
	}
	switch {
	case id == "":
		id = read.KeyID
	case read.KeyID != "" && read.KeyID != id:
		return nil, errors.New("the JWK has another \"kid\" than the configuration: leave out the latter")
	}
	return newKey(read.Key, id, jose.KeyAlgorithm(read.Algorithm))
}

// newKey checks a key. Its public half must be one that may be used at all: strong, on its curve, and not an example
// from a standard, whose private half everybody has.
func newKey(private any, id string, only jose.KeyAlgorithm) (*Key, error) {
	signer, ok := private.(crypto.Signer)
	if !ok {
		return nil, errKind
	}
	public, err := ours.NewPublicKey(id, signer.Public(), 0)
	if err != nil {
		return nil, err
	}
	return asKey(private, id, only, public.Thumbprint())
}

var errKind = errors.New("the key cannot decrypt tokens: it must be an RSA key, or an EC key on P-256, P-384 or P-521")

func asKey(private any, id string, only jose.KeyAlgorithm, thumbprint [32]byte) (*Key, error) {
	k := &Key{ID: id, algorithm: only, thumbprint: thumbprint}
	switch private := private.(type) {
	case *rsa.PrivateKey:
		if bits := private.N.BitLen(); bits > maxModulus {
			return nil, fmt.Errorf("an RSA key of %d bits: strangers could make each decryption take long; use at most %d",
				bits, maxModulus)
		}
		private.Precompute()
		k.rsa = private
	case *ecdsa.PrivateKey:
		both, err := checkPair(private)
		if err != nil {
			return nil, err
		}
		k.ec, k.curve = both, private.Curve.Params().Name
	default:
		return nil, errKind
	}
	if only != "" && !slices.ContainsFunc(keyAlgorithms[:], func(a keyAlgorithm) bool {
		return a.name == only && (a.oaep != 0) == (k.rsa != nil)
	}) {
		return nil, fmt.Errorf("the \"alg\" of the JWK is none of those that fit the key; supported are %v",
			keyNames(len(keyAlgorithms)))
	}
	return k, nil
}

// checkPair makes sure that the two halves of an EC key belong together: a JWK has both.
func checkPair(key *ecdsa.PrivateKey) (*ecdh.PrivateKey, error) {
	private, err := key.ECDH()
	if err != nil {
		return nil, errKind
	}
	public, err := key.PublicKey.ECDH()
	if err != nil || !public.Equal(private.PublicKey()) {
		return nil, errors.New("the two halves of the key do not belong together")
	}
	return private, nil
}

// fits reports whether the key can open a token with these parameters.
func (k *Key) fits(t *ours.Encrypted, alg *keyAlgorithm) bool {
	if k.algorithm != "" && k.algorithm != alg.name {
		return false
	}
	if alg.oaep != 0 {
		return k.rsa != nil && len(t.EncryptedKey) == k.rsa.Size()
	}
	return k.ec != nil && k.curve == t.Curve // RFC 7518 section 4.6.1.1: the sender's key is on the same curve
}
