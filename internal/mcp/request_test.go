package mcp_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/mcp"
)

// request makes a request as a server gets it, with fields given as name, value pairs.
func request(method string, length int64, fields ...string) *http.Request {
	r := &http.Request{Method: method, ProtoMajor: 1, Header: make(http.Header), Body: http.NoBody, ContentLength: length}
	if length != 0 {
		r.Body = io.NopCloser(strings.NewReader("x"))
	}
	for i := 0; i < len(fields); i += 2 {
		r.Header[fields[i]] = append(r.Header[fields[i]], fields[i+1])
	}
	return r
}

func TestRequestsThatCarryAMessage(t *testing.T) {
	for _, fields := range [][]string{
		{"Content-Type", "application/json"},
		{"Content-Type", "Application/JSON"},
		{"Content-Type", " application/json\t"},
		{"Content-Type", "application/json;charset=utf-8"},
		{"Content-Type", "application/json ; Charset=UTF-8"},
		{"Content-Type", `application/json; charset="utf-8"`},
		{"Content-Type", "application/json", "Content-Encoding", "identity"},
		{"Content-Type", "application/json", "Content-Encoding", ""},
		{"Content-Type", "application/json", "Content-Length", "5", "Mcp-Method", "ping", "Mcp-Name", "x"},
	} {
		if carries, err := mcp.Carries(request(http.MethodPost, 1, fields...)); !carries || err != nil {
			t.Errorf("%q: %v, %v", fields, carries, err)
		}
	}
}

func TestRequestsWithoutAMessage(t *testing.T) {
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodDelete, http.MethodOptions} {
		if carries, err := mcp.Carries(request(method, 0, "Accept", "text/event-stream")); carries || err != nil {
			t.Errorf("%s: %v, %v", method, carries, err)
		}
		r := request(method, -1)
		r.ProtoMajor = 3
		if carries, err := mcp.Carries(r); carries || err != nil || r.Body != http.NoBody || r.ContentLength != 0 {
			t.Errorf("%s in HTTP/3: %v, %v, body %v", method, carries, err, r.Body)
		}
	}
}

