package tokenissuer

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

const asForm = "application/x-www-form-urlencoded"

// asClient sends a form to the token endpoint, with further fields.
func (s *server) asClient(status int, form url.Values, header ...string) map[string]any {
	s.t.Helper()
	return s.answers(status, "/oauth2/token", form.Encode(), append([]string{"Content-Type", asForm}, header...)...)
}

// keyOf is the thumbprint of the key that an access token is bound to.
func keyOf(t *testing.T, pair map[string]any) string {
	t.Helper()
	bound, _ := claimsOf(t, pair)["cnf"].(map[string]any)
	text, _ := bound["jkt"].(string)
	return text
}

// A session that begins with a proof goes on with the key of the proof alone, at both addresses. A token that was
// stolen without the key changes nothing.
func TestASessionIsBoundToAKey(t *testing.T) {
	s := newServer(t)
	s.runs("https://gate.test", "user alice "+hash, "app /a/ {\ncompat oauth\n}")
	own, other := tokentest.NewProver(t, "ES256"), tokentest.NewProver(t, "ES256")
	proof := func(of *tokentest.Prover, path string) []string {
		return []string{"Dpop", of.Proof(t, "POST", "http://gate.test"+path, "")}
	}
	login := proof(own, "/a/login")
	pair := s.answers(200, "/a/login", alice, login...)
	if keyOf(t, pair) != own.Thumbprint() || pair["token_type"] != "DPoP" {
		t.Fatalf("%v", pair)
	}
	if got := s.answers(400, "/a/login", alice, login...); got["error"] != "invalid_dpop_proof" {
		t.Errorf("a proof that was used: %v", got)
	}
	refresh := func(pair map[string]any) string { return fmt.Sprintf(again, pair["refresh_token"]) }
	form := func(pair map[string]any) url.Values {
		return url.Values{
			"grant_type": {"refresh_token"}, "client_id": {"/a/"}, "refresh_token": {fmt.Sprint(pair["refresh_token"])},
		}
	}
	for name, header := range map[string][]string{
		"no proof": nil, "another key": proof(other, "/a/refresh"), "another address": proof(own, "/a/login"),
	} {
		if got := s.answers(400, "/a/refresh", refresh(pair), header...); got["error"] != "invalid_dpop_proof" {
			t.Errorf("%s: %v", name, got)
		}
	}
	if got := s.asClient(400, form(pair), proof(other, "/oauth2/token")...); got["error"] != "invalid_dpop_proof" {
		t.Errorf("%v", got)
	}
	pair = s.answers(200, "/a/refresh", refresh(pair), proof(own, "/a/refresh")...)
	pair = s.asClient(200, form(pair), proof(own, "/oauth2/token")...)
	if keyOf(t, pair) != own.Thumbprint() || pair["token_type"] != "DPoP" {
		t.Errorf("%v", pair)
	}
	access := fmt.Sprint(pair["access_token"])
	s.answers(401, "/a/logout", "", "Authorization", "Bearer "+access)
	s.answers(401, "/a/logout", "", "Authorization", "DPoP "+access)
	s.answers(204, "/a/logout", "", "Authorization", "DPoP "+access,
		"Dpop", own.Proof(t, "POST", "http://gate.test/a/logout", access))
	s.asClient(400, form(pair), proof(own, "/oauth2/token")...)
}

// A session without a key is bound by the first refresh with a proof.
func TestARefreshBindsASession(t *testing.T) {
	s := newServer(t)
	s.runs("https://gate.test", "user alice "+hash, "app /a/")
	key := tokentest.NewProver(t, "EdDSA")
	pair := s.answers(200, "/a/login", alice)
	if keyOf(t, pair) != "" {
		t.Errorf("%v", pair)
	}
	pair = s.answers(200, "/a/refresh", fmt.Sprintf(again, pair["refresh_token"]),
		"Dpop", key.Proof(t, "POST", "http://gate.test/a/refresh", ""))
	if keyOf(t, pair) != key.Thumbprint() {
		t.Errorf("%v", pair)
	}
	s.answers(400, "/a/refresh", fmt.Sprintf(again, pair["refresh_token"]))
}

