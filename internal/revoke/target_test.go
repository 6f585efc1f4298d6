package revoke_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/revoke"
)

// everything is a token that each kind of target can hit.
func everything(tb testing.TB) revoke.Token {
	tb.Helper()
	return revoke.Token{
		Issuer: issuerA, Consumer: "shop", Raw: "opaque",
		Terms: revoke.NewTerms("https://*", parsed(tb, "groups", "/realm_access/roles", "tier", "a~b/c")...),
		Set: claimsOf(tb, m{
			"jti": "j", "sub": "s", "sid": "session", "client_id": "c", "azp": "party", "appid": "app", "cid": "okta",
			"groups": []any{"staff", 7, true, m{"value": "scim"}, m{"name": "other"}, nil}, "tier": 3, "a~b/c": "escaped",
			"realm_access": m{"roles": []string{"admin"}},
		}),
	}
}

// Each target hits the token, and nothing that differs in one respect does.
func TestATargetHitsExactlyItsTokens(t *testing.T) {
	token := everything(t)
	digest := revoke.Digest("opaque")
	of := func(kind revoke.Kind, value string) revoke.Target {
		return revoke.Target{Issuer: issuerA, Kind: kind, Value: value}
	}
	claim := func(name, value string) revoke.Target {
		return revoke.Target{Issuer: issuerA, Kind: revoke.Claim, Claim: name, Value: value}
	}
	hits := map[string]revoke.Target{
		"jti": of(revoke.ID, "j"), "digest": of(revoke.Text, digest), "sub": of(revoke.Subject, "s"),
		"sid": of(revoke.Session, "session"), "client_id": of(revoke.Client, "c"), "azp": of(revoke.Client, "party"),
		"appid": of(revoke.Client, "app"), "cid": of(revoke.Client, "okta"), "all": of(revoke.All, ""),
		"a group": claim("/groups", "staff"), "a number in a list": claim("/groups", "7"),
		"a boolean in a list": claim("/groups", "true"), "an object with a value": claim("/groups", "scim"),
		"a number": claim("/tier", "3"), "a nested claim": claim("/realm_access/roles", "admin"),
		"an escaped name":   claim("/a~0b~1c", "escaped"),
		"the pattern":       {Issuer: "https://*", Kind: revoke.All},
		"consumer":          {Consumer: "shop", Kind: revoke.All},
		"consumer's jti":    {Consumer: "shop", Kind: revoke.ID, Value: "j"},
		"consumer's digest": {Consumer: "shop", Kind: revoke.Text, Value: digest},
		"consumer's sub":    {Consumer: "shop", Kind: revoke.Subject, Value: "s"},
	}
	misses := map[string]revoke.Target{
		"another issuer": {Issuer: issuerB, Kind: revoke.All}, "another consumer": {Consumer: "other", Kind: revoke.All},
		"a consumer named like the issuer":  {Consumer: issuerA, Kind: revoke.All},
		"an issuer named like the consumer": {Issuer: "shop", Kind: revoke.All},
		"a consumer named like the pattern": {Consumer: "https://*", Kind: revoke.All},
		"the pattern's sub":                 {Issuer: "https://*", Kind: revoke.Subject, Value: "s"},
		"sub of another issuer":             {Issuer: issuerB, Kind: revoke.Subject, Value: "s"},
		"claim of another issuer":           {Issuer: issuerB, Kind: revoke.Claim, Claim: "/groups", Value: "staff"},
		"sub of another consumer":           {Consumer: "other", Kind: revoke.Subject, Value: "s"},
		"jti as sub":                        of(revoke.Subject, "j"), "sub as jti": of(revoke.ID, "s"),
		"sub as sid":    of(revoke.Session, "s"),
		"sub as client": of(revoke.Client, "s"), "client as sub": of(revoke.Subject, "c"),
		"the token as its digest": of(revoke.Text, "opaque"), "jti as digest": of(revoke.Text, "j"),
		"group of another claim": claim("/tier", "staff"), "group as role": claim("/realm_access/roles", "staff"),
		"a claim that is not configured": claim("/sub", "s"), "group in other letters": claim("/groups", "Staff"),
		"a number in another form": claim("/tier", "3.0"), "a name beside value": claim("/groups", "other"),
		"null": claim("/groups", "null"), "a part": of(revoke.Subject, "s "),
	}
	for name, target := range hits {
		list := revoke.NewList()
		if revoked(list, token) {
			t.Fatal("an empty list refuses a token")
		}
		list.Apply(out(target))
		by, is := list.Revokes(token)
		if !is || by.Target != target {
			t.Errorf("%s: revoked %v, by %+v", name, is, by)
		}
		if want := start; !target.Kind.IsToken() && !by.Until.Equal(want) || target.Kind.IsToken() && !by.Until.IsZero() {
			t.Errorf("%s: until %v", name, by.Until)
		}
		if !out(target).Refuses(token) {
			t.Errorf("%s: the entry alone does not refuse the token", name)
		}
	}
	all := revoke.NewList()
	for name, target := range misses {
		all.Apply(out(target))
		// Refuses looks for any claim, whether a gate is configured for it or not.
		if refuses := out(target).Refuses(token); refuses != (name == "a claim that is not configured") {
			t.Errorf("%s: the entry alone refuses the token: %v", name, refuses)
		}
	}
	if by, is := all.Revokes(token); is {
		t.Errorf("revoked by %+v", by)
	}
}

// A claim is the same in either notation.
func TestAClaimHasOneName(t *testing.T) {
	for _, text := range []string{"realm_access.roles", "/realm_access/roles"} {
		if name := path(t, text).String(); name != "/realm_access/roles" {
			t.Errorf("%s is %s", text, name)
		}
	}
}

