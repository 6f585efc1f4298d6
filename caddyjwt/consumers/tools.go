package consumers

import (
	"time"

	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/jose"
)

// ResolveUsername is the consumer's username with its placeholders replaced.
func (c *Consumer) ResolveUsername() (string, error) {
	username, _, err := words.NewSettings().Text("username", c.Username)
	return username, err
}

// ResolveKey is the credential's value of the key claim with its placeholders replaced.
func (c *Credential) ResolveKey() (string, error) {
	key, _, err := words.NewSettings().Text("key", c.Key)
	return key, err
}

// ResolveSecret is the bytes of the credential's secret, with which its tokens are signed. Errors do not quote it.
func (c *Credential) ResolveSecret() ([]byte, error) {
	secret, _, err := words.NewSettings().Secret(c.Secret, c.Base64)
	return secret, err
}

// Verifier reads and checks the key that verifies the credential's tokens. The algorithm is the only one that they may
// use.
func (c *Credential) Verifier(now time.Time) (*jose.Key, jose.Algorithm, error) {
	compiled, err := c.Compile(words.NewSettings(), now)
	return compiled.Verifier, compiled.Algorithm, err
}
