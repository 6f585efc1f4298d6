package gate

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/caddyjwt/gateway/internal/causes"
	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/jose"
)

// An authorization server signs access tokens, ID tokens and others with the same keys. The rules in this file keep the
// other kinds out (RFC 8725 section 3.12). They go by what a token says about its own kind. Where the audience is any,
// a token must also show something that the other kinds lack.

// accessTokenType is the typ of access tokens (RFC 9068 section 2.1).
const accessTokenType = "at+jwt"

var (
	errUndeclared = errors.New("the answer does not say that it is about an access token, and the audience is any: " +
		"give the issuer an audience, or name in its required_claims one that only answers about access tokens have")
	errNoSubjectOrClient = fmt.Errorf(
		"%w: sub or client_id, which is needed because the audience is any and nothing else identifies access tokens",
		claims.ErrMissing)
)

// checkKind refuses JWTs of other kinds than access tokens, unless the issuer's "type" names the kind. The party may be
// nil. The check comes before the signature, so no server is ever asked about such a token. The error is the cause of
// an InvalidType.
func (p *party) checkKind(header *jose.Header, kind claims.Kind) error {
	if header.OtherKind {
		if !p.namesType(header.Type) {
			return otherType(header)
		}
		return nil // an explicit type that the issuer's "type" names (RFC 8725 section 3.11) outweighs the payload
	}
	if claims.OtherKind(header.Type) != "" && !p.namesType(header.Type) {
		return otherType(header)
	}
	return p.checkDeclaredKind(kind)
}

// otherType is the cause for a typ of another kind.
func otherType(header *jose.Header) error {
	return fmt.Errorf("typ is %s, which is that of another kind of JWT than an access token; "+
		"if the issuer's access tokens have it, name it with \"type\"", causes.Quote(header.Type))
}

// checkDeclaredKind refuses a token or answer whose claims declare other kinds than an access token, unless the
// issuer's "type" names each of those kinds. The error is the cause of an InvalidType.
func (p *party) checkDeclaredKind(kind claims.Kind) error {
	for _, other := range kind.Others {
		if !p.namesType(other.Name) {
			return fmt.Errorf("%s says that this is a token of the kind %s, and not an access token",
				other.By, causes.Quote(other.Name))
		}
	}
	return nil
}

// namesType reports whether the issuer's "type" names this type or kind of token. Consumers have no "type".
func (p *party) namesType(kind string) bool {
	return p != nil && p.issuer != nil && slices.Contains(p.issuer.Types, kind)
}

// checkType checks typ against the issuer's "type". If the payload declares other kinds, checkKind has made sure that
// "type" names those.
func (p *party) checkType(header *jose.Header, kind claims.Kind) error {
	if len(p.issuer.Types) == 0 || p.namesType(header.Type) || len(kind.Others) > 0 {
		return nil
	}
	return fail(InvalidType, fmt.Errorf("typ is %s; allowed here: %s",
		causes.Quote(header.Type), causes.List(p.issuer.Types)))
}

// checkSubjectOrClient requires a subject or a client if no setting distinguishes access tokens from other JWTs. An
// access token names its subject or its client (RFC 9068 section 2.2: both). Some refresh tokens differ from access
// tokens in nothing else: those of InterSystems IRIS have no sub.
func (p *party) checkSubjectOrClient(set *claims.Set) error {
	if p.ambiguous.JWTs && set.Subject == "" && set.ClientID == "" {
		return fail(MissingClaim, errNoSubjectOrClient)
	}
	return nil
}

// requireDeclared requires that the token or the answer declares an access token, if no setting distinguishes those
// from other kinds. Servers call refresh tokens active, too. Some of their answers about refresh tokens differ from
// others only in that they lack token_type, which is the type of an access token (RFC 7662 section 2.2).
func requireDeclared(ambiguous, declared bool) error {
	if ambiguous && !declared {
		return fail(InvalidType, errUndeclared)
	}
	return nil
}

// Ambiguous reports for which tokens of an issuer no setting distinguishes access tokens from other kinds.
type Ambiguous struct {
	JWTs    bool // JWTs that are verified here
	Answers bool // answers about tokens that are not verified here
}

// Ambiguous looks at the settings of an issuer and the route. Tokens are ambiguous if both audiences are any, and the
// issuer requires nothing that only an access token has. An audience does distinguish kinds: that of an ID token is the
// client (OpenID Connect Core 1.0 section 2), that of a refresh token the authorization server.
func (c *Config) Ambiguous(i *Issuer) Ambiguous {
	if c.HandedIn || len(c.Audience.Accepted) > 0 || len(i.Audience.Accepted) > 0 {
		return Ambiguous{}
	}
	typed := len(i.Types) > 0 && !slices.Contains(i.Types, "jwt") && !slices.Contains(i.Types, "jose")
	return Ambiguous{
		JWTs:    !i.AccessTokenProfile && !typed && !requiresBeyond(i.RequiredClaims, commonInJWTs),
		Answers: !requiresBeyond(i.RequiredClaims, commonInAnswers),
	}
}

// Claims that tokens of all kinds may have, so that requiring them does not distinguish kinds.
var (
	commonInJWTs    = []string{"iss", "aud", "exp", "nbf", "iat", "jti", "scope", "scp"}
	commonInAnswers = append([]string{"active", "sub", "username", "client_id"}, commonInJWTs...)
)

// requiresBeyond reports whether a claim is required that is not among the common ones.
func requiresBeyond(required []claims.Path, common []string) bool {
	return slices.ContainsFunc(required, func(p claims.Path) bool {
		name := p.String()
		if pointer, ok := strings.CutPrefix(name, "/"); ok { // /sub is sub, and /aud/0 is in aud
			name, _, _ = strings.Cut(pointer, "/")
		}
		return !slices.Contains(common, name)
	})
}
