package registration_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"

	"github.com/caddyjwt/gateway/caddyjwt/process"
	"github.com/caddyjwt/gateway/caddyjwt/tokenissuer/registration"
	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/clients"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const api = "https://api.example"

type m = map[string]any

// hash is the hash of a secret by bcrypt.
func hash(tb testing.TB, secret string) string {
	tb.Helper()
	made, err := bcrypt.GenerateFromPassword([]byte(secret), bcrypt.MinCost)
	if err != nil {
		tb.Fatal(err)
	}
	return string(made)
}

// argon is the hash of a secret by argon2id.
func argon(secret string) string {
	salt := []byte("0123456789abcdef")
	text := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=19$m=64,t=1,p=1$%s$%s", text(salt),
		text(argon2.IDKey([]byte(secret), salt, 1, 64, 1, 32)))
}

// saved is a file with a text.
func saved(tb testing.TB, text string) (path string) {
	tb.Helper()
	path = filepath.Join(tb.TempDir(), "file")
	write(tb, path, text)
	return path
}

func write(tb testing.TB, path, text string) {
	tb.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
}

// lines is a log, and the events beside it.
type lines struct {
	tokentest.Buffer

	told tokentest.Buffer
}

// tell is a registration.Teller.
func (l *lines) tell(event string, data map[string]any) { fmt.Fprintln(&l.told, event, data) }

// last is the last line.
func (l *lines) last() string {
	all := strings.Split(strings.TrimSpace(l.String()), "\n")
	return all[len(all)-1]
}

func (l *lines) count(part string) int { return strings.Count(l.String(), part) }

// compiled is the plan of settings. Their default audience is api.
func compiled(tb testing.TB, from registration.Settings) *registration.Plan {
	tb.Helper()
	from.DefaultAudience = api
	p, err := registration.Compile(words.NewSettings(), from)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// open opens a plan until the test ends.
func open(tb testing.TB, p *registration.Plan, shared *process.State, log *lines) *registration.Directory {
	tb.Helper()
	d, err := p.Open(shared, slog.New(slog.NewTextHandler(log, nil)), log.tell)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := d.Close(); err != nil {
			tb.Error(err)
		}
	})
	return d
}

// of opens settings until the test ends.
func of(tb testing.TB, from registration.Settings) *registration.Directory {
	tb.Helper()
	return open(tb, compiled(tb, from), process.New(), new(lines))
}

// has reports whether a client has a secret.
func has(tb testing.TB, d *registration.Directory, id, secret string) bool {
	tb.Helper()
	err := d.Clients().CheckSecret(tb.Context(), id, secret, func(check func() (bool, error)) error {
		_, err := check()
		return err
	})
	if err != nil && !errors.Is(err, clients.ErrSecret) {
		tb.Fatal(err)
	}
	return err == nil
}

// verify verifies what a key has signed with the keys of a client.
func verify(tb testing.TB, c *clients.Client, key *tokentest.Key) error {
	tb.Helper()
	token, err := jose.Parse(key.Sign(tb, m{"sub": c.ID}), nil)
	if err != nil {
		tb.Fatal(err)
	}
	_, err = keyset.Verify(tb.Context(), c.Keys, &token)
	return err
}
