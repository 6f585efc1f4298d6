package session

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/caddyjwt/gateway/internal/store"
)

// The index of an issuer names who has sessions: a subject in an app. So all sessions can be found, and there are only
// so many in sum. It has shards, to each of which few come at the same time.
const (
	shards = 4096
	// maxNamed is how many subjects in apps a shard names. If a million have sessions, a shard has 244 of them on
	// average, and the fullest one some 330.
	maxNamed = 512
	// maxShard bounds a shard in bytes.
	maxShard = 256 << 10
)

// named is one entry of a shard.
type named struct {
	until        int64 // in milliseconds; not before that of the list of the subject's sessions
	app, subject string
}

var (
	errIndex = errors.New("the index of sessions is damaged, or of another version of this program: run the same " +
		"version on all nodes that share the store, or delete it, and its sessions are not listed any more")
	errFull = fmt.Errorf("about two million users have sessions, and no more are possible: a shard has %d", maxNamed)
)

// shardOf is the shard for a subject in an app. Nobody can know it who does not see the store: otherwise, somebody with
// many accounts could fill the shard of one user.
func (s *Sessions) shardOf(ctx context.Context, r *record) (int, error) {
	salt, err := s.saltOfIndex(ctx)
	if err != nil {
		return 0, err
	}
	sum := listSum(r)
	sum = sha256.Sum256(append(salt, sum[:]...))
	return int(binary.BigEndian.Uint16(sum[:])) % shards, nil
}

// saltOfIndex is the salt that all nodes have. If the store has lost it and gets another one, nothing is lost: entries
// are good in any shard.
func (s *Sessions) saltOfIndex(ctx context.Context) ([]byte, error) {
	if salt := s.salt.Load(); salt != nil {
		return slices.Clone(*salt), nil
	}
	key := s.shards + "salt"
	for range maxTries {
		salt, err := s.o.Store.Get(ctx, key)
		if errors.Is(err, store.ErrNotFound) {
			fresh := []byte(rand.Text())
			var swapped bool
			if swapped, err = s.o.Store.Swap(ctx, key, nil, fresh, time.Time{}); err == nil && !swapped {
				continue
			}
			salt = fresh
		}
		if err != nil {
			return nil, unavailable("reading "+key, err)
		}
		s.salt.Store(&salt)
		return slices.Clone(salt), nil
	}
	return nil, unavailable(key, errContended)
}

func (s *Sessions) shardKey(shard int) string { return fmt.Sprint(s.shards, shard) }

// shardsOf is what the keys of all shards of an issuer begin with.
func shardsOf(issuer string) string {
	sum := sha256.Sum256([]byte(issuer))
	return "sessions index/" + base64.RawURLEncoding.EncodeToString(sum[:]) + "/"
}

// index has the index name a subject in an app until a time. It comes before the list of the subject's sessions, so it
// never lacks one that is there.
func (s *Sessions) index(ctx context.Context, r *record, until, now int64) error {
	shard, err := s.shardOf(ctx, r)
	if err != nil {
		return err
	}
	key := s.shardKey(shard)
	for range maxListTries {
		old, all, err := s.loadShard(ctx, key)
		if err != nil {
			return err
		}
		all = slices.DeleteFunc(all, func(n named) bool { return n.until <= now })
		i := slices.IndexFunc(all, func(n named) bool { return n.app == r.App && n.subject == r.Subject })
		switch {
		case i >= 0 && all[i].until >= until:
			return nil
		case i >= 0:
			all[i].until = until
		default:
			if len(all) >= maxNamed {
				if all, err = s.withoutGone(ctx, all); err != nil {
					return err
				}
			}
			all = append(all, named{until, r.App, r.Subject})
		}
		fresh := encodeShard(all)
		if len(all) > maxNamed || len(fresh) > maxShard {
			return unavailable(key, errFull)
		}
		last := slices.MaxFunc(all, func(a, b named) int { return int(min(max(a.until-b.until, -1), 1)) })
		swapped, err := s.o.Store.Swap(ctx, key, old, fresh, timeOf(last.until).Add(2*margin))
		if err != nil {
			return unavailable("keeping "+key, err)
		}
		if swapped {
			return nil
		}
	}
	return unavailable(key, errContended)
}

