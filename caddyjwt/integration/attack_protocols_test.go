package integration

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/qpack"
	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/quicvarint"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// identityEverywhere is identitySite over HTTP/1.1, HTTP/2 and HTTP/3.
func identityEverywhere(t *testing.T, lines ...string) (s *site, ways []way, issuer string, key *tokentest.Key) {
	key = tokentest.NewKey(t, "ES256", "e1")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	after := ""
	if n := len(lines); n > 0 && strings.HasPrefix(lines[n-1], "handle_errors") {
		lines, after = lines[:n-1], "\n"+lines[n-1]
	}
	s, ways = startEverywhere(t,
		gateFor(append([]string{issuerByJWKS(as), consumerAlice(t), "forward_claim sub X-User",
			"forward_claim roles X-Roles"}, lines...)...)+after)
	return s, ways, as.URL, key
}

// by is the same attempt by another protocol.
func (a *attempt) by(w way) *attempt {
	other := *a
	other.site = a.in(a.t)
	other.client, other.base = w.client, strings.TrimSuffix(w.url, "/")
	return &other
}

// claimedInEverySpelling are all our headers in all spellings, as a client claims them.
func claimedInEverySpelling() []string {
	var fields []string
	for _, name := range managed {
		for _, spelling := range spellings(name) {
			fields = append(fields, spelling, "admin")
		}
	}
	return fields
}

// HTTP/2 and HTTP/3 hand a request's headers to the gate in other ways than HTTP/1.1, and a defence that was written
// for one protocol is missing in another: CVE-2026-30851 and CVE-2026-52845 once more. The client's identity headers,
// in every spelling, once and twice, reach the backend by none of them.
func TestAttackIdentityHeaderByEveryProtocol(t *testing.T) {
	s, ways, issuer, key := identityEverywhere(t)
	me, alice := key.Sign(t, issuedBy(issuer, "sub", "me")), hmacKey(t).Sign(t, claims())
	for _, way := range ways {
		for _, name := range managed {
			for _, spelling := range spellings(name) {
				s.attack(t, spelling+" by "+way.name, func(t *testing.T, a *attempt) {
					a = a.by(way)
					a.untouched(a.passed(a.send(me, spelling, "admin")), asMe)
					a.untouched(a.passed(a.send(alice, spelling, "admin", spelling, "root")), asAlice)
				})
			}
		}
		s.attack(t, "all at once, twice, by "+way.name, func(t *testing.T, a *attempt) {
			a = a.by(way)
			fields := append(claimedInEverySpelling(), claimedInEverySpelling()...)
			a.untouched(a.passed(a.send(me, fields...)), asMe)
			a.untouched(a.passed(a.send(alice, fields...)), asAlice)
		})
		for _, c := range "!#$%&'*+^`|~" {
			s.attack(t, "X"+string(c)+"User by "+way.name, func(t *testing.T, a *attempt) {
				a = a.by(way)
				a.untouched(a.passed(a.send(me, "X"+string(c)+"User", "admin", "X-Consumer"+string(c)+"Username", "admin")), asMe)
			})
		}
		s.attack(t, "the second request of a connection has no token, by "+way.name, func(t *testing.T, a *attempt) {
			a = a.by(way)
			a.untouched(a.passed(a.send(alice)), asAlice)
			a.refusedFor(a.get("/", "", "X-Consumer-Username", "alice"), "missing_token")
			a.untouched(a.passed(a.send(me)), asMe)
		})
	}
}

