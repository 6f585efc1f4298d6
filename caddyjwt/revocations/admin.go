package revocations

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyjwt/gateway/internal/revoke"
	"github.com/caddyjwt/gateway/internal/store"
)

// revocationsPath is the path of ServeAdmin.
const revocationsPath = "/bearer_auth/revocations"

// Routes are those of the admin endpoint about revoked tokens:
//
//	/bearer_auth/revocations      revokes, takes back and lists: see ServeAdmin
//	GET /bearer_auth/store        says how the store is
//	POST /bearer_auth/store/init  initialises one that several Caddys share
func (d *Desk) Routes() []caddy.AdminRoute {
	return []caddy.AdminRoute{
		{Pattern: revocationsPath, Handler: caddy.AdminHandlerFunc(d.ServeAdmin)},
		{Pattern: "/bearer_auth/store", Handler: caddy.AdminHandlerFunc(d.ServeStore)},
		{Pattern: "/bearer_auth/store/init", Handler: caddy.AdminHandlerFunc(d.ServeInit)},
	}
}

// ServeAdmin answers requests to the admin API. Caddy itself checks who may ask.
//
//	POST   revokes what the Order in the body says
//	DELETE takes that back
//	GET    lists the revocations; the query parameter limit says how many (default 1000, at most 100000)
//
// Tokens are in bodies only: addresses get into logs.
func (d *Desk) ServeAdmin(w http.ResponseWriter, r *http.Request) error {
	current, err := d.Current()
	if err != nil {
		return apiError(err)
	}
	var answer any
	switch r.Method {
	case http.MethodPost:
		answer, err = current.post(r)
	case http.MethodDelete:
		answer, err = current.delete(r)
	case http.MethodGet:
		answer, err = current.list(r)
	default:
		w.Header().Set("Allow", "GET, POST, DELETE")
		return caddy.APIError{HTTPStatus: http.StatusMethodNotAllowed, Err: errors.New("use GET, POST or DELETE")}
	}
	if err != nil {
		return apiError(err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	return json.NewEncoder(w).Encode(answer)
}

// apiError is an error with its status.
func apiError(err error) error {
	status := http.StatusInternalServerError
	switch {
	case errors.Is(err, errOrder), errors.Is(err, revoke.ErrOwner), errors.Is(err, revoke.ErrTenants),
		errors.Is(err, revoke.ErrClaim), errors.Is(err, revoke.ErrNotAfter), errors.Is(err, revoke.ErrEntry):
		status = http.StatusBadRequest
	case errors.Is(err, ErrNoStore), errors.Is(err, errNothing):
		status = http.StatusNotFound
	case errors.Is(err, revoke.ErrNotShared):
		status = http.StatusConflict
	case errors.Is(err, revoke.ErrFull):
		status = http.StatusInsufficientStorage
	case errors.Is(err, store.ErrCorrupt), errors.Is(err, store.ErrClosed), errors.Is(err, revoke.ErrWrite),
		errors.Is(err, errNoInit), errors.Is(err, errNotOpen):
		status = http.StatusServiceUnavailable
	}
	return caddy.APIError{HTTPStatus: status, Err: err}
}

// Answer is the answer to an order.
type Answer struct {
	Revoked  *Shown  `json:"revoked,omitempty"`
	Restored *Shown  `json:"restored,omitempty"`
	DryRun   bool    `json:"dry_run,omitempty"`
	Effect   *Effect `json:"effect,omitempty"`
}

func (r *Revocations) post(request *http.Request) (any, error) {
	order, err := ReadOrder(request.Body)
	if err != nil {
		return nil, err
	}
	entry, effect, err := r.Write(request.Context(), order)
	if err != nil {
		return nil, err
	}
	shown := Show(entry)
	return Answer{Revoked: &shown, DryRun: order.DryRun, Effect: &effect}, nil
}

func (r *Revocations) delete(request *http.Request) (any, error) {
	order, err := ReadOrder(request.Body)
	if err != nil {
		return nil, err
	}
	if order.DryRun {
		return nil, fmt.Errorf("%w: dry_run is only for revoking", errOrder)
	}
	entry, err := r.Lift(request.Context(), order)
	if err != nil {
		return nil, err
	}
	shown := Show(entry)
	return Answer{Restored: &shown}, nil
}

// Listing is the answer to GET.
type Listing struct {
	// Total is how many there are, and Entries are the first of them.
	Total   int     `json:"total"`
	Entries []Shown `json:"entries"`
}

const (
	usualLimit = 1000
	mostLimit  = 100_000
)

func (r *Revocations) list(request *http.Request) (any, error) {
	limit := usualLimit
	if text := request.URL.Query().Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > mostLimit {
			return nil, fmt.Errorf("%w: limit is not a number from 1 to %d", errOrder, mostLimit)
		}
		limit = n
	}
	held, err := r.hold()
	if err != nil {
		return nil, err
	}
	defer held.LetGo()
	book := held.Value
	answer := Listing{Total: book.List().Len(), Entries: []Shown{}}
	for entry, err := range book.Entries(request.Context()) {
		if err != nil {
			return nil, err
		}
		if answer.Entries = append(answer.Entries, Show(entry)); len(answer.Entries) == limit {
			break
		}
	}
	return answer, nil
}
