package integration

import (
	"bytes"
	"compress/flate"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// Access tokens pass with each spelling of their types, and without a type. TestAttackHeaderOfTheToken has the types
// that do not pass.
func TestAttackKindTypesOfAccessTokens(t *testing.T) {
	s, issuer, key := claimSite(t)
	for _, typ := range []any{"JWT", "at+jwt", "application/at+jwt", "AT+JWT", nil} {
		s.attack(t, fmt.Sprintf("control: %v passes", typ), func(t *testing.T, a *attempt) {
			a.passed(a.send(key.Sign(t, issuedBy(issuer), map[string]any{"typ": typ})))
		})
	}
}

// Keycloak, Amazon Cognito and others write the kind of a token into its payload, under a header that any JWT may have.
// Key, issuer and audience are those of the access tokens. For consumers there is no audience at all (RFC 8725 section
// 3.12).
func TestAttackKindNamedInThePayload(t *testing.T) {
	key, shop := tokentest.NewKey(t, "ES256", "e1"), tokentest.NewKey(t, "HS256", "")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	secret, _ := shop.JWK()["k"].(string)
	s := start(t,
		gateFor(issuerByJWKS(as), "consumer shop {\ncredential shop-key {\nalgorithm HS256\nsecret "+secret+" base64\n}\n}"))
	object := map[string]any{}
	for name, claims := range map[string][]any{
		"nothing": nil, "typ Bearer": {"typ", "Bearer"}, "typ JWT": {"typ", "JWT"},
		"token_use access": {"token_use", "access"}, "token_type access": {"token_type", "access"},
		"events that are a list": {"events", []string{"login"}}, "events that are a text": {"events", "login"},
		"at_hash, as dex has it": {"at_hash", "x"}, "a nonce": {"nonce", "n"},
		"htm without htu": {"htm", "GET"}, "a status": {"status", map[string]any{"status_list": object}},
		"a type of its own": {"type", "app", "typ", "user", "token_type", "M2M"},
	} {
		s.attack(t, "control: "+name+" passes", func(t *testing.T, a *attempt) {
			a.passed(a.send(key.Sign(t, issuedBy(as.URL, claims...))))
			a.passed(a.send(shop.Sign(t, issuedBy("shop-key", claims...))))
		})
	}
	head := map[string]string{`,"typ":"JWT"`: "JWT", `,"typ":"at+jwt"`: "at+jwt", "": "none"}
	for name, members := range tokentest.OtherKinds() {
		for typ, typName := range head {
			payload := func(issuer string) string {
				text := asJSON(t, issuedBy(issuer))
				return text[:len(text)-1] + "," + members + "}"
			}
			s.attack(t, name+", typ "+typName, func(t *testing.T, a *attempt) {
				for range 3 {
					a.refusedFor(a.send(key.SignRaw(`{"alg":"ES256","kid":"e1"`+typ+`}`, payload(as.URL))), "invalid_type")
					a.refusedFor(a.send(shop.SignRaw(`{"alg":"HS256"`+typ+`}`, payload("shop-key"))), "invalid_type")
				}
			})
		}
	}
}

// Where any audience is allowed, nothing may tell an access token from a refresh token. Those of InterSystems IRIS'
// /login have one key, one typ and one issuer, and no audience.
func TestAttackKindRefreshTokenForAnyAudience(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "")
	file := writeFile(t, filepath.Join(t.TempDir(), "iris.pem"), key.PublicPEM())
	s := start(t, gateFor("issuer InterSystems {\nkeys file "+file+"\naudience any\n}"))
	pair := func(life int64, changes ...any) string {
		now := time.Now()
		return key.Sign(t,
			claims(append([]any{"iss", "InterSystems", "aud", nil, "iat", float64(now.UnixMicro()) / 1e6, "exp",
				now.Unix() + life,
				"sid", "dY01bRT0faBRrnWgBq2aFikW", "app", "/api/ttrg/"}, changes...)...))
	}
	s.attack(t, "control: the access token passes", func(t *testing.T, a *attempt) {
		a.passed(a.send(pair(60, "sub", "_SYSTEM")))
	})
	s.attack(t, "the refresh token", func(t *testing.T, a *attempt) {
		token := pair(900, "sub", nil)
		for range 3 {
			a.refusedFor(a.send(token), "missing_claim")
		}
	})
	if n := strings.Count(s.log(), "audience any: an ID token or a refresh token of this issuer"); n != 1 {
		t.Errorf("%d warnings that nothing tells the tokens apart, want one", n)
	}
}

