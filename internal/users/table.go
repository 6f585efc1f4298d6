package users

import (
	"context"
	"errors"
	"fmt"

	"github.com/caddyjwt/gateway/internal/causes"
)

// table has users and their hashes. It does not change any more once others can see it.
type table struct {
	accounts map[string]account
	compare  Comparer
	// method is how all hashes were made. Two methods take different times, and would tell which names there are.
	method string
	// highest is the highest cost of a bcrypt hash; 0 if the hashes are others, or if there are none.
	highest int
	fake    []byte // for other hashes: the hash that stands in for an unknown name
}

type account struct {
	hash  string
	cost  int // of bcrypt; 0 for other hashes
	roles []string
}

// hashed is a directory with a table.
type hashed interface{ table() *table }

func (t *table) has(name string) bool {
	_, known := t.accounts[name]
	return known
}

// check judges a name and a password for a directory that stands alone.
func (t *table) check(name, password string) (*User, error) {
	if err := Acceptable(name, password); err != nil {
		return nil, err
	}
	if t.tooLong(password) {
		return nil, errTooLong
	}
	return t.judge(name, password, t.highest)
}

var errTooLong = fmt.Errorf("%w: the password has more than %d bytes", ErrRefused, MaxBcrypt)

func (t *table) tooLong(password string) bool {
	return t.method == withBcrypt && len(password) > MaxBcrypt
}

// judge compares the password with the hash of the user. A refusal costs as much as one hash of the highest cost,
// whatever the reason, and whatever the cost of the user's own hash. A success may be quicker: who succeeds knows that
// the user exists.
//
// The highest cost, and not the most frequent one: with any lower one, a refusal that takes longer would tell that
// there is a user.
func (t *table) judge(name, password string, highest int) (*User, error) {
	a, known := t.accounts[name]
	if !known || t.tooLong(password) {
		t.spend(password, highest)
		return nil, ErrRefused
	}
	same, err := t.compare.Compare([]byte(a.hash), []byte(password))
	if err != nil { // not its text, because another module's error could repeat the password
		return nil, fmt.Errorf(`%w: the hash of the user %s cannot be read; make it again with "caddy hash-password"`,
			ErrUnavailable, causes.Quote(name))
	}
	if !same {
		t.topUp(password, a.cost, highest)
		return nil, ErrRefused
	}
	return found(name, &a), nil
}

// spend costs as much as one hash of the highest cost. It has no result.
func (t *table) spend(password string, highest int) {
	fake := t.fake
	switch {
	case t.method == withBcrypt && highest == 0:
		return // there is no user whose time could be told from this one
	case t.method == withBcrypt:
		fake = fakeBcrypt(highest)
	}
	t.waste(fake, password)
}

// topUp costs what is missing from a hash of one cost to a hash of the highest. Each cost takes twice the time of the
// one before, so with 4, the costs 4, 5 and 6 make up a 7.
func (t *table) topUp(password string, cost, highest int) {
	if t.method != withBcrypt {
		return
	}
	for ; cost < highest; cost++ {
		t.waste(fakeBcrypt(cost), password)
	}
}

func (t *table) waste(fake []byte, password string) {
	if t.method == withBcrypt {
		password = password[:min(len(password), MaxBcrypt)]
	}
	_, _ = t.compare.Compare(fake, []byte(password))
}

// find returns the user without a password.
func (t *table) find(name string) (*User, error) {
	if err := acceptableName(name); err != nil {
		return nil, err
	}
	a, known := t.accounts[name]
	if !known {
		return nil, ErrRefused
	}
	return found(name, &a), nil
}

// errTwice means that a name is there already.
var errTwice = errors.New("there is another user with this name")

// add adds a user whose name is in order.
func (t *table) add(name string, a account) error {
	if t.has(name) {
		return errTwice
	}
	t.accounts[name] = a
	t.highest = max(t.highest, a.cost)
	return nil
}

// inTable is a directory that looks at one table at a time.
type inTable struct{ current func() *table }

func (d inTable) table() *table { return d.current() }

// Check implements Directory.
func (d inTable) Check(_ context.Context, name, password string) (*User, error) {
	return d.current().check(name, password)
}

// Find implements Directory.
func (d inTable) Find(_ context.Context, name string) (*User, error) { return d.current().find(name) }

// Knows implements Knower.
func (d inTable) Knows(_ context.Context, name string) (bool, error) {
	return d.current().has(name), nil
}
