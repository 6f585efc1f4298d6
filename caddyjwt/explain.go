package caddyjwt

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyjwt/gateway/caddyjwt/explain"
	"github.com/caddyjwt/gateway/caddyjwt/issuers"
	"github.com/caddyjwt/gateway/caddyjwt/pool"
	"github.com/caddyjwt/gateway/caddyjwt/process"
	"github.com/caddyjwt/gateway/caddyjwt/rights"
	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/internal/setting"
	"github.com/caddyjwt/gateway/introspect"
)

// Explainer is a gate that explains its verdicts. Close it when done.
type Explainer struct {
	gate     *gate.Gate
	close    func() error
	config   gate.Config
	messages *rights.Judge
}

var _ explain.Judge = (*Explainer)(nil)

// judge is the running gate, with the keys, answers and revocations that it knows now.
func (h *Handler) judge(built *compiled) (explain.Judge, error) {
	held, err := h.leases.Hold()
	if err != nil {
		return nil, err
	}
	letGo := func() error { held.LetGo(); return nil }
	return &Explainer{held.Value, letGo, built.config, built.messages}, nil
}

// Explainer checks the configuration and makes its gate. Keys that are in the configuration or in a file are opened.
// With fetch, all others are, too, and servers are asked; otherwise the rules that need them are not checked. It shares
// nothing with handlers. An error is the one that Caddy would report when it loads the configuration.
func (h *Handler) Explainer(fetch bool) (*Explainer, error) {
	built, err := h.compile(words.NewSettings())
	if err != nil {
		return nil, err
	}
	built.cache = 0 // a cached verdict has no steps
	state := process.New()
	nowhere := slog.New(slog.DiscardHandler) // the explanation says what they would say
	state.Log.Keys, state.Log.Consumers = nowhere, nowhere
	o := opener{built, issuers.Opener{Shared: state}}
	open := o.openLocal
	if fetch {
		open = o.open
	}
	if built.config.Proof, err = state.Proofs.ForExplaining(built.proof); err != nil {
		return nil, err
	}
	leases, err := pool.Begin(state.Pool, open, func(error) {})
	if err != nil {
		return nil, err
	}
	return &Explainer{leases.Ours().Value, leases.End, built.config, built.messages}, nil
}

// openLocal makes the gate without what needs a server.
func (o opener) openLocal(l *pool.Lease) (*gate.Gate, error) {
	config := o.config
	config.Issuers = slices.Clone(config.Issuers)
	for i := range o.plans {
		plan, issuer := &o.plans[i], &config.Issuers[i]
		issuer.Asking = plan.AskingOf(offline{})
		var err error
		issuer.Keys, issuer.KeysID, err = plan.JoinKeys(func(source *issuers.Source) (keyset.Source, [32]byte, error) {
			if source.Fetched() {
				return offline{}, [32]byte{}, nil
			}
			return o.OpenSource(l, plan, source)
		})
		if err != nil {
			return nil, setting.Wrap("issuer "+issuer.Name, err)
		}
	}
	return o.newGate(l, config)
}

// offline stands in for a server that must not be asked.
type offline struct{}

func (offline) Current() *keyset.Set { return nil }
func (offline) Close() error         { return nil }
func (offline) Find(context.Context, jose.Algorithm, string) ([]*jose.Key, error) {
	return nil, gate.ErrOffline
}

func (offline) Introspect(context.Context, string, ...introspect.Option) (introspect.Result, error) {
	return introspect.Result{}, gate.ErrOffline
}

// Close gives back what the gate has opened.
func (x *Explainer) Close() error { return x.close() }

// Config is the settings of the gate.
func (x *Explainer) Config() gate.Config { return x.config }

// Request is a request with the token in the first configured place. If the token is for an application, so is the
// request.
func (x *Explainer) Request(token string) *http.Request {
	r := requestWith(x.config.Extractor.Places()[0], token)
	if app := x.gate.ApplicationOf(token); app != "" {
		r.URL.Path, r.RequestURI = app, app+strings.TrimPrefix(r.RequestURI, "/")
	}
	return r
}

// Explain judges a request. If the gate refuses it, the answer is the one for the client.
func (x *Explainer) Explain(r *http.Request) (*gate.Explanation, gate.Answer) {
	g := x.gate
	e := g.Explain(gate.Request{HTTP: r, Facts: gate.Direct(r)})
	x.messages.Explain(e, g, r)
	if e.Failure == nil {
		return e, gate.Answer{}
	}
	return e, g.Answer(g.Refuse(r.Context(), gate.Verdict{}, e.Failure))
}

// Permissions says what the caller of an explained request may do by the rules for MCP. It is nil without rules, and if
// the caller is not known.
func (x *Explainer) Permissions(e *gate.Explanation) *rights.Permissions {
	if !e.CallerKnown() {
		return nil
	}
	return x.messages.Permissions(x.gate, e.Identity)
}