// Trailers are a part of every protocol, and each server has its own idea of which of them a handler gets to see:
// CVE-2026-88004. Announced ones, before which the length of the body is known or not, tell the backend nothing.
func TestAttackIdentityTrailerByEveryProtocol(t *testing.T) {
	everywhere := func(t *testing.T, lines ...string) {
		s, ways, issuer, key := identityEverywhere(t, lines...)
		token := key.Sign(t, issuedBy(issuer, "sub", "me"))
		for _, way := range ways {
			for _, contentType := range []string{"text/plain", formType} {
				for _, length := range []int64{-1, 3} {
					s.attack(t, fmt.Sprintf("%s, %s, length %d", way.name, contentType, length), func(t *testing.T, a *attempt) {
						a = a.by(way)
						a.secret(token)
						r := a.request("POST", "/", io.NopCloser(strings.NewReader("a=1")), "Authorization", "Bearer "+token,
							"Content-Type", contentType)
						r.ContentLength = length
						r.Trailer = http.Header{"X-Sum": {"1"}, "X_user": {"admin"}, "x.user": {"admin"}}
						for _, name := range managed {
							r.Trailer.Set(name, "admin")
						}
						got := a.passed(a.do(r))
						a.untouched(got, asMe)
						if got.Body != "a=1" {
							t.Errorf("body %q at the upstream", got.Body)
						}
					})
				}
			}
			s.attack(t, "Authorization as a trailer, "+way.name, func(t *testing.T, a *attempt) {
				a = a.by(way)
				r := a.request("POST", "/", io.NopCloser(strings.NewReader("a=1")))
				r.Trailer = http.Header{"Authorization": {"Bearer " + token}, "X-Sum": {"1"}}
				response, err := a.client.Do(r)
				if err == nil { // the client or the server may refuse such a trailer by itself
					_ = response.Body.Close()
					if response.StatusCode < 400 {
						t.Errorf("status %d", response.StatusCode)
					}
				}
				a.nothingForwarded()
			})
		}
	}
	t.Run("token in a header", func(t *testing.T) { everywhere(t) })
	t.Run("token in a header or a form", func(t *testing.T) {
		everywhere(t, "token_from header Authorization", "token_from form jwt")
	})
}

// Where a request may pass without a token, by whatever protocol, it passes without the identity that the client gave
// itself: CVE-2026-30851.
func TestAttackIdentityHeaderWhereNoTokenIsNeededByEveryProtocol(t *testing.T) {
	guest := "consumer guest {\n}\nanonymous guest"
	for name, test := range map[string]struct {
		line   string
		want   map[string]string
		method string
		header []string
	}{
		"optional":  {"optional", nil, "GET", nil},
		"anonymous": {guest, asGuest, "GET", nil},
		"preflight": {"allow_preflight", nil, "OPTIONS",
			[]string{"Origin", "https://evil.example", "Access-Control-Request-Method", "GET"}},
		"preflight before anonymous": {guest + "\nallow_preflight", nil, "OPTIONS",
			[]string{"Origin", "https://evil.example", "Access-Control-Request-Method", "GET"}},
	} {
		t.Run(name, func(t *testing.T) {
			s, ways, issuer, key := identityEverywhere(t, test.line)
			for _, way := range ways {
				s.attack(t, "by "+way.name, func(t *testing.T, a *attempt) {
					a = a.by(way)
					a.untouched(a.passed(a.do(a.request(test.method, "/", nil, append(claimedInEverySpelling(), test.header...)...))),
						test.want)
					r := a.request("POST", "/", io.NopCloser(strings.NewReader("a")), "Content-Type", "text/plain")
					r.Trailer = http.Header{"X-User": {"admin"}, "X-Consumer-Username": {"admin"}, "X_consumer_username": {"admin"}}
					if test.method != "OPTIONS" {
						a.untouched(a.passed(a.do(r)), test.want)
					}
				})
				s.attack(t, "a bad token by "+way.name, func(t *testing.T, a *attempt) {
					a = a.by(way)
					a.refusedFor(a.send(key.Sign(t, issuedBy(issuer, "exp", 1)), claimedInEverySpelling()...), "expired")
				})
			}
		})
	}
}

// The backend of an error route gets a refused request by every protocol, and must neither believe nor be able to use
// what is in it.
func TestAttackIdentityHeaderOnErrorRoutesByEveryProtocol(t *testing.T) {
	pages := newUpstream(t)
	s, ways, issuer, key := identityEverywhere(t, "token_from header Authorization", "token_from query jwt",
		"token_from cookie jwt", "token_from form jwt",
		"handle_errors {\n reverse_proxy "+pages.addr()+"\n}")
	expired := key.Sign(t, issuedBy(issuer, "exp", 1))
	for _, way := range ways {
		for name, send := range map[string]func(a *attempt) answer{
			"no token":      func(a *attempt) answer { return a.get("/x?a=1", "", claimedInEverySpelling()...) },
			"in the header": func(a *attempt) answer { return a.get("/x?a=1", expired, claimedInEverySpelling()...) },
			"in the query":  func(a *attempt) answer { return a.get("/x?a=1&jwt="+expired, "", claimedInEverySpelling()...) },
			"in the cookie": func(a *attempt) answer {
				return a.get("/x?a=1", "", append(claimedInEverySpelling(), "Cookie", "jwt="+expired)...)
			},
			"in the form": func(a *attempt) answer { return a.form("/x?a=1", "jwt="+expired, claimedInEverySpelling()...) },
			"with trailers": func(a *attempt) answer {
				r := a.request("POST", "/x?a=1", io.NopCloser(strings.NewReader("a")), "Authorization", "Bearer "+expired,
					"Content-Type", "text/plain")
				r.Trailer = http.Header{"X-User": {"admin"}, "X-Consumer-Username": {"admin"}}
				return a.do(r)
			},
		} {
			s.attack(t, name+" by "+way.name, func(t *testing.T, a *attempt) {
				a = a.by(way)
				a.secret(expired)
				pages.take()
				got := send(a)
				a.nothingForwarded()
				if got.Header.Get("WWW-Authenticate") == "" {
					t.Error("no challenge in the answer")
				}
				seen := pages.take()
				if len(seen) != 1 {
					t.Errorf("%d requests reached the error page's backend, want 1", len(seen))
				}
				for _, page := range seen {
					a.untouched(page, nil)
					for _, piece := range pieces(expired) {
						if strings.Contains(fmt.Sprint(page), piece) {
							t.Errorf("the token reached the error page's backend: %v", page)
						}
					}
				}
			})
		}
	}
}

