package claims_test

import (
	"errors"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/claims"
)

func TestCheckACR(t *testing.T) {
	const both = `accepted: "gold", "silver"`
	for name, c := range map[string]struct{ text, want string }{
		"the first":               {`{"acr":"gold"}`, ""},
		"the second":              {`{"acr":"silver"}`, ""},
		"with an escape":          {`{"acr":"g\u006fld"}`, ""},
		"another":                 {`{"acr":"bronze"}`, `acr is "bronze"; ` + both},
		"another case":            {`{"acr":"Gold"}`, `acr is "Gold"; ` + both},
		"both in one text":        {`{"acr":"gold silver"}`, `acr is "gold silver"; ` + both},
		"a blank behind":          {`{"acr":"gold "}`, `acr is "gold "; ` + both},
		"a NUL behind":            {`{"acr":"gold\u0000"}`, `acr is "gold\x00"; ` + both},
		"empty":                   {`{"acr":""}`, `acr is ""; ` + both},
		"none":                    {`{"ACR":"gold","amr":"gold"}`, `there is no acr; ` + both},
		"null":                    {`{"acr":null}`, `acr is not a text, but null; ` + both},
		"a list":                  {`{"acr":["gold"]}`, `acr is not a text, but an array; ` + both},
		"an object":               {`{"acr":{"value":"gold"}}`, `acr is not a text, but an object; ` + both},
		"a number":                {`{"acr":1}`, `acr is not a text, but a number; ` + both},
		"the text of a JSON list": {`{"acr":"[\"gold\"]"}`, `acr is "[\"gold\"]"; ` + both},
	} {
		checkAuthentication(t, name, claims.CheckACR(decode(t, c.text), []string{"gold", "silver"}), c.want)
	}
	if claims.CheckACR(decode(t, `{"acr":"gold"}`), nil) == nil || claims.CheckACR(decode(t, `{}`), nil) == nil {
		t.Error("an empty list accepts something")
	}
}

func TestCheckAuthenticationAge(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC) // 1795435200
	const ahead = "ahead of our clock, and the leeway is 5s"
	const aged = "the longest allowed is 1m0s, and the leeway is 5s"
	for name, c := range map[string]struct{ text, want string }{
		"now":                          {`{"auth_time":1795435200}`, ""},
		"at the edge":                  {`{"auth_time":1795435135}`, ""},
		"a second beyond":              {`{"auth_time":1795435134}`, "auth_time was 1m6s ago, " + aged},
		"with a fraction, at the edge": {`{"auth_time":1795435135.0}`, ""},
		"a nanosecond beyond":          {`{"auth_time":1795435134.999999999}`, "auth_time was 1m5s ago, " + aged},
		"with an exponent":             {`{"auth_time":1.7954352e9}`, ""},
		"ahead within the leeway":      {`{"auth_time":1795435205}`, ""},
		"ahead beyond it":              {`{"auth_time":1795435206}`, "auth_time is 6s " + ahead},
		"the last date of all":         {`{"auth_time":253402300799}`, "auth_time is 106751 days " + ahead},
		"the first date of all":        {`{"auth_time":0}`, "auth_time was 20780 days ago, " + aged},
		"milliseconds":                 {`{"auth_time":1795435200000}`, "auth_time is not a date in seconds, but a number"},
		"huge":                         {`{"auth_time":1e400}`, "auth_time is not a date in seconds, but a number"},
		"negative":                     {`{"auth_time":-1}`, "auth_time is not a date in seconds, but a number"},
		"minus zero":                   {`{"auth_time":-0}`, "auth_time is not a date in seconds, but a number"},
		"a text":                       {`{"auth_time":"1795435200"}`, "auth_time is not a date in seconds, but a string"},
		"true":                         {`{"auth_time":true}`, "auth_time is not a date in seconds, but a boolean"},
		"null":                         {`{"auth_time":null}`, "auth_time is not a date in seconds, but null"},
		"a list":                       {`{"auth_time":[1795435200]}`, "auth_time is not a date in seconds, but an array"},
		"none":                         {`{"iat":1795435200,"AUTH_TIME":1795435200}`, "there is no auth_time"},
	} {
		err := claims.CheckAuthenticationAge(decode(t, c.text), now, time.Minute, 5*time.Second)
		checkAuthentication(t, name, err, c.want)
	}
}

func checkAuthentication(t *testing.T, name string, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Errorf("%s: %v", name, err)
	case want != "" && !errors.Is(err, claims.ErrAuthentication):
		t.Errorf("%s: error %v", name, err)
	case want != "" && err.Error() != claims.ErrAuthentication.Error()+": "+want:
		t.Errorf("%s: error\n%v\nwant the text\n%s", name, err, want)
	}
}
