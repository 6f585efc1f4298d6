package sealed

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/go-jose/go-jose/v4"

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
// that. go-jose would take contents and tags that are cut in another place, and a key where there must be none.
func (a Algorithms) sizes(t *ours.Encrypted) (alg *keyAlgorithm, ok bool) {
	alg, enc := a.key(t.Algorithm), a.content(t.Encryption)
	if alg == nil || enc == nil {
		return nil, false
	}
	switch {
	case t.IVSize != enc.iv, t.TagSize != enc.tag, t.ContentSize == 0, t.ContentSize%enc.block != 0:
		return nil, false
	case alg.rsa:
		return alg, t.Curve == ""
	case alg.wrap:
		return alg, t.KeySize == enc.key+8 // RFC 3394 section 2.2.1
	default:
		return alg, t.KeySize == 0 // RFC 7516 section 5.2
	}
}

// Candidates appends those of the keys that may open a token, until there are maxTried, or maxNamesakes for a name.
// They have the name, unless the token names no key. Keys that are in found already are left out.
func (a Algorithms) Candidates(t *ours.Encrypted, name string, keys, found []*Key) []*Key {
	alg, ok := a.sizes(t)
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
	_, ok := a.sizes(t)
	return ok
}

// Open opens a token, which t describes, with the first of the keys that can. The keys are Candidates. The client is
// where the token comes from; see Turns.
//
// Errors are ErrNotOpened, ErrNotNested, ErrBusy, and that of the context.
func Open(ctx context.Context, turns *Turns, client netip.Addr, token string, t *ours.Encrypted, keys []*Key) (
	content []byte, by *Key, err error,
) {
	if !t.Nested {
		return nil, nil, ErrNotNested
	}
	return open(ctx, turns, client, token, t, keys)
}

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
		opened, _, err := Open(ctx, turns, netip.Addr{}, text, &outer, found)
		if !errors.Is(err, ErrNotOpened) {
			return string(opened), outer, err
		}
	}
	return "", outer, ErrNotOpened
}

// open is Open for any content.
func open(ctx context.Context, turns *Turns, client netip.Addr, token string, t *ours.Encrypted, keys []*Key) (
	content []byte, by *Key, err error,
) {
	if len(keys) == 0 {
		return nil, nil, ErrNotOpened
	}
	for _, key := range keys {
		if key.isSlow() {
			if err := turns.begin(ctx, client); err != nil {
				return nil, nil, err
			}
		}
		content, err = key.open(token, t)
		if key.isSlow() {
			turns.end()
		}
		if err == nil {
			return content, key, nil
		}
	}
	return nil, nil, ErrNotOpened
}

// open calls the library. It recovers: a fault there must not end more than this request.
func (k *Key) open(token string, t *ours.Encrypted) (content []byte, err error) {
	defer func() {
		if recover() != nil {
			content, err = nil, ErrNotOpened
		}
	}()
	parsed, err := jose.ParseEncryptedCompact(token, []jose.KeyAlgorithm{jose.KeyAlgorithm(t.Algorithm)},
		[]jose.ContentEncryption{jose.ContentEncryption(t.Encryption)})
	if err != nil {
		return nil, ErrNotOpened
	}
	content, err = parsed.Decrypt(k.private)
	if err != nil {
		return nil, ErrNotOpened
	}
	return content, nil
}
