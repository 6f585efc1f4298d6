package integration

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// openEverywhere runs the office on a site that is reached by all protocols.
func (o *office) openEverywhere(lines ...string) []way {
	o.t.Helper()
	o.t.(*testing.T).Setenv("QUIC_GO_DISABLE_RECEIVE_BUFFER_WARNING", "true")
	o.secure = o.loadOnAPort(func(port string) string { return o.kept(o.onPort(port, revocableGate(lines...))) })
	return o.ways()
}

// measured runs the office on a site that serves metrics.
func (o *office) measured(lines ...string) {
	o.t.Helper()
	o.loadFile(o.kept(o.caddyfile(revocableGate(lines...)) + "http://metrics.test {\n\tbind unix/" + o.site.socket +
		"\n\tmetrics\n}\n"))
}

// begins opens a request by a protocol with a token.
func (w way) begins(t testing.TB, method, path, token string) (*http.Response, error) {
	t.Helper()
	r := w.to(t, method, path)
	r.Header.Set("Authorization", "Bearer "+token)
	return w.client.Do(r)
}

func TestEventStreamEndsWhenItsTokenIsRevoked(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "")
	o := newOffice(t)
	ways := o.openEverywhere(issuerBlock(keptIssuer, pemOf(t, key)), "end_at_expiry")
	var gone chan struct{}
	o.upstream.answer, gone = streams("text/event-stream", "data: 1\n\n")
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			o := o.in(t)
			token := key.Sign(t, issuedBy(keptIssuer, "sub", way.name))
			response, err := way.begins(t, http.MethodGet, "/events", token)
			if err != nil || response.StatusCode != http.StatusOK {
				t.Fatal(response, err)
			}
			defer response.Body.Close()
			began := time.Now()
			o.revoke("issuer", keptIssuer, "sub", way.name)
			body, err := io.ReadAll(response.Body)
			t.Logf("ended after %v", time.Since(began))
			if err != nil || string(body) != "data: 1\n\n" {
				t.Errorf("read %q, %v; want the event and a clean end", body, err)
			}
			arrives(t, "the backend learns it", gone)
			again, err := way.begins(t, http.MethodGet, "/events", token)
			if err != nil {
				t.Fatal(err)
			}
			defer again.Body.Close()
			if again.StatusCode != http.StatusUnauthorized {
				t.Errorf("status %d when the client comes back, want 401", again.StatusCode)
			}
		})
	}
	if !o.logged(`"msg":"response ended"`, `"kind":"events"`, `"cause":"revoked"`) ||
		!o.logged(`"logger":"http.log.access`, `"auth_ended":"revoked"`) {
		t.Error("the log does not say that the response was ended")
	}
}

func TestWebSocketEndsWhenItsTokenIsRevoked(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "")
	o := newOffice(t)
	o.measured(issuerBlock(keptIssuer, pemOf(t, key)), "end_at_expiry")
	before := o.scrape()
	answer, gone := echoes()
	o.upstream.answer = answer
	open := func(jti string) func() error {
		token := key.Sign(t, issuedBy(keptIssuer, "jti", jti))
		conn, reader, response := o.begin(opening("/ws", "Authorization: Bearer "+token))
		if response.StatusCode != http.StatusSwitchingProtocols {
			t.Fatalf("status %d; %s", response.StatusCode, o.lastReason())
		}
		return func() error {
			_, _ = io.WriteString(conn, "x")
			_, err := reader.ReadByte()
			return err
		}
	}
	first, second := open("1"), open("2")
	if err := errors.Join(first(), second()); err != nil {
		t.Fatal(err)
	}
	dry := o.revoke("issuer", keptIssuer, "jti", "1", "dry_run", true)["effect"].(m)
	hit := o.revoke("issuer", keptIssuer, "jti", "1")["effect"].(m)
	if dry["running_responses"] != 1. || hit["running_responses"] != 1. {
		t.Errorf("running responses: %v, then %v", dry, hit)
	}
	arrives(t, "the backend learns it", gone)
	eventually(t, "the client learns it", func() bool { return first() != nil })
	if err := second(); err != nil {
		t.Errorf("the other WebSocket has ended: %v", err)
	}
	if n := o.scrape().since(before)[`responses_ended_total{cause="revoked",kind="upgrade"}`]; n != 1 {
		t.Errorf("counted %v ended upgrades, want 1", n)
	}
	o.revoke("issuer", keptIssuer)
	arrives(t, "the backend learns it", gone)
}

