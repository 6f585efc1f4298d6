package rights_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/caddyjwt/gateway/caddyjwt/rights"
	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/bearer"
	"github.com/caddyjwt/gateway/internal/gate"
)

// connection is a writer that keeps the last deadline for reading.
type connection struct {
	http.ResponseWriter
	set      bool
	deadline time.Time
}

func (c *connection) SetReadDeadline(t time.Time) error {
	c.set, c.deadline = true, t
	return nil
}

func judge(t *testing.T) *rights.Judge {
	t.Helper()
	j, err := (&rights.Rights{Tools: []rights.Tool{{Name: "read_file"}}}).Compile(words.NewSettings())
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func post(body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	return r
}

func call(tool string) string {
	return `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"` + tool + `"}}`
}

// A client gets a deadline while its message is read, and none afterwards: the answer may be a stream that lasts for
// hours. If the message broke off, the deadline stays.
func TestDeadlineForMessages(t *testing.T) {
	broken := post(call("read_file"))
	broken.Body = io.NopCloser(iotest.ErrReader(io.ErrUnexpectedEOF))
	for name, c := range map[string]struct {
		r              *http.Request
		set, remains   bool
		refusal, given error
	}{
		"a message that passes":     {post(call("read_file")), true, false, nil, nil},
		"a message that is refused": {post(call("x")), true, false, gate.ToolDenied, nil},
		"a message that breaks off": {broken, true, true, gate.MalformedMessage, nil},
		"no message":                {httptest.NewRequest(http.MethodGet, "/", nil), false, false, nil, nil},
		"a request that is refused": {post(call("read_file")), false, false, gate.Expired, gate.Expired},
		"a request that lacks a scope": {post(call("read_file")), true, false, gate.InsufficientScope,
			gate.InsufficientScope},
		"text, of a request without scopes": {httptest.NewRequest("POST", "/", strings.NewReader("x")), false, false,
			gate.InsufficientScope, gate.InsufficientScope},
	} {
		t.Run(name, func(t *testing.T) {
			w := &connection{ResponseWriter: httptest.NewRecorder()}
			var given error
			if reason, ok := c.given.(gate.Reason); ok {
				given = &gate.Failure{Reason: reason}
			}
			err := judge(t).Settle(w, c.r, new(gate.Gate), gate.Verdict{}, given)
			if (err != nil) != (c.refusal != nil) || c.refusal != nil && !errors.Is(err, c.refusal) {
				t.Errorf("refused for %v, want %v", err, c.refusal)
			}
			if w.set != c.set || !w.deadline.IsZero() != c.remains {
				t.Errorf("deadline set %v, and in the end %v", w.set, w.deadline)
			}
			if read := bearer.HasRead(c.r); c.set && read == c.remains {
				t.Errorf("whole body read: %v", read)
			}
		})
	}
}

// Without a block there are no rules, and nothing to say about them.
func TestNoRules(t *testing.T) {
	var none *rights.Rights
	j, err := none.Compile(words.NewSettings())
	if j != nil || err != nil || j.String() != "" || j.Scopes() != nil || j.Permissions(nil, nil) != nil {
		t.Errorf("%v, %v", j, err)
	}
}
