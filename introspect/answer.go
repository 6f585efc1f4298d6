package introspect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/caddyjwt/gateway/internal/fetch"
	"github.com/caddyjwt/gateway/internal/strictjson"
)

// ErrAnswer is wrapped by errors about answers that break the protocol.
var ErrAnswer = errors.New("unusable answer")

// status judges an answer whose status is not 200. Only 200 can carry a verdict (RFC 7662 section 2.2), and 401 is
// about our credentials, never about the token (RFC 7662 section 2.3). The exceptions are errors that name the token:
// see [refusalOf].
func (c *Client) status(resp *http.Response, method AuthMethod, verified bool) (refusal string, _ *NoVerdictError) {
	code, userInfo := resp.StatusCode, c.cfg.Mode == UserInfo
	var cause Cause
	refusal = c.refusalOf(resp, method)
	switch {
	case refusal == unsupportedTokenType && verified:
		e := noVerdict(CauseProtocol, errors.New("status 400 and "+unsupportedTokenType+
			": the server cannot be asked about its own tokens of this kind"))
		e.Status = code
		return "", e
	case refusal != "":
		return refusal, nil
	case code == http.StatusUnauthorized, code == http.StatusForbidden && !userInfo:
		cause = CauseRefused
	case code == http.StatusTooManyRequests:
		cause = CauseRateLimited
	case code >= 500:
		cause = CauseUnavailable
	default:
		cause = CauseProtocol
	}
	e := noVerdict(cause, fmt.Errorf("status %d", code))
	e.Status = code
	if cause.Temporary() {
		e.RetryAfter = max(e.RetryAfter, fetch.RetryAfter(resp.Header, c.cfg.Now(), maxRetryAfter))
	}
	return "", e
}

// maxRetryAfter is the longest wait that a server can impose on our clients.
const maxRetryAfter = 5 * time.Minute

// worthRepeating reports whether the server may do better in a moment. It may not after 4xx, nor when it names a time
// to wait.
func worthRepeating(resp *http.Response) bool {
	return isDown(resp.StatusCode) && resp.Header.Get("Retry-After") == ""
}

// read makes a verdict from an answer with status 200.
func (c *Client) read(ctx context.Context, resp *http.Response) (Result, error) {
	text, err := readBody(resp, c.cfg.wantedType())
	if err != nil {
		return Result{}, err
	}
	if c.cfg.Signed {
		if text, err = c.openSigned(ctx, text); err != nil {
			return Result{}, err
		}
	}
	parse := parseAnswer
	switch {
	case c.cfg.Mode == UserInfo && c.cfg.Signed:
		parse = parseSignedUserInfo
	case c.cfg.Mode == UserInfo:
		parse = parseUserInfo
	}
	r, err := parse(text, c.cfg.Tolerate)
	if err != nil || !r.Active {
		return r, err
	}
	r.Answer = string(text)
	if c.cfg.Decode != nil {
		if r.Value, err = c.cfg.Decode(text); err != nil {
			return Result{}, fmt.Errorf("decoding: %w", err)
		}
	}
	return r, nil
}

// readBody reads an answer of exactly the wanted type, up to the limit after decompression.
func readBody(resp *http.Response, wanted string) ([]byte, error) {
	if err := checkType(resp.Header, wanted); err != nil {
		return nil, err
	}
	if resp.ContentLength > MaxAnswer {
		return nil, fmt.Errorf("%w: longer than %d bytes", ErrAnswer, MaxAnswer)
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, MaxAnswer+1))
	switch {
	case err != nil && isEncoding(err):
		return nil, fmt.Errorf("%w: %w", ErrAnswer, err)
	case err != nil:
		return nil, fmt.Errorf("%w: %w", errBroken, fetch.Discreet(err))
	case len(text) > MaxAnswer:
		return nil, fmt.Errorf("%w: longer than %d bytes", ErrAnswer, MaxAnswer)
	}
	return text, nil
}

