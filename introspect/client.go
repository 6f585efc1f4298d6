package introspect

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/caddyjwt/gateway/internal/fetch"
)

// Client asks one authorization server as one client of it. It is made by [New] and is safe for concurrent use.
type Client struct {
	cfg   Config
	id    [32]byte
	http  *http.Client
	own   *fetch.Client // nil when the HTTPClient is the caller's
	cache *cache
	slots chan struct{} // one element for each request under way
	// unprovenSlots has one element for each request about a token that nobody knows. It is shorter than slots: what
	// is left of those is for tokens that are known.
	unprovenSlots chan struct{}

	ctx    context.Context // of the calls; ends with Close
	cancel context.CancelFunc

	mu            sync.Mutex // guards what follows; never taken for a cache hit
	flights       map[cacheKey]*flight
	calls         int // flights that run, also those that a newer one has replaced
	unprovenCalls int // of those, about tokens that are not proven
	breakers      breakers
	proven        proven
	closed        bool
}

// New makes a client. It does not touch the network. Its errors wrap [ErrConfig]; a mistake in a field is a
// [*ConfigError].
func New(cfg Config) (*Client, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	id := cfg.fingerprint()
	cache, err := newCache(&cfg, id)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	c := &Client{
		cfg:           cfg,
		id:            id,
		cache:         cache,
		slots:         make(chan struct{}, cfg.MaxInFlight),
		unprovenSlots: make(chan struct{}, unprovenShare(cfg.MaxInFlight)),
		flights:       make(map[cacheKey]*flight),
		breakers:      newBreakers(&cfg),
	}
	if c.http, c.own, err = httpClient(&cfg); err != nil {
		return nil, err
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c, nil
}

// httpClient copies the configured client and takes from it whatever could carry the token or our credentials
// elsewhere: redirects and cookies. The deadline is that of the call.
func httpClient(cfg *Config) (*http.Client, *fetch.Client, error) {
	if cfg.HTTPClient == nil {
		own, err := fetch.NewClient(fetch.Options{Timeout: cfg.Timeout})
		if err != nil {
			return nil, nil, fmt.Errorf("%w: %w", ErrConfig, err)
		}
		return own.HTTP(), own, nil
	}
	client := *cfg.HTTPClient
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	client.Jar = nil
	client.Timeout = 0
	return &client, nil, nil
}

// Option changes one question.
type Option struct {
	maxAge   time.Duration
	limited  bool
	verified bool
}

// MaxAge refuses answers to a question that was sent longer ago than d, from the cache or from a call under way. Zero
// asks now. Without it, answers of [Config.CacheTTL] are used.
func MaxAge(d time.Duration) Option { return Option{maxAge: max(d, 0), limited: true} }

// Verified says that the caller has verified the token itself, by its signature for one, so no stranger has made it
// up. Such a question is treated like one about a token that was active before. It changes one answer: a server that
// does not introspect such tokens (unsupported_token_type) has no verdict about them, and does not call them
// inactive.
func Verified() Option { return Option{verified: true} }

// Introspect asks whether the token is active, and waits for the verdict no longer than ctx and [Config.Timeout]
// allow. Its errors are [ErrToken], when the token is not worth asking about, and [*NoVerdictError].
//
// The result may come from the cache. It is what the server said, which is not yet a reason to let anybody in: see
// [Result.ActiveAt] and the package documentation.
func (c *Client) Introspect(ctx context.Context, token string, opts ...Option) (Result, error) {
	if !c.cfg.askable(token) {
		return Result{}, ErrToken
	}
	var o Option
	for _, opt := range opts {
		o = opt.and(o)
	}
	key := c.cache.tokens.Hash(token)
	if r, held, ok := c.cache.get(key, c.cfg.Now(), o); ok {
		if held != nil {
			c.cfg.Observer.lookup(Rejected)
			return Result{}, held
		}
		c.observeHit(r)
		return r, nil
	}
	return c.ask(ctx, key, token, o)
}

// and joins two options: the stricter age counts.
func (o Option) and(other Option) Option {
	if other.limited && (!o.limited || other.maxAge < o.maxAge) {
		o.limited, o.maxAge = true, other.maxAge
	}
	o.verified = o.verified || other.verified
	return o
}

func (c *Config) askable(token string) bool {
	if token == "" || len(token) > MaxToken {
		return false
	}
	return c.Mode == Introspection || isPrintable(token)
}

func (c *Client) observeHit(r Result) {
	if r.Active {
		c.cfg.Observer.lookup(Hit)
	} else {
		c.cfg.Observer.lookup(NegativeHit)
	}
}

// Forget drops the verdict about a token, also that of a call under way, for when its revocation has become known:
// the next question asks the server.
func (c *Client) Forget(token string) {
	key := c.cache.tokens.Hash(token)
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.flights, key) // its answer goes to those who wait, and is not kept
	c.proven.drop(key)
	c.cache.drop(key)
}

// Fingerprint identifies the configuration: two clients with an equal one are interchangeable. See
// [Config.Fingerprint].
func (c *Client) Fingerprint() [32]byte { return c.id }

// Stats gives the numbers of this moment.
func (c *Client) Stats() Stats {
	c.mu.Lock()
	calls, state := c.calls, c.breakers.state()
	c.mu.Unlock()
	s := Stats{InFlight: len(c.slots), Breaker: state}
	s.Waiting = max(calls-s.InFlight, 0)
	c.cache.stats(&s)
	return s
}

// Close ends the calls under way, forgets all answers and closes the connections, unless they are of a client that
// the caller gave. Questions after that have no verdict.
func (c *Client) Close() error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.cancel()
	c.cache.clear()
	if c.own != nil {
		return c.own.Close()
	}
	return nil
}

// Format keeps the secrets out of logs.
func (c *Client) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "introspect.Client{%v}", c.cfg)
}
