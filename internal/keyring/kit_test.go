package keyring_test

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyring"
	"github.com/caddyjwt/gateway/internal/keyset"
)

const (
	issuer  = "https://as.example"
	longest = time.Hour
	margin  = 2 * time.Minute
)

// vault is a storage that several nodes share.
type vault struct {
	mu     sync.Mutex
	values map[string][]byte
	locks  map[string]chan struct{}
}

func newVault() *vault {
	return &vault{values: make(map[string][]byte), locks: make(map[string]chan struct{})}
}

func (v *vault) lockOf(name string) chan struct{} {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.locks[name] == nil {
		v.locks[name] = make(chan struct{}, 1)
	}
	return v.locks[name]
}

// text is the only document in the vault; empty for none.
func (v *vault) text() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, value := range v.values {
		return string(value)
	}
	return ""
}

// place is where that document is.
func (v *vault) place() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	for place := range v.values {
		return place
	}
	return ""
}

// put replaces that document; it goes if the text is empty.
func (v *vault) put(place, text string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if text == "" {
		delete(v.values, place)
	} else {
		v.values[place] = []byte(text)
	}
}

// node is the vault as one node has it. Its hooks are for what happens between.
type node struct {
	*vault
	mu     sync.Mutex
	calls  []string
	before map[string]func(context.Context) error // by call
	after  map[string]func() error
}

func (v *vault) node() *node {
	return &node{
		vault: v, before: make(map[string]func(context.Context) error), after: make(map[string]func() error),
	}
}

// hook makes a call do something before; nil ends that.
func (n *node) hook(call string, do func(context.Context) error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.before[call] = do
}

func (n *node) hookAfter(call string, do func() error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.after[call] = do
}

// count is how often a call was made.
func (n *node) count(call string) (count int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, made := range n.calls {
		if made == call {
			count++
		}
	}
	return count
}

func (n *node) do(ctx context.Context, call string, work func() error) error {
	n.mu.Lock()
	n.calls = append(n.calls, call)
	before := n.before[call]
	n.mu.Unlock()
	if before != nil {
		if err := before(ctx); err != nil {
			return err
		}
	}
	err := work()
	n.mu.Lock()
	after := n.after[call]
	n.mu.Unlock()
	if after != nil && err == nil {
		return after()
	}
	return err
}

func (n *node) Lock(ctx context.Context, name string) error {
	return n.do(ctx, "Lock", func() error {
		select {
		case n.lockOf(name) <- struct{}{}:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
}

func (n *node) Unlock(ctx context.Context, name string) error {
	return n.do(ctx, "Unlock", func() error {
		select {
		case <-n.lockOf(name):
			return nil
		default:
			return errors.New("unlocked twice")
		}
	})
}

func (n *node) Load(ctx context.Context, key string) (value []byte, err error) {
	err = n.do(ctx, "Load", func() error {
		n.vault.mu.Lock()
		defer n.vault.mu.Unlock()
		text, has := n.values[key]
		if !has {
			return &fs.PathError{Op: "open", Path: key, Err: fs.ErrNotExist}
		}
		value = slices.Clone(text)
		return nil
	})
	return value, err
}

func (n *node) Store(ctx context.Context, key string, value []byte) error {
	return n.do(ctx, "Store", func() error {
		n.put(key, string(value))
		return nil
	})
}

// with are the usual options with changes.
func with(v keyring.Vault, change ...func(*keyring.Options)) keyring.Options {
	o := keyring.Options{Vault: v, Issuer: issuer, Longest: func() time.Duration { return longest }}
	for _, one := range change {
		one(&o)
	}
	return o
}

func algorithm(alg jose.Algorithm) func(*keyring.Options) {
	return func(o *keyring.Options) { o.Algorithm = alg }
}

// open opens a ring that is closed when the test ends.
func open(tb testing.TB, v keyring.Vault, change ...func(*keyring.Options)) *keyring.Ring {
	tb.Helper()
	ring, err := keyring.Open(context.Background(), with(v, change...))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { ring.Close() })
	return ring
}

// sign makes a token.
func sign(tb testing.TB, ring *keyring.Ring) string {
	tb.Helper()
	token, err := ring.Sign(nil, "at+jwt", []byte(`{"iss":"https://as.example"}`))
	if err != nil {
		tb.Fatal(err)
	}
	return token
}

// verify does with a token what the gate does.
func verify(ring keyset.Source, token string) error {
	parsed, err := jose.Parse(token, nil)
	if err != nil {
		return err
	}
	_, err = keyset.Verify(context.Background(), ring, &parsed)
	return err
}

// accepts wants a token to verify.
func accepts(tb testing.TB, ring keyset.Source, token string) {
	tb.Helper()
	if err := verify(ring, token); err != nil {
		tb.Errorf("refused: %v", err)
	}
}

// refuses wants a token to be one of an unknown key.
func refuses(tb testing.TB, ring keyset.Source, token string) {
	tb.Helper()
	if err := verify(ring, token); !errors.Is(err, keyset.ErrUnknownKey) {
		tb.Errorf("got %v, want an unknown key", err)
	}
}

// kids are the ids of the keys of a ring in a state.
func kids(ring *keyring.Ring, state keyring.State) (ids []string) {
	for _, key := range ring.Keys() {
		if key.State == state {
			ids = append(ids, key.KeyID)
		}
	}
	return ids
}

// signs is the id of the key that signs.
func signs(ring *keyring.Ring) string { return strings.Join(kids(ring, keyring.Signs), " ") }

// published reports whether the key set for other verifiers has a key.
func published(tb testing.TB, ring *keyring.Ring, kid string) bool {
	tb.Helper()
	keys, _, _, err := keyset.ParseKeys(ring.JWKS(), keyset.Selection{}, time.Now())
	if err != nil {
		tb.Fatal(err)
	}
	return slices.ContainsFunc(keys, func(key *jose.Key) bool { return key.ID == kid })
}

// afterALook waits in a bubble until every ring has looked at its vault.
func afterALook() {
	time.Sleep(keyring.DefaultPoll + time.Millisecond)
	synctest.Wait()
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// wants wants an error to be another.
func wants(tb testing.TB, err, want error) {
	tb.Helper()
	if !errors.Is(err, want) {
		tb.Errorf("got %v, want %v", err, want)
	}
}

// register is what nodes share that may have different vaults.
type register struct {
	mu     sync.Mutex
	text   []byte
	writes int
	alone  bool
	before func(ctx context.Context) error // of each call; nil for nothing
}

func (r *register) into(o *keyring.Options) { o.Register, o.Alone = r, r.alone }

// hook has each call do something before; nil ends that.
func (r *register) hook(do func(context.Context) error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.before = do
}

func (r *register) enter(ctx context.Context) error {
	r.mu.Lock()
	before := r.before
	r.mu.Unlock()
	if before == nil {
		return ctx.Err()
	}
	return before(ctx)
}

func (r *register) Get(ctx context.Context, _ string) ([]byte, error) {
	if err := r.enter(ctx); err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.text == nil {
		return nil, errors.New("not there")
	}
	return slices.Clone(r.text), nil
}

func (r *register) Swap(ctx context.Context, _ string, old, fresh []byte, _ time.Time) (bool, error) {
	if err := r.enter(ctx); err != nil {
		return false, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if (r.text == nil) != (old == nil) || !slices.Equal(r.text, old) {
		return false, nil
	}
	r.text, r.writes = slices.Clone(fresh), r.writes+1
	return true, nil
}

// has is what is in the register, and how often it was written.
func (r *register) has() (text string, writes int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return string(r.text), r.writes
}
