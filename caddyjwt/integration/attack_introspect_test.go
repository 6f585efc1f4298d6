package integration

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// askedAt is a gate that asks whatever answers at an address about every token.
func askedAt(endpoint string, lines ...string) string {
	return gateFor(issuerWithKeys("https://as.example.com", "none",
		"introspect opaque {\nendpoint "+endpoint+"\nauth_method none\n"+
			strings.Join(lines, "\n")+"\n}"))
}

// The server answers with an "active" that some readers take for true: a text, a number, a list, the last of two. Only
// a boolean is a verdict (RFC 7662 section 2.2). Everything else is the server's fault, not the token's.
func TestAttackIntrospectActiveMustBeABoolean(t *testing.T) {
	s := prepare(t)
	for name, body := range map[string]string{
		"text":                  `{"active":"true"}`,
		"text in capitals":      `{"active":"TRUE"}`,
		"number":                `{"active":1}`,
		"null":                  `{"active":null}`,
		"missing":               `{"sub":"mallory"}`,
		"list":                  `{"active":[true]}`,
		"object":                `{"active":{"active":true}}`,
		"another case":          `{"Active":true}`,
		"twice, true last":      `{"active":false,"active":true}`,
		"twice, true first":     `{"active":true,"active":false}`,
		"twice, once escaped":   `{"active":false,"\u0061ctive":true}`,
		"inside another object": `{"token_introspection":{"active":true}}`,
		"a list of answers":     `[{"active":true}]`,
		"an answer as text":     `"{\"active\":true}"`,
		"true alone":            `true`,
		"two answers":           `{"active":true}{"active":true}`,
		"more behind it":        `{"active":true} false`,
		"a form":                `active=true`,
		"a token of UserInfo's": `{"sub":"mallory","aud":"` + audience + `"}`,
		"Google's tokeninfo":    `{"aud":"` + audience + `","user_id":"1","expires_in":3000}`,
	} {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			as := introspector(t)
			as.Introspect(always(tokentest.IntrospectionAnswer{Body: body}))
			a.restart(gateFor(introspecting(as, "opaque")))
			for range 3 { // nothing of it is remembered
				a.ourFault(a.send("opaque"), http.StatusBadGateway)
			}
			if n := len(as.IntrospectionRequests()); n != 3 {
				t.Errorf("the server was asked %d times", n)
			}
		})
	}
}

// The endpoint fails. A gate that takes this for "not active" locks everybody out, and one that takes it for "active"
// lets everybody in (RFC 7662 section 2.3). It is neither: the status says whose trouble it is, and the next answer
// counts.
func TestAttackIntrospectFailureIsReadAsAVerdict(t *testing.T) {
	s := prepare(t)
	const yes = `{"active":true,"sub":"mallory","aud":"` + audience + `"}`
	answer := func(status int) func(*tokentest.AS) {
		return func(as *tokentest.AS) {
			as.Introspect(always(tokentest.IntrospectionAnswer{Status: status, Body: yes}))
		}
	}
	for name, trouble := range map[string]struct {
		make   func(*tokentest.AS)
		status int
	}{
		"201":                    {answer(201), 502},
		"202":                    {answer(202), 502},
		"206":                    {answer(206), 502},
		"302":                    {answer(302), 502},
		"400":                    {answer(400), 502},
		"401":                    {answer(401), 502},
		"403":                    {answer(403), 502},
		"404":                    {answer(404), 502},
		"429":                    {answer(429), 503},
		"500":                    {answer(500), 503},
		"502":                    {answer(502), 503},
		"503":                    {answer(503), 503},
		"our secret was changed": {func(as *tokentest.AS) { as.SetClient("gateway", "another") }, 502},
		"no answer":              {func(as *tokentest.AS) { as.Stall() }, 504},
		"nobody there":           {func(as *tokentest.AS) { as.Down() }, 503},
		"a page that says active": {func(as *tokentest.AS) {
			as.Introspect(always(tokentest.IntrospectionAnswer{Body: yes, ContentType: "text/html"}))
		}, 502},
		"a text that says active": {func(as *tokentest.AS) {
			as.Introspect(always(tokentest.IntrospectionAnswer{Body: yes, ContentType: "text/plain"}))
		}, 502},
		"an answer without a type": {func(as *tokentest.AS) {
			as.Introspect(always(tokentest.IntrospectionAnswer{Body: yes, Header: http.Header{"Content-Type": nil}}))
		}, 502},
		"an answer with two types": {func(as *tokentest.AS) {
			as.Introspect(always(tokentest.IntrospectionAnswer{Body: yes,
				Header: http.Header{"Content-Type": {"application/json", "text/html"}}}))
		}, 502},
		"half an answer": {func(as *tokentest.AS) {
			as.Introspect(always(tokentest.IntrospectionAnswer{Body: yes[:len(yes)-1]}))
		}, 502},
		"an answer in UTF-16": {func(as *tokentest.AS) {
			as.Introspect(always(tokentest.IntrospectionAnswer{Body: "\xff\xfe{\x00"}))
		}, 502},
		"an answer nobody can read": {func(as *tokentest.AS) {
			as.Introspect(always(tokentest.IntrospectionAnswer{Body: yes, Header: http.Header{"Content-Encoding": {"br"}}}))
		}, 502},
	} {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			as := introspector(t)
			as.Introspect(always(active()))
			timeout := "30s" // a slow machine must not look like a slow server
			if trouble.status == http.StatusGatewayTimeout {
				timeout = "1s"
			}
			a.restart(gateFor(introspecting(as, "opaque", "endpoint "+as.IntrospectionURL(), "timeout "+timeout,
				"negative_ttl 0s")))
			trouble.make(as)
			a.ourFault(a.send("opaque"), trouble.status)
			a.ourFault(a.send("opaque"), trouble.status)
			as.Down() // ends a stall, too
			as.Up()
			as.SetClient("gateway", gatewaySecret)
			as.Introspect(always(active()))
			a.passed(a.send("opaque"))
			as.Introspect(always(tokentest.IntrospectionAnswer{}))
			a.refusedFor(a.send("another"), "inactive")
		})
	}
}

