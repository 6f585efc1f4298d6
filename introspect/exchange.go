package introspect

import (
	"compress/flate"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/caddyjwt/gateway/internal/fetch"
)

const (
	typeJSON   = "application/json"
	typeSigned = "application/token-introspection+jwt" // RFC 9701 section 5
	typeJWT    = "application/jwt"                     // OpenID Connect Core 1.0 section 5.3.2
	typeForm   = "application/x-www-form-urlencoded"
)

// exchange asks the server, and asks once more when the trouble may have been a passing one, or when the server has
// refused credentials that have changed in the meantime. All attempts share the deadline of the flight. A probe is not
// repeated for passing trouble.
func (c *Client) exchange(f *flight, token string) (Result, *NoVerdictError) {
	cfg, version := c.cfg.renewed(false)
	where, method, err := c.endpoint(f.ctx, cfg)
	switch {
	case err != nil && f.ctx.Err() != nil:
		return Result{}, c.cutShort(f)
	case err != nil: // a deadline in err is that of a discovery, perhaps an earlier one, and not of this call
		return Result{}, noVerdict(CauseUnavailable, err)
	}
	r, again, noErr := c.attempt(f, cfg, where, method, token)
	if noErr != nil && noErr.Status == http.StatusUnauthorized {
		fresh, latest := c.cfg.renewed(true)
		if latest != version {
			r, _, noErr = c.attempt(f, fresh, where, method, token)
		}
	} else if again && !f.probe && pause(f.ctx) {
		r, _, noErr = c.attempt(f, cfg, where, method, token)
	}
	return r, noErr
}

// renewed is the configuration with the credentials of this moment, and their version.
func (c *Config) renewed(refused bool) (*Config, uint64) {
	if c.Renew == nil {
		return c, 0
	}
	now, renewed := c.Renew(refused), *c
	renewed.ClientSecret, renewed.PrivateKey, renewed.BearerToken = now.ClientSecret, now.PrivateKey, now.BearerToken
	return &renewed, now.Version
}

// pause waits a moment before the second attempt: a random time, so that callers do not all come back together. It
// returns false when the deadline leaves no time for that attempt.
func pause(ctx context.Context) bool {
	wait := 20*time.Millisecond + rand.N(80*time.Millisecond)
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < 2*wait {
		return false
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// endpoint finds out where and how to ask with the credentials of cfg.
func (c *Client) endpoint(ctx context.Context, cfg *Config) (where string, method AuthMethod, err error) {
	if c.cfg.Discover == nil {
		return c.cfg.Endpoint, cfg.authMethod(nil), nil
	}
	found, err := c.cfg.Discover(ctx)
	if err != nil {
		return "", "", fmt.Errorf("discovering the endpoint: %w", err)
	}
	if c.cfg.Mode == Introspection {
		method = cfg.authMethod(found.AuthMethods)
		if method == "" {
			return "", "", noVerdict(CauseRefused,
				errors.New("the server supports no authentication method that fits our credentials"))
		}
	}
	where = found.URL
	if method == TLSClientAuth && found.MTLSURL != "" {
		where = found.MTLSURL
	}
	if _, err := fetch.PlainHTTP(c.cfg.PlainHTTP).CheckURL(where); err != nil {
		return "", "", noVerdict(CauseProtocol, fmt.Errorf("discovered endpoint: %w", err))
	}
	return where, method, nil
}

// attempt makes one request, with the credentials of cfg. again reports whether a second one makes sense.
func (c *Client) attempt(
	f *flight, cfg *Config, where string, method AuthMethod, token string,
) (r Result, again bool, _ *NoVerdictError) {
	ctx, cancel := context.WithCancel(f.ctx)
	defer cancel()
	req, err := cfg.request(ctx, where, method, token)
	if err != nil {
		return r, false, noVerdict(CauseProtocol, fmt.Errorf("making the request: %w", err))
	}
	resp, err := c.http.Do(req)
	if err != nil {
		asking := fmt.Errorf("asking %s: %w", display(where), fetch.Discreet(err))
		return r, isPassing(err), c.failed(f, CauseUnavailable, asking)
	}
	defer resp.Body.Close()
	defer drain(resp.Body, cancel)
	if resp.StatusCode != http.StatusOK {
		refusal, bad := c.status(resp, method, f.verified)
		if bad != nil {
			bad.Err = fmt.Errorf("%s answered with %w", display(where), bad.Err)
			return r, worthRepeating(resp), bad
		}
		return Result{Refusal: refusal}, false, nil
	}
	r, err = c.read(f.ctx, resp)
	if err != nil {
		bad := c.failed(f, CauseProtocol, fmt.Errorf("answer of %s: %w", display(where), err))
		bad.answered = !errors.Is(err, errBroken)
		return Result{}, false, bad
	}
	return r, false, nil
}

// maxRest is how many bytes are read from a body that nobody needs, and restTime for how long.
const (
	maxRest  = 16 << 10
	restTime = 50 * time.Millisecond
)

// drain reads the rest of a body that is about to be closed, if it is short: only then can HTTP/1.1 reuse its
// connection. A new connection costs a TLS handshake. Strangers could cause any number of those, with tokens that are
// inactive or that a firewall blocks.
func drain(body io.Reader, cancel context.CancelFunc) {
	timer := time.AfterFunc(restTime, cancel)
	defer timer.Stop()
	_, _ = io.CopyN(io.Discard, body, maxRest)
}

// request asks by POST, never by GET: the token must not get into logs (RFC 7662 section 4).
func (c *Config) request(ctx context.Context, where string, method AuthMethod, token string) (*http.Request, error) {
	if c.Mode == UserInfo {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, where, nil)
		if err == nil {
			req.Header.Set("Accept", c.wantedType())
			req.Header.Set("Authorization", "Bearer "+token)
		}
		return req, err
	}
	body := form{}
	body.add("token", token)
	if c.TokenTypeHint != HintOff {
		body.add("token_type_hint", c.TokenTypeHint)
	}
	for _, p := range c.Params {
		body.add(p.Name, p.Value)
	}
	header := http.Header{"Content-Type": {typeForm}, "Accept": {c.wantedType()}}
	if err := c.authenticate(method, where, header, &body); err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, where, strings.NewReader(body.text))
	if err == nil {
		req.Header = header
	}
	return req, err
}

