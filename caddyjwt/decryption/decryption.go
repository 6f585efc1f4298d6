// Package decryption has what a configuration says about encrypted access tokens of an issuer: the block decrypt.
package decryption

import (
	"encoding/pem"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"unicode"

	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/sealed"
	"github.com/caddyjwt/gateway/internal/setting"
)

// Config says how encrypted access tokens of the issuer (JWE, RFC 7516) are opened. What is inside must be a JWT that
// the issuer has signed, and must satisfy all rules for one: everybody can encrypt to a public key.
type Config struct {
	// Private keys for which the tokens may be encrypted: 1 to 4, in the order in which they are tried. A token that names
	// its key by "kid" is opened with the key of that name, or else with one without a name. For a token that names none,
	// at most 2 keys of the whole gate are tried: those before and after a rotation.
	Keys []Key `json:"keys,omitempty"`
	// How the key of the content may be encrypted ("alg"): ECDH-ES, ECDH-ES+A128KW, ECDH-ES+A192KW, ECDH-ES+A256KW,
	// RSA-OAEP-256 and RSA-OAEP. The last one uses SHA-1. Default: ECDH-ES, ECDH-ES+A128KW, ECDH-ES+A256KW, RSA-OAEP-256.
	Algorithms []string `json:"algorithms,omitempty"`
	// How the content may be encrypted ("enc"): A128GCM, A192GCM, A256GCM, A128CBC-HS256, A192CBC-HS384 and A256CBC-HS512.
	// Default: A128GCM, A256GCM, A128CBC-HS256, A256CBC-HS512.
	Encryptions []string `json:"encryptions,omitempty"`
	// Refuse JWTs of the issuer that are not encrypted (RFC 9068 section 4). Default: they are accepted, too.
	Required bool `json:"required,omitempty"`
}

// Key is a private key, or a set of them.
type Key struct {
	// The key, as PEM text or the path of a file: an EC key on P-256, P-384 or P-521, or an RSA key of 2048 to 4096 bits.
	// The file has PEM text, a JWK, or a JWK set of at most 8 keys, of which those for signatures (use: sig) do not count.
	// It is read again when it changes. Prefer an EC key on P-256: for each request, others let strangers cost the gate
	// many times as much. Required. Placeholders are resolved.
	Key string `json:"key"`
	// The "kid" of the key in tokens. Default: that of a JWK, or none. Not for a JWK set. Placeholders are resolved.
	KeyID string `json:"key_id,omitempty"`
	// Password of the private key, as in introspect: private_key_password. Default: none. Placeholders are resolved.
	Password string `json:"password,omitempty"`
}

// maxKeyID is how many bytes the kid of a key may have.
const maxKeyID = 255

// maxKeys is how many lines "key" a block may have.
const maxKeys = 4

// Plan is a Config whose settings have been checked.
type Plan struct {
	algorithms sealed.Algorithms
	required   bool
	texts      []sealed.Text
}

// Open makes what a gate needs. It holds nothing that must be closed. The logger must outlive it; nil for none.
func (p *Plan) Open(logger *slog.Logger) *gate.Decryption {
	if logger != nil {
		logger = logger.With("setting", "decrypt key")
	}
	return &gate.Decryption{Keys: sealed.NewKeys(p.texts, logger), Algorithms: p.algorithms, Required: p.required}
}

// Compile checks the block, and reads the keys.
func (d *Config) Compile(s *words.Settings) (*Plan, error) {
	switch {
	case len(d.Keys) == 0:
		return nil, errors.New("decrypt has no key: add \"key <file>\"")
	case len(d.Keys) > maxKeys:
		return nil, setting.Errorf("Keys", "decrypt has %d keys, and at most %d are taken: remove those that are no longer "+
			"used", len(d.Keys), maxKeys)
	}
	algorithms, err := d.compileAlgorithms()
	if err != nil {
		return nil, err
	}
	plan := &Plan{algorithms: algorithms, required: d.Required}
	for n := range d.Keys {
		text, err := d.Keys[n].compile(s)
		if err != nil {
			return nil, setting.In(setting.Element("Keys", n), setting.Wrap("decrypt", err))
		}
		plan.texts = append(plan.texts, text)
	}
	if n := twice(plan.texts); n >= 0 {
		return nil, setting.Errorf(setting.Element("Keys", n), "decrypt: this key, or its kid, is there twice: remove one")
	}
	return plan, nil
}

func (d *Config) compileAlgorithms() (sealed.Algorithms, error) {
	var none sealed.Algorithms
	if err := words.NotEmpty("algorithms", d.Algorithms); err != nil {
		return none, setting.In("Algorithms", err)
	}
	if err := words.NotEmpty("encryptions", d.Encryptions); err != nil {
		return none, setting.In("Encryptions", err)
	}
	set, ofKeys, ofContents := sealed.ParseAlgorithms(d.Algorithms, d.Encryptions)
	switch {
	case ofKeys != nil:
		return none, setting.Errorf("Algorithms", "decrypt: algorithms: %w", ofKeys)
	case ofContents != nil:
		return none, setting.Errorf("Encryptions", "decrypt: encryptions: %w", ofContents)
	}
	return set, nil
}

// twice is the index of a text with a key that is in one before it, by value or by name; or -1. Among several keys
// without a name, none is meant more than another.
func twice(texts []sealed.Text) int {
	var seen []*sealed.Key
	for n, text := range texts {
		for _, key := range text.First {
			if slices.ContainsFunc(seen, func(k *sealed.Key) bool { return k.Same(key) || k.ID != "" && k.ID == key.ID }) {
				return n
			}
		}
		seen = append(seen, text.First...)
	}
	return -1
}

// compile reads a key, or has a stand-in for one that is not known yet.
func (k *Key) compile(s *words.Settings) (text sealed.Text, err error) {
	password, openable, err := s.Text("password", k.Password)
	if err != nil {
		return text, setting.In("Password", err)
	}
	id, named, err := s.Text("key_id", k.KeyID)
	if err != nil {
		return text, setting.In("KeyID", err)
	}
	if named && (len(id) > maxKeyID || strings.ContainsFunc(id, unicode.IsControl)) {
		return text, setting.Errorf("KeyID", "the kid of the key has a line end or another control character, or more than "+
			"%d bytes: is it the key itself?", maxKeyID)
	}
	value, known, err := s.Text("key", k.Key)
	template := s.RotatingPEM
	if strings.HasPrefix(strings.TrimSpace(value), "{") { // a JWK
		template = s.Rotating
	}
	if err == nil && known {
		text.Template, known, err = template("key", k.Key)
	}
	if err != nil {
		return text, setting.In("Key", err)
	}
	text.Password, text.ID = password, id
	if !known || !openable || !named {
		nobodys, err := standIn()
		if err != nil {
			return text, err
		}
		text.First, err = sealed.Parse(nobodys, nil, id)
		return text, err
	}
	text.First, err = sealed.Parse([]byte(text.Template.First), []byte(password), id)
	err = words.PasswordMistake(err, "key", "Key", "Password")
	if err != nil && setting.Field(err) == "" {
		err = setting.Errorf("Key", "key: %w", err)
	}
	return text, err
}

// standIn is a key that nobody has.
func standIn() ([]byte, error) {
	key, err := jose.GenerateSigner(jose.ES256)
	if err != nil {
		return nil, err
	}
	der, err := key.PKCS8()
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), err
}
