package caddyjwt

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddyjwt/gateway/caddyjwt/issuers"
	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/gate"
)

// summaryOf is the summary of a gate in a Caddyfile, one item in a line.
func summaryOf(t *testing.T, block string, prefetch bool) string {
	t.Helper()
	h := new(Handler)
	if err := h.UnmarshalCaddyfile(caddyfile.NewTestDispenser("bearer_auth {\n" + block + "\n}")); err != nil {
		t.Fatal(err)
	}
	return "\n" + h.summaryLines(t, prefetch)
}

// summaryLines are the fields of the line "gate is in force".
func (h *Handler) summaryLines(t *testing.T, prefetch bool) string {
	t.Helper()
	built, err := h.compile(words.NewSettings())
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	o := opener{built, issuers.Opener{PrefetchAll: prefetch}}
	for _, item := range o.summary(caddy.Context{Context: t.Context()}, h.Name, nil) {
		text.WriteString(item.Name + ": " + item.Text + "\n")
	}
	return text.String()
}

const alice = `
	consumer alice {
		custom_id c1
		credential alice-key {
			algorithm HS256
			secret 9d1f8a3c5e7b42604f8e1a2b3c4d5e6f
		}
	}`

func TestSummaryOfAGate(t *testing.T) {
	for name, c := range map[string]struct {
		block, want string
		prefetch    bool
	}{
		"five lines": {block: `
	issuer https://auth.example.com
	audience https://api.example.com`, want: `
tokens_from: header Authorization Bearer
issuers: https://auth.example.com (keys discovery)
audience: https://api.example.com
without_token: refused
cache: 32 MiB
`},
		// A cookie alone: the header counts no more.
		"another place": {block: `
	token_from cookie t
	optional expired
	end_at_expiry all` + alice, want: `
tokens_from: cookie t
consumers: alice
key_claim: iss
without_token: passes without identity
expired_cookie: counts as no token
end_at_expiry: all
cache: 32 MiB
`},
		"a consumer for all": {block: alice + `
	key_claim kid
	anonymous alice`, want: `
tokens_from: header Authorization Bearer
consumers: alice
key_claim: kid
without_token: passes as the consumer alice
cache: 32 MiB
`},
		"prefetch where there is nothing to fetch": {prefetch: true, block: `
	audience any
	issuer https://one.example.com {
		keys secret 5b7d9f1e3a6c8042719e5d3b1f7a9c8e
	}
	issuer https://two.example.com {
		keys none
		introspect {
			client_id gateway
			client_secret 0c9e4b7a61f2d8e3
		}
	}`, want: `
tokens_from: header Authorization Bearer
issuers: https://one.example.com (keys secret, algorithms HS256); ` +
			`https://two.example.com (keys none, prefetch, introspect opaque)
audience: any
without_token: refused
cache: 32 MiB
`},
		"several places": {prefetch: true, block: `
	token_from header Authorization Bearer
	token_from header X-Token
	token_from query access_token
	audience any
	issuer https://one.example.com {
		keys jwks https://one.example.com/keys?code=hidden-in-the-query
		audience a b c d e
		type at+jwt
	}
	optional
	cors {
		origins https://app.example.com http://localhost:3000
	}
	cache off`, want: `
tokens_from: header Authorization Bearer, header X-Token, query access_token
issuers: https://one.example.com (keys jwks, prefetch, audience a or b or c or one of 2 more, type at+jwt)
audience: any
without_token: passes without identity
cors: https://app.example.com http://localhost:3000
cache: off
`},
		"everything": {block: `
	audience https://api.example.com urn:api
	max_lifetime 1h
	issuer https://one.example.com {
		prefetch
		audience urn:one
		algorithms ES256
		profile rfc9068
		required_claims email azp
		max_lifetime 10m
		tolerate text_dates numeric_subject
		group_claim roles realm_access.roles
		introspect always {
			client_id gateway
			client_secret 0c9e4b7a61f2d8e3
		}
	}
	issuer https://two.example.com {
		keys none
		username_claim name
		introspect {
			endpoint https://two.example.com/introspect?secret=hidden
			client_id gateway
			client_secret 0c9e4b7a61f2d8e3
		}
	}
	issuer https://three.example.com {
		keys secret 5b7d9f1e3a6c8042719e5d3b1f7a9c8e
		consumer_claim client_id
	}
	issuer https://four.example.com
	issuer https://five.example.com` + strings.Replace(alice, "{", "{\n\t\ttolerate null_claims missing_exp", 1) + `
	require scope orders:read orders:write
	require claim azp spa mobile
	require claim email
	require claim sub like repo:a/* repo:b/* repo:c/* repo:d/*
	require claim level at_least 3
	require group staff
	require not scope guest
	require not claim role banned suspended
	require any {
		scope deploy ship
		claim roles deployer
	}
	introspect skip max_age 10s
	forward_claims X-User sub
	forward_claims X-Name name base64url
	forward_payload X-Claims padded
	consumer_headers off
	forward_token
	expose_token
	allow_preflight
	cache 65537`, want: `
tokens_from: header Authorization Bearer
issuers: https://one.example.com (keys discovery, prefetch, audience urn:one, algorithms ES256, profile rfc9068, ` +
			`required_claims email azp, max_lifetime 10m0s, tolerates numeric_subject text_dates, ` +
			`group_claim roles realm_access.roles, introspect always); ` +
			`https://two.example.com (keys none, username_claim name, introspect opaque); ` +
			`https://three.example.com (keys secret, algorithms HS256, consumer_claim client_id by username); and 2 more
consumers: alice (tolerates null_claims missing_exp)
key_claim: iss
audience: https://api.example.com or urn:api
requires: scope orders:read orders:write; not scope guest; claim azp = spa or mobile; claim email; ` +
			`claim sub like repo:a/* or repo:b/* or repo:c/* or one of 1 more; claim level at_least 3; ` +
			`not claim role = banned or suspended; group staff; any of scope deploy ship | claim roles deployer
max_lifetime: 1h0m0s
introspect: skip max_age 10s
without_token: refused
preflight: passes
forwards: the token, {http.auth.bearer.token}, X-User from sub, X-Name from name as base64url, ` +
			`X-Claims with all claims, padded
consumer_headers: off
cache: 65537 bytes
`},
	} {
		if got := summaryOf(t, c.block, c.prefetch); got != c.want {
			t.Errorf("%s:%s\nwant:%s", name, got, c.want)
		}
	}
}

