package registration

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/clients"
	"github.com/caddyjwt/gateway/internal/setting"
)

// The life of access tokens of clients.
const (
	defaultLifetime = 5 * time.Minute
	leastLifetime   = 10 * time.Second
	longestLifetime = 24 * time.Hour
)

// readLifetime reads how long tokens live: all of them, or those for some audiences.
func readLifetime(b *words.Block, c *Client) error {
	args := b.Args()
	if len(args) == 0 {
		return b.WrongUsage("a duration, and perhaps the audiences that it is for")
	}
	lifetime, err := caddy.ParseDuration(args[0])
	if err != nil || lifetime <= 0 {
		return b.Errf("access_lifetime %q: expected a positive duration such as 30s, 5m or 1d", args[0])
	}
	if len(args) == 1 {
		if c.AccessLifetime != 0 {
			return b.Errf("access_lifetime without an audience is there twice: remove one of the two")
		}
		c.AccessLifetime = caddy.Duration(lifetime)
		return nil
	}
	if err := b.Check("access_lifetime", audienceMistakes, args[1:]...); err != nil {
		return err
	}
	for _, audience := range args[1:] {
		if _, twice := c.AccessLifetimes[audience]; twice {
			return b.Errf("access_lifetime for %q is there twice: remove one of the two", audience)
		}
		if c.AccessLifetimes == nil {
			c.AccessLifetimes = make(map[string]caddy.Duration)
		}
		c.AccessLifetimes[audience] = caddy.Duration(lifetime)
		b.Mark("AccessLifetimes" + element(audience))
	}
	return nil
}

// resolveLifetimes resolves the placeholders in the audiences.
func (c *Client) resolveLifetimes(s *words.Settings) (all map[string]caddy.Duration, known bool, err error) {
	known = true
	for _, written := range slices.Sorted(maps.Keys(c.AccessLifetimes)) {
		audience, is, err := s.Text("access_lifetime", written)
		if err != nil {
			return nil, false, setting.In(element(written), err)
		}
		if _, twice := all[audience]; twice {
			return nil, false, setting.Errorf(element(written),
				"client %q: access_lifetime for %q is there twice: remove one of the two", c.ID,
				audience)
		}
		if all == nil {
			all = make(map[string]caddy.Duration)
		}
		all[audience], known = c.AccessLifetimes[written], known && is
	}
	return all, known, nil
}

// setLifetimes checks and sets how long tokens live.
func (c *Client) setLifetimes(made *clients.Client) error {
	made.AccessLifetime = cmp.Or(time.Duration(c.AccessLifetime), defaultLifetime)
	if err := checkLifetime(made.AccessLifetime); err != nil {
		return setting.Errorf("AccessLifetime", "client %q: access_lifetime %w", c.ID, err)
	}
	for _, audience := range slices.Sorted(maps.Keys(c.AccessLifetimes)) {
		lifetime := time.Duration(c.AccessLifetimes[audience])
		if err := checkLifetime(lifetime); err != nil {
			return setting.Errorf("AccessLifetimes"+element(audience), "client %q: access_lifetime for %q: %w", c.ID, audience,
				err)
		}
		if made.Lifetimes == nil {
			made.Lifetimes = make(map[string]time.Duration)
		}
		made.Lifetimes[audience] = lifetime
	}
	return nil
}

func checkLifetime(lifetime time.Duration) error {
	switch {
	case lifetime < leastLifetime || lifetime > longestLifetime:
		return fmt.Errorf("%v is not between %v and %v", lifetime, leastLifetime, longestLifetime)
	case lifetime%time.Second != 0:
		return fmt.Errorf("%v: write whole seconds", lifetime)
	}
	return nil
}
