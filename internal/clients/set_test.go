package clients_test

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/caddyjwt/gateway/internal/clients"
	"github.com/caddyjwt/gateway/internal/setting"
	"github.com/caddyjwt/gateway/internal/users"
)

func TestOnlyTheRightSecretPasses(t *testing.T) {
	for name, c := range map[string]struct {
		comparer users.Comparer
		hash     func(secret string) string
	}{
		"bcrypt":   {nil, func(secret string) string { return hash(t, secret, 4) }},
		"argon2id": {argon{}, func(secret string) string { return argonHash(secret, 64, 1, 1) }},
	} {
		t.Run(name, func(t *testing.T) {
			s := set(t, c.comparer, withSecrets(t, "one", c.hash("first")),
				withSecrets(t, "two", c.hash("old"), c.hash("new")), batch(t))
			for _, test := range []struct {
				id, secret string
				want       error
			}{
				{"one", "first", nil}, {"two", "old", nil}, {"two", "new", nil},
				{"one", "First", clients.ErrSecret}, {"one", "old", clients.ErrSecret}, {"two", "first", clients.ErrSecret},
				{"one", "", clients.ErrSecret}, {"one", "first\x00", clients.ErrSecret}, {"ONE", "first", clients.ErrSecret},
				{"nobody", "first", clients.ErrSecret}, {"", "first", clients.ErrSecret}, {"batch", "first", clients.ErrSecret},
				{"1 two", "new", clients.ErrSecret}, {"one", strings.Repeat("x", 70_000), clients.ErrSecret},
				{strings.Repeat("x", 70_000), "first", clients.ErrSecret}, {"a\xff", "first", clients.ErrSecret},
			} {
				for range 2 { // the second time it may be remembered
					err := s.CheckSecret(t.Context(), test.id, test.secret, new(tries).try)
					if !errors.Is(err, test.want) || err != nil && err.Error() != clients.ErrSecret.Error() {
						t.Errorf("%.10q, %.10q: %v, want %v", test.id, test.secret, err, test.want)
					}
				}
			}
		})
	}
}

// What a refusal costs does not tell which clients there are, nor how many secrets one has.
func TestAttackNoWorkTellsWhichClientsThereAre(t *testing.T) {
	work := new(counter)
	s := set(t, work, withSecrets(t, "one", hash(t, "first", 4)), withSecrets(t, "two", hash(t, "old", 5), hash(t, "new",
		4)),
		batch(t), batch(t, public(func(c *clients.Client) { c.Keys, c.Grants = nil, nil })))
	work.taken()
	for _, id := range []string{"one", "two", "batch", "/api/", "nobody", "0 one"} {
		wants(t, s.CheckSecret(t.Context(), id, "wrong", new(tries).try), clients.ErrSecret)
		if did := work.taken(); did != 2<<5 {
			t.Errorf("%s: a refusal costs %d, want %d", id, did, 2<<5)
		}
	}
}

func TestWithoutSecretsNobodyHasOne(t *testing.T) {
	var n tries
	wants(t, set(t, nil, batch(t)).CheckSecret(t.Context(), "batch", "x", n.try), clients.ErrSecret)
	if n != 1 { // or nothing would bound what somebody asks
		t.Errorf("%d attempts", n)
	}
}

// A secret that has matched needs no turn any more, so nobody who guesses can hold its client up.
func TestASecretIsRemembered(t *testing.T) {
	work, busy := new(counter), errors.New("too many wait")
	s := set(t, work, withSecrets(t, "one", hash(t, "same", 4)), withSecrets(t, "two", hash(t, "other", 4), hash(t,
		"same", 4)))
	refuse := func(func() (bool, error)) error { return busy }
	wants(t, s.CheckSecret(t.Context(), "one", "same", refuse), busy)

	var n tries
	wants(t, s.CheckSecret(t.Context(), "one", "same", n.try), nil)
	wants(t, s.CheckSecret(t.Context(), "one", "same", n.try), nil)
	if n != 1 {
		t.Errorf("%d attempts, want 1", n)
	}
	work.taken()
	wants(t, s.CheckSecret(t.Context(), "one", "same", refuse), nil)
	if did := work.taken(); did != 0 {
		t.Errorf("a remembered secret costs %d", did)
	}

	// It is remembered for this client alone, and no other secret passes with it.
	wants(t, s.CheckSecret(t.Context(), "two", "same", refuse), busy)
	wants(t, s.CheckSecret(t.Context(), "one", "other", refuse), busy)
	wants(t, s.CheckSecret(t.Context(), "nobody", "same", refuse), busy)

	// Each of two is remembered.
	for _, secret := range []string{"same", "other"} {
		wants(t, s.CheckSecret(t.Context(), "two", secret, n.try), nil)
	}
	for _, secret := range []string{"same", "other"} {
		wants(t, s.CheckSecret(t.Context(), "two", secret, refuse), nil)
	}

	// Another set knows nothing of it: the secret may be another one there.
	after := set(t, nil, withSecrets(t, "one", hash(t, "changed", 4)))
	wants(t, after.CheckSecret(t.Context(), "one", "same", n.try), clients.ErrSecret)
}

