package bearer_test

import (
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/bearer"
)

// asProxied is the name of the field as reverse_proxy writes it. A variable, since it is not in canonical form.
var asProxied = "Sec-WebSocket-Protocol"

const (
	kubernetes = "base64url.bearer.authorization.k8s.io."
	wsToken    = "eyJh.bGci-._~.T2lK"
)

var wsTokenAsKubernetes = kubernetes + base64.RawURLEncoding.EncodeToString([]byte(wsToken))

// websocket makes an extractor with these markers, and perhaps Authorization.
func websocket(tb testing.TB, markers ...string) *bearer.Extractor {
	tb.Helper()
	places := []bearer.Place{bearer.DefaultPlace}
	for _, marker := range markers {
		places = append(places, bearer.Place{Kind: bearer.Subprotocol, Name: marker})
	}
	e, err := bearer.NewExtractor(bearer.Options{Places: places, MaxToken: 200})
	if err != nil {
		tb.Fatal(err)
	}
	return e
}

// handshake opens a WebSocket and offers these lines of subprotocols.
func handshake(lines ...string) *http.Request {
	r := httptest.NewRequest("GET", "/ws", nil)
	r.Header = http.Header{"Connection": {"keep-alive, Upgrade"}, "Upgrade": {"websocket"}}
	if lines != nil {
		r.Header["Sec-Websocket-Protocol"] = lines
	}
	return r
}

