package integration

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// noPair wants the issuer to have refused a request to one of its addresses: no tokens, and nothing at the backend.
func (b *booth) noPair(a answer) {
	b.t.Helper()
	if a.StatusCode < 400 || a.StatusCode >= 500 || strings.Contains(a.body, "access_token") {
		b.t.Errorf("status %d, %s", a.StatusCode, a.body)
	}
	b.nothingForwarded()
	b.neverCached(a)
}

// A request to sign in that two readers take for two users, or for none.
func TestAttackSignInsWithTwoReadings(t *testing.T) {
	b := newBooth(t)
	users := []string{"user alice " + hashOf(t, password), "user bob " + hashOf(t, "bobs")}
	b.runs(issuingFor(ownIssuer, append(users, appOf(orders))...), localGate())
	alice := base64.StdEncoding.EncodeToString([]byte("alice:" + password))
	bob := base64.StdEncoding.EncodeToString([]byte("bob:bobs"))
	for name, try := range map[string]struct {
		kind, body string
		header     []string
	}{
		"a member twice":         {asJSONBody, `{"user":"bob","user":"alice","password":"` + password + `"}`, nil},
		"a password twice":       {asJSONBody, `{"user":"alice","password":"x","password":"` + password + `"}`, nil},
		"a member escaped":       {asJSONBody, `{"us\u0065r":"bob","user":"alice","password":"` + password + `"}`, nil},
		"two objects":            {asJSONBody, signsIn() + signsIn("bob", "bobs"), nil},
		"an array":               {asJSONBody, "[" + signsIn() + "]", nil},
		"a comment":              {asJSONBody, "/**/" + signsIn(), nil},
		"a comma at the end":     {asJSONBody, `{"user":"alice","password":"` + password + `",}`, nil},
		"a byte order mark":      {asJSONBody, "\ufeff" + signsIn(), nil},
		"an array as user":       {asJSONBody, `{"user":["alice"],"password":"` + password + `"}`, nil},
		"null":                   {asJSONBody, `{"user":"alice","password":null}`, nil},
		"bytes that are no text": {asJSONBody, "{\"user\":\"alice\xff\",\"password\":\"" + password + `"}`, nil},
		"half a surrogate":       {asJSONBody, `{"user":"alice\ud800","password":"` + password + `"}`, nil},
		"other letters":          {asJSONBody, `{"User":"alice","Password":"` + password + `"}`, nil},
		"a NUL at the end":       {asJSONBody, `{"user":"alice","password":"` + password + `\u0000"}`, nil},
		"a NUL after the name":   {asJSONBody, `{"user":"alice\u0000","password":"` + password + `"}`, nil},
		"a blank after the name": {asJSONBody, signsIn("alice ", password), nil},
		"other letters as name":  {asJSONBody, signsIn("ALICE", password), nil},
		"no name":                {asJSONBody, signsIn("", password), nil},
		"no password":            {asJSONBody, signsIn("alice", ""), nil},
		"a form":                 {asForm, "user=alice&password=" + "tr0ub4dor%263-n%C3%A4v", nil},
		"plain text":             {"text/plain", signsIn(), nil},
		"no type":                {"", signsIn(), nil},
		"another charset":        {"application/json; charset=utf-16", signsIn(), nil},
		"another JSON type":      {"application/problem+json", signsIn(), nil},
		"two types":              {asJSONBody, signsIn(), []string{"Content-Type", "text/plain"}},
		"encoded":                {asJSONBody, signsIn(), []string{"Content-Encoding", "gzip"}},
		"Basic and a body":       {asJSONBody, signsIn(), []string{"Authorization", "Basic " + bob}},
		"Basic and half a body":  {asJSONBody, `{"user":"alice"}`, []string{"Authorization", "Basic " + bob}},
		"Basic twice": {"", "", []string{"Authorization", "Basic " + alice, "Authorization",
			"Basic " + bob}},
		"Basic twice in one field":  {"", "", []string{"Authorization", "Basic " + alice + ", Basic " + bob}},
		"Basic with more behind it": {"", "", []string{"Authorization", "Basic " + alice + " x"}},
		"Basic in another alphabet": {"", "", []string{"Authorization", "Basic " +
			base64.URLEncoding.EncodeToString([]byte("alice:"+password+"~~~???"))}},
		"Basic without padding": {"", "", []string{"Authorization", "Basic " + strings.TrimRight(bob, "=")}},
	} {
		b.attack(t, name, func(_ *testing.T, b *booth, _ *attempt) {
			b.from = newAddress()
			b.noPair(b.post(orders+"login", try.kind, try.body, try.header...))
		})
	}
	b.attack(t, "in the query", func(_ *testing.T, b *booth, _ *attempt) {
		for _, query := range []string{"?user=alice&password=x", "?", "?" + orders} {
			b.failed(b.post(orders+"login"+query, asJSONBody, signsIn()), http.StatusBadRequest, "invalid_request")
		}
	})
	b.attack(t, "Basic beside a token is Basic", func(t *testing.T, b *booth, _ *attempt) {
		token := b.login().Access
		p := b.pairIn(b.post(orders+"login", "", "", "Authorization", "Bearer "+token, "Authorization", "basic "+bob))
		if p.Sub != "bob" {
			t.Errorf("%+v", p)
		}
	})
}

