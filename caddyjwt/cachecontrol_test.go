package caddyjwt

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// However a handler answers, even if it writes nothing, shared caches must not store the answer to a token in the
// query.
func TestAnswersToTokensInTheQueryArePrivate(t *testing.T) {
	h := provisioned(t, `{"token_from":[{"in":"query","name":"jwt"}],"consumers":[`+consumerJSON(t)+`]}`)
	public := func(w http.ResponseWriter) { w.Header().Set("Cache-Control", "public, max-age=60") }
	for name, next := range map[string]caddyhttp.HandlerFunc{
		"with a status": func(w http.ResponseWriter, _ *http.Request) error {
			public(w)
			w.WriteHeader(http.StatusNotFound)
			return nil
		},
		"after early hints": func(w http.ResponseWriter, _ *http.Request) error {
			w.WriteHeader(http.StatusEarlyHints)
			public(w)
			w.WriteHeader(http.StatusOK)
			return nil
		},
		"with text alone": func(w http.ResponseWriter, _ *http.Request) error {
			public(w)
			_, err := io.WriteString(w, "text")
			return err
		},
		"from a file": func(w http.ResponseWriter, _ *http.Request) error {
			public(w)
			_, err := io.Copy(w, strings.NewReader("text"))
			return err
		},
		"beginning with a flush": func(w http.ResponseWriter, _ *http.Request) error {
			public(w)
			return http.NewResponseController(w).Flush()
		},
		"with nothing": func(w http.ResponseWriter, _ *http.Request) error {
			public(w)
			return nil
		},
		"with an error": func(w http.ResponseWriter, _ *http.Request) error {
			public(w)
			return caddyhttp.Error(http.StatusNotFound, errors.New("not there"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if failure, ok := h.ServeHTTP(w, r, next).(caddyhttp.HandlerError); ok {
					w.WriteHeader(failure.StatusCode)
				}
			}))
			defer server.Close()
			response, err := http.Get(server.URL + "/?jwt=" + aliceToken(t, nil))
			if err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
			if got := response.Header.Get("Cache-Control"); got != "private, max-age=60" ||
				response.StatusCode == http.StatusUnauthorized {
				t.Errorf("status %d, Cache-Control %q", response.StatusCode, got)
			}
		})
	}
}
