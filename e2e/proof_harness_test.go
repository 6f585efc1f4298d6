//go:build e2e

package e2e_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// Answers to requests, as the clients of proof/ report them: the status, the error of each challenge or a hyphen, and
// whether there is a nonce for the next proof.
const (
	passed         = "200"
	badProof       = "401 bearer:- dpop:invalid_dpop_proof"
	badKey         = badToken
	badToken       = "401 bearer:- dpop:invalid_token"
	badBearerToken = "401 bearer:invalid_token dpop:-"
	needsNonce     = "401 bearer:- dpop:use_dpop_nonce nonce"
)

// withoutProofs keeps proofs out of Caddy's logs, which have the header of each request but for Authorization.
const withoutProofs = `log {
		format filter {
			request>headers>Dpop delete
		}
	}`

// prove runs a scenario of proof/client.js and returns what it reports. The secrets that it sends must not be in the
// log.
func (g *gate) prove(t *testing.T, scenario string, needs map[string]any) []string {
	t.Helper()
	needs["socket"], needs["issuer"], needs["ca"] = g.socket, provider.Issuer, provider.identity.ca
	input, err := json.Marshal(needs)
	if err != nil {
		t.Fatal(err)
	}
	g.reached()
	report := play(t, "proof/client.js", scenario, string(input))
	return slices.DeleteFunc(report, func(line string) bool {
		secret, is := strings.CutPrefix(line, "secret ")
		if is {
			g.mu.Lock()
			g.sent = append(g.sent, secret)
			g.mu.Unlock()
		}
		return is
	})
}

// reached takes the requests that reached the backend.
func (g *gate) reached() []*http.Request {
	g.mu.Lock()
	defer g.mu.Unlock()
	seen := g.seen
	g.seen = nil
	return seen
}

// onlyPassed makes sure that the backend saw a request for each answer that says so, without its token and proof. It
// gives these requests.
func (g *gate) onlyPassed(t *testing.T, answers []string) []*http.Request {
	t.Helper()
	seen := g.reached()
	if want := strings.Count(strings.Join(answers, "\n"), passed); len(seen) != want {
		t.Errorf("%d requests reached the backend, want %d", len(seen), want)
	}
	for _, request := range seen {
		hasHeaders(t, request, map[string]string{"Authorization": "", "DPoP": ""})
	}
	return seen
}

// answered compares the answers to requests with what is wanted of each, by its name.
func answered(t *testing.T, report, names, wanted []string) {
	t.Helper()
	if len(report) != len(wanted) {
		t.Fatalf("%d answers to %d requests:\n%s", len(report), len(wanted), strings.Join(report, "\n"))
	}
	for i, name := range names {
		t.Run(name, func(t *testing.T) {
			if got := strings.TrimPrefix(report[i], "answered "); got != wanted[i] {
				t.Errorf("answered %s, want %s", got, wanted[i])
			}
		})
	}
}
