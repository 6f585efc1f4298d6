package tokenissuer

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/caddyjwt/gateway/caddyjwt/cors"
	"github.com/caddyjwt/gateway/caddyjwt/tokenissuer/people"
	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/apppath"
	"github.com/caddyjwt/gateway/internal/hashing"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyring"
	"github.com/caddyjwt/gateway/internal/revoke"
	"github.com/caddyjwt/gateway/internal/setting"
)

// Defaults and bounds of lifetimes.
const (
	defaultAccess  = time.Minute
	defaultRefresh = 15 * time.Minute
	defaultSession = 24 * time.Hour

	leastAccess    = 10 * time.Second
	longestAccess  = 24 * time.Hour
	longestRefresh = 90 * 24 * time.Hour
	longestSession = 365 * 24 * time.Hour
	longestGrace   = time.Minute
)

// compiled is settings that have been checked.
type compiled struct {
	name      string
	algorithm jose.Algorithm
	people    people.People
	apps      []*application
	documents []string     // their paths
	cors      *cors.Policy // nil for none
	id        [32]byte     // the fingerprint of the settings
}

// application is an App whose settings have been checked.
type application struct {
	path      string
	audience  []string
	access    time.Duration
	refresh   time.Duration
	session   time.Duration
	grace     time.Duration
	group     *GroupBy          // nil for none
	endpoints Endpoints         // with the defaults
	oauth     bool              // the answer has the members of OAuth 2.0
	typ       string            // of access tokens
	claims    map[string]string // of access tokens: texts with placeholders
	header    map[string]any    // of access tokens, too
}

// compile resolves placeholders and checks every setting. An error names the handler's field.
func (h *Handler) compile(s *words.Settings) (c *compiled, err error) {
	c = new(compiled)
	if c.name, err = h.compileName(s); err != nil {
		return nil, setting.In("Issuer", err)
	}
	c.documents = documentPaths(c.name)
	if c.algorithm, err = compileAlgorithm(h.Algorithm); err != nil {
		return nil, setting.In("Algorithm", err)
	}
	if c.people, err = people.Compile(s, h.Users, h.UsersFrom); err != nil {
		return nil, err
	}
	if len(h.Apps) == 0 {
		return nil, setting.Errorf("Apps", "token_issuer %s issues no tokens: add \"app <path>\" with the path of an "+
			"application, such as /api/", c.name)
	}
	for i := range h.Apps {
		app, err := h.Apps[i].compile(s, c.name)
		if err == nil {
			err = c.add(app)
		}
		if err != nil {
			return nil, setting.In(setting.Element("Apps", i), fmt.Errorf("app %s: %w", h.Apps[i].Path, err))
		}
	}
	if err := h.checkGroups(); err != nil {
		return nil, err
	}
	if h.CORS != nil {
		if c.cors, err = h.CORS.Compile(s, []string{"Authorization"}, nil); err != nil {
			return nil, setting.In("CORS", err)
		}
	}
	c.id = hashing.Fingerprint(struct {
		Name, Algorithm string
		Apps            []App
		Users           []people.User
		UsersFrom       []people.Source
	}{c.name, h.Algorithm, h.Apps, h.Users, h.UsersFrom})
	return c, nil
}

// maxName bounds the name of an issuer in bytes.
const maxName = 1024

func (h *Handler) compileName(s *words.Settings) (string, error) {
	name, _, err := s.Text("token_issuer", h.Issuer)
	switch {
	case err != nil:
		return "", err
	case name == "":
		return "", errors.New("token_issuer has no name: give the iss of its tokens, such as https://api.example.com")
	case !utf8.ValidString(name) || len(name) > maxName || strings.Contains(name, "*"):
		return "", fmt.Errorf("token_issuer %q: the name is UTF-8 of at most %d bytes, without \"*\"", name, maxName)
	}
	return name, nil
}

func compileAlgorithm(name string) (jose.Algorithm, error) {
	if name == "" {
		return jose.ES256, nil
	}
	algorithm, known := jose.ParseAlgorithm(name)
	if !known || !jose.SigningAlgorithms().Has(algorithm) {
		return 0, fmt.Errorf("algorithm %q: expected one of %v", name, jose.SigningAlgorithms())
	}
	return algorithm, nil
}

// add adds an application. One must not be inside of another: a token of the outer one would be good for the inner one.
func (c *compiled) add(app *application) error {
	for _, other := range c.apps {
		switch {
		case other.path == app.path:
			return errors.New("it is there twice: put all its settings into one block")
		case strings.HasPrefix(app.path, other.path), strings.HasPrefix(other.path, app.path):
			return fmt.Errorf("of %s and %s, one is inside of the other, so tokens of the outer one would be good for both: "+
				"give each application a path of its own", app.path, other.path)
		}
	}
	c.apps = append(c.apps, app)
	return nil
}

