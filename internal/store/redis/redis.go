// Package redis keeps small durable state in a Redis or Valkey server, for several processes at a time.
//
// It needs Redis 6.2 or newer, or Valkey: one server, one with replicas and sentinels, or a cluster. The user needs the
// rights
//
//	~{<prefix>}:* +get +set +getdel +del +exists +eval +evalsha +xadd +xrange +xread +xinfo +xdel +zadd +zrem
//	+zrangebyscore +time +ping +wait +select
//
// of which +wait is only for WaitReplicas, and +select only for a numbered database. Nobody else should have rights on
// these keys. What the server keeps is sealed, and names are hashed, so whoever reads it learns how much there is, when
// it was written and, of values, when they end. Whoever writes to it can delete, and bring back what was there before,
// but can neither make something up nor put it under another name.
//
// A write is as durable as the server makes it. With "appendfsync always" it survives a crash of the server, with the
// default "everysec" the last second may be lost, and with neither AOF nor snapshots all is lost. WaitReplicas protects
// from the loss of the primary. Check notices what was lost.
//
// Values stay at the server for a minute after their end: each process judges the end by its own clock. Nothing else
// ends by itself, so a log keeps its last position when it is empty. The server must not evict keys (maxmemory-policy
// noeviction). Sweep deletes expired records of the logs that this process has used: all processes of a store use the
// same ones.
//
// The client is rueidis, of which only single connections are used. It believes what a server sends: it allocates what
// is announced, a negative length or an answer too many ends the process, and so may an answer of a sentinel or of a
// cluster that lacks a part. So each connection is behind a guard, which lets only what is good through, and sentinels
// and clusters are asked here.
package redis

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/caddyjwt/gateway/internal/durations"
	"github.com/caddyjwt/gateway/internal/store"
)

// Options say which server, and how to reach it.
type Options struct {
	// URL is redis://<user>:<password>@<host>:<port>/<db>, or rediss:// for TLS. "addr=<host>:<port>" in the query adds
	// addresses of a cluster, or of sentinels; "master_set=<name>" makes them sentinels. valkey:// and valkeys:// are
	// the same, and unix://<user>:<password>@/<path> is a socket. With TLS, the certificate of each server must be for
	// the host of its address, also if sentinels or a cluster have told it.
	URL string
	// TLS has certificates; nil for those of the system. The URL says whether there is TLS, also for sentinels.
	TLS *tls.Config
	// Prefix begins all keys at the server. Default: DefaultPrefix. IsPrefix says what is one.
	Prefix string
	// Key seals what is stored. It must be random, and the same in all processes that share the store.
	Key [32]byte
	// WaitReplicas is how many replicas must have a write until it counts. Default: 0. With fewer, the write fails after
	// three quarters of Timeout, although it may be there; Check fails, too.
	WaitReplicas int
	// Timeout is how long the server may take for one command. Default: 2 s, at least 10 ms, with WaitReplicas 1 s.
	Timeout time.Duration
	// SentinelUser and SentinelPassword are for sentinels. Without them, a sentinel that wants a password gets those of
	// the URL, and one that wants none gets none.
	SentinelUser, SentinelPassword string
	// Calls counts how long the server takes, but for calls in which it waits for something to happen. Default: nobody
	// counts.
	Calls *durations.Calls
}

// Bounds and defaults of Options.
const (
	DefaultPrefix = "bearer_auth"
	MaxPrefix     = 64  // bytes
	MaxReplicas   = 100 // no server has so many
)

const (
	defaultTimeout = 2 * time.Second
	minTimeout     = 10 * time.Millisecond
	minForReplicas = time.Second // the server notices the end of its waiting at tenths of a second
)

// IsPrefix reports whether a text can begin all keys: at most MaxPrefix letters, digits and characters of "._:/-".
// Braces have a meaning there.
func IsPrefix(text string) bool {
	const good = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:/-"
	return len(text) <= MaxPrefix && strings.Trim(text, good) == ""
}

// Store is a store.Shared at a server.
type Store struct {
	vault    *vault
	server   *server
	replicas int
	calls    *durations.Calls
	life     context.Context
	end      context.CancelFunc

	mu   sync.Mutex
	logs map[string]struct{} // those that Sweep sweeps
}

var _ store.Shared = (*Store)(nil)

// New makes a store, without connecting. The error says what of the options cannot be used, and has no secret in it.
func New(o Options) (store.Shared, error) {
	if o.Prefix == "" {
		o.Prefix = DefaultPrefix
	}
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	parsed, err := parseURL(o.URL, o.TLS)
	if err != nil {
		return nil, err
	}
	parsed.sentinelUser, parsed.sentinelPassword = o.SentinelUser, o.SentinelPassword
	if err := parsed.check(); err != nil {
		return nil, err
	}
	v, err := newVault(o.Key, o.Prefix)
	if err != nil {
		return nil, err
	}
	s := &Store{vault: v, replicas: o.WaitReplicas, calls: o.Calls, logs: make(map[string]struct{})}
	s.life, s.end = context.WithCancel(context.Background())
	s.server = &server{settings: parsed, vault: v, timeout: o.Timeout, life: s.life, links: make(map[*link]struct{})}
	return s, nil
}

// check returns an error for what is not about the URL.
func (o *Options) check() error {
	switch {
	case o.Key == [32]byte{}:
		return errors.New("the store has no key: it seals what is stored, so give it 32 random bytes")
	case !IsPrefix(o.Prefix):
		return fmt.Errorf("the prefix of the keys may have letters, digits and ._:/- and at most %d of them", MaxPrefix)
	case o.WaitReplicas < 0 || o.WaitReplicas > MaxReplicas:
		return fmt.Errorf("%d replicas to wait for: from 0 to %d are possible", o.WaitReplicas, MaxReplicas)
	case o.Timeout < minTimeout:
		return fmt.Errorf("a timeout of %v: it must be %v or more", o.Timeout, minTimeout)
	case o.WaitReplicas > 0 && o.Timeout < minForReplicas:
		return fmt.Errorf("a timeout of %v: with replicas to wait for it must be %v or more", o.Timeout, minForReplicas)
	}
	return nil
}

// Secret implements store.Shared.
func (s *Store) Secret(purpose string) [32]byte { return s.vault.derive("secret", purpose) }

// Close implements store.Store.
func (s *Store) Close() error {
	s.end()
	s.server.close()
	return nil
}