// By "all", a GET that has no response yet is refused, and a download is cut. A POST may have been carried out, so it
// must not look refused.
func TestRevokedWithoutAResponseYet(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "")
	o := newOffice(t)
	o.measured(issuerBlock(keptIssuer, pemOf(t, key)), "end_at_expiry all")
	before := o.scrape()
	arrived := make(chan struct{}, 8)
	o.upstream.answer = func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/file") {
			_, _ = io.WriteString(w, "half")
			_ = http.NewResponseController(w).Flush()
		}
		arrived <- struct{}{}
		<-r.Context().Done()
	}
	client := way{"HTTP/1.1", "http://gate.test/", o.onceOnly()}
	for _, c := range []struct{ method, path, sub string }{
		{"GET", "/poll", "a"}, {"POST", "/poll", "b"}, {"GET", "/file", "c"},
	} {
		type outcome struct {
			status int
			answer answer
			err    error
		}
		outcomes := make(chan outcome, 1)
		token := key.Sign(t, issuedBy(keptIssuer, "sub", c.sub))
		go func() {
			response, err := client.begins(t, c.method, c.path, token)
			if err != nil {
				outcomes <- outcome{err: err}
				return
			}
			defer response.Body.Close()
			body, err := io.ReadAll(response.Body)
			outcomes <- outcome{response.StatusCode, answer{response, string(body)}, err}
		}()
		arrives(t, "the request is under way", arrived)
		o.revoke("issuer", keptIssuer, "sub", c.sub)
		got := arrives(t, "the client gets an answer", outcomes)
		switch {
		case c.method == "GET" && c.path == "/poll":
			if challenge := got.answer.Header.Get("WWW-Authenticate"); got.status != http.StatusUnauthorized ||
				!strings.Contains(challenge, `error="invalid_token"`) {
				t.Errorf("a GET without a response: status %d, %v, challenge %q", got.status, got.err, challenge)
			}
		case got.err == nil:
			t.Errorf("%s %s: status %d and a whole body", c.method, c.path, got.status)
		}
	}
	if reason := o.lastReason(); reason != "revoked" || !o.logged("the token was revoked before there was a response") {
		t.Errorf("reason %q in the log", reason)
	}
	o.scrape().since(before).counted(t, "responses_ended_total", scraped{
		`responses_ended_total{cause="revoked",kind="other"}`: 3,
	})
	if n := o.scrape().since(before)[requests("refused", "revoked")]; n != 1 {
		t.Errorf("counted %v refused requests, want 1", n)
	}
}

// A dry run says how many responses would end, and ends none. A cut-off spares those whose token is younger.
func TestRevokeDryRunCountsRunningResponses(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "")
	o := openOffice(t, issuerBlock(keptIssuer, pemOf(t, key), "leeway 0s"), "end_at_expiry")
	var gone chan struct{}
	o.upstream.answer, gone = streams("text/event-stream", "data: 1\n\n")
	client := way{"HTTP/1.1", "http://gate.test/", o.client}
	now := time.Now()
	for i, sub := range []string{"zoe", "zoe", "zoe", "bob"} {
		response, err := client.begins(t, http.MethodGet, "/events",
			key.Sign(t, issuedBy(keptIssuer, "sub", sub, "iat", now.Add(-time.Duration(i)*time.Minute).Unix())))
		if err != nil || response.StatusCode != http.StatusOK {
			t.Fatal(response, err)
		}
		defer response.Body.Close()
	}
	running := func(pairs ...any) any {
		t.Helper()
		return o.revoke(append(pairs, "issuer", keptIssuer)...)["effect"].(m)["running_responses"]
	}
	for want, got := range map[float64]any{
		3: running("sub", "zoe", "dry_run", true),
		2: running("sub", "zoe", "not_after", now.Add(-30*time.Second), "dry_run", true),
		4: running("dry_run", true),
		0: running("sub", "eve", "dry_run", true),
		1: running("sub", "bob", "dry_run", true),
	} {
		if got != want {
			t.Errorf("%v responses, want %v", got, want)
		}
	}
	if len(gone) > 0 {
		t.Error("a dry run has ended a response")
	}
	if got := running("sub", "zoe", "not_after", now.Add(-30*time.Second)); got != 2. {
		t.Errorf("%v responses end", got)
	}
	arrives(t, "the first of two ends", gone)
	arrives(t, "the second of two ends", gone)
	eventually(t, "two of four are left", func() bool { return running("dry_run", true) == 2. })
	o.revoke("issuer", keptIssuer)
	arrives(t, "the others end", gone)
	arrives(t, "the others end", gone)
}

// A reload that keeps the store does not lose the responses that go on.
func TestRunningResponsesEndAfterAReload(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "")
	issuer := issuerBlock(keptIssuer, pemOf(t, key))
	o := openOffice(t, issuer, "end_at_expiry")
	var gone chan struct{}
	o.upstream.answer, gone = streams("text/event-stream", "data: 1\n\n")
	client := way{"HTTP/1.1", "http://gate.test/", o.client}
	response, err := client.begins(t, http.MethodGet, "/events", key.Sign(t, issuedBy(keptIssuer)))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	o.open(issuer, "realm another")
	o.open(issuer)
	o.revoke("issuer", keptIssuer)
	if body, err := io.ReadAll(response.Body); err != nil || string(body) != "data: 1\n\n" {
		t.Errorf("read %q, %v", body, err)
	}
	arrives(t, "the backend learns it", gone)
}
