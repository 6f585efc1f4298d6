package claims_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// Stand-ins for what this package says without an error.
var (
	errKind  = errors.New("another kind of token")
	errBound = errors.New("bound to a key")
)

// flaws are this package's words for what is wrong with a hostile token.
var flaws = map[tokentest.Flaw]error{
	tokentest.Malformed: claims.ErrMalformed, tokentest.OtherKind: errKind, tokentest.OtherIssuer: claims.ErrIssuer,
	tokentest.OtherAudience: claims.ErrAudience, tokentest.Expired: claims.ErrExpired, tokentest.Bound: errBound,
	tokentest.NotYetValid: claims.ErrNotYetValid, tokentest.NoExpiry: claims.ErrMissing,
}

// TestClaimAttacks reads the payloads alone: their signatures are good.
func TestClaimAttacks(t *testing.T) {
	target := tokentest.Target{
		Key: tokentest.NewKey(t, "ES256", "k1"), Issuer: "https://as.example", Audience: "https://api.example",
		Now: now, Trap: "http://127.0.0.1:1",
	}
	if err := judge(&target, target.Good()); err != nil {
		t.Fatalf("a good token: %v", err)
	}
	for _, attack := range target.ClaimAttacks() {
		if err := judge(&target, attack.Token); err == nil || !errors.Is(err, flaws[attack.Flaw]) {
			t.Errorf("%s: got %v, want %v", attack.Name, err, flaws[attack.Flaw])
		}
	}
}

// judge does what the gate does with a payload.
func judge(target *tokentest.Target, token string) error {
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err != nil {
		return err
	}
	set, err := claims.Decode(payload)
	switch {
	case err != nil:
		return err
	case len(claims.KindOf(set).Others) > 0:
		return errKind
	case set.Confirmation.Bound:
		return errBound
	}
	if err := claims.CheckIssuer(set, target.Issuer); err != nil {
		return err
	}
	if err := claims.CheckTime(set, target.Now, 0); err != nil {
		return err
	}
	return claims.CheckAudience(set, []string{target.Audience})
}
