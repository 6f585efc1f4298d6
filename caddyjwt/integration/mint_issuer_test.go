package integration

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

const (
	issuerHere   = "https://auth.example.com"
	secretHere   = "9d1f8a3c5e7b42604f8e1a2b3c4d5e6f"
	bySecretHere = "issuer " + issuerHere + " {\nkeys secret " + secretHere + "\n%\n}"
)

// issuerOf is the block of an issuer with a secret, and more lines.
func issuerOf(lines ...string) string {
	return strings.Replace(bySecretHere, "%", strings.Join(lines, "\n"), 1)
}

// parts are the header and the payload of a token.
func parts(t *testing.T, token string) (header, payload map[string]any) {
	t.Helper()
	texts := strings.Split(token, ".")
	if len(texts) != 3 {
		t.Fatalf("no token: %q", token)
	}
	for i, into := range []*map[string]any{&header, &payload} {
		text, err := base64.RawURLEncoding.DecodeString(texts[i])
		if err != nil || json.Unmarshal(text, into) != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
	return header, payload
}

// opens wants a minted token to open the gate that it was made for.
func opens(t *testing.T, config, token string) {
	t.Helper()
	if status, _ := send(t, config, token); status != http.StatusOK {
		t.Errorf("status %d", status)
	}
}

func TestMintForAnIssuerOfEveryAlgorithm(t *testing.T) {
	for _, algorithm := range []string{
		"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519",
	} {
		key := tokentest.NewKey(t, algorithm, "k-"+algorithm)
		other := tokentest.NewKey(t, "ES256", "other")
		private := newFile(t, "private.pem", key.PrivatePEM())
		public := newFile(t, "public.pem", key.PublicPEM())
		for form, keys := range map[string]string{
			"a PEM file":          "file " + public,
			"PEM text":            "pem {file." + public + "}",
			"one key of a JWKS":   "file " + newFile(t, "jwks.json", tokentest.JWKS(other, key)),
			"a file with one JWK": "file " + newFile(t, "jwk.json", asJSON(t, key.JWK())),
		} {
			t.Run(algorithm+" by "+form, func(t *testing.T) {
				config := caddyfileFor(t, "audience https://api.example.com",
					"issuer "+issuerHere+" {\nkeys "+keys+"\nalgorithms "+algorithm+"\n}")
				token, err := mint("--config", config, "--issuer", issuerHere, "--private-key", private)
				if err != nil {
					t.Fatal(err)
				}
				opens(t, config, token)
				header, payload := parts(t, token)
				want := any("k-" + algorithm)
				if strings.Contains(form, "PEM") {
					want = nil // PEM has no key ids
				}
				if header["kid"] != want || header["alg"] != algorithm {
					t.Errorf("header %v", header)
				}
				if payload["iss"] != issuerHere || payload["aud"] != "https://api.example.com" || payload["sub"] != "test-user" {
					t.Errorf("payload %v", payload)
				}
			})
		}
	}
}

// A token has what the gate and the issuer's block ask for, without any flag.
func TestMintKnowsWhatTheGateAsksOfAnIssuer(t *testing.T) {
	for name, c := range map[string]struct {
		gate []string
		args []string
		want string // member of the header or payload, as JSON
	}{
		"audience of the gate": {[]string{"audience urn:a urn:b", issuerOf()}, nil, `"aud":"urn:a"`},
		"audience of both":     {[]string{"audience urn:a urn:b", issuerOf("audience urn:c urn:b")}, nil, `"aud":"urn:b"`},
		"two audiences":        {[]string{"audience urn:a", issuerOf("audience urn:c")}, nil, `"aud":["urn:c","urn:a"]`},
		"any audience":         {[]string{issuerOf("audience any")}, nil, `"sub":"test-user"`},
		"audience of the issuer": {[]string{issuerOf("audience urn:c")}, nil,
			`"aud":"urn:c"`},
		"the profile": {[]string{issuerOf("audience urn:c", "profile rfc9068")}, nil, `"client_id":"mint"`},
		"the profile and its type": {[]string{issuerOf("audience any", "profile rfc9068")}, nil,
			`"typ":"at+jwt"`},
		"a type":    {[]string{issuerOf("audience any", "type x+jwt y+jwt")}, nil, `"typ":"x+jwt"`},
		"scopes":    {[]string{"audience any", "require scope a b", issuerOf()}, nil, `"scope":"a b"`},
		"a subject": {[]string{"audience any", issuerOf()}, []string{"--subject", "zoe"}, `"sub":"zoe"`},
		"a claim of the flags": {[]string{"audience any", issuerOf("required_claims email")},
			[]string{"--claim", "email=zoe@example.com"}, `"email":"zoe@example.com"`},
		"a group": {[]string{"audience any", "require group staff", issuerOf()},
			[]string{"--claim", `groups=["staff"]`}, `"groups":["staff"]`},
		"base64": {[]string{"audience any", "issuer " + issuerHere + " {\nkeys secret " +
			base64.StdEncoding.EncodeToString([]byte(secretHere)) + " base64\n}"}, nil, `"alg":"HS256"`},
		"the algorithm of the issuer": {[]string{"audience any", "issuer " + issuerHere + " {\nkeys secret " + secretHere +
			"4c0b7e92d16f83a5c7e1904b2d68fa35\nalgorithms HS512\n}"}, nil, `"alg":"HS512"`},
		"a bound on the life": {[]string{"audience any", "max_lifetime 10m", issuerOf("max_lifetime 20s")},
			[]string{"--lifetime", "20s"}, `"typ":"JWT"`},
		"opaque tokens elsewhere": {[]string{"audience any",
			issuerOf("introspect {", "client_id a", "auth_method none", "}")}, nil, `"alg":"HS256"`},
		"a key claim that credentials use": {[]string{"audience any", "key_claim kid", bobWithASecret, issuerOf()}, nil,
			`"iss":"` + issuerHere + `"`},
	} {
		t.Run(name, func(t *testing.T) {
			config := caddyfileFor(t, c.gate...)
			token, err := mint(append([]string{"--config", config, "--issuer", issuerHere}, c.args...)...)
			if err != nil {
				t.Fatal(err)
			}
			opens(t, config, token)
			header, payload := parts(t, token)
			if all := asJSON(t, header) + asJSON(t, payload); !strings.Contains(all, c.want) {
				t.Errorf("%s is not in %s", c.want, all)
			}
		})
	}
}

func TestMintOfAnIssuerMakesAnExpiredToken(t *testing.T) {
	for _, bound := range []string{"leeway 0s", "max_lifetime 30s"} {
		config := caddyfileFor(t, "audience any", issuerOf(bound))
		token, err := mint("--config", config, "--issuer", issuerHere, "--lifetime=-1m")
		if err != nil {
			t.Fatal(err)
		}
		if status, _ := send(t, config, token); status != http.StatusUnauthorized {
			t.Errorf("status %d, want 401", status)
		}
	}
}

// A token that cannot be made, or that the gate would refuse, is not printed. The error says how to get one.
func TestMintOfAnIssuerSaysWhatIsWrong(t *testing.T) {
	ours, theirs := tokentest.NewKey(t, "ES256", "ours"), tokentest.NewKey(t, "ES256", "theirs")
	public, other := newFile(t, "ours.pem", ours.PublicPEM()), newFile(t, "theirs.pem", theirs.PrivatePEM())
	private := newFile(t, "private.pem", ours.PrivatePEM())
	byFile := "issuer " + issuerHere + " {\naudience any\nkeys file " + public + "\n}"
	for name, c := range map[string]struct {
		gate []string
		args []string
		want string
	}{
		"keys elsewhere": {[]string{"audience any", "issuer " + issuerHere}, nil,
			"only its authorization server can sign, because its keys are there (keys discovery)"},
		"no keys": {[]string{"audience any", "issuer " + issuerHere + " {\nkeys none\nintrospect {\nclient_id a\n" +
			"auth_method none\n}\n}"}, nil, "(keys none)"},
		"an issuer that is asked": {[]string{"audience any", issuerOf("introspect always {", "client_id a",
			"auth_method none", "}")}, nil, "is asked about every token (introspect)"},
		"a route that asks": {[]string{"audience any", "introspect force", issuerOf("introspect {", "client_id a",
			"auth_method none", "}")}, nil, "is asked about every token (introspect)"},
		"another issuer": {[]string{"audience any", "issuer " + issuerHere + "/"}, nil,
			`has no issuer "` + issuerHere + `"; it has: ` + issuerHere + "/; the name must be the same, to the last slash"},
		"no issuer":        {[]string{bobWithASecret}, nil, "has no issuer"},
		"no private key":   {[]string{byFile}, nil, "give the private key of one of them with --private-key"},
		"another key":      {[]string{byFile}, []string{"--private-key", other}, "is not a key of issuer"},
		"its public key":   {[]string{byFile}, []string{"--private-key", public}, "is not a private key"},
		"no such key file": {[]string{byFile}, []string{"--private-key", "/does/not/exist"}, "no such file"},
		"a key for a secret": {[]string{issuerOf("audience any")}, []string{"--private-key", private},
			"signs with its secret: leave out --private-key"},
		"a consumer, too": {[]string{byFile}, []string{"--consumer", "bob"}, "--consumer and --issuer exclude each other"},
		"a credential":    {[]string{byFile}, []string{"--credential", "x"}, "--credential belongs to --consumer"},
		"another iss": {[]string{issuerOf("audience any")}, []string{"--claim", "iss=x"},
			"this claim names the issuer; use --issuer instead"},
		"too long a life": {[]string{"audience any", "max_lifetime 1h", issuerOf("max_lifetime 1m")}, nil,
			"give --lifetime=1m0s or less"},
		"a missing claim": {[]string{issuerOf("audience any", "required_claims email")}, nil,
			"missing_claim"},
		"a missing group": {[]string{"audience any", "require group staff", issuerOf()}, nil, "--claim groups="},
		"another audience": {[]string{issuerOf("audience urn:c")}, []string{"--claim", "aud=x"},
			"leave out --claim aud"},
	} {
		t.Run(name, func(t *testing.T) {
			config := caddyfileFor(t, c.gate...)
			out, err := mint(append([]string{"--config", config, "--issuer", issuerHere}, c.args...)...)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("output %q, error %v; want %q", out, err, c.want)
			}
			if strings.Contains(out, "eyJ") || err != nil && strings.Contains(err.Error(), secretHere) {
				t.Errorf("a token was printed, or the secret: %s, %v", out, err)
			}
		})
	}
	if _, err := mint("--consumer", "bob", "--subject", "zoe"); err == nil ||
		!strings.Contains(err.Error(), "--subject belongs to --issuer") {
		t.Error(err)
	}
}

