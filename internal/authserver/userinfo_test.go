package authserver_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/authserver"
	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/tokentest"
	"github.com/caddyjwt/gateway/introspect"
)

func userInfoAnswers(tb testing.TB, key *tokentest.Key) authserver.SignedAnswers {
	tb.Helper()
	s := answers(tb, key)
	s.Mode = introspect.UserInfo
	return s
}

// OpenID Connect Core 1.0 section 5.3.2.
func TestSignedUserInfo(t *testing.T) {
	key, stranger := tokentest.NewKey(t, "ES256", "k1"), tokentest.NewKey(t, "ES256", "stranger").WithKID("k1")
	user := func(changes m) m {
		set := says(m{"token_introspection": nil, "iat": nil, "sub": "alice"})
		for name, value := range changes {
			if set[name] = value; value == nil {
				delete(set, name)
			}
		}
		return set
	}
	at := func(claim string, d time.Duration) m { return m{claim: start.Add(d).Unix()} }
	noType := m{"typ": nil}
	for name, c := range map[string]struct {
		answer string
		want   error
	}{
		"of the type JWT":    {key.Sign(t, user(nil)), nil},
		"of no type":         {key.Sign(t, user(nil), noType), nil},
		"with a long type":   {key.Sign(t, user(nil), m{"typ": "application/jwt"}), nil},
		"for two clients":    {key.Sign(t, user(m{"aud": []string{"other", client}})), nil},
		"with empty members": {key.Sign(t, user(m{"client_id": nil, "email": "", "jti": ""})), nil},
		"with all dates": {key.Sign(t, user(m{
			"iat": start.Unix(), "nbf": start.Unix(), "exp": start.Add(time.Minute).Unix(),
		})), nil},
		"not a JWT":                    {`{"sub":"alice"}`, jose.ErrMalformed},
		"in quotes":                    {`"` + key.Sign(t, user(nil)) + `"`, jose.ErrMalformed},
		"alg none":                     {key.SignRaw(`{"alg":"none"}`, `{"sub":"alice"}`), jose.ErrAlgorithm},
		"an access token":              {key.Sign(t, user(nil), m{"typ": "at+jwt"}), jose.ErrType},
		"a response to introspection":  {key.Sign(t, user(nil), typed), jose.ErrType},
		"a logout token":               {key.Sign(t, user(nil), m{"typ": "logout+jwt"}), jose.ErrType},
		"an unknown type":              {key.Sign(t, user(nil), m{"typ": "x"}), jose.ErrType},
		"a token in a token":           {key.Sign(t, user(nil), m{"cty": "JWT"}), jose.ErrMalformed},
		"an ID token by nonce":         {key.Sign(t, user(m{"nonce": "n"})), jose.ErrType},
		"an ID token by at_hash":       {key.Sign(t, user(m{"at_hash": "h"})), jose.ErrType},
		"signed by somebody else":      {stranger.Sign(t, user(nil)), jose.ErrSignature},
		"of another issuer":            {key.Sign(t, user(m{"iss": issuer + "/"})), claims.ErrIssuer},
		"of no issuer":                 {key.Sign(t, user(m{"iss": nil})), claims.ErrIssuer},
		"for another client":           {key.Sign(t, user(m{"aud": "other"})), claims.ErrAudience},
		"for no client":                {key.Sign(t, user(m{"aud": nil})), claims.ErrMissing},
		"for an empty list of clients": {key.Sign(t, user(m{"aud": []string{}})), claims.ErrMissing},
		"at its end, with leeway":      {key.Sign(t, user(at("exp", -4*time.Second))), nil},
		"after its end":                {key.Sign(t, user(at("exp", -5*time.Second))), claims.ErrExpired},
		"before its start":             {key.Sign(t, user(at("nbf", 6*time.Second))), claims.ErrNotYetValid},
		"from the future":              {key.Sign(t, user(at("iat", 6*time.Second))), claims.ErrNotYetValid},
		"as old as may be":             {key.Sign(t, user(at("iat", -65*time.Second))), nil},
		"too old":                      {key.Sign(t, user(at("iat", -66*time.Second))), claims.ErrExpired},
		"an end that is no date":       {key.Sign(t, user(m{"exp": "never"})), claims.ErrMalformed},
		"an end of null": {key.SignRaw(`{"alg":"ES256","kid":"k1"}`,
			`{"iss":"`+issuer+`","aud":"`+client+`","sub":"alice","exp":null}`), claims.ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			payload, err := userInfoAnswers(t, key).Verify(t.Context(), c.answer)
			if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
				t.Fatalf("error %v, want %v", err, c.want)
			}
			if (payload != nil) != (c.want == nil) {
				t.Errorf("payload %q beside the error %v", payload, err)
			}
			if err != nil && strings.Contains(err.Error(), "alice") {
				t.Errorf("the error quotes the answer: %v", err)
			}
		})
	}
}

// Without a client of our own, an answer may be for any client, but not for nobody.
func TestSignedUserInfoForAnyClient(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	s := userInfoAnswers(t, key)
	s.ClientID = ""
	if _, err := s.Verify(t.Context(), key.Sign(t, m{"iss": issuer, "sub": "alice", "aud": "other"})); err != nil {
		t.Error(err)
	}
	_, err := s.Verify(t.Context(), key.Sign(t, m{"iss": issuer, "sub": "alice"}))
	if !errors.Is(err, claims.ErrMissing) {
		t.Errorf("error %v, want %v", err, claims.ErrMissing)
	}
}

// An issuer's tolerance holds for its signed answers, too.
func TestSignedUserInfoIsReadAsTheIssuersClaims(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	s := userInfoAnswers(t, key)
	answer := key.Sign(t, m{"iss": issuer, "aud": client, "sub": 42, "exp": start.Add(time.Minute).UnixMilli()})
	if _, err := s.Verify(t.Context(), answer); !errors.Is(err, claims.ErrMalformed) {
		t.Errorf("error %v, want %v", err, claims.ErrMalformed)
	}
	s.Reading = &claims.Reading{Tolerate: claims.NumericSubject | claims.MillisecondDates}
	if _, err := s.Verify(t.Context(), answer); err != nil {
		t.Error(err)
	}
}
