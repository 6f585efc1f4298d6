package keyring

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/caddyjwt/gateway/internal/causes"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/strictjson"
)

// Bounds on a token, in bytes.
const (
	// MaxPayload is far above what a request can carry in a header field.
	MaxPayload = 64 << 10
	// MaxHeader bounds the further members of the header, as JSON. Many servers take 8 KiB for all fields together.
	MaxHeader = 2 << 10
	// maxName bounds the name of one.
	maxName = 128
)

// headerLimits are those of our own verifiers, less what every header has.
var headerLimits = strictjson.Limits{Depth: 5, Members: 32}

// ErrHeader: a header parameter must not be set, or cannot be.
var ErrHeader = errors.New("header parameter")

// ErrPayload: the payload is empty or too long.
var ErrPayload = errors.New("payload")

// registered are the header parameters that have a meaning of their own: those of RFC 7515 section 4.1, RFC 7516
// section 4.1, RFC 7518 sections 4.6 to 4.8 and RFC 7797 section 3. Most of them name keys or say how to verify. What a
// stranger may influence must not say that.
var registered = []string{
	"alg", "jku", "jwk", "kid", "x5u", "x5c", "x5t", "x5t#S256", "typ", "cty", "crit",
	"enc", "zip",
	"epk", "apu", "apv", "iv", "tag", "p2s", "p2c",
	"b64",
}

// CheckHeader reports why a header parameter must not be set: its name is registered for the JOSE standards, in any
// case of letters since some readers ignore it, or it is not a text of 1 to 128 bytes in UTF-8. The error is an
// ErrHeader.
func CheckHeader(name string) error {
	if name == "" || len(name) > maxName || strings.ToValidUTF8(name, "") != name {
		return fmt.Errorf("%w: the name must be a text of 1 to %d bytes", ErrHeader, maxName)
	}
	if slices.ContainsFunc(registered, func(other string) bool { return strings.EqualFold(name, other) }) {
		return fmt.Errorf("%w %s is set by the signer, or has no place in a signed token", ErrHeader, causes.Quote(name))
	}
	return nil
}

// CheckMembers reports why further members of a header are not possible. The error is an ErrHeader.
func CheckMembers(extra map[string]any) error {
	_, err := encodeMembers(extra)
	return err
}

// Sign makes a token of a payload with the key that signs now. The header has alg, kid, and typ unless that is empty
// (RFC 7515 section 4.1). extra is further members, whose values are anything that encoding/json can write; nil means
// none. The payload is 1 byte to 64 KiB long and is not read.
//
// Errors are ErrHeader for a typ that is not a media type, for members that CheckHeader refuses, and for members that
// together have more than 2 KiB; ErrPayload; ErrDoubt; and ErrClosed.
func (r *Ring) Sign(extra map[string]any, typ string, payload []byte) (token string, err error) {
	if err := r.certain(context.Background()); err != nil {
		return "", err
	}
	s := r.state.Load()
	switch {
	case s == nil:
		return "", ErrClosed
	case len(payload) == 0 || len(payload) > MaxPayload:
		return "", fmt.Errorf("%w: it has %d bytes, and must have 1 to %d", ErrPayload, len(payload), MaxPayload)
	}
	header, err := s.header(extra, typ)
	if err != nil {
		return "", err
	}
	return s.doc.signs().signer.Token(header, payload)
}

// header writes the header of a token.
func (s *state) header(extra map[string]any, typ string) ([]byte, error) {
	header := bytes.NewBuffer(make([]byte, 0, 256))
	header.Write(s.head[:len(s.head)-1]) // without the brace
	if typ != "" {
		if !jose.IsMediaType(typ) {
			return nil, fmt.Errorf("%w typ: %s is not a media type", ErrHeader, causes.Quote(typ))
		}
		header.WriteString(`,"typ":"` + typ + `"`)
	}
	if len(extra) > 0 {
		members, err := encodeMembers(extra)
		if err != nil {
			return nil, err
		}
		header.WriteByte(',')
		header.Write(members[1 : len(members)-1]) // without the braces
	}
	header.WriteByte('}')
	return header.Bytes(), nil
}

// encodeMembers writes further members of a header as an object, sorted by name. Our own verifiers must be able to read
// it: they refuse deep nesting and duplicate names.
func encodeMembers(extra map[string]any) ([]byte, error) {
	for name := range extra {
		if err := CheckHeader(name); err != nil {
			return nil, err
		}
	}
	members, err := json.Marshal(extra)
	if err != nil { // its text may have the value
		return nil, fmt.Errorf("%w: a value cannot be written as JSON", ErrHeader)
	}
	if len(members) > MaxHeader {
		return nil, fmt.Errorf("%w: all together have %d bytes, and may have %d", ErrHeader, len(members), MaxHeader)
	}
	if _, err := strictjson.ParseObject(members, headerLimits); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrHeader, err)
	}
	return members, nil
}
