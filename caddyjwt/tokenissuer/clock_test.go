package tokenissuer

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/caddyjwt/issuers"
	"github.com/caddyjwt/gateway/internal/bearer"
	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/session"
)

// wrongClock is a node whose sessions and gate have a clock of their own. The store and the list of revoked tokens have
// the right one. So a sign-in and a logout must not both have a clock that is behind: by the list's clock, the cut-off
// would be over before it begins.
type wrongClock struct {
	*node
	off time.Duration // how far the clock is ahead
}

func startWithWrongClock(t *testing.T) *wrongClock {
	t.Helper()
	n := &wrongClock{node: startNode(t, t.TempDir())}
	now := func() time.Time { return time.Now().Add(n.off) }
	var err error
	n.sessions, err = session.New(session.Options{
		Store: n.backing.Store(), Issuer: n.name, Revocations: &cutOffs{n.backing, n.name, n.ring},
		Leeway: n.backing.Leeway(n.name), Sign: n.signer(n.ring), Reused: n.reused, Now: now,
	})
	if err != nil {
		t.Fatal(err)
	}
	known, _, err := n.revocations.ForGate(true)
	if err != nil {
		t.Fatal(err)
	}
	header, err := bearer.NewExtractor(bearer.Options{Places: []bearer.Place{bearer.DefaultPlace}})
	if err != nil {
		t.Fatal(err)
	}
	n.gates["/a/"], err = gate.New(gate.Config{
		Realm: "/a/", Extractor: header, Revocations: known, Now: now,
		Issuers: []gate.Issuer{{
			Name: n.name, Keys: n.ring, Algorithms: jose.AsymmetricAlgorithms(), Local: true, Leeway: gate.DefaultLeeway,
			Audience:   gate.Audience{Accepted: n.apps[0].Audience},
			Revocation: gate.Revocation{Claims: []claims.Path{issuers.GroupPath()}},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// isOut wants nothing of a pair to be good, whatever the clock says.
func (n *wrongClock) isOut(what string, p *session.Pair) {
	n.t.Helper()
	before := n.off
	defer func() { n.off = before }()
	for _, n.off = range []time.Duration{before, 0, time.Hour, -time.Hour, time.Minute, -time.Minute} {
		if n.takes(p) {
			n.t.Errorf("%s: the access token is good with the clock %v ahead", what, n.off)
		}
	}
}

func (n *wrongClock) end(p *session.Pair) {
	n.t.Helper()
	err := n.sessions.End(n.t.Context(), n.terms(n.apps[0], n.running), p.Session, p.IssuedAt, p.Expires)
	if err != nil {
		n.t.Fatal(err)
	}
}

// The clock is ahead or behind, and right again, between a sign-in, a refresh and a logout. What has ended stays so by
// every clock, and once the clock is right, whoever signs in is in.
func TestAttackStepsOfTheClock(t *testing.T) {
	for _, steps := range [][3]time.Duration{ // at the sign-in, the refresh and the logout
		{0, time.Hour, 0}, {0, -time.Hour, 0}, {time.Hour, 0, 0}, {-time.Hour, 0, 0}, {0, 0, time.Hour}, {0, 0, -time.Hour},
		{time.Hour, -time.Hour, time.Hour}, {-time.Hour, time.Hour, 0}, {0, time.Minute, -time.Minute},
		{0, -time.Minute, time.Hour}, {0, 2 * time.Minute, 0}, {0, 2 * time.Minute, -time.Hour},
		{time.Hour, time.Hour, -time.Hour},
	} {
		t.Run(fmt.Sprint(steps), func(t *testing.T) {
			n := startWithWrongClock(t)
			n.off = steps[0]
			first, untouched := n.login(), n.login()
			if !n.takes(first) {
				t.Fatal("the first token is not taken")
			}
			n.off = steps[1]
			last := first
			switch next, err := n.refresh(first); {
			case err == nil:
				last = next
				if steps[1]-steps[0] < n.apps[0].Access { // otherwise the old token has expired, and is not cut off
					n.isOut("refreshed", first)
				}
			case !errors.Is(err, session.ErrInvalid) || steps[1]-steps[0] < time.Hour:
				t.Fatal(err) // with a clock that is ahead, it has expired
			}
			n.off = steps[2]
			n.end(last)
			n.isOut("ended", first)
			n.isOut("ended", last)
			for _, n.off = range []time.Duration{steps[2], 0, time.Hour, -time.Hour} {
				if _, err := n.refresh(last); !errors.Is(err, session.ErrInvalid) {
					t.Errorf("a refresh with the clock %v ahead: %v", n.off, err)
				}
			}
			n.off = 0
			fresh := n.login()
			if !n.takes(fresh) {
				t.Error("the token of a new session is not taken")
			}
			next, err := n.refresh(fresh)
			if err != nil || !n.takes(next) || n.takes(fresh) {
				t.Errorf("a new session does not go on: %v", err)
			}
			if steps[0] == 0 { // this session never saw another clock
				if next, err := n.refresh(untouched); err != nil || !n.takes(next) {
					t.Errorf("another session does not go on: %v", err)
				}
			}
		})
	}
}
