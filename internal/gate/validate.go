package gate

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caddyjwt/gateway/internal/bearer"
	"github.com/caddyjwt/gateway/internal/setting"
)

// Validate refuses what New would refuse, except an Asking without a Client: so a configuration can be checked before
// any client is opened. An error names its setting by the path in Config, such as "Issuers[1].Audience": see
// setting.Field.
func (c Config) Validate() error {
	_, err := build(c)
	return err
}

// validate checks everything that can be checked without the look-up tables.
func (c *Config) validate() error {
	if c.Extractor == nil {
		return setting.Errorf("Extractor", "no place to take the token from")
	}
	if len(c.Issuers) == 0 && !c.hasCredentials() {
		return setting.Errorf("Issuers", "nobody vouches for a token: add an issuer, or a consumer with a credential")
	}
	if err := bearer.ValidRealm(c.Realm); err != nil {
		return setting.Errorf("Realm", "realm: %w", err)
	}
	if err := c.Audience.validate(); err != nil {
		return setting.In("Audience", err)
	}
	if err := ValidateLeeway(c.Leeway); err != nil {
		return setting.In("Leeway", err)
	}
	if c.MaxLifetime < 0 {
		return setting.Errorf("MaxLifetime", "max_lifetime is negative")
	}
	if c.Optional && c.Anonymous != "" {
		return setting.Errorf("Anonymous", "optional and anonymous exclude each other: "+
			"a request without a token is either unidentified or that consumer")
	}
	if err := c.validateOptionalExpired(); err != nil {
		return err
	}
	route := c.Audience
	if c.HandedIn {
		if route.configured() {
			return setting.Errorf("Audience", "who hands in a token brings its audiences: the gate has none")
		}
		route.Any = true
	}
	for i := range c.Issuers {
		if err := c.Issuers[i].validate(route); err != nil {
			return setting.In(setting.Element("Issuers", i), err)
		}
	}
	if c.KeyClaim != "" && !c.hasCredentials() {
		return setting.Errorf("KeyClaim",
			"key_claim selects a consumer's credential, and there is none: remove it, or add a consumer")
	}
	if err := c.Proof.Validate(); err != nil {
		return setting.In("Proof", err)
	}
	return setting.In("Asking", c.validateAsking())
}

func (c *Config) hasCredentials() bool {
	return c.Roster != nil ||
		slices.ContainsFunc(c.Consumers, func(c Consumer) bool { return len(c.Credentials) > 0 })
}

func (a Audience) validate() error {
	if a.Any && len(a.Accepted) > 0 {
		return errors.New("audience \"any\" cannot be combined with audience values: remove one of the two")
	}
	if slices.Contains(a.Accepted, "") {
		return errors.New("an audience is empty: give the value that the token's aud must have")
	}
	return nil
}

func (i *Issuer) validate(route Audience) error {
	if strings.TrimSpace(i.Name) == "" {
		return setting.Errorf("Name", "an issuer has no name: give the exact value of the tokens' iss")
	}
	if err := i.validateRules(route); err != nil {
		return fmt.Errorf("issuer %q: %w", i.Name, err)
	}
	return nil
}

func (i *Issuer) validateRules(route Audience) error {
	// No answer may vouch for all tenants.
	if i.Tenants != nil && (i.Asking != nil || i.Tenants.Pattern.String() != i.Name) {
		return setting.Errorf("Tenants", "tenants need the pattern as the issuer's name, and cannot be asked about")
	}
	if err := i.Audience.validate(); err != nil {
		return setting.In("Audience", err)
	}
	if !i.Audience.configured() && !route.configured() {
		return setting.Errorf("Audience", "no audience: a token meant for another service would be accepted; "+
			"add \"audience <value>\" here or to bearer_auth, or write out \"audience any\"")
	}
	if i.Keys == nil && (i.Asking == nil || i.Asking.Mode != AskOpaque) {
		return setting.Errorf("Keys", "no keys, and no \"introspect opaque\" in their place: nothing could verify its tokens")
	}
	if i.Keys != nil && i.Algorithms == 0 {
		return setting.Errorf("Algorithms", "no algorithms: every token would be refused")
	}
	if err := i.Decrypt.validate(i); err != nil {
		return err
	}
	if in := i.Asking; in != nil && (in.Mode == 0 || in.Mode > AskJWTs) {
		return setting.Errorf("Asking.Mode", "introspection has no mode")
	}
	if err := ValidateLeeway(i.Leeway); err != nil {
		return setting.In("Leeway", err)
	}
	if i.MaxLifetime < 0 {
		return setting.Errorf("MaxLifetime", "max_lifetime is negative")
	}
	return nil
}

// ValidateLeeway refuses a leeway that is negative or above MaxLeeway.
func ValidateLeeway(d time.Duration) error {
	if d < 0 || d > MaxLeeway {
		return fmt.Errorf("leeway %v is not between 0s and %v", d, MaxLeeway)
	}
	return nil
}

// validateAsking refuses a route's setting for asking if the issuers cannot be asked that way.
func (c *Config) validateAsking() error {
	if age := c.Asking.MaxAge; age != nil && *age < 0 {
		return setting.Errorf("MaxAge", "introspect max_age is negative")
	}
	if c.Asking.Mode != RouteForce {
		none := !slices.ContainsFunc(c.Issuers, func(i Issuer) bool { return i.asks() })
		if none && (c.Asking.Mode != RouteAsIssuer || c.Asking.MaxAge != nil) {
			return errors.New("introspect changes how issuers are asked, and no issuer is: add an introspect block to one")
		}
		return nil
	}
	if c.hasCredentials() {
		return setting.Errorf("Mode",
			"introspect force does not go with consumers that have credentials: no authorization server knows their tokens")
	}
	for i := range c.Issuers {
		if !c.Issuers[i].asks() {
			return setting.Errorf("Mode",
				"introspect force: issuer %q has no introspect block, which says how to ask", c.Issuers[i].Name)
		}
	}
	return nil
}

// checkClients makes sure that every Asking has a client. It is the one rule that Validate leaves out.
func (c *Config) checkClients() error {
	for i := range c.Issuers {
		if in := c.Issuers[i].Asking; in != nil && in.Client == nil {
			return setting.Errorf(setting.Element("Issuers", i)+".Asking.Client",
				"issuer %q: introspection has no client", c.Issuers[i].Name)
		}
	}
	return nil
}
