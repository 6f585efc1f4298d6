package strictjson_test

import (
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/strictjson"
)

// internal/claims has the long list of dates, good and bad.
func TestDate(t *testing.T) {
	for text, want := range map[string]time.Time{
		"0":                          time.Unix(0, 0),
		"1700000000.5":               time.Unix(1700000000, 500_000_000),
		"17e8":                       time.Unix(1700000000, 0),
		"253402300799.9999999999999": time.Unix(253402300799, 999_999_999),
		"253402300800":               {},
		"-1":                         {},
		"-0":                         {},
		"1e400":                      {},
		`"1700000000"`:               {},
		"null":                       {},
		"[1700000000]":               {},
	} {
		v, err := strictjson.Parse(text, strictjson.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := v.Date(); !got.Equal(want) || ok == want.IsZero() {
			t.Errorf("%s: got %v, %v; want %v", text, got, ok, want)
		}
	}
	if _, ok := (strictjson.Value{}).Date(); ok {
		t.Error("no value is a date")
	}
}

// Text and unit are independent of each other.
func TestDatesInOtherFormsAreReadOnlyAsSuch(t *testing.T) {
	type dates = strictjson.Dates
	for _, c := range []struct {
		text string
		form dates
		want time.Time // the zero Time for no date
	}{
		{`"1700000000"`, dates{}, time.Time{}},
		{`"1700000000"`, dates{Text: true}, time.Unix(1700000000, 0)},
		{`"1700000000"`, dates{Milliseconds: true}, time.Time{}},
		{`"1700000000"`, dates{Text: true, Milliseconds: true}, time.UnixMilli(1700000000)},
		{`1700000000`, dates{Text: true}, time.Unix(1700000000, 0)},
		{`1700000000123`, dates{Text: true}, time.Time{}},
		{`1700000000123`, dates{Milliseconds: true}, time.UnixMilli(1700000000123)},
		{`"1700000000123"`, dates{Text: true, Milliseconds: true}, time.UnixMilli(1700000000123)},
		{`1.7e12`, dates{Milliseconds: true}, time.UnixMilli(1700000000000)},
		{`1e-2`, dates{Milliseconds: true}, time.Unix(0, 10_000)},
		{`253402300799999`, dates{Milliseconds: true}, time.UnixMilli(253402300799999)},
		{`253402300800000`, dates{Milliseconds: true}, time.Time{}},
		{`"253402300799"`, dates{Text: true}, time.Unix(253402300799, 0)},
		{`"253402300800"`, dates{Text: true}, time.Time{}},
		{`"0"`, dates{Text: true}, time.Unix(0, 0)},
		{`"00"`, dates{Text: true}, time.Time{}},
		{`""`, dates{Text: true}, time.Time{}},
		{`"1.0"`, dates{Text: true}, time.Time{}},
		{`"1e3"`, dates{Text: true}, time.Time{}},
		{`"-1"`, dates{Text: true}, time.Time{}},
		{`" 1"`, dates{Text: true}, time.Time{}},
		{`"\u0031"`, dates{Text: true}, time.Unix(1, 0)},
		{`true`, dates{Text: true, Milliseconds: true}, time.Time{}},
		{`null`, dates{Text: true, Milliseconds: true}, time.Time{}},
		{`-0`, dates{Text: true, Milliseconds: true}, time.Time{}},
		{`1e300`, dates{Milliseconds: true}, time.Time{}},
	} {
		v, err := strictjson.Parse(c.text, strictjson.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := c.form.Date(v); !got.Equal(c.want) || ok == c.want.IsZero() {
			t.Errorf("%s as %+v: got %v, %v; want %v", c.text, c.form, got, ok, c.want)
		}
	}
}
