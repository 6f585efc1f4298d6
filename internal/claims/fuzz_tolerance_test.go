package claims_test

import (
	"encoding/json"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/strictjson"
)

// FuzzTolerance mends a text by hand, as far as the tolerances admit its shapes. It is accepted with them if and only
// if the mended text is accepted without any, and both mean the same. So a tolerance changes no text that is good as it
// is, and admits nothing beside its shape.
func FuzzTolerance(f *testing.F) {
	for mask, seed := range map[claims.Tolerance]string{
		0: typical, claims.NumericSubject: `{"sub":4711}`, claims.EmptySubject: `{"sub":"","iss":"a"}`,
		claims.NullClaims:            `{"aud":null,"exp":null,"cnf":null,"jti":null}`,
		claims.TextDates:             `{"exp":"1700000000","nbf":"0","iat":"01"}`,
		claims.MillisecondDates:      `{"exp":1700000000123,"nbf":1.5e3,"iat":0.25,"scp":"a"}`,
		claims.MissingExp:            `{"iat":1700000000}`,
		claims.NeverExpires:          `{"exp":0,"sub":"a"}`,
		every:                        `{"exp":"1700000000000","sub":18446744073709551615,"aud":["a",null]}`,
		every &^ claims.NullClaims:   `{"\u0065xp":"\u0031","sub":-1}`,
		every &^ claims.EmptySubject: `{"sub":" ","exp":null}`,
	} {
		f.Add(seed, uint8(mask), false)
		f.Add(seed, uint8(mask), true)
	}
	f.Fuzz(func(t *testing.T, text string, mask uint8, answer bool) {
		tolerate := claims.Tolerance(mask) & every
		how := &claims.Reading{Tolerate: tolerate, Lifetime: time.Hour}
		decode, strict := func() (*claims.Set, error) { return read(text, how) }, claims.Decode
		if answer {
			decode, strict = func() (*claims.Set, error) { return how.DecodeAnswer([]byte(text)) }, claims.DecodeAnswer
		}
		got, err := decode()
		mended, ok := mend(text, tolerate, answer)
		if !ok {
			t.Skip() // a number that this test does not divide
		}
		want, wantErr := strict([]byte(mended))
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("%s: %q is read as %v, and %q as %v", tolerate, text, err, mended, wantErr)
		}
		if err != nil {
			return
		}
		if tolerate.Has(claims.MissingExp) && !answer && want.ExpiresAt.IsZero() && !want.IssuedAt.IsZero() {
			want.ExpiresAt = want.IssuedAt.Add(time.Hour)
		}
		if a, b := essence(got), essence(want); !reflect.DeepEqual(a, b) {
			t.Fatalf("%s: %q is read as %+v, and %q as %+v", tolerate, text, a, mended, b)
		}
		for _, name := range []string{"sub", "aud", "exp", "jti", "cnf"} {
			_, a := got.Claim(name)
			if _, b := want.Claim(name); a != b {
				t.Fatalf("%s: %q: %s is there: %v, want %v", tolerate, text, name, a, b)
			}
		}
		if string(got.Text()) != text {
			t.Fatalf("%q has become %q", text, got.Text())
		}
	})
}

// essence is what a set means.
func essence(s *claims.Set) fields {
	return fields{s.Issuer, s.Subject, s.ID, s.ClientID, s.Audience, s.Scope,
		s.ExpiresAt, s.NotBefore, s.IssuedAt, s.Confirmation.Bound}
}

var (
	subjectNumber = regexp.MustCompile(`^[0-9]{1,20}$`)
	dateText      = regexp.MustCompile(`^(0|[1-9][0-9]*)$`)
	plainDate     = regexp.MustCompile(`^([0-9]{1,40}(\.[0-9]{1,20})?)([eE]([+-]?[0-9]{1,2}))?$`)
)

// mend writes a text without the shapes that the tolerances admit. It is not ok for what it cannot write so.
func mend(text string, tolerate claims.Tolerance, answer bool) (mended string, ok bool) {
	object, err := strictjson.ParseObject(text, strictjson.Limits{})
	if err != nil {
		return text, true
	}
	var members []string
	for name, value := range object.Members() {
		claim, _ := name.Str()
		written := value.Text()
		date := claim == "exp" || claim == "nbf" || claim == "iat"
		null := written == "null" && slices.Contains(strings.Fields("iss sub aud exp nbf iat jti client_id scope scp"), claim)
		content, isText := value.Str()
		switch {
		case !answer && null && tolerate.Has(claims.NullClaims),
			!answer && claim == "sub" && written == `""` && tolerate.Has(claims.EmptySubject),
			answer && claim == "exp" && (written == "0" || written == "null") && tolerate.Has(claims.NeverExpires):
			continue
		case claim == "sub" && subjectNumber.MatchString(written) && tolerate.Has(claims.NumericSubject):
			written = strconv.Quote(written)
		case date && isText && tolerate.Has(claims.TextDates) && !dateText.MatchString(content):
			written = `"no date"`
		case date && isText && tolerate.Has(claims.TextDates):
			written = content
		}
		if date && tolerate.Has(claims.MillisecondDates) && json.Valid([]byte(written)) && !strings.HasPrefix(written, `"`) {
			if written, ok = divide(written); !ok {
				return "", false
			}
		}
		members = append(members, name.Text()+":"+written)
	}
	return "{" + strings.Join(members, ",") + "}", true
}

// divide divides a JSON number by 1000.
func divide(number string) (string, bool) {
	if c := number[0]; c == '-' || c > '9' || c == '{' || c == '[' {
		return number, true // no date in either unit
	}
	parts := plainDate.FindStringSubmatch(number)
	if parts == nil {
		return "", false
	}
	exponent, _ := strconv.Atoi(parts[4])
	return parts[1] + "e" + strconv.Itoa(exponent-3), exponent < 90 && exponent > -90
}
