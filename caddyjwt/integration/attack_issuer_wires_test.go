package integration

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// By each protocol, a session begins, goes on and ends, and what ended by one protocol has ended by all.
func TestASessionByEveryProtocol(t *testing.T) {
	b, ways := openBoothEverywhere(t, func(b *booth) []string { return []string{b.issuerOf(lasting), localGate()} })
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			at := b.in(t).by(way)
			p := at.login()
			next := at.refresh(p)
			at.isOut(p.Access, "revoked")
			at.works(next.Access)
			b.in(t).works(next.Access)
			if status := at.end("logout", next.Access); status != http.StatusNoContent {
				t.Errorf("status %d", status)
			}
			at.isOut(next.Access, "revoked")
			b.in(t).isOut(next.Access, "revoked")
			at.spent(next.Refresh)
		})
	}
}

// Frames say more than one thing about the length of a body, or have credentials where a reader may miss them. No such
// request signs in, ends a session or reaches the backend.
func TestAttackFramesAtTheAddresses(t *testing.T) {
	b, ways := openBoothEverywhere(t, func(b *booth) []string { return []string{b.issuerOf(lasting), localGate()} })
	p := b.login()
	with := func(fields ...string) (all [][2]string) { // name, value pairs
		for i := 0; i < len(fields); i += 2 {
			all = append(all, [2]string{fields[i], fields[i+1]})
		}
		return all
	}
	basic, bearer := "Basic "+basicOf("alice", password), "Bearer "+p.Access
	body, large := signsIn(), `{"x":"`+strings.Repeat("a", 30_000)+`",`+signsIn()[1:]
	right, long := strconv.Itoa(len(body)), strconv.Itoa(len(body)+9)
	const shorter = "shorter than it says"
	for name, try := range map[string]struct {
		request  string
		fields   [][2]string
		body     string
		trailers [][2]string
		want     string // one of these statuses; "-" for a stream that was ended instead
	}{
		"longer than it says": {"POST login", with("content-length", "5"), body, nil, "400 -"},
		shorter:               {"POST login", with("content-length", long), body, nil, "400 -"},
		"two lengths": {"POST login", with("content-length", "5", "content-length", right), body, nil,
			"400 -"},
		"a length that is no number": {"POST login", with("content-length", "0x10"), body, nil, "400 -"},
		"large, cut by its length":   {"POST login", with("content-length", "1073741824"), large, nil, "413 400 -"},
		"large":                      {"POST login", nil, large, nil, "413"},
		"large, at refresh":          {"POST refresh", nil, large, nil, "413"},
		"credentials in a trailer": {"POST login", with("trailer", "authorization"), "", with("authorization", basic),
			"400 -"},
		"credentials in two places": {"POST login", with("authorization", basic), body, nil, "400"},
		"a token in a trailer": {"POST logout", with("trailer", "authorization"), "", with("authorization", bearer),
			"401 400 -"},
		"a token in a trailer that nobody expects": {"POST revoke", nil, "", with("authorization", bearer), "401 400 -"},
		"GET with a body":                          {"GET login", nil, body, nil, "405"},
		"HEAD with a body":                         {"HEAD login", nil, body, nil, "405"},
		"CONNECT with a path":                      {"CONNECT login", nil, body, nil, "405 400 -"},
		"extended CONNECT":                         {"CONNECT login", with(":protocol", "h2c"), body, nil, "405 400 -"},
		"Transfer-Encoding":                        {"POST login", with("transfer-encoding", "chunked"), body, nil, "400 -"},
		"Upgrade":                                  {"POST login", with("upgrade", "h2c"), body, nil, "400 -"},
		"an empty body":                            {"POST login", nil, "", nil, "400"},
	} {
		for _, by := range framers(b.site, ways) {
			b.attack(t, name+" by "+by.name, func(t *testing.T, b *booth, a *attempt) {
				a.secret(p.Access)
				if by.name == "HTTP/3" && name == shorter { // quic-go does not see it (RFC 9114 section 4.1.2)
					try.want += " 200"
				}
				method, address, _ := strings.Cut(try.request, " ")
				head := by.to(method, orders+address, append(try.fields, [2]string{"content-type", asJSONBody})...)
				status := by.sendBody(a, try.body, head, try.trailers...)
				if status == "" {
					status = "-"
				}
				if !strings.Contains(" "+try.want+" ", " "+status+" ") {
					t.Errorf("status %s, want %s", status, try.want)
				}
				b.keepsSecrets()
				b.works(p.Access)
			})
		}
	}
	b.refresh(p)
}

