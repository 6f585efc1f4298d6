package integration

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// getWith is a request in HTTP/1.1 with the token of a client, and with these further header lines.
func (h *keyholder) getWith(target string, lines ...string) string {
	return "GET " + target + " HTTP/1.1\r\nHost: gate.test\r\nAuthorization: DPoP " + h.token + "\r\n" +
		strings.Join(append(lines, "\r\n"), "\r\n")
}

// startForAnyHost runs a site that answers to every Host.
func startForAnyHost(t *testing.T, gate string) *site {
	t.Helper()
	s := prepare(t)
	s.loadFile(strings.Replace(s.caddyfile(gate), "http://gate.test {", "http:// {", 1))
	return s
}

// Every proof that breaks a rule of RFC 9449 section 4.3, with keys of every kind. None reaches the backend, and each
// is refused with the error that the standard has for it. After all of them, a good proof is still good.
func TestAttackProofs(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	for _, alg := range asymmetric {
		t.Run(alg, func(t *testing.T) {
			if alg != "ES256" {
				long(t)
			}
			s := start(t, proofGate(t, key, "proof dpop {\nmax_age 5m\n}"))
			client := &keyholder{Prover: tokentest.NewProver(t, alg)}
			client.token = key.Sign(t, issuedBy(keptIssuer, "cnf", jkt(client.Prover)))
			const address = "http://gate.test/api/orders"
			good := client.Proof(t, "GET", address, client.token)
			reasons := map[string]string{tokentest.InvalidProof: "invalid_proof", tokentest.InvalidToken: "other_key"}
			hostile := client.ProofAttacks(t, "GET", address, client.token)
			for _, proof := range hostile {
				s.attack(t, proof.Name, func(_ *testing.T, a *attempt) {
					a.secret(client.token)
					a.secret(proof.Proof)
					got := a.raw(client.getWith("/api/orders", "DPoP: "+proof.Proof))
					a.blames(got, proof.Code, reasons[proof.Code])
					a.revealsNothing(got)
				})
			}
			t.Logf("%d hostile proofs", len(hostile))
			s.provenPass(s.raw(client.getWith("/api/orders?page=2", "DPoP: "+good)))
		})
	}
}

// A stolen token comes with good proofs of another key, also ones that name the key of the victim.
func TestAttackProofOfAnotherKey(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	s := start(t, proofGate(t, key, "proof dpop"))
	victim, thief := newKeyholder(t, key), newKeyholder(t, key, "sub", "thief")
	thumbprint := victim.Thumbprint()
	for name, edits := range map[string]map[string]any{
		"as it is": nil, "with the victim's kid": {"header.kid": thumbprint}, "with the victim's jkt": {"jkt": thumbprint},
		"with the victim's cnf": {"cnf": jkt(victim.Prover)}, "with the victim's sub": {"sub": "alice", "iss": keptIssuer},
	} {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			a.secret(victim.token)
			stolen := &keyholder{thief.Prover, victim.token}
			a.blames(a.raw(victim.getWith("/", "DPoP: "+thief.Proof(t, "GET", s.base+"/", victim.token, edits))),
				"invalid_token", "other_key")
			a.blames(a.proves(stolen, "/", edits), "invalid_token", "other_key")
			// Neither is the thief's own token good with a proof for the victim's, nor the victim's proof with it.
			a.blames(a.raw(thief.getWith("/", "DPoP: "+thief.Proof(t, "GET", s.base+"/", victim.token))),
				"invalid_dpop_proof", "invalid_proof")
			a.blames(a.raw(thief.getWith("/", "DPoP: "+victim.Proof(t, "GET", s.base+"/", thief.token))), "invalid_token",
				"other_key")
		})
	}
	s.provenPass(s.proves(victim, "/"))
}

