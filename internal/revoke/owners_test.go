package revoke_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/revoke"
)

// owners has an issuer, one with tenants, and consumers.
func owners(tb testing.TB) *revoke.Owners {
	tb.Helper()
	o := new(revoke.Owners)
	o.Add(
		revoke.Owner{
			Issuer: issuerA, MaxLifetime: time.Hour, Leeway: 5 * time.Second,
			Claims: []revoke.Path{path(tb, "groups"), path(tb, "realm_access.roles")},
		},
		revoke.Owner{
			Issuer: "https://login.example/*", MaxLifetime: 2 * time.Hour, Leeway: time.Minute,
			IsTenant: func(iss string) bool { return strings.HasPrefix(iss, "https://login.example/") },
		},
		revoke.Owner{
			IsConsumer:  func(username string) bool { return username == "shop" },
			MaxLifetime: 3 * time.Hour,
		},
	)
	return o
}

// An entry lasts until the last token that it refuses is refused for its age: one with an iat that is ahead by the
// leeway, until the leeway after its exp. A minute is for clocks that differ.
func TestHowLongAnEntryLasts(t *testing.T) {
	now := start.Add(300 * time.Millisecond)
	const tenants = "https://login.example/*"
	tenant := revoke.Target{Issuer: "https://login.example/acme", Kind: revoke.All}
	tenantsSubject := revoke.Target{Issuer: tenant.Issuer, Kind: revoke.Subject, Value: "s"}
	jti, digest := subject("j"), subject("j")
	jti.Kind, digest.Kind = revoke.ID, revoke.Text
	hour, twoHours := time.Hour+time.Minute+10*time.Second, 2*time.Hour+3*time.Minute
	for name, c := range map[string]struct {
		target   revoke.Target
		notAfter time.Time
		want     time.Duration // after the cut-off, or now
		leeway   time.Duration
	}{
		"a subject":          {subject("s"), time.Time{}, hour, 5 * time.Second},
		"an earlier one":     {subject("s"), start.Add(-30 * time.Minute), hour, 5 * time.Second},
		"a token":            {jti, time.Time{}, hour, 0},
		"a digest":           {digest, time.Time{}, hour, 0},
		"all tenants":        {revoke.Target{Issuer: tenants, Kind: revoke.All}, time.Time{}, twoHours, time.Minute},
		"a tenant":           {tenant, time.Time{}, twoHours, time.Minute},
		"a tenant's subject": {tenantsSubject, time.Time{}, twoHours, time.Minute},
		"a consumer":         {revoke.Target{Consumer: "shop", Kind: revoke.All}, time.Time{}, 3*time.Hour + time.Minute, 0},
	} {
		e := &revoke.Entry{Target: c.target, NotAfter: c.notAfter}
		if err := owners(t).Complete(e, now); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		from := now
		if !c.notAfter.IsZero() {
			from = c.notAfter
		}
		if last := from.Add(c.want); e.Expires.Before(last) || e.Expires.After(last.Add(time.Second)) {
			t.Errorf("%s: expires at %v, want %v", name, e.Expires, last)
		}
		if e.Leeway != c.leeway || !e.At.Equal(now) {
			t.Errorf("%s: leeway %v, at %v", name, e.Leeway, e.At)
		}
		switch {
		case c.target.Kind.IsToken() && !e.NotAfter.IsZero():
			t.Errorf("%s: a cut-off", name)
		case !c.target.Kind.IsToken() && !e.NotAfter.Equal(from.Truncate(time.Millisecond)):
			t.Errorf("%s: cut-off %v", name, e.NotAfter)
		}
	}
}

// Several gates may accept the tokens of an issuer, for different lives. The longest counts.
func TestTheLongestLifeCounts(t *testing.T) {
	o := owners(t)
	remove := o.Add(
		revoke.Owner{Issuer: issuerA, MaxLifetime: 24 * time.Hour},
		revoke.Owner{Issuer: issuerA, MaxLifetime: time.Minute, Leeway: time.Minute},
	)
	e := &revoke.Entry{Target: subject("s")}
	if err := o.Complete(e, start); err != nil || e.Expires.Before(start.Add(24*time.Hour)) || e.Leeway != time.Minute {
		t.Errorf("expires at %v, leeway %v: %v", e.Expires, e.Leeway, err)
	}
	remove()
	e = &revoke.Entry{Target: subject("s")}
	if err := o.Complete(e, start); err != nil || e.Expires.After(start.Add(2*time.Hour)) || e.Leeway != 5*time.Second {
		t.Errorf("expires at %v, leeway %v: %v", e.Expires, e.Leeway, err)
	}
}

