package integration

import (
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// Signed answers (RFC 9701) are verified with the issuer's keys. A plain answer does not count, nor does one for
// somebody else, an old one, or one of another type.
func TestIntrospectSignedAnswers(t *testing.T) {
	key, mallory := tokentest.NewKey(t, "ES256", "signed"), tokentest.NewKey(t, "ES256", "mallory").WithKID("signed")
	now := time.Now().Unix()
	var as *tokentest.AS
	signed := func(by *tokentest.Key, header map[string]any, changes ...any) tokentest.IntrospectionAnswer {
		payload := map[string]any{"iss": as.URL, "aud": "gateway", "iat": now, "token_introspection": active().Claims}
		for i := 0; i < len(changes); i += 2 {
			if payload[changes[i].(string)] = changes[i+1]; changes[i+1] == nil {
				delete(payload, changes[i].(string))
			}
		}
		typ := map[string]any{"typ": "token-introspection+jwt"}
		maps.Copy(typ, header)
		return tokentest.IntrospectionAnswer{Body: by.Sign(t, payload, typ),
			ContentType: "application/token-introspection+jwt"}
	}
	as = introspector(t, tokentest.WithKeys(key))
	s := start(t, gateForAudience(introspecting(as, "opaque", "signed", "negative_ttl 0s")))
	as.Introspect(always(signed(key, nil)))
	s.accepts("token")
	if got := as.IntrospectionRequests()[0].Header.Get("Accept"); got != "application/token-introspection+jwt" {
		t.Errorf("Accept %q", got)
	}
	as.Introspect(always(signed(key, nil, "token_introspection", map[string]any{"active": false})))
	s.refused(s.get("/", "revoked"), http.StatusUnauthorized, "inactive")
	for name, answer := range map[string]tokentest.IntrospectionAnswer{
		"plain":                  active(),
		"plain, claiming signed": {Body: `{"active":true}`, ContentType: "application/token-introspection+jwt"},
		"signed, claiming plain": {Body: signed(key, nil).Body},
		"another key":            signed(mallory, nil),
		"flipped": {Body: tokentest.FlipSignature(t, signed(key, nil).Body),
			ContentType: "application/token-introspection+jwt"},
		"alg none": {Body: key.SignRaw(`{"alg":"none","typ":"token-introspection+jwt"}`,
			`{"token_introspection":{"active":true}}`), ContentType: "application/token-introspection+jwt"},
		"an access token":    signed(key, map[string]any{"typ": "at+jwt"}),
		"no typ":             signed(key, map[string]any{"typ": nil}),
		"for another client": signed(key, nil, "aud", "other"),
		"of another issuer":  signed(key, nil, "iss", "https://other.example.com"),
		"old":                signed(key, nil, "iat", now-600),
		"without date":       signed(key, nil, "iat", nil),
		"active at the top":  signed(key, nil, "token_introspection", nil, "active", true),
	} {
		t.Run(name, func(t *testing.T) {
			as.Introspect(always(answer))
			s := s.in(t)
			a := s.get("/", "token-"+strings.ReplaceAll(strings.ReplaceAll(name, " ", "-"), ",", ""))
			if a.StatusCode != http.StatusBadGateway || a.Header.Get("WWW-Authenticate") != "" {
				t.Errorf("status %d, challenge %q", a.StatusCode, a.Header.Get("WWW-Authenticate"))
			}
			if n := len(s.upstream.take()); n != 0 {
				t.Error("it passed")
			}
		})
	}
}

// An answer does not count if it is signed with an algorithm that the issuer's tokens may not have. A reload that
// allows the algorithm makes another client, which does not keep the old settings.
func TestIntrospectSignedAnswersKeepToTheAlgorithms(t *testing.T) {
	weak, good := tokentest.NewKey(t, "RS256", "answers-rsa"), tokentest.NewKey(t, "ES256", "answers-ec")
	as := introspector(t, tokentest.WithKeys(weak, good))
	signedBy := func(by *tokentest.Key) tokentest.IntrospectionAnswer {
		return tokentest.IntrospectionAnswer{
			Body: by.Sign(t, map[string]any{
				"iss": as.URL, "aud": "gateway", "iat": time.Now().Unix(), "token_introspection": active().Claims,
			}, map[string]any{"typ": "token-introspection+jwt"}),
			ContentType: "application/token-introspection+jwt",
		}
	}
	gate := func(algorithms string) string {
		return gateForAudience(strings.Replace(introspecting(as, "opaque", "signed"), "introspect opaque",
			algorithms+"\nintrospect opaque", 1))
	}
	s := start(t, gate("algorithms ES256"))
	as.Introspect(always(signedBy(good)))
	s.accepts("first")
	as.Introspect(always(signedBy(weak)))
	s.ourFaultFor(s.get("/", "second"), http.StatusBadGateway, "introspection_failed", false)
	if !s.logged("introspection_failed", "RS256 is not allowed for this issuer; add it to", "or have the server sign") {
		t.Error("the log does not name the cure")
	}
	for _, wider := range []string{"algorithms ES256 RS256", ""} {
		s.load(gate(wider))
		s.accepts("second")
	}
}

// A server whose keys have no ids cannot announce a rotation. When no known key has signed an answer, the gate looks
// for others, as it does for a token.
func TestIntrospectSignedAnswersAfterARotationWithoutKeyIDs(t *testing.T) {
	as := introspector(t)
	s := start(t, gateForAudience(introspecting(as, "opaque", "signed")))
	for _, name := range []string{"first", "second"} {
		key := tokentest.NewKey(t, "ES256", name).WithKID("")
		as.SetKeys(key)
		payload := map[string]any{
			"iss": as.URL, "aud": "gateway", "iat": time.Now().Unix(), "token_introspection": active().Claims,
		}
		as.Introspect(always(tokentest.IntrospectionAnswer{
			Body:        key.Sign(t, payload, map[string]any{"typ": "token-introspection+jwt"}),
			ContentType: "application/token-introspection+jwt",
		}))
		s.accepts("token-" + name)
	}
}