func TestTokenAmongSubprotocols(t *testing.T) {
	e := websocket(t, "bearer", kubernetes)
	for name, c := range map[string]struct {
		lines []string
		token string // empty: there is none
		bad   string // a part of the error
		left  []string
	}{
		"the marker and the token": {[]string{"bearer, " + wsToken}, wsToken, "", nil},
		"without a blank":          {[]string{"bearer," + wsToken}, wsToken, "", nil},
		"before another":           {[]string{"bearer, " + wsToken + ", chat"}, wsToken, "", []string{"chat"}},
		"between others": {[]string{"v2.chat,\tbearer, " + wsToken + ", chat,x"}, wsToken, "",
			[]string{"v2.chat, chat, x"}},
		"as Kubernetes has it": {[]string{wsTokenAsKubernetes + ", v5.channel.k8s.io"}, wsToken, "",
			[]string{"v5.channel.k8s.io"}},
		"as Kubernetes, at the end": {[]string{"v5.channel.k8s.io, " + wsTokenAsKubernetes}, wsToken, "",
			[]string{"v5.channel.k8s.io"}},
		"no marker":             {[]string{"chat, superchat"}, "", "", []string{"chat, superchat"}},
		"no marker, two fields": {[]string{"chat", "superchat"}, "", "", []string{"chat", "superchat"}},
		"a token alone":         {[]string{wsToken}, "", "", []string{wsToken}},
		"no field":              {nil, "", "", nil},
		"another marker":        {[]string{"bearer2, " + wsToken}, "", "", []string{"bearer2, " + wsToken}},
		"a beginning of the prefix": {[]string{"base64url.bearer.authorization.k8s.io, x"}, "", "",
			[]string{"base64url.bearer.authorization.k8s.io, x"}},
		"the marker without a token": {[]string{"chat, bearer"}, "", "no token behind it", []string{"chat"}},
		"the marker alone":           {[]string{"bearer"}, "", "no token behind it", nil},
		"the prefix without a token": {[]string{kubernetes + ", chat"}, "", "no token behind it",
			[]string{"chat"}},
		"the marker twice":      {[]string{"bearer, a, bearer, a"}, "", "more than one value", nil},
		"the marker as a token": {[]string{"bearer, bearer, " + wsToken}, "", "more than one value", nil},
		"both markers": {[]string{"bearer, " + wsToken + ", " + wsTokenAsKubernetes}, "",
			"more than one", nil},
		"one marker as the other's token": {[]string{"bearer, " + wsTokenAsKubernetes + ", x"}, "",
			"in more than one place", []string{"x"}},
		"the marker as a token, in another case": {[]string{"bearer, Bearer, " + wsToken}, "", "more than one value", nil},
		"the token before its marker": {[]string{wsToken + ", chat, bearer, " + wsToken}, "", "more than one value",
			[]string{"chat"}},
		"the token behind itself":        {[]string{"bearer, " + wsToken + ", " + wsToken}, "", "more than one value", nil},
		"the token beside its base64url": {[]string{wsToken + ", " + wsTokenAsKubernetes}, "", "more than one value", nil},
		"two tokens as Kubernetes": {[]string{wsTokenAsKubernetes + "," + wsTokenAsKubernetes}, "",
			"more than one value", nil},
		"another case of the marker":     {[]string{"Bearer, " + wsToken}, "", "letter case", nil},
		"another case of the prefix":     {[]string{strings.ToUpper(kubernetes) + "YQ"}, "", "letter case", nil},
		"two fields":                     {[]string{"bearer", wsToken}, "", "more than once", nil},
		"a field of the same kind":       {[]string{"chat", "bearer, " + wsToken}, "", "more than once", []string{"chat"}},
		"an empty name before the token": {[]string{"bearer,, " + wsToken}, "", "different ways", nil},
		"an empty name elsewhere":        {[]string{"chat,"}, "", "different ways", nil},
		"an empty field":                 {[]string{""}, "", "different ways", nil},
		"64 names": {[]string{"bearer, " + wsToken + strings.Repeat(",x", 62)}, wsToken, "",
			[]string{"x" + strings.Repeat(", x", 61)}},
		"65 names": {[]string{"bearer, " + wsToken + strings.Repeat(",x", 63)}, "", "more than 64",
			nil},
		"quotes":                        {[]string{`"bearer, ` + wsToken + `"`}, "", "different ways", nil},
		"a blank for the comma":         {[]string{"bearer " + wsToken}, "", "different ways", nil},
		"a semicolon for the comma":     {[]string{"bearer; " + wsToken}, "", "different ways", nil},
		"a parameter":                   {[]string{"bearer, " + wsToken + ";x=1"}, "", "different ways", nil},
		"a character that is not ASCII": {[]string{"bearer, \u212a"}, "", "different ways", nil},
		"padding":                       {[]string{"bearer, abc="}, "", "different ways", nil},
		"base64url with padding":        {[]string{kubernetes + "YQ=="}, "", "different ways", nil},
		"base64 with a plus":            {[]string{kubernetes + "YW+v"}, "", "not base64url", nil},
		"base64url with odd last bits":  {[]string{kubernetes + "YR"}, "", "not base64url", nil},
		"base64url of a line end":       {[]string{kubernetes + "YQo"}, "", "alphabet", nil},
		"base64url of a list":           {[]string{kubernetes + "YSxi"}, "", "alphabet", nil},
		"a character outside of tokens": {[]string{"bearer, a!b"}, "", "alphabet", nil},
		"a token that is too long":      {[]string{"bearer, " + strings.Repeat("a", 201)}, "", "too long", nil},
		"a long one as Kubernetes has it": {[]string{kubernetes +
			base64.RawURLEncoding.EncodeToString([]byte(strings.Repeat("a", 201)))}, "", "too long", nil},
	} {
		t.Run(name, func(t *testing.T) {
			r := handshake(c.lines...)
			got, err := e.Extract(r)
			switch {
			case c.bad != "":
				if !errors.Is(err, bearer.ErrMalformed) || !strings.Contains(err.Error(), c.bad) {
					t.Errorf("error %v, want %q", err, c.bad)
				}
				if err != nil && (strings.Contains(err.Error(), "eyJh") || strings.Contains(err.Error(), "T2lK")) {
					t.Errorf("a part of the token is in the error: %v", err)
				}
			case c.token == "":
				if !errors.Is(err, bearer.ErrMissing) {
					t.Errorf("error %v, want %v", err, bearer.ErrMissing)
				}
			case err != nil:
				t.Error(err)
			case got.Token != c.token || got.Kind != bearer.Subprotocol:
				t.Errorf("got %q from %v", got.Token, got.Kind)
			}
			e.Remove(r)
			if left := r.Header["Sec-Websocket-Protocol"]; !slices.Equal(left, c.left) {
				t.Errorf("left %q, want %q", left, c.left)
			}
			if r.Header.Get("Upgrade") != "websocket" {
				t.Error("the handshake is gone")
			}
		})
	}
}

