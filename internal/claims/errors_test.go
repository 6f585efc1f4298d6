package claims_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/claims"
)

// An error names what the token says and what was expected. Of claims that may be personal it has no value.
func TestErrorsNameBothSides(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	decode := func(text string) *claims.Set {
		t.Helper()
		set, err := claims.Decode([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return set
	}
	undecoded := func(text string) error { _, err := claims.Decode([]byte(text)); return err }
	must := func(path string) claims.Path {
		t.Helper()
		p, err := claims.ParsePath(path)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	accepted := []string{"a1", "a2", "a3", "a4"}
	list := `"evil\n` + strings.Repeat("x", 200) + `"` + strings.Repeat(`,"x"`, 999)
	for name, c := range map[string]struct {
		err, is error
		want    string
	}{
		"expired": {claims.CheckTime(decode(`{"exp":999900}`), now, 5*time.Second), claims.ErrExpired,
			"expired: exp was 1m40s ago, and the leeway is 5s"},
		"expired long ago": {claims.CheckTime(decode(`{"exp":1}`), now, 0), claims.ErrExpired,
			"expired: exp was 11 days ago, and the leeway is 0s"},
		"nbf ahead": {claims.CheckNotBefore(decode(`{"nbf":1000040}`), now, 5*time.Second), claims.ErrNotYetValid,
			"not yet valid: nbf is 40s ahead of our clock, and the leeway is 5s"},
		"iat ahead": {claims.CheckNotBefore(decode(`{"iat":253402300799}`), now, 0), claims.ErrNotYetValid,
			"not yet valid: iat is 106751 days ahead of our clock, and the leeway is 0s"},
		"life from iat": {claims.CheckLifetime(decode(`{"iat":1,"exp":86401}`), now, time.Hour, 0), claims.ErrLifetime,
			"lifetime too long: from iat to exp it is 24h0m0s, and the longest allowed is 1h0m0s"},
		"life from now": {claims.CheckLifetime(decode(`{"iat":1007000,"exp":1007200}`), now, time.Hour, 0),
			claims.ErrLifetime, "lifetime too long: from now to exp it is 2h0m0s, and the longest allowed is 1h0m0s"},
		"no aud": {claims.CheckAudience(decode(`{}`), accepted), claims.ErrAudience,
			`not for this audience: there is no aud; accepted: "a1", "a2", "a3" and 1 more`},
		"an empty aud": {claims.CheckAudience(decode(`{"aud":[]}`), accepted[:1]), claims.ErrAudience,
			`not for this audience: aud is an empty list; accepted: "a1"`},
		"aud as a text": {claims.CheckAudience(decode(`{"aud":"account"}`), accepted[:1]), claims.ErrAudience,
			`not for this audience: aud is "account"; accepted: "a1"`},
		"aud as a list": {claims.CheckAudience(decode(`{"aud":["account"]}`), accepted[:1]), claims.ErrAudience,
			`not for this audience: aud is a list of 1: "account"; accepted: "a1"`},
		"aud as a long list": {claims.CheckAudience(decode(`{"aud":[`+list+`]}`), accepted[:1]), claims.ErrAudience,
			`not for this audience: aud is a list of 1000: "evil\n` + strings.Repeat("x", 94) +
				`"..., "x", "x" and 997 more; accepted: "a1"`},
		"another issuer": {claims.CheckIssuer(decode(`{"iss":"https://x"}`), "https://y"), claims.ErrIssuer,
			`not this issuer: iss is "https://x", and expected is "https://y"`},
		"no issuer": {claims.CheckIssuer(decode(`{}`), "https://y"), claims.ErrIssuer,
			`not this issuer: there is no iss, and expected is "https://y"`},
		"a claim that is not there": {claims.CheckPresent(decode(`{}`), []claims.Path{must("a.b")}), claims.ErrMissing,
			"missing claim: a.b"},
		"an empty claim": {claims.CheckPresent(decode(`{"a":{"b":" "}}`), []claims.Path{must("a.b")}), claims.ErrMissing,
			"missing claim: a.b is there, but empty"},
		"a date as a string": {undecoded(`{"exp":"tomorrow"}`), claims.ErrMalformed,
			"malformed claims: exp is of the type string, not a number"},
		"milliseconds": {undecoded(`{"exp":1764367000000}`), claims.ErrMalformed,
			"malformed claims: exp is not a date between 1970 and 9999 in seconds: is it in milliseconds? " +
				`("tolerate millisecond_dates" accepts that)`},
		"a blank sub": {undecoded(`{"sub":" "}`), claims.ErrMalformed,
			"malformed claims: sub is blank"},
		"a sub that is a number": {undecoded(`{"sub":4711}`), claims.ErrMalformed,
			`malformed claims: sub is of the type number, not a non-blank string ("tolerate numeric_subject" accepts that)`},
		"a number in scope": {undecoded(`{"scope":["a",4711]}`), claims.ErrMalformed,
			"malformed claims: an element of scope is of the type number, not a string"},
		"too many audiences": {undecoded(`{"aud":["x"` + strings.Repeat(`,"x"`, 9999) + `]}`), claims.ErrMalformed,
			"malformed claims: aud is a list of 10000, and may have 1024"},
		"too many scopes": {undecoded(`{"scope":"` + strings.Repeat(`x `, 2000) + `"}`), claims.ErrMalformed,
			"malformed claims: scope is a list of 2000, and may have 1024"},
		"too many scopes in a list": {undecoded(`{"scp":["x"` + strings.Repeat(`,"x"`, 1024) + `]}`), claims.ErrMalformed,
			"malformed claims: scp is a list of 1025, and may have 1024"},
	} {
		if got := fmt.Sprint(c.err); got != c.want || !errors.Is(c.err, c.is) {
			t.Errorf("%s: %s\nwant %s", name, got, c.want)
		}
	}
}