// withoutGone leaves out who has logged out: their lists are gone. It asks for each, so only a full shard is worth it.
func (s *Sessions) withoutGone(ctx context.Context, all []named) ([]named, error) {
	var kept []named
	for _, n := range all {
		old, _, err := s.loadList(ctx, listKey(&record{Issuer: s.o.Issuer, App: n.app, Subject: n.subject}))
		if err != nil && !errors.Is(err, errList) {
			return nil, err
		}
		if err != nil || old != nil {
			kept = append(kept, n)
		}
	}
	return kept, nil
}

// loadShard reads a shard, and returns its bytes, too: nil if there is none.
func (s *Sessions) loadShard(ctx context.Context, key string) ([]byte, []named, error) {
	text, err := s.o.Store.Get(ctx, key)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, unavailable("reading "+key, err)
	}
	all, sane := decodeShard(text)
	if !sane {
		return nil, nil, unavailable(key, errIndex)
	}
	return text, all, nil
}

// encodeShard writes the version, and of each entry its end, app and subject. JSON would take ten times as long, and a
// login may write hundreds of entries.
func encodeShard(all []named) []byte {
	text := []byte{version}
	for _, n := range all {
		text = binary.AppendUvarint(text, uint64(n.until))
		for _, name := range []string{n.app, n.subject} {
			text = binary.AppendUvarint(text, uint64(len(name)))
			text = append(text, name...)
		}
	}
	return text
}

// decodeShard reports whether the text is a shard.
func decodeShard(text []byte) (all []named, sane bool) {
	if len(text) == 0 || text[0] != version {
		return nil, false
	}
	rest := text[1:]
	number := func(most uint64) uint64 {
		n, size := binary.Uvarint(rest)
		if sane = sane && size > 0 && n <= most; !sane {
			return 0
		}
		rest = rest[size:]
		return n
	}
	name := func() string {
		length := number(math.MaxInt32)
		if sane = sane && length <= uint64(len(rest)); !sane {
			return ""
		}
		text := string(rest[:length])
		rest = rest[length:]
		return text
	}
	for sane = true; sane && len(rest) > 0; {
		all = append(all, named{int64(number(latest)), name(), name()})
	}
	return all, sane
}

// Bounds of one part of all sessions.
const (
	mostListed = 1000 // sessions, and three times as many subjects; those of the last shard may be more
	mostShards = 512
)

// Part is a part of all sessions.
type Part struct {
	// Alive are sessions that are alive, in no order.
	Alive []Info
	// Unreadable is how many subjects have a list or a session that is damaged, or of another version of this program; or
	// how many parts of the index.
	Unreadable int
	// Next is the number of the next part; 0 at the end.
	Next int
}

// All returns a part of all sessions: those in a part of the index. The first one has the number 0. Whoever logs in
// meanwhile may be missing. Apps without terms do not count. The error is ErrTerms or ErrUnavailable.
func (s *Sessions) All(ctx context.Context, termsOf func(app string) *Terms, part int) (*Part, error) {
	if part < 0 || part >= shards {
		return nil, fmt.Errorf("%w: part %d of the index: there are those from 0 to %d", ErrTerms, part, shards-1)
	}
	found, looked := new(Part), 0
	for shard := part; shard < shards; shard++ {
		if len(found.Alive) >= mostListed || looked >= 3*mostListed || shard >= part+mostShards {
			found.Next = shard
			break
		}
		_, all, err := s.loadShard(ctx, s.shardKey(shard))
		switch {
		case errors.Is(err, errIndex):
			found.Unreadable++
		case err != nil:
			return nil, err
		}
		looked += len(all)
		for _, n := range all {
			terms := termsOf(n.app)
			if terms == nil {
				continue
			}
			some, err := s.List(ctx, terms, n.subject)
			switch {
			case errors.Is(err, errList), errors.Is(err, errRecord):
				found.Unreadable++
			case err != nil:
				return nil, err
			}
			found.Alive = append(found.Alive, some...)
		}
	}
	return found, nil
}
