package integration

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// mcpPlace is a gate for messages over HTTP/1.1, HTTP/2 and HTTP/3, and a token for everything but delete_file.
type mcpPlace struct {
	*site
	ways   []way
	token  string
	issuer string
}

func mcpEverywhere(t *testing.T) *mcpPlace {
	key := tokentest.NewKey(t, "ES256", "e1")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	p := &mcpPlace{issuer: issuerByJWKS(as), token: key.Sign(t, issuedBy(as.URL, "scope", "tools resources"))}
	p.site, p.ways = startEverywhere(t, gateFor(p.issuer, mcpBlock))
	return p
}

// byDefault makes the gate deny or allow tools without a line.
func (p *mcpPlace) byDefault(word string) {
	p.t.Helper()
	p.reloadEverywhere(gateFor(p.issuer, strings.Replace(mcpBlock, "mcp {", "mcp {\n default "+word, 1)), p.ways...)
}

// sendMessage sends a body to the MCP endpoint as it is, with header fields in the spelling given.
func (a *attempt) sendMessage(token, method, body string, header ...string) answer {
	a.t.Helper()
	a.secret(token)
	r := a.request(method, "/mcp", strings.NewReader(body), append([]string{"Authorization", "Bearer " + token},
		header...)...)
	return a.do(r)
}

// The gate reads one tool in a message, and the server runs another: duplicate members, members in another letter case,
// batches, several messages, other encodings. Go's encoding/json ignores case, JavaScript takes the last of two
// members, and some libraries take the first. Each of these bodies is refused.
func TestAttackMCPMessageReadInTwoWays(t *testing.T) {
	p := mcpEverywhere(t)
	s, ways, token := p.site, p.ways, p.token
	for _, word := range []string{"deny", "allow"} {
		p.byDefault(word)
		for _, way := range ways {
			for name, body := range smuggled() {
				s.attack(t, name+" by "+way.name+", default "+word, func(t *testing.T, a *attempt) {
					a = a.by(way)
					a.refusedFor(a.sendMessage(token, "POST", body, "Content-Type", jsonType), "malformed_message")
				})
			}
			s.attack(t, "control: a good message by "+way.name+", default "+word, func(t *testing.T, a *attempt) {
				a = a.by(way)
				body := call("read_file")
				if got := a.passed(a.sendMessage(token, "POST", body, "Content-Type", jsonType)); got.Body != body {
					t.Errorf("%q arrived", got.Body)
				}
				a.refusedFor(a.sendMessage(token, "POST", call("delete_file"), "Content-Type", jsonType), "insufficient_scope")
			})
		}
	}
}

// The name of a tool in another spelling, which the server takes for the tool that needs a scope: case, Unicode
// normalization, blanks, other separators. With "default allow" such a name is refused, with "deny" the tool is.
func TestAttackMCPToolUnderAnotherName(t *testing.T) {
	p := mcpEverywhere(t)
	s, ways, token := p.site, p.ways, p.token
	for word, reason := range map[string]string{"deny": "tool_denied", "allow": "malformed_message"} {
		p.byDefault(word)
		for _, name := range []string{"Delete_File", "DELETE_FILE", "deleteFile", "delete-file", "delete.file",
			"delete__file",
			"delete_file.", ".delete_file", "delete_file ", " delete_file", "delete_file\\n", "delete_file\\u0000",
			"delete_file\\u0000.txt", "delete_file/", "./delete_file", "delete%5Ffile", "delete_file\\u200b",
			"\\ufeffdelete_file",
			"ｄelete_file", "delete＿file", "dele\\u0301te_file", "d\\u00e9lete_file", "delete\\u00adfile", "delete_ﬁle", "",
			"\\u0000",
			"read_file,delete_file", "read_file delete_file", "read_file;delete_file", "../delete_file", "*", "{env.HOME}",
			"delete_" + strings.Repeat("_", 120) + "file", "__proto__/delete_file"} {
			for _, way := range ways {
				s.attack(t, fmt.Sprintf("%.30s by %s, default %s", name, way.name, word), func(t *testing.T, a *attempt) {
					a = a.by(way)
					body := strings.Replace(call("x"), `"x"`, `"`+name+`"`, 1)
					a.refusedFor(a.sendMessage(token, "POST", body, "Content-Type", jsonType), reason)
				})
			}
		}
		s.attack(t, "an escaped name is the same name, default "+word, func(t *testing.T, a *attempt) {
			body := strings.Replace(call("x"), `"x"`, `"\u0064elete\u005ffile"`, 1)
			a.refusedFor(a.sendMessage(token, "POST", body, "Content-Type", jsonType), "insufficient_scope")
			a.passed(a.sendMessage(token, "POST", strings.Replace(call("x"), `"x"`, `"read\u005ffile"`, 1), "Content-Type",
				jsonType))
		})
	}
}

