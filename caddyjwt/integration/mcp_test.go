package integration

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

const jsonType = "application/json"

// call is a call of a tool.
func call(tool string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":%q,"arguments":{"a":1}}}`, tool)
}

// message sends a message of MCP. More fields may follow, as name, value pairs.
func (s *site) message(token, body string, header ...string) answer {
	s.t.Helper()
	header = append([]string{"Content-Type", jsonType, "Accept", jsonType + ", text/event-stream"}, header...)
	if token != "" {
		header = append(header, "Authorization", "Bearer "+token)
	}
	return s.do(s.request("POST", "/mcp", strings.NewReader(body), header...))
}

// mcpBlock has a tool for everybody, one for writers, and a method with a scope of its own.
const mcpBlock = `mcp {
			tool read_file
			tool delete_file scope files:read files:write
			method resources/read scope resources
			method tools/call scope tools
		}`

// mcpSite is a gate for messages, with more lines, and a key of its issuer.
func mcpSite(t *testing.T, lines ...string) (s *site, sign func(scopes string) string) {
	key := tokentest.NewKey(t, "ES256", "e1")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	s = start(t, gateFor(append([]string{issuerByJWKS(as)}, lines...)...))
	return s, func(scopes string) string { return key.Sign(t, issuedBy(as.URL, "scope", scopes)) }
}

func TestRightsByToolAndMethod(t *testing.T) {
	s, sign := mcpSite(t, "require scope mcp", mcpBlock)
	const read, remove = `{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"a"}}`, "delete_file"
	for name, c := range map[string]struct {
		scopes, body, reason, wanted string
	}{
		"a tool for everybody": {"mcp tools", call("read_file"), "", ""},
		"a tool for everybody, without the scope of the method": {
			"mcp", call("read_file"), "insufficient_scope", "mcp tools"},
		"a tool with all of its scopes": {"mcp tools files:read files:write", call(remove), "", ""},
		"a tool with one of its scopes": {
			"mcp tools files:read", call(remove), "insufficient_scope", "mcp tools files:read files:write"},
		"a tool without the scope of the route: one challenge has them all": {
			"files:read", call(remove), "insufficient_scope", "mcp tools files:read files:write"},
		"a message that is not well-formed, without the scope of the route": {
			"tools", "[]", "insufficient_scope", "mcp"},
		"a tool that is not listed": {"mcp tools", call("format_disk"), "tool_denied", ""},
		"a method with its scope":   {"mcp resources", read, "", ""},
		"a method without its scope": {
			"mcp tools", read, "insufficient_scope", "mcp resources"},
		"a method that is not listed": {"mcp", `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`, "", ""},
		"a notification":              {"mcp", `{"jsonrpc":"2.0","method":"notifications/initialized"}`, "", ""},
		"a response":                  {"mcp", ` {"jsonrpc":"2.0","id":"x","result":{}} `, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := s.in(t)
			got := s.message(sign(c.scopes), c.body)
			if c.reason == "" {
				if arrived := s.passed(got); arrived.Body != c.body {
					t.Errorf("%q arrived", arrived.Body)
				}
				return
			}
			s.refused(got, http.StatusForbidden, c.reason)
			params, err := parseChallenge(got.Header.Get("WWW-Authenticate"))
			if err != nil || params["scope"] != c.wanted || (params["error"] == "") != (c.reason == "tool_denied") {
				t.Errorf("challenge %q, error %v; want the scope %q", got.Header.Get("WWW-Authenticate"), err, c.wanted)
			}
		})
	}
}

// A client whose user must sign in again asks for the scopes of its message with the same question (RFC 9470 section
// 3). Otherwise the user would have to answer twice.
func TestRightsOfAMessageWhoseUserMustSignInAgain(t *testing.T) {
	s, sign := mcpSite(t, "require scope mcp", "require acr gold", "require max_auth_age 10m", mcpBlock)
	for name, c := range map[string]struct{ scopes, body, wanted string }{
		"a tool with scopes":                         {"mcp", call("delete_file"), "mcp tools files:read files:write"},
		"a tool with scopes, and none for the route": {"", call("delete_file"), "mcp tools files:read files:write"},
		"a message without scopes":                   {"mcp", `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`, ""},
		"the same, without the scope of the route":   {"", `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`, "mcp"},
		"a message that is not well-formed":          {"mcp", "[]", ""},
		"the same again, without that of the route":  {"", "[]", "mcp"},
	} {
		t.Run(name, func(t *testing.T) {
			s := s.in(t)
			got := s.message(sign(c.scopes), c.body)
			s.refused(got, http.StatusUnauthorized, "insufficient_user_authentication")
			params, err := parseChallenge(got.Header.Get("WWW-Authenticate"))
			if err != nil || params["scope"] != c.wanted || params["error"] != "insufficient_user_authentication" ||
				params["acr_values"] != "gold" || params["max_age"] != "600" {
				t.Errorf("challenge %q, error %v; want the scope %q", got.Header.Get("WWW-Authenticate"), err, c.wanted)
			}
		})
	}
}