// The server answers about another token: of another issuer, service, client or kind. An answer must keep the same
// rules as a token, and must agree with what the token itself says.
func TestAttackIntrospectAnswerAboutAnotherToken(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "another")
	now := time.Now().Unix()
	s := prepare(t)
	for name, test := range map[string]struct {
		changes []any
		reasons []string
		jwtOnly bool // an opaque token says nothing that could be contradicted
	}{
		"another issuer":          {[]any{"iss", "https://other.example.com"}, []string{"invalid_issuer"}, false},
		"the issuer with a slash": {[]any{"iss", "https://as.example.com/"}, []string{"invalid_issuer"}, false},
		"another audience": {[]any{"aud", "https://other.example.com"}, []string{"invalid_audience", "contradiction"},
			false},
		"an audience in part": {[]any{"aud", audience + ".example.com"}, []string{"invalid_audience", "contradiction"},
			false},
		"another client":           {[]any{"client_id", "other"}, []string{"claim_mismatch", "contradiction"}, false},
		"another subject":          {[]any{"sub", "bob"}, []string{"contradiction"}, true},
		"a refresh token":          {[]any{"token_type", "refresh_token"}, []string{"invalid_type"}, false},
		"a refresh token's use":    {[]any{"token_use", "refresh_token"}, []string{"invalid_type"}, false},
		"an ID token":              {[]any{"token_use", "id"}, []string{"invalid_type"}, false},
		"a token of another type":  {[]any{"token_type", "mac"}, []string{"invalid_type"}, false},
		"one bound by its type":    {[]any{"token_type", "DPoP"}, []string{"proof_required"}, false},
		"a token bound to a key":   {[]any{"cnf", map[string]any{"jkt": "x"}}, []string{"proof_required"}, false},
		"bound to a certificate":   {[]any{"cnf", map[string]any{"x5t#S256": "x"}}, []string{"proof_required"}, false},
		"bound in an unknown way":  {[]any{"cnf", map[string]any{"x": 1}}, []string{"proof_required"}, false},
		"bound to nothing":         {[]any{"cnf", map[string]any{}}, []string{"proof_required"}, false},
		"not yet valid":            {[]any{"nbf", now + 600}, []string{"not_yet_valid"}, false},
		"issued in the future":     {[]any{"iat", now + 600}, []string{"not_yet_valid"}, false},
		"with less scope":          {[]any{"scope", "write"}, []string{"insufficient_scope"}, false},
		"with a scope of its case": {[]any{"scope", "READ"}, []string{"insufficient_scope"}, false},
	} {
		for mode, token := range map[string]func(as *tokentest.AS) string{
			"opaque": func(*tokentest.AS) string { return "opaque" },
			"always": func(as *tokentest.AS) string {
				return key.Sign(t, issuedBy(as.URL, "client_id", "app", "scope", "read"))
			},
		} {
			if test.jwtOnly && mode == "opaque" {
				continue
			}
			s.attack(t, mode+": "+name, func(t *testing.T, a *attempt) {
				as := introspector(t, tokentest.WithKeys(key))
				a.restart(gateFor("require scope read", "require claim client_id app", introspecting(as, mode)))
				same := []any{"sub", "alice", "client_id", "app", "scope", "read"}
				as.Introspect(always(active(append(same, test.changes...)...)))
				token := token(as)
				for range 3 { // the answer is remembered, and judged again
					a.refusedFor(a.send(token), test.reasons...)
				}
				if n := len(as.IntrospectionRequests()); n != 1 {
					t.Errorf("the server was asked %d times", n)
				}
			})
		}
	}
}

