//go:build e2e && e2eall

package e2e_test

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// The browser itself keeps the answers of a gate without any word about other origins from their pages.
func TestABrowserAloneKeepsOtherOriginsOut(t *testing.T) {
	w := newWeb(t, "public /login", func(http.ResponseWriter, *http.Request) {})
	token := w.token(t, "", time.Hour)
	p := w.browser.open(t)
	for _, origin := range []string{listed, sibling, stranger} {
		p.visit(t, origin+"/")
		if got := p.fetch(t, protected+"/orders", bearing(http.MethodPost, token)); got.Failed == "" {
			t.Errorf("a page of %s has read %+v", origin, got)
		}
		if seen := w.reached(); seen != "" {
			t.Errorf("a page of %s has made the backend see %s", origin, seen)
		}
	}

	if status := p.visit(t, protected+"/"); status != http.StatusUnauthorized {
		t.Errorf("without a token: status %d", status)
	}
	p.visit(t, protected+"/login")
	w.reached()
	if got := p.fetch(t, protected+"/orders", bearing(http.MethodPost, token)); got.Status != http.StatusOK {
		t.Errorf("the page's own origin: %+v", got)
	}
	if seen := w.reached(); seen != "POST /orders" {
		t.Errorf("the page's own origin: the backend has seen %q", seen)
	}
	got := p.fetch(t, protected+"/orders", bearing(http.MethodPost, ""))
	if got.Status != http.StatusUnauthorized || !strings.HasPrefix(got.Challenge, "Bearer ") {
		t.Errorf("without a token: %+v", got)
	}
}