// Strangers send the id of a victim's proof first, in proofs that are refused, and in good ones of their own. The
// victim's proof is good all the same.
func TestAttackProofIDOfAVictim(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	s := start(t, proofGate(t, key, "proof dpop"))
	victim, thief := newKeyholder(t, key), newKeyholder(t, key)
	s.attack(t, "the id in other proofs", func(t *testing.T, a *attempt) {
		id := map[string]any{"jti": "the-id-of-the-victim"}
		proof := victim.Proof(t, "GET", a.base+"/", victim.token, id)
		a.blames(a.with(victim, "GET", "/", thief.Proof(t, "GET", a.base+"/", victim.token, id)), "invalid_token",
			"other_key")
		a.blames(a.with(victim, "GET", "/", tokentest.FlipSignature(t, proof)), "invalid_dpop_proof", "invalid_proof")
		a.blames(a.with(victim, "POST", "/", proof), "invalid_dpop_proof", "invalid_proof")
		a.blames(a.with(victim, "GET", "/other", proof), "invalid_dpop_proof", "invalid_proof")
		a.refused(a.with(&keyholder{victim.Prover, victim.token[:20]}, "GET", "/", proof), 401, "malformed_token")
		a.provenPass(a.proves(thief, "/", id))
		a.provenPass(a.with(victim, "GET", "/", proof))
		a.blames(a.with(victim, "GET", "/", proof), "invalid_dpop_proof", "proof_replayed")
	})
}

// A proof has a time that is as far ahead as may be. It is sent again until its own time is over: it must be remembered
// for all of that, and not only for as long as a proof of now.
func TestAttackProofFromTheFuture(t *testing.T) {
	long(t)
	key := tokentest.NewKey(t, "ES256", "k1")
	s := start(t, proofGate(t, key, "proof dpop {\nmax_age 2s\n}"))
	client := newKeyholder(t, key)
	s.attack(t, "again and again", func(t *testing.T, a *attempt) {
		proof, used := "", time.Now()
		eventually(t, "the proof passes", func() bool { // a busy machine may send it too late
			used = time.Now()
			proof = client.Proof(t, "GET", a.base+"/", client.token, map[string]any{"iat": used.Unix() + 2})
			return a.with(client, "GET", "/", proof).StatusCode == http.StatusOK
		})
		a.drain()
		ends := time.Unix(used.Unix()+2, 0).Add(2 * time.Second)
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		seen := make(map[string]int)
		for over := false; !over; <-tick.C {
			over = time.Now().After(ends)
			got := a.with(client, "GET", "/", proof)
			if got.StatusCode != http.StatusUnauthorized {
				t.Fatalf("status %d", got.StatusCode)
			}
			seen[a.reason()]++
		}
		a.nothingForwarded()
		if seen["proof_replayed"] == 0 || seen["invalid_proof"] == 0 || len(seen) != 2 {
			t.Errorf("the reasons are %v", seen)
		}
	})
	s.attack(t, "further ahead", func(_ *testing.T, a *attempt) {
		for _, ahead := range []int64{10, 3600, 1 << 40} {
			a.blames(a.proves(client, "/", map[string]any{"iat": time.Now().Unix() + ahead}), "invalid_dpop_proof",
				"invalid_proof")
		}
	})
}

// A token that is bound to a key comes as a bearer token, in every place that the gate looks at.
func TestAttackProofLeftOut(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	client := newKeyholder(t, key)
	places := []string{"token_from header Authorization Bearer", "token_from header X-Token", "token_from cookie jwt",
		"token_from query jwt", "token_from form jwt"}
	for _, word := range []string{"proof dpop", "proof dpop required", "proof any", "proof mtls", ""} {
		s := start(t, proofGate(t, key, append(places, word)...))
		for name, where := range map[string]struct{ method, path, field, value, body string }{
			"Bearer":       {"GET", "/", "Authorization", "Bearer " + client.token, ""},
			"bEARER":       {"GET", "/", "Authorization", "bEARER " + client.token, ""},
			"own header":   {"GET", "/", "X-Token", client.token, ""},
			"cookie":       {"GET", "/", "Cookie", "jwt=" + client.token, ""},
			"query":        {"GET", "/?jwt=" + client.token, "X-Other", "", ""},
			"form":         {"POST", "/", "Content-Type", formType, "jwt=" + client.token},
			"form by PUT":  {"PUT", "/", "Content-Type", formType, "jwt=" + client.token},
			"query by PUT": {"PUT", "/?jwt=" + client.token, "X-Other", "", ""},
		} {
			for _, proven := range []bool{false, true} {
				s.attack(t, fmt.Sprintf("%s, %s, with a proof: %v", word, name, proven), func(t *testing.T, a *attempt) {
					a.secret(client.token)
					r := a.request(where.method, where.path, strings.NewReader(where.body), where.field, where.value)
					if proven {
						address, _, _ := strings.Cut(a.base+where.path, "?")
						r.Header.Set("DPoP", client.Proof(t, where.method, address, client.token))
					}
					a.refused(a.do(r), http.StatusUnauthorized, "proof_required")
				})
			}
		}
	}
}
