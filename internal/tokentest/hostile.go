package tokentest

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/json"
	"fmt"
	"hash"
	"strconv"
)

// Flaw is what is wrong with a hostile token. Each entry point has its own word for it.
type Flaw int

const (
	Malformed    Flaw = iota + 1 // not a signed JWT at all (RFC 7515 section 5.2, RFC 8725 section 3)
	NoAlgorithm                  // its algorithm is not one for access tokens
	KeyAlgorithm                 // its algorithm is a real one, but not the key's
)

// Hostile is a token that no verifier may accept.
type Hostile struct {
	Name  string // what the attacker does
	Token string
	Flaw  Flaw
}

// AlgorithmAttacks are tokens that lie about how they are signed. The verifier must have this key alone: an RSA key,
// for RS256 only. The payload is a JSON text that would be accepted with a good signature.
func AlgorithmAttacks(key *Key, payload string) (attacks []Hostile) {
	add := func(flaw Flaw, token, format string, args ...any) {
		attacks = append(attacks, Hostile{fmt.Sprintf(format, args...), token, flaw})
	}
	header := func(alg string) string {
		return string(must(json.Marshal(map[string]string{"alg": alg, "kid": key.KID, "typ": "JWT"})))
	}

	// The token says that it needs no signature, in a spelling that a comparison may miss (CVE-2015-9235,
	// CVE-2018-1000531).
	for _, alg := range []string{
		"none", "None", "NONE", "nOnE", "noNe", "none ", " none", "none\x00", "\tnone", "n\u043ene", "",
	} {
		input := encode([]byte(header(alg))) + "." + encode([]byte(payload))
		add(Malformed, input+".", "alg %q without a signature", alg)
		add(Malformed, input, "alg %q without a signature and its dot", alg)
		add(NoAlgorithm, input+"."+encode(make([]byte, 32)), "alg %q with a signature of zeros", alg)
		add(NoAlgorithm, key.SignRaw(header(alg), payload), "alg %q with a good signature", alg)
	}
	add(NoAlgorithm, key.SignRaw(`{"alg":"n\u006fne"}`, payload), "alg none with an escape")
	for _, alg := range []string{
		"XX999", "rs256", "RS256 ", "RS256\x00", "A256KW", "dir", "RSA-OAEP", "ES256K", "Ed448", "ML-DSA-44", "HS1", "RS1",
	} {
		add(NoAlgorithm, key.SignRaw(header(alg), payload), "alg %q with a good signature", alg)
	}
	for _, alg := range []string{"null", `["RS256"]`, "{}", "256", "true"} {
		add(Malformed, key.SignRaw(`{"alg":`+alg+`}`, payload), "alg %s with a good signature", alg)
	}
	add(Malformed, key.SignRaw(`{"kid":`+strconv.Quote(key.KID)+`}`, payload), "no alg")
	add(Malformed, key.SignRaw(`{"alg":"none","alg":"RS256"}`, payload), "alg none and then RS256")
	add(Malformed, key.SignRaw(`{"alg":"RS256","alg":"none"}`, payload), "alg RS256 and then none")

	// Anybody can have the public key, and some verifiers use it with any algorithm that the token names (CVE-2015-9235,
	// CVE-2016-5431, CVE-2016-10555, CVE-2024-54150).
	disguises := Disguises(key.Public())
	disguises["nothing at all"], disguises["the key id"] = nil, []byte(key.KID)
	macs := map[string]func() hash.Hash{"HS256": sha256.New, "HS384": sha512.New384, "HS512": sha512.New}
	for name, secret := range disguises {
		for alg, newHash := range macs {
			input := encode([]byte(header(alg))) + "." + encode([]byte(payload))
			mac := hmac.New(newHash, secret)
			mac.Write([]byte(input))
			add(KeyAlgorithm, input+"."+encode(mac.Sum(nil)), "%s of the public key as %s", alg, name)
		}
	}
	for _, alg := range []string{"RS384", "RS512", "PS256", "PS384", "PS512"} {
		add(KeyAlgorithm, key.WithAlg(alg).SignRaw(header(alg), payload), "the key with %s", alg)
	}
	return attacks
}
