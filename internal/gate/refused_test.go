package gate_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

func TestTokenIsRefusedWithItsReason(t *testing.T) {
	key, other := tokentest.NewKey(t, "ES256", "k1"), tokentest.NewKey(t, "ES256", "k2")
	sign := func(changes ...m) string { return key.Sign(t, says(changes...)) }
	typ := func(typ any) string { return key.Sign(t, says(), m{"typ": typ}) }
	plain := func(*gate.Config) {}
	types := func(list ...string) func(*gate.Config) {
		return func(c *gate.Config) { c.Issuers[0].Types = list }
	}
	profile := func(c *gate.Config) { c.Issuers[0].AccessTokenProfile = true }
	full := m{"client_id": "app", "jti": "1"}
	need := func(c *gate.Config) {
		c.Issuers[0].RequiredClaims = append(c.Issuers[0].RequiredClaims, path(t, "tenant.id"))
	}
	for name, c := range map[string]struct {
		change func(*gate.Config)
		token  string
		want   gate.Reason // empty: accepted
	}{
		"a good token":       {plain, sign(), ""},
		"not a token at all": {plain, "abc", gate.MalformedToken},
		"two parts":          {plain, "e30.e30", gate.MalformedToken},
		"four parts":         {plain, sign() + ".x", gate.MalformedToken},
		"no signature": {plain,
			strings.Join(strings.Split(sign(), ".")[:2], ".") + ".", gate.MalformedToken},
		"padding": {plain, sign() + "=", gate.MalformedToken},
		"a payload that is an array": {plain,
			key.SignRaw(`{"alg":"ES256","kid":"k1"}`, `[]`), gate.MalformedToken},
		"a critical header": {plain,
			key.Sign(t, says(), m{"crit": []string{"x"}}), gate.MalformedToken},
		"alg none": {plain,
			key.SignRaw(`{"alg":"none"}`, `{"iss":"`+issuerA+`"}`), gate.UnsupportedAlgorithm},
		"an algorithm that the issuer lacks": {plain,
			tokentest.NewKey(t, "EdDSA", "k1").Sign(t, says()), gate.UnsupportedAlgorithm},
		"a logout token":               {plain, typ("logout+jwt"), gate.InvalidType},
		"a security event":             {plain, sign(m{"events": m{"x": m{}}}), gate.InvalidType},
		"a token bound to a key":       {plain, sign(m{"cnf": m{"jkt": "x"}}), gate.ProofRequired},
		"an unknown issuer":            {plain, sign(m{"iss": issuerB}), gate.UnknownIssuer},
		"no issuer":                    {plain, sign(m{"iss": nil}), gate.UnknownIssuer},
		"an issuer with another slash": {plain, sign(m{"iss": issuerA + "/"}), gate.UnknownIssuer},
		"an issuer in another case":    {plain, sign(m{"iss": strings.ToUpper(issuerA)}), gate.UnknownIssuer},
		"an unknown key":               {plain, other.Sign(t, says()), gate.UnknownKey},
		"another key under a known id": {plain, other.WithKID("k1").Sign(t, says()), gate.InvalidSignature},
		"no key id":                    {plain, key.WithKID("").Sign(t, says()), ""},
		"another key without an id":    {plain, other.WithKID("").Sign(t, says()), gate.InvalidSignature},
		"a broken signature":           {plain, tokentest.FlipSignature(t, sign()), gate.InvalidSignature},
		"a broken signature of an expired token": {plain,
			tokentest.FlipSignature(t, sign(m{"exp": 1})), gate.InvalidSignature},
		"a broken signature for somebody else": {plain,
			tokentest.FlipSignature(t, sign(m{"aud": "x"})), gate.InvalidSignature},
		"expired":                               {plain, sign(m{"exp": start.Unix()}), gate.Expired},
		"no expiry":                             {plain, sign(m{"exp": nil}), gate.MissingClaim},
		"not yet valid":                         {plain, sign(m{"nbf": start.Unix() + 1}), gate.NotYetValid},
		"issued in the future":                  {plain, sign(m{"iat": start.Unix() + 1}), gate.NotYetValid},
		"for another audience":                  {plain, sign(m{"aud": "https://else.example"}), gate.InvalidAudience},
		"for no audience":                       {plain, sign(m{"aud": nil}), gate.InvalidAudience},
		"a blank subject":                       {plain, sign(m{"sub": " "}), gate.MalformedToken},
		"no subject":                            {plain, sign(m{"sub": nil}), ""},
		"a type that is not named":              {types("at+jwt"), typ("JWT"), gate.InvalidType},
		"no type where one is named":            {types("at+jwt"), typ(nil), gate.InvalidType},
		"one of two types, in another spelling": {types("jwt", "at+jwt"), typ("application/AT+JWT"), ""},
		"the profile with everything":           {profile, key.Sign(t, says(full), m{"typ": "at+jwt"}), ""},
		"the profile without its type":          {profile, key.Sign(t, says(full)), gate.InvalidType},
		"the profile with another type of the set": {profile,
			key.Sign(t, says(full), m{"typ": "at+jwt;x=1"}), gate.InvalidType},
		"the profile without client_id": {profile, key.Sign(t, says(m{"jti": "1"}), m{"typ": "at+jwt"}), gate.MissingClaim},
		"the profile without jti": {profile,
			key.Sign(t, says(m{"client_id": "1"}), m{"typ": "at+jwt"}), gate.MissingClaim},
		"the profile without sub": {profile,
			key.Sign(t, says(full, m{"sub": nil}), m{"typ": "at+jwt"}), gate.MissingClaim},
		"a required claim":            {need, sign(m{"tenant": m{"id": 7}}), ""},
		"a required claim is missing": {need, sign(m{"tenant": m{}}), gate.MissingClaim},
		"a required claim is null":    {need, sign(m{"tenant": m{"id": nil}}), gate.MissingClaim},
		"a required claim is blank":   {need, sign(m{"tenant": m{"id": " "}}), gate.MissingClaim},
	} {
		t.Run(name, func(t *testing.T) {
			g := build(t, key, c.change)
			if c.want == "" {
				accepted(t, g, request(c.token))
				return
			}
			f := refused(t, g, request(c.token), c.want)
			if f.Token == "" || strings.Contains(c.token, f.Token) {
				t.Errorf("fingerprint %q is missing or a part of the token", f.Token)
			}
		})
	}
}

