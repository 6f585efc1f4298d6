package users_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/crypto/bcrypt"

	"github.com/caddyjwt/gateway/internal/users"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// hash is the bcrypt hash of a password.
func hash(tb testing.TB, password string, cost int) string {
	tb.Helper()
	h, err := bcrypt.GenerateFromPassword([]byte(password), cost)
	if err != nil {
		tb.Fatal(err)
	}
	return string(h)
}

// counter compares with bcrypt, and counts the work: a cost takes twice the work of the one before.
type counter struct {
	users.Bcrypt

	mu   sync.Mutex
	work int
}

func (c *counter) Compare(hashed, plaintext []byte) (bool, error) {
	cost, err := strconv.Atoi(string(hashed[4:6]))
	if err != nil {
		return false, err
	}
	same, err := c.Bcrypt.Compare(hashed, plaintext)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.work += 1 << cost
	return same, err
}

// taken returns the work since somebody asked.
func (c *counter) taken() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	work := c.work
	c.work = 0
	return work
}

func inline(tb testing.TB, c users.Comparer, accounts ...users.Account) *users.Inline {
	tb.Helper()
	d, err := users.NewInline(users.InlineConfig{Accounts: accounts, Comparer: c})
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

// account is a user with a password and a cost.
func account(tb testing.TB, name, password string, cost int) users.Account {
	tb.Helper()
	return users.Account{Name: name, Hash: hash(tb, password, cost), Roles: []string{"of " + name}}
}

// passes checks that a user may sign in, and returns it.
func passes(t *testing.T, d users.Directory, name, password string) *users.User {
	t.Helper()
	u, err := d.Check(t.Context(), name, password)
	if err != nil {
		t.Fatalf("%q: %v", name, err)
	}
	return u
}

// fails checks that a user may not sign in, for this reason.
func fails(t *testing.T, d users.Directory, name, password string, want error) error {
	t.Helper()
	u, err := d.Check(t.Context(), name, password)
	if u != nil || !errors.Is(err, want) {
		t.Errorf("%q: %v, error %v, want %v", name, u, err, want)
	}
	if err != nil && len(password) > 3 && strings.Contains(err.Error(), password) {
		t.Errorf("the error has the password: %v", err)
	}
	return err
}

// server is a directory without hashes. It takes upper and lower case for the same, and asks to know nothing before.
type server struct {
	passwords map[string]string
	away      error
	asked     int
}

func (s *server) Check(_ context.Context, name, password string) (*users.User, error) {
	s.asked++
	if s.away != nil {
		return nil, s.away
	}
	name = strings.ToLower(name)
	if p, known := s.passwords[name]; !known || p != password {
		return nil, users.ErrRefused
	}
	return &users.User{Name: name, Roles: []string{"remote"}}, nil
}

func (s *server) Find(context.Context, string) (*users.User, error) { return nil, users.ErrCannotKnow }

// knower is a server that knows its names.
type knower struct{ server }

func (k *knower) Knows(_ context.Context, name string) (bool, error) {
	if k.away != nil {
		return false, k.away
	}
	_, known := k.passwords[strings.ToLower(name)]
	return known, nil
}

func (k *knower) Find(ctx context.Context, name string) (*users.User, error) {
	if k.away != nil {
		return nil, k.away
	}
	if known, _ := k.Knows(ctx, name); !known {
		return nil, users.ErrRefused
	}
	return &users.User{Name: strings.ToLower(name)}, nil
}
