// Package cors decides which pages of other origins may read the answers of a route (CORS, in the Fetch standard). It
// answers preflights, and sets the fields of CORS on every other answer. The library rs/cors decides about a request.
// This package decides what the library may see, and what becomes of its fields.
package cors

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"golang.org/x/net/http/httpguts"

	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/setting"
)

// Config is the settings of CORS for one route.
type Config struct {
	// Origins whose pages may send requests and read the answers, as browsers write them: "https://app.example.com",
	// "http://localhost:3000". They are compared byte for byte, and there are no wildcards. "*" alone stands for every
	// origin; it does not go with credentials. Required. Placeholders are resolved.
	Origins []string `json:"origins,omitempty"`
	// Methods that pages may use. Default: GET, HEAD, POST, PUT, PATCH and DELETE.
	Methods []string `json:"methods,omitempty"`
	// Request headers that pages may set, beside those that they always may: Content-Type, the headers that token_from
	// names, and those of MCP (Last-Event-ID, Mcp-Method, Mcp-Name, Mcp-Protocol-Version, Mcp-Session-Id). Default: no
	// others.
	Headers []string `json:"headers,omitempty"`
	// Response headers that pages may read, beside those that they always may: WWW-Authenticate, Retry-After and
	// Mcp-Session-Id, those that the backend exposes, and the few that the Fetch standard allows. Default: no others.
	Expose []string `json:"expose,omitempty"`
	// Let pages send cookies, and read answers to requests with cookies. Tokens in Authorization need no credentials: a
	// page sets that header itself. Default: browsers leave cookies out, or keep the answer from the page.
	Credentials bool `json:"credentials,omitempty"`
	// How long browsers may remember the answer to a preflight: whole seconds, at most 24h. Browsers have bounds of their
	// own. 0s means not at all. Default: browsers decide, and the Fetch standard says 5 seconds.
	MaxAge *caddy.Duration `json:"max_age,omitempty"`
}

// Table has the words of the block.
var Table = words.Table[Config]{Name: "cors", Words: []words.Word[Config]{
	{Name: "origins", Usage: []string{"<origin...>"},
		Reader: words.Texts(func(c *Config) *[]string { return &c.Origins }, mistakes...)},
	{Name: "methods", Usage: []string{"<method...>"},
		Reader: words.Texts(func(c *Config) *[]string { return &c.Methods }, mistakes...)},
	{Name: "headers", Usage: []string{"<header...>"},
		Reader: words.Texts(func(c *Config) *[]string { return &c.Headers }, mistakes...)},
	{Name: "expose", Usage: []string{"<header...>"},
		Reader: words.Texts(func(c *Config) *[]string { return &c.Expose }, mistakes...)},
	{Name: "credentials", Reader: words.Flag(func(c *Config) *bool { return &c.Credentials })},
	{Name: "max_age", Usage: []string{"<duration>"},
		Reader: words.DurationOrZero(func(c *Config) **caddy.Duration { return &c.MaxAge })},
}}

var mistakes = []words.Mistake{words.SingleQuotes, words.CommaList, words.ShellVariable, words.Unfilled}

var (
	defaultMethods = []string{
		http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
	}
	alwaysAllowed = []string{
		"Content-Type", "Last-Event-ID", "Mcp-Method", "Mcp-Name", "Mcp-Protocol-Version", "Mcp-Session-Id",
	}
	alwaysExposed = []string{"WWW-Authenticate", "Retry-After", "Mcp-Session-Id"}
)

const longestMaxAge = 24 * time.Hour

// Compile checks the settings and makes the policy. tokenHeaders are the headers that may hold a token or a proof, and
// answerHeaders those with which the gate answers beside a challenge. An error names a field of Config. Origins that
// are not known yet (see words.Settings) are left out of the policy.
func (c *Config) Compile(s *words.Settings, tokenHeaders, answerHeaders []string) (*Policy, error) {
	origins, err := c.compileOrigins(s)
	if err != nil {
		return nil, err
	}
	rules := rules{origins: origins, methods: c.Methods, credentials: c.Credentials}
	if err := eachOf("Methods", "cors methods", c.Methods, checkMethod); err != nil {
		return nil, err
	}
	if err := eachOf("Headers", "cors headers", c.Headers, checkHeader); err != nil {
		return nil, err
	}
	if err := eachOf("Expose", "cors expose", c.Expose, checkExposed); err != nil {
		return nil, err
	}
	if c.Methods == nil {
		rules.methods = defaultMethods
	}
	rules.headers = slices.Concat(alwaysAllowed, tokenHeaders, c.Headers)
	rules.exposed = union(union(alwaysExposed, answerHeaders), c.Expose)
	if rules.maxAge, err = c.compileMaxAge(); err != nil {
		return nil, setting.In("MaxAge", err)
	}
	return rules.policy(), nil
}

