package gate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyset"
)

// identify finds out whose token this is and whether it is good for this route, now.
func (g *Gate) identify(ctx context.Context, token string) (*Identity, error) {
	identity, party, err := g.authenticate(ctx, token)
	if err != nil {
		return nil, err
	}
	if err := g.judge(identity, party, g.now()); err != nil {
		return nil, about(err, party)
	}
	if g.mustAsk(identity, party) {
		if err := g.confirm(ctx, identity, party, token); err != nil {
			return nil, about(err, party)
		}
	}
	if err := g.require.satisfiedBy(identity); err != nil {
		return nil, about(err, party)
	}
	return identity, nil
}

// authenticate establishes who issued the token and what it says: from the cache, by its signature, or, when it is not
// a JWT of a known issuer, by asking the authorization server. What changes with time or route is not judged here.
func (g *Gate) authenticate(ctx context.Context, token string) (*Identity, *party, error) {
	if !mayBeJWT(token) && !jose.LooksLikeJWT(token) { // the latter sees JWTs that are written oddly
		keeper := g.parties.opaqueKeeper(token, opaque)
		if keeper == nil {
			return nil, nil, fail(MalformedToken, g.parties.notTaken)
		}
		identity, err := g.ask(ctx, keeper, token)
		return identity, keeper, err
	}
	key, cacheable := g.hash.hash(token)
	if cacheable {
		if identity, party := g.cached(&key); identity != nil {
			return identity, party, nil
		}
	}
	identity, party, err := g.verify(ctx, token)
	if err == nil {
		if cacheable {
			g.cache.put(key, identity, party.leeway, g.now())
		}
		return identity, party, nil
	}
	if party := g.opaqueKeeper(token, err); party != nil {
		identity, err := g.ask(ctx, party, token)
		return identity, party, err
	}
	return nil, nil, g.parties.notTakenFailure(token, err)
}

// mayBeJWT is a quick look: a JOSE header is a JSON object, whose first byte makes the token start with an "e".
func mayBeJWT(token string) bool { return token[0] == 'e' }

// cached gives the identity of a token that was verified before under the same settings, if the key that verified it
// is still in force: a key that was withdrawn takes every cached token with it, at once. The settings being the same,
// the index names the same party, though perhaps of a newer configuration with another audience or leeway.
func (g *Gate) cached(key *cacheKey) (*Identity, *party) {
	identity := g.cache.get(key)
	if identity == nil || identity.party >= len(g.parties.all) {
		return nil, nil
	}
	party := g.parties.all[identity.party]
	if party.issuer == nil {
		return identity, party // a credential's key is part of the fingerprint
	}
	if party.issuer.Keys == nil || !party.issuer.Keys.Current().Has(identity.key) {
		return nil, nil
	}
	return identity, party
}

// buffers lend the memory in which a token is hashed or decoded; nothing keeps a reference to it.
var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 4<<10); return &b }}

// maxBuffer is the largest buffer that is kept, so that a few giant tokens do not pin memory.
const maxBuffer = 64 << 10

// release gives a buffer back without the token in it.
func release(buf *[]byte) {
	if cap(*buf) <= maxBuffer {
		clear(*buf)
		buffers.Put(buf)
	}
}

// verify checks a JWT from its form to its signature. Cheap refusals come first and the key source, which may have to
// fetch, last; until the signature holds, the token only selects among what is configured.
func (g *Gate) verify(ctx context.Context, token string) (*Identity, *party, error) {
	buf := buffers.Get().(*[]byte)
	defer release(buf)
	*buf = slices.Grow((*buf)[:0], len(token))[:len(token)]
	parsed, err := jose.Parse(token, (*buf)[:0], g.parties.types...)
	if err != nil {
		return nil, nil, parseFailure(err)
	}
	set, err := claims.Decode(parsed.Payload)
	if err != nil {
		return nil, nil, fail(MalformedToken, err)
	}
	party := g.parties.vouching(&parsed.Header, set)
	kind := claims.KindOf(set)
	if err := party.acceptsKind(&parsed.Header, kind); err != nil {
		return nil, nil, about(err, party)
	}
	if party == nil {
		return nil, nil, fail(UnknownIssuer, nil)
	}
	if err := party.accepts(&parsed.Header); err != nil {
		return nil, nil, about(err, party)
	}
	key, err := party.verifySignature(ctx, &parsed)
	if err != nil {
		f := about(err, party)
		f.KeyID = clip(parsed.Header.KeyID)
		return nil, nil, f
	}
	if err := party.checkForm(&parsed.Header, set, kind); err != nil {
		return nil, nil, about(err, party)
	}
	identity := newIdentity(party, set)
	identity.party, identity.key = party.index, key
	identity.saysAccess = kind.Access || parsed.Header.Type == accessTokenType
	return identity, party, nil
}