// framed sends one request in frames of its protocol, with these fields as they are and then, after a body, those of
// trailers. It gives the status of the answer; empty when the stream or the connection was ended instead.
type framed struct {
	name   string
	scheme string
	host   string
	send   func(a *attempt, head [][2]string, trailers ...[][2]string) (status string)
}

// framers are HTTP/2 and HTTP/3 without a client that would mend or refuse what it is told to send.
func framers(s *site, ways []way) []framed {
	all := []framed{
		{"HTTP/2", "http", "gate.test", func(a *attempt, head [][2]string, trailers ...[][2]string) string {
			return a.framesOfHTTP2(head, trailers...)
		}},
	}
	if len(ways) < 3 {
		return all
	}
	h3 := strings.TrimSuffix(strings.TrimPrefix(ways[2].url, "https://"), "/")
	roots := &tls.Config{RootCAs: s.internalRoots(), NextProtos: []string{"h3"}, ServerName: "localhost"}
	address := strings.Replace(h3, "localhost", "127.0.0.1", 1)
	return append(all, framed{"HTTP/3", "https", h3, func(a *attempt, head [][2]string, trailers ...[][2]string) string {
		return a.framesOfHTTP3(address, roots, head, trailers...)
	}})
}

// to are the pseudo-headers of a request, and its fields.
func (f framed) to(method, path string, fields ...[2]string) [][2]string {
	return append([][2]string{{":method", method}, {":scheme", f.scheme}, {":authority", f.host}, {":path", path}},
		fields...)
}

func (a *attempt) framesOfHTTP2(head [][2]string, trailers ...[][2]string) (status string) {
	a.t.Helper()
	conn, err := a.dial(a.t.Context(), "", "")
	if err != nil {
		a.t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(deadline())
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		a.t.Fatal(err)
	}
	framer := http2.NewFramer(conn, conn)
	_ = framer.WriteSettings()
	_ = framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: hpacked(head), EndHeaders: true,
		EndStream: len(trailers) == 0})
	for _, t := range trailers {
		_ = framer.WriteData(1, false, []byte("a"))
		_ = framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: hpacked(t), EndHeaders: true,
			EndStream: true})
	}
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			return ""
		}
		switch frame := frame.(type) {
		case *http2.MetaHeadersFrame:
			return frame.PseudoValue("status")
		case *http2.RSTStreamFrame, *http2.GoAwayFrame:
			return ""
		}
	}
}

func hpacked(fields [][2]string) []byte {
	var b bytes.Buffer
	encoder := hpack.NewEncoder(&b)
	for _, f := range fields {
		_ = encoder.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
	}
	return b.Bytes()
}

// The frames of RFC 9114 section 7.2 that are needed here.
const (
	frameData     = 0
	frameHeaders  = 1
	frameSettings = 4
)