func TestRequestsThatAreRefused(t *testing.T) {
	const json = "application/json"
	for name, c := range map[string]struct {
		r     *http.Request
		cause string
	}{
		"no content type": {request("POST", 1), `content type is ""`},
		"text":            {request("POST", 1, "Content-Type", "text/plain"), "and not application/json"},
		"a form": {request("POST", 1, "Content-Type", "application/x-www-form-urlencoded"),
			"content type"},
		"another kind of JSON": {request("POST", 1, "Content-Type", "application/json-rpc"), "content type"},
		"a suffix of JSON":     {request("POST", 1, "Content-Type", "application/a+json"), "content type"},
		"JSON with a long s":   {request("POST", 1, "Content-Type", "application/j\u017fon"), "content type"},
		"UTF-16":               {request("POST", 1, "Content-Type", json+"; charset=utf-16"), "content type"},
		"UTF-7":                {request("POST", 1, "Content-Type", json+"; charset=utf-7"), "content type"},
		"two charsets": {request("POST", 1, "Content-Type", json+"; charset=utf-8; charset=utf-16"),
			"content type"},
		"an extended charset": {request("POST", 1, "Content-Type", json+"; charset*=utf-8''utf-16"),
			"content type"},
		"another parameter":           {request("POST", 1, "Content-Type", json+"; boundary=x"), "content type"},
		"a parameter without a value": {request("POST", 1, "Content-Type", json+";"), "content type"},
		"a list of types":             {request("POST", 1, "Content-Type", json+", text/plain"), "content type"},
		"two types": {request("POST", 1, "Content-Type", json, "Content-Type", json),
			"Content-Type comes 2 times"},
		"a type with an underscore": {request("POST", 1, "Content-Type", json, "Content_Type", "text/plain"),
			`"Content_Type" could be taken`},
		"a type in lower case": {request("POST", 1, "Content-Type", json, "content-type", "text/plain"),
			`"content-type" could be taken`},
		"a type with a dot": {request("POST", 1, "Content-Type", json, "Content.Type", "text/plain"),
			`"Content.Type" could be taken`},
		"gzip": {request("POST", 1, "Content-Type", json, "Content-Encoding", "gzip"),
			"content coding"},
		"identity and gzip": {request("POST", 1, "Content-Type", json, "Content-Encoding", "identity, gzip"),
			"content coding"},
		"two codings": {request("POST", 1, "Content-Type", json, "Content-Encoding", "identity",
			"Content-Encoding", "gzip"), "comes 2 times"},
		"a coding with an underscore": {request("POST", 1, "Content-Type", json, "Content_Encoding", "gzip"),
			"could be taken"},
		"a length with an underscore": {request("POST", 1, "Content-Type", json, "Content_Length", "5"), "could be taken"},
		"a transfer coding respelt": {request("POST", 1, "Content-Type", json, "Transfer_Encoding", "chunked"),
			"could be taken"},
		"two methods in fields": {request("POST", 1, "Content-Type", json, "Mcp-Method", "a", "Mcp-Method", "a"),
			"Mcp-Method comes 2 times"},
		"two names in fields": {request("POST", 1, "Content-Type", json, "Mcp-Name", "a", "Mcp-Name", "b"),
			"Mcp-Name comes 2 times"},
		"a name with an underscore": {request("POST", 1, "Content-Type", json, "Mcp_Name", "a"),
			"could be taken for Mcp-Name"},
		"a method in capitals": {request("POST", 1, "Content-Type", json, "MCP-METHOD", "a"),
			"could be taken for Mcp-Method"},
		"an upgrade":                     {request("GET", 0, "Upgrade", "websocket"), "Upgrade"},
		"an upgrade with POST":           {request("POST", 1, "Content-Type", json, "Upgrade", "foo"), "Upgrade"},
		"GET with a body":                {request("GET", 1), "GET has a body"},
		"GET with a body in chunks":      {request("GET", -1), "GET has a body"},
		"DELETE with a body":             {request("DELETE", 5), "DELETE has a body"},
		"OPTIONS with a body":            {request("OPTIONS", 5), "OPTIONS has a body"},
		"HEAD with a body":               {request("HEAD", 5), "HEAD has a body"},
		"GET with a method in a field":   {request("GET", 0, "Mcp-Method", "tools/call"), "there is no body"},
		"GET with an empty name":         {request("GET", 0, "Mcp-Name", ""), "there is no body"},
		"PUT":                            {request("PUT", 1, "Content-Type", json), `method of HTTP is "PUT"`},
		"PATCH":                          {request("PATCH", 1, "Content-Type", json), `method of HTTP is "PATCH"`},
		"post in lower case":             {request("post", 1, "Content-Type", json), `method of HTTP is "post"`},
		"CONNECT":                        {request("CONNECT", 0), `method of HTTP is "CONNECT"`},
		"QUERY":                          {request("QUERY", 1, "Content-Type", json), `method of HTTP is "QUERY"`},
		"a content type in the trailers": {announcing("Content-Type"), "as a trailer"},
		"a name in the trailers":         {announcing("Mcp_name"), "Mcp-Name comes as a trailer"},
	} {
		if carries, err := mcp.Carries(c.r); !errors.Is(err, mcp.ErrMalformed) || carries {
			t.Errorf("%s: %v, %v", name, carries, err)
		} else if !strings.Contains(err.Error(), c.cause) {
			t.Errorf("%s: the error is %q, want one with %q", name, err, c.cause)
		}
	}
}

func announcing(trailer string) *http.Request {
	r := request("POST", -1, "Content-Type", "application/json")
	r.Trailer = http.Header{trailer: nil}
	return r
}

const (
	callX    = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","uri":"u"}}`
	readURI  = `{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"file:///a b","name":"x"}}`
	getTask  = `{"jsonrpc":"2.0","id":1,"method":"tasks/get","params":{"taskId":"t","name":"x"}}`
	ping     = `{"jsonrpc":"2.0","id":1,"method":"ping","params":{"name":"x"}}`
	response = `{"jsonrpc":"2.0","id":1,"result":{}}`
)