// A request to refresh that two readers take for two tokens. The session goes on: it is none of its owner's doing.
func TestAttackRefreshesWithTwoReadings(t *testing.T) {
	b := openBooth(t)
	p, other := b.login(), b.login()
	form := "grant_type=refresh_token&refresh_token="
	multipart := "--x\r\nContent-Disposition: form-data; name=refresh_token\r\n\r\n"
	for name, try := range map[string]struct{ kind, body string }{
		"a token twice":              {asForm, form + p.Refresh + "&refresh_token=" + other.Refresh},
		"the same token twice":       {asForm, form + p.Refresh + "&refresh_token=" + p.Refresh},
		"a token twice, escaped":     {asForm, form + p.Refresh + "&refresh%5Ftoken=" + other.Refresh},
		"a semicolon":                {asForm, "grant_type=refresh_token;refresh_token=" + p.Refresh},
		"grant_type twice":           {asForm, "grant_type=password&" + form + p.Refresh},
		"no grant_type":              {asForm, "refresh_token=" + p.Refresh},
		"another grant_type":         {asForm, "grant_type=password&refresh_token=" + p.Refresh},
		"a bad escape":               {asForm, form + p.Refresh + "&x=%zz"},
		"JSON as a form":             {asForm, refreshes(p.Refresh)},
		"a form as JSON":             {asJSONBody, form + p.Refresh},
		"a member twice":             {asJSONBody, `{"refresh_token":"x",` + refreshes(p.Refresh)[1:]},
		"an array":                   {asJSONBody, `{"grant_type":"refresh_token","refresh_token":["` + p.Refresh + `"]}`},
		"a blank before":             {asJSONBody, refreshes(" " + p.Refresh)},
		"padding":                    {asJSONBody, refreshes(p.Refresh + "=")},
		"a line break inside":        {asJSONBody, refreshes(p.Refresh[:32] + `\n` + p.Refresh[32:])},
		"a part of it":               {asJSONBody, refreshes(p.Refresh[:63])},
		"a form with parts":          {"multipart/form-data; boundary=x", multipart + p.Refresh + "\r\n--x--"},
		"nothing":                    {asJSONBody, ""},
		"an object without anything": {asJSONBody, "{}"},
	} {
		b.attack(t, name, func(_ *testing.T, b *booth, _ *attempt) {
			b.noPair(b.post(orders+"refresh", try.kind, try.body))
			b.works(p.Access)
		})
	}
	b.attack(t, "in Authorization, in the query, in a cookie", func(_ *testing.T, b *booth, _ *attempt) {
		b.noPair(b.post(orders+"refresh", "", "", "Authorization", "Bearer "+p.Refresh))
		b.noPair(b.post(orders+"refresh?"+form+p.Refresh, "", ""))
		b.noPair(b.post(orders+"refresh", "", "", "Cookie", "refresh_token="+p.Refresh))
	})
	b.refresh(p)
	b.refresh(other)
}

