package gate

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caddyjwt/gateway/internal/bearer"
	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/demand"
	"github.com/caddyjwt/gateway/internal/setting"
)

// MaxAuthAge bounds Requirements.MaxAuthAge. Who allows more than a year does not mean to restrict anything.
const MaxAuthAge = 366 * 24 * time.Hour

// validateStepUp checks what the challenge of RFC 9470 section 3 must be able to say.
func (r *Requirements) validateStepUp(word string) error {
	for _, acr := range r.ACR {
		if err := bearer.ValidACR(acr); err != nil {
			return setting.Errorf("ACR", "%sacr: %w", word, err)
		}
	}
	switch age := r.MaxAuthAge; {
	case age < 0 || age > MaxAuthAge:
		return setting.Errorf("MaxAuthAge", "%smax_auth_age %v: expected a duration from 1s to %v", word, age, MaxAuthAge)
	case age%time.Second != 0:
		return setting.Errorf("MaxAuthAge", "%smax_auth_age %v: expected whole seconds, as clients learn them", word, age)
	}
	return nil
}

// compileStepUp adds the requirements about how and when the user signed in (RFC 9470). They come before those about
// scopes: the client has to send the user to sign in anyway, and can ask for the scopes then.
func (r *requirements) compileStepUp(c *Config) {
	from := &c.Require
	if len(from.ACR) > 0 {
		r.stepUps = append(r.stepUps, acrRequirement(from.ACR))
	}
	if from.MaxAuthAge > 0 {
		age := &authAgeRequirement{longest: from.MaxAuthAge, leeway: map[string]time.Duration{"": c.Leeway}}
		for _, issuer := range c.Issuers {
			age.leeway[issuer.Name] = issuer.Leeway
		}
		r.stepUps = append(r.stepUps, age)
	}
	for _, requirement := range r.stepUps {
		r.list = append(r.list, requirement)
	}
	r.acrValues, r.maxAuthAge = strings.Join(from.ACR, " "), from.MaxAuthAge
	r.stepUpForScope = &Reply{Challenges: []bearer.Challenge{{
		Error: "insufficient_user_authentication", Description: describeStepUp,
		Scope: strings.Join(from.ScopesToAsk(), " "), ACRValues: r.acrValues, MaxAge: r.maxAuthAge,
	}}}
}

// stepUpRequirement is one that a new sign-in of the user can meet.
type stepUpRequirement interface {
	Requirement
	// in is Check for what the issuer's token, or an answer about one, says. The issuer of a consumer's token is empty.
	in(set *claims.Set, issuer string, now time.Time) *Failure
}

// withScopes adds to a demand for a new sign-in the scopes that the token lacks as well (RFC 9470 section 3). Otherwise
// the client would come back with a token that is refused for its scopes.
func (r *requirements) withScopes(f *Failure, set *claims.Set, id *Identity) *Failure {
	if f.Reason == InsufficientUserAuthentication && f.Reply == nil && r.lacksScopes(set, id) {
		f.Reply = r.stepUpForScope
	}
	return f
}

// lacksScopes reports whether more scopes would help. The set is the claims of the identity, or an answer about it.
func (r *requirements) lacksScopes(set *claims.Set, id *Identity) bool {
	if f := r.scopesIn(set); f != nil {
		return f.Reason == InsufficientScope
	}
	return slices.ContainsFunc(r.any, func(block demand.Rule) bool {
		return block.ScopesHelp() && block.Check(id.Caller()) != nil
	})
}

// statedIn applies the requirements to the authorization server's answer about a JWT, as far as it says something. What
// it leaves out, the token itself has said.
func (r *requirements) statedIn(answer *claims.Set, issuer string, now time.Time) *Failure {
	for _, requirement := range r.stepUps {
		claim := "auth_time"
		if _, ok := requirement.(acrRequirement); ok {
			claim = "acr"
		}
		if !states(answer, claim) {
			continue
		}
		if f := requirement.in(answer, issuer, now); f != nil {
			return f
		}
	}
	if states(answer, "scope", "scp") { // an empty list counts, too: no scope is left
		return r.scopesIn(answer)
	}
	return nil
}

// states reports whether an answer has one of these claims.
func states(answer *claims.Set, names ...string) bool {
	for _, name := range names {
		if _, there := answer.Claim(name); there {
			return true
		}
	}
	return false
}

// acrRequirement requires one of these authentication context classes.
type acrRequirement []string

// Check implements Requirement.
func (r acrRequirement) Check(id *Identity, now time.Time) *Failure {
	return r.in(id.Claims, id.ConfiguredIssuer(), now)
}

func (r acrRequirement) in(set *claims.Set, _ string, _ time.Time) *Failure {
	if set == nil {
		return fail(InsufficientUserAuthentication, errNobodySignedIn)
	}
	if err := claims.CheckACR(set, r); err != nil {
		return fail(InsufficientUserAuthentication, err).adding(" (require acr)")
	}
	return nil
}

// authAgeRequirement requires that the user signed in not longer ago.
type authAgeRequirement struct {
	longest time.Duration
	leeway  map[string]time.Duration // by the name of the issuer, which is empty for consumers
}

// Check implements Requirement.
func (r *authAgeRequirement) Check(id *Identity, now time.Time) *Failure {
	return r.in(id.Claims, id.ConfiguredIssuer(), now)
}

func (r *authAgeRequirement) in(set *claims.Set, issuer string, now time.Time) *Failure {
	if set == nil {
		return fail(InsufficientUserAuthentication, errNobodySignedIn)
	}
	if err := claims.CheckAuthenticationAge(set, now, r.longest, r.leeway[issuer]); err != nil {
		return fail(InsufficientUserAuthentication, err).adding(" (require max_auth_age)")
	}
	return nil
}

var errNobodySignedIn = fmt.Errorf("%w: there is no token", claims.ErrAuthentication)
