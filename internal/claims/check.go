package claims

import (
	"fmt"
	"slices"
	"time"
)

// The checks below allocate only when they fail.

// CheckTime tells whether the token is valid at now: exp is there and still to
// come (RFC 7519 section 4.1.4: not "on or after"), and [CheckNotBefore]. Leeway
// widens each edge by the same amount; it must not be negative.
func CheckTime(s *Set, now time.Time, leeway time.Duration) error {
	if s.ExpiresAt.IsZero() {
		return missing("exp")
	}
	if !now.Before(s.ExpiresAt.Add(leeway)) {
		return ErrExpired
	}
	return CheckNotBefore(s, now, leeway)
}

// CheckNotBefore tells whether nbf has come, if there is one (RFC 7519 section
// 4.1.5), and iat, if there is one: what was issued in the future was issued by
// another clock than ours.
func CheckNotBefore(s *Set, now time.Time, leeway time.Duration) error {
	latest := now.Add(leeway)
	if s.NotBefore.After(latest) { // an absent date is the zero Time, long past
		return fmt.Errorf("%w: nbf", ErrNotYetValid)
	}
	if s.IssuedAt.After(latest) {
		return fmt.Errorf("%w: iat", ErrNotYetValid)
	}
	return nil
}

// CheckAudience tells whether one of the token's audiences is one of the accepted
// ones, compared exactly (RFC 7519 section 4.1.3). With nothing accepted, nothing
// is.
func CheckAudience(s *Set, accepted []string) error {
	for _, audience := range s.Audience {
		if slices.Contains(accepted, audience) {
			return nil
		}
	}
	return ErrAudience
}

// CheckIssuer tells whether iss is exactly issuer (RFC 7519 section 4.1.1), which
// must not be empty.
func CheckIssuer(s *Set, issuer string) error {
	if issuer == "" || s.Issuer != issuer {
		return ErrIssuer
	}
	return nil
}

// CheckPresent tells whether every path leads to something. Null, a blank string,
// an empty array and an empty object say nothing and count as missing.
func CheckPresent(s *Set, paths []Path) error {
	for _, path := range paths {
		if v, ok := s.Lookup(path); !ok || v.IsEmpty() {
			return missing(path.String())
		}
	}
	return nil
}

// CheckLifetime tells whether the token lives no longer than longest: from iat,
// which has to be there, to exp, and from now to exp. The first is arithmetic
// between two dates of one clock; only the second gets the leeway.
func CheckLifetime(s *Set, now time.Time, longest, leeway time.Duration) error {
	switch {
	case s.ExpiresAt.IsZero():
		return missing("exp")
	case s.IssuedAt.IsZero():
		return missing("iat")
	case s.ExpiresAt.After(s.IssuedAt.Add(longest)):
		return ErrLifetime
	case s.ExpiresAt.After(now.Add(longest).Add(leeway)):
		return ErrLifetime
	}
	return nil
}

// CheckAccessToken tells whether the claims are there that the profile for access
// tokens demands (RFC 9068 section 2.2). What they say is for the other checks.
func CheckAccessToken(s *Set) error {
	switch {
	case s.Issuer == "":
		return missing("iss")
	case s.ExpiresAt.IsZero():
		return missing("exp")
	case len(s.Audience) == 0:
		return missing("aud")
	case s.Subject == "":
		return missing("sub")
	case s.ClientID == "":
		return missing("client_id")
	case s.IssuedAt.IsZero():
		return missing("iat")
	case s.ID == "":
		return missing("jti")
	}
	return nil
}

// missing names a claim of the configuration or of a specification.
func missing(claim string) error {
	return fmt.Errorf("%w: %s", ErrMissing, claim)
}