func TestUnavailableKeys(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	keys := newKeys(t, key)
	g := build(t, key, func(c *gate.Config) { c.Issuers[0].Keys = keys })
	token := key.Sign(t, says())
	accepted(t, g, request(token))

	keys.gone()
	f := refused(t, g, request(token), gate.KeysUnavailable)
	if f.RetryAfter.Seconds() != 7 || !errors.Is(f, keyset.ErrUnavailable) || f.Issuer != issuerA || f.KeyID != "k1" {
		t.Errorf("failure %+v", f)
	}
	for err, want := range map[error]gate.Reason{
		errors.New("refused"): gate.KeysUnavailable, keyset.ErrUnknownKey: gate.UnknownKey,
	} {
		keys.fail(err)
		refused(t, g, request(token), want)
	}
}

func TestSourceWithNeitherKeysNorErrorRefuses(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	g := build(t, key, func(c *gate.Config) { c.Issuers[0].Keys = emptyKeys{newKeys(t, key)} })
	refused(t, g, request(key.Sign(t, says())), gate.InvalidSignature)
}

func TestFailureContainsNothingOfTheToken(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	g := build(t, key)
	kid := strings.Repeat("k", 500)
	f := refused(t, g, request(key.WithKID(kid).Sign(t, says())), gate.UnknownKey)
	if len(f.KeyID) > 64 || f.Error() != "bearer_auth: unknown_key" {
		t.Errorf("key id of %d bytes, text %q", len(f.KeyID), f.Error())
	}
	a, b := key.Sign(t, says(m{"aud": "x"})), key.Sign(t, says(m{"aud": "y"}))
	first, again := refused(t, g, request(a), gate.InvalidAudience), refused(t, g, request(a), gate.InvalidAudience)
	if other := refused(t, g, request(b), gate.InvalidAudience); first.Token != again.Token || first.Token == other.Token {
		t.Errorf("fingerprints %q, %q, %q: want two equal, one different", first.Token, again.Token, other.Token)
	}
	if odd := gate.FailureOf(errors.New("surprise")); odd.Reason != gate.InternalError {
		t.Errorf("an unknown error is %v", odd.Reason)
	}
}
