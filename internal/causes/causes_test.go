package causes_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/causes"
)

func TestQuote(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"plain":                    {"https://as.example", `"https://as.example"`},
		"nothing":                  {"", `""`},
		"line ends":                {"a\nb\r\u2028c", `"a\nb\r\u2028c"`},
		"colours of a terminal":    {"\x1b[31mred", `"\x1b[31mred"`},
		"quotes":                   {`a", reason="b`, `"a\", reason=\"b"`},
		"letters that look alike":  {"https://\u0430s", `"https://\u0430s"`},
		"not UTF-8":                {"a\xffb", `"a\xffb"`},
		"right to left":            {"\u202egpj", `"\u202egpj"`},
		"as long as may be":        {strings.Repeat("a", 100), `"` + strings.Repeat("a", 100) + `"`},
		"too long":                 {strings.Repeat("a", 101), `"` + strings.Repeat("a", 100) + `"...`},
		"cut before an escape":     {strings.Repeat("a", 99) + "\n", `"` + strings.Repeat("a", 99) + `"...`},
		"huge, all escapes":        {strings.Repeat("\U0001f511", 1<<20), `"` + strings.Repeat(`\U0001f511`, 10) + `"...`},
		"a token":                  {"eyJhbGciOiJub25lIn0.e30.", "a text of 24 bytes that may hold a token"},
		"a token behind something": {"Bearer eyAiYWxnIjoibm9uZSJ9.e30.", "a text of 32 bytes that may hold a token"},
	} {
		if got := causes.Quote(c.text); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
		plain := strings.Replace(strings.Replace(c.want, `"`, "", 1), `"...`, "...", 1)
		if got := causes.Plain(c.text); got != strings.TrimSuffix(plain, `"`) {
			t.Errorf("%s: plain %s, want %s", name, got, plain)
		}
	}
}

