// Package operator is the module admin.api.bearer_auth: what operators ask of the gates of the running Caddy, and what
// they can have them do, at Caddy's admin endpoint.
//
// Nothing in an answer is secret: there is no token, no key material, and addresses in errors lack their query, which
// may contain an API key. What an operator sends may be secret. So tokens are in bodies only, because addresses get
// into logs, and no answer repeats one.
package operator

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyjwt/gateway/caddyjwt/adminroute"
	"github.com/caddyjwt/gateway/caddyjwt/process"
	"github.com/caddyjwt/gateway/caddyjwt/routes"
)

func init() { caddy.RegisterModule(new(adminAPI)) }

// Paths at the admin endpoint.
const (
	GatesPath     = "/bearer_auth/gates"
	KeysPath      = "/bearer_auth/keys"
	RefreshPath   = "/bearer_auth/keys/refresh"
	CachesPath    = "/bearer_auth/caches"
	FlushPath     = "/bearer_auth/caches/flush"
	ConsumersPath = "/bearer_auth/consumers"
	ExplainPath   = "/bearer_auth/explain"
)

// adminAPI adds routes to Caddy's admin endpoint:
//
//	GET  /bearer_auth/gates         the gates in force
//	GET  /bearer_auth/keys          the key sources in use
//	POST /bearer_auth/keys/refresh  fetches keys now: Refresh
//	GET  /bearer_auth/caches        the caches, with their sizes and hits
//	POST /bearer_auth/caches/flush  empties caches: Flush
//	GET  /bearer_auth/consumers     the consumers that are known: username, limit
//	POST /bearer_auth/explain       says why a gate refuses a token or a request: Question
//
// Those about revoked tokens are in revocations.Desk.
//
// Caddy makes it before the apps of a configuration, and keeps it even if they fail to load and the old ones go on. So
// it holds nothing of a configuration, and looks up the state of the process for each request.
type adminAPI struct{}

// CaddyModule returns the Caddy module information.
func (*adminAPI) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "admin.api.bearer_auth",
		New: func() caddy.Module { return new(adminAPI) },
	}
}

// Routes implements caddy.AdminRouter.
func (a *adminAPI) Routes() []caddy.AdminRoute {
	one := func(path, method string, answer func(*http.Request) (any, error)) adminroute.Route {
		return adminroute.Route{
			Path: path, Status: statusOf, Answers: map[string]func(*http.Request) (any, error){method: answer},
		}
	}
	return append(adminroute.Admin(
		one(GatesPath, http.MethodGet, a.gates),
		one(KeysPath, http.MethodGet, a.keys),
		one(RefreshPath, http.MethodPost, a.refresh),
		one(CachesPath, http.MethodGet, a.caches),
		one(FlushPath, http.MethodPost, a.flush),
		one(ConsumersPath, http.MethodGet, a.consumers),
		one(ExplainPath, http.MethodPost, a.explain),
	), process.Shared().Revocations.Routes()...)
}

// maxOrder bounds the body of an order, in bytes.
const maxOrder = 8 << 10

var (
	// errOrder means that a request says something that cannot be meant.
	errOrder = errors.New("this cannot be meant")
	// errNothing means that there is nothing of what a request names.
	errNothing = errors.New("there is no such thing")
)

func wrong(err error) error { return fmt.Errorf("%w: %w", errOrder, err) }

// statusOf is the status of an error.
func statusOf(err error) int {
	switch {
	case errors.Is(err, errOrder):
		return http.StatusBadRequest
	case errors.Is(err, errNothing):
		return http.StatusNotFound
	}
	return http.StatusInternalServerError
}

// Gates is the answer about gates.
type Gates struct {
	// Gates are those in force, in the order of their numbers.
	Gates []Gate `json:"gates"`
}

// Gate is a gate in force.
type Gate struct {
	routes.Site
	// Label is what the gate is called in metrics.
	Label string `json:"label"`
}

func (a *adminAPI) gates(r *http.Request) (any, error) {
	if _, err := adminroute.Parameters(r.URL.RawQuery); err != nil {
		return nil, wrong(err)
	}
	answer := Gates{Gates: []Gate{}}
	for _, known := range process.Shared().Gates.Gates() {
		answer.Gates = append(answer.Gates, Gate{known.Site(), known.Label()})
	}
	return answer, nil
}

// Interface guard.
var _ caddy.AdminRouter = (*adminAPI)(nil)