// Other spellings of the addresses. They reach neither the issuer, nor the backend without a token.
func TestAttackOtherSpellingsOfTheAddresses(t *testing.T) {
	b := openBooth(t)
	p := b.login()
	refreshing := strings.NewReplacer("login", "refresh", "LOGIN", "REFRESH", "Login", "Refresh", "%6cogin", "%72efresh")
	for _, path := range []string{
		"/api/orders/%6cogin", "/api/orders/%6Cogin", "/api/orders/logi%6e", "/api/%6frders/login", "/%61pi/orders/login",
		"/api/orders//login", "//api/orders/login", "/api//orders/login", "/api/orders/login/", "/api/orders/./login",
		"/api/orders/x/../login", "/api/orders/x/..;/login", "/x/../api/orders/login", "/api/orders/..;/orders/login",
		"/api/orders/login;x", "/api/orders/login;/x", "/api/orders/LOGIN", "/API/orders/login", "/api/orders/Login",
		"/api/orders/login%20", "/api/orders/login%00", "/api/orders/login.", "/api/orders/login%3f", "/api/orders%2flogin",
		"/api/orders%5clogin", `/api/orders\login`, "/api/orders/login%2f", "/api/orders/%2e/login", "/api/orders/log%69n?x",
		"/api/orders/%256cogin", "/api/orders/login%23", "/outer/api/orders/login", "/api/orders/logın",
		"http://gate.test/API/orders/login", "http://u@gate.test/api/orders/login", "//gate.test/api/orders/login", "*",
	} {
		b.attack(t, path, func(t *testing.T, b *booth, _ *attempt) {
			for _, body := range []string{signsIn(), refreshes(p.Refresh)} {
				at := path
				if strings.HasPrefix(body, `{"grant`) {
					at = refreshing.Replace(path)
				}
				a := b.raw("POST " + at + " HTTP/1.1\r\nHost: gate.test\r\nX-Forwarded-For: " + b.from +
					"\r\nContent-Type: application/json\r\nContent-Length: " + fmt.Sprint(len(body)) + "\r\n\r\n" + body)
				if a.StatusCode < 400 || a.StatusCode >= 500 || strings.Contains(a.body, "token\":") {
					t.Errorf("%s: status %d, %s", at, a.StatusCode, a.body)
				}
				b.nothingForwarded()
			}
		})
	}
	b.attack(t, "after a rewrite", func(_ *testing.T, b *booth, _ *attempt) {
		b.runs("uri strip_prefix /outer", b.issuerOf(), localGate())
		b.refused(b.post("/outer"+orders+"login", asJSONBody, signsIn()), http.StatusUnauthorized, "missing_token")
		b.login()
	})
	b.works(b.refresh(p).Access)
}

// Methods other than POST, and POST under other names.
func TestAttackMethodsAtTheAddresses(t *testing.T) {
	b := openBooth(t)
	p := b.login()
	for method := range strings.FieldsSeq("GET HEAD PUT PATCH DELETE OPTIONS TRACE QUERY post POST2") {
		b.attack(t, method, func(t *testing.T, b *booth, _ *attempt) {
			for _, address := range []string{"login", "refresh", "logout", "revoke"} {
				body := map[string]string{"login": signsIn(), "refresh": refreshes(p.Refresh)}[address]
				a := b.raw(method + " " + orders + address + " HTTP/1.1\r\nHost: gate.test\r\nAuthorization: Bearer " + p.Access +
					"\r\nX-Http-Method-Override: POST\r\nContent-Type: application/json\r\nContent-Length: " +
					fmt.Sprint(len(body)) + "\r\n\r\n" + body)
				if a.StatusCode != http.StatusMethodNotAllowed || a.Header.Get("Allow") != "POST" {
					t.Errorf("%s: status %d, %s", address, a.StatusCode, a.body)
				}
				b.nothingForwarded()
				b.neverCached(a)
			}
			b.works(p.Access)
		})
	}
	b.refresh(p)
}

