//go:build e2e

package e2e_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// A page in a browser finds out from the metadata of a resource which proofs it may send, and lets its user log in.
func TestAClientFindsItsWayToBoundTokensFromTheMetadata(t *testing.T) {
	t.Parallel()
	const all = "RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA Ed25519"
	tests := []struct {
		name, proof, proofs, algorithm string
		onlyDPoP                       bool
	}{
		{"DPoP required", "proof dpop required {\n nonce 1m\n}", all + " required=true certificates=false", "ES256", true},
		{"DPoP or certificates", "proof any {\n nonce 1m\n}", all + " required=false certificates=true", "ES256", false},
		{"few algorithms", "proof dpop required {\n nonce 1m\n algorithms PS256 EdDSA\n}",
			"PS256 EdDSA required=true certificates=false", "EdDSA", true},
	}
	for i, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			resource := fmt.Sprintf("https://orders-%d.example.com/orders", i)
			provider.protect(t, resource)
			g := startSiteWith(t, withoutProofs, func(backend string) string {
				return fmt.Sprintf(`log
					bearer_auth {
						issuer %s
						resource %s
						require scope read
						forward_claims X-Subject sub
						%s
					}
					reverse_proxy %s`, provider.Issuer, resource, test.proof, backend)
			})
			first, asBearer := needsNonce, badBearerToken+" nonce"
			if test.onlyDPoP {
				first, asBearer = onlyDPoP(first), "401 dpop:- nonce"
			}
			report := g.prove(t, "wayIn", map[string]any{"resource": resource})
			want := []string{
				"metadata " + passed,
				"proofs " + test.proofs,
				"algorithm " + test.algorithm,
				"granted dpop read",
				"first " + first + ", " + passed,
				"second " + passed,
				"as bearer " + asBearer,
				"refreshed dpop read",
				"first " + passed,
				"second " + passed,
				"as bearer " + asBearer,
			}
			if !slices.Equal(report, want) {
				t.Errorf("the client reports\n\t%s\nwant\n\t%s", strings.Join(report, "\n\t"), strings.Join(want, "\n\t"))
			}
			for _, request := range g.reached() {
				hasHeaders(t, request, map[string]string{"X-Subject": "alice", "Authorization": "", "DPoP": ""})
			}
		})
	}
}
