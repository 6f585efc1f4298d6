package integration

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

const bobWithASecret = "consumer bob {\ngroups staff\ncredential bob-key {\nalgorithm HS256\n" +
	"secret 9d1f8a3c5e7b42604f8e1a2b3c4d5e6f\n}\n}"

// newFile writes a file in a new directory and returns its path.
func newFile(t testing.TB, name, text string) string {
	t.Helper()
	return writeFile(t, filepath.Join(t.TempDir(), name), text)
}

// A private key other than the credential's is an error that names both keys.
func TestMintRefusesAnotherPrivateKey(t *testing.T) {
	for _, algorithm := range []string{"RS256", "ES256", "EdDSA"} {
		t.Run(algorithm, func(t *testing.T) {
			public := newFile(t, "public.pem", tokentest.NewKey(t, algorithm, "ours").PublicPEM())
			other := newFile(t, "other.pem", tokentest.NewKey(t, algorithm, "theirs").PrivatePEM())
			config := caddyfileFor(t, "consumer bob {", "credential bob-key {",
				"algorithm "+algorithm, "public_key "+public, "}", "}")
			out, err := mint("--config", config, "--consumer", "bob", "--private-key", other)
			if err == nil {
				t.Fatalf("it prints %q", out)
			}
			for _, want := range []string{
				"--private-key " + other + " is not the key of credential \"bob-key\"",
				"thumbprint", "and that of the credential has",
			} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("no %q in %v", want, err)
				}
			}
		})
	}
}

// A token that the gate would refuse is not printed. The error says why, and how to make one that passes.
func TestMintPrintsNoTokenThatTheGateRefuses(t *testing.T) {
	rsa := newFile(t, "rsa.pem", tokentest.NewKey(t, "RS256", "").PrivatePEM())
	ec := newFile(t, "ec.pem", tokentest.NewKey(t, "ES256", "").PublicPEM())
	for name, test := range map[string]struct {
		gate []string
		args []string
		want string
	}{
		"no scope": {[]string{"require scope read write", bobWithASecret}, nil,
			`insufficient_scope: the token lacks the scopes "read", "write", and it has none; ` +
				`give it with --claim scope="read write"`},
		"half of the scopes": {[]string{"require scope read write", bobWithASecret},
			[]string{"--claim", "scope=read"}, `the token lacks the scope "write", and it has "read"`},
		"no claim": {[]string{"require claim level 3", bobWithASecret}, nil,
			`claim_mismatch: the claim "level" is not there; required: "3"`},
		"another claim": {[]string{"require claim level 3", bobWithASecret}, []string{"--claim", "level=4"},
			`claim_mismatch: the claim "level" is there, but it is another number; required: "3"`},
		"no such group": {[]string{"require group admins", bobWithASecret}, nil,
			"the groups of a consumer are in its block"},
		"another audience": {[]string{"audience https://api.example.com", bobWithASecret},
			[]string{"--claim", "aud=x"}, "invalid_audience"},
		"an end of its own": {[]string{bobWithASecret}, []string{"--claim", "exp=1"}, "expired"},
		"no end": {[]string{bobWithASecret}, []string{"--claim", "exp=null"},
			"exp is of the type null, not a number; check the values of --claim"},
		"a start in the future": {[]string{bobWithASecret}, []string{"--claim", "nbf=99999999999"}, "not_yet_valid"},
		"longer than may be": {[]string{"max_lifetime 1m", bobWithASecret}, nil,
			"--lifetime 5m0s is longer than the max_lifetime of the gate: give --lifetime=1m0s or less"},
		"longer by a claim": {[]string{"max_lifetime 1h", bobWithASecret}, []string{"--claim", "exp=99999999999"},
			"set times only with --lifetime"},
		"bound to a key": {[]string{bobWithASecret}, []string{"--claim", `cnf={"jkt":"x"}`},
			"leave out --claim cnf"},
		"a security event": {[]string{bobWithASecret},
			[]string{"--claim", `events={"https://schemas.openid.net/event":{}}`}, "invalid_type"},
		"a subject that is a number": {[]string{bobWithASecret}, []string{"--claim", "sub=3"}, "malformed_token"},
		"a claim that has two lines": {[]string{"forward_claims X-Email email", bobWithASecret},
			[]string{"--claim", "email=a\r\nb"}, "unsafe_claim"},
		"a consumer that there is not": {[]string{"issuer https://as.example {\nkeys secret " +
			"9d1f8a3c5e7b42604f8e1a2b3c4d5e6f\nconsumer_claim azp\n}", "audience any", bobWithASecret},
			[]string{"--consumer", "", "--issuer", "https://as.example", "--claim", "azp=alice"},
			`unknown_consumer: claim azp is "alice", and no consumer has that username; give it with --claim name=value`},
		"longer than a token may be": {[]string{"max_token_size 100B", bobWithASecret}, nil, "malformed_request"},
		"expired and without a scope": {[]string{"require scope read", bobWithASecret}, []string{"--lifetime=-1m"},
			"insufficient_scope"},
		"a private key for a secret": {[]string{bobWithASecret}, []string{"--private-key", rsa},
			"signs with its secret: leave out --private-key"},
		"a private key of another kind": {[]string{"consumer bob {", "credential bob-key {",
			"algorithm ES256", "public_key " + ec, "}", "}"},
			[]string{"--private-key", rsa}, "--private-key " + rsa},
		"nobody to sign for": {[]string{"issuer https://auth.example.com", "audience any"}, nil,
			"has no consumer; name an issuer with --issuer if its keys are here"},
		"a lifetime without a unit": {[]string{bobWithASecret}, []string{"--lifetime", "5"},
			"expected a duration such as 30s, 5m or 1h"},
	} {
		t.Run(name, func(t *testing.T) {
			config := caddyfileFor(t, test.gate...)
			out, err := mint(append([]string{"--config", config, "--consumer", "bob"}, test.args...)...)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("output %q, error %v; want %q", out, err, test.want)
			}
			if strings.Contains(out, "eyJ") {
				t.Errorf("a token was printed: %s", out)
			}
		})
	}
}

