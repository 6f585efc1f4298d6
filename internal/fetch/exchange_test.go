package fetch_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/caddyjwt/gateway/internal/fetch"
)

// An observer sees redirects and failures, but neither credentials nor bodies.
func TestObserverSeesEveryExchange(t *testing.T) {
	var seen []fetch.Exchange
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Server", "here")
		if r.URL.Path == "/from" {
			http.Redirect(w, r, "/to", http.StatusFound)
		}
	}))
	defer server.Close()
	c := client(t, fetch.Options{
		Observe: func(e fetch.Exchange) { seen = append(seen, e) }, Header: http.Header{"X-Key": {"secret"}},
	})
	if _, err := c.Get(t.Context(), server.URL+"/from", "*/*", ""); err != nil {
		t.Fatal(err)
	}
	server.Close()
	if _, err := c.Get(t.Context(), server.URL+"/gone", "*/*", ""); err == nil {
		t.Fatal("a server that is down answered")
	}
	var got []int
	for i, e := range seen {
		got = append(got, e.Status)
		if e.Header.Get("X-Key") != "" || (e.Err == nil) != (e.Header.Get("X-Server") == "here") {
			t.Errorf("exchange %d: header %v, error %v", i, e.Header, e.Err)
		}
		if e.URL.Path != []string{"/from", "/to", "/gone"}[i] || e.Received.Before(e.Sent) {
			t.Errorf("exchange %d: %+v", i, e)
		}
	}
	if want := []int{302, 200, 0}; !slices.Equal(got, want) {
		t.Errorf("statuses %v, want %v", got, want)
	}
}
