package bearer_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/caddyjwt/gateway/internal/bearer"
)

const formType = "application/x-www-form-urlencoded"

func setForm(r *http.Request, body string) {
	r.Header.Set("Content-Type", formType)
	r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
}

func readAll(t *testing.T, r io.Reader) string {
	t.Helper()
	body, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestForm(t *testing.T) {
	e := extractor(t, inForm)
	for _, test := range []struct {
		name, body string
		want       error
	}{
		{"alone", "access_token=" + token, nil},
		{"among others", "a=1&access_token=" + token + "&b=%C3%A9", nil},
		{"escaped once", "access%5Ftoken=" + strings.ReplaceAll(token, ".", "%2E"), nil},
		{"last of 5,000", strings.Repeat("a=1&", 5000) + "access_token=" + token, nil},
		{"nothing", "a=1", bearer.ErrMissing},
		{"bytes that are not a form, without ours", "\x00\xff\xfe", bearer.ErrMissing},
		{"twice", "access_token=" + token + "&access_token=" + token, bearer.ErrMalformed},
		{"empty", "access_token=", bearer.ErrMalformed},
		{"a plus", "access_token=a+b", bearer.ErrMalformed},
		{"a line break at the end", "access_token=" + token + "\r\n", bearer.ErrMalformed},
		{"ours behind a semicolon", "a=1;access_token=" + token, bearer.ErrMalformed},
		{"raw non-ASCII beside it", "a=\xc3\xa9&access_token=" + token, bearer.ErrMalformed},
		{"a raw NUL beside it", "a=\x00&access_token=" + token, bearer.ErrMalformed},
		{"a megabyte of dots", "access_token=" + strings.Repeat(".", 1<<20-100), bearer.ErrTooLong},
		{"JSON under the form type", `{"access_token":"x"}`, bearer.ErrMissing},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodPost, "/", nil)
			setForm(r, test.body)
			check(t, e, r, token, test.want)
			if got := readAll(t, r.Body); got != test.body {
				t.Error("the body is not what it was")
			}
			if r.ContentLength != int64(len(test.body)) {
				t.Error("the length is not what it was")
			}
		})
	}
}

// unread fails the test when the body is touched.
type unread struct{ t *testing.T }

func (u unread) Read([]byte) (int, error) {
	u.t.Error("the body was read")
	return 0, io.EOF
}
func (unread) Close() error { return nil }

func TestBodiesThatAreNotRead(t *testing.T) {
	form := http.Header{"Content-Type": {formType}}
	for _, test := range []struct {
		name, method string
		header       http.Header
		want         error
	}{
		{"GET", http.MethodGet, form, bearer.ErrMissing},
		{"HEAD", http.MethodHead, form, bearer.ErrMissing},
		{"OPTIONS", http.MethodOptions, form, bearer.ErrMissing},
		{"TRACE", http.MethodTrace, form, bearer.ErrMissing},
		{"DELETE", http.MethodDelete, form, bearer.ErrMissing},
		{"an unknown method", "FOO", form, bearer.ErrMissing},
		{"a method in lower case", "post", form, bearer.ErrMissing},
		{"no type", "POST", http.Header{}, bearer.ErrMissing},
		{"JSON", "POST", http.Header{"Content-Type": {"application/json"}}, bearer.ErrMissing},
		{"plain text", "POST", http.Header{"Content-Type": {"text/plain"}}, bearer.ErrMissing},
		{"multipart", "POST", http.Header{"Content-Type": {"multipart/form-data; boundary=x"}}, bearer.ErrMissing},
		{"a longer type", "POST", http.Header{"Content-Type": {formType + "x"}}, bearer.ErrMissing},
		{"another charset", "POST", http.Header{"Content-Type": {formType + "; charset=utf-16"}}, bearer.ErrMissing},
		{"another parameter", "POST", http.Header{"Content-Type": {formType + ";encoding=utf-8"}}, bearer.ErrMissing},
		{"a boundary", "POST", http.Header{"Content-Type": {formType + ";boundary=x"}}, bearer.ErrMissing},
		{"a type that does not parse", "POST", http.Header{"Content-Type": {formType + "; charset"}}, bearer.ErrMissing},
		{"compressed", "POST", http.Header{"Content-Type": {formType}, "Content-Encoding": {"gzip"}}, bearer.ErrMissing},
		{"two types", "POST", http.Header{"Content-Type": {"text/plain", formType}}, bearer.ErrMalformed},
		{"a malformed header beside it", "POST", http.Header{
			"Content-Type": {formType}, "Authorization": {"Bearer"},
		}, bearer.ErrMalformed},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := httptest.NewRequest(test.method, "/", nil)
			r.Header, r.Body, r.ContentLength = test.header, unread{t}, 10
			e := extractor(t, bearer.DefaultPlace, inForm)
			check(t, e, r, "", test.want)
			e.Remove(r)
		})
	}
	t.Run("no form place", func(t *testing.T) {
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		r.Header, r.Body, r.ContentLength = form, unread{t}, 10
		check(t, extractor(t), r, "", bearer.ErrMissing)
		if extractor(t).ReadsBody(r) {
			t.Error("said that the body would be read")
		}
	})
	t.Run("announced too large", func(t *testing.T) {
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		r.Header, r.Body, r.ContentLength = form, unread{t}, bearer.DefaultMaxForm+1
		check(t, extractor(t, inForm), r, "", bearer.ErrBodyTooLarge)
	})
}

