package introspect_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/caddyjwt/gateway/introspect"
)

// recorded is one request as it arrived.
type recorded struct {
	method, body string
	header       http.Header
	form         url.Values
}

// ask sends one question about the token and returns the request that arrived.
func ask(t *testing.T, token string, change func(*introspect.Config)) recorded {
	t.Helper()
	var got recorded
	s := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("reading the request: %v", err)
		}
		form, err := url.ParseQuery(string(body))
		if err != nil {
			t.Errorf("the body is no form: %v", err)
		}
		got = recorded{r.Method, string(body), r.Header, form}
		answer(`{"active":true}`)(w, r)
	})
	cfg := basicConfig(s.URL)
	if change != nil {
		change(&cfg)
	}
	r, err := newClient(t, cfg).Introspect(t.Context(), token)
	wantActive(t, true, r, err)
	return got
}

func TestAQuestionIsAFormPost(t *testing.T) {
	got := ask(t, testToken, nil)
	if got.method != http.MethodPost {
		t.Errorf("method is %s", got.method)
	}
	if ct := got.header.Get("Content-Type"); ct != "application/x-www-form-urlencoded" {
		t.Errorf("Content-Type is %q", ct)
	}
	if accept := got.header.Get("Accept"); accept != "application/json" {
		t.Errorf("Accept is %q", accept)
	}
	if want := "token=" + testToken + "&token_type_hint=access_token"; got.body != want {
		t.Errorf("body is %q, want %q", got.body, want)
	}
}

func TestTokensArriveUnchanged(t *testing.T) {
	for _, token := range []string{
		"a&active=true", "a=b", "a+b", "100%41", "a b", "a&token_type_hint=x", "§ü", "a\x00b", "a;b", "a#b",
	} {
		if got := ask(t, token, nil); got.form.Get("token") != token || len(got.form) != 2 {
			t.Errorf("token %q arrived as %v", token, got.form)
		}
	}
}

func TestTheHintCanBeChangedOrLeftOut(t *testing.T) {
	for hint, want := range map[string]string{"": "access_token", "pat": "pat", introspect.HintOff: ""} {
		got := ask(t, testToken, func(c *introspect.Config) { c.TokenTypeHint = hint })
		if got.form.Get("token_type_hint") != want || got.form.Has("token_type_hint") != (want != "") {
			t.Errorf("hint %q arrived as %v, want %q", hint, got.form["token_type_hint"], want)
		}
	}
}

func TestParametersAreSentInOrder(t *testing.T) {
	got := ask(t, testToken, func(c *introspect.Config) {
		c.Params = []introspect.Param{{Name: "z&", Value: "1=2"}, {Name: "a", Value: ""}}
	})
	if want := "token=" + testToken + "&token_type_hint=access_token&z%26=1%3D2&a="; got.body != want {
		t.Errorf("body is %q, want %q", got.body, want)
	}
}

func TestNothingElseIsSent(t *testing.T) {
	got := ask(t, testToken, nil)
	for name := range got.header {
		switch name {
		case "Accept", "Accept-Encoding", "Authorization", "Content-Length", "Content-Type", "User-Agent":
		default:
			t.Errorf("the header field %s is sent", name)
		}
	}
}

func TestCookiesOfTheServerAreNotKept(t *testing.T) {
	var cookies atomic.Int64
	s := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		cookies.Add(int64(len(r.Cookies())))
		http.SetCookie(w, &http.Cookie{Name: "session", Value: "1"})
		answer(`{"active":true}`)(w, r)
	})
	c := newClient(t, basicConfig(s.URL))
	for range 2 {
		r, err := c.Introspect(t.Context(), testToken, introspect.MaxAge(0))
		wantActive(t, true, r, err)
	}
	if cookies.Load() != 0 {
		t.Errorf("%d cookies came back", cookies.Load())
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	elsewhere := newServer(t, answer(`{"active":true}`))
	for _, status := range []int{301, 302, 303, 307, 308} {
		s := newServer(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, status) })
		cfg := basicConfig(s.URL)
		cfg.HTTPClient = &http.Client{} // follows redirects by itself
		r, err := newClient(t, cfg).Introspect(t.Context(), testToken)
		e := wantCause(t, introspect.CauseProtocol, r, err)
		if e.Status != status {
			t.Errorf("status is %d, want %d", e.Status, status)
		}
	}
	if n := elsewhere.calls.Load(); n != 0 {
		t.Errorf("%d redirects were followed", n)
	}
}

func TestOverlongAndEmptyTokensAreNotSent(t *testing.T) {
	s := newServer(t, answer(`{"active":true}`))
	c := newClient(t, basicConfig(s.URL))
	for _, token := range []string{"", strings.Repeat("a", introspect.MaxToken+1)} {
		if r, err := c.Introspect(t.Context(), token); err != introspect.ErrToken || r.Active {
			t.Errorf("a token of %d bytes gives %v, want ErrToken", len(token), err)
		}
	}
	if n := s.calls.Load(); n != 0 {
		t.Errorf("the server was asked %d times", n)
	}
	r, err := c.Introspect(t.Context(), strings.Repeat("a", introspect.MaxToken))
	wantActive(t, true, r, err)
}

