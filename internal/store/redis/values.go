package redis

import (
	"bytes"
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"github.com/caddyjwt/gateway/internal/store"
)

const (
	// margin is how much longer than its end a value stays at the server, whose clock may differ from ours.
	margin = time.Minute
	// longest is the longest life that is told to the server, about a thousand years. What lives longer stays.
	longest = int64(1) << 45
)

// lifetime is how many milliseconds a value stays at the server; 0 is forever.
func lifetime(end int64) int64 {
	if end == 0 {
		return 0
	}
	left := end - time.Now().UnixMilli() // neither is near the bounds of an int64
	if left > longest {
		return 0
	}
	return max(left, 0) + margin.Milliseconds()
}

// Put implements store.Store.
func (s *Store) Put(ctx context.Context, key string, content []byte, expires time.Time) error {
	if err := s.ready(ctx, key, content); err != nil {
		return err
	}
	end := store.Millis(expires)
	words := []string{"SET", s.vault.key(kindValue, key), string(s.vault.seal(kindValue, key, content, end))}
	if left := lifetime(end); left > 0 {
		words = append(words, "PX", strconv.FormatInt(left, 10))
	}
	stored, err := s.set(ctx, words)
	if err == nil && !stored {
		return s.nonsensical(errOdd)
	}
	return err
}

// errOdd is about an answer that no server gives.
var errOdd = &nonsense{errors.New("the server answers something else than what was asked")}

// set stores something, and reports whether the server did that.
func (s *Store) set(ctx context.Context, words []string) (bool, error) {
	message, err := s.ask(ctx, request{words: words}.writing())
	if rueidis.IsRedisNil(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if text, err := message.ToString(); err != nil || text != "OK" {
		return false, s.nonsensical(errOdd)
	}
	return true, nil
}

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, key string) ([]byte, error) {
	if err := s.ready(ctx, key); err != nil {
		return nil, err
	}
	return s.value(ctx, key, request{words: []string{"GET", s.vault.key(kindValue, key)}})
}

// Take implements store.Store. If the answer is lost, so is the value.
func (s *Store) Take(ctx context.Context, key string) ([]byte, error) {
	if err := s.ready(ctx, key); err != nil {
		return nil, err
	}
	return s.value(ctx, key, request{words: []string{"GETDEL", s.vault.key(kindValue, key)}}.writing())
}

// value asks for a value and opens it.
func (s *Store) value(ctx context.Context, key string, r request) ([]byte, error) {
	sealed, there, err := s.sealed(ctx, r)
	if err != nil {
		return nil, err
	}
	if !there {
		return nil, store.ErrNotFound
	}
	return s.openValue(key, sealed)
}

// sealed asks for a value as it is at the server, and reports whether there is one.
func (s *Store) sealed(ctx context.Context, r request) (sealed []byte, there bool, err error) {
	message, err := s.ask(ctx, r)
	if rueidis.IsRedisNil(err) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	sealed, err = message.AsBytes()
	return sealed, err == nil, s.sense(err)
}

// openValue opens a value. The error is ErrNotFound if it has expired.
func (s *Store) openValue(key string, sealed []byte) ([]byte, error) {
	content, end, err := s.vault.open(kindValue, key, sealed)
	if err != nil {
		return nil, err
	}
	if store.Expired(end, time.Now().UnixMilli()) {
		return nil, store.ErrNotFound
	}
	return content, nil
}

// Swap implements store.Store.
func (s *Store) Swap(parent context.Context, key string, old, fresh []byte, expires time.Time) (bool, error) {
	if err := s.ready(parent, key, old, fresh); err != nil {
		return false, err
	}
	end := store.Millis(expires)
	seal := "" // deletes
	if fresh != nil {
		seal = string(s.vault.seal(kindValue, key, fresh, end))
	}
	deadline := time.Now().Add(s.server.timeout)
	for {
		sealed, there, err := s.sealed(parent, request{words: []string{"GET", s.vault.key(kindValue, key)}})
		if err != nil {
			return false, err
		}
		if match, err := s.matches(key, sealed, there, old); err != nil || !match {
			return false, err
		}
		swapped, err := s.replace(parent, key, sealed, there, seal, lifetime(end))
		if err != nil || swapped {
			return swapped, err
		}
		// Somebody has changed the sealed value meanwhile, and maybe not the value.
		if time.Now().After(deadline) {
			return false, s.server.silent()
		}
	}
}

// matches reports whether the present value is the old one of a swap. An expired value counts as none.
func (s *Store) matches(key string, sealed []byte, there bool, old []byte) (bool, error) {
	if !there {
		return old == nil, nil
	}
	present, err := s.openValue(key, sealed)
	if errors.Is(err, store.ErrNotFound) {
		return old == nil, nil
	}
	return err == nil && old != nil && bytes.Equal(present, old), err
}

// replace stores a sealed value in place of the one that was read.
func (s *Store) replace(ctx context.Context, key string, was []byte, there bool, seal string, left int64,
) (bool, error) {
	present := "0"
	if there {
		present = "1"
	}
	message, err := s.ask(ctx, call(swapScript, []string{s.vault.key(kindValue, key)},
		present, string(was), seal, strconv.FormatInt(left, 10)).writing())
	if err != nil {
		return false, s.sense(err)
	}
	swapped, err := message.ToInt64()
	return swapped == 1, s.sense(err)
}

// ready returns the error of a store that is closed, of a context that has ended, or of what is too large.
func (s *Store) ready(ctx context.Context, key string, contents ...[]byte) error {
	if s.life.Err() != nil {
		return store.ErrClosed
	}
	return store.CheckArguments(ctx, key, contents...)
}

// sense is an error about an answer that is of another type than it has to be.
func (s *Store) sense(err error) error {
	if err == nil || !rueidis.IsParseErr(err) && !rueidis.IsRedisNil(err) {
		return err
	}
	return s.server.explain(s.server.name(), err)
}
