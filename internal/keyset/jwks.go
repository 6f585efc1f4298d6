package keyset

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/caddyjwt/gateway/internal/certchain"
	"github.com/caddyjwt/gateway/internal/jose"
)

// Why a key was skipped although it is usable. For the other reasons, see jose.Unusable.
const (
	skipDuplicate  = "duplicate_key" // the same key as an earlier one
	SkippedByLimit = "too_many_keys" // more keys than Selection.Max
)

// document is the keys of a document, and those that were not taken.
type document struct {
	keys    []*jose.Key
	chains  chains // with Selection.CA
	skipped []Skipped
	named   []SkippedKey
	expires time.Time // when the first certificate of a file expires, without Selection.CA
}

// readJWKS reads the keys that can verify signatures from a JWK Set (RFC 7517 section 5) or a single JWK. It keeps the
// order of the document, and stops when it has as many as may be taken. Each key is judged alone: one that cannot be
// used, for whatever reason, is counted, and the others are kept.
//
// It never takes shared secrets and private keys: a set that anybody can fetch contains nothing secret.
//
// It returns ErrFormat when data is neither, and ErrNoKeys, with what was skipped, when it has no usable key.
func readJWKS(data []byte, taken Selection) (d document, err error) {
	limit, uses := taken.max(), taken.uses()
	texts, err := splitJWKS(data)
	if err != nil {
		return d, err
	}
	d.chains = make(chains)
	counts := make(map[string]int)
	seen := make(map[member]struct{}, min(len(texts), limit))
	for i, text := range texts {
		if len(d.keys) == limit {
			counts[SkippedByLimit] += len(texts) - i
			break
		}
		key, chain, err := taken.parse(text, uses)
		if err != nil {
			reason := reasonOf(err)
			counts[reason]++
			d.named = nameSkipped(d.named, text, i, reason)
			continue
		}
		if _, twice := seen[memberOf(key)]; twice {
			d.chains.add(key, chain) // it may have a newer certificate
			counts[skipDuplicate]++
			d.named = nameSkipped(d.named, text, i, skipDuplicate)
			continue
		}
		seen[memberOf(key)] = struct{}{}
		d.keys = append(d.keys, key)
		d.chains.add(key, chain)
	}
	d.skipped = tally(counts)
	if len(d.keys) == 0 {
		return d, noKeys(d.skipped)
	}
	return d, nil
}

// mostNamed and longestName bound what is kept of skipped keys: their ids are whatever the server wrote.
const (
	mostNamed   = 16
	longestName = 64
)

// nameSkipped adds a skipped key to the named ones, unless there are enough. i is its place in the set.
func nameSkipped(named []SkippedKey, text json.RawMessage, i int, reason string) []SkippedKey {
	if len(named) == mostNamed {
		return named
	}
	var key struct {
		ID string `json:"kid"`
	}
	// The key may be malformed. Then it has its place as its name.
	if err := json.Unmarshal(text, &key); err != nil || key.ID == "" || len(key.ID) > longestName {
		key.ID = fmt.Sprintf("#%d", i+1)
	}
	return append(named, SkippedKey{key.ID, reason})
}

// reasonOf is the word for why a key was not taken.
func reasonOf(err error) string {
	if refused, is := errors.AsType[*certchain.Error](err); is {
		return string(refused.Reason)
	}
	reason, _ := errors.AsType[jose.Unusable](err)
	return string(reason)
}

// noKeys says why none of the keys could be used.
func noKeys(skipped []Skipped) error {
	if len(skipped) == 0 {
		return fmt.Errorf("%w: the key set is empty", ErrNoKeys)
	}
	reasons := make([]string, len(skipped))
	for i, s := range skipped {
		reasons[i] = fmt.Sprintf("%d %s", s.Count, s.Reason)
	}
	return fmt.Errorf("%w: %s", ErrNoKeys, strings.Join(reasons, ", "))
}

func tally(counts map[string]int) []Skipped {
	var skipped []Skipped
	for reason, count := range counts {
		skipped = append(skipped, Skipped{reason, count})
	}
	slices.SortFunc(skipped, func(a, b Skipped) int { return strings.Compare(a.Reason, b.Reason) })
	return skipped
}

// splitJWKS finds the elements of the member "keys" of one object. It looks no deeper than it must, so that a defect
// inside one key does not spoil the others; package strictjson would refuse the whole text. The name is compared
// exactly (RFC 7517 section 5) and may occur once.
//
// An object with "kty" and without "keys" is a JWK. It counts as a set of one, because some servers have only one key
// and publish it like that.
func splitJWKS(data []byte) ([]json.RawMessage, error) {
	data = jose.WithoutMark(data)
	dec := json.NewDecoder(bytes.NewReader(data))
	if token, err := dec.Token(); err != nil || token != json.Delim('{') {
		return nil, fmt.Errorf("%w: not a JSON object", ErrFormat)
	}
	var keys json.RawMessage
	isKey := false
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return nil, fmt.Errorf("%w: not JSON", ErrFormat)
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, fmt.Errorf("%w: not JSON", ErrFormat)
		}
		isKey = isKey || name == "kty"
		if name != "keys" {
			continue
		}
		if keys != nil {
			return nil, fmt.Errorf(`%w: the member "keys" occurs twice`, ErrFormat)
		}
		keys = value
	}
	if _, err := dec.Token(); err != nil {
		return nil, fmt.Errorf("%w: not JSON", ErrFormat)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: more text after the key set", ErrFormat)
	}
	switch {
	case keys == nil && isKey:
		return []json.RawMessage{data}, nil
	case keys == nil:
		return nil, fmt.Errorf(`%w: no member "keys", this is not a key set`, ErrFormat)
	}
	var texts []json.RawMessage
	if keys[0] != '[' || json.Unmarshal(keys, &texts) != nil {
		return nil, fmt.Errorf(`%w: the member "keys" is not an array`, ErrFormat)
	}
	return texts, nil
}
