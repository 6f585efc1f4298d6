package keyring

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/caddyjwt/gateway/internal/causes"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/opaque"
	"github.com/caddyjwt/gateway/internal/strictjson"
)

const (
	// version is the form of the document that is written. Versions 1 and 2 are read, too, and become this one with the
	// next change: the first has no member ring, and former keys have no sealing in both.
	version = 3
	// maxDocument bounds what is read of a document, in bytes. The longest has less than a quarter of it.
	maxDocument = 64 << 10
)

// written is the document as JSON. It holds private keys: it must not be printed.
type written struct {
	Version  int          `json:"version"`
	Ring     string       `json:"ring,omitempty"`
	Issuer   string       `json:"issuer"`
	Epoch    time.Time    `json:"epoch"`
	Reset    time.Time    `json:"reset,omitzero"`
	Revision uint64       `json:"revision"`
	Keys     []writtenKey `json:"keys"`
}

// writtenKey has a private key in the form of PKCS#8 (RFC 5208 section 5), or the public JWK of a former key, and what
// opens its opaque tokens.
type writtenKey struct {
	KeyID     string          `json:"kid"`
	Algorithm string          `json:"alg"`
	State     string          `json:"state"`
	Since     time.Time       `json:"since"`
	Until     time.Time       `json:"until,omitzero"`
	Private   []byte          `json:"private,omitempty"`
	Public    json.RawMessage `json:"public,omitempty"`
	Sealing   []byte          `json:"sealing,omitempty"`
}

// encode writes a document.
func (d *document) encode(issuer string) ([]byte, error) {
	w := written{
		Version: version, Ring: d.ring, Issuer: issuer, Epoch: d.epoch, Reset: d.reset, Revision: d.revision,
	}
	if d.ring == "" { // nothing has changed since it was read
		w.Version = 1
	}
	for _, key := range d.keys {
		k := writtenKey{
			KeyID: key.public.ID, Algorithm: key.algorithm().String(), State: key.state.String(),
			Since: key.since, Until: key.until,
		}
		var err error
		if key.signer != nil {
			k.Private, err = key.signer.PKCS8()
		} else {
			k.Public, err = key.public.JWK()
			if key.secret != nil {
				k.Sealing = key.secret[:]
			}
		}
		if err != nil {
			return nil, fmt.Errorf("writing the key %s: %w", k.KeyID, err)
		}
		w.Keys = append(w.Keys, k)
	}
	return json.MarshalIndent(w, "", "\t")
}

// decode reads a document of this issuer. No error quotes the text, which has private keys.
func decode(text []byte, issuer string) (*document, error) {
	if len(text) > maxDocument {
		return nil, fmt.Errorf("it has %d bytes, and at most %d are read", len(text), maxDocument)
	}
	object, err := strictjson.ParseObject(text, strictjson.Limits{})
	if err != nil {
		return nil, err
	}
	if number, has := object.Member("version"); !has || !slices.Contains([]string{"1", "2", "3"}, number.Text()) {
		return nil, fmt.Errorf("its version is not 1 to %d: was it written by a newer program?", version)
	}
	var w written
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if decoder.Decode(&w) != nil || (w.Version == 1) != (w.Ring == "") { // the error of Decode may quote the text
		return nil, errors.New("it does not have the members of its version")
	}
	if w.Issuer != issuer {
		return nil, fmt.Errorf("it is that of the issuer %s", causes.Quote(w.Issuer))
	}
	d := &document{ring: w.Ring, epoch: w.Epoch, reset: w.Reset, revision: w.Revision}
	for i, key := range w.Keys {
		e, err := key.decode()
		if err != nil {
			return nil, fmt.Errorf("keys[%d]: %w", i, err)
		}
		d.keys = append(d.keys, e)
	}
	return d, d.check()
}

func (k *writtenKey) decode() (*entry, error) {
	alg, known := jose.ParseAlgorithm(k.Algorithm)
	if !known || !jose.SigningAlgorithms().Has(alg) {
		return nil, fmt.Errorf("its algorithm is none of %v", jose.SigningAlgorithms())
	}
	e := &entry{since: k.Since, until: k.Until}
	for state, name := range states {
		if name != "" && name == k.State {
			e.state = State(state)
		}
	}
	if err := e.setKey(k, alg); err != nil {
		return nil, err
	}
	// The id says which key was meant, and must be derived from the key (RFC 7638 section 3).
	if e.public.ID != k.KeyID || idOf(e.public) != k.KeyID || e.algorithm() != alg {
		return nil, errors.New("the key has another id or algorithm than is written")
	}
	return e, nil
}

// setKey reads the private key of an entry that needs it, or else the public key.
func (e *entry) setKey(k *writtenKey, alg jose.Algorithm) (err error) {
	if e.state != Former {
		if e.signer, err = jose.ParseSigner(alg, k.Private); err == nil {
			e.public = e.signer.Key()
		}
		return err
	}
	switch len(k.Sealing) {
	case 0:
	case opaque.SecretSize:
		e.secret = (*secret)(k.Sealing)
	default:
		return fmt.Errorf("sealing must have %d bytes", opaque.SecretSize)
	}
	e.public, err = jose.ParseJWK(k.Public)
	return err
}

func idOf(key *jose.Key) string {
	thumbprint := key.Thumbprint()
	return base64.RawURLEncoding.EncodeToString(thumbprint[:])
}
