package revocations

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyjwt/gateway/caddyjwt/adminroute"
	"github.com/caddyjwt/gateway/internal/revoke"
	"github.com/caddyjwt/gateway/internal/store"
)

// revocationsPath is the path of orders and of the list.
const revocationsPath = "/bearer_auth/revocations"

// Routes are those of the admin endpoint about revoked tokens:
//
//	POST /bearer_auth/revocations    revokes what the Order in the body says
//	DELETE /bearer_auth/revocations  takes that back
//	GET /bearer_auth/revocations     lists the revocations; the query parameter limit says how many
//	GET /bearer_auth/store           says how the store is
//	POST /bearer_auth/store/init     initialises one that several Caddys share
//
// Tokens are in bodies only: addresses get into logs.
func (d *Desk) Routes() []caddy.AdminRoute {
	type answers = map[string]func(*http.Request) (any, error)
	return adminroute.Admin(
		adminroute.Route{Path: revocationsPath, Status: statusOfError, Answers: answers{
			http.MethodPost: d.now((*Revocations).post), http.MethodDelete: d.now((*Revocations).delete),
			http.MethodGet: d.now((*Revocations).list),
		}},
		adminroute.Route{Path: "/bearer_auth/store", Status: statusOfError, Answers: answers{
			http.MethodGet: d.now(func(r *Revocations, _ *http.Request) (any, error) { return r.Status() }),
		}},
		adminroute.Route{Path: "/bearer_auth/store/init", Status: statusOfError, Answers: answers{
			http.MethodPost: d.now(func(r *Revocations, of *http.Request) (any, error) { return r.Init(of.Context()) }),
		}},
	)
}

// now has the revocations in force answer.
func (d *Desk) now(
	answer func(*Revocations, *http.Request) (any, error),
) func(*http.Request) (any, error) {
	return func(request *http.Request) (any, error) {
		current, err := d.Current()
		if err != nil {
			return nil, err
		}
		return answer(current, request)
	}
}

// statusOfError is the status of an error.
func statusOfError(err error) int {
	switch {
	case errors.Is(err, errOrder), errors.Is(err, revoke.ErrOwner), errors.Is(err, revoke.ErrTenants),
		errors.Is(err, revoke.ErrClaim), errors.Is(err, revoke.ErrNotAfter), errors.Is(err, revoke.ErrEntry):
		return http.StatusBadRequest
	case errors.Is(err, ErrNoStore), errors.Is(err, errNothing):
		return http.StatusNotFound
	case errors.Is(err, revoke.ErrNotShared):
		return http.StatusConflict
	case errors.Is(err, revoke.ErrFull):
		return http.StatusInsufficientStorage
	case errors.Is(err, store.ErrCorrupt), errors.Is(err, store.ErrClosed), errors.Is(err, revoke.ErrWrite),
		errors.Is(err, errNoInit), errors.Is(err, errNotOpen):
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
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
