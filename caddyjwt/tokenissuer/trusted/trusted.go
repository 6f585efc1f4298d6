// Package trusted has the issuers whose tokens OAuth clients of a token issuer can hand in for others: the token issuer
// itself, and those that its configuration names as a bearer_auth does. A gate judges such a token.
package trusted

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"

	"github.com/caddyjwt/gateway/caddyjwt/issuers"
	"github.com/caddyjwt/gateway/caddyjwt/pool"
	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/bearer"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/oauth"
	"github.com/caddyjwt/gateway/internal/possession"
	"github.com/caddyjwt/gateway/internal/setting"
)

// Plan is issuers whose settings have been checked.
type Plan struct {
	plans []issuers.Plan // the token issuer itself is the last one
}

// Compile checks the issuers, which are in the field Issuers. own is the name of the token issuer.
func Compile(s *words.Settings, list []issuers.Issuer, own string) (*Plan, error) {
	if err := words.NotEmpty("issuer", list); err != nil {
		return nil, setting.In("Issuers", err)
	}
	p := new(Plan)
	for i := range list {
		plan, err := compile(s, &list[i], own)
		if err != nil {
			return nil, setting.In(setting.Element("Issuers", i), err)
		}
		p.plans = append(p.plans, *plan)
	}
	itself := issuers.Issuer{Issuer: own, Keys: issuers.KeySources{{Source: "local"}}}
	plan, err := itself.Compile(s, gate.DefaultLeeway)
	if err != nil {
		return nil, setting.In("Issuer", err)
	}
	p.plans = append(p.plans, plan)
	return p, p.validate()
}

// validate checks the issuers together. Their keys and clients are not there yet.
func (p *Plan) validate() error {
	config := p.config()
	for i := range p.plans {
		plan := &p.plans[i]
		if plan.Verifies() {
			config.Issuers[i].Keys = issuers.Unopened()
		}
		config.Issuers[i].Asking = plan.AskingOf(nil)
	}
	return config.Validate()
}

// compile checks one issuer. Settings that say who the caller of a gate is have no meaning here.
func compile(s *words.Settings, i *issuers.Issuer, own string) (*issuers.Plan, error) {
	plan, err := i.Compile(s, gate.DefaultLeeway)
	if err != nil {
		return nil, err
	}
	switch {
	case plan.Issuer.Name == own:
		return nil, setting.Errorf("Issuer", "issuer %q is this token_issuer, which knows its own tokens: remove the block",
			own)
	case plan.Issuer.Tenants != nil:
		return nil, setting.Errorf("Issuer",
			"issuer %q: two tenants can have users with one sub, and nobody could tell them "+
				"apart: write a block for each tenant, without \"*\"", plan.Issuer.Name)
	case plan.Local():
		return nil, setting.Errorf("Keys", "issuer %q: keys local: here are issuers elsewhere: name the address of its keys",
			plan.Issuer.Name)
	}
	for _, no := range []struct {
		field, word string
		is          bool
	}{
		{"GroupClaims", "group_claim", len(i.GroupClaims) > 0},
		{"ConsumerClaim", "consumer_claim", i.ConsumerClaim != ""},
		{"UsernameClaim", "username_claim", i.UsernameClaim != ""},
		{"BackchannelLogout", "backchannel_logout", i.BackchannelLogout != nil},
	} {
		if no.is {
			return nil, setting.Errorf(no.field, "issuer %q: %s says something about the caller of a gate, and here tokens are "+
				"exchanged: remove it", plan.Issuer.Name, no.word)
		}
	}
	return &plan, nil
}

// Names are those of the issuers, as they are configured, without the token issuer itself.
func (p *Plan) Names() (names []string) {
	for i := range p.plans[:len(p.plans)-1] {
		names = append(names, p.plans[i].Issuer.Name)
	}
	return names
}

// Opener is what the keys and clients of issuers are opened with.
type Opener struct {
	issuers.Opener
	Revocations      gate.Revocations
	OnlyLocalRevoked bool
	// Report gets errors of closing.
	Report func(error)
}

// Open makes the gate. Close it at the end.
func (p *Plan) Open(o Opener) (*Judge, error) {
	leases, err := pool.Begin(o.Shared.Pool, func(l *pool.Lease) (*gate.Gate, error) {
		config := p.config()
		config.Revocations, config.OnlyLocalRevoked, config.Turns = o.Revocations, o.OnlyLocalRevoked, o.Shared.Turns
		for i := range p.plans {
			if err := o.Open(l, &p.plans[i], &config.Issuers[i]); err != nil {
				return nil, setting.In(setting.Element("Issuers", i), fmt.Errorf("issuer %q: %w", p.plans[i].Issuer.Name, err))
			}
		}
		return gate.New(config)
	}, o.Report)
	if err != nil {
		return nil, err
	}
	return &Judge{leases}, nil
}

// config is that of the gate, without what must be opened.
func (p *Plan) config() gate.Config {
	header, _ := bearer.NewExtractor(bearer.Options{Places: []bearer.Place{bearer.DefaultPlace}}) // nobody looks there
	config := gate.Config{
		Realm: "token exchange", Extractor: header, Leeway: gate.DefaultLeeway, HandedIn: true,
	}
	for i := range p.plans {
		config.Issuers = append(config.Issuers, p.plans[i].Issuer)
	}
	return config
}

// Judge judges tokens that clients hand in. It is safe for concurrent use.
type Judge struct {
	leases *pool.Leases[*gate.Gate]
}

var _ oauth.Judge = (*Judge)(nil)

// Judge implements oauth.Judge.
func (j *Judge) Judge(q *oauth.Request, token string, accepted func(string) []string) (*oauth.Subject, error) {
	held, err := j.leases.Hold()
	if err != nil {
		return nil, fmt.Errorf("opening again what an ended configuration had: %w", err)
	}
	defer held.LetGo()
	found, err := held.Value.Judge(gate.Request{HTTP: q.HTTP, Facts: known{q.Facts, q.From}}, token, accepted)
	if err == nil {
		return &oauth.Subject{
			Claims: found.Identity.Claims, Answer: found.Answer, Expires: found.Expires, Opaque: found.Opaque,
		}, nil
	}
	failure := gate.FailureOf(err)
	if answer := held.Value.Answer(failure); answer.Status < http.StatusInternalServerError {
		return nil, &oauth.NotGood{Text: answer.Text, Cause: fmt.Errorf("%s: %w", string(failure.Reason), failure.Cause)}
	}
	return nil, fmt.Errorf("%s: %w", string(failure.Reason), failure.Cause)
}

// known is what is known about a request.
type known struct {
	possession.Facts
	from netip.Addr
}

func (k known) Client() netip.Addr { return k.from }

// Prefetch fetches what the issuers want to have before the first request, in the background. It ends with the context.
func (j *Judge) Prefetch(ctx context.Context) {
	for _, source := range j.leases.Ours().Prefetched() {
		go source.Preload(ctx)
	}
}

// Lease is what the configuration has opened.
func (j *Judge) Lease() *pool.Lease { return &j.leases.Ours().Lease }

// Gate is the one that judges.
func (j *Judge) Gate() *gate.Gate { return j.leases.Ours().Value }

// Close gives back what Open has taken. Late requests still get their answers.
func (j *Judge) Close() error {
	if j == nil {
		return nil
	}
	return j.leases.End()
}
