package clients_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"

	"github.com/caddyjwt/gateway/internal/clients"
	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/internal/tokentest"
	"github.com/caddyjwt/gateway/internal/users"
)

// hash is the bcrypt hash of a secret.
func hash(tb testing.TB, secret string, cost int) string {
	tb.Helper()
	h, err := bcrypt.GenerateFromPassword([]byte(secret), cost)
	if err != nil {
		tb.Fatal(err)
	}
	return string(h)
}

// argonHash is the hash of a secret by argon2id.
func argonHash(secret string, memory, passes uint32, threads uint8) string {
	salt := []byte("0123456789abcdef")
	key := argon2.IDKey([]byte(secret), salt, passes, memory, threads, 32)
	return fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=%d$%s$%s", memory, passes, threads,
		base64.RawStdEncoding.EncodeToString(salt), base64.RawStdEncoding.EncodeToString(key))
}

// argon compares with argon2id as the module of Caddy does.
type argon struct{}

func (argon) Compare(hashed, plaintext []byte) (bool, error) {
	var memory, passes uint32
	var threads uint8
	_, err := fmt.Sscanf(string(hashed), "$argon2id$v=19$m=%d,t=%d,p=%d$", &memory, &passes, &threads)
	if err != nil {
		return false, err
	}
	return argonHash(string(plaintext), memory, passes, threads) == string(hashed), nil
}

func (argon) FakeHash() []byte { return []byte("not asked for") }

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
	c.mu.Lock()
	c.work += 1 << cost
	c.mu.Unlock()
	return c.Bcrypt.Compare(hashed, plaintext)
}

// taken returns the work since somebody asked.
func (c *counter) taken() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	work := c.work
	c.work = 0
	return work
}

// tries counts the attempts, and lets all of them through.
type tries int

func (n *tries) try(check func() (bool, error)) error {
	*n++
	_, err := check()
	return err
}

// keys are those of a client.
func keys(tb testing.TB) keyset.Source {
	tb.Helper()
	source, err := keyset.NewPEM([]byte(tokentest.NewKey(tb, "ES256", "k1").PublicPEM()))
	if err != nil {
		tb.Fatal(err)
	}
	return source
}

// batch is a client that asks for tokens, with changes.
func batch(tb testing.TB, changes ...func(*clients.Client)) clients.Client {
	tb.Helper()
	c := clients.Client{
		ID: "batch", Keys: keys(tb), Grants: []clients.Grant{clients.ClientCredentials}, Scopes: []string{"read", "write"},
		Audiences: []string{"https://api.example"}, AccessLifetime: time.Minute,
	}
	for _, change := range changes {
		change(&c)
	}
	return c
}

// withSecrets is a client with secrets, given by their hashes.
func withSecrets(tb testing.TB, id string, hashes ...string) clients.Client {
	tb.Helper()
	return batch(tb, func(c *clients.Client) { c.ID, c.Keys, c.SecretHashes = id, nil, hashes })
}

func set(tb testing.TB, comparer users.Comparer, list ...clients.Client) *clients.Set {
	tb.Helper()
	s, err := clients.NewSet(list, comparer)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// wants wants an error to be another.
func wants(tb testing.TB, err, want error) {
	tb.Helper()
	if !errors.Is(err, want) {
		tb.Errorf("error %v, want %v", err, want)
	}
}
