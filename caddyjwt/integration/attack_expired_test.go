package integration

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// expiredSite is a site where an expired token in the cookie t or u counts as none. A token may also be in
// Authorization, in the query and in a form. The upstream gets what the placeholders say.
func expiredSite(t *testing.T, lines ...string) (s *site, issuer string, key *tokentest.Key) {
	key = tokentest.NewKey(t, "ES256", "e1")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	s = start(t, gateForAudience(append([]string{
		"token_from header Authorization", "token_from query t", "token_from cookie t", "token_from cookie u",
		"token_from form t", "optional expired", issuerByJWKS(as), consumerAlice(t),
	}, lines...)...)+"\nrequest_header X-Seen \"[{http.auth.user.id}|{http.auth.user.sub}|{http.auth.bearer.issuer}|"+
		"{http.auth.bearer.reason}]\"\n")
	return s, as.URL, key
}

// ago is the time of a token that expired an hour ago, as changes to its claims.
func ago(changes ...any) []any {
	return append([]any{"iat", time.Now().Unix() - 7200, "exp", time.Now().Unix() - 3600}, changes...)
}

// An expired token in a cookie is like no token: nothing of it reaches the backend, and the answer is the one for
// everybody.
func TestExpiredCookieCountsAsNone(t *testing.T) {
	for _, line := range []string{"", "forward_token"} {
		s, issuer, key := expiredSite(t, line)
		for name, token := range map[string]string{
			"of an issuer":  key.Sign(t, issuedBy(issuer, ago()...)),
			"of a consumer": hmacKey(t).Sign(t, claims(ago("aud", audience)...)),
		} {
			t.Run(name+" "+line, func(t *testing.T) {
				s := s.in(t)
				a := s.get("/", "", "Cookie", "a=1; t="+token+"; b=2", "X-Consumer-Username", "root")
				got := s.passed(a)
				if cookies := got.Header.Get("Cookie"); cookies != "a=1; b=2" {
					t.Errorf("the backend gets the cookies %q", cookies)
				}
				if got.Header.Get("X-Seen") != "[|||]" || got.Header.Get("X-Consumer-Username") != "" {
					t.Errorf("the backend gets %v", got.Header)
				}
				if a.Header.Get("Cache-Control") != "" || a.Header.Get("WWW-Authenticate") != "" {
					t.Errorf("answer %v", a.Header)
				}
			})
		}
		good := s.get("/", "", "Cookie", "t="+key.Sign(t, issuedBy(issuer)))
		if got := s.passed(good); !strings.HasPrefix(got.Header.Get("X-Seen"), "[alice|alice|") ||
			good.Header.Get("Cache-Control") != "private" {
			t.Errorf("a good token: the backend gets %v, the client %v", got.Header, good.Header)
		}
		s.passed(s.get("/", "", "Cookie", "t="))
	}
}

// A bad token passes as one that has expired: the attacker makes it expire, and hopes that nobody looks at the rest.
// Only a token that was good here, and in a cookie, counts as none.
func TestAttackExpiredCookieThatIsWrongInAnotherWay(t *testing.T) {
	s, issuer, key := expiredSite(t)
	token, tomorrow := key.Sign(t, issuedBy(issuer, ago()...)), time.Now().Unix()+86400
	s.attack(t, "control: it passes without identity", func(t *testing.T, a *attempt) {
		a.secret(token)
		if got := a.passed(a.get("/", "", "Cookie", "t="+token)); got.Header.Get("X-Seen") != "[|||]" {
			t.Errorf("the backend gets %v", got.Header)
		}
	})
	good, other := key.Sign(t, issuedBy(issuer)), tokentest.NewKey(t, "ES256", "x").WithKID("e1")
	signed := func(payload string) string {
		return key.SignRaw(`{"alg":"ES256","kid":"e1"}`, `{"iss":"`+issuer+`",`+payload+`}`)
	}
	for name, c := range map[string]struct{ token, reason string }{
		"bad signature":  {tokentest.FlipSignature(t, token), "invalid_signature"},
		"no signature":   {token[:strings.LastIndexByte(token, '.')+1], "malformed_token"},
		"alg none":       {forged(`{"alg":"none"}`, `{"iss":"`+issuer+`","exp":1}`, []byte("x")), "unsupported_algorithm"},
		"exp changed":    {retold(t, good, `{"iss":"`+issuer+`","aud":"`+audience+`","exp":1}`), "invalid_signature"},
		"another key":    {other.Sign(t, issuedBy(issuer, ago()...)), "invalid_signature"},
		"HMAC":           {hmacKey(t).WithKID("e1").Sign(t, issuedBy(issuer, ago()...)), "unsupported_algorithm"},
		"unknown issuer": {key.Sign(t, issuedBy("https://evil.example", ago()...)), "unknown_issuer"},
		"audience":       {key.Sign(t, issuedBy(issuer, ago("aud", "https://evil.example")...)), "invalid_audience"},
		"no audience":    {hmacKey(t).Sign(t, claims(ago()...)), "invalid_audience"},
		"not yet valid":  {key.Sign(t, issuedBy(issuer, ago("nbf", tomorrow)...)), "not_yet_valid"},
		"bound to a key": {key.Sign(t, issuedBy(issuer, ago("cnf", map[string]any{"jkt": "x"})...)), "proof_required"},
		"ID token":       {key.Sign(t, issuedBy(issuer, ago("token_use", "id")...)), "invalid_type"},
		"exp twice":      {signed(`"exp":9999999999,"exp":1`), "malformed_token"},
		"exp of 1e400":   {signed(`"exp":-1e400`), "malformed_token"},
	} {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			a.secret(c.token)
			a.refusedFor(a.get("/", "", "Cookie", "t="+c.token), c.reason)
		})
	}
}