// The tokens of a client are bound to the key that it proves. With "proof", they always are.
func TestTokensOfAClientAreBound(t *testing.T) {
	s := newServer(t)
	s.runs("https://gate.test", "default_audience https://gate.test",
		"client free {\nsecret_hash "+hash+"\n}", "client strict {\nsecret_hash "+hash+"\nproof dpop\n}",
		"client mesh {\nsecret_hash "+hash+"\nproof mtls\n}")
	key := tokentest.NewProver(t, "ES256")
	form := func(id string) url.Values {
		return url.Values{"grant_type": {"client_credentials"}, "client_id": {id}, "client_secret": {"secret"}}
	}
	proof := func(edits ...map[string]any) []string {
		return []string{"Dpop", key.Proof(t, "POST", "http://gate.test/oauth2/token", "", edits...)}
	}
	if got := s.asClient(200, form("free")); keyOf(t, got) != "" || got["token_type"] != "Bearer" {
		t.Errorf("%v", got)
	}
	for _, id := range []string{"free", "strict"} {
		if got := s.asClient(200, form(id), proof()...); keyOf(t, got) != key.Thumbprint() || got["token_type"] != "DPoP" {
			t.Errorf("%s: %v", id, got)
		}
	}
	if got := s.asClient(400, form("strict")); got["error"] != "invalid_dpop_proof" {
		t.Errorf("%v", got)
	}
	if got := s.asClient(400, form("mesh")); got["error"] != "invalid_request" {
		t.Errorf("%v", got)
	}
	used := proof()
	s.asClient(200, form("free"), used...)
	if got := s.asClient(400, form("free"), used...); got["error"] != "invalid_dpop_proof" {
		t.Errorf("%v", got)
	}
}

// Each proof that breaks a rule is refused.
func TestAttackProofsOfClientsAreRefused(t *testing.T) {
	s := newServer(t)
	s.runs("https://gate.test", "default_audience https://gate.test", "client free {\nsecret_hash "+hash+"\n}")
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {"free"}, "client_secret": {"secret"}}
	key := tokentest.NewProver(t, "ES256")
	tried := 0
	for _, attack := range key.ProofAttacks(t, "POST", "http://gate.test/oauth2/token", "a-token") {
		if attack.OnlyWithToken() {
			continue // any key is good, and no ath is needed
		}
		tried++
		if got := s.asClient(400, form, "Dpop", attack.Proof); got["error"] != "invalid_dpop_proof" {
			t.Errorf("%s: %v", attack.Name, got)
		}
	}
	if tried < 100 {
		t.Errorf("%d proofs", tried)
	}
}

// Proofs that were used are kept in the store. Strangers can make any number of them, and think of as many refresh
// tokens: those proofs are not kept, so they are still good for a token that there is.
func TestAttackProofsOfStrangersAreNotKept(t *testing.T) {
	s := newServer(t)
	s.runs("https://gate.test", "user alice "+hash, "app /a/", "app /b/")
	key := tokentest.NewProver(t, "ES256")
	pair, other := s.answers(200, "/a/login", alice), s.answers(200, "/b/login", alice)
	unknown := map[string]any{"refresh_token": strings.Repeat("A", len(fmt.Sprint(pair["refresh_token"])))}
	noToken := map[string]any{"refresh_token": "no-token"}
	proof := []string{"Dpop", key.Proof(t, "POST", "http://gate.test/a/refresh", "")}
	for _, strange := range []map[string]any{noToken, unknown, other} {
		got := s.answers(401, "/a/refresh", fmt.Sprintf(again, strange["refresh_token"]), proof...)
		if got["error"] != "invalid_grant" {
			t.Errorf("%v", got)
		}
	}
	pair = s.answers(200, "/a/refresh", fmt.Sprintf(again, pair["refresh_token"]), proof...)
	proof = []string{"Dpop", key.Proof(t, "POST", "http://gate.test/oauth2/token", "")}
	form := func(pair map[string]any) url.Values {
		return url.Values{
			"grant_type": {"refresh_token"}, "client_id": {"/a/"}, "refresh_token": {fmt.Sprint(pair["refresh_token"])},
		}
	}
	for _, strange := range []map[string]any{noToken, unknown, other} {
		if got := s.asClient(400, form(strange), proof...); got["error"] != "invalid_grant" {
			t.Errorf("%v", got)
		}
	}
	s.asClient(200, form(pair), proof...)
}

