package integration

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// A server answers a byte at a time, or never, and everything that waits for it piles up: slowloris against a client. A
// fetch has one deadline, requests wait for less time, and tokens of known keys do not wait at all.
func TestAttackFetchSlowServer(t *testing.T) {
	long(t)
	key, next := tokentest.NewKey(t, "ES256", "slow"), tokentest.NewKey(t, "ES256", "slow-next")
	drip := func(write func(text string) error, gone <-chan struct{}) {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				if write("x") != nil {
					return
				}
			case <-gone:
				return
			}
		}
	}
	s := prepare(t)
	for name, slow := range map[string]func(t *testing.T, as *tokentest.AS){
		"no answer": func(_ *testing.T, as *tokentest.AS) { as.Stall() },
		"a body, byte by byte": func(_ *testing.T, as *tokentest.AS) {
			as.HandleJWKS(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.WriteString(w, `{"keys":[],"x":"`)
				drip(func(text string) error {
					_, err := io.WriteString(w, text)
					if err == nil {
						err = http.NewResponseController(w).Flush()
					}
					return err
				}, r.Context().Done())
			})
		},
		"a header, byte by byte": func(t *testing.T, as *tokentest.AS) {
			as.HandleJWKS(func(w http.ResponseWriter, _ *http.Request) {
				conn, _, err := http.NewResponseController(w).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				defer conn.Close()
				_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nX-Slow: ")
				drip(func(text string) error { _, err := io.WriteString(conn, text); return err }, t.Context().Done())
			})
		},
	} {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			as := tokentest.NewAS(t, tokentest.WithKeys(key))
			a.restart(gateFor(issuerByJWKS(as)))
			a.passed(a.send(key.Sign(t, issuedBy(as.URL))))
			slow(t, as)
			var waited sync.WaitGroup
			var over atomic.Bool
			statuses := make([]int, 16)
			for i := range statuses {
				token := next.Sign(t, issuedBy(as.URL, "jti", strconv.Itoa(i)))
				waited.Go(func() { statuses[i], _ = a.status(token) })
			}
			go func() { waited.Wait(); over.Store(true) }()
			a.until(&over, func(i int) {
				token := key.Sign(t, issuedBy(as.URL, "jti", "known-"+strconv.Itoa(i)))
				a.passed(a.send(token))
			})
			for _, status := range statuses {
				if status != http.StatusServiceUnavailable {
					t.Errorf("status %d for a key that may or may not exist", status)
				}
			}
		})
	}
}

// A login page, an error page or a script comes in place of the key set. A careless fetcher reads it as an empty set,
// or finds keys in it. Here that is a failed fetch: the keys stay, and the log says why.
func TestAttackFetchAnswerWithoutAKeySet(t *testing.T) {
	key, mallory := tokentest.NewKey(t, "ES256", "fetched"), tokentest.NewKey(t, "ES256", "mallory")
	set := tokentest.JWKS(mallory)
	var zipped bytes.Buffer
	zip := gzip.NewWriter(&zipped)
	_, _ = zip.Write(make([]byte, 4<<20))
	_ = zip.Close()
	s := prepare(t)
	for name, wrong := range map[string]struct {
		status     int
		kind, body string
	}{
		"a login page":                  {200, "text/html", "<html><form action=/login></form></html>"},
		"a login page called JSON":      {200, "application/json", "<!doctype html><title>Sign in</title>"},
		"a page with a set in it":       {200, "text/html", "<html><script>" + set + "</script></html>"},
		"a script":                      {200, "application/javascript", "callback(" + set + ");"},
		"a guard against scripts":       {200, "application/json", ")]}',\n" + set},
		"two byte order marks":          {200, "application/json", "\xef\xbb\xbf\xef\xbb\xbf" + set},
		"UTF-16":                        {200, "application/json", "\xff\xfe{\x00}\x00"},
		"nothing":                       {200, "application/json", ""},
		"blanks":                        {200, "application/json", " \n"},
		"null":                          {200, "application/json", "null"},
		"a list of keys":                {200, "application/json", "[" + asJSON(t, mallory.JWK()) + "]"},
		"a text":                        {200, "application/json", strconv.Quote(set)},
		"an error as JSON":              {200, "application/json", `{"error":"temporarily_unavailable"}`},
		"keys are null":                 {200, "application/json", `{"keys":null}`},
		"keys are an object":            {200, "application/json", `{"keys":{"0":` + asJSON(t, mallory.JWK()) + `}}`},
		"keys twice":                    {200, "application/json", `{"keys":[],"keys":[` + asJSON(t, mallory.JWK()) + `]}`},
		"a set and more":                {200, "application/json", set + set},
		"half a set":                    {200, "application/json", set[:len(set)/2]},
		"a set, but not found":          {404, "application/json", set},
		"a set, but an error":           {500, "application/json", set},
		"a set, but only a part":        {206, "application/json", set},
		"a set, but not the server's":   {203, "application/json", set},
		"no content":                    {204, "application/json", ""},
		"not modified, but never asked": {304, "application/json", ""},
		"compressed twice over":         {200, "application/json", zipped.String()},
		"too long":                      {200, "application/json", `{"keys":[],"x":"` + strings.Repeat("x", 1<<20) + `"}`},
	} {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			as := tokentest.NewAS(t, tokentest.WithKeys(key))
			a.restart(gateFor(issuerByJWKS(as)))
			as.HandleJWKS(func(w http.ResponseWriter, _ *http.Request) {
				_, _ = io.WriteString(w, tokentest.JWKS(key)) // without ETag
			})
			a.passed(a.send(key.Sign(t, issuedBy(as.URL))))
			as.HandleJWKS(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", wrong.kind)
				if wrong.body == zipped.String() {
					w.Header().Set("Content-Encoding", "gzip")
				}
				w.WriteHeader(wrong.status)
				_, _ = io.WriteString(w, wrong.body)
			})
			a.ourFaultFor(a.send(mallory.Sign(t, issuedBy(as.URL))), http.StatusServiceUnavailable, "keys_unavailable", true)
			a.passed(a.send(key.Sign(t, issuedBy(as.URL, "jti", "2"))))
			eventually(t, "the log names the source and the cause", func() bool {
				return a.logged("refreshing keys is failing", as.JWKSURL(), `"error":"key set `)
			})
		})
	}
}

