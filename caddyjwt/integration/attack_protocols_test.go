package integration

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// identityEverywhere is identitySite over HTTP/1.1, HTTP/2 and HTTP/3.
func identityEverywhere(t *testing.T, lines ...string) (s *site, ways []way, issuer string, key *tokentest.Key) {
	key = tokentest.NewKey(t, "ES256", "e1")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	after := ""
	if n := len(lines); n > 0 && strings.HasPrefix(lines[n-1], "handle_errors") {
		lines, after = lines[:n-1], "\n"+lines[n-1]
	}
	s, ways = startEverywhere(t,
		gateFor(append([]string{issuerByJWKS(as), consumerAlice(t), "forward_claims X-User sub",
			"forward_claims X-Roles roles"}, lines...)...)+after)
	return s, ways, as.URL, key
}

// by is the same attempt by another protocol.
func (a *attempt) by(w way) *attempt {
	other := *a
	other.site = a.in(a.t)
	other.client, other.base = w.client, strings.TrimSuffix(w.url, "/")
	return &other
}

// claimedInEverySpelling are all our headers in all spellings, as a client claims them.
func claimedInEverySpelling() []string {
	var fields []string
	for _, name := range managed {
		for _, spelling := range spellings(name) {
			fields = append(fields, spelling, "admin")
		}
	}
	return fields
}

// HTTP/2 and HTTP/3 deliver a request's headers in other ways than HTTP/1.1, and may lack a defence that was written
// for one protocol: CVE-2026-30851 and CVE-2026-52845 once more. By no protocol do the client's identity headers reach
// the backend, in any spelling, once or twice.
func TestAttackIdentityHeaderByEveryProtocol(t *testing.T) {
	s, ways, issuer, key := identityEverywhere(t)
	me, alice := key.Sign(t, issuedBy(issuer, "sub", "me")), hmacKey(t).Sign(t, claims())
	for _, way := range ways {
		for _, name := range managed {
			for _, spelling := range spellings(name) {
				s.attack(t, spelling+" by "+way.name, func(t *testing.T, a *attempt) {
					a = a.by(way)
					a.untouched(a.passed(a.send(me, spelling, "admin")), asMe)
					a.untouched(a.passed(a.send(alice, spelling, "admin", spelling, "root")), asAlice)
				})
			}
		}
		s.attack(t, "all at once, twice, by "+way.name, func(t *testing.T, a *attempt) {
			a = a.by(way)
			fields := append(claimedInEverySpelling(), claimedInEverySpelling()...)
			a.untouched(a.passed(a.send(me, fields...)), asMe)
			a.untouched(a.passed(a.send(alice, fields...)), asAlice)
		})
		for _, c := range "!#$%&'*+^`|~" {
			s.attack(t, "X"+string(c)+"User by "+way.name, func(t *testing.T, a *attempt) {
				a = a.by(way)
				a.untouched(a.passed(a.send(me, "X"+string(c)+"User", "admin", "X-Consumer"+string(c)+"Username", "admin")), asMe)
			})
		}
		s.attack(t, "the second request of a connection has no token, by "+way.name, func(t *testing.T, a *attempt) {
			a = a.by(way)
			a.untouched(a.passed(a.send(alice)), asAlice)
			a.refusedFor(a.get("/", "", "X-Consumer-Username", "alice"), "missing_token")
			a.untouched(a.passed(a.send(me)), asMe)
		})
	}
}

// Every protocol has trailers, and each server decides which of them a handler sees: CVE-2026-88004. No announced
// trailer reaches the backend as an identity, whether or not the length of the body is known before it.
func TestAttackIdentityTrailerByEveryProtocol(t *testing.T) {
	everywhere := func(t *testing.T, lines ...string) {
		s, ways, issuer, key := identityEverywhere(t, lines...)
		token := key.Sign(t, issuedBy(issuer, "sub", "me"))
		for _, way := range ways {
			for _, contentType := range []string{"text/plain", formType} {
				for _, length := range []int64{-1, 3} {
					s.attack(t, fmt.Sprintf("%s, %s, length %d", way.name, contentType, length), func(t *testing.T, a *attempt) {
						a = a.by(way)
						a.secret(token)
						r := a.request("POST", "/", io.NopCloser(strings.NewReader("a=1")), "Authorization", "Bearer "+token,
							"Content-Type", contentType)
						r.ContentLength = length
						r.Trailer = http.Header{"X-Sum": {"1"}, "X_user": {"admin"}, "x.user": {"admin"}}
						for _, name := range managed {
							r.Trailer.Set(name, "admin")
						}
						got := a.passed(a.do(r))
						a.untouched(got, asMe)
						if got.Body != "a=1" {
							t.Errorf("body %q at the upstream", got.Body)
						}
					})
				}
			}
			s.attack(t, "Authorization as a trailer, "+way.name, func(t *testing.T, a *attempt) {
				a = a.by(way)
				r := a.request("POST", "/", io.NopCloser(strings.NewReader("a=1")))
				r.Trailer = http.Header{"Authorization": {"Bearer " + token}, "X-Sum": {"1"}}
				response, err := a.client.Do(r)
				if err == nil { // the client or the server may refuse such a trailer by itself
					_ = response.Body.Close()
					if response.StatusCode < 400 {
						t.Errorf("status %d", response.StatusCode)
					}
				}
				a.nothingForwarded()
			})
		}
	}
	t.Run("token in a header", func(t *testing.T) { everywhere(t) })
	t.Run("token in a header or a form", func(t *testing.T) {
		everywhere(t, "token_from header Authorization", "token_from form jwt")
	})
}