// Answers must be signed (RFC 9701). Somebody on the way, or the server itself, gives a plain one, an old one, or one
// for somebody else. The gate takes none of them.
func TestAttackIntrospectSignedAnswerIsDowngraded(t *testing.T) {
	key, mallory := tokentest.NewKey(t, "ES256", "signed"), tokentest.NewKey(t, "ES256", "mallory").WithKID("signed")
	as := introspector(t, tokentest.WithKeys(key))
	now := time.Now().Unix()
	const signedType = "application/token-introspection+jwt"
	sign := func(by *tokentest.Key, typ any, changes ...any) tokentest.IntrospectionAnswer {
		payload := issuedBy(as.URL,
			append([]any{"aud", "gateway", "iat", now, "token_introspection", active().Claims}, changes...)...)
		return tokentest.IntrospectionAnswer{Body: by.Sign(t, payload, map[string]any{"typ": typ}), ContentType: signedType}
	}
	const typ = "token-introspection+jwt"
	good := sign(key, typ)
	s := prepare(t)
	s.attack(t, "control: a good one", func(t *testing.T, a *attempt) {
		as.Introspect(always(good))
		a.restart(gateFor(introspecting(as, "opaque", "signed")))
		a.passed(a.send("opaque"))
	})
	for name, answer := range map[string]tokentest.IntrospectionAnswer{
		"plain":                active(),
		"plain, called signed": {Body: asJSON(t, active().Claims), ContentType: signedType},
		"signed, called plain": {Body: good.Body},
		"signed, called a JWT": {Body: good.Body, ContentType: "application/jwt"},
		"alg none": {Body: key.SignRaw(`{"alg":"none","typ":"token-introspection+jwt"}`,
			asJSON(t, map[string]any{"iss": as.URL, "aud": "gateway", "iat": now, "token_introspection": active().Claims})),
			ContentType: signedType},
		"without a signature":          {Body: good.Body[:strings.LastIndexByte(good.Body, '.')+1], ContentType: signedType},
		"signed by somebody else":      sign(mallory, typ),
		"one bit of the signature":     {Body: tokentest.FlipSignature(t, good.Body), ContentType: signedType},
		"an access token":              sign(key, "at+jwt"),
		"a JWT of no kind":             sign(key, nil),
		"for another client":           sign(key, typ, "aud", "other"),
		"for nobody":                   sign(key, typ, "aud", nil),
		"of another issuer":            sign(key, typ, "iss", "https://other.example.com"),
		"of nobody":                    sign(key, typ, "iss", nil),
		"ten minutes old":              sign(key, typ, "iat", now-600),
		"of the future":                sign(key, typ, "iat", now+600),
		"without a date":               sign(key, typ, "iat", nil),
		"the verdict at the top":       sign(key, typ, "token_introspection", nil, "active", true),
		"the verdict as text":          sign(key, typ, "token_introspection", asJSON(t, active().Claims)),
		"a verdict that is no boolean": sign(key, typ, "token_introspection", map[string]any{"active": "true"}),
		"two verdicts": {Body: key.SignRaw(`{"alg":"ES256","kid":"signed","typ":"token-introspection+jwt"}`,
			`{"iss":"`+as.URL+`","aud":"gateway","iat":`+strconv.FormatInt(now, 10)+
				`,"token_introspection":{"active":false},"token_introspection":{"active":true}}`), ContentType: signedType},
	} {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			as.Introspect(always(answer))
			a.restart(gateFor(introspecting(as, "opaque", "signed")))
			a.ourFault(a.send("opaque"), http.StatusBadGateway)
		})
	}
	s.attack(t, "a signed answer where plain ones are wanted", func(t *testing.T, a *attempt) {
		as.Introspect(always(good))
		a.restart(gateFor(introspecting(as, "opaque")))
		a.ourFault(a.send("opaque"), http.StatusBadGateway)
	})
	s.attack(t, "a signed answer as a token", func(t *testing.T, a *attempt) {
		a.restart(gateFor(introspecting(as, "opaque", "signed")))
		a.refusedFor(a.send(sign(key, typ, "aud", audience, "sub", "mallory").Body), "invalid_type")
	})
}

// A token is written so that it becomes more than one parameter of the question, or ends it (CWE-88, in resource
// servers that paste it in). It arrives unchanged, as one parameter, or is refused before anybody is asked.
func TestAttackIntrospectParametersInTheToken(t *testing.T) {
	as := introspector(t)
	s := start(t,
		gateFor("token_from header Authorization Bearer", "token_from query access_token", introspecting(as, "opaque")))
	for _, token := range []string{
		"x&token_type_hint=refresh_token", "x&client_id=admin&client_secret=x", "x&token=good", "x;token=good",
		"x%26token=good", "x#", "x\r\n\r\ntoken=good",
		"x+token=good", "x token=good", "x\x00good", "x=&good", "../good", "good?", "\"good\"", "g\u00f6\u00f6d", "x==",
		"good/+~.-_==",
	} {
		s.attack(t, strconv.Quote(token), func(t *testing.T, a *attempt) {
			before := len(as.IntrospectionRequests())
			r := a.request(http.MethodGet, "/", nil)
			query := r.URL.Query()
			query.Set("access_token", token)
			r.URL.RawQuery = query.Encode()
			a.neverForwarded(a.do(r))
			for _, asked := range as.IntrospectionRequests()[before:] {
				if asked.Token != token || len(asked.Form) != 2 || len(asked.Form["token"]) != 1 ||
					asked.TokenTypeHint != "access_token" || asked.ClientID != "gateway" {
					t.Errorf("the question was %v", asked.Form)
				}
			}
		})
	}
}
