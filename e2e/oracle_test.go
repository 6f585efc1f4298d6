//go:build e2e

package e2e_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/bearer"
	pipeline "github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// What the tokens of the oracle are held to, on both sides.
const (
	oracleIssuer   = "https://as.example"
	oracleAudience = "https://api.example"
	oracleNow      = 1795435200 // 2026-11-23T12:00:00Z
	oracleTokens   = 6000
	oracleSeed     = 20261123 // ORACLE_SEED=<n> tries others
)

// TestTokensAreJudgedAsByAnIndependentImplementation gives random tokens to the gate and to the npm package jose. The
// gate must refuse what jose refuses. What the gate alone refuses must break one of the rules by which it is stricter.
// What both accept must say the same to both.
func TestTokensAreJudgedAsByAnIndependentImplementation(t *testing.T) {
	seed := uint64(oracleSeed)
	if text := os.Getenv("ORACLE_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("seed %d", seed)

	forge := newForge(t, rand.New(rand.NewPCG(seed, 0)))
	samples := make([]sample, oracleTokens)
	for i := range samples {
		samples[i] = forge.sample()
	}
	gates := map[string]*pipeline.Gate{
		"public": oracleGate(t, forge.public),
		"secret": oracleGate(t, forge.secret),
	}
	opinions := askJose(t, forge, samples)

	var count tally
	for i, s := range samples {
		verdict, err := gates[s.policy].Check(oracleRequest(s.token))
		count.judge(t, s, opinions[i], verdict, err)
	}
	count.report(t)
}

// opinion is an answer of oracle/judge.js.
type opinion struct {
	Accepted bool
	Error    string
	Claims   struct {
		Iss, Sub   string
		Aud, Scope []string
		Exp        float64
	}
}

// askJose lets one process judge all tokens.
func askJose(t *testing.T, forge *forge, samples []sample) []opinion {
	t.Helper()
	var input bytes.Buffer
	write := json.NewEncoder(&input)
	policies := map[string]any{"public": policyOf(forge.public), "secret": policyOf(forge.secret)}
	if err := write.Encode(map[string]any{"now": oracleNow, "policies": policies}); err != nil {
		t.Fatal(err)
	}
	for _, s := range samples {
		if err := write.Encode(map[string]any{"policy": s.policy, "token": []byte(s.token)}); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "node", "oracle/judge.js")
	cmd.Stdin = &input
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	output, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, stderr.Bytes())
	}
	var opinions []opinion
	lines := bufio.NewScanner(bytes.NewReader(output))
	lines.Buffer(nil, 1<<20) // an accepted token may have a long list of scopes
	for lines.Scan() {
		// When a claim has another type than ours, Go refuses the line. That difference must fail the test.
		var o opinion
		if err := json.Unmarshal(lines.Bytes(), &o); err != nil && o.Accepted {
			o.Error = err.Error()
		}
		opinions = append(opinions, o)
	}
	if len(opinions) != len(samples) {
		t.Fatalf("%d answers to %d questions\n%s", len(opinions), len(samples), stderr.Bytes())
	}
	return opinions
}

func policyOf(keys []*tokentest.Key) map[string]any {
	jwks := make([]map[string]any, len(keys))
	for i, key := range keys {
		jwks[i] = key.JWK()
	}
	return map[string]any{
		"issuer": oracleIssuer, "audience": oracleAudience, "algorithms": algorithmNames(keys), "keys": jwks,
	}
}

func algorithmNames(keys []*tokentest.Key) (names []string) {
	for _, key := range keys {
		names = append(names, key.Alg)
	}
	return names
}

