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
