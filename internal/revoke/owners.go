package revoke

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddyjwt/gateway/internal/claims"
)

// Owner is an issuer or some consumers whose tokens can be revoked.
type Owner struct {
	// Issuer is its name, perhaps with "*". Empty for consumers.
	Issuer string
	// IsTenant reports whether an iss is that of a tenant of the issuer. Nil for an issuer without tenants.
	IsTenant func(iss string) bool
	// IsConsumer reports whether a username is that of one of these consumers. Nil for an issuer.
	IsConsumer func(username string) bool
	// MaxLifetime is the longest life that a token may have. It is zero only for a gate whose issuer has another owner
	// that says so.
	MaxLifetime time.Duration
	// Leeway is the clock difference that is tolerated.
	Leeway time.Duration
	// SameClock says that whoever issues the tokens has our clock, so that a cut-off needs no leeway.
	SameClock bool
	// Claims are those by whose values tokens can be revoked.
	Claims []Path
}

// owns reports whether the tokens of a target may be the owner's.
func (o *Owner) owns(t *Target) bool {
	if o.IsConsumer != nil {
		return t.Consumer != "" && o.IsConsumer(t.Consumer)
	}
	return t.Issuer != "" && (t.Issuer == o.Issuer || o.IsTenant != nil && o.IsTenant(t.Issuer))
}

// isPattern reports whether an issuer is the name with "*" of the owner.
func (o *Owner) isPattern(issuer string) bool { return o.IsTenant != nil && o.Issuer == issuer }

// keep is how long an entry is needed after its cut-off. A token may carry an iat that is ahead by the leeway, and is
// accepted for the leeway after its exp. One owner may issue the longest tokens, and another one have the largest
// leeway. A minute is for clocks of several nodes.
func keep(owners []*Owner) time.Duration {
	var longest, leeway time.Duration
	for _, owner := range owners {
		longest, leeway = max(longest, owner.MaxLifetime), max(leeway, owner.Leeway)
	}
	return longest + 2*leeway + time.Minute
}

// Owners are those of all gates. Several gates may have the same issuer, with different settings. The zero value is
// empty and ready to use.
type Owners struct {
	mu     sync.RWMutex
	owners map[*Owner]struct{}
}

// Add adds owners. Call remove when their gate is no longer in force.
func (o *Owners) Add(owners ...Owner) (remove func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.owners == nil {
		o.owners = make(map[*Owner]struct{})
	}
	var added []*Owner
	for i := range owners {
		owner := &owners[i]
		o.owners[owner] = struct{}{}
		added = append(added, owner)
	}
	return func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		for _, owner := range added {
			delete(o.owners, owner)
		}
	}
}

// Errors of Complete.
var (
	ErrOwner    = errors.New("no gate accepts tokens of that name which can be revoked")
	ErrTenants  = errors.New("the name stands for many tenants, of which only all tokens can be revoked together")
	ErrClaim    = errors.New("the tokens cannot be revoked by that claim")
	ErrNotAfter = errors.New("unusable not_after")
)

// Complete sets At, NotAfter to now if it is zero, Leeway, the Claim as targets have it, and Expires: the entry lasts
// as long as any token that it refuses could live. It refuses an entry for tokens that no gate accepts, so that nobody
// takes a mistake for a revocation.
func (o *Owners) Complete(e *Entry, now time.Time) error {
	owners := o.of(&e.Target)
	if len(owners) == 0 {
		return fmt.Errorf("%w: %s; known are: %s", ErrOwner, e.Whose(), o.names())
	}
	if e.Kind != All && slices.ContainsFunc(owners, func(o *Owner) bool { return o.isPattern(e.Issuer) }) {
		return fmt.Errorf("%w: %s; name the issuer as the tokens do", ErrTenants, e.Whose())
	}
	if err := completeClaim(e, owners); err != nil {
		return err
	}
	e.At = now
	from := now
	if !e.Kind.IsToken() {
		if e.NotAfter.IsZero() {
			e.NotAfter = now
		}
		if e.NotAfter.After(now) {
			return fmt.Errorf("%w: it is in the future, and would refuse tokens that nobody has yet", ErrNotAfter)
		}
		e.NotAfter = e.NotAfter.Truncate(time.Millisecond)
		from = e.NotAfter
	}
	for _, owner := range owners {
		if !e.Kind.IsToken() && !owner.SameClock {
			e.Leeway = max(e.Leeway, owner.Leeway)
		}
	}
	if expires := from.Add(keep(o.bounding(&e.Target, owners))).Truncate(time.Second).Add(time.Second); expires.After(
		e.Expires) {
		e.Expires = expires
	}
	if !e.Expires.After(now) {
		return fmt.Errorf("%w: all tokens that were issued until then have expired", ErrNotAfter)
	}
	return e.Check()
}

