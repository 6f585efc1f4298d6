package gate

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/caddyjwt/gateway/internal/bearer"
	"github.com/caddyjwt/gateway/internal/claims"
)

// explainer makes an Explanation.
type explainer struct {
	Explanation
	gate  *Gate
	req   *Request
	token string
	jwt   parsedJWT
	party *party // nil if the token names none
	now   time.Time
	// expiredIsNone reports that the token, if it has expired, counts as none. expired reports that this is so.
	expiredIsNone, expired bool
}

// Explain judges a request as Check does, for somebody who wants to know why it is refused. It calls the functions of
// Check in the same order, and goes on behind a failure with all rules that still make sense. The verdict is that of
// Check. Where Check ends with ErrOffline, the first rule that fails decides.
//
// Explain is for tools, and slow. Use a gate without a cache.
func (g *Gate) Explain(req Request) *Explanation {
	e := &explainer{gate: g, req: &req, now: g.now()}
	defer func() { e.jwt.release() }()
	req.dry = true
	verdict, err := g.Check(req)
	identity := e.walk()
	if verdict.TokenExpired {
		identity = nil
	} else if identity == nil {
		identity = verdict.Identity
	}
	e.Identity = identity
	e.forward(identity)
	e.conclude(verdict, err)
	return &e.Explanation
}

// conclude takes over the verdict of Check.
func (e *explainer) conclude(verdict Verdict, err error) {
	first := slices.IndexFunc(e.Steps, func(s Step) bool { return s.Result == Failed })
	switch {
	case errors.Is(err, ErrOffline) && first < 0:
		e.Open = true
	case errors.Is(err, ErrOffline):
		e.Failure = fail(e.Steps[first].Reason, textError(e.Steps[first].Detail))
	case err != nil:
		e.Failure = FailureOf(err)
	case first >= 0 && e.Steps[first].Rule == "forward": // Check does not write the fields
		e.Failure = fail(e.Steps[first].Reason, textError(e.Steps[first].Detail))
	default:
		e.Outcome = verdict.Outcome
	}
	if e.Failure != nil {
		e.Forwarded = nil
	}
}

// walk applies the rules. It returns the identity behind the token, which may be unverified.
func (e *explainer) walk() *Identity {
	r := e.req.HTTP
	err := bearer.HasMethod(r)
	if err == nil {
		err = bearer.InOriginForm(r)
	}
	if err != nil {
		e.fails("request", fail(MalformedRequest, err))
		return e.stop("the request is not one that a server would pass on")
	}
	e.passes("request")
	if e.gate.passesAsPreflight(r) {
		e.add(Step{Rule: "token", Result: Passed, Came: []string{"a CORS preflight, which needs no token"}})
		return nil
	}
	if e.gate.isPublic(e.req) {
		return e.public()
	}
	if !e.extract() {
		return nil
	}
	e.Unverified = true
	return e.classify()
}

// public lets a request to a public path pass.
func (e *explainer) public() *Identity {
	step := Step{Rule: "token", Result: Passed, Came: []string{"a public path, which needs no token"}}
	_, err := e.gate.asPublic(e.req.HTTP)
	e.addOr(step, err, "")
	return nil
}

// extract finds the token. It reports whether there is one.
func (e *explainer) extract() bool {
	places := e.gate.extractor.Places()
	step := Step{Rule: "token", Result: Passed}
	for _, place := range places {
		step.Expected = append(step.Expected, place.String())
	}
	credential, err := e.gate.extractor.Extract(e.req.HTTP)
	if err == nil {
		err = e.gate.checkCredential(credential)
	} else {
		var verdict Verdict
		if verdict, err = e.gate.withoutToken(e.req.HTTP, err); err == nil {
			step.Came = []string{"no token"}
			if verdict.Outcome == Anonymous {
				step.Came[0] += fmt.Sprintf("; the request counts as the consumer %q", verdict.Identity.ID)
			}
			e.add(step)
			return false
		}
	}
	if err != nil {
		e.addFailure(step, err)
		if errors.Is(err, MissingToken) {
			e.stop("there is no token")
		} else {
			e.stop("there is not exactly one token that can be read")
		}
		return false
	}
	step.Came = []string{places[credential.Place].String()}
	e.add(step)
	if c := e.gate.origins; c != nil && c.cookie[credential.Place] {
		e.addOr(Step{Rule: "origin", Result: Passed}, c.judge(e.req, credential.Place), "")
	}
	e.token, e.expiredIsNone = credential.Token, e.gate.expiredIsNone[credential.Place]
	e.req.withDPoP = e.gate.withDPoP[credential.Place]
	return true
}

