package clients

import (
	"context"
	"crypto/subtle"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/caddyjwt/gateway/internal/hashing"
	"github.com/caddyjwt/gateway/internal/setting"
	"github.com/caddyjwt/gateway/internal/users"
)

// MaxClients is how many clients there can be.
const MaxClients = 100_000

// Set is the clients of one moment. It is safe for concurrent use.
type Set struct {
	byID    map[string]*member
	secrets *users.Inline // nil if no client has a secret
	most    int           // how many secrets a client has at most

	prefixes prefixes
	grants   []Grant // that one of the clients may use
}

// member is a client of a set.
type member struct {
	Client

	// proved are the secrets that have matched, each as a hash that says nothing outside of this process: a slow hash is
	// compared once for each secret.
	proved [MaxSecrets]atomic.Pointer[[32]byte]
}

// NewSet makes a set. All hashes of secrets must have been made in the same way, because the time that they take would
// tell which clients there are. A nil comparer means bcrypt. The error is a *setting.Error that names a field of a
// client by its place in the list, such as [3].Scopes. It repeats no hash.
func NewSet(list []Client, comparer users.Comparer) (*Set, error) {
	if len(list) > MaxClients {
		return nil, setting.Errorf("", "there are %d clients, and %d are possible", len(list), MaxClients)
	}
	s := &Set{byID: make(map[string]*member, len(list))}
	accounts := users.InlineConfig{Comparer: comparer}
	var places []int
	for i := range list {
		c := &list[i]
		if err := c.check(); err != nil {
			return nil, setting.In(setting.Element("", i), err)
		}
		if s.byID[c.ID] != nil {
			return nil, setting.Errorf(setting.Element("", i)+".ID", "client %q is there twice", c.ID)
		}
		s.byID[c.ID] = &member{Client: *c}
		s.most = max(s.most, len(c.SecretHashes))
		for _, grant := range Grants() {
			if !s.Has(grant) && c.May(grant) {
				s.grants = append(s.grants, grant)
			}
		}
		for n, hash := range c.SecretHashes {
			accounts.Accounts = append(accounts.Accounts, users.Account{Name: account(n, c.ID), Hash: hash})
			places = append(places, i)
		}
	}
	if err := s.checkSubjects(list); err != nil {
		return nil, err
	}
	if len(accounts.Accounts) == 0 {
		return s, nil
	}
	secrets, err := users.NewInline(accounts)
	if err != nil {
		return nil, ofClient(err, list, places)
	}
	s.secrets = secrets
	return s, nil
}

// account is the name of a secret of a client, as the table of hashes has it.
func account(n int, id string) string { return strconv.Itoa(n) + " " + id }

// ofClient makes an error about a client of one about a hash.
func ofClient(err error, list []Client, places []int) error {
	field := setting.Field(err)
	n, wrong := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(strings.SplitN(field, ".", 2)[0], "Accounts["), "]"))
	if wrong != nil || n >= len(places) {
		return err
	}
	i := places[n]
	return setting.Errorf(setting.Element("", i)+".SecretHashes", "client %q: its secret_hash is not a hash as those of "+
		"the other clients, of bcrypt or argon2id: make it with \"caddy hash-password\", or have \"caddy token-issuer "+
		"client add\" make the secret and its hash", list[i].ID)
}

// Find finds a client; nil for none.
func (s *Set) Find(id string) *Client {
	if m := s.byID[id]; m != nil {
		return &m.Client
	}
	return nil
}

// Len is how many clients there are.
func (s *Set) Len() int { return len(s.byID) }

// All are the clients, in no order.
func (s *Set) All(yield func(*Client) bool) {
	for _, m := range s.byID {
		if !yield(&m.Client) {
			return
		}
	}
}

// Try bounds the attempts with a secret: see attempts.Guard.Do.
type Try func(check func() (ok bool, err error)) error

// ErrSecret means that there is no such client with this secret. Nothing tells what of the two is wrong.
var ErrSecret = errors.New("no such client, or another secret")

// CheckSecret checks the secret of a client. One that has matched before costs next to nothing, and does not wait for a
// turn: what strangers guess does not hold it up. try bounds all others. The error is ErrSecret, or that of try.
func (s *Set) CheckSecret(ctx context.Context, id, secret string, try Try) error {
	m := s.byID[id]
	quick := hashing.Secret("secret of client "+id, []byte(secret))
	if m != nil && m.hasProved(quick) {
		return nil
	}
	matched := false
	err := try(func() (bool, error) {
		n, err := s.compare(ctx, id, secret)
		if err == nil {
			matched = true
			m.proved[n].Store(&quick)
		} else if errors.Is(err, users.ErrRefused) {
			err = nil
		}
		return matched, err
	})
	switch {
	case err != nil:
		return err
	case !matched:
		return ErrSecret
	}
	return nil
}

// Recall takes over from a set of before which secrets have matched, of clients that have the same hashes still. So a
// change of other clients makes none of these wait behind who guesses.
func (s *Set) Recall(before *Set) {
	for id, m := range s.byID {
		old := before.byID[id]
		if old == nil {
			continue
		}
		for n, hash := range m.SecretHashes {
			if at := slices.Index(old.SecretHashes, hash); at >= 0 {
				m.proved[n].Store(old.proved[at].Load())
			}
		}
	}
}

// hasProved reports whether a secret has matched before. What is compared are hashes with a key that nobody else has.
func (m *member) hasProved(quick [32]byte) bool {
	for n := range m.proved {
		if known := m.proved[n].Load(); known != nil && subtle.ConstantTimeCompare(known[:], quick[:]) == 1 {
			return true
		}
	}
	return false
}

// compare compares a secret with the hashes of a client, and returns which one it is. A refusal costs as many hashes as
// the client with the most secrets has, whether there is such a client or not.
func (s *Set) compare(ctx context.Context, id, secret string) (n int, err error) {
	err = users.ErrRefused
	for n = range s.most {
		if _, err = s.secrets.Check(ctx, account(n, id), secret); !errors.Is(err, users.ErrRefused) {
			return n, err
		}
	}
	return 0, err
}
