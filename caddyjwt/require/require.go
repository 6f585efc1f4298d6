// Package require has what can be required of a caller by scope, sign-in, claim and group: the JSON, the Caddyfile, the
// mistakes in both, and the way into the gate's own types. The handler and the matcher use it, so both have the same
// rules.
package require

import (
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/setting"
)

// Requirements are what an accepted token must have.
type Requirements struct {
	// Scopes that the token must have, all of them, in "scope" or "scp". Default: none. Placeholders are resolved.
	Scopes []string `json:"scopes,omitempty"`
	// Lists of scopes. Of each list, the token must have one scope, in "scope" or "scp". Put first the scope that a client
	// should ask for: the challenge names the first of each list, and no others. Default: none. Placeholders are resolved.
	AnyScopes [][]string `json:"any_scopes,omitempty"`
	// Authentication context classes. The token's "acr" must be one of them, as one text, compared exactly (RFC 9470).
	// Printable ASCII without blanks, quotes and backslashes. The challenge lists them in this order, the preferred one
	// first. Default: any, or none. Placeholders are resolved.
	ACR []string `json:"acr,omitempty"`
	// How long ago the user may have signed in, by the token's "auth_time" (RFC 9470): whole seconds, at most 366 days. A
	// refreshed token keeps its auth_time. The issuer's leeway is added. Default: no bound.
	MaxAuthAge caddy.Duration `json:"max_auth_age,omitempty"`
	// Claims that the token must have, all of them. Default: none.
	Claims []Claim `json:"claims,omitempty"`
	// Groups of which the token must have one: among the consumer's groups, or in the "groups" claim of an issuer's token.
	// Default: none. Placeholders are resolved.
	Groups []string `json:"groups,omitempty"`
}

// Claim asks for a claim.
type Claim struct {
	// Path of the claim: names joined by dots (realm_access.roles), with "\." for a dot inside a name. A path with "://"
	// in it is one name as it stands (https://example.com/roles). A path that begins with "/" is a JSON pointer.
	Claim string `json:"claim"`
	// Values of which the claim must be one, or contain one if it is an array. Compared exactly. Default: any value that
	// is not empty. Placeholders are resolved.
	Values []string `json:"values,omitempty"`
}

// Empty reports whether nothing is required.
func (r *Requirements) Empty() bool {
	return len(r.Scopes) == 0 && len(r.AnyScopes) == 0 && len(r.ACR) == 0 && r.MaxAuthAge == 0 &&
		len(r.Claims) == 0 && len(r.Groups) == 0
}

// Compile resolves placeholders and checks every setting on its own. word is how errors name the requirements, and
// their fields are relative to them. known is true when all scopes and groups are known (see words.Settings).
func (r *Requirements) Compile(s *words.Settings, word string) (out gate.Requirements, known bool, err error) {
	var scopes, anyScopes, acr, groups bool
	if out.Scopes, scopes, err = s.Texts(word+" scope", r.Scopes); err != nil {
		return out, false, setting.In("Scopes", err)
	}
	if out.AnyScopes, anyScopes, err = compileAnyScopes(s, word+" any_scope", r.AnyScopes); err != nil {
		return out, false, setting.In("AnyScopes", err)
	}
	if out.ACR, acr, err = s.Texts(word+" acr", r.ACR); err != nil {
		return out, false, setting.In("ACR", err)
	}
	out.MaxAuthAge = time.Duration(r.MaxAuthAge)
	if out.Groups, groups, err = s.Texts(word+" group", r.Groups); err != nil {
		return out, false, setting.In("Groups", err)
	}
	if err := words.NotEmpty(word+" claims", r.Claims); err != nil {
		return out, false, setting.In("Claims", err)
	}
	for i, claim := range r.Claims {
		compiled, err := claim.compile(s, word+" claim")
		if err != nil {
			return out, false, setting.In(fmt.Sprintf("Claims[%d]", i), err)
		}
		out.Claims = append(out.Claims, compiled)
	}
	return out, scopes && anyScopes && acr && groups, nil
}

// compileAnyScopes resolves placeholders in lists of scopes. Nobody could meet an empty list, so it is a mistake.
func compileAnyScopes(s *words.Settings, word string, lists [][]string) (out [][]string, known bool, err error) {
	if err := words.NotEmpty(word, lists); err != nil {
		return nil, false, err
	}
	known = true
	for i, list := range lists {
		scopes, ok, err := s.Texts(word, list)
		if err != nil {
			return nil, false, setting.In(fmt.Sprintf("[%d]", i), err)
		}
		out, known = append(out, scopes), known && ok
	}
	return out, known, nil
}

func (c *Claim) compile(s *words.Settings, word string) (out gate.ClaimRequirement, err error) {
	if out.Path, err = ClaimPath(word, c.Claim); err != nil {
		return out, err
	}
	out.Values, _, err = s.Texts(word+" "+c.Claim, c.Values)
	return out, err
}

// ClaimPath reads the path of a claim. word is how errors name it.
func ClaimPath(word, text string) (claims.Path, error) {
	if err := words.Literal(word, text); err != nil {
		return claims.Path{}, err
	}
	path, err := claims.ParsePath(text)
	if err != nil {
		return claims.Path{}, fmt.Errorf("%s: %w", word, err)
	}
	return path, nil
}
