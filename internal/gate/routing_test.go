package gate_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/tokentest"
	"github.com/caddyjwt/gateway/introspect"
)

// At most one issuer is asked about an opaque token, since asking reveals the token. Configurations from before
// "introspect always" took opaque tokens still load, and ask the same issuer.
func TestWhichIssuerIsAskedAboutAnOpaqueToken(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	const o, a, j = gate.AskOpaque, gate.AskAlways, gate.AskJWTs
	type in struct {
		mode   gate.AskMode
		prefix string
	}
	for name, c := range map[string]struct {
		issuers []in
		asked   map[string]int // by token, the number of the issuer; others are refused
		want    string         // or the error
	}{
		"one, opaque":                      {[]in{{o, ""}}, map[string]int{"x": 1, "b_1": 1}, ""},
		"one, always":                      {[]in{{a, ""}}, map[string]int{"x": 1, "b_1": 1}, ""},
		"one, JWTs":                        {[]in{{j, ""}}, nil, ""},
		"opaque before always":             {[]in{{a, ""}, {o, ""}}, map[string]int{"x": 2, "b_1": 2}, ""},
		"opaque before two always":         {[]in{{a, ""}, {o, ""}, {a, ""}}, map[string]int{"x": 2, "b_1": 2}, ""},
		"two always, and nobody is asked":  {[]in{{a, ""}, {a, ""}}, nil, ""},
		"two always, one with a prefix":    {[]in{{a, ""}, {a, "b_"}}, map[string]int{"x": 1, "b_1": 2}, ""},
		"two always, both with prefixes":   {[]in{{a, "b_"}, {a, "x"}}, map[string]int{"x": 2, "b_1": 1}, ""},
		"three always, one with a prefix":  {[]in{{a, ""}, {a, "b_"}, {a, ""}}, map[string]int{"b_1": 2}, ""},
		"always, and opaque with a prefix": {[]in{{a, ""}, {o, "b_"}}, map[string]int{"x": 1, "b_1": 2}, ""},
		"opaque, and always with a prefix": {[]in{{a, "b_"}, {o, ""}}, map[string]int{"x": 2, "b_1": 1}, ""},
		"JWTs do not count":                {[]in{{j, ""}, {a, ""}, {j, ""}}, map[string]int{"x": 2, "b_1": 2}, ""},
		"the longer prefix":                {[]in{{a, "b"}, {o, "b_"}, {o, ""}}, map[string]int{"x": 3, "b_1": 2}, ""},
		"two opaque":                       {[]in{{o, ""}, {o, ""}}, nil, "both take the same opaque tokens"},
		"two opaque and always":            {[]in{{o, ""}, {a, ""}, {o, ""}}, nil, "both take the same opaque tokens"},
		"one prefix, opaque":               {[]in{{o, "b_"}, {o, "b_"}}, nil, "both take the same opaque tokens"},
		"one prefix, always":               {[]in{{a, "b_"}, {a, "b_"}}, nil, "both take the same opaque tokens"},
		"one prefix, opaque and always":    {[]in{{o, "b_"}, {a, "b_"}, {o, ""}}, nil, "both take the same opaque tokens"},
		"one prefix beside two always": {[]in{{a, "b_"}, {o, "b_"}, {a, ""}, {a, ""}},
			nil, "both take the same opaque tokens"},
		"two always and two of one prefix": {[]in{{a, ""}, {a, ""}, {a, "b_"}, {a, "b_"}},
			nil, "both take the same opaque tokens"},
		"two always beside a prefix of two": {[]in{{a, ""}, {a, ""}, {a, "b_"}, {o, "x"}},
			map[string]int{"x": 4, "b_1": 3}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var servers []*authority
			config := config(t, key, func(gc *gate.Config) {
				gc.Issuers = nil
				for i, in := range c.issuers {
					name := fmt.Sprint("https://as", i+1, ".example")
					as := newAS(t)
					issuer := issuer(t, name, key)
					issuer.Asking = as.introspection(in.mode, func(c *introspect.Config) {
						c.Issuer, c.Decode = name, gate.DecodeAnswer(name, nil)
					})
					issuer.Asking.Prefix = in.prefix
					gc.Issuers, servers = append(gc.Issuers, issuer), append(servers, as)
				}
			})
			g, err := gate.New(config)
			if c.want != "" {
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("error %v, want %q", err, c.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, token := range []string{"x", "b_1"} {
				want := gate.MalformedToken
				if c.asked[token] != 0 {
					want = gate.Inactive
				}
				refused(t, g, request(token), want)
				for i, as := range servers {
					asked := 0
					for _, question := range as.IntrospectionRequests() {
						if question.Token == token {
							asked++
						}
					}
					if (asked == 1) != (c.asked[token] == i+1) {
						t.Errorf("about %s, server %d was asked %d times", token, i+1, asked)
					}
				}
			}
		})
	}
}

// The log names the form of a token, so that nobody looks for damage in an opaque or encrypted one.
func TestTheCauseNamesWhatATokenIs(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	jwe := jwePart(`{"alg":"RSA-OAEP-256","enc":"A256GCM"}`) + ".a2V5.aXY.Y3Q.dGFn"
	good := key.Sign(t, says())
	prefixed := func(c *gate.Config) { c.Issuers[0].Asking.Prefix = "a_" }
	second := func(mode gate.AskMode) func(*gate.Config) {
		return func(c *gate.Config) {
			c.Issuers = append(c.Issuers, issuer(t, issuerB, key))
			c.Issuers[1].Asking = &gate.Asking{Mode: mode, Client: c.Issuers[0].Asking.Client}
		}
	}
	never := func(c *gate.Config) { c.Issuers[0].Asking = nil }
	for name, c := range map[string]struct {
		change func(*gate.Config)
		token  string
		want   string
	}{
		"opaque, and nobody is ever asked": {never, "opaque", "none has a fitting introspect block"},
		"opaque with dots":                 {never, "an.opaque.token", "opaque token, but no issuer here takes"},
		"opaque, and it begins like a JWT": {never, "every-token", "opaque token, but no issuer here takes"},
		"opaque, similar to a JWT":         {never, "ey.op.aque", "opaque token, but no issuer here takes"},
		"opaque, with another prefix":      {prefixed, "opaque", "tokens that begin like this one"},
		"opaque, and two issuers may take it": {second(gate.AskAlways),
			"opaque", `give each introspect block the "prefix"`},
		"encrypted, and nobody is ever asked":   {never, jwe, "encrypted token (JWE)"},
		"encrypted, with another prefix":        {prefixed, jwe, "encrypted token (JWE)"},
		"encrypted, and two issuers may":        {second(gate.AskAlways), jwe, "encrypted token (JWE)"},
		"a JWT that lost its signature":         {never, good[:strings.LastIndexByte(good, '.')], "not three parts"},
		"a JWT with parts of another behind it": {never, good + ".a.b", "not three parts"},
		"a JWT with a damaged signature":        {never, good + "=", "not base64url"},
	} {
		t.Run(name, func(t *testing.T) {
			as := newAS(t)
			f := refused(t, as.gate(gate.AskAlways, key, c.change), request(c.token), gate.MalformedToken)
			if f.Cause == nil || !strings.Contains(f.Cause.Error(), c.want) {
				t.Errorf("cause %v, want %q", f.Cause, c.want)
			}
			if f.Issuer != "" || as.asked() != 0 {
				t.Errorf("issuer %q, asked %d times", f.Issuer, as.asked())
			}
		})
	}
}

// An encrypted token whose server calls it active is as good as an opaque one.
func TestEncryptedTokens(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	jwe := jwePart(`{"alg":"RSA-OAEP-256","enc":"A256GCM","cty":"JWT"}`) + ".a2V5.aXY.Y3Q.dGFn"
	for _, mode := range []gate.AskMode{gate.AskOpaque, gate.AskAlways} {
		as := newAS(t)
		as.says[jwe] = active()
		if id := accepted(t, as.gate(mode, key), request(jwe)); id.ID != "alice" || id.Issuer != issuerA {
			t.Errorf("identity %+v", id)
		}
		as.says[jwe+"g"] = active(m{"aud": "other"})
		refused(t, as.gate(mode, key), request(jwe+"g"), gate.InvalidAudience)
	}
}

// An error code that is about the token counts as "inactive", and the log has the code. There is one exception: a
// server that does not support a JWT that was verified here cannot introspect its own tokens, which is the server's
// fault.
func TestErrorCodesAboutTheToken(t *testing.T) {
	key, stranger := tokentest.NewKey(t, "ES256", "k1"), tokentest.NewKey(t, "ES256", "stranger")
	for name, c := range map[string]struct {
		mode  gate.AskMode
		token string
		code  string
		want  gate.Reason
	}{
		"a stranger's JWT": {gate.AskOpaque,
			stranger.Sign(t, says(m{"iss": issuerB})), "unsupported_token_type", gate.Inactive},
		"an opaque token":         {gate.AskOpaque, "opaque", "invalid_token", gate.Inactive},
		"an opaque token, always": {gate.AskAlways, "opaque", "unsupported_token_type", gate.Inactive},
		"a JWT that was verified here": {gate.AskAlways,
			key.Sign(t, says()), "unsupported_token_type", gate.IntrospectionFailed},
		"such a JWT that the server knew": {gate.AskAlways, key.Sign(t, says()), "invalid_token", gate.Inactive},
		"our request":                     {gate.AskOpaque, "opaque", "invalid_request", gate.IntrospectionFailed},
	} {
		t.Run(name, func(t *testing.T) {
			as := newAS(t)
			as.Introspect(func(*tokentest.IntrospectionRequest) tokentest.IntrospectionAnswer {
				return tokentest.IntrospectionAnswer{Status: 400, Body: `{"error":"` + c.code + `"}`}
			})
			g := as.gate(c.mode, key)
			for range 2 { // the second time from the client's cache
				f := refused(t, g, request(c.token), c.want)
				status := map[gate.Reason]int{gate.Inactive: 401, gate.IntrospectionFailed: 502}[c.want]
				if got := g.Answer(f); got.Status != status {
					t.Errorf("status %d, want %d", got.Status, status)
				}
				if c.code != "invalid_request" && (f.Cause == nil || !strings.Contains(f.Cause.Error(), c.code)) {
					t.Errorf("cause %v", f.Cause)
				}
			}
			if n := as.asked(); n != 1 {
				t.Errorf("asked %d times", n)
			}
		})
	}
}
