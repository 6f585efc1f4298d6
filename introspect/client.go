package introspect

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// Client asks one authorization server as one client of it. It is made by [New] and is
// safe for concurrent use.
type Client struct {
	cfg   Config
	id    [32]byte
	http  *http.Client
	own   *http.Transport // nil when the transport is the caller's
	cache *cache
	slots chan struct{} // one element for each request under way
	// unprovenSlots has one element for each request about a token that nobody knows. It is shorter than slots: what is
	// left of those is for tokens that are known.
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

// New makes a client. It does not touch the network. Its errors wrap [ErrConfig].
func New(cfg Config) (*Client, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	id := cfg.fingerprint()
	cache, err := newCache(&cfg, id)
	if err != nil {
		return nil, configError("cache: %w", err)
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
	c.http, c.own = httpClient(&cfg)
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c, nil
}

// httpClient copies the configured client and takes from it whatever could carry the token
// or our credentials elsewhere: redirects and cookies. The deadline is that of the call.
func httpClient(cfg *Config) (*http.Client, *http.Transport) {
	var client http.Client
	var own *http.Transport
	if cfg.HTTPClient != nil {
		client = *cfg.HTTPClient
	} else {
		own = &http.Transport{
			Proxy:                  proxy,
			DialContext:            (&net.Dialer{Timeout: cfg.Timeout}).DialContext,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
			ForceAttemptHTTP2:      true,
			MaxIdleConnsPerHost:    cfg.MaxInFlight,
			IdleConnTimeout:        90 * time.Second,
			MaxResponseHeaderBytes: 64 << 10,
			// A call that is given up leaves its connection open in HTTP/2. A ping (RFC 9113 section 6.7) finds out
			// when it leads nowhere, or all calls would be given up on it, also those of a half-open breaker.
			HTTP2: &http.HTTP2Config{SendPingTimeout: cfg.Timeout, PingTimeout: cfg.Timeout},
		}
		client.Transport = own
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	client.Jar = nil
	client.Timeout = 0
	return &client, own
}

// proxy is that of the environment, but for plain http: that goes to this machine, and what it carries to no other. The
// environment does without a proxy for "localhost" and not for "LOCALHOST", which is the same host (RFC 9110 section 4.2.3).
func proxy(r *http.Request) (*url.URL, error) {
	if r.URL.Scheme == "http" {
		return nil, nil
	}
	return http.ProxyFromEnvironment(r)
}

// Option changes one question.
type Option struct {
	maxAge   time.Duration
	limited  bool
	verified bool
}

// MaxAge refuses answers to a question that was sent longer ago than d, from the cache or
// from a call under way. Zero asks now. Without it, answers of [Config.CacheTTL] are used.
func MaxAge(d time.Duration) Option { return Option{maxAge: max(d, 0), limited: true} }

// Verified says that the caller has verified the token itself, by its signature for one, so no stranger has made it up.
// Such a question is treated like one about a token that was active before. It changes one answer: a server that does
// not introspect such tokens (unsupported_token_type) has no verdict about them, and does not call them inactive.
func Verified() Option { return Option{verified: true} }

// Introspect asks whether the token is active, and waits for the verdict no longer than ctx
// and [Config.Timeout] allow. Its errors are [ErrToken], when the token is not worth asking
// about, and [*NoVerdictError].
//
// The result may come from the cache. It is what the server said, which is not yet a reason to
// let anybody in: see [Result.ActiveAt] and the package documentation.
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

// Forget drops the verdict about a token, also that of a call under way, for when its
// revocation has become known: the next question asks the server.
func (c *Client) Forget(token string) {
	key := c.cache.tokens.Hash(token)
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.flights, key) // its answer goes to those who wait, and is not kept
	c.proven.drop(key)
	c.cache.drop(key)
}

// Fingerprint identifies the configuration: two clients with an equal one are
// interchangeable. See [Config.Fingerprint].
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

// Close ends the calls under way, forgets all answers and closes idle connections, unless
// they are of a transport that the caller gave. Questions after that have no verdict.
func (c *Client) Close() error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.cancel()
	c.cache.clear()
	if c.own != nil {
		c.own.CloseIdleConnections()
	}
	return nil
}

// Format keeps the secrets out of logs.
func (c *Client) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "introspect.Client{%v}", c.cfg)
}
