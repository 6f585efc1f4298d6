package revocations

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyjwt/gateway/caddyjwt/pool"
	"github.com/caddyjwt/gateway/internal/revoke"
)

// asks sends a request to a route of the admin endpoint. The status is that of the answer or of the error.
func (d *Desk) asks(t *testing.T, method, path string) (status int, body string, header http.Header) {
	t.Helper()
	for _, route := range d.Routes() {
		if route.Pattern != path {
			continue
		}
		w := httptest.NewRecorder()
		err := route.Handler.ServeHTTP(w, httptest.NewRequest(method, path, nil))
		if refused, is := errors.AsType[caddy.APIError](err); is {
			return refused.HTTPStatus, refused.Err.Error(), w.Header()
		}
		if err != nil {
			t.Fatal(err)
		}
		return w.Code, w.Body.String(), w.Header()
	}
	t.Fatalf("no route %s", path)
	return 0, "", nil
}

// The store of one Caddy is always in sync, and has nothing to initialise.
func TestStatusOfAStoreOfItsOwn(t *testing.T) {
	desk := new(Desk)
	for path, method := range map[string]string{"/bearer_auth/store": "GET", "/bearer_auth/store/init": "POST"} {
		if status, body, _ := desk.asks(t, method, path); status != http.StatusNotFound {
			t.Errorf("%s without a store: status %d, %s", path, status, body)
		}
		for _, other := range []string{"PUT", "DELETE", "HEAD", map[string]string{"GET": "POST", "POST": "GET"}[method]} {
			if status, _, header := desk.asks(t, other, path); status != http.StatusMethodNotAllowed ||
				header.Get("Allow") != method {
				t.Errorf("%s %s: status %d, Allow %q", other, path, status, header.Get("Allow"))
			}
		}
	}
	r := provisioned(t, desk, pool.New(nil))
	if _, open := r.Sync(); open {
		t.Error("it is in sync before the store is open")
	}
	if _, err := r.Status(); !errors.Is(err, errNotOpen) {
		t.Errorf("status before the store is open: %v", err)
	}
	if _, err := r.Init(t.Context()); !errors.Is(err, errNotOpen) {
		t.Errorf("init before the store is open: %v", err)
	}
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	defer r.Stop()
	r.InForce()
	if _, _, err := r.Write(t.Context(), &Order{Issuer: issuer, Subject: "bob"}); err != nil {
		t.Fatal(err)
	}
	status, body, header := desk.asks(t, http.MethodGet, "/bearer_auth/store")
	const want = `{"store":"memory","shared":false,"in_sync":true,"revocations":1}` + "\n"
	if status != http.StatusOK || body != want || header.Get("Cache-Control") != "no-store" {
		t.Errorf("status %d, %s, %v", status, body, header)
	}
	if status, body, _ := desk.asks(t, http.MethodPost, "/bearer_auth/store/init"); status != http.StatusConflict {
		t.Errorf("init: status %d, %s", status, body)
	}
	if sync, open := r.Sync(); !open || sync.Shared || sync.Trouble != nil {
		t.Errorf("%+v", sync)
	}
}

// What is not known now is in the status, with when it was known last.
func TestStatusSaysWhatIsWrong(t *testing.T) {
	now := time.Date(2026, 5, 4, 10, 0, 0, 0, time.UTC)
	trouble := errors.New("out of\nreach")
	for want, sync := range map[string]revoke.Sync{
		`{"store":"here","shared":true,"in_sync":true,"synced_at":"2026-05-04T09:59:58.6Z","age_seconds":1.4,` +
			`"revocations":7}`: {Shared: true, At: now.Add(-1400 * time.Millisecond)},
		`{"store":"here","shared":true,"in_sync":false,"trouble":"out of reach","revocations":7}`: {
			Shared: true, Trouble: trouble},
		`{"store":"here","shared":true,"in_sync":false,"synced_at":"2026-05-04T10:00:01Z","age_seconds":0,` +
			`"trouble":"out of reach","revocations":7}`: {Shared: true, At: now.Add(time.Second), Trouble: trouble},
	} {
		got, err := json.Marshal(statusOf("here", sync, 7, now))
		if err != nil || string(got) != want {
			t.Errorf("%s, %v; want %s", got, err, want)
		}
	}
}

// Trouble is told when it begins and when it ends, however often it comes.
func TestTroubleIsToldOnce(t *testing.T) {
	var told []error
	c := &changes{tell: func(err error) { told = append(told, err) }}
	one, two := errors.New("one"), errors.New("two")
	for _, err := range []error{nil, one, one, two, nil, nil, two} {
		c.note(err)
	}
	if len(told) != 3 || told[0] != one || told[1] != nil || told[2] != two {
		t.Errorf("%v", told)
	}
}

// Only a store that is out of reach is accepted: one that is not open yet, or damaged, is another matter.
func TestOnUnsyncedAccept(t *testing.T) {
	h := &handle{accepts: true}
	if _, err := h.Generation(time.Now()); !errors.Is(err, revoke.ErrUnknown) {
		t.Errorf("before the store is open: %v", err)
	}
	h.list.Store(revoke.NewList())
	if _, err := h.Generation(time.Now()); !errors.Is(err, revoke.ErrUnknown) {
		t.Errorf("a list that is not known: %v", err)
	}
}
