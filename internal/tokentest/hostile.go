package tokentest

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
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

// AlgorithmAttacks are tokens that lie about how they are signed. The verifier must have this key alone: an RSA
// key, for RS256 alone, or a secret, for HS256 alone. The payload is a JSON text that would be accepted with a good
// signature.
func AlgorithmAttacks(key *Key, payload string) (attacks []Hostile) {
	add := func(flaw Flaw, token, format string, args ...any) {
		attacks = append(attacks, Hostile{fmt.Sprintf(format, args...), token, flaw})
	}
	header := func(alg string) string {
		params := map[string]string{"alg": alg, "typ": "JWT"}
		if key.KID != "" {
			params["kid"] = key.KID
		}
		return string(must(json.Marshal(params)))
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
		"XX999", "rs256", "RS256 ", " RS256", "RS256\x00", "RS256\n", "RS256,none", "RS256x", "A256KW", "A256GCM", "dir",
		"RSA-OAEP", "RSA1_5", "ES256K", "Ed448", "ML-DSA-44", "HS1", "RS1", strings.Repeat("R", 4000),
	} {
		add(NoAlgorithm, key.SignRaw(header(alg), payload), "alg %s with a good signature", short(strconv.Quote(alg)))
	}
	add(NoAlgorithm, key.SignRaw(`{"alg":"\u0052S256x"}`, payload), "alg RS256x with an escape")
	for _, alg := range []string{"null", `["RS256"]`, "{}", `{"RS256":1}`, "256", "true"} {
		add(Malformed, key.SignRaw(`{"alg":`+alg+`}`, payload), "alg %s with a good signature", alg)
	}
	add(Malformed, key.SignRaw(`{"kid":`+strconv.Quote(key.KID)+`}`, payload), "no alg")
	add(Malformed, key.SignRaw(`{"alg":"none","alg":"RS256"}`, payload), "alg none and then RS256")
	add(Malformed, key.SignRaw(`{"alg":"RS256","alg":"none"}`, payload), "alg RS256 and then none")
	if key.Public() == nil {
		return attacks
	}
	for _, alg := range []string{"RS384", "RS512", "PS256", "PS384", "PS512"} {
		add(KeyAlgorithm, key.WithAlg(alg).SignRaw(header(alg), payload), "the key with %s", alg)
	}
	return append(attacks, MACAttacks(key, payload)...)
}