// The token is tried where the gate looks for it.
func TestMintTriesTheTokenInEveryKindOfPlace(t *testing.T) {
	for _, place := range []string{
		"header X-Token", "header X-Token Token", "header Authorization JWT", "query access_token", "cookie access_token",
		"form access_token",
	} {
		config := caddyfileFor(t, "token_from "+place, bobWithASecret)
		if token, err := mint("--config", config, "--consumer", "bob"); err != nil || strings.Count(token, ".") != 2 {
			t.Errorf("%s: %q, %v", place, token, err)
		}
	}
}

// A negative lifetime makes a token that has expired and is right in all other ways.
func TestMintMakesAnExpiredToken(t *testing.T) {
	for _, gate := range []string{"realm x", "max_lifetime 30s", "leeway 0s", "leeway 30s"} {
		config := caddyfileFor(t, gate, bobWithASecret)
		token, err := mint("--config", config, "--consumer", "bob", "--lifetime=-1m")
		if err != nil {
			t.Errorf("%s: %v", gate, err)
			continue
		}
		if status, _ := send(t, config, token); status != http.StatusUnauthorized {
			t.Errorf("%s: status %d, want 401", gate, status)
		}
	}
}

// If several gates know the consumer, one that accepts the token is enough. If all refuse it, the error has each one's
// reason.
func TestMintTriesEveryGateThatKnowsTheConsumer(t *testing.T) {
	config := func(second string) string {
		return newFile(t, "Caddyfile", "http://localhost {\nbearer_auth /admin/* {\nrequire scope admin\n"+bobWithASecret+
			"\n}\nbearer_auth /orders/* {\n"+second+"\n"+bobWithASecret+"\n}\n}\n")
	}
	if token, err := mint("--config", config("realm x"), "--consumer", "bob"); err != nil ||
		strings.Count(token, ".") != 2 {
		t.Errorf("%q, %v", token, err)
	}
	_, err := mint("--config", config("require scope orders"), "--consumer", "bob")
	if err == nil || !strings.Contains(err.Error(), "2 gates know this consumer") ||
		!strings.Contains(err.Error(), `scope "admin"`) ||
		!strings.Contains(err.Error(), `scope "orders"`) {
		t.Error(err)
	}
}

// A gate that would not load accepts nothing.
func TestMintSaysThatTheGateWouldNotLoad(t *testing.T) {
	config := writeFile(t, "caddy.json",
		`{"handler":"bearer_auth","optional":true,"anonymous":"bob","consumers":[{"username":"bob","credentials":[
		{"key":"k","algorithm":"HS256","secret":"9d1f8a3c5e7b42604f8e1a2b3c4d5e6f"}]}]}`)
	if _, err := mint("--config", config, "--consumer", "bob"); err == nil ||
		!strings.Contains(err.Error(), "this gate would not load: optional and anonymous exclude") {
		t.Error(err)
	}
}

func TestMintSignsForEveryKeyClaim(t *testing.T) {
	for _, claim := range []string{"iss", "kid", "sub", "jti", "aud", "client_id", "https://example.com/key"} {
		t.Run(claim, func(t *testing.T) {
			config := caddyfileFor(t, "key_claim "+claim,
				"consumer bob {", "credential bob-key {", "algorithm HS256",
				"secret 6b1f9c0e4d7a82355f3e9b60c4d1a7f8", "}", "}")
			token, err := mint("--config", config, "--consumer", "bob")
			if err != nil {
				t.Fatal(err)
			}
			if status, identity := send(t, config, token); status != http.StatusOK ||
				identity.Get("X-Consumer-Username") != "bob" {
				t.Errorf("status %d, X-Consumer-Username %q", status, identity.Get("X-Consumer-Username"))
			}
			_, err = mint("--config", config, "--consumer", "bob", "--claim", claim+"=other")
			if err == nil || !strings.Contains(err.Error(), "use --credential instead") {
				t.Errorf("a second value for the key claim: error %v", err)
			}
		})
	}
}