// retold is a token with another payload and the old signature.
func retold(t *testing.T, token, payload string) string {
	t.Helper()
	parts := strings.Split(token, ".")
	return parts[0] + "." + b64(payload) + "." + parts[2]
}

// An expired cookie counts as none, and so the attacker adds a second token, or puts the expired one elsewhere: the
// gate and the backend may then read different tokens.
func TestAttackExpiredCookieBesideAnotherToken(t *testing.T) {
	s, issuer, key := expiredSite(t, "forward_token")
	token, good := key.Sign(t, issuedBy(issuer, ago()...)), key.Sign(t, issuedBy(issuer))
	for name, c := range map[string]struct {
		send   func(a *attempt) answer
		reason string
	}{
		"in Authorization": {func(a *attempt) answer { return a.get("/", token) }, "expired"},
		"in the query":     {func(a *attempt) answer { return a.get("/?t="+token, "") }, "expired"},
		"in a form":        {func(a *attempt) answer { return a.form("/", "t="+token) }, "expired"},
		"a good one in Authorization": {func(a *attempt) answer { return a.get("/", good, "Cookie", "t="+token) },
			"malformed_request"},
		"a good one in the query": {func(a *attempt) answer { return a.get("/?t="+good, "", "Cookie", "t="+token) },
			"malformed_request"},
		"a good one in a form": {func(a *attempt) answer { return a.form("/", "t="+good, "Cookie", "t="+token) },
			"malformed_request"},
		"a good one in the same cookie": {func(a *attempt) answer {
			return a.get("/", "", "Cookie", "t="+token+"; t="+good)
		}, "malformed_request"},
		"a good one in another field": {func(a *attempt) answer {
			return a.get("/", "", "Cookie", "t="+token, "Cookie", "t="+good)
		}, "malformed_request"},
		"a good one in another cookie": {func(a *attempt) answer {
			return a.get("/", "", "Cookie", "u="+good+"; t="+token)
		}, "malformed_request"},
		"two expired ones": {func(a *attempt) answer {
			return a.get("/", "", "Cookie", "u="+token+"; t="+token)
		}, "malformed_request"},
		"a cookie that looks alike": {func(a *attempt) answer {
			return a.get("/", "", "Cookie", "t="+token+"; %74="+good)
		}, "malformed_request"},
	} {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			a.secret(token)
			a.secret(good)
			a.refusedFor(c.send(a), c.reason)
		})
	}
	s.attack(t, "a trailer", func(t *testing.T, a *attempt) {
		got := a.passed(a.raw("POST / HTTP/1.1\r\nHost: gate.test\r\nCookie: t=" + token +
			"\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nCookie: t=" + good +
			"\r\nAuthorization: Bearer " + good + "\r\nX-Sum: 1\r\n\r\n"))
		if got.Header.Get("Cookie") != "" || len(got.Trailer) != 1 || got.Trailer.Get("X-Sum") != "1" {
			t.Errorf("the backend gets the fields %v and the trailers %v", got.Header, got.Trailer)
		}
	})
	s.attack(t, "a form without a token", func(t *testing.T, a *attempt) {
		r := a.request(http.MethodPost, "/", strings.NewReader("a=1&b=2"), "Cookie", "t="+token,
			"Content-Type", "application/x-www-form-urlencoded")
		if got := a.passed(a.do(r)); got.Header.Get("Cookie") != "" || got.Body != "a=1&b=2" {
			t.Errorf("the backend gets the fields %v and the body %q", got.Header, got.Body)
		}
	})
}
