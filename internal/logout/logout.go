// Package logout receives the logout requests of one authorization server, as OpenID Connect Back-Channel Logout 1.0
// says. A request carries a logout token: a JWT that the server signs as it signs ID tokens, and that names a session
// or a user. The package verifies it, and a callback ends what it names.
//
// Nothing that a stranger sends reaches the key source before all that can be judged without keys is in order. Nothing
// is remembered before the signature is verified.
//
// Encrypted logout tokens (section 2.6 step 1) are not supported, and are refused as malformed.
package logout

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/caddyjwt/gateway/internal/bearer"
	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/internal/setting"
)

// MaxLeeway bounds the leeway: RFC 7519 section 4.1.4 allows "no more than a few minutes".
const MaxLeeway = 5 * time.Minute

// Config says whose logout requests are answered, and what becomes of them. All fields without a default are required.
type Config struct {
	// Issuer is the iss that logout tokens must have, compared exactly.
	Issuer string
	// Keys are the issuer's. They verify its logout tokens as they verify its ID tokens (section 2.6 step 2). The
	// Receiver does not close them.
	Keys keyset.Source
	// Algorithms are those that the issuer's tokens may have. They are all for public keys, or all for shared secrets:
	// the token must not choose between the two.
	Algorithms jose.Algorithms
	// Clients are our client ids at the issuer. aud must name at least one of them, compared exactly.
	Clients []string
	// Reading says how the issuer's tokens are read, as far as that differs from the specifications. It should be the
	// one by which its other tokens are read, so that a subject has the same text everywhere. Nil differs in nothing.
	Reading *claims.Reading
	// Leeway is the clock difference that is tolerated, between 0 (the default) and MaxLeeway.
	Leeway time.Duration
	// WithoutSID says what a token without sid does. The default is Ignore.
	WithoutSID WithoutSID

	// Seen reports whether Remember was called with this key, and until when has not passed. An error means that this is
	// not known; then nothing ends, and the answer asks the server to try again. The key has 43 characters of base64url.
	// It names one logout among those of all issuers.
	Seen func(ctx context.Context, key string) (bool, error)
	// Remember keeps a key until a time. It returns when that is durable.
	Remember func(ctx context.Context, key string, until time.Time) error
	// Revoke ends what the token names, and returns when that is durable. It may be called more than once for the same
	// Logout (see Receive), and the second call must have no effect beyond that of the first. So it must judge what
	// began before the logout by Logout.IssuedAt and not by a clock, and spare sessions that began later.
	Revoke func(ctx context.Context, l Logout) error

	// Now is the clock; nil means time.Now.
	Now func() time.Time // for tests
}

// Logout is what a verified logout token says.
type Logout struct {
	// Issuer is the iss, which is that of the Config.
	Issuer string
	// Session is the sid: the session that ends, and no other (section 2.7). If it is empty, all sessions of the subject
	// at this issuer end.
	Session string
	// Subject is the sub. It may be empty if there is a Session.
	Subject string
	// ID is the jti.
	ID string
	// IssuedAt is the iat: what began later does not end. It may be ahead of our clock by the leeway.
	IssuedAt time.Time
	// Expires is when the token has become useless: see MaxAge. It is never after the exp.
	Expires time.Time
}

// WithoutSID is what a logout token does that names a subject and no session.
type WithoutSID uint8

const (
	// Ignore gives such a token no effect. The answer is 200 all the same, because the token is good.
	Ignore WithoutSID = iota
	// EndAll ends all sessions of the subject at the issuer (section 2.7).
	EndAll
)

// Receiver answers the logout requests of one issuer. It is safe for concurrent use.
type Receiver struct {
	config  Config
	form    *bearer.Extractor
	now     func() time.Time
	running singleflight.Group
}

// New makes a Receiver. The error is a *setting.Error with the name of a field.
func New(c Config) (*Receiver, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	form, err := bearer.NewExtractor(bearer.Options{Places: places, MaxForm: maxBody})
	if err != nil {
		return nil, err
	}
	r := &Receiver{config: c, form: form, now: time.Now}
	if c.Now != nil {
		r.now = c.Now
	}
	return r, nil
}

func (c *Config) validate() error {
	symmetric := c.Algorithms.Intersect(jose.HMACAlgorithms())
	switch {
	case c.Issuer == "":
		return setting.Errorf("Issuer", "no issuer: every logout token would be refused")
	case c.Keys == nil:
		return setting.Errorf("Keys", "no keys: no logout token could be verified")
	case c.Algorithms == 0:
		return setting.Errorf("Algorithms", "no algorithms: every logout token would be refused")
	case symmetric != 0 && symmetric != c.Algorithms:
		return setting.Errorf("Algorithms", "%v verify with a shared secret and the others with a public key: "+
			"remove one of the two kinds", symmetric)
	case len(c.Clients) == 0:
		return setting.Errorf("Clients", "no client id: every logout token would be refused")
	case c.Leeway < 0 || c.Leeway > MaxLeeway:
		return setting.Errorf("Leeway", "leeway %v is not between 0s and %v", c.Leeway, MaxLeeway)
	case c.WithoutSID > EndAll:
		return setting.Errorf("WithoutSID", "unknown value %d", c.WithoutSID)
	}
	return c.validateCallbacks()
}

func (c *Config) validateCallbacks() error {
	for i, id := range c.Clients {
		if id == "" {
			return setting.Errorf(setting.Element("Clients", i), "a client id must not be empty")
		}
	}
	for field, missing := range map[string]bool{
		"Seen": c.Seen == nil, "Remember": c.Remember == nil, "Revoke": c.Revoke == nil,
	} {
		if missing {
			return &setting.Error{Field: field, Err: fmt.Errorf("%s is needed to end sessions", field)}
		}
	}
	return nil
}

// Receive judges one logout request, and ends what its token names. The caller gives the result to Answer. It should
// also set a deadline for reading the request's body, which a stranger may send slowly.
//
// The error is always a *Failure. It never repeats a part of the token as it was sent.
//
// A logout has its effect at least once, and a repeated one has no further effect. The order is: look whether the token
// is remembered, revoke, remember. So whatever fails, and wherever the process dies, the server's next attempt works,
// also at another instance. With the other order, remember and then revoke, a token whose revocation fails would be
// spent, the next attempt would have no effect, and the session would live on with nobody knowing. The price is that
// Revoke may run twice for one token: when remembering fails, and when two instances get the token at the same moment.
// That is harmless because Revoke judges by IssuedAt. In one process, equal tokens that arrive at the same time share
// one call.
//
// A repeated token is answered like the first one. The server repeats it because our answer was lost, and the session
// has ended, which is what it wants to know.
func (r *Receiver) Receive(req *http.Request) (Outcome, error) {
	text, err := r.tokenOf(req)
	if err != nil {
		return 0, err
	}
	token, err := r.verify(req.Context(), text)
	if err != nil {
		return 0, err
	}
	return r.end(req.Context(), token)
}
