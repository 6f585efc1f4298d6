package introspect_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/introspect"
)

const signedType = "application/token-introspection+jwt"

// signedConfig asks for signed answers. The "JWT" of these tests is a prefix followed by the claims.
func signedConfig(s *server) introspect.Config {
	cfg := basicConfig(s.URL)
	cfg.Signed = true
	cfg.VerifySigned = func(_ context.Context, jwt string) ([]byte, error) {
		claims, ok := strings.CutPrefix(jwt, "signed:")
		if !ok {
			return nil, errors.New("bad signature")
		}
		return []byte(claims), nil
	}
	return cfg
}

func TestSignedAnswers(t *testing.T) {
	for _, test := range []struct{ name, contentType, body, want string }{
		{"active", signedType, `signed:{"iss":"a","token_introspection":{"active":true,"sub":"x"}}`, active},
		{"inactive", signedType, `signed:{"iss":"a","token_introspection":{"active":false}}`, inactive},
		{"with a charset", signedType + ";charset=utf-8", `signed:{"token_introspection":{"active":true}}`, active},
		{"the claims of the JWT itself are not read", signedType, `signed:{"active":true,"exp":99999999999}`, protocol},
		{"exp of the JWT itself is not read", signedType, `signed:{"exp":"x","token_introspection":{"active":true}}`, active},
		{"bad signature", signedType, `forged:{"token_introspection":{"active":true}}`, protocol},
		{"plain JSON", "application/json", `{"active":true}`, protocol},
		{"plain JSON, inactive", "application/json", `{"active":false}`, protocol},
		{"plain JSON with the signed type", signedType, `{"active":true}`, protocol},
		{"signed with the plain type", "application/json", `signed:{"token_introspection":{"active":true}}`, protocol},
		{"signed as another JWT", "application/jwt", `signed:{"token_introspection":{"active":true}}`, protocol},
		{"two answers", signedType,
			`signed:{"token_introspection":{"active":false},"token_introspection":{"active":true}}`, protocol},
		{"a string instead of an object", signedType, `signed:{"token_introspection":"{\"active\":true}"}`, protocol},
		{"an array", signedType, `signed:{"token_introspection":[{"active":true}]}`, protocol},
		{"active twice", signedType, `signed:{"token_introspection":{"active":false,"active":true}}`, protocol},
		{"string active", signedType, `signed:{"token_introspection":{"active":"true"}}`, protocol},
		{"claims that are not JSON", signedType, `signed:x`, protocol},
		{"an empty body", signedType, ``, protocol},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newServer(t, func(w http.ResponseWriter, r *http.Request) {
				if accept := r.Header.Get("Accept"); accept != signedType {
					t.Errorf("Accept is %q", accept)
				}
				reply(200, test.contentType, test.body)(w, r)
			})
			r, err := newClient(t, signedConfig(s)).Introspect(t.Context(), testToken)
			switch test.want {
			case protocol:
				wantCause(t, introspect.CauseProtocol, r, err)
			default:
				wantActive(t, test.want == active, r, err)
			}
			if test.name == "active" && r.Answer != `{"active":true,"sub":"x"}` {
				t.Errorf("the answer is %q", r.Answer)
			}
		})
	}
}

func TestASignedAnswerIsRefusedWhenPlainOnesAreAskedFor(t *testing.T) {
	s := newServer(t, reply(200, signedType, `signed:{"token_introspection":{"active":true}}`))
	r, err := newClient(t, basicConfig(s.URL)).Introspect(t.Context(), testToken)
	wantCause(t, introspect.CauseProtocol, r, err)
}

func TestTheCauseOfAVerifierIsKept(t *testing.T) {
	s := newServer(t, reply(200, signedType, `signed:{}`))
	cfg := signedConfig(s)
	for _, test := range []struct {
		name  string
		err   error
		cause introspect.Cause
	}{
		{"no keys", &introspect.NoVerdictError{Cause: introspect.CauseUnavailable}, introspect.CauseUnavailable},
		{"keys that come later", &introspect.NoVerdictError{Cause: introspect.CauseUnavailable, RetryAfter: time.Minute},
			introspect.CauseUnavailable},
		{"anything else", errors.New("too old"), introspect.CauseProtocol},
	} {
		t.Run(test.name, func(t *testing.T) {
			cfg.VerifySigned = func(context.Context, string) ([]byte, error) { return nil, test.err }
			r, err := newClient(t, cfg).Introspect(t.Context(), testToken)
			wantCause(t, test.cause, r, err)
		})
	}
	cfg.VerifySigned = func(context.Context, string) ([]byte, error) { panic("boom") }
	r, err := newClient(t, cfg).Introspect(t.Context(), testToken)
	wantCause(t, introspect.CauseProtocol, r, err)
}

// The server has answered. When the keys for its answer are missing, as for a moment after a rotation, the server is
// still up.
func TestAnswersThatCannotBeVerifiedOpenNoBreaker(t *testing.T) {
	s := newServer(t, reply(200, signedType, `signed:{"token_introspection":{"active":true}}`))
	cfg := signedConfig(s)
	cfg.BreakerFailures = 3
	verify, keys := cfg.VerifySigned, false
	cfg.VerifySigned = func(ctx context.Context, jwt string) ([]byte, error) {
		if !keys {
			return nil, &introspect.NoVerdictError{Cause: introspect.CauseUnavailable}
		}
		return verify(ctx, jwt)
	}
	c := newClient(t, cfg)
	for i := range 10 {
		r, err := c.Introspect(t.Context(), fmt.Sprint("new", i))
		wantCause(t, introspect.CauseUnavailable, r, err)
		r, err = c.Introspect(t.Context(), fmt.Sprint("verified", i), introspect.Verified())
		wantCause(t, introspect.CauseUnavailable, r, err)
	}
	keys = true
	r, err := c.Introspect(t.Context(), testToken)
	wantActive(t, true, r, err)
}
