package caddyjwt_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// inGate is a Caddyfile with this line of a bearer_auth block as its line 5.
func inGate(line string) string {
	return "example.com {\n\tbearer_auth {\n\t\tissuer https://auth.example.com\n\t\t" +
		"audience https://api.example.com\n\t\t" +
		line + "\n\t}\n}\n"
}

// inIssuer is one with this line of an issuer block as its line 5.
func inIssuer(line string) string {
	return "example.com {\n\tbearer_auth {\n\t\taudience https://api.example.com\n\t\t" +
		"issuer https://auth.example.com {\n\t\t\t" +
		line + "\n\t\t}\n\t}\n}\n"
}

// named is one whose issuer, in line 5, has this name. Its keys have an address of their own.
func named(issuer string) string {
	return "example.com {\n\tbearer_auth {\n\t\taudience https://api.example.com\n\n\t\tissuer " + issuer +
		" {\n\t\t\tkeys jwks https://auth.example.com/keys\n\t\t}\n\t}\n}\n"
}

// inConsumer is one with this line of a consumer block as its line 5.
func inConsumer(line string) string {
	return "example.com {\n\tbearer_auth {\n\t\tissuer https://auth.example.com\n\t\tconsumer alice {\n\t\t\t" +
		line + "\n\t\t}\n\t\taudience https://api.example.com\n\t}\n}\n"
}

// inMCP is one with this line of a block mcp as its line 5, after that of another tool.
func inMCP(line string) string {
	return "example.com {\n\tbearer_auth https://auth.example.com https://api.example.com {\n\t\tmcp {\n\t\t\ttool one\n" +
		"\t\t\t" + line + "\n\t\t}\n\t}\n}\n"
}

const secretHere = " {\n\t\talgorithm HS256\n\t\tsecret 9d1f8a3c5e7b42604f8e1a2b3c4d5e6f\n\t}"

