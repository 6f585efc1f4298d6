package possession_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/possession"
)

// What came is described as it is, good or bad. What is expected is what the policy wants of this request.
func TestDescribe(t *testing.T) {
	client := prover(t)
	jkt := claims.Confirmation{Bound: true, KeyThumbprint: client.Thumbprint()}
	text := client.Proof(t, "GET", address+"?a=b", token, map[string]any{"iat": start.Unix() - 90, "nonce": "n"})
	policy := &possession.Policy{DPoP: dpop(t)}
	policy.DPoP.NonceLifetime = time.Minute
	came, expected := policy.Describe(by(direct, true, "DPoP", text), jkt)
	want := []string{"cnf.jkt " + client.Thumbprint(), "ES256 proof by key " + client.Thumbprint(), "htm GET",
		"htu " + address, "iat 2026-11-23T11:58:30Z, 1m30s ago", "a nonce"}
	if !slices.Equal(came, want) {
		t.Errorf("came %q, want %q", came, want)
	}
	want = []string{"the scheme DPoP", "proof by key " + client.Thumbprint(), "htm GET", "htu " + address,
		"now 2026-11-23T12:00:00Z", "max_age 1m0s", "a nonce"}
	if !slices.Equal(expected, want) {
		t.Errorf("expected %q, want %q", expected, want)
	}
	for name, c := range map[string]struct {
		policy *possession.Policy
		by     *possession.Presented
		c      claims.Confirmation
		want   string // among what came
	}{
		"no policy":       {nil, by(direct, false), jkt, "cnf.jkt " + client.Thumbprint()},
		"as bearer":       {policy, by(direct, false, "DPoP", text), jkt, "not the scheme DPoP"},
		"no proof":        {policy, by(direct, true), jkt, "no header DPoP"},
		"two proofs":      {policy, by(direct, true, "DPoP", text, "DPoP", text), jkt, "2 headers DPoP"},
		"rubbish":         {policy, by(direct, true, "DPoP", "x"), jkt, "a header DPoP that is no proof"},
		"bound otherwise": {policy, by(direct, true, "DPoP", text), claims.Confirmation{}, "htm GET"},
		"no certificate": {&possession.Policy{Certificates: possession.FromConnection()}, by(direct, false),
			claims.Confirmation{Bound: true, CertificateThumbprint: client.Thumbprint()}, "no client certificate"},
	} {
		if came, _ := c.policy.Describe(c.by, c.c); !slices.Contains(came, c.want) {
			t.Errorf("%s: %q lacks %q", name, came, c.want)
		}
	}
	if came, expected := policy.Describe(by(direct, false), claims.Confirmation{}); came != nil || expected != nil {
		t.Errorf("of a bearer token: %q, %q", came, expected)
	}
}

// Nobody's secret is in a description, whatever a client puts where.
func TestDescribeShowsNoPartOfTheTokenOrSignature(t *testing.T) {
	client := prover(t)
	text := client.Proof(t, "GET", "https://me:"+token+"@api.example/", token)
	policy := &possession.Policy{DPoP: dpop(t)}
	c := claims.Confirmation{Bound: true, KeyThumbprint: client.Thumbprint()}
	for _, header := range []string{text, token, text + token} {
		came, expected := policy.Describe(by(direct, true, "DPoP", header), c)
		shown := strings.Join(append(came, expected...), "\n")
		if strings.Contains(shown, token) || strings.Contains(shown, text[strings.LastIndexByte(text, '.')+1:]) {
			t.Errorf("%s", shown)
		}
	}
}

func TestDescribeBinding(t *testing.T) {
	strict := &possession.Policy{Required: true, Certificates: possession.FromConnection()}
	if came, expected := strict.DescribeBinding(claims.Confirmation{}); len(expected) != 1 ||
		!strings.Contains(came[0], "nothing") {
		t.Errorf("%q, %q", came, expected)
	}
	var none *possession.Policy
	if came, expected := none.DescribeBinding(claims.Confirmation{Bound: true}); expected != nil ||
		!strings.Contains(came[0], "by cnf") {
		t.Errorf("%q, %q", came, expected)
	}
}

// Tools take any nonce, and say so. Without one, a client would be refused.
func TestAnyNonceIsOne(t *testing.T) {
	client := prover(t)
	policy := &possession.Policy{DPoP: dpop(t)}
	policy.DPoP.AnyNonce, policy.DPoP.NonceLifetime = true, time.Minute
	c := claims.Confirmation{Bound: true, KeyThumbprint: client.Thumbprint()}
	var proved possession.Proved
	err := policy.Prove(&proved, by(direct, true, "DPoP", client.Proof(t, "GET", address, token)), c)
	if kindOf(t, err) != possession.NeedsNonce || policy.Unchecked(&proved) != nil {
		t.Errorf("without a nonce: %v, %v", err, policy.Unchecked(&proved))
	}
	text := client.Proof(t, "GET", address, token, map[string]any{"nonce": "any"})
	if err := policy.Prove(&proved, by(direct, true, "DPoP", text), c); err != nil {
		t.Fatal(err)
	}
	rules := policy.Unchecked(&proved)
	if len(rules) != 2 || rules[0].Rule != "nonce" || rules[1].Rule != "replay" {
		t.Errorf("%+v", rules)
	}
}
