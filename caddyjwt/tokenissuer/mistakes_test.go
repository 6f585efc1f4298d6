package tokenissuer

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyjwt/gateway/caddyjwt/words/wordstest"
)

// hash is one of the password "secret".
const hash = "$2a$10$IQjhBuOuDeTa2PCmjYYahupL5fguYjADShbkbzbpbZmIwUCq5yOmq"

// argon is a hash of another kind.
const argon = "$argon2id$v=19$m=47104,t=1,p=1$P2nzckEdTZ3bxCiBCkRTyA$xQL3Z32eo5jKl7u5tcIsnEKObYiyNZQQf5/4sAau6Pg"

const name = "token_issuer https://api.example.com"

// inIssuer is a Caddyfile with this line in a token_issuer block as its line 5.
func inIssuer(line string) string {
	return "example.com {\n\t" + name + " {\n\t\tuser zoe " + hash + "\n\t\tapp /zoe/\n\t\t" + line + "\n\t}\n}\n"
}

// inApp is one with this line in an app block as its line 5.
func inApp(line string) string {
	return "example.com {\n\t" + name + " {\n\t\tuser zoe " + hash + "\n\t\tapp /zoe/ {\n\t\t\t" + line +
		"\n\t\t}\n\t}\n}\n"
}

// inEndpoints is one with this line in an endpoints block as its line 5.
func inEndpoints(line string) string {
	return "example.com {\n\t" + name + " {\n\t\tuser zoe " + hash + "\n\t\tapp /zoe/ {\nendpoints {\n\t\t\t" + line +
		"\n}\n\t\t}\n\t}\n}\n"
}

// withLine is one with this line alone in the block.
func withLine(line string) string {
	return "example.com {\n\t" + name + " {\n\t\t" + line + "\n\t}\n}\n"
}

// directly is one whose line 2 is the directive with these words, and whose block is good.
func directly(words string) string {
	return "example.com {\n\ttoken_issuer " + words + " {\n\t\tuser zoe " + hash + "\n\t\tapp /zoe/\n\t}\n}\n"
}

