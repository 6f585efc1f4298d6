package claims

import (
	"fmt"
	"slices"
	"time"

	"github.com/caddyjwt/gateway/internal/causes"
)

// The checks below allocate only when they fail.

// CheckTime refuses a token that is not valid at now. exp must be present and in the future (RFC 7519 section 4.1.4:
// the token is refused "on or after" it), and [CheckNotBefore] must accept the token. Leeway widens each edge by the
// same amount. It must not be negative.
func CheckTime(s *Set, now time.Time, leeway time.Duration) error {
	if s.ExpiresAt.IsZero() {
		return missing("exp")
	}
	if !now.Before(s.ExpiresAt.Add(leeway)) {
		return &TimeError{ErrExpired, "exp", now.Sub(s.ExpiresAt), leeway}
	}
	return CheckNotBefore(s, now, leeway)
}

// CheckNotBefore refuses an nbf in the future (RFC 7519 section 4.1.5), and also such an iat, which shows that the
// issuer's clock differs from ours. Either may be absent.
func CheckNotBefore(s *Set, now time.Time, leeway time.Duration) error {
	latest := now.Add(leeway)
	if s.NotBefore.After(latest) { // an absent date is the zero Time, which is in the past
		return &TimeError{ErrNotYetValid, "nbf", now.Sub(s.NotBefore), leeway}
	}
	if s.IssuedAt.After(latest) {
		return &TimeError{ErrNotYetValid, "iat", now.Sub(s.IssuedAt), leeway}
	}
	return nil
}

// CheckAudience refuses a token unless one of its audiences is accepted, compared exactly (RFC 7519 section 4.1.3). An
// empty list accepts nothing.
func CheckAudience(s *Set, accepted []string) error {
	for _, audience := range s.Audience {
		if slices.Contains(accepted, audience) {
			return nil
		}
	}
	return &AudienceError{s, accepted}
}

// CheckIssuer refuses a token unless its iss is exactly issuer (RFC 7519 section 4.1.1). An empty issuer refuses all.
func CheckIssuer(s *Set, issuer string) error {
	if issuer == "" || s.Issuer != issuer {
		return &IssuerError{s.Issuer, issuer}
	}
	return nil
}

// CheckTenant refuses a token whose "tid", if it has one, is not the tenant in its iss. Entra ID has the tenant in
// both, and a backend may go by either. The error is an ErrIssuer. It repeats no value of tid.
func CheckTenant(s *Set, tenant string) error {
	tid, there := s.Claim("tid")
	if !there {
		return nil
	}
	if text, ok := tid.JSON().Str(); !ok || text != tenant {
		return fmt.Errorf("%w: tid is not %s, the tenant in iss", ErrIssuer, causes.Quote(tenant))
	}
	return nil
}

// CheckPresent refuses a token unless every path leads to a value. Null, blank strings, empty arrays and empty objects
// count as missing.
func CheckPresent(s *Set, paths []Path) error {
	for _, path := range paths {
		switch v, ok := s.Lookup(path); {
		case !ok:
			return missing(path.String())
		case v.IsEmpty():
			return fmt.Errorf("%w: %v is there, but empty", ErrMissing, path)
		}
	}
	return nil
}

// CheckLifetime refuses a token that lives longer than longest, from iat to exp or from now to exp. Both claims must be
// present. Only the second comparison gets the leeway, since in the first both dates come from the same clock.
func CheckLifetime(s *Set, now time.Time, longest, leeway time.Duration) error {
	switch {
	case s.ExpiresAt.IsZero():
		return missing("exp")
	case s.IssuedAt.IsZero():
		return missing("iat")
	case s.ExpiresAt.After(s.IssuedAt.Add(longest)):
		return &LifetimeError{"iat", s.ExpiresAt.Sub(s.IssuedAt), longest}
	case s.ExpiresAt.After(now.Add(longest).Add(leeway)):
		return &LifetimeError{"now", s.ExpiresAt.Sub(now), longest}
	}
	return nil
}

// CheckAccessToken refuses a token that lacks a claim which the profile for access tokens requires (RFC 9068 section
// 2.2). It does not check the values.
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
