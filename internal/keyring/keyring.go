package keyring

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyset"
)

// Vault keeps the document for all nodes. Its values hold private keys, so nobody else may read them. It is safe for
// concurrent use. Its methods should give up when their context ends: Close waits for them.
type Vault interface {
	// Lock waits for the lock of this name, which only one caller on all nodes has at a time.
	Lock(ctx context.Context, name string) error
	// Unlock gives the lock back.
	Unlock(ctx context.Context, name string) error
	// Load returns what was last stored under a key. The error wraps fs.ErrNotExist if there is nothing.
	Load(ctx context.Context, key string) ([]byte, error)
	// Store puts a value in place of an older one. Readers see the whole of the one or of the other.
	Store(ctx context.Context, key string, value []byte) error
}

// Defaults of Options, and the bounds on them.
const (
	DefaultAlgorithm   = jose.ES256
	DefaultRotateEvery = 30 * 24 * time.Hour
	DefaultPoll        = 5 * time.Second

	// MinRotateEvery leaves verifiers the time to fetch the next key before it signs.
	MinRotateEvery = time.Hour
	// MinPoll bounds the work for the vault.
	MinPoll = time.Second
)

// Options says whose keys to open, and how to treat them. Vault, Issuer and Longest are required.
type Options struct {
	// Vault keeps the keys.
	Vault Vault
	// Issuer is the iss of the tokens (RFC 7519 section 4.1.1). Each issuer has keys of its own.
	Issuer string
	// Algorithm is what new keys are for: ES256, RS256, PS256 or EdDSA; the default is ES256. Open changes the keys of
	// another algorithm, so all nodes should have the same one.
	Algorithm jose.Algorithm
	// Longest returns the longest time from the signing of a token to its end. It says how long a former key must stay,
	// and is asked whenever the keys change. It must not block.
	Longest func() time.Duration
	// RotateEvery is how long a key signs, at least an hour; 0 means 30 days. No more than MaxFormer keys may become
	// former within Longest.
	RotateEvery time.Duration
	// Poll is how often the vault is looked at, at least every second; 0 means 5 seconds.
	Poll time.Duration
	// Now is the clock for the times in the document; the default is time.Now. The clocks of all nodes must agree to a
	// minute.
	Now func() time.Time
	// Logger gets one line for each change of the keys, and two for each trouble: its beginning and its end. nil means
	// none.
	Logger *slog.Logger
	// Register is where rings of this issuer meet that have different vaults: see Register. Nodes that share what the
	// tokens are about, such as sessions, must share the vault, too, and here they notice if they do not. The log says
	// so, at most once until something happens. nil means that they do not notice.
	Register Register
	// Alone says that no other node can use the register at a time. Then the log only says that the vault was lost.
	Alone bool
	// Trouble is called when the vault begins to fail while nobody waits for it, and with nil when all works again. It
	// must not call Close. nil means nobody.
	Trouble func(error)
}

var (
	// ErrOptions: the options contradict each other, or lack something.
	ErrOptions = errors.New("signing keys: wrong options")

	// ErrDocument: the document in the vault cannot be used. Nobody overwrites it: it may be all that there is of keys
	// that are in force elsewhere.
	ErrDocument = errors.New("the document cannot be used")

	// ErrMissing: the document was there, and is not any more.
	ErrMissing = errors.New("the document has gone: put it back from a backup, or reset the keys; " +
		"with new keys, all tokens made so far are refused")

	// ErrOlder: the document is older than the keys in force.
	ErrOlder = errors.New("the document is older than the keys in force: if it was put back from a backup on purpose, " +
		"restart all nodes; otherwise reset the keys")

	// ErrTooMany: there are MaxFormer former keys whose tokens may still be in use.
	ErrTooMany = errors.New("too many former keys, tokens of which may still be in use: wait, or reset the keys")

	// ErrClosed: the ring was closed.
	ErrClosed = errors.New("the signing keys are closed")
)

// Ring is the signing keys of one issuer. It is safe for concurrent use.
type Ring struct {
	options  Options
	logger   *slog.Logger
	place    string        // of the document in the vault
	lock     string        // the name of its lock
	record   string        // the key of the record in the register
	changing chan struct{} // holds the one change that this node makes at a time
	troubles troubles
	asked    asked
	doubts   doubts
	meetings chan struct{} // wakes what watches other rings

	state atomic.Pointer[state] // nil after Close

	mu      sync.Mutex // for changes of state, and:
	closed  bool
	writes  uint64 // changes that this node has made
	retired retired

	rotating atomic.Bool // a rotation that is due is under way
	rested   time.Time   // when the next may be tried; for the watcher alone

	stop  context.CancelFunc
	ended <-chan struct{} // closed by stop
	work  sync.WaitGroup
}

