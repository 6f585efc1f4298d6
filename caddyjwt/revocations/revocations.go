package revocations

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddyjwt/gateway/caddyjwt/pool"
	"github.com/caddyjwt/gateway/internal/causes"
	"github.com/caddyjwt/gateway/internal/revoke"
)

// Revocations are those of one configuration. The zero value has no store, so no token can be revoked.
type Revocations struct {
	place   *place // nil without a store
	implied bool   // nobody has asked for the store: see Need
	loading caddy.Context
	handle  handle
	owners  revoke.Owners
	desk    *Desk
	pool    *pool.Pool
	logger  *zap.Logger
	emit    func(name string, data map[string]any)
	leases  atomic.Pointer[pool.Leases[*Book]] // nil until the store is open
	book    atomic.Pointer[Book]               // what they have; for what needs no open store
	ended   atomic.Bool
	opened  chan struct{} // closed when the store is open
}

func (r *Revocations) prepare(at *place, desk *Desk, objects *pool.Pool, logger *zap.Logger) {
	r.place, r.desk, r.pool, r.logger = at, desk, objects, logger
	r.opened = make(chan struct{})
	r.handle.early, r.handle.accepts = r.openAlready, at.accepts
}

// openAlready is the list of a store that the configuration in force has open, so that a reload never leaves a gate
// without it; nil if there is none. All gates have been provisioned when a request asks for it.
func (r *Revocations) openAlready() *revoke.List {
	book := bookIn(r.pool, r.place)
	if book == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), writeTime)
	defer cancel()
	if err := book.Expect(ctx, &r.owners); err != nil {
		return nil // gates refuse tokens until Start
	}
	return book.List()
}

// Len is the number of entries of the list.
func (r *Revocations) Len() int {
	if list := r.handle.list.Load(); list != nil {
		return list.Len()
	}
	return 0
}

// AddOwners adds those whose tokens can be revoked at a gate. Call remove when the gate ends.
func (r *Revocations) AddOwners(owners []revoke.Owner) (remove func()) {
	return r.owners.Add(owners...)
}

// Start opens the store. From now on it is known which tokens are revoked.
func (r *Revocations) Start() error {
	if r.place == nil {
		return nil
	}
	leases, err := pool.Begin(r.pool, r.open, r.failedToClose)
	if err != nil {
		return err
	}
	book := leases.Ours().Value
	if err := book.Expect(context.Background(), &r.owners); err != nil {
		return errors.Join(err, leases.End())
	}
	r.leases.Store(leases)
	r.book.Store(book)
	r.handle.list.Store(book.List())
	close(r.opened)
	r.reportOpen(book)
	return nil
}

// reportOpen writes that the store is open, and what its settings mean that may not be meant.
func (r *Revocations) reportOpen(book *Book) {
	if r.place.kind == kindMemory {
		r.logger.Warn("the store is in memory: when Caddy stops, revoked tokens are good again; \"store file\" keeps them")
	}
	if r.place.accepts {
		r.logger.Warn("on_unsynced is accept: while the store is out of reach, tokens pass that were revoked at another " +
			"Caddy meanwhile; after a start without it, all revoked tokens do")
	}
	fields := []zap.Field{zap.String("store", r.place.where), zap.Int("revocations", book.List().Len())}
	if sync := book.Sync(); sync.Trouble != nil {
		r.logger.Warn("store is open, but not in sync yet", append(fields, zap.String("error", causes.Line(sync.Trouble)))...)
		return
	}
	r.logger.Info("store is open", fields...)
}

// InForce says that the configuration is in force. From now on orders go to its store. While it starts, they go to that
// of the configuration before: if another app fails to start, that one goes on, and must have them.
func (r *Revocations) InForce() {
	leases := r.leases.Load()
	if leases == nil {
		return
	}
	r.desk.begin(r)
	ctx, cancel := context.WithTimeout(context.Background(), writeTime)
	defer cancel()
	if err := leases.Ours().Value.Bound(ctx, &r.owners); err != nil {
		r.logger.Error("the store does not know how long tokens may live now: load the configuration again", zap.Error(err))
	}
}

// open finds the store in the pool, or opens it. One that has failed while it was open is opened again, so that a
// reload is enough once the file is good.
func (r *Revocations) open(l *pool.Lease) (*Book, error) {
	for n := 0; ; n++ {
		book, err := pool.Take(l, kind, fmt.Sprint(r.place.id, " ", n), func() (*Book, error) {
			return openBook(r.place, r.desk)
		})
		if err != nil || !book.isBroken() {
			return book, err
		}
		if err := book.store.Close(); err != nil { // it keeps others from the file
			return nil, err
		}
	}
}

func (r *Revocations) failedToClose(err error) { r.logger.Error("closing the store", zap.Error(err)) }

// Stop gives the store back. The gates of the configuration go on with what was revoked until then.
func (r *Revocations) Stop() error {
	leases := r.leases.Load()
	if leases == nil {
		return nil
	}
	r.desk.end(r)
	r.ended.Store(true)
	return leases.End()
}

// errNotOpen means that a request came before the store was open.
var errNotOpen = errors.New("the store is not open yet")

// hold is the open store. Call LetGo after use.
func (r *Revocations) hold() (*pool.Held[*Book], error) {
	leases := r.leases.Load()
	if leases == nil {
		return nil, errNotOpen
	}
	return leases.Hold()
}

