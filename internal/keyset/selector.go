package keyset

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/MicahParks/jwkset"
	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"

	"github.com/caddyjwt/gateway/internal/jose"
)

// selector picks the keys for an algorithm. It has only keys that fit the algorithm. So of two keys with the same id
// but of different kinds (RFC 7517 section 4.5 allows such a pair), it always finds the right one.
//
// keyfunc makes the choice only because the product's card names it as a part of the product: two maps would do the
// same. Its price is on this page. The storage has exactly these keys and refuses to change. owners leads from the bare
// key that keyfunc returns to the key as this module knows it.
//
// Requests do not pay that price. A set never changes, so keyfunc's answers about it do not either. keyfunc chooses
// once for each key id when the set is made, and requests look its answers up.
type selector struct {
	choose   jwt.Keyfunc
	byKID    map[string]*jwkset.JWK
	all      []*jwkset.JWK       // at most maxCandidates
	owners   map[any][]*jose.Key // by identity of the material: the key, then others with the same id
	nameless []*jose.Key         // keys without an id, at most maxCandidates
	each     map[any]*jose.Key   // by identity of the material: the key alone

	named   map[string][]*jose.Key // keyfunc's answers by key id
	unnamed []*jose.Key            // its answer for tokens without one
}

// index makes the selectors. Algorithms with the same keys share one, as the six of RSA mostly do.
func (s *Set) index() error {
	stored := make(map[*jose.Key]*jwkset.JWK, len(s.keys))
	var fitting [len(s.selectors)][]*jose.Key
	for _, key := range s.keys {
		jwk, err := storable(key)
		if err != nil {
			return err
		}
		stored[key] = &jwk
		for alg := range key.Algorithms().All() {
			fitting[alg] = append(fitting[alg], key)
		}
	}
	for alg, keys := range fitting {
		if len(keys) == 0 {
			continue
		}
		equal := func(other []*jose.Key) bool { return slices.Equal(other, keys) }
		if same := slices.IndexFunc(fitting[:alg], equal); same >= 0 {
			s.selectors[alg] = s.selectors[same]
			continue
		}
		selector, err := newSelector()
		if err != nil {
			return err
		}
		for _, key := range keys {
			selector.add(key, stored[key])
		}
		if err := selector.settle(jose.Algorithm(alg)); err != nil {
			return err
		}
		s.selectors[alg] = selector
	}
	return nil
}

func newSelector() (*selector, error) {
	s := &selector{
		byKID:  make(map[string]*jwkset.JWK),
		owners: make(map[any][]*jose.Key),
		each:   make(map[any]*jose.Key),
	}
	// The storage never waits, so it needs no context.
	chooser, err := keyfunc.New(keyfunc.Options{
		Ctx: context.Background(), Storage: s, UseWhitelist: []jwkset.USE{jwkset.UseSig},
	})
	if err != nil {
		return nil, err
	}
	s.choose = chooser.KeyfuncCtx(context.Background())
	return s, nil
}

// add adds a key. The first of several keys with the same id represents them.
func (s *selector) add(key *jose.Key, jwk *jwkset.JWK) {
	id := identity(jwk.Key())
	s.each[id] = key
	if len(s.all) < maxCandidates {
		s.all = append(s.all, jwk)
	}
	if key.ID == "" {
		if len(s.nameless) < maxCandidates {
			s.nameless = append(s.nameless, key)
		}
		return
	}
	first, taken := s.byKID[key.ID]
	if !taken {
		s.byKID[key.ID] = jwk
		s.owners[id] = []*jose.Key{key}
		return
	}
	if group := s.owners[identity(first.Key())]; len(group) < maxCandidates {
		s.owners[identity(first.Key())] = append(group, key)
	}
}

// settle asks keyfunc for the keys of every key id, and of tokens without one. The algorithms that share the selector
// have the same keys, and so the same answers.
func (s *selector) settle(alg jose.Algorithm) error {
	s.named = make(map[string][]*jose.Key, len(s.byKID))
	for kid := range s.byKID {
		material, err := s.choose(&jwt.Token{Header: map[string]any{"alg": alg.String(), jwkset.HeaderKID: kid}})
		if err != nil {
			return fmt.Errorf("%w: %w", jose.ErrKey, err)
		}
		s.named[kid] = s.owners[identity(material)]
	}
	material, err := s.choose(&jwt.Token{Header: map[string]any{"alg": alg.String()}})
	if err != nil {
		return fmt.Errorf("%w: %w", jose.ErrKey, err)
	}
	keys, _ := material.(jwt.VerificationKeySet)
	for _, key := range keys.Keys {
		if owner, ok := s.each[identity(key)]; ok {
			s.unnamed = append(s.unnamed, owner)
		}
	}
	return nil
}

