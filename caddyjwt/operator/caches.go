package operator

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyjwt/gateway/caddyjwt/adminroute"
	"github.com/caddyjwt/gateway/caddyjwt/process"
)

// Caches is the answer about caches.
type Caches struct {
	// Tokens are the caches of verified tokens, by their sizes: gates with one size share one.
	Tokens []TokenCache `json:"tokens"`
	// Introspection are the caches of answers about tokens, by the issuers.
	Introspection []AnswerCache `json:"introspection"`
}

// TokenCache is a cache of verified tokens.
type TokenCache struct {
	// MaxBytes is its size, and Bytes how much of that its tokens take.
	MaxBytes int64  `json:"max_bytes"`
	Bytes    uint64 `json:"bytes"`
	// Tokens is how many are kept now. It is an estimate.
	Tokens int `json:"tokens"`
	// Hits and Misses are its look-ups.
	Hits   uint64 `json:"hits"`
	Misses uint64 `json:"misses"`
}

// AnswerCache is what an introspection client remembers.
type AnswerCache struct {
	Issuer string `json:"issuer"`
	// Active is how many tokens are known to be active now, and Bytes what the answers take.
	Active int `json:"active"`
	Bytes  int `json:"bytes"`
	// Inactive is how many are known not to be, or had no verdict a moment ago.
	Inactive int `json:"inactive"`
	// InFlight is how many questions are under way, and Breaker whether the server is asked: "closed", "open" or
	// "half_open".
	InFlight int    `json:"in_flight"`
	Breaker  string `json:"breaker"`
}

func (a *adminAPI) caches(r *http.Request) (any, error) {
	if _, err := adminroute.Parameters(r.URL.RawQuery); err != nil {
		return nil, wrong(err)
	}
	answer := Caches{Tokens: []TokenCache{}, Introspection: []AnswerCache{}}
	for cache := range process.Shared().Pool.Caches() {
		now := cache.Count()
		answer.Tokens = append(answer.Tokens, TokenCache{cache.Size, now.Bytes, now.Tokens, now.Hits, now.Misses})
	}
	for client := range process.Shared().Pool.Clients() {
		now := client.Stats()
		answer.Introspection = append(answer.Introspection, AnswerCache{
			client.Issuer, now.CacheEntries, now.CacheBytes, now.NegativeEntries, now.InFlight, now.Breaker.String(),
		})
	}
	slices.SortFunc(answer.Tokens, func(a, b TokenCache) int { return int(a.MaxBytes - b.MaxBytes) })
	slices.SortStableFunc(answer.Introspection, func(a, b AnswerCache) int { return strings.Compare(a.Issuer, b.Issuer) })
	return answer, nil
}

// Flush is an order to empty caches.
type Flush struct {
	// Cache is "tokens" or "introspection". Empty means both.
	Cache string `json:"cache,omitempty"`
	// Issuer is the one whose answers are forgotten, as configured. Empty means all. Not with the cache "tokens", which
	// all issuers share.
	Issuer string `json:"issuer,omitempty"`
}

// Flushed is the answer to it.
type Flushed struct {
	// Tokens and Answers are how many were forgotten. They are estimates.
	Tokens  int `json:"tokens"`
	Answers int `json:"answers"`
}

// The caches that an order can name.
const (
	TokensCache        = "tokens"
	IntrospectionCache = "introspection"
)

func (a *adminAPI) flush(r *http.Request) (any, error) {
	var order Flush
	if err := adminroute.Read(r.Body, maxOrder, &order); err != nil {
		return nil, wrong(err)
	}
	switch {
	case order.Cache != "" && order.Cache != TokensCache && order.Cache != IntrospectionCache:
		return nil, wrong(errors.New(`"cache" is not "tokens" or "introspection": leave it out for both`))
	case order.Cache == TokensCache && order.Issuer != "":
		return nil, wrong(errors.New(`all issuers share the cache of tokens: leave "issuer" out`))
	}
	var answer Flushed
	if order.Cache != IntrospectionCache && order.Issuer == "" {
		for cache := range process.Shared().Pool.Caches() {
			answer.Tokens += cache.Count().Tokens
			cache.Flush()
		}
	}
	if order.Cache == TokensCache {
		return answer, nil
	}
	known := order.Issuer == ""
	for client := range process.Shared().Pool.Clients() {
		if order.Issuer != "" && client.Issuer != order.Issuer {
			continue
		}
		known = true
		now := client.Stats()
		answer.Answers += now.CacheEntries + now.NegativeEntries
		client.ForgetAll()
	}
	if !known {
		return nil, errors.Join(errNothing, errors.New("no server is asked about tokens of this issuer"))
	}
	return answer, nil
}