func (a *attempt) framesOfHTTP3(address string, config *tls.Config, head [][2]string,
	trailers ...[][2]string) (status string) {
	a.t.Helper()
	ctx, cancel := context.WithDeadline(a.t.Context(), deadline())
	defer cancel()
	conn, err := quic.DialAddr(ctx, address, config, nil)
	if err != nil {
		a.t.Fatal(err)
	}
	defer func() { _ = conn.CloseWithError(0x100, "") }()
	frame := func(kind uint64, payload []byte) []byte {
		return append(quicvarint.Append(quicvarint.Append(nil, kind), uint64(len(payload))), payload...)
	}
	control, err := conn.OpenUniStream()
	if err != nil {
		a.t.Fatal(err)
	}
	_, _ = control.Write(append([]byte{0}, frame(frameSettings, nil)...)) // RFC 9114 section 6.2.1
	stream, err := conn.OpenStreamSync(ctx)
	if err != nil {
		a.t.Fatal(err)
	}
	_ = stream.SetDeadline(deadline())
	_, _ = stream.Write(frame(frameHeaders, qpacked(head)))
	for _, t := range trailers {
		_, _ = stream.Write(frame(frameData, []byte("a")))
		_, _ = stream.Write(frame(frameHeaders, qpacked(t)))
	}
	_ = stream.Close()
	reader := quicvarint.NewReader(stream)
	for {
		kind, err := quicvarint.Read(reader)
		if err != nil {
			return ""
		}
		length, err := quicvarint.Read(reader)
		if err != nil || length > 1<<20 {
			return ""
		}
		payload := make([]byte, length)
		if _, err := io.ReadFull(reader, payload); err != nil {
			return ""
		}
		if kind != frameHeaders {
			continue
		}
		next := qpack.NewDecoder().Decode(payload)
		for field, err := next(); err == nil; field, err = next() {
			if field.Name == ":status" {
				return field.Value
			}
		}
	}
}

func qpacked(fields [][2]string) []byte {
	var b bytes.Buffer
	encoder := qpack.NewEncoder(&b)
	for _, f := range fields {
		_ = encoder.WriteField(qpack.HeaderField{Name: f[0], Value: f[1]})
	}
	_ = encoder.Close()
	return b.Bytes()
}

