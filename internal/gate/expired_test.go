package gate_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/bearer"
	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// forgiving looks for tokens in all kinds of places. An expired one in a cookie counts as none.
func forgiving(c *gate.Config) {
	c.Extractor, _ = bearer.NewExtractor(bearer.Options{Places: []bearer.Place{
		bearer.DefaultPlace, {Kind: bearer.Query, Name: "t"}, {Kind: bearer.Cookie, Name: "t"},
		{Kind: bearer.Cookie, Name: "u"},
	}})
	c.Optional, c.OptionalExpired = true, true
}

// withCookies is a request with a Cookie field.
func withCookies(text string) *http.Request {
	r := request("")
	r.Header.Set("Cookie", text)
	return r
}

// countsAsNone requires a request with a token to pass as one without a token.
func countsAsNone(t *testing.T, g *gate.Gate, r *http.Request) {
	t.Helper()
	verdict, err := g.Check(direct(r))
	if err != nil {
		t.Fatalf("refused: %v, want a request without identity", explain(err))
	}
	if verdict != (gate.Verdict{Outcome: gate.Unidentified, TokenExpired: true}) {
		t.Errorf("verdict %+v", verdict)
	}
}

// expired are the claims of a token whose leeway ends at start, with changes.
func expired(changes ...m) m {
	return says(append([]m{{"iat": start.Unix() - 300, "exp": start.Unix()}}, changes...)...)
}

func TestExpiredTokenInACookieCountsAsNone(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	shop := consumer(t, "shop", "shop-key", key)
	g := build(t, key, forgiving, func(c *gate.Config) { c.Consumers = []gate.Consumer{shop} })
	for name, token := range map[string]string{
		"expired just now":        key.Sign(t, expired()),
		"expired long ago":        key.Sign(t, expired(m{"iat": 1, "exp": 2})),
		"without iat":             key.Sign(t, expired(m{"iat": nil})),
		"of a consumer":           key.Sign(t, expired(m{"iss": "shop-key"})),
		"with nbf in the past":    key.Sign(t, expired(m{"nbf": start.Unix() - 9})),
		"with nbf at this moment": key.Sign(t, expired(m{"nbf": start.Unix()})),
	} {
		t.Run(name, func(t *testing.T) {
			countsAsNone(t, g, withCookies("t="+token))
			countsAsNone(t, g, withCookies("a=b; u="+token))
		})
	}
	accepted(t, g, withCookies("t="+key.Sign(t, says())))
	good := key.Sign(t, expired(m{"exp": start.Unix() + 1}))
	if id := accepted(t, g, withCookies("t="+good)); id.ID != "alice" {
		t.Errorf("the last second of a token: identity %+v", id)
	}
}

// Every other rule holds: whatever else is wrong with an expired token, the request is refused for that.
func TestExpiredTokenThatIsWrongInAnotherWayIsRefused(t *testing.T) {
	key, other := tokentest.NewKey(t, "ES256", "k1"), tokentest.NewKey(t, "ES256", "k2").WithKID("k1")
	shop := consumer(t, "shop", "shop-key", key)
	shop.Credentials[0].NotAfter = start
	revoked := newRevocations(t)
	revoked.out("mallory")
	g := build(t, key, forgiving, func(c *gate.Config) {
		c.Consumers, c.Revocations, c.MaxLifetime = []gate.Consumer{shop}, revoked.List(), time.Hour
		c.Issuers[0].RequiredClaims = []claims.Path{path(t, "sub")}
	})
	token := key.Sign(t, expired())
	countsAsNone(t, g, withCookies("t="+token))
	for name, c := range map[string]struct {
		cookies string
		want    gate.Reason
	}{
		"signature":               {"t=" + tokentest.FlipSignature(t, token), gate.InvalidSignature},
		"no algorithm":            {"t=" + key.SignRaw(`{"alg":"none"}`, `{"iss":"x","exp":1}`), gate.UnsupportedAlgorithm},
		"another key":             {"t=" + other.Sign(t, expired()), gate.InvalidSignature},
		"unknown key":             {"t=" + key.WithKID("k2").Sign(t, expired()), gate.UnknownKey},
		"unknown issuer":          {"t=" + key.Sign(t, expired(m{"iss": "https://else.example"})), gate.UnknownIssuer},
		"audience":                {"t=" + key.Sign(t, expired(m{"aud": "https://else.example"})), gate.InvalidAudience},
		"no audience":             {"t=" + key.Sign(t, expired(m{"aud": nil})), gate.InvalidAudience},
		"nbf after exp":           {"t=" + key.Sign(t, expired(m{"nbf": start.Unix() + 1})), gate.NotYetValid},
		"iat after exp":           {"t=" + key.Sign(t, expired(m{"iat": start.Unix() + 1})), gate.NotYetValid},
		"lifetime":                {"t=" + key.Sign(t, expired(m{"iat": start.Unix() - 3601})), gate.LifetimeTooLong},
		"no iat":                  {"t=" + key.Sign(t, expired(m{"iat": nil})), gate.MissingClaim},
		"required claim":          {"t=" + key.Sign(t, expired(m{"sub": nil})), gate.MissingClaim},
		"bound to a key":          {"t=" + key.Sign(t, expired(m{"cnf": m{"jkt": "x"}})), gate.ProofRequired},
		"ID token":                {"t=" + key.Sign(t, expired(m{"token_use": "id"})), gate.InvalidType},
		"type":                    {"t=" + key.Sign(t, expired(), m{"typ": "logout+jwt"}), gate.InvalidType},
		"revoked":                 {"t=" + key.Sign(t, expired(m{"sub": "mallory"})), gate.Revoked},
		"expired certificate":     {"t=" + key.Sign(t, expired(m{"iss": "shop-key"})), gate.UnknownKey},
		"no exp":                  {"t=" + key.Sign(t, says(m{"exp": nil})), gate.MissingClaim},
		"exp as text":             {"t=" + key.Sign(t, says(m{"exp": "1"})), gate.MalformedToken},
		"exp before 1970":         {"t=" + key.Sign(t, says(m{"exp": -1})), gate.MalformedToken},
		"not a JWT":               {"t=opaque", gate.MalformedToken},
		"character":               {"t=" + token + "!", gate.MalformedRequest},
		"in quotes":               {`t="` + token + `"`, gate.MalformedRequest},
		"twice":                   {"t=" + token + "; t=" + token, gate.MalformedRequest},
		"beside a good one":       {"t=" + token + "; t=" + key.Sign(t, says()), gate.MalformedRequest},
		"beside another cookie's": {"t=" + token + "; u=" + key.Sign(t, says()), gate.MalformedRequest},
		"beside an emptied one":   {"t=" + token + "; t=", gate.MalformedRequest},
	} {
		t.Run(name, func(t *testing.T) { refused(t, g, withCookies(c.cookies), c.want) })
	}
	revoked.List().Trust(start)
	refused(t, g, withCookies("t="+token), gate.RevocationsUnavailable)
}

