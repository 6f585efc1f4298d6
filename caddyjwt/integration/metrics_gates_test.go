package integration

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// ofGate is a series of one gate.
func ofGate(label, outcome, reason string) string {
	return fmt.Sprintf("requests_total{gate=%q,outcome=%q,reason=%q,server=%q}", label, outcome, reason, "srv0")
}

// gates are the labels of all gates that are shown.
func (m scraped) gates() map[string]bool {
	labels := make(map[string]bool)
	for name := range m {
		if _, rest, found := strings.Cut(name, `requests_total{gate="`); found {
			label, _, _ := strings.Cut(rest, `"`)
			labels[label] = true
		}
	}
	return labels
}

// Each gate counts for itself, by its name or else by its number, and goes on after a reload that keeps it. A gate that
// is gone has no series. A reload that fails changes nothing.
func TestMetricsOfEachGate(t *testing.T) {
	alice := hmacKey(t).Sign(t, claims())
	s := prepare(t)
	site := func(named, more string) string {
		return "handle /named* {\n\t\t" + gateFor(consumerAlice(t), "name "+named) + "\n\t}\n\t" +
			"handle /twin* {\n\t\t" + gateFor(consumerAlice(t), "name "+named, "realm twin") + "\n\t}\n\t" +
			"handle {\n\t\t" + gateFor(consumerAlice(t), more) + "\n\t}"
	}
	s.loadMeasured(site("orders", "realm one"))
	before := s.scrapeGates()
	counted := func(when string, want scraped) {
		t.Helper()
		got := make(scraped)
		for name, value := range s.scrapeGates().since(before) {
			if strings.HasPrefix(name, "requests_total") {
				got[name] = value
			}
		}
		if !maps.Equal(got, want) {
			t.Errorf("%s: %v, want %v", when, got, want)
		}
	}
	if got := before.gates(); !maps.Equal(got, map[string]bool{"orders": true, "3": true}) {
		t.Errorf("gates %v", got)
	}
	s.passed(s.get("/named", alice))
	s.passed(s.get("/twin", alice))
	s.refused(s.get("/twin", ""), 401, "missing_token")
	s.accepts(alice)
	want := scraped{
		ofGate("orders", "accepted", ""): 2, ofGate("orders", "refused", "missing_token"): 1, ofGate("3", "accepted", ""): 1,
	}
	counted("each gate", want)

	s.loadMeasured(site("orders", "realm another"))
	s.passed(s.get("/named", alice))
	want[ofGate("orders", "accepted", "")]++
	counted("after a reload", want)

	failing := s.measured(site("failed", issuerWithKeys("https://failed.example", "file /not/there.json")))
	if err := s.tryLoad(failing); err == nil {
		t.Fatal("a configuration has loaded whose keys are not there")
	}
	*s.written--
	s.passed(s.get("/named", alice))
	want[ofGate("orders", "accepted", "")]++
	counted("after a reload that has failed", want)

	s.loadMeasured(site("renamed", "realm renamed"))
	s.passed(s.get("/named", alice))
	if got := s.scrapeGates().gates(); !maps.Equal(got, map[string]bool{"renamed": true, "3": true}) {
		t.Errorf("gates %v after one was renamed", got)
	}
	s.loadMeasured(gateFor(consumerAlice(t), "name alone"))
	if got := s.scrapeGates().gates(); !maps.Equal(got, map[string]bool{"alone": true}) {
		t.Errorf("gates %v after all others were removed", got)
	}
}

// Nobody misses keys before the first token, unless they are prefetched. An alert need not know which it is.
func TestMetricsOfMissingKeys(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "missing")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	as.Down()
	missing, keys := ofIssuer("keys_missing", as.URL), ofIssuer("keys", as.URL)
	s := prepare(t)
	s.loadMeasured(gateForAudience(issuerBlock(as.URL, "max_stale 2h")))
	s.scrape().counted(t, "keys keys_missing", scraped{keys: 0, missing: 0})
	s.loadMeasured(gateForAudience(issuerBlock(as.URL, "max_stale 1h", "prefetch"))) // another source
	eventually(t, "the prefetch fails", func() bool { return s.logged("refreshing keys is failing") })
	s.scrape().counted(t, "keys keys_missing", scraped{keys: 0, missing: 1})
	as.Up()
	eventually(t, "the keys are fetched", func() bool { return s.logged("keys are ready") })
	s.accepts(key.Sign(t, issuedBy(as.URL)))
	s.scrape().counted(t, "keys keys_missing", scraped{keys: 1, missing: 0})
}
