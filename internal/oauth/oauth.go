// Package oauth is the face that a token issuer shows OAuth clients: the endpoints for tokens (RFC 6749), introspection
// (RFC 7662) and revocation (RFC 7009). It knows clients, and what they may have. It does not know where sessions, keys
// and revocations are: those are behind Options.
package oauth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/clients"
	"github.com/caddyjwt/gateway/internal/issuing"
	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/internal/possession"
)

// Options say what an issuer has behind its endpoints. All are required, unless they say otherwise.
type Options struct {
	// Issuer is the iss of the tokens.
	Issuer string
	// Addresses are those of the endpoints, as clients know them. A client may name any of them, or the issuer, as the aud
	// of what it signs to show who it is.
	Addresses []string
	// DefaultAudience is what tokens are for if the client does not say. Default: the only audience of the client.
	DefaultAudience string
	// Clients are those of this moment. App, of those that belong to an application, is known to Sessions.
	Clients func() *clients.Set
	// Try bounds the attempts with a secret: see attempts.Guard.Do. The name is that of the client behind AttemptPrefix.
	Try func(ctx context.Context, from netip.Addr, name string, check func() (ok bool, err error)) error
	// Assertions remembers what was used, so that it is good only once: see replay.Shared.
	Assertions Assertions
	// Keys verify tokens of this issuer.
	Keys keyset.Source
	// Unseal returns the claims of an opaque access token of this issuer. The error is opaque.ErrMalformed for what is
	// none, opaque.ErrForged or keyset.ErrUnknownKey for one that does not count, or keyset.ErrUnavailable.
	Unseal func(ctx context.Context, token string) (claims []byte, err error)
	// Sign makes an access token of claims for a client, which is opaque if the client says so.
	Sign func(ctx context.Context, client *clients.Client, c *issuing.Claims) (token string, err error)
	// SignAnswer makes a JWT of an answer to introspection, with the type SignedAnswer.
	SignAnswer func(payload []byte) (string, error)
	// Sessions are those of the applications.
	Sessions Sessions
	// Judge judges tokens that clients hand in.
	Judge Judge
	// Proofs judges DPoP proofs.
	Proofs *possession.Policy
	// Revocations knows which tokens are out, and takes further ones.
	Revocations Revocations
	// Leeway is how long after its exp a token may still be taken somewhere, and how far the clocks of the nodes may
	// differ. Default: one minute.
	Leeway time.Duration
	// Now is the clock. Default: time.Now.
	Now func() time.Time
	// Wait waits for a while, or until the context ends. Default: by the clock of the process.
	Wait func(ctx context.Context, d time.Duration)
}

// Assertions remembers assertions that were used.
type Assertions interface {
	// Use is nil for the first caller, and replay.ErrUsed for the others.
	Use(ctx context.Context, key [32]byte, id string, now, until time.Time) error
}

// Sessions are those of the applications, by their paths.
type Sessions interface {
	// Refresh gives the next pair for a refresh token: see session.Sessions. It spends the key when all else is good.
	Refresh(ctx context.Context, app, token string, key *Key) (*Pair, error)
	// End ends the session of a refresh token: session.ErrInvalid if it is not one of the application.
	End(ctx context.Context, app, token string) error
	// Audience is what access tokens of the application are for.
	Audience(app string) []string
}

// Pair is what Sessions give.
type Pair struct {
	Access, Refresh string
	// Key is the thumbprint of the key that they are bound to; empty for none.
	Key      string
	Lifetime time.Duration
}

// Revocations are those of the issuer.
type Revocations interface {
	// IsOut reports whether a token of the issuer is revoked, or has no application or client any more. raw is the text of
	// an opaque one, which operators revoke by it, and else empty. An error means that this is not known now.
	IsOut(set *claims.Set, raw string) (bool, error)
	// Revoke revokes one token. It returns when that is in force. From a moment on, which is after the exp of the token,
	// it may be forgotten.
	Revoke(ctx context.Context, id string, until time.Time) error
}

// Server answers the endpoints of one issuer. It is safe for concurrent use.
type Server struct {
	o          Options
	begun      time.Time // the clock of the others counts from here
	revoked    paces     // of clients that revoke their tokens
	remembered rooms     // of clients that use assertions
}

// New makes a Server.
func New(o Options) (*Server, error) {
	switch {
	case o.Issuer == "" || o.Clients == nil || o.Try == nil || o.Assertions == nil || o.Keys == nil || o.Sign == nil ||
		o.Sessions == nil || o.Revocations == nil || o.Proofs == nil || o.SignAnswer == nil || o.Judge == nil ||
		o.Unseal == nil:
		return nil, errors.New("an option of the endpoints for clients is missing")
	case len(o.Addresses) == 0 || slices.Contains(o.Addresses, ""):
		return nil, errors.New("an address of the endpoints for clients is missing")
	}
	if o.Leeway == 0 {
		o.Leeway = time.Minute
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Wait == nil {
		o.Wait = wait
	}
	return &Server{o: o, begun: time.Now()}, nil
}

func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// Request is a request of a client.
type Request struct {
	HTTP *http.Request
	// From is the address that it comes from.
	From netip.Addr
	// Certificate is that of the connection.
	Certificate clients.Presented
	// Facts are what the server knows about the request.
	Facts possession.Facts

	// Client is set as soon as it is known who the client is.
	Client *clients.Client

	// Ended is set by Revoke when something has ended: "session" or "token".
	Ended string
	// EndedID is its sid or jti.
	EndedID string

	form        issuing.Form
	key         *Key   // that the client has proved to have
	certificate string // the thumbprint of the one that tokens are bound to; empty for none
}

// read reads the form and finds out who the client is. Both come before all else: nobody gets to know more who does not
// say who they are.
func (s *Server) read(q *Request, repeatable ...string) (err error) {
	if q.form, err = issuing.ReadForm(q.HTTP, repeatable...); err != nil {
		return err
	}
	return s.authenticate(q)
}

// refuse is a failure that its text explains.
func refuse(code issuing.Code, format string, args ...any) error {
	return issuing.Bad(code, fmt.Sprintf(format, args...), nil)
}
