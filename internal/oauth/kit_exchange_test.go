package oauth_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/bearer"
	"github.com/caddyjwt/gateway/internal/clients"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/oauth"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// The other issuers.
const (
	idp      = "https://idp.example"
	stranger = "https://stranger.example"
)

// judge judges tokens with a gate, as an issuer does.
type judge struct {
	gate *gate.Gate
	key  *tokentest.Key // of idp
	// answers stand in for the gate's, if they are not nil.
	err error
}

// newJudge knows the tokens of the house and of idp.
func newJudge(tb testing.TB, h *house) *judge {
	tb.Helper()
	j := &judge{key: tokentest.NewKey(tb, "RS256", "idp")}
	places, err := bearer.NewExtractor(bearer.Options{})
	must(tb, &err)
	all := jose.AsymmetricAlgorithms()
	j.gate, err = gate.New(gate.Config{
		Realm: "exchange", Extractor: places, HandedIn: true, Now: h.clock.now,
		Issuers: []gate.Issuer{
			{Name: issuer, Keys: h.ring, Algorithms: all, Local: true},
			{Name: idp, Keys: source(tb, j.key), Algorithms: all},
			{Name: stranger, Keys: source(tb, tokentest.NewKey(tb, "ES256", "stranger")), Algorithms: all},
		},
	})
	must(tb, &err)
	return j
}

// Judge implements oauth.Judge.
func (j *judge) Judge(q *oauth.Request, token string, accepted func(string) []string) (*oauth.Subject, error) {
	if j.err != nil {
		return nil, j.err
	}
	found, err := j.gate.Judge(gate.Request{HTTP: q.HTTP, Facts: gate.Direct(q.HTTP)}, token, accepted)
	if err != nil {
		failure := gate.FailureOf(err)
		return nil, &oauth.NotGood{Text: "it is not good", Cause: fmt.Errorf("%s: %w", failure.Reason, failure.Cause)}
	}
	return &oauth.Subject{
		Claims: found.Identity.Claims, Answer: found.Answer, Expires: found.Expires, Opaque: found.Opaque,
	}, nil
}

// exchanging has, besides, the clients orders and desk, which exchange tokens.
func exchanging(tb testing.TB) *house {
	tb.Helper()
	h := newHouse(tb)
	list := registered(tb)
	client := func(id string, change func(*clients.Client)) {
		c := clients.Client{ID: id, Audiences: []string{api}, AccessLifetime: 5 * time.Minute}
		c.SecretHashes = []string{hash(tb, secret)}
		change(&c)
		list = append(list, c)
	}
	client("orders", func(c *clients.Client) {
		c.Exchanges = []clients.Exchange{
			{
				From: idp, Grant: clients.TokenExchange, Accepted: []string{api}, Scopes: []string{"read", "write"},
				Audiences: []string{billing, api}, Claims: []string{"email", "level", "roles"}, Prefix: "idp:",
			},
			{From: issuer, Own: true, Grant: clients.TokenExchange, Accepted: []string{api}, Audiences: []string{billing}},
		}
	})
	client("desk", func(c *clients.Client) {
		c.Exchanges = []clients.Exchange{
			{From: idp, Grant: clients.JWTBearer, Scopes: []string{"read"}, Prefix: "idp:"},
		}
	})
	client("strict", func(c *clients.Client) {
		c.Exchanges = []clients.Exchange{{From: idp, Grant: clients.TokenExchange, Prefix: "idp:"}}
	})
	h.setClients(tb, list...)
	return h
}

// subjectToken is a good token of idp for api, with changes as name, value pairs. A nil value removes a claim.
func (h *house) subjectToken(tb testing.TB, changes ...any) string {
	tb.Helper()
	set := m{
		"iss": idp, "sub": "alice", "aud": api, "exp": h.clock.now().Add(time.Hour).Unix(), "email": "a@example.com",
		"level": 3, "roles": []string{"admin"}, "secret": "s",
	}
	for i := 0; i < len(changes); i += 2 {
		if set[changes[i].(string)] = changes[i+1]; changes[i+1] == nil {
			delete(set, changes[i].(string))
		}
	}
	return h.judge.key.Sign(tb, set)
}

// The types of tokens.
const (
	accessType = "urn:ietf:params:oauth:token-type:access_token"
	jwtType    = "urn:ietf:params:oauth:token-type:jwt"
	idType     = "urn:ietf:params:oauth:token-type:id_token"
)

// exchanges is a request of a client to exchange a token, with further name, value pairs.
func exchanges(id, token string, pairs ...string) *oauth.Request {
	return basic(ask(append([]string{
		"grant_type", string(clients.TokenExchange), "subject_token", token, "subject_token_type", accessType,
	}, pairs...)...), id, secret)
}

// asserts is a request of a client with an assertion as its grant.
func asserts(id, assertion string, pairs ...string) *oauth.Request {
	return basic(ask(append([]string{
		"grant_type", string(clients.JWTBearer), "assertion", assertion,
	}, pairs...)...), id, secret)
}
