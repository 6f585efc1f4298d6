package diagnose

import (
	"context"
	"fmt"
	"strings"

	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyset"
)

// keys fetches the issuer's keys, and judges them.
func (q *inquiry) keys(ctx context.Context) {
	if q.of.Keys == nil {
		return
	}
	if q.of.KeySet != "" {
		q.KeySet = withoutQuery(q.of.KeySet)
	}
	before := 0 // with discovery, the keys were fetched together with the metadata
	if q.of.KeysFrom != "discovery" {
		before = q.of.Exchanges.count()
	}
	if from, can := q.of.Keys.(interface{ Preload(context.Context) }); can {
		from.Preload(ctx)
	}
	if ctx.Err() != nil {
		return
	}
	set := q.of.Keys.Current()
	if set == nil {
		q.noKeys(before)
		return
	}
	for _, skipped := range set.Skipped {
		q.skipped(skipped, set.SkippedKeys)
	}
	names, used := set.Names(), 0
	for i, key := range set.Keys() {
		fits := key.Algorithms().Intersect(q.of.Algorithms) != 0
		if fits {
			used++
		}
		q.Keys = append(q.Keys, Key{
			Name: short(names[i]), Type: key.Family().String(), Algorithms: algorithmNames(key.Algorithms()), Used: fits,
		})
	}
	switch {
	case used == 0:
		q.find(Problem, NoKeyFits, fmt.Sprintf("no key is for an algorithm that the gate accepts: %v", q.of.Algorithms),
			"add the keys' algorithms to \"algorithms\"")
	case used < set.Len():
		q.find(Note, KeysExcluded, fmt.Sprintf("the gate accepts no algorithm of %d of %d keys",
			set.Len()-used, set.Len()), "if tokens are signed with them, add their algorithms to \"algorithms\"")
	}
}

func algorithmNames(algorithms jose.Algorithms) []string { return strings.Fields(algorithms.String()) }

// noKeys says why there are no keys. With discovery, trouble with the metadata is reported already.
func (q *inquiry) noKeys(before int) {
	if q.of.KeysFrom == "discovery" && q.KeySet == "" {
		return
	}
	var err error
	switch from := q.of.Keys.(type) {
	case interface{ Stats() keyset.Stats }:
		err = from.Stats().Err
	case interface{ Err() error }:
		err = from.Err()
	}
	if err == nil {
		err = keyset.ErrNoKeys
	}
	q.trouble(err, q.of.Exchanges.from(before))
}

// skipped reports keys that were not taken.
func (q *inquiry) skipped(s keyset.Skipped, keys []keyset.SkippedKey) {
	names := []string{}
	for _, key := range keys {
		if key.Reason == s.Reason {
			names = append(names, short(key.Name))
		}
	}
	q.Skipped = append(q.Skipped, Skipped{s.Reason, s.Count, names})
	switch s.Reason {
	case keyset.SkippedByLimit:
		q.find(Warning, KeysLeftOut, fmt.Sprintf("the key set has %d more than max_keys takes: tokens of the others "+
			"are refused", s.Count), "raise max_keys")
	case string(jose.JWKPrivate):
		q.find(Problem, PrivateKeys, fmt.Sprintf("%d of the published keys have their private half: whoever reads the key "+
			"set can sign with them, so the gate does not use them", s.Count), "replace these keys on the server at once")
	case string(jose.JWKNotForSignatures):
		q.find(Note, KeysSkipped, skippedText(s, names), "")
	default:
		q.find(Warning, KeysSkipped, skippedText(s, names), "tokens of these keys are refused; docs/keys.md has the reasons")
	}
}

func skippedText(s keyset.Skipped, names []string) string {
	text := fmt.Sprintf("%d keys are not used: %s", s.Count, s.Reason)
	if s.Count == 1 {
		text = "1 key is not used: " + s.Reason
	}
	if len(names) == 0 {
		return text
	}
	return text + " (" + strings.Join(names, " ") + ")"
}
