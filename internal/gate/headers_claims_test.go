package gate_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/bearer"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

func TestClaimAsHeader(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	g := build(t, key, forward(t, "v", "x-value"))
	for name, c := range map[string]struct {
		claim string // JSON
		want  string // empty: no header
		bad   bool
	}{
		"a string":                   {`"alice"`, "alice", false},
		"a number":                   {`7.50`, "7.50", false},
		"a boolean":                  {`false`, "false", false},
		"null":                       {`null`, "", false},
		"an empty string":            {`""`, "", false},
		"an array of strings":        {`["a","b"]`, "a,b", false},
		"a text with a comma":        {`"a,admin"`, "a%2Cadmin", false},
		"a text like an array":       {`"[\"admin\"]"`, "%5B%22admin%22]", false},
		"an element with a comma":    {`["a","b,admin"]`, "a,b%2Cadmin", false},
		"an element like an array":   {`["[\"admin\"]"]`, "%5B%22admin%22]", false},
		"blanks before an element":   {`["a"," admin"]`, "a,%20admin", false},
		"blanks after an element":    {`["admin ","b"]`, "admin%20,b", false},
		"an element of blanks":       {`["a"," "]`, "a,%20", false},
		"an empty element":           {`["a",""]`, `["a",""]`, false},
		"an escape of a blank":       {`"%20admin"`, "%2520admin", false},
		"8 KiB":                      {`"` + strings.Repeat("a", 8<<10) + `"`, strings.Repeat("a", 8<<10), false},
		"8 KiB and a byte":           {`"` + strings.Repeat("a", 8<<10+1) + `"`, "", true},
		"8 KiB by percent-encoding":  {`"` + strings.Repeat("a", 8<<10-1) + `,"`, "", true},
		"a long array":               {`[` + strings.Repeat(`",",`, 2100) + `"a"]`, "", true},
		"blanks inside an element":   {`["a b","c"]`, "a b,c", false},
		"an array of numbers":        {`[1, 2]`, "[1,2]", false},
		"an empty array":             {`[]`, "[]", false},
		"an object":                  {`{"a": 1}`, `{"a":1}`, false},
		"UTF-8":                      {`"Zoë 箱"`, "Zoë 箱", false},
		"an escape":                  {`"a\u00e9"`, "aé", false},
		"blanks at the ends":         {`" admin "`, "%20admin%20", false},
		"nothing but blanks":         {`"  "`, "%20%20", false},
		"blanks inside":              {`"a b"`, "a b", false},
		"a placeholder":              {`"{env.SECRET}"`, "%7Benv.SECRET}", false},
		"a line break":               {`"a\r\nX-Admin: 1"`, "", true},
		"a line break in an array":   {`["a","b\nc"]`, "", true},
		"a line break in an object":  {`{"a":"\n"}`, `{"a":"\n"}`, false}, // stays escaped
		"a tab":                      {`"a\tb"`, "", true},
		"NUL":                        {`"a\u0000"`, "", true},
		"DEL":                        {`"a\u007f"`, "", true},
		"a C1 control":               {`"a\u0085b"`, "", true},
		"a raw C1 control, in JSON":  {"{\"a\":\"\u0085\"}", "", true},
		"a line separator":           {`"a\u2028b"`, "", true},
		"a no-break space at an end": {`"\u00a0a"`, "%C2%A0a", false},
	} {
		t.Run(name, func(t *testing.T) {
			token := key.SignRaw(`{"alg":"ES256","kid":"k1"}`,
				`{"iss":"`+issuerA+`","aud":"`+api+`","exp":1795435999,"sub":"s","v":`+c.claim+`}`)
			r := request(token)
			r.Header["X_value"] = []string{"forged"}
			id := accepted(t, g, r)
			g.Strip(r)
			err := g.Annotate(r, id)
			if c.bad {
				f := gate.FailureOf(err)
				if err == nil || f.Reason != gate.UnsafeClaim || strings.Contains(explain(f), "X-Admin") || len(explain(f)) > 200 {
					t.Fatalf("error %v, want %v with nothing of the claim", err, gate.UnsafeClaim)
				}
				if !strings.Contains(explain(f), "claim v") {
					t.Errorf("%s: does not name the claim", explain(f))
				}
				return
			}
			if err != nil {
				t.Fatal(explain(gate.FailureOf(err)))
			}
			want := http.Header{}
			if c.want != "" {
				want["X-Value"] = []string{c.want}
			}
			same(t, r.Header, want)
		})
	}
}

