package integration

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/fcgi"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// hourToken is a token of alice that no test outlives.
func hourToken(t testing.TB) string { return hmacKey(t).Sign(t, claims()) }

// fastCGI is a FastCGI server with a handler. It gives its address.
func fastCGI(t testing.TB, handler http.HandlerFunc) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() { _ = fcgi.Serve(listener, handler) }()
	return listener.Addr().String()
}

// The chains of these tests: whatever stands around the gate and behind it, all at once.
const (
	encodeOutside = "route {\nintercept {\n@e status 5xx\nreplace_status @e 418\n}\nencode\ntracing\nGATE\nBACKEND\n}"
	encodeInside  = "route {\nGATE\ntracing\ntemplates {\nmime text/x-template\n}\nencode\n" +
		"intercept {\n@e status 5xx\nreplace_status @e 418\n}\nBACKEND\n}"
	copied = "GATE\nBACKEND {\n@ok status 200\nhandle_response @ok {\nheader X-Copied yes\ncopy_response\n}\n}"
)

func TestEndingAmongOtherHandlers(t *testing.T) {
	t.Setenv("OTEL_TRACES_EXPORTER", "none")
	s := prepare(t)
	for name, chain := range map[string]string{
		"encode outside": encodeOutside, "encode inside": encodeInside, "copy_response": copied,
	} {
		for what, row := range map[string]struct{ word, mediaType string }{
			"an event stream": {"end_at_expiry", "text/event-stream"},
			"a download":      {"end_at_expiry all", "text/html"},
		} {
			for _, coding := range []string{"identity", "gzip"} {
				t.Run(strings.Join([]string{name, what, coding}, ", "), func(t *testing.T) {
					s := s.in(t)
					s.behind(chain, consumerAlice(t), "leeway 0s", row.word, corsBlock())
					var gone chan struct{}
					s.upstream.answer, gone = streams(row.mediaType, strings.Repeat("data: 1\n\n", 100))
					way := way{url: s.base, client: &http.Client{Timeout: patience,
						Transport: withFields{http.Header{"Accept-Encoding": {coding}}, s.client.Transport}}}
					response, _, expires := s.open(way, http.MethodGet, "/")
					defer response.Body.Close()
					body, err := io.ReadAll(response.Body)
					notBefore(t, expires)
					if clean := err == nil; clean != (row.word == "end_at_expiry") {
						t.Errorf("%d bytes, %v", len(body), err)
					}
					arrives(t, "the backend learns it", gone)
					if coding == "gzip" && strings.HasPrefix(name, "encode") {
						if response.Header.Get("Content-Encoding") != "gzip" {
							t.Errorf("not compressed: %v", response.Header)
						}
						// The gate lets no encoder behind it finish, and none before it after a cut.
						want := io.ErrUnexpectedEOF
						if name == "encode outside" && row.word == "end_at_expiry" {
							want = nil
						}
						unzipped, err := gzip.NewReader(bytes.NewReader(body))
						if err != nil {
							t.Fatal(err)
						}
						if body, err = io.ReadAll(unzipped); !errors.Is(err, want) || len(body) != 900 {
							t.Errorf("unpacked %d bytes, %v; want 900, %v", len(body), err, want)
						}
					}
				})
			}
		}
	}
}

