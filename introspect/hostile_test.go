package introspect_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyjwt/gateway/internal/tokentest"
	"github.com/caddyjwt/gateway/introspect"
)

func TestAnEndlessBodyIsCutOff(t *testing.T) {
	for name, length := range map[string]string{"without a length": "", "with a length of 10 GB": "10000000000"} {
		t.Run(name, func(t *testing.T) {
			var written int64
			done := make(chan struct{})
			s := newServer(t, func(w http.ResponseWriter, r *http.Request) {
				defer close(done)
				w.Header().Set("Content-Type", "application/json")
				if length != "" {
					w.Header().Set("Content-Length", length)
				}
				io.WriteString(w, `{"active":true,"x":"`)
				chunk := bytes.Repeat([]byte("x"), 64<<10)
				for {
					n, err := w.Write(chunk)
					if written += int64(n); err != nil {
						return
					}
				}
			})
			c := newClient(t, basicConfig(s.URL))
			r, err := c.Introspect(t.Context(), testToken)
			wantCause(t, introspect.CauseProtocol, r, err)
			<-done // the connection is closed, not drained
			if written > 64<<20 {
				t.Errorf("the server could write %d bytes", written)
			}
		})
	}
}

func TestTheLargestAnswerIsRead(t *testing.T) {
	fill := func(size int) string {
		const rest = `{"active":true,"x":""}`
		return strings.Replace(rest, `""`, `"`+strings.Repeat("x", size-len(rest))+`"`, 1)
	}
	for size, want := range map[int]string{introspect.MaxAnswer: active, introspect.MaxAnswer + 1: protocol} {
		for _, known := range []bool{true, false} {
			got, _ := verdict(t, func() *http.Response {
				r := response(200, fill(size))
				if !known {
					r.ContentLength = -1
				}
				return r
			}, nil)
			if got != want {
				t.Errorf("%d bytes give %s, want %s", size, got, want)
			}
		}
	}
}

func TestAByteASecondEndsAtTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, fakeConfig(func(r *http.Request) (*http.Response, error) {
			resp := response(200, "")
			resp.ContentLength = -1
			read, write := io.Pipe()
			resp.Body = read
			go func() {
				for _, b := range []byte(`{"active":true}`) {
					select {
					case <-time.After(time.Second):
						write.Write([]byte{b})
					case <-r.Context().Done():
						write.CloseWithError(r.Context().Err())
						return
					}
				}
				write.Close()
			}()
			return resp, nil
		}))
		defer c.Close()
		start := time.Now()
		r, err := c.Introspect(t.Context(), testToken)
		wantCause(t, introspect.CauseTimeout, r, err)
		if took := time.Since(start); took != introspect.DefaultTimeout {
			t.Errorf("it took %v", took)
		}
		synctest.Wait()
	})
}

// TestAByteASecondOverARealConnection is the same with sockets, in less time.
func TestAByteASecondOverARealConnection(t *testing.T) {
	s := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, "{")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	cfg := basicConfig(s.URL)
	cfg.Timeout = 50 * time.Millisecond
	r, err := newClient(t, cfg).Introspect(t.Context(), testToken)
	wantCause(t, introspect.CauseTimeout, r, err)
}

func TestAGzipBombIsCutOff(t *testing.T) {
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	io.WriteString(z, `{"active":true,"x":"`)
	zeros := make([]byte, 1<<20)
	for range 64 {
		z.Write(zeros)
	}
	z.Close()
	s := newServer(t, compressed(bomb.Bytes()))
	c := newClient(t, basicConfig(s.URL))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	r, err := c.Introspect(t.Context(), testToken)
	runtime.ReadMemStats(&after)
	wantCause(t, introspect.CauseProtocol, r, err)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 8<<20 {
		t.Errorf("a bomb of %d bytes took %d bytes of memory", bomb.Len(), grown)
	}
}

func TestACompressedAnswerIsRead(t *testing.T) {
	var text bytes.Buffer
	z := gzip.NewWriter(&text)
	io.WriteString(z, `{"active":true}`)
	z.Close()
	s := newServer(t, compressed(text.Bytes()))
	r, err := newClient(t, basicConfig(s.URL)).Introspect(t.Context(), testToken)
	wantActive(t, true, r, err)

	broken := bytes.Clone(text.Bytes())
	broken[len(broken)-6] ^= 1 // the checksum
	s.set(compressed(broken))
	r, err = newClient(t, basicConfig(s.URL)).Introspect(t.Context(), testToken)
	wantCause(t, introspect.CauseProtocol, r, err)
	s.set(compressed([]byte(`{"active":true}`))) // not compressed at all
	r, err = newClient(t, basicConfig(s.URL)).Introspect(t.Context(), testToken)
	wantCause(t, introspect.CauseProtocol, r, err)
}

func compressed(body []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Encoding", "gzip")
		w.Write(body)
	}
}

// TestTheWorstAnswerIsReadInBoundedTime fills the limit with the texts that are slowest to read.
func TestTheWorstAnswerIsReadInBoundedTime(t *testing.T) {
	var members strings.Builder
	for i := 0; members.Len() < introspect.MaxAnswer-100; i++ {
		members.WriteString(`"` + strings.Repeat("a", i%7) + string(rune('0'+i%10)) +
			strings.ToLower(time.Duration(i).String()) + `":1,`)
	}
	for name, text := range map[string]string{
		"members":  `{` + members.String() + `"active":true}`,
		"elements": `{"active":true,"x":[` + strings.Repeat("1,", 130_000) + `1]}`,
		"objects":  `{"active":true,"x":[` + strings.Repeat(`{},`, 87_000) + `1]}`,
		"number":   `{"active":true,"x":` + strings.Repeat("9", 260_000) + `}`,
	} {
		t.Run(name, func(t *testing.T) {
			if len(text) > introspect.MaxAnswer {
				t.Fatalf("%d bytes", len(text))
			}
			start := tokentest.ProcessorTime(t)
			if got, _ := verdict(t, func() *http.Response { return response(200, text) }, nil); got != active {
				t.Errorf("the verdict is %s", got)
			}
			// The bound is far above what is needed, and far below the time to compare every member with every other.
			if took := tokentest.ProcessorTime(t) - start; took > 5*time.Second {
				t.Errorf("%d bytes cost %v of processor time", len(text), took)
			}
		})
	}
}
