//go:build e2e && e2eall

package e2e_test

import (
	"crypto/sha1" // RFC 6455 demands it
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

const withCredentials = byCookie + `
	cors {
		origins ` + listed + ` ` + sibling + `
		credentials
	}`

// pages is a backend with pages and a WebSocket.
func pages(rw http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Upgrade") != "" {
		sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
		conn, buffered, err := http.NewResponseController(rw).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = fmt.Fprintf(buffered, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
			"Sec-WebSocket-Accept: %s\r\n\r\n\x81\x05hello", base64.StdEncoding.EncodeToString(sum[:]))
		_ = buffered.Flush()
		_, _ = buffered.ReadByte() // until the page closes it
		return
	}
	rw.Header().Set("Content-Type", "text/html")
	fmt.Fprint(rw, "<!doctype html><title>a page</title>hello")
}

// submit sends a form to the protected origin, as a click on its button does, and returns the status of the next page.
func (p *page) submit(t *testing.T, method, encoding string) int {
	t.Helper()
	return p.leads(t, func() {
		p.run(t, fmt.Sprintf(`
			const form = document.createElement("form")
			Object.assign(form, { action: %q, method: %q, enctype: %q })
			form.innerHTML = '<input name=amount value=100>'
			document.body.append(form)
			form.submit()`, protected+"/orders", method, encoding), nil)
	})
}

var encodings = []string{"application/x-www-form-urlencoded", "multipart/form-data", "text/plain"}

func TestABrowserCannotForgeRequestsWithACookie(t *testing.T) {
	w := newWeb(t, withCredentials, pages)
	p := w.signedIn(t, w.token(t, "", time.Hour))
	for _, origin := range []string{stranger, neighbour} {
		for _, encoding := range encodings {
			p.visit(t, origin+"/")
			if status := p.submit(t, http.MethodPost, encoding); status != http.StatusForbidden {
				t.Errorf("a form of %s as %s: status %d", origin, encoding, status)
			}
		}
		p.visit(t, origin+"/")
		p.fetch(t, protected+"/orders", map[string]any{
			"method": http.MethodPost, "mode": "no-cors", "credentials": "include", "body": "amount=100",
		})
		if got := p.socket(t); got != "closed" {
			t.Errorf("a WebSocket of %s: %s", origin, got)
		}
		if seen := w.reached(); seen != "" {
			t.Errorf("%s has made the backend see %s", origin, seen)
		}
	}
}

// What a site does with its own cookie, and links of others to it, work as before.
func TestABrowserMayUseItsCookie(t *testing.T) {
	w := newWeb(t, withCredentials, pages)
	p := w.signedIn(t, w.token(t, "", time.Hour))
	for _, origin := range []string{protected + "/login", sibling + "/", listed + "/"} {
		for _, encoding := range encodings {
			p.visit(t, origin)
			w.reached()
			if status := p.submit(t, http.MethodPost, encoding); status != http.StatusOK {
				t.Errorf("a form of %s as %s: status %d", origin, encoding, status)
			}
			if seen := w.reached(); seen != "POST /orders" {
				t.Errorf("a form of %s as %s: the backend has seen %q", origin, encoding, seen)
			}
		}
		p.visit(t, origin)
		if got := p.socket(t); got != "hello" {
			t.Errorf("a WebSocket of %s: %s", origin, got)
		}
	}
	for _, origin := range []string{stranger, neighbour} {
		p.visit(t, origin+"/")
		if status := p.submit(t, http.MethodGet, encodings[0]); status != http.StatusOK {
			t.Errorf("a search form of %s: status %d", origin, status)
		}
		p.visit(t, origin+"/")
		status := p.leads(t, func() { p.run(t, fmt.Sprintf("location = %q", protected+"/orders"), nil) })
		if status != http.StatusOK {
			t.Errorf("a link of %s: status %d", origin, status)
		}
	}
}

// Without the check, the browser does send the forged requests: the tests above do not pass because of the browser.
func TestABrowserForgesRequestsWithoutTheOriginCheck(t *testing.T) {
	w := newWeb(t, byCookie+"\norigin_check off", pages)
	p := w.signedIn(t, w.token(t, "", time.Hour))
	p.visit(t, stranger+"/")
	if status := p.submit(t, http.MethodPost, encodings[0]); status != http.StatusOK {
		t.Errorf("a form: status %d", status)
	}
	p.visit(t, stranger+"/")
	if got := p.socket(t); got != "hello" {
		t.Errorf("a WebSocket: %s", got)
	}
}

func TestABrowserReadsWithCookiesOnlyFromListedOrigins(t *testing.T) {
	w := newWeb(t, withCredentials, func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Access-Control-Allow-Origin", "*") // no browser accepts this for a request with cookies
		pages(rw, r)
	})
	p := w.signedIn(t, w.token(t, "", time.Hour))
	for origin, may := range map[string]bool{listed: true, sibling: true, neighbour: false, stranger: false} {
		p.visit(t, origin+"/")
		w.reached()
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodDelete} {
			got := p.fetch(t, protected+"/orders", map[string]any{"method": method, "credentials": "include"})
			if may != (got.Status == http.StatusOK) || may == (got.Failed != "") {
				t.Errorf("%s from %s: %+v", method, origin, got)
			}
		}
		want := "GET /orders" // a link would do the same, and the page cannot read the answer
		if may {
			want += ", POST /orders, DELETE /orders"
		}
		if seen := w.reached(); seen != want {
			t.Errorf("%s has made the backend see %q, want %q", origin, seen, want)
		}
	}
}

// socket opens a WebSocket from a page, and returns the first message, or "closed".
func (p *page) socket(t *testing.T) (got string) {
	t.Helper()
	p.run(t, fmt.Sprintf(`
		const socket = new WebSocket(%q)
		return await new Promise((done) => {
			socket.onmessage = (e) => { done(e.data); socket.close() }
			socket.onclose = () => done("closed")
		})`, "wss"+strings.TrimPrefix(protected, "https")+"/socket"), &got)
	return got
}
