package integration

import (
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/store/redis/redistest"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// pair is two Caddys with one Redis, of which the second is a process of its own, and can be killed.
type pair struct {
	one, other *office
	config     string // of the other
	kill       func()
	good, bad  string
}

// newPair runs them. The bad token is revoked when all other things work.
func newPair(t *testing.T, server *redistest.Server) *pair {
	t.Helper()
	return newPairAt(t, server, server.URL())
}

// newPairAt runs them with another address for the server.
func newPairAt(t *testing.T, server *redistest.Server, url string) *pair {
	t.Helper()
	key := tokentest.NewKey(t, "ES256", "")
	gate := revocableGate(issuerBlock(keptIssuer, pemOf(t, key)))
	p := &pair{
		one:  sharedBy(t, server, "max_unsynced 2s"),
		good: key.Sign(t, issuedBy(keptIssuer)), bad: key.Sign(t, issuedBy(keptIssuer, "sub", "bob")),
	}
	p.one.store = strings.Replace(p.one.store, server.URL(), url, 1)
	p.one.initialised(gate)
	p.one.loadFile(p.one.kept(p.one.caddyfile(gate)))
	p.other = p.one.elsewhere()
	p.config = p.other.kept(p.other.caddyfile(gate))
	p.kill = p.other.runsElsewhere(p.config)
	p.turn(http.StatusOK, p.good)
	return p
}

// turn waits until the answers of both to a token have a status.
func (p *pair) turn(status int, token string) {
	p.one.t.Helper()
	p.one.turns(status, token)
	p.other.turns(status, token)
}

// revoke revokes the bad token at the first Caddy.
func (p *pair) revoke() { p.one.revoke("issuer", keptIssuer, "sub", "bob") }

// restart kills the other Caddy, and starts it again. It knows what is in Redis, and nothing else.
func (p *pair) restart() {
	p.one.t.Helper()
	p.kill()
	p.kill = p.other.runsElsewhere(p.config)
	p.other.turns(http.StatusOK, p.good)
}

// An emptied Redis is not trusted. When it is initialised again, the nodes have written back what they know, and a node
// that starts after that refuses what was revoked before.
func TestFaultASharedStoreIsEmptied(t *testing.T) {
	server := redistest.Start(t)
	p := newPair(t, server)
	p.revoke()
	p.turn(http.StatusUnauthorized, p.bad)
	server.Flush()
	p.turn(http.StatusServiceUnavailable, p.good)
	if out := p.one.command("", "store", "status"); !strings.Contains(out, "the store is not initialised") {
		t.Error(out)
	}
	if out := p.other.command("", "store", "init"); out != "the store is initialised\n" {
		t.Error(out)
	}
	p.turn(http.StatusOK, p.good)
	p.turn(http.StatusUnauthorized, p.bad)
	written(t, server, 1)
	p.restart()
	p.other.out(p.bad)
}

// written waits until a server has so many records.
func written(t *testing.T, server *redistest.Server, records int) {
	t.Helper()
	name := server.Do("EVAL", "return redis.call('KEYS', '*:l:*')[1]", "0")
	server.Until(strconv.Itoa(records), "XLEN", name)
}

// A Redis that hangs is noticed, and one that goes on is used again.
func TestFaultASharedStoreHangs(t *testing.T) {
	server := redistest.Start(t)
	p := newPair(t, server)
	p.revoke()
	p.turn(http.StatusUnauthorized, p.bad)
	server.Pause()
	p.turn(http.StatusServiceUnavailable, p.good)
	for _, o := range []*office{p.one, p.other} {
		if status, err := o.status(p.bad); err != nil || status == http.StatusOK {
			t.Errorf("a revoked token gets %d, %v", status, err)
		}
	}
	server.Resume()
	p.turn(http.StatusOK, p.good)
	p.turn(http.StatusUnauthorized, p.bad)
}

// A Redis that starts again with a snapshot from before a revocation gets it back from the nodes.
func TestFaultASharedStoreGoesBack(t *testing.T) {
	server := redistest.Start(t)
	p := newPair(t, server)
	p.one.revoke("issuer", keptIssuer, "sub", "carol")
	server.Do("SAVE")
	p.revoke()
	p.turn(http.StatusUnauthorized, p.bad)
	server.Kill()
	server.Restart()
	p.turn(http.StatusOK, p.good)
	p.turn(http.StatusUnauthorized, p.bad)
	written(t, server, 2)
	p.restart()
	p.other.out(p.bad)
}

// When the primary is killed, its replica takes over, with sentinels that say so. Nothing is revoked less.
func TestFaultASharedStoreFailsOver(t *testing.T) {
	primary := redistest.Start(t)
	replica := primary.Replica()
	sentinel := redistest.Sentinel(t, primary, "sentinel down-after-milliseconds main 500")
	sentinel.Until(replica.Port, "SENTINEL", "REPLICAS", "main")
	p := newPairAt(t, primary, sentinel.URL()+"?master_set=main")
	p.revoke()
	p.turn(http.StatusUnauthorized, p.bad)
	primary.Kill()
	replica.Until("role:master", "INFO", "replication")
	p.turn(http.StatusOK, p.good)
	p.turn(http.StatusUnauthorized, p.bad)
	written(t, replica, 1)
	eventually(t, "the new primary takes orders", func() bool {
		a := p.one.asks(http.MethodPost, revocationsPath, `{"issuer":"`+keptIssuer+`","sub":"carol"}`)
		return a.StatusCode == http.StatusOK
	})
	p.restart()
	p.other.out(p.bad)
}
