package integration

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// holder is one whose tokens are revoked while requests flow.
type holder struct {
	token   string
	ordered atomic.Bool // the order was sent
	out     atomic.Bool // it was acknowledged
}

// flow counts what has become of requests with tokens of users.
type flow struct {
	users                 []*holder
	passed, refused, late atomic.Int64 // late: passed after the acknowledgement
	early                 atomic.Int64 // refused before the order
	other                 atomic.Int64
}

// one sends a request, and counts it.
func (f *flow) one(o *office) {
	u := f.users[rand.IntN(len(f.users))]
	out := u.out.Load()
	status, err := o.status(u.token)
	switch {
	case err != nil:
		f.other.Add(1)
	case status == http.StatusOK:
		f.passed.Add(1)
		if out {
			f.late.Add(1)
		}
	case status == http.StatusUnauthorized:
		f.refused.Add(1)
		if !u.ordered.Load() {
			f.early.Add(1)
		}
	default:
		f.other.Add(1)
	}
}

// While 200 requests a second flow, users are revoked one after another. No request that begins after the
// acknowledgement passes, and nobody else is refused. A reload in between changes nothing.
func TestRevokedUserPassesNeverAgain(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "")
	issuer := issuerBlock(keptIssuer, pemOf(t, key))
	o := openOffice(t, issuer)
	f := new(flow)
	for i := range 60 {
		f.users = append(f.users, &holder{token: key.Sign(t, issuedBy(keptIssuer, "sub", fmt.Sprint("user-", i)))})
	}
	o.good(f.users[0].token)
	began := make(chan struct{}, 1<<16)
	requests := o.send(200, func() string { f.one(o); began <- struct{}{}; return f.users[0].token })
	for i, u := range f.users[1:41] {
		for range 10 {
			arrives(t, "requests flow", began)
		}
		if i == 20 {
			o.open(issuer, "realm another")
		}
		u.ordered.Store(true)
		o.revoke("issuer", keptIssuer, "sub", fmt.Sprint("user-", i+1))
		u.out.Store(true)
	}
	for range 100 {
		arrives(t, "requests flow", began)
	}
	requests.allPassed(t)
	o.drain()
	t.Logf("%d requests passed, %d were refused, %d passed after the acknowledgement, %d were refused before the order, "+
		"%d had another outcome", f.passed.Load(), f.refused.Load(), f.late.Load(), f.early.Load(), f.other.Load())
	if f.late.Load() != 0 || f.early.Load() != 0 || f.other.Load() != 0 || f.refused.Load() == 0 || f.passed.Load() == 0 {
		t.Error("see the counts")
	}
	for _, u := range f.users {
		want := http.StatusOK
		if u.out.Load() {
			want = http.StatusUnauthorized
		}
		if status, err := o.status(u.token); status != want {
			t.Errorf("status %d, %v; want %d", status, err, want)
		}
	}
}
