package integration

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// A user chooses a name so that the backend reads another claim, or another header, in it.
func TestAttackClaimsInEncodings(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "e1")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	headers := map[string]string{"X-Json": "json", "X-Comma": "comma", "X-Base64": "base64url", "X-Percent": "percent"}
	for header, encoding := range headers {
		s := start(t, gateFor(issuerByJWKS(as), "forward_claims "+header+" name "+encoding))
		for name, text := range map[string]string{
			"a line end and a header": "a\r\nX-Admin: 1", "a line end alone": "a\nb", "NUL": "a\x00b",
			"a C1 control":     "a\u0085b",
			"a line separator": "a\u2028b", "a list in JSON": `["admin"]`, "an object in JSON": `{"admin":true}`,
			"a list after a blank": ` ["admin"]`, "a list after a byte order mark": "\ufeff[\"admin\"]",
			"two elements": "a,admin", "two elements and a blank": "a, admin", "a quoted element": `a","admin`,
			"an escaped comma": "a%2Cadmin", "an escaped quote": `a\",\"admin`, "a closing bracket": `a"],"admin":["`,
			"a placeholder": "{env.HOME}", "a long text": strings.Repeat("ü", 4<<10), "a long escape": strings.Repeat("\n",
				2<<10),
		} {
			s.attack(t, encoding+" "+name, func(t *testing.T, a *attempt) {
				got := a.send(key.Sign(t, issuedBy(as.URL, "name", text)), header, "admin", strings.ToLower(header)+"_",
					"admin")
				if got.StatusCode != http.StatusOK {
					a.refusedFor(got, "unsafe_claim")
					if encoding == "json" && len(text) < 4<<10 {
						t.Error("JSON can say any text")
					}
					return
				}
				seen := a.passed(got)
				if seen.Header["X-Admin"] != nil {
					t.Errorf("the claim became a header: %q", seen.Header)
				}
				values := seen.Header[header]
				if len(values) != 1 || readAs(t, encoding, values[0]) != text {
					t.Errorf("%q at the backend, which does not say %q", values, text)
				}
			})
		}
	}
}