// A token is looked for only where a WebSocket is opened. Elsewhere a marker is a mistake, and is removed all the same.
func TestTokenAmongSubprotocolsOfNoWebSocket(t *testing.T) {
	e := websocket(t, "bearer")
	for name, c := range map[string]struct {
		change func(r *http.Request)
		opens  bool
	}{
		"GET with Upgrade":       {func(*http.Request) {}, true},
		"in another letter case": {func(r *http.Request) { r.Header["Upgrade"] = []string{"WebSocket"} }, true},
		"CONNECT in HTTP/2": {func(r *http.Request) {
			r.Method, r.ProtoMajor = "CONNECT", 2
			r.Header = http.Header{":protocol": {"websocket"}, "Sec-Websocket-Protocol": r.Header["Sec-Websocket-Protocol"]}
		}, true},
		"CONNECT in HTTP/3": {func(r *http.Request) { r.Method, r.ProtoMajor, r.Proto = "CONNECT", 3, "websocket" }, true},
		"no Upgrade":        {func(r *http.Request) { delete(r.Header, "Upgrade") }, false},
		"no Connection":     {func(r *http.Request) { delete(r.Header, "Connection") }, false},
		"another Connection": {func(r *http.Request) {
			r.Header["Connection"] = []string{"close, Upgrades"}
		}, false},
		"another protocol":     {func(r *http.Request) { r.Header["Upgrade"] = []string{"h2c"} }, false},
		"one of two protocols": {func(r *http.Request) { r.Header["Upgrade"] = []string{"h2c, websocket"} }, false},
		"two fields": {func(r *http.Request) { r.Header["Upgrade"] = []string{"websocket", "websocket"} },
			false},
		"POST":               {func(r *http.Request) { r.Method = "POST" }, false},
		"GET in HTTP/2":      {func(r *http.Request) { r.ProtoMajor = 2 }, false},
		"a tunnel of HTTP/2": {func(r *http.Request) { r.Method, r.ProtoMajor = "CONNECT", 2 }, false},
		"a tunnel of HTTP/3": {func(r *http.Request) { r.Method, r.ProtoMajor, r.Proto = "CONNECT", 3, "HTTP/3.0" },
			false},
		"another one of HTTP/3": {func(r *http.Request) {
			r.Method, r.ProtoMajor, r.Proto = "CONNECT", 3,
				"connect-udp"
		}, false},
		"CONNECT in HTTP/1.1":    {func(r *http.Request) { r.Method = "CONNECT" }, false},
		"the field as a trailer": {func(r *http.Request) { r.Trailer = http.Header{"Sec-Websocket-Protocol": nil} }, false},
		"another spelling": {func(r *http.Request) {
			r.Header["Sec_websocket_protocol"] = []string{"bearer, " + wsToken}
		}, false},
	} {
		r := handshake("bearer, " + wsToken)
		c.change(r)
		got, err := e.Extract(r)
		if c.opens && (err != nil || got.Token != wsToken) || !c.opens && !errors.Is(err, bearer.ErrMalformed) {
			t.Errorf("%s: %q, %v", name, got.Token, err)
		}
		e.Remove(r)
		if r.Header["Sec-Websocket-Protocol"] != nil || r.Header["Sec_websocket_protocol"] != nil {
			t.Errorf("%s: left %v", name, r.Header)
		}
	}
	r := handshake("bearer, " + wsToken)
	r.Header["Authorization"] = []string{"Bearer x"}
	if _, err := e.Extract(r); !errors.Is(err, bearer.ErrMalformed) {
		t.Errorf("a second token in Authorization: %v", err)
	}
	if e.InHeader(http.Header{"Accept": {"x"}}) || !e.InHeader(r.Header) {
		t.Error("InHeader does not know the field")
	}
	if !e.Needs("sec_websocket_protocol") || e.Needs("Sec-WebSocket-Key") {
		t.Error("Needs does not know the field")
	}
}