// A summary is short for any configuration, and has no secret.
func TestSummaryIsBounded(t *testing.T) {
	var block strings.Builder
	long := strings.Repeat("ü", 500)
	block.WriteString("audience")
	for i := range 300 {
		fmt.Fprintf(&block, " %d-%s", i, long)
	}
	for i := range 2000 {
		fmt.Fprintf(&block, "\nissuer https://%d.example.com/%s\n"+
			"consumer %s-%d {\ncredential key-%d {\nalgorithm HS256\nsecret 9d1f8a3c5e7b42604f8e1a2b3c4d%04d\n}\n}\n"+
			"require claim c%d %d-%s\nrequire scope s%d\nrequire group g%d",
			i, long, long, i, i, i, i, i, long, i, i)
	}
	got := summaryOf(t, block.String(), true)
	if len(got) > 6000 {
		t.Errorf("it has %d bytes", len(got))
	}
	for _, want := range []string{"; and 1997 more\nconsumers", "and 1990 more", "or one of 297 more", "…"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in it", want)
		}
	}
	if strings.Contains(got, "9d1f8a3c") || strings.Contains(got, "\ufffd") {
		t.Error("it has a secret, or half a letter")
	}
}

// A setting that the summary leaves out is one that an operator does not see. What is left out is so on purpose.
func TestSummaryKnowsEverySetting(t *testing.T) {
	for of, c := range map[reflect.Type]struct{ told, leftOut string }{
		reflect.TypeFor[gate.Config](): {
			told: "Extractor Audience MaxLifetime Issuers Consumers Roster KeyClaim Require ScopeImplies ForwardClaims " +
				"ForwardHeader ForwardPayload PadPayload ConsumerHeaders ForwardToken ExposeToken Optional OptionalExpired " +
				"Anonymous AllowPreflight " +
				"AnyOrigin TrustedOrigins Public Asking Cache Revocations OnlyLocalRevoked " +
				"ResourceMetadata Proof RequireTLS",
			leftOut: "Realm Leeway Outputs Watched Now Turns HandedIn", // of little weight, or not in any configuration
		},
		reflect.TypeFor[gate.Issuer](): {
			told: "Name Keys Audience Algorithms Types AccessTokenProfile RequiredClaims MaxLifetime Asking " +
				"Tolerate GroupClaims ConsumerClaim ConsumerBy UsernameClaim Tenants Revocation Decrypt",
			leftOut: "KeysID Leeway Local", // keys local says so
		},
	} {
		known := strings.Fields(c.told + " " + c.leftOut)
		for field := range of.Fields() {
			if !slices.Contains(known, field.Name) {
				t.Errorf("%v has %s: tell it in summary.Of, or say here why not", of, field.Name)
			}
		}
	}
}