// A client hides a second token among the subprotocols of a WebSocket, has the gate and the backend read different
// ones, or has a token reflected in the answer.
func TestAttackSubprotocolsReadInTwoWays(t *testing.T) {
	s := start(t, gateFor(consumerAlice(t), "token_from header Authorization", "token_from websocket_protocol",
		"token_from websocket_protocol "+kubernetesMarker, "optional"))
	s.upstream.opensWebSockets(func(offered []string) string { return strings.Join(offered, ", ") })
	token := hmacKey(t).Sign(t, claims())
	other := hmacKey(t).Sign(t, claims("sub", "mallory"))
	protocol := func(value string) string { return "Sec-WebSocket-Protocol: " + value }
	for name, lines := range map[string][]string{
		"two markers":                      {offering("bearer", token, "bearer", other)},
		"two markers with one token":       {offering("bearer", token, "bearer", token)},
		"two kinds of markers":             {offering("bearer", token, kubernetesMarker+b64(other))},
		"the marker as the token":          {offering("bearer", "bearer", token)},
		"a marker of another kind between": {offering("bearer", kubernetesMarker+b64(other), token)},
		"the token again":                  {offering("bearer", token, token)},
		"the token before the marker":      {offering(token, "bearer", token)},
		"a token in Authorization as well": {offering("bearer", token), "Authorization: Bearer " + other},
		"the same in Authorization":        {offering("bearer", token), "Authorization: Bearer " + token},
		"no token":                         {offering("chat", "bearer")},
		"no token in base64url":            {offering(kubernetesMarker, "chat")},
		"another case":                     {offering("BEARER", token)},
		"another case of the prefix":       {offering(strings.ToUpper(kubernetesMarker) + b64(token))},
		"two fields":                       {protocol("bearer"), protocol(token)},
		"two fields, one without a token":  {protocol("chat"), offering("bearer", token)},
		"a folded line":                    {protocol("bearer,\r\n " + token)},
		"an empty name between":            {protocol("bearer, , " + token)},
		"an empty name at the end":         {protocol("bearer, " + token + ",")},
		"quotes around both":               {protocol(`"bearer, ` + token + `"`)},
		"quotes around the token":          {protocol(`bearer, "` + token + `"`)},
		"a blank for the comma":            {protocol("bearer " + token)},
		"a tab for the comma":              {protocol("bearer\t" + token)},
		"a parameter":                      {protocol("bearer, " + token + ";v=1")},
		"padding":                          {protocol(kubernetesMarker + b64(token) + "==")},
		"base64 with a slash":              {protocol(kubernetesMarker + b64(token) + "/w")},
		"a list in base64url":              {offering(kubernetesMarker + b64(token+","+other))},
		"a line end in base64url":          {offering(kubernetesMarker + b64(token+"\r\nX-Admin: 1"))},
		"a field with another spelling":    {offering("bearer", token), "Sec_WebSocket_Protocol: bearer, " + other},
		"a dot in the field's name":        {offering("bearer", token), "Sec.WebSocket.Protocol: bearer, " + other},
		"65 names":                         {offering("bearer", token, strings.Repeat("x, ", 62)+"x")},
	} {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			a.secret(token)
			a.secret(other)
			got := a.raw(opening("/ws", lines...))
			if got.StatusCode == http.StatusSwitchingProtocols {
				// Caddy itself drops fields with "_" or "." in their names, and joins folded lines.
				chosen := got.Header.Get("Sec-WebSocket-Protocol")
				requests := a.upstream.take()
				if len(requests) != 1 || requests[0].Header["X-Consumer-Username"][0] != "alice" || chosen != "bearer" {
					t.Errorf("it passed as %v, with %q", requests, chosen)
				}
				return
			}
			if got.Header["Www-Authenticate"] == nil && got.StatusCode == http.StatusBadRequest {
				a.nothingForwarded() // refused by Go's server
				return
			}
			a.refusedFor(got, "malformed_request")
		})
	}
	for name, request := range map[string]string{
		"no Upgrade":          "GET / HTTP/1.1\r\n",
		"no Connection":       "GET / HTTP/1.1\r\nUpgrade: websocket\r\n",
		"POST":                "POST / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 0\r\n",
		"two offers":          "GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket, foo\r\n",
		"an offer of HTTP/2":  "GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n",
		"named in Connection": "GET / HTTP/1.1\r\nConnection: Sec-WebSocket-Protocol\r\nUpgrade: websocket\r\n",
	} {
		s.attack(t, "no WebSocket: "+name, func(t *testing.T, a *attempt) {
			a.secret(token)
			a.refusedFor(a.raw(request+"Host: gate.test\r\n"+offering("bearer", token)+"\r\n\r\n"), "malformed_request")
		})
	}
}

// A page sends a token that is no good, in any form: it is refused as in Authorization, and does not reach an error
// route's backend either.
func TestAttackSubprotocolWithABadToken(t *testing.T) {
	s := prepare(t)
	backend := "\treverse_proxy " + s.upstream.addr()
	s.loadFile(strings.Replace(s.caddyfile(gateFor(consumerAlice(t), "token_from websocket_protocol",
		"token_from websocket_protocol "+kubernetesMarker)), backend, backend+"\n\thandle_errors {\n\t"+backend+"\n\t}", 1))
	for name, c := range map[string]struct{ token, reason string }{
		"expired":           {hmacKey(t).Sign(t, claims("exp", 1000)), "expired"},
		"a bad signature":   {tokentest.FlipSignature(t, hmacKey(t).Sign(t, claims())), "invalid_signature"},
		"of nobody":         {hmacKey(t).Sign(t, claims("iss", "nobody")), "unknown_issuer"},
		"no JWT":            {"opaque-token", "malformed_token"},
		"without signature": {forged(`{"alg":"none"}`, `{"iss":"alice-key"}`, nil), "malformed_token"},
	} {
		for form, offer := range map[string][]string{
			"marked": {"chat", "bearer", c.token}, "as Kubernetes has it": {kubernetesMarker + b64(c.token), "chat2"},
		} {
			s.attack(t, name+", "+form, func(t *testing.T, a *attempt) {
				a.secret(c.token)
				got := a.raw(opening("/ws", offering(offer...)))
				if reason := a.reason(); reason != c.reason { // the status is that of the error route
					t.Errorf("reason %s, want %s", reason, c.reason)
				}
				requests := a.upstream.take() // from the error route
				if len(requests) != 1 {
					t.Fatalf("%d requests at the error route", len(requests))
				}
				for _, protocols := range requests[0].Header["Sec-Websocket-Protocol"] {
					if strings.Contains(protocols, c.token) || strings.Contains(protocols, b64(c.token)) {
						t.Errorf("%q reached the error route", protocols)
					}
				}
				a.revealsNothing(got)
			})
		}
	}
}

