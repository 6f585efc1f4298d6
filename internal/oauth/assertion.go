package oauth

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/caddyjwt/gateway/internal/causes"
	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/clients"
	"github.com/caddyjwt/gateway/internal/issuing"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/internal/proof/replay"
)

// assertionType is the only client_assertion_type (RFC 7523 section 2.2).
const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

const (
	// longestAssertion is how long an assertion may live. It is remembered for as long.
	longestAssertion = time.Hour
	// clockDifference is how far the clock of a client may be off.
	clockDifference = 30 * time.Second
	// maxJTI bounds the jti of an assertion, in bytes.
	maxJTI = 256
	// authenticationType is a typ that says what an assertion is for. "JWT" and none are as good: most clients have them.
	authenticationType = "client-authentication+jwt"
)

// checkAssertion verifies a JWT with which a client shows who it is (RFC 7523 section 3). It is used up last, when all
// else is good: otherwise strangers could use up those of others. With an error, there is a client only if that has
// shown who it is.
func (s *Server) checkAssertion(ctx context.Context, all *clients.Set, by shown) (*clients.Client, error) {
	token, err := jose.Parse(by.assertion, nil, authenticationType)
	if err != nil {
		return nil, fmt.Errorf("client_assertion: %w", err)
	}
	switch token.Header.Type {
	case "", "jwt", authenticationType:
	default: // an access token of somebody, for one
		return nil, fmt.Errorf("client_assertion: the typ is %s, and it must be JWT", causes.Quote(token.Header.Type))
	}
	set, err := claims.Decode(token.Payload)
	if err != nil {
		return nil, fmt.Errorf("client_assertion: %w", err)
	}
	client := all.Find(set.Subject)
	if client == nil || client.Keys == nil {
		return nil, fmt.Errorf("client_assertion: there is no client %s with a key", causes.Quote(set.Subject))
	}
	if !jose.AsymmetricAlgorithms().Has(token.Header.Algorithm) {
		return nil, fmt.Errorf("client %q: client_assertion: alg %v: a public key verifies no such signature", client.ID,
			token.Header.Algorithm)
	}
	if _, err := keyset.Verify(ctx, client.Keys, &token); err != nil {
		return nil, fmt.Errorf("client %q: client_assertion: %w", client.ID, err)
	}
	if by.id != "" && by.id != client.ID { // RFC 7521 section 4.2
		return nil, fmt.Errorf("client %q: client_assertion: the form has another client_id", client.ID)
	}
	now := s.o.Now()
	if err := s.checkAssertionClaims(set, client.ID, now); err != nil {
		return nil, fmt.Errorf("client %q: client_assertion: %w", client.ID, err)
	}
	key := sha256.Sum256([]byte("client assertion\n" + s.o.Issuer + "\n" + client.ID))
	err = s.useOnce(ctx, client.ID, key, set.ID, set.ExpiresAt.Add(clockDifference))
	failure, _ := errors.AsType[*issuing.Failure](err)
	switch {
	case failure != nil: // the client has shown who it is
		return client, failure
	case errors.Is(err, replay.ErrUsed):
		return nil, fmt.Errorf("client %q: client_assertion: it was used before: each is good once", client.ID)
	case err != nil:
		return nil, fmt.Errorf("client %q: client_assertion: %w", client.ID, err)
	}
	return client, nil
}

// checkAssertionClaims applies RFC 7523 section 3. Each aud must be one of ours: what names somebody else besides may
// have been made for them, and come here by way of them.
func (s *Server) checkAssertionClaims(set *claims.Set, id string, now time.Time) error {
	if err := claims.CheckIssuer(set, id); err != nil {
		return err
	}
	if len(set.Audience) == 0 {
		return errors.New("there is no aud: it must be the issuer or the address of the token endpoint")
	}
	for _, audience := range set.Audience {
		if !s.isOwn(audience) {
			return fmt.Errorf("aud has %s, and it must be the issuer %q or the address of an endpoint, and nothing else",
				causes.Quote(audience), s.o.Issuer)
		}
	}
	if err := claims.CheckTime(set, now, clockDifference); err != nil {
		return err
	}
	switch {
	case set.ExpiresAt.After(now.Add(longestAssertion + clockDifference)):
		return fmt.Errorf("it expires in %v, and %v are possible", set.ExpiresAt.Sub(now).Truncate(time.Second),
			longestAssertion)
	case set.ID == "" || len(set.ID) > maxJTI:
		return fmt.Errorf("the jti must have 1 to %d bytes: it is good only once", maxJTI)
	}
	return nil
}
