package gate_test

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/bearer"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/possession"
	"github.com/caddyjwt/gateway/internal/proof"
	"github.com/caddyjwt/gateway/internal/proof/nonce"
	"github.com/caddyjwt/gateway/internal/proof/replay"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// dpop makes a gate take DPoP proofs, after changes to how.
func dpop(tb testing.TB, changes ...func(*possession.Policy)) func(*gate.Config) {
	tb.Helper()
	verifier, err := proof.NewVerifier()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(verifier.Close)
	return func(c *gate.Config) {
		c.Proof = &possession.Policy{DPoP: &possession.DPoP{
			Algorithms: possession.Algorithms(), MaxAge: time.Minute, Verifier: verifier, Replays: replay.NewMemory(),
		}}
		for _, change := range changes {
			change(c.Proof)
		}
		c.Extractor, err = bearer.NewExtractor(bearer.Options{DPoP: true})
		if err != nil {
			tb.Fatal(err)
		}
	}
}

func required(p *possession.Policy)         { p.Required = true }
func withCertificates(p *possession.Policy) { p.Certificates = possession.FromConnection() }

// withNonces makes clients use nonces of this secret.
func withNonces(p *possession.Policy) {
	p.DPoP.NonceLifetime = time.Minute
	p.DPoP.Nonces = nonce.NewSource(func(context.Context) ([32]byte, error) { return [32]byte{1}, nil })
}

// prover is a client with a key for proofs, whose clock is that of the gates of these tests.
func prover(tb testing.TB, alg string) *tokentest.Prover {
	tb.Helper()
	p := tokentest.NewProver(tb, alg)
	p.Now = func() time.Time { return start }
	return p
}

// where the requests of these tests go.
const orders = "http://example.com/orders?page=2"

// proved is a request with a token and a proof for it.
func proved(tb testing.TB, by *tokentest.Prover, token string, edits ...map[string]any) *http.Request {
	tb.Helper()
	r := request("")
	r.Header.Set("Authorization", "DPoP "+token)
	r.Header.Set("DPoP", by.Proof(tb, r.Method, orders, token, edits...))
	return r
}

func boundTo(by *tokentest.Prover) m { return m{"cnf": m{"jkt": by.Thumbprint()}} }

func TestBoundTokenNeedsAProofOnEachRequest(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	for _, algorithm := range []string{"ES256", "ES384", "ES512", "EdDSA", "PS256", "RS256"} {
		t.Run(algorithm, func(t *testing.T) {
			client := prover(t, algorithm)
			token := key.Sign(t, says(boundTo(client)))
			g := build(t, key, dpop(t), func(c *gate.Config) { c.Cache = newCache(t, 1<<20) })
			for range 3 { // new, kept, remembered
				if id := accepted(t, g, proved(t, client, token)); id.ID != "alice" {
					t.Errorf("the caller is %q", id.ID)
				}
			}
			asBearer := request(token)
			asBearer.Header.Set("DPoP", client.Proof(t, "GET", orders, token))
			refused(t, g, asBearer, gate.ProofRequired) // RFC 9449 section 7.2
			refused(t, g, request(token), gate.ProofRequired)
		})
	}
}