// Placeholders name the message that the rules have judged, and nothing that they do not know.
func TestPlaceholdersOfMessages(t *testing.T) {
	const shown = "log_append mcp {http.auth.bearer.mcp.method}\nlog_append tool {http.auth.bearer.mcp.tool}"
	key := tokentest.NewKey(t, "ES256", "e1")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	s := start(t, gateFor(issuerByJWKS(as), mcpBlock)+"\n"+shown)
	token := key.Sign(t, issuedBy(as.URL, "scope", "tools"))
	for i, c := range []struct {
		body         string
		method, tool any
	}{
		{call("read_file"), "tools/call", "read_file"},
		{call("delete_file"), "tools/call", "delete_file"},
		{call("drop\nall"), nil, nil},
		{"[]", nil, nil},
		{`{"jsonrpc":"2.0","id":1,"method":"tools/list"}`, "tools/list", nil},
		{`{"jsonrpc":"2.0","id":1,"result":{}}`, nil, nil},
	} {
		line := s.logs(fmt.Sprintf("/%d", i), func(path string) {
			s.do(s.request("POST", path, strings.NewReader(c.body), "Content-Type", jsonType, "Authorization",
				"Bearer "+token))
		})
		if line["mcp"] != c.method || line["tool"] != c.tool {
			t.Errorf("%s: %v and %v in the access log", c.body, line["mcp"], line["tool"])
		}
	}
}

// Without a token, a message that needs a scope gets 401, so that its client begins to get one.
func TestMessagesWithoutAToken(t *testing.T) {
	for _, line := range []string{"optional", "anonymous alice"} {
		s, _ := mcpSite(t, consumerAlice(t), line, "mcp {\n tool read_file\n tool delete_file scope files:write\n }")
		got := s.message("", call("delete_file"))
		s.refused(got, http.StatusUnauthorized, "missing_token")
		if challenge := got.Header.Get("WWW-Authenticate"); challenge != `Bearer realm="api", scope="files:write"` {
			t.Errorf("%s: challenge %q", line, challenge)
		}
		s.passed(s.message("", call("read_file")))
		s.refused(s.message("", call("format_disk")), http.StatusForbidden, "tool_denied")
		s.refused(s.message("", "[]"), http.StatusBadRequest, "malformed_message")
	}
}

// On a public path no token is judged. A challenge would have clients get a token, send it in vain, and get another.
func TestMessagesToPublicPaths(t *testing.T) {
	s, sign := mcpSite(t, "public /mcp", "mcp {\n tool read_file\n tool delete_file scope files:write\n }")
	for _, token := range []string{"", sign("files:write")} {
		s.passed(s.message(token, call("read_file")))
		got := s.message(token, call("delete_file"))
		s.refused(got, http.StatusForbidden, "tool_denied")
		if challenge := got.Header.Get("WWW-Authenticate"); challenge != `Bearer realm="api"` {
			t.Errorf("challenge %q", challenge)
		}
	}
}

func TestToolsWithoutALine(t *testing.T) {
	s, sign := mcpSite(t, "mcp {\n tool delete_file scope files:write\n default allow\n }")
	s.passed(s.message(sign(""), call("list_files")))
	s.refused(s.message(sign(""), call("delete_file")), http.StatusForbidden, "insufficient_scope")
	s.refused(s.message(sign(""), call("Delete-File")), http.StatusBadRequest, "malformed_message")
	s, sign = mcpSite(t, "mcp {\n default deny\n }")
	s.refused(s.message(sign(""), call("list_files")), http.StatusForbidden, "tool_denied")
	s.passed(s.message(sign(""), `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`))
	s, sign = mcpSite(t, "mcp {\n method tools/call scope tools\n }")
	s.passed(s.message(sign("tools"), call("anything")))
	s.refused(s.message(sign(""), call("anything")), http.StatusForbidden, "insufficient_scope")
}

// What arrives is what was sent, however it was sent. Requests without a message pass as they are.
func TestMessagesArriveByteForByte(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "e1")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	s, ways := startEverywhere(t, gateFor(issuerByJWKS(as), mcpBlock))
	token := key.Sign(t, issuedBy(as.URL, "scope", "tools"))
	long := strings.Replace(call("read_file"), `"a":1`, `"a":"`+strings.Repeat("\\u00e9 \\\"ö", 80_000)+`"`, 1)
	for _, way := range ways {
		s := s.in(t)
		s.client, s.base = way.client, strings.TrimSuffix(way.url, "/")
		for _, body := range []string{call("read_file"), "\r\n\t " + call("read_file") + "\n", long} {
			for _, length := range []int64{int64(len(body)), -1} {
				r := s.request("POST", "/mcp", io.NopCloser(strings.NewReader(body)), "Authorization", "Bearer "+token,
					"Content-Type", "application/json; charset=utf-8", "Mcp-Method", "tools/call", "Mcp-Name", "read_file",
					"Mcp-Session-Id", "s1")
				r.ContentLength = length
				got := s.passed(s.do(r))
				chunked := got.Header.Get("Content-Length") == ""
				if got.Body != body || way.name == "HTTP/1.1" && chunked != (length < 0) {
					t.Errorf("%s, length %d: %d of %d bytes arrived, Content-Length %q", way.name, length, len(got.Body),
						len(body), got.Header.Get("Content-Length"))
				}
				if got.Header.Get("Mcp-Method") != "tools/call" || got.Header.Get("Mcp-Session-Id") != "s1" {
					t.Errorf("%s: fields %v", way.name, got.Header)
				}
			}
		}
		for _, method := range []string{"GET", "DELETE", "HEAD", "OPTIONS"} {
			r := s.request(method, "/mcp", nil, "Authorization", "Bearer "+token, "Accept", "text/event-stream")
			if got := s.passed(s.do(r)); got.Method != method || got.Body != "" {
				t.Errorf("%s: %s with the body %q arrived", way.name, got.Method, got.Body)
			}
		}
	}
}

