package tokenissuer

import (
	"context"
	"errors"
	"maps"
	"net/netip"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/caddyjwt/gateway/internal/oauth"
	"github.com/caddyjwt/gateway/internal/users/attempts"
)

// tellOfFile tells operators what has happened to the file with clients.
func (i *issuer) tellOfFile(event string, data map[string]any) {
	data["issuer"] = i.name
	i.emit("token_issuer_clients_"+event, data)
}

// tellOfRevocation tells operators what a client has revoked.
func (i *issuer) tellOfRevocation(q *oauth.Request) {
	if q.Ended == "" {
		return
	}
	data := map[string]any{"issuer": i.name, "client_id": q.Client.ID, "what": q.Ended}
	if q.Ended == "session" {
		data["sid"] = q.EndedID
	} else {
		data["jti"] = q.EndedID
	}
	i.emit("token_issuer_client_revoked", data)
}

// try bounds the attempts with secrets of clients, as oauth.Options wants it.
func (i *issuer) try(r *running) func(context.Context, netip.Addr, string, func() (bool, error)) error {
	return func(ctx context.Context, from netip.Addr, name string, check func() (bool, error)) error {
		err := guard.Do(ctx, from, name, check)
		if _, limited := errors.AsType[*attempts.Limited](err); limited {
			i.tellOfGuesses(r, strings.TrimPrefix(name, oauth.AttemptPrefix), from)
		}
		return err
	}
}

// tellOfGuesses tells operators that the secret of a client is guessed. Names that no client has are not told:
// strangers make them up.
func (i *issuer) tellOfGuesses(r *running, id string, from netip.Addr) {
	client := r.clients.Clients().Find(id)
	if client == nil || len(client.SecretHashes) == 0 || !i.guessed.begins(client.ID, time.Now()) {
		return
	}
	i.logger.Warn("attempts with the secret of a client are refused: too many wrong ones have come from an address, or "+
		"too many wait; a secret that was right before is still good", zap.String("issuer", i.name), zap.String("client_id",
		client.ID),
		zap.Stringer("from", from))
	i.emit("token_issuer_client_guessed", map[string]any{
		"issuer": i.name, "client_id": client.ID, "from": from.String(),
	})
}

// alarms know states that begin again and again, so that operators hear of each once. The zero value is good. They are
// safe for concurrent use.
type alarms struct {
	mu   sync.Mutex
	last map[string]time.Time
}

const (
	// quiet is how long nothing must have happened until a state counts as over.
	quiet = 10 * time.Minute
	// maxAlarms is how many states are known at a time. Strangers may cause them: others have no effect.
	maxAlarms = 1000
)

// begins reports whether a state begins with what happens now.
func (a *alarms) begins(name string, now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	last, known := a.last[name]
	if !known && len(a.last) >= maxAlarms {
		maps.DeleteFunc(a.last, func(_ string, last time.Time) bool { return now.Sub(last) > quiet })
		if len(a.last) >= maxAlarms {
			return false
		}
	}
	if a.last == nil {
		a.last = make(map[string]time.Time)
	}
	a.last[name] = now
	return !known || now.Sub(last) > quiet
}
