package gate

import "errors"

// ErrOffline is the error of a key source or an Asker that stands in for a server which must not be asked. Explain
// reports the rules that need the server as not checked. A request that needs the server does not pass.
var ErrOffline = errors.New("the server was not asked")

// Result is what became of one rule.
type Result string

// The results. Their texts are part of the output of a command, and never change.
const (
	Passed     Result = "pass"
	Failed     Result = "fail"
	NotChecked Result = "not_checked"
)

// Step is one rule of the pipeline, applied to one request.
type Step struct {
	// Rule is a stable name in snake_case.
	Rule string
	// Result says whether the request satisfies the rule.
	Result Result
	// Reason is that of a failed step, and empty otherwise.
	Reason Reason
	// Detail is the cause of a failure, or why a rule was not checked. It may quote the token's header and claims.
	Detail string
	// Came is what the request has, and Expected what the gate wants. Either is nil if a text says nothing more.
	Came, Expected []string
}

// HeaderField is a field that the backend would get.
type HeaderField struct{ Name, Value string }

// Explanation is how a gate judges one request, rule by rule.
type Explanation struct {
	// Steps are the rules in the order in which the gate applies them. They go on after the first failure.
	Steps []Step
	// Outcome is that of Check, and zero if the request is refused or if Open is set.
	Outcome Outcome
	// Failure says why the request is refused. It is nil if the request passes or if Open is set.
	Failure *Failure
	// Open reports that no rule refuses the request, and that some could not be checked.
	Open bool
	// Unverified reports that there is a token, and that nobody has verified or confirmed it. Everything it says may be
	// invented.
	Unverified bool
	// Issuer is the configured name of the issuer whose rules apply. Consumer is the username of the consumer whose rules
	// apply or, with an Issuer, of the one that the issuer's token names.
	Issuer, Consumer string
	// Identity is the caller behind the token, which nobody has verified if Unverified is set. It is nil without a token
	// that can be read.
	Identity *Identity
	// Assumed reports that the token does not name that issuer. It is the only one that the gate has.
	Assumed bool
	// Forwarded are the fields for the backend. It is nil if a rule refuses the request.
	Forwarded []HeaderField
}

// Add adds a rule that somebody else applies to the request after the gate. The failure is nil if the request satisfies
// it. The first failure decides. If the failure is that there is no token, and there is one that nobody could read, the
// rule is not checked.
func (e *Explanation) Add(s Step, f *Failure) {
	switch {
	case f == nil:
		s.Result = Passed
		e.add(s)
	case errors.Is(f, MissingToken) && !e.CallerKnown():
		s.Result, s.Detail = NotChecked, "nobody knows yet who sends the request"
		e.add(s)
	default:
		e.addFailure(s, f)
		if e.Failure == nil {
			e.Failure, e.Outcome, e.Open, e.Forwarded = f, 0, false, nil
		}
	}
}

// CallerKnown reports whether it is known who sends the request: somebody with a token that can be read, or somebody
// who passes without one.
func (e *Explanation) CallerKnown() bool { return e.Identity != nil || e.Outcome != 0 }

// textError is a text as an error.
type textError string

func (e textError) Error() string { return string(e) }

func (e *Explanation) add(s Step) { e.Steps = append(e.Steps, s) }

func (e *explainer) passes(rule string) { e.add(Step{Rule: rule, Result: Passed}) }

func (e *explainer) fails(rule string, err error) { e.addFailure(Step{Rule: rule}, err) }

// addFailure adds a failed step.
func (e *Explanation) addFailure(s Step, err error) {
	f := FailureOf(err)
	s.Result, s.Reason = Failed, f.Reason
	if f.Cause != nil {
		s.Detail = f.Cause.Error()
	}
	e.add(s)
}

// addOr adds a step: passed without an error, not checked if the server was not asked, and failed otherwise.
func (e *explainer) addOr(s Step, err error, offline string) {
	switch {
	case err == nil:
		e.add(s)
	case errors.Is(err, ErrOffline):
		s.Result, s.Detail = NotChecked, offline
		e.add(s)
	default:
		e.addFailure(s, err)
	}
}

// skip adds a step that was not checked.
func (e *explainer) skip(rule, why string) { e.add(Step{Rule: rule, Result: NotChecked, Detail: why}) }

// stop ends the walk: no further rule makes sense.
func (e *explainer) stop(why string) *Identity {
	e.skip("all_others", why)
	return nil
}
