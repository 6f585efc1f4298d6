package gate_test

import (
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/bearer"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/tokentest"
	"github.com/caddyjwt/gateway/introspect"
)

// authority is an authorization server with a table of answers about tokens. It uses the test's clock.
type authority struct {
	*tokentest.AS
	tb    testing.TB
	clock *clock
	says  map[string]m // by token; others are inactive
}

func newAS(tb testing.TB) *authority {
	tb.Helper()
	a := &authority{tokentest.NewAS(tb, tokentest.WithClient("gateway", "s3cret")), tb, newClock(), map[string]m{}}
	a.Introspect(func(r *tokentest.IntrospectionRequest) tokentest.IntrospectionAnswer {
		return tokentest.IntrospectionAnswer{Claims: a.says[r.Token]}
	})
	return a
}

// asked returns how many questions have arrived.
func (a *authority) asked() int { return len(a.IntrospectionRequests()) }

// introspection asks the authority on behalf of an issuer, issuerA by default.
func (a *authority) introspection(mode gate.AskMode, changes ...func(*introspect.Config)) *gate.Asking {
	a.tb.Helper()
	c := introspect.Config{
		Issuer: issuerA, Endpoint: a.IntrospectionURL(), ClientID: "gateway", ClientSecret: "s3cret",
		Decode: gate.DecodeAnswer(issuerA, nil), Now: a.clock.now, Timeout: 2 * time.Second,
	}
	for _, change := range changes {
		change(&c)
	}
	client, err := introspect.New(c)
	if err != nil {
		a.tb.Fatal(err)
	}
	a.tb.Cleanup(func() { client.Close() })
	return &gate.Asking{Mode: mode, Client: client}
}

// gate asks the authority about the tokens of issuerA.
func (a *authority) gate(mode gate.AskMode, key *tokentest.Key, changes ...func(*gate.Config)) *gate.Gate {
	a.tb.Helper()
	return build(a.tb, key, append([]func(*gate.Config){func(c *gate.Config) {
		c.Issuers[0].Asking, c.Now = a.introspection(mode), a.clock.now
	}}, changes...)...)
}

// active is the answer about a good token.
func active(changes ...m) m { return says(append([]m{{"active": true}}, changes...)...) }

// long accepts tokens that are longer than usual.
func long(c *gate.Config) {
	c.Extractor, _ = bearer.NewExtractor(bearer.Options{MaxToken: 1 << 20})
}

// keyless takes away issuerA's keys, so that all its tokens are asked about.
func keyless(c *gate.Config) { c.Issuers[0].Keys, c.Issuers[0].Algorithms = nil, 0 }
