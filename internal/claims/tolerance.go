package claims

import (
	"fmt"
	"slices"
	"strings"

	"github.com/caddyjwt/gateway/internal/strictjson"
)

// Tolerance is a set of shapes that break a specification, and that some servers write all the same. Each admits
// exactly one shape. The zero value admits nothing.
type Tolerance uint8

// The tolerances. Their words are those of ParseTolerance, in the same order.
const (
	// NumericSubject admits a sub that is a plain integer: at most 20 digits, without sign, fraction or exponent. The
	// subject is the text of its digits. So the number 7 and the text "7" are the same subject.
	NumericSubject Tolerance = 1 << iota
	// EmptySubject makes a sub that is the empty text count as absent. A blank one is refused all the same.
	EmptySubject
	// NullClaims makes a registered claim that is null count as absent: iss, sub, aud, exp, nbf, iat, jti, client_id,
	// scope and scp. A null cnf still binds the token: see Confirmation.
	NullClaims
	// TextDates admits exp, nbf, iat and auth_time as a text with the digits of a whole number.
	TextDates
	// MillisecondDates is the unit of all dates. A date in seconds is then one in January 1970.
	MillisecondDates
	// MissingExp ends a token without exp as its Reading says.
	MissingExp
	// NeverExpires makes an exp of null or exactly 0 count as absent in an authorization server's answer.
	NeverExpires
)

var toleranceWords = []string{
	"numeric_subject", "empty_subject", "null_claims", "text_dates", "millisecond_dates", "missing_exp", "never_expires",
}

// maxSubjectDigits is how many digits the largest unsigned integer of 64 bits has.
const maxSubjectDigits = 20

// ParseTolerance reads words. Each may occur once.
func ParseTolerance(words []string) (Tolerance, error) {
	var t Tolerance
	for _, word := range words {
		i := slices.Index(toleranceWords, word)
		if i < 0 {
			return 0, fmt.Errorf("unknown word %q; known are %s", word, strings.Join(toleranceWords, ", "))
		}
		one := Tolerance(1) << i
		if t.Has(one) {
			return 0, fmt.Errorf("%s is given twice: remove one", word)
		}
		t |= one
	}
	return t, nil
}

// Words lists the words of the set, in the order of the constants.
func (t Tolerance) Words() (words []string) {
	for i, word := range toleranceWords {
		if t.Has(1 << i) {
			words = append(words, word)
		}
	}
	return words
}

// String joins the words with blanks, as they are configured.
func (t Tolerance) String() string { return strings.Join(t.Words(), " ") }

// Has reports whether the set has all of these.
func (t Tolerance) Has(these Tolerance) bool { return t&these == these }

// Use says where tolerances are to apply.
type Use struct {
	// Tokens reports that there are tokens that are verified here, and Answers that an authorization server is asked.
	Tokens, Answers bool
	// Profile reports that RFC 9068 applies. Required are further claims that tokens must have.
	Profile  bool
	Required []Path
	// Ends reports that a token without exp has an end.
	Ends bool
}

// requires reports whether tokens must have a claim that the profile requires, too.
func (u Use) requires(claim string) bool {
	return u.Profile || slices.ContainsFunc(u.Required, func(p Path) bool {
		return len(p.segments) == 1 && p.segments[0] == claim
	})
}

// Check refuses a tolerance that could have no effect, and one that would admit tokens without an end.
func (t Tolerance) Check(u Use) error {
	const demanded = "has no effect, because profile or required_claims demands %s: remove one of the two"
	for _, rule := range []struct {
		of    Tolerance
		wrong bool
		why   string
	}{
		{^Tolerance(0), !u.Tokens && !u.Answers, "is about tokens, and there is no credential for any: remove it"},
		{NeverExpires, !u.Answers, "is about the answers of an authorization server, and none is asked here: remove it"},
		{EmptySubject | NullClaims | MissingExp, !u.Tokens,
			"is about tokens that are verified here, and no key does that; answers may have this shape anyway: remove it"},
		{EmptySubject, u.requires("sub"), fmt.Sprintf(demanded, "sub")},
		{MissingExp, u.requires("exp"), fmt.Sprintf(demanded, "exp")},
		{MissingExp, !u.Ends, "would admit tokens that never end: add \"max_lifetime <duration>\", which counts from iat " +
			"(a consumer can have \"expires <date>\" in each of its credentials instead)"},
	} {
		if found := t & rule.of; rule.wrong && found != 0 {
			return fmt.Errorf("tolerate %s %s", found.Words()[0], rule.why)
		}
	}
	return nil
}

func (t Tolerance) dates() strictjson.Dates {
	return strictjson.Dates{Text: t.Has(TextDates), Milliseconds: t.Has(MillisecondDates)}
}

// omits reports whether a claim of a token counts as absent.
func (t Tolerance) omits(name string, v strictjson.Value) bool {
	return t.Has(NullClaims) && v.Kind() == strictjson.Null && slices.Contains(registered, name) ||
		t.Has(EmptySubject) && name == "sub" && v.Equal("")
}

// omitsInAnswer reports whether a member of an answer counts as absent, beyond what every answer may have.
func (t Tolerance) omitsInAnswer(name string, v strictjson.Value) bool {
	return t.Has(NeverExpires) && name == "exp" && (v.Kind() == strictjson.Null || v.Text() == "0")
}

// registered are the claims that Decode refuses when they are null.
var registered = []string{"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "client_id", "scope", "scp"}

// isSubjectNumber reports whether a value is a number that NumericSubject admits.
func isSubjectNumber(v strictjson.Value) bool {
	return v.Kind() == strictjson.Number && len(v.Text()) <= maxSubjectDigits && !strings.ContainsAny(v.Text(), "-.eE")
}

// whichAdmits returns the one tolerance that admits a claim of this shape. It returns 0 if there is none, or if the
// claim needs several.
func whichAdmits(claim string, v strictjson.Value) Tolerance {
	_, inText := strictjson.Dates{Text: true}.Date(v)
	_, inMilliseconds := strictjson.Dates{Milliseconds: true}.Date(v)
	date := slices.Contains(dateClaims, claim)
	switch {
	case (claim == "exp" || claim == "iss") && v.Kind() == strictjson.Null:
		return 0 // it would be missing, which is refused, too
	case NullClaims.omits(claim, v):
		return NullClaims
	case EmptySubject.omits(claim, v):
		return EmptySubject
	case claim == "sub" && isSubjectNumber(v):
		return NumericSubject
	case date && v.Kind() == strictjson.String && inText:
		return TextDates
	case date && inMilliseconds:
		return MillisecondDates
	}
	return 0
}

var dateClaims = []string{"exp", "nbf", "iat", "auth_time"}