// classify finds out what the token is, and goes on accordingly.
func (e *explainer) classify() *Identity {
	class, err := e.gate.parties.resolve(e.req, e.token, &e.jwt)
	if err != nil {
		e.addFailure(e.decryptionStep(), err)
		return e.stop("the token cannot be opened at the moment")
	}
	e.use(class.party)
	asked := e.gate.parties.askedAbout(e.token, &class)
	if class.verifiable() {
		asked = nil
	}
	format := Step{Rule: "format", Result: Passed, Came: []string{class.form.String()}}
	if e.jwt.seal != nil || class.form == unsealed {
		e.add(Step{Rule: "format", Result: Passed, Came: []string{encryptedJWE.String()}})
		step := e.decryptionStep()
		if class.form == unsealed {
			e.addFailure(step, class.failure())
			return e.stop("what is inside of the encrypted token is not accepted")
		}
		step.Came = append(step.Came, "opened with the "+e.jwt.seal.by.String())
		e.add(step)
		format.Came[0] += ", which was encrypted"
	}
	if e.jwt.set == nil { // opaque, encrypted or broken
		if asked != nil {
			e.add(format)
			return e.ask(asked)
		}
		switch class.reason {
		case InvalidType:
			format.Rule = "kind"
		case DecryptionFailed:
			e.add(format)
			format = e.decryptionStep()
		}
		e.addFailure(format, class.failure())
		return e.stop("the token cannot be read")
	}
	format.Came = append(format.Came, otherMembers(&e.jwt.Header)...)
	e.add(format)
	e.kind(&class)
	if class.form == unknownJWT && asked == nil || class.form == otherKindJWT && class.party == nil {
		f := fail(UnknownIssuer, nil)
		if class.form == unknownJWT {
			f = class.failure()
		}
		e.addFailure(e.issuerStep(), f)
		e.assume()
	} else if e.party != nil {
		e.add(e.issuerStep())
		e.tolerated(e.jwt.set)
	}
	if asked != nil {
		return e.ask(asked)
	}
	return e.verify()
}

// kind applies the rules for kinds of tokens.
func (e *explainer) kind(class *classification) {
	step := Step{Rule: "kind", Result: Passed, Came: e.kindsThatCame(), Expected: []string{"an access token"}}
	if e.party != nil && e.party.issuer != nil {
		step.Expected = append(step.Expected, e.party.issuer.Types...)
	}
	if class.form == otherKindJWT {
		e.addFailure(step, class.failure())
		return
	}
	e.add(step)
}

// use makes a party the one whose rules apply.
func (e *explainer) use(p *party) {
	if e.party = p; p == nil {
		return
	}
	if p.issuer != nil {
		e.Issuer = p.name
	} else {
		e.Consumer = p.consumer.Username
	}
}

// assume applies the rules of the only issuer to a token that names no party: the name is often the only mistake.
func (e *explainer) assume() {
	all := e.gate.parties.all
	if len(all) != 1 || e.gate.parties.roster != nil {
		return
	}
	if only := all[0]; only.issuer != nil && only.verifies() && only.pattern == nil {
		e.use(only)
		e.Assumed = true
	}
}

