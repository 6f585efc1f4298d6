package integration

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// turnstile is a handler that holds requests with the header field X-Turnstile: gate_turnstile in a Caddyfile.
type turnstile struct{}

// atTurnstile is where those requests wait.
var atTurnstile atomic.Pointer[func(*http.Request)]

func init() {
	caddy.RegisterModule(turnstile{})
	httpcaddyfile.RegisterHandlerDirective("gate_turnstile",
		func(httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
			return turnstile{}, nil
		})
}

func (turnstile) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.gate_turnstile", New: func() caddy.Module { return new(turnstile) }}
}

func (turnstile) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if wait := atTurnstile.Load(); wait != nil && r.Header.Get("X-Turnstile") != "" {
		(*wait)(r)
	}
	return next.ServeHTTP(w, r)
}

// watched is a body that says when somebody begins to read it.
type watched struct {
	io.ReadCloser
	began chan<- struct{}
}

func (b *watched) Read(p []byte) (int, error) {
	if b.began != nil {
		b.began <- struct{}{}
		b.began = nil
	}
	return b.ReadCloser.Read(p)
}

// onTheWay is a site for requests that are on their way when the configuration changes.
type onTheWay struct {
	*site
	as      *tokentest.AS
	key     *tokentest.Key
	files   [2]string
	arrived chan struct{} // a request is where it waits
	goOn    chan struct{} // closed to let all of them go on
}

const lateFileIssuer = "https://file.example.com"

func startOnTheWay(t *testing.T) *onTheWay {
	t.Setenv("QUIC_GO_DISABLE_RECEIVE_BUFFER_WARNING", "true")
	o := &onTheWay{site: prepare(t), key: tokentest.NewKey(t, "ES256", "on-the-way")}
	o.as = tokentest.NewAS(t, tokentest.WithKeys(o.key))
	for i := range o.files {
		o.files[i] = writeFile(t, filepath.Join(t.TempDir(), "jwks.json"), tokentest.JWKS(o.key))
	}
	t.Cleanup(func() { atTurnstile.Store(nil) })
	return o
}

// config is a gate behind a turnstile; with another number, everything that it asks is another.
func (o *onTheWay) config(number int, more ...string) string {
	gate := gateForAudience(append([]string{
		"token_from header Authorization", "token_from form jwt",
		issuerBlock(o.as.URL, fmt.Sprintf("max_stale %dh", 2+number), "introspect opaque {", "client_id gateway",
			fmt.Sprintf("client_secret s3cr3t-number-%d", number), fmt.Sprintf("timeout %ds", 20+number), "}"),
		issuerBlock(lateFileIssuer, "keys file "+o.files[number%2]),
	}, more...)...)
	return fmt.Sprintf("route {\n\theader X-Config %d\n\tgate_turnstile\n\t%s\n\t}", number, gate)
}

// begin makes the places where requests wait.
func (o *onTheWay) begin(t *testing.T) (*onTheWay, []way) {
	sub := *o
	sub.site, sub.arrived, sub.goOn = o.in(t), make(chan struct{}, 64), make(chan struct{})
	atTurnstile.Store(nil)
	sub.as.Introspect(always(active()))
	sub.loadFile(sub.everywhere(sub.config(0)))
	ways := sub.ways()
	return &sub, ways
}

// hasArrived waits until a request that has just been sent is where it waits.
func (o *onTheWay) hasArrived(results <-chan served) {
	o.t.Helper()
	select {
	case <-o.arrived:
	case got := <-results:
		o.t.Fatalf("%s: status %d by configuration %q, %v, before the reload", got.what, got.status, got.config, got.err)
	}
}

func (o *onTheWay) wait() {
	o.arrived <- struct{}{}
	<-o.goOn
}

// tokens are good ones: of each kind that the gate asks something about.
func (o *onTheWay) tokens() []string {
	return []string{"opaque", o.key.Sign(o.t, issuedBy(o.as.URL)), o.key.Sign(o.t, issuedBy(lateFileIssuer))}
}

// served is the outcome of a request.
type served struct {
	what   string
	status int
	config string
	err    error
}

