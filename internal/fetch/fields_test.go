package fetch_test

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/fetch"
	"github.com/caddyjwt/gateway/internal/rotating"
)

// replace puts a file in place that was written an hour ago.
func replace(tb testing.TB, path, text string) {
	tb.Helper()
	old := time.Now().Add(-time.Hour)
	if err := errors.Join(os.WriteFile(path+".new", []byte(text), 0o600), os.Chtimes(path+".new", old, old),
		os.Rename(path+".new", path)); err != nil {
		tb.Fatal(err)
	}
}

// bearerOf is an Authorization field whose token is in a file.
func bearerOf(path, first string) rotating.Field {
	return rotating.Field{Name: "authorization", Value: rotating.Template{
		Parts: []rotating.Part{{Text: "Bearer "}, {Text: path, File: true}}, First: "Bearer " + first,
	}}
}

// picky accepts one credential, and notes all that it is shown.
type picky struct {
	mu    sync.Mutex
	good  string
	shown []string
	seen  func(n int) // called before the answer to the nth request; nil for none
}

func (p *picky) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shown = append(p.shown, r.Header.Get("Authorization"))
	if p.seen != nil {
		p.seen(len(p.shown))
	}
	if p.shown[len(p.shown)-1] != "Bearer "+p.good {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	fmt.Fprint(w, "keys")
}

func (p *picky) requests() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	shown := p.shown
	p.shown = nil
	return shown
}

func TestAHeaderFieldFollowsItsFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	replace(t, path, "one\n")
	server := &picky{good: "one"}
	s := serve(t, server.ServeHTTP)
	c := client(t, fetch.Options{
		Header: http.Header{"X-Tenant": {"a"}}, Rotating: []rotating.Field{bearerOf(path, "one")},
		Logger: slog.New(slog.DiscardHandler),
	})
	for _, step := range []struct {
		name, content, good string
		shown               []string
		status              int
	}{
		{"at first", "one\n", "one", []string{"one"}, 200},
		{"replaced", "two\r\n", "two", []string{"two"}, 200},
		{"with a line in it", "three\r\nX-Admin: yes", "two", []string{"two"}, 200},
		{"with a character that fields cannot have", "thr\x00ee", "two", []string{"two"}, 200},
		{"empty", "", "two", []string{"two"}, 200},
		{"the server knows another one", "four", "five", []string{"four"}, 401},
		{"a good one again", "five", "five", []string{"five"}, 200},
	} {
		t.Run(step.name, func(t *testing.T) {
			replace(t, path, step.content)
			server.mu.Lock()
			server.good = step.good
			server.mu.Unlock()
			response, err := c.Get(t.Context(), s.URL, "*/*", "")
			if err != nil || response.Status != step.status {
				t.Errorf("%+v, error %v", response, err)
			}
			for i, want := range step.shown {
				step.shown[i] = "Bearer " + want
			}
			if shown := server.requests(); !slices.Equal(shown, step.shown) {
				t.Errorf("the server was shown %q, want %q", shown, step.shown)
			}
		})
	}
}

// The file changes while the server refuses what it had. The new one is sent at once, but only once.
func TestARefusedHeaderFieldIsReadAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	replace(t, path, "one")
	server := &picky{good: "two"}
	s := serve(t, server.ServeHTTP)
	c := client(t, fetch.Options{Rotating: []rotating.Field{bearerOf(path, "one")}})
	for _, step := range []struct {
		name, changes string
		shown         []string
		status        int
	}{
		{"it stays the same", "one", []string{"Bearer one"}, 401},
		{"another one that is wrong", "wrong", []string{"Bearer one", "Bearer wrong"}, 401},
		{"the right one", "two", []string{"Bearer wrong", "Bearer two"}, 200},
	} {
		t.Run(step.name, func(t *testing.T) {
			server.seen = func(n int) {
				if n == 1 && os.WriteFile(path, []byte(step.changes), 0o600) != nil { // just now, so it has not settled
					t.Error("the file cannot be written")
				}
			}
			response, err := c.Get(t.Context(), s.URL, "*/*", "")
			if err != nil || response.Status != step.status {
				t.Errorf("%+v, error %v", response, err)
			}
			if shown := server.requests(); !slices.Equal(shown, step.shown) {
				t.Errorf("the server was shown %q, want %q", shown, step.shown)
			}
		})
	}
}

// A rotating field identifies us like any other: another server does not see it, not even by way of a redirect.
func TestARotatingFieldStaysAtHome(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	replace(t, path, "secret")
	other := &picky{good: "secret"}
	elsewhere := serve(t, other.ServeHTTP)
	s := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, http.StatusFound) })
	options := fetch.Options{Rotating: []rotating.Field{bearerOf(path, "secret")}}
	response, err := client(t, options).Get(t.Context(), s.URL, "*/*", "")
	if err != nil || response.Status != http.StatusUnauthorized {
		t.Errorf("%+v, error %v", response, err)
	}
	stranger, differs := options.ForStrangers()
	if !differs {
		t.Error("for strangers nothing is left out")
	}
	if _, err := client(t, stranger).Get(t.Context(), elsewhere.URL, "*/*", ""); err != nil {
		t.Error(err)
	}
	if shown := other.requests(); strings.Join(shown, "") != "" || len(shown) != 2 {
		t.Errorf("the other server was shown %q", shown)
	}
}

func TestABadFirstFieldIsAnError(t *testing.T) {
	options := fetch.Options{Rotating: []rotating.Field{{Name: "X-Key", Value: rotating.Template{First: "a\nb: hunter2"}}}}
	if _, err := fetch.NewClient(options); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("error %v", err)
	}
}

// Another file is another credential, and so is another text beside it. What the file has does not count.
func TestFingerprintOfRotatingFields(t *testing.T) {
	of := func(field rotating.Field) [32]byte {
		return fetch.Options{Rotating: []rotating.Field{field}}.Fingerprint()
	}
	one := of(bearerOf("/a", "one"))
	if of(bearerOf("/a", "two")) != one {
		t.Error("the content counts")
	}
	basic := bearerOf("/a", "one")
	basic.Value.Parts[0].Text = "Basic "
	if of(bearerOf("/b", "one")) == one || of(basic) == one {
		t.Error("the template does not count")
	}
}