// find returns the candidates for a key id, or for a token without one.
func (s *selector) find(kid string) (candidates []*jose.Key, exact bool) {
	if kid == "" {
		return s.unnamed, true
	}
	if keys, known := s.named[kid]; known {
		return keys, true
	}
	return s.nameless, false
}

// identity is a comparable value that stands for this very piece of key material, not for its content.
func identity(material any) any {
	switch key := material.(type) {
	case ed25519.PublicKey:
		return &key[0]
	case []byte:
		return &key[0]
	default: // *rsa.PublicKey, *ecdsa.PublicKey
		return key
	}
}

// storable writes a key as a JWK for the storage. A shared secret does not go there: its JWK has the key's thumbprint
// instead, which is a hash under a key of this process.
func storable(key *jose.Key) (jwkset.JWK, error) {
	m := jwkset.JWKMarshal{KID: key.ID, USE: jwkset.UseSig, ALG: soleAlgorithm(key)}
	encode := base64.RawURLEncoding.EncodeToString
	switch material := key.PublicKey().(type) {
	case *rsa.PublicKey, *ecdsa.PublicKey:
		jwk, err := jwkset.NewJWKFromKey(material, jwkset.JWKOptions{
			Metadata: jwkset.JWKMetadataOptions{KID: m.KID, USE: m.USE, ALG: m.ALG},
		})
		return jwk, wrapStorable(err)
	case ed25519.PublicKey:
		m.KTY, m.CRV, m.X = jwkset.KtyOKP, jwkset.CrvEd25519, encode(material)
	default:
		thumbprint := key.Thumbprint()
		handle := sha256.Sum256(thumbprint[:])
		m.KTY, m.K = jwkset.KtyOct, encode(handle[:])
	}
	jwk, err := jwkset.NewJWKFromMarshal(m, jwkset.JWKMarshalOptions{Private: true}, jwkset.JWKValidateOptions{})
	return jwk, wrapStorable(err)
}

func wrapStorable(err error) error {
	if err != nil {
		return fmt.Errorf("%w: %w", jose.ErrKey, err)
	}
	return nil
}

// soleAlgorithm is the key's algorithm when it has only one, for keyfunc to compare with the token's.
func soleAlgorithm(key *jose.Key) (name jwkset.ALG) {
	for alg := range key.Algorithms().All() {
		if name != "" {
			return ""
		}
		name = jwkset.ALG(alg.String())
	}
	return name
}

// KeyRead implements jwkset.Storage.
func (s *selector) KeyRead(_ context.Context, kid string) (jwkset.JWK, error) {
	jwk, ok := s.byKID[kid]
	if !ok {
		return jwkset.JWK{}, jwkset.ErrKeyNotFound
	}
	return *jwk, nil
}

// KeyReadAll implements jwkset.Storage. It returns no more keys than may be tried.
func (s *selector) KeyReadAll(context.Context) ([]jwkset.JWK, error) {
	all := make([]jwkset.JWK, len(s.all))
	for i, jwk := range s.all {
		all[i] = *jwk
	}
	return all, nil
}

// The rest of jwkset.Storage would change or print the keys, which must not happen.
var errReadOnly = errors.New("key storage is read-only")

// KeyDelete implements jwkset.Storage and refuses.
func (s *selector) KeyDelete(context.Context, string) (bool, error) { return false, errReadOnly }

// KeyReplaceAll implements jwkset.Storage and refuses.
func (s *selector) KeyReplaceAll(context.Context, []jwkset.JWK) error { return errReadOnly }

// KeyWrite implements jwkset.Storage and refuses.
func (s *selector) KeyWrite(context.Context, jwkset.JWK) error { return errReadOnly }

// JSON implements jwkset.Storage and refuses.
func (s *selector) JSON(context.Context) (json.RawMessage, error) { return nil, errReadOnly }

// JSONPublic implements jwkset.Storage and refuses.
func (s *selector) JSONPublic(context.Context) (json.RawMessage, error) { return nil, errReadOnly }

// JSONPrivate implements jwkset.Storage and refuses.
func (s *selector) JSONPrivate(context.Context) (json.RawMessage, error) { return nil, errReadOnly }

// JSONWithOptions implements jwkset.Storage and refuses.
func (s *selector) JSONWithOptions(
	context.Context, jwkset.JWKMarshalOptions, jwkset.JWKValidateOptions,
) (json.RawMessage, error) {
	return nil, errReadOnly
}

// Marshal implements jwkset.Storage and refuses.
func (s *selector) Marshal(context.Context) (jwkset.JWKSMarshal, error) {
	return jwkset.JWKSMarshal{}, errReadOnly
}

// MarshalWithOptions implements jwkset.Storage and refuses.
func (s *selector) MarshalWithOptions(
	context.Context, jwkset.JWKMarshalOptions, jwkset.JWKValidateOptions,
) (jwkset.JWKSMarshal, error) {
	return jwkset.JWKSMarshal{}, errReadOnly
}