func (a *App) compile(s *words.Settings, issuer string) (*application, error) {
	app := &application{path: a.Path, typ: "at+jwt"}
	if err := words.Literal("app", a.Path); err != nil {
		return nil, setting.In("Path", err)
	}
	if err := apppath.Check(a.Path); err != nil {
		return nil, setting.In("Path", err)
	}
	if err := words.NotEmpty("audience", a.Audience); err != nil {
		return nil, setting.In("Audience", err)
	}
	audience, _, err := s.Texts("audience", a.Audience)
	if err != nil {
		return nil, setting.In("Audience", err)
	}
	if app.audience = audience; len(audience) == 0 {
		app.audience = []string{issuer}
	}
	if err := a.compileLifetimes(app); err != nil {
		return nil, err
	}
	if err := a.GroupBy.compile(); err != nil {
		return nil, setting.In("GroupBy", err)
	}
	app.group = a.GroupBy
	if app.endpoints, err = a.Endpoints.compile(); err != nil {
		return nil, setting.In("Endpoints", err)
	}
	switch a.Compat {
	case "":
	case "oauth":
		app.oauth = true
	case "iris":
		app.typ = "JWT"
	default:
		return nil, setting.Errorf("Compat", "compat %q: expected oauth or iris", a.Compat)
	}
	if err := a.checkClaims(); err != nil {
		return nil, err
	}
	app.claims = a.Claims
	app.header, err = a.compileHeader()
	return app, setting.In("Header", err)
}

func (a *App) compileLifetimes(app *application) error {
	app.access = cmp.Or(time.Duration(a.AccessLifetime), defaultAccess)
	app.refresh = cmp.Or(time.Duration(a.RefreshLifetime), max(defaultRefresh, app.access))
	app.session = cmp.Or(time.Duration(a.SessionLifetime), max(defaultSession, app.refresh))
	app.grace = time.Duration(a.Grace)
	for _, of := range []struct {
		field, word           string
		value, least, longest time.Duration
	}{
		{"AccessLifetime", "access_lifetime", app.access, leastAccess, longestAccess},
		{"RefreshLifetime", "refresh_lifetime", app.refresh, app.access, longestRefresh},
		{"SessionLifetime", "session_lifetime", app.session, app.refresh, longestSession},
		{"Grace", "grace", app.grace, 0, min(longestGrace, app.access)},
	} {
		switch {
		case of.value < of.least || of.value > of.longest:
			return setting.Errorf(of.field, "%s %v is not between %v and %v", of.word, of.value, of.least, of.longest)
		case of.value%time.Second != 0:
			return setting.Errorf(of.field, "%s %v: write whole seconds", of.word, of.value)
		}
	}
	return nil
}

// compile checks the names, and adds the defaults.
func (e *Endpoints) compile() (Endpoints, error) {
	if e == nil {
		e = new(Endpoints)
	}
	all := Endpoints{
		Login: cmp.Or(e.Login, "login"), Refresh: cmp.Or(e.Refresh, "refresh"), Logout: cmp.Or(e.Logout, "logout"),
		Revoke: cmp.Or(e.Revoke, "revoke"),
	}
	var names []string
	for _, of := range []struct{ field, name string }{
		{"Login", all.Login}, {"Refresh", all.Refresh}, {"Logout", all.Logout}, {"Revoke", all.Revoke},
	} {
		switch {
		case strings.Contains(of.name, "/") || apppath.Check("/"+of.name+"/") != nil:
			return all, setting.Errorf(of.field, "endpoints %s %q: a name has only letters, digits and -._~@, and does not "+
				"end in a dot", strings.ToLower(of.field), of.name)
		case slices.Contains(names, of.name):
			return all, setting.Errorf(of.field, "endpoints: two have the name %q: give each its own", of.name)
		}
		names = append(names, of.name)
	}
	return all, nil
}

// bounds of further members of the JOSE header, in bytes.
const (
	maxMembers = 8
	maxMember  = 256
)

func (a *App) compileHeader() (map[string]any, error) {
	if len(a.Header) > maxMembers {
		return nil, fmt.Errorf("header: at most %d members are possible", maxMembers)
	}
	header := make(map[string]any, len(a.Header))
	for name, text := range a.Header {
		if err := keyring.CheckHeader(name); err != nil {
			return nil, fmt.Errorf("header %q: %w", name, err)
		}
		if len(name) > maxMember || len(text) > maxMember || !utf8.ValidString(text) {
			return nil, fmt.Errorf("header %q: name and text are UTF-8 of at most %d bytes each", name, maxMember)
		}
		header[name] = text
	}
	text, err := json.Marshal(header)
	if err == nil && len(text) > keyring.MaxHeader {
		err = fmt.Errorf("header: all members together have %d bytes as JSON, and may have %d", len(text), keyring.MaxHeader)
	}
	return header, err
}

// longest is the longest life of any token, refresh tokens included.
func (c *compiled) longest() (longest time.Duration) {
	for _, app := range c.apps {
		longest = max(longest, app.refresh)
	}
	return longest
}

// owners are the issuer as the one whose tokens can be revoked. Refresh tokens count, too: what revokes them must be
// remembered for as long.
func (c *compiled) owners(longest time.Duration) []revoke.Owner {
	return []revoke.Owner{{
		Issuer: c.name, MaxLifetime: longest, SameClock: true, Claims: revocable.Claims(),
	}}
}