// completeClaim sets the claim as targets have it. All gates that may get the tokens must look for it, or the tokens
// would pass at some of them.
func completeClaim(e *Entry, owners []*Owner) error {
	if e.Kind != Claim {
		return nil
	}
	path, err := claims.ParsePath(e.Claim)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrClaim, err)
	}
	e.Claim = path.Pointer()
	var known []string
	looking := 0
	for _, owner := range owners {
		for _, has := range owner.Claims {
			known = append(known, has.path.String())
		}
		if slices.ContainsFunc(owner.Claims, func(has Path) bool { return has.name == e.Claim }) {
			looking++
		}
	}
	slices.Sort(known)
	switch {
	case looking == len(owners):
		return nil
	case looking > 0:
		return fmt.Errorf("%w: %q; some gates that accept tokens of the issuer do not look for it, and the tokens would "+
			"pass there: write \"revocation claim %v\" in the issuer of each gate", ErrClaim, path.String(), path)
	case len(known) == 0:
		return fmt.Errorf("%w: %q; write \"revocation claim %v\" in the issuer", ErrClaim, path.String(), path)
	default:
		return fmt.Errorf("%w: %q; those of the issuer are: %s", ErrClaim, path.String(),
			strings.Join(slices.Compact(known), ", "))
	}
}

// all are the owners of all gates.
func (o *Owners) all() []*Owner {
	o.mu.RLock()
	defer o.mu.RUnlock()
	return slices.Collect(maps.Keys(o.owners))
}

// of are the owners of a target.
func (o *Owners) of(t *Target) (owners []*Owner) {
	o.mu.RLock()
	defer o.mu.RUnlock()
	for owner := range o.owners {
		if owner.owns(t) {
			owners = append(owners, owner)
		}
	}
	return owners
}

// Leeway is the largest of the owners of a target.
func (o *Owners) Leeway(t Target) (leeway time.Duration) {
	for _, owner := range o.of(&t) {
		leeway = max(leeway, owner.Leeway)
	}
	return leeway
}

// Know reports whether some gate accepts tokens of an issuer which can be revoked.
func (o *Owners) Know(issuer string) bool { return len(o.of(&Target{Issuer: issuer})) > 0 }

// bounding are the owners whose longest lives say how long an entry lasts, of which some own the target. For a consumer
// they are those of all consumers, because the store has one longest life for all consumers: see Ledger.Bound.
func (o *Owners) bounding(t *Target, owning []*Owner) []*Owner {
	if t.Consumer == "" {
		return owning
	}
	return slices.DeleteFunc(o.all(), func(owner *Owner) bool { return owner.IsConsumer == nil })
}

// manyNames is how many owners an error names.
const manyNames = 10

// names are those of the issuers, and whether there are consumers.
func (o *Owners) names() string {
	o.mu.RLock()
	defer o.mu.RUnlock()
	var names []string
	for owner := range o.owners {
		name := owner.Issuer
		if owner.IsConsumer != nil {
			name = "consumers of a gate, by username"
		}
		names = append(names, name)
	}
	slices.Sort(names)
	if names = slices.Compact(names); len(names) == 0 {
		return "none"
	}
	if more := len(names) - manyNames; more > 0 {
		names = append(names[:manyNames], fmt.Sprintf("%d more", more))
	}
	return strings.Join(names, ", ")
}