// If several gates know the issuer, one that accepts the token is enough.
func TestMintTriesEveryGateThatKnowsTheIssuer(t *testing.T) {
	config := newFile(t, "Caddyfile", "http://localhost {\nbearer_auth /a/* {\naudience any\nrequire group g\n"+issuerOf()+
		"\n}\nbearer_auth /b/* {\naudience any\n"+issuerOf()+"\n}\n}\n")
	if token, err := mint("--config", config, "--issuer", issuerHere); err != nil || strings.Count(token, ".") != 2 {
		t.Errorf("%q, %v", token, err)
	}
	_, err := mint("--config", config, "--issuer", issuerHere, "--claim", "aud=3")
	if err == nil || !strings.Contains(err.Error(), "2 gates know this issuer, and all refuse the token") {
		t.Error(err)
	}
}

// A party whose dates are in milliseconds gets a token with such dates.
func TestMintInMilliseconds(t *testing.T) {
	credential := "credential k {\nalgorithm HS256\nsecret " + secretHere + "\n}\n"
	people := newFile(t, "people.json", `[{"username": "bob", "tolerate": ["millisecond_dates"],
		"credentials": [{"key": "b", "algorithm": "HS256", "secret": "`+secretHere+`"}]}]`)
	for name, c := range map[string]struct{ block, party, who string }{
		"an issuer": {issuerOf("audience api", "tolerate millisecond_dates"), "--issuer", issuerHere},
		"a consumer": {"audience api\nconsumer alice {\ntolerate millisecond_dates\n" + credential + "}", "--consumer",
			"alice"},
		"a consumer of a file": {"audience api\nconsumers file " + people, "--consumer", "bob"},
	} {
		config := caddyfileFor(t, c.block)
		token, err := mint("--config", config, c.party, c.who)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		opens(t, config, token)
		if _, payload := parts(t, token); payload["exp"].(float64) < 1e12 {
			t.Errorf("%s: exp is %v", name, payload["exp"])
		}
	}
}
