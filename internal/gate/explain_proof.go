package gate

// transport applies the rule about tokens that come in clear.
func (e *explainer) transport() {
	if !e.gate.requireTLS || e.expired {
		return
	}
	step := Step{Rule: "transport", Result: Passed, Came: []string{e.req.Facts.Scheme()}, Expected: []string{"https"}}
	e.addOr(step, checkTransport(e.req), "")
}

// proof applies the rule that a bound token needs a proof. It reports whether the token has that, or needs none.
func (e *explainer) proof(found *authenticated) bool {
	set, step := found.identity.Claims, Step{Rule: "proof", Result: Passed}
	by := e.req.presented(e.token, e.now)
	step.Came, step.Expected = e.gate.proof.Describe(&by, set.Confirmation)
	var err error
	if found.traits.bound {
		err = e.gate.prove(e.req, e.token, set, e.now)
	}
	e.addOr(step, err, "")
	return err == nil
}

// binding applies the rules for tokens that are bound to nothing. proved reports that those for the others are met, and
// answered that nobody has to be asked about the token any more.
func (e *explainer) binding(found *authenticated, proved, answered bool) {
	if e.gate.proof == nil {
		return
	}
	step, err := Step{Rule: "binding", Result: Passed}, e.gate.settleProof(e.req)
	step.Came, step.Expected = e.gate.proof.DescribeBinding(found.identity.Claims.Confirmation)
	switch {
	case err == nil:
		e.add(step)
	case !proved:
		e.skip("binding", "the token is not proved")
	case !answered:
		e.skip("binding", "the answer of the authorization server may bind the token")
	default:
		e.addFailure(step, err)
	}
}

// unspent adds the rules about a proof that only a request which counts can meet.
func (e *explainer) unspent() {
	if e.gate.proof == nil {
		return
	}
	for _, rule := range e.gate.proof.Unchecked(&e.req.proved) {
		e.skip(rule.Rule, rule.Why)
	}
}
