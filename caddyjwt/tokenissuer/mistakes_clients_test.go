package tokenissuer

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/caddyjwt/words/wordstest"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// inClient is a Caddyfile with this line in the block of a client as its line 5. The client's audience is on line 3.
func inClient(line string) string {
	return "example.com {\n\t" + name + " {\n\t\tdefault_audience https://api.example.com\n\t\tclient billing {\n\t\t\t" +
		line + "\n\t\t}\n\t}\n}\n"
}

// asClients is one with this line in a token_issuer block as its line 4, after a client that is good.
func asClients(line string) string {
	return "example.com {\n\t" + name + " {\n\t\tclient zoe {\nsecret_hash " + hash +
		"\naudience https://api.example.com\n}\n\t\t" + line + "\n\t}\n}\n"
}

// withSecret adds a line to a client with a secret.
func withSecret(line string) string { return inClient(line + "\n\t\t\tsecret_hash " + hash) }

// saved is a file with a text.
func saved(t *testing.T, text string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Keys that are no client's: published is printed in RFC 7515 appendix A.3, and encrypts is for encryption alone.
const (
	published = `{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",` +
		`"y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}`
	encrypts = `{"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",` +
		`"y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM","use":"enc"}`
)

// A mistake about a client does not load. The error has the line, says what is wrong and what to write instead, and
// repeats neither hashes nor keys.
func TestMistakesAboutClientsNameTheLineAndTheCure(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "")
	private, secret := saved(t, key.PrivatePEM()), saved(t, tokentest.JWKS(tokentest.NewKey(t, "HS256", "k")))
	cert := "tls_client_auth san_dns billing.example.com"
	file := func(text string) string { return asClients("clients file " + saved(t, text)) }
	for what, test := range map[string]struct {
		caddyfile string
		line      int
		want      string
	}{
		"no name":              {asClients("client"), 7, "client <id>"},
		"a name of a path":     {asClients("client /billing/"), 7, "is the client_id of an application"},
		"a name that is long":  {asClients("client " + strings.Repeat("x", 251)), 7, "1 to 250 printable ASCII"},
		"a name of letters":    {asClients("client bücher"), 7, "1 to 250 printable ASCII"},
		"a placeholder":        {asClients("client {env.CLIENT}"), 7, "placeholders are not resolved here"},
		"a client twice":       {asClients("client zoe {\nsecret_hash " + hash + "\naudience x\n}"), 7, "is there twice"},
		"the name of a user":   {inIssuer("client zoe {\nsecret_hash " + hash + "\n}"), 5, "give one of them another name"},
		"an unknown word":      {inClient("secret x"), 5, "unrecognized subdirective"},
		"nothing of a client":  {inClient(""), 4, "anybody could say that they are this client"},
		"a secret and a key":   {withSecret("jwks https://billing.test/keys"), 4, "keep one of"},
		"a secret and a cert":  {withSecret(cert), 4, "keep one of"},
		"a key in two ways":    {inClient("jwks https://a.test\n\t\t\tpublic_key " + private), 5, "keep one of them"},
		"no hash":              {inClient("secret_hash"), 5, "secret_hash <hash...>"},
		"a secret for a hash":  {inClient("secret_hash hunter2"), 5, `"caddy hash-password"`},
		"a hash cut off":       {inClient("secret_hash " + hash[:50]), 5, "is not a hash as those"},
		"three hashes":         {inClient("secret_hash " + strings.Repeat(" "+hash, 3)), 5, "at most 2 secret_hash"},
		"hashes of two kinds":  {inClient("secret_hash " + hash + " " + argon), 5, "is not a hash as those"},
		"a hash in quotes":     {inClient("secret_hash '" + hash + "'"), 5, "single quotes"},
		"a variable of shells": {inClient("secret_hash $SECRET"), 5, "{$NAME} in a Caddyfile"},
		"hashes of two clients": {asClients("client b {\nsecret_hash " + argon + "\naudience x\n}"), 8,
			"is not a hash as those"},
		"a private key":       {inClient("public_key " + private), 5, "private key"},
		"nothing to do":       {withSecret("grants none"), 5, "can do nothing"},
		"another kind":        {withSecret("token jwe"), 5, "expected jwt or opaque"},
		"an exchange of none": {withSecret("exchange"), 5, "exchange from <issuer>"},
		"an exchange with":    {withSecret("exchange with https://idp.test"), 5, "exchange from <issuer>"},
		"of nobody known":     {withSecret("exchange from https://idp.test"), 5, "write \"issuer https://idp.test { … }\""},
		"another grant": {withSecret("exchange from https://api.example.com {\ngrant password\n}"), 6,
			"expected token_exchange or"},
		"its own assertions": {withSecret("exchange from https://api.example.com {\ngrant jwt_bearer\n}"), 6,
			"assertions are of others"},
		"a claim of ours": {withSecret("exchange from https://api.example.com {\nclaims email sub\n}"), 6,
			"sets the claim \"sub\" itself"},
		"its own prefix": {withSecret("exchange from https://api.example.com {\nsubject_prefix x\n}"), 6,
			"stay as they are"},
		"no prefix": {trusts("exchange from https://idp.test\nexchange from https://other.test"), 10,
			"give both a subject_prefix"},
		"an exchange twice": {trusts("exchange from https://api.example.com\nexchange from https://api.example.com"), 10,
			"is there twice"},
		"an issuer of none":   {asClients("issuer"), 7, "issuer <issuer>"},
		"an issuer twice":     {asClients("issuer https://a.test\nissuer https://a.test"), 8, "configured twice"},
		"itself":              {asClients("issuer https://api.example.com"), 7, "knows its own tokens"},
		"an issuer from here": {asClients("issuer https://a.test {\nkeys local\n}"), 8, "name the address of its keys"},
		"many tenants": {asClients("issuer https://a.test/* {\nkeys jwks https://a.test/keys\ntenants a b\n}"), 7,
			"for each tenant"},
		"groups of an issuer":  {asClients("issuer https://a.test {\ngroup_claim roles\n}"), 8, "remove it"},
		"a name of an issuer":  {asClients("issuer https://a.test {\nusername_claim email\n}"), 8, "remove it"},
		"claims of ours":       {withSecret("claim sub x"), 5, "sets the claim \"sub\" itself"},
		"a claim of nothing":   {withSecret("claim tier"), 5, "claim <name>"},
		"a claim of no JSON":   {withSecret("claim tier json `[`"), 5, "everybody reads alike"},
		"JSON that goes on":    {withSecret("claim tier json `1,\"x\":2`"), 5, "everybody reads alike"},
		"names in JSON twice":  {withSecret("claim tier json `{\"a\":1,\"a\":2}`"), 5, "everybody reads alike"},
		"claims alike":         {withSecret("claim tier a\nclaim Tier b"), 5, "take one for the other"},
		"a claim twice":        {withSecret("claim tier a\nclaim tier b"), 6, "is there twice"},
		"a long claim":         {withSecret("claim tier " + strings.Repeat("x", 4100)), 5, "and may have 4096"},
		"roles that are none":  {withSecret("claim roles admin"), 5, "write a list of texts"},
		"a header of ours":     {withSecret("header kid x"), 5, "header \"kid\""},
		"a lifetime of none":   {withSecret("access_lifetime 5m https://nobody.test"), 5, "no tokens for this audience"},
		"lifetimes twice":      {withSecret("access_lifetime 5m\naccess_lifetime 6m"), 6, "is there twice"},
		"lifetimes of one":     {withSecret("access_lifetime 5m a\naccess_lifetime 6m a"), 6, "is there twice"},
		"a short one of one":   {withSecret("audience a\naccess_lifetime 1s a"), 6, "is not between"},
		"no lifetime":          {withSecret("access_lifetime soon"), 5, "expected a positive duration"},
		"a shared secret":      {inClient("public_key " + secret), 5, "public_key"},
		"what is no key":       {inClient("public_key " + saved(t, "swordfish")), 5, "public_key"},
		"a key of an RFC":      {inClient("public_key " + saved(t, published)), 5, "published_key"},
		"a key to encrypt for": {inClient("public_key " + saved(t, encrypts)), 5, "not_for_signatures"},
		"an empty key":         {inClient("public_key " + saved(t, "")), 5, "is empty"},
		"keys without TLS":     {inClient("jwks http://192.0.2.1/keys"), 5, "http is for this machine only"},
		"keys of no address":   {inClient("jwks keys.json"), 5, "not https"},
		"keys with a password": {inClient("jwks https://u:hunter2@a.test/"), 5, "user information"},
		"a word alone":         {inClient("tls_client_auth subject"), 5, "a subject with blanks needs quotes"},
		"a subject in words":   {inClient("tls_client_auth subject CN=a b"), 5, "a subject with blanks needs quotes"},
		"an unknown part":      {inClient("tls_client_auth san_ip 192.0.2.1"), 5, "name what of the certificate"},
		"two certificates":     {inClient(cert + "\n\t\t\t" + cert), 6, "remove one of the two"},
		"a short hash":         {inClient("tls_client_auth spki_sha256 " + strings.Repeat("a", 62)), 5, "64 hexadecimal"},
		"a hash of no digits":  {inClient("tls_client_auth spki_sha256 " + strings.Repeat("x", 64)), 5, "64 hexadecimal"},
		"a subject of a place": {inClient("tls_client_auth subject {env.CN}"), 5, "placeholders are not resolved here"},
		"scopes with commas":   {withSecret("scopes read,write"), 5, "read write"},
		"a scope with a quote": {withSecret("scopes `a\"b`"), 5, "RFC 6749 section 3.3"},
		"a scope twice":        {withSecret("scopes read read"), 5, `scopes "read" is there twice`},
		"65 scopes":            {withSecret("scopes " + numbered(65)), 5, "at most 64 values"},
		"a scope of a place":   {withSecret("scopes {env.SCOPE}"), 5, "placeholders are not resolved here"},
		"a long scope":         {withSecret("scopes " + strings.Repeat("s", 513)), 5, "1 to 512 printable characters"},
		"a grant of users":     {withSecret("grants refresh_token"), 5, "for applications, whose users sign in"},
		"a grant of passwords": {withSecret("grants password"), 5, "RFC 9700"},
		"two grants":           {withSecret("grants client_credentials none"), 5, "expected client_credentials or none"},
		"no audience":          {withSecret("audience"), 5, "audience <aud...>"},
		"audiences and commas": {withSecret("audience a,b"), 5, "a b"},
		"an audience twice":    {withSecret("audience a a"), 5, `audience "a" is there twice`},
		"an audience in parts": {withSecret(`audience "a b"`), 5, "1 to 512 printable characters"},
		"an empty audience":    {withSecret(`audience ""`), 5, "is empty"},
		"introspect twice":     {withSecret("introspect a a"), 5, `introspect "a" is there twice`},
		"a proof of no kind":   {withSecret("proof none"), 5, "expected dpop or mtls"},
		"two proofs":           {withSecret("proof dpop mtls"), 5, "proof dpop|mtls"},
		"no duration":          {withSecret("access_lifetime 60"), 5, "access_lifetime"},
		"a short life":         {withSecret("access_lifetime 5s"), 5, "is not between 10s and 24h0m0s"},
		"a long life":          {withSecret("access_lifetime 25h"), 5, "is not between 10s and 24h0m0s"},
		"a life of parts":      {withSecret("access_lifetime 10500ms"), 5, "write whole seconds"},
		"no life at all":       {withSecret("access_lifetime"), 5, "access_lifetime <duration> [<aud...>]"},
		"a short life of one":  {withSecret("access_lifetime 1m\naccess_lifetime 5s a"), 6, "is not between 10s and 24h"},
		"lives and commas":     {withSecret("access_lifetime 1m a,b"), 5, "a b"},
		"a claim of words":     {withSecret("claim a b c"), 5, "a text with blanks needs quotes"},
		"a claim of JSON":      {withSecret("claim a json"), 5, "JSON needs backquotes"},
		"a claim of half":      {withSecret("claim a 1\nclaim b json `{`"), 6, "everybody reads alike"},
		"an empty claim":       {withSecret(`claim a ""`), 5, "leave it out"},
		"a claim of others":    {withSecret("claim a 1\nclaim token_use id"), 6, "others than access tokens"},
		"a claim of a request": {withSecret("claim a 1\nclaim b {http.request.host}"), 6, "has no value"},
		"a member that is big": {withSecret("header a " + strings.Repeat("x", 2048)), 5, "and may have 2048"},
		"tokens for nobody":    {asClients("client b {\nsecret_hash " + hash + "\n}"), 7, "add audience"},
		"two defaults":         {inIssuer("default_audience a\n\t\tdefault_audience b"), 6, "remove one of the two"},
		"a file without file":  {asClients("clients " + private), 7, "clients file <path>"},
		"a file of rubbish":    {file("swordfish"), 7, "not one JSON object"},
		"a file of a key":      {asClients("clients file " + private), 7, "not one JSON object"},
		"a file with jwks":     {file(`{"clients": [{"id": "b", "jwks": "https://a.test/"}]}`), 7, "put its key into"},
		"one that is there":    {file(ofFile("zoe", `"secret_hash": ["`+hash+`"], "audience": ["x"]`)), 7, "is there twice"},
		"one of a placeholder": {file(ofFile("b", `"audience": ["{env.AUD}"]`)), 7, "placeholders are not resolved"},
		"one that asks those":  {file(ofFile("b", `"introspect": ["{env.AUD}"]`)), 7, "placeholders are not resolved"},
		"one of other hashes":  {file(ofFile("b", `"secret_hash": ["`+argon+`"], "audience": ["x"]`)), 7, "is not a hash as"},
		"one with a path":      {file(ofFile("b", `"public_key": "`+private+`"`)), 7, `client "b": public_key`},
	} {
		got := wordstest.Adapted(t, test.caddyfile, "token_issuer")
		if !strings.Contains(got, test.want) || !strings.Contains(got, fmt.Sprintf("Caddyfile:%d", test.line)) ||
			!strings.HasPrefix(got, "error: ") {
			t.Errorf("%s: got %.600swant line %d, %q", what, got, test.line, test.want)
		}
		for _, secret := range []string{hash, hash[:50], argon, "hunter2", "swordfish", "BEGIN", "MHcC", "MIG"} {
			if strings.Contains(got, secret) {
				t.Errorf("%s: the error repeats %q: %s", what, secret, got)
			}
		}
	}
}

