package tokenissuer

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/caddyjwt/gateway/caddyjwt/cors"
	"github.com/caddyjwt/gateway/caddyjwt/issuers"
	"github.com/caddyjwt/gateway/caddyjwt/tokenissuer/applications"
	"github.com/caddyjwt/gateway/caddyjwt/tokenissuer/people"
	"github.com/caddyjwt/gateway/caddyjwt/tokenissuer/registration"
	"github.com/caddyjwt/gateway/caddyjwt/tokenissuer/trusted"
	"github.com/caddyjwt/gateway/caddyjwt/tokenissuer/wellknown"
	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/clients"
	"github.com/caddyjwt/gateway/internal/hashing"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/revoke"
	"github.com/caddyjwt/gateway/internal/setting"
)

// compiled is settings that have been checked.
type compiled struct {
	name      string
	algorithm jose.Algorithm
	people    people.People
	apps      []*applications.Application
	clients   *registration.Plan
	trusted   *trusted.Plan
	oauth     OAuthEndpoints // with the defaults
	endpoints []endpoint
	byPath    map[string]*endpoint
	documents []string     // their paths
	cors      *cors.Policy // nil for none
	id        [32]byte     // the fingerprint of the settings
}

// compile resolves placeholders and checks every setting. An error names the handler's field.
func (h *Handler) compile(s *words.Settings) (c *compiled, err error) {
	c = new(compiled)
	if c.name, err = h.compileName(s); err != nil {
		return nil, setting.In("Issuer", err)
	}
	c.documents = wellknown.Paths(c.name)
	if c.algorithm, err = compileAlgorithm(h.Algorithm); err != nil {
		return nil, setting.In("Algorithm", err)
	}
	if err := h.compilePeople(s, c); err != nil {
		return nil, err
	}
	for i := range h.Apps {
		app, err := h.Apps[i].Compile(s, c.name)
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
	if c.trusted, err = trusted.Compile(s, h.Issuers, c.name); err != nil {
		return nil, err
	}
	if err := h.compileClients(s, c); err != nil {
		return nil, err
	}
	if err := c.addEndpoints(h.OAuthEndpoints); err != nil {
		return nil, err
	}
	if h.CORS != nil {
		if c.cors, err = h.CORS.Compile(s, []string{"Authorization", "DPoP"}, nil); err != nil {
			return nil, setting.In("CORS", err)
		}
	}
	c.id = hashing.Fingerprint(struct {
		Name, Algorithm string
		Apps            []applications.App
		Users           []people.User
		UsersFrom       []people.Source
		Clients         []registration.Client
		ClientsFile     string
		Issuers         []issuers.Issuer
		DefaultAudience string
		OAuthEndpoints  OAuthEndpoints
	}{c.name, h.Algorithm, h.Apps, h.Users, h.UsersFrom, h.Clients, h.ClientsFile, h.Issuers, h.DefaultAudience, c.oauth})
	return c, nil
}

// compilePeople checks who may sign in. Without an application nobody can, and there must be a client.
func (h *Handler) compilePeople(s *words.Settings, c *compiled) (err error) {
	noApps := len(h.Apps) == 0
	switch {
	case noApps && len(h.Clients) == 0 && h.ClientsFile == "" && len(h.Users) == 0 && len(h.UsersFrom) == 0:
		return setting.Errorf("Apps", "token_issuer %s issues no tokens: add \"app <path>\" with the path of an "+
			"application, such as /api/, or \"client <id>\"", c.name)
	case noApps && len(h.Users) == 0 && len(h.UsersFrom) == 0:
		return nil
	}
	c.people, err = people.Compile(s, h.Users, h.UsersFrom)
	if err == nil && noApps {
		err = setting.Errorf("Apps", "token_issuer %s has users, and they cannot sign in anywhere: add \"app <path>\" "+
			"with the path of an application, such as /api/", c.name)
	}
	return err
}

// compileClients checks the OAuth clients. Each application is one, too. No user of the configuration has the name of a
// client: that user could not sign in.
func (h *Handler) compileClients(s *words.Settings, c *compiled) (err error) {
	settings := registration.Settings{
		Clients: h.Clients, File: h.ClientsFile, DefaultAudience: h.DefaultAudience, Issuer: c.name,
		Trusted: c.trusted.Names(),
	}
	for _, app := range c.apps {
		settings.Public = append(settings.Public, clients.Client{
			ID: app.Path, App: app.Path, Grants: []clients.Grant{clients.RefreshToken},
		})
	}
	for i := range h.Clients {
		if slices.ContainsFunc(h.Users, func(user people.User) bool { return user.Name == h.Clients[i].ID }) {
			return setting.Errorf(setting.Element("Clients", i)+".ID", "client %q: a user has this name, and the tokens of "+
				"both would have one subject: give one of them another name", h.Clients[i].ID)
		}
	}
	if c.clients, err = registration.Compile(s, settings); err != nil {
		return err
	}
	for i := range h.Users {
		if name := h.Users[i].Name; c.clients.IsTaken(name) {
			return setting.Errorf(setting.Element("Users", i)+".Name", "user %q: subjects of another issuer begin like this "+
				"(subject_prefix), so this user could never sign in: give one of them another name", name)
		}
	}
	return nil
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
func (c *compiled) add(app *applications.Application) error {
	for _, other := range c.apps {
		switch {
		case other.Path == app.Path:
			return errors.New("it is there twice: put all its settings into one block")
		case strings.HasPrefix(app.Path, other.Path), strings.HasPrefix(other.Path, app.Path):
			return fmt.Errorf("of %s and %s, one is inside of the other, so tokens of the outer one would be good for both: "+
				"give each application a path of its own", app.Path, other.Path)
		}
	}
	c.apps = append(c.apps, app)
	return nil
}

// longest is the longest life of any token, refresh tokens included.
func (c *compiled) longest() (longest time.Duration) {
	for _, app := range c.apps {
		longest = max(longest, app.Refresh)
	}
	return max(longest, c.clients.Longest())
}

// owners are the issuer as the one whose tokens can be revoked. Refresh tokens count, too: what revokes them must be
// remembered for as long.
func (c *compiled) owners(longest time.Duration) []revoke.Owner {
	return []revoke.Owner{{
		Issuer: c.name, MaxLifetime: longest, SameClock: true, Claims: revocable.Claims(),
	}}
}
