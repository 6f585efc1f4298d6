package proof

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"
	"time"
)

// Expected is what a proof must be for.
type Expected struct {
	// Method is that of the request.
	Method string
	// Scheme is "http" or "https", as the client used it.
	Scheme string
	// Host is the host as the client used it, with the port if it is not the default one: "api.example.com:8443".
	Host string
	// Target is the target of the request line in origin form, with its query, or "*".
	Target string
	// Token is the access token that came with the proof. NoToken says that there is none, because the client asks for
	// one (RFC 9449 section 5). Then ath says nothing.
	Token   string
	NoToken bool
	// TokenHash is HashOf the token, if it is known. Empty means that it must be computed.
	TokenHash string
	// Now is the present time.
	Now time.Time
	// MaxAge is how far iat may be from Now, in both directions. It makes up for wrong clocks, too.
	MaxAge time.Duration
}

var (
	errUnknownRequest = fmt.Errorf("%w: the method, scheme or host of the request is not known, "+
		"so no proof can be compared with it", ErrInvalid)
	errUnknownToken = fmt.Errorf("%w: there is no token that it could be for", ErrInvalid)
	errNoTokenHash  = missing("ath")
	errTokenInURI   = fmt.Errorf("%w: htu is not the URI of the request, and one of them has the token in it", ErrInvalid)
	errOtherToken   = fmt.Errorf("%w: ath is not the hash of the token that came with it", ErrInvalid)
)

// Check compares the proof with the request (RFC 9449 section 4.3 items 8, 9, 11 and 12). It does not look at Nonce,
// nor at whether the proof was used before. All errors are ErrInvalid.
func (p *Proof) Check(e Expected) error {
	if e.Method == "" || e.Scheme == "" || e.Host == "" {
		return errUnknownRequest
	}
	if err := p.checkMethod(e.Method); err != nil {
		return err
	}
	if err := p.checkURI(&e); err != nil {
		if e.Token != "" && (strings.Contains(p.URI, e.Token) || strings.Contains(e.Target, e.Token)) {
			return errTokenInURI // which must not get into a log
		}
		return err
	}
	if err := p.checkToken(&e); err != nil {
		return err
	}
	return p.checkTime(e.Now, e.MaxAge)
}

// checkMethod compares htm with the method, byte by byte: methods are case-sensitive (RFC 9110 section 9.1).
func (p *Proof) checkMethod(method string) error {
	if p.Method != method {
		return &methodError{p.Method, method}
	}
	return nil
}

// checkURI compares htu with the URI of the request, each in its normal form and without query and fragment (RFC 9449
// section 4.3 item 9).
func (p *Proof) checkURI(e *Expected) error {
	var space, otherSpace [256]byte // longer URIs are put on the heap
	got, err := appendURI(space[:0], p.URI)
	if err != nil {
		return &uriError{"htu", p.URI, err}
	}
	want, err := appendRequest(otherSpace[:0], e.Scheme, e.Host, e.Target)
	if err != nil {
		return &uriError{"the URI of the request", e.Scheme + "://" + e.Host + e.Target, err}
	}
	if !bytes.Equal(got, want) {
		return &otherURIError{p.URI, e.Scheme, e.Host, e.Target}
	}
	return nil
}

// checkToken requires that ath is the hash of the token (RFC 9449 section 4.3 item 12). A proof that was made for
// another token of the same key is not good for this one.
func (p *Proof) checkToken(e *Expected) error {
	switch {
	case e.NoToken && e.Token == "":
		return nil
	case e.Token == "":
		return errUnknownToken
	case p.TokenHash == "":
		return errNoTokenHash
	}
	var encoded [thumbprintLength]byte
	if copy(encoded[:], e.TokenHash) == 0 {
		hash(&encoded, e.Token)
	}
	if subtle.ConstantTimeCompare(encoded[:], []byte(p.TokenHash)) != 1 {
		return errOtherToken
	}
	return nil
}

// HashOf is what a proof for a token has as ath (RFC 9449 section 4.2). Nobody can find the token from it.
func HashOf(token string) string {
	var encoded [thumbprintLength]byte
	hash(&encoded, token)
	return string(encoded[:])
}

func hash(into *[thumbprintLength]byte, token string) {
	var space [2 << 10]byte // longer tokens are put on the heap
	sum := sha256.Sum256(append(space[:0], token...))
	base64.RawURLEncoding.Encode(into[:], sum[:])
}

// checkTime requires that the proof was made now, by iat (RFC 9449 section 4.3 item 11, section 11.1). A proof made
// ahead of its time could be used long after it was stolen.
//
// exp and nbf are no claims of proofs, but some libraries add them to every JWT. An expired proof is refused without
// any leeway, since it was to be good for less than maxAge. nbf often repeats iat, so it may be as far ahead.
func (p *Proof) checkTime(now time.Time, maxAge time.Duration) error {
	if age := now.Sub(p.IssuedAt); age > maxAge || age < -maxAge {
		return &timeError{"iat", age, maxAge}
	}
	if !p.expires.IsZero() && !now.Before(p.expires) {
		return &timeError{"exp", now.Sub(p.expires), 0}
	}
	if early := now.Sub(p.notBefore); !p.notBefore.IsZero() && early < -maxAge {
		return &timeError{"nbf", early, maxAge}
	}
	return nil
}