// A client asks before it sends the body (RFC 9110 section 10.1.1). Where nobody can sign in, the password is not asked
// for.
func TestAttackExpectationsAtTheAddresses(t *testing.T) {
	b := openBooth(t)
	expects := func(target, body string, fields ...string) string {
		whole := b.posted(target, body, append(fields, "Expect: 100-continue")...)
		return strings.TrimSuffix(whole, body)
	}
	for name, try := range map[string]struct {
		head, body string
		asked      bool // for the body
		want       int
	}{
		"good":           {expects(orders+"login", signsIn()), signsIn(), true, 200},
		"wrong":          {expects(orders+"login", signsIn("alice", "wrong")), signsIn("alice", "wrong"), true, 401},
		"misspelt":       {expects("/API/orders/login", signsIn()), "", false, 404},
		"with a query":   {expects(orders+"login?x", signsIn()), "", false, 400},
		"another method": {strings.Replace(expects(orders+"login", signsIn()), "POST", "PUT", 1), "", false, 405},
		"too large":      {expects(orders+"login", "", "Content-Length: 99999"), strings.Repeat(" ", 20_000), true, 413},
		"another type": {strings.Replace(expects(orders+"login", signsIn()), "/json", "/xml", 1), signsIn(),
			true, 415},
		"an expectation of another kind": {strings.Replace(expects(orders+"login", signsIn()), "100-continue", "200-ok", 1),
			"", false, 417},
	} {
		b.attack(t, name, func(t *testing.T, b *booth, _ *attempt) {
			conn, answers := b.opened(try.head)
			defer conn.Close()
			first, err := http.ReadResponse(answers, &http.Request{Method: http.MethodPost})
			if err != nil {
				b.unable("%v", err)
			}
			if try.asked != (first.StatusCode == http.StatusContinue) {
				t.Fatalf("the first status is %d", first.StatusCode)
			}
			if try.asked {
				_, _ = io.WriteString(conn.(io.Writer), try.body)
				first = b.next(answers).Response
			}
			if first.StatusCode != try.want {
				t.Errorf("status %d, want %d", first.StatusCode, try.want)
			}
			b.keepsSecrets()
		})
	}
	b.attack(t, "and sends none", func(t *testing.T, b *booth, _ *attempt) {
		conn, answers := b.opened(expects(orders+"login", signsIn()))
		if first, err := http.ReadResponse(answers, nil); err != nil || first.StatusCode != http.StatusContinue {
			t.Errorf("%v, %v", first, err)
		}
		conn.Close()
		b.login()
	})
}

