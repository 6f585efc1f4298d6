package possession_test

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"math/big"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/clientcert"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/possession"
	"github.com/caddyjwt/gateway/internal/proof"
	"github.com/caddyjwt/gateway/internal/proof/nonce"
	"github.com/caddyjwt/gateway/internal/proof/replay"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

var start = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

const token = "a.token.of-some-kind"

// facts are those of a request that a test invents.
type facts struct {
	scheme, host, target string
	certificate          *x509.Certificate
	proxied              bool
}

func (f facts) Scheme() string                 { return f.scheme }
func (f facts) Host() string                   { return f.host }
func (f facts) Target() string                 { return f.target }
func (f facts) Certificate() *x509.Certificate { return f.certificate }
func (f facts) Proxied() bool                  { return f.proxied }
func (facts) Method() string                   { return http.MethodGet }

// direct are those of a request by TLS without a proxy.
var direct = facts{scheme: "https", host: "api.example", target: "/orders?page=2"}

const address = "https://api.example/orders"

// dpop takes proofs.
func dpop(t *testing.T) *possession.DPoP {
	t.Helper()
	verifier, err := proof.NewVerifier()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(verifier.Close)
	return &possession.DPoP{
		Algorithms: possession.Algorithms(), MaxAge: time.Minute, Verifier: verifier, Replays: replay.NewMemory(),
	}
}

func prover(t *testing.T) *tokentest.Prover {
	t.Helper()
	p := tokentest.NewProver(t, "ES256")
	p.Now = func() time.Time { return start }
	return p
}

// by presents the token with header fields.
func by(f facts, withDPoP bool, fields ...string) *possession.Presented {
	r := httptest.NewRequest(http.MethodGet, "/orders?page=2", nil)
	for i := 0; i < len(fields); i += 2 {
		r.Header.Add(fields[i], fields[i+1])
	}
	return &possession.Presented{Request: r, Facts: f, Token: token, WithDPoP: withDPoP, Now: start}
}

// kindOf is the kind of an error; 0 for nil.
func kindOf(t *testing.T, err error) possession.Kind {
	t.Helper()
	if err == nil {
		return 0
	}
	wrong, ok := errors.AsType[*possession.Error](err)
	if !ok || wrong.Error() == "" || errors.Unwrap(wrong) == nil {
		t.Fatalf("error %T: %v", err, err)
	}
	return wrong.Kind
}

func bound(jkt, x5t string) claims.Confirmation {
	return claims.Confirmation{Bound: true, KeyThumbprint: jkt, CertificateThumbprint: x5t}
}