// The server calls a refresh token active. oidc-provider leaves out token_type then, and gives no other hint.
func TestAttackKindRefreshTokenThatIsActive(t *testing.T) {
	s := prepare(t)
	as := introspector(t)
	answers := func(changes ...any) {
		as.Introspect(always(active(append([]any{"aud", nil, "client_id", "app"}, changes...)...)))
	}
	for name, lines := range map[string][]string{"keys none": {"keys none"}, "with keys": {"keys jwks " + as.JWKSURL()}} {
		block := "issuer " + as.URL + " {\naudience any\n" + strings.Join(lines, "\n") +
			"\nintrospect opaque {\nclient_id gateway\nclient_secret " + gatewaySecret +
			"\nauth_method client_secret_basic\ncache_ttl 0s\n}\n"
		for _, typ := range []string{"Bearer", "bearer", "access_token", "N_A",
			"urn:ietf:params:oauth:token-type:access_token"} {
			s.attack(t, name+": control: token_type "+typ+" passes", func(t *testing.T, a *attempt) {
				a.restart(gateFor(block + "}"))
				answers("token_type", typ)
				a.passed(a.send("opaque"))
			})
		}
		s.attack(t, name+": a refresh token", func(t *testing.T, a *attempt) {
			a.restart(gateFor(block + "}"))
			answers()
			a.refusedFor(a.send("refresh"), "invalid_type")
			a.restart(gateFor(block + "required_claims token_type\n}"))
			a.refusedFor(a.send("refresh"), "missing_claim")
			answers("token_type", "DPoP")
			a.refusedFor(a.send("bound"), "proof_required")
		})
	}
}

// A route wants access tokens of the profile of RFC 9068, and gets ID tokens and others that look alike (section 4).
// Type and claims must all be right.
func TestAttackKindAccessTokenProfile(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "e1")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	s := start(t, gateFor(issuerByJWKS(as, "profile rfc9068")))
	full := []any{"client_id", "c", "jti", "j"}
	for _, typ := range []string{"at+jwt", "AT+JWT", "application/at+jwt"} {
		s.attack(t, "control: "+typ+" passes", func(t *testing.T, a *attempt) {
			a.passed(a.send(key.Sign(t, issuedBy(as.URL, full...), map[string]any{"typ": typ})))
		})
	}
	for name, typ := range map[string]any{"JWT": "JWT", "jwt": "jwt", "none": nil, "at+jwt with a parameter": "at+jwt;x=1",
		"an array": []string{"at+jwt"}, "jat+jwt": "jat+jwt", "text/at+jwt": "text/at+jwt"} {
		s.attack(t, "typ "+name, func(t *testing.T, a *attempt) {
			a.refusedFor(a.send(key.Sign(t, issuedBy(as.URL, full...), map[string]any{"typ": typ})), "invalid_type",
				"malformed_token")
		})
	}
	for _, claim := range []string{"iss", "exp", "aud", "sub", "client_id", "iat", "jti"} {
		s.attack(t, "without "+claim, func(t *testing.T, a *attempt) {
			c := issuedBy(as.URL, full...)
			delete(c, claim)
			a.refusedFor(a.send(key.Sign(t, c, map[string]any{"typ": "at+jwt"})), "missing_claim", "unknown_issuer",
				"invalid_audience")
		})
	}
}

