package bearer_test

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/bearer"
)

var b64token = regexp.MustCompile(`\A[A-Za-z0-9._~+/-]+=*\z`)

// outcome fails the test unless the error is one of those that Extract may return.
func outcome(t *testing.T, c bearer.Credential, err error) {
	t.Helper()
	switch {
	case err == nil:
		if !b64token.MatchString(c.Token) || len(c.Token) > bearer.DefaultMaxToken {
			t.Errorf("token %q is no b64token", c.Token)
		}
	case c != bearer.Credential{}:
		t.Error("a credential came with an error")
	case !errors.Is(err, bearer.ErrMissing) && !errors.Is(err, bearer.ErrMalformed):
		t.Errorf("error %v", err)
	}
}

// plain is a request for the fuzz targets that no parser has touched.
func plain(method string) *http.Request {
	return &http.Request{Method: method, URL: &url.URL{Path: "/"}, RequestURI: "/", Header: http.Header{}}
}

// Every token that is accepted matches the grammar of RFC 6750 section 2.1, and every token that matches is accepted.
func FuzzAuthorization(f *testing.F) {
	for _, seed := range []string{
		"Bearer " + token, "bearer  a==", "Bearer", "Bearer\ta",
		"Bearer a, Bearer b", "Basic a, Bearer b", " Bearer a ", "Bearer \u00a0a", "",
	} {
		f.Add(seed)
	}
	grammar := regexp.MustCompile(`\A[ \t]*[Bb][Ee][Aa][Rr][Ee][Rr] +([A-Za-z0-9._~+/-]+=*)[ \t]*\z`)
	e := extractor(f)
	f.Fuzz(func(t *testing.T, value string) {
		r := plain("GET")
		r.Header["Authorization"] = []string{value}
		c, err := e.Extract(r)
		outcome(t, c, err)
		want := grammar.FindStringSubmatch(value)
		if (want != nil && len(want[1]) <= bearer.DefaultMaxToken) != (err == nil) {
			t.Fatalf("%q: error %v", value, err)
		}
		if want != nil && err == nil && c.Token != want[1] {
			t.Errorf("%q: token %q", value, c.Token)
		}
		if e.Remove(r); errors.Is(err, bearer.ErrMissing) != (len(r.Header) == 1) {
			t.Errorf("%q: error %v, but afterwards %q", value, err, r.Header)
		}
	})
}

// withoutParam is a slow second opinion on what remains of a query.
func withoutParam(query, name string) string {
	kept := slices.DeleteFunc(strings.Split(query, "&"), func(pair string) bool {
		raw, _, _ := strings.Cut(pair, "=")
		decoded, err := url.QueryUnescape(raw)
		return err == nil && decoded == name
	})
	return strings.Join(kept, "&")
}

// readers read a query in other ways than ours. In an accepted request, each finds the same token, or none at all.
func readers(query string) map[string][]string {
	loose := func(separators string) (values []string) {
		for pair := range strings.FieldsFuncSeq(query, func(c rune) bool { return strings.ContainsRune(separators, c) }) {
			name, value, _ := strings.Cut(pair, "=")
			if n, err := url.QueryUnescape(name); err == nil {
				name = n
			}
			name, _, _ = strings.Cut(name, "\x00")
			if v, err := url.QueryUnescape(value); err == nil {
				value = v
			}
			if strings.ReplaceAll(name, "%", "") == "jwt" {
				values = append(values, value)
			}
		}
		return values
	}
	strict, _ := url.ParseQuery(query)
	var trimmed []string // by PHP, and without case by ASP.NET
	for name, values := range strict {
		if strings.EqualFold(strings.TrimLeft(name, " "), "jwt") {
			trimmed = append(trimmed, values...)
		}
	}
	return map[string][]string{"Go": strict["jwt"], "trimming": trimmed, "lenient": loose("&"), "semicolons": loose("&;")}
}

