package mcp_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/mcp"
)

// lenient is how a Go server reads a message: names in any case, and the last of two members.
type lenient struct {
	Version string `json:"jsonrpc"`
	Method  string `json:"method"`
	Params  struct {
		Name any `json:"name"`
	} `json:"params"`
}

// firstWins reads a member of an object as readers do that take the first of two.
func firstWins(object json.RawMessage, want string) json.RawMessage {
	d := json.NewDecoder(bytes.NewReader(object))
	if token, err := d.Token(); err != nil || token != json.Delim('{') {
		return nil
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil
		}
		if text, ok := name.(string); ok && strings.EqualFold(text, want) {
			return value
		}
	}
	return nil
}

func textOf(value json.RawMessage) (text string) {
	_ = json.Unmarshal(value, &text)
	return text
}

// What passes is read alike by a reader that knows exact names only, by one that ignores case and takes the last of two
// members, and by one that takes the first.
func FuzzMessage(f *testing.F) {
	for _, seed := range []string{
		callX, readURI, ping, response, `[` + callX + `]`, callX + callX,
		`{"jsonrpc":"2.0","id":1,"method":"ping","Method":"x"}`,
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","Name":"y"}}`, call(`"x","n\u0061me":"y"`),
		`{"jsonrpc":"2.0","error":{}}`, `{"jsonrpc":"2.0","id":1,"method":"tools/call","param\u017f":{}}`, call(`"\ud800"`),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		m, err := mcp.Parse(body)
		if err != nil {
			if !errors.Is(err, mcp.ErrMalformed) || m.Method != "" || m.Tool != "" {
				t.Fatalf("%q %q beside the error %v", m.Method, m.Tool, err)
			}
			return
		}
		var exact map[string]json.RawMessage
		d := json.NewDecoder(strings.NewReader(body))
		if err := d.Decode(&exact); err != nil {
			t.Fatalf("encoding/json does not read it: %v", err)
		}
		if _, err := d.Token(); !errors.Is(err, io.EOF) {
			t.Fatalf("something follows: %v", err)
		}
		if got := textOf(exact["method"]); got != m.Method {
			t.Fatalf("method %q, and by exact names %q", m.Method, got)
		}
		if got := textOf(firstWins(json.RawMessage(body), "method")); got != m.Method {
			t.Fatalf("method %q, and for a reader that takes the first %q", m.Method, got)
		}
		var last lenient
		if err := json.Unmarshal([]byte(body), &last); err != nil {
			t.Fatalf("a struct does not take it: %v", err)
		}
		if last.Method != m.Method || last.Version != "2.0" {
			t.Fatalf("method %q, and for a reader that takes the last %+v", m.Method, last)
		}
		if m.Method != "tools/call" {
			if m.Tool != "" {
				t.Fatalf("the method %q runs the tool %q", m.Method, m.Tool)
			}
			return
		}
		var params map[string]json.RawMessage
		if err := json.Unmarshal(exact["params"], &params); err != nil {
			t.Fatal(err)
		}
		first := textOf(firstWins(firstWins(json.RawMessage(body), "params"), "name"))
		if got := textOf(params["name"]); got != m.Tool || last.Params.Name != m.Tool || first != m.Tool {
			t.Fatalf("tool %q, by exact names %q, the last %q, the first %q", m.Tool, got, last.Params.Name, first)
		}
	})
}

// Fields that agree with a message say its method and its name, whoever reads them.
func FuzzFields(f *testing.F) {
	f.Add("x", "tools/call", "x")
	f.Add("größe", "tools/call", "=?base64?Z3LDtsOfZQ==?=")
	f.Fuzz(func(t *testing.T, tool, method, name string) {
		quoted, err := json.Marshal(tool)
		if err != nil {
			return
		}
		m, err := mcp.Parse(call(string(quoted)))
		if err != nil {
			return
		}
		if m.Agrees(request("POST", 1, "Mcp-Method", method, "Mcp-Name", name)) != nil {
			return
		}
		encoded := strings.HasPrefix(name, "=?base64?") && strings.HasSuffix(name, "?=")
		if method != "tools/call" || !encoded && name != m.Tool {
			t.Errorf("method %q and name %q agree with a call of %q", method, name, m.Tool)
		}
	})
}
