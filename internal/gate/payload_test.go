package gate_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

const payloadHeader = "X-Jwt-Payload"

func forwardingPayload(c *gate.Config) { c.ForwardPayload = "x-jwt-payload" }

// The backend gets the very bytes that were signed.
func TestPayloadOfAJWT(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	g := build(t, key, forwardingPayload)
	token := key.Sign(t, says(m{"name": "Doe, Jane\r\nX-Admin: 1", "amount": 1.50}))
	r := request(token)
	r.Header[payloadHeader] = []string{"e30"}
	r.Header["X_jwt_payload"] = []string{"e30"}
	id := accepted(t, g, r)
	g.Strip(r)
	if err := g.Annotate(r, id); err != nil {
		t.Fatal(err)
	}
	if got, want := r.Header[payloadHeader], strings.Split(token, ".")[1]; len(got) != 1 || got[0] != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := r.Header["X_jwt_payload"]; got != nil {
		t.Errorf("the client's header travels on: %q", got)
	}
}

// For an opaque token the backend gets the authorization server's answer about it.
func TestPayloadOfAnOpaqueToken(t *testing.T) {
	as := newAS(t)
	as.says["opaque"] = active(m{"token_type": "Bearer"})
	g := as.gate(gate.AskOpaque, tokentest.NewKey(t, "ES256", "k1"), forwardingPayload)
	r := request("opaque")
	id := accepted(t, g, r)
	g.Strip(r)
	if err := g.Annotate(r, id); err != nil {
		t.Fatal(err)
	}
	text, err := base64.RawURLEncoding.DecodeString(r.Header.Get(payloadHeader))
	if err != nil || !strings.Contains(string(text), `"active":true`) {
		t.Errorf("got %s, %v", text, err)
	}
}

func TestPayloadWithoutClaims(t *testing.T) {
	g := build(t, tokentest.NewKey(t, "ES256", "k1"), forwardingPayload, func(c *gate.Config) {
		c.Consumers, c.Anonymous = []gate.Consumer{{Username: "guest"}}, "guest"
	})
	r := request("")
	r.Header[payloadHeader] = []string{"e30"}
	verdict, err := g.Check(direct(r))
	if err != nil || verdict.Outcome != gate.Anonymous {
		t.Fatalf("%+v, %v", verdict, err)
	}
	g.Strip(r)
	if err := g.Annotate(r, verdict.Identity); err != nil {
		t.Fatal(err)
	}
	if got := r.Header[payloadHeader]; got != nil {
		t.Errorf("a request without a token has the payload %q", got)
	}
}

// Backends refuse header lines that are too long, each in its own way. The gate refuses the request first.
func TestPayloadThatIsTooLong(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	g := build(t, key, forwardingPayload, forward(t, "sub", "X-User"))
	r := request(key.Sign(t, says(m{"x": strings.Repeat("x", 7<<10)})))
	id := accepted(t, g, r)
	g.Strip(r)
	err := g.Annotate(r, id)
	if f := gate.FailureOf(err); err == nil || f.Reason != gate.UnsafeClaim {
		t.Fatalf("got %v", err)
	}
	if r.Header[payloadHeader] != nil || r.Header["X-User"] != nil {
		t.Errorf("an error route learns who was refused: %v", r.Header)
	}
}