// Each row breaks one rule about where and how the proof stands in the request. What a proof says is tested in package
// proof.
func TestProofInTheRequest(t *testing.T) {
	key, client, thief := tokentest.NewKey(t, "ES256", "k1"), prover(t, "ES256"), prover(t, "ES256")
	token := key.Sign(t, says(boundTo(client)))
	good := func() *http.Request { return proved(t, client, token) }
	fields := func(change func(h http.Header)) func() *http.Request {
		return func() *http.Request { r := good(); change(r.Header); return r }
	}
	signed := func(changes ...m) func() *http.Request {
		token := key.Sign(t, says(changes...))
		return func() *http.Request { return proved(t, client, token) }
	}
	for name, row := range map[string]struct {
		send func() *http.Request
		want gate.Reason
	}{
		"no proof":   {fields(func(h http.Header) { h.Del("DPoP") }), gate.InvalidProof},
		"no value":   {fields(func(h http.Header) { h.Set("DPoP", "") }), gate.InvalidProof},
		"two proofs": {fields(func(h http.Header) { h.Add("DPoP", h.Get("DPoP")) }), gate.InvalidProof},
		"two in one": {fields(func(h http.Header) { h.Set("DPoP", h.Get("DPoP")+", "+h.Get("DPoP")) }),
			gate.InvalidProof},
		"two tokens": {fields(func(h http.Header) { h.Add("Authorization", "Bearer "+token) }),
			gate.MalformedRequest},
		"two schemes": {fields(func(h http.Header) { h.Set("Authorization", "Bearer "+token+", DPoP "+token) }),
			gate.MalformedRequest},
		"the token as proof": {fields(func(h http.Header) { h.Set("DPoP", token) }), gate.InvalidProof},
		"the proof as token": {fields(func(h http.Header) { h.Set("Authorization", "DPoP "+h.Get("DPoP")) }),
			gate.InvalidType},
		"another method": {func() *http.Request { r := good(); r.Method = "POST"; return r }, gate.InvalidProof},
		"another host":   {func() *http.Request { r := good(); r.Host = "evil.example"; return r }, gate.InvalidProof},
		"by TLS": {func() *http.Request { r := good(); r.TLS = new(tls.ConnectionState); return r },
			gate.InvalidProof},
		"another path": {func() *http.Request {
			r := good()
			r.RequestURI, r.URL.Path = "/admin", "/admin"
			return r
		}, gate.InvalidProof},
		"another query is no matter": {func() *http.Request { r := good(); r.RequestURI = "/orders?page=3"; return r }, ""},
		"a stolen token":             {func() *http.Request { return proved(t, thief, token) }, gate.OtherKey},
		"an old proof": {func() *http.Request {
			return proved(t, client, token, m{"iat": start.Unix() - 61})
		}, gate.InvalidProof},
		"bound to nothing":         {signed(m{}), gate.ProofRequired},
		"bound to a certificate":   {signed(m{"cnf": m{"x5t#S256": client.Thumbprint()}}), gate.ProofRequired},
		"bound in an unknown way":  {signed(m{"cnf": m{"jkt": client.Thumbprint(), "osc": m{}}}), gate.ProofRequired},
		"bound by its type alone":  {signed(m{"token_type": "DPoP"}), gate.ProofRequired},
		"bound by its type, too":   {signed(boundTo(client), m{"token_type": "DPoP"}), ""},
		"bound to a private claim": {signed(m{"cnf": m{"jwk": m{}}}), gate.ProofRequired},
		"expired":                  {signed(boundTo(client), m{"exp": start.Unix()}), gate.Expired},
	} {
		t.Run(name, func(t *testing.T) {
			g := build(t, key, dpop(t), func(c *gate.Config) { c.Cache = newCache(t, 1<<20) })
			accepted(t, g, good()) // remembered, and so is the key of the client
			if row.want == "" {
				accepted(t, g, row.send())
				return
			}
			refused(t, g, row.send(), row.want)
			accepted(t, g, good())
		})
	}
}

// A proof is good once, and is used up only by a request that passes.
func TestProofIsGoodOnce(t *testing.T) {
	key, client := tokentest.NewKey(t, "ES256", "k1"), prover(t, "ES256")
	token := key.Sign(t, says(boundTo(client), m{"scope": "read"}))
	clock := newClock()
	policy := dpop(t)
	gates := make([]*gate.Gate, 2)
	var shared *possession.Policy
	for i, scope := range []string{"read", "write"} {
		gates[i] = build(t, key, func(c *gate.Config) {
			policy(c)
			if shared == nil {
				shared = c.Proof
			}
			c.Proof, c.Now, c.Require.Scopes = shared, clock.now, []string{scope}
		})
	}
	r := proved(t, client, token, m{"iat": start.Unix() + 50})
	refused(t, gates[1], r, gate.InsufficientScope)
	if e := gates[0].Explain(direct(r)); e.Failure != nil {
		t.Errorf("explained as %v", e.Failure)
	}
	accepted(t, gates[0], r)
	for range 2 {
		refused(t, gates[0], r, gate.ProofReplayed)
	}
	refused(t, gates[1], r, gate.InsufficientScope)
	clock.advance(50*time.Second + 59*time.Second) // its time is not over: iat was in the future
	refused(t, gates[0], r, gate.ProofReplayed)
	clock.advance(2 * time.Second)
	refused(t, gates[0], r, gate.InvalidProof)
}

type failingReplays struct{ err error }

func (f failingReplays) Use(context.Context, [32]byte, string, time.Time, time.Time) error {
	return f.err
}

// proofFailing makes a gate take proofs that cannot be remembered.
func proofFailing(tb testing.TB, err error) func(*gate.Config) {
	return dpop(tb, func(p *possession.Policy) { p.DPoP.Replays = failingReplays{err} })
}