// Fields say one thing, and the body another, so that whoever routes by fields, or another gate, sees a harmless call.
// Or a field comes twice, in a spelling that CGI cannot tell from ours, or as a trailer.
func TestAttackMCPFieldsThatContradictTheBody(t *testing.T) {
	p := mcpEverywhere(t)
	s, ways, token := p.site, p.ways, p.token
	const method, name = "Mcp-Method", "Mcp-Name"
	for what, fields := range map[string][]string{
		"another method":               {method, "tools/list"},
		"a method in capitals":         {method, "Tools/Call"},
		"an empty method":              {method, ""},
		"two methods":                  {method, "tools/call", method, "tools/call"},
		"two methods that differ":      {method, "tools/list", method, "tools/call"},
		"a list of methods":            {method, "tools/call, tools/list"},
		"a method in base64":           {method, "=?base64?dG9vbHMvY2FsbA==?="},
		"another name":                 {name, "list_files"},
		"a name in capitals":           {name, "READ_FILE"},
		"an empty name":                {name, ""},
		"two names":                    {name, "read_file", name, "read_file"},
		"two names that differ":        {name, "read_file", name, "delete_file"},
		"a list of names":              {name, "read_file, delete_file"},
		"another name in base64":       {name, "=?base64?ZGVsZXRlX2ZpbGU=?="},
		"bad base64":                   {name, "=?base64?cmVhZF9maWxl!?="},
		"base64 with bits left":        {name, "=?base64?cmVhZF9maWxm?="},
		"base64 without its end":       {name, "=?base64?cmVhZF9maWxl"},
		"an encoded word of mail":      {name, "=?utf-8?B?cmVhZF9maWxl?="},
		"a name outside of ASCII":      {name, "read_ﬁle"},
		"a second name, with !":        {name, "read_file", "Mcp!Name", "delete_file"},
		"a name only with ~":           {"Mcp~Name", "delete_file"},
		"a second method, with +":      {method, "tools/call", "MCP+METHOD", "tools/list"},
		"a second type":                {"Content-Type", "text/plain"},
		"a second type, with !":        {"Content!Type", "text/plain"},
		"a coding, with *":             {"Content*Encoding", "gzip"},
		"a length, with ~":             {"Content~Length", "5"},
		"a transfer coding, with '":    {"Transfer'Encoding", "chunked"},
		"a coding":                     {"Content-Encoding", "gzip"},
		"two codings":                  {"Content-Encoding", "identity", "Content-Encoding", "gzip"},
		"identity and something":       {"Content-Encoding", "identity, br"},
		"an upgrade":                   {"Connection", "Upgrade", "Upgrade", "websocket"},
		"a method of a trailer":        {"Trailer", "Mcp-Method"},
		"a name of a trailer, with ~":  {"Trailer", "Mcp~Name"},
		"a content type, as a trailer": {"Trailer", "Content-Type"},
	} {
		for _, way := range ways {
			s.attack(t, what+" by "+way.name, func(t *testing.T, a *attempt) {
				if way.name != "HTTP/1.1" && (fields[0] == "Trailer" || fields[0] == "Connection") {
					return // these clients cannot send them: see the frames below
				}
				a = a.by(way)
				a.secret(token)
				r := a.request("POST", "/mcp", strings.NewReader(call("read_file")), append([]string{"Authorization",
					"Bearer " + token, "Content-Type", jsonType}, fields...)...)
				if fields[0] == "Trailer" {
					r.Header.Del("Trailer")
					r.Body, r.ContentLength = io.NopCloser(strings.NewReader(call("read_file"))), -1
					r.Trailer = http.Header{fields[1]: {"delete_file"}}
				}
				a.neverForwarded(a.do(r))
			})
		}
	}
	s.attack(t, "a trailer that nobody has announced does not travel", func(t *testing.T, a *attempt) {
		a.secret(token)
		got := a.passed(a.raw(fmt.Sprintf(
			"POST /mcp HTTP/1.1\r\nHost: gate.test\r\nAuthorization: Bearer %s\r\nContent-Type: "+
				"application/json\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\nMcp-Name: delete_file\r\n\r\n", token,
			len(call("read_file")), call("read_file"))))
		if len(got.Trailer) > 0 || got.Header.Get("Mcp-Name") != "" {
			t.Errorf("fields %v, trailers %v arrived", got.Header, got.Trailer)
		}
	})
}

