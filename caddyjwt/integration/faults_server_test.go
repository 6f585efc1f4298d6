package integration

import (
	"io"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// faultyServer is an authorization server with keys and introspection, and a site whose gate needs both.
type faultyServer struct {
	*site
	as  *tokentest.AS
	key *tokentest.Key
}

// Opaque tokens by how they begin: what the server says about them.
const (
	liveToken    = "opaque-live-"
	revokedToken = "opaque-revoked-"
)

// startFaulty starts both, with the time that the gate waits for an introspection.
func startFaulty(t *testing.T, timeout time.Duration) *faultyServer {
	f := &faultyServer{key: tokentest.NewKey(t, "ES256", "fault")}
	f.as = introspector(t, tokentest.WithKeys(f.key))
	f.honest()
	f.site = start(t, gateForAudience(introspecting(f.as, "opaque", "timeout "+timeout.String(), "cache_ttl 5m")))
	return f
}

// honest makes the server say of each token what it is.
func (f *faultyServer) honest() {
	f.as.HandleJWKS(nil)
	f.as.HandleMetadata(nil)
	f.as.Introspect(verdict)
}

func verdict(r *tokentest.IntrospectionRequest) tokentest.IntrospectionAnswer {
	if strings.HasPrefix(r.Token, liveToken) {
		return active()
	}
	return tokentest.IntrospectionAnswer{}
}

// visitors are clients with JWTs and with opaque tokens. unasked are the answers when the server had to be asked about
// an opaque token and could not.
func (f *faultyServer) visitors(absent []int, unasked ...int) []visitor {
	var serial atomic.Int64
	numbered := func(prefix string) func() string {
		return func() string { return prefix + strconv.FormatInt(serial.Add(1), 10) }
	}
	return append(jwts(f.t, f.key, f.as.URL, absent...),
		visitor{"opaque, remembered", func() string { return liveToken + "0" }, []int{200}},
		visitor{"opaque, new", numbered(liveToken), append([]int{200}, unasked...)},
		visitor{"opaque, revoked", numbered(revokedToken), append([]int{401}, unasked...)},
	)
}

// fault is that of site, with the connections between Caddy and the server closed whenever goroutines are counted. The
// fault begins before the crowd comes: the first unknown key id is what makes the gate ask for keys.
func (f *faultyServer) fault(visitors []visitor, begin func(), during func(c *crowd)) *crowd {
	f.t.Helper()
	f.atRest(visitors)
	f.as.Down()
	before := f.goroutines()
	f.as.Up()
	begin()
	c := f.gather(visitors)
	during(c)
	c.last(100 * time.Millisecond)
	c.home()
	f.unharmed()
	f.as.Down()
	f.goroutinesBackTo(before, 10)
	return c
}

// undecided wants clients with an unknown key id to have got "keys unavailable": the gate has asked for the keys in
// vain.
func (c *crowd) undecided() {
	c.t.Helper()
	if c.got["unknown key"]["503"] == 0 {
		c.t.Errorf("unknown key: %v, and never 503: the fault was none for the keys", c.got["unknown key"])
	}
}

// The authorization server dies and comes back, three times. Tokens of known keys always pass, and so do remembered
// opaque tokens. For new opaque tokens the gate says that it cannot decide, until it can.
func TestFaultServerKilledAndBack(t *testing.T) {
	long(t)
	f := startFaulty(t, 30*time.Second)
	f.fault(f.visitors([]int{503}, 503), f.as.Down, func(c *crowd) {
		for range 3 {
			c.last(200 * time.Millisecond)
			f.as.Up()
			c.last(150 * time.Millisecond)
			f.as.Down()
		}
		f.as.Up()
	}).undecided()
}

// The server takes connections and questions and never answers. Nobody with a token of a known key has to wait for it.
func TestFaultServerPaused(t *testing.T) {
	long(t)
	f := startFaulty(t, 500*time.Millisecond)
	var release func()
	f.fault(f.visitors([]int{503}, 503, 504), func() { release = f.as.Stall() }, func(c *crowd) {
		defer release()
		c.last(2200 * time.Millisecond) // who waits for keys, does so for two seconds
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, name := range []string{"remembered", "new", "opaque, remembered"} {
			if n := c.got[name]["200"]; n < 8 { // two clients that wait would have got two or three each
				t.Errorf("%s: only %d passed in the time", name, n)
			}
		}
	}).undecided()
}

// The server is slow, and sends its keys in two pieces with a pause between them. That costs time and nothing else.
func TestFaultServerSlow(t *testing.T) {
	long(t)
	const pause = 150 * time.Millisecond
	f := startFaulty(t, 30*time.Second)
	begin := func() {
		f.as.Introspect(func(r *tokentest.IntrospectionRequest) tokentest.IntrospectionAnswer {
			<-time.After(pause)
			return verdict(r)
		})
		document := tokentest.JWKS(f.key)
		f.as.HandleJWKS(func(w http.ResponseWriter, _ *http.Request) {
			for _, piece := range []string{document[:len(document)/2], document[len(document)/2:]} {
				_, _ = io.WriteString(w, piece)
				_ = http.NewResponseController(w).Flush()
				<-time.After(pause)
			}
		})
	}
	fetches := f.as.JWKSFetches()
	f.fault(f.visitors(nil), begin, func(c *crowd) { c.last(time.Second); f.honest() })
	if f.as.JWKSFetches() == fetches {
		t.Error("the keys were not fetched: the fault was none for them")
	}
}

// The server answers everything with pages, empty objects, errors and truncated answers. The gate takes nothing of that
// as a key or as a yes, and never blames the client.
func TestFaultServerLying(t *testing.T) {
	long(t)
	f := startFaulty(t, 30*time.Second)
	lie := func(status int, kind, body string) func() {
		handler := func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}
		return func() {
			f.as.HandleJWKS(handler)
			f.as.HandleMetadata(handler)
			f.as.Introspect(always(tokentest.IntrospectionAnswer{Status: status, Body: body, ContentType: kind}))
		}
	}
	const yes = `{"active":true,"aud":"` + audience + `"`
	page := lie(200, "text/html", "<html><body>active: true</body></html>")
	f.fault(f.visitors([]int{503}, 502, 503), page, func(c *crowd) {
		c.last(250 * time.Millisecond)
		for _, change := range []func(){lie(200, "application/json", "{}"), lie(200, "application/json", yes),
			lie(500, "application/json", yes+"}")} {
			change()
			c.last(250 * time.Millisecond)
		}
		f.honest()
	}).undecided()
}

