package output_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/identity"
	"github.com/caddyjwt/gateway/internal/output"
	"github.com/caddyjwt/gateway/internal/setting"
)

// newSet is a set of outputs where no header holds the token.
func newSet(t *testing.T, s output.Settings) *output.Set {
	t.Helper()
	s.MayHoldToken = func(string) bool { return false }
	set, err := output.New(s)
	if err != nil {
		t.Fatal(err)
	}
	return &set
}

// identityOf is the identity behind a token with these claims.
func identityOf(t *testing.T, text string) *identity.Identity {
	t.Helper()
	set, err := claims.Decode([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return &identity.Identity{ID: set.Subject, Issuer: "https://as.example", Claims: set}
}

func path(t *testing.T, text string) claims.Path {
	t.Helper()
	p, err := claims.ParsePath(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// same requires exactly these headers.
func same(t *testing.T, got, want http.Header) {
	t.Helper()
	for name := range want {
		if !slices.Equal(got[name], want[name]) {
			t.Errorf("%s is %q, want %q", name, got[name], want[name])
		}
	}
	for name := range got {
		if want[name] == nil {
			t.Errorf("%s is %q, want none", name, got[name])
		}
	}
}

func TestForwardClaimMistakes(t *testing.T) {
	claim := func(name string) output.Forward { return output.Forward{Path: path(t, "sub"), Header: name} }
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
				_, err := output.New(output.Settings{
					ForwardClaims: []output.Forward{claim("X-Taken"), claim(name)},
					MayHoldToken:  func(field string) bool { return strings.EqualFold(field, "X-Access-Token") },
				})
				if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "forward_claims ") ||
					setting.Field(err) != "ForwardClaims[1].Header" {
					t.Errorf("error %v about %q, want %q", err, setting.Field(err), want)
				}
			})
		}
	}
	for _, name := range []string{
		"X-Forwarded-User", "X-Forwarded-Email", "X-Forwarded-Groups", "X-Forwarded-Preferred-Username", "x-forwarded-user",
		"Remote-User", "X-WEBAUTH-USER", "X-Auth-Request-Email", "From", "X-Request-Id", "Secure-User",
		strings.Repeat("x", 63),
	} {
		newSet(t, output.Settings{ForwardClaims: []output.Forward{claim(name)}})
	}
}

func TestPayloadHeaderMistakes(t *testing.T) {
	for name, want := range map[string]string{
		"Authorization":  "a backend would take the value for credentials",
		"X-User":         "the header is already taken",
		"Host":           "it has a meaning of its own in HTTP",
		"X_Payload":      "only letters, digits and hyphens",
		"X-Access-Token": "the token is taken from that header",
	} {
		_, err := output.New(output.Settings{
			ForwardClaims:  []output.Forward{{Path: path(t, "sub"), Header: "X-User"}},
			ForwardPayload: name,
			MayHoldToken:   func(field string) bool { return field == "X-Access-Token" },
		})
		if err == nil || !strings.Contains(err.Error(), want) || setting.Field(err) != "ForwardPayload" {
			t.Errorf("%s: %v, about %q", name, err, setting.Field(err))
		}
	}
}

// badge is an output from outside.
type badge struct {
	names []string
	err   error
}

func (b badge) Names() []string { return b.names }

func (b badge) Write(h http.Header, id *identity.Identity) error {
	h.Set(b.names[0], id.ID)
	return b.err
}

// Outputs write one after the other. If one of them fails, nothing stays of what the others have written.
func TestOutputsFromOutside(t *testing.T) {
	alice, noInk := identityOf(t, `{"sub":"alice","v":"x"}`), errors.New("no ink")
	settings := output.Settings{
		ForwardClaims: []output.Forward{{Path: path(t, "v"), Header: "X-Value"}},
		Outputs:       []output.Output{badge{names: []string{"X-Badge", "X-Badge-Color"}}},
	}
	set, h := newSet(t, settings), make(http.Header)
	if err := set.Write(h, alice); err != nil {
		t.Error(err)
	}
	same(t, h, http.Header{"X-Value": {"x"}, "X-Badge": {"alice"}})

	settings.Outputs = append(settings.Outputs, badge{names: []string{"X-Second"}, err: noInk})
	h["X-Other"] = []string{"kept"}
	if err := newSet(t, settings).Write(h, alice); !errors.Is(err, noInk) {
		t.Errorf("error %v", err)
	}
	same(t, h, http.Header{"X-Other": {"kept"}})
}

func TestMistakesOfOutputsFromOutside(t *testing.T) {
	for name, wrong := range map[string]output.Output{
		"taken":    badge{names: []string{"X-Badge", "x-consumer-id"}},
		"the same": badge{names: []string{"X-Badge", "X-Badge"}},
		"reserved": badge{names: []string{"Host"}},
		"token":    badge{names: []string{"X-Token"}},
		"nil":      nil,
	} {
		_, err := output.New(output.Settings{
			Outputs:      []output.Output{badge{names: []string{"X-First"}}, wrong},
			MayHoldToken: func(field string) bool { return field == "X-Token" },
		})
		if setting.Field(err) != "Outputs[1]" {
			t.Errorf("%s: error %v about %q", name, err, setting.Field(err))
		}
	}
}

// No client may send what an output sets, in whatever spelling, even if it is not set here.
func TestOutputsOwnTheirHeaders(t *testing.T) {
	set := newSet(t, output.Settings{
		ForwardClaims: []output.Forward{{Path: path(t, "v"), Header: "x-value"}}, ForwardPayload: "x-all",
		ConsumerHeaders: []string{"off"}, NamesCallers: true,
		Outputs: []output.Output{badge{names: []string{"X-Badge"}}},
	})
	h := make(http.Header)
	for _, name := range []string{"X-Value", "x_value", "X.ALL", "X-Consumer-Id", "X_Consumer_Groups", "X-BADGE"} {
		if !set.Has(name) {
			t.Errorf("%s is nobody's", name)
		}
		h[name] = []string{"forged"}
	}
	h["X-Values"] = []string{"kept"}
	set.Strip(h)
	same(t, h, http.Header{"X-Values": {"kept"}})
}
