package tokenissuer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"time"

	"github.com/caddyjwt/gateway/caddyjwt/tokenissuer/applications"
	"github.com/caddyjwt/gateway/internal/store"
)

// lifetimes are the longest life of tokens of an issuer, as the store has it. What is revoked must be remembered for as
// long as tokens live that were issued before, also after a reload with shorter lifetimes.
type lifetimes struct {
	Longest time.Duration `json:"longest"`
	// Until is when the last token with that life has ended, in milliseconds. It is zero while it is in force.
	Until int64 `json:"until,omitempty"`
}

// next is what becomes of them when the longest life is another one.
func (l lifetimes) next(longest time.Duration, now time.Time) lifetimes {
	switch {
	case longest >= l.Longest, l.Until != 0 && l.Until <= now.UnixMilli():
		return lifetimes{Longest: longest}
	case l.Until == 0:
		l.Until = now.Add(l.Longest + time.Hour).UnixMilli() // an hour for clocks, leeways and sessions under way
	}
	return l
}

// longestEver is the longest life that a token of the issuer may still have. While the store cannot say, it is the
// longest that there can be.
func (i *issuer) longestEver(ctx context.Context, in store.Store, now time.Time) time.Duration {
	sum := sha256.Sum256([]byte(i.name))
	key := "issuer lifetimes/" + hex.EncodeToString(sum[:])
	for range 8 { // other Caddys may start at the same time
		var known lifetimes
		text, err := in.Get(ctx, key)
		switch {
		case errors.Is(err, store.ErrNotFound):
			text = nil
		case err != nil, json.Unmarshal(text, &known) != nil:
			return applications.LongestRefresh
		}
		next := known.next(i.longest(), now)
		if next == known {
			return next.Longest
		}
		fresh, err := json.Marshal(next)
		if err != nil {
			return applications.LongestRefresh
		}
		swapped, err := in.Swap(ctx, key, text, fresh, time.Time{})
		if err != nil {
			return applications.LongestRefresh
		}
		if swapped {
			return next.Longest
		}
	}
	return applications.LongestRefresh
}
