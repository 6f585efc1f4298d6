// Package sealed opens encrypted tokens (JWE, RFC 7516) with the private keys of their recipient. What it opens is no
// proof of who made it: everybody may encrypt to a public key. So the content must be signed (RFC 7519 section 5.2),
// and the caller verifies that.
//
// The cryptography is that of Go's library, and go-jose's where Go has none: key derivation, key wrapping, and CBC with
// HMAC. This package decides what reaches it: the algorithms and the lengths of all parts are checked before, and so
// are the keys. go-jose's own parser is not used. It would read the header once more, by rules of its own.
package sealed

import (
	"crypto"
	"crypto/cipher"
	"fmt"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"

	ours "github.com/caddyjwt/gateway/internal/jose"
)

// keyAlgorithm is a way to encrypt the key of the content (RFC 7518 section 4.1).
type keyAlgorithm struct {
	name jose.KeyAlgorithm
	oaep crypto.Hash // that of RSA-OAEP; zero for a key that is agreed upon
	wrap int         // bytes of the key that wraps that of the content (RFC 3394); zero if that is agreed upon itself
}

// keyAlgorithms are those that are implemented. Not among them: RSA1_5, whose padding is an oracle (RFC 8725 section
// 3.2); those with a shared secret or a password, with which everybody who can make a token can read all others.
var keyAlgorithms = [...]keyAlgorithm{
	{name: jose.ECDH_ES},
	{name: jose.ECDH_ES_A128KW, wrap: 16},
	{name: jose.ECDH_ES_A256KW, wrap: 32},
	{name: jose.RSA_OAEP_256, oaep: crypto.SHA256},
	{name: jose.ECDH_ES_A192KW, wrap: 24},
	{name: jose.RSA_OAEP, oaep: crypto.SHA1},
}

// defaultAlgorithms is how many of keyAlgorithms are allowed by default.
const defaultAlgorithms = 4

// contentEncryption is a way to encrypt the content (RFC 7518 section 5.1). The lengths are in bytes.
type contentEncryption struct {
	name         jose.ContentEncryption
	key, iv, tag int
	block        int // the length of the content is a multiple of it, and not zero
	open         func(key []byte) (cipher.AEAD, error)
}

var contentEncryptions = [...]contentEncryption{
	{jose.A128GCM, 16, 12, 16, 1, newGCM},
	{jose.A256GCM, 32, 12, 16, 1, newGCM},
	{jose.A128CBC_HS256, 32, 16, 16, 16, newCBC},
	{jose.A256CBC_HS512, 64, 16, 32, 16, newCBC},
	{jose.A192GCM, 24, 12, 16, 1, newGCM},
	{jose.A192CBC_HS384, 48, 16, 24, 16, newCBC},
}

// defaultEncryptions is how many of contentEncryptions are allowed by default.
const defaultEncryptions = 4

// Algorithms is a set of algorithms for keys and for contents. The zero value allows the default ones.
type Algorithms struct{ keys, contents uint8 }

// everything allows all that is implemented.
var everything = Algorithms{keys: 1<<len(keyAlgorithms) - 1, contents: 1<<len(contentEncryptions) - 1}

// ParseAlgorithms makes a set of names. A list that is empty means the default ones. The errors say which name is
// wrong; the first is about keys, the second about contents.
func ParseAlgorithms(keys, contents []string) (set Algorithms, ofKeys, ofContents error) {
	set.keys, ofKeys = parse(keys, keyNames(len(keyAlgorithms)), refusedKeys)
	set.contents, ofContents = parse(contents, contentNames(len(contentEncryptions)), nil)
	return set, ofKeys, ofContents
}

// refusedKeys says why an algorithm is not implemented.
var refusedKeys = map[string]string{
	"RSA1_5": "its padding lets strangers decrypt tokens by asking often (RFC 8725 section 3.2)",
	"dir":    "with a shared key, everybody who can make a token can read all others",
}

func parse(names, known []string, refused map[string]string) (set uint8, err error) {
	for _, name := range names {
		i := slices.Index(known, name)
		switch {
		case i < 0 && refused[name] != "":
			return 0, fmt.Errorf("%q is not supported: %s; supported are %s", name, refused[name], strings.Join(known, ", "))
		case i < 0:
			return 0, fmt.Errorf("%q is unknown; supported are %s", name, strings.Join(known, ", "))
		case set&(1<<i) != 0:
			return 0, fmt.Errorf("%q is given twice: remove one", name)
		}
		set |= 1 << i
	}
	return set, nil
}

func keyNames(n int) (names []string) {
	for _, a := range keyAlgorithms[:n] {
		names = append(names, string(a.name))
	}
	return names
}

func contentNames(n int) (names []string) {
	for _, e := range contentEncryptions[:n] {
		names = append(names, string(e.name))
	}
	return names
}

// Keys are the names of the allowed algorithms for keys, and Contents those for contents.
func (a Algorithms) Keys() []string {
	return chosen(keyNames(len(keyAlgorithms)), a.keys, defaultAlgorithms)
}

// Contents are the names of the allowed algorithms for contents.
func (a Algorithms) Contents() []string {
	return chosen(contentNames(len(contentEncryptions)), a.contents, defaultEncryptions)
}

func chosen(names []string, set uint8, defaults int) []string {
	if set == 0 {
		return names[:defaults]
	}
	var out []string
	for i, name := range names {
		if set&(1<<i) != 0 {
			out = append(out, name)
		}
	}
	return out
}

// EncryptionOf is how the content of a token is encrypted, or empty if that is unknown. It keeps nothing of the token
// in memory.
func EncryptionOf(t *ours.Encrypted) string {
	for i := range contentEncryptions {
		if name := string(contentEncryptions[i].name); name == t.Encryption {
			return name
		}
	}
	return ""
}

// key finds an allowed algorithm for keys.
func (a Algorithms) key(name string) *keyAlgorithm {
	i := slices.IndexFunc(keyAlgorithms[:], func(k keyAlgorithm) bool { return string(k.name) == name })
	if i < 0 || !allows(a.keys, i, defaultAlgorithms) {
		return nil
	}
	return &keyAlgorithms[i]
}

// content finds an allowed algorithm for contents.
func (a Algorithms) content(name string) *contentEncryption {
	i := slices.IndexFunc(contentEncryptions[:], func(e contentEncryption) bool { return string(e.name) == name })
	if i < 0 || !allows(a.contents, i, defaultEncryptions) {
		return nil
	}
	return &contentEncryptions[i]
}

func allows(set uint8, i, defaults int) bool {
	if set == 0 {
		return i < defaults
	}
	return set&(1<<i) != 0
}