// The key file grows a piece at a time, stays half-written for a while, and is whole at last, with one more key. Good
// tokens stay good, and tokens of the new key pass from then on.
func TestFaultKeyFileHalfWritten(t *testing.T) {
	if testing.Short() {
		t.Skip("the file is looked at every two seconds")
	}
	const issuer = "https://file.example.com"
	old, added := tokentest.NewKey(t, "ES256", "fault-file-old"), tokentest.NewKey(t, "ES256", "fault-file-new")
	path := writeFile(t, filepath.Join(t.TempDir(), "jwks.json"), tokentest.JWKS(old))
	s := start(t, gateForAudience(issuerBlock(issuer, "keys file "+path)))
	s.fault(jwts(t, old, issuer), func(c *crowd) {
		token, whole := added.Sign(t, issuedBy(issuer)), tokentest.JWKS(old, added)
		for part := range 8 {
			writeFile(t, path, whole[:len(whole)*part/8])
			c.last(20 * time.Millisecond)
		}
		eventually(t, "the half-written file is noticed", func() bool {
			return s.logged("refreshing keys is failing", path)
		})
		if status, err := s.status(token); err != nil || status != http.StatusUnauthorized {
			t.Errorf("a token of the half-written key: status %d, %v", status, err)
		}
		writeFile(t, path, whole)
		eventually(t, "the new key is used", func() bool {
			status, err := s.status(token, markField, "good: added")
			return err == nil && status == http.StatusOK
		})
		if n := strings.Count(s.log(), "refreshing keys is failing"); n != 1 {
			t.Errorf("the log says %d times that refreshing keys is failing", n)
		}
	})
}

// The backend closes connections instead of answering. The proxy answers 502 to those whom the gate has let through.
// The gate goes on telling good tokens from bad ones, and remembers nothing of the trouble.
func TestFaultBackendClosesConnections(t *testing.T) {
	long(t)
	const issuer = "https://backend.example.com"
	key := tokentest.NewKey(t, "ES256", "fault-backend").WithKID("")
	s := start(t, gateForAudience(issuerBlock(issuer, "keys pem `"+key.PublicPEM()+"`")))
	var closing atomic.Bool
	s.upstream.answer = func(w http.ResponseWriter, _ *http.Request) {
		if closing.Load() {
			panic(http.ErrAbortHandler)
		}
		_, _ = io.WriteString(w, "ok")
	}
	visitors := jwts(t, key, issuer)
	for i := range visitors {
		if visitors[i].good() {
			visitors[i].may = append(visitors[i].may, http.StatusBadGateway)
		}
	}
	// Without a key id no key is unknown: the signature is just a bad one.
	visitors[len(visitors)-1].may = []int{200, 502}
	s.fault(visitors, func(c *crowd) {
		for range 3 {
			closing.Store(true)
			c.last(200 * time.Millisecond)
			a := s.get("/", visitors[1].token(), markField, "good: looked at")
			if a.StatusCode != http.StatusBadGateway || a.Header.Get("WWW-Authenticate") != "" {
				t.Errorf("status %d, challenge %q", a.StatusCode, a.Header.Get("WWW-Authenticate"))
			}
			closing.Store(false)
			c.last(150 * time.Millisecond)
		}
	})
	for _, v := range visitors {
		if v.good() {
			s.accepts(v.token())
		}
	}
}