func TestCutOff(t *testing.T) {
	list := revoke.NewList()
	entry := out(subject("s"))
	entry.Leeway = 1500 * time.Millisecond
	list.Apply(entry)
	for name, c := range map[string]struct {
		iat  any
		want bool
	}{
		"before":            {start.Unix() - 1, true},
		"at the cut-off":    {start.Unix(), true},
		"within the leeway": {start.Unix() + 1, true},
		"at its end":        {float64(start.Unix()) + 1.5, true},
		"after it":          {float64(start.Unix()) + 1.502, false},
		"later":             {start.Unix() + 2, false},
		"none":              {nil, true},
	} {
		token := issued(t, m{"sub": "s", "iat": c.iat})
		if is := revoked(list, token); is != c.want {
			t.Errorf("%s: revoked %v, want %v", name, is, c.want)
		}
		if is := entry.Refuses(token); is != c.want {
			t.Errorf("%s: refused by the entry alone %v, want %v", name, is, c.want)
		}
	}
	list.Apply(until(subject("s"), start.Add(-time.Minute)))
	if !revoked(list, issued(t, m{"sub": "s"})) {
		t.Error("an earlier cut-off has replaced a later one")
	}
	list.Apply(until(subject("s"), start.Add(time.Minute)))
	if !revoked(list, issued(t, m{"sub": "s", "iat": start.Unix() + 60})) {
		t.Error("a later cut-off has not replaced an earlier one")
	}
	list.Apply(out(revoke.Target{Issuer: issuerA, Kind: revoke.ID, Value: "j"}))
	if !revoked(list, issued(t, m{"jti": "j", "iat": start.Unix() + 9999})) {
		t.Error("a single token is good because it was issued later")
	}
}

// The first claim that hits is found, wherever it is.
func TestATokenIsLookedUpByAllThatItSays(t *testing.T) {
	list := revoke.NewList()
	list.Apply(out(revoke.Target{Issuer: issuerA, Kind: revoke.Session, Value: "42"}))
	for name, claims := range map[string]m{
		"a text": {"sid": "42"}, "a number": {"sid": 42}, "one of several": {"sid": []any{"1", 42}},
		"an object": {"sid": []any{m{"value": "42"}}},
	} {
		if !revoked(list, issued(t, claims)) {
			t.Errorf("%s: not revoked", name)
		}
	}
	for name, claims := range map[string]m{
		"none": {}, "another": {"sid": "43"}, "an object alone": {"sid": m{"value": "42"}}, "null": {"sid": nil},
		"empty": {"sid": ""}, "two digits": {"sid": []any{"4", "2"}},
	} {
		if revoked(list, issued(t, claims)) {
			t.Errorf("%s: revoked", name)
		}
	}
}

// A token may have any number of values, and each of them can hit.
func TestEachOfManyValuesCounts(t *testing.T) {
	var groups []string
	for i := range 100 {
		groups = append(groups, fmt.Sprint("group ", i))
	}
	token := issued(t, m{"groups": groups})
	token.Terms = terms(t, "groups")
	for _, group := range groups {
		list := revoke.NewList()
		target := revoke.Target{Issuer: issuerA, Kind: revoke.Claim, Claim: "/groups", Value: group}
		list.Apply(out(target))
		if by, is := list.Revokes(token); !is || by.Target != target {
			t.Errorf("%s: revoked %v, by %+v", group, is, by)
		}
	}
}

func TestDigest(t *testing.T) {
	part := base64.RawURLEncoding.EncodeToString
	jwt := part([]byte(`{"alg":"ES256"}`)) + "." + part([]byte(`{"sub":"s"}`)) + "."
	if a, b := revoke.Digest(jwt+"c2ln"), revoke.Digest(jwt+"b3RoZXI"); a != b || len(a) != 43 {
		t.Errorf("another signature makes another token: %q, %q", a, b)
	}
	if revoke.Digest(jwt+"c2ln") == revoke.Digest(strings.Replace(jwt, ".", ".e", 1)+"c2ln") {
		t.Error("another payload makes the same token")
	}
	for _, pair := range [][2]string{
		{"v4.local.one", "v4.local.two"}, // PASETO
		{"eu.live.one", "eu.live.two"},   // begins as a JWT does
		{"e30.one", "e30.two"},           // one dot
		{jwt + "a.b", jwt + "a.c"},       // three dots
		{"a.b.c.d.one", "a.b.c.d.two"},   // JWE
		{"..one", "..two"}, {"one", "two"}, {"", "."},
		{part([]byte(`"x"`)) + ".b.one", part([]byte(`"x"`)) + ".b.two"}, // no object
	} {
		if revoke.Digest(pair[0]) == revoke.Digest(pair[1]) {
			t.Errorf("%q and %q are taken for the same token", pair[0], pair[1])
		}
	}
}

func TestKindsHaveNames(t *testing.T) {
	for kind, want := range map[revoke.Kind]string{
		revoke.All: "all", revoke.ID: "jti", revoke.Text: "token", revoke.Subject: "sub", revoke.Session: "sid",
		revoke.Client: "client_id", revoke.Claim: "claim",
	} {
		if got := kind.String(); got != want {
			t.Errorf("%d is %s, want %s", kind, got, want)
		}
		if kind.IsToken() != (kind == revoke.ID || kind == revoke.Text) {
			t.Errorf("%v: IsToken %v", kind, kind.IsToken())
		}
	}
	if got := (revoke.Target{Consumer: "x"}).Whose(); got != `consumer "x"` {
		t.Error(got)
	}
	if got := (revoke.Target{Issuer: "x"}).Whose(); got != `issuer "x"` {
		t.Error(got)
	}
}
