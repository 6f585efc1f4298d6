package operator

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddyjwt/gateway/caddyjwt/adminroute"
	"github.com/caddyjwt/gateway/caddyjwt/pool"
	"github.com/caddyjwt/gateway/caddyjwt/process"
	"github.com/caddyjwt/gateway/internal/causes"
)

// Keys is the answer about keys.
type Keys struct {
	// Sources are the key sources that handlers share, sorted by issuer, kind and key ids. Keys in the configuration
	// itself are not among them.
	Sources []Source `json:"sources"`
}

// Source is a key source.
type Source struct {
	// Issuers are the issuers whose keys the source has, as configured.
	Issuers []string `json:"issuers"`
	// Kind is where the keys come from: "discovery", "jwks" or "file".
	Kind string `json:"kind"`
	// Keys is the number of usable keys.
	Keys int `json:"keys"`
	// KeyIDs are the key ids. A key without one has "sha256:" and the start of its thumbprint.
	KeyIDs []string `json:"key_ids"`
	// Age is the number of seconds since the keys were fetched, rounded to tenths. Absent for a file, and before the first
	// fetch.
	Age *float64 `json:"age_seconds,omitempty"`
	// NextFetch is when the keys are fetched again, unless a request needs them earlier: UTC, in whole seconds. Absent
	// for a file, before the first fetch, and while one is under way.
	NextFetch *time.Time `json:"next_fetch,omitempty"`
	// LastError says why the last attempt to read the keys failed, or that a certificate in the file has expired. Absent
	// otherwise.
	LastError string `json:"last_error,omitempty"`
}

func (a *adminAPI) keys(r *http.Request) (any, error) {
	if _, err := adminroute.Parameters(r.URL.RawQuery); err != nil {
		return nil, wrong(err)
	}
	answer := Keys{Sources: []Source{}} // in JSON an empty list, not null
	now := time.Now()
	for _, source := range a.sources() {
		answer.Sources = append(answer.Sources, describe(source, now))
	}
	slices.SortFunc(answer.Sources, compare)
	return answer, nil
}

// sources are those that have keys for an issuer. Each may end meanwhile, and has no keys then.
func (a *adminAPI) sources() (sources []*pool.Source) {
	for source := range process.Shared().Pool.Sources() {
		if len(source.Issuers()) > 0 {
			sources = append(sources, source)
		}
	}
	return sources
}

func compare(a, b Source) int {
	return cmp.Or(
		slices.Compare(a.Issuers, b.Issuers), strings.Compare(a.Kind, b.Kind), slices.Compare(a.KeyIDs, b.KeyIDs))
}

func describe(source *pool.Source, now time.Time) Source {
	set := source.Current()
	out := Source{Issuers: source.Issuers(), Kind: source.Kind, Keys: source.Len(), KeyIDs: set.Names()}
	if out.KeyIDs == nil {
		out.KeyIDs = []string{}
	}
	if err := source.Err(); err != nil {
		out.LastError = causes.Line(err)
	}
	if stats, fetches := source.Stats(); fetches {
		if !stats.Fetched.IsZero() {
			age := math.Round(now.Sub(stats.Fetched).Seconds()*10) / 10
			out.Age = &age
		}
		if !stats.Next.IsZero() {
			next := stats.Next.UTC().Truncate(time.Second) // the local zone differs between machines
			out.NextFetch = &next
		}
	}
	return out
}

// Refresh is an order to fetch keys now.
type Refresh struct {
	// Issuer is the issuer whose keys are fetched, as configured. Empty means all issuers.
	Issuer string `json:"issuer,omitempty"`
}

// Refreshed is the answer to it.
type Refreshed struct {
	// Sources are those whose keys were to be fetched.
	Sources []RefreshedSource `json:"sources"`
}

// Complete reports whether all keys were fetched.
func (r *Refreshed) Complete() bool {
	return !slices.ContainsFunc(r.Sources, func(s RefreshedSource) bool {
		return s.Result != Fetched
	})
}

// RefreshedSource is one of them, as it is now.
type RefreshedSource struct {
	Source
	// Result is "fetched" or "failed", or "not_tried" when there was no time left.
	Result string `json:"result"`
	// Added and Removed are the keys that came and went. Absent where each tenant has its own.
	Added   []string `json:"added,omitempty"`
	Removed []string `json:"removed,omitempty"`
	// Error says why it failed.
	Error string `json:"error,omitempty"`
}

// Results of a fetch.
const (
	Fetched  = "fetched"
	Failed   = "failed"
	NotTried = "not_tried"
)

const (
	// maxFetches is how many fetches of one order are under way at once.
	maxFetches = 16
	// refreshTime bounds an order. A source whose turn has not come by then is not tried.
	refreshTime = time.Minute
)

// refresh fetches keys now. The answer comes when all fetches have ended.
func (a *adminAPI) refresh(r *http.Request) (any, error) {
	var order Refresh
	if err := adminroute.Read(r.Body, maxOrder, &order); err != nil {
		return nil, wrong(err)
	}
	sources, err := a.fetchedFor(order.Issuer)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(r.Context(), refreshTime)
	defer cancel()
	answer := Refreshed{Sources: make([]RefreshedSource, len(sources))}
	turns := make(chan struct{}, maxFetches)
	var all sync.WaitGroup
	for i, source := range sources {
		turns <- struct{}{}
		all.Go(func() {
			answer.Sources[i] = refetch(ctx, source)
			<-turns
		})
	}
	all.Wait()
	slices.SortFunc(answer.Sources, func(a, b RefreshedSource) int { return compare(a.Source, b.Source) })
	return answer, nil
}

// fetchedFor are the sources of an issuer, or of all, that fetch their keys.
func (a *adminAPI) fetchedFor(issuer string) (fetched []*pool.Source, err error) {
	var all []string
	reason := errNothing
	for _, source := range a.sources() {
		all = append(all, source.Issuers()...)
		if issuer != "" && !slices.Contains(source.Issuers(), issuer) {
			continue
		}
		if _, fetches := source.Stats(); fetches {
			fetched = append(fetched, source)
		} else if issuer != "" {
			reason = pool.ErrNotFetched
		}
	}
	switch {
	case len(fetched) > 0 || issuer == "":
		return fetched, nil
	case errors.Is(reason, pool.ErrNotFetched):
		return nil, wrong(fmt.Errorf("issuer %q: %w", issuer, reason))
	}
	slices.Sort(all)
	return nil, fmt.Errorf("%w: no keys are fetched for an issuer %q; there are %s", errNothing, issuer,
		causes.List(slices.Compact(all)))
}

// refetch fetches the keys of one source.
func refetch(ctx context.Context, source *pool.Source) (out RefreshedSource) {
	before := source.Current().Names()
	out.Result = NotTried
	if ctx.Err() == nil {
		out.Result = Fetched
		if err := source.Refetch(ctx); err != nil {
			out.Result, out.Error = Failed, causes.Line(err)
		}
	}
	out.Source = describe(source, time.Now())
	out.Added, out.Removed = without(out.KeyIDs, before), without(before, out.KeyIDs)
	return out
}

// without is what is in one list and not in another.
func without(list, other []string) (rest []string) {
	for _, name := range list {
		if !slices.Contains(other, name) {
			rest = append(rest, name)
		}
	}
	return rest
}
