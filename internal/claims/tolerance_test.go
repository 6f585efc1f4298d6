package claims_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/claims"
)

// every has all tolerances.
const every = claims.NumericSubject | claims.EmptySubject | claims.NullClaims | claims.TextDates |
	claims.MillisecondDates | claims.MissingExp | claims.NeverExpires

// read decodes a token by a Reading.
func read(text string, how *claims.Reading) (*claims.Set, error) {
	return claims.DecodeBy([]byte(text), func(*claims.Set) *claims.Reading { return how })
}

func tolerating(t claims.Tolerance) *claims.Reading { return &claims.Reading{Tolerate: t} }

func TestParseTolerance(t *testing.T) {
	words := every.Words()
	all, err := claims.ParseTolerance(words)
	if err != nil || all != every || all.String() != strings.Join(words, " ") {
		t.Errorf("got %v, %v", all, err)
	}
	for i, word := range words {
		one, err := claims.ParseTolerance([]string{word})
		if err != nil || one != 1<<i || one.String() != word {
			t.Errorf("%s: got %v, %v", word, one, err)
		}
		if _, err := claims.ParseTolerance([]string{word, word}); err == nil || !strings.Contains(err.Error(), "twice") {
			t.Errorf("%s twice: %v", word, err)
		}
	}
	if none, err := claims.ParseTolerance(nil); none != 0 || err != nil || none.Words() != nil {
		t.Errorf("got %v, %v", none, err)
	}
	for _, word := range []string{"", "Numeric_Subject", "numeric-subject", "numeric_subjects", "any", "all", "*", "exp"} {
		_, err := claims.ParseTolerance([]string{word})
		if err == nil || !strings.Contains(err.Error(), "known are numeric_subject, empty_subject, null_claims, text_dates, "+
			"millisecond_dates, missing_exp, never_expires") {
			t.Errorf("%q: %v", word, err)
		}
	}
}