// Nobody may take for a revocation what would refuse no token.
func TestOrdersThatWouldRefuseNothing(t *testing.T) {
	claim := func(issuer, name string) revoke.Target {
		return revoke.Target{Issuer: issuer, Kind: revoke.Claim, Claim: name, Value: "x"}
	}
	of := func(issuer string) revoke.Target { return revoke.Target{Issuer: issuer, Kind: revoke.All} }
	ofConsumer := func(name string) revoke.Target { return revoke.Target{Consumer: name, Kind: revoke.All} }
	tenants := revoke.Target{Issuer: "https://login.example/*", Kind: revoke.Subject, Value: "s"}
	ofShop := claim("", "a")
	ofShop.Consumer = "shop"
	single := revoke.Target{Issuer: issuerA, Kind: revoke.ID, Value: "j"}
	for name, c := range map[string]struct {
		entry revoke.Entry
		want  error
		says  string
	}{
		"an unknown issuer":        {revoke.Entry{Target: of(issuerB)}, revoke.ErrOwner, issuerA},
		"an unknown consumer":      {revoke.Entry{Target: ofConsumer("x")}, revoke.ErrOwner, "consumers of"},
		"an issuer as a consumer":  {revoke.Entry{Target: ofConsumer(issuerA)}, revoke.ErrOwner, "consumer"},
		"a consumer as an issuer":  {revoke.Entry{Target: of("shop")}, revoke.ErrOwner, "issuer"},
		"a subject of all tenants": {revoke.Entry{Target: tenants}, revoke.ErrTenants, "name the issuer as the tokens do"},
		"another claim": {revoke.Entry{Target: claim(issuerA, "tier")}, revoke.ErrClaim,
			"groups, realm_access.roles"},
		"a claim where none is": {
			revoke.Entry{Target: claim("https://login.example/acme", "tier")}, revoke.ErrClaim, "revocation claim tier",
		},
		"a claim of a consumer":   {revoke.Entry{Target: ofShop}, revoke.ErrClaim, ""},
		"no path":                 {revoke.Entry{Target: claim(issuerA, "a..b")}, revoke.ErrClaim, ""},
		"a cut-off in the future": {revoke.Entry{Target: subject("s"), NotAfter: start.Add(1)}, revoke.ErrNotAfter, "future"},
		"a cut-off long ago": {
			revoke.Entry{Target: subject("s"), NotAfter: start.Add(-2 * time.Hour)}, revoke.ErrNotAfter, "expired",
		},
		"a cut-off of a token":      {revoke.Entry{Target: single, NotAfter: start}, revoke.ErrEntry, ""},
		"a hostile reason":          {revoke.Entry{Target: subject("s"), Reason: "\x00"}, revoke.ErrEntry, ""},
		"a subject without a value": {revoke.Entry{Target: subject("")}, revoke.ErrEntry, ""},
	} {
		err := owners(t).Complete(&c.entry, start)
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %v with %q", name, err, c.want, c.says)
		}
	}
	if err := new(revoke.Owners).Complete(&revoke.Entry{Target: subject("s")}, start); !errors.Is(err, revoke.ErrOwner) ||
		!strings.Contains(err.Error(), "none") {
		t.Error(err)
	}
}

// Gates may look for different claims of an issuer. A revocation that some of them would not see is refused: it would
// look like a success, and the tokens would pass there.
func TestAClaimThatSomeGatesDoNotLookFor(t *testing.T) {
	o := owners(t)
	remove := o.Add(revoke.Owner{Issuer: issuerA, MaxLifetime: time.Hour, Claims: []revoke.Path{path(t, "/groups")}})
	for text, want := range map[string]error{"groups": nil, "realm_access.roles": revoke.ErrClaim} {
		e := &revoke.Entry{Target: revoke.Target{Issuer: issuerA, Kind: revoke.Claim, Claim: text, Value: "x"}}
		if err := o.Complete(e, start); !errors.Is(err, want) || want != nil && !strings.Contains(err.Error(), "some gates") {
			t.Errorf("%s: %v", text, err)
		}
	}
	remove()
	e := &revoke.Entry{Target: revoke.Target{Issuer: issuerA, Kind: revoke.Claim, Claim: "realm_access.roles", Value: "x"}}
	if err := o.Complete(e, start); err != nil {
		t.Error(err)
	}
}

// The error names some of many issuers.
func TestManyOwners(t *testing.T) {
	var o revoke.Owners
	for i := range 25 {
		o.Add(revoke.Owner{Issuer: fmt.Sprintf("https://%02d.example", i), MaxLifetime: time.Hour})
	}
	err := o.Complete(&revoke.Entry{Target: subject("s")}, start)
	if err == nil || !strings.Contains(err.Error(), "https://09.example, 15 more") {
		t.Error(err)
	}
}

// The claim of an entry is a pointer, in whatever notation it was given, since that is what tokens are looked up by.
func TestClaimInEitherNotation(t *testing.T) {
	for _, text := range []string{"realm_access.roles", "/realm_access/roles"} {
		e := &revoke.Entry{Target: revoke.Target{Issuer: issuerA, Kind: revoke.Claim, Claim: text, Value: "admin"}}
		if err := owners(t).Complete(e, start); err != nil || e.Claim != "/realm_access/roles" {
			t.Errorf("%s became %s: %v", text, e.Claim, err)
		}
		list := revoke.NewList()
		list.Apply(e)
		token := issued(t, m{"realm_access": m{"roles": []string{"user", "admin"}}})
		token.Terms = terms(t, "realm_access.roles")
		if !revoked(list, token) || !e.Refuses(token) {
			t.Errorf("%s does not hit", text)
		}
	}
}