func TestBodiesThatAreRead(t *testing.T) {
	e := extractor(t, inForm)
	for _, method := range []string{"POST", "PUT", "PATCH"} {
		for _, kind := range []string{
			formType, formType + "; charset=UTF-8", formType + `;charset="utf-8"`, strings.ToUpper(formType), " " + formType,
		} {
			r := httptest.NewRequest(method, "/", nil)
			setForm(r, "access_token="+token)
			r.Header.Set("Content-Type", kind)
			r.Header.Set("Content-Encoding", "identity")
			if !e.ReadsBody(r) {
				t.Errorf("%s %s: said that the body would not be read", method, kind)
			}
			check(t, e, r, token, nil)
		}
	}
	r := httptest.NewRequest(http.MethodPost, "/", nil)
	setForm(r, "")
	if check(t, e, r, "", bearer.ErrMissing); e.ReadsBody(r) {
		t.Error("said that an empty body would be read")
	}
}

func TestFormBoundIsExact(t *testing.T) {
	e, err := bearer.NewExtractor(bearer.Options{Places: []bearer.Place{inForm}, MaxForm: 100})
	if err != nil {
		t.Fatal(err)
	}
	for size, want := range map[int]error{99: nil, 100: nil, 101: bearer.ErrBodyTooLarge, 9000: bearer.ErrBodyTooLarge} {
		body := "access_token=t&" + strings.Repeat("a", size-15)
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		setForm(r, body)
		r.ContentLength = -1 // chunked
		check(t, e, r, "t", want)
		if got := readAll(t, r.Body); got != body {
			t.Errorf("%d bytes: the body is not what it was", size)
		}
		if r.ContentLength != -1 {
			t.Errorf("%d bytes: the length changed", size)
		}
	}
}

// endless is a body without end. It counts what is read.
type endless struct{ taken int }

func (b *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'a'
	}
	b.taken += len(p)
	return len(p), nil
}
func (*endless) Close() error { return nil }

func TestEndlessBodyIsBounded(t *testing.T) {
	body := &endless{}
	r := httptest.NewRequest(http.MethodPost, "/", nil)
	setForm(r, "")
	r.Body, r.ContentLength = body, -1
	check(t, extractor(t, inForm), r, "", bearer.ErrBodyTooLarge)
	if body.taken > bearer.DefaultMaxForm+1<<16 {
		t.Errorf("%d bytes were read", body.taken)
	}
}

func TestLimitOfAnEarlierHandler(t *testing.T) {
	r := httptest.NewRequest(http.MethodPost, "/", nil)
	setForm(r, strings.Repeat("a", 100))
	r.Body = http.MaxBytesReader(httptest.NewRecorder(), r.Body, 10)
	check(t, extractor(t, inForm), r, "", bearer.ErrBodyTooLarge)
}

func TestTruncatedBody(t *testing.T) {
	for name, body := range map[string]io.Reader{
		"an error":        io.MultiReader(strings.NewReader("access_token="+token), iotest.ErrReader(io.ErrUnexpectedEOF)),
		"nothing, always": stuck{},
	} {
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		setForm(r, "")
		r.Body, r.ContentLength = io.NopCloser(body), -1
		t.Run(name, func(t *testing.T) { check(t, extractor(t, inForm), r, "", bearer.ErrBodyRead) })
	}
}

type stuck struct{}

func (stuck) Read([]byte) (int, error) { return 0, nil }

func TestStalledBodyEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		reader, writer := io.Pipe()
		go func() { _, _ = writer.Write([]byte("access_token=t")) }() // and then nothing
		r := httptest.NewRequest(http.MethodPost, "/", nil).WithContext(ctx)
		setForm(r, "")
		r.Body, r.ContentLength = reader, -1
		start := time.Now()
		check(t, extractor(t, inForm), r, "", bearer.ErrBodyRead)
		if waited := time.Since(start); waited != time.Minute {
			t.Errorf("gave up after %s", waited)
		}
	})
}

// trickle sends a byte a second and cannot be closed, like an HTTP/1 body that is being read.
type trickle struct{ sent int }

func (b *trickle) Read(p []byte) (int, error) {
	time.Sleep(time.Second)
	b.sent++
	p[0] = 'a'
	return 1, nil
}
func (*trickle) Close() error { return nil }

func TestSlowBodyEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		body := &trickle{}
		r := httptest.NewRequest(http.MethodPost, "/", nil).WithContext(ctx)
		setForm(r, "")
		r.Body, r.ContentLength = body, -1
		_, err := extractor(t, inForm).Extract(r)
		if !errors.Is(err, bearer.ErrBodyRead) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
		if body.sent > 11 {
			t.Errorf("%d bytes were read", body.sent)
		}
	})
}

// closeCounter counts closings.
type closeCounter struct {
	io.Reader
	closed int
}

func (c *closeCounter) Close() error { c.closed++; return nil }

func TestBodyIsClosedThrough(t *testing.T) {
	e := extractor(t, inForm)
	source := &closeCounter{Reader: strings.NewReader("access_token=" + token)}
	r := httptest.NewRequest(http.MethodPost, "/", nil)
	setForm(r, "")
	r.Body, r.ContentLength = source, -1
	check(t, e, r, token, nil)
	e.Remove(r)
	if err := r.Body.Close(); err != nil || source.closed != 1 {
		t.Errorf("closed %d times, error %v", source.closed, err)
	}
}

func TestTwoExtractorsInARow(t *testing.T) {
	r := httptest.NewRequest(http.MethodPost, "/", nil)
	setForm(r, "access_token="+token+"&a=1")
	first, second := extractor(t, inForm), extractor(t, inForm)
	check(t, first, r, token, nil)
	check(t, second, r, token, nil)
	second.Remove(r)
	check(t, first, r, "", bearer.ErrMissing)
	if got := readAll(t, r.Body); got != "a=1" {
		t.Errorf("body %q", got)
	}
	small, err := bearer.NewExtractor(bearer.Options{Places: []bearer.Place{inForm}, MaxForm: 5})
	if err != nil {
		t.Fatal(err)
	}
	setForm(r, "access_token="+token)
	r.ContentLength = -1
	check(t, first, r, token, nil)
	check(t, small, r, "", bearer.ErrBodyTooLarge)
}

// HasRead distinguishes a body that was read to its end from one that still has to come.
func TestHasRead(t *testing.T) {
	e, err := bearer.NewExtractor(bearer.Options{
		Places: []bearer.Place{bearer.DefaultPlace, {Kind: bearer.Form, Name: "t"}}, MaxForm: 8,
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		body, authorization string
		want                bool
	}{
		"a form":                            {"t=abc", "", true},
		"a form without a token":            {"a=b", "", true},
		"a form that is too long":           {"t=abcdefghijk", "", false},
		"a form after a malformed header":   {"t=abc", "Bearer a b", false},
		"a form that is one token too many": {"t=abc", "Bearer abc", true},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodPost, "/", struct{ io.Reader }{strings.NewReader(test.body)}) // as from a client
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			if test.authorization != "" {
				r.Header.Set("Authorization", test.authorization)
			}
			_, _ = e.Extract(r)
			if got := bearer.HasRead(r); got != test.want {
				t.Errorf("read: %t, want %t", got, test.want)
			}
		})
	}
	r := httptest.NewRequest(http.MethodPost, "/", nil)
	if r.Body = io.NopCloser(bytes.NewBufferString("a=b")); !bearer.HasRead(r) {
		t.Error("what somebody else has read and put back is still to come")
	}
}

// ReadBody reads any body, within the bounds of forms, and gives it back.
func TestReadBody(t *testing.T) {
	post := func(body io.Reader) *http.Request {
		r := httptest.NewRequest(http.MethodPost, "/", body)
		r.Header.Set("Content-Type", "application/json")
		return r
	}
	for name, c := range map[string]struct {
		r    *http.Request
		text string
		want error
	}{
		"a text":             {post(strings.NewReader("{}")), "{}", nil},
		"no body":            {post(nil), "", nil},
		"as long as may be":  {post(strings.NewReader(strings.Repeat("a", 1<<20))), strings.Repeat("a", 1<<20), nil},
		"announced too long": {post(strings.NewReader(strings.Repeat("a", 1<<20+1))), "", bearer.ErrBodyTooLarge},
		"too long, in chunks": {post(io.MultiReader(strings.NewReader(strings.Repeat("a", 1<<20+1)))), "",
			bearer.ErrBodyTooLarge},
		"broken off": {post(iotest.ErrReader(io.ErrUnexpectedEOF)), "", bearer.ErrBodyRead},
	} {
		t.Run(name, func(t *testing.T) {
			for range 2 { // whoever comes next reads the same
				text, err := bearer.ReadBody(c.r)
				if text != c.text || !errors.Is(err, c.want) {
					t.Fatalf("%d bytes, error %v; want %d, %v", len(text), err, len(c.text), c.want)
				}
			}
			if c.want != nil {
				return
			}
			if rest, err := io.ReadAll(c.r.Body); string(rest) != c.text || err != nil {
				t.Errorf("%d bytes are left, error %v", len(rest), err)
			}
		})
	}
}