func TestProve(t *testing.T) {
	client, thief := prover(t), prover(t)
	good := client.Proof(t, "GET", address, token)
	mine, other := certificateOf(t), certificateOf(t)
	shown := direct
	shown.certificate = mine
	jkt, x5t := client.Thumbprint(), thumbprintOf(mine)
	onlyDPoP := &possession.Policy{DPoP: dpop(t)}
	onlyMTLS := &possession.Policy{Certificates: possession.FromConnection()}
	both := &possession.Policy{DPoP: dpop(t), Certificates: possession.FromConnection()}
	behind := &possession.Policy{Certificates: possession.FromHeader("client-cert", clientcert.RFC9440)}
	unopened := &possession.Policy{DPoP: &possession.DPoP{Algorithms: possession.Algorithms(), MaxAge: time.Minute}}
	proxied := facts{proxied: true}
	encoded := ":" + base64.StdEncoding.EncodeToString(mine.Raw) + ":"
	for name, row := range map[string]struct {
		policy *possession.Policy
		by     *possession.Presented
		cnf    claims.Confirmation
		want   possession.Kind
	}{
		"no policy, a key":         {nil, by(direct, true, "DPoP", good), bound(jkt, ""), possession.Missing},
		"no policy, a certificate": {nil, by(shown, false), bound("", x5t), possession.Missing},
		"bound by its type alone":  {both, by(shown, true, "DPoP", good), claims.Confirmation{}, possession.Missing},
		"an unknown member": {both, by(shown, true, "DPoP", good),
			claims.Confirmation{Bound: true, Unknown: true, KeyThumbprint: jkt}, possession.Missing},
		"a proof":                 {onlyDPoP, by(direct, true, "DPoP", good), bound(jkt, ""), 0},
		"a proof where not taken": {onlyMTLS, by(direct, true, "DPoP", good), bound(jkt, ""), possession.Missing},
		"as bearer":               {onlyDPoP, by(direct, false, "DPoP", good), bound(jkt, ""), possession.Missing},
		"no proof":                {onlyDPoP, by(direct, true), bound(jkt, ""), possession.Invalid},
		"two": {onlyDPoP, by(direct, true, "DPoP", good, "DPoP", good), bound(jkt, ""),
			possession.Invalid},
		"rubbish": {onlyDPoP, by(direct, true, "DPoP", "x"), bound(jkt, ""), possession.Invalid},
		"of a thief": {onlyDPoP, by(direct, true, "DPoP", thief.Proof(t, "GET", address, token)),
			bound(jkt, ""), possession.OtherKey},
		"nobody verifies":          {unopened, by(direct, true, "DPoP", good), bound(jkt, ""), possession.Unavailable},
		"a certificate":            {onlyMTLS, by(shown, false), bound("", x5t), 0},
		"a certificate, where not": {onlyDPoP, by(shown, false), bound("", x5t), possession.Missing},
		"another certificate":      {onlyMTLS, by(shown, false), bound("", thumbprintOf(other)), possession.OtherKey},
		"none":                     {onlyMTLS, by(direct, false), bound("", x5t), possession.Missing},
		"both":                     {both, by(shown, true, "DPoP", good), bound(jkt, x5t), 0},
		"both, one missing":        {both, by(direct, true, "DPoP", good), bound(jkt, x5t), possession.Missing},
		"both, the other missing":  {both, by(shown, true), bound(jkt, x5t), possession.Invalid},
		"from a proxy":             {behind, by(proxied, false, "Client-Cert", encoded), bound("", x5t), 0},
		"from a proxy, another": {behind, by(proxied, false, "Client-Cert", encoded),
			bound("", thumbprintOf(other)), possession.OtherKey},
		"from a proxy, twice": {behind, by(proxied, false, "Client-Cert", encoded, "Client-Cert", encoded),
			bound("", x5t), possession.Missing},
		"from a proxy, none":    {behind, by(proxied, false), bound("", x5t), possession.Missing},
		"from a proxy, empty":   {behind, by(proxied, false, "Client-Cert", ""), bound("", x5t), possession.Missing},
		"from a proxy, rubbish": {behind, by(proxied, false, "Client-Cert", "x"), bound("", x5t), possession.Missing},
		"from a stranger": {behind, by(direct, false, "Client-Cert", encoded), bound("", x5t),
			possession.Missing},
		"from a stranger, his own": {behind, by(shown, false, "Client-Cert", "x"), bound("", x5t), 0},
		"the proxy's own":          {onlyMTLS, by(facts{proxied: true}, false), bound("", x5t), possession.Missing},
		"no header, but a proxy says": {onlyMTLS, by(proxied, false, "Client-Cert", encoded), bound("", x5t),
			possession.Missing},
	} {
		t.Run(name, func(t *testing.T) {
			var proved possession.Proved
			if got := kindOf(t, row.policy.Prove(&proved, row.by, row.cnf)); got != row.want {
				t.Fatalf("kind %d, want %d", got, row.want)
			}
			if row.want == 0 && row.policy.Settle(&proved, row.by.WithDPoP) != nil {
				t.Error("proved, and not settled")
			}
		})
	}
}

func TestSettle(t *testing.T) {
	var nothing possession.Proved
	policy, strict := &possession.Policy{DPoP: dpop(t)}, &possession.Policy{DPoP: dpop(t), Required: true}
	for name, row := range map[string]struct {
		policy   *possession.Policy
		withDPoP bool
		want     possession.Kind
	}{
		"a bearer token": {policy, false, 0}, "not where proofs are required": {strict, false, possession.Missing},
		"an unbound one with the scheme": {policy, true, possession.Missing}, "no policy": {nil, false, 0},
	} {
		if got := kindOf(t, row.policy.Settle(&nothing, row.withDPoP)); got != row.want {
			t.Errorf("%s: kind %d, want %d", name, got, row.want)
		}
	}
}

