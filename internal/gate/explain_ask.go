package gate

import "slices"

// keysElsewhere is why a tool cannot tell whether a token is of a Local issuer.
const keysElsewhere = "the running Caddy has the keys of this issuer"

// ask has the authorization server judge a token that is not verified here, or opens one of a Local issuer.
func (e *explainer) ask(p *party) *Identity {
	e.use(p)
	rule, unknown := "introspection", "the authorization server would be asked about this token"
	others := "they depend on the answer of the authorization server"
	if p.issuer.Local {
		rule, unknown, others = "signature", keysElsewhere, "they depend on what only the issuer can read"
	}
	found, err := e.gate.ask(e.req.HTTP.Context(), p, e.token)
	e.addOr(Step{Rule: rule, Result: Passed}, err, unknown)
	if err != nil {
		return e.stop(others)
	}
	e.Unverified = false
	e.tolerated(found.identity.Claims)
	return e.admit(&found)
}

// confirm asks the authorization server about a JWT that is good so far. Check would not send it any other. It reports
// whether the server has answered.
func (e *explainer) confirm(found *authenticated) bool {
	good := !e.Unverified && !slices.ContainsFunc(e.Steps, func(s Step) bool { return s.Result == Failed })
	switch {
	case good:
		err := e.gate.confirm(e.req, found, e.token)
		e.addOr(Step{Rule: "introspection", Result: Passed}, err, "the authorization server would be asked about this token")
		return err == nil
	case e.Unverified:
		e.skip("introspection", "the authorization server is asked only about tokens with a good signature")
	default:
		e.skip("introspection", "the authorization server is not asked about a token that is refused anyway")
	}
	return false
}
