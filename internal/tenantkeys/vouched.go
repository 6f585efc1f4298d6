// Package tenantkeys says which keys may verify the tokens of one tenant of a server. Either the tenants share one set
// of keys, or each has a set of its own. In both cases a key that names an issuer vouches for that issuer only.
package tenantkeys

import (
	"context"
	"fmt"
	"slices"

	"github.com/caddyjwt/gateway/internal/causes"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/internal/tenant"
)

// separate is a source that has a source for each tenant.
type separate interface {
	// Of is the source of one tenant. It opens it if need be.
	Of(name string) keyset.Source
	// CurrentOf is the present set of one tenant. It opens nothing, and neither blocks nor allocates.
	CurrentOf(name string) *keyset.Set
}

// For returns the source of the keys that may verify the tokens of one tenant. It is meant for one token.
func For(source keyset.Source, pattern tenant.Pattern, name string) keyset.Source {
	if each, ok := source.(separate); ok {
		source = each.Of(name)
	}
	v := &vouched{source: source, pattern: pattern, tenant: name}
	if fetcher, can := source.(keyset.Fetcher); can {
		return &vouchedFetcher{v, fetcher}
	}
	return v
}

// InForce reports whether a key that has verified a token of the tenant may still do so. It neither blocks nor
// allocates.
func InForce(source keyset.Source, name string, key *jose.Key) bool {
	if each, ok := source.(separate); ok {
		return each.CurrentOf(name).Has(key)
	}
	return source.Current().Has(key) // the issuer that a key names is a part of what Has compares
}

// vouched has the keys of a source that vouch for one tenant.
type vouched struct {
	source  keyset.Source
	pattern tenant.Pattern
	tenant  string
	seen    []*jose.Key // candidates of the source, those that vouch for others included
}

// Current implements keyset.Source.
func (v *vouched) Current() *keyset.Set { return v.source.Current() }

// Close implements keyset.Source. The source has another owner.
func (v *vouched) Close() error { return nil }

// Find implements keyset.Source.
func (v *vouched) Find(ctx context.Context, alg jose.Algorithm, kid string) ([]*jose.Key, error) {
	keys, err := v.source.Find(ctx, alg, kid)
	if err != nil {
		return nil, err
	}
	ours := v.ours(keys)
	if len(ours) == 0 {
		return nil, v.others()
	}
	return ours, nil
}

// ours leaves out the keys that vouch for other issuers. A key that names no issuer, or names it with the placeholder
// for the tenant, vouches for all tenants.
func (v *vouched) ours(keys []*jose.Key) []*jose.Key {
	v.seen = append(v.seen[:len(v.seen):len(v.seen)], keys...)
	if !slices.ContainsFunc(keys, v.isForeign) {
		return keys
	}
	return slices.DeleteFunc(slices.Clone(keys), v.isForeign)
}

func (v *vouched) isForeign(key *jose.Key) bool {
	if key.Issuer == "" || key.Issuer == v.pattern.Template() {
		return false
	}
	return key.Issuer != v.pattern.Issuer(v.tenant)
}

// others is the error when all candidates vouch for other issuers.
func (v *vouched) others() error {
	var names, issuers []string
	for _, key := range v.seen {
		names, issuers = append(names, key.ID), append(issuers, key.Issuer)
	}
	return fmt.Errorf("%w: the key %s vouches for the issuer %s only (its member \"issuer\"), and not for %s",
		keyset.ErrUnknownKey, causes.List(names), causes.List(issuers), causes.Quote(v.pattern.Issuer(v.tenant)))
}

// vouchedFetcher is vouched for a source that can fetch.
type vouchedFetcher struct {
	*vouched
	fetcher keyset.Fetcher
}

// FindFor implements keyset.Fetcher. When all candidates vouch for other issuers it returns none, so that Recheck comes
// next: the server may have published another key with this id.
func (v *vouchedFetcher) FindFor(ctx context.Context, token keyset.Signed) ([]*jose.Key, error) {
	keys, err := v.fetcher.FindFor(ctx, token)
	if err != nil {
		return nil, err
	}
	return v.ours(keys), nil
}

// Recheck implements keyset.Fetcher.
func (v *vouchedFetcher) Recheck(
	ctx context.Context, token keyset.Signed, tried []*jose.Key,
) ([]*jose.Key, error) {
	keys, err := v.fetcher.Recheck(ctx, token, v.seen)
	if err != nil {
		return nil, err
	}
	ours := v.ours(keys)
	if len(ours) == 0 && len(tried) == 0 {
		return nil, v.others()
	}
	return ours, nil
}