// HTTP/2 and HTTP/3 carry names and values that HTTP/1.1 cannot, and a gateway that translates them smuggles headers or
// whole requests into the backend's connection: RFC 9113 section 8.2, RFC 9114 section 4.2, CVE-2021-31920 is of this
// class. Names that HTTP/1.1 gives to a connection (CVE-2024-45410) are malformed here. None is passed on.
func TestAttackIdentityMalformedFrames(t *testing.T) {
	s, ways, issuer, key := identityEverywhere(t)
	token := key.Sign(t, issuedBy(issuer, "sub", "me"))
	bearer := [2]string{"authorization", "Bearer " + token}
	// arrived are the requests of this attempt that reached the upstream. One of an attempt before, whose stream was ended
	// when a bad trailer came, may arrive only now; it must not have been told anything either.
	arrived := func(a *attempt, path string) (requests []seen) {
		for _, got := range a.upstream.take() {
			a.untouched(got, asMe)
			if got.URI == path {
				requests = append(requests, got)
			}
		}
		return requests
	}
	serial := 0
	next := func() string { serial++; return fmt.Sprintf("/%d", serial) }
	for _, by := range framers(s, ways) {
		s.attack(t, "control: passes by "+by.name, func(t *testing.T, a *attempt) {
			a.secret(token)
			path := next()
			if status := by.send(a, by.to("POST", path, bearer)); status != "200" {
				t.Errorf("status %q", status)
			}
			if got := arrived(a, path); len(got) != 1 {
				t.Errorf("%d requests reached the upstream", len(got))
			}
		})
		for name, field := range map[string][2]string{
			"upper-case name":             {"X-User", "admin"},
			"one upper-case letter":       {"x-User", "admin"},
			"line end in a name":          {"a\r\nx-user", "admin"},
			"line end in a value":         {"a", "b\r\nX-User: admin"},
			"bare CR in a value":          {"a", "b\rX-User: admin"},
			"bare LF in a value":          {"a", "b\nX-User: admin"},
			"NUL in a value":              {"a", "b\x00"},
			"NUL in a name":               {"x-user\x00", "admin"},
			"colon and line end":          {"x-user: admin\r\na", "b"},
			"colon in a name":             {"x-user:", "admin"},
			"space in a name":             {"x-user ", "admin"},
			"space before a name":         {" x-user", "admin"},
			"a letter beyond ASCII":       {"x-u\u017fer", "admin"},
			"Connection":                  {"connection", "x-user"},
			"Connection, close":           {"connection", "close, x-user"},
			"Connection, upper case":      {"Connection", "X-User"},
			"Keep-Alive":                  {"keep-alive", "x-user"},
			"Proxy-Connection":            {"proxy-connection", "x-user"},
			"Transfer-Encoding":           {"transfer-encoding", "chunked"},
			"Upgrade":                     {"upgrade", "h2c"},
			"TE that is none of trailers": {"te", "gzip, x-user"},
			"pseudo-header late":          {":path", "/admin"},
			"unknown pseudo-header":       {":user", "admin"},
			"pseudo-header of an answer":  {":status", "200"},
			"empty name":                  {"", "admin"},
		} {
			s.attack(t, name+" by "+by.name, func(t *testing.T, a *attempt) {
				a.secret(token)
				path := next()
				status := by.send(a, by.to("POST", path, bearer, field))
				if got := arrived(a, path); len(got) != 0 || status == "200" {
					t.Errorf("status %q, and reached the upstream: %v", status, got)
				}
			})
			s.attack(t, name+" as a trailer by "+by.name, func(t *testing.T, a *attempt) {
				a.secret(token)
				_ = by.send(a, by.to("POST", "/", bearer, [2]string{"trailer", "x-user"}), [][2]string{field})
				arrived(a, "") // the head may have travelled on before the trailer came
			})
		}
		s.attack(t, "Authorization twice by "+by.name, func(t *testing.T, a *attempt) {
			a.secret(token)
			path := next()
			status := by.send(a, by.to("POST", path, bearer, [2]string{"authorization", "Bearer x"}))
			if got := arrived(a, path); len(got) != 0 || status != "400" {
				t.Errorf("status %q, want 400, and reached the upstream: %v", status, got)
			}
		})
		s.attack(t, "Authorization in a second header block by "+by.name, func(t *testing.T, a *attempt) {
			a.secret(token)
			path := next()
			status := by.send(a, by.to("POST", path, [2]string{"trailer", "authorization"}), [][2]string{bearer})
			if got := arrived(a, path); len(got) != 0 || status == "200" {
				t.Errorf("status %q, and reached the upstream: %v", status, got)
			}
		})
		for name, trailer := range map[string][][2]string{
			"as it is":            {{"x-user", "admin"}, {"x-consumer-username", "admin"}},
			"with underscores":    {{"x_user", "admin"}, {"x_consumer_username", "admin"}},
			"with dots":           {{"x.user", "admin"}, {"x.consumer.username", "admin"}},
			"beside an announced": {{"x-sum", "1"}, {"x-user", "admin"}, {"x-consumer-id", "1"}},
			"twice":               {{"x-user", "admin"}, {"x-user", "root"}},
		} {
			for about, fields := range map[string][][2]string{
				"not announced":              {bearer},
				"not announced, with length": {bearer, {"content-length", "1"}},
				"another one announced":      {bearer, {"trailer", "x-sum"}},
				"announced": {bearer,
					{"trailer", "x-user, x_user, x.user, x-consumer-username, x_consumer_username, x-sum"}},
				"announced, with length":  {bearer, {"trailer", "x-user, x_user, x.user"}, {"content-length", "1"}},
				"announced in upper case": {bearer, {"trailer", "X-USER"}},
			} {
				s.attack(t, "trailer "+name+", "+about+", by "+by.name, func(t *testing.T, a *attempt) {
					a.secret(token)
					path := next()
					if status := by.send(a, by.to("POST", path, fields...), trailer); status != "200" {
						t.Errorf("status %q, want 200", status)
					}
					if got := arrived(a, path); len(got) != 1 {
						t.Errorf("%d requests reached the upstream, want 1", len(got))
					}
				})
			}
		}
	}
}

