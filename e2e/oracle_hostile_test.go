//go:build e2e

package e2e_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	pipeline "github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// The packages run the same lists. Here jose shows that the tokens are what the lists say: it refuses them too.
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

// jose accepts some of these tokens, since it is more lenient. One of the rules must explain each such difference.
func TestHeaderAndClaimAttacksAreRefused(t *testing.T) {
	target := tokentest.Target{
		Key: tokentest.NewKey(t, "RS256", "k0"), Stranger: tokentest.NewKey(t, "RS256", "stranger"),
		Issuer: oracleIssuer, Audience: oracleAudience, Now: time.Unix(oracleNow, 0), Trap: "http://127.0.0.1:1",
	}
	keys := &forge{public: []*tokentest.Key{target.Key}, secret: []*tokentest.Key{tokentest.NewKey(t, "HS256", "s0")}}
	samples := []sample{{policy: "public", kind: "a good token", token: target.Good()}}
	for _, attack := range slices.Concat(target.HeaderAttacks(), target.ClaimAttacks()) {
		samples = append(samples, sample{policy: "public", kind: attack.Name, token: attack.Token})
	}
	g, count := oracleGate(t, keys.public), new(tally)
	for i, theirs := range askJose(t, keys, samples) {
		verdict, err := g.Check(oracleRequest(samples[i].token))
		if good := i == 0; (err == nil && verdict.Outcome == pipeline.Accepted) != good {
			t.Errorf("we judge wrongly (%v)\n%.2000s", err, samples[i])
		}
		count.judge(t, samples[i], theirs, verdict, err)
	}
	t.Logf("%d tokens, refused by us alone %d", len(samples), count.onlyJose)
}