func FuzzQuery(f *testing.F) {
	for _, seed := range []string{
		"jwt=" + token, "a=1&%6awt=t&b=2", "a=1;jwt=t", "jwt=a&jwt=b", "j%wt=a&jwt=b",
		"jwt%00x=a", "jwt", "&&jwt=a%2Bb&", "jwt=t;x", "%=%&jwt=a", "jwt=a&+JWT=b",
	} {
		f.Add(seed)
	}
	e := extractor(f, inQuery)
	f.Fuzz(func(t *testing.T, query string) {
		r := plain("GET")
		r.URL.RawQuery, r.RequestURI = query, "/?"+query
		c, err := e.Extract(r)
		outcome(t, c, err)
		if errors.Is(err, bearer.ErrMalformed) {
			e.Remove(r)
			return
		}
		var want []string
		if err == nil {
			want = []string{c.Token}
		}
		for name, got := range readers(query) {
			if !slices.Equal(got, want) {
				t.Errorf("%q: %s reads %q, we %q", query, name, got, want)
			}
		}
		rest := withoutParam(query, "jwt")
		uri := "/?" + rest
		if rest == "" && query != "" && err == nil {
			uri = "/"
		}
		if e.Remove(r); r.URL.RawQuery != rest || r.RequestURI != uri {
			t.Errorf("%q: query %q and URI %q, want %q", query, r.URL.RawQuery, r.RequestURI, rest)
		}
	})
}

// A token that is put between the pairs of any query is found there, if it is the only one. Removing it restores the
// query byte for byte.
func FuzzQueryRoundTrip(f *testing.F) {
	f.Add("a=1&b=2", uint(1))
	f.Add("%zz&&=;+", uint(3))
	f.Add("", uint(0))
	e := extractor(f, inQuery)
	f.Fuzz(func(t *testing.T, query string, at uint) {
		r := plain("GET")
		r.URL.RawQuery = query
		if _, err := e.Extract(r); !errors.Is(err, bearer.ErrMissing) {
			return
		}
		pairs := strings.Split(query, "&")
		pairs = slices.Insert(pairs, int(at%uint(len(pairs)+1)), "jw%74="+token)
		r.URL.RawQuery = strings.Join(pairs, "&")
		r.RequestURI = "/p?" + r.URL.RawQuery
		if c, err := e.Extract(r); err != nil || c.Token != token {
			t.Fatalf("%q: error %v", r.URL.RawQuery, err)
		}
		if e.Remove(r); r.URL.RawQuery != query || strings.TrimPrefix(r.RequestURI[2:], "?") != query {
			t.Errorf("%q became %q and %q", query, r.URL.RawQuery, r.RequestURI)
		}
	})
}

func FuzzCookie(f *testing.F) {
	for _, seed := range []string{
		"jwt=" + token, "jwt= 0", "a=1; jwt=t; b=2", "jwt=a; jwt=b", `a="; jwt=t; b="`,
		"a=1,jwt=t", "; ;jwt=t; ", "jwt", " jwt =\tt ", "jwt=a; %4awt=b",
		"jwt=", `jwt=""`, "jwt=; jwt=t",
	} {
		f.Add(seed, "")
		f.Add("a=1", seed)
	}
	e := extractor(f, inCookie)
	f.Fuzz(func(t *testing.T, first, second string) {
		r := plain("GET")
		lines := []string{first, second}
		r.Header["Cookie"] = lines
		c, err := e.Extract(r)
		outcome(t, c, err)
		if errors.Is(err, bearer.ErrMalformed) || strings.ContainsAny(first+second, "\r\n\x00") {
			e.Remove(r) // no server passes such bytes on (RFC 9110 section 5.5)
			return
		}
		// The standard library agrees wherever it has an opinion.
		for _, cookie := range r.CookiesNamed("jwt") {
			if cookie.Value != c.Token || err != nil && cookie.Value != "" { // an emptied one is no token
				t.Errorf("%q: the standard library reads %q, we %q", lines, cookie.Value, c.Token)
			}
		}
		var want []string
		for _, line := range lines {
			parts := strings.Split(line, ";")
			kept := slices.DeleteFunc(slices.Clone(parts), func(part string) bool {
				name, _, _ := strings.Cut(part, "=")
				return strings.Trim(name, " \t") == "jwt"
			})
			rest := strings.Join(kept, ";")
			if len(kept) < len(parts) {
				if rest = strings.TrimLeft(rest, " \t"); rest == "" {
					continue
				}
			}
			want = append(want, rest)
		}
		if e.Remove(r); !slices.Equal(r.Header["Cookie"], want) {
			t.Errorf("%q became %q, want %q", lines, r.Header["Cookie"], want)
		}
	})
}

