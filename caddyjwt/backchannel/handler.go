package backchannel

import (
	"errors"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddyjwt/gateway/caddyjwt/bodies"
	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/bearer"
	"github.com/caddyjwt/gateway/internal/logout"
)

func init() {
	caddy.RegisterModule(new(Handler))
}

// Handler answers the logout requests of an authorization server (OpenID Connect Back-Channel Logout 1.0), which have a
// logout token and no access token. What the token names is revoked: all tokens of a session, or of a user. The
// settings are those of the issuer in the gates that have this path. Only POST to the exact path is a logout request.
// Requests to all other paths go on to the next handler.
//
// A gate in the block of a site comes with such a handler. A gate inside of handle or route needs one beside the block.
type Handler struct {
	// Path of the logout requests, as in the issuer of the gates.
	Path string `json:"path"`
	// Name of the issuer. Default: the only one with this path. Placeholders are resolved.
	Issuer string `json:"issuer,omitempty"`
	// Client ids, as in the issuer of the gates. Default: those of the only one with this path. Placeholders are resolved.
	Clients []string `json:"client_id,omitempty"`

	issuer   string
	clients  []string
	registry *Registry
	receiver *Receiver
	logger   *zap.Logger
}

// CaddyModule returns the Caddy module information.
func (*Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.backchannel_logout",
		New: func() caddy.Module { return new(Handler) },
	}
}

// Provision registers the handler.
func (h *Handler) Provision(ctx caddy.Context) (err error) {
	if err := checkPath(h.Path); err != nil {
		return err
	}
	s := words.NewSettings()
	if h.issuer, _, err = s.Text("backchannel_logout issuer", h.Issuer); err != nil {
		return err
	}
	clients, _, err := s.Texts("backchannel_logout client_id", h.Clients)
	if err != nil {
		return err
	}
	h.clients = sorted(clients)
	app, err := ctx.App("bearer_auth")
	if err != nil {
		return err
	}
	h.logger = ctx.Logger()
	h.registry = app.(interface{ Logouts() *Registry }).Logouts()
	h.registry.handle(h)
	return nil
}

// ServeHTTP answers a logout request, or hands any other on.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	target := r.RequestURI
	if original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok {
		target = original.RequestURI
	}
	// The path as the client sent it. In any other spelling somebody else may read another path.
	if path, _, _ := strings.Cut(target, "?"); path != h.Path {
		return next.ServeHTTP(w, r)
	}
	h.registry.finish()
	if h.receiver == nil { // Finish refuses the configuration
		return next.ServeHTTP(w, r)
	}
	h.receiver.serve(w, r, h.logger)
	return nil
}

// serve answers a request to the path.
func (x *Receiver) serve(w http.ResponseWriter, r *http.Request, logger *zap.Logger) {
	bodies.Limit(w, bodies.FormTimeout)
	outcome, err := x.receive(r)
	if r.ContentLength == 0 || bearer.HasRead(r) {
		bodies.Limit(w, 0)
	} else {
		bodies.Limit(w, bodies.RefusedTimeout)
	}
	x.report(logger, outcome, err)
	logout.Answer(w, err)
}

// receive has the request judged. Until the verdict it holds the lease, so that the sources of keys stay open.
func (x *Receiver) receive(r *http.Request) (logout.Outcome, error) {
	held, err := x.Leases.Hold()
	if err != nil {
		return 0, &logout.Failure{Reason: logout.KeysUnavailable, Cause: errors.Join(errLate, err)}
	}
	defer held.LetGo()
	return held.Value.Receive(r)
}

var errLate = errors.New("opening again what an ended configuration had")

// Interface guards.
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
