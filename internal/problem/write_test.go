package problem_test

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"

	"github.com/caddyjwt/gateway/internal/problem"
)

func TestWriteAnswersAsTheClientCanRead(t *testing.T) {
	details := problem.Of(401, "invalid_token", "expired or so", "")
	_, asJSON := details.Body(nil)
	for name, c := range map[string]struct {
		method, accept, contentType string // of the request
		wantType, wantBody          string
		wantLength                  int
	}{
		"a GET request": {
			method: http.MethodGet, wantType: "application/problem+json", wantBody: string(asJSON), wantLength: len(asJSON),
		},
		"a GET request for text": {
			method: http.MethodGet, accept: "text/plain", wantType: "text/plain; charset=utf-8", wantBody: "expired or so\n",
			wantLength: 14,
		},
		"a HEAD request": {
			method: http.MethodHead, wantType: "application/problem+json", wantLength: len(asJSON),
		},
		"a call of gRPC":     {method: http.MethodPost, contentType: "application/grpc", wantLength: -1},
		"a call of gRPC-Web": {method: http.MethodPost, contentType: "Application/gRPC-Web+proto", wantLength: -1},
		"a type that is almost that of gRPC": {
			method: http.MethodPost, contentType: "application/grp", wantType: "application/problem+json",
			wantBody: string(asJSON), wantLength: len(asJSON),
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(c.method, "/", nil)
			r.Header.Set("Content-Type", c.contentType)
			if c.accept != "" {
				r.Header.Set("Accept", c.accept)
			}
			w := httptest.NewRecorder()
			w.Header().Set("WWW-Authenticate", "Bearer")
			w.Header().Set("ETag", `"of another body"`)
			details.Write(w, r)
			length := strconv.Itoa(c.wantLength)
			if c.wantLength < 0 {
				length = ""
			}
			if w.Code != 401 || w.Body.String() != c.wantBody || w.Header().Get("Content-Type") != c.wantType ||
				w.Header().Get("Content-Length") != length || w.Header().Get("WWW-Authenticate") != "Bearer" {
				t.Errorf("status %d, header %v, body %q", w.Code, w.Header(), w.Body)
			}
			if c.wantLength >= 0 && w.Header().Get("ETag") != "" {
				t.Error("the ETag is that of another body")
			}
		})
	}
}
