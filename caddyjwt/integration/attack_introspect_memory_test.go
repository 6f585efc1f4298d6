package integration

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// One text is a token at one server, and nothing or another token at another server. A cache that leaves the server out
// of its keys gives the answer of the first: CVE-2026-33496. Here an answer belongs to the server, to our client there,
// and to everything that is sent along.
func TestAttackIntrospectCacheOfAnotherServer(t *testing.T) {
	one, two := introspector(t), introspector(t)
	one.Introspect(always(active("sub", "admin")))
	perClient := tokentest.NewAS(t)
	perClient.Introspect(func(r *tokentest.IntrospectionRequest) tokentest.IntrospectionAnswer {
		if r.ClientID != "one" || r.Form.Get("resource") != "" {
			return tokentest.IntrospectionAnswer{}
		}
		return active()
	})
	client := func(id string, lines ...string) string {
		return issuerWithKeys(perClient.URL, "discovery",
			append(append([]string{"introspect opaque {", "client_id " + id, "client_secret s3cr3t"}, lines...), "}")...)
	}
	on := func(path, issuer string) string {
		return strings.Replace(gateFor(issuer), "bearer_auth", "bearer_auth "+path, 1)
	}
	s := start(t, strings.Join([]string{
		on("/one", introspecting(one, "opaque")), on("/two", introspecting(two, "opaque")),
		on("/client/one", client("one")), on("/client/two", client("two")),
		on("/client/param", client("one", "param resource x")),
	}, "\n"))
	for _, first := range []bool{true, false} {
		for name, paths := range map[string][2]string{
			"another server":    {"/one", "/two"},
			"another client":    {"/client/one", "/client/two"},
			"another parameter": {"/client/one", "/client/param"},
			"another of both":   {"/one", "/client/two"},
		} {
			s.attack(t, fmt.Sprintf("%s, the good one first: %v", name, first), func(t *testing.T, a *attempt) {
				token := fmt.Sprintf("the-same-token-%s-%v", strings.ReplaceAll(name, " ", "-"), first)
				token = strings.ReplaceAll(token, "'", "")
				for range 3 {
					if first {
						a.passed(a.get(paths[0], token))
					}
					a.refusedFor(a.get(paths[1], token), "inactive")
					if !first {
						a.passed(a.get(paths[0], token))
					}
				}
			})
		}
	}
}

// refusedFrom polls with a token that must be refused from a moment on, and fails when a request that began after that
// passes.
func (a *attempt) refusedFrom(moment time.Time, token string) {
	a.t.Helper()
	eventually(a.t, "the token is refused", func() bool {
		began := time.Now()
		status, err := a.status(token)
		if err == nil && status == http.StatusOK && !began.Before(moment) {
			a.t.Fatalf("it passed %v after it must not pass any more", began.Sub(moment))
		}
		return err == nil && status == http.StatusUnauthorized
	})
	a.drain()
}

// An answer is remembered, and might count after the token has expired (RFC 7662 section 4; CWE-613 in several resource
// servers). The gate judges exp on every request.
func TestAttackIntrospectRememberedPastItsEnd(t *testing.T) {
	long(t)
	key := tokentest.NewKey(t, "ES256", "past")
	as := introspector(t, tokentest.WithKeys(key))
	opaque := introspecting(as, "opaque", "cache_ttl 5m")
	s := prepare(t)
	s.attack(t, "an opaque token", func(t *testing.T, a *attempt) {
		a.restart(gateFor("leeway 0s", opaque))
		end := time.Now().Truncate(time.Second).Add(3 * time.Second)
		as.Introspect(always(active("exp", end.Unix())))
		a.passed(a.send("opaque"))
		a.refusedFrom(end, "opaque")
		a.refusedFor(a.send("opaque"), "expired")
	})
	s.attack(t, "an end with a fraction", func(t *testing.T, a *attempt) {
		a.restart(gateFor("leeway 0s", opaque))
		end := time.Now().Add(2500 * time.Millisecond)
		as.Introspect(always(active("exp", float64(end.UnixMilli())/1000)))
		a.passed(a.send("fraction"))
		a.refusedFrom(end, "fraction")
		a.refusedFor(a.send("fraction"), "expired")
	})
	s.attack(t, "a JWT whose answer ends before it does", func(t *testing.T, a *attempt) {
		a.restart(gateFor("leeway 0s", introspecting(as, "always", "cache_ttl 5m")))
		end := time.Now().Truncate(time.Second).Add(3 * time.Second)
		as.Introspect(always(active("exp", end.Unix())))
		token := key.Sign(t, issuedBy(as.URL))
		for range 3 {
			a.passed(a.send(token))
		}
		a.refusedFrom(end, token)
		a.refusedFor(a.send(token), "expired")
	})
	for name, exp := range map[string]int64{"already over": -1, "over now": 0, "zero": -time.Now().Unix()} {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			a.restart(gateFor("leeway 0s", opaque))
			as.Introspect(always(active("exp", time.Now().Unix()+exp)))
			for range 3 {
				a.refusedFor(a.send("over"), "expired")
			}
		})
	}
}

