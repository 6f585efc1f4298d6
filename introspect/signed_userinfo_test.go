package introspect_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyjwt/gateway/introspect"
)

const jwtType = "application/jwt"

// signedUserInfoConfig asks for signed UserInfo. The "JWT" of these tests is a prefix followed by the claims.
func signedUserInfoConfig(s *server) introspect.Config {
	cfg := signedConfig(s)
	userInfo(&cfg)
	return cfg
}

// OpenID Connect Core 1.0 section 5.3.2.
func TestSignedUserInfo(t *testing.T) {
	for _, test := range []struct{ name, contentType, body, want string }{
		{"a user", jwtType, `signed:{"iss":"a","aud":"c","sub":"x"}`, active},
		{"with a charset", jwtType + "; charset=UTF-8", `signed:{"sub":"x"}`, active},
		{"active does not matter", jwtType, `signed:{"sub":"x","active":false}`, active},
		{"an introspection response", jwtType, `signed:{"token_introspection":{"active":true,"sub":"x"}}`, protocol},
		{"no sub", jwtType, `signed:{"email":"x"}`, protocol},
		{"sub twice", jwtType, `signed:{"sub":"x","sub":"y"}`, protocol},
		{"an exp that is text", jwtType, `signed:{"sub":"x","exp":"never"}`, protocol},
		{"bad signature", jwtType, `forged:{"sub":"x"}`, protocol},
		{"plain JSON", "application/json", `{"sub":"x"}`, protocol},
		{"plain JSON, called a JWT", jwtType, `{"sub":"x"}`, protocol},
		{"signed, called JSON", "application/json", `signed:{"sub":"x"}`, protocol},
		{"the type of introspection", signedType, `signed:{"sub":"x"}`, protocol},
		{"no type", "", `signed:{"sub":"x"}`, protocol},
		{"claims that are not an object", jwtType, `signed:"x"`, protocol},
		{"an empty body", jwtType, ``, protocol},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newServer(t, func(w http.ResponseWriter, r *http.Request) {
				if accept := r.Header["Accept"]; len(accept) != 1 || accept[0] != jwtType {
					t.Errorf("Accept is %q", accept)
				}
				reply(200, test.contentType, test.body)(w, r)
			})
			r, err := newClient(t, signedUserInfoConfig(s)).Introspect(t.Context(), testToken)
			if test.want == protocol {
				wantCause(t, introspect.CauseProtocol, r, err)
				return
			}
			wantActive(t, true, r, err)
			if r.Answer != strings.TrimPrefix(test.body, "signed:") {
				t.Errorf("the answer is %q", r.Answer)
			}
		})
	}
}

// Two types are no type, whichever comes first.
func TestSignedUserInfoHasOneType(t *testing.T) {
	for _, types := range [][]string{{jwtType, "application/json"}, {"application/json", jwtType}, {jwtType, jwtType}} {
		s := newServer(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"] = types
			_, _ = w.Write([]byte(`signed:{"sub":"x"}`))
		})
		r, err := newClient(t, signedUserInfoConfig(s)).Introspect(t.Context(), testToken)
		wantCause(t, introspect.CauseProtocol, r, err)
	}
}

// The status is a verdict without a signature, as it is without "signed".
func TestSignedUserInfoCanBeInactive(t *testing.T) {
	s := newServer(t, reply(401, "application/json", `{"error":"invalid_token"}`))
	r, err := newClient(t, signedUserInfoConfig(s)).Introspect(t.Context(), testToken)
	wantActive(t, false, r, err)
}

// The function that verifies may have to decrypt, so it gets every text: also five parts, and what is no JWT at all.
func TestTheVerifierGetsTheTextAsItCame(t *testing.T) {
	for _, text := range []string{"a.b.c.d.e", `"a.b.c"`, "a.b.c\n", ""} {
		s := newServer(t, reply(200, jwtType, text))
		cfg := signedUserInfoConfig(s)
		cfg.VerifySigned = func(_ context.Context, jwt string) ([]byte, error) {
			if jwt != text {
				t.Errorf("the verifier gets %q, want %q", jwt, text)
			}
			return []byte(`{"sub":"x"}`), nil
		}
		r, err := newClient(t, cfg).Introspect(t.Context(), testToken)
		wantActive(t, true, r, err)
		cfg = signedConfig(newServer(t, reply(200, signedType, text)))
		cfg.VerifySigned = func(_ context.Context, jwt string) ([]byte, error) {
			if jwt != text {
				t.Errorf("the verifier gets %q, want %q", jwt, text)
			}
			return []byte(`{"token_introspection":{"active":true}}`), nil
		}
		r, err = newClient(t, cfg).Introspect(t.Context(), testToken)
		wantActive(t, true, r, err)
	}
}

// Where plain answers are wanted, the error about a signed one names the cure.
func TestAnErrorSaysToAskForSignedAnswers(t *testing.T) {
	for _, kind := range []string{jwtType, signedType} {
		s := newServer(t, reply(200, kind, `signed:{"sub":"x"}`))
		r, err := newClient(t, introspect.Config{Mode: introspect.UserInfo, Endpoint: s.URL}).
			Introspect(t.Context(), testToken)
		wantCause(t, introspect.CauseProtocol, r, err)
		if !strings.Contains(err.Error(), `ask for signed answers ("signed")`) {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

// An answer is not used after its exp, whatever the time to live.
func TestSignedUserInfoIsKeptUntilItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		cfg := fakeConfig(func(*http.Request) (*http.Response, error) {
			asked++
			answer := response(200, "signed:"+strings.Replace(expiring(10*time.Second), `"active":true`, `"sub":"x"`, 1))
			answer.Header.Set("Content-Type", jwtType)
			return answer, nil
		})
		cfg.CacheTTL, cfg.Signed = time.Minute, true
		userInfo(&cfg)
		cfg.VerifySigned = func(_ context.Context, jwt string) ([]byte, error) {
			return []byte(strings.TrimPrefix(jwt, "signed:")), nil
		}
		c := newClient(t, cfg)
		for i, want := range []int{1, 1, 2} {
			r, err := c.Introspect(t.Context(), testToken)
			wantActive(t, true, r, err)
			if asked != want {
				t.Errorf("question %d: the server was asked %d times, want %d", i, asked, want)
			}
			time.Sleep(6 * time.Second)
		}
	})
}