// readAs is the one string that a backend reads in a header, by the encoding that it expects.
func readAs(t *testing.T, encoding, value string) string {
	t.Helper()
	parts := strings.Split(value, ",")
	switch {
	case encoding == "json":
		var text string
		if err := json.Unmarshal([]byte(value), &text); err != nil {
			t.Fatalf("%s is no string: %v", value, err)
		}
		return text
	case encoding == "base64url":
		text, err := base64.RawURLEncoding.Strict().DecodeString(value)
		if err != nil || json.Valid(text) {
			t.Fatalf("%s is no text: %v", text, err)
		}
		return string(text)
	case len(parts) > 1, encoding == "percent" && strings.ContainsAny(value[:1], "[{"):
		t.Fatalf("%s is a list", value)
	case encoding == "percent":
		text, err := url.PathUnescape(value)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	return strings.TrimSpace(value)
}

// A page of another site opens a WebSocket in the browser of a user, whose cookie goes with it. It offers subprotocols
// of its own, so that its token counts in place of the user's, or the user's in place of none. Where there are two
// tokens, the clock must not decide which of them counts: an expired cookie is no token only when it is alone.
func TestAttackSubprotocolBesideACookie(t *testing.T) {
	good, old := hmacKey(t).Sign(t, claims()), hmacKey(t).Sign(t, claims("exp", 1000))
	s := start(t, gateFor(consumerAlice(t), "token_from cookie c", "token_from websocket_protocol", "optional expired",
		"forward_token"))
	s.upstream.opensWebSockets(nil)
	const foreign, own = "Origin: https://evil.example\r\nSec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-origin"
	for name, c := range map[string]struct {
		lines  []string
		status int
		reason string
	}{
		"a cookie, and a token of the page": {
			[]string{foreign, "Cookie: c=" + good, offering("bearer", good)}, 400, "malformed_request"},
		"an expired cookie, and a token of the page": {
			[]string{foreign, "Cookie: c=" + old, offering("bearer", good)}, 400, "malformed_request"},
		"a cookie, and a marker alone": {
			[]string{foreign, "Cookie: c=" + good, offering("bearer")}, 400, "malformed_request"},
		"a cookie": {
			[]string{foreign, "Cookie: c=" + good, offering("chat")}, 403, "cross_origin"},
		"an expired cookie": {
			[]string{foreign, "Cookie: c=" + old, offering("chat")}, 403, "cross_origin"},
		"an expired token of the page": {
			[]string{foreign, offering("bearer", old)}, 401, "expired"},
		"an emptied cookie, and an expired token": {
			[]string{own, "Cookie: c=", offering("bearer", old)}, 401, "expired"},
	} {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			a.secret(good)
			a.secret(old)
			got := a.raw(opening("/ws", c.lines...))
			if reason := a.reason(); got.StatusCode != c.status || reason != c.reason {
				t.Errorf("status %d, reason %s; want %d, %s", got.StatusCode, reason, c.status, c.reason)
			}
			a.nothingForwarded()
			a.revealsNothing(got)
		})
	}
	for name, c := range map[string]struct {
		lines []string
		user  string
	}{
		"a token of a page anywhere":         {[]string{foreign, offering("bearer", good)}, "alice"},
		"an emptied cookie beside a token":   {[]string{own, "Cookie: c=", offering("bearer", good)}, "alice"},
		"an expired cookie of the same site": {[]string{own, "Cookie: c=" + old, offering("chat")}, ""},
	} {
		s.attack(t, "control: "+name, func(t *testing.T, a *attempt) {
			if _, at := a.openWebSocket(t, opening("/ws", c.lines...)); at.Header.Get("X-Consumer-Username") != c.user ||
				strings.Contains(at.Header.Get("Cookie"), old) {
				t.Errorf("the backend got %q", at.Header)
			}
		})
	}
}