func TestProofThatCannotBeRememberedIsRefused(t *testing.T) {
	key, client := tokentest.NewKey(t, "ES256", "k1"), prover(t, "ES256")
	token := key.Sign(t, says(boundTo(client)))
	for err, want := range map[error]struct {
		reason gate.Reason
		status int
		retry  string
	}{
		replay.ErrFull:            {gate.TooManyProofs, 429, "60"},
		replay.ErrUnavailable:     {gate.ProofsUnavailable, 503, "1"},
		errors.New("the unknown"): {gate.ProofsUnavailable, 503, "1"},
		replay.ErrUsed:            {gate.ProofReplayed, 401, ""},
	} {
		g := build(t, key, proofFailing(t, err))
		f := refused(t, g, proved(t, client, token), want.reason)
		if a := g.Answer(f); a.Status != want.status || a.Header.Get("Retry-After") != want.retry {
			t.Errorf("%v: %d, %v", err, a.Status, a.Header)
		}
	}
}

// The rows say which challenges a client gets. What went wrong stands in that of the scheme which it tried (RFC 9449
// section 7.2).
func TestChallengesOfBothSchemes(t *testing.T) {
	key, client := tokentest.NewKey(t, "ES256", "k1"), prover(t, "ES256")
	token, unbound := key.Sign(t, says(boundTo(client))), key.Sign(t, says())
	algs := possession.Algorithms().String()
	plain := `Bearer realm="api"`
	invalid := func(scheme, code, text string) string {
		return scheme + ` realm="api", error="` + code + `", error_description="` + text + `"`
	}
	const bad, wrong = "the access token is expired, revoked, malformed or otherwise invalid",
		"a fresh DPoP proof for this request and this access token is needed"
	bare := `DPoP realm="api", algs="` + algs + `"`
	noProof := proved(t, client, token)
	noProof.Header.Del("DPoP")
	twice := proved(t, client, token)
	twice.Header.Add("Authorization", "Bearer x")
	for name, row := range map[string]struct {
		how  []func(*possession.Policy)
		send *http.Request
		want []string
	}{
		"nothing":           {nil, request(""), []string{plain, bare}},
		"nothing, required": {[]func(*possession.Policy){required}, request(""), []string{bare}},
		"nothing, certificates, too": {[]func(*possession.Policy){required, withCertificates}, request(""),
			[]string{plain, bare}},
		"a bad bearer token":            {nil, request("x"), []string{invalid("Bearer", "invalid_token", bad), bare}},
		"an unbound one where required": {[]func(*possession.Policy){required}, request(unbound), []string{bare}},
		"no proof": {nil, noProof,
			[]string{plain, invalid("DPoP", "invalid_dpop_proof", wrong) + `, algs="` + algs + `"`}},
		"a stolen token": {nil, proved(t, prover(t, "ES256"), token),
			[]string{plain, invalid("DPoP", "invalid_token", bad) + `, algs="` + algs + `"`}},
		"both schemes": {nil, twice, []string{
			invalid("Bearer", "invalid_request", "exactly one well-formed access token is needed"),
			invalid("DPoP", "invalid_request", "exactly one well-formed access token is needed") + `, algs="` + algs + `"`}},
	} {
		t.Run(name, func(t *testing.T) {
			g := build(t, key, dpop(t, row.how...))
			_, err := g.Check(direct(row.send))
			answer := g.Answer(gate.FailureOf(err))
			if got := answer.Header["Www-Authenticate"]; fmt.Sprint(got) != fmt.Sprint(row.want) {
				t.Errorf("challenges\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(row.want, "\n"))
			}
		})
	}
}

// A good token without the rights gets a challenge of its own scheme alone.
func TestChallengeAboutRightsIsOfTheSchemeThatWasUsed(t *testing.T) {
	key, client := tokentest.NewKey(t, "ES256", "k1"), prover(t, "ES256")
	token, unbound := key.Sign(t, says(boundTo(client))), key.Sign(t, says())
	g := build(t, key, dpop(t), func(c *gate.Config) { c.Require.Scopes = []string{"read"} })
	for scheme, r := range map[string]*http.Request{"DPoP": proved(t, client, token), "Bearer": request(unbound)} {
		answer := g.Answer(refused(t, g, r, gate.InsufficientScope))
		got := answer.Header["Www-Authenticate"]
		if len(got) != 1 || !strings.HasPrefix(got[0], scheme+` realm="api", error="insufficient_scope"`) {
			t.Errorf("%s: %q", scheme, got)
		}
	}
}

// answered is the failure that a client gets an answer to.
func answered(tb testing.TB, g *gate.Gate, r *http.Request, want gate.Reason) *gate.Failure {
	tb.Helper()
	verdict, err := g.Check(direct(r))
	if err == nil {
		tb.Fatalf("passed as %v, want %v", verdict.Identity, want)
	}
	f := g.Refuse(r.Context(), verdict, err)
	if f.Reason != want {
		tb.Fatalf("refused: %v, want %v", explain(f), want)
	}
	return f
}

func TestNonceIsAskedForAndGivenOut(t *testing.T) {
	key, client, clock := tokentest.NewKey(t, "ES256", "k1"), prover(t, "ES256"), newClock()
	client.Now = clock.now
	token := key.Sign(t, says(boundTo(client)))
	g := build(t, key, dpop(t, withNonces), func(c *gate.Config) { c.Now = clock.now })

	nonceOf := func(r *http.Request, want gate.Reason) string {
		t.Helper()
		answer := g.Answer(answered(t, g, r, want))
		values := answer.Header["Dpop-Nonce"]
		if len(values) != 1 || answer.Status != 401 || answer.Header.Get("Cache-Control") != "no-store" {
			t.Fatalf("%d, %v", answer.Status, answer.Header)
		}
		if want == gate.NonceRequired && !strings.Contains(answer.Header["Www-Authenticate"][1], `error="use_dpop_nonce"`) {
			t.Errorf("challenges %q", answer.Header["Www-Authenticate"])
		}
		return values[0]
	}
	first := nonceOf(request(""), gate.MissingToken)
	if again := nonceOf(proved(t, client, token), gate.NonceRequired); again != first {
		t.Errorf("nonces %q and %q in the same moment", first, again)
	}
	nonceOf(proved(t, client, token, m{"nonce": "forged"}), gate.NonceRequired)
	use := func(nonce string) string {
		t.Helper()
		verdict, err := g.Check(direct(proved(t, client, token, m{"nonce": nonce})))
		if err != nil {
			t.Fatal(explain(err))
		}
		if !verdict.StaleNonce {
			return ""
		}
		return g.NewNonce(t.Context())
	}
	if next := use(first); next != "" {
		t.Errorf("a new nonce %q beside a fresh one", next)
	}
	clock.advance(31 * time.Second)
	second := use(first)
	if second == "" || second == first {
		t.Fatalf("the new nonce beside an old one is %q", second)
	}
	if next := use(second); next != "" {
		t.Errorf("a new nonce %q beside a fresh one", next)
	}
	clock.advance(31 * time.Second)
	nonceOf(proved(t, client, token, m{"nonce": first}), gate.NonceRequired)
	broken := build(t, key, dpop(t, withNonces, func(p *possession.Policy) {
		p.DPoP.Nonces = nonce.NewSource(func(context.Context) ([32]byte, error) {
			return [32]byte{},
				errors.New("no store")
		})
	}))
	f := answered(t, broken, proved(t, prover(t, "ES256"), token), gate.OtherKey)
	if got := broken.Answer(f).Header["Dpop-Nonce"]; got != nil {
		t.Errorf("a nonce without a secret: %q", got)
	}
	client.Now = func() time.Time { return start }
	if a := broken.Answer(answered(t, broken, proved(t, client, token), gate.ProofsUnavailable)); a.Status != 503 {
		t.Errorf("status %d without a secret", a.Status)
	}
}

// shown is a request of a client that has shown a certificate.
func shown(r *http.Request, certificate *x509.Certificate) *http.Request {
	r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{certificate}}
	return r
}

