package issuing

import (
	"bytes"
	"encoding/json"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/caddyjwt/gateway/internal/bearer"
)

// Pair is what somebody gets who has signed in or refreshed.
type Pair struct {
	Access, Refresh, Subject string
	// Bound says that they are bound to a key (RFC 9449).
	Bound bool
	// IssuedAt has milliseconds, and Expires has seconds.
	IssuedAt, Expires time.Time
}

// pairMembers are the members of the answer, in their order.
type pairMembers struct {
	Access    string      `json:"access_token"`
	Refresh   string      `json:"refresh_token"`
	Subject   string      `json:"sub"`
	IssuedAt  json.Number `json:"iat"`
	Expires   int64       `json:"exp"`
	TokenType string      `json:"token_type,omitempty"`
	ExpiresIn int64       `json:"expires_in,omitempty"`
}

// WritePair answers with a pair. oauth adds the members that RFC 6749 section 5.1 requires. lifetime is that of the
// access token.
func WritePair(w http.ResponseWriter, p *Pair, oauth bool, lifetime time.Duration) {
	members := pairMembers{
		Access: p.Access, Refresh: p.Refresh, Subject: p.Subject, IssuedAt: Date(p.IssuedAt), Expires: p.Expires.Unix(),
	}
	if oauth {
		members.TokenType, members.ExpiresIn = "Bearer", int64(lifetime/time.Second)
		if p.Bound {
			members.TokenType = "DPoP"
		}
	}
	write(w, http.StatusOK, &members)
}

// Tokens is the answer of a token endpoint (RFC 6749 section 5.1).
type Tokens struct {
	Access string `json:"access_token"`
	// IssuedType is the type of what was exchanged for another token (RFC 8693 section 2.2.1).
	IssuedType string `json:"issued_token_type,omitempty"`
	TokenType  string `json:"token_type"`
	// ExpiresIn is the life of the access token in seconds.
	ExpiresIn int64  `json:"expires_in"`
	Refresh   string `json:"refresh_token,omitempty"`
	// Scope is the scopes of the access token, with blanks between them.
	Scope string `json:"scope,omitempty"`
}

// Write answers with members of a JSON object, which no cache keeps.
func Write(w http.ResponseWriter, members any) { write(w, http.StatusOK, members) }

// WriteJWT answers with a JWT of a type, which no cache keeps.
func WriteJWT(w http.ResponseWriter, typ, jwt string) {
	writeText(w, http.StatusOK, "application/"+typ, []byte(jwt))
}

// WriteEmpty answers with the status 200 and nothing else, as RFC 7009 section 2.2 wants it.
func WriteEmpty(w http.ResponseWriter) {
	private(w.Header())
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(http.StatusOK)
}

// WriteDone answers that what was asked for is done.
func WriteDone(w http.ResponseWriter) {
	private(w.Header())
	w.WriteHeader(http.StatusNoContent)
}

// WriteFailure answers with a failure. A status of 401 has a challenge (RFC 9110 section 11.6.1): for Basic if the
// client has used that, or if it had to say who it is (RFC 6749 section 5.2), and otherwise for the tokens, because
// browsers ask the user themselves for Basic.
func WriteFailure(w http.ResponseWriter, f *Failure, realm string, basic bool) {
	header := w.Header()
	switch f.Status {
	case http.StatusUnauthorized:
		challenge := "Bearer realm=" + strconv.QuoteToASCII(realm)
		if basic || f.Code == InvalidClient {
			challenge = "Basic realm=" + strconv.QuoteToASCII(realm) + `, charset="UTF-8"`
		} else if f.Code == InvalidToken {
			challenge += `, error="invalid_token"`
		}
		header.Set("WWW-Authenticate", challenge)
	case http.StatusMethodNotAllowed:
		header.Set("Allow", http.MethodPost)
	}
	if f.RetryAfter > 0 {
		header.Set("Retry-After", strconv.Itoa(int(math.Ceil(f.RetryAfter.Seconds()))))
	}
	write(w, f.Status, struct {
		Error       Code   `json:"error"`
		Description string `json:"error_description"`
	}{f.Code, f.Text})
}

// private keeps an answer out of all caches (RFC 6749 section 5.1).
func private(header http.Header) {
	bearer.DropTargetedCacheControl(header)
	header.Set("Cache-Control", "no-store")
	header.Set("Pragma", "no-cache")
}

func write(w http.ResponseWriter, status int, members any) {
	writeText(w, status, "application/json", encode(members))
}

func writeText(w http.ResponseWriter, status int, kind string, text []byte) {
	header := w.Header()
	private(header)
	header.Set("Content-Type", kind)
	header.Set("Content-Length", strconv.Itoa(len(text)))
	header.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(text) // fails when the client has gone
}

// encode is JSON as it is, without escapes for HTML. Texts and numbers cannot fail.
func encode(members any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(members)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// Date is a NumericDate (RFC 7519 section 2) with milliseconds, always with three digits behind the point.
func Date(t time.Time) json.Number {
	ms := t.UnixMilli()
	return json.Number(strconv.FormatInt(ms/1000, 10) + "." + strconv.FormatInt(1000+ms%1000, 10)[1:])
}
