package integration

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// logSays is an event as a Caddy event handler got it, and the name of that handler.
type told struct {
	by, name, origin string
	data             map[string]any
}

// events is where all eventRecorders write to.
var events = make(chan told, 1024)

// eventRecorder is an event handler: events.handlers.gate_recorder <name>.
type eventRecorder struct {
	Name string `json:"name"`
}

func init() { caddy.RegisterModule(eventRecorder{}) }

func (eventRecorder) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "events.handlers.gate_recorder", New: func() caddy.Module { return new(eventRecorder) }}
}

func (r *eventRecorder) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	if !d.Args(&r.Name) {
		return d.ArgErr()
	}
	return nil
}

func (r *eventRecorder) Handle(_ context.Context, e caddy.Event) error {
	origin := ""
	if e.Origin() != nil {
		origin = string(e.Origin().CaddyModule().ID)
	}
	select {
	case events <- told{r.Name, e.Name(), origin, e.Data}:
	default:
	}
	return nil
}

// eventReaction is what the event handler events.handlers.gate_reaction does, before it returns.
var eventReaction atomic.Pointer[func()]

type eventReactor struct{}

func init() { caddy.RegisterModule(eventReactor{}) }

func (eventReactor) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "events.handlers.gate_reaction", New: func() caddy.Module { return new(eventReactor) }}
}

func (*eventReactor) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	return nil
}

func (*eventReactor) Handle(context.Context, caddy.Event) error {
	if react := eventReaction.Swap(nil); react != nil {
		(*react)()
	}
	return nil
}

// lateApp is an app that subscribes to events while its configuration loads, and the http app is there already:
// gate_late.
type lateApp struct{}

// late is what lateApps do.
var late func(app *caddyevents.App) error

func init() { caddy.RegisterModule(lateApp{}) }

func (lateApp) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "gate_late", New: func() caddy.Module { return new(lateApp) }}
}

func (*lateApp) Start() error { return nil }
func (*lateApp) Stop() error  { return nil }

func (*lateApp) Provision(ctx caddy.Context) error {
	if _, err := ctx.App("http"); err != nil {
		return err
	}
	app, err := ctx.App("events")
	if err != nil {
		return err
	}
	return late(app.(*caddyevents.App))
}

// withEvents is the site's Caddyfile with a recorder for the gate's events.
func (s *site) withEvents(recorder, gate string) string {
	var lines []string
	for _, name := range []string{"ready", "changed", "failing", "recovered"} {
		lines = append(lines, "on bearer_auth_keys_"+name+" gate_recorder "+recorder)
	}
	return strings.Replace(s.caddyfile(gate), "admin off",
		"admin off\n\tevents {\n\t\t"+strings.Join(lines, "\n\t\t")+"\n\t}", 1)
}

// loadWithEvents makes Caddy run with this gate and a recorder.
func (s *site) loadWithEvents(recorder, gate string) {
	s.t.Helper()
	for len(events) > 0 {
		<-events
	}
	if err := s.tryLoad(s.withEvents(recorder, gate)); err != nil {
		s.t.Fatal(err)
	}
}

// next wants this event to be the next one.
func nextEvent(t *testing.T, by, name string) map[string]any {
	t.Helper()
	select {
	case e := <-events:
		if e.by != by || e.name != name || e.origin != "http.handlers.bearer_auth" {
			t.Fatalf("event %+v, want %s told by %q", e, name, by)
		}
		return e.data
	case <-time.After(10 * time.Second):
		t.Fatalf("no event; want %s told by %q", name, by)
		return nil
	}
}

func noEvent(t *testing.T) {
	t.Helper()
	select {
	case e := <-events:
		t.Errorf("unexpected event %+v", e)
	default:
	}
}

// wantData wants members of an event's data, compared as text.
func wantData(t *testing.T, data map[string]any, pairs ...string) {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		if got := fmt.Sprint(data[pairs[i]]); got != pairs[i+1] {
			t.Errorf("%s is %s, want %s", pairs[i], got, pairs[i+1])
		}
	}
}

