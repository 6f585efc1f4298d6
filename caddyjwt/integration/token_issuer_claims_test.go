package integration

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// Gates take the roles of a client for groups, and its other claims as those of any token. They come with each token of
// the client, for whatever audience.
func TestGatesKnowTheClaimsOfAClient(t *testing.T) {
	b := newBooth(t)
	t.Setenv("CLAIMS_TENANT", "acme")
	further := []string{"claim tenant {env.CLAIMS_TENANT}", "claim limits json `{\"day\": 100}`", "header env test"}
	b.runs(b.issuerWith(b.clientOf("billing", append(further, "claim roles json `[\"clerk\"]`")...),
		b.clientOf("stock", append(further, "claim roles json `[\"guest\"]`")...), b.clientOf("none")),
		localGate("require group clerk", "require claim tenant acme", "require claim limits.day 100"))
	b.works(b.tokenOf("billing"))
	b.refused(b.get("/", b.tokenOf("stock")), http.StatusForbidden, "claim_mismatch")
	b.refused(b.get("/", b.tokenOf("none")), http.StatusForbidden, "claim_mismatch")
	if header, _ := claimsOf(t, b.tokenOf("billing")); !strings.HasSuffix(header, `,"typ":"at+jwt","env":"test"}`) {
		t.Errorf("header %s", header)
	}
}

// Tokens for one audience can have another life than those for others.
func TestLifetimesOfAudiences(t *testing.T) {
	b := newBooth(t)
	b.runs(b.issuerWith(b.clientOf("billing", "audience "+audience+" "+otherResource, "access_lifetime 10m",
		"access_lifetime 30s "+otherResource)), localGate())
	for resource, want := range map[string]time.Duration{audience: 10 * time.Minute, otherResource: 30 * time.Second} {
		given := b.tokensIn(b.form(tokenPath, asking("resource", resource), secretOf("billing")...))
		if life := time.Duration(given.Expires) * time.Second; life > want || life < want-2*time.Second {
			t.Errorf("%s: %v, want %v", resource, life, want)
		}
	}
}