// A handler that keeps a whole response before it sends it has nothing to send when the token has expired.
func TestEndingOfKeptResponses(t *testing.T) {
	s := prepare(t)
	for name, handlers := range map[string]string{
		"templates": "templates", "intercept": "intercept {\nreplace_status 203\n}",
		"encode": "encode {\nminimum_length 1000000\n}",
	} {
		t.Run(name, func(t *testing.T) {
			s := s.in(t)
			s.behind("route {\nGATE\n"+handlers+"\nBACKEND\n}", consumerAlice(t), "leeway 0s", "end_at_expiry all", corsBlock())
			arrived := 0
			s.upstream.answer = func(w http.ResponseWriter, r *http.Request) {
				arrived++
				w.Header().Set("Content-Type", "text/html")
				w.Header().Set("Set-Cookie", "of=backend")
				if name == "encode" {
					<-r.Context().Done()
					return
				}
				_, _ = io.WriteString(w, "secret")
				_ = http.NewResponseController(w).Flush()
				<-r.Context().Done()
			}
			inTime(t, func(token string, expires time.Time) int {
				before := arrived
				a := s.get("/", token, "Origin", friend)
				if arrived == before {
					return http.StatusUnauthorized
				}
				notBefore(t, expires)
				if a.StatusCode != http.StatusUnauthorized || a.body != "" || a.Header.Get("Set-Cookie") != "" ||
					a.Header.Get("Content-Encoding") != "" {
					t.Errorf("status %d, fields %v, body %q", a.StatusCode, a.Header, a.body)
				}
				s.readable(a, friend, true)
				return http.StatusOK
			})
		})
	}
}

// PHP and other backends behind FastCGI: Caddy does not end a read from them when the request is over. So the end comes
// when they write again. Nothing of that reaches the client.
func TestEndingBehindFastCGI(t *testing.T) {
	for what, row := range map[string]struct{ word, mediaType string }{
		"an event stream": {"end_at_expiry", "text/event-stream"},
		"a download":      {"end_at_expiry all", "application/octet-stream"},
	} {
		for _, quiet := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, quiet %t", what, quiet), func(t *testing.T) {
				resume, gone := make(chan struct{}), make(chan struct{}, 8)
				address := fastCGI(t, func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Content-Type", row.mediaType)
					send := func(text string) error {
						_, err := io.WriteString(w, text)
						w.(http.Flusher).Flush()
						return err
					}
					err := send("first")
					if quiet {
						<-resume
					}
					for err == nil {
						err = send("later")
					}
					gone <- struct{}{}
				})
				dir := t.TempDir()
				if err := os.WriteFile(filepath.Join(dir, "index.php"), nil, 0o600); err != nil {
					t.Fatal(err)
				}
				s := prepare(t)
				s.behind("root * "+dir+"\nGATE\nphp_fastcgi "+address+" {\nflush_interval -1\n}",
					consumerAlice(t), "leeway 0s", row.word)
				response, _, expires := s.open(way{url: s.base, client: s.client}, http.MethodGet, "/index.php")
				defer response.Body.Close()
				if quiet {
					eventually(t, "the gate has ended it", func() bool { return s.logged(`"msg":"response ended"`) })
					close(resume)
				}
				body, err := io.ReadAll(response.Body)
				notBefore(t, expires)
				if quiet && string(body) != "first" {
					t.Errorf("read %q", body)
				}
				// One that has been quiet may have been cut already.
				if clean := err == nil; clean && row.word != "end_at_expiry" || !clean && row.word == "end_at_expiry" && !quiet {
					t.Errorf("%d bytes, %v", len(body), err)
				}
				arrives(t, "the backend learns it", gone)
			})
		}
	}
}

