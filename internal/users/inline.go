package users

import (
	"crypto/rand"
	"errors"
	"fmt"
	"slices"

	"github.com/caddyjwt/gateway/internal/causes"
	"github.com/caddyjwt/gateway/internal/setting"
)

// Inline has the users of a configuration.
type Inline struct{ inTable }

var _ Knower = (*Inline)(nil)

// InlineConfig says which users there are.
type InlineConfig struct {
	// Accounts are the users. There must be at least one, and each name once.
	Accounts []Account
	// Comparer compares with the hashes. Nil means Bcrypt.
	Comparer Comparer
}

// Account is one user of a configuration.
type Account struct {
	// Name is UTF-8 without control characters, with at most MaxName bytes. It is compared exactly.
	Name string
	// Hash is what "caddy hash-password" prints.
	Hash string
	// Roles are those of the user.
	Roles []string
}

// howToHash ends what is wrong with a hash.
const howToHash = `make it with "caddy hash-password"`

// NewInline checks the users. All hashes must have been made in the same way, because the time that they take would
// tell which names there are; only the cost of bcrypt may differ. The error is a *setting.Error. It repeats no hash.
func NewInline(c InlineConfig) (*Inline, error) {
	if len(c.Accounts) == 0 {
		return nil, setting.Errorf("Accounts", "no users: nobody could sign in")
	}
	b := builder{table: &table{accounts: make(map[string]account, len(c.Accounts)), compare: c.Comparer}}
	if c.Comparer == nil {
		b.table.compare = Bcrypt{}
	}
	for i := range c.Accounts {
		if err := b.add(&c.Accounts[i], i == 0); err != nil {
			return nil, setting.In(setting.Element("Accounts", i), err)
		}
	}
	return &Inline{inTable{func() *table { return b.table }}}, nil
}

// builder makes a table of the users of a configuration.
type builder struct{ table *table }

func (b builder) add(a *Account, first bool) error {
	if err := checkName(a.Name); err != nil {
		return setting.In("Name", err)
	}
	if err := CheckRoles(a.Roles); err != nil {
		return setting.Errorf("Roles", "the user %s: %w", causes.Quote(a.Name), err)
	}
	m, err := methodOf(a.Hash)
	if err != nil {
		return setting.Errorf("Hash", "the hash of the user %s: %w; %s", causes.Quote(a.Name), err, howToHash)
	}
	if first {
		b.table.method, b.table.fake = m.name, m.fake
		if m.name == "" {
			b.table.fake = b.table.compare.FakeHash()
		}
	}
	if m.name != b.table.method {
		return setting.Errorf("Hash", "the hash of the user %s was not made as that of the first user, so the time it takes "+
			"would tell who exists; %s and the same options for all users", causes.Quote(a.Name), howToHash)
	}
	if first || m.name == "" {
		if err := b.probe(a.Hash, m.easy); err != nil {
			return setting.Errorf("Hash", "the hash of the user %s: %w", causes.Quote(a.Name), err)
		}
	}
	if err := b.table.add(a.Name, account{a.Hash, m.cost, slices.Clone(a.Roles)}); err != nil {
		return setting.Errorf("Name", "the user %s: %w", causes.Quote(a.Name), err)
	}
	return nil
}

// probe has the comparer read a hash: a cheap one of the same form, or the hash itself if the form is unknown.
func (b builder) probe(hash string, easy []byte) error {
	if easy == nil {
		easy = []byte(hash)
	}
	same, err := b.table.compare.Compare(easy, []byte(rand.Text()))
	switch {
	case err != nil: // not its text, because it could repeat what may be a password
		return fmt.Errorf("the algorithm for the hashes cannot read it; %s, and name its algorithm here, too", howToHash)
	case same:
		return errors.New("the algorithm for the hashes takes any password for the right one; use another")
	}
	return nil
}
