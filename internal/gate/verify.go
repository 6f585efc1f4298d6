package gate

import (
	"context"
	"errors"
	"fmt"

	"github.com/caddyjwt/gateway/internal/causes"
	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/internal/proof"
	"github.com/caddyjwt/gateway/internal/spans"
	"github.com/caddyjwt/gateway/internal/tenantkeys"
)

// identify authenticates a token, and checks that it may pass this route now.
func (g *Gate) identify(req *Request, token string) (*Identity, error) {
	found, err := g.authenticate(req, token)
	if err != nil {
		return nil, err
	}
	if err := g.admit(req, &found, token); err != nil {
		return nil, about(err, found.party).of(found.party, found.identity.Issuer)
	}
	return found.identity, nil
}

// admit checks everything that depends on time or route. It runs for every request, even if the token, or the answer
// about it, is cached.
func (g *Gate) admit(req *Request, found *authenticated, token string) error {
	now := g.now()
	if err := g.judge(found, now); err != nil {
		return g.forgiveExpiry(req, found, token, now, err)
	}
	if g.requireTLS {
		if err := checkTransport(req); err != nil {
			return err
		}
	}
	if err := g.judgeAccepted(req, found.identity.Claims, found.party); err != nil {
		return err
	}
	if err := found.party.checkApplication(found.identity.Claims, req); err != nil {
		return err
	}
	if found.traits.bound {
		if err := g.prove(req, token, found.identity.Claims, now); err != nil {
			return err
		}
	}
	if err := g.checkRevoked(found, token, now); err != nil {
		return err
	}
	req.expires = found.party.expiry(found.identity.Claims)
	if req.handedIn != nil {
		req.handedIn.Opaque, req.handedIn.Expires = found.traits.opaque, found.identity.Claims.ExpiresAt
	}
	if g.mustAsk(found) {
		if err := g.confirm(req, found, token); err != nil {
			return err
		}
		now = g.now()
	}
	if g.proof != nil || req.withDPoP {
		if err := g.settleProof(req); err != nil {
			return err
		}
	}
	id, err := g.mapped(found)
	if err != nil {
		return err
	}
	found.identity = id
	if err := g.checkConsumerRevoked(found, token, now); err != nil {
		return err
	}
	req.revocable = g.watchable(found, token)
	if err := g.require.satisfiedBy(id, now); err != nil || g.proof == nil {
		return err
	}
	return g.spendProof(req, now) // last, so that a proof which the gate has refused for another reason stays good
}

// authenticate establishes the identity behind a token: from the cache, by verifying its signature, or by asking the
// authorization server about a token that is not verified here.
func (g *Gate) authenticate(req *Request, token string) (authenticated, error) {
	key, cacheable := g.hasher.key(token)
	if cacheable {
		if found := g.cached(req, &key); found.identity != nil {
			return found, nil
		}
	}
	class, verified, err := g.verify(req, token)
	if err != nil {
		return authenticated{}, about(err, class.party).of(class.party, class.iss)
	}
	if verified.identity != nil {
		if cacheable {
			if verified.identity.Claims.Confirmation.KeyThumbprint != "" {
				verified.tokenHash = proof.HashOf(token)
			}
			g.cache.put(key, verified, class.party, g.now())
		}
		return verified.authenticated(class.party), nil
	}
	asked := g.parties.askedAbout(token, &class)
	if asked == nil {
		return authenticated{}, class.failure()
	}
	if err := asked.mayBeHandedIn(req); err != nil {
		return authenticated{}, about(err, asked)
	}
	return g.ask(req.HTTP.Context(), asked, token)
}

// cached returns a token that was verified before under the same settings, if the key that verified it is still in
// force: withdrawing a key invalidates all its cached tokens at once. Since the settings are the same, the index refers
// to the same party, though perhaps to that of a newer configuration with another audience or leeway.
func (g *Gate) cached(req *Request, key *cacheKey) authenticated {
	e := g.cache.get(key)
	if e == nil || e.party >= len(g.parties.all) {
		return authenticated{}
	}
	req.tokenHash = e.tokenHash
	if e.member != nil && !g.parties.selectsAgain(e.member) {
		return authenticated{}
	}
	if e.party == unlisted {
		if member := g.parties.onTerms(e.member); member != nil {
			return e.authenticated(member)
		}
		return authenticated{}
	}
	party := g.parties.all[e.party]
	if party.issuer != nil && !party.vouchesFor(e) { // a credential's key is part of the fingerprint
		return authenticated{}
	}
	return e.authenticated(party)
}

// vouchesFor reports whether the issuer still vouches for a cached token.
func (p *party) vouchesFor(e *entry) bool {
	switch {
	case p.issuer.Keys == nil, e.opened != nil && !p.issuer.Decrypt.Keys.Have(e.opened):
		return false
	case p.pattern == nil:
		return p.issuer.Keys.Current().Has(e.key)
	}
	name := e.identity.Tenant()
	return p.issuer.Tenants.Listed.Has(name) && tenantkeys.InForce(p.issuer.Keys, name, e.key)
}

// authenticated combines a cache entry with its party in this gate.
func (e *entry) authenticated(p *party) authenticated {
	return authenticated{identity: e.identity, party: p, traits: e.traits}
}

