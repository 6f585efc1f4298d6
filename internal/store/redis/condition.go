package redis

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"

	"github.com/redis/rueidis"

	"github.com/caddyjwt/gateway/internal/store"
)

// Names of what the store keeps about itself.
const (
	epochName = "epoch"
	beatName  = "beat"
)

// Check implements store.Shared.
func (s *Store) Check(ctx context.Context, log string, anchor store.Position) (store.Condition, error) {
	if err := s.ready(ctx, log); err != nil {
		return store.Condition{}, err
	}
	beat := "0"
	if s.replicas > 0 {
		beat = "1"
	}
	keys := []string{s.vault.key(kindAbout, epochName), s.keysOf(log)[0], s.vault.key(kindAbout, beatName)}
	message, err := s.ask(ctx, call(checkScript, keys, anchorID(anchor), beat).writing())
	if err != nil {
		return store.Condition{}, s.sense(err)
	}
	return s.condition(log, message)
}

// condition reads the answer of checkScript. Without the stream there is no epoch: all records are lost.
func (s *Store) condition(log string, message rueidis.RedisMessage) (c store.Condition, err error) {
	parts, err := message.ToArray()
	if err != nil {
		return c, s.sense(err)
	}
	if len(parts) != 3 {
		return c, s.nonsensical(errOdd)
	}
	sealedEpoch, err := parts[0].AsBytes()
	last, err2 := parts[2].ToString()
	if err := errors.Join(err, err2); err != nil {
		return c, s.nonsensical(errOdd)
	}
	epoch, err := s.epoch(sealedEpoch)
	if err != nil {
		return c, err
	}
	if last != "" {
		c.Epoch = epoch
		if c.Last, err = position(last); err != nil {
			return c, s.nonsensical(err)
		}
	}
	c.Anchor, err = s.anchored(log, parts[1])
	return c, err
}

// epoch opens an epoch; empty for none. Its key does not depend on that of the store, so that a process with another
// key finds it, and cannot open it.
func (s *Store) epoch(sealed []byte) (string, error) {
	if len(sealed) == 0 {
		return "", nil
	}
	epoch, _, err := s.vault.open(kindAbout, epochName, sealed)
	return string(epoch), err
}

// Init implements store.Shared. The epoch is 16 random bytes.
func (s *Store) Init(ctx context.Context, log string) (made bool, err error) {
	if err := s.ready(ctx, log); err != nil {
		return false, err
	}
	key := s.vault.key(kindAbout, epochName)
	before, err := s.ask(ctx, request{words: []string{"GET", key}})
	var old []byte
	if err == nil {
		old, err = before.AsBytes()
	}
	if err != nil && !rueidis.IsRedisNil(err) {
		return false, s.sense(err)
	}
	if _, err := s.epoch(old); err != nil {
		return false, err
	}
	var epoch [16]byte
	_, _ = rand.Read(epoch[:]) // it never fails
	fresh := s.vault.seal(kindAbout, epochName, base64.RawURLEncoding.AppendEncode(nil, epoch[:]), 0)
	message, err := s.ask(ctx, call(initScript, []string{key, s.keysOf(log)[0]}, string(old), string(fresh)).writing())
	if err != nil {
		return false, s.sense(err)
	}
	n, err := message.ToInt64()
	return n == 1, s.sense(err)
}