// A browser fails the WebSocket unless the answer has one of the subprotocols that it offered.
func TestAnswerToSubprotocols(t *testing.T) {
	both := bearer.SubprotocolsOf(websocket(t, "bearer", kubernetes).Places())
	connect := func(r *http.Request) *http.Request {
		r.Method, r.ProtoMajor = "CONNECT", 2
		r.Header[":protocol"] = []string{"websocket"}
		return r
	}
	for name, c := range map[string]struct {
		request *http.Request
		status  int
		chosen  []string // by the backend
		want    []string
	}{
		"the backend chooses none":     {handshake("bearer, " + wsToken), 101, nil, []string{"bearer"}},
		"none although there are some": {handshake("chat, bearer, " + wsToken), 101, nil, []string{"bearer"}},
		"the backend chooses one":      {handshake("chat, bearer, " + wsToken), 101, []string{"chat"}, []string{"chat"}},
		"one that nobody offered":      {handshake("chat, bearer, " + wsToken), 101, []string{"other"}, []string{"other"}},
		"the token":                    {handshake("bearer, " + wsToken), 101, []string{wsToken}, []string{"bearer"}},
		"the token in a list": {handshake("bearer, " + wsToken), 101, []string{"chat, " + wsToken},
			[]string{"bearer"}},
		"the marker":                  {handshake("bearer, " + wsToken), 101, []string{"bearer"}, []string{"bearer"}},
		"no WebSocket":                {handshake("bearer, " + wsToken), 200, nil, nil},
		"no WebSocket, and the token": {handshake("bearer, " + wsToken), 400, []string{wsToken}, nil},
		"a bad marker":                {handshake("bearer"), 101, nil, []string{"bearer"}},
		"as Kubernetes has it": {handshake(wsTokenAsKubernetes + ", chat"), 101, []string{"chat"},
			[]string{"chat"}},
		"as Kubernetes, and none":      {handshake(wsTokenAsKubernetes + ", chat"), 101, nil, nil},
		"as Kubernetes, and the token": {handshake(wsTokenAsKubernetes), 101, []string{wsTokenAsKubernetes}, nil},
		"HTTP/2":                       {connect(handshake("bearer, " + wsToken)), 200, nil, []string{"bearer"}},
		"HTTP/2, refused":              {connect(handshake("bearer, " + wsToken)), 404, nil, nil},
	} {
		offer := both.Offer(c.request)
		if offer == nil {
			t.Errorf("%s: no offer", name)
			continue
		}
		for _, field := range []string{"Sec-Websocket-Protocol", "Sec-WebSocket-Protocol"} {
			h := http.Header{"Upgrade": {"websocket"}}
			if c.chosen != nil {
				h[field] = c.chosen
			}
			offer.Answer(c.status, h)
			got := append(slices.Clone(h[asProxied]), h["Sec-Websocket-Protocol"]...)
			if !slices.Equal(got, c.want) || h.Get("Upgrade") != "websocket" {
				t.Errorf("%s: got %q, want %q", name, got, c.want)
			}
		}
	}
	noUpgrade := handshake("bearer, " + wsToken)
	delete(noUpgrade.Header, "Upgrade")
	for name, r := range map[string]*http.Request{
		"no field": handshake(), "no marker": handshake("chat, superchat"), "no WebSocket": noUpgrade,
		"a field that is read in different ways": handshake("bearer,,"),
	} {
		if both.Offer(r) != nil {
			t.Errorf("%s: an offer", name)
		}
	}
	if none := bearer.SubprotocolsOf([]bearer.Place{bearer.DefaultPlace}); none != nil ||
		none.Offer(handshake("bearer, x")) != nil {
		t.Error("an offer without a place")
	}
}

