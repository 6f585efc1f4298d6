// Package diagnose asks the servers of a configuration what the gate would ask them, and reports what is wrong. It uses
// the gate's own key sources and clients, so it meets the same rules about addresses, certificates and answers.
//
// Everything that a server says is made printable and is bounded before it gets into a report.
package diagnose

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/introspect"
)

// AtOnce is how many issuers are checked at a time.
const AtOnce = 8

// Issuer is one issuer to check, with what the gate would use for it. Nothing has been fetched yet.
type Issuer struct {
	Name       string
	Gates      int    // how many gates have this issuer with these settings
	KeysFrom   string // the configuration's word for where the keys come from
	KeySet     string // address of the key set, when the configuration has it
	Algorithms jose.Algorithms
	Leeway     time.Duration
	Keys       keyset.Source     // nil when the issuer has no keys
	Metadata   *keyset.Discovery // nil when its metadata is not read
	Asking     *Asking           // nil when the server is not asked about tokens
	Files      []Certificate     // that the configuration names for this server
	PlainHTTP  string            // what others can see and change on the way without TLS; empty when it is not allowed
	Exchanges  *Exchanges        // sees every request for this issuer
}

// Asking is how the authorization server is asked about tokens.
type Asking struct {
	Client   *introspect.Client
	Endpoint string // when the configuration has it; empty when the metadata names it
	UserInfo bool   // the UserInfo endpoint is asked
	Signed   bool   // answers must be signed, so they need the issuer's keys
	Prefix   string // how the issuer's opaque tokens begin
}

// Run checks the issuers, several at a time, and returns their reports in the same order. When ctx ends, it stops
// waiting, and the reports of the rest say that they were not checked. done is called after each issuer, one call at a
// time, with the number of issuers that are checked so far.
func Run(ctx context.Context, issuers []Issuer, done func(n int)) []Report {
	reports := make([]Report, len(issuers))
	next := make(chan int)
	var workers sync.WaitGroup
	var mu sync.Mutex
	checked := 0
	for range min(AtOnce, len(issuers)) {
		workers.Go(func() {
			for i := range next {
				reports[i] = check(ctx, &issuers[i])
				mu.Lock()
				checked++
				done(checked)
				mu.Unlock()
			}
		})
	}
	for i := range issuers {
		next <- i
	}
	close(next)
	workers.Wait()
	blameOurClock(reports)
	return reports
}

// inquiry is the check of one issuer.
type inquiry struct {
	of *Issuer
	Report
}

func check(ctx context.Context, issuer *Issuer) Report {
	q := &inquiry{issuer, Report{
		Issuer: printable(issuer.Name), Gates: issuer.Gates, KeysFrom: issuer.KeysFrom,
		Keys: []Key{}, Skipped: []Skipped{}, Servers: []Server{}, Findings: []Finding{},
	}}
	q.files(time.Now())
	if issuer.PlainHTTP != "" {
		q.find(Note, PlainHTTP, issuer.PlainHTTP, "")
	}
	if ctx.Err() == nil {
		q.metadata(ctx)
		q.keys(ctx)
		q.ask(ctx)
		q.servers(time.Now())
	}
	if ctx.Err() != nil {
		cure := ""
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			cure = "raise --timeout, and look for servers that do not answer"
		}
		q.find(Problem, NotChecked, "the check ended before this issuer was done", cure)
	}
	q.Result = worst(q.Findings)
	slices.SortStableFunc(q.Findings, func(a, b Finding) int { return b.Level.rank() - a.Level.rank() })
	return q.Report
}

// find adds a finding, unless the report has it already: metadata and keys often suffer from the same trouble.
func (q *inquiry) find(level Level, code Code, text, cure string) {
	finding := Finding{Level: level, Code: code, Text: printable(text), Cure: printable(cure)}
	if !slices.Contains(q.Findings, finding) {
		q.Findings = append(q.Findings, finding)
	}
}
