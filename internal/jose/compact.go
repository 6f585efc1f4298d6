package jose

import (
	"fmt"
	"strings"
)

// Bounds, in bytes, on what a stranger sends.
const (
	// maxToken is far above what a request may carry, since the extractor's own bound is lower. It bounds the work for
	// one token, whoever the caller is.
	maxToken = 1 << 20
	// maxHeader leaves room for a certificate chain in "x5c", which some issuers send. It is not read here.
	maxHeader = 8 << 10
)

var (
	errTooLong    = fmt.Errorf("%w: too long", ErrMalformed)
	errParts      = fmt.Errorf("%w: not three parts", ErrMalformed)
	errEmptyPart  = fmt.Errorf("%w: empty part", ErrMalformed)
	errEncoding   = fmt.Errorf("%w: not base64url", ErrMalformed)
	errOtherType  = fmt.Errorf("%w: not the wanted type", ErrType)
	errHeaderSize = fmt.Errorf("%w: header too long", ErrMalformed)
)

// Token is a parsed JWS in compact serialisation (RFC 7515 section 7.1). Nothing in it may be believed before
// [Key.Verify] has accepted the signature.
type Token struct {
	// Header is the decoded JOSE header. It has its own copy of the text.
	Header Header

	// Payload is the decoded second part, never empty. It lies in the buffer that Parse was given.
	Payload []byte

	// Signature is the decoded third part, never empty. It lies in the buffer that Parse was given.
	Signature []byte

	// SigningInput is what is signed: the first two parts as received, with the dot between them (RFC 7515 section
	// 5.2). It is a substring of the token.
	SigningInput string
}

// Parse parses a token of three non-empty parts in strict base64url. The first is a JSON object that [Header]
// describes. Parse neither checks the signature nor reads the payload.
//
// It decodes into buf if its capacity is at least three quarters of the token's length, and otherwise into new memory.
// buf may be nil. A caller that reuses buf must no longer need Payload and Signature.
//
// A token whose typ is that of another kind of JWT than an access token is refused, unless the typ is among the wanted
// ones. These are in lower case and without "application/".
//
// Errors are [ErrMalformed], [ErrAlgorithm] and [ErrType], or wrap them. With the last two, the result has a header
// with nothing but [Header.Text], so that a log can say what came. The errors are made in advance, so refusing a token
// does not allocate.
func Parse(token string, buf []byte, wanted ...string) (Token, error) {
	if len(token) > maxToken {
		return Token{}, errTooLong
	}
	first, second, err := dots(token)
	if err != nil {
		return Token{}, err
	}
	if first > (maxHeader*4+2)/3 {
		return Token{}, errHeaderSize
	}
	if need := decodedLen(len(token)); cap(buf) < need {
		buf = make([]byte, need)
	}
	buf = buf[:cap(buf)]

	// The JSON parser copies the header, so the payload may overwrite it in the buffer.
	n, ok := decode(buf, token[:first])
	if !ok {
		return Token{}, errEncoding
	}
	t := Token{SigningInput: token[:second]}
	if t.Header, err = parseHeader(buf[:n], wanted); err != nil {
		return Token{Header: t.Header}, err
	}
	if !t.decodeRest(buf, token[first+1:second], token[second+1:]) {
		return Token{}, errEncoding
	}
	return t, nil
}

// ParseRest is Parse for a token whose header the caller knows: its first part is the same text as that of a token that
// Parse has accepted. It does not decode that part, so the Header of the result is empty. It does not bound the length.
func ParseRest(token string, buf []byte) (Token, error) {
	first, second, err := dots(token)
	if err != nil {
		return Token{}, err
	}
	if need := decodedLen(len(token) - first); cap(buf) < need {
		buf = make([]byte, need)
	}
	t := Token{SigningInput: token[:second]}
	if !t.decodeRest(buf[:cap(buf)], token[first+1:second], token[second+1:]) {
		return Token{}, errEncoding
	}
	return t, nil
}

// decodeRest decodes the second and third part into buf, which has room for both.
func (t *Token) decodeRest(buf []byte, payload, signature string) bool {
	n, ok := decode(buf, payload)
	if !ok {
		return false
	}
	t.Payload, buf = buf[:n:n], buf[n:]
	n, ok = decode(buf, signature)
	t.Signature = buf[:n:n]
	return ok
}

// ParseTyped is like Parse for a JWT that must have one particular typ, such as "token-introspection+jwt" (RFC 9701
// section 5). typ is in lower case and without "application/". A token with any other typ, or without one, is refused.
func ParseTyped(token string, buf []byte, typ string) (Token, error) {
	t, err := Parse(token, buf, typ)
	if err == nil && t.Header.Type != typ {
		return Token{}, errOtherType
	}
	return t, err
}

// dots finds the two dots of a token. It looks for a third before anything is decoded, and never for a fourth, so a
// token that consists of dots is refused in constant memory.
func dots(token string) (first, second int, err error) {
	first = strings.IndexByte(token, '.')
	if first < 0 {
		return 0, 0, errParts
	}
	n := strings.IndexByte(token[first+1:], '.')
	if n < 0 {
		return 0, 0, errParts
	}
	second = first + 1 + n
	if strings.IndexByte(token[second+1:], '.') >= 0 {
		return 0, 0, errParts
	}
	if first == 0 || second == first+1 || second == len(token)-1 {
		return 0, 0, errEmptyPart
	}
	return first, second, nil
}