// The body is no plain JSON for the gate, and some server reads it as JSON all the same.
func TestAttackMCPBodyOfAnotherType(t *testing.T) {
	p := mcpEverywhere(t)
	s, ways, token := p.site, p.ways, p.token
	for _, contentType := range []string{"", "text/plain", "text/json", "application/json-rpc", "application/jsonrequest",
		"application/jsonl", "application/x-ndjson", "application/json-seq", "application/vnd.api+json",
		"application/octet-stream",
		formType, "multipart/form-data; boundary=x", "multipart/related; boundary=x; type=\"application/json\"",
		"application/json; charset=utf-16", "application/json; charset=utf-16le", "application/json; charset=utf-7",
		"application/json; charset=ibm037", "application/json; charset=utf-8; charset=utf-16",
		"application/json; charset=\"utf-8\\\"", "application/json; charset*=utf-8''utf-16",
		"application/json; charset*0=utf-; charset*1=16",
		"application/json; boundary=x", "application/json;", "application/json,text/plain",
		"application/json, application/json",
		"application/json application/json", "application /json", "application/json\u00a0", "*/*", "json"} {
		for _, way := range ways {
			s.attack(t, contentType+" by "+way.name, func(t *testing.T, a *attempt) {
				a = a.by(way)
				fields := []string{"Content-Type", contentType}
				if contentType == "" {
					fields = nil
				}
				a.refusedFor(a.sendMessage(token, "POST", call("read_file"), fields...), "malformed_message")
			})
		}
	}
}

// A request that should have no message has one, or comes by a method that MCP does not have. A server that reads
// bodies whatever the method would run the tool.
func TestAttackMCPMessageWithAnotherMethod(t *testing.T) {
	p := mcpEverywhere(t)
	s, ways, token := p.site, p.ways, p.token
	for _, method := range []string{"GET", "HEAD", "DELETE", "OPTIONS", "PUT", "PATCH", "post", "Post", "QUERY", "SEARCH",
		"TRACE", "PROPFIND", "POSTX"} {
		for _, way := range ways {
			if method == "TRACE" && way.name == "HTTP/3.0" {
				continue
			}
			s.attack(t, method+" by "+way.name, func(t *testing.T, a *attempt) {
				a = a.by(way)
				got := a.sendMessage(token, method, call("delete_file"), "Content-Type", jsonType, "X-HTTP-Method-Override", "POST")
				a.neverForwarded(got)
			})
		}
	}
	for name, request := range map[string]string{
		"GET with a body in chunks": "GET /mcp HTTP/1.1\r\nTransfer-Encoding: chunked\r\n",
		"GET with a length":         "GET /mcp HTTP/1.1\r\nContent-Length: 5\r\n",
		"GET with an upgrade": "GET /mcp HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
			"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n",
		"POST without a body":         "POST /mcp HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 0\r\n",
		"POST without a length":       "POST /mcp HTTP/1.1\r\nContent-Type: application/json\r\n",
		"POST of HTTP/1.0, no length": "POST /mcp HTTP/1.0\r\nContent-Type: application/json\r\n",
	} {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			a.secret(token)
			a.refusedFor(a.raw(request+"Host: gate.test\r\nAuthorization: Bearer "+token+"\r\n\r\n"), "malformed_message")
		})
	}
}

