package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

// office is a site whose tokens can be revoked, and its admin endpoint.
type office struct {
	*site
	admin  *http.Client
	socket string // of the admin endpoint
	store  string // what follows the word store
}

// newOffice prepares a site with a store in a file.
func newOffice(t testing.TB) *office {
	t.Helper()
	s := prepare(t)
	o := &office{site: s, socket: filepath.Join(filepath.Dir(s.socket), "a"), store: "file " + storeFile(t)}
	o.admin = adminAt(o.socket)
	return o
}

// openOffice runs a site with a store, and with a gate of these lines.
func openOffice(t testing.TB, lines ...string) *office {
	t.Helper()
	o := newOffice(t)
	o.open(lines...)
	return o
}

// storeFile is the path of a store that does not exist yet.
func storeFile(t testing.TB) string { return filepath.Join(t.TempDir(), "store.db") }

// adminAt is a client of an admin endpoint.
func adminAt(socket string) *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
		DisableKeepAlives: true, // the endpoint starts anew with each configuration
	}, Timeout: patience}
}

// revocableGate is a gate with these lines whose tokens can be revoked.
func revocableGate(lines ...string) string {
	return gateForAudience(append([]string{"max_lifetime 1h"}, lines...)...)
}

// kept is a Caddyfile of the site with the store and the admin endpoint.
func (o *office) kept(caddyfile string) string {
	options := "admin unix/" + o.socket
	if o.store != "" {
		options += "\n\tbearer_auth {\n\t\tstore " + o.store + "\n\t}"
	}
	return strings.Replace(caddyfile, "admin off", options, 1)
}

// open runs the site with a gate of these lines.
func (o *office) open(lines ...string) {
	o.t.Helper()
	o.loadFile(o.kept(o.caddyfile(revocableGate(lines...))))
}

// in is the same office for a subtest.
func (o *office) in(t testing.TB) *office {
	sub := *o
	sub.site = o.site.in(t)
	return &sub
}

const revocationsPath = "/bearer_auth/revocations"

// asks sends a request to the admin endpoint.
func (o *office) asks(method, path, body string, header ...string) answer {
	o.t.Helper()
	r, err := http.NewRequestWithContext(o.t.Context(), method, "http://127.0.0.1"+path, strings.NewReader(body))
	if err != nil {
		o.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	var response *http.Response
	ask := func() bool { response, err = o.admin.Do(r); return !isCut(err) }
	if method == http.MethodGet { // a reload may have just ended the endpoint
		eventually(o.t, "the admin endpoint answers", ask)
	} else {
		ask()
	}
	if err != nil {
		o.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		o.t.Fatal(err)
	}
	return answer{response, string(text)}
}

// m is a JSON object.
type m = map[string]any

// orders carries out an order, and gives the members of the answer.
func (o *office) orders(method string, order m) m {
	o.t.Helper()
	a := o.asks(method, revocationsPath, asJSON(o.t, order))
	var members m
	if err := json.Unmarshal([]byte(a.body), &members); err != nil || a.StatusCode != http.StatusOK {
		o.t.Fatalf("%s %v: status %d, %s", method, order, a.StatusCode, a.body)
	}
	if got := a.Header.Get("Cache-Control"); got != "no-store" {
		o.t.Errorf("Cache-Control %q", got)
	}
	return members
}

// revoke carries out an order, whose members are name, value pairs.
func (o *office) revoke(pairs ...any) m {
	o.t.Helper()
	return o.orders(http.MethodPost, orderOf(pairs...))
}

// restore takes an order back.
func (o *office) restore(pairs ...any) m {
	o.t.Helper()
	return o.orders(http.MethodDelete, orderOf(pairs...))
}

func orderOf(pairs ...any) m {
	order := make(m)
	for i := 0; i < len(pairs); i += 2 {
		order[pairs[i].(string)] = pairs[i+1]
	}
	return order
}

// listed is "whose by value" of each revocation.
func (o *office) listed(query string) []string {
	o.t.Helper()
	a := o.asks(http.MethodGet, revocationsPath+query, "")
	var list struct {
		Total   int
		Entries []struct{ Issuer, Consumer, By, Claim, Value string }
	}
	if err := json.Unmarshal([]byte(a.body), &list); err != nil || a.StatusCode != http.StatusOK {
		o.t.Fatalf("status %d, %s: %v", a.StatusCode, a.body, err)
	}
	lines := []string{}
	for _, e := range list.Entries {
		words := strings.Fields(fmt.Sprint(e.Issuer, e.Consumer, " ", e.By, " ", e.Claim, " ", e.Value))
		lines = append(lines, strings.Join(words, " "))
	}
	return lines
}

// good wants tokens to pass, also as often as it takes until they are remembered.
func (o *office) good(tokens ...string) {
	o.t.Helper()
	for _, token := range tokens {
		for range 3 {
			o.accepts(token)
		}
	}
}

// allOut is out for many tokens.
func (o *office) allOut(tokens ...string) {
	o.t.Helper()
	for _, token := range tokens {
		if status, err := o.status(token); status != http.StatusUnauthorized {
			o.t.Errorf("a revoked token: status %d, %v", status, err)
		}
	}
}
