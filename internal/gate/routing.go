package gate

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"github.com/caddyjwt/gateway/internal/setting"
)

// orderOpaque makes sure that every opaque token has at most one issuer that is asked about it: asking several would
// show each server the others' tokens. Of issuers without a prefix, one with AskOpaque comes before those with
// AskAlways, and of several of the latter none is asked.
func (p *parties) orderOpaque() error {
	slices.SortFunc(p.opaque, func(a, b *party) int {
		x, y := a.issuer.Asking, b.issuer.Asking
		return cmp.Or(cmp.Compare(len(y.Prefix), len(x.Prefix)), cmp.Compare(x.Prefix, y.Prefix), cmp.Compare(x.Mode, y.Mode))
	})
	p.notTaken = errNoOpaque
	for i := 1; i < len(p.opaque); i++ {
		a, b := p.opaque[i-1], p.opaque[i]
		x, y := a.issuer.Asking, b.issuer.Asking
		switch {
		case x.Prefix != y.Prefix:
		case x.Prefix == "" && y.Mode == AskAlways: // and so are all that follow
			p.opaque = p.opaque[:i]
			if x.Mode == AskAlways {
				p.opaque, p.notTaken = p.opaque[:i-1], errManyOpaque
			}
			return nil
		default:
			return setting.Errorf(element("Issuers", max(a.index, b.index))+".Asking.Prefix",
				"issuers %q and %q both take the same opaque tokens: "+
					"give each introspect block a different \"prefix\" with which its tokens begin", a.name, b.name)
		}
	}
	return nil
}

// Why nobody is asked about an opaque token.
var (
	errNoOpaque   = errors.New("opaque token, and no issuer here takes those, or those that begin so")
	errManyOpaque = errors.New("opaque token, and several issuers here with \"introspect always\" may take those: " +
		"give each introspect block the \"prefix\" with which its tokens begin")
	errNoEncrypted = errors.New("encrypted token (JWE), and no issuer here takes those as it takes opaque ones")
)

// askedAbout finds the issuer whose server is asked about a token that is not verified here; nil when nobody is. A JWT
// that is broken is not worth a question, unless its issuer verifies nothing here and so has no say in what its tokens
// look like.
func (p *parties) askedAbout(token string, what *classified) *party {
	switch what.form {
	case otherJWT:
		return nil // another kind of JWT is no access token, whosever it is (RFC 8725 section 3.12)
	case knownJWT:
		return what.party // without keys: all its tokens are asked about
	}
	for _, party := range p.opaque {
		if strings.HasPrefix(token, party.issuer.Asking.Prefix) && party.takes(what.form) {
			return party
		}
	}
	return nil
}

// takes reports whether the issuer's server is asked about tokens of this form.
func (p *party) takes(what form) bool {
	switch what {
	case foreignJWT:
		return p.issuer.Asking.Mode == AskOpaque
	case brokenJWT:
		return p.issuer.Keys == nil
	default:
		return true
	}
}
