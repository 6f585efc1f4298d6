package consumers

import (
	"fmt"
	"time"

	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/consumer"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/roster"
	"github.com/caddyjwt/gateway/internal/setting"
)

// Compile resolves the path. It is empty while it is not known.
func (f *From) Compile(s *words.Settings) (path string, err error) {
	if f == nil {
		return "", nil
	}
	if f.File == "" {
		return "", setting.Errorf("File", "consumers_from needs a file: the path of a list of consumers")
	}
	path, known, err := s.Text("consumers file", f.File)
	if err != nil || !known {
		return "", setting.In("File", err)
	}
	return path, nil
}

// Read reads the consumers of the file once. If the file may come later, they are nil.
func (f *From) Read(s *words.Settings, path string) (*roster.Set, error) {
	set, err := roster.Read(path)
	if err == nil {
		return set, nil
	}
	return nil, setting.In("File", s.Unread("consumers file", path, err))
}

// Compile resolves placeholders and checks every setting on its own. known is true when all that decides about the
// anonymous consumer is known (see words.Settings).
func (c *Consumer) Compile(s *words.Settings, now time.Time) (out gate.Consumer, known bool, err error) {
	where, known := fmt.Sprintf("consumer %q", c.Username), true
	for _, field := range []struct {
		field, name, value string
		into               *string
	}{
		{"Username", "username", c.Username, &out.Username},
		{"ID", "id", c.ID, &out.ID},
		{"CustomID", "custom_id", c.CustomID, &out.CustomID},
	} {
		var ok bool
		if *field.into, ok, err = s.Text(field.name, field.value); err != nil {
			return out, false, fmt.Errorf("%s: %w", where, setting.In(field.field, err))
		}
		known = known && ok
	}
	if len(c.Groups) > 0 {
		var ok bool
		if out.Groups, ok, err = s.Texts("groups", c.Groups); err != nil {
			return out, false, fmt.Errorf("%s: %w", where, setting.In("Groups", err))
		}
		known = known && ok
	}
	if err := words.NotEmpty("tolerate", c.Tolerate); err != nil {
		return out, false, fmt.Errorf("%s: %w", where, setting.In("Tolerate", err))
	}
	if out.Tolerate, err = claims.ParseTolerance(c.Tolerate); err != nil {
		return out, false, fmt.Errorf("%s: %w", where, setting.Errorf("Tolerate", "tolerate: %w", err))
	}
	for i := range c.Credentials {
		credential, err := c.Credentials[i].Compile(s, now)
		if err != nil {
			return out, false, fmt.Errorf("%s: %w", where, setting.In(setting.Element("Credentials", i), err))
		}
		out.Credentials = append(out.Credentials, credential)
	}
	return out, known, nil
}

// Compile resolves placeholders, and checks and reads the key.
func (c *Credential) Compile(s *words.Settings, now time.Time) (gate.Credential, error) {
	where := fmt.Sprintf("credential %q", c.Key)
	out := gate.Credential{}
	var err error
	if out.Key, _, err = s.Text("key", c.Key); err != nil {
		return out, fmt.Errorf("%s: %w", where, setting.In("Key", err))
	}
	written := consumer.Written{Algorithm: c.Algorithm, PublicKey: c.PublicKey, Secret: c.Secret, Base64: c.Base64}
	algorithm, err := written.ParseAlgorithm()
	if err != nil {
		return out, fmt.Errorf("%s: %w", where, err)
	}
	out.Algorithm = algorithm
	if out.Verifier, out.NotAfter, err = c.verifier(s, algorithm, now); err != nil {
		return out, fmt.Errorf("%s: %w", where, err)
	}
	if out.Expires, err = c.expires(s); err != nil {
		return out, fmt.Errorf("%s: %w", where, setting.In("Expires", err))
	}
	if out.Verifier == nil { // not known yet; all else can still be checked
		out.Algorithm = jose.HS256
		out.Verifier, err = jose.NewSecretKey("", []byte(words.Unguessable()), jose.MakeAlgorithms(jose.HS256))
	}
	return out, err
}

// expires reads the end of the credential. While it is not known, it counts as far away.
func (c *Credential) expires(s *words.Settings) (time.Time, error) {
	if c.Expires == "" {
		return time.Time{}, nil
	}
	text, known, err := s.Text("expires", c.Expires)
	switch {
	case err != nil:
		return time.Time{}, err
	case !known:
		return time.Date(9999, time.January, 1, 0, 0, 0, 0, time.UTC), nil
	}
	return roster.ParseExpires(text)
}

// verifier reads the one key of a credential. The key is nil while it is not known.
func (c *Credential) verifier(
	s *words.Settings, algorithm jose.Algorithm, now time.Time,
) (*jose.Key, time.Time, error) {
	if c.Secret != "" {
		secret, known, err := s.Secret(c.Secret, c.Base64)
		if err != nil || !known {
			return nil, time.Time{}, setting.In("Secret", err)
		}
		key, err := jose.NewSecretKey("", secret, jose.MakeAlgorithms(algorithm))
		return key, time.Time{}, setting.In("Secret", setting.Wrap("secret", err))
	}
	key, notAfter, err := c.publicKey(s, algorithm, now)
	return key, notAfter, setting.In("PublicKey", err)
}

func (c *Credential) publicKey(
	s *words.Settings, algorithm jose.Algorithm, now time.Time,
) (*jose.Key, time.Time, error) {
	text, known, err := s.PEM("public_key", c.PublicKey)
	if err != nil || !known {
		return nil, time.Time{}, err
	}
	key, notAfter, err := consumer.ParsePublicKey(text, algorithm, now)
	return key, notAfter, setting.Wrap("public_key", err)
}
