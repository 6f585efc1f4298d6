package introspect

import (
	"errors"
	"fmt"
	"time"

	"github.com/caddyjwt/gateway/internal/fetch"
)

// ErrConfig is wrapped by every error of [New].
var ErrConfig = errors.New("introspect: configuration")

func configError(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrConfig, fmt.Errorf(format, args...))
}

// validate checks a configuration that has its defaults.
func (c Config) validate() error {
	if (c.Endpoint == "") == (c.Discover == nil) {
		return configError("set exactly one of Endpoint and Discover")
	}
	if c.Discover != nil && c.Issuer == "" {
		return configError("Discover needs Issuer, to tell one server from another")
	}
	if c.Endpoint != "" {
		if _, err := fetch.CheckURL(c.Endpoint); err != nil {
			return configError("Endpoint: %w", err)
		}
	}
	if err := c.validateQuestion(); err != nil {
		return err
	}
	if err := c.validateParams(); err != nil {
		return err
	}
	return c.validateLimits()
}

// validateQuestion checks what belongs to one mode only.
func (c Config) validateQuestion() error {
	switch c.Mode {
	case Introspection:
		if c.Signed != (c.VerifySigned != nil) {
			return configError("Signed and VerifySigned belong together: set both, or neither")
		}
		if c.TokenTypeHint != HintOff && !isPrintable(c.TokenTypeHint) {
			return configError("TokenTypeHint %q: only printable ASCII without spaces", c.TokenTypeHint)
		}
		return c.validateAuth()
	case UserInfo:
		switch {
		case c.AuthMethod != "" || c.ClientSecret != "" || c.PrivateKey != nil || c.BearerToken != "" || c.ClientID != "":
			return configError("the mode UserInfo authenticates with the token itself: remove AuthMethod and the credentials")
		case c.Signed || c.VerifySigned != nil:
			return configError("the mode UserInfo has no signed answers: remove Signed and VerifySigned")
		case c.RawBasic:
			return configError("the mode UserInfo sends no credentials of the client's: remove RawBasic")
		case len(c.Params) > 0 || c.TokenTypeHint != "":
			return configError("the mode UserInfo sends no parameters: remove Params and TokenTypeHint")
		}
		return nil
	}
	return configError("Mode %d is neither Introspection nor UserInfo", c.Mode)
}

// validateParams refuses what we send ourselves, as a second copy of a parameter is an
// invalid request (RFC 6749 section 3.2) and could be a second authentication.
func (c Config) validateParams() error {
	seen := make(map[string]bool)
	for _, p := range c.Params {
		switch p.Name {
		case "":
			return configError("Params: a name is empty")
		case "token", "token_type_hint", "client_id", "client_secret", "client_assertion", "client_assertion_type":
			return configError("Params: %q has a setting of its own; use that, as a second copy would be an invalid request", p.Name)
		}
		if seen[p.Name] {
			return configError("Params: %q is there twice; each name may be sent once", p.Name)
		}
		seen[p.Name] = true
	}
	return nil
}

func (c Config) validateLimits() error {
	for _, ttl := range []struct {
		name  string
		value time.Duration
	}{{"CacheTTL", c.CacheTTL}, {"NegativeTTL", c.NegativeTTL}} {
		if ttl.value != Off && (ttl.value <= 0 || ttl.value > MaxCacheTTL) {
			return configError("%s %v: use a time up to %v, or Off", ttl.name, ttl.value, MaxCacheTTL)
		}
	}
	if c.Timeout <= 0 || c.Timeout > MaxTimeout {
		return configError("Timeout %v: use a time up to %v", c.Timeout, MaxTimeout)
	}
	if c.BreakerWait <= 0 || c.BreakerWait > MaxCacheTTL {
		return configError("BreakerWait %v: use a time up to %v", c.BreakerWait, MaxCacheTTL)
	}
	for _, n := range []struct {
		name       string
		value, max int
	}{
		{"CacheBytes", c.CacheBytes, 1 << 40},
		{"NegativeEntries", c.NegativeEntries, 1 << 30},
		{"MaxInFlight", c.MaxInFlight, 1 << 14},
		{"BreakerFailures", c.BreakerFailures, 1 << 20},
	} {
		if n.value < 1 || n.value > n.max {
			return configError("%s %d: use a number from 1 to %d", n.name, n.value, n.max)
		}
	}
	return nil
}

// isPrintable reports whether s is non-empty visible ASCII, which fits into a header field.
func isPrintable(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return s != ""
}