// A server breaks for a moment and answers with a set without keys. A client that believes it refuses everybody. A
// client that never gives up keys accepts withdrawn ones. Here the last good set stays until another good one comes,
// even if that one is smaller.
func TestAttackFetchEmptySetDeletesKeys(t *testing.T) {
	first, second := tokentest.NewKey(t, "ES256", "first"), tokentest.NewKey(t, "ES256", "second")
	third := tokentest.NewKey(t, "ES256", "third")
	s := prepare(t)
	for name, body := range map[string]string{
		"no keys":                `{"keys":[]}`,
		"keys that are unusable": tokentest.JWKSOf(tokentest.NewKey(t, "HS256", "first").JWK()),
	} {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			as := tokentest.NewAS(t, tokentest.WithKeys(first, second))
			a.restart(gateFor(issuerByJWKS(as)))
			kept, withdrawn := first.Sign(t, issuedBy(as.URL)), second.Sign(t, issuedBy(as.URL))
			for range 3 { // remembered, too
				a.passed(a.send(kept))
				a.passed(a.send(withdrawn))
			}
			as.AnswerJWKS(http.StatusOK, body)
			a.ourFaultFor(a.send(third.Sign(t, issuedBy(as.URL))), http.StatusServiceUnavailable, "keys_unavailable", true)
			a.passed(a.send(withdrawn))
			a.passed(a.send(second.Sign(t, issuedBy(as.URL, "jti", "2"))))
			as.SetKeys(first)
			as.AnswerJWKS(0, "")
			eventually(t, "the smaller set is in force", func() bool {
				status, err := a.status(withdrawn)
				return err == nil && status == http.StatusUnauthorized
			})
			a.drain()
			a.refusedFor(a.send(withdrawn), "unknown_key")
			a.refusedFor(a.send(second.Sign(t, issuedBy(as.URL, "jti", "3"))), "unknown_key")
			a.passed(a.send(kept))
		})
	}
}

