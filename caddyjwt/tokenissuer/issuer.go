package tokenissuer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"
	"go.uber.org/zap"
	"go.uber.org/zap/exp/zapslog"

	"github.com/caddyjwt/gateway/caddyjwt/localissuer"
	"github.com/caddyjwt/gateway/caddyjwt/process"
	"github.com/caddyjwt/gateway/caddyjwt/revocations"
	"github.com/caddyjwt/gateway/caddyjwt/tokenissuer/registration"
	"github.com/caddyjwt/gateway/caddyjwt/tokenissuer/trusted"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/keyring"
	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/internal/oauth"
	"github.com/caddyjwt/gateway/internal/possession"
	"github.com/caddyjwt/gateway/internal/proof/replay"
	"github.com/caddyjwt/gateway/internal/session"
	"github.com/caddyjwt/gateway/internal/store"
	"github.com/caddyjwt/gateway/internal/users"
)

// issuer is the issuer of one configuration.
type issuer struct {
	*compiled
	revocations *revocations.Revocations
	vault       keyring.Vault
	logger      *zap.Logger
	emit        func(event string, data map[string]any)
	guessed     alarms                  // clients whose secrets somebody guesses
	near        nearby                  // what looks like its addresses
	judge       *trusted.Judge          // of tokens that clients hand in; nil before
	running     atomic.Pointer[running] // nil until Start
}

var _ localissuer.Issuer = (*issuer)(nil)

// running is an issuer that has begun its work.
type running struct {
	backing  *revocations.Backing
	ring     *keyring.Ring
	sessions *session.Sessions
	users    users.Directory // nil without applications
	clients  *registration.Directory
	oauth    *oauth.Server
	used     *replay.Shared        // what is good only once: proofs, and assertions of clients
	proofs   *possession.Policy    // how clients prove that they have a key
	closer   io.Closer             // of the users; nil before
	gates    map[string]*gate.Gate // by the path of the application: for access tokens at logout and revoke
	longest  time.Duration         // that a token of the issuer may still live, whatever the settings are now
	noOwner  func()                // takes the owner with that life back; nil before
	unwatch  func()                // nil until the issuer hears of keys that were reset on other nodes
}

func newIssuer(
	ctx caddy.Context, c *compiled, r *revocations.Revocations, logger *zap.Logger,
) (*issuer, error) {
	events, err := ctx.App("events")
	if err != nil {
		return nil, err
	}
	return &issuer{
		compiled: c, revocations: r, vault: ctx.Storage(), logger: logger, near: c.nearby(),
		emit: func(event string, data map[string]any) { events.(*caddyevents.App).Emit(ctx, event, data) },
	}, nil
}

// Name implements localissuer.Issuer.
func (i *issuer) Name() string { return i.name }

// Settings implements localissuer.Issuer.
func (i *issuer) Settings() [32]byte { return i.id }

// Keys implements localissuer.Issuer.
func (i *issuer) Keys() keyset.Source {
	if r := i.running.Load(); r != nil {
		return r.ring
	}
	return nil
}

// HasApplication implements localissuer.Issuer.
func (i *issuer) HasApplication(path string) bool { return i.app(path) != nil }

// startTime is how long Caddy's storage may take when the issuer starts.
const startTime = 30 * time.Second

// Start implements localissuer.Issuer.
func (i *issuer) Start() (err error) {
	backing := i.revocations.Backing()
	if backing == nil {
		return errors.New("there is no store") // the app opens it first
	}
	logger := slog.New(zapslog.NewHandler(i.logger.Core()))
	r := &running{backing: backing}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.close())
		}
	}()
	if len(i.apps) > 0 {
		if r.users, r.closer, err = i.people.Open(logger, serversOf(i.name)); err != nil {
			return err
		}
	}
	if r.clients, err = i.compiled.clients.Open(process.Shared(), logger.With("issuer", i.name),
		i.tellOfFile); err != nil {
		return err
	}
	for _, before := range inForce.named(i.name) {
		if of := before.running.Load(); of != nil {
			r.clients.Recall(of.clients)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	seen := backing.CutOffOfAll(i.name) // before the keys are read
	r.longest = i.longestEver(ctx, backing.Store(), time.Now())
	r.noOwner = i.revocations.AddOwners(i.owners(r.longest))
	_, shared := backing.Store().(store.Shared)
	r.ring, err = keyring.Open(ctx, keyring.Options{
		Vault: i.vault, Issuer: i.name, Algorithm: i.algorithm, Longest: i.longestAccess, Logger: logger,
		Register: backing.Store(), Alone: !shared,
	})
	if err != nil {
		return err
	}
	r.unwatch = backing.WatchAll(i.name, seen, r.ring.Doubt)
	r.sessions, err = session.New(session.Options{
		Store: backing.Store(), Issuer: i.name, Revocations: &cutOffs{backing, i.name, r.ring},
		Leeway: max(backing.Leeway(i.name), time.Second), Sign: i.signer(r.ring), Reused: i.reused,
	})
	if err != nil {
		return err
	}
	in := backing.Store()
	r.used = replay.NewShared(func(context.Context) (store.Store, func(), error) { return in, func() {}, nil })
	if r.proofs, err = process.Shared().Proofs.ForIssuer(r.used); err != nil {
		return err
	}
	if r.gates, err = i.openGates(r); err != nil {
		return err
	}
	if r.oauth, err = i.openOAuth(r); err != nil {
		return err
	}
	i.running.Store(r)
	inForce.begin(i)
	i.reportInForce(r)
	return nil
}

// longestAccess is the longest life of an access token.
func (i *issuer) longestAccess() (longest time.Duration) {
	for _, app := range i.apps {
		longest = max(longest, app.Access)
	}
	return max(longest, i.clients.Longest())
}

// reportInForce names the addresses: a client that gets 404 has another one.
func (i *issuer) reportInForce(r *running) {
	var addresses []string
	for _, address := range i.addresses() {
		addresses = append(addresses, "POST "+address)
	}
	i.logger.Info("token issuer has started", zap.String("issuer", i.name), zap.Strings("endpoints", addresses),
		zap.Stringer("algorithm", i.algorithm), zap.Strings("users_from", i.people.Kinds()),
		zap.Int("clients", r.clients.Clients().Len()))
}

// reused reports that a session was ended because a refresh token came again: two parties had it.
func (i *issuer) reused(sid, subject, app string) {
	i.logger.Warn("a refresh token came for the second time, so its session was ended: somebody may have stolen it, or "+
		"a client has sent it twice; \"grace\" lets clients do that", zap.String("issuer", i.name),
		zap.String("sub", subject), zap.String("sid", sid), zap.String("app", app))
	requests.WithLabelValues(i.name, endpointRefresh, reused).Inc()
	i.emit("token_issuer_reused", map[string]any{"issuer": i.name, "sub": subject, "sid": sid, "app": app})
}

// Close ends the work in the background. Requests that come late still get their answers.
func (i *issuer) Close() error {
	inForce.end(i)
	err := i.judge.Close()
	if r := i.running.Load(); r != nil {
		err = errors.Join(err, r.close())
	}
	return err
}

func (r *running) close() (err error) {
	if r.unwatch != nil {
		r.unwatch()
	}
	if r.noOwner != nil {
		r.noOwner()
	}
	if r.closer != nil {
		err = r.closer.Close()
	}
	if r.clients != nil {
		err = errors.Join(err, r.clients.Close())
	}
	if r.ring != nil {
		r.ring.Rest()
	}
	return err
}

// errNotStarted means that a request came before the store was open.
var errNotStarted = fmt.Errorf("the token issuer has not started yet: %w", session.ErrUnavailable)
