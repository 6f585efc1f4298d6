package caddyjwt

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// A mistake is an error when the configuration loads, and the error says what to do.
func TestProvisionErrors(t *testing.T) {
	alice := consumerJSON(t)
	t.Setenv("NOT_UTF8", "https://\xff.example")
	issuer := func(members string) string {
		return `{"audience":["x"],"issuers":[{"issuer":"https://as.example",` + members + `}]}`
	}
	for name, test := range map[string]struct{ text, want string }{
		"nobody":                  {`{}`, "nobody vouches"},
		"unknown word":            {`{"relam":"x"}`, "relam"},
		"no audience":             {`{"issuers":[{"issuer":"https://as.example"}]}`, "no audience"},
		"empty audience":          {`{"audience":[""],"issuers":[{"issuer":"https://as.example"}]}`, "audience"},
		"audience any and values": {`{"audience":["x"],"any_audience":true,"consumers":[` + alice + `]}`, "audience"},
		"issuer without a name":   {`{"audience":["x"],"issuers":[{}]}`, "no name"},
		"issuer that is not UTF-8": {`{"audience":["x"],"issuers":[{"issuer":"{env.NOT_UTF8}","keys":{"source":"jwks",` +
			`"url":"https://a.example"}}]}`, "UTF-8"},
		"unset variable":        {`{"audience":["{env.NOT_SET_ANYWHERE}"],"consumers":[` + alice + `]}`, "audience"},
		"negative leeway":       {`{"leeway":-1,"consumers":[` + alice + `]}`, "leeway"},
		"long leeway":           {`{"leeway":"6m","consumers":[` + alice + `]}`, "leeway"},
		"negative max_lifetime": {`{"max_lifetime":-5,"consumers":[` + alice + `]}`, "max_lifetime"},
		"large token size":      {`{"max_token_size":2000000,"consumers":[` + alice + `]}`, "max_token_size"},
		"negative token size":   {`{"max_token_size":-1,"consumers":[` + alice + `]}`, "max_token_size"},
		"negative cache":        {`{"cache_size":-2,"consumers":[` + alice + `]}`, "cache"},
		"tiny cache":            {`{"cache_size":100,"consumers":[` + alice + `]}`, "smaller than"},
		"unknown place":         {`{"token_from":[{"in":"body","name":"x"}],"consumers":[` + alice + `]}`, "token_from"},
		"scheme of a cookie": {`{"token_from":[{"in":"cookie","name":"x","scheme":"y"}],"consumers":[` + alice + `]}`,
			"scheme"},
		"place that wants a proof": {`{"token_from":[{"in":"header","name":"Authorization","scheme":"DPoP"}],"consumers":[` +
			alice + `]}`, "RFC 9449 section 7.1"},
		"place for a proxy": {`{"token_from":[{"in":"header","name":"Proxy-Authorization","scheme":"Bearer"}],` +
			`"consumers":[` + alice + `]}`, "RFC 9110 section 11.7"},
		"place of a subprotocol": {`{"token_from":[{"in":"header","name":"Sec-WebSocket-Protocol"}],"consumers":[` +
			alice + `]}`, "RFC 6455 section 1.9"},
		"realm with a control": {`{"realm":"a\u0001b","consumers":[` + alice + `]}`, "realm"},
		"optional_expired alone": {`{"optional_expired":true,"token_from":[{"in":"cookie","name":"t"}],"consumers":[` +
			alice + `]}`, "set optional, too"},
		"an error format that does not exist": {`{"error_format":"html","consumers":[` + alice + `]}`,
			`unknown error_format "html": the only one is problem`},
		"mcp without rules":     {`{"mcp":{},"consumers":[` + alice + `]}`, "mcp says nothing"},
		"mcp without tools":     {`{"mcp":{"tools":[],"default":"deny"},"consumers":[` + alice + `]}`, "empty list"},
		"a tool without scopes": {`{"mcp":{"tools":[{"name":"a","scopes":[]}]},"consumers":[` + alice + `]}`, "empty list"},
		"a method without scopes": {`{"mcp":{"methods":[{"name":"ping"}]},"consumers":[` + alice + `]}`,
			`method "ping" needs a scope`},
		"a tool with two spellings": {`{"mcp":{"tools":[{"name":"größe"}],"default":"allow"},"consumers":[` + alice + `]}`,
			`can be listed only with "default deny"`},
		"an unknown end_at_expiry": {`{"end_at_expiry":"some","consumers":[` + alice + `]}`,
			`unknown end_at_expiry "some": expected streams or all`},
		"optional and anonymous": {`{"optional":true,"anonymous":"alice","consumers":[` + alice + `]}`, "exclude"},
		"unknown anonymous":      {`{"anonymous":"bob","consumers":[` + alice + `]}`, "does not exist"},
		"consumer twice":         {`{"consumers":[` + alice + `,` + alice + `]}`, "alice"},
		"issuer over http":       {`{"audience":["x"],"issuers":[{"issuer":"http://as.example"}]}`, "http"},
		"unknown source":         {issuer(`"keys":{"source":"ldap"}`), "ldap"},
		"no source":              {issuer(`"keys":{}`), "expected discovery"},
		"jwks without a url":     {issuer(`"keys":{"source":"jwks"}`), "needs a url"},
		"jwks over http":         {issuer(`"keys":{"source":"jwks","url":"http://as.example/jwks"}`), "http"},
		"missing file":           {issuer(`"keys":{"source":"file","path":"/does/not/exist"}`), "/does/not/exist"},
		"a directory as file":    {issuer(`"keys":{"source":"file","path":"/"}`), "keys file"},
		"pem of nothing":         {issuer(`"keys":{"source":"pem","pem":"x"}`), "keys pem"},
		"private key as pem": {issuer(`"keys":{"source":"pem","pem":` +
			quote(tokentest.NewKey(t, "ES256", "p").PrivatePEM()) + `}`), "private"},
		"short secret": {issuer(`"keys":{"source":"secret","secret":"short"}`), "secret"},
		"a secret that is a word": {issuer(`"keys":{"source":"secret","secret":"hunter22hunter22hunter22hunter22"}`),
			"keys secret: unusable key: too weak"},
		"a consumer's weak secret": {`{"consumers":[{"username":"a","credentials":[{"key":"k","algorithm":"HS256",` +
			`"secret":"hunter22hunter22hunter22hunter22"}]}]}`, `credential "k": secret: unusable key: too weak`},
		"the secret of an assertion": {issuer(`"introspect":{"client_id":"a",` +
			`"client_secret":"hunter22hunter22hunter22hunter22","auth_method":"client_secret_jwt"}`),
			"client_secret: unusable key: too weak"},
		"public key as secret": {issuer(`"keys":{"source":"secret","secret":` +
			quote(tokentest.NewKey(t, "ES256", "p").PublicPEM()) + `}`), "secret"},
		"HS256 with public keys": {issuer(`"algorithms":["HS256"]`), "never mixed"},
		"RS256 with a secret": {issuer(`"algorithms":["RS256"],"keys":{"source":"secret",` +
			`"secret":"9d1f8a3c5e7b42604f8e1a2b3c4d5e6f"}`), "never mixed"},
		"unknown algorithm":       {issuer(`"algorithms":["none"]`), "unknown algorithm"},
		"unknown profile":         {issuer(`"profile":"rfc1"`), "rfc1"},
		"profile against type":    {issuer(`"profile":"rfc9068","type":["jwt"]`), "contradicts"},
		"none without introspect": {issuer(`"keys":{"source":"none"}`), "nothing could verify"},
		"client_cert without key": {issuer(`"tls":{"client_cert":"x"}`), "go together"},
		"malformed pin":           {issuer(`"tls":{"pin":["x"]}`), "pin"},
		"missing ca":              {issuer(`"tls":{"ca":["/does/not/exist"]}`), "ca"},
		"introspect mode":         {issuer(`"introspect":{"mode":"maybe"}`), "maybe"},
		"introspect, no client":   {issuer(`"introspect":{}`), "introspect"},
		"introspect over http":    {issuer(`"introspect":{"endpoint":"http://as.example/i","auth_method":"none"}`), "http"},
		"userinfo with an audience": {issuer(`"introspect":{"verify":"userinfo","endpoint":"https://as.example/u"}`),
			"userinfo"},
		"long cache_ttl": {issuer(`"introspect":{"auth_method":"none","cache_ttl":"1h"}`), "TTL"},
		"signed without keys": {issuer(`"keys":{"source":"none"},"introspect":{"auth_method":"client_secret_basic",` +
			`"client_id":"a","client_secret":"b","signed":true}`), "none"},
		"signed with a secret": {issuer(`"keys":{"source":"secret","secret":"9d1f8a3c5e7b42604f8e1a2b3c4d5e6f"},` +
			`"introspect":{"client_id":"a","client_secret":"b","signed":true}`), "public keys"},
		"signed for nobody":      {issuer(`"introspect":{"bearer_token":"b","signed":true}`), "add client_id"},
		"no certificate to show": {issuer(`"introspect":{"client_id":"a","auth_method":"tls_client_auth"}`), "client_cert"},
		"prefix of no tokens": {issuer(`"introspect":{"mode":"always","verify":"userinfo","prefix":"x"}`),
			"prefix is about opaque tokens, which verify userinfo cannot accept"},
		"key_id of no key": {issuer(`"introspect":{"client_id":"a",` +
			`"client_secret":"9d1f8a3c5e7b42604f8e1a2b3c4d5e6f","key_id":"x"}`), "key_id names"},
		"raw_basic for userinfo": {issuer(`"introspect":{"mode":"always","verify":"userinfo","raw_basic":true}`),
			"raw_basic: UserInfo is asked with the token itself"},
		"signed userinfo without keys": {issuer(`"any_audience":true,"keys":{"source":"none"},` +
			`"introspect":{"verify":"userinfo","signed":true}`), "signed answers need the issuer's public keys"},
		"a client of unsigned userinfo": {issuer(`"introspect":{"mode":"always","verify":"userinfo","client_id":"a"}`),
			"client_id: UserInfo is asked with the token itself as the credential: remove it, or ask for signed answers"},
		"max_stale without fetching": {issuer(`"max_stale":"1h","keys":{"source":"none"},` +
			`"introspect":{"endpoint":"https://as.example/i","auth_method":"none"}`), "neither is fetched"},
		"request header without fetching": {issuer(`"request_headers":{"X-Key":["a"]},"keys":{"source":"none"},` +
			`"introspect":{"endpoint":"https://as.example/i","auth_method":"none"}`), "neither is fetched"},
		"placeholder as a claim": {`{"require":{"claims":[{"claim":"{env.NOT_UTF8}"}]},"consumers":[` + alice + `]}`,
			"require claim: placeholders are not resolved here"},
		"placeholder to forward": {`{"forward_claims":[{"claim":"{env.NOT_UTF8}","header":"X-A"}],"consumers":[` + alice +
			`]}`, "forward_claims: placeholders are not resolved here"},
		"placeholder as a place": {`{"token_from":[{"in":"query","name":"{env.NOT_UTF8}"}],"consumers":[` + alice + `]}`,
			"token_from: placeholders are not resolved here"},
		"placeholder as a type": {issuer(`"type":["{env.NOT_UTF8}"]`), "type: placeholders are not resolved here"},
		"placeholder as a required claim": {issuer(`"required_claims":["{file./etc/hostname}"]`),
			"required_claims: placeholders are not resolved here"},
		"placeholder of a param": {issuer(`"introspect":{"auth_method":"none","params":[{"name":"{env.NOT_UTF8}",` +
			`"value":"x"}]}`), "param: placeholders are not resolved here"},
		"two takers of opaque tokens": {`{"audience":["x"],"issuers":[
			{"issuer":"https://a.example","introspect":{"auth_method":"none"}},` +
			`{"issuer":"https://b.example","introspect":{"auth_method":"none"}}]}`, "prefix"},
		"one prefix for two": {`{"audience":["x"],"issuers":[
			{"issuer":"https://a.example","introspect":{"auth_method":"none","prefix":"p","mode":"always"}},
			{"issuer":"https://b.example","introspect":{"auth_method":"none","prefix":"p"}}]}`, "different \"prefix\""},
		"force without introspect": {`{"audience":["x"],"issuers":[{"issuer":"https://a.example"}],` +
			`"introspect":{"mode":"force"}}`, "force"},
		"nothing required":        {`{"require":{},"consumers":[` + alice + `]}`, "asks for nothing"},
		"empty list of audiences": {`{"audience":[],"consumers":[` + alice + `]}`, "audience is an empty list"},
		"empty list of scopes": {`{"require":{"scopes":[],"groups":["x"]},"consumers":[` + alice + `]}`,
			"require scope is an empty list"},
		"empty list of values": {`{"require":{"claims":[{"claim":"a","values":[]}]},"consumers":[` + alice + `]}`,
			"require claim a is an empty list"},
		"empty list of places": {`{"token_from":[],"consumers":[` + alice + `]}`, "token_from is an empty list"},
		"empty list of headers": {`{"consumer_headers":[],"consumers":[` + alice + `]}`,
			"consumer_headers is an empty list: leave it out to send all of them"},
		"empty list of algorithms":    {issuer(`"algorithms":[]`), "algorithms is an empty list"},
		"empty list of types":         {issuer(`"type":[]`), "type is an empty list"},
		"empty list of claims":        {issuer(`"required_claims":[]`), "required_claims is an empty list"},
		"empty list of pins":          {issuer(`"tls":{"server_name":"x","pin":[]}`), "pin is an empty list"},
		"header without a value":      {issuer(`"request_headers":{"X-Key":[]}`), "header_up X-Key is an empty list"},
		"tls without a setting":       {issuer(`"tls":{}`), "leave it out"},
		"ca without a certificate":    {issuer(`"tls":{"ca":["provision_test.go"]}`), "no certificate"},
		"empty introspect of a route": {`{"introspect":{},"consumers":[` + alice + `]}`, "says nothing"},
		"base64 without a secret":     {issuer(`"keys":{"source":"discovery","base64":true}`), "base64"},
		"short max_stale":             {issuer(`"max_stale":"30s"`), "max_stale 30s is less than 1m"},
		"null as a consumer":          {`{"consumers":[null,` + alice + `]}`, "username"},
		"null as an issuer":           {issuer(`"keys":null},null,{"issuer":"https://b.example"`), "no name"},
		"null as a credential":        {`{"consumers":[{"username":"a","credentials":[null]}]}`, "no algorithm"},
		"null as a forwarded claim":   {`{"forward_claims":[null],"consumers":[` + alice + `]}`, "forward_claims"},
		"null as a place":             {`{"token_from":[null],"consumers":[` + alice + `]}`, "token_from"},
		"a private key in base64": {`{"consumers":[{"username":"a","credentials":[{"key":"k","algorithm":"ES256",` +
			`"public_key":"MIGHAgEAMBMG/0123456789abcdef` + strings.Repeat("A", 150) + `"}]}]}`, "neither PEM"},
		"a short private key in base64": {`{"consumers":[{"username":"a","credentials":[{"key":"k","algorithm":"EdDSA",` +
			`"public_key":"MC4CAQAwBQYDK2VwBCIEIG/0123456789abcdef"}]}]}`, "neither PEM"},
		"the text of a client_key": {issuer(`"tls":{"client_cert":"provision_test.go","client_key":` +
			quote(tokentest.NewKey(t, "ES256", "p").PrivatePEM()) + `}`), "client_key"},
		"client_key in base64": {issuer(`"tls":{"client_cert":"provision_test.go",` +
			`"client_key":"MC4CAQAwBQYDK2VwBCIEIG/0123456789abcdef"}`), "client_key"},
		"the text of a key file": {issuer(`"keys":{"source":"file","path":` +
			quote(tokentest.NewKey(t, "ES256", "p").PrivatePEM()) + `}`), "keys file"},
		"a bound that is a number": {`{"require":{"claims":[{"claim":"a","at_least":18}]},"consumers":[` + alice + `]}`,
			`Caddy rounds the numbers of a configuration: write "18"`},
		"a bound that is empty": {`{"require":{"claims":[{"claim":"a","at_most":""}]},"consumers":[` + alice + `]}`,
			"at_least or at_most is empty"},
		"a bound that is null": {`{"require":{"claims":[{"claim":"a","at_most":null}]},"consumers":[` + alice + `]}`,
			"are texts"},
		"a bound that is a name": {`{"require":{"claims":[{"claim":"a","at_most":"x"}]},"consumers":[` + alice + `]}`,
			"is not a number"},
		"values and patterns": {`{"require":{"claims":[{"claim":"a","values":["x"],"like":["x/*"]}]},"consumers":[` +
			alice + `]}`, "exclude each other"},
		"no patterns": {`{"require":{"claims":[{"claim":"a","like":[]}]},"consumers":[` + alice + `]}`,
			"require claim a like is an empty list"},
		"no blocks": {`{"require":{"scopes":["a"],"any":[]},"consumers":[` + alice + `]}`,
			"require any is an empty list"},
		"an empty block":  {`{"require":{"any":[[]]},"consumers":[` + alice + `]}`, "at least two alternatives"},
		"null as a block": {`{"require":{"any":[null]},"consumers":[` + alice + `]}`, "at least two alternatives"},
		"an alternative that everybody meets": {`{"require":{"any":[[{"scopes":["a"]},{}]]},"consumers":[` + alice + `]}`,
			"an alternative asks for nothing"},
		"an alternative with a sign-in": {`{"require":{"any":[[{"scopes":["a"]},{"acr":["b"]}]]},"consumers":[` + alice +
			`]}`, "acr"},
		"an alternative that excludes nothing": {`{"require":{"any":[[{"scopes":["a"]},{"not":{}}]]},"consumers":[` + alice +
			`]}`, "excludes nothing"},
		"nothing excluded": {`{"require":{"not":{}},"consumers":[` + alice + `]}`, "require not excludes nothing"},
		"no excluded claims": {`{"require":{"not":{"scopes":["a"],"claims":[]}},"consumers":[` + alice + `]}`,
			"require not claims is an empty list"},
		"no excluded groups": {`{"require":{"not":{"scopes":["a"],"groups":[]}},"consumers":[` + alice + `]}`,
			"require not group is an empty list"},
		"a pattern that an environment variable makes wide": {
			`{"require":{"claims":[{"claim":"a","like":["{env.WIDE}*"]}]},"consumers":[` + alice + `]}`, "has no value"},
		"no required claims": {`{"require":{"scopes":["x"],"claims":[]},"consumers":[` + alice + `]}`,
			"require claims is an empty list"},
		"unsafe header":    {`{"forward_claims":[{"claim":"x","header":"Host"}],"consumers":[` + alice + `]}`, "Host"},
		"empty claim path": {`{"require":{"claims":[{"claim":"a..b"}]},"consumers":[` + alice + `]}`, "require"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, _ := newContext(t)
			_, err := ctx.LoadModuleByID("http.handlers.bearer_auth", json.RawMessage(test.text))
			if err == nil {
				t.Fatalf("accepted: %s", test.text)
			}
			if !strings.Contains(strings.ToLower(err.Error()), strings.ToLower(test.want)) {
				t.Errorf("error %q does not say %q", err, test.want)
			}
			for _, secret := range []string{encodeSecret(secretKey(t)), "BEGIN", "0123456789abcdef", "9d1f8a3c", "hunter22"} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("error %q quotes a secret or key", err)
				}
			}
			wantEmptyPool(t)
		})
	}
}

