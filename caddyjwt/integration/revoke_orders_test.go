package integration

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

const (
	keptIssuer  = "https://kept.example.com"
	otherIssuer = "https://other.example.com"
)

// pemOf is the word keys of an issuer with this key.
func pemOf(t testing.TB, key *tokentest.Key) string {
	return "keys file " + writeFile(t, t.TempDir()+"/key.pem", key.PublicPEM())
}

// Each kind of order refuses its tokens, remembered ones included, and no others. Taken back, they pass again.
func TestRevokeByEveryKindOfOrder(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "")
	as, asked := introspector(t, tokentest.WithKeys(key)), introspector(t)
	answers := map[string]tokentest.IntrospectionAnswer{}
	verdict := func(r *tokentest.IntrospectionRequest) tokentest.IntrospectionAnswer { return answers[r.Token] }
	as.Introspect(verdict)
	asked.Introspect(verdict)
	now := time.Now().Unix()
	answers["opaque-1"], answers["opaque-2"] = active("iat", now), active("iat", now, "sub", "bob")
	o := openOffice(t, consumerAlice(t), issuerBlock(keptIssuer, pemOf(t, key), "revocation claim groups realm.name"),
		issuerBlock(otherIssuer, pemOf(t, key)),
		introspecting(as, "opaque", "prefix opaque-"),
		strings.Replace(introspecting(asked, "opaque"), "introspect", "keys none\nintrospect", 1))
	sign := func(issuer string, changes ...any) string { return key.Sign(t, issuedBy(issuer, changes...)) }
	ofAlice := func(changes ...any) string { return hmacKey(t).Sign(t, issuedBy("alice-key", changes...)) }
	unverified := sign(asked.URL, "jti", "1")
	answers[unverified] = active("iat", now) // without the jti
	plain := sign(keptIssuer)
	for name, c := range map[string]struct {
		order m
		shown string // by GET
		hits  []string
		not   []string
	}{
		"jti": {m{"issuer": keptIssuer, "jti": "1"}, keptIssuer + " jti 1", []string{sign(keptIssuer, "jti", "1")},
			[]string{sign(keptIssuer, "jti", "2"), sign(otherIssuer, "jti", "1"), plain}},
		"sub": {m{"issuer": keptIssuer, "sub": "zoe"}, keptIssuer + " sub zoe",
			[]string{sign(keptIssuer, "sub", "zoe"), sign(keptIssuer, "sub", "zoe", "jti", "3")},
			[]string{plain, sign(otherIssuer, "sub", "zoe")}},
		"sid": {m{"issuer": keptIssuer, "sid": "s1"}, keptIssuer + " sid s1", []string{sign(keptIssuer, "sid", "s1")},
			[]string{plain, sign(keptIssuer, "sid", "s2"), sign(keptIssuer, "sub", "s1")}},
		"client_id": {m{"issuer": keptIssuer, "client_id": "app"}, keptIssuer + " client_id app",
			[]string{sign(keptIssuer, "client_id", "app"), sign(keptIssuer, "azp", "app")},
			[]string{plain, sign(keptIssuer, "client_id", "app2"), sign(keptIssuer, "sub", "app")}},
		"a claim, of whose values one counts": {m{"issuer": keptIssuer, "claim": "groups", "value": "staff"},
			keptIssuer + " claim /groups staff", []string{sign(keptIssuer, "groups", []string{"x", "staff"})},
			[]string{plain, sign(keptIssuer, "groups", "staff2"), sign(otherIssuer, "groups", "staff")}},
		"a claim inside of another": {m{"issuer": keptIssuer, "claim": "/realm/name", "value": "7"},
			keptIssuer + " claim /realm/name 7", []string{sign(keptIssuer, "realm", m{"name": 7})},
			[]string{plain, sign(keptIssuer, "realm.name", 8)}},
		"a token with a jti": {m{"token": sign(keptIssuer, "jti", "4")}, keptIssuer + " jti 4",
			[]string{sign(keptIssuer, "jti", "4", "sub", "another")}, []string{plain, sign(keptIssuer, "jti", "5")}},
		"a token without a jti": {m{"token": plain}, "", []string{plain},
			[]string{sign(keptIssuer, "sub", "bob")}},
		"a token whose issuer is named, too": {m{"issuer": keptIssuer, "token": plain}, "", []string{plain}, nil},
		"an opaque token": {m{"issuer": as.URL, "token": "opaque-1"}, "", []string{"opaque-1"},
			[]string{"opaque-2"}},
		"opaque tokens of a user": {m{"issuer": as.URL, "sub": "bob"}, as.URL + " sub bob", []string{"opaque-2"},
			[]string{"opaque-1"}},
		"a JWT that only its server knows": {m{"token": unverified}, asked.URL + " jti 1", []string{unverified},
			[]string{plain}},
		"a whole issuer": {m{"issuer": keptIssuer}, keptIssuer + " all", []string{plain, sign(keptIssuer, "jti", "6")},
			[]string{sign(otherIssuer), "opaque-1"}},
		"a consumer": {m{"consumer": "alice"}, "alice all", []string{ofAlice()}, []string{plain}},
		"a token of a consumer": {m{"consumer": "alice", "token": ofAlice("jti", "7")}, "alice jti 7",
			[]string{ofAlice("jti", "7")}, []string{ofAlice("jti", "8")}},
	} {
		t.Run(name, func(t *testing.T) {
			o := o.in(t)
			o.good(append(c.hits, c.not...)...)
			c.order["reason"], c.order["author"] = "test", "tester"
			if got := o.orders(http.MethodPost, c.order)["revoked"]; got == nil {
				t.Error("the answer does not say what was revoked")
			}
			o.out(c.hits...)
			o.good(c.not...)
			if list := o.listed(""); len(list) == 0 || c.shown != "" && !slices.Contains(list, c.shown) {
				t.Errorf("listed: %q, want %q", list, c.shown)
			}
			delete(c.order, "reason")
			o.orders(http.MethodDelete, c.order)
			o.good(append(c.hits, c.not...)...)
			if list := o.listed(""); len(list) > 0 {
				t.Errorf("still listed: %q", list)
			}
		})
	}
}

