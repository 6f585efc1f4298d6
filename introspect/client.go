package introspect

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/caddyjwt/gateway/internal/fetch"
)

// Client asks one authorization server, as one of its clients. [New] makes it. It is safe for concurrent use.
type Client struct {
	cfg   Config
	id    [32]byte
	http  *http.Client
	own   *fetch.Client // nil when the caller gave an HTTPClient
	cache *cache
	slots chan struct{} // one element for each request under way
	// unprovenSlots has one element for each request about a token that is not known. It is shorter than slots: the rest
	// of slots is for known tokens.
	unprovenSlots chan struct{}

	ctx    context.Context // of the calls; ends with Close
	cancel context.CancelFunc

	mu            sync.Mutex // guards what follows; never taken for a cache hit
	flights       map[cacheKey]*flight
	calls         int // flights that run, also those that a newer one replaced
	unprovenCalls int // of those, about tokens that are not proven
	breakers      breakers
	proven        proven
	closed        bool
}

// New makes a client. It does not touch the network. Every error wraps [ErrConfig]; a mistake in one field is a
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

// httpClient copies the configured client and removes whatever could carry the token or our credentials elsewhere:
// redirects and cookies. The call has its own deadline, so the copy has none.
func httpClient(cfg *Config) (*http.Client, *fetch.Client, error) {
	if cfg.HTTPClient == nil {
		own, err := fetch.NewClient(fetch.Options{Timeout: cfg.Timeout, Plain: fetch.PlainHTTP(cfg.PlainHTTP)})
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

// Option changes one question. [MaxAge] and [Verified] make options.
type Option struct {
	maxAge   time.Duration
	limited  bool
	verified bool
}

// MaxAge accepts only an answer to a question that was sent at most d ago, whether it is cached or still under way.
// Zero or less asks the server now. Without this option, cached answers are used for as long as [Config.CacheTTL] and
// [Config.NegativeTTL] allow.
func MaxAge(d time.Duration) Option { return Option{maxAge: max(d, 0), limited: true} }

// Verified says that the caller has verified the token itself, for example by its signature, so no stranger made it up.
// Such a question gets the same treatment as one about a token that was active before. It changes the meaning of one
// answer: with unsupported_token_type the server does not say that the token is inactive. It says that it cannot
// introspect such tokens, so there is no verdict.
func Verified() Option { return Option{verified: true} }

// Introspect asks whether the token is active. It waits for the verdict no longer than ctx and [Config.Timeout] allow.
// The error is [ErrToken] when the token is not worth asking about, and otherwise a [*NoVerdictError].
//
// The result may come from the cache. It is what the server said, and not yet a reason to let anybody in: see
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

// and merges two options: the stricter age counts.
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

// Forget drops the verdict about a token, including that of a call under way, so that the next question asks the
// server. Call it when you learn that the token was revoked.
func (c *Client) Forget(token string) {
	key := c.cache.tokens.Hash(token)
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.flights, key) // its answer goes to those who wait, and is not kept
	c.proven.drop(key)
	c.cache.drop(key)
}

// ForgetAll is Forget for all tokens.
func (c *Client) ForgetAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.flights) // their answers go to those who wait, and are not kept
	c.proven = proven{}
	c.cache.empty()
}

// Fingerprint identifies the configuration. Two clients with equal fingerprints are interchangeable: see
// [Config.Fingerprint].
func (c *Client) Fingerprint() [32]byte { return c.id }

// Stats returns the numbers of this moment.
func (c *Client) Stats() Stats {
	c.mu.Lock()
	calls, state := c.calls, c.breakers.state()
	c.mu.Unlock()
	s := Stats{InFlight: len(c.slots), Breaker: state}
	s.Waiting = max(calls-s.InFlight, 0)
	c.cache.stats(&s)
	return s
}

// Close ends the calls under way and forgets all answers. It closes the connections, unless they belong to an
// HTTPClient that the caller gave. Later questions get no verdict: their error wraps [ErrClosed].
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

// Format keeps the secrets out of logs: whatever the verb, it prints only who asks whom.
func (c *Client) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "introspect.Client{%v}", c.cfg)
}
