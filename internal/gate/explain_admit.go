package gate

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/demand"
	"github.com/caddyjwt/gateway/internal/jose"
)

type jwtHeader = jose.Header

// admit applies the rules of Gate.admit one by one.
func (e *explainer) admit(found *authenticated) *Identity {
	g, set, p := e.gate, found.identity.Claims, found.party
	if c := p.credential; c != nil && !c.End().IsZero() {
		e.addOr(Step{Rule: "certificate", Result: Passed, Expected: []string{"not after " + date(c.End())}},
			p.checkCredential(e.now), "")
	}
	e.time(set, p, found.traits.opaque)
	if p.maxLifetime > 0 {
		e.lifetime(set, p)
	}
	if accepted := g.audience.Accepted; len(accepted) > 0 {
		e.addOr(Step{Rule: "audience", Result: Passed, Came: set.Audience, Expected: accepted},
			g.judgeAudience(set, &party{}), "")
	}
	if p.issuer != nil && len(p.issuer.Audience.Accepted) > 0 {
		e.addOr(Step{Rule: "issuer_audience", Result: Passed, Came: set.Audience, Expected: p.issuer.Audience.Accepted},
			new(Gate).judgeAudience(set, p), "")
	}
	e.transport()
	if p.issuer != nil && p.issuer.Local {
		e.addOr(Step{Rule: "application", Result: Passed, Came: ofApplication(set)},
			p.checkApplication(set, e.req), "")
	}
	proved, answered := e.proof(found), true
	if e.expired { // the authorization server is not asked
		e.binding(found, proved, answered)
	}
	if g.revocations != nil {
		e.addOr(Step{Rule: "revocation", Result: Passed}, g.checkRevoked(found, e.token, e.now), "")
	}
	if e.party != nil && !e.expired && g.mustAsk(found) {
		answered = e.confirm(found)
	}
	if !e.expired {
		e.binding(found, proved, answered)
	}
	named := e.name(found)
	if g.revocations != nil && named && found.identity.Consumer != nil && found.party.consumer == nil {
		e.addOr(Step{Rule: "consumer_revocation", Result: Passed}, g.checkConsumerRevoked(found, e.token, e.now), "")
	}
	for _, requirement := range g.require.list {
		if rule, ok := requirement.(demanded); ok && !named && mayAskForGroups(rule) {
			e.skip(stepOf(rule), "it may depend on the groups of the consumer, who is not known")
			continue
		}
		e.require(requirement, found.identity)
	}
	e.unspent()
	return found.identity
}

// name applies the rule for consumer_claim or username_claim. It reports whether the caller is known.
func (e *explainer) name(found *authenticated) bool {
	issuer := found.party.issuer
	if issuer == nil || !issuer.namesConsumer() && !issuer.namesCaller() {
		return true
	}
	step, claim := Step{Rule: "username_claim", Result: Passed, Expected: []string{"a name"}}, issuer.UsernameClaim
	if issuer.namesConsumer() {
		claim = issuer.ConsumerClaim
		step.Rule, step.Expected = "consumer_claim", []string{"the " + issuer.ConsumerBy.String() + " of a consumer"}
	}
	if value, there := found.identity.Claims.Lookup(claim); there {
		for _, text := range textOf(value) {
			step.Came = append(step.Came, claim.String()+" "+text)
		}
	}
	id, err := e.gate.mapped(found)
	if err != nil {
		e.addFailure(step, err)
		return issuer.namesCaller()
	}
	if found.identity = id; id.Consumer != nil {
		e.Consumer = id.Consumer.Username
		step.Came = append(step.Came, "consumer "+e.Consumer)
	}
	e.add(step)
	return true
}

// mayAskForGroups reports whether the groups of the caller may count for a requirement.
func mayAskForGroups(r demanded) bool {
	return r.Kind() == "any" || strings.HasSuffix(r.Kind(), "group")
}

// stepOf is the name of the step for a requirement.
func stepOf(r demanded) string { return "require_" + strings.ReplaceAll(r.Kind(), " ", "_") }

// time applies the rules for dates. An expired token that counts as none breaks only the others: see forgiveExpiry.
func (e *explainer) time(set *claims.Set, p *party, answer bool) {
	step := Step{
		Rule: "time", Result: Passed, Came: datesOf(set),
		Expected: []string{"now " + date(e.now), fmt.Sprintf("leeway %v", p.leeway)},
	}
	err := judgeTime(set, p, answer, e.now)
	if e.expiredIsNone && errors.Is(err, Expired) {
		e.expired, step.Detail, err = true, "expired, which counts as no token in this cookie if nothing else is wrong", nil
		if early := claims.CheckNotBefore(set, e.now, p.leeway); early != nil {
			err = claimFailure(early)
		}
	}
	e.addOr(step, err, "")
}

func (e *explainer) lifetime(set *claims.Set, p *party) {
	step := Step{Rule: "lifetime", Result: Passed, Expected: []string{p.maxLifetime.String()}}
	if !set.ExpiresAt.IsZero() && !set.IssuedAt.IsZero() {
		step.Came = []string{set.ExpiresAt.Sub(set.IssuedAt).String()}
	}
	e.addOr(step, p.checkLifetime(set, e.now), "")
}

