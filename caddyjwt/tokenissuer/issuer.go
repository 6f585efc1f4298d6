package tokenissuer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
	"go.uber.org/zap/exp/zapslog"

	"github.com/caddyjwt/gateway/caddyjwt/localissuer"
	"github.com/caddyjwt/gateway/caddyjwt/revocations"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/keyring"
	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/internal/session"
	"github.com/caddyjwt/gateway/internal/users"
)

// issuer is the issuer of one configuration.
type issuer struct {
	*compiled
	revocations *revocations.Revocations
	vault       keyring.Vault
	logger      *zap.Logger
	running     atomic.Pointer[running] // nil until Start
}

var _ localissuer.Issuer = (*issuer)(nil)

// running is an issuer that has begun its work.
type running struct {
	ring     *keyring.Ring
	sessions *session.Sessions
	users    users.Directory
	file     *users.File           // nil without one
	gates    map[string]*gate.Gate // by the path of the application: for access tokens at logout and revoke
}

func newIssuer(ctx caddy.Context, c *compiled, r *revocations.Revocations, logger *zap.Logger) *issuer {
	return &issuer{compiled: c, revocations: r, vault: ctx.Storage(), logger: logger}
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

// startTime is how long Caddy's storage may take when the issuer starts.
const startTime = 30 * time.Second

// Start implements localissuer.Issuer.
func (i *issuer) Start() (err error) {
	backing := i.revocations.Backing()
	if backing == nil {
		return errors.New("there is no store") // the app opens it first
	}
	logger := slog.New(zapslog.NewHandler(i.logger.Core()))
	r := new(running)
	defer func() {
		if err != nil {
			err = errors.Join(err, r.close())
		}
	}()
	if r.users, r.file, err = i.people.open(logger); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	r.ring, err = keyring.Open(ctx, keyring.Options{
		Vault: i.vault, Issuer: i.name, Algorithm: i.algorithm, Longest: i.longestAccess, Logger: logger,
	})
	if err != nil {
		return err
	}
	r.sessions, err = session.New(session.Options{
		Store: backing.Store(), Issuer: i.name, Revocations: &cutOffs{backing, i.name},
		Leeway: max(backing.Leeway(i.name), time.Second), Sign: i.signer(r.ring), Reused: i.reused,
	})
	if err != nil {
		return err
	}
	if r.gates, err = i.openGates(r.ring); err != nil {
		return err
	}
	i.running.Store(r)
	i.reportInForce(r)
	return nil
}

// longestAccess is the longest life of an access token.
func (i *issuer) longestAccess() (longest time.Duration) {
	for _, app := range i.apps {
		longest = max(longest, app.access)
	}
	return longest
}

// reportInForce names the addresses: a client that gets 404 has another one.
func (i *issuer) reportInForce(r *running) {
	var addresses []string
	for _, app := range i.apps {
		e := app.endpoints
		for _, name := range []string{e.Login, e.Refresh, e.Logout, e.Revoke} {
			addresses = append(addresses, "POST "+app.path+name)
		}
	}
	people := i.people.count
	if r.file != nil {
		people += r.file.Len()
	}
	i.logger.Info("token issuer has started", zap.String("issuer", i.name), zap.Strings("endpoints", addresses),
		zap.Stringer("algorithm", i.algorithm), zap.Int("users", people))
}

// reused reports that a session was ended because a refresh token came again: two parties had it.
func (i *issuer) reused(sid, subject, app string) {
	i.logger.Warn("a refresh token came for the second time, so its session was ended: somebody may have stolen it, or "+
		"a client has sent it twice; \"grace\" lets clients do that", zap.String("issuer", i.name),
		zap.String("sub", subject), zap.String("sid", sid), zap.String("app", app))
}

// Close ends the work in the background. Requests that come late still get their answers.
func (i *issuer) Close() error {
	if r := i.running.Load(); r != nil {
		return r.close()
	}
	return nil
}

func (r *running) close() (err error) {
	if r.file != nil {
		err = r.file.Close()
	}
	if r.ring != nil {
		r.ring.Rest()
	}
	return err
}

// errNotStarted means that a request came before the store was open.
var errNotStarted = fmt.Errorf("the token issuer has not started yet: %w", session.ErrUnavailable)