// A value that is surely a mistake does not load. The error has the line, says what is wrong and what to write instead.
func TestMistakesOfACaddyfileNameTheCure(t *testing.T) {
	for name, test := range map[string]struct{ caddyfile, want string }{
		"a wildcard as tenant": {named("https://login.microsoftonline.com/*/v2.0"),
			`"tenants <value...>"`},
		"a wildcard in a tenant":    {named("https://login.microsoftonline.com/a*/v2.0"), "must be a whole segment"},
		"two wildcards":             {named("https://login.microsoftonline.com/*/*"), `exactly one "*"`},
		"a wildcard as issuer":      {named("*"), "write an issuer block for each one"},
		"a wildcard as audience":    {inIssuer("audience *"), `or write "audience any"`},
		"a wildcard in an audience": {inIssuer("audience /projects/1/global/backendServices/*"), "list each one"},
		"a wildcard in the second audience": {inIssuer("audience a https://*.example.com"),
			`audience "https://*.example.com"`},
		"a wildcard in a subject": {inGate("require claim sub repo:org/*"),
			"write require claim sub like repo:org/* (for"},
		"a wildcard in the last value": {inGate("require claim sub a b c*"), `require claim value "c*"`},
		"a wildcard in a path": {inGate("require claim realm_access.* admin"),
			"a claim path names one claim"},
		"a wildcard in a pointer":        {inGate("require claim /roles/* admin"), "a claim path names one claim"},
		"a wildcard in a required claim": {inIssuer("required_claims *"), "a claim path names one claim"},
		"a wildcard to forward":          {inGate("forward_claims X-Claims *"), "a claim path names one claim"},
		"a wildcard in a scope":          {inGate("require scope orders:*"), "a scope is compared exactly"},
		"a wildcard in a group":          {inGate("require group staff-*"), "a group is compared exactly"},
		"a wildcard as consumer":         {inGate("consumer *"), "a consumer has one name"},
		"a wildcard in a credential's key": {inConsumer("credential https://*.example.com" + secretHere),
			"write a credential for each key"},
		"a wildcard in a consumer's groups": {inConsumer("groups *"), "a group is compared exactly"},
		"a wildcard as type":                {inIssuer("type *"), "leave the word out"},
		"a wildcard in a header's name":     {inGate("token_from header X-Token-*"), "write a line for each place"},
		"a wildcard in a cookie's name":     {inGate("token_from cookie __Host-*"), "write a line for each place"},
		"a wildcard behind a prefix": {inIssuer("introspect {\n\t\t\t\tprefix op_*\n\t\t\t}"),
			"a prefix matches whatever follows it"},
		"a wildcard in a tool":   {inMCP("tool files_* scope files"), "write a line for each one"},
		"a comma behind a tool":  {inMCP("tool a, scope files"), `mcp tool "a,": values are separated by blanks`},
		"a comma between scopes": {inMCP("tool a scope x,y"), `mcp tool a scope "x,y": values are`},
		"a misspelt method":      {inMCP("method tool/call scope x"), `did you mean "tools/call"?`},
		"a scope of a tool without the word": {inMCP("tool a files:read"),
			"expected: tool <name> [scope <scope...>]"},
		"a tool with the word but without a scope": {inMCP("tool a scope"), "expected: tool <name>"},
		"a method without a scope":                 {inMCP("method ping"), "expected: method <name> scope <scope...>"},
		"a tool twice":                             {inMCP("tool one scope x"), "put all of its scopes on one line"},
		"another default":                          {inMCP("default ask"), `mcp default "ask": expected allow or deny`},
		"a placeholder as a tool":                  {inMCP("tool {env.TOOL}"), "placeholders are not resolved here"},
		"mcp without rules":                        {inGate("mcp"), "mcp says nothing: add a tool, a method or a default"},
		"a wildcard beside a placeholder": {named("https://{env.GATE_TEST_HOST}/*"),
			"write an issuer block for each one"},
		"a comma in an audience": {inIssuer("audience https://a,https://b"),
			"values are separated by blanks, not by commas: https://a https://b"},
		"a comma behind an audience": {inIssuer("audience https://a, https://b"), "by blanks"},
		"two variables and a comma": {inIssuer("audience {env.GATE_TEST_HOST},{env.GATE_TEST_HOST}"),
			"by blanks"},
		"a comma between audiences": {inIssuer("audience https://a , https://b"), "leave the comma out"},
		"a comma in algorithms": {inIssuer("algorithms RS256,ES256"),
			"values are separated by blanks, not by commas: RS256 ES256"},
		"a comma in scopes":              {inGate("require scope read,write"), "by commas: read write"},
		"a comma in groups":              {inGate("require group staff,editors"), "by commas: staff editors"},
		"a comma in a consumer's groups": {inConsumer("groups staff,editors"), "by commas: staff editors"},
		"a comma in types":               {inIssuer("type at+jwt,JWT"), "by commas: at+jwt JWT"},
		"a comma in a required claim":    {inIssuer("required_claims email,name"), "by commas: email name"},
		"a comma in a path":              {inGate("require claim email,name"), "by commas: email name"},
		"a comma behind a claim's value": {inGate("require claim roles admin, clerk"), "by commas: admin"},
		"a claim and its value in one":   {inGate("require claim azp=spa"), "require claim azp spa"},
		"the same with two equals signs": {inGate("require claim azp==spa"), "require claim azp spa"},
		"a claim and its value in an issuer": {inIssuer("required_claims azp=spa"),
			"outside the issuer block: require claim <path> <value...>"},
		"a scope among required claims": {inIssuer("required_claims scope orders:read"),
			`outside the issuer block, write "require scope …"`},
		"forward_claim, as it once was": {inGate("forward_claim sub X-User"),
			`unrecognized subdirective "forward_claim" (here: forward_claims <Header> <path>)`},
		"request_header, as it once was": {inIssuer("request_header X-Key a"),
			`unrecognized subdirective "request_header" (here, in an issuer block: header_up <name> <value>)`},
		"an operator of Caddy's header_up": {inIssuer("header_up +X-Key a"), `leave the "+" before the name out`},
		"an equals sign between": {inGate("require claim azp = spa"),
			"values follow the path without an operator"},
		"a comparison": {inGate("require claim age >= 18"), "here: require claim age at_least <number>"},
		"an index": {inGate("require claim roles[0] admin"),
			"to reach one element, use a JSON pointer: /roles/0"},
		"an index inside": {inGate("require claim realm.roles[0].name admin"), ": /realm/roles/0/name"},
		"an index of a name with slashes": {inGate("require claim https://a.example/roles[1] admin"),
			": /https:~1~1a.example~1roles/1"},
		"a name in brackets": {inGate("require claim realm['roles'] admin"), ": /realm/roles"},
		"every element": {inGate("require claim roles[*] admin"),
			"leave out the brackets: roles"},
		"the root of a path": {inGate("require claim $.roles admin"),
			`begins with a name, not with "$": roles`},
		"the root and an index": {inGate("forward_claims X-Role $.roles[0]"),
			"begins with a name"},
		"the root in brackets": {inIssuer("required_claims $['email']"), ": /email"},
		"an index to forward":  {inGate("forward_claims X-Role roles[0]"), ": /roles/0"},
		"a list to forward":    {inGate("forward_claims X-User sub,email"), "by commas: sub email"},
		"claim before header": {inGate("forward_claims sub X-User"),
			`did you mean "X-User sub"?`},
		"claim before header, lower case": {inGate("forward_claims preferred_username x-user"),
			`"x-user preferred_username"`},
		"path before header": {inGate("forward_claims realm_access.roles X-Roles"),
			`"X-Roles realm_access.roles"`},
		"URL before header": {inGate("forward_claims https://example.com/tenant X-Tenant"),
			`"X-Tenant https://example.com/tenant"`},
		"claim before header without hyphen": {inGate("forward_claims sub User"),
			`for a header named "sub", write "Sub"`},
		"claim before header with a colon": {inGate("forward_claims sub X-User:"), `"X-User sub"`},
		"an index behind a dot":            {inGate("require claim roles.[0] admin"), ": /roles/0"},
		"a consumer without a name":        {inGate("consumer"), "needs a username"},
		"placeholder before header": {inGate("forward_claims {http.auth.user.sub} X-User"),
			`"X-User sub"`},
		"a placeholder as claim":     {inGate("forward_claims X-User {http.auth.user.sub}"), "not a placeholder: write sub"},
		"a claim in braces":          {inGate("forward_claims X-User {sub}"), "not a placeholder: write sub"},
		"the user as claim":          {inGate("forward_claims X-User {http.auth.user.id}"), "not a placeholder: write sub"},
		"a required claim in braces": {inGate("require claim {roles} admin"), "not a placeholder: write roles"},
		"several scopes in quotes":   {inGate("require scope \"a b\""), "leave the quotes out: a b"},
		"prefetch in the gate":       {inGate("prefetch"), "in the global option bearer_auth"},
		"a path that is not guarded": {inGate("except /healthz"), "here: public <path...>"},
		"values in a block": {inGate("public {\n/healthz\n}"),
			"\"public\" takes no block: write its values on one line: public <path...>"},
		"a value in a block":       {inGate("realm {\napi\n}"), "\"realm\" takes no block"},
		"a header with a colon":    {inGate("forward_claims X-User: sub"), "leave out the colon"},
		"a header without a claim": {inGate("forward_claims X-User"), "expected: forward_claims <Header> <path> ["},
		"a header with two claims": {inGate("forward_claims X-User sub email"), "expected: forward_claims <Header>"},
		"an unknown encoding": {inGate("forward_claims X-User sub base64"),
			"an encoding is json, comma, base64url or percent"},
		"an encoding of the payload": {inGate("forward_payload X-Claims base64"),
			"expected: forward_payload <header> [padded]"},
		"off without consumers": {inGate("consumer_headers off"), "there is none: remove it"},
		"nothing to forward":    {inGate("forward_claims"), "expected: forward_claims <Header> <path> ["},
		"a scheme as header": {inGate("token_from header Bearer"),
			"Bearer is a scheme, not the name of a header: write token_from header Authorization Bearer"},
		"a scheme as place": {inGate("token_from bearer"), "token_from header Authorization Bearer"},
		"a header as place": {inGate("token_from Authorization Bearer"),
			"token_from header Authorization Bearer"},
		"a header with its colon":     {inGate("token_from header Authorization: Bearer"), "leave out the colon"},
		"header and scheme in quotes": {inGate(`token_from header "Authorization Bearer"`), "leave the quotes out"},
		"cookies as header":           {inGate("token_from header Cookie"), `write "cookie <name>"`},
		"several headers":             {inGate("token_from headers X-Token"), `did you mean "header"?`},
		"several cookies":             {inGate("token_from cookies token"), `did you mean "cookie"?`},
		"a parameter":                 {inGate("token_from param token"), `did you mean "query"?`},
		"a subprotocol":               {inGate("token_from header Sec-WebSocket-Protocol"), "RFC 6455 section 1.9"},
		"a token that needs a proof":  {inGate("token_from header Authorization DPoP"), "RFC 9449 section 7.1"},
		"credentials for a proxy":     {inGate("token_from header Proxy-Authorization"), "RFC 9110 section 11.7"},
		"metadata as issuer": {named("https://auth.example.com/.well-known/openid-configuration"),
			`write the value of its "issuer" member`},
		"metadata of RFC 8414 as issuer": {
			named("https://auth.example.com/.well-known/oauth-authorization-server/tenant"), `"/.well-known/"`,
		},
		"metadata of a variable as issuer": {named("{env.GATE_TEST_HOST}/.well-known/openid-configuration"),
			`"/.well-known/"`},
		"metadata of derived keys as issuer": {inGate("issuer https://b.example/.well-known/openid-configuration"),
			`"/.well-known/"`},
		"a key set as issuer":                  {named("https://auth.example.com/jwks.json"), "keys jwks <url>"},
		"a key set of oidc-provider as issuer": {named("https://auth.example.com/jwks"), "keys jwks <url>"},
		"a key set at the root as issuer":      {named("https://auth.example.com/certs"), "keys jwks <url>"},
		"a key set at the root as metadata": {inIssuer("keys discovery https://auth.example.com/keys"),
			"keys jwks <url>"},
		"a key set of Keycloak as issuer": {named("https://auth.example.com/realms/a/protocol/openid-connect/certs"),
			"keys jwks <url>"},
		"a key set of Entra ID as issuer": {named("https://login.microsoftonline.com/common/discovery/v2.0/keys"),
			"keys jwks <url>"},
		"a key set of Okta as issuer": {named("https://a.okta.com/oauth2/v1/keys"), "keys jwks <url>"},
		"an endpoint of Keycloak as issuer": {named("https://auth.example.com/realms/a/protocol/openid-connect/token"),
			`before "/protocol/"`},
		"two issuers in quotes": {named(`"https://a.example https://b.example"`), "one pair of quotes makes one value"},
		"two audiences in quotes": {inIssuer(`audience "https://a.example https://b.example"`),
			"leave the quotes out"},
		"quotes of a shell":             {inIssuer("audience 'https://a.example'"), `write "https://a.example"`},
		"the quotes of a claim's value": {inGate("require claim azp 'spa'"), `write "spa"`},
		"any audience in capitals":      {inIssuer("audience ANY"), `in lower case: any`},
		"any type":                      {inIssuer("type any"), "leave the word out"},
		"metadata as key set": {
			inIssuer("keys jwks https://auth.example.com/.well-known/openid-configuration"), "keys discovery <url>",
		},
		"metadata with a policy as key set": {
			inIssuer("keys jwks https://auth.example.com/v2.0/.well-known/openid-configuration?p=b2c_1"), "keys discovery <url>",
		},
		"metadata of RFC 8414 as key set": {
			inIssuer("keys jwks https://auth.example.com/.well-known/oauth-authorization-server/a"), "keys discovery <url>",
		},
		"a key set as metadata": {inIssuer("keys discovery https://auth.example.com/.well-known/jwks.json"),
			"keys jwks <url>"},
		"a file as key set": {inIssuer("keys jwks ./keys/set.json"), "keys file <path>"},
		"a key set as file": {inIssuer("keys file https://auth.example.com/jwks.json"),
			"keys jwks <url>"},
		"metadata as endpoint": {inIssuer("introspect {\n\t\t\t\t" +
			"endpoint https://a.example/.well-known/openid-configuration\n\t\t\t}"), "leave the word out"},
		"an endpoint as mode": {inIssuer("introspect https://a.example/introspect"), "endpoint <url>"},
		"an or between scopes": {inGate("require scope read or write"),
			"values stand side by side without an operator"},
		"a bar between groups": {inGate("require group staff | editors"),
			"values stand side by side without an operator"},
		"an or between alternatives": {inGate("require any_scope read or write"),
			"for one of several, require any_scope <scope...>"},
		"a tolerance that does not exist": {inIssuer("tolerate numeric_sub"), "known are numeric_subject, empty_subject, "},
		"a tolerance twice":               {inIssuer("tolerate text_dates text_dates"), "text_dates is given twice"},
		"a comma between tolerances":      {inIssuer("tolerate text_dates,null_claims"), "by commas: text_dates null_claims"},
		"everything tolerated":            {inIssuer("tolerate any"), `unknown word "any"; known are`},
		"tokens that never end":           {inIssuer("tolerate missing_exp"), `add "max_lifetime <duration>"`},
		"answers that nobody gives":       {inIssuer("tolerate never_expires"), "none is asked here"},
		"a consumer without tokens":       {inConsumer("tolerate numeric_subject"), "there is no credential"},
		"a tolerance of the gate":         {inGate("tolerate numeric_subject"), "tolerate"},
		"a wildcard in a group claim":     {inIssuer("group_claim resource_access.*.roles"), "names one claim"},
		"a comma between group claims":    {inIssuer("group_claim roles,groups"), "comma"},
		"a JSONPath as group claim":       {inIssuer("group_claim $.roles"), "roles"},
		"a wildcard in a consumer claim":  {inIssuer("consumer_claim clients.*"), "names one claim"},
		"a JSONPath as username claim":    {inIssuer("username_claim $.name"), "name"},
		"a consumer by another name":      {inIssuer("consumer_claim azp id"), "with custom_id behind the path"},
		"no consumer to claim":            {inIssuer("consumer_claim azp"), "add a consumer block for each caller"},
		"two claims with the caller":      {inIssuer("username_claim sub\n\t\t\tconsumer_claim sub"), "exclude each other"},
		"a consumer claim of the gate": {inGate("consumer_claim azp"),
			"it belongs in the issuer block: consumer_claim <path> [custom_id]"},
		"a username claim of the gate":    {inGate("username_claim name"), "in an issuer block: username_claim <path>"},
		"a name of consumers of the gate": {inGate("consumer_by custom_id"), "consumer_claim <path> custom_id"},
		"a wildcard in an any_scope":      {inGate("require any_scope orders:*"), "a scope is compared exactly"},
		"a comma in an any_scope":         {inGate("require any_scope read,write"), "by commas: read write"},
		"any_scopes in the plural":        {inGate("require any_scopes read write"), `did you mean "any_scope"?`},
		"an arrow in an implication": {inGate("scope_implies admin -> read"),
			`scope_implies: leave out "->": the broad scope comes first`},
		"a comma in an implication":   {inGate("scope_implies admin read,write"), "by commas: read write"},
		"a star in a narrow scope":    {inGate("scope_implies admin orders:*"), "list each scope that it implies"},
		"an implication of nothing":   {inGate("scope_implies admin"), "expected: scope_implies <broad> <narrow...>"},
		"an implication of itself":    {inGate("scope_implies a a"), "a implies a; remove one of these implications"},
		"an implication in quotes":    {inGate(`scope_implies a "b c"`), "leave the quotes out: b c"},
		"an implication with a quote": {inGate(`scope_implies a "b\"c"`), "has a character that scopes cannot have"},
		"an alternative with a quote": {inGate(`require any_scope a "b\"c"`),
			"has a character that scopes cannot have"},
		"several alternatives in one":  {inGate(`require any_scope "a b"`), "leave the quotes out: a b"},
		"a variable of a shell, there": {inGate("scope_implies $ADMIN read"), "is written {env.NAME}"},
		"another name of acr":          {inGate("require acr_values gold"), "here: require acr <value...>"},
		"another name of the age":      {inGate("require max_age 5m"), "here: require max_auth_age <duration>"},
		"an acr in quotes": {inGate(`require acr "gold silver"`),
			"has a character that the challenge cannot carry"},
		"an or between classes":       {inGate("require acr gold or silver"), "one of them is enough"},
		"a comma between classes":     {inGate("require acr gold,silver"), "by commas: gold silver"},
		"an age of nothing":           {inGate("require max_auth_age 0s"), "expected a positive duration"},
		"an age without a unit":       {inGate("require max_auth_age 300"), "expected a positive duration"},
		"a negative age":              {inGate("require max_auth_age -5m"), "expected a positive duration"},
		"an age in parts of a second": {inGate("require max_auth_age 1500ms"), "expected whole seconds"},
		"an age of two years": {inGate("require max_auth_age 732d"),
			"expected a duration from 1s to 8784h0m0s"},
		"two ages on one line": {inGate("require max_auth_age 5m 6m"),
			"expected: require max_auth_age <duration>"},
		"acr outside of require": {inGate("acr_values gold"), "here: require acr <value...>"},
		"a hierarchy by another name": {inGate("scope_hierarchy admin read"),
			"here: scope_implies <broad> <narrow...>"},
		"any_scope outside of require":      {inGate("any_scope a b"), "here: require any_scope <scope...>"},
		"roles":                             {inGate("require roles admin"), "require claim <path> <role...>"},
		"several scopes":                    {inGate("require scopes read write"), `did you mean "scope"?`},
		"a pointer as key claim":            {inGate("key_claim /kid"), "takes the name of a top-level claim"},
		"an algorithm in small letters":     {inIssuer("algorithms rs256"), `did you mean "RS256"?`},
		"one group of a consumer":           {inConsumer("group staff"), `did you mean "groups"?`},
		"a comment of C":                    {inGate("// the orders"), "a comment begins with #"},
		"a directive after a missing brace": {inGate("respond ok"), "is a } missing before it?"},
		"a colon as in YAML":                {inGate("realm: orders"), "words have no colon"},
		"a variable of a shell as issuer":   {named("$ISSUER"), "is written {env.NAME}"},
		"a variable of a shell as audience": {inIssuer("audience $API_AUDIENCE"), "is written {env.NAME}"},
		"a variable of a shell as a value":  {inGate("require claim azp $CLIENT_1"), "is written {env.NAME}"},
		"a variable of a shell as secret": {inIssuer("keys secret $GATE_SIGNING_SECRET_OF_THE_PARTNER"),
			"is written {env.NAME}"},
		"an issuer of Auth0 without its slash": {named("https://shop.eu.auth0.com"), "end in a slash: add it"},
		"one of the first Entra ID without it": {named("https://sts.windows.net/8f6bd0b6-7c1f-4ed6-9a3b-0b7d2f4f1a11"),
			"end in a slash: add it"},
		"an issuer of Keycloak with a slash": {named("https://sso.example.com/realms/shop/"), "without a slash: remove it"},
		"all tenants of Entra ID": {named("https://login.microsoftonline.com/common/v2.0"),
			"write https://login.microsoftonline.com/<tenant id>/v2.0"},
		"the name of a tenant": {named("https://login.microsoftonline.com/shop.onmicrosoft.com/v2.0"),
			"have the id of their tenant here"},
		"a blank of the manual as issuer":   {named("https://<your-domain>/"), "<your-domain> stands for a value of yours"},
		"a blank of the manual as audience": {inIssuer("audience <aud>"), "<aud> stands for a value of yours"},
		"a blank of the manual as a role":   {inGate("require claim roles <role>"), "<role> stands for a value of yours"},
		"a blank of the manual as a claim":  {inGate("forward_claims X-User <path>"), "<path> stands for a value of yours"},
		"a blank behind an issuer":          {named(`"https://auth.example.com "`), `write "https://auth.example.com"`},
		"a blank before an audience":        {inIssuer(`audience " a"`), `write "a"`},
		"a blank behind a role":             {inGate(`require claim roles "admin "`), `write "admin"`},
		"a blank behind a group":            {inGate(`require group "staff "`), `write "staff"`},
		"a scope as the value of a claim":   {inGate("require claim scope orders:read"), `write "require scope <scope...>"`},
		"a sign for at least, in a path":    {inGate("require claim age>=18"), "here: require claim age at_least <number>"},
		"a sign for more, in a path":        {inGate("require claim age>18"), "here: require claim age at_least <number>"},
		"a sign for less":                   {inGate("require claim age < 18"), "both include the number itself"},
		"a sign for at most":                {inGate("require claim age <= 18"), "here: require claim age at_most <number>"},
		"a sign for not": {inGate("require claim role != admin"),
			"here: require not claim role <value...>"},
		"a sign for not, in a path": {inGate("require claim role!=admin"), "here: require not claim role <value...>"},
		"a sign for a pattern":      {inGate("require claim sub =~ ^repo"), "require claim sub like <pattern...>"},
		"a word for at least": {inGate("require claim age gte 18"),
			"here: require claim age at_least <number>"},
		"a word for a beginning": {inGate("require claim sub starts_with repo:"),
			"require claim sub like <text>*"},
		"a word for a part":   {inGate("require claim sub contains repo"), `see "Patterns"`},
		"not behind the path": {inGate("require claim role not admin"), "require not claim role admin"},
		"not_values": {inGate("require claim role not_values admin"),
			"require not claim role <value...>"},
		"like behind a value": {inGate("require claim sub a like b c"),
			`"like" stands directly behind the path`},
		"at_least behind at_most": {inGate("require claim age at_most 65 at_least 18"), "one number must follow"},
		"like as a value": {inGate("require claim opinion like"),
			`to compare with the text "like" itself, use JSON`},
		"at_least as a value": {inGate("require claim opinion at_least"),
			`the text "at_least" itself, use JSON`},
		"a bound that is empty": {inGate(`require claim age at_least ""`), "a value is empty"},
		"a bound with a comma":  {inGate("require claim age at_least 1,5"), "is not a number"},
		"a bound too long": {inGate("require claim age at_least 1e999999999"),
			"too long, too large or too small"},
		"a pattern that is empty": {inGate(`require claim sub like ""`), "a value is empty"},
		"a pattern of SQL":        {inGate("require claim sub like repo:%"), `has no "*"`},
		"a regular expression":    {inGate("require claim sub like ^repo:.*$"), "is not a regular expression"},
		"patterns with a comma":   {inGate("require claim sub like a/*, b/*"), "by blanks"},
		"a pattern of every scope": {inGate("require claim scope like orders:*"),
			`write "require scope <scope...>"`},
		"a star as the only value": {inGate("require claim sub *"),
			"to ask only that the claim is there, write require claim sub"},
		"a star in the middle of a value": {inGate("require claim sub a*c"), `list each value, or see "Patterns"`},
		"a pattern in what is excluded":   {inGate("require not claim sub a/*"), "write require not claim sub like a/*"},
		"a pattern of a group":            {inGate("require group staff-*"), "require claim groups like <pattern...>"},
		"not alone": {inGate("require not"),
			"expected: require not scope <scope...>, or require not claim"},
		"not of a claim alone": {inGate("require not claim"),
			"expected: require not claim <path> [<value...>], or"},
		"not of a scope in the claim": {inGate("require not claim scope admin"),
			`write "require not scope <scope...>"`},
		"not of a scope in scp":       {inGate("require not claim scp admin"), `write "require not scope <scope...>"`},
		"not of one of several":       {inGate("require not any_scope a b"), "write require not scope <scope...>"},
		"not of an acr":               {inGate("require not acr bronze"), "require not claim acr <value...>"},
		"not of a block":              {inGate("require not any a"), "write a line require not ..."},
		"not of roles":                {inGate("require not roles admin"), "roles are in a claim"},
		"or between what is excluded": {inGate("require not scope a or b"), "the token must have none of them"},
		"requires_any": {inGate("require requires_any a b"),
			"for alternatives of any kind: require any { ... }"},
		"requires_all":           {inGate("require requires_all a b"), "all lines must hold"},
		"like before the claim":  {inGate("require like sub a*"), "here: require claim <path> like <pattern...>"},
		"regex before the claim": {inGate("require regex sub a"), `see "Patterns"`},
		"not_claim in one word": {inGate("require not_claim role admin"),
			"here: require not claim <path> <value...>"},
		"requires_any of Envoy": {inGate("requires_any a b"), "for alternatives: require any { ... }"},
		"no alternatives":       {inGate("require any"), "its alternatives stand in a block"},
		"roles joined by and": {inGate("require claim roles admin and clerk"),
			`leave out "and": one of the values is enough; to ask for several, write a line for each`},
		"a size without its unit":   {inGate("max_token_size 16"), "write the unit, 16KiB or 16B"},
		"a parameter of Kong":       {inGate("uri_param_names jwt"), "here: token_from query <name>"},
		"the address of keys alone": {inIssuer("jwks_url https://a.example/keys"), "keys jwks <url>"},
		"verification switched off": {inIssuer("insecure_skip_verify"), "tls { ca <file> }"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("GATE_TEST_HOST", "https://auth.example.com")
			got := adapted(t, test.caddyfile)
			if !strings.HasPrefix(got, "error: ") {
				t.Fatalf("it loads:\n%s", got)
			}
			if !strings.Contains(got, test.want) {
				t.Errorf("no %q in %s", test.want, got)
			}
			line := 5
			if strings.Contains(test.caddyfile, "introspect {") {
				line = 6 // a word of the block inside
			}
			if !strings.HasSuffix(got, fmt.Sprintf(", at Caddyfile:%d\n", line)) {
				t.Errorf("not at line %d: %s", line, got)
			}
		})
	}
}

