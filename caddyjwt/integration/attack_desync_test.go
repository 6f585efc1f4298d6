package integration

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"testing"
)

// A body that has announced trailers stops, and the gate answers before it has ended. What comes later is still the
// body. If the gate took it for the next request of the connection, a proxy in front of it would give the answer to
// somebody else.
func TestAttackFramesRestOfABodyAsARequest(t *testing.T) {
	for name, lines := range map[string][]string{
		"refused": nil, "refused with a body": {"error_format problem"}, "refused with an error route": {"forward_token"},
		"passes, and fails later": {"optional"},
	} {
		s := prepare(t)
		routes := "GATE\nerror @failing 500\nBACKEND\n@failing path /x"
		if name == "refused with an error route" {
			routes += "\nhandle_errors {\nBACKEND\n}"
		}
		s.behind(routes, append(lines, consumerAlice(t), openTo)...)
		for _, body := range []string{"", "3\r\nabc\r\n", "100\r\nabc"} {
			s.attack(t, name+", "+body, func(t *testing.T, a *attempt) {
				conn, err := a.dial(t.Context(), "", "")
				if err != nil {
					a.unable("%v", err)
				}
				defer conn.Close()
				_ = conn.SetDeadline(deadline())
				_, _ = io.WriteString(conn, "POST /x HTTP/1.1\r\nHost: gate.test\r\nTransfer-Encoding: chunked\r\n"+
					"Trailer: X-Sum\r\n\r\n"+body)
				answers := bufio.NewReader(conn)
				response, err := http.ReadResponse(answers, &http.Request{Method: http.MethodPost})
				if err != nil {
					a.unable("%v", err)
				}
				_, _ = io.Copy(io.Discard, response.Body)
				if !response.Close {
					t.Errorf("status %d, and the connection goes on", response.StatusCode)
				}
				_, _ = io.WriteString(conn, "GET /public/x HTTP/1.1\r\nHost: gate.test\r\nConnection: close\r\n\r\n")
				if more, _ := io.ReadAll(answers); strings.Contains(string(more), "HTTP/1.1") {
					t.Errorf("another answer: %q", more)
				}
				for _, got := range a.upstream.take() {
					if got.URI == "/public/x" {
						t.Error("the rest of the body reached the backend as a request")
					}
				}
			})
		}
	}
}
