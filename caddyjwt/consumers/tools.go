package consumers

import (
	"slices"
	"strings"
	"time"

	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/roster"
	"github.com/caddyjwt/gateway/internal/setting"
)

// ResolveUsername is the consumer's username with its placeholders replaced.
func (c *Consumer) ResolveUsername() (string, error) {
	username, _, err := words.NewSettings().Text("username", c.Username)
	return username, err
}

// With adds the consumer of the file that has this username, if there is one, to consumers of a configuration. others
// are words for the rest of the file.
func (f *From) With(consumers []Consumer, username string) (all []Consumer, others []string, err error) {
	path, err := f.Compile(words.NewSettings())
	if err != nil || path == "" {
		return consumers, nil, err
	}
	found, err := roster.Find(path, username)
	if err != nil {
		return nil, nil, setting.In("File", setting.Wrap("consumers file", err))
	}
	others = []string{"those in " + path}
	if found == nil {
		return consumers, others, nil
	}
	literal := strings.NewReplacer("{", "\\{") // in a file, nothing is a placeholder
	consumer := Consumer{Username: literal.Replace(found.Username), Tolerate: found.Tolerate}
	for _, c := range found.Credentials {
		consumer.Credentials = append(consumer.Credentials, Credential{
			Key: literal.Replace(c.Key), Algorithm: c.Algorithm, PublicKey: c.PublicKey, Secret: literal.Replace(c.Secret),
			Base64: c.Base64,
		})
	}
	return append(slices.Clip(consumers), consumer), others, nil
}

// Tolerates is what is tolerated of the consumer's tokens.
func (c *Consumer) Tolerates() (claims.Tolerance, error) { return claims.ParseTolerance(c.Tolerate) }

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
