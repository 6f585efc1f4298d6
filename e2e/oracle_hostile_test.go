//go:build e2e

package e2e_test

import (
	"fmt"
	"testing"

	pipeline "github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// The packages withstand these attacks one by one. This shows that the list is right: jose refuses the tokens too.
func TestAlgorithmAttacksAreRefusedByBoth(t *testing.T) {
	key := tokentest.NewKey(t, "RS256", "k0")
	keys := &forge{public: []*tokentest.Key{key}, secret: []*tokentest.Key{tokentest.NewKey(t, "HS256", "s0")}}
	payload := fmt.Sprintf(`{"iss":%q,"aud":%q,"sub":"alice","exp":%d}`, oracleIssuer, oracleAudience, oracleNow+60)
	genuine := key.SignRaw(`{"alg":"RS256","kid":"k0"}`, payload)
	samples := []sample{{policy: "public", kind: "a good token", token: genuine}}
	for _, attack := range tokentest.AlgorithmAttacks(key, payload) {
		samples = append(samples, sample{policy: "public", kind: attack.Name, token: attack.Token})
	}
	g := oracleGate(t, keys.public)
	for i, theirs := range askJose(t, keys, samples) {
		verdict, err := g.Check(oracleRequest(samples[i].token))
		ours, good := err == nil && verdict.Outcome == pipeline.Accepted, i == 0
		lastCounts := samples[i].kind == "alg none and then RS256" // JSON.parse takes the last of two members
		if ours != good || theirs.Accepted != (good || lastCounts) {
			t.Errorf("accepted by us %v (%v), by jose %v (%s)\n%s", ours, err, theirs.Accepted, theirs.Error, samples[i])
		}
	}
	t.Logf("%d tokens", len(samples))
}
