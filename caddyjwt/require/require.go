// Package require has what can be required of a caller by scope, sign-in, claim, header and group: the JSON, the
// Caddyfile, the mistakes in both, and the way into the gate's own types. The handler and the matcher use it, so both
// have the same rules.
package require

import (
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/demand"
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
	// What the token's JOSE header must have, all of it. The header is that of a JWT which was verified here. Any other
	// caller is refused: one with an opaque token, with a token that only its server judges, or without a token. Default:
	// nothing.
	Header []HeaderMember `json:"header,omitempty"`
	// Groups of which the token must have one: among the consumer's groups, or in the "groups" claim of an issuer's token.
	// Default: none. Placeholders are resolved.
	Groups []string `json:"groups,omitempty"`
	// What the token must not have. Default: nothing is excluded.
	Not *Excluded `json:"not,omitempty"`
	// Blocks of alternatives. Of each block, the token must meet one alternative. A block has at least two. The challenge
	// names the scopes of the first alternative that asks for scopes alone. Default: none.
	Any [][]Alternative `json:"any,omitempty"`
}

// Alternative is one way to meet a block of requirements. All of it must be met.
type Alternative struct {
	// As in require.
	Scopes []string `json:"scopes,omitempty"`
	// As in require.
	AnyScopes [][]string `json:"any_scopes,omitempty"`
	// As in require.
	Claims []Claim `json:"claims,omitempty"`
	// As in require.
	Header []HeaderMember `json:"header,omitempty"`
	// As in require.
	Groups []string `json:"groups,omitempty"`
	// As in require.
	Not *Excluded `json:"not,omitempty"`
}

// Excluded is what a token must not have, none of it. A token without the claim passes: to refuse that, too, require
// the claim as well.
type Excluded struct {
	// Scopes of which the token must have none, nor a scope that implies one. Default: none. Placeholders are resolved.
	Scopes []string `json:"scopes,omitempty"`
	// Claims that must not be like this, all of them. A claim that is absent, null or empty is not. Any other must be a
	// text, number or boolean, or a list of these: an object, for example, is refused, because nobody can say what a
	// reader sees in it. Numbers are compared by their value: 5 excludes 5.0. With like, the claim must have texts only.
	// Not with at_least and at_most. Without values and patterns, the claim must be absent or empty. Default: none.
	Claims []Claim `json:"claims,omitempty"`
	// Members of the JOSE header that must not be like this, under the rules for claims. Whoever has no JWT that was
	// verified here is refused: nobody can say what its header has. Default: none.
	Header []HeaderMember `json:"header,omitempty"`
	// Groups in none of which the caller may be. A groups claim is judged like the other claims here. Default: none.
	// Placeholders are resolved.
	Groups []string `json:"groups,omitempty"`
}

// Claim asks for a claim.
type Claim struct {
	// Path of the claim: names joined by dots (realm_access.roles), with "\." for a dot inside a name. A path with "://"
	// in it is one name as it stands (https://example.com/roles). A path that begins with "/" is a JSON pointer.
	Claim string `json:"claim"`
	Comparison
}

// HeaderMember asks for a member of the JOSE header, such as "kid".
type HeaderMember struct {
	// Path of the member, in the notation for claims.
	Member string `json:"member"`
	Comparison
}

// Comparison says what a claim, or a member of the header, must be. It has at most one of values, like, at_least and
// at_most.
type Comparison struct {
	// Values of which the claim must be one, or contain one if it is an array. Compared exactly. Default: any value that
	// is not empty. Placeholders are resolved.
	Values []string `json:"values,omitempty"`
	// Patterns of which the claim must match one, or contain a text that does if it is an array. A pattern has one "*", at
	// its beginning or its end, which stands for any text, also for none. All else is compared exactly. End or begin the
	// rest with /, :, . or @: "repo:org*" also matches "repo:org-evil/x". Numbers and booleans match no pattern.
	// Placeholders are resolved.
	Like []string `json:"like,omitempty"`
	// The least number that the claim may be, as a text: "18". Compared exactly, without rounding. A claim that is not a
	// number, such as the text "20", is refused. Placeholders are resolved.
	AtLeast Number `json:"at_least,omitempty"`
	// The greatest number that the claim may be, as at_least. For a range, write the claim twice.
	AtMost Number `json:"at_most,omitempty"`
}

