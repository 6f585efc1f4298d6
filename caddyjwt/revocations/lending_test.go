package revocations

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyjwt/gateway/caddyjwt/pool"
	"github.com/caddyjwt/gateway/internal/store"
)

// loading is a configuration with a store that is loading.
func loading(t *testing.T, desk *Desk) (r *Revocations, cancel func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r = provisioned(t, desk, pool.New(nil))
	desk.expect(ctx, r)
	return r, cancel
}

// The store of the configuration in force is lent, as soon as there is one, and stays open until it is given back.
func TestTheStoreInForceIsLent(t *testing.T) {
	desk := new(Desk)
	if _, _, err := desk.Borrow(t.Context()); !errors.Is(err, ErrNoStore) || desk.Lends() {
		t.Errorf("without a configuration: %v", err)
	}
	r, cancel := loading(t, desk)
	defer cancel()
	if !desk.Lends() {
		t.Error("a store that will be there is not expected")
	}
	borrowed := make(chan store.Store)
	giveBack := make(chan func(), 1)
	go func() {
		in, back, err := desk.Borrow(context.Background())
		if err != nil {
			t.Error(err)
		}
		borrowed <- in
		giveBack <- back
	}()
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	r.InForce()
	in := <-borrowed
	if err := r.Stop(); err != nil {
		t.Error(err)
	}
	if err := in.Put(t.Context(), "key", []byte("value"), time.Time{}); err != nil {
		t.Errorf("a store that is lent was closed: %v", err)
	}
	(<-giveBack)()
	if _, _, err := desk.Borrow(t.Context()); !errors.Is(err, ErrNoStore) || desk.Lends() {
		t.Errorf("after the end: %v", err)
	}
	for deadline := time.Now().Add(time.Minute); ; <-time.After(time.Millisecond) { // it is closed in the background
		if _, err := in.Get(t.Context(), "key"); errors.Is(err, store.ErrClosed) {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("it is not closed: %v", err)
		}
	}
}

// A configuration that fails to load lends nothing, and nobody waits for it.
func TestAConfigurationThatNeverComesIntoForce(t *testing.T) {
	desk := new(Desk)
	r, cancel := loading(t, desk)
	ended := make(chan error)
	go func() {
		_, _, err := desk.Borrow(context.Background())
		ended <- err
	}()
	cancel()
	if err := <-ended; !errors.Is(err, ErrNoStore) {
		t.Error(err)
	}
	if err := r.Stop(); err != nil {
		t.Error(err)
	}
}

// Nobody waits for longer than his context allows.
func TestWaitingForAStoreHasAnEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		desk := new(Desk)
		desk.expect(t.Context(), new(Revocations))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		if _, _, err := desk.Borrow(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}