// An answer that only calls the token DPoP adds nothing to a key that was proved.
func TestAnswerThatOnlyNamesTheType(t *testing.T) {
	client := prover(t)
	policy := &possession.Policy{DPoP: dpop(t)}
	sent := by(direct, true, "DPoP", client.Proof(t, "GET", address, token))
	var proved possession.Proved
	if got := kindOf(t, policy.Prove(&proved, sent, claims.Confirmation{})); got != possession.Missing {
		t.Errorf("kind %d", got)
	}
	if err := policy.Prove(&proved, sent, bound(client.Thumbprint(), "")); err != nil {
		t.Fatal(err)
	}
	if err := policy.Prove(&proved, sent, claims.Confirmation{}); err != nil {
		t.Error(err)
	}
}

// A second confirmation of the same key is proved by the same proof, and that of another key by none.
func TestOneProofForTokenAndAnswer(t *testing.T) {
	client := prover(t)
	policy := &possession.Policy{DPoP: dpop(t)}
	sent := by(direct, true, "DPoP", client.Proof(t, "GET", address, token))
	var proved possession.Proved
	for range 2 {
		if err := policy.Prove(&proved, sent, bound(client.Thumbprint(), "")); err != nil {
			t.Fatal(err)
		}
	}
	if got := kindOf(t, policy.Prove(&proved, sent,
		bound(prover(t).Thumbprint(), ""))); got != possession.OtherKey {
		t.Errorf("kind %d", got)
	}
}

// The configured address counts, whatever the request says.
func TestConfiguredAddress(t *testing.T) {
	client, d := prover(t), dpop(t)
	d.Scheme, d.Host = "https", "public.example"
	policy := &possession.Policy{DPoP: d}
	inside := facts{scheme: "http", host: "10.0.0.1:8080", target: "/orders"}
	for address, want := range map[string]possession.Kind{
		"https://public.example/orders": 0, "http://10.0.0.1:8080/orders": possession.Invalid,
	} {
		sent := by(inside, true, "DPoP", client.Proof(t, "GET", address, token))
		if got := kindOf(t, policy.Prove(new(possession.Proved), sent, bound(client.Thumbprint(), ""))); got != want {
			t.Errorf("%s: kind %d, want %d", address, got, want)
		}
	}
}

func TestSpend(t *testing.T) {
	client, d := prover(t), dpop(t)
	policy := &possession.Policy{DPoP: d}
	sent := by(direct, true, "DPoP", client.Proof(t, "GET", address, token))
	spend := func(d *possession.DPoP) error {
		t.Helper()
		var proved possession.Proved
		p := &possession.Policy{DPoP: d}
		if err := p.Prove(&proved, sent, bound(client.Thumbprint(), "")); err != nil {
			return err
		}
		return p.Spend(t.Context(), &proved, start)
	}
	for i, want := range []possession.Kind{0, possession.Replayed, possession.Replayed} {
		if got := kindOf(t, spend(d)); got != want {
			t.Errorf("spent %d times: kind %d, want %d", i, got, want)
		}
	}
	if err := policy.Spend(t.Context(), new(possession.Proved), start); err != nil {
		t.Errorf("without a proof: %v", err)
	}
	forTools := *d
	forTools.Replays = nil
	if err := spend(&forTools); err != nil {
		t.Errorf("for tools: %v", err)
	}
	for err, want := range map[error]possession.Kind{
		replay.ErrFull: possession.TooMany, replay.ErrUnavailable: possession.Unavailable,
		context.Canceled: possession.Unavailable,
	} {
		failing := *d
		failing.Replays = failingReplays{err}
		if got := kindOf(t, spend(&failing)); got != want {
			t.Errorf("%v: kind %d, want %d", err, got, want)
		}
	}
}

type failingReplays struct{ err error }

func (f failingReplays) Use(context.Context, [32]byte, string, time.Time, time.Time) error {
	return f.err
}

// recording notes until when proofs are remembered.
type recording struct{ until time.Time }

func (r *recording) Use(_ context.Context, _ [32]byte, _ string, _, until time.Time) error {
	r.until = until
	return nil
}