// trusts is a Caddyfile whose client has these lines, and whose issuer knows another one.
func trusts(lines string) string {
	return strings.Replace(withSecret(lines), "default_audience",
		"issuer https://idp.test {\nkeys jwks https://idp.test/k\n}\nissuer https://other.test\n"+
			"default_audience", 1)
}

// ofFile is a file with a client that has these members.
func ofFile(id, members string) string { return `{"clients": [{"id": "` + id + `", ` + members + `}]}` }

// numbered are so many different values.
func numbered(n int) string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprint("v", i))
	}
	return strings.Join(all, " ")
}

// Without the secrets of production a Caddyfile adapts, and what is missing is named when it loads.
func TestMissingValuesOfClientsWaitForTheLoad(t *testing.T) {
	for what, caddyfile := range map[string]string{
		"the hash of a secret":     inClient("secret_hash {env.TOKEN_ISSUER_NOWHERE}"),
		"the second hash":          inClient("secret_hash " + hash + " {env.TOKEN_ISSUER_NOWHERE}"),
		"a key":                    inClient("public_key {env.TOKEN_ISSUER_NOWHERE}"),
		"the file of a key":        inClient("public_key /TOKEN_ISSUER_NOWHERE.pem"),
		"the address of keys":      inClient("jwks {env.TOKEN_ISSUER_NOWHERE}"),
		"an audience":              withSecret("audience a {env.TOKEN_ISSUER_NOWHERE}"),
		"a claim":                  withSecret("claim a {env.TOKEN_ISSUER_NOWHERE}"),
		"a member of the header":   withSecret("header a {env.TOKEN_ISSUER_NOWHERE}"),
		"a lifetime's audience":    withSecret("access_lifetime 1m {env.TOKEN_ISSUER_NOWHERE}"),
		"an audience to ask about": withSecret("introspect {env.TOKEN_ISSUER_NOWHERE}"),
		"the default audience": strings.Replace(withSecret(""), "https://api.example.com\n",
			"{env.TOKEN_ISSUER_NOWHERE}\n", 1),
		"a file of clients":         asClients("clients file /TOKEN_ISSUER_NOWHERE.json"),
		"the path of a file":        asClients("clients file {env.TOKEN_ISSUER_NOWHERE}"),
		"a part of the path":        asClients("clients file /etc/{env.TOKEN_ISSUER_NOWHERE}/clients.json"),
		"the file with the secrets": inClient("secret_hash {file./TOKEN_ISSUER_NOWHERE}"),
	} {
		if got := wordstest.Adapted(t, caddyfile, "token_issuer"); strings.HasPrefix(got, "error: ") {
			t.Errorf("%s: %s", what, got)
			continue
		}
		if err := loads(t, caddyfile); err == nil || !strings.Contains(err.Error(), "TOKEN_ISSUER_NOWHERE") {
			t.Errorf("%s: %v", what, err)
		}
	}
}
