package fetch_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/fetch"
)

func TestRetryAfter(t *testing.T) {
	const limit = time.Minute
	now := time.Date(2026, time.January, 5, 10, 0, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		fields []string
		want   time.Duration
	}{
		"no field":                       {nil, 0},
		"an empty field":                 {[]string{""}, 0},
		"seconds":                        {[]string{"7"}, 7 * time.Second},
		"no seconds":                     {[]string{"0"}, 0},
		"leading zeros":                  {[]string{"007"}, 7 * time.Second},
		"the limit":                      {[]string{"60"}, limit},
		"more than the limit":            {[]string{"61"}, limit},
		"more than a duration can hold":  {[]string{"9999999999999"}, limit},
		"more than an integer can hold":  {[]string{"99999999999999999999999"}, limit},
		"a negative number":              {[]string{"-5"}, 0},
		"a number with a sign":           {[]string{"+5"}, 0},
		"a fraction":                     {[]string{"1.5"}, 0},
		"a word":                         {[]string{"tomorrow"}, 0},
		"a list in one field":            {[]string{"5, 10"}, 0},
		"a date":                         {[]string{"Mon, 05 Jan 2026 10:00:20 GMT"}, 20 * time.Second},
		"a date in the old form":         {[]string{"Monday, 05-Jan-26 10:00:20 GMT"}, 20 * time.Second},
		"this moment":                    {[]string{"Mon, 05 Jan 2026 10:00:00 GMT"}, 0},
		"a date in the past":             {[]string{"Mon, 05 Jan 2026 09:59:59 GMT"}, 0},
		"a date centuries ago":           {[]string{"Mon, 01 Jan 0001 00:00:00 GMT"}, 0},
		"a date centuries ahead":         {[]string{"Fri, 31 Dec 9999 23:59:59 GMT"}, limit},
		"a day that does not exist":      {[]string{"Mon, 32 Jan 2026 10:00:20 GMT"}, 0},
		"two fields, the longer first":   {[]string{"10", "5"}, 10 * time.Second},
		"two fields, the longer second":  {[]string{"5", "10"}, 10 * time.Second},
		"two fields, the first unusable": {[]string{"soon", "10"}, 10 * time.Second},
		"two fields, number and date":    {[]string{"5", "Mon, 05 Jan 2026 10:00:20 GMT"}, 20 * time.Second},
	} {
		header := http.Header{"Retry-After": test.fields}
		if got := fetch.RetryAfter(header, now, limit); got != test.want {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}

func TestDeltaSeconds(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0": 0, "60": time.Minute,
		"315360000": fetch.MaxDelta, "315360001": fetch.MaxDelta, "18446744073709551616": fetch.MaxDelta,
		"": -1, "-1": -1, "+1": -1, " 1": -1, "1s": -1, "0x10": -1, "1_0": -1, "٣": -1,
	} {
		got, ok := fetch.DeltaSeconds(text)
		if ok != (want >= 0) || ok && got != want {
			t.Errorf("%q: %v, %t", text, got, ok)
		}
	}
}