// A proof is remembered for as long as the most patient gate accepts it. Raising max_age makes no used proof good
// again, and refuses no fresh one.
func TestWindowOfSeveralGates(t *testing.T) {
	client, memory := prover(t), replay.NewMemory()
	var window possession.Window
	// send sends the proof with an id, which is as old as that, to a gate.
	send := func(id string, maxAge time.Duration, now time.Time, age time.Duration) possession.Kind {
		t.Helper()
		d := dpop(t)
		d.MaxAge, d.Replays, d.Window = maxAge, memory, &window
		policy := &possession.Policy{DPoP: d}
		sent := by(direct, true, "DPoP", client.Proof(t, "GET", address, token,
			map[string]any{"iat": now.Add(-age).Unix(), "jti": id}))
		sent.Now = now
		var proved possession.Proved
		if err := policy.Prove(&proved, sent, bound(client.Thumbprint(), "")); err != nil {
			return kindOf(t, err)
		}
		return kindOf(t, policy.Spend(t.Context(), &proved, now))
	}
	const short, long = 10 * time.Second, 5 * time.Minute
	window.Widen(short, start)
	for _, made := range []time.Duration{short - time.Second, 0, -short} { // long ago, now, and ahead of time
		id := made.String()
		if got := send(id, short, start, made); got != 0 {
			t.Fatalf("made %s ago: kind %d", made, got)
		}
	}
	raised := start.Add(time.Second)
	window.Widen(long, raised)
	for after := time.Second; after <= long+2*short; after += time.Second {
		now := raised.Add(after)
		for _, made := range []time.Duration{short - time.Second, 0, -short} {
			if got := send(made.String(), long, now, now.Sub(start)+made); got == 0 {
				t.Fatalf("made %s before it was used: good again %s after the raise", made, after)
			}
		}
		if got := send("fresh "+after.String(), long, now, 0); got != 0 {
			t.Fatalf("a fresh proof %s after the raise: kind %d", after, got)
		}
	}
	later := raised.Add(time.Hour)
	if got := send("impatient", short, later, 0); got != 0 {
		t.Errorf("kind %d", got)
	}
	if got := send("impatient", long, later.Add(4*time.Minute), 4*time.Minute); got != possession.Replayed {
		t.Errorf("the proof of an impatient gate at a patient one: kind %d", got)
	}
}

// With two raises in a row, the first still counts.
func TestWindowThatIsRaisedTwice(t *testing.T) {
	var window possession.Window
	window.Widen(10*time.Second, start)
	window.Widen(time.Minute, start.Add(time.Second))
	window.Widen(5*time.Minute, start.Add(2*time.Second))
	for made, forgotten := range map[time.Duration]bool{0: true, 30 * time.Second: true, 90 * time.Second: false} {
		issued := start.Add(made)
		if _, ok := window.Until(issued, issued.Add(20*time.Second)); ok == forgotten {
			t.Errorf("made %s after the first: %v", made, ok)
		}
		if end, ok := window.Until(issued, issued.Add(9*time.Second)); !ok || end != issued.Add(5*time.Minute) {
			t.Errorf("made %s after the first, and fresh: %v, %v", made, end, ok)
		}
	}
}

// A store is shared with nodes whose gates are unknown here.
func TestStoreRemembersForTheLongestTime(t *testing.T) {
	client, d, seen := prover(t), dpop(t), new(recording)
	d.Replays = seen
	policy := &possession.Policy{DPoP: d}
	var proved possession.Proved
	sent := by(direct, true, "DPoP", client.Proof(t, "GET", address, token))
	if err := policy.Prove(&proved, sent, bound(client.Thumbprint(), "")); err != nil {
		t.Fatal(err)
	}
	if err := policy.Spend(t.Context(), &proved, start); err != nil || seen.until != start.Add(possession.LongestMaxAge) {
		t.Error(seen.until, err)
	}
	if got := kindOf(t, policy.Spend(t.Context(), &proved, seen.until)); got != possession.Invalid {
		t.Errorf("judged when its time is over: kind %d", got)
	}
}

