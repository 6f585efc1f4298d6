package roster

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/consumer"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/setting"
	"github.com/caddyjwt/gateway/internal/smallfile"
)

// maxText bounds names, ids, groups and keys, in bytes. They are sent to backends in header fields, and errors quote
// them.
const maxText = 1024

// record is a consumer as a file has it. Its texts may be parts of the file's text.
type record struct {
	username, id, customID string
	groups, tolerate       []string
	credentials            []credential
}

type credential struct {
	key, expires string
	consumer.Written
}

// compile applies the rules for consumers of a configuration. In a file, nothing is resolved: it is data that another
// program writes, and must not make Caddy read variables or other files.
func (r *record) compile(now time.Time) (*consumer.Consumer, error) {
	for _, text := range []struct{ field, name, value string }{
		{"Username", "username", r.username}, {"ID", "id", r.id}, {"CustomID", "custom_id", r.customID},
	} {
		if err := checkText(text.field, text.name, text.value); err != nil {
			return nil, err
		}
	}
	out := &consumer.Consumer{
		Username: strings.Clone(r.username), ID: strings.Clone(r.id), CustomID: strings.Clone(r.customID), Groups: r.groups,
	}
	for i, group := range r.groups {
		if err := checkText(setting.Element("Groups", i), "group", group); err != nil {
			return nil, err
		}
	}
	if slices.ContainsFunc(r.tolerate, func(word string) bool { return len(word) > maxWord }) {
		return nil, setting.Errorf("Tolerate", "tolerate has a text that is longer than any of its words")
	}
	var err error
	if out.Tolerate, err = claims.ParseTolerance(r.tolerate); err != nil {
		return nil, setting.Errorf("Tolerate", "tolerate: %w", err)
	}
	if len(r.credentials) > 0 {
		out.Credentials = make([]consumer.Credential, len(r.credentials))
	}
	for i := range r.credentials {
		if out.Credentials[i], err = r.credentials[i].compile(now); err != nil {
			return nil, setting.In(setting.Element("Credentials", i), err)
		}
	}
	return out, out.Check("key claim", 0)
}

func checkText(field, name, value string) error {
	if len(value) > maxText {
		return setting.Errorf(field, "%s has %d bytes, at most %d are possible in a file", name, len(value), maxText)
	}
	return literal(field, name, value)
}

// literal refuses what looks like a placeholder. It would be a name that nothing has or, as a secret, one that anybody
// can guess.
func literal(field, name, value string) error {
	for _, begin := range []string{"{env.", "{file.", "{http.", "{$", "${"} {
		if strings.Contains(value, begin) {
			return setting.Errorf(field, "%s has a placeholder, and none is resolved in a file of consumers: "+
				"write the value itself", name)
		}
	}
	return nil
}

func (c *credential) compile(now time.Time) (out consumer.Credential, err error) {
	if err := checkText("Key", "key", c.key); err != nil {
		return out, err
	}
	out.Key = strings.Clone(c.key)
	if err := checkText("Expires", "expires", c.expires); err != nil {
		return out, err
	}
	if c.expires != "" {
		if out.Expires, err = ParseExpires(c.expires); err != nil {
			return out, setting.Errorf("Expires", "credential %q: %w", c.key, err)
		}
	}
	if out.Verifier, out.Algorithm, out.NotAfter, err = c.verifier(now); err != nil && c.key != "" {
		err = fmt.Errorf("credential %q: %w", c.key, err)
	}
	return out, err
}

// ParseExpires reads the end of a credential: a time, or a date, which means its beginning in UTC (RFC 3339).
func ParseExpires(text string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if end, err := time.Parse(layout, text); err == nil {
			return end, nil
		}
	}
	return time.Time{}, fmt.Errorf(
		"expires %q: expected a date such as 2027-01-31, or a time such as 2027-01-31T12:00:00Z", text)
}

// verifier makes the one key of a credential.
func (c *credential) verifier(now time.Time) (key *jose.Key, alg jose.Algorithm, notAfter time.Time, err error) {
	if alg, err = c.ParseAlgorithm(); err != nil {
		return nil, 0, notAfter, err
	}
	if alg.Family() == jose.HMAC {
		key, err = c.secretKey(alg)
		return key, alg, notAfter, setting.In("Secret", setting.Wrap("secret", err))
	}
	key, notAfter, err = c.publicOne(alg, now)
	return key, alg, notAfter, setting.In("PublicKey", setting.Wrap("public_key", err))
}

// maxWord is more than a word of tolerate has, in bytes. An error does not quote a longer text: it may be a key.
const maxWord = 20

// secretKey makes the key of a secret. As in a configuration, line ends behind the text do not count.
func (c *credential) secretKey(alg jose.Algorithm) (*jose.Key, error) {
	text := strings.TrimRight(strings.TrimPrefix(c.Secret, "\ufeff"), "\r\n")
	secret := []byte(text)
	if err := literal("", "it", text); err != nil {
		return nil, err
	}
	if c.Base64 {
		var err error
		if secret, err = jose.DecodeSecret(text); err != nil {
			return nil, fmt.Errorf("it %w", err)
		}
	} else if smallfile.IsName(text) {
		return nil, errors.New("this is the path of a file: in a file of consumers, write the secret itself")
	}
	return jose.NewSecretKey("", secret, jose.MakeAlgorithms(alg))
}

// publicOne reads the public key. A certificate that has expired is not an error: it refuses the tokens of its
// credential alone. Otherwise the end of one certificate would keep every later change of the file from being used,
// among them the removal of others.
func (c *credential) publicOne(alg jose.Algorithm, now time.Time) (*jose.Key, time.Time, error) {
	if !strings.Contains(c.PublicKey, "-----BEGIN") {
		return nil, time.Time{}, errors.New("this is not PEM text, which begins with -----BEGIN: " +
			"in a file of consumers, write the key itself, not the path of another file")
	}
	key, notAfter, err := consumer.ParsePublicKey(c.PublicKey, alg, now)
	if expired, ok := errors.AsType[*jose.ExpiredError](err); ok {
		return consumer.ParsePublicKey(c.PublicKey, alg, expired.NotAfter)
	}
	return key, notAfter, err
}
