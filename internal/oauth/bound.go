package oauth

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"time"

	"github.com/caddyjwt/gateway/internal/clientcert"
	"github.com/caddyjwt/gateway/internal/clients"
	"github.com/caddyjwt/gateway/internal/issuing"
	"github.com/caddyjwt/gateway/internal/possession"
)

// Key is the key that a client has proved to have when it asked for a token.
type Key struct {
	// Thumbprint is that of the key (RFC 7638); empty if there was no proof.
	Thumbprint string

	policy *possession.Policy
	proved possession.Proved
	now    time.Time
}

// KeyOf finds the key of the DPoP proof in a request for a token (RFC 9449 section 5). The error is an issuing.Failure.
func KeyOf(p *possession.Policy, r *http.Request, facts possession.Facts, now time.Time) (*Key, error) {
	key := &Key{policy: p, now: now}
	thumbprint, err := p.ProveAny(&key.proved, &possession.Presented{Request: r, Facts: facts, Now: now})
	if err != nil {
		return nil, unproved(err)
	}
	key.Thumbprint = thumbprint
	return key, nil
}

// Spend uses up the proof. Call it when all else is good: a proof that was refused for another reason stays good, and
// strangers must not fill what remembers the proofs that were used.
func (k *Key) Spend(ctx context.Context) error {
	return unproved(k.policy.Spend(ctx, &k.proved, k.now))
}

// unproved is the failure of a client whose proof does not count.
func unproved(err error) error {
	wrong, is := errors.AsType[*possession.Error](err)
	switch {
	case err == nil:
		return nil
	case !is || wrong.Kind == possession.Unavailable:
		return issuing.Unavailable(err)
	case wrong.Kind == possession.TooMany:
		return issuing.TooMany(wrong.RetryAfter, err)
	case wrong.Kind == possession.Replayed:
		return issuing.Bad(issuing.InvalidDPoPProof, "the DPoP proof was used before: make one for each request", err)
	}
	return issuing.Bad(issuing.InvalidDPoPProof, "the DPoP proof is not one for this request (RFC 9449 section 4.3)", err)
}

// bind finds out to what the tokens of a request are bound. Sessions and tokens of a client get a key when the client
// proves one. What is registered for the client must be there.
func (s *Server) bind(q *Request) (err error) {
	if q.key, err = KeyOf(s.o.Proofs, q.HTTP, q.Facts, s.o.Now()); err != nil {
		return err
	}
	switch q.Client.Proof {
	case clients.DPoP:
		if q.key.Thumbprint == "" {
			return refuse(issuing.InvalidDPoPProof, "the tokens of this client are bound to a key: send a DPoP proof (RFC 9449)")
		}
	case clients.MTLS:
		if q.Certificate.Certificate == nil {
			return refuse(issuing.InvalidRequest,
				"the tokens of this client are bound to its certificate: connect with it (RFC 8705)")
		}
		sum := clientcert.Thumbprint(q.Certificate.Certificate)
		q.certificate = base64.RawURLEncoding.EncodeToString(sum[:])
	}
	return nil
}

// typeOf is the token_type of a token that may be bound to a key (RFC 9449 section 5).
func typeOf(key string) string {
	if key != "" {
		return "DPoP"
	}
	return "Bearer"
}