// The event handlers of the running configuration hear once about each change of an issuer's keys.
func TestEventsReportWhatHappensToKeys(t *testing.T) {
	first, second, third := tokentest.NewKey(t, "ES256", "first"), tokentest.NewKey(t, "ES256", "second"),
		tokentest.NewKey(t, "ES256", "third")
	as := tokentest.NewAS(t, tokentest.WithKeys(first))
	s := prepare(t)
	s.loadWithEvents("a", gateForAudience(issuerBlock(as.URL, "leeway 5s")))
	noEvent(t) // nothing is fetched before it is needed

	s.accepts(first.Sign(t, issuedBy(as.URL)))
	wantData(t, nextEvent(t, "a", "bearer_auth_keys_ready"),
		"issuer", as.URL, "source", as.URL, "keys", "1", "added", "[first]", "removed", "[]")

	as.SetKeys(second)
	s.accepts(second.Sign(t, issuedBy(as.URL)))
	wantData(t, nextEvent(t, "a", "bearer_auth_keys_changed"), "issuer", as.URL, "keys", "1", "added", "[second]",
		"removed", "[first]")

	as.Down()
	unknown := third.Sign(t, issuedBy(as.URL))
	s.refused(s.get("/", unknown), http.StatusServiceUnavailable, "keys_unavailable")
	data := nextEvent(t, "a", "bearer_auth_keys_failing")
	wantData(t, data, "issuer", as.URL, "keys", "1")
	if text, _ := data["error"].(string); text == "" {
		t.Errorf("error %v", data["error"])
	}

	as.SetKeys(second, third)
	as.Up()
	wantData(t, nextEvent(t, "a", "bearer_auth_keys_recovered"), "issuer", as.URL, "keys", "2")
	wantData(t, nextEvent(t, "a", "bearer_auth_keys_changed"), "added", "[third]", "removed", "[]")
	s.accepts(unknown)
	noEvent(t)

	for _, message := range []string{"keys are ready", "keys have changed", "refreshing keys is failing",
		"refreshing keys works again"} {
		if !s.logged(message, as.URL, "http.handlers.bearer_auth.keys") {
			t.Errorf("%q is not in the log", message)
		}
	}
}

// After a reload, events go to the handlers of the new configuration, and no more to those of the old one.
func TestEventsGoToTheNewConfiguration(t *testing.T) {
	first, second := tokentest.NewKey(t, "ES256", "first"), tokentest.NewKey(t, "ES256", "second")
	as := tokentest.NewAS(t, tokentest.WithKeys(first))
	s := prepare(t)
	gate := gateForAudience(issuerBlock(as.URL, "leeway 5s"))
	s.loadWithEvents("old", gate)
	s.accepts(first.Sign(t, issuedBy(as.URL)))
	nextEvent(t, "old", "bearer_auth_keys_ready")
	s.loadWithEvents("new", gate)

	as.SetKeys(second)
	s.accepts(second.Sign(t, issuedBy(as.URL)))

	nextEvent(t, "new", "bearer_auth_keys_changed")
	noEvent(t)
}

// A handler may load another configuration, as "caddy reload" does, and wait for it. That works even when the reload
// ends the key source of the event.
func TestEventHandlersMayReload(t *testing.T) {
	first, second := tokentest.NewKey(t, "ES256", "first"), tokentest.NewKey(t, "ES256", "second")
	as, other := tokentest.NewAS(t, tokentest.WithKeys(first)), tokentest.NewAS(t, tokentest.WithKeys(second))
	s := prepare(t)
	loaded := make(chan error, 1)
	react := func() { loaded <- s.tryLoad(s.caddyfile(gateForAudience(issuerBlock(other.URL)))) }
	eventReaction.Store(&react)
	before := strings.Replace(s.caddyfile(gateForAudience(issuerBlock(as.URL))),
		"admin off", "admin off\n\tevents {\n\t\ton bearer_auth_keys_ready gate_reaction\n\t}", 1)
	if err := s.tryLoad(before); err != nil {
		t.Fatal(err)
	}
	_, _ = s.status(first.Sign(t, issuedBy(as.URL))) // it passes, or meets the new configuration
	select {
	case err := <-loaded:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the reload waits for the handler, and the handler for the reload")
	}
	s.inForce()
	s.drain()
	s.accepts(second.Sign(t, issuedBy(other.URL)))
}

