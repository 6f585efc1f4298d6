package caddyjwt_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyjwt/gateway/caddyjwt"
)

// A configuration can be adapted without the variables and files of production. Loading it names what is missing.
func TestMissingValuesAreErrorsOnLoading(t *testing.T) {
	off := false
	ctx, err := caddy.ProvisionContext(&caddy.Config{Admin: &caddy.AdminConfig{
		Disabled: true, Config: &caddy.ConfigSettings{Persist: &off},
	}})
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct{ caddyfile, want string }{
		"a scope":               {inGate("require scope {env.GATE_TEST_UNSET}"), "{env.GATE_TEST_UNSET} has no value"},
		"an audience":           {inIssuer("audience https://{env.GATE_TEST_UNSET}"), "{env.GATE_TEST_UNSET} has no value"},
		"an issuer":             {named("{file./no/such/issuer}"), "{file./no/such/issuer} has no value"},
		"a consumer who is any": {inGate("anonymous {env.GATE_TEST_UNSET}"), "{env.GATE_TEST_UNSET} has no value"},
		"a group of a consumer": {inConsumer("groups {env.GATE_TEST_UNSET}"), "{env.GATE_TEST_UNSET} has no value"},
		"the URL of keys":       {inIssuer("keys jwks {env.GATE_TEST_UNSET}"), "{env.GATE_TEST_UNSET} has no value"},
		"a file of keys":        {inIssuer("keys file /no/such/keys.json"), "/no/such/keys.json"},
		"keys in a file":        {inIssuer("keys pem {file./no/such/keys.pem}"), "{file./no/such/keys.pem} has no value"},
		"a shared secret": {inIssuer("keys secret {env.GATE_TEST_UNSET} base64"),
			"{env.GATE_TEST_UNSET} has no value"},
		"a header for requests": {inIssuer("header_up X-Key {env.GATE_TEST_UNSET}"),
			"{env.GATE_TEST_UNSET} has no value"},
		"an authority": {inIssuer("tls {\n\t\t\t\tca /no/such/ca.pem\n\t\t\t}"), "/no/such/ca.pem"},
		"a client certificate": {inIssuer("tls {\n\t\t\t\tclient_cert /no/such/c.pem\n\t\t\t\t" +
			"client_key /no/such/k.pem\n\t\t\t}"), "/no/such/c.pem"},
		"a secret of our client": {inIssuer("introspect {\n\t\t\t\tclient_id a\n\t\t\t\t" +
			"client_secret {env.GATE_TEST_UNSET}\n\t\t\t}"), "{env.GATE_TEST_UNSET} has no value"},
		"a key of our client": {inIssuer("introspect {\n\t\t\t\tclient_id a\n\t\t\t\tprivate_key /no/such/key.pem\n\t\t\t}"),
			"/no/such/key.pem"},
		"a consumer's secret": {inConsumer("credential k {\n\t\t\t\talgorithm HS256\n\t\t\t\t" +
			"secret {env.GATE_TEST_UNSET}\n\t\t\t}"), "{env.GATE_TEST_UNSET} has no value"},
		"the end of a credential": {inConsumer("tolerate missing_exp\n\t\t\tcredential k {\n\t\t\t\talgorithm HS256\n" +
			"\t\t\t\tsecret 9d1f8a3c5e7b42604f8e1a2b3c4d5e6f\n\t\t\t\texpires {env.GATE_TEST_UNSET}\n\t\t\t}"),
			"{env.GATE_TEST_UNSET} has no value"},
		"a consumer's key": {inConsumer("credential k {\n\t\t\t\talgorithm RS256\n\t\t\t\t" +
			"public_key /no/such/key.pem\n\t\t\t}"), "/no/such/key.pem"},
	} {
		t.Run(name, func(t *testing.T) {
			text := adapted(t, test.caddyfile)
			if strings.HasPrefix(text, "error: ") {
				t.Fatalf("it cannot be adapted: %s", text)
			}
			var handler map[string]any
			if err := json.Unmarshal([]byte(text), &handler); err != nil {
				t.Fatal(err)
			}
			delete(handler, "handler")
			child, cancel := caddy.NewContext(ctx)
			defer cancel()
			_, err := child.LoadModuleByID("http.handlers.bearer_auth", encode(t, handler))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("loading it: %v, want %q", err, test.want)
			}
		})
	}
}

// The error for a word of another product says what to write here.
func TestWordsOfOtherProductsAreKnown(t *testing.T) {
	for _, word := range strings.Fields(`
		uri_param_names header_names cookie_names key_claim_name claims_to_verify secret_is_base64 run_on_preflight
		maximum_expiration sign_key sign_alg jwk_url from_query from_header from_cookies issuer_whitelist audience_whitelist
		user_claims meta_claims skip_verification remote_jwks jwksUri audiences forward_payload_header outputPayloadToHeader
		from_headers from_params auth_jwt_key_request auth_jwt_key_file auth_jwt_leeway oidc_issuer_url
		skip_jwt_bearer_tokens jwks_url scope scopes insecure_skip_verify jwks discovery url
		config.uri_param_names config.header_names oidc-issuer-url oidc-jwks-url jwksUrl insecureSkipVerify cookieName
		groups_required value_prefix allow_missing auth_jwt_require_claim allowed_roles iss aud alg ca_file forward_claim
		request_header requires_any not_values prefix_match`) {
		for place, caddyfile := range map[string]string{
			"the handler": inGate(word + " x"), "an issuer": inIssuer(word + " x"),
		} {
			hint := regexp.MustCompile(`: unrecognized subdirective "` + word + `" \(.+\), at Caddyfile:5\n$`)
			if got := adapted(t, caddyfile); !hint.MatchString(got) {
				t.Errorf("%s in %s: %s", word, place, got)
			}
		}
	}
}

// The sentences name words that exist.
func TestSentencesAboutOtherProductsNameOurWords(t *testing.T) {
	known := make(map[string]bool)
	for _, entries := range caddyjwt.Directive.Tables() {
		for _, entry := range entries {
			known[entry.Name] = true
		}
	}
	named := regexp.MustCompile(`: ([a-z_]+)`)
	checked := 0
	for word, sentence := range caddyjwt.Directive.Foreign {
		for _, found := range named.FindAllStringSubmatch(sentence, -1) {
			if checked++; !known[found[1]] && found[1] != "an" && found[1] != "a" && found[1] != "leave" {
				t.Errorf("%s: %q is not a word here: %s", word, found[1], sentence)
			}
		}
	}
	if checked < 50 {
		t.Errorf("only %d sentences name a word: the test cannot be right", checked)
	}
}