var _ keyset.Source = (*Ring)(nil)

// Open reads the keys of an issuer. If there are none it makes them, under the lock: of several nodes that start at
// once, all have the same. If they are for another algorithm than the options say, it makes new ones, and the first of
// them signs at once. The key that has signed so far still verifies.
//
// It returns an error if the options are wrong, if the vault fails, and if the document cannot be used. The last is an
// ErrDocument, which says where the document is and what to do.
func Open(ctx context.Context, o Options) (*Ring, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	hash := hashOf(o.Issuer)
	place := "bearer_auth/issuer/" + hash
	r := &Ring{
		options: o, logger: o.Logger.With("issuer", o.Issuer),
		place: place + "/keys.json", lock: place, record: "issuer keys/" + hash, changing: make(chan struct{}, 1),
		asked: asked{wanted: make(chan struct{}, 1)}, doubts: doubts{raised: make(chan struct{}, 1)},
		meetings: make(chan struct{}, 1),
	}
	r.troubles.tell = r.tellTrouble
	if err := r.begin(ctx); err != nil {
		return nil, err
	}
	ctx, r.stop = context.WithCancel(context.WithoutCancel(ctx))
	r.ended = ctx.Done()
	r.work.Go(func() { r.watch(ctx) })
	if o.Register != nil {
		r.work.Go(func() { r.watchOthers(ctx) })
	}
	return r, nil
}

// hashOf names what belongs to an issuer. An issuer is a URL, and may be longer than a file name.
func hashOf(issuer string) string {
	hash := sha256.Sum256([]byte(issuer))
	return hex.EncodeToString(hash[:])
}

// complete checks the options and sets the defaults.
func (o *Options) complete() error {
	o.Algorithm = or(o.Algorithm, DefaultAlgorithm)
	o.RotateEvery = or(o.RotateEvery, DefaultRotateEvery)
	o.Poll = or(o.Poll, DefaultPoll)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Trouble == nil {
		o.Trouble = func(error) {}
	}
	switch {
	case o.Vault == nil || o.Issuer == "" || o.Longest == nil:
		return fmt.Errorf("%w: vault, issuer and the longest life of a token are required", ErrOptions)
	case !jose.SigningAlgorithms().Has(o.Algorithm):
		return fmt.Errorf("%w: algorithm %v cannot sign tokens; %v can",
			ErrOptions, o.Algorithm, jose.SigningAlgorithms())
	case o.RotateEvery < MinRotateEvery:
		return fmt.Errorf("%w: keys change every %v, and must not change more often than every %v",
			ErrOptions, o.RotateEvery, MinRotateEvery)
	case o.Poll < MinPoll:
		return fmt.Errorf("%w: the vault is looked at every %v, and must not be more often than every %v",
			ErrOptions, o.Poll, MinPoll)
	case o.Longest() <= 0 || o.Longest() > MaxFormer*o.RotateEvery-margin:
		return fmt.Errorf("%w: a token may live for %v, and must for more than zero and less than %d times "+
			"the %v for which a key signs", ErrOptions, o.Longest(), MaxFormer, o.RotateEvery)
	}
	return nil
}

// or returns the value, or the default if it is zero.
func or[T comparable](value, otherwise T) T {
	var zero T
	if value == zero {
		return otherwise
	}
	return value
}

// Rest ends all background work, and waits for its end. The keys stay as they are, and go on to sign and verify: for
// late requests of a configuration whose vault is no longer there. Close may follow.
func (r *Ring) Rest() {
	r.stop()
	r.work.Wait()
}

// Close implements keyset.Source. It waits for the end of all background work. Afterwards there are no keys, and
// nothing is signed. It never fails, and may be called again.
func (r *Ring) Close() error {
	r.mu.Lock()
	r.closed = true
	r.state.Store(nil)
	r.mu.Unlock()
	r.stop()
	r.work.Wait()
	return nil
}

// Format writes the same description for every verb, so that no private key gets into a log when somebody prints a
// Ring.
func (r *Ring) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "signing keys of %q", r.options.Issuer) }
