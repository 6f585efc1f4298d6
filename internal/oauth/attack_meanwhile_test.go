package oauth_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/bearer"
	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/clients"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/issuing"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/oauth"
	"github.com/caddyjwt/gateway/internal/revoke"
	asking "github.com/caddyjwt/gateway/introspect"
)

// meanwhile does something between the judgement and the new token.
type meanwhile struct {
	judge oauth.Judge
	do    func()
}

func (m *meanwhile) Judge(q *oauth.Request, token string, good func(string) []string) (*oauth.Subject, error) {
	found, err := m.judge.Judge(q, token, good)
	m.do()
	return found, err
}

// A token is exchanged while its session ends, or all tokens of its subject. The new one is out, too, or there is none.
func TestAttackALogoutWhileATokenIsExchanged(t *testing.T) {
	for _, kind := range []string{"the session", "the subject"} {
		t.Run(kind, func(t *testing.T) {
			h := exchanging(t)
			pair := h.login(t, shop)
			m := &meanwhile{h.judge, func() {
				var err error
				if kind == "the session" {
					err = (*apps)(h).End(t.Context(), shop, pair.Refresh)
				} else {
					err = h.write(t.Context(), &revoke.Entry{
						Target: revoke.Target{Kind: revoke.Subject, Value: "alice"}, Expires: h.clock.now().Add(time.Hour),
						NotAfter: h.clock.now().Truncate(time.Millisecond),
					})
				}
				must(t, &err)
			}}
			o := h.options
			o.Judge, o.Wait = m, func(_ context.Context, d time.Duration) { h.clock.advance(d) }
			s, err := oauth.New(o)
			must(t, &err)
			tokens, err := s.Token(exchanges("orders", pair.Access))
			wants(t, err, 400, issuing.InvalidRequest, "ended meanwhile")
			if tokens != nil {
				t.Errorf("%+v", tokens)
			}
		})
	}
	h := exchanging(t)
	pair := h.login(t, shop)
	before, after := says(t, pair.Access), says(t, h.gives(t, exchanges("orders", pair.Access)).Access)
	if before["iat"] != after["iat"] { // so a cut-off that another node has seen before reaches both
		t.Errorf("iat %v became %v", before["iat"], after["iat"])
	}
}

// knowing makes the judge know idp with other settings.
func (h *house) knowing(t *testing.T, i gate.Issuer) {
	t.Helper()
	places, err := bearer.NewExtractor(bearer.Options{})
	must(t, &err)
	i.Name, i.Keys, i.Algorithms = idp, source(t, h.judge.key), jose.AsymmetricAlgorithms()
	h.judge.gate, err = gate.New(gate.Config{
		Realm: "exchange", Extractor: places, HandedIn: true, Now: h.clock.now,
		Issuers: []gate.Issuer{{Name: issuer, Keys: h.ring, Algorithms: i.Algorithms, Local: true}, i},
	})
	must(t, &err)
}

// asked answers questions about tokens of idp.
type asked struct {
	answer func() string
	times  int
}

func (a *asked) Introspect(context.Context, string, ...asking.Option) (asking.Result, error) {
	a.times++
	value, err := gate.DecodeAnswer(idp, new(claims.Reading))([]byte(a.answer()))
	return asking.Result{Active: err == nil, Value: value, FetchedAt: time.Now()}, err
}

// An assertion stays used for as long as a gate may take it, also with the longest leeway.
func TestAttackAssertionsAreReplayedWithinTheLeeway(t *testing.T) {
	h := exchanging(t)
	h.knowing(t, gate.Issuer{Leeway: gate.MaxLeeway})
	used := &uses{}
	o := h.options
	o.Assertions = used
	s, err := oauth.New(o)
	must(t, &err)
	exp := h.clock.now().Add(time.Minute)
	_, err = s.Token(asserts("desk", h.subjectToken(t, "aud", issuer, "exp", exp.Unix())))
	must(t, &err)
	if used.until.Before(exp.Add(gate.MaxLeeway)) {
		t.Errorf("it is remembered until %v after its exp", used.until.Sub(exp))
	}
}

// uses remembers until when something was used.
type uses struct{ until time.Time }

func (u *uses) Use(_ context.Context, _ [32]byte, _ string, _, until time.Time) error {
	u.until = until
	return nil
}

// What nobody can verify here is no assertion: each answer about it could be another one.
func TestAttackOpaqueTextsAsAssertions(t *testing.T) {
	h := exchanging(t)
	a := &asked{answer: func() string {
		return fmt.Sprintf(`{"active":true,"iss":"%s","sub":"alice","aud":"%s","exp":%d}`, idp, issuer,
			h.clock.now().Unix()+600)
	}}
	h.knowing(t, gate.Issuer{Asking: &gate.Asking{Mode: gate.AskOpaque, Client: a}})
	for range 2 {
		h.refuses(t, asserts("desk", "opaque"), 400, issuing.InvalidGrant, "no JWT")
	}
}

// What the server says about a token counts for the new one, too: when it ends, and who may act.
func TestWhatTheServerSaysAboutATokenCounts(t *testing.T) {
	h := exchanging(t)
	more := ""
	a := &asked{answer: func() string {
		return fmt.Sprintf(`{"active":true,"iss":"%s","sub":"alice","aud":"%s","exp":%d%s}`, idp, api,
			h.clock.now().Unix()+20, more)
	}}
	h.knowing(t, gate.Issuer{Asking: &gate.Asking{Mode: gate.AskAlways, Client: a}})
	if tokens := h.gives(t, exchanges("orders", h.subjectToken(t), "resource", api)); tokens.ExpiresIn > 20 {
		t.Errorf("it lives for %d s", tokens.ExpiresIn)
	}
	more = `,"may_act":{"sub":"desk"}`
	h.refuses(t, exchanges("orders", h.subjectToken(t), "resource", api), 400, issuing.InvalidRequest, "may_act")
}

// Nobody is asked about tokens that the client may not exchange.
func TestAttackTokensOfOthersAreNotAskedAbout(t *testing.T) {
	h := exchanging(t)
	a := &asked{answer: func() string { return `{"active":false}` }}
	h.knowing(t, gate.Issuer{Asking: &gate.Asking{Mode: gate.AskAlways, Client: a}})
	h.setClients(t, append(registered(t), clients.Client{
		ID: "own", Audiences: []string{api}, AccessLifetime: time.Minute, SecretHashes: []string{hash(t, secret)},
		Exchanges: []clients.Exchange{{From: issuer, Own: true, Grant: clients.TokenExchange, Accepted: []string{api}}},
	})...)
	for _, token := range []string{"opaque", h.subjectToken(t), h.subjectToken(t) + "x"} {
		h.refuses(t, exchanges("own", token), 400, issuing.InvalidRequest, "")
	}
	if a.times != 0 {
		t.Errorf("its server was asked %d times", a.times)
	}
}

// Another issuer does not say who of this one has acted.
func TestAttackActorsOfThisIssuerByAnother(t *testing.T) {
	h := exchanging(t)
	h.refuses(t, exchanges("orders", h.subjectToken(t, "act", m{"sub": "batch", "iss": issuer}), "resource", api), 400,
		issuing.InvalidRequest, "act")
}
