package integration

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// mixture is a gate in which all the words about requests without a token meet.
type mixture struct {
	absent   string // what becomes of requests without a token
	forwards bool
	problem  bool
}

func (m mixture) lines() []string {
	lines := []string{"audience " + audience, "token_from header Authorization", "token_from cookie t",
		"token_from query t", "token_from form t", openTo, "allow_preflight", "forward_claims X-User sub",
		"consumer guest {\ngroups guests\n}"}
	if m.absent != "" {
		lines = append(lines, m.absent)
	}
	if m.forwards {
		lines = append(lines, "forward_token")
	}
	if m.problem {
		lines = append(lines, "error_format problem")
	}
	return lines
}

// mixed is a request to such a gate. A token is "good", "expired", "forged" or absent.
type mixed struct {
	method, path                string
	header, cookie, query, form string
}

// fate is what must become of it. A caller is an X-User, or "guest".
type fate struct {
	status  int
	caller  string
	token   bool // the backend gets it
	private bool
}

func (m mixture) fate(r mixed) fate {
	var tokens []string
	for _, token := range []string{r.header, r.cookie, r.query, r.form} {
		if token != "" {
			tokens = append(tokens, token)
		}
	}
	switch {
	case r.method == http.MethodOptions && r.header == "" && r.cookie == "":
		return fate{status: 200, token: m.forwards && r.query != ""} // whose query is part of the question
	case r.path == "/public/x":
		return fate{status: 200}
	case len(tokens) > 1:
		return fate{status: 400}
	case len(tokens) == 1 && tokens[0] == "good":
		return fate{status: 200, caller: "me", token: m.forwards, private: r.header == ""}
	case len(tokens) == 1 && (r.cookie != "expired" || m.absent != "optional expired"):
		return fate{status: 401}
	case m.absent == "":
		return fate{status: 401}
	case m.absent == "anonymous guest":
		return fate{status: 200, caller: "guest"}
	}
	return fate{status: 200}
}

// mixedRequests are requests with at most two tokens.
func mixedRequests() (all []mixed) {
	kinds := []string{"", "good", "expired", "forged"}
	for _, method := range []string{"GET", "HEAD", "OPTIONS", "POST"} {
		for _, path := range []string{"/x", "/public/x", "/public/%78"} {
			for i := range 4 * 4 * 4 * 4 {
				r := mixed{method, path, kinds[i%4], kinds[i/4%4], kinds[i/16%4], kinds[i/64]}
				n := 0
				for _, token := range []string{r.header, r.cookie, r.query, r.form} {
					if token != "" {
						n++
					}
				}
				if n <= 2 && (r.form == "" || method == "POST") {
					all = append(all, r)
				}
			}
		}
	}
	return all
}

// The words "public", "optional expired", "anonymous", "allow_preflight", "forward_token" and "error_format" meet in
// one gate, and tokens of all kinds in all places. Who gets in, as whom, with which token, and who may keep the answer
// must be as each word alone says.
func TestAttackMixtureOfWords(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "e1")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	good := key.Sign(t, issuedBy(as.URL, "sub", "me", "groups", []string{"staff"}))
	tokens := map[string]string{"good": good, "forged": tokentest.FlipSignature(t, good),
		"expired": key.Sign(t, issuedBy(as.URL, ago("sub", "me", "groups", []string{"staff"})...))}
	t.Setenv("QUIC_GO_DISABLE_RECEIVE_BUFFER_WARNING", "true")
	s := prepare(t)
	requests := mixedRequests()
	for i, absent := range []string{"", "optional", "optional expired", "anonymous guest"} {
		for _, forwards := range []bool{false, true} {
			m := mixture{absent, forwards, i%2 == 0 != forwards}
			s.loadEverywhere("@known bearer group staff guests\n@unknown not bearer group staff guests\n" +
				gateFor(append(m.lines(), issuerByJWKS(as))...) +
				"\nrequest_header X-Original {http.request.orig_uri}\nrequest_header X-Seen [{http.auth.user.id}]\n" +
				"request_header @known X-Match known\nrequest_header @unknown X-Match unknown\n")
			for _, way := range s.ways() {
				s.attack(t, fmt.Sprintf("%+v by %s", m, way.name), func(t *testing.T, a *attempt) {
					for _, r := range requests {
						a.by(way).mix(m, r, tokens)
					}
				})
			}
		}
	}
	t.Logf("%d requests to each gate", len(requests))
}

// mix sends a request, and compares what becomes of it.
func (a *attempt) mix(m mixture, r mixed, tokens map[string]string) {
	a.t.Helper()
	target, body, fields := r.path+"?a=1", "", []string{"X-User", "root", "X-Consumer-Username", "root", "X-Match", "root"}
	if r.query != "" {
		target += "&t=" + tokens[r.query]
	}
	if r.header != "" {
		fields = append(fields, "Authorization", "Bearer "+tokens[r.header])
	}
	if r.cookie != "" {
		fields = append(fields, "Cookie", "a=1; t="+tokens[r.cookie])
	}
	if r.form != "" {
		body = "&t=" + tokens[r.form]
	}
	if r.method == http.MethodOptions {
		fields = append(fields, "Origin", "http://x.test", "Access-Control-Request-Method", "PUT")
	}
	var content io.Reader
	if r.method == http.MethodPost {
		content, fields = strings.NewReader("b=2"+body), append(fields, "Content-Type", formType)
	}
	request := a.request(r.method, target, content, fields...)
	if content != nil {
		request.ContentLength = -1
		request.Trailer = http.Header{"X-User": {"root"}, "X-Original-Url": {"/root"}}
	}
	got, want := a.do(request), m.fate(r)
	arrived := a.upstream.take()
	if got.StatusCode != want.status || (want.status == 200) != (len(arrived) == 1) {
		a.t.Errorf("%+v: status %d, %d at the backend, want %+v", r, got.StatusCode, len(arrived), want)
		return
	}
	cache := got.Header.Get("Cache-Control")
	if want.status != 200 {
		if cache != "no-store" || m.problem && r.method != "HEAD" && !strings.Contains(got.body, `"status":`) {
			a.t.Errorf("%+v: Cache-Control %q, body %q", r, cache, got.body)
		}
		return
	}
	if (cache == "private") != want.private || cache != "" && !want.private {
		a.t.Errorf("%+v: Cache-Control %q, want %+v", r, cache, want)
	}
	at := arrived[0]
	user, match := at.Header.Get("X-User"), "known"
	if want.caller == "" {
		match = "unknown"
	}
	if want.caller == "guest" {
		user += at.Header.Get("X-Consumer-Username")
	}
	if user != want.caller || at.Header.Get("X-Seen") != "["+want.caller+"]" || at.Header.Get("X-Match") != match {
		a.t.Errorf("%+v: the backend got %v, want %+v", r, at.Header, want)
	}
	for _, token := range tokens {
		if has := strings.Contains(fmt.Sprint(at), token); has && !want.token {
			a.t.Errorf("%+v: the token reached the backend: %v", r, at)
		}
	}
	if strings.Contains(fmt.Sprint(at), "root") {
		a.t.Errorf("%+v: the backend got what the client claims: %v", r, at)
	}
	if !strings.Contains(at.URI, "a=1") || r.method == "POST" && !strings.HasPrefix(at.Body, "b=2") {
		a.t.Errorf("%+v: the backend got %q, body %q", r, at.URI, at.Body)
	}
}