func TestList(t *testing.T) {
	for want, texts := range map[string][]string{
		"":                               nil,
		`"a"`:                            {"a"},
		`"a", "b", "c"`:                  {"a", "b", "c"},
		`"a", "b", "c" and 1 more`:       {"a", "b", "c", "d"},
		`"", "\n", "\x00" and 9997 more`: append([]string{"", "\n", "\x00"}, make([]string, 9997)...),
	} {
		if got := causes.List(texts); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func TestLine(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"no error":            {nil, ""},
		"several lines":       {errors.Join(errors.New("a"), errors.New("b\r\n\x1b[0m")), "a b   [0m"},
		"as long as may be":   {errors.New(strings.Repeat("a", 1000)), strings.Repeat("a", 1000)},
		"too long":            {errors.New(strings.Repeat("a", 1001)), strings.Repeat("a", 1000) + "..."},
		"cut between letters": {errors.New(strings.Repeat("\u00e4", 1000)), strings.Repeat("\u00e4", 500) + "..."},
		"cut inside of a letter": {errors.New("a" + strings.Repeat("\u00e4", 1000)),
			"a" + strings.Repeat("\u00e4", 499) + "..."},
	} {
		if got := causes.Line(c.err); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 400 * time.Millisecond: "0s", 1500 * time.Millisecond: "2s", -90 * time.Second: "1m30s",
		47 * time.Hour: "47h0m0s", 48 * time.Hour: "2 days", math.MaxInt64: "106751 days", math.MinInt64: "106751 days",
	} {
		if got := causes.Span(d); got != want {
			t.Errorf("%d: %s, want %s", d, got, want)
		}
	}
}

func TestTheIssuerThatWasMeant(t *testing.T) {
	keycloak := []string{"https://as.example/realms/main", "https://other.example:8443"}
	for name, c := range map[string]struct {
		issuers   []string
		iss, want string
	}{
		"no slash at its end": {[]string{"https://as.example/"}, "https://as.example",
			`the issuer "https://as.example/" differs in the slash at its end`},
		"a slash too many": {keycloak, "https://as.example/realms/main/",
			`the issuer "https://as.example/realms/main" differs in the slash at its end`},
		"another scheme": {keycloak, "http://as.example/realms/main",
			`the issuer "https://as.example/realms/main" differs in the scheme`},
		"no scheme": {[]string{"https://accounts.google.com"}, "accounts.google.com",
			`the issuer "https://accounts.google.com" differs in the scheme`},
		"another scheme and a slash": {keycloak, "http://as.example/realms/main/",
			`the issuer "https://as.example/realms/main" differs in the scheme and the slash at its end`},
		"capitals": {keycloak, "https://AS.example/realms/Main",
			`the issuer "https://as.example/realms/main" differs in upper and lower case`},
		"another host": {[]string{"http://localhost:8080/realms/main"}, "http://127.0.0.1:8080/realms/main",
			`the issuer "http://localhost:8080/realms/main" differs in the host`},
		"another host, no path": {[]string{"http://localhost:4010"}, "http://127.0.0.1:4010",
			`the issuer "http://localhost:4010" differs in the host`},
		"another port": {keycloak, "https://other.example",
			`the issuer "https://other.example:8443" differs in the port`},
		"the default port": {keycloak, "https://as.example:443/realms/main",
			`the issuer "https://as.example/realms/main" differs in the default port, which is written out`},
		"the metadata of the issuer": {keycloak, "https://as.example/realms/main/.well-known/openid-configuration",
			`that is the address of the metadata of the issuer "https://as.example/realms/main"`},
		"the metadata of RFC 8414": {keycloak, "https://as.example/.well-known/oauth-authorization-server/realms/main",
			`that is the address of the metadata of the issuer "https://as.example/realms/main"`},
		"metadata as issuer": {[]string{"https://as.example/.well-known/openid-configuration"}, "https://as.example",
			`the issuer "https://as.example/.well-known/openid-configuration" is the address of metadata: ` +
				"write the iss instead"},
		"a beginning": {keycloak, "https://as.example", `the issuer "https://as.example/realms/main" begins with it`},
		"a document as issuer": {[]string{"https://as.example/jwks.json"}, "https://as.example",
			`the issuer "https://as.example/jwks.json" begins with it`},
		"more than the issuer": {keycloak, "https://other.example:8443/x",
			`it begins with the issuer "https://other.example:8443"`},
		"another realm": {keycloak, "https://as.example/realms/test",
			`the issuer "https://as.example/realms/main" differs in the path`},
		"nothing alike": {keycloak, "urn:x",
			`the 2 issuers here are "https://as.example/realms/main", "https://other.example:8443"`},
		"nothing alike, one issuer": {keycloak[:1], "urn:x", `the only issuer here is "https://as.example/realms/main"`},
		"a host that several have": {[]string{"https://x/a", "https://x/b"}, "https://x/c",
			`the 2 issuers here are "https://x/a", "https://x/b"`},
		"no issuers": {nil, "https://x", ""},
		"no iss":     {keycloak[:1], "", `the only issuer here is "https://as.example/realms/main"`},
		"no address": {[]string{"main"}, "Main", `the issuer "main" differs in upper and lower case`},
		"huge": {keycloak[:1], "https://as.example/" + strings.Repeat("/", 1<<20),
			`the only issuer here is "https://as.example/realms/main"`},
		"only slashs": {keycloak[:1], "///", `the only issuer here is "https://as.example/realms/main"`},
		"IPv6": {[]string{"http://[::1]:8080"}, "http://[::1]:8081",
			`the issuer "http://[::1]:8080" differs in the port`},
	} {
		t.Run(name, func(t *testing.T) {
			if got := causes.NewIssuers(c.issuers).Describe(c.iss); got != c.want {
				t.Errorf("%s\nwant %s", got, c.want)
			}
		})
	}
}

// The cost of a refusal does not grow with the number of issuers, nor with the length of an iss.
func TestTheCostOfAComparisonIsBounded(t *testing.T) {
	names := make([]string, 20_000)
	for i := range names {
		names[i] = fmt.Sprintf("https://as.example/realms/%d", i)
	}
	issuers := causes.NewIssuers(names)
	issuers.Describe("x")
	for _, iss := range []string{
		"https://as.example/realms/19999/", "https://as.example/realms/x", "https://" + strings.Repeat("a:", 500),
		strings.Repeat("/", 1<<20), strings.Repeat("://", 300),
	} {
		n := testing.AllocsPerRun(100, func() { issuers.Describe(iss) })
		if n > 40 {
			t.Errorf("%.20s: %v allocations", iss, n)
		}
		if got := issuers.Describe(iss); len(got) > 500 {
			t.Errorf("%d bytes: %s", len(got), got)
		}
	}
}

func FuzzDescribe(f *testing.F) {
	f.Add("https://as.example/", "https://as.example")
	f.Add("http://as.example:80/a/.well-known/openid-configuration", "HTTPS://as.example:443/a")
	f.Fuzz(func(t *testing.T, name, iss string) {
		got := causes.NewIssuers([]string{name}).Describe(iss)
		if len(got) > 400 || got == "" {
			t.Errorf("%d bytes", len(got))
		}
		for _, c := range []byte(got) {
			if c < ' ' || c > '~' {
				t.Fatalf("byte %#x in %q", c, got)
			}
		}
	})
}

var start = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

func TestClocks(t *testing.T) {

	type seen struct {
		token string
		off   time.Duration
	}
	early := func(tokens string, off time.Duration) (list []seen) {
		for _, token := range tokens {
			list = append(list, seen{string(token), off})
			off += time.Second
		}
		return list
	}
	for name, c := range map[string]struct {
		tokens []seen
		want   bool
	}{
		"three tokens that are early": {early("abc", -time.Minute), true},
		"two tokens":                  {early("ab", -time.Minute), false},
		"one token, three times":      {early("aaa", -time.Minute), false},
		"three tokens, early by different times": {
			[]seen{{"a", -time.Minute}, {"b", -time.Hour}, {"c", -time.Second}}, false},
		"five tokens that are late":          {early("abcde", time.Hour), true},
		"four tokens that are late":          {early("abcd", time.Hour), false},
		"five tokens that are a little late": {early("abcde", 5*time.Second), false},
		"late by different times": {[]seen{{"a", time.Hour}, {"b", 2 * time.Hour}, {"c", 3 * time.Hour},
			{"d", 4 * time.Hour}, {"e", 5 * time.Hour}}, false},
		"some early, some late": {[]seen{{"a", -time.Hour}, {"b", -time.Hour}, {"c", time.Hour}, {"d", -time.Hour}}, false},
		"old ones are forgotten": {append([]seen{{"x", -time.Hour}, {"y", -time.Hour}},
			early("abcdefg", -time.Minute)...), true},
	} {
		var clocks causes.Clocks
		told := 0
		for _, seen := range c.tokens {
			if clocks.Wrong("issuer", seen.token, seen.off, start) {
				told++
			}
			if clocks.Wrong("another issuer "+seen.token, seen.token, seen.off, start) {
				t.Errorf("%s: told about an issuer with one token", name)
			}
		}
		if told > 1 || (told == 1) != c.want {
			t.Errorf("%s: told %d times", name, told)
		}
	}
}

// The same clock is told about once an hour, and the memory is bounded.
func TestClocksAreToldAboutOnceAnHour(t *testing.T) {
	var clocks causes.Clocks
	told := 0
	for i := range 7200 {
		if clocks.Wrong("issuer", fmt.Sprint(i), -time.Minute, start.Add(time.Duration(i)*time.Second)) {
			told++
		}
	}
	if told != 2 {
		t.Errorf("told %d times in two hours, want 2", told)
	}
	for i := range 5000 {
		for token := range 3 {
			if clocks.Wrong(fmt.Sprint("issuer ", i), fmt.Sprint(token), -time.Minute, start) && i > 1024 {
				t.Fatalf("issuer %d is remembered", i)
			}
		}
	}
}
