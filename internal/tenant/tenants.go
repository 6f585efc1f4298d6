package tenant

import (
	"errors"
	"fmt"

	"github.com/caddyjwt/gateway/internal/causes"
)

// Tenants are the tenants of one server that are accepted.
type Tenants struct {
	// Pattern is their issuers.
	Pattern Pattern
	// Listed are those that are accepted. It is asked on every request, so it may change.
	Listed List `fingerprint:"-"`
}

// Has reports whether an issuer is that of a tenant that is accepted. It does not allocate.
func (t *Tenants) Has(issuer string) bool {
	name, ok := t.Pattern.Tenant(issuer)
	return ok && t.Listed.Has(name)
}

// maxPatterns bounds an Index: each pattern is compared with every issuer that is looked up.
const maxPatterns = 32

// Index finds the pattern that an issuer matches. Build it before it is used by several goroutines.
type Index[T any] struct{ all []indexed[T] }

type indexed[T any] struct {
	of    *Tenants
	value T
}

// Add adds a pattern and what Find returns for it. It refuses a pattern if an issuer could match another one as well.
func (x *Index[T]) Add(of *Tenants, value T) error {
	if len(x.all) == maxPatterns {
		return fmt.Errorf(`there are more than %d issuers with "*"`, maxPatterns)
	}
	if of.Listed == nil {
		return errors.New("it is not said which tenants are accepted")
	}
	for _, other := range x.all {
		if other.of.Pattern.Overlaps(&of.Pattern) {
			return fmt.Errorf("the issuers %q and %q can match the same iss: no token may belong to either",
				other.of.Pattern.String(), of.Pattern.String())
		}
	}
	x.all = append(x.all, indexed[T]{of, value})
	return nil
}

// Find returns the value of the pattern that an issuer matches, if its tenant is accepted. It does not allocate.
func (x *Index[T]) Find(issuer string) (value T, ok bool) {
	if at, name := x.match(issuer); at != nil && at.of.Listed.Has(name) {
		return at.value, true
	}
	return value, false
}

// Matches reports whether an issuer matches a pattern. Its tenant need not be accepted.
func (x *Index[T]) Matches(issuer string) bool {
	at, _ := x.match(issuer)
	return at != nil
}

// Unlisted says that an issuer matches a pattern, but that its tenant is not accepted; or that it is a pattern itself.
// Otherwise it is empty.
func (x *Index[T]) Unlisted(issuer string) string {
	at, name := x.match(issuer)
	if at == nil {
		for i := range x.all {
			if issuer != "" && issuer == x.all[i].of.Pattern.String() {
				return "that is how the issuer is configured: a token has a tenant in place of \"*\""
			}
		}
		return ""
	}
	return fmt.Sprintf("the tenant %s of the issuer %s is not among its tenants",
		causes.Quote(name), causes.Quote(at.of.Pattern.String()))
}

func (x *Index[T]) match(issuer string) (at *indexed[T], name string) {
	for i := range x.all {
		if name, ok := x.all[i].of.Pattern.Tenant(issuer); ok {
			return &x.all[i], name
		}
	}
	return nil, ""
}