// common are the requirements that an alternative may have, too.
func (r *Requirements) common() *Alternative {
	return &Alternative{r.Scopes, r.AnyScopes, r.Claims, r.Header, r.Groups, r.Not}
}

// Empty reports whether nothing is required.
func (r *Requirements) Empty() bool {
	return len(r.ACR) == 0 && r.MaxAuthAge == 0 && len(r.Any) == 0 && r.common().empty()
}

func (a *Alternative) empty() bool {
	return len(a.Scopes)+len(a.AnyScopes)+len(a.Claims)+len(a.Header)+len(a.Groups) == 0 && a.Not == nil
}

// Compile resolves placeholders and checks every setting on its own. word is how errors name the requirements, and
// their fields are relative to them. known is true when all scopes and groups are known (see words.Settings).
func (r *Requirements) Compile(s *words.Settings, word string) (out gate.Requirements, known bool, err error) {
	all, known, err := r.common().compile(s, word)
	if err != nil {
		return out, false, err
	}
	out = gate.Requirements{
		Scopes: all.Scopes, AnyScopes: all.AnyScopes, Claims: all.Claims, Header: all.Header, Groups: all.Groups,
		Not:        all.Not,
		MaxAuthAge: time.Duration(r.MaxAuthAge),
	}
	var acr bool
	if out.ACR, acr, err = s.Texts(word+" acr", r.ACR); err != nil {
		return out, false, setting.In("ACR", err)
	}
	known = known && acr
	if err := words.NotEmpty(word+" any", r.Any); err != nil {
		return out, false, setting.In("Any", err)
	}
	for i, block := range r.Any {
		var alternatives []demand.All
		for j := range block {
			alternative, ok, err := block[j].compile(s, word+" any")
			if err != nil {
				return out, false, setting.In(fmt.Sprintf("Any[%d][%d]", i, j), err)
			}
			alternatives, known = append(alternatives, alternative), known && ok
		}
		out.Any = append(out.Any, alternatives)
	}
	return out, known, nil
}

func (a *Alternative) compile(s *words.Settings, word string) (out demand.All, known bool, err error) {
	var scopes, anyScopes, groups bool
	if out.Scopes, scopes, err = s.Texts(word+" scope", a.Scopes); err != nil {
		return out, false, setting.In("Scopes", err)
	}
	if out.AnyScopes, anyScopes, err = compileAnyScopes(s, word+" any_scope", a.AnyScopes); err != nil {
		return out, false, setting.In("AnyScopes", err)
	}
	if out.Groups, groups, err = s.Texts(word+" group", a.Groups); err != nil {
		return out, false, setting.In("Groups", err)
	}
	if out.Claims, err = compileConditions(s, word+" claim", word+" claims", a.Claims); err != nil {
		return out, false, setting.In("Claims", err)
	}
	if out.Header, err = compileConditions(s, word+" header", word+" header", a.Header); err != nil {
		return out, false, setting.In("Header", err)
	}
	known = scopes && anyScopes && groups
	if a.Not != nil {
		var ok bool
		if out.Not, ok, err = a.Not.compile(s, word+" not"); err != nil {
			return out, false, setting.In("Not", err)
		}
		known = known && ok
	}
	return out, known, nil
}

func (e *Excluded) compile(s *words.Settings, word string) (out demand.Exclusions, known bool, err error) {
	if len(e.Scopes)+len(e.Claims)+len(e.Header)+len(e.Groups) == 0 {
		return out, false, fmt.Errorf("%s excludes nothing: leave it out, or add a scope, claim, header or group", word)
	}
	var scopes, groups bool
	if out.Scopes, scopes, err = s.Texts(word+" scope", e.Scopes); err != nil {
		return out, false, setting.In("Scopes", err)
	}
	if out.Groups, groups, err = s.Texts(word+" group", e.Groups); err != nil {
		return out, false, setting.In("Groups", err)
	}
	if out.Claims, err = compileConditions(s, word+" claim", word+" claims", e.Claims); err != nil {
		return out, false, setting.In("Claims", err)
	}
	out.Header, err = compileConditions(s, word+" header", word+" header", e.Header)
	return out, scopes && groups, setting.In("Header", err)
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
