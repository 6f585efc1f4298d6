package tenantkeys

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/caddyjwt/gateway/internal/fetch"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/internal/refresh"
	"github.com/caddyjwt/gateway/internal/setting"
	"github.com/caddyjwt/gateway/internal/tenant"
)

// Bounds on what the tokens of many tenants can cause together. Each tenant has budgets of its own for fetches, so that
// unknown keys of one tenant never delay those of another.
const (
	// maxRequests is how many requests to the server are under way at once.
	maxRequests = 16

	// share is the time that each listed tenant adds to the cooldown of all, once there are more than a thousand. So
	// unknown key ids cause at most about a hundred fetches a second, however many tenants there are.
	share = 10 * time.Millisecond

	// maxAsked is how many questions for unknown keys are remembered for each tenant.
	maxAsked = 32

	// maxKept is how many tenants have their keys kept over restarts, those whose tokens come first. Each takes at most
	// half a megabyte in the store, and usually some kilobytes.
	maxKept = 1000
)

// Options are the settings of the keys of many tenants, each of which has metadata of its own.
type Options struct {
	// Pattern is the issuers of the tenants.
	Pattern tenant.Pattern
	// Listed are the tenants whose keys are fetched. The list must be finite: otherwise each invented issuer would be a
	// fetch.
	Listed tenant.List
	// Discovery has the settings of each tenant's source. Issuer, Client, Stranger and MaxAsked do not count.
	Discovery keyset.DiscoveryOptions
}

// Keys has the keys of many tenants. It fetches those of a tenant when the first token of that tenant arrives.
type Keys struct {
	options          Options
	client, stranger *limited // stranger is nil when it makes no difference
	events           *refresh.Queue[keyset.Event]
	endWatch         func()

	open sync.Map // *keyset.Discovery by the name of the tenant

	mu     sync.Mutex // held while a source is opened or closed
	closed bool
	gone   keyset.Stats        // of the sources of tenants that are no longer listed
	kept   map[string]struct{} // the tenants whose keys are kept

	observer atomic.Pointer[func(keyset.Event)]
}

// watched is a list that can change.
type watched interface {
	Watch(changed func()) (end func())
}

// New makes the keys of many tenants. It does not touch the network. Its error is a setting.Error.
func New(options Options) (*Keys, error) {
	if options.Listed.Len() < 0 {
		return nil, errors.New("keys of each tenant by discovery need a list of tenants: " +
			"with any tenant, every invented issuer would be a fetch")
	}
	k := &Keys{options: options, kept: make(map[string]struct{})}
	k.events = refresh.NewQueue(k.tell)
	client, err := fetch.NewClient(options.Discovery.Fetch)
	if err != nil {
		return nil, setting.In("Fetch", err)
	}
	turns := make(chan struct{}, maxRequests)
	k.client = &limited{client, turns}
	if without, differs := options.Discovery.Fetch.ForStrangers(); differs {
		client, err := fetch.NewClient(without)
		if err != nil {
			return nil, setting.In("Fetch", err)
		}
		k.stranger = &limited{client, turns}
	}
	if list, changes := options.Listed.(watched); changes {
		k.endWatch = list.Watch(k.closeUnlisted)
	}
	return k, nil
}

// Of is the source of one tenant. It opens it if need be.
func (k *Keys) Of(name string) keyset.Source {
	if source, ok := k.open.Load(name); ok {
		return source.(*keyset.Discovery)
	}
	source, err := k.openFor(name)
	if err != nil {
		return none{err}
	}
	return source
}

// CurrentOf is the present set of one tenant. It opens nothing, and neither blocks nor allocates.
func (k *Keys) CurrentOf(name string) *keyset.Set {
	if source, ok := k.open.Load(name); ok {
		return source.(*keyset.Discovery).Current()
	}
	return nil
}

func (k *Keys) openFor(name string) (*keyset.Discovery, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return nil, refresh.ErrClosed
	}
	if source, ok := k.open.Load(name); ok {
		return source.(*keyset.Discovery), nil
	}
	if !k.options.Listed.Has(name) { // the list may have changed since the caller looked
		return nil, errors.New("the tenant is no longer listed")
	}
	options := k.options.Discovery
	options.Issuer, options.MaxAsked = k.options.Pattern.Issuer(name), maxAsked
	if options.Client = k.client; k.stranger != nil {
		options.Stranger = k.stranger
	}
	if err := options.Timing.Defaults(); err != nil {
		return nil, err
	}
	keeps := len(k.kept) < maxKept
	if !keeps {
		options.Kept = options.Kept.ReadOnly()
	}
	options.Timing.Cooldown = max(options.Timing.Cooldown, time.Duration(k.options.Listed.Len())*share)
	source, err := keyset.NewDiscovery(options)
	if err != nil {
		return nil, err
	}
	source.SetObserver(func(e keyset.Event) {
		k.events.Add(e)
		k.events.Deliver()
	})
	k.open.Store(name, source)
	if keeps {
		k.kept[name] = struct{}{}
	}
	return source, nil
}

