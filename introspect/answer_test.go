package introspect_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/introspect"
)

// verdicts of the tables below
const (
	active   = "active"
	inactive = "inactive"
	protocol = "protocol"
)

// verdict asks a fake server that gives this answer.
func verdict(t *testing.T, resp func() *http.Response, change func(*introspect.Config)) (string, introspect.Result) {
	t.Helper()
	cfg := fakeConfig(func(*http.Request) (*http.Response, error) { return resp(), nil })
	if change != nil {
		change(&cfg)
	}
	r, err := newClient(t, cfg).Introspect(t.Context(), testToken)
	var e *introspect.NoVerdictError
	switch {
	case errors.As(err, &e):
		return e.Cause.String(), r
	case err != nil:
		t.Fatalf("an error of another type: %v", err)
	case r.Active:
		return active, r
	}
	return inactive, r
}

func TestOnlyABooleanActiveIsAVerdict(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"true", `{"active":true}`, active},
		{"false", `{"active":false}`, inactive},
		{"white space and unknown members", "\n { \"x\" : [1,{\"y\":null}] , \"active\" : true , \"z\":\"\" } \n", active},
		{"an escaped name", `{"\u0061ctive":true}`, active},
		{"the string true", `{"active":"true"}`, protocol},
		{"the string false", `{"active":"false"}`, protocol},
		{"the number 1", `{"active":1}`, protocol},
		{"null", `{"active":null}`, protocol},
		{"an array", `{"active":[true]}`, protocol},
		{"an object", `{"active":{"active":true}}`, protocol},
		{"absence", `{"sub":"x"}`, protocol},
		{"an empty object", `{}`, protocol},
		{"another case", `{"Active":true}`, protocol},
		{"inside another object", `{"x":{"active":true}}`, protocol},
		{"twice", `{"active":false,"active":true}`, protocol},
		{"twice the same", `{"active":true,"active":true}`, protocol},
		{"twice, once escaped", `{"active":true,"\u0061ctive":false}`, protocol},
		{"another member twice", `{"active":true,"exp":1,"exp":9999999999}`, protocol},
		{"a nested member twice", `{"active":true,"cnf":{"a":1,"a":2}}`, protocol},
		{"an array around it", `[{"active":true}]`, protocol},
		{"a bare boolean", `true`, protocol},
		{"a second object", `{"active":true}{"active":true}`, protocol},
		{"trailing data", `{"active":true} x`, protocol},
		{"no end", `{"active":true`, protocol},
		{"a trailing comma", `{"active":true,}`, protocol},
		{"a comment", `{"active":true/**/}`, protocol},
		{"a byte order mark", "\xef\xbb\xbf" + `{"active":true}`, protocol},
		{"bytes that are not UTF-8", "{\"active\":true,\"x\":\"\xff\"}", protocol},
		{"half of a surrogate pair", `{"active":true,"x":"\ud800"}`, protocol},
		{"an empty body", ``, protocol},
		{"a page", `<html>active: true</html>`, protocol},
		{"depth at the limit", `{"active":true,"x":` + nested(introspect.MaxDepth-1) + `}`, active},
		{"depth over the limit", `{"active":true,"x":` + nested(introspect.MaxDepth) + `}`, protocol},
		{"objects over the limit",
			`{"active":true,"x":` + strings.Repeat(`{"x":`, 16) + "1" + strings.Repeat("}", 16) + `}`, protocol},
		{"endless depth", `{"active":true,"x":` + nested(100_000) + `}`, protocol},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got, _ := verdict(t, func() *http.Response { return response(200, test.text) }, nil); got != test.want {
				t.Errorf("the verdict is %s, want %s", got, test.want)
			}
		})
	}
}

func nested(depth int) string { return strings.Repeat("[", depth) + strings.Repeat("]", depth) }

func TestDatesAreNumbersInRange(t *testing.T) {
	for _, test := range []struct {
		text string
		want string
		at   time.Time
	}{
		{`99999999999`, active, time.Unix(99999999999, 0)},
		{`1700000000.5`, active, time.Unix(1700000000, 500_000_000)},
		{`1.7e9`, active, time.Unix(1700000000, 0)},
		{`0`, active, time.Unix(0, 0)},
		{`253402300799`, active, time.Unix(253402300799, 0)},
		{`253402300800`, protocol, time.Time{}},
		{`253402300799.999999999`, active, time.Unix(253402300799, 999_999_999)}, // a float would round it up
		{`-1`, protocol, time.Time{}},
		{`-0`, protocol, time.Time{}},
		{`1e19`, protocol, time.Time{}},
		{`9223372036854775808`, protocol, time.Time{}},
		{`1e400`, protocol, time.Time{}},
		{`1e999999999`, protocol, time.Time{}},
		{strings.Repeat("1", 5000), protocol, time.Time{}},
		{`"1700000000"`, protocol, time.Time{}},
		{`true`, protocol, time.Time{}},
		{`[1]`, protocol, time.Time{}},
		{`{}`, protocol, time.Time{}},
	} {
		for _, name := range []string{"exp", "nbf", "iat"} {
			text := fmt.Sprintf(`{"active":true,%q:%s}`, name, test.text)
			got, r := verdict(t, func() *http.Response { return response(200, text) }, nil)
			if got != test.want {
				t.Errorf("%.60s: the verdict is %s, want %s", text, got, test.want)
				continue
			}
			if name == "exp" && !r.ExpiresAt.Equal(test.at) || name == "nbf" && !r.NotBefore.Equal(test.at) {
				t.Errorf("%.60s: times are %v and %v, want %v", text, r.ExpiresAt, r.NotBefore, test.at)
			}
		}
	}
}

