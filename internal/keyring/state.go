package keyring

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"log/slog"
	"slices"
	"time"

	"github.com/caddyjwt/gateway/internal/causes"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/internal/opaque"
)

// state is what is in force. It is immutable.
type state struct {
	doc     *document
	hash    [sha256.Size]byte // of the text of the document
	keys    []*entry          // those that verify
	source  keyset.Source     // their public halves
	set     *keyset.Set       // of source
	jwks    []byte
	head    []byte                   // the beginning of the header of every token
	changes time.Time                // when the time of the first former key is over; zero for never
	secrets map[opaque.KeyID]*secret // of the keys that open opaque tokens
}

// newState makes what is in force at a time by a document.
func newState(doc *document, hash [sha256.Size]byte, now time.Time) (*state, error) {
	s := &state{doc: doc, hash: hash, keys: doc.alive(now), secrets: make(map[opaque.KeyID]*secret)}
	public := make([]*jose.Key, len(s.keys))
	for i, key := range s.keys {
		public[i] = key.public
		if secret := key.sealing(); secret != nil {
			s.secrets[key.public.Thumbprint()] = secret
		}
		if key.state == Former && (s.changes.IsZero() || key.until.Before(s.changes)) {
			s.changes = key.until
		}
	}
	var err error
	if s.source, err = keyset.NewStatic(public...); err != nil {
		return nil, err
	}
	s.set = s.source.Current()
	if s.jwks, err = jwksOf(public); err != nil {
		return nil, err
	}
	s.head, err = json.Marshal(struct {
		Algorithm string `json:"alg"`
		KeyID     string `json:"kid"`
	}{doc.signs().algorithm().String(), doc.signs().public.ID})
	return s, err
}

// jwksOf writes a key set (RFC 7517 section 5).
func jwksOf(keys []*jose.Key) ([]byte, error) {
	jwks := make([][]byte, len(keys))
	for i, key := range keys {
		var err error
		if jwks[i], err = key.JWK(); err != nil {
			return nil, err
		}
	}
	return slices.Concat([]byte(`{"keys":[`), bytes.Join(jwks, []byte(",")), []byte("]}")), nil
}

// has reports whether a key with this id is in force.
func (s *state) has(kid string) bool {
	return slices.ContainsFunc(s.keys, func(key *entry) bool { return key.public.ID == kid })
}

// install puts a document in force. The caller holds mu.
func (r *Ring) install(doc *document, hash [sha256.Size]byte) error {
	before := r.state.Load()
	after, err := newState(doc, hash, r.options.Now())
	if err != nil {
		return err
	}
	r.state.Store(after)
	if before != nil {
		r.noteChange(before, after)
		if !before.doc.reset.Equal(doc.reset) {
			r.meetSoon() // other rings have not been reset
		}
	}
	return nil
}

// noteChange remembers the keys that have gone, and logs what has changed.
func (r *Ring) noteChange(before, after *state) {
	var added, removed []string
	for _, key := range after.keys {
		if !before.has(key.public.ID) {
			added = append(added, key.public.ID)
		}
	}
	for _, key := range before.keys {
		if !after.has(key.public.ID) {
			removed = append(removed, key.public.ID)
			r.retired.add(key.public.ID)
		}
	}
	signs := after.doc.signs().public.ID
	if len(added)+len(removed) == 0 && signs == before.doc.signs().public.ID {
		return
	}
	r.logger.Info("the signing keys have changed", slog.String("signs", signs), slog.Int("keys", len(after.keys)),
		slog.String("added", causes.Names(added)), slog.String("removed", causes.Names(removed)))
}

// expire takes away the former keys whose time is over. The vault is not needed for that.
func (r *Ring) expire() {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.state.Load()
	if s == nil || s.changes.IsZero() || r.options.Now().Before(s.changes) {
		return
	}
	if err := r.install(s.doc, s.hash); err != nil { // it has fewer keys than before, all of which were good
		r.logger.Error("former signing keys stay too long", "error", causes.Line(err))
	}
}

// maxRetired bounds the ids that are remembered.
const maxRetired = 64

// retired has the ids of keys that were in force, the last ones of them.
type retired []string

func (r *retired) add(kid string) {
	if len(*r) == maxRetired {
		*r = slices.Delete(*r, 0, 1)
	}
	*r = append(*r, kid)
}

// wasRetired reports whether a key with this id was in force, and is not any more. Old tokens have it.
func (r *Ring) wasRetired(kid string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Contains(r.retired, kid)
}

// Info is what there is to tell about a key.
type Info struct {
	KeyID     string // the JWK thumbprint with SHA-256 (RFC 7638)
	Algorithm jose.Algorithm
	State     State
	Since     time.Time // of the state
	Until     time.Time // of a former key: when it stops to verify; zero for others
}

// Keys lists the keys that verify: the one that signs, the next one, and the former ones from the latest on. There are
// none after Close.
func (r *Ring) Keys() []Info {
	s := r.state.Load()
	if s == nil {
		return nil
	}
	infos := make([]Info, len(s.keys))
	for i, key := range s.keys {
		infos[i] = Info{key.public.ID, key.algorithm(), key.state, key.since, key.until}
	}
	return infos
}

// JWKS is the key set of all keys that verify (RFC 7517 section 5), for other verifiers. It is made once for each
// change, and must not be changed. It may be kept for minutes: every key is in it long before it signs, except after a
// reset and after a change of the algorithm. After Close it has no keys.
func (r *Ring) JWKS() []byte {
	if s := r.state.Load(); s != nil {
		return s.jwks
	}
	return []byte(`{"keys":[]}`)
}
