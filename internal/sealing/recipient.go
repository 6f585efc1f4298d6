package sealing

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"

	gojose "github.com/go-jose/go-jose/v4"

	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/privatekey"
	"github.com/caddyjwt/gateway/internal/strictjson"
)

// ErrKey is wrapped by the errors about a key for which nothing can be sealed. None of them quotes a key.
var ErrKey = errors.New("no key to encrypt for")

// Read finds the recipient in the text of a file: one PEM block with a public key, a certificate or a private key, or a
// JWK or JWK set (RFC 7517). Of a private key it takes the public half. Of a set it takes the one key that is for
// encryption, or, among several, the one with the id kid. Kid means nothing else to Read, and may be empty.
//
// Nobody is identified by the file, so the dates and the issuer of a certificate do not matter.
func Read(text []byte, kid string) (Recipient, error) {
	text = jose.PlainText(text)
	var to Recipient
	var err error
	if bytes.HasPrefix(bytes.TrimSpace(text), []byte("{")) {
		to, err = readJSON(text, kid)
	} else {
		to.Key, err = readPEM(text)
	}
	if err == nil {
		err = check(to.Key)
	}
	if err != nil {
		return Recipient{}, err
	}
	return to, nil
}

// check refuses what the gate refuses of other keys: weak ones, and those whose private half is published.
func check(key crypto.PublicKey) error {
	if _, err := algorithmsFor(key); err != nil {
		return err
	}
	if _, err := jose.NewPublicKey("", key, 0); err != nil {
		return fmt.Errorf("%w: %w", ErrKey, err)
	}
	return nil
}

func readPEM(text []byte) (crypto.PublicKey, error) {
	block, rest := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("%w: expected a PEM block, a JWK or a JWK set", ErrKey)
	}
	if next, _ := pem.Decode(rest); next != nil {
		return nil, fmt.Errorf("%w: there are several PEM blocks; leave only that of the recipient", ErrKey)
	}
	switch block.Type {
	case "PUBLIC KEY":
		return parsed(x509.ParsePKIXPublicKey(block.Bytes))
	case "RSA PUBLIC KEY":
		return parsed(x509.ParsePKCS1PublicKey(block.Bytes))
	case "CERTIFICATE":
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%w: the certificate cannot be read", ErrKey)
		}
		return certificate.PublicKey, nil
	}
	private, err := privatekey.Parse(text, nil)
	if errors.Is(err, privatekey.ErrEncrypted) {
		err = fmt.Errorf("%w: give the public key, for example from \"openssl pkey -pubout\"", err)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	return private.Public(), nil
}

// parsed is a key without its type, or an error that quotes nothing of it.
func parsed[T any](key T, err error) (crypto.PublicKey, error) {
	if err != nil {
		return nil, fmt.Errorf("%w: the PEM block cannot be read", ErrKey)
	}
	return key, nil
}

// readJSON reads a JWK, or chooses one of a set.
func readJSON(text []byte, kid string) (Recipient, error) {
	object, err := strictjson.ParseObject(text, strictjson.Limits{})
	if err != nil {
		return Recipient{}, fmt.Errorf("%w: %w", ErrKey, err)
	}
	set, isSet := object.Member("keys")
	if !isSet {
		return readJWK(object)
	}
	var usable []Recipient
	var why error
	for jwk := range set.Elements() {
		to, err := readJWK(jwk)
		if err != nil {
			why = err
			continue
		}
		usable = append(usable, to)
	}
	return choose(usable, kid, why)
}

// choose takes the only key, or the one with this id. Why is what is wrong with the last of the other keys.
func choose(usable []Recipient, kid string, why error) (Recipient, error) {
	switch {
	case len(usable) == 1:
		return usable[0], nil
	case len(usable) == 0 && why != nil:
		return Recipient{}, fmt.Errorf("the last key of the set: %w", why)
	case len(usable) == 0:
		return Recipient{}, fmt.Errorf("%w: the set has no keys", ErrKey)
	}
	var ids []string
	for _, to := range usable {
		ids = append(ids, to.KeyID)
	}
	named := slices.DeleteFunc(usable, func(to Recipient) bool { return kid == "" || to.KeyID != kid })
	if len(named) != 1 {
		return Recipient{}, fmt.Errorf("%w: the set has %d keys for encryption; choose one of them by its kid: %q",
			ErrKey, len(ids), ids)
	}
	return named[0], nil
}

// readJWK reads one key. The library sees the public members only. So it never holds a private key, and members such as
// x5c do not matter.
func readJWK(jwk strictjson.Value) (Recipient, error) {
	members := make(map[string]json.RawMessage)
	for _, name := range []string{"kty", "n", "e", "crv", "x", "y"} {
		if value, has := jwk.Member(name); has {
			members[name] = value.Raw()
		}
	}
	kid, kidOK := text(jwk, "kid")
	algorithm, algOK := text(jwk, "alg")
	use, useOK := text(jwk, "use")
	if !kidOK || !algOK || !useOK {
		return Recipient{}, fmt.Errorf("%w: kid, alg and use of a JWK must be strings", ErrKey)
	}
	if use != "" && use != "enc" { // RFC 7517 section 4.2
		return Recipient{}, fmt.Errorf("%w: the use of the JWK is %q, and must be \"enc\"", ErrKey, use)
	}
	public, err := json.Marshal(members)
	if err != nil {
		return Recipient{}, fmt.Errorf("%w: %w", ErrKey, err)
	}
	var parsed gojose.JSONWebKey
	if err := parsed.UnmarshalJSON(public); err != nil {
		return Recipient{}, fmt.Errorf("%w: the members of the JWK are not those of an RSA or EC key", ErrKey)
	}
	allowed, err := algorithmsFor(parsed.Key)
	if err != nil {
		return Recipient{}, err
	}
	if algorithm != "" && !slices.Contains(allowed, algorithm) { // RFC 7517 section 4.4
		return Recipient{}, fmt.Errorf("%w: the alg of the JWK is %q, and must be one of %s",
			ErrKey, algorithm, strings.Join(allowed, ", "))
	}
	return Recipient{Key: parsed.Key, KeyID: kid, Algorithm: algorithm}, nil
}

// text is a member that is a string. It is empty if it is absent or null.
func text(jwk strictjson.Value, name string) (string, bool) {
	value, has := jwk.Member(name)
	if !has || value.Kind() == strictjson.Null {
		return "", true
	}
	return value.Str()
}
