package bearer_test

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/caddyjwt/gateway/internal/bearer"
)

func extractorWith(tb testing.TB, memory *bearer.FormMemory) *bearer.Extractor {
	tb.Helper()
	e, err := bearer.NewExtractor(bearer.Options{Places: []bearer.Place{inForm}, Forms: memory})
	if err != nil {
		tb.Fatal(err)
	}
	return e
}

// stalled is the body of a client that sends this text, and then nothing until it leaves.
type stalled struct {
	io.Reader
	silent func()
	gone   chan struct{}
	once   sync.Once
}

func (b *stalled) Read(p []byte) (int, error) {
	if n, _ := b.Reader.Read(p); n > 0 {
		return n, nil
	}
	b.silent()
	<-b.gone
	return 0, io.ErrUnexpectedEOF
}

func (b *stalled) Close() error { b.once.Do(func() { close(b.gone) }); return nil }

func formOf(ctx context.Context, size int) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/", nil).WithContext(ctx)
	setForm(r, "access_token="+token+"&a="+strings.Repeat("a", max(0, size-len(token)-16)))
	return r
}

// Strangers send large forms and leave them unfinished. The memory that these hold together is bounded. Ordinary forms
// of others are still read, and in the end all memory is given back.
func TestFormsOfStrangersAreBoundedTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const clients, size, limit = 60, 960 << 10, bearer.DefaultFormMemory
		memory := bearer.NewFormMemory(limit)
		e := extractorWith(t, memory)
		ctx, leave := context.WithCancel(t.Context())
		var settled, done sync.WaitGroup
		settled.Add(clients)
		results := make(chan error, clients)
		for range clients {
			done.Go(func() {
				settle := sync.OnceFunc(settled.Done)
				request, over := context.WithCancel(ctx)
				r := httptest.NewRequest(http.MethodPost, "/", nil).WithContext(request)
				setForm(r, "")
				r.Body, r.ContentLength = &stalled{
					Reader: strings.NewReader(strings.Repeat("a", size)), silent: settle, gone: make(chan struct{}),
				}, 1<<20
				_, err := e.Extract(r)
				over() // as a server does when it has answered
				settle()
				results <- err
			})
		}
		settled.Wait()
		synctest.Wait()
		refused := len(results)
		t.Logf("%d of %d forms of %d KiB are held, in %d of %d KiB",
			clients-refused, clients, size>>10, memory.Held()>>10, limit>>10)
		if memory.Held() > limit || refused < clients-limit/(size-16<<10) {
			t.Errorf("%d bytes are held, %d forms were refused", memory.Held(), refused)
		}
		for range refused {
			if err := <-results; !errors.Is(err, bearer.ErrOverloaded) {
				t.Errorf("error %v, want %v", err, bearer.ErrOverloaded)
			}
		}
		for _, ordinary := range []int{100, 4 << 10, 16<<10 - 1, 64 << 10} {
			if _, err := e.Extract(formOf(ctx, ordinary)); err != nil {
				t.Errorf("a form of %d bytes, beside those of strangers: %v", ordinary, err)
			}
		}
		leave()
		done.Wait()
		synctest.Wait()
		if held := memory.Held(); held != 0 {
			t.Errorf("%d bytes are held for nobody", held)
		}
		if _, err := e.Extract(formOf(t.Context(), size)); err != nil {
			t.Errorf("a large form, after the strangers: %v", err)
		}
	})
}

// A form is held until somebody has read it, or until its request is over: no longer and no shorter.
func TestFormMemoryIsGivenBack(t *testing.T) {
	const size = 100 << 10
	for name, end := range map[string]func(r *http.Request, over func()){
		"read":             func(r *http.Request, _ func()) { _, _ = io.ReadAll(r.Body) },
		"copied":           func(r *http.Request, _ func()) { _, _ = io.Copy(io.Discard, r.Body) },
		"read without end": func(r *http.Request, _ func()) { _, _ = io.ReadFull(r.Body, make([]byte, r.ContentLength)) },
		"over":             func(_ *http.Request, over func()) { over() },
		"read and over":    func(r *http.Request, over func()) { _, _ = io.ReadAll(r.Body); over() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				memory := bearer.NewFormMemory(1 << 20)
				first, second := extractorWith(t, memory), extractorWith(t, memory)
				ctx, over := context.WithCancel(t.Context())
				defer over()
				r := formOf(ctx, size)
				check(t, first, r, token, nil)
				check(t, second, r, token, nil) // another gate of the chain: the same text
				held := memory.Held()
				if held < size-16<<10-64 || held > size {
					t.Errorf("%d bytes are held for a form of %d", held, size)
				}
				second.Remove(r)
				if _ = r.Body.Close(); memory.Held() != held {
					t.Errorf("%d bytes after closing, though it can be sent again, want %d", memory.Held(), held)
				}
				end(r, over)
				synctest.Wait()
				if memory.Held() != 0 {
					t.Errorf("%d bytes are still held", memory.Held())
				}
			})
		})
	}
	t.Run("refused", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			memory := bearer.NewFormMemory(512 << 10)
			ctx, over := context.WithCancel(t.Context())
			r := formOf(ctx, size)
			want := readAll(t, formOf(ctx, size).Body)
			check(t, extractorWith(t, memory), r, "", bearer.ErrOverloaded)
			if memory.Held() == 0 {
				t.Error("what was read is held, and not counted")
			}
			if got := readAll(t, r.Body); got != want {
				t.Error("the body is not what it was")
			}
			over()
			synctest.Wait()
			if memory.Held() != 0 {
				t.Errorf("%d bytes are still held", memory.Held())
			}
		})
	})
}

// Handlers before the gate may read from a body of their own, which may panic. net/http then ends the request and
// serves the next one.
func TestFormMemoryIsGivenBackAfterAPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := bearer.NewFormMemory(1 << 20)
		ctx, over := context.WithCancel(t.Context())
		r := formOf(ctx, 0)
		r.Body = io.NopCloser(io.MultiReader(strings.NewReader(strings.Repeat("a", 100<<10)), panicking{}))
		r.ContentLength = -1
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the body did not panic")
				}
			}()
			_, _ = extractorWith(t, memory).Extract(r)
		}()
		over()
		synctest.Wait()
		if held := memory.Held(); held != 0 {
			t.Errorf("%d bytes are held for nobody", held)
		}
	})
}

type panicking struct{}

func (panicking) Read([]byte) (int, error) { panic(http.ErrAbortHandler) }

// However many forms grow and end at once, the sum stays below the limit and returns to zero.
func TestFormMemoryUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := bearer.NewFormMemory(1 << 20)
		e := extractorWith(t, memory)
		var clients sync.WaitGroup
		for range 32 {
			clients.Go(func() {
				for range 20 {
					ctx, over := context.WithCancel(t.Context())
					r := formOf(ctx, rand.IntN(300<<10))
					if _, err := e.Extract(r); err != nil && !errors.Is(err, bearer.ErrOverloaded) {
						t.Errorf("error %v", err)
					}
					if held := memory.Held(); held < 0 || held > 1<<20 {
						t.Errorf("%d bytes are held", held)
					}
					if rand.IntN(2) == 0 {
						_, _ = io.Copy(io.Discard, r.Body)
					}
					over()
				}
			})
		}
		clients.Wait()
		synctest.Wait()
		if held := memory.Held(); held != 0 {
			t.Errorf("%d bytes are held for nobody", held)
		}
	})
}
