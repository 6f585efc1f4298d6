package applications

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/net/http/httpguts"

	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/apppath"
	"github.com/caddyjwt/gateway/internal/keyring"
	"github.com/caddyjwt/gateway/internal/setting"
)

// Defaults and bounds of lifetimes.
const (
	defaultAccess  = time.Minute
	defaultRefresh = 15 * time.Minute
	defaultSession = 24 * time.Hour

	leastAccess = 10 * time.Second
	// LongestAccess and LongestRefresh are the longest lives of access and refresh tokens.
	LongestAccess  = 24 * time.Hour
	LongestRefresh = 90 * 24 * time.Hour
	longestSession = 365 * 24 * time.Hour
	longestGrace   = time.Minute
)

// Application is an App whose settings have been checked.
type Application struct {
	Path      string
	Audience  []string
	Access    time.Duration
	Refresh   time.Duration
	Session   time.Duration
	Grace     time.Duration
	Group     *GroupBy          // nil for none
	Endpoints Endpoints         // with the defaults
	OAuth     bool              // the answer has the members of OAuth 2.0
	Type      string            // of access tokens
	claims    map[string]string // of access tokens: texts with placeholders
	Header    map[string]any    // of access tokens, too
}

// Compile checks the settings of an application of an issuer. An error names a field of App.
func (a *App) Compile(s *words.Settings, issuer string) (*Application, error) {
	app := &Application{Path: a.Path, Type: "at+jwt"}
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
	if app.Audience = audience; len(audience) == 0 {
		app.Audience = []string{issuer}
	}
	if err := a.compileLifetimes(app); err != nil {
		return nil, err
	}
	if err := a.GroupBy.compile(); err != nil {
		return nil, setting.In("GroupBy", err)
	}
	app.Group = a.GroupBy
	if app.Endpoints, err = a.Endpoints.compile(); err != nil {
		return nil, setting.In("Endpoints", err)
	}
	switch a.Compat {
	case "":
	case "oauth":
		app.OAuth = true
	case "iris":
		app.Type = "JWT"
	default:
		return nil, setting.Errorf("Compat", "compat %q: expected oauth or iris", a.Compat)
	}
	if err := a.checkClaims(); err != nil {
		return nil, err
	}
	app.claims = a.Claims
	app.Header, err = a.compileHeader()
	return app, setting.In("Header", err)
}

func (a *App) compileLifetimes(app *Application) error {
	app.Access = cmp.Or(time.Duration(a.AccessLifetime), defaultAccess)
	app.Refresh = cmp.Or(time.Duration(a.RefreshLifetime), max(defaultRefresh, app.Access))
	app.Session = cmp.Or(time.Duration(a.SessionLifetime), max(defaultSession, app.Refresh))
	app.Grace = time.Duration(a.Grace)
	for _, of := range []struct {
		field, word           string
		value, least, longest time.Duration
	}{
		{"AccessLifetime", "access_lifetime", app.Access, leastAccess, LongestAccess},
		{"RefreshLifetime", "refresh_lifetime", app.Refresh, app.Access, LongestRefresh},
		{"SessionLifetime", "session_lifetime", app.Session, app.Refresh, longestSession},
		{"Grace", "grace", app.Grace, 0, min(longestGrace, app.Access)},
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

// compile checks the settings. g may be nil.
func (g *GroupBy) compile() error {
	switch {
	case g == nil:
		return nil
	case (g.Claim == "") == (g.Cookie == ""):
		return fmt.Errorf("group_by names a claim or a cookie, and one of them: write \"claim sub\" or \"cookie <name>\"")
	case g.Claim != "":
		return setting.In("Claim", words.Literal("group_by claim", g.Claim))
	case !httpguts.ValidHeaderFieldName(g.Cookie):
		return setting.Errorf("Cookie", "group_by cookie %q: a cookie cannot have this name", g.Cookie)
	}
	return nil
}