// A null date counts as absent, except for exp: a null exp must not make a token that never expires.
func TestNullDates(t *testing.T) {
	for text, want := range map[string]string{
		`{"active":true,"nbf":null,"iat":null}`: active,
		`{"active":true,"exp":null}`:            protocol,
	} {
		got, r := verdict(t, func() *http.Response { return response(200, text) }, nil)
		if got != want || !r.NotBefore.IsZero() {
			t.Errorf("%s: the verdict is %s, want %s; not before %v", text, got, want, r.NotBefore)
		}
	}
}

func TestAnInactiveAnswerHasNothingElse(t *testing.T) {
	got, r := verdict(t, func() *http.Response {
		return response(200, `{"active":false,"exp":"soon","nbf":1e400,"sub":"admin"}`)
	}, func(c *introspect.Config) {
		c.Decode = func([]byte) (any, error) { t.Error("an inactive answer was decoded"); return nil, nil }
	})
	if got != inactive || r.Answer != "" || r.Value != nil || !r.ExpiresAt.IsZero() || !r.NotBefore.IsZero() {
		t.Errorf("the result is %s: %+v", got, r)
	}
}

func TestOnlyStatus200IsAVerdict(t *testing.T) {
	for status, want := range map[int]introspect.Cause{
		201: introspect.CauseProtocol,
		202: introspect.CauseProtocol,
		203: introspect.CauseProtocol,
		204: introspect.CauseProtocol,
		206: introspect.CauseProtocol,
		300: introspect.CauseProtocol,
		302: introspect.CauseProtocol,
		304: introspect.CauseProtocol,
		400: introspect.CauseProtocol,
		401: introspect.CauseRefused,
		403: introspect.CauseRefused,
		404: introspect.CauseProtocol,
		405: introspect.CauseProtocol,
		418: introspect.CauseProtocol,
		429: introspect.CauseRateLimited,
		500: introspect.CauseUnavailable,
		501: introspect.CauseUnavailable,
		502: introspect.CauseUnavailable,
		503: introspect.CauseUnavailable,
		504: introspect.CauseUnavailable,
		599: introspect.CauseUnavailable,
	} {
		for _, text := range []string{`{"active":true}`, `{"active":false}`} {
			got, _ := verdict(t, func() *http.Response { return response(status, text) }, nil)
			if got != want.String() {
				t.Errorf("status %d gives %s, want %s", status, got, want)
			}
		}
	}
}

func TestTheContentTypeMustBeTheOneAskedFor(t *testing.T) {
	for _, test := range []struct {
		values []string
		want   string
	}{
		{[]string{"application/json"}, active},
		{[]string{"Application/JSON; charset=UTF-8"}, active},
		{[]string{"application/json;charset=utf-8"}, active},
		{nil, protocol},
		{[]string{""}, protocol},
		{[]string{"text/html"}, protocol},
		{[]string{"text/plain"}, protocol},
		{[]string{"application/jsonp"}, protocol},
		{[]string{"application/jwt"}, protocol},
		{[]string{"application/token-introspection+jwt"}, protocol},
		{[]string{"application/problem+json"}, protocol},
		{[]string{"application/json; charset=utf-16"}, protocol},
		{[]string{"application/json; profile=x"}, protocol},
		{[]string{"application/json;;"}, protocol},
		{[]string{"application/json, text/html"}, protocol},
		{[]string{"application/json", "application/json"}, protocol},
	} {
		got, _ := verdict(t, func() *http.Response {
			r := response(200, `{"active":true}`)
			r.Header = http.Header{"Content-Type": test.values}
			return r
		}, nil)
		if got != test.want {
			t.Errorf("Content-Type %q gives %s, want %s", test.values, got, test.want)
		}
	}
}

func TestAnUnknownEncodingIsNoVerdict(t *testing.T) {
	for _, encoding := range []string{"br", "gzip", "identity"} {
		got, _ := verdict(t, func() *http.Response {
			r := response(200, `{"active":true}`)
			r.Header.Set("Content-Encoding", encoding)
			return r
		}, nil)
		if got != protocol {
			t.Errorf("Content-Encoding %s gives %s", encoding, got)
		}
	}
}

