package oauth_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/issuing"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// No hostile token is worth another one: neither as a subject token nor as an assertion.
func TestAttackTokensThatAreHandedIn(t *testing.T) {
	visits := 0
	trap := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { visits++ }))
	defer trap.Close()
	h := exchanging(t)
	target := tokentest.Target{
		Key: h.judge.key, Stranger: tokentest.NewKey(t, "RS256", "unknown"), Issuer: idp, Now: h.clock.now(), Trap: trap.URL,
		Subject: "alice", Life: 30 * time.Minute,
	}
	for _, as := range []struct {
		name, audience string
		code           issuing.Code
		try            func(token string) error
	}{
		{"a subject token", api, issuing.InvalidRequest, func(token string) error {
			_, err := h.Token(exchanges("orders", token, "resource", api))
			return err
		}},
		{"an assertion", issuer, issuing.InvalidGrant, func(token string) error {
			_, err := h.Token(asserts("desk", token))
			return err
		}},
	} {
		target.Audience = as.audience
		if err := as.try(target.Good()); err != nil {
			t.Fatalf("%s: %v", as.name, err)
		}
		attacks := slices.Concat(target.HeaderAttacks(), target.ClaimAttacks(),
			tokentest.AlgorithmAttacks(h.judge.key, `{"iss":"`+idp+`","sub":"alice","aud":"`+as.audience+`","exp":`+
				strconv.FormatInt(h.clock.now().Unix()+600, 10)+`}`))
		for _, attack := range attacks {
			t.Run(as.name+"/"+attack.Name, func(t *testing.T) {
				if len(url.QueryEscape(attack.Token)) > issuing.MaxForm-1<<10 {
					wants(t, as.try(attack.Token), 413, issuing.InvalidRequest, "64 KiB")
					return
				}
				wants(t, as.try(attack.Token), 400, as.code, "")
			})
		}
		t.Logf("%s: %d attacks", as.name, len(attacks))
	}
	if visits != 0 {
		t.Errorf("the attacker's server was visited %d times", visits)
	}
}
