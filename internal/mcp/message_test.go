package mcp_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/mcp"
)

func TestMessagesThatAreRead(t *testing.T) {
	for name, c := range map[string]struct{ body, method, tool string }{
		"a call of a tool": {
			`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get_weather","arguments":{"city":"Bern"}}}`,
			"tools/call", "get_weather"},
		"a call without arguments": {`{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"name":"x"}}`,
			"tools/call", "x"},
		"a call as a notification": {`{"jsonrpc":"2.0","method":"tools/call","params":{"name":"x"}}`, "tools/call", "x"},
		"white space around":       {" \r\n\t{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"} \n", "ping", ""},
		"escapes in values": {
			`{"jsonrpc":"\u0032.0","id":1,"method":"tools\/c\u0061ll","params":{"name":"\u0078"}}`, "tools/call", "x"},
		"members in another order": {
			`{"params":{"arguments":{},"name":"x"},"method":"tools/call","id":1,"jsonrpc":"2.0"}`, "tools/call", "x"},
		"a tool outside of ASCII": {`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"größe"}}`,
			"tools/call", "größe"},
		"a tool without a name": {`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":""}}`, "tools/call",
			""},
		"arguments with any names": {
			`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","arguments":{"Name":"y","größe":1}}}`,
			"tools/call", "x"},
		"metadata of the protocol": {
			`{"jsonrpc":"2.0","id":1,"method":"server/discover","params":{` +
				`"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}`, "server/discover", ""},
		"a request with another name": {`{"jsonrpc":"2.0","id":1,"method":"prompts/get","params":{"name":"x"}}`,
			"prompts/get", ""},
		"a notification": {`{"jsonrpc":"2.0","method":"notifications/initialized"}`,
			"notifications/initialized", ""},
		"a method with capitals": {`{"jsonrpc":"2.0","id":1,"method":"logging/setLevel","params":{"level":"info"}}`,
			"logging/setLevel", ""},
		"a response":                {`{"jsonrpc":"2.0","id":1,"result":{"roots":[]}}`, "", ""},
		"a response with an error":  {`{"jsonrpc":"2.0","id":1,"error":{"code":-1,"message":"no"}}`, "", ""},
		"an error without an id":    {`{"jsonrpc":"2.0","error":{"code":-1,"message":"no"}}`, "", ""},
		"an error with the id null": {`{"jsonrpc":"2.0","id":null,"error":{"code":-1,"message":"no"}}`, "", ""},
		"arguments that nest 60 times": {call(`"x","arguments":` + strings.Repeat(`[`, 60) + strings.Repeat(`]`, 60)),
			"tools/call", "x"},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := mcp.Parse(c.body)
			if err != nil || m.Method != c.method || m.Tool != c.tool {
				t.Errorf("method %q, tool %q, error %v; want %q, %q", m.Method, m.Tool, err, c.method, c.tool)
			}
		})
	}
}

// call is a call of a tool, with this text after the name's colon.
func call(name string) string {
	return `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":` + name + `}}`
}