func TestRetryAfterIsPassedOnWithinBounds(t *testing.T) {
	for _, test := range []struct {
		status int
		value  string
		want   time.Duration
	}{
		{503, "7", 7 * time.Second},
		{429, "120", 2 * time.Minute},
		{429, "", introspect.DefaultNegativeTTL}, // for as long the token is not asked about again
		{500, "", introspect.DefaultNegativeTTL},
		{500, "7", 7 * time.Second},
		{503, "0", time.Second},
		{503, "-5", time.Second},
		{503, "nonsense", time.Second},
		{429, "999999999", 5 * time.Minute},
		{503, "99999999999999999999", 5 * time.Minute},
		{503, time.Now().Add(time.Hour).UTC().Format(http.TimeFormat), 5 * time.Minute},
		{503, time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat), time.Second},
		{401, "7", 0},
	} {
		cfg := fakeConfig(func(*http.Request) (*http.Response, error) {
			r := response(test.status, "")
			r.Header.Set("Retry-After", test.value)
			return r, nil
		})
		_, err := newClient(t, cfg).Introspect(t.Context(), testToken)
		var e *introspect.NoVerdictError
		if !errors.As(err, &e) || e.RetryAfter != test.want || e.Status != test.status {
			t.Errorf("Retry-After %q of status %d: %+v, want %v", test.value, test.status, e, test.want)
		}
	}
}

func TestTheAnswerIsDecodedOnce(t *testing.T) {
	type claims struct{ Sub string }
	decoded := 0
	s := newServer(t, answer(`{"active":true,"sub":"jdoe"}`))
	cfg := basicConfig(s.URL)
	cfg.Decode = func(answer []byte) (any, error) {
		decoded++
		var c claims
		return c, json.Unmarshal(answer, &c)
	}
	c := newClient(t, cfg)
	for range 5 {
		r, err := c.Introspect(t.Context(), testToken)
		wantActive(t, true, r, err)
		if r.Answer != `{"active":true,"sub":"jdoe"}` || r.Value == nil {
			t.Errorf("the result is %+v", r)
		}
	}
	if decoded != 1 || s.calls.Load() != 1 {
		t.Errorf("decoded %d times in %d calls, want once", decoded, s.calls.Load())
	}
}

func TestUndecodableAnswersAreNoVerdict(t *testing.T) {
	boom := errors.New("boom")
	for name, decode := range map[string]func([]byte) (any, error){
		"error":         func([]byte) (any, error) { return nil, boom },
		"panic":         func([]byte) (any, error) { panic("boom " + testToken) },
		"runtime panic": func(b []byte) (any, error) { return b[len(b)], nil },
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, answer(`{"active":true}`))
			cfg := basicConfig(s.URL)
			cfg.Decode = decode
			c := newClient(t, cfg)
			for range 2 {
				r, err := c.Introspect(t.Context(), testToken)
				e := wantCause(t, introspect.CauseProtocol, r, err)
				wantSilent(t, err, testToken)
				if name == "error" && !errors.Is(e, boom) {
					t.Errorf("the cause is lost: %v", e)
				}
			}
			if n := s.calls.Load(); n != 2 {
				t.Errorf("%d calls, want 2: no verdict is not remembered", n)
			}
		})
	}
}

func TestActiveAtJudgesTheTimes(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	at := func(seconds int64) time.Time { return now.Add(time.Duration(seconds) * time.Second) }
	for _, test := range []struct {
		name   string
		result introspect.Result
		leeway time.Duration
		want   bool
	}{
		{"inactive", introspect.Result{}, time.Hour, false},
		{"inactive with times", introspect.Result{ExpiresAt: at(60)}, 0, false},
		{"active without times", introspect.Result{Active: true}, 0, true},
		{"before exp", introspect.Result{Active: true, ExpiresAt: at(1)}, 0, true},
		{"at exp", introspect.Result{Active: true, ExpiresAt: at(0)}, 0, false},
		{"after exp within the leeway", introspect.Result{Active: true, ExpiresAt: at(-4)}, 5 * time.Second, true},
		{"at the end of the leeway", introspect.Result{Active: true, ExpiresAt: at(-5)}, 5 * time.Second, false},
		{"exp zero", introspect.Result{Active: true, ExpiresAt: time.Unix(0, 0)}, 0, false},
		{"before nbf", introspect.Result{Active: true, NotBefore: at(1)}, 0, false},
		{"at nbf", introspect.Result{Active: true, NotBefore: at(0)}, 0, true},
		{"before nbf within the leeway", introspect.Result{Active: true, NotBefore: at(5)}, 5 * time.Second, true},
	} {
		if got := test.result.ActiveAt(now, test.leeway); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}
