package caddyjwt

import (
	"cmp"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyjwt/gateway/caddyjwt/pool"
	"github.com/caddyjwt/gateway/caddyjwt/process"
	"github.com/caddyjwt/gateway/internal/causes"
)

func init() { caddy.RegisterModule(new(adminAPI)) }

// adminAPI adds routes to Caddy's admin endpoint:
//
//	GET /bearer_auth/keys  the key sources in use, as JSON
//
// Those about revoked tokens are in revocations.Desk.
//
// Caddy makes it before the apps of a configuration, and keeps it even if they fail to load and the old ones go on. So
// it holds nothing of a configuration, and looks up the state of the process for each request. Caddy itself checks who
// may ask (admin options origins, enforce_origin, remote).
//
// Nothing that it shows is secret. There is no key material, and addresses in errors lack their query, which may
// contain an API key.
type adminAPI struct {
	shared *process.State // nil means process.Shared
}

// CaddyModule returns the Caddy module information.
func (*adminAPI) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "admin.api.bearer_auth",
		New: func() caddy.Module { return new(adminAPI) },
	}
}

// Routes implements caddy.AdminRouter.
func (a *adminAPI) Routes() []caddy.AdminRoute {
	keys := caddy.AdminRoute{Pattern: "/bearer_auth/keys", Handler: caddy.AdminHandlerFunc(a.keys)}
	return append([]caddy.AdminRoute{keys}, a.state().Revocations.Routes()...)
}

// state is that of the process.
func (a *adminAPI) state() *process.State {
	if a.shared == nil {
		return process.Shared()
	}
	return a.shared
}

// keysAnswer is the answer about keys.
type keysAnswer struct {
	// Sources are the key sources that handlers share, sorted by issuer, kind and key ids. Keys in the configuration
	// itself are not among them.
	Sources []describedSource `json:"sources"`
}

type describedSource struct {
	// Issuers are the issuers whose keys the source has, as configured.
	Issuers []string `json:"issuers"`
	// Kind is where the keys come from: "discovery", "jwks" or "file".
	Kind string `json:"kind"`
	// Keys is the number of usable keys.
	Keys int `json:"keys"`
	// KeyIDs are the key ids. A key without one has "sha256:" and the start of its thumbprint.
	KeyIDs []string `json:"key_ids"`
	// Age is the number of seconds since the keys were fetched, rounded to tenths. Absent for a file, and before the first
	// fetch.
	Age *float64 `json:"age_seconds,omitempty"`
	// NextFetch is when the keys are fetched again, unless a request needs them earlier: UTC, in whole seconds. Absent
	// for a file, before the first fetch, and while one is under way.
	NextFetch *time.Time `json:"next_fetch,omitempty"`
	// LastError says why the last attempt to read the keys failed, or that a certificate in the file has expired. Absent
	// otherwise.
	LastError string `json:"last_error,omitempty"`
}

func (a *adminAPI) keys(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodGet {
		w.Header().Set("Allow", http.MethodGet)
		return caddy.APIError{
			HTTPStatus: http.StatusMethodNotAllowed, Err: errors.New("method not allowed: read the keys with GET"),
		}
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	return json.NewEncoder(w).Encode(keysAnswer{describeSources(a.state().Pool, time.Now())})
}

// describeSources describes the sources that have keys for an issuer.
func describeSources(objects *pool.Pool, now time.Time) []describedSource {
	described := []describedSource{} // in JSON an empty list, not null
	for source := range objects.Sources() {
		if issuers := source.Issuers(); len(issuers) > 0 {
			described = append(described, describeSource(source, issuers, now))
		}
	}
	slices.SortFunc(described, func(a, b describedSource) int {
		return cmp.Or(
			slices.Compare(a.Issuers, b.Issuers), strings.Compare(a.Kind, b.Kind), slices.Compare(a.KeyIDs, b.KeyIDs))
	})
	return described
}

func describeSource(source *pool.Source, issuers []string, now time.Time) describedSource {
	set := source.Current()
	out := describedSource{Issuers: issuers, Kind: source.Kind, Keys: source.Len(), KeyIDs: set.Names()}
	if out.KeyIDs == nil {
		out.KeyIDs = []string{}
	}
	if err := source.Err(); err != nil {
		out.LastError = causes.Line(err)
	}
	if stats, fetches := source.Stats(); fetches {
		if !stats.Fetched.IsZero() {
			age := math.Round(now.Sub(stats.Fetched).Seconds()*10) / 10
			out.Age = &age
		}
		if !stats.Next.IsZero() {
			next := stats.Next.UTC().Truncate(time.Second) // the local zone differs between machines
			out.NextFetch = &next
		}
	}
	return out
}

// Interface guard.
var _ caddy.AdminRouter = (*adminAPI)(nil)