// oracleGate is a gate for the tokens that these keys have signed, without a leeway.
func oracleGate(t *testing.T, keys []*tokentest.Key) *pipeline.Gate {
	t.Helper()
	issuer := pipeline.Issuer{Name: oracleIssuer, Audience: pipeline.Audience{Accepted: []string{oracleAudience}}}
	var verifiers []*jose.Key
	for _, key := range keys {
		alg, ok := jose.ParseAlgorithm(key.Alg)
		if !ok {
			t.Fatalf("unknown algorithm %q", key.Alg)
		}
		issuer.Algorithms = issuer.Algorithms.With(alg)
		verifier, err := jose.NewSecretKey(key.KID, key.Secret(), jose.MakeAlgorithms(alg))
		if key.Public() != nil {
			verifier, err = jose.NewPublicKey(key.KID, key.Public(), jose.MakeAlgorithms(alg))
		}
		if err != nil {
			t.Fatal(err)
		}
		verifiers = append(verifiers, verifier)
	}
	var err error
	if issuer.Keys, err = keyset.NewStatic(verifiers...); err != nil {
		t.Fatal(err)
	}
	extractor, err := bearer.NewExtractor(bearer.Options{})
	if err != nil {
		t.Fatal(err)
	}
	g, err := pipeline.New(pipeline.Config{
		Realm: "oracle", Extractor: extractor, Issuers: []pipeline.Issuer{issuer},
		Now: func() time.Time { return time.Unix(oracleNow, 0) },
	})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func oracleRequest(token string) pipeline.Request {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	return pipeline.Request{HTTP: r, Facts: pipeline.Direct(r)}
}

// tally counts how the two sides judged.
type tally struct {
	bothAccept, bothRefuse, onlyWe, onlyJose, unexplained int
	stricter, laxer                                       map[string]int
}

func (c *tally) judge(t *testing.T, s sample, theirs opinion, ours pipeline.Verdict, err error) {
	t.Helper()
	if c.stricter == nil {
		c.stricter, c.laxer = map[string]int{}, map[string]int{}
	}
	switch accepted := err == nil && ours.Outcome == pipeline.Accepted; {
	case accepted && theirs.Accepted:
		c.bothAccept++
		if difference := differs(ours.Identity, theirs); difference != "" {
			c.unexplained++
			t.Errorf("both accept, and read another %s: we %+v, jose %+v\n%s", difference, ours.Identity.Claims, theirs, s)
		}
	case accepted:
		c.onlyWe++
		c.explain(t, s, c.laxer, laxerRules, "we accept, jose refuses: "+theirs.Error, "")
	case theirs.Accepted:
		c.onlyJose++
		failure := pipeline.FailureOf(err)
		explanation := "jose accepts, we refuse: " + failure.Error()
		if failure.Cause != nil {
			explanation += ": " + failure.Cause.Error()
		}
		c.explain(t, s, c.stricter, stricterRules, explanation, failure.Reason)
	default:
		c.bothRefuse++
	}
}

// explain finds the rule for a difference: the reason that the gate gave is the rule's, and the token does break it.
func (c *tally) explain(t *testing.T, s sample, counts map[string]int, rules []oracleRule,
	difference string, reason pipeline.Reason) {
	t.Helper()
	r := read(s.token)
	for _, rule := range rules {
		if (reason == "" || slices.Contains(rule.reasons, reason)) && rule.applies(r) {
			counts[rule.name]++
			return
		}
	}
	c.unexplained++
	t.Errorf("%s, and no rule says so\n%s", difference, s)
}

// differs names the first claim that the two sides read differently.
func differs(identity *pipeline.Identity, theirs opinion) string {
	ours := identity.Claims
	exp := float64(ours.ExpiresAt.Unix()) + float64(ours.ExpiresAt.Nanosecond())/1e9
	switch {
	case theirs.Error != "":
		return "type of claim (" + theirs.Error + ")"
	case ours.Issuer != theirs.Claims.Iss:
		return "iss"
	case ours.Subject != theirs.Claims.Sub || identity.ID != theirs.Claims.Sub:
		return "sub"
	case !slices.Equal(ours.Audience, theirs.Claims.Aud):
		return "aud"
	case math.Abs(exp-theirs.Claims.Exp) > 1e-6*math.Max(1, theirs.Claims.Exp/oracleNow): // about what a double resolves
		return "exp"
	case !slices.Equal(ours.Scope, theirs.Claims.Scope):
		return "scope"
	}
	return ""
}

// report prints the counts, and wants some token to have broken each rule: the others are not tested.
func (c *tally) report(t *testing.T) {
	t.Helper()
	show := func(counts map[string]int, rules []oracleRule, what string) {
		for _, rule := range rules {
			t.Logf("%5d  %s: %s (%s)", counts[rule.name], what, rule.name, rule.why)
			if counts[rule.name] == 0 {
				t.Errorf("no token met the rule: %s", rule.name)
			}
		}
	}
	show(c.stricter, stricterRules, "stricter")
	show(c.laxer, laxerRules, "laxer")
	t.Logf("oracle: %d tokens, accepted by both %d, refused by both %d, refused by us alone %d under %d rules, "+
		"accepted by us alone %d under %d rules, unexplained %d",
		c.bothAccept+c.bothRefuse+c.onlyWe+c.onlyJose, c.bothAccept, c.bothRefuse, c.onlyJose, len(stricterRules),
		c.onlyWe, len(laxerRules), c.unexplained)
	if c.bothAccept < oracleTokens/10 || c.bothRefuse < oracleTokens/10 {
		t.Error("too few tokens that both accept, or that both refuse, for a comparison")
	}
}
