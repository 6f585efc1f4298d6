package caddyjwt_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/caddyjwt"
	"github.com/caddyjwt/gateway/caddyjwt/issuers"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// keys local is about tokens that are issued here, so what other issuers need has no meaning beside it.
func TestMistakesAboutLocalKeys(t *testing.T) {
	for name, test := range map[string]struct{ line, want string }{
		"a value":    {"keys local x", "expected: keys local"},
		"other keys": {"keys local\n\t\t\tkeys discovery", "a token_issuer has all keys of its tokens"},
		"other keys first": {"keys jwks https://a.example/keys\n\t\t\tkeys local",
			"a token_issuer has all keys of its tokens"},
		"introspect": {"keys local\n\t\t\tintrospect {\n\t\t\t\tclient_id a\n\t\t\t\tclient_secret b\n" +
			"\t\t\t\tendpoint https://a.example/i\n\t\t\t}", "nobody has to be asked"},
		"backchannel_logout": {"keys local\n\t\t\tbackchannel_logout /out {\n\t\t\t\tclient_id a\n\t\t\t}",
			"remove backchannel_logout"},
		"revocation off":      {"keys local\n\t\t\trevocation off", `remove "revocation off"`},
		"tolerate":            {"keys local\n\t\t\ttolerate numeric_subject", "remove tolerate"},
		"a way to the server": {"keys local\n\t\t\ttls {\n\t\t\t\tserver_name a\n\t\t\t}", "keys local"},
		"prefetch":            {"keys local\n\t\t\tprefetch", "keys local"},
		"an HMAC":             {"keys local\n\t\t\talgorithms HS256", "HS256 cannot be used with keys local"},
	} {
		t.Run(name, func(t *testing.T) {
			text := adapted(t, inIssuer(test.line))
			if !strings.HasPrefix(text, "error: ") || !strings.Contains(text, test.want) {
				t.Errorf("%s\nwant %q", text, test.want)
			}
		})
	}
	tenants := "example.com {\n\tbearer_auth {\n\t\taudience a\n\t\tissuer https://a.example/*/v2 {\n\t\t\ttenants any\n" +
		"\t\t\tkeys local\n\t\t}\n\t}\n}\n"
	if text := adapted(t, tenants); !strings.Contains(text, "the tokens of a token_issuer have one issuer") {
		t.Errorf("tenants: %s", text)
	}
}

// prefixOf is how the opaque tokens of a token_issuer begin.
func prefixOf(issuer string) string {
	var plan issuers.Plan
	plan.Issuer.Name, plan.Issuer.Local = issuer, true
	return plan.AskingOf(nil).Prefix
}

// The opaque tokens of a token_issuer are its own: no other issuer can take those that begin so.
func TestMistakesAboutThePrefixOfLocalTokens(t *testing.T) {
	for prefix, wrong := range map[string]bool{prefixOf("https://i.example"): true, "oat_": false, "x": false} {
		text := adapted(t, "example.com {\n\tbearer_auth {\n\t\taudience a\n\t\tissuer https://i.example {\n\t\t\t"+
			"keys local\n\t\t}\n\t\tissuer https://a.example {\n\t\t\tkeys none\n\t\t\tintrospect opaque {\n\t\t\t\t"+
			"client_id a\n\t\t\t\tclient_secret b\n\t\t\t\tendpoint https://a.example/i\n\t\t\t\tprefix "+prefix+
			"\n\t\t\t}\n\t\t}\n\t}\n}\n")
		says := strings.Contains(text, "both take the same opaque tokens")
		if strings.HasPrefix(text, "error: ") != wrong || says != wrong {
			t.Errorf("%s: %s", prefix, text)
		}
	}
}

// The keys of a token_issuer are in the Caddy that runs. Tools say so, and nothing is wrong with it.
func TestToolsKnowThatLocalKeysAreElsewhere(t *testing.T) {
	h := new(caddyjwt.Handler)
	text := `{"audience":["a"],"issuers":[{"issuer":"https://i.example","keys":{"source":"local"}}]}`
	if err := json.Unmarshal([]byte(text), h); err != nil {
		t.Fatal(err)
	}
	probe, err := caddyjwt.NewProbe([]*caddyjwt.Handler{h})
	if err != nil || len(probe.Issuers) != 0 {
		t.Errorf("%+v, %v", probe, err)
	}
	now := time.Now()
	token := tokentest.NewKey(t, "ES256", "k1").Sign(t, map[string]any{
		"iss": "https://i.example", "sub": "alice", "aud": "a", "app": "/api/orders/", "sid": "s",
		"iat": now.Unix(), "exp": now.Add(time.Minute).Unix(),
	})
	for _, fetch := range []bool{false, true} {
		x, err := h.Explainer(fetch)
		if err != nil {
			t.Fatal(err)
		}
		r := x.Request(token)
		e, _ := x.Explain(r)
		if r.RequestURI != "/api/orders/" || e.Failure != nil && !errors.Is(e.Failure, gate.ErrOffline) {
			t.Errorf("fetch %t: %s, %v", fetch, r.RequestURI, e.Failure)
		}
		e, _ = x.Explain(x.Request(prefixOf("https://i.example") + "AAAA"))
		if e.Failure != nil || !e.Open || e.Issuer != "https://i.example" {
			t.Errorf("fetch %t: an opaque token: %+v", fetch, e)
		}
		if err := x.Close(); err != nil {
			t.Error(err)
		}
	}
}
