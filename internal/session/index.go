package session

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

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

// shardOf is the shard for a subject in an app.
func shardOf(r *record) int {
	sum := listSum(r)
	return int(binary.BigEndian.Uint16(sum[:])) % shards
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
	key := s.shardKey(shardOf(r))
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

// Bounds of one answer of All.
const (
	mostListed = 1000 // sessions; those of the last subject may be more
	mostShards = 512
)

// All returns sessions that are alive, in no order: those in a part of the index. The first part is 0. Next is the part
// to ask for then; 0 at the end. Whoever logs in meanwhile may be missing. Apps without terms do not count. The error
// is ErrTerms or ErrUnavailable.
func (s *Sessions) All(
	ctx context.Context, termsOf func(app string) *Terms, part int,
) (alive []Info, next int, err error) {
	if part < 0 || part >= shards {
		return nil, 0, fmt.Errorf("%w: part %d of the index: there are those from 0 to %d", ErrTerms, part, shards-1)
	}
	for shard := part; shard < shards; shard++ {
		if len(alive) >= mostListed || shard >= part+mostShards {
			return alive, shard, nil
		}
		_, all, err := s.loadShard(ctx, s.shardKey(shard))
		if err != nil {
			return nil, 0, err
		}
		for _, n := range all {
			terms := termsOf(n.app)
			if terms == nil {
				continue
			}
			some, err := s.List(ctx, terms, n.subject)
			if err != nil {
				return nil, 0, err
			}
			alive = append(alive, some...)
		}
	}
	return alive, 0, nil
}