func TestNonces(t *testing.T) {
	client, d := prover(t), dpop(t)
	d.NonceLifetime = time.Minute
	d.Nonces = nonce.NewSource(func(context.Context) ([32]byte, error) { return [32]byte{1}, nil })
	policy := &possession.Policy{DPoP: d}
	prove := func(nonce any, now time.Time) (*possession.Proved, error) {
		t.Helper()
		sent := by(direct, true, "DPoP", client.Proof(t, "GET", address, token, map[string]any{"nonce": nonce}))
		sent.Now = now
		proved := new(possession.Proved)
		return proved, policy.Prove(proved, sent, bound(client.Thumbprint(), ""))
	}
	first, err := policy.Nonce(t.Context(), start)
	if err != nil || first == "" {
		t.Fatal(first, err)
	}
	for _, bad := range []any{nil, "forged"} {
		if _, err := prove(bad, start); kindOf(t, err) != possession.NeedsNonce {
			t.Errorf("nonce %v: %v", bad, err)
		}
	}
	proved, err := prove(first, start)
	if err != nil || proved.StaleNonce() {
		t.Error("a fresh nonce:", err)
	}
	later := start.Add(31 * time.Second)
	proved, err = prove(first, later)
	next, _ := policy.Nonce(t.Context(), later)
	if err != nil || !proved.StaleNonce() || next == first {
		t.Errorf("an older nonce: %v, %q", err, next)
	}
	d.Nonces = nonce.NewSource(func(context.Context) ([32]byte, error) { return [32]byte{}, errors.New("no store") })
	if _, err := prove(first, start); kindOf(t, err) != possession.Unavailable {
		t.Error(err)
	}
	if _, err := policy.Nonce(t.Context(), start); kindOf(t, err) != possession.Unavailable {
		t.Error(err)
	}
	for _, none := range []*possession.Policy{nil, {}, {DPoP: dpop(t)}} {
		if text, err := none.Nonce(t.Context(), start); text != "" || err != nil {
			t.Error(text, err)
		}
	}
}

func TestPolicy(t *testing.T) {
	d := dpop(t)
	behind := possession.FromHeader("x-client-cert", clientcert.URLPEM)
	for name, row := range map[string]struct {
		policy  *possession.Policy
		summary []string
		only    bool
		fields  []string // that it takes
	}{
		"dpop": {&possession.Policy{DPoP: d, Required: true},
			[]string{"dpop " + d.Algorithms.String(), "max_age 1m0s", "required"}, true, []string{"DPoP", "dpop"}},
		"mtls": {&possession.Policy{Certificates: possession.FromConnection(), Required: true},
			[]string{"mtls", "required"},
			false, nil},
		"any, behind a proxy": {&possession.Policy{DPoP: &possession.DPoP{
			Algorithms: jose.MakeAlgorithms(jose.ES256), MaxAge: time.Second, NonceLifetime: time.Minute,
			Nonces: nonce.NewSource(nil),
		}, Certificates: behind}, []string{"dpop ES256", "max_age 1s", "nonce 1m0s", "mtls",
			"certificate from X-Client-Cert url_pem"}, false, []string{"DPoP", "dpop", "X-Client-Cert", "x_client_cert"}},
	} {
		t.Run(name, func(t *testing.T) {
			if err := row.policy.Validate(); err != nil {
				t.Error(err)
			}
			if got := row.policy.Summary(); !slices.Equal(got, row.summary) || row.policy.OnlyDPoP() != row.only {
				t.Errorf("%q, only DPoP %v", got, row.policy.OnlyDPoP())
			}
			for _, field := range []string{"DPoP", "dpop", "X-Client-Cert", "x_client_cert", "X-Other", "X-DPoP"} {
				if row.policy.Names(field) != slices.Contains(row.fields, field) {
					t.Errorf("%s: %v", field, row.policy.Names(field))
				}
			}
		})
	}
	var none *possession.Policy
	if err := none.Validate(); err != nil || none.Names("DPoP") {
		t.Error("no policy:", err)
	}
	for name, change := range map[string]func(p *possession.Policy){
		"nothing":      func(p *possession.Policy) { p.DPoP = nil },
		"no algorithm": func(p *possession.Policy) { p.DPoP.Algorithms = 0 },
		"a secret":     func(p *possession.Policy) { p.DPoP.Algorithms = jose.HMACAlgorithms() },
		"no time":      func(p *possession.Policy) { p.DPoP.MaxAge = 0 },
		"much time":    func(p *possession.Policy) { p.DPoP.MaxAge = possession.LongestMaxAge + 1 },
		"long nonces": func(p *possession.Policy) {
			p.DPoP.Nonces, p.DPoP.NonceLifetime = nonce.NewSource(nil),
				2*time.Hour
		},
		"no lifetime": func(p *possession.Policy) { p.DPoP.Nonces = nonce.NewSource(nil) },
	} {
		changed := *d
		p := &possession.Policy{DPoP: &changed}
		change(p)
		if err := p.Validate(); err == nil || !strings.HasPrefix(err.Error(), "proof ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// certificateOf is a self-signed certificate of a fresh key.
func certificateOf(t *testing.T) *x509.Certificate {
	t.Helper()
	key := tokentest.NewKey(t, "ES256", "")
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: start}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key.Private())
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func thumbprintOf(c *x509.Certificate) string {
	sum := clientcert.Thumbprint(c)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
