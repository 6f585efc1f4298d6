package gate

import (
	"context"
	"errors"
	"fmt"

	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyset"
)

// identify finds out whose token this is and whether it is good for this route, now.
func (g *Gate) identify(of *Request, token string) (*Identity, error) {
	ctx := of.HTTP.Context()
	found, err := g.authenticate(ctx, token)
	if err != nil {
		return nil, err
	}
	if err := g.admit(of, &found, token); err != nil {
		return nil, about(err, found.party)
	}
	return found.identity, nil
}

// admit holds an identity to what changes with time and route, on every request anew: also where the token, or the
// answer about it, is remembered.
func (g *Gate) admit(of *Request, found *known, token string) error {
	now := g.now()
	if err := g.judge(found, now); err != nil {
		return err
	}
	if err := prove(of, found.how.bound); err != nil {
		return err
	}
	if err := g.revoked(found.identity, now); err != nil {
		return err
	}
	if g.mustAsk(found) {
		if err := g.confirm(of, found, token); err != nil {
			return err
		}
		now = g.now()
	}
	return g.require.satisfiedBy(found.identity, now)
}

// authenticate establishes who issued the token and what it says: from the cache, by its signature, or, when it is not
// to be verified here, by asking the authorization server.
func (g *Gate) authenticate(ctx context.Context, token string) (known, error) {
	key, cacheable := g.hash.hash(token)
	if cacheable {
		if found := g.cached(&key); found.identity != nil {
			return found, nil
		}
	}
	what, verified, err := g.verify(ctx, token)
	if err != nil {
		return known{}, about(err, what.party)
	}
	if verified.identity != nil {
		if cacheable {
			g.cache.put(key, verified, what.party.leeway, g.now())
		}
		return verified.known(what.party), nil
	}
	asked := g.parties.askedAbout(token, &what)
	if asked == nil {
		return known{}, what.failure()
	}
	return g.ask(ctx, asked, token)
}

// cached gives what is known of a token that was verified before under the same settings, if the key that verified it
// is still in force: a key that was withdrawn takes every cached token with it, at once. The settings being the same,
// the index names the same party, though perhaps of a newer configuration with another audience or leeway.
func (g *Gate) cached(key *cacheKey) known {
	remembered := g.cache.get(key)
	if remembered == nil || remembered.party >= len(g.parties.all) {
		return known{}
	}
	party := g.parties.all[remembered.party]
	if party.issuer != nil { // a credential's key is part of the fingerprint
		if party.issuer.Keys == nil || !party.issuer.Keys.Current().Has(remembered.key) {
			return known{}
		}
	}
	return remembered.known(party)
}

// known is what an entry says about a token of this party.
func (e *entry) known(p *party) known {
	return known{identity: e.identity, party: p, how: e.how}
}

// verify classifies a token, and verifies it when that is to be done here. Otherwise there is neither an identity nor
// an error.
func (g *Gate) verify(ctx context.Context, token string) (classified, entry, error) {
	var jwt parsedJWT
	defer jwt.release()
	what := g.parties.classify(token, &jwt)
	if !what.verifiable() {
		return what, entry{}, nil
	}
	verified, err := what.party.verify(ctx, &jwt)
	return what, verified, err
}

// verifies reports whether the party has keys by which its tokens are verified here.
func (p *party) verifies() bool { return p.credential != nil || p.issuer.Keys != nil }

// verify checks a JWT of the party. Cheap refusals come first, and the key source last: it may have to fetch.
func (p *party) verify(ctx context.Context, jwt *parsedJWT) (entry, error) {
	if err := p.accepts(&jwt.Header); err != nil {
		return entry{}, err
	}
	key, err := p.verifySignature(ctx, jwt.Token)
	if err != nil {
		f := FailureOf(err)
		f.KeyID = clip(jwt.Header.KeyID)
		return entry{}, f
	}
	if err := p.checkForm(&jwt.Header, jwt.set, jwt.kind); err != nil {
		return entry{}, err
	}
	return entry{
		identity: newIdentity(p, jwt.set), key: key, party: p.index,
		how: manner{
			saysAccess: jwt.kind.Access || jwt.Header.Type == accessTokenType,
			bound:      jwt.set.Confirmation.Bound || jwt.kind.Bound,
		},
	}, nil
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
func (p *party) verifySignature(ctx context.Context, token jose.Token) (*jose.Key, error) {
	if p.credential != nil {
		key := p.credential.Verifier
		if err := key.Verify(token.Header.Algorithm, token.SigningInput, token.Signature); err != nil {
			return nil, fail(InvalidSignature, err)
		}
		return key, nil
	}
	key, err := keyset.Verify(ctx, p.issuer.Keys, &token)
	if err != nil {
		return nil, keyFailure(err)
	}
	return key, nil
}

// checkForm checks what a token must be, whatever the time and the route: the typ and the claims of its issuer.
func (p *party) checkForm(header *jose.Header, set *claims.Set, kind claims.Kind) error {
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