// A cut-off spares what was issued after it, and the leeway.
func TestRevokeWhatWasIssuedUntilThen(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "")
	o := openOffice(t, issuerBlock(keptIssuer, pemOf(t, key), "leeway 10s"))
	now := time.Now()
	at := func(ago time.Duration) string { return key.Sign(t, issuedBy(keptIssuer, "iat", now.Add(-ago).Unix())) }
	const minute = time.Minute
	o.good(at(0), at(5*minute), at(9*minute))
	o.revoke("issuer", keptIssuer, "not_after", now.Add(-5*minute).Format(time.RFC3339))
	o.out(at(5*minute), at(9*minute), at(5*minute-9*time.Second))
	o.good(at(0), at(5*minute-12*time.Second))
	o.revoke("issuer", keptIssuer, "not_after", now.Add(-9*minute)) // an earlier one takes nothing back
	o.out(at(5 * minute))
	o.revoke("issuer", keptIssuer)
	o.out(at(0))
	o.restore("issuer", keptIssuer)
	o.good(at(0), at(5*minute))
}

// A dry run changes nothing, and says what the order would hit.
func TestRevokeDryRun(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "")
	o := openOffice(t, consumerAlice(t), issuerBlock(keptIssuer, pemOf(t, key)))
	var tokens []string
	for _, jti := range []string{"1", "2", "3"} {
		tokens = append(tokens, key.Sign(t, issuedBy(keptIssuer, "jti", jti)))
	}
	o.good(append(tokens, key.Sign(t, issuedBy(keptIssuer, "sub", "bob")))...)
	got := o.revoke("issuer", keptIssuer, "sub", "alice", "dry_run", true)
	if effect, _ := got["effect"].(m); got["dry_run"] != true || effect["remembered_tokens"] != 3. ||
		effect["running_responses"] != 0. {
		t.Errorf("%v", got)
	}
	o.good(tokens...)
	if list := o.listed(""); len(list) != 0 {
		t.Errorf("listed: %q", list)
	}
	if got := o.revoke("token", tokens[0], "dry_run", true)["effect"].(m); got["remembered_tokens"] != 1. {
		t.Errorf("%v", got)
	}
}

// The list has a bound, and says how many there are.
func TestRevocationsAreListed(t *testing.T) {
	o := openOffice(t, consumerAlice(t), issuerBlock(keptIssuer, pemOf(t, tokentest.NewKey(t, "ES256", ""))))
	if body := o.asks(http.MethodGet, revocationsPath, "").body; strings.TrimSpace(body) != `{"total":0,"entries":[]}` {
		t.Errorf("an empty list is %s", body)
	}
	for i, sub := range []string{"a", "b", "c", "b"} {
		o.revoke("issuer", keptIssuer, "sub", sub, "author", "me", "reason", "why "+sub,
			"not_after", time.Now().Add(time.Duration(i-4)*time.Minute))
	}
	o.revoke("consumer", "alice")
	if got := o.listed("?limit=2"); !slices.Equal(got, []string{keptIssuer + " sub a", keptIssuer + " sub c"}) {
		t.Errorf("%q", got) // b was revoked once more after c
	}
	body := o.asks(http.MethodGet, revocationsPath+"?limit=1", "").body
	for _, text := range []string{
		`"total":4`, `"author":"me"`, `"reason":"why a"`, `"not_after":"`, `"expires":"`, `"at":"`,
	} {
		if !strings.Contains(body, text) {
			t.Errorf("%s is not in %s", text, body)
		}
	}
	for _, limit := range []string{"0", "-1", "x", "100001"} {
		if a := o.asks(http.MethodGet, revocationsPath+"?limit="+limit, ""); a.StatusCode != http.StatusBadRequest {
			t.Errorf("limit %s: status %d", limit, a.StatusCode)
		}
	}
}
