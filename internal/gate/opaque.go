package gate

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/setting"
)

// orderOpaque makes sure that every opaque token has at most one issuer that is asked about it: asking several would
// show each server the others' tokens. Of issuers without a prefix, one with IntrospectOpaque comes before those with
// IntrospectAlways, and of several of the latter none is asked.
func (p *parties) orderOpaque() error {
	slices.SortFunc(p.opaque, func(a, b *party) int {
		x, y := a.issuer.Introspection, b.issuer.Introspection
		return cmp.Or(cmp.Compare(len(y.Prefix), len(x.Prefix)), cmp.Compare(x.Prefix, y.Prefix), cmp.Compare(x.Mode, y.Mode))
	})
	p.notTaken = errNoOpaque
	for i := 1; i < len(p.opaque); i++ {
		a, b := p.opaque[i-1], p.opaque[i]
		x, y := a.issuer.Introspection, b.issuer.Introspection
		switch {
		case x.Prefix != y.Prefix:
		case x.Prefix == "" && y.Mode == IntrospectAlways: // and so are all that follow
			p.opaque = p.opaque[:i]
			if x.Mode == IntrospectAlways {
				p.opaque, p.notTaken = p.opaque[:i-1], errManyOpaque
			}
			return nil
		default:
			return setting.Errorf(element("Issuers", max(a.index, b.index))+".Introspection.Prefix",
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

// opaqueKeeper finds the issuer that is asked about a token which failed as a JWT: one that is no JWT at all, that is
// encrypted, or whose issuer is not known here. A token that claims to be a JWT and is broken is not worth a question,
// unless its issuer verifies nothing here and so has no say in what its tokens look like.
func (g *Gate) opaqueKeeper(token string, err error) *party {
	f := FailureOf(err)
	if f.Reason == InvalidType {
		return nil // another kind of JWT is no access token, whoever keeps it (RFC 8725 section 3.12)
	}
	if f.Issuer != "" {
		keeper := g.parties.issuers[f.Issuer]
		if keeper == nil || keeper.issuer.Keys != nil {
			return nil
		}
		return keeper
	}
	return g.parties.opaqueKeeper(token, formOf(token, f.Reason))
}

// form is what a token looks like that is not verified here.
type form uint8

const (
	opaque     form = iota // no JWT, or a JWE: only its server can read it
	foreignJWT             // of an issuer that is not known here
	brokenJWT
)

func formOf(token string, reason Reason) form {
	switch {
	case reason == UnknownIssuer:
		return foreignJWT
	case jose.LooksLikeJWT(token) && !jose.IsEncrypted(token):
		return brokenJWT
	}
	return opaque
}

// opaqueKeeper finds the issuer that is asked about a token with this beginning and form.
func (p *parties) opaqueKeeper(token string, what form) *party {
	for _, keeper := range p.opaque {
		if strings.HasPrefix(token, keeper.issuer.Introspection.Prefix) && keeper.takes(what) {
			return keeper
		}
	}
	return nil
}

// takes reports whether the issuer is asked about tokens that look like this.
func (p *party) takes(what form) bool {
	switch what {
	case foreignJWT:
		return p.issuer.Introspection.Mode == IntrospectOpaque
	case brokenJWT:
		return p.issuer.Keys == nil
	}
	return true
}

// notTakenFailure says what a token is that nobody is asked about. An opaque or encrypted one is not malformed, and who
// looks for the damage finds none.
func (p *parties) notTakenFailure(token string, err error) error {
	f := FailureOf(err)
	switch {
	case f.Reason != MalformedToken:
		return err
	case jose.IsEncrypted(token):
		return fail(MalformedToken, errNoEncrypted)
	case !jose.LooksLikeJWT(token):
		return fail(MalformedToken, p.notTaken)
	}
	return err
}
