package decryption

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/sealed"
	"github.com/caddyjwt/gateway/internal/strictjson"
	"github.com/caddyjwt/gateway/introspect"
)

var errNoKey = errors.New("the answer is encrypted, and no key here opens it: the issuer needs a decrypt block")

// Verify verifies a signed answer of an authorization server, and returns its claims.
type Verify func(ctx context.Context, answer string) ([]byte, error)

// Answers opens answers that are encrypted, and has what is inside verified (RFC 9701 section 5, OpenID Connect Core
// 1.0 section 5.3.2). An answer that is not encrypted is verified as it is. typ is that of the answers, if they have
// one of their own. The plan may be nil: then an encrypted answer is an error. The logger must outlive the function.
func (p *Plan) Answers(turns *sealed.Turns, typ string, logger *slog.Logger, verify Verify) Verify {
	if p == nil {
		return func(ctx context.Context, answer string) ([]byte, error) {
			if jose.IsEncrypted(answer) {
				return nil, errNoKey
			}
			return verify(ctx, answer)
		}
	}
	opener := p.Open(logger)
	return func(ctx context.Context, answer string) ([]byte, error) {
		if !jose.IsEncrypted(answer) {
			return verify(ctx, answer)
		}
		inside, outer, err := sealed.OpenFor(ctx, turns, opener.Keys, opener.Algorithms, answer, typ)
		if errors.Is(err, sealed.ErrBusy) {
			return nil, &introspect.NoVerdictError{Cause: introspect.CauseOverloaded, RetryAfter: time.Second, Err: err}
		}
		if err != nil {
			return nil, err
		}
		payload, err := verify(ctx, inside)
		if err != nil {
			return nil, err
		}
		claims, err := strictjson.ParseObject(payload, strictjson.Limits{})
		if err != nil {
			return nil, err
		}
		return payload, sealed.CheckRepeated(&outer, claims.Member)
	}
}