// A token is revoked after its answer was remembered. It passes for at most cache_ttl more, however often it is used
// meanwhile, and not at all on a route that takes no remembered answer.
func TestAttackIntrospectRememberedAfterRevocation(t *testing.T) {
	long(t)
	key := tokentest.NewKey(t, "ES256", "revocation")
	s := prepare(t)
	for mode, token := range map[string]func(as *tokentest.AS) string{
		"opaque": func(*tokentest.AS) string { return "opaque" },
		"always": func(as *tokentest.AS) string { return key.Sign(t, issuedBy(as.URL)) },
	} {
		s.attack(t, mode, func(t *testing.T, a *attempt) {
			as := introspector(t, tokentest.WithKeys(key))
			as.Introspect(always(active()))
			a.restart(gateFor(introspecting(as, mode, "cache_ttl 1s")))
			token := token(as)
			a.passed(a.send(token))
			a.refusedFrom(time.Now().Add(time.Second), revoke(as, token))
			a.refusedFor(a.send(token), "inactive")
		})
		s.attack(t, mode+", on a route that asks every time", func(t *testing.T, a *attempt) {
			as := introspector(t, tokentest.WithKeys(key))
			as.Introspect(always(active()))
			a.restart(gateFor(introspecting(as, mode, "cache_ttl 5m"), "introspect max_age 0s"))
			token := token(as)
			a.passed(a.send(token))
			revoke(as, token)
			a.refusedFor(a.send(token), "inactive")
			as.Down()
			a.ourFault(a.send(token), http.StatusServiceUnavailable)
		})
	}
	s.attack(t, "remembering is turned off", func(t *testing.T, a *attempt) {
		as := introspector(t)
		as.Introspect(always(active()))
		a.restart(gateFor(introspecting(as, "opaque", "cache_ttl 0s")))
		a.passed(a.send("opaque"))
		revoke(as, "opaque")
		a.refusedFor(a.send("opaque"), "inactive")
	})
}

// revoke makes a server call every token inactive. It gives back the token.
func revoke(as *tokentest.AS, token string) string {
	as.Introspect(always(tokentest.IntrospectionAnswer{}))
	return token
}

// Somebody presents a token before it is active, or while the server has trouble, and the refusal is remembered for its
// owner. Inactive answers are remembered for a moment only, and trouble is not remembered at all.
func TestAttackIntrospectPoisonedByARefusal(t *testing.T) {
	long(t)
	s := prepare(t)
	s.attack(t, "before the server knows it", func(t *testing.T, a *attempt) {
		as := introspector(t)
		a.restart(gateFor(introspecting(as, "opaque", "negative_ttl 1s")))
		a.refusedFor(a.send("early"), "inactive")
		as.Introspect(always(active()))
		eventually(t, "it passes", func() bool {
			status, err := a.status("early")
			return err == nil && status == http.StatusOK
		})
		a.drain()
		a.passed(a.send("early"))
	})
	s.attack(t, "before its time", func(t *testing.T, a *attempt) {
		as := introspector(t)
		begin := time.Now().Truncate(time.Second).Add(2 * time.Second)
		as.Introspect(always(active("nbf", begin.Unix())))
		a.restart(gateFor("leeway 0s", introspecting(as, "opaque", "cache_ttl 5m", "negative_ttl 5m")))
		if got := a.send("early"); time.Now().Before(begin) {
			a.refusedFor(got, "not_yet_valid")
		}
		eventually(t, "it passes", func() bool {
			status, err := a.status("early")
			if err == nil && status == http.StatusOK && time.Now().Before(begin) {
				t.Fatal("it passed before its time")
			}
			return err == nil && status == http.StatusOK
		})
	})
	for name, answer := range map[string]tokentest.IntrospectionAnswer{
		"while the server is down": {Status: http.StatusServiceUnavailable},
		"while it answers rubbish": {Body: "inactive"},
		"while it has no verdict":  {Body: `{"active":null}`},
	} {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			as := introspector(t)
			as.Introspect(always(answer))
			a.restart(gateFor(introspecting(as, "opaque", "negative_ttl 5m")))
			if got := a.send("early"); got.StatusCode < 500 {
				t.Errorf("status %d", got.StatusCode)
			}
			as.Introspect(always(active()))
			a.passed(a.send("early"))
		})
	}
	// Then nobody uses the token for seconds, which is longer than inactive answers are ever remembered. The servers share
	// a gate, so that these seconds pass at the same time.
	answers := map[string]tokentest.IntrospectionAnswer{
		"while it refuses us":        {Status: http.StatusUnauthorized},
		"while it limits the number": {Status: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {"1"}}},
		"while it fails":             {Status: http.StatusInternalServerError},
	}
	servers, blocks := make(map[string]*tokentest.AS), []string{}
	early := func(name string) string { return strings.ReplaceAll(name, " ", "-") + "_early" }
	for name, answer := range answers {
		servers[name] = introspector(t)
		servers[name].Introspect(always(answer))
		prefix := strings.TrimSuffix(early(name), "early")
		blocks = append(blocks, introspecting(servers[name], "opaque", "negative_ttl 5m", "prefix "+prefix))
	}
	s.load(gateFor(blocks...))
	for name, as := range servers {
		if status, err := s.status(early(name)); err != nil || status < 500 {
			t.Errorf("%s: status %d, %v", name, status, err)
		}
		as.Introspect(always(active()))
		s.accepts(strings.Replace(early(name), "early", "another", 1))
	}
	for name := range answers {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			eventually(t, "it passes", func() bool {
				status, err := a.status(early(name))
				return err == nil && status == http.StatusOK
			})
		})
	}
}