func FuzzForm(f *testing.F) {
	for _, seed := range []string{
		"access_token=" + token, "a=1&access%5ftoken=t&b=%zz",
		"access_token=a&access_token=b", "a;access_token=t", "\x00&access_token=t", "",
	} {
		f.Add(seed, formType, false)
		f.Add(seed, formType+"; charset=utf-8", true)
	}
	e := extractor(f, inForm)
	f.Fuzz(func(t *testing.T, body, kind string, chunked bool) {
		r := plain("POST")
		r.Header["Content-Type"] = []string{kind}
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
		if chunked {
			r.ContentLength = -1
		}
		c, err := e.Extract(r)
		outcome(t, c, err)
		want := body
		if err == nil {
			want = withoutParam(body, "access_token")
		}
		if !errors.Is(err, bearer.ErrMalformed) {
			e.Remove(r)
		}
		got, readErr := io.ReadAll(r.Body)
		if readErr != nil || string(got) != want {
			t.Errorf("%q became %q, want %q (error %v)", body, got, want, readErr)
		}
		if r.ContentLength >= 0 && r.ContentLength != int64(len(got)) || chunked != (r.ContentLength < 0) {
			t.Errorf("length %d of a body of %d", r.ContentLength, len(got))
		}
	})
}

// The challenge parses whatever the fields are. With valid fields it says what it should.
func FuzzChallenge(f *testing.F) {
	f.Add("api", "invalid_token", "the token has expired", "a b", "gold", int64(1e9))
	f.Add(`a"\`, "\r\n", "\x00\xff", `a"`, `b", error="x`, int64(-1))
	f.Fuzz(func(t *testing.T, realm, code, description, scope, acr string, age int64) {
		text := bearer.Challenge{
			Realm: realm, Error: code, Description: description, Scope: scope, ACRValues: acr, MaxAge: time.Duration(age),
		}.String()
		params, err := parseChallenge(text)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if _, ok := params["realm"]; !ok {
			t.Error("no realm")
		}
		if bearer.ValidRealm(realm) == nil && params["realm"] != realm {
			t.Errorf("realm %q became %q", realm, params["realm"])
		}
		for name, field := range map[string]string{"error": code, "error_description": description} {
			if _, ok := params[name]; ok == (field == "") {
				t.Errorf("%s: %t for %q", name, ok, field)
			}
			if strings.ContainsAny(params[name], `"\`) {
				t.Errorf("%s has a character that RFC 6750 forbids", name)
			}
		}
		for name, field := range map[string]string{"scope": scope, "acr_values": acr} {
			got, ok := params[name]
			if ok && got != field {
				t.Errorf("%s %q became %q", name, field, got)
			}
			if !ok && bearer.ValidScope(field) == nil {
				t.Errorf("%s %q is left out", name, field)
			}
		}
		if got, ok := params["max_age"]; ok != (age >= 1e9) || ok && got != strconv.FormatInt(age/1e9, 10) {
			t.Errorf("max_age of %d ns became %q", age, got)
		}
	})
}
