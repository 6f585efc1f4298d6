package bearer_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/bearer"
)

// A place that can never hold a bearer token is refused. The error gives the reason, and says what to write instead.
func TestPlacesThatHoldNoBearerTokenAreRefused(t *testing.T) {
	for name, test := range map[string]struct {
		header, scheme string
		why, cure      string
	}{
		"a token with a proof":       {"Authorization", "DPoP", "RFC 9449 section 7.1", `write "proof dpop"`},
		"one in any case":            {"authorization", "dpop", "RFC 9449 section 7.1", `write "proof dpop"`},
		"one in a header of its own": {"X-Token", "DPoP", "RFC 9449 section 7.1", `write "proof dpop"`},
		"the proof itself":           {"DPoP", "", "RFC 9449 section 4.1", `write "proof dpop"`},
		"a token with another proof": {"Authorization", "GNAP", "RFC 9635 section 7.2", "use the scheme Bearer"},
		"a user and a password":      {"Authorization", "Basic", "RFC 7617", "use the scheme Bearer"},
		"credentials for a proxy":    {"Proxy-Authorization", "", "RFC 9110 section 11.7", "use Authorization"},
		"the same with the scheme": {"proxy-authorization", "Bearer", "RFC 9110 section 11.7",
			"use Authorization"},
		"subprotocols of a WebSocket":       {"Sec-WebSocket-Protocol", "", "RFC 6455 section 1.9", "query <name>"},
		"another field that browsers write": {"sec-fetch-site", "", "browsers set Sec-*", "cookie <name>"},
		"cookies":                           {"Cookie", "", "a place of their own", "cookie <name>"},
		"what steers the message":           {"transfer-encoding", "", "the server needs it", "a header of your own"},
	} {
		t.Run(name, func(t *testing.T) {
			place := bearer.Place{Kind: bearer.Header, Name: test.header, Scheme: test.scheme}
			_, err := bearer.NewExtractor(bearer.Options{Places: []bearer.Place{place}})
			if err == nil {
				t.Fatalf("%v is accepted", place)
			}
			if !strings.Contains(err.Error(), test.why) || !strings.Contains(err.Error(), test.cure) {
				t.Errorf("%q says not both: %q, %q", err, test.why, test.cure)
			}
		})
	}
}

// A place that only looks similar is accepted.
func TestPlacesThatLookSimilarAreAccepted(t *testing.T) {
	for _, place := range []bearer.Place{
		{Kind: bearer.Header, Name: "Security-Token"}, {Kind: bearer.Header,
			Name: "X-DPoP"}, {Kind: bearer.Header, Name: "Token"},
		{Kind: bearer.Header, Name: "Authorization", Scheme: "Token"},
		{Kind: bearer.Header, Name: "X-Forwarded-Authorization", Scheme: "Bearer"},
		{Kind: bearer.Query, Name: "dpop"}, {Kind: bearer.Cookie, Name: "Proxy-Authorization"},
	} {
		if _, err := bearer.NewExtractor(bearer.Options{Places: []bearer.Place{place}}); err != nil {
			t.Errorf("%v: %v", place, err)
		}
	}
}

// With proofs, the scheme DPoP has a place of its own, which no other place can take.
func TestPlaceOfDPoP(t *testing.T) {
	authorization := func(scheme string) bearer.Place {
		return bearer.Place{Kind: bearer.Header, Name: "Authorization", Scheme: scheme}
	}
	for name, test := range map[string]struct {
		places []bearer.Place
		want   string // the places in effect; or the mistake, which begins with "token place"
	}{
		"by default":      {nil, "[header Authorization Bearer header Authorization DPoP]"},
		"beside a cookie": {[]bearer.Place{{Kind: bearer.Cookie, Name: "t"}}, "[cookie t header Authorization DPoP]"},
		"beside other schemes": {[]bearer.Place{authorization("Token")},
			"[header Authorization Token header Authorization DPoP]"},
		"not without a scheme": {[]bearer.Place{authorization("")}, "token place header Authorization DPoP"},
	} {
		t.Run(name, func(t *testing.T) {
			e, err := bearer.NewExtractor(bearer.Options{Places: test.places, DPoP: true})
			if strings.HasPrefix(test.want, "token place") {
				if err == nil || !strings.HasPrefix(err.Error(), test.want) {
					t.Errorf("%v", err)
				}
				return
			}
			if err != nil || fmt.Sprint(e.Places()) != test.want {
				t.Errorf("%v, %v", e.Places(), err)
			}
		})
	}
}

func TestHeaderThatCannotHoldAnything(t *testing.T) {
	for name, fit := range map[string]bool{"Client-Cert": true, "x-ssl-cert": true, "host": false, "DPoP": false,
		"Cookie": false} {
		if why := bearer.UnfitHeader(name); (why == "") != fit {
			t.Errorf("%s: %q", name, why)
		}
	}
}
