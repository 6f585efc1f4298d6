package caddyjwt

import (
	"errors"
	"fmt"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	"github.com/caddyjwt/gateway/caddyjwt/doubts"
	"github.com/caddyjwt/gateway/caddyjwt/protected"
	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/bearer"
	"github.com/caddyjwt/gateway/internal/resource"
	"github.com/caddyjwt/gateway/internal/setting"
	"github.com/caddyjwt/gateway/introspect"
)

var resourceTable = words.Table[Resource]{Name: "resource", Words: []words.Word[Resource]{
	{Name: "name", Usage: []string{"<text>"}, Reader: words.Text(func(r *Resource) *string { return &r.Name })},
	{Name: "documentation", Usage: []string{"<url>"},
		Reader: words.Text(func(r *Resource) *string { return &r.Documentation })},
	{Name: "policy", Usage: []string{"<url>"}, Reader: words.Text(func(r *Resource) *string { return &r.Policy })},
	{Name: "tos", Usage: []string{"<url>"}, Reader: words.Text(func(r *Resource) *string { return &r.TermsOfService })},
	{Name: "scopes", Usage: []string{"<scope...>"},
		Reader: words.Texts(func(r *Resource) *[]string { return &r.Scopes }, words.SingleQuotes, words.CommaList)},
}}

// readResource reads the identifier of a resource and the block that may follow.
func readResource(b *words.Block, h *Handler) error {
	identifier, err := b.One()
	if err != nil {
		return err
	}
	h.Resource = &Resource{URL: identifier}
	if err := b.Check("resource", []words.Mistake{words.SingleQuotes, words.ShellVariable}, identifier); err != nil {
		return err
	}
	return words.ReadInto(b, "Resource", &resourceTable, h.Resource)
}

// documentRoutes are the routes that serve the metadata of the gate's resource. They come before the gate's own, so
// they need no token. The gate's matcher does not limit them: the path of the metadata is not below that of the
// resource.
func documentRoutes(h httpcaddyfile.Helper, g *Handler) []httpcaddyfile.ConfigValue {
	if g.Resource == nil {
		return nil
	}
	return protected.Routes(h, g.Resource.URL, g.AuthServerMetadata != nil)
}

// compileResource checks the settings of the resource, and makes what the gate tells about it. Everything else must
// have been compiled.
func (h *Handler) compileResource(s *words.Settings, c *compiled) error {
	if h.Resource == nil {
		return nil
	}
	identifier, known, err := s.Text("resource", h.Resource.URL)
	if err != nil {
		return setting.In("Resource.URL", err)
	}
	if identifier == "" {
		return setting.Errorf("Resource.URL", "resource needs the URL of what the gate guards, as clients write it")
	}
	texts, err := h.Resource.compile(s)
	if err != nil {
		return setting.In("Resource", err)
	}
	c.meantFor(identifier)
	if !known {
		return nil
	}
	id, err := resource.Parse(identifier)
	if err != nil {
		return setting.In("Resource.URL", fmt.Errorf("resource %s: %w", identifier, err))
	}
	c.config.ResourceMetadata, c.resource = id.MetadataURL(), &id
	c.proof.At(id)
	c.part = resource.Part{
		Texts: texts, Scopes: c.scopes(), Named: h.Resource.Scopes, Methods: resource.Methods(c.config.Extractor.Places()),
		Binding: c.proof.Binding(),
	}
	for i := range c.config.Issuers {
		// No client could find a server at a pattern.
		if name := c.config.Issuers[i].Name; resource.ForClients(name) && c.config.Issuers[i].Tenants == nil {
			c.part.Servers = append(c.part.Servers, name)
		}
	}
	return c.checkChallenges()
}

// meantFor makes the resource the audience of tokens for which no audience is said: of all tokens if no issuer says one
// either, and otherwise of those of the issuers that say none. This never loosens anything: an issuer without any
// audience would be refused.
func (c *compiled) meantFor(identifier string) {
	route := &c.config.Audience
	if route.Any || len(route.Accepted) > 0 {
		return
	}
	says := func(i int) bool {
		of, asking := &c.config.Issuers[i].Audience, c.plans[i].Asking
		// UserInfo does not tell a token's audience. Whoever uses it must say that any will do.
		return of.Any || len(of.Accepted) > 0 || asking != nil && asking.Client.Mode == introspect.UserInfo
	}
	var silent []int
	for i := range c.config.Issuers {
		if !says(i) {
			silent = append(silent, i)
		}
	}
	if len(silent) == len(c.config.Issuers) {
		route.Accepted = []string{identifier}
		return
	}
	for _, i := range silent {
		c.config.Issuers[i].Audience.Accepted = []string{identifier}
	}
}

// checkChallenges refuses what clients of the resource would misread in a challenge.
func (c *compiled) checkChallenges() error {
	if err := bearer.Unmistakable(c.config.Realm); err != nil {
		return setting.Errorf("Realm", "realm: %w", err)
	}
	for _, scope := range c.part.Scopes {
		if err := bearer.Unmistakable(scope); err != nil {
			return setting.Errorf("Resource", "scope: %w", err)
		}
	}
	for i, acr := range c.config.Require.ACR {
		if err := bearer.Unmistakable(acr); err != nil {
			return setting.Errorf(setting.Element("Require.ACR", i), "require acr: %w", err)
		}
	}
	return nil
}

// compile checks what stands in the block of a resource.
func (r *Resource) compile(s *words.Settings) (resource.Texts, error) {
	texts, err := r.texts(s)
	if err != nil {
		return texts, err
	}
	if err := words.NotEmpty("resource scopes", r.Scopes); err != nil {
		return texts, setting.In("Scopes", err)
	}
	for i, scope := range r.Scopes {
		if err := errors.Join(words.Literal("resource scopes", scope), bearer.ValidScope(scope)); err != nil {
			return texts, setting.In(setting.Element("Scopes", i), setting.Wrap("resource scopes", err))
		}
	}
	return texts, nil
}

// texts are what the document says for people.
func (r *Resource) texts(s *words.Settings) (resource.Texts, error) {
	var texts resource.Texts
	for _, text := range []struct {
		field, word, from string
		into              *string
		address           bool
	}{
		{"Name", "name", r.Name, &texts.Name, false},
		{"Documentation", "documentation", r.Documentation, &texts.Documentation, true},
		{"Policy", "policy", r.Policy, &texts.Policy, true},
		{"TermsOfService", "tos", r.TermsOfService, &texts.TermsOfService, true},
	} {
		value, known, err := s.Text("resource "+text.word, text.from)
		if err == nil && known && value != "" {
			err = setting.Wrap("resource "+text.word, resource.CheckText(value, text.address))
		}
		if err != nil {
			return texts, setting.In(text.field, err)
		}
		*text.into = value
	}
	return texts, nil
}

// scopes lists what a token may need on this route, for the document.
func (c *compiled) scopes() []string {
	return append(c.config.Require.ScopesNamed(), c.messages.Scopes()...)
}

// registerResource tells the app about the gate's resource.
func (h *Handler) registerResource(ctx caddy.Context, app *App, c *compiled) error {
	if c.resource == nil {
		return nil
	}
	h.resource = c.resource.String()
	doubts.OfResource(h.doubtful(ctx, c), h.log.warn)
	return c.addTo(app.Resources(), serverName(ctx))
}

// addTo adds the gate's resource to those of a server.
func (c *compiled) addTo(resources *protected.Registry, server string) error {
	if err := resources.Add(server, *c.resource, c.part); err != nil {
		return fmt.Errorf("resource %s: %w", c.resource, err)
	}
	return nil
}