// wantedType is the only type of answer that counts. Encrypted answers have the same type as signed ones.
func (c *Config) wantedType() string {
	switch {
	case c.Signed && c.Mode == UserInfo:
		return typeJWT
	case c.Signed:
		return typeSigned
	}
	return typeJSON
}

// form writes a body of type application/x-www-form-urlencoded, in a fixed order.
type form struct{ text string }

func (f *form) add(name, value string) {
	if f.text != "" {
		f.text += "&"
	}
	f.text += url.QueryEscape(name) + "=" + url.QueryEscape(value)
}

// failed makes the error of a call that ended early. If the deadline or Close ended it, that is the error to report,
// and err is only a consequence.
func (c *Client) failed(f *flight, cause Cause, err error) *NoVerdictError {
	var timeout net.Error
	switch {
	case f.ctx.Err() != nil:
		return c.cutShort(f)
	case errors.As(err, &timeout) && timeout.Timeout():
		return noVerdict(CauseTimeout, err)
	case errors.Is(err, errBroken):
		return noVerdict(CauseUnavailable, err)
	}
	return noVerdict(cause, err)
}

// errBroken marks a body that could not be read to its end.
var errBroken = errors.New("the connection broke")

// isPassing reports whether no answer came because there was no connection, or because it broke before the answer
// began. After a timeout there is no time left, and a bad certificate does not improve by asking again.
func isPassing(err error) bool {
	var op *net.OpError
	var timeout net.Error
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return false
	case errors.As(err, &timeout) && timeout.Timeout():
		return false
	case errors.As(err, &op) && op.Op == "dial":
		return true
	}
	passing := []error{io.EOF, io.ErrUnexpectedEOF, syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.EPIPE}
	return slices.ContainsFunc(passing, func(target error) bool { return errors.Is(err, target) })
}

// isEncoding reports whether decompression failed, as opposed to the connection.
func isEncoding(err error) bool {
	var corrupt flate.CorruptInputError
	return errors.Is(err, gzip.ErrHeader) || errors.Is(err, gzip.ErrChecksum) || errors.As(err, &corrupt)
}

// display returns a URL without its query.
func display(where string) string {
	before, _, _ := strings.Cut(where, "?")
	return before
}