func (c *Config) compileOrigins(s *words.Settings) ([]string, error) {
	if len(c.Origins) == 0 {
		return nil, setting.Errorf("Origins", "cors has no origins: name those whose pages may send requests, "+
			"such as \"origins https://app.example.com\"")
	}
	var origins []string
	for i, value := range c.Origins {
		origin, known, err := s.Text("cors origins", value)
		switch {
		case err != nil:
		case origin == "":
			err = errors.New("a value of cors origins is empty")
		case !known:
			continue
		case origin == everyOrigin:
			err = c.checkEveryOrigin()
		case slices.Contains(origins, origin):
			err = fmt.Errorf("cors origins %q is given twice: remove one of the two", origin)
		default:
			err = wrap("cors origins "+quoted(origin), checkOrigin(origin))
		}
		if err != nil {
			return nil, setting.In(fmt.Sprintf("Origins[%d]", i), err)
		}
		origins = append(origins, origin)
	}
	return origins, nil
}

// checkEveryOrigin refuses "*" where it would be wrong. With credentials, every page could use the cookies of whoever
// looks at it. Browsers refuse a literal "*" then, so the gate would have to echo each origin.
func (c *Config) checkEveryOrigin() error {
	switch {
	case c.Credentials:
		return errors.New("cors origins \"*\" does not go with credentials: every page could send requests with the " +
			"cookies of whoever looks at it; name the origins, or remove credentials")
	case len(c.Origins) > 1:
		return errors.New("cors origins \"*\" stands for every origin: remove the others, or remove \"*\"")
	}
	return nil
}

func (c *Config) compileMaxAge() (time.Duration, error) {
	if c.MaxAge == nil {
		return 0, nil
	}
	switch age := time.Duration(*c.MaxAge); {
	case age < 0 || age > longestMaxAge:
		return 0, fmt.Errorf("cors max_age %v is not between 0s and %v", age, longestMaxAge)
	case age%time.Second != 0:
		return 0, fmt.Errorf("cors max_age %v: browsers take whole seconds", age)
	case age == 0:
		return neverRemember, nil
	default:
		return age, nil
	}
}

// neverRemember has rs/cors say that browsers must not remember a preflight.
const neverRemember = -time.Second

// eachOf checks the elements of a list in which no placeholders are resolved.
func eachOf(field, what string, values []string, check func(string) error) error {
	if err := words.NotEmpty(what, values); err != nil {
		return setting.In(field, err)
	}
	for i, value := range values {
		err := words.Literal(what, value)
		if err == nil {
			err = wrap(what+" "+quoted(value), check(value))
		}
		if err != nil {
			return setting.In(fmt.Sprintf("%s[%d]", field, i), err)
		}
	}
	return nil
}

func checkMethod(method string) error {
	upper := strings.ToUpper(method)
	switch {
	case method == "*":
		return errors.New("name the methods: in requests with credentials, browsers take \"*\" for a method of that name")
	case !httpguts.ValidHeaderFieldName(method):
		return errors.New("not a method")
	case upper == http.MethodConnect || upper == http.MethodTrace || upper == "TRACK":
		return errors.New("no browser lets a page use it: leave it out")
	case method != upper && slices.Contains(append(defaultMethods, http.MethodOptions), upper):
		return fmt.Errorf("methods are compared byte for byte: write %s", upper)
	}
	return nil
}

func checkHeader(name string) error {
	canonical := http.CanonicalHeaderKey(name)
	switch {
	case name == "*":
		return errors.New("name the headers: \"*\" would not stand for Authorization (Fetch standard)")
	case !httpguts.ValidHeaderFieldName(name):
		return errors.New("not the name of a header")
	case canonical == "Cookie":
		return errors.New("no browser lets a page set it: for cookies, write \"credentials\"")
	case slices.Contains(forbidden, canonical), strings.HasPrefix(canonical, "Sec-"),
		strings.HasPrefix(canonical, "Proxy-"):
		return errors.New("no browser lets a page set it: leave it out")
	}
	return nil
}

// forbidden are request headers that only the browser sets (Fetch standard, "forbidden request-header").
var forbidden = []string{
	"Accept-Charset", "Accept-Encoding", "Access-Control-Request-Headers", "Access-Control-Request-Method", "Connection",
	"Content-Length", "Cookie2", "Date", "Dnt", "Expect", "Host", "Keep-Alive", "Origin", "Referer", "Set-Cookie", "Te",
	"Trailer", "Transfer-Encoding", "Upgrade", "Via",
}

func checkExposed(name string) error {
	switch canonical := http.CanonicalHeaderKey(name); {
	case name == "*":
		return errors.New("name the headers: in answers to requests with credentials, browsers take \"*\" for a name")
	case !httpguts.ValidHeaderFieldName(name):
		return errors.New("not the name of a header")
	case canonical == "Set-Cookie" || canonical == "Set-Cookie2":
		return errors.New("no browser shows it to a page: leave it out")
	}
	return nil
}

// union has the names of both lists, each once. Header names match in any case.
func union(first, second []string) []string {
	all := slices.Clone(first)
	for _, name := range second {
		if !contains(all, name) {
			all = append(all, name)
		}
	}
	return all
}

func contains(names []string, name string) bool {
	return slices.ContainsFunc(names, func(known string) bool { return strings.EqualFold(known, name) })
}

func quoted(text string) string { return fmt.Sprintf("%q", text) }

func wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}