// Files go the short way through the writers of the gate. They arrive as they are, in whole and in parts.
func TestEndingLeavesFilesAsTheyAre(t *testing.T) {
	t.Setenv("QUIC_GO_DISABLE_RECEIVE_BUFFER_WARNING", "true")
	dir := t.TempDir()
	file := make([]byte, 5<<20+3)
	var seed [32]byte
	_, _ = rand.NewChaCha8(seed).Read(file)
	packed := file[:3<<20+1] // not gzip, and nobody unpacks it here
	for name, content := range map[string][]byte{"big.bin": file, "big.bin.gz": packed, "empty.bin": nil} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	gate := func(word string) string {
		return "route {\n" + gateFor(consumerAlice(t), word, corsBlock()) + "\nroot * " + dir +
			"\nfile_server {\nprecompressed gzip\n}\n}"
	}
	s, ways := startEverywhere(t, gate("end_at_expiry"))
	for _, word := range []string{"end_at_expiry", "end_at_expiry all"} {
		s.reloadEverywhere(gate(word), ways...)
		for _, way := range ways {
			for name, row := range map[string]struct {
				method, path, coding, ranges string
				status                       int
				want                         []byte
			}{
				"whole":           {"GET", "/big.bin", "identity", "", 200, file},
				"HEAD":            {"HEAD", "/big.bin", "identity", "", 200, nil},
				"one byte":        {"GET", "/big.bin", "identity", "bytes=1048576-1048576", 206, file[1<<20 : 1<<20+1]},
				"over the pieces": {"GET", "/big.bin", "identity", "bytes=7-4194312", 206, file[7 : 4<<20+9]},
				"the last bytes":  {"GET", "/big.bin", "identity", "bytes=-2", 206, file[len(file)-2:]},
				"no such range":   {"GET", "/big.bin", "identity", "bytes=9999999-", 416, nil},
				"precompressed":   {"GET", "/big.bin", "gzip", "", 200, packed},
				"empty":           {"GET", "/empty.bin", "identity", "", 200, nil},
			} {
				t.Run(strings.Join([]string{word, way.name, name}, ", "), func(t *testing.T) {
					r := way.to(t, row.method, row.path)
					r.Header.Set("Authorization", "Bearer "+hourToken(t))
					r.Header.Set("Accept-Encoding", row.coding)
					if row.ranges != "" {
						r.Header.Set("Range", row.ranges)
					}
					response, err := way.client.Do(r)
					if err != nil {
						t.Fatal(err)
					}
					defer response.Body.Close()
					got, err := io.ReadAll(response.Body)
					if err != nil || response.StatusCode != row.status || row.status < 400 && !bytes.Equal(got, row.want) {
						t.Errorf("status %d, %d bytes, %v; want %d, %d bytes", response.StatusCode, len(got), err, row.status,
							len(row.want))
					}
					if length := response.Header.Get("Content-Length"); row.method == "HEAD" && length != fmt.Sprint(len(file)) {
						t.Errorf("Content-Length %q of HEAD", length)
					}
				})
			}
		}
	}
}

// A file that a client reads slowly is cut, also one that sendfile sends, a part of it, and a precompressed one.
func TestEndingCutsFiles(t *testing.T) {
	dir := t.TempDir()
	const whole = 256 << 20
	for _, name := range []string{"big.bin", "big.bin.gz"} {
		file, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(file.Truncate(whole), file.Close()); err != nil { // a hole: it takes no room
			t.Fatal(err)
		}
	}
	t.Setenv("QUIC_GO_DISABLE_RECEIVE_BUFFER_WARNING", "true")
	s, ways := startEverywhere(t, "route {\n"+gateFor(consumerAlice(t), "leeway 0s", "end_at_expiry all")+"\nroot * "+dir+
		"\nfile_server {\nprecompressed gzip\n}\n}")
	for _, way := range ways {
		for name, fields := range map[string]http.Header{
			"whole":         {"Accept-Encoding": {"identity"}},
			"a part":        {"Accept-Encoding": {"identity"}, "Range": {"bytes=1-"}},
			"precompressed": {"Accept-Encoding": {"gzip"}},
		} {
			t.Run(way.name+" "+name, func(t *testing.T) {
				s := s.in(t)
				asking := way
				asking.client = &http.Client{Timeout: patience, Transport: withFields{fields, way.client.Transport}}
				response, _, expires := s.open(asking, http.MethodGet, "/big.bin")
				defer response.Body.Close()
				tick := time.NewTicker(time.Millisecond)
				defer tick.Stop()
				got, piece := int64(0), make([]byte, 100)
				for time.Now().Before(expires.Add(10 * time.Millisecond)) {
					n, err := response.Body.Read(piece)
					if got += int64(n); err != nil {
						notBefore(t, expires)
						break
					}
					<-tick.C
				}
				rest, err := io.Copy(io.Discard, response.Body)
				if got += rest; err == nil || got >= whole/2 {
					t.Errorf("got %d bytes of %d, %v", got, whole, err)
				}
			})
		}
	}
}

// withFields sets header fields of requests.
type withFields struct {
	fields http.Header
	http.RoundTripper
}