// A client that asks first gets "100 Continue" only if its body is read.
func TestMessageOfAClientThatAsksFirst(t *testing.T) {
	s, sign := mcpSite(t, mcpBlock)
	ask := func(length int, contentType string) string {
		conn, err := s.dial(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(deadline())
		fmt.Fprintf(conn, "POST /mcp HTTP/1.1\r\nHost: gate.test\r\nAuthorization: Bearer %s\r\nContent-Type: %s\r\n"+
			"Content-Length: %d\r\nExpect: 100-continue\r\n\r\n", sign("tools"), contentType, length)
		line, err := bufio.NewReader(conn).ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		return strings.Fields(line)[1]
	}
	if got := ask(len(call("read_file")), jsonType); got != "100" {
		t.Errorf("a message: %s", got)
	}
	if got := ask(2<<20, jsonType); got != "400" {
		t.Errorf("a long message: %s", got)
	}
	if got := ask(10, "text/plain"); got != "400" {
		t.Errorf("text: %s", got)
	}
}

// Clients learn the scopes of tools and methods from the metadata of the resource.
func TestScopesOfToolsAreInTheMetadata(t *testing.T) {
	s, _ := mcpSite(t, "resource https://gate.test/mcp", "require scope mcp", mcpBlock)
	got := s.get("/.well-known/oauth-protected-resource/mcp", "")
	want := `"scopes_supported":["mcp","resources","tools","files:read","files:write"]`
	if got.StatusCode != http.StatusOK || !strings.Contains(strings.Join(strings.Fields(got.body), ""), want) {
		t.Errorf("status %d: %s, want %s", got.StatusCode, got.body, want)
	}
}

// Streams are not delayed: each event is there before the server sends the next one.
func TestAnswersToMessagesStream(t *testing.T) {
	s, sign := mcpSite(t, mcpBlock)
	next := make(chan struct{})
	s.upstream.answer = func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range 3 {
			fmt.Fprintf(w, "data: %d\n\n", i)
			w.(http.Flusher).Flush()
			select {
			case <-next:
			case <-r.Context().Done():
				return
			}
		}
	}
	for _, method := range []string{"POST", "GET"} {
		r := s.request(method, "/mcp", nil, "Authorization", "Bearer "+sign("tools"), "Content-Type", jsonType)
		if method == "POST" {
			r = s.request(method, "/mcp", strings.NewReader(call("read_file")), "Authorization", "Bearer "+sign("tools"),
				"Content-Type", jsonType)
		}
		response, err := s.client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(response.Body)
		for i := range 3 {
			if !lines.Scan() || lines.Text() != fmt.Sprintf("data: %d", i) {
				t.Fatalf("%s: event %d is %q, %v", method, i, lines.Text(), lines.Err())
			}
			lines.Scan()
			next <- struct{}{}
		}
		response.Body.Close()
	}
}

// The log says why, with the client's texts quoted and cut.
func TestCausesOfRefusedMessages(t *testing.T) {
	s, sign := mcpSite(t, mcpBlock, "error_format problem")
	s.message(sign("tools"), call("a\nb"+strings.Repeat("x", 300)))
	cause, _ := s.accessLog()["auth_cause"].(string)
	want := `nobody may run this tool here: the tool "a\nb` + strings.Repeat("x", 96)
	if !strings.HasPrefix(cause, want) || len(cause) > 250 {
		t.Errorf("cause %q, want one that begins with %q", cause, want)
	}
	got := s.message(sign("tools"), `{"jsonrpc":"2.0","id":1,"Method":"ping"}`)
	if !strings.Contains(got.body, `"error":"invalid_request"`) || !strings.Contains(got.body,
		"one well-formed MCP message") {
		t.Errorf("body %s", got.body)
	}
	if cause, _ := s.accessLog()["auth_cause"].(string); !strings.Contains(cause, `"Method" is not one of JSON-RPC 2.0`) {
		t.Errorf("cause %q", cause)
	}
	started := slices.ContainsFunc(strings.Split(s.log(), "\n"), func(line string) bool {
		return strings.Contains(line, `"mcp":"rules for 2 tools and 2 methods, other tools denied"`)
	})
	if !started {
		t.Error("the line about the gate does not name its rules for messages")
	}
}