func TestFieldsThatAgree(t *testing.T) {
	for name, c := range map[string]struct {
		body   string
		fields []string
	}{
		"none":                    {callX, nil},
		"both":                    {callX, []string{"Mcp-Method", "tools/call", "Mcp-Name", "x"}},
		"only the method":         {callX, []string{"Mcp-Method", "tools/call"}},
		"only the name":           {callX, []string{"Mcp-Name", "x"}},
		"a name in base64":        {callX, []string{"Mcp-Name", "=?base64?eA==?="}},
		"a URI":                   {readURI, []string{"Mcp-Method", "resources/read", "Mcp-Name", "file:///a b"}},
		"a task":                  {getTask, []string{"Mcp-Name", "t"}},
		"a prompt":                {strings.Replace(callX, "tools/call", "prompts/get", 1), []string{"Mcp-Name", "x"}},
		"a name outside of ASCII": {call(`"größe"`), []string{"Mcp-Name", "=?base64?Z3LDtsOfZQ==?="}},
		"a name like base64":      {call(`"=?base64?eA==?="`), []string{"Mcp-Name", "=?base64?PT9iYXNlNjQ/ZUE9PT89?="}},
		"a name with blanks":      {call(`" x "`), []string{"Mcp-Name", "=?base64?IHgg?="}},
		"half of the markers":     {call(`"=?base64?x"`), []string{"Mcp-Name", "=?base64?x"}},
		"no name for ping":        {ping, []string{"Mcp-Method", "ping"}},
	} {
		m, err := mcp.Parse(c.body)
		if err == nil {
			err = m.Agrees(request("POST", 1, c.fields...))
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFieldsThatDisagree(t *testing.T) {
	for name, c := range map[string]struct {
		body   string
		fields []string
	}{
		"another method":                {callX, []string{"Mcp-Method", "tools/list"}},
		"the method in capitals":        {callX, []string{"Mcp-Method", "Tools/Call"}},
		"the method with a blank":       {callX, []string{"Mcp-Method", " tools/call"}},
		"an empty method":               {callX, []string{"Mcp-Method", ""}},
		"the method in base64":          {callX, []string{"Mcp-Method", "=?base64?dG9vbHMvY2FsbA==?="}},
		"a method for a response":       {response, []string{"Mcp-Method", "tools/call"}},
		"an empty method of a response": {response, []string{"Mcp-Method", ""}},
		"another name":                  {callX, []string{"Mcp-Name", "y"}},
		"an empty name":                 {callX, []string{"Mcp-Name", ""}},
		"the name in capitals":          {callX, []string{"Mcp-Name", "X"}},
		"the URI of a call":             {callX, []string{"Mcp-Name", "u"}},
		"the name of a read":            {readURI, []string{"Mcp-Name", "x"}},
		"a name for ping":               {ping, []string{"Mcp-Name", "x"}},
		"a name for a response":         {response, []string{"Mcp-Name", "x"}},
		"another name in base64":        {callX, []string{"Mcp-Name", "=?base64?eQ==?="}},
		"base64 without padding":        {callX, []string{"Mcp-Name", "=?base64?eA?="}},
		"base64 with bits left":         {callX, []string{"Mcp-Name", "=?base64?eB==?="}},
		"base64 of URLs":                {call(`"?>?"`), []string{"Mcp-Name", "=?base64?Pz4_?="}},
		"base64 in capitals":            {callX, []string{"Mcp-Name", "=?BASE64?eA==?="}},
		"base64 of nothing":             {callX, []string{"Mcp-Name", "=?base64??="}},
		"markers that overlap":          {callX, []string{"Mcp-Name", "=?base64?="}},
		"bytes outside of ASCII":        {call(`"größe"`), []string{"Mcp-Name", "größe"}},
		"a name that is not a text": {strings.Replace(ping, `"ping","params":{"name":"x"}`,
			`"prompts/get","params":{"name":1}`, 1), []string{"Mcp-Name", "1"}},
	} {
		m, err := mcp.Parse(c.body)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := m.Agrees(request("POST", 1, c.fields...)); !errors.Is(err, mcp.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	m, _ := mcp.Parse(callX)
	r := request("POST", -1)
	r.Trailer = http.Header{"Mcp-Name": {"y"}}
	if err := m.Agrees(r); !errors.Is(err, mcp.ErrMalformed) {
		t.Errorf("a trailer that came with the end of the body: %v", err)
	}
}