// Requests to all addresses come in one packet, and one of them hides another in its body. Each has its own answer, and
// what is hidden is no request.
func TestAttackRequestsThatHideInASignIn(t *testing.T) {
	b := openBooth(t, lasting)
	bearer := func(p grant) string { return "Authorization: Bearer " + p.Access }
	last := "GET " + orders + "7 HTTP/1.1\r\nHost: gate.test\r\nConnection: close\r\n\r\n"
	b.attack(t, "all addresses in one packet", func(t *testing.T, b *booth, _ *attempt) {
		p, q, r := b.login(), b.login(), b.login()
		answers := b.converses(b.posted(orders+"login", signsIn()) + b.posted(orders+"refresh", refreshes(p.Refresh)) +
			b.posted(orders+"logout", "", bearer(q)) + b.posted(orders+"refresh", refreshes(q.Refresh)) +
			b.posted(orders+"revoke", "", bearer(r)) + b.posted(orders+"logout", "", bearer(p)) +
			b.posted("/API/orders/login", signsIn()) + last)
		if got, want := statusesOf(answers), "200 200 204 401 204 401 404 401"; got != want {
			t.Errorf("statuses %s, want %s", got, want)
		}
		b.keepsSecrets()
	})
	p := b.login()
	hidden := b.posted(orders+"logout", "", bearer(p))
	chunk := func(text string) string { return fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(text), text) }
	both := signsIn() + hidden
	for name, try := range map[string]struct{ text, want string }{
		"behind the JSON": {b.posted(orders+"login", both) + last, "400 401"},
		"in a chunk":      {b.posted(orders+"login", chunk(both), "Transfer-Encoding: chunked") + last, "400 401"},
		"in a text of the JSON": {b.posted(orders+"login", signsIn("alice", strings.ReplaceAll(hidden, "\r\n", `\r\n`))) +
			last, "401 401"},
		"in the name of a chunk": {b.posted(orders+"login", strings.Replace(chunk(signsIn()), "\r\n", ";x="+
			strings.ReplaceAll(hidden, "\r\n", " ")+"\r\n", 1), "Transfer-Encoding: chunked") + last, "200 401"},
		"in a trailer, which counts for nothing": {b.posted(orders+"login", strings.TrimSuffix(chunk("{}"), "\r\n")+
			bearer(p)+"\r\n\r\n", "Transfer-Encoding: chunked", "Trailer: Authorization") + last, "400 401"},
		// The coding counts (RFC 9112 section 6.3), so the last one is a request of its own, without a token.
		"a length and a coding": {b.posted(orders+"login", chunk(signsIn()), "Transfer-Encoding: chunked",
			fmt.Sprintf("Content-Length: %d", len(chunk(signsIn())+last))) + last, "200 401"},
		"two lengths": {b.posted(orders+"login", both, fmt.Sprintf("Content-Length: %d", len(signsIn())),
			fmt.Sprintf("Content-Length: %d", len(both))) + last, "400"},
		"two codings": {b.posted(orders+"login", chunk(signsIn())+hidden, "Transfer-Encoding: chunked",
			"Transfer-Encoding: identity") + last, "501"},
		"an unknown coding": {b.posted(orders+"login", chunk(signsIn())+hidden, "Transfer-Encoding: xchunked") + last, "501"},
		"a length with a sign": {b.posted(orders+"login", both, fmt.Sprintf("Content-Length: +%d", len(signsIn()))) + last,
			"400"},
		"a blank before the colon": {b.posted(orders+"login", both, fmt.Sprintf("Content-Length : %d", len(signsIn()))) +
			last, "400"},
		"a line that goes on": {b.posted(orders+"login", both, "X: y\r\n Content-Length: 1") + last, "400 401"},
	} {
		b.attack(t, name, func(t *testing.T, b *booth, a *attempt) {
			a.secret(p.Access)
			if got := statusesOf(b.converses(try.text)); got != try.want {
				t.Errorf("statuses %s, want %s", got, try.want)
			}
			b.keepsSecrets()
			b.works(p.Access) // the hidden logout was none
		})
	}
	b.refresh(p)
}

// Somebody asks to go on in another protocol behind the password (RFC 9110 section 7.8). The server does not.
func TestAttackUpgradesAtTheAddresses(t *testing.T) {
	b, _ := openBoothEverywhere(t, func(b *booth) []string { return []string{b.issuerOf(), localGate()} })
	for name, fields := range map[string][]string{
		"h2c":         {"Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"},
		"a websocket": {"Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: x"},
	} {
		b.attack(t, name, func(t *testing.T, b *booth, _ *attempt) {
			for target, want := range map[string]int{orders + "login": 200, "/api//orders/login": 404} {
				if a := b.raw(b.posted(target, signsIn(), fields...)); a.StatusCode != want || a.ProtoMajor != 1 {
					t.Errorf("%s: status %d, %s", target, a.StatusCode, a.Proto)
				}
			}
			b.keepsSecrets()
		})
	}
}

func statusesOf(answers []answer) string {
	var all []string
	for _, a := range answers {
		all = append(all, strconv.Itoa(a.StatusCode))
	}
	return strings.Join(all, " ")
}
