package introspect

import (
	"errors"
	"fmt"
	"time"

	"github.com/caddyjwt/gateway/internal/fetch"
	"github.com/caddyjwt/gateway/internal/setting"
)

// ErrConfig is wrapped by every error of [New].
var ErrConfig = errors.New("introspect: configuration")

// ConfigError is a mistake in one field of a [Config].
type ConfigError struct {
	// Field is the name of the field, such as "ClientSecret" or "Params[1].Name".
	Field string
	// Err says what is wrong. Its text names no field, so a program may put its own name for the setting before it.
	Err error
}

func (e *ConfigError) Error() string { return fmt.Sprintf("%v: %s: %v", ErrConfig, e.Field, e.Err) }

// Unwrap returns [ErrConfig] and Err, so that [errors.Is] finds both.
func (e *ConfigError) Unwrap() []error {
	return []error{ErrConfig, &setting.Error{Field: e.Field, Err: e.Err}}
}

func configError(field, format string, args ...any) error {
	return &ConfigError{Field: field, Err: fmt.Errorf(format, args...)}
}

// validate checks a configuration that has its defaults.
func (c Config) validate() error {
	switch {
	case c.Endpoint == "" && c.Discover == nil:
		return configError("Endpoint", "missing: say where to ask, or how to discover it")
	case c.Endpoint != "" && c.Discover != nil:
		return configError("Endpoint", "it is both configured and discovered: remove one of the two")
	case c.Discover != nil && c.Issuer == "":
		return configError("Issuer", "missing: discovery needs it to tell one server from another")
	case c.PlainHTTP > SharedHTTP:
		return configError("PlainHTTP", "%d is none of LoopbackHTTP, PrivateHTTP and SharedHTTP", c.PlainHTTP)
	}
	if c.Endpoint != "" {
		if _, err := fetch.PlainHTTP(c.PlainHTTP).CheckURL(c.Endpoint); err != nil {
			return configError("Endpoint", "%w", err)
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

// validateQuestion checks the settings that only one mode has.
func (c Config) validateQuestion() error {
	switch {
	case c.Signed && c.VerifySigned == nil:
		return configError("VerifySigned", "missing: signed answers need it")
	case !c.Signed && c.VerifySigned != nil:
		return configError("VerifySigned", "no signed answers are asked for: remove it, or ask for them")
	}
	switch c.Mode {
	case Introspection:
		if c.TokenTypeHint != HintOff && !isPrintable(c.TokenTypeHint) {
			return configError("TokenTypeHint", "%q is not one word of printable ASCII", c.TokenTypeHint)
		}
		return c.validateAuth()
	case UserInfo:
		return c.validateUserInfo()
	}
	return configError("Mode", "%d is neither Introspection nor UserInfo", c.Mode)
}

// validateUserInfo refuses settings that would have no effect. A client identifier is only for signed answers, which
// name the client that they are for (OpenID Connect Core 1.0 section 5.3.2).
func (c Config) validateUserInfo() error {
	const itself = "UserInfo is asked with the token itself as the credential: remove it"
	for _, field := range []struct {
		name, why string
		there     bool
	}{
		{"AuthMethod", itself, c.AuthMethod != ""},
		{"ClientID", itself + ", or ask for signed answers, whose audience it is", c.ClientID != "" && !c.Signed},
		{"ClientSecret", itself, c.ClientSecret != ""},
		{"PrivateKey", itself, c.PrivateKey != nil},
		{"BearerToken", itself, c.BearerToken != ""},
		{"Renew", itself, c.Renew != nil},
		{"RawBasic", itself, c.RawBasic},
		{"Params", "a UserInfo request has no parameters: remove it", len(c.Params) > 0},
		{"TokenTypeHint", "a UserInfo request has no parameters: remove it", c.TokenTypeHint != ""},
	} {
		if field.there {
			return configError(field.name, "%s", field.why)
		}
	}
	return nil
}

// validateParams refuses parameters that we send ourselves. A second copy makes the request invalid (RFC 6749 section
// 3.2), and could amount to a second authentication.
func (c Config) validateParams() error {
	seen := make(map[string]bool)
	for i, p := range c.Params {
		field := fmt.Sprintf("Params[%d].Name", i)
		switch p.Name {
		case "":
			return configError(field, "a name is empty")
		case "token", "token_type_hint", "client_id", "client_secret", "client_assertion", "client_assertion_type":
			return configError(field, "%q has a setting of its own; use that, because a second copy makes the request invalid",
				p.Name)
		}
		if seen[p.Name] {
			return configError(field, "%q is there twice; a name may be sent only once", p.Name)
		}
		seen[p.Name] = true
	}
	return nil
}

func (c Config) validateLimits() error {
	for _, ttl := range []struct {
		field string
		value time.Duration
	}{{"CacheTTL", c.CacheTTL}, {"NegativeTTL", c.NegativeTTL}} {
		if ttl.value != Off && (ttl.value <= 0 || ttl.value > MaxCacheTTL) {
			return configError(ttl.field, "%v is not possible: use a time up to %v, or turn it off", ttl.value, MaxCacheTTL)
		}
	}
	for _, d := range []struct {
		field      string
		value, max time.Duration
	}{{"Timeout", c.Timeout, MaxTimeout}, {"BreakerWait", c.BreakerWait, MaxCacheTTL}} {
		if d.value <= 0 || d.value > d.max {
			return configError(d.field, "%v is not possible: use a time up to %v", d.value, d.max)
		}
	}
	for _, n := range []struct {
		field      string
		value, max int
	}{
		{"CacheBytes", c.CacheBytes, 1 << 40},
		{"NegativeEntries", c.NegativeEntries, 1 << 30},
		{"MaxInFlight", c.MaxInFlight, 1 << 14},
		{"BreakerFailures", c.BreakerFailures, 1 << 20},
	} {
		if n.value < 1 || n.value > n.max {
			return configError(n.field, "%d is not possible: use a number from 1 to %d", n.value, n.max)
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