// accepts checks the JOSE header against what the party allows. The algorithm is the operator's choice, never the
// token's (RFC 8725 section 3.1).
func (p *party) accepts(header *jose.Header) error {
	if !p.algorithms.Has(header.Algorithm) {
		return fail(UnsupportedAlgorithm, fmt.Errorf("%v is not allowed here", header.Algorithm))
	}
	return nil
}

// verifySignature finds the key inside what belongs to the party, and nowhere else (RFC 8725 section 3.8).
func (p *party) verifySignature(ctx context.Context, token *jose.Token) (*jose.Key, error) {
	if p.credential != nil {
		key := p.credential.Verifier
		if err := key.Verify(token.Header.Algorithm, token.SigningInput, token.Signature); err != nil {
			return nil, fail(InvalidSignature, err)
		}
		return key, nil
	}
	if p.issuer.Keys == nil {
		return nil, fail(UnknownKey, errors.New("this issuer's tokens are not verified by keys"))
	}
	key, err := keyset.Verify(ctx, p.issuer.Keys, token)
	if err != nil {
		return nil, keyFailure(err)
	}
	return key, nil
}

// checkForm checks what a token must be, whatever the time and the route: the typ and the claims of its issuer.
func (p *party) checkForm(header *jose.Header, set *claims.Set, kind claims.Kind) error {
	if set.Confirmation || kind.Bound {
		// RFC 7800, RFC 8705 section 3, RFC 9449 section 7.2: a token bound to a key must not pass as a bearer token.
		return fail(ProofRequired, nil)
	}
	if p.issuer == nil {
		return nil
	}
	if err := p.checkType(header, kind); err != nil {
		return err
	}
	if p.issuer.AccessTokenProfile {
		if header.Type != accessTokenType { // RFC 9068 section 4
			return fail(InvalidType, errors.New("typ is not at+jwt"))
		}
		if err := claims.CheckAccessToken(set); err != nil {
			return claimFailure(err)
		}
	}
	if err := p.checkNamed(set); err != nil {
		return err
	}
	if err := claims.CheckPresent(set, p.issuer.Require); err != nil {
		return claimFailure(err)
	}
	return nil
}

func parseFailure(err error) *Failure {
	switch {
	case errors.Is(err, jose.ErrAlgorithm):
		return fail(UnsupportedAlgorithm, err)
	case errors.Is(err, jose.ErrType):
		return fail(InvalidType, err)
	default:
		return fail(MalformedToken, err)
	}
}

func keyFailure(err error) *Failure {
	switch {
	case errors.Is(err, keyset.ErrUnknownKey):
		return fail(UnknownKey, err)
	case errors.Is(err, jose.ErrSignature), errors.Is(err, jose.ErrKeyAlgorithm):
		return fail(InvalidSignature, err)
	}
	f := fail(KeysUnavailable, err)
	if errors.Is(err, keyset.ErrPending) {
		f.Reason = KeyPending
	}
	if unavailable, ok := errors.AsType[*keyset.UnavailableError](err); ok {
		f.RetryAfter = unavailable.RetryAfter
	}
	return f
}

// about adds who was to vouch for the token.
func about(err error, p *party) *Failure {
	f := FailureOf(err)
	if p != nil && f.Issuer == "" {
		f.Issuer = p.name
	}
	return f
}

// clip bounds a text of the client's for the log.
func clip(s string) string { return s[:min(len(s), 64)] }