func TestMessagesThatAreRefused(t *testing.T) {
	for name, c := range map[string]struct{ body, cause string }{
		"nothing":                    {"", "not an object"},
		"white space":                {" ", "not an object"},
		"a batch":                    {`[` + call(`"x"`) + `]`, "a batch"},
		"a batch after white space":  {"\n [" + call(`"x"`) + `]`, "a batch"},
		"a text":                     {`"tools/call"`, "not an object"},
		"two objects":                {call(`"x"`) + call(`"y"`), "syntax"},
		"an object on the next line": {call(`"x"`) + "\n" + call(`"y"`), "syntax"},
		"a byte order mark":          {"\ufeff" + call(`"x"`), "not an object"},
		"UTF-16":                     {"\xfe\xff\x00{\x00}", "not UTF-8"},
		"a NUL at the end":           {call(`"x"`) + "\x00", "syntax"},
		"a comment":                  {`/**/` + call(`"x"`), "not an object"},
		"a comma too many":           {`{"jsonrpc":"2.0","id":1,"method":"ping",}`, "syntax"},
		"no quotes around a name":    {`{jsonrpc:"2.0","id":1,"method":"ping"}`, "syntax"},
		"single quotes":              {`{'jsonrpc':"2.0","id":1,"method":"ping"}`, "syntax"},
		"not a number":               {`{"jsonrpc":"2.0","id":NaN,"method":"ping"}`, "syntax"},
		"bytes that are not UTF-8":   {call("\"x\xff\""), "not UTF-8"},
		"a lone surrogate":           {call(`"x\ud800"`), "not UTF-8"},
		"a line end in a name":       {call("\"x\ny\""), "syntax"},
		"nested too deeply": {call(`"x","arguments":` + strings.Repeat(`[`, 100) + strings.Repeat(`]`, 100)),
			"too deeply"},
		"too many members": {call(`"x","arguments":{` + strings.TrimSuffix(manyMembers(1<<14), ",") + `}`),
			"too many members"},

		"the method twice": {`{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call"}`, "duplicate"},
		"the method twice, by an escape": {`{"jsonrpc":"2.0","id":1,"method":"ping","\u006dethod":"tools/call"}`,
			"duplicate"},
		"the name twice":               {call(`"x","name":"y"`), "duplicate"},
		"the name twice, by an escape": {call(`"x","n\u0061me":"y"`), "duplicate"},
		"params twice": {`{"jsonrpc":"2.0","id":1,"method":"ping","params":{},"params":{}}`,
			"duplicate"},
		"the method in capitals": {`{"jsonrpc":"2.0","id":1,"Method":"tools/call"}`, `"Method" is not one of`},
		"a second method in capitals": {`{"jsonrpc":"2.0","id":1,"method":"ping","METHOD":"tools/call"}`,
			`"METHOD" is not one of`},
		"params with a long s": {`{"jsonrpc":"2.0","id":1,"method":"ping","param\u017f":{}}`,
			`\u017f" is not one of`},
		"a member of another protocol": {`{"jsonrpc":"2.0","id":1,"method":"ping","extensions":{}}`,
			`"extensions" is not one of`},
		"a method that ends in NUL": {`{"jsonrpc":"2.0","id":1,"method":"ping","method\u0000":"x"}`,
			"is not one of"},
		"a name in capitals": {call(`"x","Name":"y"`), `"Name", which could be taken`},
		"a name only in capitals": {`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"NAME":"y"}}`,
			`could be taken for "name"`},
		"a name with an underscore": {call(`"x","_name":"y"`), `could be taken for "name"`},
		"a name with a blank":       {call(`"x","name ":"y"`), "names there are in ASCII"},
		"a name with NUL":           {call(`"x","name\u0000":"y"`), "names there are in ASCII"},
		"a name in full width":      {call(`"x","ｎame":"y"`), "names there are in ASCII"},
		"a uri in capitals": {
			`{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"a","URI":"b"}}`, `could be taken for "uri"`},
		"a task with an underscore": {
			`{"jsonrpc":"2.0","id":1,"method":"tasks/get","params":{"taskId":"a","task_id":"b"}}`,
			`could be taken for "taskId"`},
		"no version":                 {`{"id":1,"method":"ping"}`, `"jsonrpc" is not`},
		"another version":            {`{"jsonrpc":"1.0","id":1,"method":"ping"}`, `"jsonrpc" is not`},
		"a version that is a number": {`{"jsonrpc":2.0,"id":1,"method":"ping"}`, `"jsonrpc" is not`},
		"an empty object":            {`{}`, `"jsonrpc" is not`},
		"only a version":             {`{"jsonrpc":"2.0"}`, "either"},
		"a method that is a list":    {`{"jsonrpc":"2.0","id":1,"method":["tools/call"]}`, `"method" is an array`},
		"a method that is null":      {`{"jsonrpc":"2.0","id":1,"method":null}`, `"method" is null`},
		"an empty method":            {`{"jsonrpc":"2.0","id":1,"method":""}`, "no method has"},
		"a long method": {`{"jsonrpc":"2.0","id":1,"method":"` + strings.Repeat("a", 129) + `"}`,
			"too long"},
		"a method with a blank":          {`{"jsonrpc":"2.0","id":1,"method":"tools/call "}`, "no method has"},
		"a method with NUL":              {`{"jsonrpc":"2.0","id":1,"method":"tools/call\u0000"}`, "no method has"},
		"a method with an encoded slash": {`{"jsonrpc":"2.0","id":1,"method":"tools%2Fcall"}`, "no method has"},
		"a method in full width":         {`{"jsonrpc":"2.0","id":1,"method":"tools／call"}`, "no method has"},
		"tools/call in capitals": {`{"jsonrpc":"2.0","id":1,"method":"Tools/Call","params":{"name":"x"}}`,
			`could be taken for "tools/call"`},
		"tools/call with two slashes": {`{"jsonrpc":"2.0","id":1,"method":"tools//call"}`,
			`could be taken for "tools/call"`},
		"tools/call with a dot": {`{"jsonrpc":"2.0","id":1,"method":"tools.call"}`,
			`could be taken for "tools/call"`},
		"tools/call with a slash before it": {`{"jsonrpc":"2.0","id":1,"method":"/tools/call"}`,
			`could be taken for "tools/call"`},
		"an id that is null":      {`{"jsonrpc":"2.0","id":null,"method":"ping"}`, `"id" is null`},
		"an id that is an object": {`{"jsonrpc":"2.0","id":{},"method":"ping"}`, `"id" is an object`},
		"params that are a list": {`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":["x"]}`,
			`"params" is an array`},
		"params that are null":    {`{"jsonrpc":"2.0","id":1,"method":"ping","params":null}`, `"params" is null`},
		"params without a method": {`{"jsonrpc":"2.0","id":1,"params":{"name":"x"}}`, `no "method"`},
		"a call without params":   {`{"jsonrpc":"2.0","id":1,"method":"tools/call"}`, `its "name" is missing`},
		"a call without a name": {`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{}}`,
			`its "name" is missing`},
		"a name that is a list":   {call(`["x"]`), `its "name" is an array`},
		"a name that is a number": {call(`1`), `its "name" is a number`},
		"a name that is null":     {call(`null`), `its "name" is null`},
		"a method and a result": {
			`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x"},"result":{}}`, "not a response"},
		"a method and an error":              {`{"jsonrpc":"2.0","id":1,"method":"ping","error":{}}`, "not a response"},
		"a result and an error":              {`{"jsonrpc":"2.0","id":1,"result":{},"error":{}}`, "either"},
		"a result without an id":             {`{"jsonrpc":"2.0","result":{}}`, `needs an object there, and an "id"`},
		"a result that is a text":            {`{"jsonrpc":"2.0","id":1,"result":"x"}`, `needs an object`},
		"an error that is a text":            {`{"jsonrpc":"2.0","id":1,"error":"x"}`, `"error" is a string`},
		"an error with an id that is a list": {`{"jsonrpc":"2.0","id":[],"error":{}}`, `"id" is an array`},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := mcp.Parse(c.body)
			if !errors.Is(err, mcp.ErrMalformed) {
				t.Fatalf("read as %q %q, error %v", m.Method, m.Tool, err)
			}
			if !strings.Contains(err.Error(), c.cause) {
				t.Errorf("the error is %q, want one with %q", err, c.cause)
			}
			if m.Method != "" || m.Tool != "" {
				t.Errorf("a refused message has the method %q and the tool %q", m.Method, m.Tool)
			}
		})
	}
}

func manyMembers(n int) string {
	var text strings.Builder
	for i := range n {
		name, _ := json.Marshal(i)
		text.WriteString(`"` + string(name) + `":0,`)
	}
	return text.String()
}