func TestMarkerMistakes(t *testing.T) {
	for name, c := range map[string]struct {
		markers []string
		want    string
	}{
		"none":                      {[]string{""}, "a name is needed"},
		"two words":                 {[]string{"bearer token"}, "cannot be a subprotocol"},
		"a list":                    {[]string{"a,b"}, "cannot be a subprotocol"},
		"a dot":                     {[]string{"."}, "cannot be a subprotocol"},
		"twice":                     {[]string{"bearer", "bearer"}, "is given twice"},
		"twice, in another case":    {[]string{"bearer", "Bearer"}, "is given twice"},
		"a prefix of another":       {[]string{"a.", "a.b."}, "begins with the other"},
		"a prefix of another, last": {[]string{"a.b", "a."}, "begins with the other"},
	} {
		var places []bearer.Place
		for _, marker := range c.markers {
			places = append(places, bearer.Place{Kind: bearer.Subprotocol, Name: marker})
		}
		if _, err := bearer.NewExtractor(bearer.Options{Places: places}); err == nil || !strings.Contains(err.Error(),
			c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	for _, markers := range [][]string{{"bearer", "bearer."}, {"bearer", "bearer2"}, {"a.b.", "a.c."}, {kubernetes,
		"bearer"}} {
		websocket(t, markers...)
	}
	place := bearer.Place{Kind: bearer.Subprotocol, Name: "bearer", Scheme: "x"}
	if _, err := bearer.NewExtractor(bearer.Options{Places: []bearer.Place{place}}); err == nil {
		t.Error("a scheme is accepted")
	}
	place.Scheme = ""
	if got := place.String(); got != "websocket_protocol bearer" {
		t.Error(got)
	}
}

// Whatever a client offers: no more than one token is found, and nothing of it is left.
func FuzzSubprotocols(f *testing.F) {
	for _, seed := range []string{
		"bearer, " + wsToken, wsTokenAsKubernetes + ", chat", "chat, bearer", "bearer,bearer,x", "Bearer, x", `"bearer, x"`,
		"bearer,\nx", "bearer\n, x", "a\nb", kubernetes, "bearer, " + kubernetes + "YQ",
	} {
		f.Add(seed)
	}
	e := websocket(f, "bearer", kubernetes)
	markers := bearer.SubprotocolsOf(e.Places())
	f.Fuzz(func(t *testing.T, text string) {
		r := handshake(strings.Split(text, "\n")...)
		before := strings.Join(r.Header["Sec-Websocket-Protocol"], ",")
		offer := markers.Offer(r)
		got, err := e.Extract(r)
		if err == nil && offer == nil {
			t.Fatalf("%q has a token, and is no offer", text)
		}
		e.Remove(r)
		after := strings.Join(r.Header["Sec-Websocket-Protocol"], ",")
		if err == nil && slices.Contains(strings.Split(strings.ReplaceAll(after, " ", ""), ","), got.Token) {
			t.Fatalf("%q: the token is left in %q", text, after)
		}
		if again, err := e.Extract(r); !errors.Is(err, bearer.ErrMissing) {
			t.Fatalf("%q became %q, in which there is %q, %v", text, after, again.Token, err)
		}
		if errors.Is(err, bearer.ErrMissing) && before != after {
			t.Fatalf("%q has no token, and became %q", text, after)
		}
		if offer != nil {
			h := http.Header{"Sec-Websocket-Protocol": {got.Token}}
			offer.Answer(101, h)
			if chosen := h.Get("Sec-Websocket-Protocol"); got.Token != "" && chosen == got.Token {
				t.Fatalf("%q: the answer repeats the token", text)
			}
		}
	})
}
