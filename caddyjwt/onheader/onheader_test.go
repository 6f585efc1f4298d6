package onheader_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/caddyjwt/onheader"
)

// However a handler answers, the header is changed once, after the handler has set it.
func TestHeaderIsChangedOnceBeforeItIsSent(t *testing.T) {
	for name, answer := range map[string]func(http.ResponseWriter){
		"with a status": func(w http.ResponseWriter) { w.WriteHeader(http.StatusNotFound) },
		"with text":     func(w http.ResponseWriter) { _, _ = io.WriteString(w, "text") },
		"with several texts": func(w http.ResponseWriter) {
			_, _ = io.WriteString(w, "a")
			_, _ = io.WriteString(w, "b")
		},
		"from a file":            func(w http.ResponseWriter) { _, _ = io.Copy(w, strings.NewReader("text")) },
		"beginning with a flush": func(w http.ResponseWriter) { _ = http.NewResponseController(w).Flush() },
		"with nothing":           func(http.ResponseWriter) {},
		"after early hints": func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusEarlyHints)
			clear(w.Header()) // as a reverse proxy does
			w.Header().Set("X-Set", "by the handler")
			w.WriteHeader(http.StatusOK)
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				calls := 0
				marked := onheader.Wrap(w, func(h http.Header) {
					calls++
					if h.Get("X-Set") == "" {
						t.Error("the header was changed too early")
					}
					h.Add("X-Changed", "yes")
				})
				marked.Header().Set("X-Set", "by the handler")
				answer(marked)
				marked.Finish()
				if calls != 1 {
					t.Errorf("changed %d times", calls)
				}
			}))
			defer server.Close()
			response, err := http.Get(server.URL)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			if got := response.Header["X-Changed"]; len(got) != 1 {
				t.Errorf("X-Changed %q", got)
			}
		})
	}
}