// A mistake does not load. The error has the line, says what is wrong and what to write instead.
func TestMistakesOfACaddyfileNameTheLineAndTheCure(t *testing.T) {
	good := filepath.Join(t.TempDir(), "users")
	if err := os.WriteFile(good, []byte("bob:"+hash+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	group := filepath.Join(filepath.Dir(good), "groups")
	if err := os.WriteFile(group, []byte("alice bob"), 0o600); err != nil {
		t.Fatal(err)
	}
	broken := filepath.Join(t.TempDir(), "users")
	if err := os.WriteFile(broken, []byte("alice:"+hash+"\nbob:{SHA}x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	long, longer := strings.Repeat("x", 256), strings.Repeat("x", 257)
	for what, test := range map[string]struct {
		caddyfile string
		line      int
		want      string
	}{
		"no name":                 {directly(""), 2, "token_issuer needs the name of the issuer"},
		"a matcher":               {directly("@api https://api.example.com"), 2, `remove "@api"`},
		"a matcher alone":         {directly("@api"), 2, `remove "@api"`},
		"a star":                  {directly("* https://api.example.com"), 2, `remove "*"`},
		"a star alone":            {directly("*"), 2, `remove "*"`},
		"a path":                  {directly("/api/* https://api.example.com"), 2, `remove "/api/*"`},
		"a second word":           {directly("https://api.example.com alice"), 2, `move "alice" into it`},
		"a wildcard in the name":  {directly("https://*.example.com"), 2, `without "*"`},
		"a name that is too long": {directly("https://" + strings.Repeat("x", 1024)), 2, "at most 1024 bytes"},
		"an unknown word":         {inIssuer("audience x"), 5, "unrecognized subdirective"},
		"an algorithm of secrets": {inIssuer("algorithm HS256"), 5, "expected one of"},
		"an unsigned algorithm":   {inIssuer("algorithm none"), 5, "expected one of"},
		"two algorithms":          {inIssuer("algorithm ES256 RS256"), 5, "algorithm ES256|RS256|PS256|EdDSA"},
		"an algorithm twice":      {inIssuer("algorithm ES256\n\t\talgorithm ES256"), 6, "remove one of the two"},
		"cors without origins":    {inIssuer("cors"), 5, "origins"},
		"a user without a hash":   {inIssuer("user alice"), 5, `make the hash with "caddy hash-password"`},
		"two of one kind": {inIssuer("users http https://a.test\n\t\tusers http https://b.test"),
			6, "one of each kind"},
		"groups of a server": {inIssuer("users http https://a.test {\n\t\t\tgroups x\n\t\t}"), 6, "does not take groups"},
		"groups that are bad": {inIssuer("users file " + good + " {\n\t\t\tgroups " + group + "\n\t\t}"),
			6, "line 1: no name and colon"},
		"a setting of another kind": {inIssuer("users http https://a.test {\n\t\t\tbase_dn x\n\t\t}"),
			6, "does not take base_dn"},
		"LDAP without TLS": {inIssuer("users ldap ldap://192.0.2.1 {\n\t\t\tuser_dn uid={user}\n\t\t}"),
			5, "users ldap"},
		"HTTP without TLS": {inIssuer("users http http://192.0.2.1/check"), 5, "users http"},
		"no name in a DN":  {inIssuer("users ldap ldaps://a.test {\n\t\t\tuser_dn uid=x\n\t\t}"), 6, "users ldap"},
		"a server that waits long": {inIssuer("users http https://a.test {\n\t\t\ttimeout 5m\n\t\t}"),
			6, "not between 0s and 1m"},
		"a server that is not last": {inIssuer("users http https://a.test\n\t\tusers file " + good), 5, "put it last"},
		"a password for a hash":     {inIssuer("user alice secret"), 5, `make it with "caddy hash-password"`},
		"a hash cut off":            {inIssuer("user alice " + hash[:50]), 5, "a bcrypt hash has 60 characters"},
		"a hash that costs a day":   {inIssuer("user alice " + strings.Replace(hash, "$10$", "$31$", 1)), 5, "from 04 to 16"},
		"an MD5 hash":               {inIssuer("user alice $apr1$x$y"), 5, "was not made as that of the first user"},
		"hashes of two kinds":       {inIssuer("user alice " + argon), 5, "the same options for all users"},
		"an argon2 of another kind": {inIssuer("user alice $argon2i$v=19$m=1,t=1,p=1$a$b"), 5, "$argon2id$v=19$"},
		"a user twice":              {inIssuer("user zoe " + hash), 5, "another user with this name"},
		"a placeholder as user":     {inIssuer("user {env.NAME} " + hash), 5, "placeholders are not resolved here"},
		"a user of no letters":      {inIssuer(`user "" ` + hash), 5, "write \"user <name> <hash>\""},
		"users without the word":    {inIssuer("users " + broken), 5, "users file <path>"},
		"users without a path":      {inIssuer("users file"), 5, "users file <path>"},
		"users with an empty path":  {inIssuer(`users file ""`), 5, "needs the path of a file"},
		"users of another kind":     {inIssuer("users sql x"), 5, "users file <path>"},
		"a file with a bad line":    {inIssuer("users file " + broken), 5, "line 2: the hash of the user \"bob\" is SHA-1"},
		"no app":                    {withLine("user zoe " + hash), 2, `add "app <path>"`},
		"nobody":                    {withLine("app /zoe/"), 2, "nobody could sign in"},
		"nothing at all":            {"example.com {\n\t" + name + "\n}\n", 2, "issues no tokens"},
		"an app without a path":     {inIssuer("app"), 5, "app <path>"},
		"an app twice":              {inIssuer("app /zoe/"), 5, "app /zoe/"},
		"an app inside of another":  {inIssuer("app /zoe/x/"), 5, "one is inside of the other"},
		"an app around another":     {inIssuer("app /"), 5, "one is inside of the other"},
		"an app without its end":    {inIssuer("app /api"), 5, "write /api/"},
		"an app without a slash":    {inIssuer("app api/"), 5, "a path begins with a slash"},
		"an app with a wildcard":    {inIssuer("app /api/*"), 5, "wildcards"},
		"an app as an address":      {inIssuer("app https://api.example.com/"), 5, "give the path alone"},
		"an app with an escape":     {inIssuer("app /a%20b/"), 5, "a path has only letters"},
		"an app with a way up":      {inIssuer("app /a/../b/"), 5, "no two dots in a row"},
		"an app of a placeholder":   {inIssuer("app {env.PATH}/"), 5, "placeholders are not resolved here"},
		"an unknown word of an app": {inApp("lifetime 5m"), 5, "unrecognized subdirective"},
		"an empty audience":         {inApp("audience"), 5, "audience <aud...>"},
		"a comma in an audience":    {inApp("audience a,b"), 5, "a b"},
		"no duration":               {inApp("access_lifetime 60"), 5, "access_lifetime"},
		"an access that is short":   {inApp("access_lifetime 5s"), 5, "is not between 10s and 24h0m0s"},
		"an access that is long":    {inApp("access_lifetime 25h"), 5, "is not between 10s and 24h0m0s"},
		"an access in milliseconds": {inApp("access_lifetime 10500ms"), 5, "write whole seconds"},
		"a refresh below access":    {inApp("refresh_lifetime 30s"), 5, "is not between 1m0s and 2160h0m0s"},
		"a refresh that is long":    {inApp("refresh_lifetime 91d"), 5, "is not between 1m0s and 2160h0m0s"},
		"a session below refresh":   {inApp("session_lifetime 10m"), 5, "is not between 15m0s and 8760h0m0s"},
		"a grace that is long":      {inApp("grace 2m"), 5, "is not between 0s and 1m0s"},
		"a grace above access":      {inApp("grace 20s\n\t\t\taccess_lifetime 10s"), 5, "is not between 0s and 10s"},
		"another compat":            {inApp("compat iam"), 5, "expected oauth or iris"},
		"two compats":               {inApp("compat oauth iris"), 5, "compat oauth|iris"},
		"a header without text":     {inApp("header co"), 5, "header <name> <text>"},
		"a header twice":            {inApp("header co x\n\t\t\theader co y"), 6, "remove one of the two"},
		"a header of RFC 7515":      {inApp("header kid x"), 5, "kid"},
		"the same in other letters": {inApp("header JWK x"), 5, "JWK"},
		"a header that is long":     {inApp("header co " + longer), 5, "at most 256 bytes"},
		"nine headers":              {inApp(headers(9, "x")), 5, "at most 8 members"},
		"headers of too many bytes": {inApp(headers(8, long)), 5, "bytes"},
		"a claim without text":      {inApp("claim tenant"), 5, "claim <name> <text>"},
		"a claim of the issuer":     {inApp("claim Sub alice"), 5, "use another name"},
		"a claim with roles":        {inApp("claim roles admin"), 5, "use another name"},
		"a claim that clients send": {inApp("claim tenant x{header.X-Tenant}"), 5, "clients may choose"},
		"a claim of the query":      {inApp("claim tenant {query.tenant}"), 5, "clients may choose"},
		"a claim of a path":         {inApp("claim tenant {path.0}"), 5, "clients may choose"},
		"a claim that is long":      {inApp("claim tenant " + strings.Repeat("x", 1025)), 5, "at most 1024 bytes"},
		"a claim of an expression":  {inApp("claim tenant {re.t.1}"), 5, "clients may choose"},
		"a claim of a handshake":    {inApp("claim tenant {http.request.tls.server_name}"), 5, "clients may choose"},
		"a claim in two spellings":  {inApp("claim tenant x\n\t\t\tclaim Tenant y"), 5, "one for the other"},
		"a group of what nobody has": {inIssuer("users ldap ldaps://a.test {\n\t\t\tuser_dn uid={user}\n\t\t}\n" +
			"\t\tapp /b/ {\n\t\t\tgroup_by claim dept\n\t\t}"), 9, "no users can have this claim"},
		"a group of a claim of the issuer": {inIssuer("users http https://a.test\n" +
			"\t\tapp /b/ {\n\t\t\tgroup_by claim Sub\n\t\t}"), 7, "no users can have this claim"},
		"17 claims":                 {inApp(strings.ReplaceAll(headers(17, "x"), "header", "claim")), 5, "at most 16"},
		"an empty endpoint":         {inEndpoints("login"), 6, "login <name>"},
		"an endpoint with a slash":  {inEndpoints("login a/b"), 6, "only letters, digits and -._~@"},
		"an endpoint with a star":   {inEndpoints("refresh a*"), 6, "only letters, digits and -._~@"},
		"an endpoint with a dot":    {inEndpoints("logout a."), 6, "does not end in a dot"},
		"a placeholder in one":      {inEndpoints("revoke {env.X}"), 6, "only letters, digits and -._~@"},
		"two endpoints of one name": {inEndpoints("login revoke"), 5, "two have the name"},
		"an unknown endpoint":       {inEndpoints("token x"), 6, "unrecognized subdirective"},
	} {
		got := wordstest.Adapted(t, test.caddyfile, "token_issuer")
		if !strings.Contains(got, test.want) || !strings.Contains(got, fmt.Sprintf("Caddyfile:%d", test.line)) ||
			!strings.HasPrefix(got, "error: ") {
			t.Errorf("%s: got %.600swant line %d, %q", what, got, test.line, test.want)
		}
		if strings.Contains(got, hash) || strings.Contains(got, "$apr1$x") {
			t.Errorf("%s: the error repeats a hash: %s", what, got)
		}
	}
}

// headers are so many lines with different names.
func headers(n int, text string) string {
	var lines []string
	for i := range n {
		lines = append(lines, fmt.Sprintf("header h%d %s", i, text))
	}
	return strings.Join(lines, "\n")
}

// Without the secrets of production a Caddyfile adapts, and what is missing is named when it loads.
func TestMissingValuesWaitForTheLoad(t *testing.T) {
	for what, line := range map[string]string{
		"the hash of a user": "user alice {env.TOKEN_ISSUER_NOWHERE}",
		"the path of a file": "users file {env.TOKEN_ISSUER_NOWHERE}",
		"a file":             "users file /TOKEN_ISSUER_NOWHERE",
		"an audience":        "app /a/ {\n\t\t\taudience {env.TOKEN_ISSUER_NOWHERE}\n\t\t}",
	} {
		if got := wordstest.Adapted(t, inIssuer(line), "token_issuer"); strings.HasPrefix(got, "error: ") {
			t.Errorf("%s: %s", what, got)
			continue
		}
		if err := loads(t, inIssuer(line)); err == nil || !strings.Contains(err.Error(), "TOKEN_ISSUER_NOWHERE") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// JSON can have what no Caddyfile has.
func TestMistakesInJSON(t *testing.T) {
	good := func() map[string]any {
		return map[string]any{
			"handler": "token_issuer", "issuer": "https://api.example.com", "apps": []any{map[string]any{"path": "/a/"}},
			"users": []any{map[string]any{"name": "zoe", "hash": hash}},
		}
	}
	file := filepath.Join(t.TempDir(), "users")
	if err := os.WriteFile(file, []byte("bob:"+hash+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	groups := func(h map[string]any, claim string, from ...any) {
		h["apps"].([]any)[0].(map[string]any)["group_by"] = map[string]any{"claim": claim}
		if from != nil {
			h["users_from"] = from
		}
	}
	ofFile := map[string]any{"kind": "file", "path": file}
	ofServer := map[string]any{"kind": "http", "url": "https://a.test"}
	for what, test := range map[string]struct {
		change func(handler map[string]any)
		want   string
	}{
		"a group of a claim that nobody has": {func(h map[string]any) { groups(h, "dept") },
			`app /a/: group_by claim "dept" would group nothing`},
		"the same with a file": {func(h map[string]any) { groups(h, "dept", ofFile) },
			`write "group_by claim sub"`},
		"the same with a file alone": {func(h map[string]any) { groups(h, "roles", ofFile); delete(h, "users") },
			`or "group_by cookie <name>"`},
		"a group of all sessions of a user": {func(h map[string]any) { groups(h, "sub", ofFile) }, ""},
		"a claim that a server may give":    {func(h map[string]any) { groups(h, "dept", ofFile, ofServer) }, ""},
		"no name":                           {func(h map[string]any) { delete(h, "issuer") }, "token_issuer has no name"},
		"no users":                          {func(h map[string]any) { h["users"] = []any{} }, "empty list"},
		"no file": {func(h map[string]any) { h["users_from"] = []any{map[string]any{"kind": "file"}} },
			"needs the path of a file"},
		"no audience": {func(h map[string]any) { h["apps"].([]any)[0].(map[string]any)["audience"] = []any{} }, "empty list"},
		"no path":     {func(h map[string]any) { h["apps"].([]any)[0].(map[string]any)["path"] = "" }, "it is empty"},
		"no text in the header": {func(h map[string]any) {
			h["apps"].([]any)[0].(map[string]any)["header"] = map[string]any{"": "x"}
		}, "must be a text"},
	} {
		handler := good()
		test.change(handler)
		err := tries(t, handler)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := tries(t, good()); err != nil {
		t.Error(err)
	}
}

// tries validates a configuration with this handler.
func tries(t *testing.T, handler map[string]any) error {
	t.Helper()
	text, err := json.Marshal(map[string]any{
		"admin": map[string]any{"disabled": true}, "storage": map[string]any{"module": "file_system", "root": t.TempDir()},
		"apps": map[string]any{
			"http": map[string]any{"servers": map[string]any{"s": map[string]any{
				"listen": []any{"unix/" + filepath.Join(t.TempDir(), "s")},
				"routes": []any{map[string]any{"handle": []any{handler}}},
			}}},
			"bearer_auth": map[string]any{"store": map[string]any{"kind": "memory"}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	config := new(caddy.Config)
	if err := json.Unmarshal(text, config); err != nil {
		t.Fatal(err)
	}
	return caddy.Validate(config)
}
