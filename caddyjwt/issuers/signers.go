package issuers

import (
	"path/filepath"
	"slices"

	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/certchain"
	"github.com/caddyjwt/gateway/internal/setting"
)

// authorities resolves and checks the files of the authorities at which certificates of signers must end. They are read
// again when the source opens, and when they change.
func (c *keyCheck) authorities() error {
	if err := words.NotEmpty("ca", c.keys.CA); err != nil {
		return setting.In("CA", err)
	}
	for n, value := range c.keys.CA {
		field := setting.Element("CA", n)
		path, known, err := c.settings.Text("ca", value)
		switch {
		case err != nil:
			return setting.In(field, err)
		case path == "":
			return setting.Errorf(field, "ca: the path of a file is empty")
		}
		if c.isAuthority(path) {
			return setting.Errorf(field, "ca %s: this file is there twice: remove one of the two", path)
		}
		c.plan.taken.CA = append(c.plan.taken.CA, path)
		if !known {
			c.later = true
			continue
		}
		content, known, err := c.settings.ReadFile("ca", path)
		if err != nil {
			return setting.In(field, err)
		}
		if !known {
			c.later = true
			continue
		}
		if _, err := certchain.ParseAuthorities(content); err != nil {
			return setting.Errorf(field, "ca %s: %w", path, err)
		}
	}
	return nil
}

// isAuthority reports whether a file is one of those of the authorities.
func (c *keyCheck) isAuthority(path string) bool {
	return slices.ContainsFunc(c.plan.taken.CA, func(file string) bool {
		return filepath.Clean(file) == filepath.Clean(path)
	})
}