// verify classifies a token, and verifies it if that must be done here. Otherwise the entry has no identity, and the
// error is nil.
func (g *Gate) verify(req *Request, token string) (classification, entry, error) {
	var jwt parsedJWT
	defer jwt.release()
	class, err := g.parties.resolve(req, token, &jwt)
	if err == nil {
		err = class.party.mayBeHandedIn(req)
	}
	if err != nil || !class.verifiable() {
		return class, entry{}, err
	}
	verified, err := class.party.verify(req.HTTP.Context(), &jwt)
	if g.parties.roster != nil && err == nil {
		verified.member = g.parties.selected(class.party, &jwt)
	}
	return class, verified, err
}

// verifies reports whether the party has keys, so that its tokens are verified here.
func (p *party) verifies() bool { return p.credential != nil || p.issuer.Keys != nil }

// verify verifies a JWT of the party. The cheap check of the algorithm comes first, since the key source may have to
// fetch.
func (p *party) verify(ctx context.Context, jwt *parsedJWT) (entry, error) {
	if err := p.checkSealed(jwt); err != nil {
		return entry{}, err
	}
	if err := p.checkAlgorithm(&jwt.Header); err != nil {
		return entry{}, err
	}
	key, err := p.verifySignature(ctx, jwt.Token, jwt.set)
	if err != nil {
		f := FailureOf(err)
		f.KeyID = clip(jwt.Header.KeyID)
		return entry{}, f
	}
	if err := p.checkForm(&jwt.Header, jwt.set, jwt.kind); err != nil {
		return entry{}, err
	}
	if err := jwt.seal.checkRepeated(jwt.set); err != nil {
		return entry{}, err
	}
	return entry{
		identity: newIdentity(p, jwt), key: key, party: p.index, opened: jwt.seal.key(),
		traits: traits{
			declaredAccess: jwt.kind.Access || jwt.Header.Type == accessTokenType,
			bound:          jwt.set.Confirmation.Bound || jwt.kind.Bound,
			sealed:         jwt.seal != nil, inside: jwt.inside(),
		},
	}, nil
}

// checkAlgorithm checks the algorithm against those that the party allows. It is the operator's choice, never the
// token's (RFC 8725 section 3.1).
func (p *party) checkAlgorithm(header *jose.Header) error {
	if !p.algorithms.Has(header.Algorithm) {
		return fail(UnsupportedAlgorithm, fmt.Errorf("alg is %v; allowed here: %v",
			header.Algorithm, p.algorithms))
	}
	return nil
}

// verifySignature uses keys of this party, and no others (RFC 8725 section 3.8).
func (p *party) verifySignature(ctx context.Context, token jose.Token, set *claims.Set) (*jose.Key, error) {
	if p.credential != nil {
		key := p.credential.Verifier
		if err := key.Verify(token.Header.Algorithm, token.SigningInput, token.Signature); err != nil {
			return nil, fail(InvalidSignature, err).adding(": it was not made with the key of this credential")
		}
		return key, nil
	}
	keys := p.issuer.Keys
	if p.pattern != nil {
		keys = tenantkeys.For(keys, *p.pattern, p.tenantOf(set))
	}
	key, err := keyset.Verify(spans.About(ctx, p.name), keys, &token)
	if err != nil {
		return nil, keyFailure(err)
	}
	return key, nil
}

// checkForm checks what depends on neither time nor route: typ, and the claims that the issuer requires.
func (p *party) checkForm(header *jose.Header, set *claims.Set, kind claims.Kind) error {
	if p.issuer == nil {
		return nil
	}
	if err := p.checkTenant(set); err != nil {
		return err
	}
	if err := p.checkType(header, kind); err != nil {
		return err
	}
	if p.issuer.AccessTokenProfile {
		if err := p.checkProfile(header, set); err != nil {
			return err
		}
	}
	if err := p.checkSubjectOrClient(set); err != nil {
		return err
	}
	return p.checkRequired(set)
}

// checkRequired refuses a token, or an answer about one, that lacks a claim which the issuer's tokens must have.
func (p *party) checkRequired(set *claims.Set) error {
	if err := claims.CheckPresent(set, p.issuer.RequiredClaims); err != nil {
		return claimFailure(err).adding(requiredByIssuer)
	}
	return nil
}

// checkProfile checks what RFC 9068 demands of a token.
func (p *party) checkProfile(header *jose.Header, set *claims.Set) error {
	if header.Type != accessTokenType { // RFC 9068 section 4
		return fail(InvalidType, fmt.Errorf("typ is %s, and profile rfc9068 allows only at+jwt",
			causes.Quote(header.Type)))
	}
	if err := claims.CheckAccessToken(set); err != nil {
		return claimFailure(err).adding(", which profile rfc9068 requires")
	}
	return nil
}

// keyFailure turns an error of keyset.Verify into a failure.
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

// about adds the party that was to vouch for the token. It may be nil.
func about(err error, p *party) *Failure {
	f := FailureOf(err)
	if p != nil && f.Issuer == "" {
		f.Issuer = p.name
	}
	return f
}

// clip bounds a text from the client to 64 bytes, for the log.
func clip(s string) string { return s[:min(len(s), 64)] }