// A proof is used up when all else is good: wrong passwords and tokens that are none leave it good. More than one is
// none.
func TestProofsAtTheAddressesOfAnApplication(t *testing.T) {
	s := newServer(t)
	s.runs("https://gate.test", "user alice "+hash, "app /a/ {\ncompat oauth\ngrace 10s\n}")
	key, other := tokentest.NewProver(t, "ES256"), tokentest.NewProver(t, "ES256")
	at := func(of *tokentest.Prover, path string) []string {
		return []string{"Dpop", of.Proof(t, "POST", "http://gate.test/a/"+path, "")}
	}
	login := at(key, "login")
	s.answers(401, "/a/login", strings.Replace(alice, "secret", "wrong", 1), login...)
	for name, header := range map[string][]string{
		"empty": {"Dpop", ""}, "a list": {"Dpop", login[1] + ", " + login[1]}, "rubbish": {"Dpop", "x"},
		"of another method": {"Dpop", key.Proof(t, "GET", "http://gate.test/a/login", "")},
		"of TLS":            {"Dpop", key.Proof(t, "POST", "https://gate.test/a/login", "")},
	} {
		if got := s.answers(400, "/a/login", alice, header...); got["error"] != "invalid_dpop_proof" {
			t.Errorf("%s: %v", name, got)
		}
	}
	first := s.answers(200, "/a/login", alice, login...)
	token := func(pair map[string]any) string { return fmt.Sprintf(again, pair["refresh_token"]) }
	proof := at(key, "refresh")
	s.answers(401, "/a/refresh", fmt.Sprintf(again, strings.Repeat("A", 64)), proof...)
	s.answers(401, "/a/refresh", fmt.Sprintf(again, "x"), proof...)
	next := s.answers(200, "/a/refresh", token(first), proof...)
	s.answers(400, "/a/refresh", token(next), proof...)
	for name, header := range map[string][]string{"no proof": nil, "another key": at(other, "refresh")} {
		if got := s.answers(400, "/a/refresh", token(first), header...); got["error"] != "invalid_dpop_proof" {
			t.Errorf("%s in the grace: %v", name, got)
		}
	}
	repeated := s.answers(200, "/a/refresh", token(first), at(key, "refresh")...)
	if repeated["access_token"] != next["access_token"] || keyOf(t, repeated) != key.Thumbprint() {
		t.Errorf("%v, want %v", repeated, next)
	}
	access := fmt.Sprint(next["access_token"])
	revoke := func(by *tokentest.Prover) []string {
		return []string{"Authorization", "DPoP " + access, "Dpop", by.Proof(t, "POST", "http://gate.test/a/revoke", access)}
	}
	s.answers(401, "/a/revoke", "", revoke(other)...)
	s.answers(204, "/a/revoke", "", revoke(key)...)
	s.answers(401, "/a/refresh", token(next), at(key, "refresh")...)
}

// A thief of a refresh token that is bound to nothing cannot keep its owner out: the owner's next refresh ends the
// session, at both addresses.
func TestAttackAThiefBindsASessionOfAnApplication(t *testing.T) {
	s := newServer(t)
	s.runs("https://gate.test", "user alice "+hash, "app /a/ {\ncompat oauth\n}")
	thief := tokentest.NewProver(t, "ES256")
	proof := func(path string) []string {
		return []string{"Dpop", thief.Proof(t, "POST", "http://gate.test"+path, "")}
	}
	for _, owner := range []func(token string) map[string]any{
		func(token string) map[string]any { return s.answers(401, "/a/refresh", fmt.Sprintf(again, token)) },
		func(token string) map[string]any {
			return s.asClient(400, url.Values{"grant_type": {"refresh_token"}, "client_id": {"/a/"}, "refresh_token": {token}})
		},
	} {
		pair := s.answers(200, "/a/login", alice)
		stolen := s.answers(200, "/a/refresh", fmt.Sprintf(again, pair["refresh_token"]), proof("/a/refresh")...)
		if keyOf(t, stolen) != thief.Thumbprint() {
			t.Fatalf("%v", stolen)
		}
		if got := owner(fmt.Sprint(pair["refresh_token"])); got["error"] != "invalid_grant" {
			t.Errorf("%v", got)
		}
		s.answers(401, "/a/refresh", fmt.Sprintf(again, stolen["refresh_token"]), proof("/a/refresh")...)
	}
}