// checkType demands exactly one Content-Type, with no parameter but charset=utf-8. The page of a captive portal or a
// proxy is not an answer. Nor is an unsigned answer when a signed one was asked for (RFC 9701 section 5).
func checkType(h http.Header, wanted string) error {
	values := h.Values("Content-Type")
	if len(values) != 1 {
		return fmt.Errorf("%w: %d Content-Type fields, want %s", ErrAnswer, len(values), wanted)
	}
	name, params, err := mime.ParseMediaType(values[0])
	charset, hasCharset := params["charset"]
	if hasCharset && strings.EqualFold(charset, "utf-8") {
		delete(params, "charset")
	}
	if wanted == typeJSON && (name == typeJWT || name == typeSigned) {
		return fmt.Errorf("%w: it is signed or encrypted (%s), and plain JSON is wanted; ask for signed answers "+
			"(\"signed\"), or have the server send this client plain ones", ErrAnswer, name)
	}
	if err != nil || name != wanted || len(params) > 0 {
		return fmt.Errorf("%w: its Content-Type is not %s", ErrAnswer, wanted)
	}
	// What the transport did not decompress is not text.
	if h.Get("Content-Encoding") != "" {
		return fmt.Errorf("%w: unknown Content-Encoding", ErrAnswer)
	}
	return nil
}

// openSigned has the signature verified and extracts the answer. The other claims of an introspection response are
// about the response, not about the token (RFC 9701 section 5). Those of UserInfo are the answer itself (OpenID Connect
// Core 1.0 section 5.3.2).
func (c *Client) openSigned(ctx context.Context, jwt []byte) ([]byte, error) {
	claims, err := c.cfg.VerifySigned(ctx, string(jwt))
	if err != nil {
		return nil, fmt.Errorf("signed answer: %w", err)
	}
	if c.cfg.Mode == UserInfo {
		return claims, nil
	}
	object, err := readObject(claims)
	if err != nil {
		return nil, fmt.Errorf("claims of the signed answer: %w", err)
	}
	answer, ok := object.Member("token_introspection")
	if !ok {
		return nil, fmt.Errorf("%w: the signed answer has no token_introspection", ErrAnswer)
	}
	return answer.Raw(), nil
}

// readObject reads one JSON object, strictly: two readers of one answer must not see two verdicts. The length of an
// answer already bounds the number of its members.
func readObject(text []byte) (strictjson.Value, error) {
	object, err := strictjson.ParseObject(text, strictjson.Limits{Depth: MaxDepth, Members: MaxAnswer})
	if err != nil {
		return object, fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	return object, nil
}

// parseAnswer reads the answer of RFC 7662 section 2.2. When the token is not active, it ignores all other members.
func parseAnswer(text []byte, t Tolerance) (r Result, err error) {
	object, err := readObject(text)
	if err != nil {
		return Result{}, err
	}
	active, _ := object.Member("active")
	yes, ok := active.Bool()
	switch {
	case !ok: // the string "true", 1, null or absence is not an answer, least of all a yes
		return Result{}, fmt.Errorf(`%w: "active" is not a boolean`, ErrAnswer)
	case !yes:
		return Result{}, nil
	}
	r.Active = true
	if r.ExpiresAt, err = t.date(object, "exp"); err != nil {
		return Result{}, err
	}
	if r.NotBefore, err = t.date(object, "nbf"); err != nil {
		return Result{}, err
	}
	if _, err = t.date(object, "iat"); err != nil {
		return Result{}, err
	}
	return r, nil
}

// parseUserInfo reads the answer of OpenID Connect Core section 5.3.2, where "sub" is required.
func parseUserInfo(text []byte, t Tolerance) (Result, error) {
	object, err := readObject(text)
	if err != nil {
		return Result{}, err
	}
	if sub, _ := object.Member("sub"); !t.namesSubject(sub) {
		return Result{}, fmt.Errorf(`%w: "sub" is not a string or empty`, ErrAnswer)
	}
	return Result{Active: true}, nil
}

// parseSignedUserInfo reads the claims of a signed answer. Its "exp" is about the answer, which must not be used any
// longer (RFC 7519 section 4.1.4).
func parseSignedUserInfo(text []byte, t Tolerance) (Result, error) {
	r, err := parseUserInfo(text, t)
	if err != nil {
		return Result{}, err
	}
	object, err := readObject(text)
	if err != nil {
		return Result{}, err
	}
	if r.ExpiresAt, err = t.date(object, "exp"); err != nil {
		return Result{}, err
	}
	return r, nil
}