// A set after a change knows the secrets of before, if their hashes are as they were.
func TestASecretIsRememberedOverAChange(t *testing.T) {
	busy := errors.New("too many wait")
	refuse := func(func() (bool, error)) error { return busy }
	first, second, fresh := hash(t, "first", 4), hash(t, "second", 4), hash(t, "first", 4)
	before := set(t, nil, withSecrets(t, "kept", first, second), withSecrets(t, "changed", first),
		withSecrets(t, "gone", first), withSecrets(t, "silent", first))
	var n tries
	for id, secret := range map[string]string{"kept": "second", "changed": "first", "gone": "first"} {
		wants(t, before.CheckSecret(t.Context(), id, secret, n.try), nil)
	}
	after := set(t, nil, withSecrets(t, "kept", second), withSecrets(t, "changed", fresh), withSecrets(t, "silent", first),
		withSecrets(t, "new", first))
	after.Recall(before)
	for _, c := range []struct {
		id, secret string
		want       error
	}{
		{"kept", "second", nil}, {"kept", "first", busy}, {"changed", "first", busy}, {"silent", "first", busy},
		{"new", "first", busy}, {"gone", "first", busy},
	} {
		if err := after.CheckSecret(t.Context(), c.id, c.secret, refuse); !errors.Is(err, c.want) {
			t.Errorf("%s with the secret %q: %v, want %v", c.id, c.secret, err, c.want)
		}
	}
}

// try learns whether the secret was right, to count those that were not.
func TestTryLearnsWhatBecameOfTheAttempt(t *testing.T) {
	s := set(t, nil, withSecrets(t, "one", hash(t, "first", 4)))
	for secret, right := range map[string]bool{"first": true, "wrong": false} {
		err := s.CheckSecret(t.Context(), "one", secret, func(check func() (bool, error)) error {
			ok, err := check()
			if ok != right || err != nil {
				t.Errorf("%s: %v, %v", secret, ok, err)
			}
			return err
		})
		if (err == nil) != right {
			t.Errorf("%s: %v", secret, err)
		}
	}
	// One that is not even called lets nobody in.
	wants(t, s.CheckSecret(t.Context(), "one", "again", func(func() (bool, error)) error { return nil }),
		clients.ErrSecret)
}

// broken is a comparer that has stopped working.
type broken struct {
	users.Bcrypt

	err error
}

func (b *broken) Compare(hashed, plaintext []byte) (bool, error) {
	if b.err != nil {
		return true, b.err
	}
	return b.Bcrypt.Compare(hashed, plaintext)
}

func TestAHashThatCannotBeComparedLetsNobodyIn(t *testing.T) {
	b := new(broken)
	s := set(t, b, withSecrets(t, "one", hash(t, "first", 4)))
	b.err = errors.New("broken")
	wants(t, s.CheckSecret(t.Context(), "one", "first", new(tries).try), users.ErrUnavailable)
	b.err = nil
	wants(t, s.CheckSecret(t.Context(), "one", "first", new(tries).try), nil)
}

func TestTheSecretsAreSafeForConcurrentUse(t *testing.T) {
	s := set(t, nil, withSecrets(t, "two", hash(t, "old", 4), hash(t, "new", 4)))
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			for range 8 {
				wants(t, s.CheckSecret(t.Context(), "two", []string{"old", "new"}[i%2], new(tries).try), nil)
				wants(t, s.CheckSecret(t.Context(), "two", "wrong", new(tries).try), clients.ErrSecret)
			}
		})
	}
	all.Wait()
}

func TestTheErrorNamesTheClientWithTheWrongHash(t *testing.T) {
	good := hash(t, "p", 4)
	for name, hashes := range map[string][]string{
		"plaintext": {"correct horse"}, "another kind": {argonHash("p", 64, 1, 1)}, "a bad one behind a good one": {good,
			"$2a$"},
		"empty": {""}, "cost": {good[:4] + "31" + good[6:]},
	} {
		list := []clients.Client{
			withSecrets(t, "one", good, good), batch(t), withSecrets(t, "two", hashes...), withSecrets(t, "three", good),
		}
		_, err := clients.NewSet(list, nil)
		if setting.Field(err) != "[2].SecretHashes" || !strings.Contains(err.Error(), `client "two"`) ||
			!strings.Contains(err.Error(), "caddy hash-password") {
			t.Errorf("%s: field %q: %v", name, setting.Field(err), err)
		}
		for _, text := range hashes {
			if err != nil && text != "" && strings.Contains(err.Error(), text) {
				t.Errorf("%s: the error repeats the hash: %v", name, err)
			}
		}
	}
	// argon2id with other parameters takes another time.
	_, err := clients.NewSet([]clients.Client{
		withSecrets(t, "one", argonHash("p", 64, 1, 1)), withSecrets(t, "two", argonHash("p", 64, 2, 1)),
	}, argon{})
	if setting.Field(err) != "[1].SecretHashes" {
		t.Errorf("field %q: %v", setting.Field(err), err)
	}
	// And argon2id needs its comparer.
	_, err = clients.NewSet([]clients.Client{withSecrets(t, "one", argonHash("p", 64, 1, 1))}, nil)
	if setting.Field(err) != "[0].SecretHashes" {
		t.Errorf("field %q: %v", setting.Field(err), err)
	}
}