func (f withFields) RoundTrip(r *http.Request) (*http.Response, error) {
	maps.Copy(r.Header, f.fields)
	return f.RoundTripper.RoundTrip(r)
}

// controls is a handler that does all that a response controller can do. It answers with what failed.
type controls struct{}

func init() {
	caddy.RegisterModule(controls{})
	httpcaddyfile.RegisterHandlerDirective("controls",
		func(httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) { return controls{}, nil })
}

func (controls) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.test_controls", New: func() caddy.Module { return controls{} }}
}

func (controls) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	client := http.NewResponseController(w)
	var failed []string
	do := func(what string, err error) {
		if err != nil {
			failed = append(failed, what+": "+err.Error())
		}
	}
	do("SetReadDeadline", client.SetReadDeadline(time.Now().Add(patience)))
	do("SetWriteDeadline", client.SetWriteDeadline(time.Now().Add(patience)))
	if r.ProtoMajor == 1 {
		do("EnableFullDuplex", client.EnableFullDuplex())
	}
	if r.URL.Path == "/hijack" {
		conn, _, err := client.Hijack()
		if err != nil {
			return err
		}
		defer conn.Close()
		_, err = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhijacked")
		return err
	}
	w.Header().Set("Trailer", "X-Trailer")
	w.WriteHeader(http.StatusEarlyHints)
	do("Flush", client.Flush()) // the header alone
	w.Header().Set("Access-Control-Allow-Origin", "late")
	ask := make([]byte, 4)
	for {
		n, err := io.ReadFull(r.Body, ask)
		if err != nil {
			break
		}
		_, err = w.Write(ask[:n])
		do("Write", err)
		do("Flush", client.Flush())
	}
	_, err := fmt.Fprintf(w, "failed: %q", failed)
	w.Header().Set("X-Trailer", "end")
	return err
}

// Handlers behind the gate can do all that they could do without it, through all of its writers at once.
func TestEndingLeavesControlOfTheResponse(t *testing.T) {
	s, ways := startEverywhere(t, gateFor(consumerAlice(t)))
	for name, lines := range map[string][]string{
		"streams": {"end_at_expiry"}, "all": {"end_at_expiry all"}, "cors": {corsBlock()},
		"streams and cors": {"end_at_expiry", corsBlock()}, "all and cors": {"end_at_expiry all", corsBlock()},
	} {
		lines = append(lines, consumerAlice(t), "token_from query t")
		s.reloadEverywhere("route {\n"+gateFor(lines...)+"\ncontrols\n}", ways...)
		for _, way := range ways {
			t.Run(name+", "+way.name, func(t *testing.T) {
				body, sends := io.Pipe()
				r := way.to(t, http.MethodPost, "/?t="+hourToken(t))
				r.Body = body
				r.Header.Set("Origin", friend)
				response, err := way.client.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				defer response.Body.Close()
				if strings.Contains(name, "cors") != (response.Header.Get("Access-Control-Allow-Origin") == friend) ||
					response.Header.Get("Cache-Control") != "private" {
					t.Errorf("status %d, fields %v", response.StatusCode, response.Header)
				}
				for _, word := range []string{"ping", "pong"} { // full duplex: the answer comes before the next word
					_, _ = io.WriteString(sends, word)
					got := make([]byte, 4)
					if _, err := io.ReadFull(response.Body, got); err != nil || string(got) != word {
						t.Fatalf("read %q, %v", got, err)
					}
				}
				_ = sends.Close()
				rest, err := io.ReadAll(response.Body)
				if err != nil || string(rest) != "failed: []" || response.Trailer.Get("X-Trailer") != "end" {
					t.Errorf("read %q, %v, trailer %v", rest, err, response.Trailer)
				}
			})
		}
		t.Run(name+", hijack", func(t *testing.T) {
			if a := s.in(t).get("/hijack?t="+hourToken(t), ""); a.body != "hijacked" {
				t.Errorf("status %d, body %q", a.StatusCode, a.body)
			}
		})
	}
}