func (o *onTheWay) send(way way, token string, results chan<- served) {
	result := served{what: fmt.Sprintf("%s, %.6s", way.name, token)}
	defer func() { results <- result }()
	r, err := http.NewRequestWithContext(o.t.Context(), http.MethodGet, way.url, nil)
	if err != nil {
		result.err = err
		return
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("X-Turnstile", "yes")
	result.of(way.client.Do(r))
}

func (s *served) of(response *http.Response, err error) {
	if s.err = err; err != nil {
		return
	}
	defer response.Body.Close()
	s.status, s.config = response.StatusCode, response.Header.Get("X-Config")
}

// all wants n requests to have passed, and the old configuration to have served them.
func (o *onTheWay) all(results <-chan served, n int) {
	o.t.Helper()
	for range n {
		if got := <-results; got.err != nil || got.status != http.StatusOK || got.config != "0" {
			o.t.Errorf("%s: status %d by configuration %q, %v", got.what, got.status, got.config, got.err)
		}
	}
}

// Requests are on their way through an old configuration, by each protocol, when another takes its place. They get
// their verdicts: those that wait for introspection, those whose form has not ended, and those that have not come to
// the gate yet.
func TestReloadServesWhoIsOnTheWay(t *testing.T) {
	o := startOnTheWay(t)
	plain := gateFor(consumerAlice(t))
	o.loadEverywhere(plain)
	before := o.goroutines()
	for name, after := range map[string]string{"to other settings": o.config(1), "to no issuer at all": plain} {
		t.Run("waiting for introspection, "+name, func(t *testing.T) {
			o, ways := o.begin(t)
			o.as.Introspect(func(*tokentest.IntrospectionRequest) tokentest.IntrospectionAnswer { o.wait(); return active() })
			results := make(chan served)
			for i, way := range ways {
				go o.send(way, fmt.Sprintf("opaque-%d", i), results)
				o.hasArrived(results)
			}
			o.loadFile(o.everywhere(after))
			close(o.goOn)
			o.all(results, len(ways))
		})
		t.Run("sending a form, "+name, func(t *testing.T) {
			o, ways := o.begin(t)
			wait := func(r *http.Request) { r.Body = &watched{r.Body, o.arrived} }
			atTurnstile.Store(&wait)
			results := make(chan served)
			for _, way := range ways {
				go o.upload(way, results)
				o.hasArrived(results)
			}
			o.loadFile(o.everywhere(after))
			close(o.goOn)
			o.all(results, len(ways))
		})
		t.Run("before the gate, "+name, func(t *testing.T) {
			o, ways := o.begin(t)
			wait := func(*http.Request) { o.wait() }
			atTurnstile.Store(&wait)
			results := make(chan served)
			for _, way := range ways {
				for _, token := range o.tokens() {
					go o.send(way, token, results)
					o.hasArrived(results)
				}
			}
			o.loadFile(o.everywhere(after))
			close(o.goOn)
			o.all(results, len(ways)*len(o.tokens()))
		})
	}
	atTurnstile.Store(nil)
	o.loadFile(o.everywhere(plain))
	o.goroutinesBackTo(before, 10)
}

// upload sends a form whose end, with the token, comes when requests may go on.
func (o *onTheWay) upload(way way, results chan<- served) {
	result := served{what: way.name + ", form"}
	defer func() { results <- result }()
	body, form := io.Pipe()
	go func() {
		_, _ = io.WriteString(form, "x=y&")
		<-o.goOn
		_, _ = io.WriteString(form, "jwt=opaque")
		_ = form.Close()
	}()
	r, err := http.NewRequestWithContext(o.t.Context(), http.MethodPost, way.url, body)
	if err != nil {
		result.err = err
		return
	}
	r.Header.Set("Content-Type", formType)
	r.Header.Set("X-Turnstile", "yes")
	result.of(way.client.Do(r))
}

// A request may meet a gate of an old configuration when it has long been under way: in a route, in an error route, and
// after the answer of a backend.
func TestReloadServesAtALaterGate(t *testing.T) {
	o := startOnTheWay(t)
	o.as.Introspect(always(active()))
	bearer := gateForAudience(issuerBlock(o.as.URL, "introspect opaque {", "client_id gateway", "client_secret s3cr3t",
		"}"),
		issuerBlock(lateFileIssuer, "keys file "+o.files[0]))
	for name, config := range map[string]string{
		"in a route": "route {\n\tgate_turnstile\n\t" + bearer + "\n\t}",
		"in an error route": "route {\n\tgate_turnstile\n\terror 500\n\t}\n\thandle_errors {\n\t" + bearer +
			"\n\trespond ok 200\n\t}",
		"after a backend": "route {\n\treverse_proxy " + o.upstream.addr() +
			" {\n\t@any status 200\n\thandle_response @any {\n\troute {\n" +
			"\tgate_turnstile\n\t" + bearer + "\n\trespond ok 200\n\t}\n\t}\n\t}\n\t}",
	} {
		t.Run(name, func(t *testing.T) {
			s := *o
			s.site = o.in(t)
			s.load(config)
			s.arrived, s.goOn = make(chan struct{}, 9), make(chan struct{})
			wait := func(*http.Request) { s.wait() }
			atTurnstile.Store(&wait)
			results := make(chan served)
			for _, token := range o.tokens() {
				go o.send(way{"HTTP/1.1", "http://gate.test/", s.client}, token, results)
				s.hasArrived(results)
			}
			s.load(gateFor(consumerAlice(t)))
			close(s.goOn)
			for range o.tokens() {
				if got := <-results; got.err != nil || got.status != http.StatusOK {
					t.Errorf("%s: status %d, %v", got.what, got.status, got.err)
				}
			}
		})
	}
}

// A connection is accepted before the reload, and the header of its request ends after it. net/http cuts such a
// connection, so that the client tries again. If the request were served, keys that work would have to judge it.
func TestReloadNeverRefusesAHeaderThatEndsLate(t *testing.T) {
	o := startOnTheWay(t)
	o.as.Introspect(always(active()))
	for _, token := range o.tokens() {
		o.load(o.config(0))
		conn, err := o.dial(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(deadline())
		_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: gate.test\r\n")
		o.load(o.config(1))
		_, _ = io.WriteString(conn, "Authorization: Bearer "+token+"\r\n\r\n")
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			continue
		}
		_ = response.Body.Close()
		if response.StatusCode != http.StatusOK {
			t.Errorf("%.6s: status %d by configuration %s", token, response.StatusCode, response.Header.Get("X-Config"))
		}
	}
}
