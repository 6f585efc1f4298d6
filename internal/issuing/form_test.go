package issuing_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/issuing"
)

// ofForm is a request with a form, as clients send it.
func ofForm(body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/token", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

func TestAFormIsReadAsItIs(t *testing.T) {
	r := ofForm("grant_type=client_credentials&scope=a+b%20c&resource=x&resource=&resource=y&empty=&bare&%C3%A4=%E2%82%AC")
	r.Header.Set("Content-Type", "Application/X-WWW-Form-Urlencoded; charset=UTF-8")
	f, err := issuing.ReadForm(r, "resource", "audience")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"grant_type": "client_credentials", "scope": "a b c", "resource": "x", "empty": "", "bare": "", "none": "", "ä": "€",
		"Grant_Type": "",
	} {
		if got := f.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	for name, want := range map[string][]string{"resource": {"x", "y"}, "audience": nil, "empty": nil,
		"scope": {"a b c"}} {
		if got := f.All(name); !slices.Equal(got, want) {
			t.Errorf("%s are %q, want %q", name, got, want)
		}
	}
	if got := f.All("resource"); !slices.Equal(got, []string{"x", "y"}) { // asking has changed nothing
		t.Errorf("the second time: %q", got)
	}
	if f, err := issuing.ReadForm(ofForm("")); err != nil || f.Get("a") != "" {
		t.Errorf("an empty form: %v", err)
	}
}

func TestFormsThatAreRefused(t *testing.T) {
	numbered := func(n int) (body string) {
		for i := range n {
			body += "&p" + strconv.Itoa(i) + "=1"
		}
		return body[1:]
	}
	typed := func(types ...string) func(*http.Request) {
		return func(r *http.Request) { r.Header["Content-Type"] = types }
	}
	for name, c := range map[string]struct {
		body   string
		change func(*http.Request)
		status int
		text   string
	}{
		"GET":            {"a=1", func(r *http.Request) { r.Method = http.MethodGet }, 405, "POST"},
		"a query":        {"a=1", func(r *http.Request) { r.URL.RawQuery = "b=1" }, 400, "query"},
		"an empty query": {"a=1", func(r *http.Request) { r.URL.ForceQuery = true }, 400, "query"},
		"no type":        {"a=1", typed(), 415, "send a form"},
		"no type, empty": {"", typed(), 415, "send a form"},
		"JSON":           {"a=1", typed("application/json"), 415, "send a form"},
		"multipart":      {"a=1", typed("multipart/form-data; boundary=x"), 415, "send a form"},
		"text":           {"a=1", typed("text/plain"), 415, "send a form"},
		"two types": {"a=1", typed("application/x-www-form-urlencoded", "application/x-www-form-urlencoded"), 415,
			"form"},
		"another charset":  {"a=1", typed("application/x-www-form-urlencoded; charset=utf-16"), 415, "send a form"},
		"compressed":       {"a=1", func(r *http.Request) { r.Header.Set("Content-Encoding", "gzip") }, 415, "send a form"},
		"twice":            {"a=1&a=1", nil, 400, "more than once"},
		"twice, unknown":   {"b=&a=1&b=2", nil, 400, "more than once"},
		"twice by escapes": {"a=1&%61=2", nil, 400, "more than once"},
		"often repeated":   {strings.Repeat("resource=x&", 65) + "a=1", nil, 400, "more than once"},
		"many":             {numbered(65), nil, 400, "well-formed"},
		"a semicolon":      {"a=1;b=2", nil, 400, "well-formed"},
		"half an escape":   {"a=%4", nil, 400, "well-formed"},
		"no escape":        {"a=%zz", nil, 400, "well-formed"},
		"a value of bytes": {"a=%ff", nil, 400, "UTF-8"},
		"a name of bytes":  {"%ff=a", nil, 400, "UTF-8"},
		"one of several":   {"resource=a&resource=%ff", nil, 400, "UTF-8"},
		"too long":         {"a=" + strings.Repeat("x", issuing.MaxForm), nil, 413, "more than 64 KiB"},
	} {
		t.Run(name, func(t *testing.T) {
			r := ofForm(c.body)
			if c.change != nil {
				c.change(r)
			}
			f, err := issuing.ReadForm(r, "resource")
			failure, is := errors.AsType[*issuing.Failure](err)
			if !is || failure.Status != c.status || failure.Code != issuing.InvalidRequest ||
				!strings.Contains(failure.Text, c.text) {
				t.Errorf("%v, want status %d and %q", err, c.status, c.text)
			}
			if f.Get("a") != "" && c.text == "POST" {
				t.Errorf("it was read: %+v", f)
			}
		})
	}
	for name, body := range map[string]string{
		"64 parameters": numbered(64), "64 times": strings.Repeat("resource=x&", 64),
		"as long as possible": "a=" + strings.Repeat("x", issuing.MaxForm-2),
	} {
		if _, err := issuing.ReadForm(ofForm(body), "resource"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// broken is a body that ends in the middle.
type broken struct{ read bool }

func (b *broken) Read(p []byte) (int, error) {
	if b.read {
		return 0, errors.New("connection reset by 192.0.2.1")
	}
	b.read = true
	return copy(p, "a=1"), nil
}

func (b *broken) Close() error { return nil }

func TestAFormThatDoesNotComeWhole(t *testing.T) {
	r := ofForm("")
	r.Body = new(broken)
	_, err := issuing.ReadForm(r)
	if failure, is := errors.AsType[*issuing.Failure](err); !is || failure.Status != 400 ||
		strings.Contains(failure.Error(), "192.0.2.1") {
		t.Errorf("%v", err)
	}
}
