package redis

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/caddyjwt/gateway/internal/store"
)

// kind says what is under a key of the server.
type kind byte

const (
	kindValue kind = 'v' // a sealed value
	kindLog   kind = 'l' // a stream of sealed records
	kindEnds  kind = 'e' // the ends of those records that expire, sorted
	kindAbout kind = 'm' // what the store keeps about itself
)

// sealFormat is the version of what is sealed. It is the first byte, and what follows it is bound to it.
const sealFormat = 1

// nonceEnd is where the nonce ends, which is behind the version.
const nonceEnd = 1 + chacha20poly1305.NonceSizeX

// vault keeps from the server what it stores: contents are sealed, and names are hashed. Both are bound to each other,
// so nothing can be moved to another name. Whoever writes to the server can still delete, or put an old content back.
type vault struct {
	prefix string
	root   [32]byte
	names  [32]byte
	sealed cipher.AEAD
}

// newVault derives the keys. The prefix is a part of them: two stores on one server have nothing in common.
func newVault(root [32]byte, prefix string) (*vault, error) {
	v := &vault{prefix: prefix, root: root}
	v.names = v.derive("names", "")
	sealing := v.derive("contents", "")
	var err error
	// The nonces are random. With their 24 bytes, any number of contents can be sealed with one key.
	v.sealed, err = chacha20poly1305.NewX(sealing[:])
	return v, err
}

// derive makes a key for a purpose (RFC 5869). The two texts before it have no zero byte.
func (v *vault) derive(label, purpose string) (key [32]byte) {
	info := "bearer_auth store 1 " + label + "\x00" + v.prefix + "\x00" + purpose
	derived, err := hkdf.Key(sha256.New, v.root[:], nil, info, len(key))
	if err != nil {
		panic(err) // only for more than 8160 bytes
	}
	return [32]byte(derived)
}

// key is where something is at the server. All keys have the same hash tag, so a cluster keeps them together. What the
// store keeps about itself is there under any Options.Key. Otherwise a node with another one would find an empty store,
// and make it its own.
func (v *vault) key(k kind, name string) string {
	if k == kindAbout {
		return fmt.Sprintf("{%s}:%c:%s", v.prefix, k, name)
	}
	hash := hmac.New(sha256.New, v.names[:])
	hash.Write([]byte{byte(k)})
	hash.Write([]byte(name))
	return fmt.Sprintf("{%s}:%c:%s", v.prefix, k, base64.RawURLEncoding.EncodeToString(hash.Sum(nil)[:16]))
}

// bound is what a sealed content is bound to.
func bound(k kind, name string) []byte { return append([]byte{sealFormat, byte(k)}, name...) }

// seal returns the version, the nonce, and the sealed end and content. The end is in milliseconds, as of store.Millis.
func (v *vault) seal(k kind, name string, content []byte, end int64) []byte {
	plain := binary.BigEndian.AppendUint64(make([]byte, 0, 8+len(content)), uint64(end)) //nolint:gosec // a bit pattern
	plain = append(plain, content...)
	sealed := make([]byte, nonceEnd, nonceEnd+len(plain)+chacha20poly1305.Overhead)
	sealed[0] = sealFormat
	nonce := sealed[1:]
	_, _ = rand.Read(nonce) // it never fails
	return v.sealed.Seal(sealed, nonce, plain, bound(k, name))
}

// errSealed is the reason why something cannot be opened.
var errSealed = errors.New("it was sealed with another key, or it is damaged: compare the key of the store on all " +
	"nodes")

// open is the reverse of seal. The content is never nil. The error wraps store.ErrCorrupt.
func (v *vault) open(k kind, name string, sealed []byte) (content []byte, end int64, err error) {
	if len(sealed) < nonceEnd || sealed[0] != sealFormat {
		return nil, 0, v.corrupt(k, name)
	}
	plain, err := v.sealed.Open(nil, sealed[1:nonceEnd], sealed[nonceEnd:], bound(k, name))
	if err != nil || len(plain) < 8 {
		return nil, 0, v.corrupt(k, name)
	}
	return plain[8:], int64(binary.BigEndian.Uint64(plain)), nil //nolint:gosec // a bit pattern
}

// corrupt says which key of the server has what cannot be opened.
func (v *vault) corrupt(k kind, name string) error {
	return fmt.Errorf("%w: what redis has under %s cannot be opened: %w", store.ErrCorrupt, v.key(k, name), errSealed)
}