// Only browsers send a token by themselves, and only as a cookie. Whoever fills in another place means it.
func TestExpiredTokenElsewhereIsRefused(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	g := build(t, key, forgiving)
	token := key.Sign(t, expired())
	refused(t, g, request(token), gate.Expired)
	inQuery := request("")
	inQuery.URL.RawQuery = "t=" + token
	refused(t, g, inQuery, gate.Expired)
	both := request(key.Sign(t, says()))
	both.Header.Set("Cookie", "t="+token)
	refused(t, g, both, gate.MalformedRequest)
	// The reason is the first rule that refuses, as ever.
	refused(t, g, request(key.Sign(t, expired(m{"aud": "x"}))), gate.Expired)
	for name, change := range map[string]func(*gate.Config){
		"not optional": func(c *gate.Config) { c.Optional, c.OptionalExpired = false, false },
		"optional":     func(c *gate.Config) { c.OptionalExpired = false },
	} {
		t.Run(name, func(t *testing.T) {
			refused(t, build(t, key, forgiving, change), withCookies("t="+token), gate.Expired)
		})
	}
}

// A token that expires while it is remembered counts as none from then on.
func TestRememberedTokenThatExpiresCountsAsNone(t *testing.T) {
	key, clock := tokentest.NewKey(t, "ES256", "k1"), newClock()
	// Time stands still for the cache, so the entry stays.
	g, keys := cached(t, newCache(t, 1<<20), key, forgiving, func(c *gate.Config) { c.Now = clock.now })
	r := withCookies("t=" + key.Sign(t, says()))
	accepted(t, g, r)
	clock.advance(5*time.Minute - 1)
	accepted(t, g, r)
	clock.advance(1)
	countsAsNone(t, g, r)
	if n := keys.finds.Load(); n != 1 {
		t.Errorf("verified %d times, want once", n)
	}
	keys.gone()
	refused(t, g, r, gate.KeysUnavailable)
}

// The server is not asked about a JWT that has expired here: it could only say that the token is inactive. Such an
// answer about a token that has not expired refuses it, and so does an answer that contradicts the token's own exp.
func TestExpiredTokensAndTheirServer(t *testing.T) {
	key, as := tokentest.NewKey(t, "ES256", "k1"), newAS(t)
	g := as.gate(gate.AskAlways, key, forgiving)
	countsAsNone(t, g, withCookies("t="+key.Sign(t, expired())))
	if n := as.asked(); n != 0 {
		t.Errorf("%d questions about an expired token", n)
	}
	token := key.Sign(t, says())
	as.says[token] = m{"active": false}
	refused(t, g, withCookies("t="+token), gate.Inactive)
	contradicted := key.Sign(t, says(m{"jti": "2"}))
	as.says[contradicted] = active(m{"exp": start.Unix()})
	refused(t, g, withCookies("t="+contradicted), gate.Expired)
	as.says["opaque"], as.says["opaque2"] = active(m{"exp": start.Unix()}), m{"active": false}
	as.says["opaque3"] = active(m{"exp": start.Unix(), "aud": "x"})
	countsAsNone(t, g, withCookies("t=opaque"))
	refused(t, g, withCookies("t=opaque2"), gate.Inactive)
	refused(t, g, withCookies("t=opaque3"), gate.InvalidAudience)
}

// The backend must not get a token that counts as none, even if it gets the others.
func TestTokenThatCountsAsNoneDoesNotTravel(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	g := build(t, key, forgiving, func(c *gate.Config) { c.ForwardToken = true })
	token := key.Sign(t, expired())
	r := withCookies("a=1; t=" + token + "; b=2")
	countsAsNone(t, g, r)
	g.RemoveToken(r)
	g.Strip(r)
	if got := r.Header.Get("Cookie"); got != "a=1; b=2" {
		t.Errorf("the backend gets the cookies %q", got)
	}
}
