// Package consumer has the consumers that a gate knows: applications and persons with a name of their own, and the keys
// that verify their tokens.
package consumer

import (
	"slices"
	"strings"
	"time"

	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/fields"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/setting"
)

// Consumer is an application or person known by name, as in InterSystems API Manager and Kong.
type Consumer struct {
	// Username is unique among the consumers.
	Username string
	// ID and CustomID are optional. They are forwarded to the backend.
	ID, CustomID string
	// Groups satisfy "require group" and are forwarded to the backend.
	Groups []string
	// Tolerate is that of an issuer, for the tokens of this consumer.
	Tolerate claims.Tolerance
	// Credentials verify the consumer's tokens. One that serves as the anonymous one, or that tokens of an issuer name,
	// needs none.
	Credentials []Credential
}

// Credential is one key of a consumer.
type Credential struct {
	// Key is the value of the key claim that selects this credential. It is unique among all credentials.
	Key string
	// Algorithm is the only one accepted.
	Algorithm jose.Algorithm
	// Verifier is the public key or secret. Its thumbprint stands for it in the fingerprint.
	Verifier *jose.Key `clone:"shared" fingerprint:"-"`
	// NotAfter is when the key's certificate expires. It is zero for a key without a certificate.
	NotAfter time.Time `fingerprint:"-"`
	// Expires is from when the credential's tokens are refused, whatever they say. Zero means never.
	Expires time.Time `fingerprint:"-"`
}

// Check refuses a consumer without a name, with a key that does not fit, or with what cannot be sent to the backend in
// a header. keyClaim is how errors name the key claim. longest is how long tokens may live, or 0.
func (c *Consumer) Check(keyClaim string, longest time.Duration) error {
	if strings.TrimSpace(c.Username) == "" {
		return setting.Errorf("Username", "a consumer has no username")
	}
	if err := c.checkValues(); err != nil {
		return err
	}
	if err := c.Tolerate.Check(c.use(longest)); err != nil {
		return setting.In("Tolerate", err)
	}
	for i := range c.Credentials {
		if err := c.Credentials[i].check(keyClaim); err != nil {
			return setting.In(setting.Element("Credentials", i), err)
		}
	}
	return nil
}

func (c *Consumer) checkValues() error {
	check := func(field, value string) error {
		if err := fields.CheckValue(value); err != nil {
			return setting.Errorf(field, "%q cannot be sent to the backend: %w", value, err)
		}
		return nil
	}
	for _, value := range []struct{ field, text string }{
		{"Username", c.Username}, {"ID", c.ID}, {"CustomID", c.CustomID},
	} {
		if err := check(value.field, value.text); err != nil {
			return err
		}
	}
	for _, group := range c.Groups {
		if err := check("Groups", group); err != nil {
			return err
		}
	}
	for _, group := range c.Groups {
		if group == "" || strings.Contains(group, ",") {
			return setting.Errorf("Groups",
				"group %q is empty or has a comma: the backend gets the groups as one list", group)
		}
	}
	return nil
}

func (c *Credential) check(keyClaim string) error {
	if c.Key == "" {
		return setting.Errorf("Key", "a credential has no key: give the value of the tokens' %s", keyClaim)
	}
	if err := fields.CheckValue(c.Key); err != nil {
		return setting.Errorf("Key", "credential %q cannot be sent to the backend: %w", c.Key, err)
	}
	if c.Verifier == nil || !c.Verifier.Algorithms().Has(c.Algorithm) {
		return setting.Errorf("Algorithm", "credential %q: the key does not fit algorithm %v", c.Key, c.Algorithm)
	}
	return nil
}

// use says where the tolerances of the consumer would apply.
func (c *Consumer) use(longest time.Duration) claims.Use {
	endless := func(c Credential) bool { return c.Expires.IsZero() }
	return claims.Use{
		Tokens: len(c.Credentials) > 0, Ends: longest != 0 || !slices.ContainsFunc(c.Credentials, endless),
	}
}

// Reading is how the claims of the credential's tokens are read. It is nil if they are as the specifications say.
// longest is the bound of the tokens' life, by which a token without exp ends.
func (c *Credential) Reading(tolerate claims.Tolerance, longest time.Duration) *claims.Reading {
	if tolerate == 0 {
		return nil
	}
	return &claims.Reading{Tolerate: tolerate, Lifetime: longest, End: c.Expires}
}

// End is when the credential ends. It is zero for never.
func (c *Credential) End() time.Time {
	if c.NotAfter.IsZero() || !c.Expires.IsZero() && c.Expires.Before(c.NotAfter) {
		return c.Expires
	}
	return c.NotAfter
}
