package protected

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/resource"
)

func init() {
	caddy.RegisterModule(new(Handler))
}

// Handler serves the metadata of a protected resource (RFC 9728) to everybody, and without a token. A client learns
// from it where to get a token, and for which scopes. The metadata follows from the gates that have this resource. Only
// the exact path of the metadata is served. All other requests go on to the next handler.
//
// A gate in the block of a site comes with such a handler. A gate inside of handle or route needs one beside the block.
type Handler struct {
	// Identifier of the resource, as in the gates that guard it. Placeholders are resolved.
	Resource string `json:"resource"`

	path     string
	registry *Registry
	entry    *entry
}

// CaddyModule returns the Caddy module information.
func (*Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.protected_resource",
		New: func() caddy.Module { return new(Handler) },
	}
}

// Provision registers the handler.
func (h *Handler) Provision(ctx caddy.Context) error {
	text, _, err := words.NewSettings().Text("protected_resource", h.Resource)
	if err != nil {
		return err
	}
	if text == "" {
		return errors.New("protected_resource needs the identifier of a resource, such as https://mcp.example.com/mcp")
	}
	id, err := resource.Parse(text)
	if err != nil {
		return fmt.Errorf("protected_resource %s: %w", text, err)
	}
	app, err := ctx.App("bearer_auth")
	if err != nil {
		return err
	}
	h.path = id.MetadataPath()
	h.registry = app.(interface{ Resources() *Registry }).Resources()
	h.entry = h.registry.serve(id)
	return nil
}

// ServeHTTP serves the metadata, or hands the request on.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	target := r.RequestURI
	if original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok {
		target = original.RequestURI
	}
	// The path as the client sent it. In any other spelling somebody else may read another path.
	path, _, _ := strings.Cut(target, "?")
	if path != h.path && path != AuthServerPath {
		return next.ServeHTTP(w, r)
	}
	h.registry.finish()
	e := h.entry
	switch {
	case path == h.path && e.document != nil && !belongsTo(e.rivals, r.Host):
		e.document.Serve(w, r)
	case path == AuthServerPath && e.server != nil && !belongsTo(e.serverRivals, r.Host):
		e.server.serve(w, r)
	default:
		return next.ServeHTTP(w, r)
	}
	return nil
}

// belongsTo reports whether the request is for one of the rivals: hosts of other resources with the same path, whose
// handlers come later in this site. Any other host counts as ours: a proxy before this server may have changed it.
func belongsTo(rivals []string, host string) bool {
	if len(rivals) == 0 {
		return false
	}
	host = strings.ReplaceAll(strings.ToLower(host)+":", ".:", ":") // without the dot of a full name
	host = strings.TrimSuffix(host, ":")
	host = strings.TrimSuffix(strings.TrimSuffix(host, ":443"), ":80")
	return slices.Contains(rivals, host)
}

// Interface guards.
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
