package main

import (
	"testing"
	"time"
)

func TestTokensVerifyAndSpoiledOnesDoNot(t *testing.T) {
	for _, alg := range []string{"HS256", "RS256", "ES256", "EdDSA"} {
		s, err := newSigner(alg)
		if err != nil {
			t.Fatal(err)
		}
		token := s.mint(1)
		if !s.bare(token)() {
			t.Errorf("%s: its own token does not verify", alg)
		}
		spoiled := spoil(token)
		if len(spoiled) != len(token) || s.bare(spoiled)() {
			t.Errorf("%s: a spoiled token verifies, or has another length", alg)
		}
		if _, err := s.measureBare(token, time.Millisecond); err != nil {
			t.Errorf("%s: %v", alg, err)
		}
		t.Logf("%s: %d characters", alg, len(token))
	}
	if _, err := newSigner("none"); err == nil {
		t.Error("a signer for an algorithm that there is not")
	}
}

func TestMintedTokensAreDifferent(t *testing.T) {
	s, err := newSigner("HS256")
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]bool)
	for _, token := range s.mintAll(1000) {
		seen[token] = true
	}
	if len(seen) != 1000 || seen[""] {
		t.Errorf("%d different tokens of 1000", len(seen))
	}
}