// Where a request may pass without a token, by whatever protocol, it passes without the identity that the client gave
// itself: CVE-2026-30851.
func TestAttackIdentityHeaderWhereNoTokenIsNeededByEveryProtocol(t *testing.T) {
	guest := "consumer guest {\n}\nanonymous guest"
	for name, test := range map[string]struct {
		line   string
		want   map[string]string
		method string
		header []string
	}{
		"optional":  {"optional", nil, "GET", nil},
		"anonymous": {guest, asGuest, "GET", nil},
		"preflight": {"allow_preflight", nil, "OPTIONS",
			[]string{"Origin", "https://evil.example", "Access-Control-Request-Method", "GET"}},
		"preflight before anonymous": {guest + "\nallow_preflight", nil, "OPTIONS",
			[]string{"Origin", "https://evil.example", "Access-Control-Request-Method", "GET"}},
	} {
		t.Run(name, func(t *testing.T) {
			s, ways, issuer, key := identityEverywhere(t, test.line)
			for _, way := range ways {
				s.attack(t, "by "+way.name, func(t *testing.T, a *attempt) {
					a = a.by(way)
					a.untouched(a.passed(a.do(a.request(test.method, "/", nil, append(claimedInEverySpelling(), test.header...)...))),
						test.want)
					r := a.request("POST", "/", io.NopCloser(strings.NewReader("a")), "Content-Type", "text/plain")
					r.Trailer = http.Header{"X-User": {"admin"}, "X-Consumer-Username": {"admin"}, "X_consumer_username": {"admin"}}
					if test.method != "OPTIONS" {
						a.untouched(a.passed(a.do(r)), test.want)
					}
				})
				s.attack(t, "a bad token by "+way.name, func(t *testing.T, a *attempt) {
					a = a.by(way)
					a.refusedFor(a.send(key.Sign(t, issuedBy(issuer, "exp", 1)), claimedInEverySpelling()...), "expired")
				})
			}
		})
	}
}

// The backend of an error route gets a refused request by every protocol, and must neither believe nor be able to use
// what is in it.
func TestAttackIdentityHeaderOnErrorRoutesByEveryProtocol(t *testing.T) {
	pages := newUpstream(t)
	s, ways, issuer, key := identityEverywhere(t, "token_from header Authorization", "token_from query jwt",
		"token_from cookie jwt", "token_from form jwt",
		"handle_errors {\n reverse_proxy "+pages.addr()+"\n}")
	expired := key.Sign(t, issuedBy(issuer, "exp", 1))
	for _, way := range ways {
		for name, send := range map[string]func(a *attempt) answer{
			"no token":      func(a *attempt) answer { return a.get("/x?a=1", "", claimedInEverySpelling()...) },
			"in the header": func(a *attempt) answer { return a.get("/x?a=1", expired, claimedInEverySpelling()...) },
			"in the query":  func(a *attempt) answer { return a.get("/x?a=1&jwt="+expired, "", claimedInEverySpelling()...) },
			"in the cookie": func(a *attempt) answer {
				return a.get("/x?a=1", "", append(claimedInEverySpelling(), "Cookie", "jwt="+expired)...)
			},
			"in the form": func(a *attempt) answer { return a.form("/x?a=1", "jwt="+expired, claimedInEverySpelling()...) },
			"with trailers": func(a *attempt) answer {
				r := a.request("POST", "/x?a=1", io.NopCloser(strings.NewReader("a")), "Authorization", "Bearer "+expired,
					"Content-Type", "text/plain")
				r.Trailer = http.Header{"X-User": {"admin"}, "X-Consumer-Username": {"admin"}}
				return a.do(r)
			},
		} {
			s.attack(t, name+" by "+way.name, func(t *testing.T, a *attempt) {
				a = a.by(way)
				a.secret(expired)
				pages.take()
				got := send(a)
				a.nothingForwarded()
				if got.Header.Get("WWW-Authenticate") == "" {
					t.Error("no challenge in the answer")
				}
				seen := pages.take()
				if len(seen) != 1 {
					t.Errorf("%d requests reached the error page's backend, want 1", len(seen))
				}
				for _, page := range seen {
					a.untouched(page, nil)
					for _, piece := range pieces(expired) {
						if strings.Contains(fmt.Sprint(page), piece) {
							t.Errorf("the token reached the error page's backend: %v", page)
						}
					}
				}
			})
		}
	}
}
