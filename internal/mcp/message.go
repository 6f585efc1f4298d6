// Package mcp reads the messages of MCP's streamable HTTP transport and says which scopes each needs. A message is a
// JSON-RPC 2.0 object in the body of a POST. What decides about it is its method and, for tools/call, the name of the
// tool.
//
// A gate in front of an MCP server is only as good as its reading of these two. A server that read another tool in the
// same bytes would run one that nobody has allowed. So the package refuses whatever two readers could take in two ways:
// by the strict reader of package strictjson, by a fixed list of members, and by comparing header fields with the body.
package mcp

import (
	"errors"
	"fmt"
	"strings"

	"github.com/caddyjwt/gateway/internal/causes"
	"github.com/caddyjwt/gateway/internal/strictjson"
)

// ErrMalformed is wrapped by every error about a request that does not carry exactly one message, in one meaning.
var ErrMalformed = errors.New("not exactly one well-formed MCP message")

// Bounds of one message. Arguments of tools nest deeper, and have more members, than what package strictjson reads
// elsewhere. The bounds keep the memory for reading a message below that of the message.
var limits = strictjson.Limits{Depth: 64, Members: 1 << 14}

// callTool is the method that runs a tool.
const callTool = "tools/call"

// Message is what decides about one message.
type Message struct {
	// Method is what the message asks for. It is empty for a response: a client's answer to a request of the server.
	Method string
	// Tool is the tool that tools/call runs. It is empty for other methods.
	Tool string

	params strictjson.Value
}

// Call is a message that runs a tool.
func Call(tool string) Message { return Message{Method: callTool, Tool: tool} }

// Words say what the message is, for people.
func (m Message) Words() []string {
	switch m.Method {
	case "":
		return []string{"a response"}
	case callTool:
		return []string{callTool, m.Tool}
	default:
		return []string{m.Method}
	}
}

// Parse reads the one message of a body. Its members are those of JSON-RPC 2.0 and no others: a member with a name like
// "Method" would be the method for some servers. An error wraps ErrMalformed.
func Parse(body string) (Message, error) {
	members, err := strictjson.ParseMembers(body, limits)
	switch {
	case errors.Is(err, strictjson.ErrNotObject) && isList(body):
		return Message{}, malformed("the body is a list: a batch is not one message")
	case err != nil:
		return Message{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	var e envelope
	for _, member := range members {
		name, _ := member.Name.Str()
		field := e.field(name)
		if field == nil {
			return Message{}, malformed("the member %s is not one of JSON-RPC 2.0", causes.Quote(name))
		}
		*field = member.Value
	}
	return e.message()
}

// isList reports whether a text begins as a JSON array does.
func isList(text string) bool { return strings.HasPrefix(strings.TrimLeft(text, " \t\r\n"), "[") }

// envelope has the members of a message (JSON-RPC 2.0 sections 4 and 5). A member that is missing is Invalid.
type envelope struct{ version, id, method, params, result, failure strictjson.Value }

func (e *envelope) field(name string) *strictjson.Value {
	switch name {
	case "jsonrpc":
		return &e.version
	case "id":
		return &e.id
	case "method":
		return &e.method
	case "params":
		return &e.params
	case "result":
		return &e.result
	case "error":
		return &e.failure
	default:
		return nil
	}
}

func (e *envelope) message() (Message, error) {
	switch {
	case !e.version.Equal("2.0"):
		return Message{}, malformed(`the member "jsonrpc" is not "2.0"`)
	case there(e.method):
		return e.call()
	case there(e.params):
		return Message{}, malformed(`a message with "params" has no "method"`)
	default:
		return Message{}, e.checkResponse()
	}
}

// call reads a request, or a notification, which has no id.
func (e *envelope) call() (Message, error) {
	method, _ := e.method.Str()
	switch {
	case there(e.result), there(e.failure):
		return Message{}, malformed(`a message with "method" is not a response, and has no "result" and no "error"`)
	case there(e.id) && !isID(e.id):
		return Message{}, malformed(`the member "id" is %s, and not a string or a number`, kindOf(e.id))
	case e.method.Kind() != strictjson.String:
		return Message{}, malformed(`the member "method" is %s, and not a string`, kindOf(e.method))
	case there(e.params) && e.params.Kind() != strictjson.Object:
		return Message{}, malformed(`the member "params" is %s, and not an object`, kindOf(e.params))
	}
	if err := checkMethod(method); err != nil {
		return Message{}, err
	}
	if err := checkParams(e.params); err != nil {
		return Message{}, err
	}
	m := Message{Method: method, params: e.params}
	if method != callTool {
		return m, nil
	}
	name, _ := e.params.Member("name")
	tool, ok := name.Str()
	if !ok {
		return Message{}, malformed(`tools/call needs the name of a tool in "params"; its "name" is %s`, kindOf(name))
	}
	m.Tool = tool
	return m, nil
}

// checkResponse checks a client's answer to a request of the server. An error may lack its id (JSON-RPC 2.0 section 5).
func (e *envelope) checkResponse() error {
	switch {
	case there(e.result) == there(e.failure):
		return malformed(`a message has either "method", "result" or "error"`)
	case there(e.result) && (e.result.Kind() != strictjson.Object || !isID(e.id)):
		return malformed(`a response with "result" needs an object there, and an "id"`)
	case there(e.failure) && e.failure.Kind() != strictjson.Object:
		return malformed(`the member "error" is %s, and not an object`, kindOf(e.failure))
	case there(e.id) && !isID(e.id) && e.id.Kind() != strictjson.Null:
		return malformed(`the member "id" is %s, and not a string or a number`, kindOf(e.id))
	}
	return nil
}

// kindOf is the kind of a member's value, for causes.
func kindOf(v strictjson.Value) string {
	switch kind := v.Kind(); kind {
	case strictjson.Invalid:
		return "missing"
	case strictjson.Null:
		return "null"
	case strictjson.Array, strictjson.Object:
		return "an " + kind.String()
	default:
		return "a " + kind.String()
	}
}

func there(v strictjson.Value) bool { return v.Kind() != strictjson.Invalid }

// isID reports whether a value is the id of a request. In MCP, an id is not null.
func isID(v strictjson.Value) bool {
	return v.Kind() == strictjson.String || v.Kind() == strictjson.Number
}

// subjects are the members of params that say what a request is about: see subject.
var subjects = []string{"name", "uri", "taskId"}

// checkParams refuses names that some servers would take for that of a subject. It refuses all names outside of ASCII:
// there are several ways to normalize them, and the protocol has no such names.
func checkParams(params strictjson.Value) error {
	for member := range params.Members() {
		name, _ := member.Str()
		if !isGraphic(name) {
			return malformed("params has the member %s: names there are in ASCII, without blanks", causes.Quote(name))
		}
		for _, subject := range subjects {
			if name != subject && alike(name, subject) {
				return malformed("params has the member %s, which could be taken for %q", causes.Quote(name), subject)
			}
		}
	}
	return nil
}

// subject is what a message is about. Mcp-Name repeats it. Most methods have none. Those of tasks are an extension
// (SEP-2663, "Streamable HTTP: Routing Headers").
func (m Message) subject() (text string, ok bool) {
	var member strictjson.Value
	switch m.Method {
	case callTool, "prompts/get":
		member, _ = m.params.Member("name")
	case "resources/read":
		member, _ = m.params.Member("uri")
	case "tasks/get", "tasks/update", "tasks/cancel", "tasks/result":
		member, _ = m.params.Member("taskId")
	}
	return member.Str()
}

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrMalformed}, args...)...)
}