// HTTP/2 and HTTP/3 have the target in fields of its own, and the server builds a URL of them that routing and backend
// may read differently; CONNECT has no path at all, and its extended form (RFC 8441, RFC 9220) opens a tunnel. Without
// a token nothing passes, and with one nothing passes that is not a path.
func TestAttackRouteTargetsInFrames(t *testing.T) {
	s, ways := startEverywhere(t, gateFor(consumerAlice(t), "allow_preflight"))
	token, other := hmacKey(t).Sign(t, claims()), hmacKey(t).Sign(t, claims("sub", "bob", "exp", time.Now().Unix()+200))
	for _, by := range framers(s, ways) {
		full := func(method, authority, path string) [][2]string {
			return [][2]string{{":method", method}, {":scheme", by.scheme}, {":authority", authority}, {":path", path}}
		}
		heads := map[string][][2]string{
			"CONNECT":                    {{":method", "CONNECT"}, {":authority", by.host}},
			"CONNECT with a path":        full("CONNECT", by.host, "/admin"),
			"extended CONNECT":           append(full("CONNECT", by.host, "/admin"), [2]string{":protocol", "websocket"}),
			"extended CONNECT for h2c":   append(full("CONNECT", by.host, "/admin"), [2]string{":protocol", "h2c"}),
			":protocol with GET":         append(full("GET", by.host, "/admin"), [2]string{":protocol", "websocket"}),
			"two paths":                  append(full("GET", by.host, "/public"), [2]string{":path", "/admin"}),
			"two methods":                append(full("GET", by.host, "/admin"), [2]string{":method", "OPTIONS"}),
			"two authorities":            append(full("GET", by.host, "/admin"), [2]string{":authority", "other.test"}),
			"another Host":               append(full("GET", by.host, "/admin"), [2]string{"host", "other.test"}),
			"no authority, Host instead": {{":method", "GET"}, {":scheme", by.scheme}, {":path", "/admin"}, {"host", by.host}},
			"no path":                    {{":method", "GET"}, {":scheme", by.scheme}, {":authority", by.host}},
			"no scheme":                  {{":method", "GET"}, {":authority", by.host}, {":path", "/admin"}},
			"no method":                  {{":scheme", by.scheme}, {":authority", by.host}, {":path", "/admin"}},
			"another scheme":             {{":method", "GET"}, {":scheme", "ftp"}, {":authority", by.host}, {":path", "/admin"}},
			"user in the authority":      full("GET", "admin@"+by.host, "/admin"),
			"method with a space":        full("GET /admin HTTP/1.1", by.host, "/"),
			"method with a line end":     full("GET / HTTP/1.1\r\nX-Consumer-Username: admin\r\n\r\nGET", by.host, "/"),
			"method with a NUL":          full("GET\x00", by.host, "/"),
			"method without letters":     full("", by.host, "/"),
			"method in lower case":       full("get", by.host, "/admin"),
			"the field of a websocket": append(full("GET", by.host, "/admin"),
				[2]string{"sec-websocket-protocol", "bearer, " + other}),
			"a header named :protocol": append(full("CONNECT", by.host, "/admin"), [2]string{"x", "y"},
				[2]string{":protocol", "websocket"}),
			"OPTIONS that is no path":   full("OPTIONS", by.host, "*"),
			"line end in the authority": full("GET", by.host+"\r\nX-Consumer-Username: admin", "/admin"),
		}
		for _, path := range []string{"", "admin", "*", "http:admin", "http://" + by.host + "/admin",
			"https://other.test/admin", "http:/admin", "ftp://" + by.host + "/admin", "//admin", "//other.test/admin",
			"/\r\nX-Consumer-Username: admin", "/ HTTP/1.1\r\nX-Consumer-Username: admin\r\n\r\nGET /admin", "/a b", "/\x00",
			"/%", "?admin", "#admin", "/#/../admin", "../admin", "/public/../admin", "/public/..%2fadmin", "/;x=1/admin"} {
			heads[fmt.Sprintf("path %q", path)] = full("GET", by.host, path)
		}
		for name, head := range heads {
			s.attack(t, name+" without a token, by "+by.name, func(t *testing.T, a *attempt) {
				a.secret(token)
				status := by.send(a, head)
				if answersItself := name == "OPTIONS that is no path"; strings.HasPrefix(status, "5") ||
					strings.HasPrefix(status, "2") && !answersItself {
					t.Errorf("status %q", status)
				}
				a.nothingForwarded()
			})
			s.attack(t, name+" with a token, by "+by.name, func(t *testing.T, a *attempt) {
				a.secret(token)
				if status := by.send(a,
					append(head[:len(head):len(head)], [2]string{"authorization", "Bearer " + token})); strings.HasPrefix(status,
					"5") {
					t.Errorf("status %q", status)
				}
				for _, r := range a.upstream.take() {
					if !strings.HasPrefix(r.URI, "/") || strings.ContainsAny(r.URI, " \r\n") ||
						len(r.Header["X-Consumer-Username"]) != 1 || r.Header.Get("X-Consumer-Username") != "alice" {
						t.Errorf("reached the upstream as %s %q of %q", r.Method, r.URI, r.Header["X-Consumer-Username"])
					}
				}
			})
		}
	}
}