// A set with a key that the parser does not expect brings down the goroutine that refreshes, and with it the process:
// CVE-2025-64527. Nothing that a server sends stops the gate, and the good keys beside the bad one stay in use.
func TestAttackFetchMalformedSetInTheBackground(t *testing.T) {
	key, next := tokentest.NewKey(t, "ES256", "background"), tokentest.NewKey(t, "ES256", "background-next")
	rsaKey := tokentest.NewKey(t, "RS256", "r1")
	with := func(of *tokentest.Key, member string, value any) string {
		jwk := of.WithKID("bad").JWK()
		if jwk[member] = value; value == nil {
			delete(jwk, member)
		}
		return asJSON(t, jwk)
	}
	s := prepare(t)
	for name, bad := range map[string]string{
		"a key that is null":              `null`,
		"a key that is a list":            `[[]]`,
		"a key that is a number":          `1e999`,
		"an empty key":                    `{}`,
		"kty is null":                     with(key, "kty", nil),
		"kty is a list":                   with(key, "kty", []string{"EC"}),
		"kid is a number":                 with(key, "kid", 7),
		"a coordinate is missing":         with(key, "y", nil),
		"a coordinate is empty":           with(key, "x", ""),
		"a coordinate is too long":        with(key, "x", strings.Repeat("A", 4096)),
		"a point off the curve":           with(key, "x", strings.Repeat("A", 43)),
		"a curve of another key's":        with(key, "crv", "P-521"),
		"a modulus of nothing":            with(rsaKey, "n", ""),
		"a modulus of one":                with(rsaKey, "n", "AQ"),
		"an exponent of nothing":          with(rsaKey, "e", ""),
		"an exponent of zero":             with(rsaKey, "e", "AA"),
		"an exponent without end":         with(rsaKey, "e", strings.Repeat("_", 10000)),
		"an Edwards point of one byte":    `{"kty":"OKP","crv":"Ed25519","kid":"bad","x":"AA"}`,
		"certificates that are none":      with(rsaKey, "x5c", []any{"AAAA", nil, 7}),
		"certificates that are an object": with(rsaKey, "x5c", map[string]any{}),
		"key_ops that are a number":       with(key, "key_ops", 7),
		"use that is an object":           with(key, "use", map[string]any{"sig": true}),
		"an odd algorithm":                with(key, "alg", "\x00"),
	} {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			as := tokentest.NewAS(t, tokentest.WithKeys(key))
			a.restart(gateFor(issuerByJWKS(as)))
			a.passed(a.send(key.Sign(t, issuedBy(as.URL))))
			as.AnswerJWKS(http.StatusOK, `{"keys":[`+bad+`,`+asJSON(t, key.JWK())+`,`+asJSON(t, next.JWK())+`]}`)
			a.passed(a.send(next.Sign(t, issuedBy(as.URL))))
			a.passed(a.send(key.Sign(t, issuedBy(as.URL, "jti", "2"))))
		})
	}
	s.attack(t, "objects without end", func(t *testing.T, a *attempt) {
		as := tokentest.NewAS(t, tokentest.WithKeys(key))
		a.restart(gateFor(issuerByJWKS(as)))
		a.passed(a.send(key.Sign(t, issuedBy(as.URL))))
		as.AnswerJWKS(http.StatusOK, `{"keys":[`+strings.Repeat(`{"x":`, 100_000)+`1`+strings.Repeat(`}`, 100_000)+`]}`)
		a.ourFaultFor(a.send(next.Sign(t, issuedBy(as.URL))), http.StatusServiceUnavailable, "keys_unavailable", true)
		a.passed(a.send(key.Sign(t, issuedBy(as.URL, "jti", "2"))))
	})
}

// Two routes fetch the same key set, one with strict rules and one with lax rules. What the lax route accepts must not
// open the strict route. Routes share keys, but not rules, and not the certificates that they trust.
func TestAttackFetchSharedSetWithOtherRules(t *testing.T) {
	rsaKey, ecKey := tokentest.NewKey(t, "RS256", "r1"), tokentest.NewKey(t, "ES256", "e1")
	as := tokentest.NewAS(t, tokentest.WithTLS(), tokentest.WithKeys(rsaKey, ecKey))
	proven := tlsBlock(t, as)
	gate := func(path, issuer, audience string, lines ...string) string {
		return strings.Replace(gateFor("issuer "+issuer+" {\naudience "+audience+"\nkeys jwks "+as.JWKSURL()+"\n"+
			strings.Join(lines, "\n")+"\n}"), "bearer_auth", "bearer_auth "+path, 1)
	}
	const issuer = "https://as.example.com"
	s := start(t, strings.Join([]string{
		gate("/lax", issuer, audience, proven),
		gate("/algorithm", issuer, audience, proven, "algorithms ES256"),
		gate("/type", issuer, audience, proven, "type at+jwt"),
		gate("/profile", issuer, audience, proven, "profile rfc9068"),
		gate("/lifetime", issuer, audience, proven, "max_lifetime 1m"),
		gate("/audience", issuer, "https://other.example.com", proven),
		gate("/issuer", "https://other.example.com", audience, proven),
		gate("/pinned", issuer, audience,
			strings.Replace(proven, "\n}", "\npin "+base64.StdEncoding.EncodeToString(make([]byte, sha256.Size))+"\n}", 1)),
		gate("/unproven", issuer, audience),
	}, "\n"))
	token := rsaKey.Sign(t, issuedBy(issuer))
	for range 2 { // the second time with everything remembered
		for path, reason := range map[string]string{
			"/algorithm": "unsupported_algorithm", "/type": "invalid_type", "/profile": "invalid_type",
			"/lifetime": "lifetime_too_long",
			"/audience": "invalid_audience", "/issuer": "unknown_issuer", "/pinned": "", "/unproven": "",
		} {
			s.attack(t, path, func(t *testing.T, a *attempt) {
				for range 3 {
					a.passed(a.get("/lax", token))
				}
				a.secret(token)
				got := a.get(path, token)
				if reason == "" {
					a.ourFault(got, http.StatusServiceUnavailable)
					return
				}
				a.refusedFor(got, reason)
			})
		}
	}
}
