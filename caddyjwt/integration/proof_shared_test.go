package integration

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/caddyjwt/gateway/internal/store/redis/redistest"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// twoCaddys runs two of them with the same store and the same gate: one in this process and one in another.
func twoCaddys(t *testing.T, server *redistest.Server, gate string, behindProxy bool) (here, there *office) {
	t.Helper()
	here = sharedBy(t, server)
	whole := func(o *office) string {
		caddyfile := o.kept(o.caddyfile(gate))
		if behindProxy {
			caddyfile = serving(caddyfile, "trusted_proxies_unix")
		}
		return caddyfile
	}
	config := newFile(t, "Caddyfile", whole(here))
	if out, err := bearerAuth("", "store", "init", "--config", config); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	here.loadFile(whole(here))
	there = here.elsewhere()
	there.runsElsewhere(whole(there))
	return here, there
}

// inSync waits until a Caddy has read the store, with a token that is bound to nothing.
func (o *office) inSync(unbound string) {
	o.t.Helper()
	o.turns(http.StatusOK, unbound)
}

const sharedProofs = "proof any {\nreplay shared\nnonce 10m\n}"

// A proof that one Caddy has seen is not good at another one, also if both get it at once. A nonce of one is good at
// both.
func TestProofIsUsedOnceByAllCaddys(t *testing.T) {
	redistest.Installed(t)
	key := tokentest.NewKey(t, "ES256", "k1")
	here, there := twoCaddys(t, redistest.Start(t), proofGate(t, key, "max_lifetime 1h", sharedProofs), false)
	client, unbound := newKeyholder(t, key), key.Sign(t, issuedBy(keptIssuer))
	here.inSync(unbound)
	there.inSync(unbound)
	nonce := map[string]any{"nonce": here.proves(client, "/").Header.Get("Dpop-Nonce")}
	for _, way := range [][2]*office{{here, there}, {there, here}} {
		proof := client.Proof(t, "GET", here.base+"/", client.token, nonce)
		way[0].provenPass(way[0].with(client, "GET", "/", proof))
		for _, o := range []*office{way[1], way[0], way[1]} {
			o.blames(o.with(client, "GET", "/", proof), "invalid_dpop_proof", "proof_replayed")
		}
	}
	if other := there.proves(client, "/").Header.Get("Dpop-Nonce"); other == "" {
		t.Error("no nonce of the other Caddy")
	} else {
		here.provenPass(here.proves(client, "/", map[string]any{"nonce": other}))
	}
	for range 20 {
		proof := client.Proof(t, "GET", here.base+"/", client.token, nonce)
		var all sync.WaitGroup
		var mu sync.Mutex
		statuses := make(map[int]int)
		for n := range 8 {
			o := []*office{here, there}[n%2]
			r := o.request("GET", "/", nil, "Authorization", "DPoP "+client.token, "Dpop", proof)
			all.Go(func() {
				response, err := o.client.Do(r)
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					statuses[0]++
					return
				}
				_ = response.Body.Close()
				statuses[response.StatusCode]++
			})
		}
		all.Wait()
		if statuses[200] != 1 || statuses[401] != 7 {
			t.Fatalf("the same proof 8 times at once: %v", statuses)
		}
	}
	if n := len(here.upstream.take()) + len(there.upstream.take()); n != 20 {
		t.Errorf("%d requests reached the backends, want 20", n)
	}
}

// While the store is out of reach, nobody knows which proofs were used. Tokens that need none pass all the same.
func TestProofWithoutItsStore(t *testing.T) {
	redistest.Installed(t)
	key := tokentest.NewKey(t, "ES256", "k1")
	server := redistest.Start(t)
	mine, other := clientsOf(t)
	here, there := twoCaddys(t, server, proofGate(t, key, "max_lifetime 1h", "proof any {\nreplay shared\n}",
		"client_cert_header Client-Cert rfc9440"), true)
	client, unbound := newKeyholder(t, key), key.Sign(t, issuedBy(keptIssuer))
	certified := key.Sign(t, issuedBy(keptIssuer, "cnf", x5t(mine.Certificate)))
	header := certificateForms(mine.Certificate)["rfc9440"]
	offices := []*office{here, there}
	for _, o := range offices {
		o.inSync(unbound)
		o.provenPass(o.proves(client, "/"))
	}
	server.Stop()
	kept := client.Proof(t, "GET", here.base+"/", client.token)
	for _, o := range offices {
		for range 3 {
			o.ourFaultFor(o.with(client, "GET", "/", kept), http.StatusServiceUnavailable, "proofs_unavailable", true)
			o.passed(o.get("/", certified, "Client-Cert", header))
			o.passed(o.get("/", unbound))
		}
		o.refused(o.get("/", certified, "Client-Cert", certificateForms(other.Certificate)["rfc9440"]),
			http.StatusUnauthorized, "other_key")
		o.blames(o.with(client, "POST", "/", kept), "invalid_dpop_proof", "invalid_proof") // as ever
		if !o.logged(`"level":"warn"`, "proofs_unavailable") {
			t.Error("the log does not warn")
		}
	}
	server.Restart()
	eventually(t, "proofs pass again", func() bool {
		return here.proves(client, "/").StatusCode == http.StatusOK
	})
	here.drain()
	eventually(t, "proofs pass again at the other Caddy", func() bool {
		return there.proves(client, "/").StatusCode == http.StatusOK
	})
	there.drain()
	here.provenPass(here.with(client, "GET", "/", kept)) // it was not used
	there.blames(there.with(client, "GET", "/", kept), "invalid_dpop_proof", "proof_replayed")
}

// With a store, nonces outlive a Caddy. Without one, a proof is remembered by each Caddy alone.
func TestProofOfEachCaddyAlone(t *testing.T) {
	redistest.Installed(t)
	key := tokentest.NewKey(t, "ES256", "k1")
	here, there := twoCaddys(t, redistest.Start(t), proofGate(t, key, "max_lifetime 1h", "proof dpop {\nnonce 10m\n}"),
		false)
	client, unbound := newKeyholder(t, key), key.Sign(t, issuedBy(keptIssuer))
	here.inSync(unbound)
	there.inSync(unbound)
	nonce := map[string]any{"nonce": here.proves(client, "/").Header.Get("Dpop-Nonce")}
	proof := client.Proof(t, "GET", here.base+"/", client.token, nonce)
	here.provenPass(here.with(client, "GET", "/", proof))
	there.provenPass(there.with(client, "GET", "/", proof))
	for _, o := range []*office{here, there} {
		o.blames(o.with(client, "GET", "/", proof), "invalid_dpop_proof", "proof_replayed")
	}
}

// "shared" needs a store that is there. The error says what to add.
func TestProofSharedWithoutAStore(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	gate := proofGate(t, key, "proof dpop {\nreplay shared\n}")
	s := prepare(t)
	err := s.tryLoad(s.caddyfile(gate))
	if err == nil {
		t.Fatal("it was loaded")
	}
	for _, text := range []string{"replay shared", `add "store redis <url>"`, "global option bearer_auth"} {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("%v does not say %q", err, text)
		}
	}
}