func TestTheCertificateOfTheServerIsVerified(t *testing.T) {
	s := httptest.NewUnstartedServer(answer(`{"active":true}`))
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // the refused handshake is no news
	s.StartTLS()
	t.Cleanup(s.Close)
	cfg := basicConfig(s.URL)
	r, err := newClient(t, cfg).Introspect(t.Context(), testToken)
	wantCause(t, introspect.CauseUnavailable, r, err)

	cfg.HTTPClient = s.Client()
	r, err = newClient(t, cfg).Introspect(t.Context(), testToken)
	wantActive(t, true, r, err)
}

// The default HTTP client sends no request to an address that hands out the machine's credentials.
func TestTheDefaultClientAsksNoMetadataService(t *testing.T) {
	c := newClient(t, basicConfig("https://169.254.169.254/i"))
	r, err := c.Introspect(t.Context(), testToken)
	wantCause(t, introspect.CauseUnavailable, r, err)
	if !strings.Contains(err.Error(), "link-local") {
		t.Errorf("the error is %v", err)
	}
}

// The error of a transport ends at a quotation mark, even if there is only one.
func TestErrorsEndAtAQuotationMark(t *testing.T) {
	for _, text := range []string{`unexpected "kiwi`, `unexpected "kiwi" here`, `unexpected "ki"wi" here`} {
		cfg := fakeConfig(func(*http.Request) (*http.Response, error) { return nil, errors.New(text) })
		_, err := newClient(t, cfg).Introspect(t.Context(), testToken)
		if err == nil || !strings.Contains(err.Error(), "unexpected") {
			t.Errorf("error %v, want the beginning of %q", err, text)
		}
		wantSilent(t, err, "kiwi", "wi")
	}
}

func TestErrorsHoldNoSecrets(t *testing.T) {
	const secret, token = "s&cr t+1", "t0k&n 1"
	echo := func(w http.ResponseWriter, r *http.Request) {
		r.ParseForm()
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(400)
		w.Write([]byte(r.Form.Encode() + r.Header.Get("Authorization")))
	}
	s := newServer(t, echo)
	dead := newServer(t, echo)
	dead.Close()
	for _, endpoint := range []string{s.URL + "?key=hidden", dead.URL + "?key=hidden"} {
		cfg := basicConfig(endpoint)
		cfg.ClientSecret, cfg.AuthMethod = secret, introspect.ClientSecretPost
		_, err := newClient(t, cfg).Introspect(t.Context(), token)
		if err == nil {
			t.Fatal("want an error")
		}
		wantSilent(t, err, secret, token, "hidden")
	}
}

// The server at the address does not speak HTTP and echoes what it got. The errors of net/http quote it.
func TestErrorsDoNotQuoteWhatIsNotHTTP(t *testing.T) {
	const secret, token = "s3cret-of-ours", "t0ken-of-a-user"
	for _, before := range []string{
		"", "HTTP/1.1 ", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\n ",
		"HTTP/1.1 200 OK\r\nContent-Length: ", "HTTP/1.1 200 OK\r\nTransfer-Encoding: ",
		"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
		"HTTP/1.1 302 Found\r\nLocation: http://[", "HTTP/1.1 200 OK\r\nContent-Type: ",
	} {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		go func() {
			for {
				conn, err := listener.Accept()
				if err != nil {
					return
				}
				request, err := http.ReadRequest(bufio.NewReader(conn))
				if err == nil {
					body, _ := io.ReadAll(request.Body)
					fmt.Fprintf(conn, "%s%s \"%s\"\r\n\r\n", before, body, body)
				}
				conn.Close()
			}
		}()
		cfg := basicConfig("http://" + listener.Addr().String())
		cfg.ClientSecret, cfg.AuthMethod = secret, introspect.ClientSecretPost
		_, err = newClient(t, cfg).Introspect(t.Context(), token)
		if err == nil {
			t.Fatalf("%q: want an error", before)
		}
		wantSilent(t, err, secret, token)
	}
}

// Plain http stays on this machine, whatever proxy the environment names. A process reads its environment only once, so
// another process asks the question.
func TestPlainHTTPGoesThroughNoProxy(t *testing.T) {
	if os.Getenv("ASK_WITHOUT_PROXY") != "" {
		r, err := newClient(t, basicConfig(os.Getenv("ASK_WITHOUT_PROXY"))).Introspect(t.Context(), testToken)
		wantActive(t, true, r, err)
		return
	}
	s, proxied := newServer(t, answer(`{"active":true}`)), newServer(t, answer(`{"active":true}`))
	_, port, err := net.SplitHostPort(s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"127.0.0.1", "localhost", "LOCALHOST"} {
		ask := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
		ask.Env = append(os.Environ(), "ASK_WITHOUT_PROXY=http://"+net.JoinHostPort(host, port),
			"HTTP_PROXY="+proxied.URL, "NO_PROXY=")
		if output, err := ask.CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", host, err, output)
		}
	}
	if s.calls.Load() != 3 || proxied.calls.Load() != 0 {
		t.Errorf("%d questions to the server, %d through the proxy", s.calls.Load(), proxied.calls.Load())
	}
}
