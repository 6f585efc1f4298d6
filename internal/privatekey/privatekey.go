// Package privatekey reads private keys from PEM text, encrypted ones included. Its errors quote neither the key nor
// the password.
package privatekey

import (
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"

	"go.step.sm/crypto/pemutil"

	"github.com/caddyjwt/gateway/internal/jose"
)

// MaxIterations bounds the work that an encrypted key can ask for, which is about a second. Such keys ask for 2,048
// (OpenSSL) up to some 1,300,000 rounds.
const MaxIterations = 2_000_000

var (
	// ErrEncrypted: the key needs a password, and none was given.
	ErrEncrypted = errors.New("the private key is encrypted")

	// ErrNotEncrypted: there is a password for a key that needs none.
	ErrNotEncrypted = errors.New("the private key is not encrypted, so the password is for another key")

	// ErrPassword: the password does not open the key. For some keys a wrong one cannot be told from a damaged key.
	ErrPassword = errors.New("the password does not open the private key")
)

// Parse reads the first block of a PEM text: a private key in PKCS#8, PKCS#1 or SEC 1 form. With a password, the block
// must be encrypted, by PKCS#8 (RFC 5958 section 3) with PBES2 and PBKDF2 (RFC 8018), or in the form of RFC 1421. An
// empty password is none.
func Parse(text, password []byte) (crypto.Signer, error) {
	block, _ := pem.Decode(jose.PlainText(text))
	if block == nil {
		return nil, errors.New("private key: no PEM block")
	}
	kind, der := block.Type, block.Bytes
	switch isEncrypted := kind == encrypted || block.Headers["Proc-Type"] != ""; {
	case isEncrypted && len(password) == 0:
		return nil, ErrEncrypted
	case !isEncrypted && len(password) > 0:
		return nil, ErrNotEncrypted
	case isEncrypted:
		var err error
		if der, err = decrypt(block, password); err != nil {
			return nil, err
		}
		if kind == encrypted {
			kind = "PRIVATE KEY"
		}
	}
	key, err := parse(kind, der)
	if err != nil && len(password) > 0 {
		return nil, ErrPassword // the padding was right by chance
	}
	return key, err
}

func parse(kind string, der []byte) (crypto.Signer, error) {
	var key any
	var err error
	switch kind {
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(der)
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(der)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(der)
	default:
		return nil, fmt.Errorf("private key: a PEM block of type %q is not a private key", kind)
	}
	if err != nil {
		return nil, errors.New("private key: the PEM block cannot be read")
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, errors.New("private key: this kind of key cannot sign")
	}
	return signer, nil
}

const encrypted = "ENCRYPTED PRIVATE KEY" // RFC 7468 section 11

// decrypt opens a block. It recovers: the library panics on texts that are no whole number of blocks.
func decrypt(block *pem.Block, password []byte) (der []byte, err error) {
	defer func() {
		if recover() != nil {
			der, err = nil, errors.New("private key: the encrypted PEM block cannot be read")
		}
	}()
	if block.Type == encrypted {
		if err := checkScheme(block.Bytes); err != nil {
			return nil, err
		}
	}
	der, err = pemutil.DecryptPEMBlock(block, password)
	switch {
	case errors.Is(err, x509.IncorrectPasswordError):
		return nil, ErrPassword
	case err != nil: // the text of the error may name what is in the key
		return nil, errors.New("private key: the way in which it is encrypted is not supported; " + cure)
	}
	return der, nil
}

// cure is a command that makes a key which every program can read.
const cure = "convert it with \"openssl pkcs8 -topk8 -v2 aes-256-cbc -v2prf hmacWithSHA256 -iter 600000\""

// The pseudo-random functions of PBKDF2 that the library knows (RFC 8018 appendix B.1). Without one, it is the first.
var (
	hmacWithSHA1   = asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 7}
	hmacWithSHA256 = asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 9}
)

// scheme is the beginning of an EncryptedPrivateKeyInfo (RFC 5958 section 3) with PBES2 and PBKDF2 (RFC 8018 appendices
// A.2 and A.4).
type scheme struct {
	Algorithm struct {
		ID         asn1.ObjectIdentifier
		Parameters struct {
			Derivation struct {
				ID         asn1.ObjectIdentifier
				Parameters struct {
					Salt       []byte
					Iterations int
					Function   struct {
						ID   asn1.ObjectIdentifier
						Rest asn1.RawValue
					} `asn1:"optional"`
				}
			}
			Encryption asn1.RawValue
		}
	}
	Data []byte
}

// checkScheme refuses keys that ask for more work than anybody needs, and those that the library would take for others:
// it reads every unknown function as HMAC with SHA-1, and would call a right password wrong.
func checkScheme(der []byte) error {
	var s scheme
	if _, err := asn1.Unmarshal(der, &s); err != nil {
		return errors.New("private key: the way in which it is encrypted is not supported; " + cure)
	}
	derivation := s.Algorithm.Parameters.Derivation.Parameters
	if derivation.Iterations < 1 || derivation.Iterations > MaxIterations {
		return fmt.Errorf("private key: it asks for %d rounds to derive a key from the password, and 1 to %d are allowed; %s",
			derivation.Iterations, MaxIterations, cure)
	}
	if id := derivation.Function.ID; id != nil && !id.Equal(hmacWithSHA1) && !id.Equal(hmacWithSHA256) {
		return errors.New("private key: it derives a key from the password in a way that is not supported; " + cure)
	}
	return nil
}
