package revocations

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddyjwt/gateway/caddyjwt/pool"
	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/revoke"
	"github.com/caddyjwt/gateway/internal/store"
)

// Written is what a configuration that does not run says about revoked tokens.
type Written struct {
	Settings Settings
	// Owners are those whose tokens can be revoked at its gates.
	Owners []revoke.Owner
}

// errInMemory means that a store ends with its process.
var errInMemory = errors.New("store memory is inside of the Caddy that runs, and nowhere else: give the address of " +
	"its admin endpoint with --address")

// Ask opens the store, answers a request to the admin API in this process, and closes the store. where names the store.
// An error has no secret. It is that of the API without its status, or says why the store cannot be opened.
func (w *Written) Ask(ctx context.Context, method, path string, body []byte) (answer []byte, where string, err error) {
	r, err := w.open()
	if err != nil {
		return nil, "", err
	}
	answer, err = r.answer(ctx, method, path, body)
	return answer, r.place.where, errors.Join(err, r.Stop())
}

// open opens the store. Another process may have it open, too, if it is one that several Caddys share.
func (w *Written) open() (*Revocations, error) {
	at, err := w.Settings.compile(words.NewSettings())
	switch {
	case err != nil:
		return nil, err
	case at == nil:
		return nil, ErrNoStore
	case at.kind == kindMemory:
		return nil, errInMemory
	}
	r := &Revocations{emit: func(string, map[string]any) {}}
	r.prepare(at, new(Desk), pool.New(nil), zap.NewNop())
	r.AddOwners(w.Owners)
	err = r.Start()
	if errors.Is(err, store.ErrLocked) {
		return nil, fmt.Errorf("%w. If it is a Caddy that runs, give the address of its admin endpoint with --address", err)
	}
	if err != nil {
		return nil, err
	}
	r.desk.begin(r)
	return r, nil
}

// answer is that of the admin API.
func (r *Revocations) answer(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if err := r.readyFor(request); err != nil {
		return nil, err
	}
	w := &recorded{header: make(http.Header)}
	for _, route := range r.desk.Routes() {
		if route.Pattern == request.URL.Path {
			err = route.Handler.ServeHTTP(w, request)
		}
	}
	if refused, is := errors.AsType[caddy.APIError](err); is {
		err = refused.Err
	}
	return w.body.Bytes(), err
}

// readyFor refuses to read or write revocations in a store of which not all are known. A Caddy that runs goes on with
// what it knew before, and this process knows nothing.
func (r *Revocations) readyFor(request *http.Request) error {
	sync, _ := r.Sync()
	if request.URL.Path != revocationsPath || sync.Trouble == nil {
		return nil
	}
	return fmt.Errorf("the store %s is not in sync: %w", r.place.where, sync.Trouble)
}

// recorded is a response that goes nowhere.
type recorded struct {
	header http.Header
	body   bytes.Buffer
}

func (w *recorded) Header() http.Header            { return w.header }
func (w *recorded) WriteHeader(int)                {}
func (w *recorded) Write(text []byte) (int, error) { return w.body.Write(text) }