// verify applies the rules for a JWT that is verified here.
func (e *explainer) verify() *Identity {
	p, header, set := e.party, &e.jwt.Header, e.jwt.set
	if p == nil {
		e.skip("algorithm", "no issuer or consumer of this gate has issued the token")
		e.skip("signature", "no issuer or consumer of this gate has issued the token")
		p = &party{leeway: DefaultLeeway}
	} else {
		if p.issuer != nil && p.issuer.Decrypt != nil && p.issuer.Decrypt.Required {
			e.addOr(Step{Rule: "encryption", Result: Passed}, p.checkSealed(&e.jwt), "")
		}
		e.signature(p)
	}
	if e.jwt.seal != nil {
		e.addOr(Step{Rule: "repeated_claims", Result: Passed}, e.jwt.seal.checkRepeated(set), "")
	}
	if p.issuer != nil {
		e.form(p, header, set)
	}
	identity := &Identity{ID: set.Subject, Claims: set, Header: e.jwt.keptHeader()}
	if e.party != nil {
		identity = newIdentity(p, &e.jwt)
	}
	found := &authenticated{identity: identity, party: p, traits: traits{
		declaredAccess: e.jwt.kind.Access || header.Type == accessTokenType,
		bound:          set.Confirmation.Bound || e.jwt.kind.Bound,
	}}
	return e.admit(found)
}

// signature applies the rules about the algorithm and the signature.
func (e *explainer) signature(p *party) {
	alg := Step{Rule: "algorithm", Result: Passed, Came: []string{e.jwt.Header.Algorithm.String()},
		Expected: []string{p.algorithms.String()}}
	if err := p.checkAlgorithm(&e.jwt.Header); err != nil {
		e.addFailure(alg, err)
		e.skip("signature", "the algorithm is not allowed")
		return
	}
	e.add(alg)
	step := Step{Rule: "signature", Result: Passed}
	if id := e.jwt.Header.KeyID; id != "" {
		step.Came = []string{"kid " + clip(id)}
	}
	_, err := p.verifySignature(e.req.HTTP.Context(), e.jwt.Token, e.jwt.set)
	unknown := "the keys of this issuer are fetched from its server"
	if p.issuer != nil && p.issuer.Local {
		unknown = keysElsewhere
	}
	e.addOr(step, err, unknown)
	if err == nil {
		e.Unverified = false
	}
}

// form is checkForm, rule by rule.
func (e *explainer) form(p *party, header *jwtHeader, set *claims.Set) {
	if p.pattern != nil {
		e.addOr(Step{Rule: "tenant", Result: Passed, Came: []string{p.tenantOf(set)}}, p.checkTenant(set), "")
	}
	if len(p.issuer.Types) > 0 {
		e.addOr(Step{Rule: "type", Result: Passed, Came: typeOf(header), Expected: p.issuer.Types},
			p.checkType(header, e.jwt.kind), "")
	}
	if p.issuer.AccessTokenProfile {
		e.addOr(Step{Rule: "profile", Result: Passed, Expected: []string{"rfc9068"}}, p.checkProfile(header, set), "")
	}
	if p.ambiguous.JWTs {
		e.addOr(Step{Rule: "subject_or_client", Result: Passed}, p.checkSubjectOrClient(set), "")
	}
	if len(p.issuer.RequiredClaims) > 0 {
		step := Step{Rule: "required_claims", Result: Passed}
		for _, path := range p.issuer.RequiredClaims {
			step.Expected = append(step.Expected, path.String())
		}
		e.addOr(step, p.checkRequired(set), "")
	}
}

// forward writes the fields for the backend.
func (e *explainer) forward(identity *Identity) {
	if identity == nil {
		return
	}
	r := &http.Request{Header: make(http.Header)}
	step := Step{Rule: "forward", Result: Passed}
	if err := e.gate.Annotate(r, identity); err != nil {
		e.addFailure(step, err)
		return
	}
	e.Forwarded = e.gate.fields(r.Header)
	if len(e.Forwarded) > 0 {
		e.add(step)
	}
}