// A mistake in a block of alternatives has the line of the alternative.
func TestMistakesOfAlternativesNameTheirLine(t *testing.T) {
	for name, test := range map[string]struct {
		caddyfile, want string
		line            int
	}{
		"alternatives on one line": {inGate("require any {\nscope a ; claim b\n}"), `without a ";"`, 6},
		"a brace behind an alternative": {inGate("require any {\nscope a\nclaim b }"),
			"the closing } have a line of their own", 7},
		"an age as an alternative": {inGate("require any {\nscope a\nmax_auth_age 5m\n}"), "cannot be an alternative",
			7},
		"a scope with a star inside": {inGate("require any {\nscope a\nscope b:*\n}"), "a scope is compared exactly", 7},
		"a group that is excluded, too": {inGate("require group a\nrequire not group a"),
			"one of those that the caller must be in", 6},
	} {
		got := adapted(t, test.caddyfile)
		if !strings.Contains(got, test.want) || !strings.HasSuffix(got, fmt.Sprintf(", at Caddyfile:%d\n", test.line)) {
			t.Errorf("%s: want %q in line %d, got %s", name, test.want, test.line, got)
		}
	}
}

// A value that only looks like a mistake loads.
func TestValuesThatOnlyLookLikeMistakesLoad(t *testing.T) {
	for name, caddyfile := range map[string]string{
		"an issuer that ends like an endpoint":  named("https://uaa.example.com/oauth/token"),
		"an issuer with a slash at its end":     named("https://auth.example.com/"),
		"a realm with the name of a key set":    named("https://auth.example.com/realms/jwks"),
		"a realm with the name of certificates": named("https://auth.example.com/realms/certs"),
		"a realm with the name of a protocol":   named("https://auth.example.com/realms/openid-connect"),
		"an issuer below keys":                  named("https://auth.example.com/discovery/keys/main"),
		"an issuer that is no address":          named("my, server"),
		"an issuer with the word well-known":    named("https://well-known.example.com/well-known/a"),
		"a key set below metadata": inIssuer(
			"keys jwks https://auth.example.com/.well-known/openid-configuration/jwks"),
		"a key set below those of RFC 8414": inIssuer(
			"keys jwks https://auth.example.com/.well-known/oauth-authorization-server/jwks"),
		"metadata at an address of their own": inIssuer("keys discovery https://auth.example.com/.well-known/custom"),
		"metadata of RFC 8414": inIssuer(
			"keys discovery https://auth.example.com/.well-known/oauth-authorization-server/jwks"),
		"an issuer of Auth0":                 named("https://shop.eu.auth0.com/"),
		"an issuer of Entra ID":              named("https://login.microsoftonline.com/8f6bd0b6-7c1f-4ed6-9a3b/v2.0"),
		"one whose tenant is a variable":     named("https://login.microsoftonline.com/{env.GATE_TEST_STAR}/v2.0"),
		"a realm that is a variable":         named("https://sso.example.com/auth/realms/{env.GATE_TEST_STAR}"),
		"a tenant that is a variable":        named("https://sts.windows.net/{env.GATE_TEST_STAR}/"),
		"a whole text of scopes":             inGate(`require claim /scope "openid profile"`),
		"scopes that are a list":             inGate("require claim scp a b"),
		"that there are scopes":              inGate("require claim scope"),
		"a value that is like":               inGate("require claim opinion {env.GATE_TEST_LIKE}"),
		"a last value that is like":          inGate("require claim opinion dislike like"),
		"a mode that is a prefix":            inGate("require claim mode prefix"),
		"a pattern with a variable":          inGate("require claim sub like repo:{env.GATE_TEST_LIKE}/*"),
		"a pattern with an unset variable":   inGate("require claim sub like repo:{env.GATE_TEST_UNSET}/*"),
		"a pattern that is not set yet":      inGate("require claim sub like {env.GATE_TEST_UNSET}"),
		"a bound that is a variable":         inGate("require claim level at_least {env.GATE_TEST_LEVEL}"),
		"a bound that is not set yet":        inGate("require claim level at_least {env.GATE_TEST_UNSET}"),
		"a pattern with a dot":               inGate("require claim sub like com.example.*"),
		"a pattern of one scope in a list":   inGate("require claim scp like orders:*"),
		"what is excluded and required":      inGate("require claim role\nrequire not claim role banned"),
		"a size in bytes":                    inGate("max_token_size 64B"),
		"a large size without a unit":        inGate("max_token_size 8192"),
		"an arrow in a value":                inGate("require claim route a->b"),
		"a scope with a bar":                 inGate("require scope read|write"),
		"an alternative with a bar":          inGate("require any_scope read|write x"),
		"a broad scope with a star":          inGate("scope_implies mcp:* mcp:read mcp:write"),
		"a narrow scope with a bar":          inGate("scope_implies admin a|b"),
		"a narrow star by a variable":        inGate("scope_implies admin {env.GATE_TEST_STAR}"),
		"two unset variables that imply":     inGate("scope_implies {env.GATE_TEST_UNSET} {env.GATE_TEST_UNSET_TOO}"),
		"a subject with a bar":               inGate("require claim sub auth0|123"),
		"a distinguished name":               inGate("require claim sub CN=alice,O=example"),
		"a value that is also an operator":   inGate("require claim state or OR"),
		"a city with a quote":                inGate("require claim city 's-Hertogenbosch"),
		"a claim with an equals sign":        inGate("require claim /azp=spa yes"),
		"a claim of a URL with one":          inGate("require claim https://example.com/?a=b"),
		"a claim with a colon":               inGate("require claim cognito:groups admins"),
		"a claim with a slash":               inGate("require claim kubernetes.io/serviceaccount/namespace default"),
		"a claim of a URL with an IPv6 host": inGate("require claim https://[::1]/roles admin"),
		"a claim with brackets by a pointer": inGate("require claim /roles[0] admin"),
		"a claim with a capital letter":      inGate("forward_claims X-Email Email"),
		"a claim and a header alike":         inGate("forward_claims Email email"),
		"a claim with a hyphen":              inGate("forward_claims remote-user client-id"),
		"a header with the name of a scheme": inGate("token_from header X-Bearer"),
		"a header called Token":              inGate("token_from header Token"),
		"a header with the scheme Token":     inGate("token_from header Authorization Token"),
		"a value with a dollar sign":         inGate("require claim price $5.00 $ $user"),
		"a secret with a dollar sign":        inIssuer("keys secret $9D1f8A3c5E7b42604f8e1A2b3c4D5e6F"),
		"a star by a variable":               inGate("require claim permissions {env.GATE_TEST_STAR}"),
		"commas by a variable":               inGate("require scope {env.GATE_TEST_COMMA}"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("GATE_TEST_STAR", "orders:*")
			t.Setenv("GATE_TEST_LIKE", "like")
			t.Setenv("GATE_TEST_LEVEL", "5")
			t.Setenv("GATE_TEST_COMMA", "a,b")
			got := adapted(t, strings.ReplaceAll(caddyfile, "my, server", `"my, server"`))
			if strings.HasPrefix(got, "error: ") {
				t.Error(got)
			}
		})
	}
}

// Programs write JSON, so a value in it is never taken for a mistake.
func TestJSONIsNotSearchedForMistakes(t *testing.T) {
	off := false
	ctx, err := caddy.ProvisionContext(&caddy.Config{Admin: &caddy.AdminConfig{
		Disabled: true, Config: &caddy.ConfigSettings{Persist: &off},
	}})
	if err != nil {
		t.Fatal(err)
	}
	child, cancel := caddy.NewContext(ctx)
	defer cancel()
	const text = `{"audience":["https://*.example.com","a,b"],
		"issuers":[{"issuer":"https://*/jwks.json",` +
		`"keys":{"source":"jwks","url":"https://a.example/.well-known/openid-configuration"},
			"required_claims":["azp=spa"],"type":["*"]}],
		"require":{"scopes":["orders:*","a,b"],"groups":["*"],` +
		`"claims":[{"claim":"roles[0]","values":["*"]},{"claim":"$.roles"}]},
		"forward_claims":[{"claim":"X-User","header":"sub"}]}`
	if _, err := child.LoadModuleByID("http.handlers.bearer_auth", []byte(text)); err != nil {
		t.Error(err)
	}
}
