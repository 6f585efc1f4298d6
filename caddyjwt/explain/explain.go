// Package explain judges what an operator has pasted, a token or a request, by the rules of gates. It says of each rule
// what came, what was expected, and what would change the answer. The command "caddy bearer-auth explain" and the admin
// API use it.
package explain

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddyjwt/gateway/caddyjwt/rights"
	"github.com/caddyjwt/gateway/caddyjwt/routes"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/paste"
)

// Timeout bounds what one gate waits for servers.
const Timeout = 30 * time.Second

// mostGates is how many gates are asked when nothing selects one.
const mostGates = 10

// Judge is a gate that explains its verdicts. Close it when done.
type Judge interface {
	// Config is the settings of the gate.
	Config() gate.Config
	// Request is a request with the token in the first configured place.
	Request(token string) *http.Request
	// Explain judges a request. If the gate refuses it, the answer is the one for the client.
	Explain(r *http.Request) (*gate.Explanation, gate.Answer)
	// Permissions says what the caller may do by the rules for MCP; nil without rules, and if the caller is not known.
	Permissions(e *gate.Explanation) *rights.Permissions
	// Close gives back what the gate has opened.
	Close() error
}

// Gate is a gate that can be asked.
type Gate struct {
	routes.Way
	// Name is that of the configuration; empty for none.
	Name string
	// Open opens the judge.
	Open func() (Judge, error)
	// Unknown are rules that this judge cannot apply, with why not, if the request is accepted otherwise.
	Unknown map[string]string
}

// title names the gate for people.
func (g *Gate) title() string {
	site := g.Site(g.Name)
	return site.Title()
}

// Order is what to explain.
type Order struct {
	// Input is a token, a header line, a curl command, an HTTP request, or the JSON answer of a token endpoint.
	Input paste.Input
	// Site is the host of the gates, and Route a path, or the number or name of a gate. Empty means all.
	Site, Route string
	// Certificate is that of the client, who has proved to have its key. Nil means that the client has shown none.
	Certificate *x509.Certificate
}

// Explain judges the input by the gates that the order selects. An error says what is wrong with the order, or why a
// gate cannot be opened.
func Explain(ctx context.Context, all []*Gate, order Order) (*Report, error) {
	gates, err := order.gates(all)
	if err != nil {
		return nil, err
	}
	report := new(Report)
	for _, g := range gates {
		judged, err := g.judge(ctx, &order)
		if err != nil {
			return nil, fmt.Errorf("%s: this gate would not load: %w", g.title(), err)
		}
		report.Gates = append(report.Gates, judged)
	}
	report.sum()
	return report, nil
}

// judge explains the input for one gate.
func (g *Gate) judge(ctx context.Context, order *Order) (*Judged, error) {
	x, err := g.Open()
	if err != nil {
		return nil, err
	}
	defer x.Close()
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	sent, err := order.requestFor(ctx, x)
	if err != nil {
		return nil, err
	}
	e, answer := x.Explain(sent.request)
	j := newJudged(g.Site(g.Name), e, answer)
	if e.Outcome == gate.Accepted && e.Failure == nil {
		if config := x.Config(); sent.assumed != "" && (config.RequireTLS || config.Proof != nil) {
			j.Steps = append(j.Steps, step{Rule: "address", Result: string(gate.NotChecked), Detail: sent.assumed})
		}
		for rule, why := range g.Unknown {
			j.Steps = append(j.Steps, step{Rule: rule, Result: string(gate.NotChecked), Detail: why})
		}
	}
	j.MCP = x.Permissions(e)
	if e.Failure != nil {
		j.Change = advise(x.Config(), e, sent.request)
	}
	return j, nil
}

// gates are those that the order selects.
func (o *Order) gates(all []*Gate) ([]*Gate, error) {
	if len(all) == 0 {
		return nil, errors.New("there is no bearer_auth")
	}
	found, err := o.selected(all)
	if err != nil {
		return nil, err
	}
	if o.Input.Request != nil {
		found = o.reachedBy(found, o.Input.Request)
	}
	if len(found) > mostGates {
		return nil, fmt.Errorf("%d gates fit: choose by site or by route:\n%s", len(found), list(found))
	}
	return found, nil
}

func (o *Order) selected(all []*Gate) ([]*Gate, error) {
	found := all
	if o.Site != "" {
		found = slices.DeleteFunc(slices.Clone(found), func(g *Gate) bool { return !g.HasHost(o.Site) })
		if len(found) == 0 {
			return nil, fmt.Errorf("no gate of site %q; there are:\n%s", o.Site, list(all))
		}
	}
	if o.Route == "" {
		return found, nil
	}
	chosen := slices.DeleteFunc(slices.Clone(found), func(g *Gate) bool { return !o.isRouteOf(g) })
	if len(chosen) == 0 {
		return nil, fmt.Errorf("no gate for route %q, which is a path that begins with \"/\", or the number or name of a "+
			"gate; there are:\n%s", o.Route, list(found))
	}
	return chosen, nil
}

func (o *Order) isRouteOf(g *Gate) bool {
	if strings.HasPrefix(o.Route, "/") {
		return g.HasPath(o.Route)
	}
	return o.Route == g.Name || o.Route == strconv.Itoa(g.Number)
}

// reachedBy narrows the gates to those that a request reaches by its host and path, as far as it reaches any.
func (o *Order) reachedBy(gates []*Gate, r *http.Request) []*Gate {
	narrow := func(reached func(*Gate) bool) {
		if some := slices.DeleteFunc(slices.Clone(gates), func(g *Gate) bool { return !reached(g) }); len(some) > 0 {
			gates = some
		}
	}
	if o.Site == "" && r.Host != "" {
		narrow(func(g *Gate) bool { return g.HasHost(r.Host) })
	}
	if o.Route == "" && r.Host != "" { // a header line alone has no path of its own
		narrow(func(g *Gate) bool { return g.HasPath(r.URL.Path) })
	}
	return gates
}

// list has one gate a line.
func list(gates []*Gate) string {
	const most = 100
	var lines []string
	for _, g := range gates[:min(len(gates), most)] {
		lines = append(lines, "  "+g.title())
	}
	if left := len(gates) - most; left > 0 {
		lines = append(lines, fmt.Sprintf("  and %d more", left))
	}
	return strings.Join(lines, "\n")
}
