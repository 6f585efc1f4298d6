package introspect_test

import (
	"context"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyjwt/gateway/introspect"
)

// outcome is what one request gets.
type outcome struct {
	status     int
	retryAfter string
	err        error
}

// outcomes answers one request after the other, and repeats the last answer forever. It counts the requests.
func outcomes(calls *int, list ...outcome) transport {
	return func(*http.Request) (*http.Response, error) {
		o := list[min(*calls, len(list)-1)]
		*calls++
		if o.err != nil {
			return nil, o.err
		}
		r := response(o.status, `{"active":true}`)
		if o.retryAfter != "" {
			r.Header.Set("Retry-After", o.retryAfter)
		}
		return r, nil
	}
}

func TestWhichFailuresAreRetried(t *testing.T) {
	dial := &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	lookup := &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", IsNotFound: true}}
	for _, test := range []struct {
		name  string
		first outcome
		calls int
		cause introspect.Cause // zero: active after the second attempt
	}{
		{"connection refused", outcome{err: dial}, 2, 0},
		{"no such host", outcome{err: lookup}, 2, 0},
		{"reset before the answer",
			outcome{err: &net.OpError{Op: "read", Err: os.NewSyscallError("read", syscall.ECONNRESET)}}, 2, 0},
		{"closed before the answer", outcome{err: io.EOF}, 2, 0},
		{"502", outcome{status: 502}, 2, 0},
		{"503", outcome{status: 503}, 2, 0},
		{"504", outcome{status: 504}, 2, 0},
		{"503 with a time to wait", outcome{status: 503, retryAfter: "1"}, 1, introspect.CauseUnavailable},
		{"500", outcome{status: 500}, 1, introspect.CauseUnavailable},
		{"501", outcome{status: 501}, 1, introspect.CauseUnavailable},
		{"400", outcome{status: 400}, 1, introspect.CauseProtocol},
		{"401", outcome{status: 401}, 1, introspect.CauseRefused},
		{"403", outcome{status: 403}, 1, introspect.CauseRefused},
		{"404", outcome{status: 404}, 1, introspect.CauseProtocol},
		{"429", outcome{status: 429}, 1, introspect.CauseRateLimited},
		{"a bad certificate", outcome{err: x509.UnknownAuthorityError{}}, 1, introspect.CauseUnavailable},
		{"a timeout of the transport",
			outcome{err: &net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded}}, 1, introspect.CauseTimeout},
		{"an unknown error", outcome{err: errors.New("?")}, 1, introspect.CauseUnavailable},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				calls := 0
				c := newClient(t, fakeConfig(outcomes(&calls, test.first, outcome{status: 200})))
				defer c.Close()
				start := time.Now()
				r, err := c.Introspect(t.Context(), testToken)
				if test.cause == 0 {
					wantActive(t, true, r, err)
				} else {
					wantCause(t, test.cause, r, err)
				}
				if calls != test.calls {
					t.Errorf("%d requests, want %d", calls, test.calls)
				}
				if took := time.Since(start); took > 100*time.Millisecond || test.calls == 2 && took < 20*time.Millisecond {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}

func TestASecondFailureIsFinal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		c := newClient(t, fakeConfig(outcomes(&calls, outcome{status: 503})))
		defer c.Close()
		r, err := c.Introspect(t.Context(), testToken)
		wantCause(t, introspect.CauseUnavailable, r, err)
		if calls != 2 {
			t.Errorf("%d requests, want 2", calls)
		}
	})
}

func TestOneDeadlineCoversBothAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		c := newClient(t, fakeConfig(func(r *http.Request) (*http.Response, error) {
			calls++
			select {
			case <-time.After(2 * time.Second):
				return response(503, ""), nil
			case <-r.Context().Done():
				return nil, r.Context().Err()
			}
		}))
		defer c.Close()
		start := time.Now()
		r, err := c.Introspect(t.Context(), testToken)
		wantCause(t, introspect.CauseTimeout, r, err)
		synctest.Wait() // for the call itself to end
		if took := time.Since(start); took != introspect.DefaultTimeout || calls != 2 {
			t.Errorf("%d requests took %v, want 2 and %v", calls, took, introspect.DefaultTimeout)
		}
	})
}

func TestNoSecondAttemptWithoutTimeForIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		c := newClient(t, fakeConfig(func(*http.Request) (*http.Response, error) {
			calls++
			time.Sleep(introspect.DefaultTimeout - 10*time.Millisecond)
			return response(503, ""), nil
		}))
		defer c.Close()
		r, err := c.Introspect(t.Context(), testToken)
		wantCause(t, introspect.CauseUnavailable, r, err)
		if calls != 1 {
			t.Errorf("%d requests, want 1", calls)
		}
	})
}

func TestASlowServerIsATimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := fakeConfig(func(r *http.Request) (*http.Response, error) { return stall(r.Context()) })
		cfg.Timeout = 700 * time.Millisecond
		c := newClient(t, cfg)
		defer c.Close()
		start := time.Now()
		r, err := c.Introspect(t.Context(), testToken)
		wantCause(t, introspect.CauseTimeout, r, err)
		if took := time.Since(start); took != cfg.Timeout {
			t.Errorf("it took %v", took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		r, err = c.Introspect(ctx, testToken)
		if wantCause(t, introspect.CauseTimeout, r, err); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the error is %v", err)
		}
	})
}

// TestAServerThatIsDown uses a real socket: first nobody listens on it, then somebody does.
func TestAServerThatIsDown(t *testing.T) {
	s := newServer(t, answer(`{"active":true}`))
	s.Close()
	r, err := newClient(t, basicConfig(s.URL)).Introspect(t.Context(), testToken)
	wantCause(t, introspect.CauseUnavailable, r, err)
}

// TestAConnectionThatBreaks: if it breaks before the answer, the request is repeated; if it breaks within, it is not.
func TestAConnectionThatBreaks(t *testing.T) {
	s := newServer(t, nil)
	s.set(func(w http.ResponseWriter, r *http.Request) {
		if s.calls.Load() == 1 {
			panic(http.ErrAbortHandler)
		}
		answer(`{"active":true}`)(w, r)
	})
	r, err := newClient(t, basicConfig(s.URL)).Introspect(t.Context(), testToken)
	wantActive(t, true, r, err)

	s.calls.Store(0)
	s.set(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", "1000")
		io.WriteString(w, `{"active":true}`)
	})
	r, err = newClient(t, basicConfig(s.URL)).Introspect(t.Context(), testToken)
	wantCause(t, introspect.CauseUnavailable, r, err)
	if n := s.calls.Load(); n != 1 {
		t.Errorf("%d requests, want 1", n)
	}
}
