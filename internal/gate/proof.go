package gate

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/caddyjwt/gateway/internal/bearer"
	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/possession"
)

// A token that is bound to a key is worth nothing without that key (RFC 7800). Package possession judges that on each
// request, also if the token is remembered. This file is where the pipeline asks it.

// prove makes sure that whoever presents a bound token has the key to which a set of claims binds it: those of the
// token, or of an answer about it.
func (g *Gate) prove(req *Request, token string, set *claims.Set, now time.Time) error {
	by := req.presented(token, now)
	return proofFailure(g.proof.Prove(&req.proved, &by, set.Confirmation))
}

// settleProof refuses a token that is bound to nothing where that is not enough.
func (g *Gate) settleProof(req *Request) error {
	return proofFailure(g.proof.Settle(&req.proved, req.withDPoP))
}

// spendProof uses up the DPoP proof of the request, if it has one.
func (g *Gate) spendProof(req *Request, now time.Time) error {
	if req.dry {
		return nil
	}
	return proofFailure(g.proof.Spend(req.HTTP.Context(), &req.proved, now))
}

func (r *Request) presented(token string, now time.Time) possession.Presented {
	return possession.Presented{
		Request: r.HTTP, Facts: r.Facts, Token: token, TokenHash: r.tokenHash, WithDPoP: r.withDPoP, Now: now,
	}
}

// proofFailures are the reasons for the errors of package possession.
var proofFailures = [...]Reason{
	possession.Missing: ProofRequired, possession.Invalid: InvalidProof, possession.OtherKey: OtherKey,
	possession.NeedsNonce: NonceRequired, possession.Replayed: ProofReplayed, possession.TooMany: TooManyProofs,
	possession.Unavailable: ProofsUnavailable,
}

func proofFailure(err error) error {
	if err == nil {
		return nil
	}
	wrong, ok := errors.AsType[*possession.Error](err)
	if !ok {
		return fail(InternalError, err)
	}
	f := fail(proofFailures[wrong.Kind], wrong.Cause)
	f.RetryAfter = wrong.RetryAfter
	return f
}

// takesDPoP reports whether a client may send DPoP proofs.
func (g *Gate) takesDPoP() bool { return g.proof != nil && g.proof.DPoP != nil }

// patience is how long a refusal waits for a nonce that the client can do without.
const patience = 100 * time.Millisecond

// Refuse completes a failure before it is answered: with the nonce for the next DPoP proof (RFC 9449 section 8), and
// for one that comes after an accepting verdict with how the token came. The error is one of Check, or of what comes
// later.
func (g *Gate) Refuse(ctx context.Context, verdict Verdict, err error) *Failure {
	f := FailureOf(err)
	if !g.takesDPoP() {
		return f
	}
	f.withDPoP = f.withDPoP || verdict.WithDPoP
	if g.Answer(f).Status != http.StatusUnauthorized {
		return f
	}
	short, cancel := ctx, func() {}
	if f.Reason != NonceRequired {
		short, cancel = context.WithTimeout(ctx, patience)
	}
	defer cancel()
	nonce, err := g.proof.Nonce(short, g.now())
	if err == nil {
		f.replyWith("Dpop-Nonce", nonce)
	} else if f.Reason == NonceRequired { // without a nonce, the client could not mend anything
		none := FailureOf(proofFailure(err)).unlessGone(ctx)
		none.Issuer, none.Token, none.withDPoP = f.Issuer, f.Token, f.withDPoP
		return none
	}
	return f
}

// NewNonce is what a client should put into its next DPoP proof (RFC 9449 section 8.2). It is empty if none is needed,
// or if it is not known now.
func (g *Gate) NewNonce(ctx context.Context) string {
	nonce, err := g.proof.Nonce(ctx, g.now())
	if err != nil {
		return ""
	}
	return nonce
}

// challenges writes a challenge for each scheme that the gate takes, because a client may know only one of them. What
// went wrong stands in that of the scheme which was tried (RFC 9449 section 7.2), or in both if that is unclear.
func (g *Gate) challenges(status int, c bearer.Challenge, withDPoP bool) (out []string) {
	if !g.takesDPoP() {
		return []string{c.String()}
	}
	other := bearer.Challenge{Realm: c.Realm, Scope: g.require.scopeText, ResourceMetadata: c.ResourceMetadata}
	unclear := c.Error == "" || c.Error == "invalid_request"
	add := func(tried bool, scheme, algorithms string) {
		challenge := c
		if !unclear && !tried {
			if challenge = other; status != http.StatusUnauthorized {
				return
			}
		}
		challenge.Scheme, challenge.Algorithms = scheme, algorithms
		out = append(out, challenge.String())
	}
	if !g.proof.OnlyDPoP() {
		add(!withDPoP, bearer.DefaultPlace.Scheme, "")
	}
	add(withDPoP, bearer.DPoPScheme, g.proof.DPoP.Algorithms.String())
	return out
}

// checkTransport refuses a good token that others could read on its way (RFC 6750 section 5.2). It comes after what a
// stranger's token fails, so that operators hear of tokens that are worth revoking.
func checkTransport(req *Request) error {
	if req.Facts.Scheme() == "https" {
		return nil
	}
	return fail(PlainHTTP, errPlainHTTP)
}

var errPlainHTTP = errors.New("the token came over http without TLS (require_tls), so others may have read it: " +
	"revoke it. Behind a proxy that ends TLS, name that proxy in trusted_proxies")

// StripCertificate removes the field in which a trusted proxy hands over the client's certificate, because the client
// may have written it itself. proxied reports that the request comes from such a proxy: then only other spellings of
// the field are removed.
func (g *Gate) StripCertificate(r *http.Request, proxied bool) {
	if g.proof != nil {
		g.proof.Certificates.Strip(r.Header, proxied)
	}
}