// ErrNoStore means that the configuration in force has no store.
var ErrNoStore = errors.New("no token can be revoked: the configuration has no store; add \"store file\" to the " +
	"global option bearer_auth")

// Effect is what a revocation does to what is known of tokens at this moment.
type Effect struct {
	// Tokens is how many remembered JWTs are refused by it. Tokens that the gate has seen only once are not among them,
	// nor is one that is named by its text. It is there only for a dry run: all remembered tokens have to be looked at.
	Tokens *int `json:"remembered_tokens,omitempty"`
	// Responses is how many running responses end, of routes with end_at_expiry.
	Responses int `json:"running_responses"`
}

// Write carries out an order, unless it is a dry run. It returns when the entry is durable and in force on this node.
func (r *Revocations) Write(ctx context.Context, order *Order) (*revoke.Entry, Effect, error) {
	entries, err := r.entriesOf(order)
	if err != nil {
		return nil, Effect{}, err
	}
	held, err := r.hold()
	if err != nil {
		return nil, Effect{}, err
	}
	defer held.LetGo()
	effect := Effect{Responses: responses(held.Value, entries)}
	if order.DryRun {
		n := r.remembered(entries)
		effect.Tokens = &n
		return entries[0], effect, nil
	}
	if err := r.carryOut(ctx, held.Value, entries); err != nil {
		return nil, Effect{}, err
	}
	return entries[0], effect, nil
}

// carryOut writes entries that revoke tokens, with their audit line and event. The first of them stands for all.
func (r *Revocations) carryOut(ctx context.Context, book *Book, entries []*revoke.Entry) error {
	if err := r.append(ctx, book, entries); err != nil {
		return err
	}
	r.report("tokens revoked", "bearer_auth_revoked", entries[0])
	return nil
}

// errNothing means that what is to be taken back is not revoked.
var errNothing = errors.New("there is nothing to take back: nothing was revoked by exactly that")

// Lift takes a revocation back.
func (r *Revocations) Lift(ctx context.Context, order *Order) (*revoke.Entry, error) {
	if order.NotAfter != nil {
		return nil, fmt.Errorf("%w: what is taken back has no not_after", errOrder)
	}
	entries, err := r.entriesOf(order)
	if err != nil {
		return nil, err
	}
	held, err := r.hold()
	if err != nil {
		return nil, err
	}
	defer held.LetGo()
	there := func(e *revoke.Entry) bool { return held.Value.List().Has(e.Target) }
	if !slices.ContainsFunc(entries, there) {
		return nil, errNothing
	}
	for _, entry := range entries {
		entry.Lifted = true
	}
	if err := r.append(ctx, held.Value, entries); err != nil {
		return nil, err
	}
	r.report("revocation taken back", "bearer_auth_unrevoked", entries[0])
	return entries[0], nil
}

// entriesOf are the complete entries for an order.
func (r *Revocations) entriesOf(order *Order) ([]*revoke.Entry, error) {
	entries, err := order.entries()
	if err != nil {
		return nil, err
	}
	if err := r.checkIssuerOf(order); err != nil {
		return nil, err
	}
	for _, entry := range entries {
		if err := r.owners.Complete(entry, time.Now()); err != nil {
			return nil, err
		}
	}
	return entries, nil
}

// checkIssuerOf refuses a token beside an issuer that is not its own, which would refuse nothing. An issuer that no
// gate knows may be in a token that another one's server is asked about, as it is in one of a server with two names.
func (r *Revocations) checkIssuerOf(order *Order) error {
	if order.Token == "" || order.Issuer == "" || strings.Contains(order.Issuer, "*") {
		return nil
	}
	payload, isJWT := payloadOf(order.Token)
	if !isJWT {
		return nil
	}
	if iss := text(payload, "iss"); iss != "" && iss != order.Issuer && r.owners.Know(iss) {
		return fmt.Errorf("%w: the token is of the issuer %q: name that one, or none", errOrder, iss)
	}
	return nil
}

// writeTime is how long a store may take for an entry.
const writeTime = 10 * time.Second

// append writes entries, and counts that as one write. It goes on when nobody waits for the answer any more: otherwise
// an entry could be in force without its line in the log.
func (r *Revocations) append(ctx context.Context, book *Book, entries []*revoke.Entry) (err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTime)
	defer cancel()
	for _, entry := range entries {
		if err = book.Write(ctx, entry); err != nil {
			break
		}
	}
	r.desk.count(err)
	if err != nil { // it is not known whether a part of it is in force
		r.logger.Error("revocation failed", append(Show(entries[0]).fields(), zap.Error(err))...)
	}
	return err
}

// responses is how many running responses entries would end. If there are several entries, they mean the same token.
func responses(book *Book, entries []*revoke.Entry) (n int) {
	for _, entry := range entries {
		n = max(n, book.List().Watching(entry))
	}
	return n
}

// remembered is how many remembered tokens entries would refuse. It takes its time, so the pool must not be locked.
func (r *Revocations) remembered(entries []*revoke.Entry) (n int) {
	caches := slices.Collect(r.pool.Caches())
	for _, cache := range caches {
		n += cache.Revoked(entries[0])
	}
	return n
}

// report writes the audit line, and emits the event.
func (r *Revocations) report(line, event string, e *revoke.Entry) {
	shown := Show(e)
	r.logger.Info(line, shown.fields()...)
	r.emit(event, shown.data())
}
