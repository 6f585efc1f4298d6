package gate

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/jose"
)

// One authorization server signs access tokens, ID tokens and others with the same keys. The rules here keep the others
// out (RFC 8725 section 3.12): by what a token says about its kind, and where the audience does not help, by what it
// lacks.

// accessTokenType is the typ of access tokens (RFC 9068 section 2.1).
const accessTokenType = "at+jwt"

var (
	errOtherType = errors.New("typ is that of another kind of JWT; if it is that of the issuer's access tokens, " +
		"name it with \"type\"")
	errUnsaid = errors.New("the answer does not say that it is about an access token, and the audience is any: " +
		"give the issuer an audience, or have it \"require\" what only answers about access tokens have")
	errNameless = fmt.Errorf("%w: sub or client_id, where the audience is any and nothing else tells access tokens apart",
		claims.ErrMissing)
)

// acceptsKind refuses another kind of JWT than an access token, whosever it is, unless the issuer's "type" names that
// kind. It comes before the signature: no server is ever asked about such a token. The error is the cause of an
// InvalidType.
func (p *party) acceptsKind(header *jose.Header, kind claims.Kind) error {
	if header.Foreign {
		if !p.wants(header.Type) {
			return errOtherType
		}
		return nil // an explicit type that was asked for (RFC 8725 section 3.11): nothing in the payload says more
	}
	if claims.OtherKind(header.Type) != "" && !p.wants(header.Type) {
		return errOtherType
	}
	return p.wantsKind(kind)
}

// wantsKind refuses what says that it is no access token, unless the issuer's "type" names every kind that it says. The
// error is the cause of an InvalidType.
func (p *party) wantsKind(kind claims.Kind) error {
	for _, other := range kind.Others {
		if !p.wants(other.Name) {
			return fmt.Errorf("%s says that this is no access token", other.By)
		}
	}
	return nil
}

// wants reports whether the issuer's "type" names this type or kind of token. A consumer's tokens have no such word.
func (p *party) wants(kind string) bool {
	return p != nil && p.issuer != nil && slices.Contains(p.issuer.Types, kind)
}

// checkType holds a JWT to the issuer's "type". Where the payload says another kind, that was held to it before.
func (p *party) checkType(header *jose.Header, kind claims.Kind) error {
	if len(p.issuer.Types) == 0 || p.wants(header.Type) || len(kind.Others) > 0 {
		return nil
	}
	return fail(InvalidType, fmt.Errorf("typ is not one of %q", p.issuer.Types))
}

// checkNamed asks a JWT for somebody whose token it is, where nothing else tells access tokens from others. An access
// token names its subject or its client (RFC 9068 section 2.2: both). Some refresh tokens differ from their access
// tokens in nothing else: those of InterSystems IRIS have no sub.
func (p *party) checkNamed(set *claims.Set) error {
	if p.untold.JWTs && set.Subject == "" && set.ClientID == "" {
		return fail(MissingClaim, errNameless)
	}
	return nil
}

// checkSaid wants somebody to say that this is an access token, where nothing else tells. Servers call refresh tokens
// active, too, and some answer about them without token_type, and with nothing else that differs (RFC 7662 section 2.2:
// token_type is that of an access token).
func checkSaid(untold, said bool) error {
	if untold && !said {
		return fail(InvalidType, errUnsaid)
	}
	return nil
}

// Untold says of which tokens of an issuer nothing that is configured tells access tokens from other kinds.
type Untold struct {
	JWTs    bool // that are verified here
	Answers bool // about tokens that the authorization server is asked about, opaque as they are
}

// Untold reports where the audience is any, for the issuer and for the route, and the issuer asks for nothing that only
// an access token has. An audience does tell kinds apart: that of an ID token is the client (OpenID Connect Core 1.0
// section 2), that of a refresh token the authorization server.
func (c *Config) Untold(i *Issuer) Untold {
	if len(c.Audience.Accepted) > 0 || len(i.Audience.Accepted) > 0 {
		return Untold{}
	}
	typed := len(i.Types) > 0 && !slices.Contains(i.Types, "jwt") && !slices.Contains(i.Types, "jose")
	return Untold{
		JWTs:    !i.AccessTokenProfile && !typed && !requiresBeyond(i.Require, inEveryJWT),
		Answers: !requiresBeyond(i.Require, inEveryAnswer),
	}
}

// What tokens of all kinds may have. To require it tells no kinds apart.
var (
	inEveryJWT    = []string{"iss", "aud", "exp", "nbf", "iat", "jti", "scope", "scp"}
	inEveryAnswer = append([]string{"active", "sub", "username", "client_id"}, inEveryJWT...)
)

// requiresBeyond reports whether a claim is required that is not a common one.
func requiresBeyond(required []claims.Path, common []string) bool {
	return slices.ContainsFunc(required, func(p claims.Path) bool {
		name := p.String()
		if pointer, ok := strings.CutPrefix(name, "/"); ok { // /sub is sub, and /aud/0 is in aud
			name, _, _ = strings.Cut(pointer, "/")
		}
		return !slices.Contains(common, name)
	})
}