func thumbprintOf(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func TestTokenBoundToACertificate(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	mine, other := &x509.Certificate{Raw: []byte("mine")}, &x509.Certificate{Raw: []byte("renewed")}
	token, unbound := key.Sign(t, says(m{"cnf": m{"x5t#S256": thumbprintOf(mine)}})), key.Sign(t, says())
	certificates := func(changes ...func(*possession.Policy)) func(*gate.Config) {
		return func(c *gate.Config) {
			c.Proof = new(possession.Policy)
			for _, change := range append([]func(*possession.Policy){withCertificates}, changes...) {
				change(c.Proof)
			}
		}
	}
	g := build(t, key, certificates(), func(c *gate.Config) { c.Cache = newCache(t, 1<<20) })
	for range 3 {
		accepted(t, g, shown(request(token), mine))
		refused(t, g, shown(request(token), other), gate.OtherKey)
		refused(t, g, request(token), gate.ProofRequired)
	}
	accepted(t, g, request(unbound))
	strict := build(t, key, certificates(required))
	accepted(t, strict, shown(request(token), mine))
	refused(t, strict, shown(request(unbound), mine), gate.ProofRequired)
	refused(t, build(t, key), shown(request(token), mine), gate.ProofRequired)
}

// A token that is bound to a key and to a certificate needs both proofs (RFC 7800 section 3.1).
func TestTokenBoundTwice(t *testing.T) {
	key, client := tokentest.NewKey(t, "ES256", "k1"), prover(t, "ES256")
	mine, other := &x509.Certificate{Raw: []byte("mine")}, &x509.Certificate{Raw: []byte("other")}
	token := key.Sign(t, says(m{"cnf": m{"jkt": client.Thumbprint(), "x5t#S256": thumbprintOf(mine)}}))
	secure := func(by *tokentest.Prover) *http.Request {
		r := request("")
		r.Header.Set("Authorization", "DPoP "+token)
		r.Header.Set("DPoP", by.Proof(t, r.Method, strings.Replace(orders, "http:", "https:", 1), token))
		return r
	}
	g := build(t, key, dpop(t, withCertificates))
	accepted(t, g, shown(secure(client), mine))
	refused(t, g, shown(secure(client), other), gate.OtherKey)
	refused(t, g, shown(secure(prover(t, "ES256")), mine), gate.OtherKey)
	refused(t, g, shown(request(token), mine), gate.ProofRequired)
	without := secure(client)
	without.TLS = new(tls.ConnectionState)
	refused(t, g, without, gate.ProofRequired)
	refused(t, build(t, key, dpop(t)), shown(secure(client), mine), gate.ProofRequired)
}

// What an answer about a token binds it to is proved, too, and by the same proof.
func TestAnswerBindsAToken(t *testing.T) {
	key, client, other := tokentest.NewKey(t, "ES256", "k1"), prover(t, "ES256"), prover(t, "ES256")
	as := newAS(t)
	plain, bound := key.Sign(t, says()), key.Sign(t, says(boundTo(client)))
	for name, row := range map[string]struct {
		mode   gate.AskMode
		token  string
		answer m
		send   *tokentest.Prover // nil for a bearer token
		want   gate.Reason
	}{
		"opaque": {gate.AskOpaque, "opaque-1", boundTo(client), client, ""},
		"opaque, of DPoP": {gate.AskOpaque, "opaque-2",
			m{"token_type": "DPoP", "cnf": m{"jkt": client.Thumbprint()}}, client, ""},
		"opaque, as bearer":            {gate.AskOpaque, "opaque-3", boundTo(client), nil, gate.ProofRequired},
		"opaque, stolen":               {gate.AskOpaque, "opaque-4", boundTo(client), other, gate.OtherKey},
		"opaque, not bound":            {gate.AskOpaque, "opaque-5", m{}, client, gate.ProofRequired},
		"a JWT, bound by the answer":   {gate.AskAlways, plain, boundTo(client), client, ""},
		"a JWT, not with this proof":   {gate.AskAlways, plain, boundTo(client), other, gate.OtherKey},
		"a JWT, as bearer":             {gate.AskAlways, plain, boundTo(client), nil, gate.ProofRequired},
		"a bound JWT, bound by both":   {gate.AskAlways, bound, boundTo(client), client, ""},
		"a bound JWT, by the JWT only": {gate.AskAlways, bound, m{}, client, ""},
		"a bound JWT, to two keys":     {gate.AskAlways, bound, boundTo(other), client, gate.OtherKey},
	} {
		t.Run(name, func(t *testing.T) {
			as.says[row.token] = active(row.answer)
			g := build(t, key, dpop(t, required), func(c *gate.Config) {
				c.Issuers[0].Asking, c.Now = as.introspection(row.mode), as.clock.now
				c.Issuers[0].Asking.Prefix = ""
			})
			r := request(row.token)
			if row.send != nil {
				row.send.Now = as.clock.now
				r = proved(t, row.send, row.token)
			}
			if row.want == "" {
				accepted(t, g, r)
			} else {
				refused(t, g, r, row.want)
			}
		})
	}
}

// The backend gets no proof, whatever becomes of the request. A route that takes no proofs leaves the field alone.
func TestProofDoesNotReachTheBackend(t *testing.T) {
	key, client := tokentest.NewKey(t, "ES256", "k1"), prover(t, "ES256")
	token := key.Sign(t, says(boundTo(client)))
	for _, keep := range []bool{false, true} {
		g := build(t, key, dpop(t), func(c *gate.Config) { c.ForwardToken = keep })
		r := proved(t, client, token)
		r.Header.Set("Connection", "DPoP, close")
		r.Trailer = http.Header{"Dpop": nil}
		accepted(t, g, r)
		g.Strip(r)
		if r.Header.Get("DPoP") != "" || r.Header.Get("Connection") != "close" || len(r.Trailer) > 0 {
			t.Errorf("header %v, trailer %v", r.Header, r.Trailer)
		}
		if got := r.Header.Get("Authorization"); keep != (got == "DPoP "+token) || !keep && got != "" {
			t.Errorf("forward_token %v: %q", keep, got)
		}
	}
	r := request(key.Sign(t, says()))
	r.Header.Set("DPoP", "x")
	build(t, key).Strip(r)
	if r.Header.Get("DPoP") != "x" {
		t.Error("a route without proofs removes the field")
	}
}

// A good token that came in clear is refused, and worth a warning. A bad one is refused as a bad one: strangers can
// send those at will.
func TestTokenInClear(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	g := build(t, key, func(c *gate.Config) { c.RequireTLS = true })
	token := key.Sign(t, says())
	f := refused(t, g, request(token), gate.PlainHTTP)
	answer := g.Answer(f)
	if answer.Status != 403 || challengeOf(answer) != "" || !f.Reason.IsWarned() || f.Reason.IsTrouble() {
		t.Errorf("%+v", answer)
	}
	secure := request(token)
	secure.TLS = new(tls.ConnectionState)
	accepted(t, g, secure)
	refused(t, g, request(tokentest.FlipSignature(t, token)), gate.InvalidSignature)
	refused(t, g, request(key.Sign(t, says(m{"exp": start.Unix()}))), gate.Expired)
	refused(t, g, request(""), gate.MissingToken)
}

func TestPolicyWithoutEffectIsRefused(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	for name, change := range map[string]func(*possession.Policy){
		"nothing":       func(p *possession.Policy) { p.DPoP = nil },
		"no algorithms": func(p *possession.Policy) { p.DPoP.Algorithms = 0 },
		"a secret":      func(p *possession.Policy) { p.DPoP.Algorithms = p.DPoP.Algorithms.With(alg(t, "HS256")) },
		"no time":       func(p *possession.Policy) { p.DPoP.MaxAge = 0 },
		"a long time":   func(p *possession.Policy) { p.DPoP.MaxAge = time.Hour },
		"short nonces":  func(p *possession.Policy) { withNonces(p); p.DPoP.NonceLifetime = time.Second },
	} {
		if _, err := gate.New(config(t, key, dpop(t, change))); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// Proofs cost nothing on a route without them, and little on one with them.
func TestProofAllocations(t *testing.T) {
	if race {
		t.Skip("the race detector allocates")
	}
	key, client := tokentest.NewKey(t, "ES256", "k1"), prover(t, "ES256")
	mine := &x509.Certificate{Raw: []byte("mine")}
	bound := key.Sign(t, says(m{"cnf": m{"x5t#S256": thumbprintOf(mine)}}))
	for name, row := range map[string]struct {
		gate *gate.Gate
		send *http.Request
		most float64
	}{
		"a certificate": {build(t, key, func(c *gate.Config) {
			c.Proof, c.Cache = &possession.Policy{Certificates: possession.FromConnection()}, newCache(t, 1<<20)
		}), shown(request(bound), mine), 0},
		"a proof": {build(t, key, dpop(t, func(p *possession.Policy) { p.DPoP.Replays = nil }), func(c *gate.Config) {
			c.Cache = newCache(t, 1<<20)
		}), proved(t, client, key.Sign(t, says(boundTo(client)))), 4 + 22},
	} {
		t.Run(name, func(t *testing.T) {
			accepted(t, row.gate, row.send)
			req := direct(row.send)
			n := testing.AllocsPerRun(200, func() { _, _ = row.gate.Check(req) })
			if n > row.most {
				t.Errorf("%v allocations, want %v", n, row.most)
			}
			t.Logf("%v allocations", n)
		})
	}
}
