package authserver_test

import (
	"context"
	"errors"
	"maps"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/authserver"
	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/internal/tokentest"
	"github.com/caddyjwt/gateway/introspect"
)

const (
	issuer = "https://as.example"
	client = "gateway"
)

var start = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

type m = map[string]any

// says is the claims of a good signed answer, with changes; nil removes a claim.
func says(changes m) m {
	set := m{"iss": issuer, "aud": client, "iat": start.Unix(), "token_introspection": m{"active": true}}
	maps.Copy(set, changes)
	maps.DeleteFunc(set, func(_ string, v any) bool { return v == nil })
	return set
}

// typed is the header of a signed answer.
var typed = m{"typ": "token-introspection+jwt"}

func answers(tb testing.TB, keys ...*tokentest.Key) authserver.SignedAnswers {
	tb.Helper()
	s := authserver.SignedAnswers{
		Issuer: issuer, ClientID: client, Leeway: 5 * time.Second, Now: func() time.Time { return start },
	}
	var list []*jose.Key
	for _, key := range keys {
		alg, _ := jose.ParseAlgorithm(key.Alg)
		s.Algorithms = s.Algorithms.With(alg)
		k, err := jose.NewSecretKey(key.KID, key.Secret(), jose.MakeAlgorithms(alg))
		if key.Public() != nil {
			k, err = jose.NewPublicKey(key.KID, key.Public(), jose.MakeAlgorithms(alg))
		}
		if err != nil {
			tb.Fatal(err)
		}
		list = append(list, k)
	}
	source, err := keyset.NewStatic(list...)
	if err != nil {
		tb.Fatal(err)
	}
	s.Keys = source
	return s
}

// RFC 9701 section 5.
func TestSignedAnswer(t *testing.T) {
	key, stranger := tokentest.NewKey(t, "ES256", "k1"), tokentest.NewKey(t, "ES256", "stranger").WithKID("k1")
	at := func(d time.Duration) m { return m{"iat": start.Add(d).Unix()} }
	good := key.Sign(t, says(nil), typed)
	for name, c := range map[string]struct {
		answer string
		want   error
	}{
		"a good one":                  {good, nil},
		"not a JWT":                   {`{"active":true}`, jose.ErrMalformed},
		"no type":                     {key.Sign(t, says(nil)), jose.ErrType},
		"the type of an access token": {key.Sign(t, says(nil), m{"typ": "at+jwt"}), jose.ErrType},
		"signed by somebody else":     {stranger.Sign(t, says(nil), typed), jose.ErrSignature},
		"of another issuer": {key.Sign(t, says(m{"iss": "https://other.example"}), typed),
			claims.ErrIssuer},
		"of no issuer":                         {key.Sign(t, says(m{"iss": nil}), typed), claims.ErrIssuer},
		"for another client":                   {key.Sign(t, says(m{"aud": "other"}), typed), claims.ErrAudience},
		"for no client":                        {key.Sign(t, says(m{"aud": nil}), typed), claims.ErrAudience},
		"without iat":                          {key.Sign(t, says(m{"iat": nil}), typed), claims.ErrMissing},
		"from a future that leeway covers":     {key.Sign(t, says(at(5*time.Second)), typed), nil},
		"from the future":                      {key.Sign(t, says(at(6*time.Second)), typed), claims.ErrNotYetValid},
		"as old as may be":                     {key.Sign(t, says(at(-65*time.Second)), typed), nil},
		"too old: a replay undoes revocations": {key.Sign(t, says(at(-66*time.Second)), typed), claims.ErrExpired},
		"with a claim of the wrong type":       {key.Sign(t, says(m{"exp": "tomorrow"}), typed), claims.ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			payload, err := answers(t, key).Verify(t.Context(), c.answer)
			if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
				t.Fatalf("error %v, want %v", err, c.want)
			}
			if (payload != nil) != (c.want == nil) {
				t.Errorf("payload %q beside the error %v", payload, err)
			}
		})
	}
}

// An algorithm that is not allowed for the issuer's tokens is not allowed for its answers. A shared secret does not
// prove which side made the answer.
func TestAlgorithmsOfSignedAnswers(t *testing.T) {
	rsa, ec := tokentest.NewKey(t, "RS256", "r"), tokentest.NewKey(t, "ES256", "e")
	secret := tokentest.NewKey(t, "HS256", "s")
	both := answers(t, rsa, ec)
	if _, err := both.Verify(t.Context(), rsa.Sign(t, says(nil), typed)); err != nil {
		t.Errorf("RS256 is allowed: %v", err)
	}
	both.Algorithms = jose.MakeAlgorithms(jose.ES256)
	if _, err := both.Verify(t.Context(), rsa.Sign(t, says(nil), typed)); !errors.Is(err, jose.ErrAlgorithm) {
		t.Errorf("RS256 is not allowed: %v", err)
	}
	shared := answers(t, secret)
	if _, err := shared.Verify(t.Context(), secret.Sign(t, says(nil), typed)); !errors.Is(err, jose.ErrAlgorithm) {
		t.Errorf("HS256 is never allowed: %v", err)
	}
}

// gone is a source whose keys are unavailable.
type gone struct{ keyset.Source }

func (gone) Find(context.Context, jose.Algorithm, string) ([]*jose.Key, error) {
	return nil, &keyset.UnavailableError{}
}

// Without keys the answer cannot be judged, so the client asks the server again later.
func TestSignedAnswerWithoutKeys(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	s := answers(t, key)
	s.Keys = gone{}
	_, err := s.Verify(t.Context(), key.Sign(t, says(nil), typed))
	trouble, ok := errors.AsType[*introspect.NoVerdictError](err)
	if !ok || trouble.Cause != introspect.CauseUnavailable {
		t.Errorf("error %v, want one of cause %v", err, introspect.CauseUnavailable)
	}
}

func TestTheClockIsTheRealOneUnlessGiven(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	s := answers(t, key)
	s.Now = nil
	if _, err := s.Verify(t.Context(), key.Sign(t, says(m{"iat": time.Now().Unix()}), typed)); err != nil {
		t.Errorf("an answer of this moment: %v", err)
	}
	if _, err := s.Verify(t.Context(), key.Sign(t, says(m{"iat": 1}), typed)); !errors.Is(err, claims.ErrExpired) {
		t.Errorf("an answer of 1970: %v", err)
	}
}
