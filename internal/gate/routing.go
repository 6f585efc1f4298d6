package gate

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"github.com/caddyjwt/gateway/internal/setting"
)

// orderOpaque makes sure that at most one issuer is asked about an opaque token. Asking several would show each server
// the others' tokens. Of issuers without a prefix, one with AskOpaque has precedence over those with AskAlways. If
// several have AskAlways and none has AskOpaque, none of them is asked.
func (p *parties) orderOpaque() error {
	slices.SortFunc(p.opaque, func(a, b *party) int {
		x, y := a.issuer.Asking, b.issuer.Asking
		return cmp.Or(cmp.Compare(len(y.Prefix), len(x.Prefix)), cmp.Compare(x.Prefix, y.Prefix), cmp.Compare(x.Mode, y.Mode))
	})
	p.notAsked = errNoOpaque
	if len(p.opaque) > 0 {
		p.notAsked = errNoPrefix
	}
	for i := 1; i < len(p.opaque); i++ {
		a, b := p.opaque[i-1], p.opaque[i]
		x, y := a.issuer.Asking, b.issuer.Asking
		switch {
		case x.Prefix != y.Prefix:
		case x.Prefix == "" && y.Mode == AskAlways: // the same holds for all that follow
			p.opaque = p.opaque[:i]
			if x.Mode == AskAlways {
				p.opaque, p.notAsked = p.opaque[:i-1], errManyOpaque
			}
			return nil
		default:
			return setting.Errorf(setting.Element("Issuers", max(a.index, b.index))+".Asking.Prefix",
				"issuers %q and %q both take the same opaque tokens: "+
					"give each introspect block a different \"prefix\" with which its tokens begin", a.name, b.name)
		}
	}
	return nil
}

// Why nobody is asked about an opaque token.
var (
	errNoOpaque   = errors.New("opaque token, but no issuer here takes opaque tokens: none has a fitting introspect block")
	errNoPrefix   = errors.New("opaque token, but no issuer here takes opaque tokens that begin like this one (prefix)")
	errManyOpaque = errors.New("opaque token, and several issuers here with \"introspect always\" may take those: " +
		"give each introspect block the \"prefix\" with which its tokens begin")
	errNoEncrypted = errors.New("encrypted token (JWE), and no key here opens it: no issuer here has a decrypt block, " +
		"and none takes opaque tokens")
)

// askedAbout returns the issuer whose server is asked about a token that is not verified here, or nil. A broken JWT is
// not worth a question, with one exception: if an issuer has no keys here, its tokens may look like anything.
func (p *parties) askedAbout(token string, class *classification) *party {
	switch class.form {
	case otherKindJWT, unsealed:
		return nil // never an access token, whoever issued it (RFC 8725 section 3.12); or it was for us to read
	case knownJWT:
		return class.party // it has no keys, so its server is asked about all its tokens
	}
	for _, party := range p.opaque {
		if strings.HasPrefix(token, party.issuer.Asking.Prefix) && party.takes(class.form) {
			return party
		}
	}
	return nil
}

// takes reports whether the issuer's server is asked about tokens of this form that name no configured party.
func (p *party) takes(f form) bool {
	switch f {
	case unknownJWT:
		return p.issuer.Asking.Mode == AskOpaque
	case brokenJWT:
		return p.issuer.Keys == nil
	default:
		return true
	}
}