func quote(text string) string {
	quoted, err := json.Marshal(text)
	if err != nil {
		panic(err)
	}
	return string(quoted)
}

// An error does not quote a key in place of a path, which {file./path} instead of /path gives.
func TestErrorsDoNotQuoteKeysInPlaceOfPaths(t *testing.T) {
	const mark = "0123456789abcdef"
	jwk := filepath.Join(t.TempDir(), "jwk")
	if err := os.WriteFile(jwk, []byte(`{"kty":"OKP","kid":"a.example","d":"`+mark+`"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	keys := map[string]string{
		"PEM text":     "-----BEGIN PRIVATE KEY-----\n" + mark + "\n-----END PRIVATE KEY-----\n",
		"a line of it": "-----BEGIN PRIVATE KEY-----" + mark,
		"base64":       "MC4CAQAwBQYDK2VwBCIEIN/" + mark,
		"a JWK":        "{file." + jwk + "}",
	}
	for setting, handler := range map[string]string{
		"public_key": `{"consumers":[{"username":"a","credentials":[{"key":"k","algorithm":"EdDSA","public_key":%s}]}]}`,
		"private_key": `{"issuers":[{"issuer":"https://a.example","any_audience":true,"introspect":{"client_id":"a",` +
			`"private_key":%s}}]}`,
		"client_key": `{"issuers":[{"issuer":"https://a.example","any_audience":true,` +
			`"tls":{"client_cert":"testdata/adapt/p256.pub.pem","client_key":%s}}]}`,
		"ca":        `{"issuers":[{"issuer":"https://a.example","any_audience":true,"tls":{"ca":[%s]}}]}`,
		"keys file": `{"issuers":[{"issuer":"https://a.example","any_audience":true,"keys":{"source":"file","path":%s}}]}`,
	} {
		for form, key := range keys {
			t.Run(setting+" is "+form, func(t *testing.T) {
				ctx, _ := newContext(t)
				_, err := ctx.LoadModuleByID("http.handlers.bearer_auth", json.RawMessage(fmt.Sprintf(handler, quote(key))))
				if err == nil {
					t.Fatal("accepted")
				}
				if strings.Contains(err.Error(), mark) {
					t.Errorf("error %q quotes the key", err)
				}
			})
		}
	}
}
