package sealed

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	ours "github.com/caddyjwt/gateway/internal/jose"
)

// ErrNotOpened: no key opens the token. It does not say why: with that, strangers could find out what a token contains,
// one question at a time.
var ErrNotOpened = errors.New("encrypted token, and no key here opens it")

// ErrNotNested: the header does not say that the content is a JWT (RFC 7519 section 5.2). No key was used. It is an
// ErrNotOpened.
var ErrNotNested = fmt.Errorf("%w: by its \"cty\", its content is not a JWT", ErrNotOpened)

// maxTried is how many keys are tried on a token that does not name its key: the one in use, and one that is on its way
// in or out.
const maxTried = 2

// maxNamesakes is how many keys of the name in a token are tried: several issuers may call theirs the same.
const maxNamesakes = 8

// sizes checks that all parts of a token have the lengths that its algorithms demand, as far as no key is needed for
// that. A tag that is cut in another place would be another token with the same content.
func (a Algorithms) sizes(t *ours.Encrypted) (alg *keyAlgorithm, enc *contentEncryption, ok bool) {
	alg, enc = a.key(t.Algorithm), a.content(t.Encryption)
	if alg == nil || enc == nil {
		return nil, nil, false
	}
	content := len(t.Sealed) - t.TagSize
	switch {
	case len(t.IV) != enc.iv, t.TagSize != enc.tag, content == 0, content%enc.block != 0:
		return nil, nil, false
	case alg.oaep != 0:
		return alg, enc, t.Curve == ""
	case alg.wrap != 0:
		return alg, enc, len(t.EncryptedKey) == enc.key+8 // RFC 3394 section 2.2.1
	default:
		return alg, enc, len(t.EncryptedKey) == 0 // RFC 7516 section 5.2
	}
}

// Candidates appends those of the keys that may open a token, until there are maxTried, or maxNamesakes for a name.
// They have the name, unless the token names no key. Keys that are in found already are left out.
func (a Algorithms) Candidates(t *ours.Encrypted, name string, keys, found []*Key) []*Key {
	alg, _, ok := a.sizes(t)
	if !ok {
		return found
	}
	most := maxTried
	if name != "" {
		most = maxNamesakes
	}
	for _, k := range keys {
		if len(found) >= most {
			return found
		}
		if (t.KeyID == "" || k.ID == name) && k.fits(t, alg) && !contains(found, k) {
			found = append(found, k)
		}
	}
	return found
}

func contains(keys []*Key, key *Key) bool {
	for _, k := range keys {
		if k.thumbprint == key.thumbprint {
			return true
		}
	}
	return false
}

// Allows reports whether the algorithms of the token are allowed.
func (a Algorithms) Allows(t *ours.Encrypted) bool {
	return a.key(t.Algorithm) != nil && a.content(t.Encryption) != nil
}

// Open opens a token with the first of the keys that can. The keys are Candidates. The client is where the token comes
// from. It is asked for if the token must wait; see Turns.
//
// Errors are ErrNotOpened, ErrNotNested, ErrBusy, and that of the context.
func Open(ctx context.Context, turns *Turns, client func() netip.Addr, t *ours.Encrypted, keys []*Key) (
	content []byte, by *Key, err error,
) {
	if !t.Nested {
		return nil, nil, ErrNotNested
	}
	return open(ctx, turns, client, t, keys)
}

// nobody is the client of a text that we have asked for.
func nobody() netip.Addr { return netip.Addr{} }

// OpenFor opens a text that only these keys may open: an answer to a question of ours. Types are as for
// jose.ParseEncrypted, whose errors it has, too.
func OpenFor(ctx context.Context, turns *Turns, keys *Keys, allowed Algorithms, text string, wanted ...string) (
	content string, outer ours.Encrypted, err error,
) {
	if outer, err = ours.ParseEncrypted(text, nil, wanted...); err != nil {
		return "", outer, err
	}
	for _, present := range []func() []*Key{keys.Present, keys.Again} {
		found := allowed.Candidates(&outer, outer.KeyID, present(), nil)
		if len(found) == 0 {
			found = allowed.Candidates(&outer, "", present(), nil)
		}
		opened, _, err := Open(ctx, turns, nobody, &outer, found)
		if !errors.Is(err, ErrNotOpened) {
			return string(opened), outer, err
		}
	}
	return "", outer, ErrNotOpened
}

// open is Open for any content.
func open(ctx context.Context, turns *Turns, client func() netip.Addr, t *ours.Encrypted, keys []*Key) (
	content []byte, by *Key, err error,
) {
	if len(keys) == 0 {
		return nil, nil, ErrNotOpened
	}
	alg, enc, ok := everything.sizes(t)
	if !ok {
		return nil, nil, ErrNotOpened
	}
	for _, key := range keys {
		content, err := key.inTurn(ctx, turns, client, t, alg, enc)
		if !errors.Is(err, ErrNotOpened) {
			return content, key, err
		}
	}
	return nil, nil, ErrNotOpened
}

// inTurn opens a token with one key. A slow one waits for its turn.
func (k *Key) inTurn(ctx context.Context, turns *Turns, client func() netip.Addr, t *ours.Encrypted,
	alg *keyAlgorithm, enc *contentEncryption,
) ([]byte, error) {
	if k.isSlow() {
		if err := turns.begin(ctx, client); err != nil {
			return nil, err
		}
		defer turns.end()
	}
	return k.open(t, alg, enc)
}