func TestToleranceWithoutEffectIsAnError(t *testing.T) {
	both := claims.Use{Tokens: true, Answers: true, Ends: true}
	if err := every.Check(both); err != nil {
		t.Errorf("all words, where each has an effect: %v", err)
	}
	requiring := func(paths ...string) claims.Use {
		use := both
		for _, path := range paths {
			use.Required = append(use.Required, mustPath(t, path))
		}
		return use
	}
	for name, c := range map[string]struct {
		of   claims.Tolerance
		use  claims.Use
		want string // "" for no error
	}{
		"nothing, and nobody to use it":  {0, claims.Use{}, ""},
		"a consumer without credentials": {claims.TextDates, claims.Use{Ends: true}, "there is no credential"},
		"answers, and no server":         {claims.NeverExpires, claims.Use{Tokens: true}, "none is asked"},
		"answers, and a server":          {claims.NeverExpires, claims.Use{Answers: true}, ""},
		"an empty sub in answers":        {claims.EmptySubject, claims.Use{Answers: true}, "empty_subject is about tokens"},
		"null in answers":                {claims.NullClaims, claims.Use{Answers: true}, "null_claims is about tokens"},
		"no exp in answers":              {claims.MissingExp, claims.Use{Answers: true, Ends: true}, "missing_exp is about"},
		"numbers and dates in answers": {claims.NumericSubject | claims.TextDates | claims.MillisecondDates,
			claims.Use{Answers: true}, ""},
		"a token without end": {claims.MissingExp, claims.Use{Tokens: true}, "max_lifetime"},
		"an empty sub, and the profile": {claims.EmptySubject, claims.Use{Tokens: true, Profile: true},
			"demands sub"},
		"no exp, and the profile": {claims.MissingExp, claims.Use{Tokens: true, Ends: true, Profile: true},
			"demands exp"},
		"an empty sub that is required":         {claims.EmptySubject, requiring("email", "sub"), "demands sub"},
		"an empty sub that a pointer requires":  {claims.EmptySubject, requiring("/sub"), "demands sub"},
		"an exp that is required":               {claims.MissingExp, requiring("exp"), "demands exp"},
		"something inside of a claim of theirs": {every, requiring("sub.exp", "/exp/0"), ""},
	} {
		err := c.of.Check(c.use)
		if (err != nil) != (c.want != "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

// Each tolerance admits its shape and no other. Whatever is refused here is refused with all other tolerances, too.
func TestToleranceAdmitsItsShapeOnly(t *testing.T) {
	for of, c := range map[claims.Tolerance]struct{ admitted, refused []string }{
		claims.NumericSubject: {
			admitted: []string{`{"sub":0}`, `{"sub":7}`, `{"sub": 12345678901234567890 }`, `{"s\u0075b":4711}`},
			refused: []string{`{"sub":-1}`, `{"sub":-0}`, `{"sub":1.0}`, `{"sub":1e3}`, `{"sub":1E3}`, `{"sub":0.5}`,
				`{"sub":123456789012345678901}`, `{"sub":true}`, `{"sub":[7]}`, `{"sub":{"value":7}}`, `{"jti":7}`, `{"iss":7}`,
				`{"client_id":7}`, `{"aud":7}`, `{"aud":[7]}`, `{"scope":7}`, `{"scp":[7]}`},
		},
		claims.EmptySubject: {
			admitted: []string{`{"sub":""}`, `{"sub" : "" }`},
			refused: []string{`{"sub":" "}`, `{"sub":"\t"}`, `{"sub":"\u00a0"}`, `{"sub":"\u0020"}`, `{"sub":[]}`, `{"sub":{}}`,
				`{"sub":false}`, `{"jti":""}`, `{"iss":""}`, `{"client_id":""}`, `{"aud":""}`, `{"aud":[""]}`},
		},
		claims.NullClaims: {
			admitted: []string{`{"sub":null}`, `{"iss":null}`, `{"aud":null}`, `{"exp":null}`, `{"nbf":null}`, `{"iat":null}`,
				`{"jti":null}`, `{"client_id":null}`, `{"scope":null}`, `{"scp":null}`, `{"\u0073ub":null}`},
			refused: []string{`{"aud":[null]}`, `{"aud":["a",null]}`, `{"scope":[null]}`, `{"scp":["a",null]}`,
				`{"sub":"\u0000"`,
				`{"sub":false}`, `{"exp":"null"}`, `{"exp":false}`, `{"sub":null,"sub":null}`, `{"sub":null,"sub":"a"}`,
				`{"sub":NULL}`, `null`},
		},
		claims.TextDates: {
			admitted: []string{`{"exp":"0"}`, `{"exp":"1700000000"}`, `{"nbf":"1"}`, `{"iat":"253402300799"}`,
				`{"exp":"\u0031700000000"}`},
			refused: []string{`{"exp":""}`, `{"exp":" 1"}`, `{"exp":"1 "}`, `{"exp":"+1"}`, `{"exp":"-1"}`, `{"exp":"1.0"}`,
				`{"exp":"1e9"}`, `{"exp":"01"}`, `{"exp":"0x1"}`, `{"exp":"1_0"}`, `{"exp":"253402300800"}`, `{"exp":"١"}`,
				`{"exp":"2026-11-29T00:00:00Z"}`, `{"exp":"1\n"}`, `{"exp":["1"]}`, `{"exp":true}`,
				`{"exp":"` + strings.Repeat("0", 100) + `"}`, `{"exp":"` + strings.Repeat("1", 100_000) + `"}`},
		},
		claims.MillisecondDates: {
			admitted: []string{`{"exp":1700000000000}`, `{"exp":0}`, `{"nbf":253402300799999}`, `{"iat":1.7e12}`},
			refused: []string{`{"exp":253402300800000}`, `{"exp":-1}`, `{"exp":1e300}`, `{"exp":"1700000000000"}`,
				`{"exp":1e100}`, `{"exp":` + strings.Repeat("1", 65) + `}`, `{"exp":-0}`, `{"exp":[1]}`, `{"exp":false}`},
		},
	} {
		for _, text := range c.admitted {
			if _, err := read(text, tolerating(of)); err != nil {
				t.Errorf("%v: %s: %v", of, text, err)
			}
			if of == claims.MillisecondDates {
				continue // a small number is in range in both units
			}
			if _, err := read(text, tolerating(every&^of)); err == nil {
				t.Errorf("%v: %s passes without it", of, text)
			}
		}
		for _, text := range c.refused {
			if _, err := read(text, tolerating(of)); !errors.Is(err, claims.ErrMalformed) {
				t.Errorf("%v: %.60s: got %v", of, text, err)
			}
			if of == claims.MillisecondDates || of == claims.TextDates {
				continue // the two make each other's dates good
			}
			if _, err := read(text, tolerating(every)); !errors.Is(err, claims.ErrMalformed) {
				t.Errorf("%v: %.60s: with all: got %v", of, text, err)
			}
		}
	}
}

func TestNumericSubjectKeepsItsDigits(t *testing.T) {
	for _, digits := range []string{"0", "7", "9007199254740993", "18446744073709551615", "99999999999999999999"} {
		s, err := read(`{"sub":`+digits+`}`, tolerating(claims.NumericSubject))
		if err != nil || s.Subject != digits {
			t.Fatalf("%s: got %v", digits, err)
		}
		v, there := s.Claim("sub")
		text, _ := v.Text()
		if !there || text != digits || !v.Matches(digits) || fmt.Sprint(v.Any()) != digits {
			t.Errorf("%s: the claim is %s, and %v in a placeholder", digits, text, v.Any())
		}
	}
}

// What counts as absent is absent for every check and every path. The text stays as it was written.
func TestWhatCountsAsAbsentIsNotThere(t *testing.T) {
	const text = `{"sub":"","aud":null,"exp":null,"jti":null,"x":null,"cnf":null}`
	s, err := read(text, tolerating(claims.NullClaims|claims.EmptySubject))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"sub", "aud", "exp", "jti"} {
		if _, there := s.Claim(name); there {
			t.Errorf("%s is there", name)
		}
	}
	if _, there := s.Claim("x"); !there || !s.Confirmation.Bound || string(s.Text()) != text {
		t.Errorf("another claim is gone, or the binding, or the text: %s", s.Text())
	}
	if s.Subject != "" || s.Audience != nil || !s.ExpiresAt.IsZero() || s.ID != "" {
		t.Errorf("got %+v", s)
	}
	if err := claims.CheckPresent(s, []claims.Path{mustPath(t, "sub")}); !errors.Is(err, claims.ErrMissing) {
		t.Errorf("sub counts as present: %v", err)
	}
	if err := claims.CheckTime(s, time.Unix(0, 0), 0); !errors.Is(err, claims.ErrMissing) {
		t.Errorf("a null exp satisfies the check of time: %v", err)
	}
}

func TestMillisecondsAreTheUnitOfAllDates(t *testing.T) {
	at := time.UnixMilli(1700000000123).UTC()
	for _, c := range []struct{ tolerate, text string }{
		{"millisecond_dates", `{"exp":1700000000123,"nbf":1700000000123,"iat":1.700000000123e12,"auth_time":1700000000123}`},
		{"text_dates millisecond_dates",
			`{"exp":"1700000000123","nbf":1700000000123,"iat":"1700000000123","auth_time":"1700000000123"}`},
	} {
		tolerate, err := claims.ParseTolerance(strings.Fields(c.tolerate))
		if err != nil {
			t.Fatal(err)
		}
		s, err := read(c.text, tolerating(tolerate))
		if err != nil {
			t.Fatalf("%s: %v", c.tolerate, err)
		}
		if s.ExpiresAt != at || s.NotBefore != at || s.IssuedAt != at {
			t.Errorf("%s: got %v, %v, %v", c.tolerate, s.ExpiresAt, s.NotBefore, s.IssuedAt)
		}
		if err := claims.CheckAuthenticationAge(s, at.Add(time.Minute), time.Minute, 0); err != nil {
			t.Errorf("%s: %v", c.tolerate, err)
		}
		if err := claims.CheckAuthenticationAge(s, at.Add(time.Minute+1), time.Minute, 0); err == nil {
			t.Errorf("%s: an old auth_time counts as young", c.tolerate)
		}
		if string(s.Text()) != c.text {
			t.Errorf("the text has changed: %s", s.Text())
		}
	}
	s, err := read(`{"exp":1700000000}`, tolerating(claims.MillisecondDates))
	if err != nil || s.ExpiresAt.Year() != 1970 {
		t.Errorf("seconds are read as %v, %v", s.ExpiresAt, err)
	}
	for text, want := range map[string]time.Time{
		"0": time.Unix(0, 0), "1": time.UnixMilli(1), "0.5": time.Unix(0, 500_000), "1e-3": time.Unix(0, 1000),
		"253402300799999.999999": time.Unix(253402300799, 999_999_999), "999": time.UnixMilli(999), "1e3": time.Unix(1, 0),
	} {
		if s, err := read(`{"exp":`+text+`}`, tolerating(claims.MillisecondDates)); err != nil || !s.ExpiresAt.Equal(want) {
			t.Errorf("%s: got %v, %v; want %v", text, s.ExpiresAt, err, want)
		}
	}
}

func TestTokenWithoutExpEndsAsConfigured(t *testing.T) {
	issued, end := time.Unix(1700000000, 0).UTC(), time.Unix(1800000000, 0).UTC()
	hour := claims.Reading{Tolerate: claims.MissingExp, Lifetime: time.Hour, End: end}
	dated := claims.Reading{Tolerate: claims.MissingExp, End: end}
	null := claims.Reading{Tolerate: claims.MissingExp | claims.NullClaims, Lifetime: time.Hour}
	for name, c := range map[string]struct {
		how  claims.Reading
		text string
		want time.Time
	}{
		"by its lifetime":               {hour, `{"iat":1700000000}`, issued.Add(time.Hour)},
		"by its lifetime, without iat":  {hour, `{}`, time.Time{}},
		"by a date":                     {dated, `{"iat":1700000000}`, end},
		"by a date, without iat":        {dated, `{}`, end},
		"by exp":                        {hour, `{"iat":1700000000,"exp":1700000001}`, issued.Add(time.Second)},
		"by exp, and a date":            {dated, `{"exp":1700000001}`, issued.Add(time.Second)},
		"by exp in 1970":                {hour, `{"iat":1700000000,"exp":0}`, time.Unix(0, 0).UTC()},
		"with a null exp":               {null, `{"iat":1700000000,"exp":null}`, issued.Add(time.Hour)},
		"with a null iat":               {null, `{"iat":null}`, time.Time{}},
		"not without the word":          {claims.Reading{Lifetime: time.Hour, End: end}, `{"iat":1700000000}`, time.Time{}},
		"with an iat at the end of all": {hour, `{"iat":253402300799}`, time.Unix(253402300799, 0).UTC().Add(time.Hour)},
	} {
		s, err := read(c.text, &c.how)
		if err != nil || s.ExpiresAt != c.want {
			t.Errorf("%s: got %v, %v; want %v", name, s.ExpiresAt, err, c.want)
		}
	}
	if s, err := hour.DecodeAnswer([]byte(`{"iat":1700000000}`)); err != nil || !s.ExpiresAt.IsZero() {
		t.Errorf("an answer without exp ends at %v, %v", s.ExpiresAt, err)
	}
}

func TestNeverExpiresIsAboutAnswersOnly(t *testing.T) {
	never := tolerating(claims.NeverExpires)
	for _, text := range []string{`{"exp":0}`, `{"exp":null}`, `{"e\u0078p": 0 }`} {
		for name, decode := range map[string]func([]byte) (*claims.Set, error){
			"introspection": never.DecodeAnswer, "UserInfo": never.DecodeUserInfo,
		} {
			s, err := decode([]byte(text))
			if err != nil || !s.ExpiresAt.IsZero() {
				t.Errorf("%s: %s: %v", name, text, err)
			} else if _, there := s.Claim("exp"); there {
				t.Errorf("%s: %s: exp is there", name, text)
			}
		}
		if s, err := read(text, never); err == nil && s.ExpiresAt.IsZero() {
			t.Errorf("%s: a token never expires", text)
		}
	}
	for _, text := range []string{`{"exp":0.0}`, `{"exp":0e5}`, `{"exp":-0}`, `{"exp":"0"}`, `{"exp":""}`, `{"exp":false}`,
		`{"exp":[]}`, `{"exp":-1}`, `{"exp":1}`, `{"exp":{}}`} {
		if s, err := never.DecodeAnswer([]byte(text)); err == nil && s.ExpiresAt.IsZero() {
			t.Errorf("%s: the answer never expires", text)
		}
	}
	if s, err := claims.DecodeAnswer([]byte(`{"exp":0}`)); err != nil || s.ExpiresAt.Year() != 1970 {
		t.Errorf("without the word, 0 is %v, %v", s.ExpiresAt, err)
	}
	if _, err := claims.DecodeAnswer([]byte(`{"exp":null}`)); err == nil {
		t.Error("without the word, null passes")
	}
}

// The cause of a refusal names the word that would admit the claim, if exactly one would.
func TestErrorsNameTheWordThatAdmits(t *testing.T) {
	for text, want := range map[string]string{
		`{"sub":4711}`: "numeric_subject", `{"sub":""}`: "empty_subject", `{"sub":null}`: "null_claims",
		`{"aud":null}`: "null_claims", `{"exp":"1700000000"}`: "text_dates", `{"iat":1700000000000}`: "millisecond_dates",
		`{"sub":-1}`: "", `{"sub":" "}`: "", `{"exp":null}`: "", `{"iss":null}`: "", `{"exp":"1700000000000"}`: "",
		`{"exp":"soon"}`: "", `{"exp":1e300}`: "", `{"jti":7}`: "", `{"aud":[null]}`: "", `{"scope":7}`: "", `{"jti":""}`: "",
	} {
		_, err := claims.Decode([]byte(text))
		named := ""
		if _, after, found := strings.Cut(fmt.Sprint(err), `("tolerate `); found {
			named, _, _ = strings.Cut(after, `"`)
		}
		if err == nil || named != want {
			t.Errorf("%s: %v; want %q", text, err, want)
			continue
		}
		if want == "" {
			continue
		}
		tolerate, err := claims.ParseTolerance([]string{named})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := read(text, tolerating(tolerate)); err != nil {
			t.Errorf("%s: the word does not help: %v", text, err)
		}
	}
}

func TestToleratedSaysWhatWasAdmitted(t *testing.T) {
	how := &claims.Reading{Tolerate: every, Lifetime: time.Hour}
	for text, want := range map[string][]string{
		`{"sub":"a","exp":1,"x":null}`: {"exp is in milliseconds"},
		`{"sub":7,"iat":1}`:            {"sub is a number", "iat is in milliseconds", "there is no exp"},
		`{"sub":"","exp":"5"}`:         {"sub is empty", "exp is a text", "exp is in milliseconds"},
		`{"aud":null,"exp":null,"iat":1,"auth_time":"x"}`: {"aud is null", "exp is null", "iat is in milliseconds",
			"there is no exp"},
		`{}`: nil,
	} {
		s, err := read(text, how)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Tolerated(); !slices.Equal(got, want) || s.Tolerance() != every {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
	answer, err := tolerating(claims.NeverExpires).DecodeAnswer([]byte(`{"exp":0,"sub":null}`))
	if err != nil || !slices.Equal(answer.Tolerated(), []string{"exp means never"}) {
		t.Errorf("got %q, %v", answer.Tolerated(), err)
	}
	if strict := decode(t, typical); strict.Tolerated() != nil || strict.Tolerance() != 0 {
		t.Errorf("got %q", strict.Tolerated())
	}
}