// Bodies that are too large, of unknown length, that never come, or that hide a second request.
func TestAttackBodiesAtTheAddresses(t *testing.T) {
	b := openBooth(t)
	p := b.login()
	head := "POST " + orders + "login HTTP/1.1\r\nHost: gate.test\r\nX-Forwarded-For: " + b.from +
		"\r\nContent-Type: application/json\r\n"
	large := `{"x":"` + strings.Repeat("a", 20<<10) + `",` + signsIn()[1:]
	length := func(n int64) string { return fmt.Sprintf("Content-Length: %d\r\n\r\n", n) }
	const endless = 1 << 40
	for name, request := range map[string]string{
		"large":            head + length(int64(len(large))) + large,
		"said to be huge":  head + length(endless) + large,
		"large, in chunks": head + fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n", len(large), large),
		"blanks":           head + length(20000) + strings.Repeat(" ", 20000),
		"a large form": strings.Replace(head, "application/json", asForm, 1) + length(20000) +
			strings.Repeat("&", 20000),
		"large, without a type": strings.Replace(head, "Content-Type: application/json\r\n", "", 1) + length(20000) +
			large[:20000],
		"large, at refresh":        strings.Replace(head, "login", "refresh", 1) + length(endless) + large,
		"large, with expectations": head + "Expect: 100-continue\r\n" + length(20000) + large[:20000],
	} {
		b.attack(t, name, func(t *testing.T, b *booth, a *attempt) {
			a.cheaply(func() {
				conn, answers := b.opened(request)
				defer conn.Close()
				got := b.next(answers)
				if got.StatusCode != http.StatusRequestEntityTooLarge {
					t.Errorf("status %d, %s", got.StatusCode, got.body)
				}
			})
			b.nothingForwarded()
		})
	}
	b.attack(t, "never whole", func(t *testing.T, b *booth, _ *attempt) {
		for range 50 { // slow clients are no attempts, and hold up nobody
			conn, _ := b.opened(head + "Content-Length: 60\r\n\r\n" + signsIn()[:10])
			defer conn.Close()
		}
		for range 5 {
			b.login()
		}
		b.works(p.Access)
	})
	b.attack(t, "a second request in the body", func(t *testing.T, b *booth, _ *attempt) {
		hidden := "GET " + orders + "secret HTTP/1.1\r\nHost: gate.test\r\n\r\n"
		for _, framing := range []string{
			fmt.Sprintf("Content-Length: %d\r\n", len(signsIn())),
			"Content-Length: 0\r\n",
			fmt.Sprintf("Content-Length: %d\r\nTransfer-Encoding: chunked\r\n", len(signsIn()+hidden)),
			fmt.Sprintf("Content-Length: %d\r\nContent-Length: 5\r\n", len(signsIn())),
			"Transfer-Encoding: chunked, identity\r\n",
		} {
			conn, answers := b.opened(head + framing + "\r\n" + signsIn() + hidden)
			_, _ = io.ReadAll(io.LimitReader(answers, 1)) // an answer has come
			conn.Close()
			b.nothingForwarded()
		}
	})
	b.attack(t, "logout with a body", func(t *testing.T, b *booth, _ *attempt) {
		q := b.login()
		a := b.post(orders+"logout", asJSONBody, large, "Authorization", "Bearer "+q.Access)
		if a.StatusCode != http.StatusNoContent {
			t.Errorf("status %d, %s", a.StatusCode, a.body)
		}
		b.isOut(q.Access, "revoked")
	})
}

// opened sends a text on a connection of its own.
func (b *booth) opened(text string) (io.Closer, *bufio.Reader) {
	b.t.Helper()
	conn, err := b.dial(b.t.Context(), "", "")
	if err != nil {
		b.unable("%v", err)
	}
	_ = conn.SetDeadline(deadline())
	if _, err := io.WriteString(conn, text); err != nil {
		conn.Close()
		b.unable("%v", err)
	}
	return conn, bufio.NewReader(conn)
}

// next reads the next answer of such a connection, without those that ask for a body.
func (b *booth) next(answers *bufio.Reader) answer {
	b.t.Helper()
	for {
		response, err := http.ReadResponse(answers, &http.Request{Method: http.MethodPost})
		if err != nil {
			b.unable("%v", err)
		}
		body, err := io.ReadAll(response.Body)
		if err != nil {
			b.unable("%v", err)
		}
		if response.StatusCode != http.StatusContinue {
			return answer{response, string(body)}
		}
	}
}

// Requests come one after the other without waiting, on one connection. Each is judged by itself: who has signed in on
// a connection has no token on it.
func TestAttackPipelinedSignIns(t *testing.T) {
	b := openBooth(t)
	post := func(address, body, more string) string {
		return "POST " + orders + address + " HTTP/1.1\r\nHost: gate.test\r\nX-Forwarded-For: " + b.from + "\r\n" + more +
			fmt.Sprintf("Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	}
	bare := "GET " + orders + "7 HTTP/1.1\r\nHost: gate.test\r\n\r\n"
	b.attack(t, "without a token", func(t *testing.T, b *booth, _ *attempt) {
		conn, answers := b.opened(post("login", signsIn(), "") + bare + post("login", signsIn("alice", "wrong"), "") +
			post("login", signsIn(), "Expect: 100-continue\r\n") + bare)
		defer conn.Close()
		for i, want := range []int{200, 401, 401, 200, 401} {
			if a := b.next(answers); a.StatusCode != want {
				t.Errorf("answer %d: status %d, %s", i, a.StatusCode, a.body)
			}
		}
		b.nothingForwarded()
	})
	b.attack(t, "a logout and its token", func(t *testing.T, b *booth, _ *attempt) {
		p := b.login()
		bearer := "Authorization: Bearer " + p.Access + "\r\n"
		conn, answers := b.opened(post("logout", "", bearer) + strings.Replace(bare, "\r\n\r\n", "\r\n"+bearer+"\r\n", 1) +
			post("refresh", refreshes(p.Refresh), ""))
		defer conn.Close()
		for i, want := range []int{204, 401, 401} {
			if a := b.next(answers); a.StatusCode != want {
				t.Errorf("answer %d: status %d, %s", i, a.StatusCode, a.body)
			}
		}
		b.nothingForwarded()
	})
}