// A configuration that fails to load changes nothing: events still go to the handlers of the running one.
func TestEventsStayWhenAReloadFails(t *testing.T) {
	first, second := tokentest.NewKey(t, "ES256", "first"), tokentest.NewKey(t, "ES256", "second")
	as := tokentest.NewAS(t, tokentest.WithKeys(first))
	s := prepare(t)
	gate := gateForAudience(issuerBlock(as.URL, "leeway 5s"))
	s.loadWithEvents("running", gate)
	s.accepts(first.Sign(t, issuedBy(as.URL)))
	nextEvent(t, "running", "bearer_auth_keys_ready")
	if err := s.tryLoad(s.withEvents("broken", gate) + deadSite); err == nil {
		t.Fatal("a site that cannot listen was loaded")
	}

	as.SetKeys(second)
	s.accepts(second.Sign(t, issuedBy(as.URL)))

	nextEvent(t, "running", "bearer_auth_keys_changed")
	noEvent(t)
}

// An app may subscribe to events while its configuration loads. Events go only to the configuration in force. Reading a
// map while somebody writes to it would end the whole process.
func TestEventsLeaveALoadingConfigurationAlone(t *testing.T) {
	keys := []*tokentest.Key{tokentest.NewKey(t, "ES256", "k0"), tokentest.NewKey(t, "ES256", "k1")}
	as := tokentest.NewAS(t, tokentest.WithKeys(keys[0]))
	s := prepare(t)
	gate := gateForAudience(issuerBlock(as.URL, "leeway 5s"))
	s.loadWithEvents("running", gate)
	s.accepts(keys[0].Sign(t, issuedBy(as.URL)))
	nextEvent(t, "running", "bearer_auth_keys_ready")

	late = func(app *caddyevents.App) error {
		as.SetKeys(keys[1])
		asked := make(chan struct{})
		go func() { defer close(asked); s.get("/", keys[1].Sign(t, issuedBy(as.URL))) }()
		for i := 0; len(events) == 0 && i < 1<<20; i++ {
			if err := app.On(fmt.Sprint("event ", i), new(eventRecorder)); err != nil {
				return err
			}
		}
		<-asked
		return nil
	}
	config, err := adapt(s.withEvents("loading", gate))
	if err != nil {
		t.Fatal(err)
	}
	config = []byte(strings.Replace(string(config), `"apps":{`, `"apps":{"gate_late":{},`, 1))
	if err := caddy.Load(config, true); err != nil {
		t.Fatal(err)
	}
	nextEvent(t, "running", "bearer_auth_keys_changed")
	noEvent(t)
}

// Two issuers share one key source. An event names both.
func TestEventsNameEveryIssuerOfASharedSource(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "shared")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	s := prepare(t)
	s.loadWithEvents("a", gateForAudience(
		issuerBlock("https://one.example.com", "keys jwks "+as.JWKSURL()),
		issuerBlock("https://two.example.com", "keys jwks "+as.JWKSURL())))
	s.accepts(key.Sign(t, issuedBy("https://one.example.com")))
	s.accepts(key.Sign(t, issuedBy("https://two.example.com")))
	if n := as.JWKSFetches(); n != 1 {
		t.Errorf("%d fetches of one key set", n)
	}
	issuers := map[any]bool{nextEvent(t, "a", "bearer_auth_keys_ready")["issuer"]: true}
	issuers[nextEvent(t, "a", "bearer_auth_keys_ready")["issuer"]] = true
	if len(issuers) != 2 {
		t.Errorf("told of %v", issuers)
	}
}

// A key file that is replaced, and one that becomes unusable.
func TestEventsOfAKeyFile(t *testing.T) {
	long(t)
	first, second := tokentest.NewKey(t, "ES256", "first"), tokentest.NewKey(t, "ES256", "second")
	path := writeFile(t, filepath.Join(t.TempDir(), "jwks.json"), tokentest.JWKS(first))
	s := prepare(t)
	s.loadWithEvents("a", gateForAudience(issuerBlock("https://file.example.com", "keys file "+path)))
	noEvent(t) // it is ready since the configuration has loaded
	writeFile(t, path, tokentest.JWKS(second))
	wantData(t, nextEvent(t, "a", "bearer_auth_keys_changed"), "added", "[second]", "removed", "[first]")
	writeFile(t, path, "{")
	nextEvent(t, "a", "bearer_auth_keys_failing")
	writeFile(t, path, tokentest.JWKS(second))
	nextEvent(t, "a", "bearer_auth_keys_recovered")
	noEvent(t)
}