// closeUnlisted closes the sources of tenants that are no longer listed.
func (k *Keys) closeUnlisted() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for name, source := range k.open.Range {
		if !k.options.Listed.Has(name.(string)) {
			k.end(name.(string), source.(*keyset.Discovery))
		}
	}
}

// end closes the source of one tenant. The caller holds the lock.
func (k *Keys) end(name string, source *keyset.Discovery) {
	k.open.Delete(name)
	delete(k.kept, name)
	_ = source.Close() // it closes neither of the clients, and so has no error
	k.gone = added(k.gone, source.Stats())
}

// Current implements keyset.Source: there is no set without a tenant.
func (k *Keys) Current() *keyset.Set { return nil }

// Find implements keyset.Source: there are no keys without a tenant.
func (k *Keys) Find(context.Context, jose.Algorithm, string) ([]*jose.Key, error) {
	return nil, fmt.Errorf("%w: each tenant has its own keys", keyset.ErrUnknownKey)
}

// Close implements keyset.Source.
func (k *Keys) Close() error {
	if k.endWatch != nil {
		k.endWatch()
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.closed = true
	for name, source := range k.open.Range {
		k.end(name.(string), source.(*keyset.Discovery))
	}
	err := k.client.getter.Close()
	if k.stranger != nil {
		err = errors.Join(err, k.stranger.getter.Close())
	}
	return err
}

// SetObserver makes observe get every event of every tenant: one at a time, and outside of all requests; nil ends that.
func (k *Keys) SetObserver(observe func(keyset.Event)) {
	k.observer.Store(&observe)
}

func (k *Keys) tell(e keyset.Event) {
	if observe := k.observer.Load(); observe != nil && *observe != nil {
		(*observe)(e)
	}
}

// Stats are those of all tenants together: counts are added up, and all else is the worst.
func (k *Keys) Stats() keyset.Stats {
	k.mu.Lock()
	defer k.mu.Unlock()
	sum := k.gone
	for _, source := range k.open.Range {
		stats := source.(*keyset.Discovery).Stats()
		sum = added(sum, stats)
		sum.Keys += stats.Keys
		sum.Missing = sum.Missing || stats.Missing
		if !stats.Fetched.IsZero() && (sum.Fetched.IsZero() || stats.Fetched.Before(sum.Fetched)) {
			sum.Fetched = stats.Fetched
		}
		if stats.Failing && !sum.Failing {
			sum.Failing, sum.Err, sum.Next = true, stats.Err, stats.Next
		}
	}
	return sum
}

// Refetch fetches the keys of all tenants whose tokens have come, now. The error is of one that has failed.
func (k *Keys) Refetch(ctx context.Context) error {
	var all errgroup.Group
	all.SetLimit(maxRequests)
	for _, source := range k.open.Range {
		all.Go(func() error { return source.(*keyset.Discovery).Refetch(ctx) })
	}
	return all.Wait()
}

// added adds what only grows.
func added(sum, stats keyset.Stats) keyset.Stats {
	sum.Fetches += stats.Fetches
	sum.Failures += stats.Failures
	sum.NotModified += stats.NotModified
	sum.Denied += stats.Denied
	sum.Times = sum.Times.Plus(stats.Times)
	return sum
}

// limited bounds how many requests of all tenants are under way. A request that waits does not wait longer than its
// context.
type limited struct {
	getter refresh.Getter
	turns  chan struct{}
}

// Get implements refresh.Getter.
func (l *limited) Get(ctx context.Context, url, accept, etag string) (*fetch.Response, error) {
	select {
	case l.turns <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("%d requests for other tenants are under way: %w", maxRequests, ctx.Err())
	}
	defer func() { <-l.turns }()
	return l.getter.Get(ctx, url, accept, etag)
}

// Close implements refresh.Getter. The client ends with all tenants.
func (*limited) Close() error { return nil }

// none has no keys, for a reason.
type none struct{ err error }

func (none) Current() *keyset.Set { return nil }
func (none) Close() error         { return nil }
func (n none) Find(context.Context, jose.Algorithm, string) ([]*jose.Key, error) {
	return nil, &keyset.UnavailableError{RetryAfter: time.Second, Err: n.err}
}
