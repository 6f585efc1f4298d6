//go:build e2e && e2eall

package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
)

// metadata is where the document of the protected resource is (RFC 9728 section 3).
const metadata = protected + "/.well-known/oauth-protected-resource"

const crossOrigin = `
	resource ` + protected + `/
	require scope orders:write
	cors {
		origins ` + listed + ` ` + sibling + `
	}`

// A page on a listed origin knows only the address of the API, and finds all that it needs in what the gate answers.
func TestABrowserFindsTheWayIn(t *testing.T) {
	w := newWeb(t, crossOrigin, func(rw http.ResponseWriter, _ *http.Request) { fmt.Fprint(rw, "an order") })
	p := w.browser.open(t)
	for _, origin := range []string{listed, sibling} {
		t.Run(strings.TrimPrefix(origin, "https://"), func(t *testing.T) {
			p.visit(t, origin+"/")
			orders := protected + "/orders"

			none := p.fetch(t, orders, bearing(http.MethodPost, ""))
			if want := fmt.Sprintf(`, resource_metadata="%s"`, metadata); none.Status != http.StatusUnauthorized ||
				!strings.HasPrefix(none.Challenge, "Bearer ") || !strings.Contains(none.Challenge, want) ||
				!strings.Contains(none.Challenge, `scope="orders:write"`) || strings.Contains(none.Challenge, "error=") {
				t.Errorf("without a token: %+v", none)
			}
			bad := p.fetch(t, orders, bearing(http.MethodPost, "bad"))
			if bad.Status != http.StatusUnauthorized || !strings.Contains(bad.Challenge, `error="invalid_token"`) {
				t.Errorf("with a bad token: %+v", bad)
			}
			weak := p.fetch(t, orders, bearing(http.MethodPost, w.token(t, "orders:read", time.Hour)))
			if weak.Status != http.StatusForbidden || !strings.Contains(weak.Challenge, `error="insufficient_scope"`) ||
				!strings.Contains(weak.Challenge, `scope="orders:write"`) || !strings.Contains(weak.Challenge, metadata) {
				t.Errorf("without the scope: %+v", weak)
			}
			if seen := w.reached(); seen != "" {
				t.Errorf("the backend has seen %s", seen)
			}

			address := regexp.MustCompile(`resource_metadata="([^"]*)"`).FindStringSubmatch(weak.Challenge)
			if address == nil {
				t.Fatal("the challenge names no document")
			}
			got := p.fetch(t, address[1], nil)
			var document struct {
				Resource string
				Servers  []string `json:"authorization_servers"`
				Scopes   []string `json:"scopes_supported"`
			}
			if err := json.Unmarshal([]byte(got.Body), &document); err != nil || got.Status != http.StatusOK ||
				document.Resource != protected+"/" || len(document.Servers) != 1 || document.Servers[0] != w.issuer ||
				len(document.Scopes) != 1 || document.Scopes[0] != "orders:write" {
				t.Errorf("the document: %v in %+v", err, got)
			}

			good := p.fetch(t, orders, bearing(http.MethodPost, w.token(t, "orders:write", time.Hour)))
			if good.Status != http.StatusOK || good.Body != "an order" {
				t.Errorf("with a good token: %+v", good)
			}
			if seen := w.reached(); seen != "POST /orders" {
				t.Errorf("the backend has seen %q", seen)
			}
		})
	}
}

// The document is for everybody. Nothing else is.
func TestABrowserKeepsOriginsOutThatAreNotListed(t *testing.T) {
	w := newWeb(t, crossOrigin, func(http.ResponseWriter, *http.Request) {})
	p := w.browser.open(t)
	for _, origin := range []string{neighbour, stranger} {
		p.visit(t, origin+"/")
		for _, token := range []string{"", "bad", w.token(t, "orders:write", time.Hour)} {
			if got := p.fetch(t, protected+"/orders", bearing(http.MethodPost, token)); got.Failed == "" {
				t.Errorf("a page of %s has read %+v", origin, got)
			}
		}
		if got := p.fetch(t, protected+"/orders", nil); got.Failed == "" {
			t.Errorf("a page of %s has read %+v without a preflight", origin, got)
		}
		if seen := w.reached(); seen != "" {
			t.Errorf("a page of %s has made the backend see %s", origin, seen)
		}
		if got := p.fetch(t, metadata, nil); got.Status != http.StatusOK {
			t.Errorf("a page of %s cannot read the document: %+v", origin, got)
		}
	}
}

// A browser refuses an answer with two Access-Control-Allow-Origin, or with one that is not its own.
func TestABrowserAcceptsABackendThatHasItsOwnCORS(t *testing.T) {
	w := newWeb(t, crossOrigin, func(rw http.ResponseWriter, r *http.Request) {
		rw.Header()["Access-Control-Allow-Origin"] = r.URL.Query()["origin"]
		rw.Header().Set("Access-Control-Allow-Credentials", "true")
	})
	p := w.browser.open(t)
	token := w.token(t, "orders:write", time.Hour)
	for _, own := range []string{"*", listed, stranger, "null", listed + "&origin=" + listed} {
		p.visit(t, listed+"/")
		got := p.fetch(t, protected+"/orders?origin="+own, bearing(http.MethodPost, token))
		if got.Status != http.StatusOK {
			t.Errorf("a backend that allows %s: %+v", own, got)
		}
		p.visit(t, stranger+"/")
		if got := p.fetch(t, protected+"/orders?origin="+own, bearing(http.MethodPost, token)); got.Failed == "" {
			t.Errorf("a backend that allows %s has opened the gate to %s: %+v", own, stranger, got)
		}
	}
}
