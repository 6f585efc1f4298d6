// Package backchannel receives the logout requests of authorization servers (OpenID Connect Back-Channel Logout 1.0) as
// Caddy knows them: the word of an issuer, the module http.handlers.backchannel_logout, and the registry in which the
// gates of a configuration say whose logouts they want to hear of.
package backchannel

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/logout"
	"github.com/caddyjwt/gateway/internal/publicpath"
	"github.com/caddyjwt/gateway/internal/setting"
)

// Logout says where an authorization server tells that a session has ended.
type Logout struct {
	// Path of the address to which the server sends its logout requests. At the server, register the address of the site
	// with this path as "backchannel_logout_uri". The path is matched exactly, as the client sent it, and has letters,
	// digits and -._~@/ alone. Requests to it need no token. Placeholders are not resolved.
	Path string `json:"path"`
	// Our client ids at the server: a logout token must be for one of them, compared exactly. They are those of the
	// clients that users sign in to, which need not be those of the gate. Required. Placeholders are resolved.
	Clients []string `json:"client_id"`
	// What a logout token does that names a user and no session. "ignore": nothing. "sub": all tokens of the user that the
	// server issued until then are out, also those of other sessions. Default: "ignore".
	WithoutSID string `json:"without_sid,omitempty"`
}

// Usage is what follows the word backchannel_logout.
var Usage = []string{"<path>"}

// Table has the words of its block.
var Table = words.Table[Logout]{Name: "backchannel_logout", Words: []words.Word[Logout]{
	{Name: "client_id", Usage: []string{"<id...>"}, Reader: words.Texts(func(l *Logout) *[]string { return &l.Clients },
		words.SingleQuotes, words.ShellVariable, words.CommaList, words.Unfilled, words.OuterBlanks,
		words.Wildcard("a client id is compared exactly", "list each one"))},
	{Name: "without_sid", Usage: []string{"ignore|sub"},
		Reader: words.Text(func(l *Logout) *string { return &l.WithoutSID })},
}}

// Read reads what follows the word backchannel_logout, in the block of an issuer.
func Read(b *words.Block, into **Logout) (err error) {
	l := new(Logout)
	if l.Path, err = b.One(); err != nil {
		return err
	}
	*into = l
	return words.ReadInto(b, "BackchannelLogout", &Table, l)
}

// Plan is a Logout whose settings have been checked.
type Plan struct {
	Path       string
	Clients    []string
	WithoutSID logout.WithoutSID
}

// Compile checks the settings, and resolves placeholders. l must not be nil.
func (l *Logout) Compile(s *words.Settings) (*Plan, error) {
	if err := checkPath(l.Path); err != nil {
		return nil, setting.In("Path", err)
	}
	p := &Plan{Path: l.Path}
	switch l.WithoutSID {
	case "", "ignore":
	case "sub":
		p.WithoutSID = logout.EndAll
	default:
		return nil, setting.Errorf("WithoutSID", "without_sid %q: expected ignore or sub", l.WithoutSID)
	}
	if len(l.Clients) == 0 {
		return nil, setting.Errorf("Clients", "backchannel_logout %s needs client_id: the client ids for which the server "+
			"sends logout tokens to this address", l.Path)
	}
	clients, _, err := s.Texts("backchannel_logout client_id", l.Clients)
	if err != nil {
		return nil, setting.In("Clients", err)
	}
	p.Clients = sorted(clients)
	return p, nil
}

// sorted are client ids in one order, each once: it means nothing in which order they are written.
func sorted(clients []string) []string {
	clients = slices.Clone(clients)
	slices.Sort(clients)
	return slices.Compact(clients)
}

// checkPath refuses a path that no request could have, or that several readers take for different ones.
func checkPath(path string) error {
	if err := words.Literal("backchannel_logout", path); err != nil {
		return err
	}
	var why string
	switch {
	case path == "":
		why = "it is empty"
	case strings.Contains(path, "://"):
		why = "give the path alone, without scheme and host"
	case path[0] != '/':
		why = "a path begins with a slash"
	case path == "/":
		why = "it is the page at the root of the site"
	case strings.ContainsAny(path, "?#"):
		why = "give the path alone, without a query"
	case strings.HasSuffix(path, "*"):
		why = "the path is compared exactly, so \"*\" is not a wildcard"
	case !publicpath.Plain(path):
		why = "a path has only letters, digits and -._~@/, names that are not empty and do not end in a dot, and no two " +
			"dots in a row"
	default:
		return nil
	}
	return fmt.Errorf("backchannel_logout %q: %w", path, errors.New(why+": write one such as /backchannel-logout"))
}
