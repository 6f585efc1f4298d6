package possession_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/possession"
	"github.com/caddyjwt/gateway/internal/proof/nonce"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// asking is a request for a token with header fields.
func asking(fields ...string) *possession.Presented {
	q := by(direct, false, fields...)
	q.Token = ""
	return q
}

// A request for a token may have a proof of any key, and may have none (RFC 9449 section 5).
func TestProveAny(t *testing.T) {
	client, other := prover(t), tokentest.NewProver(t, "RS256")
	other.Now = client.Now
	good := client.Proof(t, http.MethodGet, address, "")
	at := func(f possession.Facts, text string) *possession.Presented {
		q := asking("DPoP", text)
		q.Facts = f
		return q
	}
	withToken := by(direct, true, "DPoP", client.Proof(t, http.MethodGet, address, "another token"))
	plain := direct
	plain.scheme = "http"
	both := &possession.Policy{DPoP: dpop(t), Certificates: possession.FromConnection()}
	onlyMTLS := &possession.Policy{Certificates: possession.FromConnection()}
	unopened := &possession.Policy{DPoP: &possession.DPoP{Algorithms: possession.Algorithms(), MaxAge: time.Minute}}
	onlyES := &possession.Policy{DPoP: dpop(t)}
	onlyES.DPoP.Algorithms = jose.MakeAlgorithms(jose.ES256)
	for name, row := range map[string]struct {
		policy *possession.Policy
		by     *possession.Presented
		key    string
		want   possession.Kind
	}{
		"no proof":                    {both, asking(), "", 0},
		"no proof and no policy":      {nil, asking(), "", 0},
		"no proof where none is good": {onlyMTLS, asking(), "", 0},
		"a proof":                     {both, asking("DPoP", good), client.Thumbprint(), 0},
		"of another key":              {both, asking("DPoP", other.Proof(t, "GET", address, "")), other.Thumbprint(), 0},
		"a token means nothing":       {both, withToken, client.Thumbprint(), 0},
		"a proof and no policy":       {nil, asking("DPoP", good), "", possession.Missing},
		"a proof where none is good":  {onlyMTLS, asking("DPoP", good), "", possession.Missing},
		"nobody verifies":             {unopened, asking("DPoP", good), "", possession.Unavailable},
		"two":                         {both, asking("DPoP", good, "DPoP", good), "", possession.Invalid},
		"an empty one":                {both, asking("DPoP", ""), "", possession.Invalid},
		"rubbish":                     {both, asking("DPoP", "x"), "", possession.Invalid},
		"another method":              {both, asking("DPoP", client.Proof(t, "POST", address, "")), "", possession.Invalid},
		"another address":             {both, asking("DPoP", client.Proof(t, "GET", "http://a", "")), "", possession.Invalid},
		"without TLS":                 {both, at(plain, good), "", possession.Invalid},
		"an address nobody knows":     {both, at(facts{}, good), "", possession.Invalid},
		"another algorithm":           {onlyES, asking("DPoP", other.Proof(t, "GET", address, "")), "", possession.Invalid},
		"too old": {both, asking("DPoP", client.Proof(t, "GET", address, "",
			map[string]any{"iat": start.Add(-2 * time.Minute).Unix()})), "", possession.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			var proved possession.Proved
			key, err := row.policy.ProveAny(&proved, row.by)
			if got := kindOf(t, err); got != row.want || key != row.key {
				t.Errorf("the key %q and the error %v (%v), want %q and %v", key, got, err, row.key, row.want)
			}
		})
	}
}

// What ProveAny has accepted is used up by Spend, and by nothing else. Without a proof there is nothing to use up.
func TestSpendOfAnyKey(t *testing.T) {
	client, p := prover(t), &possession.Policy{DPoP: dpop(t)}
	q := asking("DPoP", client.Proof(t, http.MethodGet, address, ""))
	for i, want := range []possession.Kind{0, possession.Replayed, possession.Replayed} {
		var proved possession.Proved
		for range 2 {
			if _, err := p.ProveAny(&proved, q); err != nil {
				t.Fatal(err)
			}
		}
		if got := kindOf(t, p.Spend(t.Context(), &proved, start)); got != want {
			t.Errorf("use %d: %v, want %v", i+1, got, want)
		}
	}
	var none possession.Proved
	if _, err := p.ProveAny(&none, asking()); err != nil {
		t.Fatal(err)
	}
	for _, policy := range []*possession.Policy{p, nil} {
		for range 2 {
			if err := policy.Spend(t.Context(), &none, start); err != nil {
				t.Error(err)
			}
		}
	}
	var late possession.Proved
	if _, err := p.ProveAny(&late, asking("DPoP", client.Proof(t, http.MethodGet, address, ""))); err != nil {
		t.Fatal(err)
	}
	if got := kindOf(t, p.Spend(t.Context(), &late, start.Add(time.Hour))); got != possession.Invalid {
		t.Errorf("when nobody remembers it any more: %v", got)
	}
}

// Where nonces are needed, a proof of any key needs one, too (RFC 9449 section 8).
func TestNoncesOfAnyKey(t *testing.T) {
	client, p := prover(t), &possession.Policy{DPoP: dpop(t)}
	p.DPoP.NonceLifetime = time.Minute
	p.DPoP.Nonces = nonce.NewSource(func(context.Context) ([32]byte, error) { return [32]byte{1}, nil })
	good, err := p.Nonce(t.Context(), start)
	if err != nil || good == "" {
		t.Fatal(good, err)
	}
	for name, row := range map[string]struct {
		edit map[string]any
		want possession.Kind
	}{
		"none": {nil, possession.NeedsNonce}, "another one": {map[string]any{"nonce": "x"}, possession.NeedsNonce},
		"a good one": {map[string]any{"nonce": good}, 0},
	} {
		var proved possession.Proved
		key, err := p.ProveAny(&proved, asking("DPoP", client.Proof(t, http.MethodGet, address, "", row.edit)))
		if got := kindOf(t, err); got != row.want || (key == "") != (row.want != 0) {
			t.Errorf("%s: the key %q, error %v, want %v", name, key, err, row.want)
		}
	}
}

// No proof that breaks a rule says which key somebody has.
func TestAttackHostileProofsWithoutAToken(t *testing.T) {
	client, p, tried := prover(t), &possession.Policy{DPoP: dpop(t)}, 0
	for _, attack := range client.ProofAttacks(t, http.MethodGet, address, token) {
		var proved possession.Proved
		key, err := p.ProveAny(&proved, asking("DPoP", attack.Proof))
		switch {
		case attack.OnlyWithToken():
		case kindOf(t, err) != possession.Invalid || key != "":
			t.Errorf("%s: the key %q, error %v", attack.Name, key, err)
		default:
			tried++
		}
	}
	if tried < 100 {
		t.Errorf("only %d proofs", tried)
	}
}
