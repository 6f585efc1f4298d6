package sealed

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha1" // of RSA-OAEP
	_ "crypto/sha256"
	"encoding/binary"

	josecipher "github.com/go-jose/go-jose/v4/cipher"

	ours "github.com/caddyjwt/gateway/internal/jose"
)

// open decrypts a token whose parts have the lengths that its algorithms demand. The only error is ErrNotOpened.
//
// A random key takes the place of one that cannot be recovered. So a bad key takes the same way as a bad tag, and the
// same time (RFC 7516 section 11.5).
func (k *Key) open(t *ours.Encrypted, alg *keyAlgorithm, enc *contentEncryption) ([]byte, error) {
	key := make([]byte, enc.key)
	_, _ = rand.Read(key) // it never fails
	if recovered, err := k.contentKey(t, alg, enc); err == nil && len(recovered) == enc.key {
		key = recovered
	}
	aead, err := enc.open(key)
	if err != nil {
		return nil, ErrNotOpened
	}
	content, err := aead.Open(nil, t.IV, t.Sealed, []byte(t.AdditionalData))
	if err != nil {
		return nil, ErrNotOpened
	}
	return content, nil
}

func newGCM(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

func newCBC(key []byte) (cipher.AEAD, error) { return josecipher.NewCBCHMAC(key, aes.NewCipher) }

// contentKey recovers the key of the content.
func (k *Key) contentKey(t *ours.Encrypted, alg *keyAlgorithm, enc *contentEncryption) ([]byte, error) {
	switch {
	case alg.oaep != 0: // RFC 7518 section 4.3
		return rsa.DecryptOAEP(alg.oaep.New(), nil, k.rsa, t.EncryptedKey, nil)
	case alg.wrap == 0: // section 4.6: the agreed key is that of the content
		return k.agree(t, t.Encryption, enc.key)
	}
	wrapping, err := k.agree(t, t.Algorithm, alg.wrap)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(wrapping)
	if err != nil {
		return nil, err
	}
	return josecipher.KeyUnwrap(block, t.EncryptedKey) // section 4.4
}

// agree derives a key of some bytes from the sender's ephemeral key (RFC 7518 section 4.6.2). The purpose is the name
// of the algorithm that the key is for.
func (k *Key) agree(t *ours.Encrypted, purpose string, size int) ([]byte, error) {
	sender, err := k.ec.Curve().NewPublicKey(t.Point) // it checks that the point is on the curve
	if err != nil {
		return nil, err
	}
	secret, err := k.ec.ECDH(sender)
	if err != nil {
		return nil, err
	}
	bits := binary.BigEndian.AppendUint32(nil, uint32(size)*8)
	derived := make([]byte, size)
	kdf := josecipher.NewConcatKDF(crypto.SHA256, secret,
		counted([]byte(purpose)), counted(t.PartyU), counted(t.PartyV), bits, nil)
	_, err = kdf.Read(derived)
	return derived, err
}

// counted is data after its length.
func counted(data []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(data))), data...)
}
