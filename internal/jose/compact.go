package jose

import (
	"fmt"
	"strings"
)

// Bounds on what a stranger sends.
const (
	// maxToken is far above what a request may carry (the extractor's own bound is lower) and keeps the work for one
	// token finite whoever calls.
	maxToken = 1 << 20
	// maxHeader leaves room for a certificate chain in "x5c", which some issuers send and nobody here reads.
	maxHeader = 8 << 10
)

var (
	errTooLong    = fmt.Errorf("%w: too long", ErrMalformed)
	errParts      = fmt.Errorf("%w: not three parts", ErrMalformed)
	errEmptyPart  = fmt.Errorf("%w: empty part", ErrMalformed)
	errEncoding   = fmt.Errorf("%w: not base64url", ErrMalformed)
	errOtherType  = fmt.Errorf("%w: not the type that is wanted", ErrType)
	errHeaderSize = fmt.Errorf("%w: header too long", ErrMalformed)
)

// Token is a JWS in compact serialisation (RFC 7515 section 7.1) taken apart. Nothing in it is true before
// [Key.Verify] has said so.
type Token struct {
	// Header is the decoded JOSE header. It keeps its own copy of the text.
	Header Header

	// Payload is the decoded second part, never empty. It lies in the buffer that Parse was given.
	Payload []byte

	// Signature is the decoded third part, never empty. It lies in the buffer that Parse was given.
	Signature []byte

	// SigningInput is what is signed: the first two parts as they were received, with the dot between them (RFC 7515
	// section 5.2). It is a piece of the token's text.
	SigningInput string
}

// Parse takes a token apart: three non-empty parts of strict base64url, of which the first is a JSON object that
// [Header] describes. It checks no signature, and it does not read the payload.
//
// It decodes into the capacity of buf and into new memory when that is less than three quarters of the token; buf may
// be nil. A caller that reuses a buffer must be done with Payload and Signature by then.
//
// A type of another kind of JWT than an access token is refused, unless it is one of those wanted: lower case, without
// "application/".
//
// Errors are [ErrMalformed], [ErrAlgorithm] and [ErrType], or wrap them. All of them exist beforehand, so that refusing
// rubbish costs no more than reading it.
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

	// The reader of JSON copies the header, so the payload may overwrite it in the buffer.
	n, ok := decode(buf, token[:first])
	if !ok {
		return Token{}, errEncoding
	}
	t := Token{SigningInput: token[:second]}
	if t.Header, err = parseHeader(buf[:n], wanted); err != nil {
		return Token{}, err
	}
	n, ok = decode(buf, token[first+1:second])
	if !ok {
		return Token{}, errEncoding
	}
	t.Payload, buf = buf[:n:n], buf[n:]
	if n, ok = decode(buf, token[second+1:]); !ok {
		return Token{}, errEncoding
	}
	t.Signature = buf[:n:n]
	return t, nil
}

// ParseTyped is like Parse for a JWT that is meant to be of one particular type, such as "token-introspection+jwt" (RFC
// 9701 section 5): lower case, without "application/". Every other type is refused, and so is none.
func ParseTyped(token string, buf []byte, typ string) (Token, error) {
	t, err := Parse(token, buf, typ)
	if err == nil && t.Header.Type != typ {
		return Token{}, errOtherType
	}
	return t, err
}

// dots finds the two dots of a token. It looks for a third one before anything is decoded, and never for a fourth: a
// token of dots only is refused in constant memory.
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