// Encrypted tokens in all the forms that broke decrypters: forgeries with the public key alone (CVE-2026-29000), zip
// bombs (CVE-2024-28180, CVE-2025-63811), short tags (CVE-2018-1000539), padding oracles (GHSA-rm8v-mxj3-5rmq). The
// gate decrypts none of them, and gives all the same answer at little cost.
func TestAttackKindEncrypted(t *testing.T) {
	s, issuer, key := claimSite(t)
	foreign := tokentest.NewKey(t, "ES256", "foreign").WithKID("e1")
	var bomb bytes.Buffer
	w, _ := flate.NewWriter(&bomb, flate.BestCompression)
	_, _ = w.Write(make([]byte, 8<<20))
	_ = w.Close()
	unsecured := b64(`{"alg":"none"}`) + "." + b64(asJSON(t, issuedBy(issuer))) + "."
	jwe := func(header string, parts ...string) string {
		text := b64(header)
		for _, part := range parts {
			text += "." + b64(part)
		}
		return text
	}
	key32, iv, tag := strings.Repeat("k", 256), strings.Repeat("i", 12), strings.Repeat("t", 16)
	nested := jwe(`{"alg":"dir","enc":"A256GCM","cty":"JWT"}`, "", iv, unsecured, tag)
	answers := make(map[string]bool)
	for name, token := range map[string]string{
		"around an unsecured token": jwe(`{"alg":"RSA-OAEP-256","enc":"A256GCM","cty":"JWT"}`, key32, iv, unsecured, tag),
		"around one with an empty alg": jwe(`{"alg":"RSA-OAEP-256","enc":"A256GCM","cty":"JWT"}`, key32, iv,
			b64(`{"alg":""}`)+"."+b64(asJSON(t, issuedBy(issuer)))+".", tag),
		"around one without alg": jwe(`{"alg":"RSA-OAEP-256","enc":"A256GCM","cty":"JWT"}`, key32, iv,
			b64(`{}`)+"."+b64(asJSON(t, issuedBy(issuer)))+".", tag),
		"around a foreign token": jwe(`{"alg":"RSA-OAEP-256","enc":"A256GCM","cty":"JWT"}`, key32, iv,
			foreign.Sign(t, issuedBy(issuer)), tag),
		"around a good token": jwe(`{"alg":"RSA-OAEP-256","enc":"A256GCM","cty":"JWT"}`, key32, iv,
			key.Sign(t, issuedBy(issuer)), tag),
		"a zip bomb":            jwe(`{"alg":"dir","enc":"A256GCM","zip":"DEF"}`, "", iv, bomb.String()[:7000], tag),
		"a tag of one byte":     jwe(`{"alg":"dir","enc":"A256GCM"}`, "", iv, "c", "t"),
		"a tag of four bytes":   jwe(`{"alg":"dir","enc":"A256GCM"}`, "", iv, "c", "tttt"),
		"a tag of twelve bytes": jwe(`{"alg":"dir","enc":"A256GCM"}`, "", iv, "c", "tttttttttttt"),
		"no tag":                jwe(`{"alg":"dir","enc":"A256GCM"}`, "", iv, "c", ""),
		"RSA1_5":                jwe(`{"alg":"RSA1_5","enc":"A128CBC-HS256"}`, key32, iv, "c", tag),
		"CBC with a wrong tag": jwe(`{"alg":"dir","enc":"A128CBC-HS256"}`, "", strings.Repeat("i", 16),
			strings.Repeat("c", 32), tag),
		"CBC with another wrong tag": jwe(`{"alg":"dir","enc":"A128CBC-HS256"}`, "", strings.Repeat("i", 16),
			strings.Repeat("c", 31)+"\x01", tag),
		"dir with a key part": jwe(`{"alg":"dir","enc":"A256GCM"}`, key32, iv, "c", tag),
		"PBES2 with a billion rounds": jwe(`{"alg":"PBES2-HS256+A128KW","enc":"A128GCM","p2c":2147483647,"p2s":"AAAA"}`,
			key32, iv, "c", tag),
		"in JWE in JWE": jwe(`{"alg":"dir","enc":"A256GCM","cty":"JWT"}`, "", iv,
			jwe(`{"alg":"dir","enc":"A256GCM","cty":"JWT"}`, "", iv, nested, tag), tag),
		"ECDH-ES with an invalid point": jwe(
			`{"alg":"ECDH-ES","enc":"A128GCM","epk":{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}}`, "", iv, "c",
			tag),
		"header of a JWS": jwe(`{"alg":"ES256","kid":"e1"}`, "", iv, "c", tag),
		"in three parts": key.SignRaw(`{"alg":"ES256","kid":"e1","enc":"A128GCM"}`,
			asJSON(t, issuedBy(issuer))),
		"named dir in three parts": key.SignRaw(`{"alg":"dir","kid":"e1","enc":"A128GCM"}`, asJSON(t, issuedBy(issuer))),
		"in five empty parts":      "....",
	} {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			var got answer
			a.cheaply(func() { got = a.send(token) })
			a.refusedFor(got, "malformed_token", "unsupported_algorithm", "malformed_request")
			answers[got.Header.Get("WWW-Authenticate")+got.body] = true
		})
	}
	if len(answers) != 1 {
		t.Errorf("%d different answers: %v", len(answers), answers)
	}
}