// require applies one requirement of the route.
func (e *explainer) require(requirement Requirement, id *Identity) {
	step := Step{Rule: "require", Result: Passed}
	switch r := requirement.(type) {
	case demanded:
		step.Rule, step.Expected = stepOf(r), r.Terms()
		step.Came = has(id, r.Rule)
	case acrRequirement:
		step.Rule, step.Expected = "require_acr", r
		step.Came = claimOf(id, "acr")
	case *authAgeRequirement:
		step.Rule, step.Came = "require_max_auth_age", claimOf(id, "auth_time")
		step.Expected = []string{r.longest.String(), fmt.Sprintf("leeway %v", r.leeway[id.ConfiguredIssuer()])}
	}
	if f := requirement.Check(id, e.now); f != nil {
		e.addFailure(step, f)
		return
	}
	e.add(step)
}

// has is what an identity has of that which a rule is about. An identity may have no claims.
func has(id *Identity, rule demand.Rule) []string {
	switch kind := strings.TrimPrefix(rule.Kind(), "not "); {
	case kind == "group":
		return groupsOf(id)
	case kind == "claim":
		return memberOf(id.Claims, rule)
	case kind == "header":
		return memberOf(&id.Header, rule)
	case kind != "any" && id.Claims != nil:
		return id.Claims.Scope
	}
	return nil
}

// memberOf is the claim, or the member of the header, that a rule is about.
func memberOf(from claims.Source, rule demand.Rule) []string {
	path, err := claims.ParsePath(rule.Terms()[0])
	if err != nil {
		return nil
	}
	value, ok := from.Lookup(path)
	if !ok {
		return nil
	}
	return textOf(value)
}

// claimOf is a claim of an identity as JSON text. The identity may have no claims.
func claimOf(id *Identity, claim string) []string {
	if id.Claims == nil {
		return nil
	}
	value, ok := id.Claims.Claim(claim)
	if !ok {
		return nil
	}
	return textOf(value)
}

// tolerated adds what about the claims was admitted only because somebody wrote "tolerate".
func (e *explainer) tolerated(set *claims.Set) {
	if came := set.Tolerated(); len(came) > 0 {
		e.add(Step{Rule: "tolerate", Result: Passed, Came: came, Expected: set.Tolerance().Words()})
	}
}

// groupsOf are those among which a required one is looked for.
func groupsOf(id *Identity) (groups []string) {
	switch {
	case id.Consumer != nil:
		return id.Consumer.Groups
	case id.Claims == nil:
		return nil
	}
	for _, value := range id.Claims.Groups() {
		groups = append(groups, textOf(value)...)
	}
	return groups
}

// textOf is a claim as JSON text.
func textOf(value claims.Value) []string {
	text, err := json.Marshal(value.Any())
	if err != nil {
		return nil
	}
	return []string{string(text)}
}

// issuerStep is the step that finds the party.
func (e *explainer) issuerStep() Step {
	p := e.gate.parties
	step := Step{Rule: "issuer", Result: Passed}
	if iss := e.jwt.set.Issuer; iss != "" {
		step.Came = append(step.Came, "iss "+iss)
	}
	if p.hasCredentials() && p.keyClaim != "iss" {
		if key, ok := p.untrustedKeyClaim(&e.jwt.Header, e.jwt.set); ok {
			step.Came = append(step.Came, p.keyClaim+" "+key)
		}
	}
	for _, member := range p.all {
		if member.issuer != nil {
			step.Expected = append(step.Expected, "iss "+member.name)
		} else {
			step.Expected = append(step.Expected, p.keyClaim+" "+member.name)
		}
	}
	if p.roster != nil {
		step.Expected = append(step.Expected,
			fmt.Sprintf("%s of one of %d credentials in the file of consumers", p.keyClaim, p.roster.Len()))
	}
	return step
}

// kindsThatCame are the typ of the header, and the kinds that the payload declares.
func (e *explainer) kindsThatCame() []string {
	came := typeOf(&e.jwt.Header)
	if e.jwt.kind.Access {
		came = append(came, "an access token, by a claim")
	}
	for _, other := range e.jwt.kind.Others {
		came = append(came, other.Name+", by the claim "+other.By)
	}
	return came
}

// otherMembers are the members of the header that no other step shows.
func otherMembers(header *jwtHeader) (came []string) {
	for name, value := range header.Object().Members() {
		if text, _ := name.Str(); text != "alg" && text != "kid" && text != "typ" {
			came = append(came, "header "+text+" "+value.Text())
		}
	}
	return came
}

func typeOf(header *jwtHeader) []string {
	if header.Type == "" {
		return []string{"no typ"}
	}
	return []string{"typ " + header.Type}
}

// datesOf are the dates that decide whether a token is valid now.
func datesOf(set *claims.Set) (dates []string) {
	for _, claim := range []struct {
		name string
		at   time.Time
	}{{"exp", set.ExpiresAt}, {"nbf", set.NotBefore}, {"iat", set.IssuedAt}} {
		if !claim.at.IsZero() {
			dates = append(dates, claim.name+" "+date(claim.at))
		}
	}
	return dates
}

func date(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// String names the form for people.
func (f form) String() string {
	switch f {
	case opaqueToken:
		return "an opaque token, which only its server can read"
	case encryptedJWE:
		return "an encrypted token (JWE)"
	case brokenJWT:
		return "a JWT that is not well-formed"
	default:
		return "a JWT"
	}
}

// fields lists what the outputs have set. The payload of a token is a part of it, so forward_payload's field has a
// description in place of its value.
func (g *Gate) fields(header http.Header) (fields []HeaderField) {
	for _, name := range slices.Sorted(maps.Keys(header)) {
		value := strings.Join(header[name], ", ")
		if g.outputs.IsPayload(name) {
			value = fmt.Sprintf("(all claims, %d bytes in base64url)", len(value))
		}
		fields = append(fields, HeaderField{name, value})
	}
	return fields
}