// A refused request may still reach the backend of an error route. It must not look like one that was accepted.
func TestUnsafeClaimLeavesNoIdentityBehind(t *testing.T) {
	key := tokentest.NewKey(t, "HS256", "s")
	g := build(t, key, forward(t, "sub", "X-User", "v", "X-Value"), func(c *gate.Config) {
		c.Consumers = []gate.Consumer{consumer(t, "shop", "shop-key", key)}
	})
	r := request(key.Sign(t, says(m{"iss": "shop-key", "v": "a\nb"})))
	id := accepted(t, g, r)
	g.Strip(r)
	if err := g.Annotate(r, id); gate.FailureOf(err).Reason != gate.UnsafeClaim {
		t.Fatalf("error %v, want %v", err, gate.UnsafeClaim)
	}
	same(t, r.Header, http.Header{})
}

func TestForwardClaimMistakes(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	for want, names := range map[string][]string{
		"only letters, digits and hyphens": {"", "X User", "X_User", "X.User", "X-Üser", "X:", "X\r\nY"},
		"begins and ends with a letter":    {"-", "-X-User", "X-User-"},
		"at most 63 characters":            {strings.Repeat("x", 64)},
		"already taken": {
			"X-Consumer-ID", "x-consumer-username", "X-CONSUMER-GROUPS", "X-Credential-Identifier", "X-Anonymous-Consumer",
			"X-Taken", "x-taken",
		},
		"the token is taken from that header": {"X-Access-Token", "x-access-token"},
		"has a meaning of its own in HTTP": {
			"Host", "Content-Length", "Content-Type", "If-Match", "Accept-Language", "User-Agent", "Expect", "Date", "Range",
			"Access-Control-Request-Method", "HTTP2-Settings",
		},
		"never arrives at the backend": {
			"connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authorization", "TE", "Trailer", "transfer-encoding",
			"Upgrade", "Alt-Svc",
		},
		"for credentials":          {"Authorization", "Cookie", "X-Forwarded-Access-Token"},
		"RFC 9449":                 {"DPoP", "dpop"},
		"for the client's address": {"X-Forwarded-For", "X-Real-IP", "CF-Connecting-IP", "True-Client-IP", "X-Client-IP"},
		"came through proxies": {
			"Forwarded", "Via", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port", "x-forwarded-prefix",
			"X-Forwarded-Server", "X-Forwarded-Scheme", "X-Forwarded-Uri", "X-Forwarded-Method", "X-Forwarded-Ssl",
			"X-Forwarded-Client-Cert", "X-Forwarded-Users",
		},
		"of a client certificate":   {"Client-Cert", "X-SSL-Client-Verify", "SSL-Client-Cert"},
		"that was asked for":        {"X-Original-URL", "X-Rewrite-URL", "X-Original-Host"},
		"the method of the request": {"X-HTTP-Method", "X-HTTP-Method-Override", "X-Method-Override"},
		"HTTP_PROXY":                {"Proxy"},
		"browsers and to WebSocket": {"Sec-WebSocket-Protocol", "Sec-WebSocket-Key", "Sec-Fetch-Site", "Origin"},
		"it belongs to tracing":     {"Traceparent"},
	} {
		for _, name := range names {
			t.Run(name, func(t *testing.T) {
				_, err := gate.New(config(t, key, forward(t, "a", "X-Taken", "sub", name), func(c *gate.Config) {
					c.Extractor = extractor(t, bearer.DefaultPlace, bearer.Place{Kind: bearer.Header, Name: "X-Access-Token"})
				}))
				if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "forward_claims ") {
					t.Errorf("error %v, want %q", err, want)
				}
			})
		}
	}
	for _, name := range []string{
		"X-Forwarded-User", "X-Forwarded-Email", "X-Forwarded-Groups", "X-Forwarded-Preferred-Username", "x-forwarded-user",
		"Remote-User", "X-WEBAUTH-USER", "X-Auth-Request-Email", "From", "X-Request-Id", "Secure-User",
	} {
		if _, err := gate.New(config(t, key, forward(t, "sub", name))); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	longest := strings.Repeat("x", 63)
	if _, err := gate.New(config(t, key, forward(t, "sub", longest))); err != nil {
		t.Errorf("a name of 63 characters: %v", err)
	}
}