// cutOff sends bytes as raw does, and then ends its half of the connection.
func (a *attempt) cutOff(request string) answer {
	a.t.Helper()
	conn, err := a.dial(a.t.Context(), "", "")
	if err != nil {
		a.unable("%v", err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(deadline())
	_, _ = io.WriteString(conn, request)
	_ = conn.(interface{ CloseWrite() error }).CloseWrite()
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		a.unable("%v", err)
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	return answer{response, string(body)}
}

// Tricks with the framing of HTTP/1.1: chunks of one byte, extensions of chunks, and lengths that differ. Either Caddy
// refuses them, or the whole body is judged and arrives.
func TestAttackMCPMessageInChunks(t *testing.T) {
	p := mcpEverywhere(t)
	s, token := p.site, p.token
	chunked := func(body string, extension string) string {
		var out strings.Builder
		for _, c := range []byte(body) {
			fmt.Fprintf(&out, "1%s\r\n%c\r\n", extension, c)
		}
		return out.String() + "0\r\n\r\n"
	}
	head := "POST /mcp HTTP/1.1\r\nHost: gate.test\r\nAuthorization: Bearer " + token +
		"\r\nContent-Type: application/json\r\n"
	for name, c := range map[string]struct{ fields, body string }{
		"a harmless length beside chunks": {"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", chunked(call(
			"delete_file"), "")},
		"chunks of one byte":     {"Transfer-Encoding: chunked\r\n", chunked(call("delete_file"), "")},
		"chunks with extensions": {"Transfer-Encoding: chunked\r\n", chunked(call("delete_file"), ";a=b")},
		"two transfer codings":   {"Transfer-Encoding: gzip, chunked\r\n", chunked(call("delete_file"), "")},
		"chunks twice": {"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", chunked(call(
			"delete_file"), "")},
		"two lengths":       {"Content-Length: 5\r\nContent-Length: 93\r\n", call("delete_file")},
		"a batch in chunks": {"Transfer-Encoding: chunked\r\n", chunked("["+call("read_file")+"]", "")},
		"a second message in a chunk": {"Transfer-Encoding: chunked\r\n", chunked(call("read_file")+call("delete_file"),
			"")},
		"a chunk that breaks off": {"Transfer-Encoding: chunked\r\n", "ffff\r\n" + call(
			"read_file") + "\r\n0\r\n\r\n"},
	} {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			a.secret(token)
			got := a.cutOff(head + c.fields + "\r\n" + c.body)
			if got.StatusCode < 400 {
				t.Errorf("status %d", got.StatusCode)
			}
			a.nothingForwarded()
		})
	}
	s.attack(t, "control: a good message in chunks of one byte", func(t *testing.T, a *attempt) {
		got := a.passed(a.raw(head + "Transfer-Encoding: chunked\r\n\r\n" + chunked(call("read_file"), "")))
		if got.Body != call("read_file") {
			t.Errorf("%q arrived", got.Body)
		}
	})
}

// Messages that cost a lot to read: long, without an end, deep, with many members, and sent without a token. The bounds
// are those of forms, and nothing is read for a stranger.
func TestAttackMCPMessagesThatCostALot(t *testing.T) {
	s, sign := mcpSite(t, mcpBlock)
	token := sign("tools")
	long := strings.Replace(call("read_file"), `{"a":1}`, `"`+strings.Repeat("x", 1<<20)+`"`, 1)
	for name, length := range map[string]int64{"announced": int64(len(long)), "in chunks": -1} {
		s.attack(t, "more than 1 MiB, "+name, func(t *testing.T, a *attempt) {
			a.secret(token)
			r := a.request("POST", "/mcp", io.NopCloser(strings.NewReader(long)), "Authorization", "Bearer "+token,
				"Content-Type", jsonType)
			r.ContentLength = length
			a.refusedFor(a.do(r), "malformed_message")
		})
	}
	s.attack(t, "a body of a terabyte without a token is not read", func(t *testing.T, a *attempt) {
		a.refusedFor(a.raw("POST /mcp HTTP/1.1\r\nHost: gate.test\r\nContent-Type: application/json\r\n"+
			"Content-Length: 1099511627776\r\n\r\n"), "missing_token")
	})
	s.attack(t, "a body of a terabyte with a token is not read", func(t *testing.T, a *attempt) {
		a.secret(token)
		a.refusedFor(a.raw(
			"POST /mcp HTTP/1.1\r\nHost: gate.test\r\nContent-Type: application/json\r\nAuthorization: Bearer "+
				token+"\r\nContent-Length: 1099511627776\r\n\r\n"), "malformed_message")
	})
	for name, arguments := range map[string]string{
		"depth":              strings.Repeat("[", 500_000),
		"members":            "{" + strings.Repeat(`"a":0,`, 150_000) + `"b":0}`,
		"members that clash": "{" + strings.Repeat(`"\u0061":0,`, 90_000) + `"b":0}`,
		"escapes":            `"` + strings.Repeat(`\u0061`, 170_000),
	} {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			body := strings.Replace(call("read_file"), `{"a":1}`, arguments, 1)
			a.cheaply(func() {
				for range 20 {
					a.refusedFor(a.sendMessage(token, "POST", body, "Content-Type", jsonType), "malformed_message")
				}
			})
		})
	}
}
