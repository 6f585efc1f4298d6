package problem_test

import (
	"mime"
	"slices"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/problem"
)

const (
	problemJSON = "application/problem+json"
	plainJSON   = "application/json"
	text        = "text/plain; charset=utf-8"
)

var invalid = problem.Of(401, "invalid_token", "the access token is invalid", "")

func TestFormThatTheClientAccepts(t *testing.T) {
	for name, c := range map[string]struct {
		accept []string
		want   string
	}{
		"no field":                {nil, problemJSON},
		"an empty field":          {[]string{""}, problemJSON},
		"curl":                    {[]string{"*/*"}, problemJSON},
		"problem+json":            {[]string{"application/problem+json"}, problemJSON},
		"JSON":                    {[]string{"application/json"}, plainJSON},
		"JSON in capitals":        {[]string{"Application/JSON"}, plainJSON},
		"axios and Angular":       {[]string{"application/json, text/plain, */*"}, plainJSON},
		"JSON before all else":    {[]string{"application/json, */*;q=0.5"}, plainJSON},
		"all else before JSON":    {[]string{"application/json;q=0.5, */*"}, problemJSON},
		"any kind of application": {[]string{"application/*"}, problemJSON},
		"text":                    {[]string{"text/plain"}, text},
		"any kind of text":        {[]string{"text/*"}, text},
		"Chrome": {[]string{"text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng," +
			"*/*;q=0.8,application/signed-exchange;v=b3;q=0.7"}, text},
		"Firefox": {[]string{"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}, text},
		"an image of a page": {[]string{"image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"},
			problemJSON},
		"an event stream":           {[]string{"text/event-stream"}, problemJSON},
		"XML alone":                 {[]string{"application/xml"}, problemJSON},
		"JSON rather than HTML":     {[]string{"text/html;q=0.8, application/json;q=0.9"}, plainJSON},
		"HTML rather than JSON":     {[]string{"text/html;q=0.9, application/json;q=0.8"}, text},
		"both kinds of JSON":        {[]string{"application/json, application/problem+json"}, problemJSON},
		"JSON rather than problem":  {[]string{"application/problem+json;q=0.3,application/json"}, plainJSON},
		"no problem+json":           {[]string{"application/problem+json;q=0, */*"}, plainJSON},
		"no kind of JSON":           {[]string{"application/*;q=0, */*;q=0.1"}, text},
		"nothing at all":            {[]string{"*/*;q=0"}, problemJSON},
		"nothing that we have":      {[]string{"application/problem+json;q=0"}, problemJSON},
		"exact before wide, q less": {[]string{"application/*, application/problem+json;q=0.1"}, plainJSON},
		"two fields":                {[]string{"text/plain;q=0.5", "application/json"}, plainJSON},
		"with a charset":            {[]string{"application/json; charset=utf-8"}, plainJSON},
		"with a version":            {[]string{"application/json;odata=verbose"}, plainJSON},
		"a quoted comma":            {[]string{`text/plain;a="x, application/json"`}, text},
		"a quoted semicolon":        {[]string{`application/json;a=";q=0", text/plain;q=0.5`}, plainJSON},
		"an escaped quote":          {[]string{`text/plain;a="\", application/json, \""`}, text},
		"a quote that does not end": {[]string{`text/plain;q=0.5;a=", application/json`}, text},
		"white space":               {[]string{" text/plain ;\tq=0.1 ,\tapplication/json ; Q=0.2 "}, plainJSON},
		"Java":                      {[]string{"text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2"}, text},
		"weight above 1":            {[]string{"text/plain;q=1.1, application/json;q=0.1"}, plainJSON},
		"weight below 0":            {[]string{"text/plain;q=-1, application/json;q=0.1"}, plainJSON},
		"weight of words":           {[]string{"text/plain;q=NaN, application/json;q=0.1"}, plainJSON},
		"weight of another kind":    {[]string{"text/plain;q=1e0, application/json;q=0.1"}, plainJSON},
		"weight that is too exact":  {[]string{"text/plain;q=0.9999, application/json;q=0.1"}, plainJSON},
		"weight without a number":   {[]string{"text/plain;q=, application/json;q=0.1"}, plainJSON},
		"the first weight counts":   {[]string{"text/plain;q=0.1;q=1, application/json;q=0.2"}, plainJSON},
		"nonsense":                  {[]string{",;,/,a,a/,/b,;q=1,*/json,\x00/\xff,="}, problemJSON},
		"too long":                  {[]string{"text/plain" + strings.Repeat(" ", 1014)}, problemJSON},
		"as long as may be":         {[]string{"text/plain" + strings.Repeat(" ", 1013)}, text},
		"too many fields":           {slices.Repeat([]string{"text/plain"}, 100), problemJSON},
	} {
		t.Run(name, func(t *testing.T) {
			if got, _ := invalid.Body(c.accept); got != c.want {
				t.Errorf("%s for %q, want %s", got, c.accept, c.want)
			}
		})
	}
}

// Whatever the field, the client gets one of our forms. The order of the ranges does not count, and a range that the
// client adds for another type changes nothing.
func FuzzAccept(f *testing.F) {
	for _, seed := range []string{
		"", "*/*", "text/html,*/*;q=0.8", "application/json;q=0.5, application/*;q=0.6", `a/b;c="d,e";q=0.1`, ",,;q=1",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, accept string) {
		got, body := invalid.Body([]string{accept})
		if !slices.Contains([]string{problemJSON, plainJSON, text}, got) || len(body) == 0 {
			t.Fatalf("%q: %q, %q", accept, got, body)
		}
		if strings.ContainsAny(accept, `"`) || len(accept) > 900 {
			return
		}
		ranges := strings.Split(accept, ",")
		slices.Reverse(ranges)
		if reversed, _ := invalid.Body([]string{strings.Join(ranges, ",")}); reversed != got {
			t.Errorf("%q: %s, and %s the other way round", accept, got, reversed)
		}
		if split, _ := invalid.Body(ranges); split != got {
			t.Errorf("%q: %s, and %s in fields of their own", accept, got, split)
		}
		if more, _ := invalid.Body([]string{accept, "image/png"}); more != got {
			t.Errorf("%q: %s, and %s with a range for another type", accept, got, more)
		}
	})
}

// A client that names one type of ours, and nothing else, gets that type.
func TestContentTypesCanBeParsed(t *testing.T) {
	for _, want := range []string{problemJSON, plainJSON, "text/plain"} {
		got, _ := invalid.Body([]string{want})
		if kind, _, err := mime.ParseMediaType(got); err != nil || kind != want {
			t.Errorf("Content-Type %q, want %s (%v)", got, want, err)
		}
	}
}
